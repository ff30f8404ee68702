"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from pinnsuite.errors import OptionError
from pinnsuite.neural.optimisers.adam import Moments
from pinnsuite.neural.optimisers.first_order import FirstOrder
from pinnsuite.neural.optimisers.objective import Objective


class SOAP(FirstOrder):
    """Adam for each weight matrix in a slowly turning basis.

    For the gradient G (a, b) of a weight matrix, L and R are running means of `G Gᵀ`
    and `Gᵀ G`, and Q_L, Q_R their eigenvectors, kept up by one power iteration
    `Q ← qr(L Q)` from time to time. Adam's moments of `Q_Lᵀ G Q_R` give the step, which
    is turned back. Vectors, as biases, get Adam. O(a³ + b³) per turn.

    Source: N. Vyas et al., ICLR 2025, arXiv:2409.11321, algorithms 3 and 4; on
    physics-informed networks S. Wang et al., arXiv:2502.00604. The first basis is that
    of the first gradient, whose step is taken and not skipped.

    Parameters
    ----------
    objective, parameters, rate, half_life
        See `FirstOrder`.
    shapes
        Shapes of the weight matrices and vectors that the parameters hold one after the
        other, as ((2, 20), (20,), (20, 1), (1,)).
    betas
        Memories of the mean of the gradient, and of those of its square, L and R.
    turn_every
        Steps between two turns of the basis.
    max_dimension
        Sides longer than this are not turned.

    Raises
    ------
    OptionError
        If the shapes do not fill the vector of parameters.
    """

    def __init__(
        self,
        objective: Objective,
        parameters: torch.Tensor,
        *,
        shapes: Sequence[Sequence[int]],
        rate: float = 3e-3,
        half_life: float = math.inf,
        betas: Sequence[float] = (0.95, 0.95),
        turn_every: int = 2,
        max_dimension: int = 2000,
    ) -> None:
        super().__init__(objective, parameters, rate, half_life)
        self._lengths = [math.prod(shape) for shape in shapes]
        if sum(self._lengths) != len(parameters):
            raise OptionError(
                f"SOAP's shapes {[tuple(s) for s in shapes]} hold {sum(self._lengths)} "
                f"numbers; needed are all {len(parameters)} parameters, in their order."
            )
        self._blocks = [
            _Block(parameters.new_zeros(tuple(shape)), betas, turn_every, max_dimension)
            for shape in shapes
        ]

    def _normalised(self, gradient: torch.Tensor) -> torch.Tensor:
        parts = torch.split(gradient, self._lengths)
        return torch.cat(
            [b.normalised(g) for b, g in zip(self._blocks, parts, strict=True)]
        )


class _Block:
    """One weight matrix or vector."""

    def __init__(
        self,
        zeros: torch.Tensor,
        betas: Sequence[float],
        turn_every: int,
        max_dimension: int,
    ) -> None:
        self._shape = zeros.shape
        self._memory = betas[1]
        self._turn_every = turn_every
        self._moments = Moments(betas, zeros)
        self._steps = 0
        turned = [
            axis
            for axis, size in enumerate(zeros.shape)
            if zeros.dim() == 2 and 1 < size <= max_dimension
        ]
        self._covariances = {
            axis: zeros.new_zeros(zeros.shape[axis], zeros.shape[axis])
            for axis in turned
        }
        self._bases: dict[int, torch.Tensor] = {}

    def normalised(self, flat: torch.Tensor) -> torch.Tensor:
        """Take in a gradient, and return the direction of the step."""
        gradient = flat.view(self._shape)
        if self._steps == 0:
            self._accumulate(gradient, 1.0)
            for axis, covariance in self._covariances.items():
                # Descending, the order in which power iterations keep them.
                self._bases[axis] = torch.linalg.eigh(covariance)[1].flip(1)
        self._moments.update(gradient, self._rotated(gradient))
        step = self._moments.normalised(self._rotated(self._moments.mean))
        direction = self._rotated(step, is_back=True)
        if self._steps > 0:
            self._accumulate(gradient, 1.0 - self._memory)
        self._steps += 1
        if self._steps % self._turn_every == 0:
            for axis, covariance in self._covariances.items():
                self._bases[axis] = torch.linalg.qr(covariance @ self._bases[axis])[0]
        return direction.reshape(-1)

    def _accumulate(self, gradient: torch.Tensor, weight: float) -> None:
        for axis, covariance in self._covariances.items():
            side = gradient if axis == 0 else gradient.T
            covariance.lerp_(side @ side.T, weight)

    def _rotated(self, matrix: torch.Tensor, *, is_back: bool = False) -> torch.Tensor:
        for axis, basis in self._bases.items():
            turn = basis if is_back else basis.T
            matrix = turn @ matrix if axis == 0 else matrix @ turn.T
        return matrix
