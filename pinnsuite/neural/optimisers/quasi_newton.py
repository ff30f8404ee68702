"""Quasi-Newton iterations: a direction, a line search, an update.

Source: J. Nocedal, S. J. Wright, Numerical Optimization, 2nd ed. 2006, chapters 3 and
6, DOI 10.1007/978-0-387-40065-5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch

Objective = Callable[[torch.Tensor], tuple[float, torch.Tensor]]
"""Value and gradient at a vector of parameters."""

_Point = tuple[float, float, float, torch.Tensor | None]
"""Step length, value, slope and gradient; no gradient at the start of the search."""

SUFFICIENT_DECREASE = 1e-4
CURVATURE = 0.9
MAX_EVALUATIONS = 25


@runtime_checkable
class InverseHessian(Protocol):
    """An approximation H of the inverse Hessian, built from the steps taken."""

    def direction(self, gradient: torch.Tensor) -> torch.Tensor:
        """Return `-H gradient`."""

    def update(
        self, step: torch.Tensor, change: torch.Tensor, curvature: float
    ) -> None:
        """Take in a step s, the change of the gradient, and `sᵀ H⁻¹ s`."""

    def reset(self) -> None:
        """Forget all steps: H becomes the identity."""


class QuasiNewton:
    """Minimise an objective step by step.

    Parameters
    ----------
    objective
        What is minimised. It may be replaced between steps: call `evaluate` then.
    parameters
        Where to start, a vector.
    inverse_hessian
        `SelfScaledBroyden(n)` or `LimitedMemory()`.

    Attributes
    ----------
    parameters, value, gradient
        The current iterate.
    """

    def __init__(
        self,
        objective: Objective,
        parameters: torch.Tensor,
        inverse_hessian: InverseHessian,
    ) -> None:
        self.objective = objective
        self.parameters = parameters
        self._inverse_hessian = inverse_hessian
        self._is_fresh = True
        self.evaluate()

    def evaluate(self) -> None:
        """Take value and gradient anew, after the objective has changed."""
        self.value, self.gradient = self.objective(self.parameters)

    def step(self) -> str | None:
        """Take one step; return why no further one is possible, or None."""
        if not math.isfinite(self.value):
            return "the objective is not finite"
        direction = self._inverse_hessian.direction(self.gradient)
        slope = float(direction @ self.gradient)
        if slope == 0.0:
            return "the gradient vanishes"
        if not slope < 0.0:
            if self._is_fresh:
                return "the gradient is not finite"
            self._restart()
            return None
        length = 1.0
        if self._is_fresh:
            length = min(1.0, 1.0 / float(self.gradient.abs().sum()))
        found = line_search(
            self.objective,
            self.parameters,
            direction,
            self.value,
            slope,
            length,
        )
        if found is None:
            if self._is_fresh:
                return "no descent along the gradient (round-off)"
            self._restart()
            return None
        length, value, gradient = found
        step = length * direction
        change = gradient - self.gradient
        if float(step @ change) > 0.0:
            # The direction is -H g, so H⁻¹ s = -length g.
            self._inverse_hessian.update(step, change, -(length**2) * slope)
            self._is_fresh = False
        self.parameters = self.parameters + step
        self.value, self.gradient = value, gradient
        return None

    def _restart(self) -> None:
        self._inverse_hessian.reset()
        self._is_fresh = True


def line_search(
    objective: Objective,
    start: torch.Tensor,
    direction: torch.Tensor,
    value: float,
    slope: float,
    length: float,
) -> tuple[float, float, torch.Tensor] | None:
    """Return a step length that meets the strong Wolfe conditions, and what is there.

    Bracketing and zoom (algorithms 3.5 and 3.6) with cubic interpolation. When the
    evaluations run out, the lowest point with sufficient decrease is taken; None if
    there was none.

    Returns
    -------
    length, value, gradient
    """
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
        else:
            length = _interpolated(low, high)
            if abs(high[0] - low[0]) <= 1e-14 * length:
                break
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
