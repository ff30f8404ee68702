"""The pendulum at large amplitude, in Jacobi's elliptic functions."""

import math

import numpy as np
import sympy as sp
from scipy.special import ellipj, ellipk

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    D,
    Evaluated,
    Initial,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)

GRAVITY = 9.81


def pendulum(amplitude: float = 3.0, length: float = 1.0) -> Problem:
    """Pendulum released at rest far from the vertical.

    θ'' + (g/l) sin θ = 0, θ(0) = 3 rad, θ'(0) = 0, 0 ≤ t ≤ 10 s; g = 9.81 m/s²,
    l = 1 m.

    Known in Jacobi's functions: sin(θ/2) = k sn(K(k) - ω t, k) with k = sin(θ(0)/2) and
    ω = √(g/l), turned here so that θ(0) is the largest angle. The period 4 K(k)/ω is
    5.16 s where small swings take 2.0 s.

    Trap: near the top the pendulum lingers, and a small error of the energy becomes a
    large one of the phase; the linear pendulum is no approximation at all.
    """
    if not 0 < amplitude < math.pi:
        raise OptionError(
            f"pendulum: amplitude is {amplitude}; it must lie between 0 and π."
        )
    if not length > 0:
        raise OptionError(f"pendulum: length is {length}; it must be positive.")
    (t,) = coordinates("t")
    theta = field_of("theta", t)
    frequency = math.sqrt(GRAVITY / length)
    k = math.sin(amplitude / 2)

    def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
        sine = ellipj(ellipk(k**2) - frequency * points[:, 0], k**2)[0]
        return {"theta": 2 * np.arcsin(k * sine)}

    return Problem(
        name="pendulum",
        fields=[theta],
        equations=[D(theta, t, 2) + GRAVITY / length * sp.sin(theta)],
        time=TimeInterval(t, 0, 10, num_outputs=201),
        conditions=[Initial(theta, amplitude), Initial(theta, 0, order=1)],
        reference=Evaluated(
            evaluate, error_estimate=1e-13, description="Jacobi's elliptic functions"
        ),
        source=(
            "NIST Digital Library of Mathematical Functions, section 22.19(i), "
            "https://dlmf.nist.gov/22.19"
        ),
        tags=["nonlinear", "mechanics", "oscillator", "ordinary"],
    )
