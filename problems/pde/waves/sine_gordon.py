"""The sine-Gordon equation: a breather."""

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


def sine_gordon(frequency: float = 0.6) -> Problem:
    """Sine-Gordon equation, breather.

    u_tt - u_xx + sin u = 0 on (-ℓ, ℓ), 0 < t ≤ 20, periodic; u(x, 0) = 0,
    u_t(x, 0) = 4κ sech κx with κ = √(1 - ω²).

    Exact on the whole line: u = 4 arctan(κ sin ωt / (ω cosh κx)): a bound pair of kink
    and antikink that swings through each other with frequency ω. ℓ is such that the
    tails, which the periodic box cuts, are below 1e-12.

    Trap: the initial displacement is zero, all is in the velocity; a loss that weighs
    the initial value alone is met by u = 0, which solves the equation as well.
    """
    if not 0.1 <= frequency <= 0.9:
        raise OptionError(
            f"sine_gordon: frequency is {frequency}; it must lie in [0.1, 0.9]."
        )
    t, x = coordinates("t x")
    u = field_of("u", t, x)
    ω = sp.nsimplify(frequency)
    κ = sp.sqrt(1 - ω**2)
    length = math.ceil((30 + math.log(8 / frequency)) / float(κ))
    exact = 4 * sp.atan(κ * sp.sin(ω * t) / (ω * sp.cosh(κ * x)))
    return Problem(
        name="sine_gordon",
        fields=[u],
        equations=[D(u, t, 2) - D(u, x, 2) + sp.sin(u)],
        domain=Interval(x, -length, length),
        time=TimeInterval(t, 0, 20),
        conditions=[
            Initial(u, 0),
            Initial(u, 4 * κ / sp.cosh(κ * x), order=1),
            Periodic(x),
        ],
        exact={u: exact},
        source=(
            "P. G. Drazin, R. S. Johnson, Solitons: an Introduction, Cambridge "
            "University Press 1989, doi:10.1017/CBO9781139172059"
        ),
        tags=["nonlinear", "hyperbolic", "soliton", "periodic"],
    )
