"""The equations of one stage of an implicit method in time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pinnsuite.neural.random_features.elimination import Factors, Rows
from pinnsuite.neural.random_features.semidiscrete import (
    Derivatives,
    Linearised,
    Semidiscrete,
)

MAX_ITERATIONS = 6
SLOW = 0.3
"""Ratio of two changes from which the rows are linearised anew."""
LINEAR_SHARE = 1e-6
"""Share of the misfit that a linear solve may leave."""
FEW_ITERATIONS, MANY_ITERATIONS = 8, 25
"""Of such a solve, by factors of other rows and of these."""


class Measured:
    """Equations in space, and how large their fields are.

    Parameters
    ----------
    space
        The equations in space.
    sizes
        Of the fields when they begin; what changes is measured by them.
    """

    def __init__(self, space: Semidiscrete, sizes: np.ndarray) -> None:
        self.space = space
        self.sizes = self._largest = sizes
        self._begins_at_zero = sizes == 0.0

    def move(self, space: Semidiscrete) -> None:
        """Go on with other patches."""
        self.space = space

    def see(self, c: Derivatives, horizon: float) -> None:
        """Note how large the fields are.

        A field that begins at zero is measured by what it grows to within `horizon`.
        """
        self._largest = np.maximum(self._largest, self.space.sizes(c[0]))
        grown = horizon * self.space.sizes(c[1])
        self.sizes = np.maximum(
            self._largest, np.where(self._begins_at_zero, grown, 0.0)
        )

    def relative(self, change: np.ndarray, c: np.ndarray) -> float:
        """Return the largest size of a change, relative to those of the fields.

        Of fields that evolve; the others follow from them.
        """
        known = np.maximum(self.sizes, self.space.sizes(c))
        share = self.space.sizes(change) / np.where(known > 0, known, 1.0)
        return float(share[self.space.evolves].max())


class Stages(Measured):
    """Solves stage after stage by simplified Gauss-Newton steps.

    Rows and their factors are kept as long as they serve: where nothing but the
    right-hand side changes, for all stages of one length.
    """

    def __init__(self, space: Semidiscrete, sizes: np.ndarray) -> None:
        super().__init__(space, sizes)
        self._rate = self._factored = math.nan
        self._rows: Linearised | None = None
        self._known: Factors | None = None

    def move(self, space: Semidiscrete) -> None:
        """Go on with other patches."""
        super().move(space)
        self._rows, self._known = None, None

    def solve(
        self,
        time: float,
        bases: Sequence[np.ndarray],
        rate: float,
        guess: np.ndarray,
        enough: float,
    ) -> list[np.ndarray] | None:
        """Return the coefficients and their derivatives, None without convergence.

        Parameters
        ----------
        time
            Of the stage.
        bases
            The coefficients and their derivatives, but for the stage's own part: that
            is the next derivative divided by `rate`.
        rate
            One over the step times the diagonal of the method.
        guess
            To begin with.
        enough
            Relative change that the last iteration may still make.
        """
        c, last = guess, math.inf
        is_new = False
        for _ in range(MAX_ITERATIONS):
            now = _derivatives(c, bases, rate)
            if self._rows is None or self._rate != rate:
                self._rows = self.space.linearised(self.space.whole, time, now, rate)
                self._rate, is_new = rate, True
            target = self.space.target(self.space.whole, time, now, self._rows)
            if not np.isfinite(target).all():
                return None
            try:
                rows = self.space.rows(self.space.whole, self._rows, target, c)
                added = self._solved(self._rows, rows)
            except np.linalg.LinAlgError:
                self._rows = None
                return None
            if not np.isfinite(added).all():
                return None
            c = c + added
            change = 0.0 if self.space.is_fixed else self.relative(added, c)
            if change < enough:
                return _derivatives(self.space.gauged(c), bases, rate)
            if change > SLOW * last:
                if is_new and change > last:
                    return None
                self._rows, is_new = None, False
            last = change
        self._rows = None
        return None

    def _solved(self, linearised: Linearised, rows: Rows) -> np.ndarray:
        """Solve by the last factors, and if those are too far off, by new ones."""
        if self.space.is_fixed:
            if self._known is None or self._factored != self._rate:
                self._known = self.space.factors(self.space.whole, linearised)
                self._factored = self._rate
            return rows.solved(self._known)
        if self._known is not None:
            added = rows.iterated(self._known, LINEAR_SHARE, FEW_ITERATIONS)
            if added is not None:
                return added
        self._known = self.space.factors(self.space.whole, linearised)
        added = rows.iterated(self._known, LINEAR_SHARE, MANY_ITERATIONS)
        return rows.solved(self._known) if added is None else added


def _derivatives(
    c: np.ndarray, bases: Sequence[np.ndarray], rate: float
) -> list[np.ndarray]:
    found = [c]
    for base in bases:
        found.append(rate * (found[-1] - base))
    return found
