"""Observed orders of accuracy, by manufactured solutions, against the declared ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp

from pinnsuite.classical.ode import first_order
from pinnsuite.compare.metrics import relative_l2
from pinnsuite.errors import UnsupportedProblemError
from pinnsuite.problem.conditions import Boundary, Dirichlet, Periodic
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.domain import Box, TimeInterval
from pinnsuite.problem.form import classify, evolution
from pinnsuite.problem.jets import numpy_function
from pinnsuite.problem.manufactured import manufacture, smooth_field
from pinnsuite.problem.smoothed import smoothed
from pinnsuite.registry import make_solver
from pinnsuite.solution.solution import Status
from pinnsuite.solver import Progress, Refinable, silent
from pinnsuite.verification.ladder import Rung, centred, climb
from pinnsuite.verification.reference import exact_evaluator

TOLERANCE = 0.1
"""How far below the declared order an observed one may be.

Above it is no fault: on coarse grids terms of higher order may rule, as in WENO5.
"""

FLOOR = 1e-11
"""Errors below this are rounding."""

SPOILT = 2**TOLERANCE - 1
"""Share of rounding in an error that changes its order by `TOLERANCE`."""

LOST = 1.0
"""With such a relative error 0 would be as good a solution."""

SPECTRAL_ERROR = 1e-8
"""What a spectral method must reach at the top of its ladder."""

NUM_POINTS = 1024
"""Points in space at which errors are taken."""

SCHEME = ("order", "stencil", "element", "method", "scheme", "reconstruction")
"""Options that set the order, not the resolution."""


MAX_TRIALS = 3
TRIAL_SECONDS = 5.0
"""A study starts at the first of so many rungs that ends within these CPU seconds."""

FASTEST = 8.0
"""Length of the interval for ordinary equations, in units of their shortest time."""

RUNG_SECONDS = 1.0
"""A rung that took more CPU seconds than this is the last, from the second one on."""


@dataclass(frozen=True)
class Start:
    """Where the study of one solver starts, how far it goes, and for what.

    Attributes
    ----------
    solver, options
        Its name and options on the first rung.
    max_rungs
        Rungs at most.
    fixed_step
        The option `step` is set to an eighth of the time interval.
    linear_plane
        Only linear problems in two coordinates, time among them, are studied: with
        more, polynomials of high degree take minutes, and Gauss-Newton steps need not
        converge on coarse rungs.
    least_dimension
        Problems in fewer space dimensions have another start.
    fall
        Share of its first error that a method without a fixed order may keep.
    """

    solver: str
    options: Mapping[str, Any]
    max_rungs: int = 5
    fixed_step: bool = False
    linear_plane: bool = False
    least_dimension: int = 0
    fall: float = 1e-3


STARTS = (
    Start("lines", {"points": 21, "order": 2}, max_rungs=4),
    Start("lines", {"points": 21, "order": 4}, max_rungs=4),
    Start("lines", {"points": 17, "stencil": "chebyshev"}, max_rungs=3),
    Start("lines", {"points": 5, "stencil": "chebyshev"}, least_dimension=4),
    Start("finite-difference", {"order": 2}, max_rungs=4),
    Start("finite-difference", {"order": 4}, max_rungs=4),
    Start("finite-difference", {"points": 9, "stencil": "chebyshev"}, max_rungs=3),
    # Not "auto", which may be minmod: that flattens smooth extrema, at first order.
    Start(
        "finite-volume",
        {"cells": 40, "reconstruction": "MUSCL", "limiter": "MC"},
        max_rungs=4,
    ),
    Start("finite-volume", {"cells": 40, "reconstruction": "WENO5"}, max_rungs=4),
    Start("collocation", {"degree": 10}, max_rungs=4, linear_plane=True, fall=0.1),
    Start("fourier", {"points": 48, "steps": 60, "scheme": "etdrk4"}, max_rungs=4),
    Start("fourier", {"points": 48, "steps": 60, "scheme": "if-rk4"}, max_rungs=4),
    Start("fourier", {"points": 48, "steps": 120, "scheme": "sbdf2"}, max_rungs=4),
    Start("finite-element", {"element": "P1", "steps": 10}),
    Start("finite-element", {"element": "P2", "steps": 20}),
    Start("finite-element", {"element": "P3", "steps": 20}),
    Start("complementarity", {"points": 41, "steps": 20}, max_rungs=4),
    Start("cell-centred", {"cells": 16, "method": "SDIRK2", "steps": 20}, max_rungs=4),
    Start("cell-centred", {"cells": 16, "method": "SDIRK4", "steps": 10}, max_rungs=4),
    Start("ode", {"method": "Radau"}, max_rungs=3, fixed_step=True),
    Start("ode", {"method": "DOP853", "rtol": 1e-5, "atol": 1e-7}, max_rungs=4),
    Start("ode", {"method": "LSODA", "rtol": 1e-5, "atol": 1e-7}, max_rungs=4),
)
"""Every classical solver, with the variants whose order differs."""


@dataclass(frozen=True)
class OrderRow:
    """One solver on one manufactured problem.

    Attributes
    ----------
    problem, solver
        Names; the solver's with the options that set its order.
    expected_order, observed_order
        None for a spectral or tolerance-controlled method.
    error
        Relative L2 error against the manufactured solution at the top of the ladder,
        the worst over the fields.
    error_estimate
        What the ladder says of that error without knowing the solution.
    cpu_s
        CPU seconds of the top rung.
    is_ok
        The order is reached to `TOLERANCE`, or the spectral error is small enough.
    note
        What a person should know.
    """

    problem: str
    solver: str
    expected_order: float | None
    observed_order: float | None
    error: float
    error_estimate: float
    cpu_s: float
    is_ok: bool
    note: str = ""


def verify(
    problems: Iterable[Problem],
    solvers: Iterable[str] | None = None,
    *,
    progress: Progress = silent,
) -> list[OrderRow]:
    """Return a row for each classical solver and problem that it takes."""
    chosen = None if solvers is None else set(solvers)
    tasks = [
        (p, s) for p in problems for s in STARTS if chosen is None or s.solver in chosen
    ]
    rows = []
    for i, (problem, start) in enumerate(tasks):
        progress(i / len(tasks), f"{problem.name}: {start.solver}")
        row = _study(problem, start)
        if row is not None:
            rows.append(row)
    return rows


def verify_scheme(problem: Problem, name: str, solver: Any) -> OrderRow | None:
    """Return the row for the scheme of `solver`, on coarse grids and steps.

    The resolution is the study's, everything else that sets the order is the solver's.
    None if there is no study for the solver or it cannot take the problem.
    """
    scheme = {k: getattr(solver, k) for k in SCHEME if hasattr(solver, k)}
    starts = [s for s in STARTS if s.solver == name]
    if not starts:
        return None
    nearest = max(
        starts, key=lambda s: sum(s.options.get(k) == v for k, v in scheme.items())
    )
    # A licence asks for less than `verify`: the default mesh is fine enough.
    hints = {k: v for k, v in problem.hints.items() if k != "mesh_size"}
    coarse = replace(problem, hints=hints)
    return _study(coarse, replace(nearest, options={**nearest.options, **scheme}))


def _short(problem: Problem) -> Problem:
    """Return the problem with few output times, on a shorter interval where it helps.

    An order does not depend on the interval's length, but where perturbations grow, as
    they do under chaos and may about a manufactured solution, rounding does: a tenth of
    the interval keeps it out of the way. It is also that of h → 0: with steps that are
    long against the fastest rate of stiff equations, Radau IIA has the order of its
    stages, 3. So ordinary equations get an interval of `FASTEST` times of that rate.
    Source: E. Hairer & G. Wanner, DOI 10.1007/978-3-642-05221-7, section VI.3.
    """
    if problem.time is None:
        return problem
    start, end = problem.time.start, problem.time.end
    if problem.domain is None or problem.valid_until is not None:
        end = start + (end - start) / 10
    time = TimeInterval(problem.time.coordinate, start, end, num_outputs=9)
    short = replace(problem, time=time)
    if problem.domain is not None:
        return short
    try:
        end = min(end, start + FASTEST / max(_fastest_rate(short), 1e-300))
    except UnsupportedProblemError:
        return short  # no solver of ordinary equations takes it
    return replace(short, time=replace(time, end=end))


def _fastest_rate(problem: Problem) -> float:
    """Return the largest `‖∂f/∂y‖` of `y' = f` along the manufactured solution."""
    exact = smooth_field(problem)
    assert problem.time is not None
    t = problem.time.coordinate
    system = evolution(manufacture(problem, exact))
    states, _, slopes = first_order(system)
    fields = [exact[f] for f in problem.states]
    along = {
        symbol: sp.diff(fields[s.field], t, s.order)
        for symbol, s in zip(states, system.states, strict=True)
    }
    entries = [slope.xreplace(along) for row in slopes for slope in row]
    values = np.array(
        [
            np.broadcast_to(v, len(problem.time.outputs))
            for v in numpy_function([t], entries)(problem.time.outputs)
        ]
    )
    matrices = values.T.reshape(-1, len(states), len(states))
    return float(np.linalg.norm(matrices, 2, axis=(1, 2)).max())


def _points(problem: Problem) -> np.ndarray:
    """Return scattered points at the output times, time first.

    Not those of a grid: on nodes of its own an element is better than elsewhere.
    """
    times = None if problem.time is None else problem.time.outputs
    if problem.domain is None:
        assert times is not None
        return times[:, None]
    space = problem.domain.sample_interior(NUM_POINTS, seed=0)
    if times is None:
        return space
    return np.hstack(
        [np.repeat(times, len(space))[:, None], np.tile(space, (len(times), 1))]
    )


def _closed(problem: Problem) -> Problem:
    """Return a nonlinear problem of first order with values on every side.

    A side without a condition is one that all waves leave, or none reaches. That is a
    property of the solution; the manufactured one lets waves enter, and without its
    values there nothing would determine it.
    """
    form = classify(problem)
    if problem.domain is None or form.is_linear or max(form.space_orders) > 1:
        return problem
    held = {
        side
        for c in problem.conditions_of(Boundary)
        for side in problem.boundaries_of(c)
    }
    for c in problem.conditions_of(Periodic):
        assert isinstance(problem.domain, Box)
        held |= set(problem.domain.sides(c.along))
    free = [side for side in problem.domain.boundaries if side not in held]
    if not free:
        return problem
    values = [Dirichlet(f, 0, on=free) for f in problem.states]
    return replace(problem, conditions=[*problem.conditions, *values])


def why_not(problem: Problem, start: Start) -> str | None:
    """Say why `start` is not studied on `problem`, or None."""
    if "elements" in problem.hints and start.options.get("element") == "P1":
        return "the author's elements are used, whatever the option"
    if start.linear_plane and (
        len(problem.coordinates) > 2 or not classify(problem).is_linear
    ):
        return "it is not linear in two coordinates"
    if problem.dimension < start.least_dimension:
        return "another start is for so few dimensions"
    asked = _manufactured(problem).without_answer()
    # Made smooth, it would also be taken by solvers that refuse it because it jumps.
    posed = replace(asked, norm=problem.norm)
    reason: str | None = make_solver(start.solver, start.options).why_not(posed)
    return reason


def _manufactured(problem: Problem, scale: int | sp.Expr = 1) -> Problem:
    """Return a short problem with a smooth solution, `scale` times the usual one."""
    short = smoothed(_short(problem))
    exact = {f: scale * e for f, e in smooth_field(short).items()}
    return manufacture(_closed(short), exact)


def _study(problem: Problem, start: Start, shorter: int = 2) -> OrderRow | None:
    """Return the row; on a tenth of the interval, `shorter` times, if all is lost.

    About a manufactured solution perturbations may grow until errors of the first rung
    are as large as the solution, or overflow: with mixing by a flow, say. A scheme that
    is not stable must gain nothing by it: its errors grow with the steps, and only
    where their number is an option does it stay.
    """
    if why_not(problem, start) is not None:
        return None
    if "steps" not in start.options:
        shorter = 0
    made = _manufactured(problem)
    options = dict(start.options)
    if start.fixed_step and made.time is not None:
        options["step"] = (made.time.end - made.time.start) / 8
    solver = make_solver(start.solver, options)
    asked = made.without_answer()
    solver, status = _first_that_ends(asked, solver)
    if status is Status.DIVERGED and made.time is None:
        # Newton's method finds a smaller solution, which is nearer to its start.
        made = _manufactured(problem, sp.Rational(1, 8))
        asked = made.without_answer()
        solver, status = _first_that_ends(asked, make_solver(start.solver, options))
    if status is Status.NOT_REACHED:
        return None  # such as an explicit method on stiff equations
    points = _points(made)
    truth = centred(made, exact_evaluator(made)(points))
    rungs: list[Rung] = []
    errors: list[dict[str, float]] = []
    for rung in climb(asked, solver, points):
        rungs.append(rung)
        errors.append({k: relative_l2(rung.fields[k], truth[k]) for k in truth})
        if shorter and max(errors[0].values()) >= LOST:
            break
        is_long = len(rungs) > 1 and rung.cpu_s > RUNG_SECONDS
        if is_long or len(rungs) == start.max_rungs:
            break
    is_lost = not errors or max(errors[0].values()) >= LOST
    if is_lost and shorter and problem.time is not None:
        time = problem.time
        end = time.start + (time.end - time.start) / 10
        less = replace(problem, time=replace(time, end=end))
        return _study(less, start, shorter - 1)
    expected = solver.expected_order(asked)
    label = _label(start)
    if len(rungs) < 2:
        note = f"rung {len(rungs) + 1} failed"
        bad = float("nan")
        return OrderRow(problem.name, label, expected, None, bad, bad, 0.0, False, note)
    worst = max(truth, key=lambda name: errors[-1][name])
    series = [e[worst] for e in errors]
    top, cpu_s = series[-1], rungs[-1].cpu_s
    step = relative_l2(rungs[-2].fields[worst], rungs[-1].fields[worst])
    if expected is None:
        is_ok = top <= max(SPECTRAL_ERROR, start.fall * series[0])
        note = "no fixed order: the error falls faster than any power, or by tolerance"
        return OrderRow(problem.name, label, None, None, top, step, cpu_s, is_ok, note)
    seen = _observed(series)
    # Rungs whose error is rounding show no order; how large that is, the conditioning
    # of the problem says, up to a limit.
    while seen is not None and seen < expected - TOLERANCE:
        k = max(k for k, e in enumerate(series) if e > FLOOR)
        is_large = series[k] > SPECTRAL_ERROR
        if is_large or _rounding(asked, rungs[k], worst, points) < SPOILT * series[k]:
            break
        series = series[:k]
        seen = _observed(series)
    if seen is None:
        note = "errors are at rounding level from the start"
        return OrderRow(
            problem.name, label, expected, None, top, step, cpu_s, top < FLOOR, note
        )
    estimate = step / (2**expected - 1)
    is_ok = seen >= expected - TOLERANCE
    note = "" if is_ok else "errors " + ", ".join(f"{e:.2e}" for e in series)
    return OrderRow(
        problem.name, label, expected, seen, top, estimate, cpu_s, is_ok, note
    )


def _rounding(problem: Problem, rung: Rung, name: str, points: np.ndarray) -> float:
    """Return how much a field changes with equations multiplied by 1 + 3e-15.

    That changes nothing but the rounding of their coefficients.
    """
    factor = sp.Float(1 + 3e-15, 17)
    same = replace(problem, equations=[factor * e for e in problem.equations])
    solution = rung.solver.solve(same)
    if solution.status is not Status.OK:
        return 0.0
    return relative_l2(centred(same, solution.at(points))[name], rung.fields[name])


def _first_that_ends(problem: Problem, solver: Refinable) -> tuple[Refinable, Status]:
    """Return the solver, refined where it is too coarse to be stable, and a status."""
    status = Status.OK
    for _ in range(MAX_TRIALS):
        status = solver.solve(problem, budget=TRIAL_SECONDS).status
        finer = solver.refined()
        if status is Status.OK or finer.why_not(problem) is not None:
            break
        solver = finer
    return solver, status


def _observed(errors: list[float]) -> float | None:
    """Return the order of the finest two errors that are above rounding."""
    above = [e for e in errors if e > FLOOR]
    if len(above) < 2:
        return None
    return float(np.log2(above[-2] / above[-1]))


def _label(start: Start) -> str:
    words = [str(v) for k, v in start.options.items() if k in SCHEME]
    return " ".join([start.solver, *words])
