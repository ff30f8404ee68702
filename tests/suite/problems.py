"""Problems that take no time."""

import numpy as np
import sympy as sp

from pinnsuite import (
    D,
    Initial,
    Problem,
    SignalProblem,
    TimeInterval,
    coordinates,
    field_of,
)


def tiny(noise: float = 0.1, num_points: int = 16) -> SignalProblem:
    """A sine with noise."""
    t = np.linspace(0.0, 1.0, num_points)
    signal = np.sin(2 * np.pi * t)
    bump = noise * np.random.default_rng(0).standard_normal(num_points)
    return SignalProblem(
        name="tiny",
        task="restore",
        given={"t": t, "noisy": signal + bump},
        truth={"signal": signal},
        coordinates={"t": t},
    )


def logistic(accuracy: float = 1e-5) -> Problem:
    """Logistic growth, u' = u (1 - u), u(0) = 1/10."""
    (t,) = coordinates("t")
    u = field_of("u", t)
    return Problem(
        name="logistic",
        fields=[u],
        equations=[D(u, t) - u * (1 - u)],
        conditions=[Initial(u, 0.1)],
        time=TimeInterval(t, 0, 5, 11),
        accuracy=accuracy,
    )


def decay(rate: float = 1.0, claimed: float = 1.0) -> Problem:
    """Exponential decay, u' = -k u, u(0) = 1; `claimed` is the rate of the solution."""
    (t,) = coordinates("t")
    u = field_of("u", t)
    return Problem(
        name="decay",
        fields=[u],
        equations=[D(u, t) + rate * u],
        conditions=[Initial(u, 1)],
        time=TimeInterval(t, 0, 1, 11),
        exact={u: sp.exp(-claimed * t)},
    )


def broken() -> Problem:
    """Code with an error in it."""
    return 1 / 0
