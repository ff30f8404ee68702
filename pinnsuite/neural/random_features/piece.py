"""The fields on a partition of space during a time."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pinnsuite.neural.random_features.basis import Functions
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

    basis: Functions
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


@dataclass(frozen=True, eq=False)
class StepPiece:
    """The fields on a partition of space during a step in time.

    The coefficients of features of space are the polynomials in time that have the
    values and derivatives at both ends (two-point Hermite interpolation): as many
    derivatives of a field as the equations hold.

    Attributes
    ----------
    basis, partition
        Of each patch.
    times
        Start and end.
    before, after
        Coefficients and their derivatives in time there, one array
        (patches, fields, functions) an order.
    orders
        The highest derivative in time of each field.
    """

    basis: Functions
    partition: Partition
    times: tuple[float, float]
    before: Sequence[np.ndarray]
    after: Sequence[np.ndarray]
    orders: Sequence[int]

    @property
    def coefficients(self) -> np.ndarray:
        """Those at the end: (patches, fields, functions)."""
        return self.after[0]

    def derivatives(self, time: float) -> list[np.ndarray]:
        """Return the coefficients and their derivatives at a time."""
        found = [np.zeros_like(c) for c in self.before]
        for k, whole in enumerate(found):
            for f in range(whole.shape[1]):
                for c, weight in self._terms(f, k, np.array([time])):
                    whole[:, f] += weight * c[:, f]
        return found

    def _terms(
        self, field: int, order: int, times: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the ends' coefficients and their weights at times, (n,) each."""
        length = self.times[1] - self.times[0]
        local = (times - self.times[0]) / length
        highest = self.orders[field]
        polynomials = hermite(highest)
        ends = [*self.before[: highest + 1], *self.after[: highest + 1]]
        return [
            (
                c,
                length ** (m % (highest + 1) - order)
                * np.polynomial.Polynomial(polynomials[m]).deriv(order)(local),
            )
            for m, c in enumerate(ends)
        ]

    def jets(self, points: np.ndarray, jets: Sequence[Jet]) -> list[np.ndarray]:
        """Return derivatives of the fields at points (n, coordinates): (n,) each."""
        centres, halves = geometry(self.partition, None)
        owner = self.partition.locate(points[:, 1:])
        orders = list(dict.fromkeys(j.orders[1:] for j in jets))
        found = [np.zeros(len(points)) for _ in jets]
        for first in range(0, len(points), 1 << 13):
            part = slice(first, first + (1 << 13))
            mine = owner[part]
            tables = self.basis.tables(
                (points[part, 1:] - centres[mine]) / halves[mine], orders
            )
            for jet, values in zip(jets, found, strict=True):
                along = jet.orders[1:]
                rate = np.prod(halves[mine] ** -np.array(along), axis=1)
                for c, weight in self._terms(jet.field, jet.orders[0], points[part, 0]):
                    values[part] += (
                        rate
                        * weight
                        * np.einsum("nm,nm->n", tables[along], c[mine, jet.field])
                    )
        return found


@functools.cache
def hermite(order: int) -> np.ndarray:
    """Return the polynomials in [0, 1] of values and derivatives at both ends.

    Returns
    -------
    Coefficients of rising powers, (2 (order + 1), 2 (order + 1)): a row for each
    derivative up to `order` at 0, then at 1, which it is one of and the others are not.
    """
    n = 2 * (order + 1)
    rows = np.zeros((n, n))
    for power in range(n):
        p = np.polynomial.Polynomial.basis(power)
        for m in range(order + 1):
            rows[m, power] = p.deriv(m)(0.0)
            rows[order + 1 + m, power] = p.deriv(m)(1.0)
    return np.linalg.inv(rows).T


def geometry(
    partition: Partition, times: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return centres and half-widths of the patches in all coordinates: (p, d)."""
    boxes = partition.boxes
    if times is not None:
        ends = np.broadcast_to(times, (len(boxes), 1, 2))
        boxes = np.concatenate([ends, boxes], axis=1)
    return boxes.mean(2), np.ptp(boxes, axis=2) / 2
