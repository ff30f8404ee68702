"""Least squares with rows that touch one block of unknowns, or two blocks in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg.lapack

ROUND_OFF = 3e-15
"""Damping at the level of round-off."""


@dataclass(frozen=True, eq=False)
class Coupling:
    """Rows `left x_k + right x_{k+1} = target` between neighbouring blocks.

    Attributes
    ----------
    left, right
        Shapes (rows, columns of the block) and (rows, columns of the next block).
    target
        Shape (rows,).
    """

    left: np.ndarray
    right: np.ndarray
    target: np.ndarray


@dataclass(frozen=True, eq=False)
class Factors:
    """The factor R of a chain: `(R x)_k = diagonal_k x_k + beside_k x_{k+1}`.

    Of other rows that are nearly the same it is a preconditioner: R takes the columns
    of `A R⁻¹` to nearly orthonormal ones.

    Attributes
    ----------
    diagonal, beside
        For each block (n, n), upper triangular, and (n, columns of the next block).
    """

    diagonal: Sequence[np.ndarray]
    beside: Sequence[np.ndarray]

    def solve(self, right: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return x with `R x = right`, block by block."""
        found: list[np.ndarray] = []
        for diagonal, beside, y in zip(
            reversed(self.diagonal), reversed(self.beside), reversed(right), strict=True
        ):
            known = y - beside @ found[-1] if found and beside.size else y
            found.append(_triangle(diagonal, known))
        return found[::-1]

    def solve_transposed(self, right: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return y with `Rᵀ y = right`, block by block."""
        found: list[np.ndarray] = []
        before = np.zeros((0, 0))
        for diagonal, beside, x in zip(self.diagonal, self.beside, right, strict=True):
            known = x - before.T @ found[-1] if before.size else x
            found.append(_triangle(diagonal, known, transposed=True))
            before = beside
        return found


def _triangle(
    diagonal: np.ndarray, right: np.ndarray, *, transposed: bool = False
) -> np.ndarray:
    # LAPACK itself: scipy's solve_triangular takes five times as long on small blocks.
    found, status = scipy.linalg.lapack.dtrtrs(diagonal, right, trans=int(transposed))
    assert status == 0
    solution: np.ndarray = found
    return solution


def solve(
    own: Sequence[tuple[np.ndarray, np.ndarray]],
    couplings: Sequence[Coupling],
    damping: float = ROUND_OFF,
) -> tuple[list[np.ndarray], Factors]:
    """Return the least-squares solution, block by block, and the triangular factor.

    Orthogonal elimination from the first block to the last: the rows in which a block
    occurs are brought to triangular form, what is left of them goes on to the next
    block. Nothing is squared, so half of the digits are not lost as with normal
    equations. Directions below `damping` of the columns' norm are damped.

    Parameters
    ----------
    own
        For each block its rows and their right-hand side.
    couplings
        Between block k and block k + 1; one fewer than blocks.
    damping
        Share of the norm of a column.
    """
    carried = np.zeros((0, own[0][0].shape[1] + 1))
    diagonal, beside, right = [], [], []
    for k, (matrix, target) in enumerate(own):
        n = matrix.shape[1]
        is_last = k == len(own) - 1
        ahead = 0 if is_last else couplings[k].right.shape[1]
        parts = [carried, np.column_stack([matrix, target])]
        if not is_last:
            c = couplings[k]
            parts.append(np.column_stack([c.left, c.target]))
        rows = sum(len(p) for p in parts)
        stacked = np.zeros((rows + n, n + ahead + 1), order="F")
        first = 0
        for p in parts:
            stacked[first : first + len(p), :n] = p[:, :n]
            stacked[first : first + len(p), -1] = p[:, -1]
            first += len(p)
        if not is_last:
            stacked[rows - len(couplings[k].right) : rows, n:-1] = couplings[k].right
        size = np.linalg.norm(stacked[:rows, :n]) / np.sqrt(n)
        stacked[rows:, :n] = damping * (size or 1.0) * np.eye(n)
        factor = triangular(stacked)
        diagonal.append(np.asfortranarray(factor[:n, :n]))
        beside.append(factor[:n, n:-1].copy())
        right.append(factor[:n, -1].copy())
        carried = factor[n:, n:]
    factors = Factors(diagonal, beside)
    return factors.solve(right), factors


def triangular(matrix: np.ndarray) -> np.ndarray:
    """Return the factor R of the QR factorisation, without its rows of zeros."""
    # LAPACK itself: scipy's qr copies the whole matrix to clear what is below.
    factored, _, _, status = scipy.linalg.lapack.dgeqrf(matrix, overwrite_a=True)
    assert status == 0
    return np.triu(factored[: min(matrix.shape)])
