"""A partition of space into boxes, and which of them touch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np

from pinnsuite.problem.domain import Domain

_PROBES = 64


@dataclass(frozen=True, eq=False)
class Interface:
    """Two patches that share a face.

    Attributes
    ----------
    lower, upper
        Their numbers; the face is the upper end of the first.
    axis
        The space axis across the face.
    is_wrapped
        The face of `upper` lies at the other end of a periodic axis.
    """

    lower: int
    upper: int
    axis: int
    is_wrapped: bool = False


@dataclass(frozen=True, eq=False)
class Partition:
    """Boxes between planes across each axis; those outside the domain are left out.

    Attributes
    ----------
    edges
        Increasing positions of the planes, one array a space axis.
    domain
        None for ordinary equations: one patch of no dimension.
    periodic
        The axes along which the first and the last patch touch.
    planes
        The edges that stay: where coefficients jump, and the ends.
    """

    edges: tuple[np.ndarray, ...]
    domain: Domain | None = None
    periodic: tuple[int, ...] = ()
    planes: tuple[np.ndarray, ...] = ()

    @cached_property
    def numbers(self) -> np.ndarray:
        """The number of the patch in each cell of the grid, -1 where there is none."""
        shape = tuple(len(e) - 1 for e in self.edges)
        numbers = np.full(shape, -1)
        count = 0
        for index in product(*map(range, shape)):
            if self._is_inside(index):
                numbers[index] = count
                count += 1
        return numbers

    def _is_inside(self, index: tuple[int, ...]) -> bool:
        if self.domain is None or self.domain.is_box:
            return True
        low = np.array([e[i] for e, i in zip(self.edges, index, strict=True)])
        high = np.array([e[i + 1] for e, i in zip(self.edges, index, strict=True)])
        unit = np.random.default_rng(0).uniform(size=(_PROBES, len(low)))
        points = low + unit * (high - low)
        return bool((self.domain.signed_distance(points) < 0).any())

    @cached_property
    def boxes(self) -> np.ndarray:
        """Lower and upper ends: (patches, d, 2)."""
        found = [
            [[e[i], e[i + 1]] for e, i in zip(self.edges, index, strict=True)]
            for index in np.argwhere(self.numbers >= 0)
        ]
        return np.array(found).reshape(-1, len(self.edges), 2)

    def __len__(self) -> int:
        """Return the number of patches."""
        return int(self.numbers.max()) + 1

    @cached_property
    def interfaces(self) -> list[Interface]:
        """All pairs of patches that touch."""
        found = []
        for axis in range(len(self.edges)):
            grid = np.moveaxis(self.numbers, axis, 0)
            grid = grid.reshape(len(grid), -1)
            for i in range(len(grid) - 1):
                found += _pairs(grid[i], grid[i + 1], axis, is_wrapped=False)
            if axis in self.periodic:
                found += _pairs(grid[-1], grid[0], axis, is_wrapped=True)
        return found

    @cached_property
    def fronts(self) -> list[list[int]]:
        """The patches in groups of which only neighbouring ones touch.

        Slices across the axis with the most patches; along a periodic axis the slices
        are taken in pairs from both ends, so that the ends meet in the first group.
        """
        if not self.edges:
            return [[0]]
        axis = int(np.argmax(self.numbers.shape))
        slices = [
            [int(p) for p in part.ravel() if p >= 0]
            for part in np.moveaxis(self.numbers, axis, 0)
        ]
        if axis in self.periodic and len(slices) > 2:
            folded = []
            while slices:
                folded.append(slices.pop(0) + (slices.pop() if slices else []))
            slices = folded
        return [s for s in slices if s]

    @cached_property
    def work(self) -> float:
        """Operations of an elimination, in some unit."""
        sizes = [len(f) for f in self.fronts]
        return float(
            sum(a * (a + b) ** 2 for a, b in zip(sizes, [*sizes[1:], 0], strict=True))
        )

    def locate(self, points: np.ndarray) -> np.ndarray:
        """Return the number of the patch of each point (n, d): (n,).

        A point beyond the edges counts to the nearest cell; where that lies outside of
        the domain, to the nearest patch: one on the boundary to a patch it touches.
        """
        if not self.edges:
            return np.zeros(len(points), dtype=int)
        index = tuple(
            np.clip(np.searchsorted(e, x, side="right") - 1, 0, len(e) - 2)
            for e, x in zip(self.edges, points.T, strict=True)
        )
        found = np.asarray(self.numbers[index])
        lost = found < 0
        if lost.any():
            outside = points[lost][:, None]
            nearest = np.clip(outside, self.boxes[..., 0], self.boxes[..., 1])
            away = np.linalg.norm(outside - nearest, axis=2)
            found = found.copy()
            found[lost] = away.argmin(1)
        return found

    def refined(
        self, patches: Sequence[int] | np.ndarray, along: np.ndarray | None = None
    ) -> Partition:
        """Return the partition with the cells of `patches` halved.

        `along` says for each of them along which axes, (patches, d); None: all.
        """
        edges = [list(e) for e in self.edges]
        for axis, e in enumerate(self.edges):
            chosen = patches if along is None else np.asarray(patches)[along[:, axis]]
            where = np.argwhere(np.isin(self.numbers, chosen))
            for i in set(where[:, axis]):
                edges[axis].append((e[i] + e[i + 1]) / 2)
        new = tuple(np.array(sorted(e)) for e in edges)
        if all(len(a) == len(b) for a, b in zip(new, self.edges, strict=True)):
            return self
        return replace(self, edges=new)

    def coarsened(self, patches: Sequence[int] | np.ndarray) -> Partition:
        """Return the partition of one axis with pairs among `patches` joined."""
        (e,) = self.edges
        chosen = np.isin(self.numbers, patches)
        kept, i = [e[0]], 0
        while i < len(e) - 1:
            is_pair = (
                i + 1 < len(e) - 1
                and chosen[i]
                and chosen[i + 1]
                and not any(e[i + 1] in p for p in self.planes)
            )
            i += 2 if is_pair else 1
            kept.append(e[i])
        if len(kept) == len(e):
            return self
        return replace(self, edges=(np.array(kept),))


def _pairs(
    lower: np.ndarray, upper: np.ndarray, axis: int, *, is_wrapped: bool
) -> list[Interface]:
    return [
        Interface(int(a), int(b), axis, is_wrapped)
        for a, b in zip(lower, upper, strict=True)
        if a >= 0 and b >= 0
    ]
