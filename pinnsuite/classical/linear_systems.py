"""Sparse linear systems: direct by LU factors, and iterative by multigrid.

Sources: A. George, Nested dissection of a regular finite element mesh, SIAM J. Numer.
Anal. 10 (1973) 345-363, DOI 10.1137/0710032; X. S. Li, An overview of SuperLU, ACM
Trans. Math. Softw. 31 (2005) 302-325, DOI 10.1145/1089014.1089017; P. Vaněk, J. Mandel,
M. Brezina, Algebraic multigrid by smoothed aggregation, Computing 56 (1996) 179-196,
DOI 10.1007/BF02238511; N. Bell, L. N. Olson, J. Schroder, PyAMG, DOI
10.21105/joss.04142.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import cg, splu

from pinnsuite.solution.solution import Status

Array = np.ndarray

LINEAR_SOLVERS = ("direct", "multigrid")
"""LU factors of any matrix; conjugate gradients, multigrid before them, of a definite
one."""

BACKWARD_ERROR = 1e-14
"""Residual that a direct solution may leave, relative to `|A| |x| + |b|`, …"""

PIVOT = 1e-2
"""Share of its column below which a diagonal entry is not taken as a pivot."""

REFINEMENTS = 3
"""… after so many corrections; else the factors are made again, with pivoting."""

CG_TOLERANCE = 1e-12
CG_STEPS = 300


class SolveFailedError(Exception):
    """Ends a solve with a status and a sentence."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


def nested_dissection(centres: Array, dofs: Sequence[Array], size: int) -> Array:
    """Return an order of elimination with little fill: (size,).

    The cells are halved across their longest extent, and the halves in turn. Unknowns
    that belong to both halves separate them and come after those of each. Where two
    have the same place their order is kept, so that pressures, numbered last, follow
    the velocities around them and meet no zero pivot.

    Parameters
    ----------
    centres
        Of the cells, (m, d).
    dofs
        The unknowns of the cells, in arrays (m, functions).
    size
        The number of unknowns.
    """
    places, depth = _bisected(centres)
    first = np.full(size, 2**depth, dtype=np.int64)
    last = np.full(size, -1, dtype=np.int64)
    for table in dofs:
        place = np.repeat(places, table.shape[1])
        np.minimum.at(first, table.ravel(), place)
        np.maximum.at(last, table.ravel(), place)
    # The smallest part with all cells of an unknown is as many levels high as its first
    # and last place differ in binary digits.
    height = np.frexp((first ^ last).astype(float))[1]
    end = ((last >> height) + 1) << height
    order: Array = np.lexsort((height, end))
    return order


def _bisected(centres: Array) -> tuple[Array, int]:
    """Return the place of each cell among the leaves of a tree, and its depth."""
    count = len(centres)
    depth = math.ceil(math.log2(count)) if count > 1 else 0
    place = np.zeros(count, dtype=np.int64)
    for _ in range(depth):
        order = np.argsort(place, kind="stable")
        parts = place[order]
        start = np.flatnonzero(np.append(True, parts[1:] != parts[:-1]))
        sizes = np.diff(np.append(start, count))
        part = np.repeat(np.arange(len(start)), sizes)
        points = centres[order]
        extent = np.maximum.reduceat(points, start) - np.minimum.reduceat(points, start)
        along = points[np.arange(count), extent.argmax(axis=1)[part]]
        is_high = np.arange(count) - start[part] >= (sizes[part] + 1) // 2
        place[order[np.lexsort((along, part))]] = 2 * parts + is_high
    return place, depth


class _Direct:
    """LU factors in the given order, or with full pivoting where that fails."""

    def __init__(self, matrix: sparse.csc_matrix, order: Array) -> None:
        self._matrix = matrix
        self._size = float(abs(matrix).sum(axis=1).max())
        self._order: Array | None = order
        try:
            self._lu = splu(
                matrix[order][:, order],
                permc_spec="NATURAL",
                diag_pivot_thresh=PIVOT,
                options={"SymmetricMode": True},
            )
        except RuntimeError:
            self._pivot()

    def _pivot(self) -> None:
        self._order = None
        try:
            self._lu = splu(self._matrix, permc_spec="COLAMD")
        except RuntimeError as error:
            raise SolveFailedError(
                Status.FAILED,
                f"The system of {self._matrix.shape[0]} equations is singular "
                f"({error}). Is every field fixed by its equation and its conditions, "
                "and is the mixed element stable (P2 for velocities with P1 for the "
                "pressure)?",
            ) from None

    def solve(self, right: Array) -> Array:
        right = right.astype(np.result_type(right, self._matrix.dtype))
        x = np.zeros_like(right)
        residual = right
        for _ in range(REFINEMENTS if self._order is not None else 0):
            x[self._order] += self._lu.solve(residual[self._order])
            residual = right - self._matrix @ x
            allowed = self._size * np.abs(x).max() + np.abs(right).max()
            if np.abs(residual).max() <= BACKWARD_ERROR * allowed:
                return x
        if self._order is not None:
            self._pivot()
        result: Array = self._lu.solve(right)
        return result


