"""The order in which patches are joined: nested dissection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

LEAST_SHARE = 0.3
"""Of the patches, that each side of a cut has at least."""


@dataclass(frozen=True, eq=False)
class Union:
    """Two sets of patches that are joined, each a patch's number or a union itself."""

    one: int | Union
    other: int | Union


def dissected(centres: np.ndarray, pairs: np.ndarray) -> int | Union:
    """Return patches cut in two again and again, across as few faces as can be.

    Each cut is a plane across one axis.

    Parameters
    ----------
    centres
        Of the patches: (patches, d).
    pairs
        Which of them touch: (pairs, 2).

    Source: A. George, Nested dissection of a regular finite element mesh, SIAM Journal
    on Numerical Analysis 10 (1973) 345-363, DOI 10.1137/0710032.
    """
    return _cut(np.arange(len(centres)), centres, pairs)


def _cut(patches: np.ndarray, centres: np.ndarray, pairs: np.ndarray) -> int | Union:
    if len(patches) == 1:
        return int(patches[0])

    def cost(is_low: np.ndarray) -> tuple[int, int]:
        ends = is_low[pairs]
        apart = abs(2 * int(is_low[patches].sum()) - len(patches))
        return int((ends[:, 0] != ends[:, 1]).sum()), apart

    is_low = min(_sides(patches, centres), key=cost)
    ends = is_low[pairs]
    return Union(
        _cut(patches[is_low[patches]], centres, pairs[ends.all(1)]),
        _cut(patches[~is_low[patches]], centres, pairs[~ends.any(1)]),
    )


def _sides(patches: np.ndarray, centres: np.ndarray) -> Iterator[np.ndarray]:
    """Yield which of all patches are below planes that leave enough on both sides."""
    count = len(patches)
    for x in centres.T:
        values, counts = np.unique(x[patches], return_counts=True)
        below = np.cumsum(counts)[:-1]
        fewer = np.minimum(below, count - below)
        least = min(LEAST_SHARE * count, fewer.max(initial=0))
        for value in values[:-1][fewer >= least]:
            yield x <= value
