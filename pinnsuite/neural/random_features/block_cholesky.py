"""Cholesky factors of a symmetric matrix with few blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.linalg.blas
import scipy.linalg.lapack

from pinnsuite.neural.random_features.block_triangle import BlockTriangle, elimination
from pinnsuite.neural.random_features.joints import Joint


def normal(
    own: np.ndarray, fields: int, joints: Sequence[Joint], damping: float
) -> BlockTriangle:
    """Factorise normal equations without traces; in `own` joints count once."""
    n = own.shape[1]
    size = n // fields
    between: dict[tuple[int, int], np.ndarray] = {}
    for joint in joints:
        those = slice(joint.field * size, (joint.field + 1) * size)
        both = -joint.left.T @ joint.right
        pairs = zip(joint.lower.tolist(), joint.upper.tolist(), strict=True)
        for (a, b), square in zip(pairs, joint.weights**2, strict=True):
            if a != b:
                block = between.setdefault((min(a, b), max(a, b)), np.zeros((n, n)))
                block[those, those] += square * (both if a < b else both.T)
    return cholesky(own, between, damping)


def cholesky(
    own: np.ndarray,
    between: Mapping[tuple[int, int], np.ndarray],
    damping: float,
) -> BlockTriangle:
    """Factorise, the block with the fewest neighbours first.

    Parameters
    ----------
    own
        Blocks on the diagonal: (blocks, n, n).
    between
        Blocks (a, b), a < b, that are not zero.
    damping
        Share of the diagonal that is added to it.

    Raises
    ------
    numpy.linalg.LinAlgError
        Where the matrix is not positive definite.
    """
    count, n, _ = own.shape
    # Relative to each unknown: some may have rows that are small against others'.
    blocks = {(p, p): own[p] + damping * np.diag(np.diag(own[p])) for p in range(count)}
    blocks |= {ab: block.copy() for ab, block in between.items()}
    touch: dict[int, set[int]] = {p: set() for p in range(count)}
    for a, b in between:
        touch[a].add(b)
        touch[b].add(a)
    diagonal, beside = [], []
    steps = elimination(touch)
    for p, those in steps:
        factor, status = scipy.linalg.lapack.dpotrf(blocks.pop((p, p)), clean=1)
        if status:
            raise np.linalg.LinAlgError(f"block {p} is not positive definite")
        across = np.zeros((n, 0))
        if those:
            side = [
                blocks.pop((p, q)) if p < q else blocks.pop((q, p)).T for q in those
            ]
            across, _ = scipy.linalg.lapack.dtrtrs(
                factor, np.concatenate(side, axis=1), trans=1
            )
            # The upper triangle alone: the blocks below it are not looked at.
            fill = scipy.linalg.blas.dsyrk(1.0, across, trans=1)
            for i, a in enumerate(those):
                rows = slice(i * n, (i + 1) * n)
                for j, b in enumerate(those[i:], i):
                    part = fill[rows, j * n : (j + 1) * n]
                    if (a, b) in blocks:
                        blocks[a, b] -= part
                    else:
                        blocks[a, b] = -part
        diagonal.append(factor)
        beside.append(across)
    order, neighbours = [p for p, _ in steps], [those for _, those in steps]
    return BlockTriangle(order, diagonal, beside, neighbours)
