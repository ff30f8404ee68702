"""SPRING: natural gradient steps in sample space, with momentum."""

from __future__ import annotations

import math

import torch

from pinnsuite.neural.optimisers.gauss_newton import GaussNewton
from pinnsuite.neural.optimisers.objective import Objective
from pinnsuite.neural.optimisers.optimiser import (
    GRADIENT_NOT_FINITE,
    GRADIENT_VANISHES,
    NO_DESCENT,
    NOT_FINITE,
)

MAX_HALVINGS = 20
MAX_RAISES = 8


class SPRING(GaussNewton):
    """Subsampled projected-increment natural gradient descent.

    The step stays near the previous one, φ, where the present samples say nothing:

        φ ← β φ + Jᵀ (JJᵀ + λ)⁻¹ (r - β J φ),   p ← p - η φ

    β = 0 is the energy natural gradient (the least-norm Gauss-Newton step) with fixed
    damping. It is meant for samples drawn anew before each step, fewer than there are
    parameters. On Poisson's equation (501 parameters, 200 or 400 samples) β = 0.3 was
    the best of 0, 0.3, 0.6 and 0.9; near jumps, as in Burgers' equation, self-scaled
    Broyden does better.

    η is halved from 1 while the objective falls by it, at most 20 times. If it nowhere
    descends, φ is forgotten for this step and λ raised by 100 until it does, since
    JᵀJ + λ for large λ gives a short step along the gradient.

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
        damping = self._damping
        for _ in range(MAX_RAISES):
            change = model.solve(model.residuals - model.jacobian @ kept, damping)
            found = None if change is None else self._search(kept + change)
            if change is not None and found is not None:
                self._previous = kept + change
                self._move(*found)
                return None
            kept = torch.zeros_like(kept)
            damping *= 100.0
        return NO_DESCENT

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
