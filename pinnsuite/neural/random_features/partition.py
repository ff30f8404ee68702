"""A partition of space into boxes, and which of them touch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np

from pinnsuite.neural.random_features.block_triangle import elimination
from pinnsuite.neural.random_features.dissection import Union, dissected
from pinnsuite.problem.domain import Domain

_PROBES = 64
_BALANCE = 2.0
"""How many times as wide as a patch beside it one may be, along the face they share."""
_SAME = 1e-9


@dataclass(frozen=True, eq=False)
class Interface:
    """Two patches that share a face, or a part of one.

    Attributes
    ----------
    lower, upper
        Their numbers; the face is at the upper end of the first.
    axis
        The space axis across the face.
    spans
        Where the shared part begins and ends in the local coordinates of both patches:
        (2, d, 2).
    is_wrapped
        The face of `upper` lies at the other end of a periodic axis.
    """

    lower: int
    upper: int
    axis: int
    spans: np.ndarray
    is_wrapped: bool = False


@dataclass(frozen=True, eq=False)
class Partition:
    """Boxes that are halved one by one; those outside the domain are left out.

    A face may touch several smaller patches.

    Attributes
    ----------
    boxes
        Lower and upper ends: (patches, d, 2).
    domain
        None for ordinary equations: one patch of no dimension.
    periodic
        The axes along which the first and the last patch touch.
    planes
        The edges that stay: where coefficients jump, and the ends.
    """

    boxes: np.ndarray
    domain: Domain | None = None
    periodic: tuple[int, ...] = ()
    planes: tuple[np.ndarray, ...] = ()

    @classmethod
    def grid(
        cls,
        edges: Sequence[np.ndarray],
        domain: Domain | None = None,
        periodic: tuple[int, ...] = (),
        planes: tuple[np.ndarray, ...] = (),
    ) -> Partition:
        """Return the boxes between the planes x_k = `edges[k]`, which increase."""
        ends = [np.column_stack([e[:-1], e[1:]]) for e in edges]
        boxes = np.array(list(product(*ends))).reshape(
            math.prod(map(len, ends)), len(edges), 2
        )
        return cls(boxes[_inside(boxes, domain)], domain, periodic, planes)

    @property
    def dimension(self) -> int:
        """The number of space axes."""
        return int(self.boxes.shape[1])

    @cached_property
    def edges(self) -> tuple[np.ndarray, ...]:
        """Increasing positions of the faces, one array a space axis."""
        return tuple(np.unique(ends) for ends in np.swapaxes(self.boxes, 0, 1))

    @cached_property
    def numbers(self) -> np.ndarray:
        """The number of the patch in each cell between all edges, -1 where none is."""
        numbers = np.full([len(e) - 1 for e in self.edges], -1)
        first, last = self._places
        for patch, (low, high) in enumerate(zip(first, last, strict=True)):
            numbers[tuple(map(slice, low, high))] = patch
        return numbers

    @property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """The places of the boxes' ends among the edges: (patches, d) each."""
        ends = zip(self.edges, np.swapaxes(self.boxes, 0, 1), strict=True)
        found = [np.searchsorted(e, x) for e, x in ends]
        both = np.array(found).reshape(self.dimension, len(self), 2)
        return both[..., 0].T, both[..., 1].T

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self.boxes)

    def _touching(self) -> Iterator[tuple[int, bool, np.ndarray]]:
        """Yield for each axis, then for its two ends, which pairs touch: (pairs, 2)."""
        for axis in range(self.dimension):
            cells = np.moveaxis(self.numbers, axis, 0)
            pairs = np.stack([cells[:-1].ravel(), cells[1:].ravel()], axis=1)
            yield axis, False, _distinct(pairs[pairs[:, 0] != pairs[:, 1]])
            if axis in self.periodic:
                ends = np.stack([cells[-1].ravel(), cells[0].ravel()], axis=1)
                yield axis, True, _distinct(ends)

    @cached_property
    def interfaces(self) -> list[Interface]:
        """All pairs of patches that touch."""
        found = []
        for axis, is_wrapped, pairs in self._touching():
            both = self.boxes[pairs]
            low, high = both[..., 0].max(1), both[..., 1].min(1)
            shared = np.stack([low, high], axis=-1)[:, None]
            half = np.ptp(both, axis=-1, keepdims=True) / 2
            spans = (shared - both.mean(-1, keepdims=True)) / half
            # Alike but for round-off: whole faces, or halves of them.
            spans = np.round(spans, 9) + 0.0
            spans[:, 0, axis], spans[:, 1, axis] = 1.0, -1.0
            found += [
                Interface(int(a), int(b), axis, span, is_wrapped)
                for (a, b), span in zip(pairs, spans, strict=True)
            ]
        return found

    @property
    def _pairs(self) -> np.ndarray:
        """The numbers of the patches of each interface: (interfaces, 2)."""
        pairs = [(i.lower, i.upper) for i in self.interfaces]
        return np.array(pairs, dtype=int).reshape(-1, 2)

    @cached_property
    def order(self) -> int | Union:
        """In which patches are joined where faces are eliminated."""
        return dissected(self.boxes.mean(2), self._pairs)

    @cached_property
    def work(self) -> float:
        """Operations of an elimination, in some unit: patch by patch, at most."""
        touch: dict[int, set[int]] = {p: set() for p in range(len(self))}
        for a, b in self._pairs.tolist():
            touch[a].add(b)
            touch[b].add(a)
        for p, those in touch.items():
            those.discard(p)
        return float(sum((1 + len(those)) ** 3 for _, those in elimination(touch)))

    def locate(self, points: np.ndarray) -> np.ndarray:
        """Return the number of the patch of each point (n, d): (n,).

        A point beyond the edges counts to the nearest cell; where that lies outside of
        the domain, to the nearest patch: one on the boundary to a patch it touches.
        """
        if not self.dimension:
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

    def around(self, point: np.ndarray) -> np.ndarray:
        """Return the numbers of the patches that a point touches or lies in."""
        slack = _SAME * np.ptp(self.boxes, axis=2)
        low, high = self.boxes[..., 0] - slack, self.boxes[..., 1] + slack
        return np.flatnonzero(((low <= point) & (point <= high)).all(1))

    def width(self, patches: np.ndarray) -> float:
        """Return the longest side of patches."""
        return float(np.ptp(self.boxes[patches], axis=2).max())

    def refined(
        self, patches: Sequence[int] | np.ndarray, along: np.ndarray | None = None
    ) -> Partition:
        """Return the partition with `patches` halved, and what the balance asks for.

        `along` says for each of them along which axes, (patches, d); None: all. Along a
        face a patch is at most twice as wide as one beside it.
        """
        chosen = np.zeros((len(self), self.dimension), dtype=bool)
        chosen[np.asarray(patches, dtype=int)] = True if along is None else along
        found = self
        while chosen.any():
            found = found._halved(chosen)
            chosen = found._too_wide()
        return found

    def _halved(self, chosen: np.ndarray) -> Partition:
        """Return the partition with patches halved along chosen axes, (patches, d)."""
        parts, is_new = self.boxes, np.zeros(len(self), dtype=bool)
        for axis in range(self.dimension):
            count = np.where(chosen[:, axis], 2, 1)
            start = np.cumsum(count) - count
            parts, is_new = np.repeat(parts, count, axis=0), np.repeat(is_new, count)
            which = start[chosen[:, axis]]
            middle = parts[which, axis].mean(1)
            parts[which, axis, 1] = parts[which + 1, axis, 0] = middle
            is_new[which] = is_new[which + 1] = True
            chosen = np.repeat(chosen, count, axis=0)
        kept = ~is_new
        kept[is_new] = _inside(parts[is_new], self.domain)
        parts = parts[kept]
        # In the order of their lower ends, as in a grid.
        return replace(self, boxes=parts[np.lexsort(parts[:, ::-1, 0].T)])

    def _too_wide(self) -> np.ndarray:
        """Return which patches are out of balance, along which axes: (patches, d)."""
        found = np.zeros((len(self), self.dimension), dtype=bool)
        if self.dimension < 2:
            return found
        widths = np.ptp(self.boxes, axis=2)
        for axis, _, pairs in self._touching():
            for one, other in (pairs.T, pairs[:, ::-1].T):
                is_wide = widths[one] > (_BALANCE + _SAME) * widths[other]
                is_wide[:, axis] = False
                np.logical_or.at(found, one, is_wide)
        return found

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
        return Partition.grid(
            (np.array(kept),), self.domain, self.periodic, self.planes
        )


def _inside(boxes: np.ndarray, domain: Domain | None) -> np.ndarray:
    """Return which boxes the domain has a part of: (boxes,)."""
    if domain is None or domain.is_box or not len(boxes):
        return np.ones(len(boxes), dtype=bool)
    unit = np.random.default_rng(0).uniform(size=(_PROBES, boxes.shape[1]))
    points = boxes[:, None, :, 0] + unit * np.ptp(boxes, axis=2)[:, None]
    away = domain.signed_distance(points.reshape(-1, boxes.shape[1]))
    nearest: np.ndarray = away.reshape(len(boxes), -1).min(1)
    return nearest < 0


def _distinct(pairs: np.ndarray) -> np.ndarray:
    return np.unique(pairs[(pairs >= 0).all(1)], axis=0)
