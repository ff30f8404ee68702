"""A solution beside its reference: all errors on the common points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pinnsuite.compare.metrics import (
    FORMULAS,
    bits_per_character,
    error_rate,
    max_error,
    mean_relative_l2,
    relative_l1,
    relative_l2,
    relative_l2_modulo_constant,
)
from pinnsuite.errors import DataError, SolveError
from pinnsuite.problem.conditions import Dirichlet, normal
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.family import Family
from pinnsuite.problem.jets import Jet, Lowered, lower, numpy_function
from pinnsuite.problem.signal import SignalProblem
from pinnsuite.solution.record import ErrorPart, FieldError, finite
from pinnsuite.solution.solution import Evaluator, Solution
from pinnsuite.solution.support import Grid, Support

BOUNDARY_POINTS = 512
"""Points on each named boundary at which conditions are judged."""


@dataclass(frozen=True)
class Comparison:
    """How far a solution is from its reference.

    Attributes
    ----------
    metric, formula, value
        What solutions of this problem are ranked by; smaller is better.
    relative_l2, relative_l1, max
        By field; `max` is absolute, `relative_l1` is taken where it is the metric.
        Empty where the fields are no physical quantities.
    quantities
        Numbers of interest, and where the true one is known `NAME error`, absolute.
    coefficients
        By unknown: `value`, `reference` and `relative_error`.
    invariant_drift
        `max_t |I(t) - I(t₀)| / ∫|ρ(t₀)|` of each invariant `I = ∫ρ`.
    boundary_violation
        Root mean square of `u - value` over the boundaries with a Dirichlet condition.
    """

    metric: str
    formula: str
    value: float
    relative_l2: Mapping[str, float] = field(default_factory=dict)
    relative_l1: Mapping[str, float] = field(default_factory=dict)
    max: Mapping[str, float] = field(default_factory=dict)
    quantities: Mapping[str, float] = field(default_factory=dict)
    coefficients: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    invariant_drift: Mapping[str, float] = field(default_factory=dict)
    boundary_violation: float | None = None

    def part(self) -> ErrorPart:
        """Return the part of a record; infinite errors are written as null."""
        worst_l2 = max(self.relative_l2.values(), default=None)
        return ErrorPart(
            metric=self.metric,
            formula=self.formula,
            value=finite(self.value),
            relative_l2=finite(worst_l2),
            max=finite(max(self.max.values(), default=None)),
            per_field={
                name: FieldError(
                    relative_l2=finite(e),
                    relative_l1=finite(self.relative_l1.get(name)),
                    max=finite(self.max[name]),
                )
                for name, e in self.relative_l2.items()
            },
            quantities={k: finite(v) for k, v in self.quantities.items()},
            coefficients={
                name: {k: finite(v) for k, v in entry.items()}
                for name, entry in self.coefficients.items()
            },
            invariant_drift={k: finite(v) for k, v in self.invariant_drift.items()},
            boundary_violation=finite(self.boundary_violation),
        )


def compare(
    solution: Solution,
    reference_fields: Mapping[str, np.ndarray],
    support: Support,
    *,
    problem: Problem | SignalProblem | Family | None = None,
    gauge: str | None = None,
    norm: str | None = None,
    coefficients: Mapping[str, float] | None = None,
    quantities: Mapping[str, float] | None = None,
) -> Comparison:
    """Judge `solution` against reference values on the common points.

    Parameters
    ----------
    solution
        Evaluated at `support.points` in its own basis.
    reference_fields
        One array a field, of shape `support.shape` (signals may add axes behind).
    support
        The common points, see `solution.support.common_support`.
    problem
        Adds its metric (signals) or norm, boundary violation, invariants and
        quantities.
    gauge
        Name of the field that is fixed up to a constant; its error is taken modulo it.
        Without it the problem's own hint is used.
    norm
        "L2" or "L1", see `Problem.norm`; without it the problem's own.
    coefficients, quantities
        True values, by name, where they are known.

    Raises
    ------
    DataError
        If a field of the reference is missing from the solution, or the shapes differ.
    SolveError
        If the solution cannot be evaluated at the points.
    """
    fields = fields_on(solution, support)
    _check_fields(fields, reference_fields)
    signal = problem if isinstance(problem, SignalProblem) else None
    if signal is not None and signal.metric != "relative_l2":
        ((name, truth),) = reference_fields.items()
        if signal.metric == "error_rate":
            value = error_rate(fields[name], truth)
        else:
            value = bits_per_character(fields[name], truth)
        return Comparison(signal.metric, FORMULAS[signal.metric], value)
    if gauge is None and isinstance(problem, Problem):
        gauge = problem.hints.get("gauge")
    if norm is None:
        norm = problem.norm if isinstance(problem, Problem) else "L2"
    variant, errors = "relative_l2", {}
    for name, truth in reference_fields.items():
        if signal is not None:
            variant = "relative_l2 of samples"
            errors[name] = relative_l2(fields[name], truth)
        elif "member" in support.axes:
            variant = "relative_l2 of members"
            errors[name] = mean_relative_l2(fields[name], truth)
        else:
            judge = relative_l2_modulo_constant if name == gauge else relative_l2
            weights = support.weights.reshape(support.shape)
            errors[name] = judge(fields[name], truth, weights)
    formula = FORMULAS[variant]
    if gauge is not None:
        formula += f"; {gauge}: {FORMULAS['relative_l2 modulo constant']}"
    metric, absolute, value = "relative_l2", {}, max(errors.values())
    if norm == "L1":
        metric, formula = "relative_l1", FORMULAS["relative_l1"]
        weights = support.weights.reshape(support.shape)
        absolute = {
            name: relative_l1(fields[name], truth, weights)
            for name, truth in reference_fields.items()
        }
        value = max(absolute.values())
    comparison = Comparison(
        metric,
        f"{formula}; the worst field counts",
        value,
        errors,
        absolute,
        {name: max_error(fields[name], v) for name, v in reference_fields.items()},
        coefficients=_coefficient_errors(solution.coefficients, coefficients or {}),
    )
    if not isinstance(problem, Problem):
        return comparison
    return replace(
        comparison,
        quantities=_quantities(problem, solution, quantities or {}),
        invariant_drift=invariant_drift(problem, fields, support),
        boundary_violation=boundary_violation(problem, solution),
    )


def fields_on(solution: Solution, support: Support) -> dict[str, np.ndarray]:
    """Return the solution's fields at the points of `support`, in its shape.

    Values that already live there are taken as they are.

    Raises
    ------
    SolveError
        If the solution holds no values or cannot be evaluated elsewhere.
    """
    if solution.evaluator is None and _same(solution.support, support):
        return dict(solution.fields)
    if solution.evaluator is None and not solution.fields:
        raise SolveError(f"There are no values to compare: {solution.sentence}")
    values = solution.at(support.points)
    return {n: np.asarray(v, float).reshape(support.shape) for n, v in values.items()}


def on_support(solution: Solution, support: Support) -> Solution:
    """Return the solution as values on `support`, ready to be saved."""
    return replace(
        solution, support=support, fields=fields_on(solution, support), evaluator=None
    )


def trace(
    solution: Solution,
    reference_fields: Mapping[str, np.ndarray],
    support: Support,
    *,
    gauge: str | None = None,
    norm: str | None = None,
) -> list[tuple[float, float, float | None, float | None]]:
    """Return (cpu_s, wall_s, loss, error) of each snapshot, for a record.

    The error is in the metric of the record, see `compare`.
    The judging happens here, after the solver's clock has stopped.
    """
    rows = []
    for snapshot in solution.snapshots:
        then = Solution(Grid({}), {}, evaluator=snapshot.evaluate)
        error = compare(then, reference_fields, support, gauge=gauge, norm=norm).value
        rows.append(
            (snapshot.cpu_s, snapshot.wall_s, finite(snapshot.loss), finite(error))
        )
    return rows


def boundary_violation(problem: Problem, solution: Solution) -> float | None:
    """Return `(Σ_Γ ∫(u - g)² / Σ_Γ |Γ|)^½` over the Dirichlet conditions `u = g`.

    Points are quasi-random along each boundary and random in time, with fixed seeds.
    None where there is no such condition or the solution is known at its nodes only.
    """
    conditions = problem.conditions_of(Dirichlet)
    if problem.domain is None or not conditions:
        return None
    if solution.evaluator is None and not isinstance(solution.support, Grid):
        return None
    known = {
        u.symbol: solution.coefficients.get(u.symbol.name, u.guess)
        for u in problem.unknown_scalars
    }
    square = measure = 0.0
    normals = tuple(normal(x) for x in problem.space)
    for condition in conditions:
        function = numpy_function(
            (*problem.coordinates, *normals), [condition.value.subs(known)]
        )
        for name in problem.boundaries_of(condition):
            points, outward = problem.domain.sample_boundary(name, BOUNDARY_POINTS, 0)
            if problem.time is not None:
                span = (problem.time.start, problem.time.end)
                times = np.random.default_rng(0).uniform(*span, len(points))
                points = np.column_stack([times, points])
            (value,) = function(*points.T, *outward.T)
            mismatch = solution.at(points)[condition.field.func.__name__] - value
            size = problem.domain.boundary_measure(name)
            square += size * float(np.mean(mismatch**2))
            measure += size
    return float(np.sqrt(square / measure))


def invariant_drift(
    problem: Problem, fields: Mapping[str, np.ndarray], support: Support
) -> dict[str, float]:
    """Return `max_t |I(t) - I(t₀)| / ∫|ρ(t₀)|` of each invariant `I(t) = ∫ρ dx`.

    Derivatives in the density are those of interpolating quintic splines, along the
    axes of a grid; densities with derivatives are left out on a mesh.
    """
    if problem.time is None:
        return {}
    num_times = len(support.axes[problem.time.coordinate.name])
    drift = {}
    for name, density in problem.invariants.items():
        lowered = lower([density], problem.fields, problem.coordinates)
        jets = [_derivative(j, problem, fields, support) for j in lowered.jets.values()]
        if any(j is None for j in jets):
            continue
        drift[name] = _drift(lowered, jets, support, num_times)
    return drift


def _drift(
    lowered: Lowered, jets: Sequence[Any], support: Support, num_times: int
) -> float:
    function = numpy_function((*lowered.coordinates, *lowered.symbols), lowered.algebra)
    (density,) = function(*support.points.T, *(j.ravel() for j in jets))
    rho = np.broadcast_to(density, len(support.points)).reshape(num_times, -1)
    weights = _space_weights(support, num_times)
    integral = rho @ weights
    scale = float(np.abs(rho[0]) @ weights) or 1.0
    change = float(np.abs(integral - integral[0]).max()) / scale
    return change if np.isfinite(change) else np.inf


def _space_weights(support: Support, num_times: int) -> np.ndarray:
    if not isinstance(support, Grid):
        return support.space_weights
    # Time comes first and its first weight is a common factor of the first rows.
    rows = support.weights.reshape(num_times, -1)
    time = next(iter(support.axes.values()))
    first: np.ndarray = rows[0] / ((time[1] - time[0]) / 2)
    return first


def _derivative(
    jet: Jet, problem: Problem, fields: Mapping[str, np.ndarray], support: Support
) -> np.ndarray | None:
    from scipy.interpolate import make_interp_spline

    values = fields[problem.field_names[jet.field]]
    if not any(jet.orders):
        return values
    if not isinstance(support, Grid):
        return None
    for k, (axis, order) in enumerate(
        zip(support.axes.values(), jet.orders, strict=True)
    ):
        if order:
            degree = min(5, len(axis) - 1)
            spline = make_interp_spline(axis, values, degree, axis=k)
            values = spline(axis, nu=order)
    return values


def _quantities(
    problem: Problem, solution: Solution, truth: Mapping[str, float]
) -> dict[str, float]:
    found = {}
    at: Evaluator = solution.at
    for name, quantity in problem.quantities.items():
        found[name] = float(quantity(at))
        if name in truth:
            found[f"{name} error"] = abs(found[name] - truth[name])
    return found


def _coefficient_errors(
    values: Mapping[str, float], truth: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    table: dict[str, dict[str, float]] = {}
    for name, value in values.items():
        table[name] = {"value": value}
        if name in truth:
            scale = abs(truth[name]) or 1.0
            table[name]["reference"] = truth[name]
            table[name]["relative_error"] = abs(value - truth[name]) / scale
    return table


def _check_fields(
    fields: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]
) -> None:
    for name, truth in reference.items():
        if name not in fields:
            raise DataError(
                f"The solution has no field {name!r}; it has "
                f"{', '.join(fields) or 'none'}. The reference has "
                f"{', '.join(reference)}."
            )
        shape = fields[name].shape
        # Scores have one column a class where the truth is the class alone.
        if shape != truth.shape and shape[: truth.ndim] != truth.shape:
            raise DataError(
                f"Field {name!r} has shape {shape}, its reference {truth.shape}; both "
                "must live on the common points."
            )


def _same(one: Support, other: Support) -> bool:
    if isinstance(one, Grid) and isinstance(other, Grid):
        return list(one.axes) == list(other.axes) and all(
            np.array_equal(one.axes[k], other.axes[k]) for k in one.axes
        )
    if isinstance(one, Grid) or isinstance(other, Grid):
        return False
    return np.array_equal(one.nodes, other.nodes) and one.shape == other.shape


__all__ = [
    "Comparison",
    "boundary_violation",
    "compare",
    "fields_on",
    "invariant_drift",
    "on_support",
    "trace",
]
