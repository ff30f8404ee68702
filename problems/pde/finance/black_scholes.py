"""The Black-Scholes equation: the value of a European option."""

import math

import numpy as np
import sympy as sp
from scipy.special import ndtr

from pinnsuite.errors import OptionError
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

REACH = 8.0
"""Half the width of the domain in standard deviations of the final log price."""


def black_scholes(
    strike: float = 100.0,
    rate: float = 0.05,
    volatility: float = 0.2,
    maturity: float = 1.0,
    right: str = "put",
) -> Problem:
    """Black-Scholes equation for a European put or call.

    With x = ln(S/K), S the price of the share, and t the time to maturity (so that the
    equation runs forward), the value u(x, t) of an option with strike K satisfies

        u_t = ½σ² u_xx + (r - ½σ²) u_x - r u   on |x| < 8σ√T, 0 < t ≤ T,

    put:  u(x, 0) = max(K (1 - eˣ), 0); u = K e⁻ʳᵗ - S at the left, 0 at the right;
    call: u(x, 0) = max(K (eˣ - 1), 0); u = 0 at the left, S - K e⁻ʳᵗ at the right.

    In S and calendar time τ = T - t this is V_τ + ½σ² S² V_SS + r S V_S - r V = 0. The
    domain ends eight standard deviations away, where the boundary values are wrong by
    less than 1e-14 K. Closed form: u = K e⁻ʳᵗ N(-d₋) - S N(-d₊) for the put and
    u = S N(d₊) - K e⁻ʳᵗ N(d₋) for the call, d± = (x + (r ± ½σ²) t)/(σ√t).

    Trap: the payoff has a kink at S = K. A node must lie on it, and the method in time
    must damp high frequencies (Crank-Nicolson leaves an oscillating second derivative).
    Trap: networks smooth the kink, and are wrong by most where options are traded.
    """
    if right not in ("put", "call"):
        raise OptionError(
            f"black_scholes: right is {right!r}; use 'put' (to sell) or 'call' (to "
            "buy)."
        )
    for name, value in (
        ("strike", strike),
        ("volatility", volatility),
        ("maturity", maturity),
    ):
        if not value > 0:
            raise OptionError(f"black_scholes: {name} is {value}; it must be positive.")
    if abs(rate) * maturity > 1:
        raise OptionError(
            f"black_scholes: rate is {rate}; |rate| maturity must be at most 1."
        )
    sign = 1 if right == "call" else -1
    t, x = coordinates("t x")
    u = field_of("u", t, x)
    variance = volatility**2
    reach = REACH * volatility * math.sqrt(maturity)
    far = sign * (strike * sp.exp(x) - strike * sp.exp(-rate * t))

    def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
        time, place = points[:, 0], points[:, 1]
        spread = volatility * np.sqrt(np.maximum(time, 1e-300))
        upper = (place + (rate + variance / 2) * time) / spread
        share = np.exp(place) * ndtr(sign * upper)
        bond = np.exp(-rate * time) * ndtr(sign * (upper - spread))
        return {"u": sign * strike * (share - bond)}

    return Problem(
        name="black_scholes",
        fields=[u],
        equations=[
            D(u, t)
            - variance / 2 * D(u, x, 2)
            - (rate - variance / 2) * D(u, x)
            + rate * u
        ],
        domain=Interval(x, -reach, reach),
        time=TimeInterval(t, 0, maturity, num_outputs=41),
        conditions=[
            Initial(u, strike * sp.Max(sign * (sp.exp(x) - 1), 0)),
            Dirichlet(u, 0 if right == "call" else far, on="left"),
            Dirichlet(u, far if right == "call" else 0, on="right"),
        ],
        reference=Evaluated(
            evaluate,
            error_estimate=1e-13,
            description="the formula of Black and Scholes",
        ),
        quantities={
            "price at the money": lambda at: float(
                at(np.array([[maturity, 0.0]]))["u"][0]
            ),
        },
        source=(
            "F. Black & M. Scholes, The pricing of options and corporate liabilities, "
            "Journal of Political Economy 81 (1973) 637-654, doi:10.1086/260062"
        ),
        tags=["finance", "linear", "parabolic", "kink"],
    )
