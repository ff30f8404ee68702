"""The anisotropic wave equation on a square, over many periods."""

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


def wave_2d_long_time(end: float = 100.0) -> Problem:
    """Anisotropic wave equation over a long time.

    u_tt = u_xx + 2 u_yy on the unit square, 0 < t ≤ 100; u = 0 on the boundary,
    u(x, y, 0) = sin πx sin πy + ½ sin 3πx sin 2πy, u_t(x, y, 0) = 0.

    Exact: u = sin πx sin πy cos √3 πt + ½ sin 3πx sin 2πy cos √17 πt, which over the
    default time is 87 and 206 periods.

    PINNacle's "Wave 2d-MS" is stated for the same equation, square and time, with a
    formula that does not solve it: sin πx sinh πy cos πt + sinh 3πx sin 2πy cos πt
    leaves u_tt - u_xx - 2 u_yy = -2π² u, and no initial velocity is given. Numbers
    published for it (9.8e-1, second-hand) say nothing about a method. Here the problem
    is well posed and the standing wave exact.

    Trap: the energy is conserved, and errors of phase add up over all periods: a
    relative error of the frequency of 1e-4 is 13 % at the end. Dissipative formulas
    (backward differences of low order) lose the wave altogether.
    """
    if not 0 < end <= 1000:
        raise OptionError(f"wave_2d_long_time: end is {end}; it must lie in (0, 1000].")
    t, x, y = coordinates("t x y")
    u = field_of("u", t, x, y)
    first = sp.sin(sp.pi * x) * sp.sin(sp.pi * y)
    second = sp.sin(3 * sp.pi * x) * sp.sin(2 * sp.pi * y) / 2
    exact = first * sp.cos(sp.sqrt(3) * sp.pi * t) + second * sp.cos(
        sp.sqrt(17) * sp.pi * t
    )
    return Problem(
        name="wave_2d_long_time",
        fields=[u],
        equations=[D(u, t, 2) - D(u, x, 2) - 2 * D(u, y, 2)],
        domain=Box((x, 0, 1), (y, 0, 1)),
        time=TimeInterval(t, 0, end, num_outputs=201),
        conditions=[
            Initial(u, first + second),
            Initial(u, 0, order=1),
            Dirichlet(u, 0),
        ],
        exact={u: exact},
        source=(
            "Z. Hao et al., PINNacle: A Comprehensive Benchmark of Physics-Informed "
            "Neural Networks for Solving PDEs, 2023, doi:10.48550/arXiv.2306.08827, "
            "Wave 2d-MS; standing waves: R. Courant, D. Hilbert, Methods of "
            "Mathematical Physics I, 1953, doi:10.1002/9783527617210, section V.5.4"
        ),
        tags=["linear", "hyperbolic", "long time", "pinnacle"],
    )
