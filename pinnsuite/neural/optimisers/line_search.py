"""A step length that meets the strong Wolfe conditions.

Source: J. Nocedal, S. J. Wright, Numerical Optimization, 2nd ed. 2006, section 3.5,
DOI 10.1007/978-0-387-40065-5.
"""

from __future__ import annotations

import math

import torch

from pinnsuite.neural.optimisers.objective import Objective

_Point = tuple[float, float, float, torch.Tensor | None]
"""Step length, value, slope and gradient; no gradient at the start of the search."""

SUFFICIENT_DECREASE = 1e-4
CURVATURE = 0.9
MAX_EVALUATIONS = 25


def line_search(
    objective: Objective,
    start: torch.Tensor,
    direction: torch.Tensor,
    value: float,
    slope: float,
    length: float,
) -> tuple[float, float, torch.Tensor] | None:
    """Return a step length α that meets the strong Wolfe conditions, and what is there.

        f(p + α d) ≤ f(p) + 1e-4 α f'(p)·d,   |f'(p + α d)·d| ≤ 0.9 |f'(p)·d|

    Bracketing and zoom (algorithms 3.5 and 3.6) with cubic interpolation. When the
    evaluations run out, the lowest point with sufficient decrease is taken; None if
    there was none.

    Parameters
    ----------
    objective, start, direction
        f, p and d.
    value, slope
        `f(p)` and `f'(p)·d`, which must be negative.
    length
        The first trial of α.

    Returns
    -------
    length, value, gradient
    """
    resolution = torch.finfo(start.dtype).eps
    low: _Point = (0.0, value, slope, None)
    high: _Point | None = None
    for _ in range(MAX_EVALUATIONS):
        f, g = objective(start + length * direction)
        new: _Point = (length, f, float(g @ direction), g)
        is_low = f <= value + SUFFICIENT_DECREASE * length * slope
        # The comparison is false for NaN, which then bounds the step from above.
        if not (is_low and f < low[1]):
            high = new
        else:
            if abs(new[2]) <= CURVATURE * abs(slope):
                return length, f, g
            ahead = 1.0 if high is None else high[0] - low[0]
            if new[2] * ahead >= 0.0:
                high = low
            low = new
        if high is None:
            length *= 4.0
        elif abs(high[0] - low[0]) <= resolution * length:
            break
        else:
            length = _interpolated(low, high)
    return None if low[3] is None else (low[0], low[1], low[3])


def _interpolated(low: _Point, high: _Point) -> float:
    """Return the minimiser of the cubic through two points, kept inside by 10 %."""
    a, fa, da, _ = low
    b, fb, db, _ = high
    if not (math.isfinite(fb) and math.isfinite(db)):
        return 0.5 * (a + b)
    edge = 0.1 * (b - a)
    nearest, farthest = sorted((a + edge, b - edge))
    d = da + db - 3.0 * (fa - fb) / (a - b)
    square = d * d - da * db
    if square < 0.0:
        return 0.5 * (a + b)
    root = math.copysign(math.sqrt(square), b - a)
    divisor = db - da + 2.0 * root
    if divisor == 0.0:
        return 0.5 * (a + b)
    length = b - (b - a) * (db + root - d) / divisor
    return min(max(length, nearest), farthest)
