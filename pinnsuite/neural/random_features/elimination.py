"""From the rows of patches and joints to their least-squares solution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import scipy.sparse.linalg

from pinnsuite.neural.random_features.block_cholesky import normal
from pinnsuite.neural.random_features.block_least_squares import (
    ROUND_OFF,
    Coupling,
    solve,
    triangular,
)
from pinnsuite.neural.random_features.block_triangle import BlockTriangle
from pinnsuite.neural.random_features.condensed import condensed
from pinnsuite.neural.random_features.dissection import Union
from pinnsuite.neural.random_features.joints import Joint

MAX_ITERATIONS = 25
"""LSQR steps with old factors before new ones are made: they cost about as much."""
SQUARED = 1e-14
"""Share of the diagonal of normal equations that is added to it: of a pressure in a
short step the rest is not much more."""
MORE, MOST_DAMPING = 100.0, 1e-6
"""Times the damping of indefinite normal equations, and how far it may rise."""
MAX_NORM = 5.0
"""Frobenius norm of `A R⁻¹` on what LSQR saw, by the root of its steps, from which its
stopping rule says nothing: one where the factors are those of the rows."""


@runtime_checkable
class Factors(Protocol):
    """A matrix K with `K Kᵀ = N⁻¹` for normal equations N."""

    @property
    def size(self) -> int:
        """The number of columns."""
        ...

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Return `K right`."""
        ...

    def solve_transposed(self, right: np.ndarray) -> np.ndarray:
        """Return `Kᵀ right`: (size,)."""
        ...


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of patches and between them, to be met by `old` and what is added to it.

    Attributes
    ----------
    matrix, target
        Rows of each patch: (patches, rows, unknowns) and (patches, rows); the target is
        of what is added.
    old
        What is added to: (patches, fields, functions).
    joints
        Rows between patches; they hold for the sum.
    """

    matrix: np.ndarray
    target: np.ndarray
    old: np.ndarray
    joints: Sequence[Joint]

    @cached_property
    def _jumps(self) -> list[np.ndarray]:
        return [j.weighted(self.old) for j in self.joints]

    def solved(self, known: Factors) -> np.ndarray:
        """Return the solution of the normal equations whose factors are known."""
        right = np.einsum("prn,pr->pn", self.matrix, self.target)
        right = right.reshape(self.old.shape)
        for j, jump in zip(self.joints, self._jumps, strict=True):
            jump = j.weights[:, None] * jump
            np.subtract.at(right[:, j.field], j.lower, jump @ j.left)
            np.add.at(right[:, j.field], j.upper, jump @ j.right)
        found = known.solve(known.solve_transposed(right.ravel()))
        return found.reshape(self.old.shape)

    def squared(self, order: int | Union, damping: float = SQUARED) -> Factors:
        """Return the factors of the normal equations.

        Cheaper than an orthogonal elimination by far, and good for functions that are
        not nearly dependent. Traces are unknowns too where they are fewer than the
        coefficients: not on patches of three coordinates.

        Parameters
        ----------
        order
            In which patches are joined, see `Partition.order`.
        damping
            Share of the diagonal that is added to it; more where round-off leaves the
            matrix indefinite.

        Raises
        ------
        numpy.linalg.LinAlgError
            If that does not help.
        """
        fields, joints = self.old.shape[1], [j.independent for j in self.joints]
        traces = sum(len(j.lower) * len(j.left) for j in joints)
        is_condensed = traces < self.old.size
        own = self._squares(joints, 2.0 if is_condensed else 1.0)
        while True:
            try:
                if is_condensed:
                    return condensed(own, fields, joints, order, damping)
                return normal(own, fields, joints, damping)
            except np.linalg.LinAlgError:
                # Patches of which the domain leaves little hold nearly dependent rows.
                damping *= MORE
                if damping > MOST_DAMPING:
                    raise

    def _squares(self, joints: Sequence[Joint], times: float) -> np.ndarray:
        """Return the normal equations of each patch: (patches, unknowns, unknowns).

        Those of rows to other patches count so many times.
        """
        size = self.old.shape[2]
        own: np.ndarray = np.swapaxes(self.matrix, 1, 2) @ self.matrix
        for j in joints:
            those = slice(j.field * size, (j.field + 1) * size)
            squares, is_alone = j.weights**2, j.lower == j.upper
            # Across a period a patch may touch itself.
            for owners, factors, rows in (
                (j.lower, squares * is_alone, j.left - j.right),
                (j.lower, times * squares * ~is_alone, j.left),
                (j.upper, times * squares * ~is_alone, j.right),
            ):
                total = np.bincount(owners, factors, minlength=len(own))
                touched = np.flatnonzero(total)
                square = total[touched, None, None] * (rows.T @ rows)
                own[touched, those, those] += square
        return own

    def eliminated(
        self, damping: float = ROUND_OFF
    ) -> tuple[np.ndarray, BlockTriangle]:
        """Return the solution by orthogonal elimination, and its factors.

        The rows of each patch are brought to triangular form first; then the patches
        are eliminated one by one.
        """
        _, fields, size = self.old.shape
        n = fields * size
        both = np.concatenate([self.matrix, self.target[..., None]], axis=2)
        if both.shape[1] > n + 1 and self.joints:
            both = np.stack([triangular(b) for b in both])
        between: dict[tuple[int, int], list[np.ndarray]] = {}
        for joint, jumps in zip(self.joints, self._jumps, strict=True):
            for a, b, weight, jump in zip(
                joint.lower, joint.upper, joint.weights, jumps, strict=True
            ):
                rows = np.zeros((len(joint.left), 2 * n + 1))
                first = joint.field * size
                rows[:, first : first + size] = weight * joint.left
                rows[:, n + first : n + first + size] = -weight * joint.right
                rows[:, -1] = -jump
                between.setdefault((int(a), int(b)), []).append(rows)
        own = [[b] for b in both]
        couplings = []
        for (a, b), parts in between.items():
            rows = np.concatenate(parts)
            left, right, target = rows[:, :n], rows[:, n:-1], rows[:, -1]
            if a == b:
                own[a].append(np.column_stack([left + right, target]))
            else:
                couplings.append(Coupling((a, b), left, right, target))
        stacked = [np.concatenate(rows) for rows in own]
        solution, factors = solve(
            [(rows[:, :-1], rows[:, -1]) for rows in stacked], couplings, damping
        )
        return np.reshape(solution, self.old.shape), factors

    def iterated(
        self,
        known: Factors,
        tolerance: float,
        max_iterations: int = MAX_ITERATIONS,
    ) -> np.ndarray | None:
        """Return the solution by LSQR, with the factors of similar rows, or None.

        `tolerance` is the share of the misfit that may still be removed. None, if it is
        not in `max_iterations`.

        Source: C. C. Paige, M. A. Saunders, ACM Transactions on Mathematical Software 8
        (1982) 43-71, DOI 10.1145/355984.355989.
        """
        patches, rows, n = self.matrix.shape
        number = patches * rows

        def product(v: np.ndarray) -> np.ndarray:
            x = known.solve(v).reshape(self.old.shape)
            own = self.matrix @ x.reshape(patches, n, 1)
            between = [j.weighted(x).ravel() for j in self.joints]
            return np.concatenate([own.ravel(), *between])

        def transposed(y: np.ndarray) -> np.ndarray:
            own = y[:number].reshape(patches, 1, rows) @ self.matrix
            x = own.reshape(self.old.shape)
            first = number
            for j in self.joints:
                part = y[first : first + len(j.lower) * len(j.left)]
                part = j.weights[:, None] * part.reshape(len(j.lower), -1)
                np.add.at(x[:, j.field], j.lower, part @ j.left)
                np.subtract.at(x[:, j.field], j.upper, part @ j.right)
                first += part.size
            return known.solve_transposed(x.ravel())

        target = np.concatenate(
            [
                self.target.ravel(),
                *(-jump.ravel() for jump in self._jumps),
            ]
        )
        operator = scipy.sparse.linalg.LinearOperator(
            (target.size, known.size), matvec=product, rmatvec=transposed, dtype=float
        )
        found, why, steps, _, _, norm, *_ = scipy.sparse.linalg.lsqr(
            operator,
            target,
            atol=tolerance,
            btol=0.0,
            conlim=0.0,
            iter_lim=max_iterations,
        )
        if why == _TOO_MANY or norm > MAX_NORM * math.sqrt(1 + steps):
            return None
        return known.solve(found).reshape(self.old.shape)


_TOO_MANY = 7
"""What `lsqr` says where it ran out of steps."""
