"""The Kuramoto-Sivashinsky equation: spatio-temporal chaos in one dimension."""

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


def kuramoto_sivashinsky() -> Problem:
    """Kuramoto-Sivashinsky equation, chaotic, periodic.

    u_t + α u u_x + β u_xx + γ u_xxxx = 0 on (0, 2π), 0 < t ≤ 1, periodic, with
    α = 100/16, β = 100/16², γ = 100/16⁴; u(x, 0) = cos x (1 + sin x).

    Scaled from a box of length 32π and time 100. Long waves are unstable, short ones
    damped, and what they make together is chaotic.

    This is PINNacle's "KS". There the problem is stated without its periodic boundary
    conditions, which leaves it ill posed; the data it ships is periodic and good to
    5e-9. The published best is 9.6e-1 (second-hand), that of no answer at all.

    Trap: differences between two solutions double about every 0.07 time units, so that
    an error of 1e-7 at t = 0.2 is 3e-4 or so at the end. Trap: the fourth derivative
    limits explicit steps to about h⁴/γ.
    """
    t, x = coordinates("t x")
    u = field_of("u", t, x)
    scale = sp.Integer(16)
    return Problem(
        name="kuramoto_sivashinsky",
        fields=[u],
        equations=[
            D(u, t)
            + 100 / scale * u * D(u, x)
            + 100 / scale**2 * D(u, x, 2)
            + 100 / scale**4 * D(u, x, 4)
        ],
        domain=Interval(x, 0, 2 * sp.pi),
        time=TimeInterval(t, 0, 1),
        conditions=[Initial(u, sp.cos(x) * (1 + sp.sin(x))), Periodic(x)],
        reference=Ladder("fourier", {"points": 256, "steps": 6400}),
        valid_until=1.0,
        invariants={"mass": u},
        source=(
            "A.-K. Kassam, L. N. Trefethen, Fourth-order time-stepping for stiff PDEs, "
            "SIAM Journal on Scientific Computing 26 (2005) 1214-1233, "
            "doi:10.1137/S1064827502410633, section 4"
        ),
        tags=["nonlinear", "chaos", "fourth order", "periodic", "pinnacle"],
    )
