"""SPRING: natural gradient steps in sample space, with momentum."""

from __future__ import annotations

import math

import torch

from pinnsuite.neural.optimisers.gauss_newton import GaussNewton
from pinnsuite.neural.optimisers.objective import Objective
from pinnsuite.neural.optimisers.optimiser import (
    GRADIENT_NOT_FINITE,
    GRADIENT_VANISHES,
    NOT_FINITE,
)

MAX_HALVINGS = 20


class SPRING(GaussNewton):
    """Subsampled projected-increment natural gradient descent.

    The step stays near the previous one, φ, where the present samples say nothing:

        φ ← β φ + Jᵀ (JJᵀ + λ)⁻¹ (r - β J φ),   p ← p - η φ

    β = 0 is the energy natural gradient (the least-norm Gauss-Newton step) with fixed
    damping. It is meant for few samples drawn anew before each step. η is halved from 1
    while the objective falls by it, at most 20 times; if it nowhere descends, φ is
    forgotten, and without φ the search is over.

    Source: G. Goldshlager, N. Abrahamsen, L. Lin, Journal of Computational Physics 516
    (2024) 113351, DOI 10.1016/j.jcp.2024.113351, section 3; for physics-informed
    networks, with the line search, A. Guzmán-Cordero et al., arXiv:2505.12149.

    Parameters
    ----------
    objective, parameters, linear_solver
        See `GaussNewton`.
    momentum
        β, from 0 to below 1.
    damping
        λ, relative to the mean of the diagonal of JᵀJ.
    """

    def __init__(
        self,
        objective: Objective,
        parameters: torch.Tensor,
        *,
        linear_solver: str = "auto",
        momentum: float = 0.3,
        damping: float = 1e-8,
    ) -> None:
        super().__init__(objective, parameters, linear_solver)
        self._momentum = momentum
        self._damping = damping
        self._previous = torch.zeros_like(parameters)

    def step(self) -> str | None:
        """Take one step; return why no further one is possible, or None."""
        if not math.isfinite(self.value):
            return NOT_FINITE
        model = self._model()
        if not math.isfinite(model.size):
            return GRADIENT_NOT_FINITE
        if not model.gradient.any():
            return GRADIENT_VANISHES
        kept = self._momentum * self._previous
        change = model.solve(model.residuals - model.jacobian @ kept, self._damping)
        if change is None:
            return "JJᵀ + λ is not positive definite: raise the damping"
        step = kept + change
        found = self._search(step)
        if found is None:
            if not self._previous.any():
                return "no descent along the natural gradient (round-off)"
            self._previous = torch.zeros_like(step)
            return None
        self._previous = step
        self._move(*found)
        return None

    def _search(self, step: torch.Tensor) -> tuple[torch.Tensor, float] | None:
        """Return the first local minimum over η = 1, 1/2, 1/4, …, or None."""
        best: tuple[torch.Tensor, float] | None = None
        for halvings in range(MAX_HALVINGS + 1):
            moved = self.parameters - 0.5**halvings * step
            value = self._value_at(moved)
            if value < (self.value if best is None else best[1]):
                best = moved, value
            elif best is not None:
                break
        return best
