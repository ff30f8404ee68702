"""The Allen-Cahn equation: phases separate and their interfaces sharpen."""

import sympy as sp

from pinnsuite.problem import (
    D,
    Initial,
    Interval,
    Ladder,
    Periodic,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)


def allen_cahn(diffusivity: float = 1e-4, rate: float = 5.0) -> Problem:
    """Allen-Cahn equation, periodic.

    u_t = d u_xx + r (u - u³) on (-1, 1), 0 < t ≤ 1, periodic; u(x, 0) = x² cos πx.

    The reaction drives u to ±1; interfaces of width about √(d/r) form between. The
    initial state is continuous, its derivative jumps at x = ±1: a Fourier method must
    project it, not sample it (sampling stalls at 1e-7).
    """
    t, x = coordinates("t x")
    u = field_of("u", t, x)
    return Problem(
        name="allen_cahn",
        fields=[u],
        equations=[D(u, t) - diffusivity * D(u, x, 2) - rate * (u - u**3)],
        domain=Interval(x, -1, 1),
        time=TimeInterval(t, 0, 1),
        conditions=[Initial(u, x**2 * sp.cos(sp.pi * x)), Periodic(x)],
        reference=Ladder("fourier", {"points": 512, "steps": 400}),
        source=(
            "M. Raissi, P. Perdikaris, G. E. Karniadakis, Physics-informed neural "
            "networks, Journal of Computational Physics 378 (2019) 686-707, "
            "doi:10.1016/j.jcp.2018.10.045, section 4.1.1"
        ),
        tags=["nonlinear", "reaction", "interface", "periodic"],
    )
