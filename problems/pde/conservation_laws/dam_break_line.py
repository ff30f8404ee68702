"""A dam that breaks along a channel with water on both sides (Stoker)."""

import math
from functools import lru_cache

import numpy as np
import sympy as sp
from scipy.optimize import brentq

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


def dam_break_line(upstream: float = 2.0, downstream: float = 1.0) -> Problem:
    """Dam break along a channel, shallow water on a wet bed.

    h_t + q_x = 0, q_t + (q²/h + h²/2)_x = 0 on (-2.5, 2.5), 0 < t ≤ 1 (gravity is 1);
    h(x, 0) = 2 for x < 0 and 1 for x > 0, q(x, 0) = 0; both held at the ends.

    A bore runs downstream and a fan upstream, with a stretch of constant depth between
    them, which one equation gives (Stoker). It is the planar companion of `dam_break`.

    Trap: on a nearly dry bed (a small depth downstream) the bore is thin and fast, and
    schemes that let the depth become negative break down.
    """
    if not 0 < downstream < upstream or upstream > 4:
        raise OptionError(
            f"dam_break_line: upstream is {upstream} and downstream is {downstream}; "
            "needed is 0 < downstream < upstream <= 4, so that waves stay inside."
        )
    t, x = coordinates("t x")
    h, q = field_of("h", t, x), field_of("q", t, x)
    return Problem(
        name="dam_break_line",
        fields=[h, q],
        equations=[D(h, t) + D(q, x), D(q, t) + D(q**2 / h + h**2 / 2, x)],
        domain=Interval(x, -2.5, 2.5),
        time=TimeInterval(t, 0, 1, num_outputs=21),
        conditions=[
            Initial(h, sp.Piecewise((upstream, x < 0), (downstream, True))),
            Initial(q, sp.Integer(0)),
            Dirichlet(h, upstream, on="left"),
            Dirichlet(h, downstream, on="right"),
            Dirichlet(q, 0),
        ],
        norm="L1",
        reference=Evaluated(
            lambda points: stoker(points[:, 0], points[:, 1], upstream, downstream),
            error_estimate=1e-13,
            description="exact solution of the Riemann problem",
        ),
        source=(
            "J. J. Stoker, Water Waves, 1957, section 10.8; O. Delestre et al., "
            "SWASHES, International Journal for Numerical Methods in Fluids 72 (2013) "
            "269-300, doi:10.1002/fld.3741, section 4.1.1"
        ),
        tags=["nonlinear", "hyperbolic", "shallow water", "shock", "pdebench"],
    )


@lru_cache(maxsize=8)
def _middle(upstream: float, downstream: float) -> tuple[float, float]:
    """Return depth and velocity between the fan and the bore."""

    def mismatch(h: float) -> float:
        by_fan = 2 * (math.sqrt(upstream) - math.sqrt(h))
        by_bore = (h - downstream) * math.sqrt((h + downstream) / (2 * h * downstream))
        return by_fan - by_bore

    h = float(brentq(mismatch, downstream, upstream, xtol=1e-15, rtol=1e-15))
    return h, 2 * (math.sqrt(upstream) - math.sqrt(h))


def stoker(
    t: np.ndarray, x: np.ndarray, upstream: float, downstream: float
) -> dict[str, np.ndarray]:
    """Return depth and discharge of `dam_break_line` at points, arrays (n,)."""
    depth, velocity = _middle(upstream, downstream)
    bore = depth * velocity / (depth - downstream)
    pace = np.divide(x, t, out=np.where(x < 0, -np.inf, np.inf), where=t > 0)
    head = math.sqrt(upstream)
    fan = np.clip(pace, -head, velocity - math.sqrt(depth))
    h = ((2 * head - fan) / 3) ** 2
    u = 2 * (head + fan) / 3
    is_behind = pace < bore
    return {
        "h": np.where(is_behind, h, downstream),
        "q": np.where(is_behind, h * u, 0.0),
    }
