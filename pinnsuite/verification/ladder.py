"""A convergence study: one solver refined step by step on one problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from pinnsuite.compare.metrics import relative_l2
from pinnsuite.problem.definition import Problem
from pinnsuite.solution.solution import Solution, Status
from pinnsuite.solution.support import Support
from pinnsuite.solver import Refinable

ROUND_OFF = 1e-13
"""Differences below this are rounding, and say nothing about an order."""


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

    Stops after a rung that failed; that rung is not given out.
    """
    while True:
        solution = solver.solve(problem)
        if solution.status is not Status.OK:
            return
        yield Rung(solver, solution, centred(problem, solution.at(points)))
        solver = solver.refined()


def centred(problem: Problem, fields: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the judged fields, one that is fixed up to a constant with mean zero."""
    gauge = problem.hints.get("gauge")
    judged = {name: np.asarray(fields[name]) for name in problem.judged_names}
    return {
        name: values - values.mean() if name == gauge else values
        for name, values in judged.items()
    }


def differences(
    rungs: Sequence[Mapping[str, np.ndarray]], support: Support
) -> dict[str, list[float]]:
    """Return, by field, the relative L2 differences of consecutive rungs.

    Relative to the last rung; a field that vanishes there is measured absolutely.
    """
    weights = support.weights
    result: dict[str, list[float]] = {}
    for name, last in rungs[-1].items():
        norm = float(np.sqrt(weights @ last**2))
        result[name] = [
            relative_l2(b[name], a[name], weights)
            if norm > 0
            else float(np.sqrt(weights @ (b[name] - a[name]) ** 2))
            for a, b in pairwise(rungs)
        ]
    return result
