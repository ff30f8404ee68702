"""Least squares with rows that touch one block of unknowns, or two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg.lapack

from pinnsuite.neural.random_features.block_triangle import BlockTriangle, elimination

ROUND_OFF = 3e-15
"""Damping at the level of round-off."""
_PANEL = 32
"""Columns that LAPACK brings to triangular form at a time: by default 3."""


@dataclass(frozen=True, eq=False)
class Coupling:
    """Rows `left x_a + right x_b = target` between the blocks of `pair`.

    Attributes
    ----------
    pair
        The numbers of the two blocks.
    left, right
        Shapes (rows, columns of block a) and (rows, columns of block b).
    target
        Shape (rows,).
    """

    pair: tuple[int, int]
    left: np.ndarray
    right: np.ndarray
    target: np.ndarray


@dataclass(frozen=True, eq=False)
class _Front:
    """Rows in several blocks, their columns and the target side by side."""

    blocks: list[int]
    rows: np.ndarray


def solve(
    own: Sequence[tuple[np.ndarray, np.ndarray]],
    couplings: Sequence[Coupling],
    damping: float = ROUND_OFF,
) -> tuple[np.ndarray, BlockTriangle]:
    """Return the least-squares solution, block after block, and the triangular factor.

    Orthogonal elimination, the block with the fewest neighbours first: the rows in
    which it occurs are brought to triangular form, what is left of them goes on to its
    neighbours. Nothing is squared, so half of the digits are not lost as with normal
    equations. Directions below `damping` of the columns' norm are damped.

    Source: J. W. H. Liu, On general row merging schemes for sparse Givens
    transformations, SIAM Journal on Scientific and Statistical Computing 7 (4) (1986).

    Parameters
    ----------
    own
        For each block its rows and their right-hand side.
    couplings
        Between two blocks.
    damping
        Share of the norm of a column.
    """
    sizes = [matrix.shape[1] for matrix, _ in own]
    fronts = {
        k: _Front([k], np.column_stack([matrix, target]))
        for k, (matrix, target) in enumerate(own)
    }
    touch: dict[int, set[int]] = {k: set() for k in range(len(own))}
    for c in couplings:
        a, b = c.pair
        touch[a].add(b)
        touch[b].add(a)
        rows = np.column_stack([c.left, c.right, c.target])
        fronts[len(fronts)] = _Front([a, b], rows)
    holding: list[set[int]] = [set() for _ in own]
    for k, front in fronts.items():
        for p in front.blocks:
            holding[p].add(k)
    diagonal, beside = [], []
    right: list[np.ndarray] = [np.zeros(0)] * len(own)
    steps = elimination(touch)
    for step, (p, those) in enumerate(steps):
        n = sizes[p]
        mine = [fronts.pop(k) for k in sorted(holding[p])]
        for q in those:
            holding[q] -= holding[p]
        factor = triangular(_stacked(mine, [p, *those], sizes, damping))
        diagonal.append(np.asfortranarray(factor[:n, :n]))
        beside.append(factor[:n, n:-1].copy())
        right[p] = factor[:n, -1].copy()
        if those:
            number = len(own) + len(couplings) + step
            fronts[number] = _Front(those, factor[n:, n:])
            for q in those:
                holding[q].add(number)
    order, neighbours = [p for p, _ in steps], [those for _, those in steps]
    factors = BlockTriangle(order, diagonal, beside, neighbours)
    return factors.solve(np.concatenate(right)), factors


def _stacked(
    fronts: Sequence[_Front],
    blocks: Sequence[int],
    sizes: Sequence[int],
    damping: float,
) -> np.ndarray:
    """Return rows one below the other, with those that damp the first block."""
    ends = np.cumsum([0, *(sizes[q] for q in blocks)]).tolist()
    first = dict(zip(blocks, ends, strict=False))
    n, rows = sizes[blocks[0]], sum(len(f.rows) for f in fronts)
    stacked = np.zeros((rows + n, ends[-1] + 1), order="F")
    top = 0
    for f in fronts:
        bottom, left = top + len(f.rows), 0
        for q in f.blocks:
            place, width = first[q], sizes[q]
            stacked[top:bottom, place : place + width] = f.rows[:, left : left + width]
            left += width
        stacked[top:bottom, -1] = f.rows[:, -1]
        top = bottom
    size = np.linalg.norm(stacked[:rows, :n]) / np.sqrt(n)
    stacked[rows:, :n] = damping * (size or 1.0) * np.eye(n)
    return stacked


def triangular(matrix: np.ndarray) -> np.ndarray:
    """Return the factor R of the QR factorisation, without its rows of zeros."""
    # LAPACK itself: scipy's qr copies the whole matrix to clear what is below.
    factored, _, _, status = scipy.linalg.lapack.dgeqrf(
        matrix, lwork=_PANEL * matrix.shape[1], overwrite_a=True
    )
    assert status == 0
    return np.triu(factored[: min(matrix.shape)])
