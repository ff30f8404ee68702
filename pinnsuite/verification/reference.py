"""The truth that others are judged by, with an error bar of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pinnsuite.errors import TruthError
from pinnsuite.problem.definition import Evaluated, Ladder, Problem
from pinnsuite.problem.jets import numpy_function
from pinnsuite.registry import make_solver
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.record import ReferencePart
from pinnsuite.solution.record import Rung as RungPart
from pinnsuite.solution.solution import Evaluator, Solution
from pinnsuite.solution.support import Support, common_support
from pinnsuite.solver import Progress, Refinable, silent
from pinnsuite.verification import cache as store
from pinnsuite.verification.cross_check import CrossCheck, cross_check, of_part
from pinnsuite.verification.ladder import (
    ROUND_OFF,
    Rung,
    ascend,
    differences,
    ladder_of,
    needed_rungs,
    studies,
)

TARGET = 1e-5
"""A ladder stops when its error estimate is this small, …"""

BUDGET = 60.0
"""… or when the next rung would take more CPU seconds than this."""


@dataclass(frozen=True, eq=False)
class Reference:
    """A solution with its own error estimate.

    Attributes
    ----------
    kind
        `exact`, `evaluated`, `ladder` or `fit` (a converged least-squares fit).
    solution
        The fields on the common support of the problem; with an evaluator unless it
        comes from the cache.
    error_estimate
        Relative error by field in `Problem.norm`, space and time included.
    observed_order, expected_order
        Of the ladder: the smallest over the fields, and what the solver declares.
    gci
        Grid convergence index of the worst field.
    rungs
        The convergence study.
    cost
        CPU seconds of the rung that is the reference.
    hash
        Key of the stored file.
    description
        How it was got, in words.
    quantities
        The problem's numbers of interest.
    cross_check
        How far a second classical solver is away, where one was asked.
    """

    kind: str
    solution: Solution
    error_estimate: Mapping[str, float]
    hash: str
    description: str
    observed_order: float | None = None
    expected_order: float | None = None
    gci: float | None = None
    rungs: tuple[RungPart, ...] = ()
    cost: float = 0.0
    quantities: Mapping[str, float] = field(default_factory=dict)
    cross_check: CrossCheck | None = None

    @property
    def coefficients(self) -> Mapping[str, float]:
        """The identified coefficients of an inverse problem."""
        return self.solution.coefficients

    def fields(self, support: Support) -> dict[str, np.ndarray]:
        """Return the values at the points of `support`, shaped like it."""
        values = self.solution.fields
        if support.shape != self.solution.support.shape:
            values = self.solution.at(support.points)
        return {k: np.asarray(v).reshape(support.shape) for k, v in values.items()}

    def part(self, identifier: str) -> ReferencePart:
        """Return what a record says about this reference."""
        return ReferencePart(
            id=identifier,
            kind=self.kind,  # type: ignore[arg-type]
            hash=self.hash,
            error_estimate=dict(self.error_estimate),
            observed_order=self.observed_order,
            expected_order=self.expected_order,
            gci=self.gci,
            cost=self.cost,
            description=self.description,
            rungs=list(self.rungs),
            cross_check=None if self.cross_check is None else self.cross_check.part,
        )


def reference(
    problem: Problem, *, cache: Path | None = None, progress: Progress = silent
) -> Reference:
    """Return the reference of `problem`: exact, evaluated, or a classical ladder.

    Parameters
    ----------
    problem
        With its `exact` or `reference`; without either a ladder is chosen.
    cache
        Folder of stored references, by default the user's cache.
    progress
        Told about each rung.

    Raises
    ------
    TruthError
        If no classical solver takes the problem, or its ladder does not converge.
    """
    folder = store.default_folder() if cache is None else cache
    support = common_support(problem)
    ladder = ladder_of(problem)
    content = {
        "schema": 2,
        "definition": problem.definition_hash,
        "support": [list(support.shape), float(support.points.sum())],
        "judged": list(problem.judged_names),
        "norm": problem.norm,
        "quantities": sorted(problem.quantities),
        "how": "known" if ladder is None else [ladder.solver, dict(ladder.options)],
    }
    key = store.key_of(content)
    found = store.fetch(folder, key)
    if found is not None:
        return _from_cache(key, *found)
    if ladder is None:
        made = _known(problem, support, key)
    else:
        made = _climbed(problem, ladder, support, key, progress)
    about = {
        "part": made.part("").model_dump(),
        "quantities": dict(made.quantities),
    }
    store.store(folder, key, made.solution, about)
    return made


def _from_cache(key: str, solution: Solution, about: dict[str, Any]) -> Reference:
    part = ReferencePart.model_validate(about["part"])
    return Reference(
        kind=part.kind,
        solution=solution,
        error_estimate=part.error_estimate,
        hash=key,
        description=part.description,
        observed_order=part.observed_order,
        expected_order=part.expected_order,
        gci=part.gci,
        rungs=tuple(part.rungs),
        cost=part.cost,
        quantities=about["quantities"],
        cross_check=None if part.cross_check is None else of_part(part.cross_check),
    )


def _known(problem: Problem, support: Support, key: str) -> Reference:
    clock = Clock()
    if problem.exact is not None:
        evaluate, estimate, words = exact_evaluator(problem), ROUND_OFF, "closed form"
        kind = "exact"
    else:
        assert isinstance(problem.reference, Evaluated)
        evaluate = problem.reference.evaluate
        estimate = problem.reference.error_estimate
        words, kind = problem.reference.description, "evaluated"
    with clock.phase("solve"):
        values = evaluate(support.points)
    fields = {k: np.reshape(values[k], support.shape) for k in problem.judged_names}
    solution = Solution(
        support,
        fields,
        evaluator=evaluate,
        coefficients=known_coefficients(problem),
        cost=clock.cost(),
    )
    return Reference(
        kind=kind,
        solution=solution,
        error_estimate=dict.fromkeys(problem.judged_names, estimate),
        hash=key,
        description=words,
        cost=clock.cost().total,
        quantities={k: q(evaluate) for k, q in problem.quantities.items()},
    )


def known_coefficients(problem: Problem) -> dict[str, float]:
    """Return the true values of the unknown coefficients, where they are known."""
    return {u.name: u.truth for u in problem.unknown_scalars if u.truth is not None}


def exact_evaluator(problem: Problem) -> Evaluator:
    """Return the closed-form solution as a function of points."""
    assert problem.exact is not None
    expressions = [problem.exact[f] for f in problem.fields]
    function = numpy_function(problem.coordinates, expressions)

    def evaluate(points: np.ndarray) -> Mapping[str, np.ndarray]:
        values = function(*points.T)
        return {
            name: np.array(np.broadcast_to(np.asarray(v, dtype=float), len(points)))
            for name, v in zip(problem.field_names, values, strict=True)
        }

    return evaluate


def _climbed(
    problem: Problem, ladder: Ladder, support: Support, key: str, progress: Progress
) -> Reference:
    first = make_solver(ladder.solver, ladder.options)
    if not isinstance(first, Refinable):
        raise TruthError(
            f"The reference of {problem.name!r} names the solver {ladder.solver!r}, "
            "which cannot be refined; name a classical one."
        )
    reason = first.why_not(problem)
    if reason is not None:
        raise TruthError(
            f"The reference of {problem.name!r} names the solver {ladder.solver!r}, "
            f"which cannot take it: {reason}."
        )
    asked = problem.without_answer()
    order = first.expected_order(asked)
    needed = needed_rungs(order)
    rungs = ascend(
        asked, first, support, target=TARGET, budget=BUDGET, progress=progress
    )
    if len(rungs) < needed:
        raise TruthError(
            f"The ladder of {problem.name!r} ({ladder.solver}) gave {len(rungs)} good "
            f"solves and {needed} are needed: the next one failed. Start it from other "
            "options."
        )
    made = _from_rungs(problem, ladder, rungs, support, key, order)
    if order is not None or problem.unknowns:
        return made
    # Tolerance control alone has been silently wrong: never one solver alone.
    second = cross_check(problem, made)
    if second is not None and not second.agrees:
        raise TruthError(
            f"The reference of {problem.name!r} by {rungs[-1].solver!r} is "
            f"{max(second.difference.values()):.1e} away from {second.solver}, and "
            f"the two expect errors of {max(made.error_estimate.values()):.1e} and "
            f"{max(second.error_estimate.values()):.1e}: one of them is wrong. Tighten "
            "the tolerances of `reference`, or name another solver there."
        )
    return replace(made, cross_check=second)


def _from_rungs(
    problem: Problem,
    ladder: Ladder,
    rungs: list[Rung],
    support: Support,
    key: str,
    order: float | None,
) -> Reference:
    found = studies(rungs, support, order, problem.norm)
    best = rungs[-1]
    worst = max(found, key=lambda name: found[name].error_estimate)
    estimate = found[worst].error_estimate
    steps = differences([r.fields for r in rungs], support, problem.norm)[worst]
    if not np.isfinite(estimate):
        raise TruthError(
            f"The ladder of {problem.name!r} ({ladder.solver}) does not converge: "
            f"field {worst!r} changes by {steps} from rung to rung. Start it finer."
        )
    # The error of a coarser rung is what is still to come.
    errors: list[float | None] = [
        sum(steps[i:]) + estimate for i in range(len(rungs) - 1)
    ]
    errors.append(estimate)
    shaped = {k: np.reshape(v, support.shape) for k, v in best.fields.items()}
    return Reference(
        kind="fit" if problem.unknowns else "ladder",
        solution=replace(best.solution, support=support, fields=shaped, snapshots=()),
        error_estimate={k: s.error_estimate for k, s in found.items()},
        hash=key,
        description=(
            f"{ladder.solver}, {len(rungs)} rungs, the last one {best.solver!r}"
        ),
        observed_order=found[worst].observed_order,
        expected_order=order,
        gci=found[worst].gci,
        rungs=tuple(
            RungPart(label=repr(r.solver), dofs=r.dofs, error=e, cpu_s=r.cpu_s)
            for r, e in zip(rungs, errors, strict=True)
        ),
        cost=best.cpu_s,
        quantities={
            k: float(q(best.solution.at)) for k, q in problem.quantities.items()
        },
    )
