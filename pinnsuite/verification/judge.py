"""Judging a solution against its reference, after the solver's clock has stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pinnsuite.compare.comparison import compare, on_support, trace
from pinnsuite.problem.conditions import Observed
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.signal import SignalProblem
from pinnsuite.solution.record import ErrorPart, ReferencePart, finite
from pinnsuite.solution.solution import Solution
from pinnsuite.solution.support import common_support
from pinnsuite.verification.reference import Reference


@dataclass(frozen=True, eq=False)
class Judgement:
    """All that is known of a solution once the reference is opened.

    Attributes
    ----------
    error
        The record's part.
    residual
        The solver's own residual on fresh points, if it took one: not an error.
    trace
        (cpu_s, wall_s, loss, error) of each snapshot, in the metric of `error`.
    solution
        The values on the common support, ready to be saved.
    """

    error: ErrorPart
    residual: float | None
    trace: list[tuple[float, float, float | None, float | None]]
    solution: Solution


def judge(problem: Problem, solution: Solution, reference: Reference) -> Judgement:
    """Judge a solution of equations.

    Raises
    ------
    DataError, SolveError
        If the solution lacks a field or cannot be evaluated.
    """
    support = common_support(problem)
    truth = reference.fields(support)
    comparison = compare(
        solution,
        truth,
        support,
        problem=problem,
        coefficients=reference.coefficients,
        quantities=reference.quantities,
    )
    misfits = {
        f"misfit of {name}": m for name, m in data_misfit(problem, solution).items()
    }
    quantities = {**comparison.quantities, **misfits}
    residual = solution.details.get("fresh_residual")
    return Judgement(
        replace(comparison, quantities=quantities).part(),
        finite(None if residual is None else float(residual)),
        trace(
            solution,
            truth,
            support,
            gauge=problem.hints.get("gauge"),
            norm=problem.norm,
        ),
        on_support(solution, support),
    )


def judge_signal(problem: SignalProblem, solution: Solution) -> Judgement:
    """Judge an answer to a task against the data held back."""
    assert problem.truth is not None
    support = common_support(problem)
    comparison = compare(solution, problem.truth, support, problem=problem)
    return Judgement(
        comparison.part(),
        None,
        trace(solution, problem.truth, support) if _is_field(problem) else [],
        solution,
    )


def signal_reference(problem: SignalProblem) -> ReferencePart:
    """Return what a record says of data as the reference."""
    return ReferencePart(
        id=problem.name,
        kind="data",
        hash=problem.definition_hash,
        error_estimate={},
        description=problem.split or "no solver sees it",
    )


def _is_field(problem: SignalProblem) -> bool:
    return problem.metric == "relative_l2"


def data_misfit(problem: Problem, solution: Solution) -> dict[str, float]:
    """Return the root mean square misfit to the measurements, by field.

    On the scale of the measurements: of logarithms where the noise is multiplicative.
    """
    misfit: dict[str, list[np.ndarray]] = {}
    for c in problem.conditions_of(Observed):
        name = c.field.func.__name__
        values: Mapping[str, np.ndarray] = solution.at(c.points)
        seen, wanted = values[name], c.values
        if c.scale == "log":
            seen = np.log(np.maximum(seen, np.finfo(float).tiny))
            wanted = np.log(wanted)
        misfit.setdefault(name, []).append(seen - wanted)
    return {
        name: float(np.sqrt(np.mean(np.concatenate(parts) ** 2)))
        for name, parts in misfit.items()
    }
