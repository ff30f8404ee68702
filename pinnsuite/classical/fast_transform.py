"""Laplacians with constant coefficients, inverted by sine and cosine transforms.

As a preconditioner of conjugate gradients they make the number of steps independent of
the grid: it grows with the contrast of the coefficient.
Source: P. Concus & G. H. Golub, Use of fast direct methods for the efficient numerical
solution of nonseparable elliptic equations, SIAM J. Numer. Anal. 10 (1973) 1103, DOI
10.1137/0710092.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.fft
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg

from pinnsuite.classical.cell_grid import CellAxis
from pinnsuite.classical.linear_systems import CG_TOLERANCE, SolveFailedError
from pinnsuite.solution.solution import Status

CG_STEPS = 2000


class TransformedLaplacian:
    """The cell-centred Laplacian on a uniform grid, diagonal in a transform.

    Parameters
    ----------
    axes
        Uniform, one a coordinate.
    ends
        Whether the value (else the slope) is held at the lower and upper end, an axis.
    """

    def __init__(
        self, axes: Sequence[CellAxis], ends: Sequence[tuple[bool, bool]]
    ) -> None:
        self._shape = tuple(len(axis.centres) for axis in axes)
        self._volume = float(np.prod([axis.widths.mean() for axis in axes]))
        self._ends = tuple(ends)
        self._eigenvalues = [
            _eigenvalues(axis, end) for axis, end in zip(axes, ends, strict=True)
        ]

    def solver(
        self, matrix: sparse.csr_array, conductivity: np.ndarray, extra: float
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Return the function that solves `matrix x = right`.

        Parameters
        ----------
        matrix
            Symmetric, positive definite: a Laplacian with coefficient, times the
            volume of a cell, plus a diagonal.
        conductivity
            The mean coefficient along each axis.
        extra
            The mean of that diagonal.
        """
        scale = np.full((), extra)
        for a, values in zip(conductivity, self._eigenvalues, strict=True):
            scale = np.add.outer(scale, a * self._volume * values)
        # Where no value is held the constant is left to conjugate gradients.
        scale = np.maximum(scale, 1e-3 * scale[scale > 0].min())

        def precondition(residual: np.ndarray) -> np.ndarray:
            table = self._transform(residual.reshape(self._shape), inverse=False)
            return self._transform(table / scale, inverse=True).ravel()

        operator = LinearOperator(matrix.shape, matvec=precondition, dtype=float)

        def solve(right: np.ndarray) -> np.ndarray:
            x, left = cg(matrix, right, rtol=CG_TOLERANCE, maxiter=CG_STEPS, M=operator)
            if left:
                raise SolveFailedError(
                    Status.FAILED,
                    f"Conjugate gradients have not converged in {CG_STEPS} steps; use "
                    "linear_solver='direct'.",
                )
            result: np.ndarray = x
            return result

        return solve

    def _transform(self, table: np.ndarray, *, inverse: bool) -> np.ndarray:
        for k, (low, high) in enumerate(self._ends):
            kind = 2 if low == high else 4
            name = ("i" if inverse else "") + ("dst" if low else "dct")
            table = getattr(scipy.fft, name)(table, type=kind, axis=k, norm="ortho")
        return table


def _eigenvalues(axis: CellAxis, ends: tuple[bool, bool]) -> np.ndarray:
    n = len(axis.centres)
    low, high = ends
    mode = np.arange(n) + (0.5 if low != high else float(low))
    found: np.ndarray = (2 / axis.widths.mean() * np.sin(np.pi * mode / (2 * n))) ** 2
    return found
