"""What is minimised."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch


@runtime_checkable
class Objective(Protocol):
    """A smooth function of one flat vector of parameters."""

    def __call__(self, parameters: torch.Tensor, /) -> tuple[float, torch.Tensor]:
        """Return value and gradient."""


@runtime_checkable
class LeastSquares(Objective, Protocol):
    """An objective that is a sum of squares, `f(p) = r(p)·r(p)`."""

    def residuals(self, parameters: torch.Tensor, /) -> torch.Tensor:
        """Return r, shape (m,)."""

    def jacobian(
        self, parameters: torch.Tensor, /
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return r and its Jacobian `∂rᵢ/∂pⱼ`, shapes (m,) and (m, n)."""
