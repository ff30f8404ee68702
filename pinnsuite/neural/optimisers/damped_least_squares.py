"""Linear least squares with damping, for several dampings of one matrix.

Source: J. Nocedal, S. J. Wright, Numerical Optimization, 2nd ed. 2006, section 10.3,
DOI 10.1007/978-0-387-40065-5.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Protocol

import torch

BLOCKS = 4
"""Blocks of rows in which half of a Gram matrix is formed: 0.75 of the time of the
whole one (2500 × 921 in float64: 57 ms, not 77 ms)."""


class DampedLeastSquares(Protocol):
    """Minimises `|J x - b|² + δ |x|²` over x."""

    def solve(self, right: torch.Tensor, damping: float) -> torch.Tensor | None:
        """Return x for the right-hand side b (m,) and δ; None if it is singular."""


class NormalEquations:
    """By `(JᵀJ + δ) x = Jᵀ b` and Cholesky; another δ costs n³/3."""

    def __init__(self, jacobian: torch.Tensor) -> None:
        self._jacobian = jacobian
        self._gram = lower_gram(jacobian)

    def solve(self, right: torch.Tensor, damping: float) -> torch.Tensor | None:
        """Return x."""
        return _solve_shifted(self._gram, damping, self._jacobian.T @ right)


class SampleSpace:
    """By `x = Jᵀ y, (JJᵀ + δ) y = b` (Woodbury): m³/3, for fewer rows than columns."""

    def __init__(self, jacobian: torch.Tensor) -> None:
        self._jacobian = jacobian
        self._gram = lower_gram(jacobian.T)

    def solve(self, right: torch.Tensor, damping: float) -> torch.Tensor | None:
        """Return x."""
        y = _solve_shifted(self._gram, damping, right)
        return None if y is None else self._jacobian.T @ y


class Orthogonal:
    """By QR of J, then of its triangle on top of `√δ I`: does not square J's condition.

    Three times the time of Cholesky, and twice as many digits.
    """

    def __init__(self, jacobian: torch.Tensor) -> None:
        self._factored, self._reflections = torch.geqrf(jacobian)
        self._rank = min(jacobian.shape)
        self._triangle = self._factored[: self._rank].triu()

    def solve(self, right: torch.Tensor, damping: float) -> torch.Tensor | None:
        """Return x."""
        n = self._triangle.shape[1]
        turned = torch.ormqr(
            self._factored[:, : self._rank],
            self._reflections,
            right.unsqueeze(1),
            transpose=True,
        )[: self._rank]
        identity = torch.eye(n, dtype=right.dtype, device=right.device)
        stacked = torch.cat(
            [
                torch.cat([self._triangle, turned], 1),
                torch.cat([math.sqrt(damping) * identity, turned.new_zeros(n, 1)], 1),
            ]
        )
        # The last column of the triangle of [A, b] is Qᵀb.
        _, triangle = torch.linalg.qr(stacked, mode="r")
        x = torch.linalg.solve_triangular(
            triangle[:n, :n], triangle[:n, n:], upper=True
        ).squeeze(1)
        return x if x.isfinite().all() else None


def lower_gram(matrix: torch.Tensor) -> torch.Tensor:
    """Return `AᵀA` in the diagonal blocks and below; what is above is undefined."""
    n = matrix.shape[1]
    gram = matrix.new_empty(n, n)
    ends = [n * k // BLOCKS for k in range(BLOCKS + 1)]
    for start, end in pairwise(ends):
        gram[start:end, :end] = matrix[:, start:end].T @ matrix[:, :end]
    return gram


def _solve_shifted(
    gram: torch.Tensor, shift: float, right: torch.Tensor
) -> torch.Tensor | None:
    """Solve with the lower half of a matrix and a shift of its diagonal."""
    shifted = gram.clone()
    shifted.diagonal().add_(shift)
    # LAPACK reads no more than the lower triangle.
    factor, info = torch.linalg.cholesky_ex(shifted)
    if int(info):
        return None
    return torch.cholesky_solve(right.unsqueeze(1), factor).squeeze(1)


LINEAR_SOLVERS: dict[str, type[NormalEquations | SampleSpace | Orthogonal]] = {
    "cholesky": NormalEquations,
    "woodbury": SampleSpace,
    "qr": Orthogonal,
}
