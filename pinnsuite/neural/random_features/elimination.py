"""From the rows of patches and joints to their least-squares solution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse.linalg

from pinnsuite.neural.random_features.block_cholesky import cholesky
from pinnsuite.neural.random_features.block_least_squares import (
    ROUND_OFF,
    Coupling,
    solve,
    triangular,
)
from pinnsuite.neural.random_features.block_triangle import BlockTriangle

MAX_ITERATIONS = 25
"""LSQR steps with old factors before new ones are made: they cost about as much."""
MORE, MOST_DAMPING = 100.0, 1e-6
"""Times the damping of indefinite normal equations, and how far it may rise."""
MAX_NORM = 5.0
"""Frobenius norm of `A R⁻¹` on what LSQR saw, by the root of its steps, from which its
stopping rule says nothing: one where the factors are those of the rows."""


@dataclass(frozen=True, eq=False)
class Joint:
    """Rows `left u_a - right u_b = 0` of one field across interfaces of one shape.

    Attributes
    ----------
    lower, upper
        The patches a and b of each interface: (interfaces,).
    left, right
        Shape (rows, functions).
    field
        Its number.
    weights
        How much the rows of each interface count: (interfaces,).
    """

    lower: np.ndarray
    upper: np.ndarray
    left: np.ndarray
    right: np.ndarray
    field: int
    weights: np.ndarray

    def jumps(self, coefficients: np.ndarray) -> np.ndarray:
        """Return the misfit of the rows, (interfaces, rows)."""
        jumps: np.ndarray = (
            coefficients[self.lower, self.field] @ self.left.T
            - coefficients[self.upper, self.field] @ self.right.T
        )
        return jumps

    def weighted(self, coefficients: np.ndarray) -> np.ndarray:
        """Return the misfit of the rows as it counts, (interfaces, rows)."""
        found: np.ndarray = self.weights[:, None] * self.jumps(coefficients)
        return found


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

    def solved(self, known: BlockTriangle) -> np.ndarray:
        """Return the solution of the normal equations whose factors are known."""
        right = np.einsum("prn,pr->pn", self.matrix, self.target)
        right = right.reshape(self.old.shape)
        for j, jump in zip(self.joints, self._jumps, strict=True):
            jump = j.weights[:, None] * jump
            np.subtract.at(right[:, j.field], j.lower, jump @ j.left)
            np.add.at(right[:, j.field], j.upper, jump @ j.right)
        parts = known.solve(known.solve_transposed(self._split(right)))
        return np.reshape(parts, self.old.shape)

    def squared(self, damping: float) -> BlockTriangle:
        """Return the factors of the normal equations.

        Cheaper than an orthogonal elimination by far, and good for functions that are
        not nearly dependent.

        Parameters
        ----------
        damping
            Share of the diagonal that is added to it; more where round-off leaves the
            matrix indefinite.

        Raises
        ------
        numpy.linalg.LinAlgError
            If that does not help.
        """
        _, fields, size = self.old.shape
        n = fields * size
        own = np.swapaxes(self.matrix, 1, 2) @ self.matrix
        between: dict[tuple[int, int], np.ndarray] = {}
        for joint in self.joints:
            those = slice(joint.field * size, (joint.field + 1) * size)
            left, right = joint.left, joint.right
            here, there, both = left.T @ left, right.T @ right, -left.T @ right
            pairs = zip(joint.lower.tolist(), joint.upper.tolist(), strict=True)
            for (a, b), square in zip(pairs, joint.weights**2, strict=True):
                own[a, those, those] += square * here
                own[b, those, those] += square * there
                if a == b:
                    own[a, those, those] += square * (both + both.T)
                    continue
                block = between.setdefault((min(a, b), max(a, b)), np.zeros((n, n)))
                block[those, those] += square * (both if a < b else both.T)
        while True:
            try:
                return cholesky(own, between, damping)
            except np.linalg.LinAlgError:
                # Patches of which the domain leaves little hold nearly dependent rows.
                damping *= MORE
                if damping > MOST_DAMPING:
                    raise

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
        known: BlockTriangle,
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
        unknowns = self.old.size

        def product(v: np.ndarray) -> np.ndarray:
            x = np.reshape(known.solve(self._split(v)), self.old.shape)
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
            return np.concatenate(known.solve_transposed(self._split(x)))

        target = np.concatenate(
            [
                self.target.ravel(),
                *(-jump.ravel() for jump in self._jumps),
            ]
        )
        operator = scipy.sparse.linalg.LinearOperator(
            (target.size, unknowns), matvec=product, rmatvec=transposed, dtype=float
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
        return np.reshape(known.solve(self._split(found)), self.old.shape)

    def _split(self, vector: np.ndarray) -> list[np.ndarray]:
        """Return the part of each patch."""
        return list(vector.reshape(len(self.old), -1))


_TOO_MANY = 7
"""What `lsqr` says where it ran out of steps."""
