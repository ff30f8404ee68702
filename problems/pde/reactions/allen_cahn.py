"""The Allen-Cahn equation: phases separate and their interfaces sharpen."""

import sympy as sp

from pinnsuite.errors import OptionError, unknown_name
from pinnsuite.problem import (
    D,
    Dirichlet,
    Initial,
    Interval,
    Ladder,
    Periodic,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)


def allen_cahn(
    diffusivity: float = 1e-4, rate: float = 5.0, ends: str = "periodic"
) -> Problem:
    """Allen-Cahn equation, periodic or with fixed ends.

    u_t = d u_xx + r (u - u³) on (-1, 1), 0 < t ≤ 1; u(x, 0) = x² cos πx; periodic, or
    with `ends = "fixed"` u(±1, t) = -1. The example "Allen-Cahn equation" of DeepXDE
    has d = 0.001 and fixed ends.

    The reaction drives u to ±1; interfaces of width about √(d/r) form between.

    Trap: the initial state is continuous, but its slope jumps from -2 to 2 where the
    period closes, at x = ±1. A Fourier method must project it, not sample it: sampled,
    it stalls at 3e-7 where projected it reaches 3e-11 (1024 nodes). Trap: halving the
    time step alone says nothing about the error in space, which is 10⁴ times larger on
    256 nodes. Trap: u = 0 solves the equation too and is unstable, so that a small
    residual early is no small error late.
    """
    references = {
        "periodic": Ladder("fourier", {"points": 512, "steps": 400}),
        "fixed": Ladder("lines", {"points": 801}),
    }
    if ends not in references:
        raise OptionError(unknown_name("ends of 'allen_cahn'", ends, references))
    t, x = coordinates("t x")
    u = field_of("u", t, x)
    return Problem(
        name="allen_cahn",
        fields=[u],
        equations=[D(u, t) - diffusivity * D(u, x, 2) - rate * (u - u**3)],
        domain=Interval(x, -1, 1),
        time=TimeInterval(t, 0, 1),
        conditions=[
            Initial(u, x**2 * sp.cos(sp.pi * x)),
            Periodic(x) if ends == "periodic" else Dirichlet(u, -1),
        ],
        reference=references[ends],
        source=(
            "M. Raissi, P. Perdikaris, G. E. Karniadakis, Physics-informed neural "
            "networks, Journal of Computational Physics 378 (2019) 686-707, "
            "doi:10.1016/j.jcp.2018.10.045, section 4.1.1"
        ),
        tags=["nonlinear", "reaction", "interface", "periodic"],
    )
