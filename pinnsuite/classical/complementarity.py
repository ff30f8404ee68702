"""Variational inequalities in time: an equation, or contact with an obstacle."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

from pinnsuite.classical.semidiscretisation import (
    BoxForm,
    CompiledRates,
    Semidiscretisation,
    SpaceAxis,
    box_axes,
    box_form,
    closed_axes,
    require_box,
)
from pinnsuite.classical.stencils import LocalAxis, interpolant
from pinnsuite.errors import OptionError, UnsupportedProblemError, unknown_name
from pinnsuite.problem.conditions import Obstacle
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.form import evolution
from pinnsuite.problem.jets import is_linear, jacobian, lower, numpy_function
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solution.support import Grid
from pinnsuite.solver import Progress, require_supported, silent

METHODS = ("active-set", "penalty", "psor")

_GAMMA = 1.0 - 1.0 / np.sqrt(2.0)
"""The diagonal of the L-stable two-stage Runge-Kutta method of order 2."""

_TOLERANCE = 1e-10
"""The complementarity residual left in a stage, relative to the largest value."""

_PENALTY = 1e9
"""How many times stiffer than a step's equation the penalty pushes back."""

_MAX_ITERATIONS = 100
_MAX_SWEEPS = 20000
_NUM_SAMPLES = 64


class _NoConvergenceError(Exception):
    """An iteration ended without a solution of its stage."""


