"""Water that drives oil out of porous rock: a shock with a fan on its back."""

import math

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


def buckley_leverett(mobility_ratio: float = 0.5) -> Problem:
    """Displacement of oil by water (Buckley and Leverett).

    s_t + f(s)_x = 0 on (0, 1), f = s²/(s² + M (1 - s)²), 0 < t ≤ 0.4;
    s(x, 0) = 0 (oil), s(0, t) = 1 (water).

    s is the share of the pores that water fills, M the ratio of the viscosities of
    water and oil. f is neither convex nor concave, so that a jump from 1 to 0 is not
    admissible: the water front is a jump from s* = √(M/(1 + M)), where the tangent from
    0 touches f (Welge), and a fan f'(s) = x/t follows it up to s = 1.

    Trap: networks trained on this equation without added viscosity are known to fail
    (Fuks & Tchelepi 2020): the residual at points does not choose between weak
    solutions. Trap: second-order schemes with steep limiters may choose a wrong one.
    """
    if not 0.05 <= mobility_ratio <= 20:
        raise OptionError(
            f"buckley_leverett: mobility_ratio is {mobility_ratio}; it must lie "
            "between 0.05 and 20."
        )
    t, x = coordinates("t x")
    s = field_of("s", t, x)
    flux = s**2 / (s**2 + mobility_ratio * (1 - s) ** 2)
    return Problem(
        name="buckley_leverett",
        fields=[s],
        equations=[D(s, t) + D(flux, x)],
        domain=Interval(x, 0, 1),
        time=TimeInterval(t, 0, min(0.4, 0.9 / _front(mobility_ratio)[1])),
        conditions=[Initial(s, sp.Integer(0)), Dirichlet(s, 1, on="left")],
        norm="L1",
        reference=Evaluated(
            lambda points: {"s": water(points[:, 0], points[:, 1], mobility_ratio)},
            error_estimate=1e-13,
            description="Welge's tangent, and f'(s) = x/t by bisection",
        ),
        source=(
            "S. E. Buckley, M. C. Leverett, Mechanism of fluid displacement in sands, "
            "Transactions of the AIME 146 (1942) 107-116, doi:10.2118/942107-G; "
            "O. Fuks, H. A. Tchelepi, Journal of Machine Learning for Modeling and "
            "Computing 1 (2020) 19-37, doi:10.1615/JMachLearnModelComput.2020033905"
        ),
        tags=["nonlinear", "hyperbolic", "shock", "nonconvex flux", "application"],
    )


def _slope(s: np.ndarray, ratio: float) -> np.ndarray:
    """Return f'(s)."""
    slope: np.ndarray = 2 * ratio * s * (1 - s) / (s**2 + ratio * (1 - s) ** 2) ** 2
    return slope


def _front(ratio: float) -> tuple[float, float]:
    """Return the saturation behind the front and the front's speed."""
    top = math.sqrt(ratio / (1 + ratio))
    return top, float(_slope(np.array(top), ratio))


def water(t: np.ndarray, x: np.ndarray, ratio: float) -> np.ndarray:
    """Return the saturation of `buckley_leverett` at points, arrays of shape (n,)."""
    top, speed = _front(ratio)
    pace = np.divide(x, t, out=np.full_like(x, np.inf), where=t > 0)
    # f' falls from the front's speed at s* to 0 at 1.
    low, high = np.full_like(x, top), np.ones_like(x)
    for _ in range(60):
        middle = (low + high) / 2
        is_fast = _slope(middle, ratio) > pace
        low, high = np.where(is_fast, middle, low), np.where(is_fast, high, middle)
    found = np.where(pace < speed, (low + high) / 2, 0.0)
    found[x <= 0] = 1.0
    return found
