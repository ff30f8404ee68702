"""The equations of one stage of an implicit-explicit method in time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pinnsuite.neural.random_features.elimination import Preconditioner
from pinnsuite.neural.random_features.semidiscrete import Linearised, Semidiscrete
from pinnsuite.neural.random_features.stages import Measured

KEPT_LENGTHS = 3
"""Of which rows and factors are kept."""


class SplitStages(Measured):
    """Solves stage after stage, one linear solve for each group of fields.

    Rows depend on the length of a step alone, so that they and their factors serve for
    all steps of one length; groups with equal rows share them.
    """

    def __init__(self, space: Semidiscrete, sizes: np.ndarray) -> None:
        super().__init__(space, sizes)
        self._kept: dict[float, Sequence[tuple[Linearised, Preconditioner]]] = {}

    def move(self, space: Semidiscrete) -> None:
        """Go on with other patches."""
        super().move(space)
        self._kept.clear()

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
            One over the step times the diagonal of the implicit method.
        known
            What the stages before add at the points: (equations, patches, n).
        guess
            To begin with.
        """
        c = guess
        try:
            kept = self._factors(time, rate)
        except np.linalg.LinAlgError:
            return None
        for part, (linearised, factors) in zip(self.space.groups, kept, strict=True):
            now = [c, rate * (c - start)]
            target = self.space.target(part, time, now, linearised, rate * known)
            if not np.isfinite(target).all():
                return None
            rows = self.space.rows(part, linearised, target, c)
            c = c.copy()
            c[:, part.fields] += rows.solved(factors)
        return self.space.gauged(c)

    def _factors(
        self, time: float, rate: float
    ) -> Sequence[tuple[Linearised, Preconditioner]]:
        """Return rows and factors of each group for a length of the step."""
        found = self._kept.pop(rate, None)
        if found is None:
            found = []
            none = [np.zeros(self.space.shape)] * 2
            for k, part in enumerate(self.space.groups):
                rows = self.space.linearised(part, time, none, rate)
                for other, (theirs, factors) in zip(
                    self.space.groups[:k], found, strict=True
                ):
                    if part.is_like(other) and np.array_equal(
                        rows.matrix, theirs.matrix
                    ):
                        found.append((theirs, factors))
                        break
                else:
                    found.append((rows, self.space.factors(part, rows)))
        self._kept[rate] = found
        while len(self._kept) > KEPT_LENGTHS:
            del self._kept[next(iter(self._kept))]
        return found
