"""Ordinary differential equations: explicit and implicit Runge-Kutta, multistep."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import scipy.integrate
import sympy as sp

from pinnsuite.errors import OptionError, UnsupportedProblemError, unknown_name
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.form import Evolution, evolution
from pinnsuite.problem.jets import jacobian, numpy_function
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solution.support import Grid
from pinnsuite.solver import Progress, require_supported, silent

STEPPERS: Mapping[str, Any] = {
    "BDF": scipy.integrate.BDF,
    "DOP853": scipy.integrate.DOP853,
    "LSODA": scipy.integrate.LSODA,
    "Radau": scipy.integrate.Radau,
}
"""Time integrators by name."""

TIGHTEST = 1e-13
"""Relative tolerances below this ask for more than float64 holds."""

_FIXED_ORDERS = {"DOP853": 8.0, "Radau": 5.0}

_STALLED = 100
"""Steps in a row below the resolution of time after which a run has failed."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What `march` found.

    Attributes
    ----------
    values
        Shape (outputs, n); None unless the end was reached.
    status, message
        How it ended.
    steps, evaluations
        Time steps taken and calls of the right-hand side.
    dense
        The stepper's own interpolant over all times, if it was asked for.
    """

    values: np.ndarray | None
    status: Status
    message: str
    steps: int
    evaluations: int
    dense: Callable[[np.ndarray], np.ndarray] | None = field(default=None, repr=False)


def march(
    stepper: Any,
    outputs: np.ndarray,
    *,
    keep_dense: bool = False,
    progress: Progress = silent,
    budget: float | None = None,
) -> Trajectory:
    """Step from the first to the last output time and keep the states at all of them.

    Parameters
    ----------
    stepper
        Called without arguments, returns a `scipy.integrate.OdeSolver` at the start.
    outputs
        Increasing times, the first one being the start.
    keep_dense
        Keep the interpolant of every step.
    budget
        CPU seconds.

    A stepper that stops before the last output is a failure, whatever it says itself.
    """
    deadline = None if budget is None else time.process_time() + budget
    pieces: list[Any] = []
    steps = 0
    # Overflow in a trial step is the stepper's business; it shows in the states.
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        run = stepper()
        start, end = float(outputs[0]), float(outputs[-1])
        times = [start]
        values = np.empty((len(outputs), len(run.y)))
        values[0] = run.y
        known, stalled = 1, 0

        def stop(status: Status, message: str) -> Trajectory:
            return Trajectory(None, status, message, steps, run.nfev)

        if not np.isfinite(run.y).all():
            return stop(Status.NAN, "The initial state is not finite.")
        while run.status == "running":
            if deadline is not None and time.process_time() > deadline:
                return stop(
                    Status.NOT_REACHED,
                    f"The budget of {budget:g} CPU s ended at t = {run.t:g} of {end:g} "
                    f"after {steps} steps; raise it, or loosen rtol.",
                )
            before = run.t
            reason = run.step()
            steps += 1
            if not np.isfinite(run.y).all() or (
                run.status == "failed" and not np.isfinite(run.fun(run.t, run.y)).all()
            ):
                return stop(
                    Status.NAN,
                    f"Values became NaN or infinite at t = {run.t:g}; the solution may "
                    "blow up there, or the equations are ill-posed.",
                )
            if run.status == "failed":
                return stop(
                    Status.DIVERGED,
                    f"{type(run).__name__} stopped at t = {run.t:g} of {end:g}: "
                    f"{str(reason).rstrip('.')}. Try another integrator or tolerance.",
                )
            # LSODA goes on for ever with steps that do not move the time.
            moved = abs(run.t - before) > 1e-14 * max(abs(run.t), end - start)
            stalled = 0 if moved else stalled + 1
            if stalled == _STALLED:
                return stop(
                    Status.DIVERGED,
                    f"{type(run).__name__} stands still at t = {run.t:g} of {end:g}; "
                    "the solution may blow up there.",
                )
            reached = int(np.searchsorted(outputs, run.t, side="right"))
            if run.status == "finished":
                reached = len(outputs)
            if keep_dense or reached > known:
                piece = run.dense_output()
                if keep_dense:
                    pieces.append(piece)
                    times.append(run.t)
                if reached > known:
                    values[known:reached] = piece(outputs[known:reached]).T
                    known = reached
            progress((run.t - start) / (end - start), f"t = {run.t:g}")
    dense = scipy.integrate.OdeSolution(times, pieces) if keep_dense else None
    return Trajectory(values, Status.OK, "", steps, run.nfev, dense)


def ordinary(problem: Problem) -> Evolution:
    """Return the first-order system of a problem without space coordinates.

    Raises
    ------
    UnsupportedProblemError
        If there are space coordinates, or no such system exists.
    """
    if problem.domain is not None:
        raise UnsupportedProblemError(
            f"it has the space coordinates {', '.join(map(str, problem.space))}; use "
            "'lines', 'fourier' or 'finite-element'"
        )
    return evolution(problem)


@dataclass(frozen=True)
class ODESolver:
    """Systems of ordinary differential equations, of first or second order.

    `DOP853` is the explicit Runge-Kutta method of order 8 of Dormand and Prince,
    `Radau` the implicit one of order 5 (Radau IIA) for stiff systems, with the exact
    Jacobian; `LSODA` changes between Adams and BDF formulas by itself. The error
    follows `rtol`: for rtol/100 it falls by about a hundred (so the difference of the
    two is the error of the coarser one). With a fixed `step` h it falls as h⁸ (DOP853)
    or h⁵ (Radau).
    Source: E. Hairer, S. P. Nørsett, G. Wanner, Solving Ordinary Differential Equations
    I, DOI 10.1007/978-3-540-78862-1, and II, DOI 10.1007/978-3-642-05221-7; A. C.
    Hindmarsh & L. R. Petzold for LSODA, DOI 10.1137/0904010.

    Attributes
    ----------
    method
        "DOP853", "Radau" or "LSODA".
    rtol, atol
        Tolerances of the local error.
    step
        Fixed step, rounded down so that the last time ends a step (Radau: every output
        time, which bounds the step by their spacing); None adapts it.
    """

    family: ClassVar[str] = "classical"

    method: str = "DOP853"
    rtol: float = 1e-8
    atol: float = 1e-10
    step: float | None = None

    def __post_init__(self) -> None:
        known = ("DOP853", "Radau", "LSODA")
        if self.method not in known:
            raise OptionError(unknown_name("ode option method", self.method, known))
        check_tolerances("ode", self.rtol, self.atol)
        if self.step is None:
            return
        if not self.step > 0:
            raise OptionError(f"ode: step is {self.step}; it must be positive.")
        if self.method not in _FIXED_ORDERS:
            raise OptionError(
                f"ode: step is {self.step}, but {self.method} chooses its own steps; "
                "leave step out, or use method='DOP853' or 'Radau'."
            )

    def why_not(self, problem: Problem) -> str | None:
        """Say which part of `problem` is out of reach, or None."""
        if problem.unknowns:
            names = ", ".join(u.name for u in problem.unknowns)
            return f"its coefficients {names} are unknown; use 'least-squares'"
        try:
            ordinary(problem)
        except UnsupportedProblemError as error:
            return str(error)
        return None

    def refined(self) -> ODESolver:
        """Return the solver at half the step, or at a hundredth of the tolerances."""
        if self.step is not None:
            return replace(self, step=self.step / 2)
        rtol, atol = tightened(self.rtol, self.atol, 100.0)
        return replace(self, rtol=rtol, atol=atol)

    def expected_order(self, problem: Problem) -> float | None:  # noqa: ARG002
        """Return the order of the method with a fixed step, else None."""
        return None if self.step is None else _FIXED_ORDERS[self.method]

    def solve(
        self,
        problem: Problem,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> Solution:
        """Solve `problem` from its first to its last time."""
        require_supported(self, problem)
        clock = Clock()
        with clock.phase("symbolic"):
            system = ordinary(problem)
            rate, jac = _functions(problem, system)
            start = np.array([float(v) for v in system.initial])
        assert problem.time is not None
        outputs = problem.time.outputs
        with clock.phase("solve"):
            trajectory = march(
                lambda: self._stepper(rate, jac, start, outputs),
                outputs,
                keep_dense=True,
                progress=progress,
                budget=budget,
            )
        if trajectory.values is None or trajectory.dense is None:
            return failed(trajectory.status, trajectory.message, cost=clock.cost())
        names = system_fields(problem, system)
        dense = trajectory.dense

        def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
            states = np.atleast_2d(dense(points[:, 0]))
            return {name: states[k] for name, k in names.items()}

        return Solution(
            Grid({problem.time.coordinate.name: outputs}),
            {name: trajectory.values[:, k] for name, k in names.items()},
            evaluator=evaluate,
            cost=clock.cost(),
            details={
                "dofs": len(system.states),
                "steps": trajectory.steps,
                "evaluations": trajectory.evaluations,
                "stop_reason": "the last time was reached",
            },
        )

    def _stepper(
        self,
        rate: Callable[[float, np.ndarray], np.ndarray],
        jac: Callable[[float, np.ndarray], np.ndarray],
        start: np.ndarray,
        outputs: np.ndarray,
    ) -> Any:
        cls = STEPPERS[self.method]
        more: dict[str, Any] = {} if self.method == "DOP853" else {"jac": jac}
        first, last = float(outputs[0]), float(outputs[-1])
        if self.step is None:
            return cls(rate, first, start, last, rtol=self.rtol, atol=self.atol, **more)
        # DOP853 interpolates with a local error of order 8, Radau only of order 4, so
        # its steps have to end at the output times.
        whole = last - first
        if self.method == "Radau":
            whole /= len(outputs) - 1
        h = whole / np.ceil(whole / self.step * (1 - 1e-12))
        # Tolerances so wide that no step is ever rejected.
        run = cls(
            rate, first, start, last, first_step=h, max_step=h, rtol=1, atol=1, **more
        )
        if self.method == "Radau":
            # Newton's iteration is measured in units of those tolerances.
            run.newton_tol = 1e-12
        return run


def system_fields(problem: Problem, system: Evolution) -> dict[str, int]:
    """Return the index of the state that is each field itself, by the field's name."""
    return {n: system.primary(i) for i, n in enumerate(problem.field_names)}


