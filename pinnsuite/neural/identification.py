"""Unknown coefficients by Gauss-Newton steps over forward solutions (reduced space).

With u(p) the solution of the equations with coefficients p, and d the measurements,

    min_p Σ r_i(p)²,   r_i = u(p)(x_i) - d_i,   or the difference of logarithms,

by steps `δp = -(JᵀJ)⁻¹ Jᵀ r` whose Jacobian J is taken by differences of forward
solutions. The equations hold exactly, so that measurements alone decide: it ends where
`NonlinearLeastSquares` ends, and needs a start from which no other minimum is nearer.

Source: J. Nocedal, S. J. Wright, Numerical Optimization, 2006, section 10.3, DOI
10.1007/978-0-387-40065-5; intervals by G. A. F. Seber, C. J. Wild, Nonlinear
Regression, 2003, section 5.1, DOI 10.1002/0471725315.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy.stats

from pinnsuite.neural.interval import LEVEL
from pinnsuite.neural.snapshot import Stopwatch
from pinnsuite.problem.conditions import Observed
from pinnsuite.problem.definition import Problem
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

DIFFERENCE = 1e-4
"""Of a coefficient, as a share of it, for a column of the Jacobian."""
MAX_STEPS = 8
ENOUGH = 1e-9
"""Relative change of the coefficients with which the steps end."""
PAYING = 1 - 1e-6
"""Ratio of two misfits above which a step has found nothing but the noise."""
SHORTEST = 1 / 64
"""Share of a step, below which no shorter one is tried."""

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
        """Return what fits the measurements best; each step is a snapshot."""
        clock, watch = Clock(), Stopwatch()
        snapshots: list[Snapshot] = []

        def forward(known: Problem) -> Solution:
            left = None if budget is None else max(budget - watch.cpu_s, 0.0)
            return self.forward.solve(known, budget=left)

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
    def size(self) -> float:
        """Root mean square of the misfits."""
        return math.sqrt(float(np.mean(self.misfits**2)))

    def tell(self, note: Note) -> None:
        """Note the state."""
        assert self.solution.evaluator is not None
        note(self.size, self.solution.evaluator)


def misfits(problem: Problem, evaluate: Evaluator) -> np.ndarray:
    """Return the differences to all measurements: (n,)."""
    parts = []
    for o in problem.conditions_of(Observed):
        name = problem.field_names[problem.fields.index(o.field)]
        found = evaluate(o.points)[name]
        if o.scale == "log":
            with np.errstate(invalid="ignore", divide="ignore"):
                parts.append(np.log(found / o.values))
        else:
            parts.append(found - o.values)
    return np.concatenate(parts)


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
    The forward solution. Its `details` hold what the measurements say besides:
    `standard_errors`, and `intervals` of Student's t that contain the last step.
    """
    names = [u.name for u in problem.unknown_scalars]
    low = np.array([u.lower for u in problem.unknown_scalars])
    high = np.array([u.upper for u in problem.unknown_scalars])

    def at(values: np.ndarray) -> _State | None:
        if is_over():
            return None
        known = with_coefficients(problem, dict(zip(names, values, strict=True)))
        solution = forward(known)
        if solution.status is not Status.OK or solution.evaluator is None:
            return None
        found = misfits(problem, solution.evaluator)
        if not np.isfinite(found).all():
            return None
        return _State(values, solution, found)

    def jacobian(state: _State) -> np.ndarray | None:
        columns = []
        for k, value in enumerate(state.values):
            change = DIFFERENCE * (abs(value) or high[k] - low[k])
            if value + change > high[k]:
                change = -change
            moved = state.values.copy()
            moved[k] += change
            other = at(moved)
            if other is None:
                return None
            columns.append((other.misfits - state.misfits) / change)
        return np.stack(columns, axis=1)

    now = at(np.clip([start[n] for n in names], low, high))
    slopes = None if now is None else jacobian(now)
    if now is None or slopes is None:
        return None
    now.tell(note)
    for _ in range(MAX_STEPS):
        step = _step(slopes, now.misfits)
        size = np.abs(step / np.maximum(np.abs(now.values), np.finfo(float).tiny)).max()
        if size < ENOUGH:
            break
        new, length = None, 1.0
        while length >= SHORTEST:
            new = at(np.clip(now.values + length * step, low, high))
            if is_over() or (new is not None and new.size < now.size):
                break
            length /= 4
        if new is None or not new.size < now.size:
            break
        is_done = new.size > PAYING * now.size
        now = new
        now.tell(note)
        again = jacobian(now)
        if again is None:
            break
        slopes = again
        if is_done:
            break
    return _told(names, now, slopes, low, high)


def _step(slopes: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Return the Gauss-Newton step, in columns of like size."""
    scale = np.linalg.norm(slopes, axis=0)
    scale[scale == 0.0] = 1.0
    step: np.ndarray = -np.linalg.lstsq(slopes / scale, r)[0] / scale
    return step


def _told(
    names: list[str],
    state: _State,
    slopes: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> Solution:
    """Return the solution with its coefficients and their intervals."""
    freedom = max(len(state.misfits) - len(names), 1)
    spread = math.sqrt(float(state.misfits @ state.misfits) / freedom)
    scale = np.linalg.norm(slopes, axis=0)
    scale[scale == 0.0] = 1.0
    _, singular, right = np.linalg.svd(slopes / scale, full_matrices=False)
    with np.errstate(divide="ignore"):
        errors = spread * np.sqrt(np.sum((right.T / singular) ** 2, axis=1)) / scale
    quantile = float(scipy.stats.t.ppf((1 + LEVEL) / 2, freedom))
    half = quantile * errors + np.abs(_step(slopes, state.misfits))
    coefficients = dict(zip(names, map(float, state.values), strict=True))
    intervals = {
        name: [float(max(v - h, a)), float(min(v + h, b))]
        for name, v, h, a, b in zip(names, state.values, half, low, high, strict=True)
    }
    return replace(
        state.solution,
        coefficients=coefficients,
        message=f"misfit {state.size:.2e}; "
        + ", ".join(f"{n} in [{a:.6g}, {b:.6g}]" for n, (a, b) in intervals.items())
        + f"; {state.solution.sentence}",
        details={
            **state.solution.details,
            "standard_errors": dict(zip(names, map(float, errors), strict=True)),
            "intervals": intervals,
            "measurements": len(state.misfits),
            "misfit": state.size,
        },
    )
