"""Differentiation and interpolation on one axis of nodes, and on products of axes.

Source: B. Fornberg, Calculation of weights in finite difference formulas, SIAM Rev. 40
(1998) 685, DOI 10.1137/S0036144596322507; J.-P. Berrut & L. N. Trefethen, Barycentric
Lagrange interpolation, SIAM Rev. 46 (2004) 501, DOI 10.1137/S0036144502417715.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import scipy.sparse

_CHUNK = 1 << 20
"""Products of weights that the evaluation at scattered points forms at a time."""


def difference_weights(at: np.ndarray, nodes: np.ndarray, order: int) -> np.ndarray:
    """Return w with `u⁽ᵒ⁾(at_i) = Σ_j w_ij u(nodes_ij)`, exact for polynomials.

    Fornberg's recursion for all rows at once.

    Parameters
    ----------
    at
        Shape (n,).
    nodes
        Shape (n, k): the k > `order` distinct nodes of each row.
    order
        0 gives the weights of interpolation.

    Returns
    -------
    Shape (n, k).
    """
    count, width = nodes.shape
    weights = np.zeros((order + 1, width, count))
    weights[0, 0] = 1.0
    x = nodes.T
    product = np.ones(count)
    distance = x[0] - at
    for i in range(1, width):
        top = min(i, order)
        before, distance = distance, x[i] - at
        previous, product = product, np.ones(count)
        for j in range(i):
            gap = x[i] - x[j]
            product = product * gap
            if j == i - 1:
                for k in range(top, 0, -1):
                    weights[k, i] = k * weights[k - 1, j] - before * weights[k, j]
                weights[0, i] = -before * weights[0, j]
                weights[:, i] *= previous / product
            for k in range(top, 0, -1):
                weights[k, j] = (distance * weights[k, j] - k * weights[k - 1, j]) / gap
            weights[0, j] *= distance / gap
    result: np.ndarray = weights[order].T
    return result


@runtime_checkable
class Axis(Protocol):
    """Nodes along one coordinate, and how a function is rebuilt from its values."""

    @property
    def nodes(self) -> np.ndarray:
        """Return the increasing nodes; a period's right end is not one of them."""

    def interpolation(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return node indices and weights, (n, k) each, of the interpolant at `at`."""


@dataclass(frozen=True, eq=False)
class LocalAxis:
    """Any increasing nodes, with polynomials through the nearest ones.

    Differentiation is of order `order` on uniform nodes, and on nodes that are a smooth
    image of uniform ones: central in the middle, one-sided near the ends. The
    interpolation error is of order `order + 4`, so that it hides behind the scheme's.

    Attributes
    ----------
    nodes
        Shape (n,).
    order
        Even and positive.
    period
        Length after which the axis repeats, or None.
    """

    nodes: np.ndarray
    order: int
    period: float | None = None

    def needed(self, derivative: int) -> int:
        """Return how many nodes the stencil of a derivative takes."""
        if self.period is None:
            return self.order + derivative
        return self._central(derivative)

    def _central(self, derivative: int) -> int:
        return self.order + 2 * ((derivative + 1) // 2) - 1

    def derivative(self, order: int) -> scipy.sparse.csr_array:
        """Return the matrix of `dᵒ/dxᵒ` on values at the nodes."""
        n = len(self.nodes)
        rows = np.arange(n)
        if order == 0:
            return scipy.sparse.eye_array(n, format="csr")
        central = self._central(order)
        half = central // 2
        offsets = np.arange(-half, half + 1)
        if self.period is not None:
            return self._matrix(rows, rows[:, None] + offsets, order)
        middle = rows[half : n - half]
        ends = np.concatenate([rows[:half], rows[n - half :]])
        width = self.order + order
        first = np.clip(ends - width // 2, 0, n - width)
        parts = [
            self._matrix(middle, middle[:, None] + offsets, order),
            self._matrix(ends, first[:, None] + np.arange(width), order),
        ]
        return scipy.sparse.csr_array(parts[0] + parts[1])

    def _positions(self, indices: np.ndarray) -> np.ndarray:
        turns, inside = np.divmod(indices, len(self.nodes))
        positions: np.ndarray = self.nodes[inside]
        return positions if self.period is None else positions + turns * self.period

    def _matrix(
        self, rows: np.ndarray, columns: np.ndarray, order: int
    ) -> scipy.sparse.csr_array:
        n = len(self.nodes)
        weights = difference_weights(self.nodes[rows], self._positions(columns), order)
        place = (np.repeat(rows, columns.shape[1]), columns.ravel() % n)
        matrix = scipy.sparse.coo_array((weights.ravel(), place), shape=(n, n))
        return scipy.sparse.csr_array(matrix)

    def interpolation(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return indices and weights of the polynomial through `order + 4` nodes."""
        n = len(self.nodes)
        width = min(self.order + 4, n)
        if self.period is not None:
            at = self.nodes[0] + np.mod(at - self.nodes[0], self.period)
        first = np.searchsorted(self.nodes, at, side="right") - width // 2
        if self.period is None:
            first = np.clip(first, 0, n - width)
        columns = first[:, None] + np.arange(width)
        weights = difference_weights(at, self._positions(columns), 0)
        return columns % n, weights


@dataclass(frozen=True, eq=False)
class ChebyshevAxis:
    """Chebyshev points of the second kind on [lower, upper], with one polynomial.

    Spectral: the error falls faster than any power of the number of nodes for smooth
    functions. Differentiation: J. A. C. Weideman & S. C. Reddy, ACM TOMS 26 (2000) 465,
    DOI 10.1145/365723.365727.
    """

    lower: float
    upper: float
    count: int

    @cached_property
    def nodes(self) -> np.ndarray:
        """The nodes, both ends included."""
        # The sine form is symmetric to the last bit.
        unit = np.sin(
            np.pi * np.arange(1 - self.count, self.count, 2) / (2 * (self.count - 1))
        )
        return (self.lower * (1 - unit) + self.upper * (1 + unit)) / 2

    @cached_property
    def _weights(self) -> np.ndarray:
        weights = (-1.0) ** np.arange(self.count)
        weights[[0, -1]] /= 2
        return weights

    def needed(self, derivative: int) -> int:
        """Return how many nodes a derivative takes."""
        return derivative + 2

    def derivative(self, order: int) -> scipy.sparse.csr_array:
        """Return the matrix of `dᵒ/dxᵒ` on values at the nodes; it is full."""
        x, w = self.nodes, self._weights
        gaps = x[:, None] - x + np.eye(self.count)
        ratio = w / w[:, None]
        np.fill_diagonal(ratio, 0.0)
        matrix = np.eye(self.count)
        for k in range(1, order + 1):
            matrix = k * (ratio * np.diag(matrix)[:, None] - matrix) / gaps
            np.fill_diagonal(matrix, 0.0)
            np.fill_diagonal(matrix, -matrix.sum(axis=1))
        return scipy.sparse.csr_array(matrix)

    def interpolation(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return all indices and the barycentric weights."""
        unit = (at[:, None] - self.nodes) / (self.upper - self.lower)
        return _barycentric(unit, self._weights)


@dataclass(frozen=True, eq=False)
class FourierAxis:
    """`count` uniform nodes of a period [lower, upper), trigonometric interpolation."""

    lower: float
    upper: float
    count: int

    @cached_property
    def nodes(self) -> np.ndarray:
        """The nodes, without the right end."""
        steps = np.arange(self.count) / self.count
        return self.lower + (self.upper - self.lower) * steps

    def interpolation(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return all indices and the barycentric weights of the trigonometric form."""
        angle = np.pi * (at[:, None] - self.nodes) / (self.upper - self.lower)
        signs = (-1.0) ** np.arange(self.count)
        # P. Henrici, Numer. Math. 33 (1979) 225, DOI 10.1007/BF01399556.
        kernel = np.sin if self.count % 2 else np.tan
        return _barycentric(kernel(angle), signs)


def _barycentric(
    gaps: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    hit = np.abs(gaps) < 1e-15
    terms = weights / np.where(hit, 1.0, gaps)
    terms[hit.any(axis=1)] = 0.0
    terms[hit] = 1.0
    terms /= terms.sum(axis=1, keepdims=True)
    return np.broadcast_to(np.arange(len(weights)), terms.shape), terms


def interpolant(
    axes: Sequence[Axis], values: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that rebuilds `values` at any points.

    Parameters
    ----------
    axes
        One an axis of the grid.
    values
        Shape (*grid, fields).

    Returns
    -------
    Function of points (n, axes) giving (n, fields). Points that fill a tensor grid are
    recognised and cost one small matrix product an axis.
    """

    def evaluate(points: np.ndarray) -> np.ndarray:
        columns = [np.unique(c, return_inverse=True) for c in points.T]
        if np.prod([len(c) for c, _ in columns], dtype=float) > 2 * len(points):
            return _scattered(axes, values, points)
        table = values
        for k, (axis, (at, _)) in enumerate(zip(axes, columns, strict=True)):
            indices, weights = axis.interpolation(at)
            matrix = np.zeros((len(at), len(axis.nodes)))
            matrix[np.arange(len(at))[:, None], indices] = weights
            table = np.moveaxis(np.tensordot(matrix, table, axes=(1, k)), 0, k)
        found: np.ndarray = table[tuple(place for _, place in columns)]
        return found

    return evaluate


def _scattered(
    axes: Sequence[Axis], values: np.ndarray, points: np.ndarray
) -> np.ndarray:
    result = np.empty((len(points), values.shape[-1]))
    probe = [axis.interpolation(points[:1, k])[0].size for k, axis in enumerate(axes)]
    step = max(1, _CHUNK // int(np.prod(probe)))
    for start in range(0, len(points), step):
        part = points[start : start + step]
        found = [axis.interpolation(part[:, k]) for k, axis in enumerate(axes)]
        d = len(axes)
        widths = tuple(weights.shape[1] for _, weights in found)
        if widths == values.shape[:d]:
            # Every point uses every node: one matrix product for the first axis.
            first = np.zeros((len(part), values.shape[0]))
            np.put_along_axis(first, *found[0], axis=1)
            block = np.tensordot(first, values, axes=1)
            rest = found[1:]
        else:
            place = tuple(
                indices.reshape(len(part), *(-1 if j == k else 1 for j in range(d)))
                for k, (indices, _) in enumerate(found)
            )
            block, rest = values[place], found
        for _, weights in rest:
            block = np.einsum("nk,nk...->n...", weights, block)
        result[start : start + step] = block
    return result
