"""Continuity across the faces between patches, as rows of least squares."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pinnsuite.neural.random_features.basis import Functions
from pinnsuite.neural.random_features.equations import Orders
from pinnsuite.neural.random_features.partition import Interface
from pinnsuite.neural.random_features.patch_points import PatchPoints

Fluxes = dict[tuple[int, int], list[tuple[Orders, np.ndarray, np.ndarray]]]
"""What is continuous across a face in place of a field's derivative, by field and
order: derivatives with their factors at points of the face, from below and above."""
CUT_DENSITY = 16
"""How many times as dense points are tried on faces that the boundary cuts."""
RANK = 1e-6
"""Share of the largest singular value below which rows depend on the others: with those
to 1e-10 factors took twice the time, and solutions agreed to 1e-11."""


@dataclass(frozen=True, eq=False)
class Joint:
    """Rows `left u_a - right u_b = 0` of one field across interfaces of one shape.

    Attributes
    ----------
    lower, upper
        The patches a and b of each interface: (interfaces,).
    left, right
        Shape (rows, functions).
    field
        Its number.
    weights
        How much the rows of each interface count: (interfaces,).
    """

    lower: np.ndarray
    upper: np.ndarray
    left: np.ndarray
    right: np.ndarray
    field: int
    weights: np.ndarray

    def jumps(self, coefficients: np.ndarray) -> np.ndarray:
        """Return the misfit of the rows, (interfaces, rows)."""
        jumps: np.ndarray = (
            coefficients[self.lower, self.field] @ self.left.T
            - coefficients[self.upper, self.field] @ self.right.T
        )
        return jumps

    def weighted(self, coefficients: np.ndarray) -> np.ndarray:
        """Return the misfit of the rows as it counts, (interfaces, rows)."""
        found: np.ndarray = self.weights[:, None] * self.jumps(coefficients)
        return found

    @cached_property
    def independent(self) -> Joint:
        """The same without rows that depend on the others."""
        both = np.concatenate([self.left, self.right], axis=1)
        if not len(both) or not np.isfinite(both).all():
            return self
        turned, singular, _ = np.linalg.svd(both, full_matrices=False)
        turned = turned[:, singular > RANK * singular[0]].T
        return replace(self, left=turned @ self.left, right=turned @ self.right)


def joints(
    basis: Functions,
    points: PatchPoints,
    orders: Sequence[Sequence[int]],
    offset: int,
    interfaces: Sequence[Interface],
    weights: np.ndarray,
    fluxes: Callable[[Interface, int, np.ndarray], Fluxes] = lambda *_: {},
) -> list[Joint]:
    """Return the rows across interfaces, those that are alike together.

    Parameters
    ----------
    basis, points
        Of the patches.
    orders
        For each coordinate of the patches the highest derivative of each field in the
        equations: one less is continuous across it.
    offset
        The number of coordinates of the patches before those of space.
    interfaces
        Which patches touch.
    weights
        How much the rows of each patch count: (patches,). Those between two count as
        little as those of either.
    fluxes
        Of an interface, the coordinate across it and points on it in the local
        coordinates of both patches.
    """
    halves = points.halves
    count = points.face_count()
    whole, dense = points.face(count), points.face(CUT_DENSITY * count)
    alike: dict[tuple[int, float, bytes, bytes], list[Interface]] = {}
    known: dict[tuple[int, float, bytes, bytes], tuple[np.ndarray, Fluxes]] = {}
    for i in interfaces:
        column = i.axis + offset
        # Alike but for round-off.
        ratio = float(f"{halves[i.upper, column] / halves[i.lower, column]:.12e}")
        both = _both_sides(i, points, whole, offset)
        if both.shape[1] < len(whole):
            # As many points on what the domain leaves of a face.
            both = _both_sides(i, points, dense, offset)
            both = both[:, :: max(1, both.shape[1] // count)]
        if both.size:
            across = fluxes(i, column, both)
            key = column, ratio, both.tobytes(), _mark(across)
            alike.setdefault(key, []).append(i)
            known[key] = both, across
    found = []
    for key, those in alike.items():
        column, ratio, *_ = key
        lower = np.array([i.lower for i in those])
        upper = np.array([i.upper for i in those])
        tables = _jumps(basis, column, ratio, orders[column], *known[key])
        for field, (left, right) in enumerate(tables):
            if len(left):
                # As much on every interface, however many rows it has.
                scales = np.minimum(weights[lower], weights[upper])
                scales = scales / math.sqrt(len(left))
                found.append(Joint(lower, upper, left, right, field, scales))
    return found


def _both_sides(
    i: Interface, points: PatchPoints, face: np.ndarray, offset: int
) -> np.ndarray:
    """Return points of a face that are inside, in the coordinates of both patches.

    Shape (2, points, d).
    """
    local = np.insert(face, i.axis + offset, 0.0, axis=1)
    middle, reach = i.spans.mean(2), np.ptp(i.spans, axis=2) / 2
    both = np.stack([local, local])
    both[..., offset:] = middle[:, None] + reach[:, None] * local[:, offset:]
    domain = points.problem.domain
    if domain is None or domain.is_box:
        return both
    at = points.centres[i.lower] + points.halves[i.lower] * both[0]
    return both[:, domain.signed_distance(at[:, offset:]) <= 0]


def _mark(fluxes: Fluxes) -> bytes:
    """Return the same for fluxes that agree but for round-off."""
    factors = [f for terms in fluxes.values() for _, *both in terms for f in both]
    return b"".join(f"{x:.9e}".encode() for f in factors for x in f)


def _jumps(
    basis: Functions,
    column: int,
    ratio: float,
    orders: Sequence[int],
    both: np.ndarray,
    fluxes: Fluxes,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each field what is continuous across a face, from both sides.

    Derivatives of orders 0 to m - 1 for an equation of order m, in the lower patch's
    coordinate, or fluxes in their place.
    """
    before, after = both
    d, size = before.shape[1], basis.size
    one = np.ones(len(before))
    found = []
    for field, highest in enumerate(orders):
        left, right = [np.zeros((0, size))], [np.zeros((0, size))]
        for order in range(highest):
            along = tuple(order if c == column else 0 for c in range(d))
            terms = fluxes.get((field, order), [(along, one, one * ratio**-order)])
            asked = [along, *(a for a, _, _ in terms)]
            below, above = basis.tables(before, asked), basis.tables(after, asked)
            scale = 1.0 / (np.sqrt(np.mean(below[along] ** 2) * size) or 1.0)
            left.append(scale * sum(f[:, None] * below[a] for a, f, _ in terms))
            right.append(scale * sum(f[:, None] * above[a] for a, _, f in terms))
        found.append((np.concatenate(left), np.concatenate(right)))
    return found
