"""The Benjamin-Bona-Mahony equation: long waves without fast ripples."""

import math

import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    D,
    Initial,
    Interval,
    Periodic,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)


def benjamin_bona_mahony(speed: float = 2.0) -> Problem:
    """Benjamin-Bona-Mahony equation, solitary wave.

    u_t + u_x + u u_x - u_txx = 0 on (-ℓ, ℓ), 0 < t ≤ 10, periodic; u(x, 0) from
    u = 3(c - 1) sech²(½ √(1 - 1/c) (x - c(t - 5))).

    A model of long water waves whose dispersion is bounded, so that explicit steps
    suffice. ℓ is such that the tails, which the periodic box cuts, are below 1e-12.

    Trap: the time derivative stands under a space derivative. Solving the equation for
    u_t "pointwise" leaves u_txx on the right-hand side; (1 - ∂²/∂x²) u_t has to be
    inverted, which on a periodic box is a division in every mode.
    """
    if not 1.2 <= speed <= 4:
        raise OptionError(
            f"benjamin_bona_mahony: speed is {speed}; it must lie in [1.2, 4]."
        )
    t, x = coordinates("t x")
    u = field_of("u", t, x)
    c = sp.nsimplify(speed)
    width = sp.sqrt(1 - 1 / c)
    length = math.ceil(5 * speed + 31 / float(width))
    exact = 3 * (c - 1) / sp.cosh(width * (x - c * (t - 5)) / 2) ** 2
    return Problem(
        name="benjamin_bona_mahony",
        fields=[u],
        equations=[D(u, t) + D(u, x) + u * D(u, x) - D(u, t, x, 2)],
        domain=Interval(x, -length, length),
        time=TimeInterval(t, 0, 10),
        conditions=[Initial(u, exact.subs(t, 0)), Periodic(x)],
        exact={u: exact},
        invariants={"mass": u},
        source=(
            "T. B. Benjamin, J. L. Bona, J. J. Mahony, Model equations for long waves "
            "in nonlinear dispersive systems, Philosophical Transactions of the Royal "
            "Society A 272 (1972) 47-78, doi:10.1098/rsta.1972.0032"
        ),
        tags=["nonlinear", "dispersive", "soliton", "periodic"],
    )