@dataclass(frozen=True)
class Complementarity:
    """`u ≥ g, R ≥ 0, (u - g) R = 0` with R = u_t - F(t, x, u, u_x, u_xx), on boxes.

    Central differences of order 2 in space; in time the L-stable, stiffly accurate
    two-stage diagonally implicit Runge-Kutta method of order 2 (SDIRK2), which damps
    what a kink in the initial state excites, with steps that shrink towards the start:
    the contact set moves like √(t log t) there, and equal steps lose accuracy.
    Each stage is a complementarity problem for the values at the nodes.

    The error falls as h² with half the steps and mesh width, although the second
    derivative jumps where the contact ends; the contact's edge is known to about one
    mesh width, so the observed order scatters about 2.
    Source: M. Hintermüller, K. Ito, K. Kunisch, The primal-dual active set strategy as
    a semismooth Newton method, SIAM J. Optim. 13 (2002) 865, DOI
    10.1137/S1052623401383558; P. A. Forsyth & K. R. Vetzal, Quadratic convergence for
    valuing American options using a penalty method, SIAM J. Sci. Comput. 23 (2002)
    2095, DOI 10.1137/S1064827500382324 (penalty and the need for small first steps);
    C. W. Cryer, SIAM J. Control 9 (1971) 385, DOI 10.1137/0309028 (projected SOR).

    Attributes
    ----------
    points
        Nodes along each axis, both ends included.
    steps
        Time steps.
    method
        "active-set": semismooth Newton, exact contact. "penalty": Newton for a stiff
        spring below the obstacle, which is broken by about 1e-9. "psor": projected
        successive over-relaxation, for linear equations; simple and slow.
    stretch
        0 gives uniform nodes, b > 0 the nodes `sinh(b s)/sinh(b)`, s uniform in
        [-1, 1], which lie denser in the middle.
    grading
        The step ends are `start + length (k/steps)^grading`; 1 gives equal steps.
    """

    family: ClassVar[str] = "classical"

    points: int = 201
    steps: int = 100
    method: str = "active-set"
    stretch: float = 0.0
    grading: float = 2.0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise OptionError(
                unknown_name("complementarity option method", self.method, METHODS)
            )
        if self.points < 5:
            raise OptionError(
                f"complementarity: points is {self.points}; at least 5 are needed."
            )
        if self.steps < 1:
            raise OptionError(
                f"complementarity: steps is {self.steps}; at least 1 is needed."
            )
        if self.stretch < 0:
            raise OptionError(
                f"complementarity: stretch is {self.stretch}; it must be 0 or positive."
            )
        if not 1 <= self.grading <= 4:
            raise OptionError(
                f"complementarity: grading is {self.grading}; it must lie between 1 "
                "and 4."
            )

    def why_not(self, problem: Problem) -> str | None:
        """Say which part of `problem` is out of reach, or None."""
        try:
            self._analyse(problem)
        except UnsupportedProblemError as error:
            return str(error)
        return None

    def refined(self) -> Complementarity:
        """Return the solver at half the mesh width and twice the steps."""
        return replace(self, points=2 * self.points - 1, steps=2 * self.steps)

    def expected_order(self, problem: Problem) -> float | None:  # noqa: ARG002
        """Return 2."""
        return 2.0

    def _axes(self, problem: Problem) -> list[SpaceAxis]:
        return box_axes(problem, self.points, 2, "finite-difference", self.stretch)

    def _analyse(self, problem: Problem) -> BoxForm:
        obstacles = problem.conditions_of(Obstacle)
        if not obstacles:
            raise UnsupportedProblemError(
                "it has no Obstacle, so its equations hold everywhere; use 'lines'"
            )
        require_box(problem)
        if problem.dimension > 2:
            raise UnsupportedProblemError(
                f"it has {problem.dimension} space coordinates, and one or two are "
                "taken"
            )
        equations = _without_obstacles(problem)
        system = evolution(equations)
        if any(s.order for s in system.states):
            raise UnsupportedProblemError(
                "it is of second order in time, and contact then needs a law of impact"
            )
        if self.method == "psor" and not is_linear(system.rates):
            raise UnsupportedProblemError(
                "its equation is nonlinear, which projected over-relaxation does not "
                "take; use method 'active-set'"
            )
        for c in obstacles:
            _check_sign(equations, problem.fields.index(c.field))
        return box_form(equations, system, self._axes(problem))

    def solve(
        self,
        problem: Problem,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> Solution:
        """Solve `problem` from its first to its last time."""
        require_supported(self, problem)
        assert problem.time is not None
        clock = Clock()
        with clock.phase("symbolic"):
            form = self._analyse(problem)
            functions = CompiledRates.of(problem, form)
        with clock.phase("setup"):
            stages = _Stages(problem, form, functions, self)
        outputs = problem.time.outputs
        with clock.phase("solve"), np.errstate(all="ignore"):
            try:
                states = self._march(stages, outputs, progress, budget)
            except TimeoutError as error:
                return failed(Status.NOT_REACHED, str(error), cost=clock.cost())
            except _NoConvergenceError as error:
                return failed(Status.DIVERGED, str(error), cost=clock.cost())
            values = stages.table(outputs, states)
        names = problem.field_names
        axes = stages.scheme.axes
        rebuild = interpolant([LocalAxis(outputs, 2), *axes], values)

        def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
            return dict(zip(names, rebuild(points).T, strict=True))

        nodes, values = closed_axes(axes, values, first=1)
        coordinates = [c.name for c in problem.coordinates]
        return Solution(
            Grid(dict(zip(coordinates, [outputs, *nodes], strict=True))),
            {n: values[..., i] for i, n in enumerate(names)},
            evaluator=evaluate,
            cost=clock.cost(),
            details={
                "dofs": len(stages.scheme.free),
                "steps": self.steps,
                "iterations": stages.iterations,
                "stop_reason": "the last time was reached",
            },
        )

    def _march(
        self,
        stages: _Stages,
        outputs: np.ndarray,
        progress: Progress,
        budget: float | None,
    ) -> np.ndarray:
        """Return the states at the output times, (outputs, n)."""
        deadline = None if budget is None else time.process_time() + budget
        start, end = float(outputs[0]), float(outputs[-1])
        ends = (np.arange(self.steps + 1) / self.steps) ** self.grading
        ends = start + (end - start) * ends
        y = np.maximum(stages.scheme.start, stages.obstacle(start))
        found = np.empty((len(outputs), len(y)))
        found[0] = y
        known = 1
        slope = None
        for k in range(self.steps):
            t, h = ends[k], ends[k + 1] - ends[k]
            if deadline is not None and time.process_time() > deadline:
                raise TimeoutError(
                    f"The budget of {budget:g} CPU s ended at t = {t:g} of {end:g}; "
                    "raise it, or take fewer steps or points."
                )
            weight = _GAMMA * h
            first = stages.solve(t + weight, y, weight, y)
            base = y + (1 - _GAMMA) / _GAMMA * (first - y)
            last = stages.solve(ends[k + 1], base, weight, first)
            slopes = (slope, (last - base) / weight)
            while known < len(outputs) and (
                outputs[known] <= ends[k + 1] or k + 1 == self.steps
            ):
                s = min((outputs[known] - t) / h, 1.0)
                found[known] = _hermite(s, h, y, last, slopes)
                known += 1
            y, slope = last, slopes[1]
            progress((k + 1) / self.steps, f"t = {ends[k + 1]:g}")
        return found


def _hermite(
    s: float,
    h: float,
    left: np.ndarray,
    right: np.ndarray,
    slopes: tuple[np.ndarray | None, np.ndarray],
) -> np.ndarray:
    """Return the cubic at the share s of a step; a quadratic without a left slope."""
    rise = right - left
    end = h * slopes[1]
    begin = 2 * rise - end if slopes[0] is None else h * slopes[0]
    found: np.ndarray = left + s * (
        begin + s * ((3 * rise - 2 * begin - end) + s * (begin + end - 2 * rise))
    )
    return found


def _without_obstacles(problem: Problem) -> Problem:
    rest = [c for c in problem.conditions if not isinstance(c, Obstacle)]
    return replace(problem, conditions=rest)


def _check_sign(problem: Problem, index: int) -> None:
    """Refuse an equation whose time derivative has the wrong sign, or is coupled."""
    assert problem.time is not None
    assert problem.domain is not None
    lowered = lower(problem.equations, problem.fields, problem.coordinates)
    rates = {
        jet.field: symbol for symbol, jet in lowered.jets.items() if jet.orders[0] == 1
    }
    mine = lowered.algebra[index]
    name = problem.field_names[index]
    if any(mine.has(s) for i, s in rates.items() if i != index):
        raise UnsupportedProblemError(
            f"the equation of {name!r} holds the time derivative of another field; "
            "solve the equations for one each"
        )
    mass = numpy_function(problem.coordinates, [mine.diff(rates[index])])
    space = problem.domain.sample_interior(_NUM_SAMPLES, seed=0)
    for t in (problem.time.start, problem.time.end):
        if np.min(mass(t, *space.T)[0]) <= 0:
            raise UnsupportedProblemError(
                f"the time derivative of {name!r} has a negative coefficient, and its "
                "residual must be >= 0 in contact; multiply the equation by -1"
            )


class _Stages:
    """The complementarity problem of one Runge-Kutta stage.

    For `base` and `weight` w it is `min(U - g(t), U - base - w F(t, U)) = 0`.
    """

    def __init__(
        self,
        problem: Problem,
        form: BoxForm,
        functions: CompiledRates,
        options: Complementarity,
    ) -> None:
        assert problem.time is not None
        self.scheme = Semidiscretisation(
            problem, form, functions, options._axes(problem)
        )
        self.method = options.method
        self.iterations = 0
        self._obstacles = {
            problem.fields.index(c.field): numpy_function(
                problem.coordinates, [c.value]
            )
            for c in problem.conditions_of(Obstacle)
        }
        self._node = self.scheme.free // self.scheme.states
        self._state = self.scheme.free % self.scheme.states
        slopes = [s for row in jacobian(form.system.rates) for s in row]
        changing = {problem.time.coordinate, *form.system.rates.symbols}
        self._is_constant = not any(s.free_symbols & changing for s in slopes)
        self._slope: Any = None
        lower, upper = self.scheme.bands
        n = len(self.scheme.free)
        offsets = np.arange(-upper, lower + 1)[:, None]
        self._row = np.arange(n) + offsets
        self._is_inside = (self._row >= 0) & (self._row < n)
        self._row = np.clip(self._row, 0, n - 1)

    def _everywhere(self, t: float) -> np.ndarray:
        """Return the obstacles at all nodes, (nodes, fields); -inf where none is."""
        table = np.full((self.scheme.count, self.scheme.states), -np.inf)
        for i, function in self._obstacles.items():
            table[:, i] = function(t, *self.scheme.where)[0]
        return table

    def obstacle(self, t: float) -> np.ndarray:
        """Return the obstacle under each unknown."""
        found: np.ndarray = self._everywhere(t)[self._node, self._state]
        return found

    def table(self, outputs: np.ndarray, states: np.ndarray) -> np.ndarray:
        """Return the fields at all nodes, (outputs, *axes, fields), above obstacles."""
        values = self.scheme.fields(outputs, states)
        low = np.stack([self._everywhere(t) for t in outputs])
        found: np.ndarray = np.maximum(values, low.reshape(values.shape))
        return found

    def _slopes(self, t: float, y: np.ndarray) -> Any:
        if self._slope is None or not self._is_constant:
            is_banded = self.scheme.is_banded
            scheme = self.scheme
            self._slope = (scheme.banded_jacobian if is_banded else scheme.jacobian)(
                t, y
            )
        return self._slope

    def solve(
        self, t: float, base: np.ndarray, weight: float, guess: np.ndarray
    ) -> np.ndarray:
        """Return the stage's values."""
        g = self.obstacle(t)
        if self.method == "psor":
            return self._relax(t, base, weight, np.maximum(guess, g), g)
        y: np.ndarray = np.maximum(guess, g)
        for _ in range(_MAX_ITERATIONS):
            self.iterations += 1
            r = y - base - weight * self.scheme.rate(t, y)
            if self.method == "active-set":
                touches = r > y - g
                r = np.where(touches, y - g, r)
                rows, diagonal = 1.0 - touches, np.ones_like(y)
            else:
                touches = y < g
                r[touches] -= _PENALTY * (g - y)[touches]
                rows, diagonal = np.ones_like(y), 1.0 + _PENALTY * touches
            if not np.isfinite(r).all():
                break
            if np.abs(r / diagonal).max() <= _TOLERANCE * np.abs(y).max():
                return y
            y = y - self._newton(t, y, weight * rows, diagonal, r)
        raise _NoConvergenceError(
            f"Newton's iteration for the contact did not converge at t = {t:g}; take "
            "more steps."
        )

    def _newton(
        self,
        t: float,
        y: np.ndarray,
        rows: np.ndarray,
        diagonal: np.ndarray,
        r: np.ndarray,
    ) -> np.ndarray:
        """Return `(diag(diagonal) - diag(rows) F')⁻¹ r`."""
        slope = self._slopes(t, y)
        step: np.ndarray
        if self.scheme.is_banded:
            matrix = -slope * np.where(self._is_inside, rows[self._row], 0.0)
            matrix[self.scheme.bands[1]] += diagonal
            step = scipy.linalg.solve_banded(
                self.scheme.bands, matrix, r, overwrite_ab=True, check_finite=False
            )
        else:
            matrix = (
                scipy.sparse.diags_array(diagonal)
                - scipy.sparse.diags_array(rows) @ slope
            )
            step = scipy.sparse.linalg.splu(matrix.tocsc()).solve(r)
        return step

    def _relax(
        self,
        t: float,
        base: np.ndarray,
        weight: float,
        y: np.ndarray,
        g: np.ndarray,
    ) -> np.ndarray:
        """Projected over-relaxation, every other node at a time."""
        n = len(y)
        matrix = (
            scipy.sparse.eye_array(n) - weight * self.scheme.jacobian(t, y)
        ).tocsr()
        right = matrix @ y - (y - base - weight * self.scheme.rate(t, y))
        diagonal = matrix.diagonal()
        rest = abs(matrix) @ np.ones(n) - np.abs(diagonal)
        radius = min(float((rest / np.abs(diagonal)).max()), 1.0 - 1e-9)
        # The best factor for consistently ordered matrices (Young 1954).
        factor = 2.0 / (1.0 + np.sqrt(1.0 - radius**2))
        colour = np.indices([len(a.nodes) for a in self.scheme.axes]).sum(axis=0) % 2
        colour = colour.ravel()[self._node]
        halves = [(p, matrix[p]) for p in (np.flatnonzero(colour == c) for c in (0, 1))]
        scale = _TOLERANCE * float(np.abs(y).max())
        for _ in range(_MAX_SWEEPS):
            self.iterations += 1
            change = 0.0
            for places, rows in halves:
                step = factor * (right[places] - rows @ y) / diagonal[places]
                new = np.maximum(y[places] + step, g[places])
                change = max(change, float(np.abs(new - y[places]).max(initial=0.0)))
                y[places] = new
            # The error is the change times the length of the geometric series.
            if change <= scale * (2.0 - factor):
                return y
        raise _NoConvergenceError(
            f"Projected over-relaxation did not converge in {_MAX_SWEEPS} sweeps at "
            f"t = {t:g}; use method 'active-set'."
        )
