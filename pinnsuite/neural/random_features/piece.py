"""The fields on a partition of space during a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pinnsuite.neural.random_features.basis import Basis
from pinnsuite.neural.random_features.partition import Partition
from pinnsuite.problem.jets import Jet


@dataclass(frozen=True, eq=False)
class Piece:
    """The fields on a partition of space during a time.

    Attributes
    ----------
    basis, partition
        Of each patch.
    times
        Start and end; None where nothing depends on time.
    coefficients
        Shape (patches, fields, functions).
    """

    basis: Basis
    partition: Partition
    times: tuple[float, float] | None
    coefficients: np.ndarray

    def jets(self, points: np.ndarray, jets: Sequence[Jet]) -> list[np.ndarray]:
        """Return derivatives of the fields at points (n, coordinates): (n,) each."""
        centres, halves = geometry(self.partition, self.times)
        space = points if self.times is None else points[:, 1:]
        owner = self.partition.locate(space)
        orders = list(dict.fromkeys(j.orders for j in jets))
        found = [np.empty(len(points)) for _ in jets]
        for first in range(0, len(points), 1 << 13):
            part = slice(first, first + (1 << 13))
            mine = owner[part]
            tables = self.basis.tables(
                (points[part] - centres[mine]) / halves[mine], orders
            )
            for jet, values in zip(jets, found, strict=True):
                weights = self.coefficients[mine, jet.field]
                rate = np.prod(halves[mine] ** -np.array(jet.orders), axis=1)
                values[part] = rate * np.einsum("nm,nm->n", tables[jet.orders], weights)
        return found


def geometry(
    partition: Partition, times: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return centres and half-widths of the patches in all coordinates: (p, d)."""
    boxes = partition.boxes if partition.edges else np.zeros((1, 0, 2))
    if times is not None:
        ends = np.broadcast_to(times, (len(boxes), 1, 2))
        boxes = np.concatenate([ends, boxes], axis=1)
    return boxes.mean(2), np.ptp(boxes, axis=2) / 2
