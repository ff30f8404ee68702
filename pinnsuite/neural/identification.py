"""Unknown coefficients by Gauss-Newton steps over forward solutions (reduced space).

With u(p) the solution of the equations with coefficients p, and d the measurements,

    min_p Σ (r_i(p)/σ_g)²,   r_i = u(p)(x_i) - d_i,   or the difference of logarithms,

by steps `δp = -(JᵀJ)⁻¹ Jᵀ r` whose Jacobian J is taken by differences of forward
solutions. σ_g is how much the measurements of a set g vary, and then, as in `interval`,
the variance that their residuals have. The equations hold exactly, so that measurements
alone decide: it ends where `NonlinearLeastSquares` ends, and needs a start from which
no other minimum is nearer.

Source: J. Nocedal, S. J. Wright, Numerical Optimization, 2006, section 10.3, DOI
10.1007/978-0-387-40065-5; D. M. Bates, D. G. Watts, Technometrics 23 (1981) 179-183
(when to end: the relative offset); intervals by G. A. F. Seber, C. J. Wild, Nonlinear
Regression, 2003, section 5.1, DOI 10.1002/0471725315.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.stats

from pinnsuite.errors import DefinitionError, UnsupportedProblemError
from pinnsuite.neural.interval import LEVEL
from pinnsuite.neural.snapshot import Stopwatch
from pinnsuite.problem.conditions import Observed
from pinnsuite.problem.definition import Problem, derivative_orders
from pinnsuite.problem.replaced import with_coefficients
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import (
    Evaluator,
    Snapshot,
    Solution,
    Status,
    failed,
)
from pinnsuite.solver import Progress, Solver, silent

LEAST_DIFFERENCE, MOST_DIFFERENCE = 1e-4, 1e-2
"""Of a coefficient, as a share of it, for a column of the Jacobian: between them the
root of the share of error that a forward solution has."""
SMALL = 1e-3
"""Share of its range that stands for a coefficient which is smaller."""
MAX_STEPS = 10
ENOUGH = 1e-9
"""Relative change of the coefficients with which the steps end."""
OFFSET = 1e-3
"""Ratio of what a step may still change, for each coefficient, to what is left for each
measurement, below which the steps have converged."""
BEYOND_DOUBT = 3.0
"""Times the error of a forward solution: misfits and slopes below mean nothing."""
SHORTEST = 1 / 64
"""Share of a step, below which no shorter one is tried."""
TO_BOUND = 0.9
"""Share of the way to a bound that a step may go."""
LEAST_SPREAD = 1e-12
"""Of how much measurements vary, at least taken as their residuals' deviation."""

Forward = Callable[[Problem], Solution]
Note = Callable[[float, Evaluator], None]


