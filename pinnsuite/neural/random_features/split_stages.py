"""The equations of one stage of an implicit-explicit method in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pinnsuite.neural.random_features.elimination import Factors
from pinnsuite.neural.random_features.semidiscrete import (
    Linearised,
    Semidiscrete,
    Shifts,
)
from pinnsuite.neural.random_features.stages import Measured

KEPT_LENGTHS = 3
"""Of which rows and factors are kept."""


@dataclass(frozen=True, eq=False)
class _Kept:
    """What steps of one length share: rows and factors, group by group."""

    shifts: Shifts
    systems: Sequence[tuple[Linearised, Factors]]


class SplitStages(Measured):
    """Solves stage after stage, one linear solve for each group of fields.

    Rows depend on the length of a step alone, so that they and their factors serve for
    all steps of one length; groups with equal rows share them. When they are made, the
    means of factors of derivatives move to the linear part: of nonlinear advection the
    mean wind, say.
    """

    def __init__(self, space: Semidiscrete, sizes: np.ndarray) -> None:
        super().__init__(space, sizes)
        self._kept: dict[float, _Kept] = {}

    def move(self, space: Semidiscrete) -> None:
        """Go on with other patches."""
        super().move(space)
        self._kept.clear()

    def prepare(self, time: float, c: np.ndarray, rate: float) -> bool:
        """Make what steps of a length need; False without finite factors.

        `rate` is one over the length times the diagonal of the implicit method.
        """
        known = self._kept.pop(rate, None)
        if known is None:
            shifts = self.space.shifts(time, c)
            try:
                known = _Kept(shifts, self._systems(time, c, rate, shifts))
            except np.linalg.LinAlgError:
                return False
        self._kept[rate] = known
        while len(self._kept) > KEPT_LENGTHS:
            del self._kept[next(iter(self._kept))]
        return True

    def explicit(self, time: float, c: np.ndarray, rate: float) -> np.ndarray:
        """Return what the explicit parts add to the derivatives in time."""
        shifted = self.space.shifted(c, self._kept[rate].shifts)
        found: np.ndarray = self.space.explicit(time, c) + shifted
        return found

    def solve(
        self,
        time: float,
        start: np.ndarray,
        rate: float,
        known: np.ndarray,
        guess: np.ndarray,
    ) -> np.ndarray | None:
        """Return the coefficients; None where they are not finite.

        Parameters
        ----------
        time
            Of the stage.
        start
            The coefficients when the step begins.
        rate
            For which it is prepared.
        known
            What the stages before add at the points: (equations, patches, n).
        guess
            To begin with.
        """
        c, kept = guess, self._kept[rate]
        for part, (linearised, factors) in zip(
            self.space.groups, kept.systems, strict=True
        ):
            now = [c, rate * (c - start)]
            less = rate * known - self.space.shifted(c, kept.shifts)
            target = self.space.target(part, time, now, linearised, less)
            if not np.isfinite(target).all():
                return None
            rows = self.space.rows(part, linearised, target, c)
            c = c.copy()
            c[:, part.fields] += rows.solved(factors)
        return self.space.gauged(c)

    def damped(self, terms: np.ndarray, rate: float) -> np.ndarray:
        """Return what the implicit Euler method makes of terms at the points."""
        found = np.zeros(self.space.shape)
        systems = self._kept[rate].systems
        for part, (linearised, factors) in zip(self.space.groups, systems, strict=True):
            if self.space.evolves[part.fields].any():
                target = self.space.only_inside(part, linearised, rate * terms)
                rows = self.space.rows(part, linearised, target, np.zeros_like(found))
                found[:, part.fields] = rows.solved(factors)
        return found

    def settled(self, time: float, c: np.ndarray, rate: float) -> np.ndarray:
        """Return the fields with those that do not evolve made to follow the others."""
        systems = self._kept[rate].systems
        none = np.zeros_like(c)
        for part, (linearised, factors) in zip(self.space.groups, systems, strict=True):
            if self.space.evolves[part.fields].any():
                continue
            target = self.space.target(part, time, [c, none], linearised)
            rows = self.space.rows(part, linearised, target, c)
            c = c.copy()
            c[:, part.fields] += rows.solved(factors)
        return self.space.gauged(c)

    def _systems(
        self, time: float, c: np.ndarray, rate: float, shifts: Shifts
    ) -> list[tuple[Linearised, Factors]]:
        space = self.space
        found: list[tuple[Linearised, Factors]] = []
        for k, part in enumerate(space.groups):
            rows = space.linearised(part, time, [c, np.zeros_like(c)], rate, shifts)
            for other, (theirs, factors) in zip(space.groups[:k], found, strict=True):
                if part.is_like(other) and np.array_equal(rows.matrix, theirs.matrix):
                    found.append((theirs, factors))
                    break
            else:
                found.append((rows, space.factors(part, rows)))
        return found
