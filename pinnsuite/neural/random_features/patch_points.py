"""Collocation points of patches: inside, on faces and on the boundary."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from pinnsuite.neural.random_features.partition import Partition
from pinnsuite.neural.random_features.piece import geometry
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.domain import sobol_points

TENSOR_DIMENSIONS = 3
"""Coordinates up to which collocation points form a grid in each patch."""
MAX_TRIED = 1 << 18
"""Points of a boundary at most, of which small patches get theirs."""
FACE_SHARE = 1.5
"""Points on a face for each that a grid inside has on one."""


@dataclass(frozen=True, eq=False)
class PatchPoints:
    """Where the rows of a system are taken.

    Attributes
    ----------
    problem, partition, times
        Domain and patches; the ends of the window, None where there is no time.
    number
        Points inside a patch.
    seed
        Of scattered points.
    """

    problem: Problem
    partition: Partition
    times: tuple[float, float] | None
    number: int
    seed: int

    @cached_property
    def centres(self) -> np.ndarray:
        """Centres of the patches: (patches, d)."""
        return geometry(self.partition, self.times)[0]

    @cached_property
    def halves(self) -> np.ndarray:
        """Half-widths of the patches: (patches, d)."""
        return geometry(self.partition, self.times)[1]

    @property
    def dimension(self) -> int:
        """The number d of coordinates, time included."""
        return int(self.centres.shape[1])

    def inside(self, number: int, seed: int | None) -> np.ndarray:
        """Return local coordinates inside: (1 or patches, n, d).

        On boxes all patches share one grid of Chebyshev points, or the same scattered
        points (`seed`); elsewhere scattered points inside the domain.
        """
        d = self.dimension
        domain = self.problem.domain
        if domain is None or domain.is_box:
            if d <= TENSOR_DIMENSIONS and seed == self.seed:
                return tensor([math.ceil(number ** (1 / d))] * d)[None]
            return _scattered(number, d, 7 if seed is None else seed)[None]
        offset = 0 if self.times is None else 1
        found = []
        for p, (centre, half) in enumerate(zip(self.centres, self.halves, strict=True)):
            kept = np.zeros((0, d))
            count = number
            while len(kept) < number and count <= 64 * number:
                unit = _scattered(count, d, (seed or 7) + 13 * p)
                at = centre + half * unit
                inside = domain.signed_distance(at[:, offset:]) < 0
                kept = unit[inside][:number]
                count *= 2
            repeats = math.ceil(number / max(len(kept), 1))
            found.append(np.tile(kept, (repeats, 1))[:number])
        return np.array(found)

    def face_count(self) -> int:
        """Return how many points to take on one face of a patch."""
        d = self.dimension
        if d == 1:
            return 1
        return math.ceil(FACE_SHARE * math.pow(self.number, (d - 1) / d))

    def face(self, count: int) -> np.ndarray:
        """Return points of [-1, 1]^(d-1)."""
        d = self.dimension - 1
        if d == 0:
            return np.zeros((1, 0))
        if d <= 2:
            return tensor([math.ceil(count ** (1 / d))] * d)
        return _scattered(count, d, self.seed + 5)

    def boundary(self, name: str, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return points of a boundary, in time too, and the outward normals."""
        domain = self.problem.domain
        assert domain is not None
        if domain.is_box:
            return self._box_side(name, count)
        # As many points a length as the faces of patches have, and in each small patch
        # of a stationary problem as many as on one of its faces.
        widths = np.ptp(self.partition.boxes, axis=2).mean(1)
        faces = widths ** (domain.dimension - 1)
        fewest, most = (
            count * math.ceil(domain.boundary_measure(name) / size + 1)
            for size in (widths.mean() ** (domain.dimension - 1), faces.min())
        )
        # Steps in time do not weigh rows at corners: held there at more points, heat on
        # an L was halved at the corner until no more patches were allowed.
        most = min(most, MAX_TRIED) if self.problem.time is None else fewest
        space, normals = domain.sample_boundary(name, max(most, fewest), self.seed)
        owner = self.partition.locate(self.inwards(space, normals))
        kept = (np.arange(len(space)) < fewest) | (ranks(owner) < count)
        space, normals, total = space[kept], normals[kept], int(kept.sum())
        if self.times is None:
            return space, normals
        unit = np.random.default_rng(self.seed).permutation(total)
        low, high = self.times
        t = low + (high - low) * (1 - np.cos(math.pi * (unit + 0.5) / total)) / 2
        return np.column_stack([t, space]), normals

    def _box_side(self, name: str, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the points of all sides of a box that bear a name.

        On a side they are the same on every patch along it.
        """
        problem = self.problem
        offset = 0 if self.times is None else 1
        face = self.face(count)
        found, outward = [], []
        for axis, x in enumerate(problem.space):
            numbers = np.moveaxis(self.partition.numbers, axis, 0)
            for end, side in enumerate(problem.domain.sides(x)):  # type: ignore[union-attr]
                if side != name:
                    continue
                patches = np.unique(numbers[-end])
                local = np.insert(face, axis + offset, 2.0 * end - 1.0, axis=1)
                points = (
                    self.centres[patches, None] + self.halves[patches, None] * local
                )
                normals = np.zeros((*points.shape[:2], len(problem.space)))
                normals[..., axis] = 2.0 * end - 1.0
                found.append(points.reshape(-1, points.shape[2]))
                outward.append(normals.reshape(-1, len(problem.space)))
        return np.concatenate(found), np.concatenate(outward)

    def inwards(self, space: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """Return points a little inside of those on a boundary."""
        size = np.ptp(self.partition.boxes, axis=2).min()
        inside: np.ndarray = space - 1e-9 * size * normals
        return inside


def tensor(counts: Sequence[int]) -> np.ndarray:
    """Return a grid of Chebyshev points in [-1, 1]ᵈ: (n, d)."""
    axes = [np.cos(math.pi * (np.arange(n) + 0.5) / n)[::-1] for n in counts]
    return np.array(list(product(*axes)))


def ranks(owner: np.ndarray) -> np.ndarray:
    """Return how many points of the same owner come before each: (n,)."""
    order = np.argsort(owner, kind="stable")
    counts = np.bincount(owner)
    ranks = np.empty(len(owner), dtype=int)
    ranks[order] = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    return ranks


@functools.lru_cache(maxsize=256)
def _scattered(number: int, d: int, seed: int) -> np.ndarray:
    """Return points of [-1, 1]ᵈ, denser towards the faces: (number, d), read-only."""
    clustered: np.ndarray = -np.cos(math.pi * sobol_points(number, d, seed))
    clustered.setflags(write=False)
    return clustered