class _Multigrid:
    """Conjugate gradients with one cycle of smoothed aggregation before each step."""

    def __init__(self, matrix: sparse.csc_matrix, constants: Array | None) -> None:
        import pyamg

        is_symmetric = abs(matrix - matrix.T).max() <= 1e-12 * abs(matrix).max()
        signs = np.sign(matrix.diagonal())
        if not is_symmetric or signs[0] == 0 or (signs != signs[0]).any():
            raise SolveFailedError(
                Status.FAILED,
                "linear_solver='multigrid' takes symmetric, definite systems, and this "
                "one is not (transport, a mixed method or a sign turned round make it "
                "so); use linear_solver='direct'.",
            )
        self._sign = signs[0]
        self._matrix = (self._sign * matrix).tocsr()
        hierarchy = pyamg.smoothed_aggregation_solver(self._matrix, B=constants)
        self._cycle = hierarchy.aspreconditioner()

    def solve(self, right: Array) -> Array:
        x, left = cg(
            self._matrix,
            self._sign * right,
            rtol=CG_TOLERANCE,
            maxiter=CG_STEPS,
            M=self._cycle,
        )
        if left:
            raise SolveFailedError(
                Status.FAILED,
                f"Conjugate gradients have not converged in {CG_STEPS} steps, so the "
                "system is badly conditioned or not definite; use "
                "linear_solver='direct'.",
            )
        result: Array = x
        return result


class LinearSystem:
    """`A x = b`, or with the mean of a field that A leaves free up to a constant.

    With a border m the system is `A x + λ m = b, m·x = c`. A is singular, so one
    diagonal entry is added, and taken off again by a system of two equations; the dense
    row and column would fill the factors.

    Parameters
    ----------
    matrix
        A, square.
    order
        Of elimination, see `nested_dissection`.
    constants
        Functions that multigrid must keep on coarse levels, one a column: 1 on the
        degrees of freedom of an unknown, for each. None takes one that is 1 everywhere.
    border
        m, or None.
    method
        One of `LINEAR_SOLVERS`.

    Raises
    ------
    SolveFailedError
        If A is singular, or not for the method.
    """

    def __init__(
        self,
        matrix: sparse.csc_matrix,
        order: Array,
        *,
        constants: Array | None = None,
        border: Array | None = None,
        method: str = "direct",
    ) -> None:
        self._border = border
        if border is not None:
            self._node = int(border.nonzero()[0][0])
            self._shift = abs(matrix[:, [self._node]]).max()
            unit = ([self._shift], ([self._node], [self._node]))
            matrix = matrix + sparse.csc_matrix(unit, shape=matrix.shape)
        self._solver: _Direct | _Multigrid
        if method == "direct":
            self._solver = _Direct(matrix, order)
        else:
            self._solver = _Multigrid(matrix, constants)
        if border is not None:
            unit_vector = np.zeros(matrix.shape[0], dtype=matrix.dtype)
            unit_vector[self._node] = 1.0
            self._b = self._solver.solve(unit_vector)
            self._c = self._solver.solve(border.astype(matrix.dtype))

    def solve(self, right: Array, mean: Any = 0.0) -> tuple[Array, Any]:
        """Return x and the multiplier λ (0 without a border)."""
        x = self._solver.solve(right)
        if self._border is None:
            return x, 0.0
        m, b, c = self._border, self._b, self._c
        i, s = self._node, self._shift
        matrix = np.array([[m @ b, -(m @ c)], [s * b[i] - 1.0, -s * c[i]]])
        alpha, multiplier = np.linalg.solve(matrix, [mean - m @ x, -s * x[i]])
        return x + alpha * b - multiplier * c, multiplier
