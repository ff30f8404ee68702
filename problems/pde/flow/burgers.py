"""Burgers' equation: the steepening of a sine wave into a viscous layer."""

import math

import numpy as np
import sympy as sp

from pinnsuite.problem import (
    D,
    Dirichlet,
    Evaluated,
    Initial,
    Interval,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)


def burgers(viscosity: float = 0.01 / math.pi) -> Problem:
    """Burgers' equation with a viscous layer.

    u_t + u u_x = ν u_xx on (-1, 1), 0 < t ≤ 1; u(x, 0) = -sin πx, u(±1, t) = 0.

    A sine wave steepens until, at t ≈ 1/π, a layer of width about ν stands at x = 0.
    The solution is known in closed form through the Cole-Hopf transformation
    u = -2ν φ_x/φ, φ_t = ν φ_xx; its integrals are evaluated by the trapezoidal rule,
    which converges geometrically here. PINNacle's "Burgers 1d-C" is the same problem;
    the data it ships is 1.3e-2 away from this solution.
    """
    t, x = coordinates("t x")
    u = field_of("u", t, x)
    return Problem(
        name="burgers",
        fields=[u],
        equations=[D(u, t) + u * D(u, x) - viscosity * D(u, x, 2)],
        domain=Interval(x, -1, 1),
        time=TimeInterval(t, 0, 1),
        conditions=[Initial(u, -sp.sin(sp.pi * x)), Dirichlet(u, 0)],
        reference=Evaluated(
            lambda points: {"u": cole_hopf(points[:, 0], points[:, 1], viscosity)},
            error_estimate=1e-12,
            description="Cole-Hopf integrals by the trapezoidal rule",
        ),
        source=(
            "C. Basdevant et al., Spectral and finite difference solutions of the "
            "Burgers equation, Computers & Fluids 14 (1986) 23-41, "
            "doi:10.1016/0045-7930(86)90036-8"
        ),
        tags=["nonlinear", "advection", "layer", "pinnacle"],
    )


def cole_hopf(t: np.ndarray, x: np.ndarray, viscosity: float) -> np.ndarray:
    """Return the solution of `burgers` at points, arrays of shape (n,).

    u = -∫ sin π(x-η) w dη / ∫ w dη with w = exp(-cos π(x-η)/(2πν) - η²/(4νt)) and
    η = √(4νt) z. The largest exponent is taken out before exponentials are formed.
    """
    reach = math.sqrt(1.0 / (math.pi * viscosity) + 40.0)
    z = np.linspace(-reach, reach, int(140 * reach) + 1)
    u = np.empty(len(x))
    for start in range(0, len(x), 4096):
        part = slice(start, start + 4096)
        shifted = x[part, None] - np.sqrt(4 * viscosity * t[part, None]) * z
        angle = math.pi * shifted
        exponent = -np.cos(angle) / (2 * math.pi * viscosity) - z**2
        weight = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        u[part] = -(np.sin(angle) * weight).sum(axis=1) / weight.sum(axis=1)
    return u