@dataclass(frozen=True)
class Identification:
    """Gauss-Newton steps over the forward solutions of another solver.

    Attributes
    ----------
    forward
        Solves with known coefficients.
    start
        Coefficients to begin with.
    """

    forward: Solver
    start: Mapping[str, float]

    def solve(
        self,
        problem: Problem,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> Solution:
        """Return what fits the measurements best; each step is a snapshot.

        Not reached where the steps have not converged. All forward solutions have the
        same budget, so that they are about as accurate.
        """
        clock, watch = Clock(), Stopwatch()
        snapshots: list[Snapshot] = []
        each = None if budget is None else budget / (2 * len(self.start) + 2)

        def forward(known: Problem) -> Solution:
            left = None if budget is None else max(budget - watch.cpu_s, 0.0)
            share = each if left is None or each is None else min(each, left)
            return self.forward.solve(known, budget=share)

        def is_over() -> bool:
            share = 0.0 if budget is None else watch.cpu_s / budget
            progress(min(share, 1.0), f"{len(snapshots)} steps")
            return share >= 1.0

        def note(misfit: float, evaluate: Evaluator) -> None:
            snapshots.append(Snapshot(watch.cpu_s, watch.wall_s, misfit, evaluate))

        found = None
        with clock.phase("train"):
            if self.start:
                found = identified(problem, self.start, forward, is_over, note)
        if found is None:
            return failed(
                Status.NOT_REACHED,
                "no forward solution near the coefficients within the budget",
                cost=clock.cost(),
            )
        return replace(found, cost=clock.cost(), snapshots=snapshots)


@dataclass(frozen=True, eq=False)
class _State:
    """Coefficients, the solution with them, and the misfits of all measurements."""

    values: np.ndarray
    solution: Solution
    misfits: np.ndarray

    @property
    def error(self) -> float:
        """The share of error of the forward solution."""
        return float(self.solution.details.get("fresh_residual", 0.0))

    def tell(self, note: Note) -> None:
        """Note the state."""
        assert self.solution.evaluator is not None
        note(math.sqrt(float(np.mean(self.misfits**2))), self.solution.evaluator)


def misfits(problem: Problem, evaluate: Evaluator) -> list[np.ndarray]:
    """Return the differences to measurements, those of each `Observed`: (n,)."""
    parts = []
    for o in problem.conditions_of(Observed):
        name = problem.field_names[problem.fields.index(o.field)]
        found = evaluate(o.points)[name]
        if o.scale == "log":
            with np.errstate(invalid="ignore", divide="ignore"):
                parts.append(np.log(found / o.values))
        else:
            parts.append(found - o.values)
    return parts


def variations(problem: Problem) -> list[float]:
    """Return how much the measurements of each `Observed` vary about their mean.

    Their size where they do not vary, and one where they are zero.
    """
    found = []
    for o in problem.conditions_of(Observed):
        values = np.log(o.values) if o.scale == "log" else o.values
        size = float(np.sqrt(np.mean(values**2)))
        found.append(float(np.std(values)) or size or 1.0)
    return found


def identified(
    problem: Problem,
    start: Mapping[str, float],
    forward: Forward,
    is_over: Callable[[], bool],
    note: Note = lambda *_: None,
) -> Solution | None:
    """Return the solution that fits the measurements best, None if there is none.

    Parameters
    ----------
    problem
        With unknown scalars and measurements.
    start
        Coefficients to begin with.
    forward
        Solves with known coefficients.
    is_over
        Asked before each solution; True ends the steps.
    note
        Told the misfit and the fields of each state.

    Returns
    -------
    The forward solution, not reached where the steps have not converged. Its `details`
    hold what the measurements say besides: `standard_errors`, `intervals` of Student's
    t that contain the last step, and `unexplained`: the largest share of how much the
    measurements of an `Observed` vary that is left.
    """
    return _Search(problem, forward, is_over, note).run(start)


class _Search:
    """One search for the minimum."""

    def __init__(
        self,
        problem: Problem,
        forward: Forward,
        is_over: Callable[[], bool],
        note: Note,
    ) -> None:
        self._problem, self._forward = problem, forward
        self._is_over, self._note = is_over, note
        self._names = [u.name for u in problem.unknown_scalars]
        self._low = np.array([u.lower for u in problem.unknown_scalars])
        self._high = np.array([u.upper for u in problem.unknown_scalars])
        counts = [len(o.values) for o in problem.conditions_of(Observed)]
        self._group = np.repeat(np.arange(len(counts)), counts)
        self._units = np.array(variations(problem))
        self._spreads = self._units
        self._orders = _orders(problem)

    def run(self, start: Mapping[str, float]) -> Solution | None:
        """Search from coefficients; None where there is no solution with them."""
        first = np.array([start[n] for n in self._names])
        now = self._at(np.clip(first, self._low, self._high))
        slopes = None if now is None else self._jacobian(now)
        if now is None or slopes is None:
            return None
        now.tell(self._note)
        # By how much measurements vary, then by how much they are missed.
        for _ in range(2 if len(self._units) > 1 else 1):
            now, slopes, trouble = self._descended(now, slopes)
            if trouble:
                break
            squares = np.bincount(self._group, now.misfits**2)
            number = np.bincount(self._group) * self._freedom / len(self._group)
            least = LEAST_SPREAD * self._units
            self._spreads = np.maximum(np.sqrt(squares / number), least)
        return self._told(now, slopes, trouble)

    @property
    def _freedom(self) -> int:
        return max(len(self._group) - len(self._names), 1)

    def _at(self, values: np.ndarray) -> _State | None:
        """Return the state with coefficients, None without an accepted solution."""
        if self._is_over():
            return None
        try:
            known = with_coefficients(
                self._problem, dict(zip(self._names, values, strict=True))
            )
            if _orders(known) != self._orders:
                # A term is gone: that is another kind of problem.
                return None
            solution = self._forward(known)
        except (DefinitionError, UnsupportedProblemError):
            return None
        if solution.status is not Status.OK or solution.evaluator is None:
            return None
        found = np.concatenate(misfits(self._problem, solution.evaluator))
        return _State(values, solution, found) if np.isfinite(found).all() else None

    def _share(self, state: _State) -> float:
        """Return the share of a coefficient by which it is changed for a slope."""
        share = math.sqrt(state.error)
        return min(max(share, LEAST_DIFFERENCE), MOST_DIFFERENCE)

    def _scales(self, values: np.ndarray) -> np.ndarray:
        """Return the sizes of coefficients, not too small within their ranges."""
        width = self._high - self._low
        least = np.where(np.isfinite(width), SMALL * width, 0.0)
        scales: np.ndarray = np.maximum(np.abs(values), least)
        return np.where(scales > 0.0, scales, 1.0)

    def _jacobian(self, state: _State) -> np.ndarray | None:
        """Return the slopes of all misfits, (measurements, coefficients)."""
        columns = []
        changes = self._share(state) * self._scales(state.values)
        for k, (value, change) in enumerate(zip(state.values, changes, strict=True)):
            moved = state.values.copy()
            moved[k] += -change if value + change > self._high[k] else change
            other = self._at(moved)
            if other is None:
                return None
            columns.append((other.misfits - state.misfits) / (moved[k] - value))
        return np.stack(columns, axis=1)

    def _size(self, state: _State) -> float:
        return float(np.linalg.norm(state.misfits / self._spreads[self._group]))

    def _descended(
        self, now: _State, slopes: np.ndarray
    ) -> tuple[_State, np.ndarray, str]:
        """Return where steps end, the slopes there, and why they did not converge."""
        p = slopes.shape[1]
        for _ in range(MAX_STEPS):
            step, ahead = self._step(now, slopes)
            size = self._size(now)
            off = np.abs(now.misfits) / self._units[self._group]
            if (
                np.max(np.abs(step) / self._scales(now.values)) < ENOUGH
                or ahead * math.sqrt(self._freedom) <= OFFSET * size * math.sqrt(p)
                or np.sqrt(np.mean(off**2)) <= BEYOND_DOUBT * now.error
            ):
                return now, slopes, ""
            new, length = None, 1.0
            while length >= SHORTEST:
                new = self._at(self._within(now.values, length * step))
                if self._is_over() or (new is not None and self._size(new) < size):
                    break
                length /= 4
            if self._is_over():
                return now, slopes, "the budget"
            if new is None or not self._size(new) < size:
                return now, slopes, "no step lessens the misfit"
            again = self._jacobian(new)
            if again is None:
                return now, slopes, "no solution beside the coefficients"
            now, slopes = new, again
            now.tell(self._note)
        return now, slopes, "the number of steps"

    def _within(self, values: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Return coefficients after a step, short of the bounds."""
        low = values + TO_BOUND * (self._low - values)
        high = values + TO_BOUND * (self._high - values)
        found: np.ndarray = np.clip(values + step, low, high)
        return found

    def _weighed(
        self, state: _State, slopes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return slopes by relative coefficients, misfits, and which slopes are seen.

        Both relative to the measurements' spread. What no measurement depends on has
        slopes of nothing but the errors of forward solutions.
        """
        scales = self._scales(state.values)
        in_units = slopes * scales / self._units[self._group, None]
        doubt = BEYOND_DOUBT * state.error / self._share(state)
        seen = np.sqrt(np.mean(in_units**2, axis=0)) > doubt
        spreads = self._spreads[self._group]
        return slopes * scales / spreads[:, None], state.misfits / spreads, seen

    def _step(self, state: _State, slopes: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the Gauss-Newton step, and the size of the change that it makes."""
        rows, r, seen = self._weighed(state, slopes)
        step = np.zeros(len(seen))
        if seen.any():
            step[seen] = -np.linalg.lstsq(rows[:, seen], r)[0]
        ahead = float(np.linalg.norm(rows @ step))
        return step * self._scales(state.values), ahead

    def _told(self, state: _State, slopes: np.ndarray, trouble: str) -> Solution:
        """Return the solution with its coefficients and their intervals."""
        rows, r, seen = self._weighed(state, slopes)
        errors = np.full(len(seen), math.inf)
        if seen.any():
            _, singular, right = np.linalg.svd(rows[:, seen], full_matrices=False)
            spread = math.sqrt(float(r @ r) / self._freedom)
            with np.errstate(divide="ignore"):
                relative = spread * np.sqrt(np.sum((right.T / singular) ** 2, axis=1))
            errors[seen] = relative * self._scales(state.values)[seen]
        quantile = float(scipy.stats.t.ppf((1 + LEVEL) / 2, self._freedom))
        step, _ = self._step(state, slopes)
        half = quantile * errors + np.abs(step)
        low = np.maximum(state.values - half, self._low)
        high = np.minimum(state.values + half, self._high)
        intervals = {
            name: [float(a), float(b)]
            for name, a, b in zip(self._names, low, high, strict=True)
        }
        squares = np.bincount(self._group, state.misfits**2) / np.bincount(self._group)
        left = float(np.max(np.sqrt(squares) / self._units))
        misfit = float(np.sqrt(np.mean(state.misfits**2)))
        words = [f"misfit {misfit:.2e}, {left:.1%} of how measurements vary"]
        words += [f"{n} in [{a:.6g}, {b:.6g}]" for n, (a, b) in intervals.items()]
        if trouble:
            words.insert(0, f"steps ended by {trouble}")
        return replace(
            state.solution,
            status=Status.NOT_REACHED if trouble else Status.OK,
            coefficients=dict(zip(self._names, map(float, state.values), strict=True)),
            message="; ".join([*words, state.solution.sentence]),
            details={
                **state.solution.details,
                "stop_reason": trouble or "convergence",
                "standard_errors": dict(
                    zip(self._names, map(float, errors), strict=True)
                ),
                "intervals": intervals,
                "measurements": len(state.misfits),
                "misfit": misfit,
                "unexplained": left,
            },
        )


def _orders(problem: Problem) -> Sequence[object]:
    """Return the highest derivatives of the states by each coordinate."""
    return [
        tuple(derivative_orders(problem.equations, problem.fields, x))
        for x in problem.coordinates
    ]
