"""Heat conduction that is five orders of magnitude slower along one axis."""

import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Initial,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)


def heat_multiscale(waves: int = 20) -> Problem:
    """Heat conduction with two very different conductivities.

    u_t = u_xx/(500π)² + u_yy/π² on the unit square, 0 < t ≤ 5, u = 0 on the sides;
    u(0) = sin nπx sin πy with n = `waves` (PINNacle's variants: 5, 10, 20 and 40).

    PINNacle's "Heat 2d-MS". The state is an eigenfunction of both second derivatives:
    exact: u = sin nπx sin πy exp(-(1 + n²/500²) t), one decaying mode. It is hard for
    networks only because sin nπx oscillates; a sine transform solves it exactly in
    0.2 ms. Its best published score is 0.062 (second-hand).

    Trap: "multiscale" stands for the two coefficients; along x nothing decays, and a
    method that resolves y alone sees aliased waves along x.
    """
    if not 1 <= waves <= 64:
        raise OptionError(
            f"heat_multiscale: waves is {waves}; it must be a whole number in [1, 64]."
        )
    t, x, y = coordinates("t x y")
    u = field_of("u", t, x, y)
    along_x, along_y = 1 / (500 * sp.pi) ** 2, 1 / sp.pi**2
    start = sp.sin(waves * sp.pi * x) * sp.sin(sp.pi * y)
    rate = 1 + sp.Rational(waves, 500) ** 2
    return Problem(
        name="heat_multiscale",
        fields=[u],
        equations=[D(u, t) - along_x * D(u, x, 2) - along_y * D(u, y, 2)],
        domain=Box((x, 0, 1), (y, 0, 1)),
        time=TimeInterval(t, 0, 5),
        conditions=[Initial(u, start), Dirichlet(u, 0)],
        exact={u: start * sp.exp(-rate * t)},
        source=(
            "Z. Hao et al., PINNacle, NeurIPS 2024 datasets and benchmarks, "
            "arXiv:2306.08827, appendix B.1 (Heat 2d-MS)"
        ),
        tags=["linear", "parabolic", "multiscale", "anisotropic", "pinnacle"],
    )
