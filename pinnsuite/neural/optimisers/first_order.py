"""Steps along a rescaled gradient: what Adam and SOAP share."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch

from pinnsuite.neural.optimisers.objective import Objective
from pinnsuite.neural.optimisers.optimiser import (
    GRADIENT_NOT_FINITE,
    GRADIENT_VANISHES,
    NOT_FINITE,
    Optimiser,
)

EPSILON = 1e-8
"""Added to the root mean square of the gradient, as in both papers."""


class FirstOrder(Optimiser):
    """Minimise by `p ← p - rate · N(gradient)` with a normalisation N.

    The objective is evaluated when its value is needed, so drawing new points before
    each step costs one evaluation a step, not two.

    Parameters
    ----------
    objective, parameters
        See `Optimiser`.
    rate
        The step size: about how far each parameter moves in one step.
    half_life
        Steps in which the step size halves.
    """

    def __init__(
        self,
        objective: Objective,
        parameters: torch.Tensor,
        rate: float,
        half_life: float,
    ) -> None:
        super().__init__(objective, parameters)
        self._rate = rate
        self._half_life = half_life
        self._steps = 0
        self._known: tuple[float, torch.Tensor] | None = None

    @property
    def value(self) -> float:
        """The objective at `parameters`."""
        return self._value_and_gradient()[0]

    def evaluate(self) -> None:
        """Forget value and gradient, after the objective has changed."""
        self._known = None

    def step(self) -> str | None:
        """Take one step; return why no further one is possible, or None."""
        value, gradient = self._value_and_gradient()
        if not math.isfinite(value):
            return NOT_FINITE
        if not gradient.isfinite().all():
            return GRADIENT_NOT_FINITE
        self._steps += 1
        rate = self._rate * 0.5 ** (self._steps / self._half_life)
        moved = self.parameters - rate * self._normalised(gradient)
        if torch.equal(moved, self.parameters):
            return GRADIENT_VANISHES
        self.parameters = moved
        self._known = None
        return None

    @abstractmethod
    def _normalised(self, gradient: torch.Tensor) -> torch.Tensor:
        """Return the direction of a step of length 1 per parameter."""

    def _value_and_gradient(self) -> tuple[float, torch.Tensor]:
        if self._known is None:
            self._known = self.objective(self.parameters)
        return self._known
