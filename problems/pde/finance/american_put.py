"""The American put: an option that may be exercised at any time."""

import math

import numpy as np
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    D,
    Dirichlet,
    Initial,
    Interval,
    Ladder,
    Obstacle,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)
from pinnsuite.problem.definition import Evaluate

REACH = math.log(4.0)
"""The price of the share lies between a quarter and four times the strike."""


def american_put(
    strike: float = 100.0,
    rate: float = 0.05,
    volatility: float = 0.2,
    maturity: float = 1.0,
) -> Problem:
    """American put under Black and Scholes, a free boundary problem.

    With x = ln(S/K), S the price of the share, and t the time to maturity (so that the
    equation runs forward), the value u(x, t) of the right to sell at K satisfies

        u ≥ g,   R ≥ 0,   (u - g) R = 0,   g = max(K (1 - eˣ), 0),
        R = u_t - ½σ² u_xx - (r - ½σ²) u_x + r u,

    on |x| < ln 4, 0 < t ≤ T; u(x, 0) = g; u = g at x = -ln 4, u = 0 at x = ln 4. Where
    u = g the holder exercises; there R = r K > 0, the interest on the strike.

    The left value is exact as long as K/4 lies in the exercise region, which the
    perpetual put's boundary K/(1 + σ²/(2r)) guarantees; the right one neglects the
    value at S = 4K, 1e-11 K with the default arguments. No closed form exists. At
    S = K the default put is worth 6.0904 (binomial trees), and it is exercised below
    about S = 80.9.

    Trap: the equation alone, with the payoff clipped on afterwards, prices an option
    that is exercised only at the end of each step. Trap: a network trained on the
    residual squared cannot tell R > 0, which is allowed in contact, from an error.
    Trap: the boundary of exercise starts like K (1 - σ √(t ln 1/t)); equal time steps
    lose accuracy to it.
    """
    for name, value in (("rate", rate), ("volatility", volatility)):
        if not 0.01 <= value <= 1.0:
            raise OptionError(
                f"american_put: {name} is {value}; it must lie between 0.01 and 1."
            )
    if not (strike > 0 and maturity > 0 and volatility * math.sqrt(maturity) <= 0.5):
        raise OptionError(
            f"american_put: strike {strike} and maturity {maturity} must be positive, "
            "and volatility √maturity at most 0.5: the value at S = 4K is neglected."
        )
    if rate < volatility**2 / 6:
        raise OptionError(
            f"american_put: rate {rate} is below volatility²/6 = "
            f"{volatility**2 / 6:g}; holding might then be better at S = K/4."
        )
    t, x = coordinates("t x")
    u = field_of("u", t, x)
    variance = volatility**2
    payoff = strike * sp.Max(1 - sp.exp(x), 0)
    return Problem(
        name="american_put",
        fields=[u],
        equations=[
            D(u, t)
            - variance / 2 * D(u, x, 2)
            - (rate - variance / 2) * D(u, x)
            + rate * u
        ],
        domain=Interval(x, -REACH, REACH),
        time=TimeInterval(t, 0, maturity, num_outputs=41),
        conditions=[
            Initial(u, payoff),
            Dirichlet(u, strike * (1 - math.exp(-REACH)), on="left"),
            Dirichlet(u, 0, on="right"),
            Obstacle(u, payoff),
        ],
        reference=Ladder(
            "complementarity", {"points": 257, "steps": 64, "stretch": 3.0}
        ),
        quantities={
            "price at the money": lambda at: at_the_money(at, maturity),
            "exercise below": lambda at: exercise_below(at, strike, maturity),
        },
        source=(
            "P. Wilmott, S. Howison, J. Dewynne, The Mathematics of Financial "
            "Derivatives, Cambridge 1995, doi:10.1017/CBO9780511812545, chapter 7"
        ),
        tags=["finance", "variational inequality", "free boundary", "parabolic"],
    )


def at_the_money(at: Evaluate, maturity: float) -> float:
    """Return the value at S = K."""
    return float(at(np.array([[maturity, 0.0]]))["u"][0])


def exercise_below(at: Evaluate, strike: float, maturity: float) -> float:
    """Return the largest share price at which the put is exercised at once.

    √(u - g) is a smooth function of x that vanishes there with a slope; it is
    extrapolated to its zero from where it is well resolved.
    """
    x = np.linspace(-0.6, -0.01, 1181)
    u = at(np.column_stack([np.full(len(x), maturity), x]))["u"]
    root = np.sqrt(np.maximum(u / strike - (1 - np.exp(x)), 0.0))
    near = (root > 0.01) & (root < 0.06)
    zero = np.polynomial.Polynomial.fit(root[near], x[near], 3)(0.0)
    return strike * math.exp(float(zero))
