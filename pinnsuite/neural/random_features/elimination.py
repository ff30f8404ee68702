"""From the rows of patches and interfaces to blocks that are eliminated in turn."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pinnsuite.neural.random_features.block_least_squares import (
    Coupling,
    solve,
    triangular,
)
from pinnsuite.neural.random_features.partition import Interface, Partition

InterfaceRows = tuple[Interface, np.ndarray, np.ndarray, int]
"""An interface, its rows `left u_a - right u_b = 0` and the field they are of."""


def eliminated(
    matrix: np.ndarray,
    target: np.ndarray,
    old: np.ndarray,
    partition: Partition,
    interfaces: Sequence[InterfaceRows],
) -> np.ndarray:
    """Return the least-squares solution of own rows and of interfaces.

    The rows of each patch are brought to triangular form first; then the patches are
    eliminated front by front.

    Parameters
    ----------
    matrix, target
        Rows of each patch: (patches, rows, unknowns) and (patches, rows).
    old
        What is added to: (patches, fields, functions). Interfaces hold for the sum.
    """
    patches, fields, size = old.shape
    n = fields * size
    if patches == 1 and not interfaces:
        (solution,) = solve([(matrix[0], target[0])], [])
        return solution.reshape(old.shape)
    both = np.concatenate([matrix, target[..., None]], axis=2)
    if both.shape[1] > n + 1:
        both = np.stack([triangular(b) for b in both])
    fronts = partition.fronts
    group = {p: (g, k) for g, f in enumerate(fronts) for k, p in enumerate(f)}
    own_rows: list[list[np.ndarray]] = [[] for _ in fronts]
    ahead: list[list[np.ndarray]] = [[] for _ in fronts]
    for g, front in enumerate(fronts):
        width = len(front) * n
        stacked = np.zeros((len(front) * both.shape[1], width + 1))
        for k, p in enumerate(front):
            r = slice(k * both.shape[1], (k + 1) * both.shape[1])
            stacked[r, k * n : (k + 1) * n] = both[p, :, :-1]
            stacked[r, -1] = both[p, :, -1]
        own_rows[g].append(stacked)
    for i, left, right, field in interfaces:
        weight = 1.0 / math.sqrt(len(left))
        jump = left @ old[i.lower, field] - right @ old[i.upper, field]
        (ga, ka), (gb, kb) = group[i.lower], group[i.upper]
        g = min(ga, gb)
        width = len(fronts[g]) * n
        wide = width if ga == gb else width + len(fronts[g + 1]) * n
        rows = np.zeros((len(left), wide + 1))
        for place, block, sign in ((ga, left, 1.0), (gb, right, -1.0)):
            k = ka if place == ga and block is left else kb
            first = (0 if place == g else width) + k * n + field * size
            rows[:, first : first + size] += sign * weight * block
        rows[:, -1] = -weight * jump
        (own_rows if ga == gb else ahead)[g].append(rows)
    own = []
    couplings = []
    for g, front in enumerate(fronts):
        width = len(front) * n
        stacked = np.concatenate(own_rows[g])
        own.append((stacked[:, :-1], stacked[:, -1]))
        if g < len(fronts) - 1:
            total = width + len(fronts[g + 1]) * n
            rows = np.concatenate([np.zeros((0, total + 1)), *ahead[g]])
            couplings.append(Coupling(rows[:, :width], rows[:, width:-1], rows[:, -1]))
    solution = np.zeros(old.shape)
    for front, part in zip(fronts, solve(own, couplings), strict=True):
        for k, p in enumerate(front):
            solution[p] = part[k * n : (k + 1) * n].reshape(fields, size)
    return solution
