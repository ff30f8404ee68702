"""The truth that others are judged by, with an error bar of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from dataclasses import fields as fields_of
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from pinnsuite.errors import TruthError
from pinnsuite.problem.definition import Evaluated, Ladder, Problem
from pinnsuite.problem.jets import numpy_function
from pinnsuite.registry import make_solver
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.points import reporting
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

BUDGET = 120.0
"""A ladder ends at the error that its problem claims, or before it would take more CPU
seconds than this in all."""


PACKAGES = ("pinnsuite", "numpy", "scipy", "sympy", "scikit-fem")
"""Whose versions are kept with a stored reference."""

Fields = Mapping[str, np.ndarray]


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
    external
        Relative difference from values that others computed, by field; empty where
        there are none or nobody asked.
    solver, options
        What solved the last rung of a ladder, by its name and with all options.
    is_audited
        The second solver and others' values have been asked.
    is_stored
        It was read from a file.
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
    external: Mapping[str, float] = field(default_factory=dict)
    solver: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    is_audited: bool = False
    is_stored: bool = False

    @property
    def study_s(self) -> float:
        """CPU seconds of all rungs together."""
        return sum((r.cpu_s for r in self.rungs), 0.0) or self.cost

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
    problem: Problem,
    *,
    cache: Path | None = None,
    fresh: bool = False,
    progress: Progress = silent,
) -> Reference:
    """Return the reference of `problem`: exact, evaluated, or a classical ladder.

    A stored one is taken if there is one: from `data/references`, then from the cache.

    Parameters
    ----------
    problem
        With its `exact` or `reference`; without either a ladder is chosen.
    cache
        Folder of stored references, by default the user's cache.
    fresh
        Whether to compute it anew, whatever is stored.
    progress
        Told about each rung.

    Raises
    ------
    TruthError
        If no classical solver takes the problem, or its ladder does not converge.
    """
    support = common_support(problem)
    ladder = ladder_of(problem)
    key = _key(problem, support, ladder)
    found = None if fresh else _stored(problem, key, cache)
    if found is not None:
        return found
    if ladder is None:
        made = _known(problem, support, key)
    else:
        made = _climbed(problem, ladder, support, key, progress)
    keep(made, cache=cache)
    return made


def stored_reference(
    problem: Problem, *, cache: Path | None = None
) -> Reference | None:
    """Return the reference of `problem` if it is stored, without computing it."""
    key = _key(problem, common_support(problem), ladder_of(problem))
    return _stored(problem, key, cache)


def keep(made: Reference, *, cache: Path | None = None) -> None:
    """Write a reference, with what is known of it by now, into the cache."""
    folder = store.default_folder() if cache is None else cache
    store.store(folder, made.hash, made.solution, _about(made))


def ship(problem: Problem, made: Reference) -> dict[str, Any]:
    """Write a reference into the catalogue's data; return its entry for the pin."""
    estimate = made.error_estimate
    return store.ship(problem.name, made.hash, made.solution, estimate, _about(made))


def evaluate_at(problem: Problem, made: Reference, points: np.ndarray) -> Fields:
    """Return the fields of a reference at points, to its own accuracy.

    The last rung of a ladder is solved again where it is stored (a file holds values,
    no basis) or does not report at the times that are asked for.

    Raises
    ------
    SolveError
        If that solve fails.
    """
    if problem.exact is not None:
        return exact_evaluator(problem)(points)
    if isinstance(problem.reference, Evaluated):
        return problem.reference.evaluate(points)
    denser = reporting(problem, points)
    if made.solution.evaluator is not None and denser is problem:
        return made.solution.at(points)
    solver = make_solver(made.solver, made.options)
    solution: Solution = solver.solve(denser.without_answer())
    return solution.require_ok().at(points)


def _key(problem: Problem, support: Support, ladder: Ladder | None) -> str:
    content = {
        "schema": 3,
        "definition": problem.definition_hash,
        # Digits that do not depend on the machine.
        "support": [list(support.shape), f"{support.points.sum():.6e}"],
        "judged": list(problem.judged_names),
        "norm": problem.norm,
        "claim": problem.claim,
        "quantities": sorted(problem.quantities),
        "how": "known" if ladder is None else [ladder.solver, dict(ladder.options)],
    }
    return store.key_of(content)


def _stored(problem: Problem, key: str, cache: Path | None) -> Reference | None:
    folder = store.default_folder() if cache is None else cache
    found = store.fetch_shipped(problem.name, key) or store.fetch(folder, key)
    if found is None:
        return None
    solution, about = found
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
        external=about["external"],
        solver=about["solver"],
        options=about["options"],
        is_audited=about["audited"],
        is_stored=True,
    )


def _about(made: Reference) -> dict[str, Any]:
    """Return what is kept beside the fields: the study, and who made it."""
    return {
        "part": made.part("").model_dump(),
        "quantities": dict(made.quantities),
        "external": dict(made.external),
        "solver": made.solver,
        "options": dict(made.options),
        "audited": made.is_audited,
        "versions": {p: metadata.version(p) for p in PACKAGES},
    }


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
    needed = needed_rungs(order, problem.dimension)
    rungs = ascend(
        asked, first, support, target=problem.claim, budget=BUDGET, progress=progress
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
        solver=ladder.solver,
        options={
            f.name: getattr(best.solver, f.name)
            for f in fields_of(best.solver)  # type: ignore[arg-type]
            if f.init
        },
    )
