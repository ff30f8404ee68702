"""The eikonal equation with a small viscosity in a square."""

import numpy as np

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Evaluated,
    Problem,
    coordinates,
    field_of,
    laplacian,
)

TERMS = 2000
"""Odd terms of the series; their tail at a distance y from a side is e^(-4000 π y)."""


def eikonal(viscosity: float = 0.05) -> Problem:
    """Eikonal equation |∇u| = 1 with viscosity: the distance to the sides of a square.

    |∇u|² - ε ∇²u = 1 in [0, 1]², u = 0 on the sides. As ε → 0, u tends to the distance
    to the nearest side, a pyramid with ridges along the diagonals, which are ε wide.

    With u = -ε log v (Hopf-Cole) the equation is linear, ε² ∇²v = v with v = 1 on the
    sides, and v = 1 - w has a series of sines in x: the part that does not depend on y
    is 1 - cosh((x - ½)/ε)/cosh(1/(2ε)), the rest falls off as e^(-mπy) from the sides.

    Trap: without viscosity the residual |∇u| - 1 vanishes for infinitely many zigzags;
    u and -u solve it alike. Only the viscosity selects the distance, and a least-
    squares loss does not see the difference.
    Trap: v is as small as e^(-1/(2ε)); near the middle its logarithm keeps the digits
    that a direct solve for v has there, and no more.
    """
    if not 0.02 <= viscosity <= 1:
        raise OptionError(
            f"eikonal: viscosity is {viscosity!r}; the solution is known to many "
            "digits for numbers from 0.02 to 1."
        )
    x, y = coordinates("x y")
    u = field_of("u", x, y)
    return Problem(
        name="eikonal",
        fields=[u],
        equations=[D(u, x) ** 2 + D(u, y) ** 2 - viscosity * laplacian(u, (x, y)) - 1],
        conditions=[Dirichlet(u, 0)],
        domain=Box((x, 0, 1), (y, 0, 1)),
        reference=Evaluated(
            lambda points: {"u": _distance(points, viscosity)},
            error_estimate=1e-11,
            description="logarithm of a series of sines, in closed form along one axis",
        ),
        source=(
            "M. G. Crandall & P.-L. Lions, Viscosity solutions of Hamilton-Jacobi "
            "equations, Trans. AMS 277 (1983) 1, DOI "
            "10.1090/S0002-9947-1983-0690039-8; S. R. S. Varadhan, DOI "
            "10.1002/cpa.3160200210 (-ε log v)"
        ),
        tags=["nonlinear", "elliptic", "Hamilton-Jacobi", "layer"],
    )


def _distance(points: np.ndarray, e: float) -> np.ndarray:
    """Return u at points (n, 2)."""
    # Distances from the sides; the nearer coordinate takes the closed form.
    x, y = np.sort(0.5 - np.abs(points - 0.5), axis=1).T
    m = (2 * np.arange(TERMS) + 1) * np.pi
    rate = np.sqrt(m**2 + 1 / e**2)
    factor = 4 / m / (1 + (e * m) ** 2)
    u = np.empty(len(points))
    for start in range(0, len(points), 1024):
        part = slice(start, start + 1024)
        a, b = x[part, None], y[part, None]
        # cosh(rate (b - 1/2)) / cosh(rate / 2), without overflow.
        fall = np.exp(-rate * b) * (1 + np.exp(-rate * (1 - 2 * b)))
        fall /= 1 + np.exp(-rate)
        along = np.exp(-a / e) * (1 + np.exp(-(1 - 2 * a) / e)) / (1 + np.exp(-1 / e))
        v = along[:, 0] + (factor * np.sin(m * a) * fall).sum(axis=1)
        u[part] = -e * np.log(v)
    return u
