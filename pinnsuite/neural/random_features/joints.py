"""Continuity across the faces between patches, as rows of least squares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pinnsuite.neural.random_features.basis import Functions
from pinnsuite.neural.random_features.elimination import Joint
from pinnsuite.neural.random_features.partition import Interface
from pinnsuite.neural.random_features.patch_points import PatchPoints

CUT_DENSITY = 16
"""How many times as dense points are tried on faces that the boundary cuts."""


def joints(
    basis: Functions,
    points: PatchPoints,
    orders: Sequence[Sequence[int]],
    offset: int,
    interfaces: Sequence[Interface],
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
    """
    domain = points.problem.domain
    centres, halves = points.centres, points.halves
    count = points.face_count()
    whole, dense = points.face(count), points.face(CUT_DENSITY * count)

    def inside(i: Interface, face: np.ndarray) -> np.ndarray:
        if domain is None or domain.is_box:
            return face
        local = np.insert(face, i.axis + offset, 1.0, axis=1)
        at = centres[i.lower] + halves[i.lower] * local
        return face[domain.signed_distance(at[:, offset:]) <= 0]

    alike: dict[tuple[int, float, bytes], list[Interface]] = {}
    faces: dict[bytes, np.ndarray] = {}
    for i in interfaces:
        column = i.axis + offset
        ratio = halves[i.upper, column] / halves[i.lower, column]
        face = inside(i, whole)
        if len(face) < len(whole):
            # As many points on what the domain leaves of a face.
            face = inside(i, dense)
            face = face[:: max(1, len(face) // count)]
        if len(face):
            faces[face.tobytes()] = face
            alike.setdefault((column, float(ratio), face.tobytes()), []).append(i)
    found = []
    for (column, ratio, key), those in alike.items():
        lower = np.array([i.lower for i in those])
        upper = np.array([i.upper for i in those])
        tables = _jumps(basis, column, ratio, faces[key], orders[column])
        for field, (left, right) in enumerate(tables):
            if len(left):
                found.append(Joint(lower, upper, left, right, field))
    return found


def _jumps(
    basis: Functions, column: int, ratio: float, face: np.ndarray, orders: Sequence[int]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each field the derivatives across a face from both sides.

    Orders 0 to m - 1 for an equation of order m, in the lower patch's coordinate.
    """
    before = np.insert(face, column, 1.0, axis=1)
    after = np.insert(face, column, -1.0, axis=1)
    d = before.shape[1]
    empty = np.zeros((0, basis.size))
    found = []
    for highest in orders:
        along = [
            tuple(k if c == column else 0 for c in range(d)) for k in range(highest)
        ]
        left, right = (basis.tables(x, along) for x in (before, after))
        scale = [
            1.0 / (np.sqrt(np.mean(left[a] ** 2) * basis.size) or 1.0) for a in along
        ]
        both = list(zip(scale, along, strict=True))
        found.append(
            (
                np.concatenate([empty, *(s * left[a] for s, a in both)]),
                np.concatenate(
                    [empty, *(s * right[a] * ratio ** -sum(a) for s, a in both)]
                ),
            )
        )
    return found
