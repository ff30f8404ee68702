"""Grids of cells on boxes: faces where coefficients jump, and values between centres.

Source: A. A. Samarskii, The Theory of Difference Schemes, 2001, ch. 3, DOI
10.1201/9780203908518 (conservative schemes for discontinuous coefficients).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy as sp
from scipy import sparse

from pinnsuite.problem.definition import Problem
from pinnsuite.problem.jumps import jump_planes

STENCIL = 4
"""Centres along each axis that a value between them is taken from."""

_SAME = 1e-9
"""Positions that differ by less than this share of a side are one."""


@dataclass(frozen=True, eq=False)
class CellAxis:
    """Cells along one coordinate.

    Attributes
    ----------
    faces
        Increasing, shape (n + 1,); both ends of the side included.
    is_periodic
        Whether the last cell's neighbour is the first.
    """

    faces: np.ndarray
    is_periodic: bool = False

    @cached_property
    def centres(self) -> np.ndarray:
        """Return the middles of the cells: (n,)."""
        middles: np.ndarray = (self.faces[1:] + self.faces[:-1]) / 2
        return middles

    @cached_property
    def widths(self) -> np.ndarray:
        """Return the widths of the cells: (n,)."""
        return np.diff(self.faces)

    @property
    def is_uniform(self) -> bool:
        """All cells have the same width."""
        return float(np.ptp(self.widths)) <= 1e-9 * float(self.widths.mean())

    def stencil(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the cells around points and by how many periods they are moved."""
        n = len(self.centres)
        first = np.searchsorted(self.centres, at, side="right") - STENCIL // 2
        if not self.is_periodic:
            first = np.clip(first, 0, n - STENCIL)
        turns, cells = np.divmod(first[:, None] + np.arange(STENCIL), n)
        return cells, turns * (self.faces[-1] - self.faces[0])


def cell_axes(
    problem: Problem, periodic: Iterable[sp.Symbol], cells: int, refinements: int
) -> list[CellAxis]:
    """Return an axis a coordinate, with about `cells` cells along the longest side.

    Where a coefficient jumps across a plane there is a face, so that no cell holds two
    values; each layer is divided uniformly, and anew into halves by each refinement.
    Where there are more such planes than cells asked for (the pixels of a table) some
    are passed over, until refinement reaches them all.
    """
    assert problem.domain is not None
    closed = set(periodic)
    axes = []
    for x, (low, high) in zip(problem.space, problem.domain.bounds, strict=True):
        low, high = float(low), float(high)
        edges = jump_planes(problem, x)
        for level in range(refinements + 1):
            width = problem.domain.extent / (cells * 2**level)
            stride = max(math.ceil((len(edges) + 1) * width / (high - low) - _SAME), 1)
            if stride == 1:
                break
        ends = np.array([low, *edges[stride - 1 :: stride], high])
        counts = np.maximum(np.rint(np.diff(ends) / width), 1).astype(int)
        if counts.sum() < STENCIL:
            counts *= STENCIL
        counts *= 2 ** (refinements - level)
        parts = [
            np.linspace(a, b, n, endpoint=False)
            for a, b, n in zip(ends[:-1], ends[1:], counts, strict=True)
        ]
        axes.append(CellAxis(np.append(np.concatenate(parts), high), x in closed))
    return axes


def interpolation(
    axes: Sequence[CellAxis], points: np.ndarray, conductivity: Sequence[np.ndarray]
) -> sparse.csr_array:
    """Return the matrix from values at centres to values at points.

    Along an axis the flux `a u_x` is a quadratic polynomial, through four centres, so a
    kink of u at a face where a jumps is kept; with a constant, u is a cubic.

    Parameters
    ----------
    axes
        One a coordinate.
    points
        Shape (n, d), inside the box.
    conductivity
        One array a coordinate: a in each cell, shape (*cells) or () where it is smooth.
    """
    shape = tuple(len(axis.centres) for axis in axes)
    count, d = points.shape
    stencils = [axis.stencil(at) for axis, at in zip(axes, points.T, strict=True)]
    own = [
        np.clip(np.searchsorted(axis.faces, at, side="right") - 1, 0, n - 1)
        for axis, at, n in zip(axes, points.T, shape, strict=True)
    ]

    def spread(table: np.ndarray, k: int) -> np.ndarray:
        """Give a table (count, STENCIL) of axis k its place among all axes."""
        return table.reshape(count, *(STENCIL if j == k else 1 for j in range(d)))

    index = np.zeros((count, *(1 for _ in axes)), dtype=np.int64)
    weights = np.ones(index.shape)
    for k, axis in enumerate(axes):
        cells, moved = stencils[k]
        index = index * shape[k] + spread(cells, k)
        a = np.ones((count, *(STENCIL if j == k else 1 for j in range(d))))
        if conductivity[k].ndim:
            # First along the first axis, in every row; what follows is at the point.
            place = [
                own[j].reshape(count, *(1 for _ in axes))
                if j < k
                else spread(stencils[j][0], j)
                for j in range(d)
            ]
            a = conductivity[k][tuple(place)]
        low = axis.faces[cells] + moved
        high = axis.faces[cells + 1] + moved
        found = _weights(points[:, k], low, high, np.moveaxis(a, k + 1, -1))
        weights = weights * np.moveaxis(found, -1, k + 1)
    size = STENCIL**d
    return sparse.csr_array(
        (
            np.broadcast_to(weights, (count, *(STENCIL,) * d)).ravel(),
            index.ravel(),
            np.arange(0, count * size + 1, size),
        ),
        shape=(count, int(np.prod(shape))),
    )


def _weights(
    at: np.ndarray, low: np.ndarray, high: np.ndarray, a: np.ndarray
) -> np.ndarray:
    """Return w with `u(at) = Σ w_j u_j` if the flux `a u'` is quadratic in between.

    Parameters
    ----------
    at
        Shape (n,).
    low, high
        Ends of the cells, (n, STENCIL).
    a
        Conductivity in the cells, (n, …, STENCIL).
    """
    scale = (high[:, -1:] - low[:, :1]) / 2
    z = np.stack([low, (low + high) / 2, high]) - at[:, None]
    low, centre, high = z / scale
    # ∫ ξᵏ dξ over the part of cell m that lies between the point and centre j.
    reached = np.clip(centre[:, :, None], low[:, None], high[:, None])
    left = np.clip(0.0, low, high)[:, None]
    middle = tuple(range(1, a.ndim - 1))
    rows = [np.ones(a.shape)]
    for k in range(1, STENCIL):
        parts = np.expand_dims((reached**k - left**k) / k, middle)
        rows.append((parts / a[..., None, :]).sum(axis=-1))
    matrix = np.stack(rows, axis=-2)
    unit = np.zeros((*matrix.shape[:-1], 1))
    unit[..., 0, 0] = 1.0
    found: np.ndarray = np.linalg.solve(matrix, unit)[..., 0]
    return found
