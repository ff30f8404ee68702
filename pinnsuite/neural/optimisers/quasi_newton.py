"""Quasi-Newton iterations: a direction, a line search, an update.

Source: J. Nocedal, S. J. Wright, Numerical Optimization, 2nd ed. 2006, chapter 6,
DOI 10.1007/978-0-387-40065-5.
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch

from pinnsuite.neural.optimisers.line_search import line_search
from pinnsuite.neural.optimisers.objective import Objective
from pinnsuite.neural.optimisers.optimiser import (
    GRADIENT_NOT_FINITE,
    GRADIENT_VANISHES,
    NO_DESCENT,
    NOT_FINITE,
    Optimiser,
)


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


class QuasiNewton(Optimiser):
    """Minimise an objective step by step.

    Parameters
    ----------
    objective, parameters
        See `Optimiser`.
    inverse_hessian
        `LimitedMemory()` or `BroydenFamily(n, rule)`.

    Attributes
    ----------
    gradient
        Of the objective at `parameters`.
    """

    def __init__(
        self,
        objective: Objective,
        parameters: torch.Tensor,
        inverse_hessian: InverseHessian,
    ) -> None:
        super().__init__(objective, parameters)
        self._inverse_hessian = inverse_hessian
        self._is_fresh = True
        self.evaluate()

    @property
    def value(self) -> float:
        """The objective at `parameters`."""
        return self._value

    def evaluate(self) -> None:
        """Take value and gradient anew, after the objective has changed."""
        self._value, self.gradient = self.objective(self.parameters)

    def step(self) -> str | None:
        """Take one step; return why no further one is possible, or None."""
        if not math.isfinite(self.value):
            return NOT_FINITE
        direction = self._inverse_hessian.direction(self.gradient)
        slope = float(direction @ self.gradient)
        if slope == 0.0:
            return GRADIENT_VANISHES
        if not slope < 0.0:
            if self._is_fresh:
                return GRADIENT_NOT_FINITE
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
                return NO_DESCENT
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
        self._value, self.gradient = value, gradient
        return None

    def _restart(self) -> None:
        self._inverse_hessian.reset()
        self._is_fresh = True
