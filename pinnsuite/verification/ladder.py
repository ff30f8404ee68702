"""A convergence study: one solver refined step by step on one problem."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from pinnsuite.compare.convergence import Convergence, convergence
from pinnsuite.compare.metrics import relative_l1, relative_l2
from pinnsuite.errors import TruthError
from pinnsuite.problem.definition import Evaluated, Ladder, Problem
from pinnsuite.registry import make_solver
from pinnsuite.solution.solution import Solution, Status
from pinnsuite.solution.support import Support
from pinnsuite.solver import Progress, Refinable, silent

ROUND_OFF = 1e-14
"""Error estimate of what is exact in double precision."""

MIN_RUNGS = 3
MAX_RUNGS = 6


@dataclass(frozen=True, eq=False)
class Rung:
    """One solve of a study.

    Attributes
    ----------
    solver
        With the options of this rung.
    solution
        Its result.
    fields
        The values at the points asked for, one array (n,) a field.
    cpu_s
        CPU seconds that count, see `Cost.total`.
    """

    solver: Refinable
    solution: Solution
    fields: Mapping[str, np.ndarray]

    @property
    def cpu_s(self) -> float:
        """CPU seconds that count."""
        return self.solution.cost.total

    @property
    def dofs(self) -> int:
        """Degrees of freedom, 0 where the solver does not say."""
        return int(self.solution.details.get("dofs", 0))


def climb(problem: Problem, solver: Refinable, points: np.ndarray) -> Iterator[Rung]:
    """Solve, refine, solve again, for as long as the caller asks.

    Stops after a rung that failed, which is not given out, and before one that the
    solver does not take, such as a grid with too many nodes.
    """
    while True:
        solution = solver.solve(problem)
        if solution.status is not Status.OK:
            return
        yield Rung(solver, solution, centred(problem, solution.at(points)))
        solver = solver.refined()
        if solver.why_not(problem) is not None:
            return


def centred(problem: Problem, fields: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the judged fields, one that is fixed up to a constant with mean zero."""
    gauge = problem.hints.get("gauge")
    judged = {name: np.asarray(fields[name]) for name in problem.judged_names}
    return {
        name: values - values.mean() if name == gauge else values
        for name, values in judged.items()
    }


def differences(
    rungs: Sequence[Mapping[str, np.ndarray]], support: Support, norm: str = "L2"
) -> dict[str, list[float]]:
    """Return, by field, the relative differences of consecutive rungs.

    In `Problem.norm`, relative to the last rung; a field that vanishes there is
    measured absolutely.
    """
    weights = support.weights
    if norm == "L1":
        return {
            name: [relative_l1(a[name], b[name], weights) for a, b in pairwise(rungs)]
            for name in rungs[-1]
        }
    result: dict[str, list[float]] = {}
    for name, last in rungs[-1].items():
        size = float(np.sqrt(weights @ last**2))
        result[name] = [
            relative_l2(b[name], a[name], weights)
            if size > 0
            else float(np.sqrt(weights @ (b[name] - a[name]) ** 2))
            for a, b in pairwise(rungs)
        ]
    return result


def studies(
    rungs: Sequence[Rung], support: Support, order: float | None, norm: str
) -> dict[str, Convergence]:
    """Return what the last three rungs show, by field."""
    steps = differences([r.fields for r in rungs[-3:]], support, norm)
    if order is not None:
        return {name: convergence(s, expected_order=order) for name, s in steps.items()}
    # Spectral accuracy or tolerance control: there is no order, and the last difference
    # is the error of the rung before, an upper bound for the last one.
    return {
        name: Convergence(None, max(s[-1], ROUND_OFF), 3 * s[-1], 3.0)
        for name, s in steps.items()
    }


def needed_rungs(order: float | None, dimension: int) -> int:
    """Return how many solves make an error estimate.

    In space a third rung has 64 times the cells of the first; two, with the declared
    order, are the least.
    """
    return 2 if order is None or dimension > 2 else MIN_RUNGS


def ascend(
    problem: Problem,
    first: Refinable,
    support: Support,
    *,
    target: float,
    budget: float,
    patience: float = math.inf,
    progress: Progress = silent,
) -> list[Rung]:
    """Climb until the error estimate is good enough or the budget would be passed.

    Parameters
    ----------
    problem
        As solvers see it, without its answer.
    first
        The solver of the first rung.
    support
        Where the rungs are compared.
    target
        Error estimate of the worst field at which the climb ends, …
    budget
        … or when the next rung would take more CPU seconds than this in all.
    patience
        CPU seconds for as many rungs as an estimate needs.
    progress
        Told about each rung.

    Returns
    -------
    All rungs; fewer than `needed_rungs` if one of the first failed or was too dear.
    """
    order = first.expected_order(problem)
    needed = needed_rungs(order, problem.dimension)
    rungs: list[Rung] = []
    marks = [time.process_time()]
    for rung in climb(problem, first, support.points):
        rungs.append(rung)
        marks.append(time.process_time())
        progress(min(len(rungs) / needed, 1.0), f"{rung.solver!r}: {rung.cpu_s:.2f} s")
        is_enough = len(rungs) >= needed
        if is_enough:
            found = studies(rungs, support, order, problem.norm)
            worst = max(s.error_estimate for s in found.values())
            if worst <= target or len(rungs) == MAX_RUNGS:
                break
        # The next rung grows as the last one did, by a factor of two at the least.
        growth = 2.0 ** len(problem.coordinates)
        if len(rungs) > 1:
            growth = (marks[-1] - marks[-2]) / max(marks[-2] - marks[-3], 1e-3)
        total = marks[-1] - marks[0] + (marks[-1] - marks[-2]) * max(growth, 2.0)
        if total > (budget if is_enough else patience):
            break
    return rungs


def ladder_of(problem: Problem) -> Ladder | None:
    """Return the ladder that gives the reference; None where the solution is known.

    Raises
    ------
    TruthError
        If the problem names none and no classical solver takes it.
    """
    if problem.exact is not None or isinstance(problem.reference, Evaluated):
        return None
    if isinstance(problem.reference, Ladder):
        return problem.reference
    reasons = []
    for name, options in starts(problem).items():
        solver = make_solver(name, options)
        reason = solver.why_not(problem)
        if reason is None:
            return Ladder(name, options)
        reasons.append(f"{name}: {reason}")
    raise TruthError(
        f"No reference for {problem.name!r}: it has no exact solution, and no "
        "classical solver takes it (" + "; ".join(reasons) + "). Give `exact` or "
        "`reference`."
    )


def starts(problem: Problem) -> Mapping[str, Mapping[str, Any]]:
    """Return where ladders start if the author names none, in order of preference."""
    lines = {"points": 41, "order": 4, "rtol": 1e-10, "atol": 1e-12}
    if problem.dimension > 1:
        # Each rung has four times the nodes (or eight), and tightens the tolerances.
        lines = {"points": 21, "order": 4, "rtol": 1e-7, "atol": 1e-9}
    fit = {"adjoint": {"points": 65, "steps": 16, "tolerance": 1e-9}}
    if problem.dimension > 1 and problem.unknown_fields:
        fit = {}  # four times the coefficients a rung: 64 times the work
    return {
        "least-squares": {},
        **fit,
        "ode": {"rtol": 1e-9, "atol": 1e-11},
        "fourier": {"points": 64, "steps": 200},
        "lines": lines,
        "finite-element": {"element": "P2"},
    }
