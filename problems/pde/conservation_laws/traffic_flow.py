"""Cars at a traffic light that turns green: a shock and a fan that meet."""

import numpy as np
import sympy as sp

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


def traffic_flow(density: float = 0.3, queue: float = 0.8) -> Problem:
    """Traffic at a light that turns green (Lighthill, Whitham, Richards).

    ρ_t + (ρ (1 - ρ))_x = 0 on (-2, 2), 0 < t ≤ 2, ρ(-2, t) = ρ₀;
    ρ(x, 0) = ρ₀ for x < -L, 1 for -L < x < 0 (the queue), 0 for x > 0.

    Lengths are in units of a road section, ρ is the share of the road that cars fill,
    1 - ρ their speed. When the light at x = 0 turns green a fan ρ = (1 - x/t)/2 spreads
    into the queue, whose tail grows as a shock of speed -ρ₀ until the fan meets it at
    t₁ = L/(1 - ρ₀). From then on the jump condition x_s' = (1 - 2ρ₀ + x_s/t)/2 bends
    the shock, x_s(t) = (1 - 2ρ₀) t - 2 √(L (1 - ρ₀) t).

    Trap: written as ρ_t + (1 - 2ρ) ρ_x = 0 the equation is another one where ρ jumps,
    and methods that are not in conservation form move the shock with a wrong speed. A
    network that is trained on the residual at points sees nothing wrong at a jump.
    """
    if not 0 < density < 0.5 or not 0 < queue <= 1:
        raise OptionError(
            f"traffic_flow: density is {density} and queue is {queue}; needed are "
            "0 < density < 0.5 (the road ahead of the light clears) and 0 < queue <= 1."
        )
    t, x = coordinates("t x")
    rho = field_of("rho", t, x)
    start = sp.Piecewise((density, x < -queue), (1, x < 0), (0, True))
    return Problem(
        name="traffic_flow",
        fields=[rho],
        equations=[D(rho, t) + D(rho * (1 - rho), x)],
        domain=Interval(x, -2, 2),
        time=TimeInterval(t, 0, 2),
        conditions=[Initial(rho, start), Dirichlet(rho, density, on="left")],
        norm="L1",
        reference=Evaluated(
            lambda points: {"rho": cars(points[:, 0], points[:, 1], density, queue)},
            error_estimate=1e-14,
            description="characteristics and the jump condition, in closed form",
        ),
        source=(
            "M. J. Lighthill, G. B. Whitham, On kinematic waves II, Proceedings of the "
            "Royal Society A 229 (1955) 317-345, doi:10.1098/rspa.1955.0089; R. J. "
            "LeVeque, Finite Volume Methods for Hyperbolic Problems, 2002, section 11.1"
        ),
        tags=["nonlinear", "hyperbolic", "shock", "application"],
    )


def cars(t: np.ndarray, x: np.ndarray, density: float, queue: float) -> np.ndarray:
    """Return the density of `traffic_flow` at points, arrays of shape (n,)."""
    met = queue / (1 - density)
    ratio = np.divide(x, t, out=np.where(x < 0, -np.inf, np.inf), where=t > 0)
    fan = np.clip((1 - ratio) / 2, 0.0, 1.0)
    # At t = met the shock is at -met, where 1 - 2 density - x/t = 2 (1 - density).
    late = (1 - 2 * density) * t - 2 * (1 - density) * np.sqrt(met * t)
    shock = np.where(t <= met, -queue - density * t, late)
    found: np.ndarray = np.where(x < shock, density, fan)
    return found
