"""Adam: each component of the gradient divided by its running root mean square."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from pinnsuite.neural.optimisers.first_order import EPSILON, FirstOrder
from pinnsuite.neural.optimisers.objective import Objective


class Moments:
    """Running means of the gradient g and of its square, and the step they give.

        m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²,
        N = m/(1 - β₁ᵗ) / (√(v/(1 - β₂ᵗ)) + 1e-8)

    Parameters
    ----------
    betas
        β₁ and β₂, the memories of the two means.
    like
        A tensor of the gradient's shape.
    """

    def __init__(self, betas: Sequence[float], like: torch.Tensor) -> None:
        self._betas = betas
        self._steps = 0
        self.mean = torch.zeros_like(like)
        self.square = torch.zeros_like(like)

    def update(self, gradient: torch.Tensor, rotated: torch.Tensor) -> None:
        """Take in a gradient, and the same in the basis where it is squared."""
        first, second = self._betas
        self._steps += 1
        self.mean.lerp_(gradient, 1.0 - first)
        self.square.lerp_(rotated.square(), 1.0 - second)

    def normalised(self, rotated: torch.Tensor) -> torch.Tensor:
        """Return N for the mean given in the basis where gradients are squared."""
        first, second = (1.0 - beta**self._steps for beta in self._betas)
        root = self.square.sqrt().div_(math.sqrt(second)).add_(EPSILON)
        return rotated / root / first


class Adam(FirstOrder):
    """Gradient descent with a step size for each parameter.

    Source: D. P. Kingma, J. Ba, ICLR 2015, arXiv:1412.6980, algorithm 1.

    Parameters
    ----------
    objective, parameters, rate, half_life
        See `FirstOrder`.
    betas
        Memories of the means of the gradient and of its square.
    """

    def __init__(
        self,
        objective: Objective,
        parameters: torch.Tensor,
        *,
        rate: float = 1e-3,
        half_life: float = math.inf,
        betas: Sequence[float] = (0.9, 0.999),
    ) -> None:
        super().__init__(objective, parameters, rate, half_life)
        self._moments = Moments(betas, parameters)

    def _normalised(self, gradient: torch.Tensor) -> torch.Tensor:
        self._moments.update(gradient, gradient)
        return self._moments.normalised(self._moments.mean)
