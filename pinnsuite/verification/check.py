"""The pre-flight: what can be known to be wrong before anything is solved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.problem.conditions import (
    Boundary,
    Dirichlet,
    Initial,
    Observed,
    Obstacle,
    Periodic,
    normal,
)
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.family import Family
from pinnsuite.problem.form import classify
from pinnsuite.problem.jets import lower, numpy_function
from pinnsuite.problem.signal import TASKS, SignalProblem
from pinnsuite.registry import SOLVERS, make_solver
from pinnsuite.verification.pinned import Pin
from pinnsuite.verification.residual import Finding, residual_findings

if TYPE_CHECKING:
    from pinnsuite.problem.catalog import AnyProblem

NUM_SAMPLES = 512


@dataclass(frozen=True)
class CheckReport:
    """What the pre-flight found.

    Attributes
    ----------
    problem
        Its name.
    lines
        What was looked at and seen, for a person.
    faults
        What is wrong; empty if nothing is.
    findings
        The known solution put into the equations and conditions.
    solvers
        For each solver by name None, or the reason why it cannot take the problem.
    """

    problem: str
    lines: tuple[str, ...]
    faults: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    solvers: dict[str, str | None] = field(default_factory=dict)

    @property
    def is_ok(self) -> bool:
        """Nothing is wrong."""
        return not self.faults


def check(
    made: AnyProblem, *, solvers: bool = True, pin: Pin | None = None
) -> CheckReport:
    """Look at the form, the boundaries, the known solution and the pinned statement.

    Of a family one member is looked at, of a signal what it holds.

    Parameters
    ----------
    made
        As the catalogue or the user made it, with its exact solution if it has one.
    solvers
        Whether to ask every solver if it can take the problem; this loads them all.
    pin
        What the package vouches for; see `pinned.pin_of`.
    """
    faults = [] if pin is None else pin.faults(made)
    pinned = "" if pin is None or faults else "as the package vouches for it"
    if isinstance(made, SignalProblem):
        lines = [*signal_lines(made), *filter(None, [pinned])]
        return CheckReport(made.name, tuple(lines), tuple(faults))
    problem, lines = made, []
    if isinstance(made, Family):
        problem = made.member(0)
        drawn = ", ".join(f"{k} ~ {d!r}" for k, d in made.distributions.items())
        sizes = f"{made.num_train} to learn from and {made.num_test} to judge by"
        lines = [f"family of {problem.name}: {drawn}", f"{sizes}; of member 0:"]
    assert isinstance(problem, Problem)
    lines += [*_form_lines(problem), *_boundary_lines(problem)]
    findings = residual_findings(problem)
    faults += [_sentence(f) for f in findings if not f.is_ok]
    faults += _boundary_faults(problem)
    faults += _obstacle_faults(problem)
    if pinned:
        lines.append(pinned)
    if findings:
        worst = max(f.residual / f.tolerance for f in findings)
        lines.append(
            f"known solution in {len(findings)} equations and conditions: largest "
            f"residual {worst:.1e} of what is allowed"
        )
    else:
        lines.append(
            "no closed form: the reference comes from these equations by refinement, "
            "so it cannot reveal a wrong sign in them"
        )
    takers = takers_of(made) if solvers else {}
    return CheckReport(made.name, tuple(lines), tuple(faults), tuple(findings), takers)


def signal_lines(made: SignalProblem) -> list[str]:
    """Return what a signal problem holds, a line each."""
    given = ", ".join(f"{k} {v.shape}" for k, v in made.given.items())
    truth = ", ".join(f"{k} {v.shape}" for k, v in (made.truth or {}).items())
    return [
        f"task {made.task!r}: {TASKS[made.task]}",
        f"given: {given}; finite",
        f"held back: {truth or 'nothing'}; judged by {made.metric}",
        f"noise: {made.noise}; split: {made.split or 'not stated'}",
    ]


def _sentence(finding: Finding) -> str:
    because = f"; {finding.suspect}" if finding.suspect else ""
    return (
        f"{finding.what}: the known solution leaves a residual of "
        f"{finding.residual:.2g} of the terms' size (allowed {finding.tolerance:.0e})"
        f"{because}"
    )


def _form_lines(problem: Problem) -> list[str]:
    form = classify(problem)
    words = ["linear" if form.is_linear else "nonlinear"]
    if form.is_stationary:
        words.append("stationary")
    elif form.is_differential_algebraic:
        words.append("differential-algebraic in time")
    else:
        words.append(f"order {max(form.time_orders)} in time")
    if problem.space:
        words.append(f"order {max(form.space_orders)} in space")
    lowered = lower(problem.equations, problem.fields, problem.coordinates)
    names = ", ".join(s.name for s in lowered.symbols)
    where = [] if problem.domain is None else [problem.domain.describe()]
    if problem.time is not None:
        where.append(problem.time.describe())
    lines = [
        f"{len(problem.fields)} field(s) {', '.join(problem.field_names)}; "
        + ", ".join(words),
        "on " + ", ".join(where),
        f"derivatives that occur: {names}",
    ]
    unknowns = [
        f"unknown {u.name} in [{u.lower:g}, {u.upper:g}]" for u in problem.unknowns
    ]
    measured = [
        f"{len(c.values)} measurements of {c.field}, {c.scale} misfit"
        for c in problem.conditions_of(Observed)
    ]
    obstacles = [
        f"{c.field} >= {c.value}: where they touch, the residual of its equation as "
        "written (with +u_t) is >= 0 instead of 0"
        for c in problem.conditions_of(Obstacle)
    ]
    return [*lines, *obstacles, *unknowns, *measured]


def _boundary_lines(problem: Problem) -> list[str]:
    if problem.domain is None:
        return []
    lines = []
    for name in problem.domain.boundaries:
        size = problem.domain.boundary_measure(name)
        held = [
            f"{type(c).__name__}({c.field.func.__name__})"
            for c in problem.conditions_of(Boundary)
            if name in problem.boundaries_of(c)
        ]
        held += [f"Periodic({c.along})" for c in problem.conditions_of(Periodic)]
        lines.append(
            f"boundary {name!r} (measure {size:.4g}): {', '.join(held) or 'nothing'}"
        )
    return lines


def _boundary_faults(problem: Problem) -> list[str]:
    """Find named boundaries that hold no point at all."""
    faults = []
    if problem.domain is None:
        return []
    for name in problem.domain.boundaries:
        points, normals = problem.domain.sample_boundary(name, NUM_SAMPLES, seed=0)
        if len(points) == 0:
            faults.append(f"boundary {name!r} holds no point; remove or rename it")
        elif not np.allclose((normals**2).sum(axis=1), 1.0):
            faults.append(f"boundary {name!r} has normals that are not of unit length")
    return faults


def _obstacle_faults(problem: Problem) -> list[str]:
    """Find initial and boundary values below an obstacle."""
    faults = []
    for obstacle in problem.conditions_of(Obstacle):
        for c in problem.conditions:
            if not isinstance(c, Initial | Dirichlet) or c.field != obstacle.field:
                continue
            if isinstance(c, Initial) and c.order:
                continue
            points, normals = _where(problem, c)
            gap = numpy_function(
                [*problem.coordinates, *(normal(x) for x in problem.space)],
                [c.value - obstacle.value],
            )(*points.T, *normals.T)[0]
            lowest = float(np.min(gap))
            if lowest < -1e-12:
                faults.append(
                    f"{type(c).__name__}({c.field}) lies up to {-lowest:.2g} below "
                    f"the obstacle {obstacle.value}, which no solution may"
                )
    return faults


def _where(
    problem: Problem, condition: Initial | Dirichlet
) -> tuple[np.ndarray, np.ndarray]:
    """Return points where a condition holds, time first, and the normals there."""
    assert problem.domain is not None
    if isinstance(condition, Initial):
        assert problem.time is not None
        space = problem.domain.sample_interior(NUM_SAMPLES, seed=0)
        start = np.full((len(space), 1), problem.time.start)
        return np.hstack([start, space]), np.zeros_like(space)
    parts = [
        problem.domain.sample_boundary(name, NUM_SAMPLES, seed=0)
        for name in problem.boundaries_of(condition)
    ]
    space = np.vstack([p for p, _ in parts])
    normals = np.vstack([n for _, n in parts])
    if problem.time is None:
        return space, normals
    unit = (np.arange(len(space)) % NUM_SAMPLES) / (NUM_SAMPLES - 1)
    times = problem.time.start + (problem.time.end - problem.time.start) * unit
    return np.hstack([times[:, None], space]), normals


def takers_of(made: AnyProblem) -> dict[str, str | None]:
    """Return for each equation solver None, or why it cannot take the problem.

    Solvers of other kinds of problems are left out. This loads all the others.
    """
    is_family = isinstance(made, Family)
    problem = made.member(0) if isinstance(made, Family) else made
    assert isinstance(problem, Problem)
    kinds = {"family"} if is_family else {"pde", "dynamics", "inverse"}
    takers: dict[str, str | None] = {}
    for name, entry in SOLVERS.items():
        if not kinds & set(entry.kinds):
            continue
        try:
            solver = make_solver(name, {})
            # An operator learns from pairs and asks nothing of the equations.
            asks = hasattr(solver, "why_not")
            takers[name] = solver.why_not(problem.without_answer()) if asks else None
        except (UnsupportedProblemError, OptionError) as error:
            takers[name] = str(error)
    return takers
