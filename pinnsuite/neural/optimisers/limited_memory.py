"""L-BFGS: the inverse Hessian from the last few steps."""

from __future__ import annotations

from collections import deque

import torch

from pinnsuite.neural.optimisers.objective import Objective
from pinnsuite.neural.optimisers.quasi_newton import QuasiNewton

MEMORY = 100


class LimitedMemory:
    """The limited-memory BFGS approximation, O(m n) per step.

    Source: D. C. Liu, J. Nocedal, Mathematical Programming 45 (1989) 503-528,
    DOI 10.1007/BF01589116; two-loop recursion.

    Parameters
    ----------
    memory
        The number m of steps that are kept.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self._pairs: deque[tuple[torch.Tensor, torch.Tensor, float]] = deque(
            maxlen=memory
        )

    def direction(self, gradient: torch.Tensor) -> torch.Tensor:
        """Return `-H gradient`."""
        q = -gradient
        weights = []
        for step, change, rho in reversed(self._pairs):
            weight = rho * float(step @ q)
            q = q - weight * change
            weights.append(weight)
        if self._pairs:
            _, change, rho = self._pairs[-1]
            q = q / (rho * float(change @ change))
        for (step, change, rho), weight in zip(
            self._pairs, reversed(weights), strict=True
        ):
            q = q + (weight - rho * float(change @ q)) * step
        return q

    def update(
        self,
        step: torch.Tensor,
        change: torch.Tensor,
        curvature: float,  # noqa: ARG002
    ) -> None:
        """Keep a step and the change of the gradient; drop the oldest."""
        self._pairs.append((step, change, 1.0 / float(step @ change)))

    def reset(self) -> None:
        """Forget all steps."""
        self._pairs.clear()


class LBFGS(QuasiNewton):
    """The limited-memory BFGS method; see `LimitedMemory`."""

    def __init__(
        self, objective: Objective, parameters: torch.Tensor, *, memory: int = MEMORY
    ) -> None:
        super().__init__(objective, parameters, LimitedMemory(memory))
