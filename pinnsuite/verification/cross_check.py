"""A second, independent classical solution: never one solver alone.

A solver's own error estimate cannot see what the solver leaves out: an adaptive Taylor
integrator has been wrong by 12.9 on a double pendulum whose last coefficients vanish by
symmetry, and said nothing. Another method at tight tolerance shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from pinnsuite.problem.definition import Ladder, Problem
from pinnsuite.registry import SOLVERS, make_solver, solver_class
from pinnsuite.solution.record import CrossCheckPart
from pinnsuite.solution.support import Support, common_support
from pinnsuite.solver import Refinable
from pinnsuite.verification.ladder import (
    ascend,
    centred,
    differences,
    ladder_of,
    needed_rungs,
    studies,
)

BUDGET = 20.0
"""CPU seconds for the second solution."""

TARGET = 1e-6
"""It need not be better than this, nor than the reference."""

WORTH_TELLING = 1e-2
"""A second solution that expects a larger error than this checks nothing."""

FACTOR = 10.0
"""The difference may be this many times the sum of both error estimates."""


class Checked(Protocol):
    """What is checked: a `Reference`."""

    @property
    def error_estimate(self) -> Mapping[str, float]:
        """Relative error by field."""

    def fields(self, support: Support) -> dict[str, np.ndarray]:
        """Return the values at the points of `support`."""


@dataclass(frozen=True)
class CrossCheck:
    """How far a second classical solver is from the reference.

    Attributes
    ----------
    solver
        The second solver with its options.
    difference
        Relative difference of the two in `Problem.norm`, by field.
    error_estimate, reference_estimate
        Of the second solution and of the reference, by field.
    cpu_s
        CPU seconds of the second solver's ladder.
    """

    solver: str
    difference: Mapping[str, float]
    error_estimate: Mapping[str, float]
    reference_estimate: Mapping[str, float]
    cpu_s: float

    @property
    def agrees(self) -> bool:
        """The differences are within `FACTOR` of both error estimates together."""
        return all(
            d <= FACTOR * (self.error_estimate[k] + self.reference_estimate[k])
            for k, d in self.difference.items()
        )

    @property
    def part(self) -> CrossCheckPart:
        """What a record says about it."""
        return CrossCheckPart(**asdict(self))


def of_part(part: CrossCheckPart) -> CrossCheck:
    """Return the cross-check that a record holds."""
    return CrossCheck(**part.model_dump())


def cross_check(
    problem: Problem, reference: Checked, *, budget: float = BUDGET
) -> CrossCheck | None:
    """Solve `problem` once more, by another classical method than its reference.

    Parameters
    ----------
    problem
        With its reference; an inverse problem has no second solver.
    reference
        What is checked.
    budget
        CPU seconds after which no finer solve is started.

    Returns
    -------
    None where no other solver takes the problem or gives an error estimate.
    """
    if problem.unknowns:
        return None
    asked = problem.without_answer()
    support = common_support(problem)
    mine = _identity(ladder_of(problem))
    truth = centred(
        problem, {k: np.ravel(v) for k, v in reference.fields(support).items()}
    )
    goal = max(TARGET, *reference.error_estimate.values())
    for candidate in candidates(problem):
        entry = SOLVERS.get(candidate.solver)
        if entry is None or problem.kind not in entry.kinds:
            continue
        if _identity(candidate) == mine:
            continue
        first = make_solver(candidate.solver, candidate.options)
        if not isinstance(first, Refinable) or first.why_not(asked) is not None:
            continue
        order = first.expected_order(asked)
        rungs = ascend(
            asked, first, support, target=goal, budget=budget, patience=2 * budget
        )
        if len(rungs) < needed_rungs(order, problem.dimension):
            continue
        found = studies(rungs, support, order, problem.norm)
        estimate = {k: s.error_estimate for k, s in found.items()}
        if not max(estimate.values()) <= WORTH_TELLING:
            continue
        steps = differences([rungs[-1].fields, truth], support, problem.norm)
        return CrossCheck(
            solver=repr(rungs[-1].solver),
            difference={k: s[0] for k, s in steps.items()},
            error_estimate=estimate,
            reference_estimate=dict(reference.error_estimate),
            cpu_s=sum(r.cpu_s for r in rungs),
        )
    return None


def _identity(ladder: Ladder | None) -> tuple[str, Any] | None:
    """Return what tells two methods apart: solver, and its option `method`."""
    if ladder is None:
        return None
    default = getattr(solver_class(ladder.solver), "method", None)
    return ladder.solver, ladder.options.get("method", default)


def candidates(problem: Problem) -> tuple[Ladder, ...]:
    """Return where second solutions start, in order of preference."""
    elements: dict[str, Any] = {"element": "P2"}
    cells = 100
    if problem.dimension > 1:
        assert problem.domain is not None
        extent = float(np.ptp(problem.domain.bounds, axis=1).max())
        elements |= {"mesh_size": extent / 12, "steps": 20}
        cells = 40
    return (
        Ladder("fourier", {"points": 64, "steps": 100}),
        Ladder("lines", {"points": 21, "order": 4, "rtol": 1e-7, "atol": 1e-9}),
        Ladder("finite-difference"),
        Ladder("finite-element", elements),
        Ladder("ngsolve", {"degree": 3, "steps": 20}),
        Ladder("finite-volume", {"cells": cells}),
        Ladder("cell-centred"),
        Ladder("collocation"),
        Ladder("complementarity", {"method": "penalty"}),
        Ladder("complementarity", {"method": "active-set"}),
        Ladder("ode", {"method": "Radau", "rtol": 1e-7, "atol": 1e-9}),
        Ladder("ode", {"method": "LSODA", "rtol": 1e-9, "atol": 1e-11}),
    )
