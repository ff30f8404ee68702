"""Cholesky factors of the normal equations of patches, by their traces on faces.

The rows `w (left u_a - right u_b) = 0` of a joint are written as two of each,
`√2 w (left u_a - t) = 0` and `√2 w (right u_b - t) = 0`: with the best t, the mean of
both sides, their squares add up to the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg.lapack

from pinnsuite.neural.random_features.dissection import Union
from pinnsuite.neural.random_features.joints import Joint


@dataclass(frozen=True, eq=False)
class _Around:
    """The places of components around a set of patches, and their matrix."""

    places: np.ndarray
    matrix: np.ndarray


@dataclass(frozen=True, eq=False)
class Front:
    """Unknowns that are eliminated together: of a patch, or between two sets of them.

    Attributes
    ----------
    inner, outer
        Their places, and those of what is coupled with them and eliminated later.
    triangle, beside
        The upper triangle of the first, and what couples them with the others.
    """

    inner: np.ndarray
    outer: np.ndarray
    triangle: np.ndarray
    beside: np.ndarray


@dataclass(frozen=True, eq=False)
class Condensed:
    """Factors `RᵀR = N` of normal equations that hold the traces on faces as unknowns.

    Patches are coupled by these alone, so that each patch is eliminated by itself
    (static condensation), and a face where the two sets of patches are joined that it
    lies between (nested dissection). `K = [I 0] R⁻¹` takes vectors of all unknowns to
    coefficients, and `K Kᵀ` is the inverse of the normal equations without traces: of
    rows that are nearly the same K is a preconditioner.

    Sources: A. George, SIAM Journal on Numerical Analysis 10 (1973) 345-363, DOI
    10.1137/0710032; P.-G. Martinsson, Journal of Computational Physics 242 (2013)
    460-479, DOI 10.1016/j.jcp.2013.02.019 (patches of spectral collocation, joined two
    by two).

    Attributes
    ----------
    coefficients
        Their number.
    size
        The number of unknowns, traces included.
    fronts
        In the order of their elimination.
    """

    coefficients: int
    size: int
    fronts: Sequence[Front]

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Return `K right`: (coefficients,)."""
        found = right.copy()
        for front in reversed(self.fronts):
            y = found[front.inner] - front.beside @ found[front.outer]
            # LAPACK itself: scipy's solve_triangular takes five times as long.
            found[front.inner], _ = scipy.linalg.lapack.dtrtrs(front.triangle, y)
        return found[: self.coefficients]

    def solve_transposed(self, right: np.ndarray) -> np.ndarray:
        """Return `Kᵀ right`: (size,)."""
        found = np.zeros(self.size)
        found[: self.coefficients] = right
        for front in self.fronts:
            y = found[front.inner]
            y, _ = scipy.linalg.lapack.dtrtrs(front.triangle, y, trans=1)
            found[front.inner] = y
            found[front.outer] -= front.beside.T @ y
        return found


def condensed(
    own: np.ndarray,
    fields: int,
    joints: Sequence[Joint],
    order: int | Union,
    damping: float,
) -> Condensed:
    """Factorise the normal equations of patches and traces.

    Parameters
    ----------
    own
        Those of each patch, in which the rows of joints count twice: (patches,
        unknowns, unknowns).
    fields
        The unknowns of a patch are the coefficients of so many.
    joints
        Rows between patches.
    order
        In which patches are joined.
    damping
        Share of the diagonal that is added to it.

    Raises
    ------
    numpy.linalg.LinAlgError
        Where the matrix is not positive definite.
    """
    patches, n, _ = own.shape
    size = n // fields
    places: list[list[np.ndarray]] = [[] for _ in range(patches)]
    beside: list[list[np.ndarray]] = [[] for _ in range(patches)]
    # What each side of a trace adds to the diagonal.
    halves = np.zeros(patches * n)
    for joint in joints:
        those = slice(joint.field * size, (joint.field + 1) * size)
        squares = joint.weights**2
        counts = (joint.lower != joint.upper) & (squares > 0.0)
        lower, upper, squares = (
            x[counts] for x in (joint.lower, joint.upper, 2.0 * squares)
        )
        count = len(joint.left)
        traces = len(halves) + np.arange(len(lower) * count).reshape(len(lower), count)
        halves = np.append(halves, np.repeat(squares, count))
        for owners, rows in ((lower, joint.left), (upper, joint.right)):
            for p, trace, square in zip(owners, traces, squares, strict=True):
                across = np.zeros((n, count))
                across[those] = -square * rows.T
                places[p].append(trace)
                beside[p].append(across)
    # Relative to each unknown: some may have rows that are small against others'.
    own = own * (1.0 + damping * np.eye(n))
    halves *= 1.0 + damping
    fronts: list[Front] = []

    def joined(order: int | Union) -> _Around:
        if isinstance(order, Union):
            return _joined(fronts, joined(order.one), joined(order.other))
        around = np.concatenate([np.zeros(0, dtype=int), *places[order]])
        across = np.concatenate([np.zeros((n, 0)), *beside[order]], axis=1)
        traces = _Around(around, np.diag(halves[around]))
        mine = order * n + np.arange(n)
        return _eliminated(fronts, mine, own[order], across, [traces])

    joined(order)
    return Condensed(patches * n, len(halves), fronts)


def _joined(fronts: list[Front], one: _Around, other: _Around) -> _Around:
    """Eliminate the components that two sets of patches both have around them."""
    both, mine, theirs = np.intersect1d(one.places, other.places, return_indices=True)
    inner, beside, around = np.zeros((len(both), len(both))), [], []
    for part, those in ((one, mine), (other, theirs)):
        rest = np.delete(np.arange(len(part.places)), those)
        inner += part.matrix[np.ix_(those, those)]
        beside.append(part.matrix[np.ix_(those, rest)])
        left = part.matrix[np.ix_(rest, rest)]
        around.append(_Around(part.places[rest], left))
    return _eliminated(fronts, both, inner, np.concatenate(beside, axis=1), around)


def _eliminated(
    fronts: list[Front],
    inner: np.ndarray,
    square: np.ndarray,
    beside: np.ndarray,
    around: Sequence[_Around],
) -> _Around:
    """Add a front; return what is left of the matrices `around` it."""
    outer = np.concatenate([part.places for part in around])
    if len(inner):
        triangle, status = scipy.linalg.lapack.dpotrf(square, clean=1)
        if status:
            raise np.linalg.LinAlgError("the matrix is not positive definite")
        if len(outer):
            beside, _ = scipy.linalg.lapack.dtrtrs(triangle, beside, trans=1)
        fronts.append(Front(inner, outer, triangle, beside))
    left = -(beside.T @ beside)
    first = 0
    for part in around:
        last = first + len(part.places)
        left[first:last, first:last] += part.matrix
        first = last
    return _Around(outer, left)