def check_tolerances(solver: str, rtol: float, atol: float) -> None:
    """Refuse tolerances that no integrator can keep.

    Raises
    ------
    OptionError
        If `rtol` is not in [TIGHTEST, 1) or `atol` is not positive.
    """
    if not TIGHTEST <= rtol < 1:
        raise OptionError(
            f"{solver}: rtol is {rtol}; it must lie between {TIGHTEST:g} and 1."
        )
    if not atol > 0:
        raise OptionError(f"{solver}: atol is {atol}; it must be positive.")


def tightened(rtol: float, atol: float, factor: float) -> tuple[float, float]:
    """Return both tolerances divided by `factor`, `rtol` not below `TIGHTEST`."""
    return max(rtol / factor, TIGHTEST), atol / factor


def _functions(
    problem: Problem, system: Evolution
) -> tuple[
    Callable[[float, np.ndarray], np.ndarray], Callable[[float, np.ndarray], np.ndarray]
]:
    """Return the right-hand side and its exact Jacobian as functions of (t, y)."""
    assert problem.time is not None
    states, algebra, slopes = first_order(system)
    size = len(states)
    arguments = [problem.time.coordinate, *states]
    value = numpy_function(arguments, algebra)
    slope = numpy_function(arguments, [d for row in slopes for d in row])

    def rate(t: float, y: np.ndarray) -> np.ndarray:
        return np.array(value(t, *y), dtype=float)

    def jac(t: float, y: np.ndarray) -> np.ndarray:
        return np.array(slope(t, *y), dtype=float).reshape(size, size)

    return rate, jac


def first_order(
    system: Evolution,
) -> tuple[list[sp.Symbol], list[sp.Expr], list[list[sp.Expr]]]:
    """Return the symbols of all states, the rates and `∂rate_i/∂state_j`."""
    slopes = jacobian(system.rates)
    states: list[sp.Symbol] = [sp.Dummy(s.name, real=True) for s in system.states]
    column = {jet.field: k for k, jet in enumerate(system.rates.jets.values())}
    names = {s: states[jet.field] for s, jet in system.rates.jets.items()}
    table = [
        [
            row[column[j]].xreplace(names) if j in column else sp.Integer(0)
            for j in range(len(states))
        ]
        for row in slopes
    ]
    return states, [e.xreplace(names) for e in system.rates.algebra], table
