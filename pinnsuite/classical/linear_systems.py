"""Sparse linear systems: direct, by LU factors, and iterative, by multigrid."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from pinnsuite.solution.solution import Status

Array = np.ndarray


class SolveFailedError(Exception):
    """Ends a solve with a status and a sentence."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


class Factor:
    """LU factors on the free nodes, with the mean of a gauged field set to 0.

    With a gauge the system is `A x + λ m = r, m·x = c`, m the integrals of the shape
    functions. A is singular, so one diagonal entry is added, and taken off again by a
    system of two equations; the dense row and column would fill the factors.
    """

    def __init__(self, matrix: sparse.csc_matrix, border: Array | None = None) -> None:
        self._border = border
        if border is not None:
            self._node = int(border.nonzero()[0][0])
            self._shift = abs(matrix[:, [self._node]]).max()
            unit = ([self._shift], ([self._node], [self._node]))
            matrix = matrix + sparse.csc_matrix(unit, shape=matrix.shape)
        try:
            self._lu = splu(matrix, **ordering(matrix))
        except RuntimeError as error:
            raise SolveFailedError(
                Status.FAILED,
                f"The system of {matrix.shape[0]} equations is singular ({error}). "
                "Is every field fixed by its equation and its conditions, and is the "
                "mixed element stable (P2 for velocities with P1 for the pressure)?",
            ) from None
        if self._border is not None:
            unit_vector = np.zeros(matrix.shape[0], dtype=matrix.dtype)
            unit_vector[self._node] = 1.0
            self._b = self._lu.solve(unit_vector)
            self._c = self._lu.solve(self._border.astype(matrix.dtype))

    def solve(self, right: Array, mean: Any = 0.0) -> tuple[Array, Any]:
        """Return x and the multiplier λ (0 without a gauge)."""
        x = self._lu.solve(right)
        if self._border is None:
            return x, 0.0
        m, b, c = self._border, self._b, self._c
        i, s = self._node, self._shift
        matrix = np.array([[m @ b, -(m @ c)], [s * b[i] - 1.0, -s * c[i]]])
        alpha, multiplier = np.linalg.solve(matrix, [mean - m @ x, -s * x[i]])
        return x + alpha * b - multiplier * c, multiplier


def ordering(matrix: sparse.csc_matrix) -> dict[str, Any]:
    """Return the options of SuperLU: no pivoting where the matrix is definite."""
    is_symmetric = abs(matrix - matrix.T).max() <= 1e-12 * abs(matrix).max()
    if is_symmetric and (matrix.diagonal().real > 0).all():
        return {
            "permc_spec": "MMD_AT_PLUS_A",
            "diag_pivot_thresh": 0.0,
            "options": {"SymmetricMode": True},
        }
    return {"permc_spec": "COLAMD"}
