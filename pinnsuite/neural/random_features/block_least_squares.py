"""Least squares with rows that touch one block of unknowns, or two blocks in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.linalg.lapack

ROUND_OFF = 3e-15
"""Share of the norm of a column below which directions are damped."""


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


def solve(
    own: Sequence[tuple[np.ndarray, np.ndarray]],
    couplings: Sequence[Coupling],
) -> list[np.ndarray]:
    """Return the least-squares solution, block by block.

    Orthogonal elimination from the first block to the last: the rows in which a block
    occurs are brought to triangular form, what is left of them goes on to the next
    block. Nothing is squared, so half of the digits are not lost as with normal
    equations. Directions below `ROUND_OFF` of the columns' norm are damped.

    Parameters
    ----------
    own
        For each block its rows and their right-hand side.
    couplings
        Between block k and block k + 1; one fewer than blocks.
    """
    carried = np.zeros((0, own[0][0].shape[1] + 1))
    factors = []
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
        stacked[rows:, :n] = ROUND_OFF * (size or 1.0) * np.eye(n)
        factor = triangular(stacked)
        factors.append((factor[:n, :n], factor[:n, n:-1], factor[:n, -1]))
        carried = factor[n:, n:]
    solution: list[np.ndarray] = []
    for diagonal, beside, right in reversed(factors):
        known = beside @ solution[-1] if solution else 0.0
        solution.append(
            scipy.linalg.solve_triangular(diagonal, right - known, check_finite=False)
        )
    return solution[::-1]


def triangular(matrix: np.ndarray) -> np.ndarray:
    """Return the factor R of the QR factorisation, without its rows of zeros."""
    # LAPACK itself: scipy's qr copies the whole matrix to clear what is below.
    factored, _, _, status = scipy.linalg.lapack.dgeqrf(matrix, overwrite_a=True)
    assert status == 0
    return np.triu(factored[: min(matrix.shape)])
