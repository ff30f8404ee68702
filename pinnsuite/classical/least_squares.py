"""Identify coefficients of ordinary differential equations from measurements."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import scipy.optimize
import scipy.stats
import sympy as sp

from pinnsuite.classical.ode import (
    STEPPERS,
    Trajectory,
    check_tolerances,
    first_order,
    march,
    ordinary,
    system_fields,
    tightened,
)
from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.problem.conditions import Observed, Unknown
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.jets import numpy_function
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solution.support import Grid
from pinnsuite.solver import Progress, require_supported, silent


class _BudgetError(Exception):
    """The budget ended inside the optimiser."""


@dataclass(frozen=True)
class NonlinearLeastSquares:
    """Least squares over unknown coefficients of ordinary differential equations.

    Minimises `½ Σ r²`, r = u(t_i) - value_i, or log u(t_i) - log value_i where the
    measurements have the scale "log", within the bounds of the unknowns, by a trust
    region method (trf) with the exact Jacobian from the forward sensitivities
    `Ṡ = (∂F/∂y) S + ∂F/∂p`. The best of several starts is returned: the guess, then
    random ones (log-uniform where both bounds are positive). The numerical error
    follows `rtol`; it is not the statistical one, which `details["standard_errors"]`
    holds: `√diag(s² (JᵀJ)⁻¹)`, s² the residual variance. `details["intervals"]` are
    those of Student's t, 95 %.
    Source: M. A. Branch, T. F. Coleman, Y. Li, SIAM J. Sci. Comput. 21 (1999) 1, DOI
    10.1137/S1064827595289108; K. Schittkowski, Numerical Data Fitting in Dynamical
    Systems, DOI 10.1007/978-1-4419-5762-7.

    Attributes
    ----------
    starts
        First guesses that are tried.
    seed
        Of the random ones.
    rtol, atol
        Tolerances of the trajectories (DOP853, adaptive); `rtol` also ends a start,
        by the relative change of the sum of squares or of the unknowns.
    """

    family: ClassVar[str] = "classical"

    starts: int = 4
    seed: int = 0
    rtol: float = 1e-8
    atol: float = 1e-10

    def __post_init__(self) -> None:
        if self.starts < 1:
            raise OptionError(f"least-squares: starts is {self.starts}; at least 1.")
        check_tolerances("least-squares", self.rtol, self.atol)

    def why_not(self, problem: Problem) -> str | None:
        """Say which part of `problem` is out of reach, or None."""
        if not problem.unknowns:
            return "it has no unknown coefficients; declare Unknown(…), or use 'ode'"
        try:
            ordinary(problem)
        except UnsupportedProblemError as error:
            return str(error)
        assert problem.time is not None
        start, end = problem.time.start, problem.time.end
        for o in problem.conditions_of(Observed):
            times = o.points[:, 0]
            if times.min() < start or times.max() > end:
                return (
                    f"its measurements of {o.field} reach from {times.min():g} to "
                    f"{times.max():g}, beyond the time interval [{start:g}, {end:g}]; "
                    "extend the interval"
                )
        return None

    def refined(self) -> NonlinearLeastSquares:
        """Return the solver at a hundredth of the tolerances."""
        rtol, atol = tightened(self.rtol, self.atol, 100.0)
        return replace(self, rtol=rtol, atol=atol)

    def expected_order(self, problem: Problem) -> float | None:  # noqa: ARG002
        """Return None: the error follows the tolerances."""
        return None

    def solve(
        self,
        problem: Problem,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> Solution:
        """Fit the unknowns of `problem`; the fields are the trajectory that fits best.

        Where the budget ends first, the best so far has the status `not_reached`.
        """
        require_supported(self, problem)
        clock = Clock()
        with clock.phase("symbolic"):
            misfit = _Misfit(self, problem, budget)
        bounds = np.array([(u.lower, u.upper) for u in problem.unknown_scalars]).T
        guesses = _guesses(problem.unknown_scalars, self.starts, self.seed)
        status, message, converged = Status.OK, "", 0
        with clock.phase("solve"):
            try:
                for k, guess in enumerate(guesses, 1):
                    if np.isfinite(misfit.residuals(guess)).all():
                        fit = scipy.optimize.least_squares(
                            misfit.residuals,
                            guess,
                            misfit.jacobian,
                            bounds=bounds,
                            x_scale="jac",
                            xtol=self.rtol,
                            ftol=self.rtol,
                            gtol=self.rtol,
                        )
                        converged += fit.status > 0
                    progress(k / len(guesses), f"sum of squares {misfit.least:g}")
            except _BudgetError:
                status = Status.NOT_REACHED
                message = (
                    f"The budget of {budget:g} CPU s ended during start {k} of "
                    f"{len(guesses)}; this is the best fit so far."
                )
            misfit.deadline = None
            fitted = None if misfit.best is None else misfit.fitted(problem)
        if misfit.best is None or fitted is None:
            return failed(
                Status.DIVERGED if status is Status.OK else status,
                f"None of the {len(guesses)} starts gave a trajectory through all "
                "measurement times; narrow the bounds of the unknowns, or raise "
                "starts.",
                cost=clock.cost(),
            )
        values, dense, details = fitted
        names = [str(u.symbol) for u in problem.unknown_scalars]
        fields = system_fields(problem, misfit.system)

        def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
            states = np.atleast_2d(dense(points[:, 0]))
            return {name: states[k] for name, k in fields.items()}

        assert problem.time is not None
        return Solution(
            Grid({problem.time.coordinate.name: problem.time.outputs}),
            {name: values[:, k] for name, k in fields.items()},
            status,
            message,
            evaluator=evaluate,
            coefficients=dict(zip(names, map(float, misfit.best), strict=True)),
            cost=clock.cost(),
            details={
                **details,
                "stop_reason": message
                or f"{converged} of {len(guesses)} starts converged",
            },
        )


class _Misfit:
    """Residuals at the measurements and their exact derivatives by the unknowns."""

    def __init__(
        self, solver: NonlinearLeastSquares, problem: Problem, budget: float | None
    ) -> None:
        assert problem.time is not None
        self.solver = solver
        self.system = ordinary(problem)
        unknowns = [u.symbol for u in problem.unknown_scalars]
        states, rates, slopes = first_order(self.system)
        self.shape = (len(states), len(unknowns))
        by_unknown = [[sp.diff(e, p) for p in unknowns] for e in rates]
        flat = [*rates, *(d for row in slopes for d in row)]
        flat += [d for row in by_unknown for d in row]
        self.function = numpy_function(
            [problem.time.coordinate, *states, *unknowns], flat
        )
        initial = [*self.system.initial]
        initial += [sp.diff(e, p) for e in self.system.initial for p in unknowns]
        self.initial = numpy_function(unknowns, initial)
        self.observed = problem.conditions_of(Observed)
        fields = [problem.fields.index(o.field) for o in self.observed]
        self.columns = [self.system.primary(i) for i in fields]
        measured = [o.points[:, 0] for o in self.observed]
        self.times = np.unique(np.concatenate([[problem.time.start], *measured]))
        self.places = [np.searchsorted(self.times, m) for m in measured]
        self.deadline = None if budget is None else time.process_time() + budget
        self.budget = budget
        self.best: np.ndarray | None = None
        self.least = np.inf
        self.count = 0
        self._last: tuple[np.ndarray, np.ndarray | None] | None = None

    def trajectory(
        self, unknowns: np.ndarray, times: np.ndarray, *, keep_dense: bool = False
    ) -> Trajectory:
        """Return states, then sensitivities state by state, at `times`."""
        n, p = self.shape
        table = np.empty(n + n * n + n * p)

        def rate(t: float, y: np.ndarray) -> np.ndarray:
            table[:] = self.function(t, *y[:n], *unknowns)
            slopes = table[n : n + n * n].reshape(n, n)
            change = slopes @ y[n:].reshape(n, p) + table[n + n * n :].reshape(n, p)
            return np.concatenate([table[:n], change.ravel()])

        start = np.array(self.initial(*unknowns), dtype=float)
        return march(
            lambda: STEPPERS["DOP853"](
                rate,
                float(times[0]),
                start,
                float(times[-1]),
                rtol=self.solver.rtol,
                atol=self.solver.atol,
            ),
            times,
            keep_dense=keep_dense,
        )

    def fitted(
        self, problem: Problem
    ) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray], dict[str, Any]] | None:
        """Return the best trajectory at the output times, its interpolant, details."""
        assert problem.time is not None
        assert self.best is not None
        found = self.trajectory(self.best, problem.time.outputs, keep_dense=True)
        if found.values is None or found.dense is None:
            return None
        residuals = self.residuals(self.best)
        errors = _standard_errors(residuals, self.jacobian(self.best))
        names = [str(u.symbol) for u in problem.unknown_scalars]
        freedom = max(len(residuals) - len(names), 1)
        quantile = float(scipy.stats.t.ppf(0.975, freedom))
        intervals = {
            name: [float(p) - quantile * e, float(p) + quantile * e]
            for name, p, e in zip(names, self.best, errors, strict=True)
            if e is not None
        }
        details = {
            "dofs": len(names),
            "steps": found.steps,
            "trajectories": self.count,
            "measurements": len(residuals),
            "misfit": float(np.sqrt(np.mean(residuals**2))),
            "standard_errors": dict(zip(names, errors, strict=True)),
            "intervals": intervals,
        }
        return found.values, found.dense, details

    def _values(self, unknowns: np.ndarray) -> np.ndarray | None:
        if self._last is None or not np.array_equal(self._last[0], unknowns):
            if self.deadline is not None and time.process_time() > self.deadline:
                raise _BudgetError
            self.count += 1
            values = self.trajectory(unknowns, self.times).values
            self._last = (unknowns.copy(), values)
        return self._last[1]

    def residuals(self, unknowns: np.ndarray) -> np.ndarray:
        """Return all residuals, infinite where there is no trajectory or logarithm."""
        values = self._values(unknowns)
        parts = []
        for o, place, column in zip(
            self.observed, self.places, self.columns, strict=True
        ):
            if values is None:
                parts.append(np.full(len(place), np.inf))
                continue
            u = values[place, column]
            if o.scale == "log":
                with np.errstate(invalid="ignore", divide="ignore"):
                    parts.append(np.where(u > 0, np.log(u / o.values), np.inf))
            else:
                parts.append(u - o.values)
        found = np.concatenate(parts)
        total = float(found @ found) / 2
        if total < self.least:
            self.best, self.least = unknowns.copy(), total
        return found

    def jacobian(self, unknowns: np.ndarray) -> np.ndarray:
        """Return `∂residual/∂unknown`, shape (measurements, unknowns)."""
        values = self._values(unknowns)
        assert values is not None, "the optimiser differentiates finite residuals only"
        n, p = self.shape
        slopes = values[:, n:].reshape(-1, n, p)
        parts = []
        for o, place, column in zip(
            self.observed, self.places, self.columns, strict=True
        ):
            part = slopes[place, column]
            if o.scale == "log":
                part = part / values[place, column][:, None]
            parts.append(part)
        return np.concatenate(parts)


def _guesses(unknowns: Sequence[Unknown], starts: int, seed: int) -> list[np.ndarray]:
    """Return the authors' guess, then random points within the bounds."""
    generator = np.random.default_rng(seed)
    found = [np.array([float(u.guess) for u in unknowns])]
    for _ in range(starts - 1):
        point = []
        for u in unknowns:
            share = generator.uniform()
            if u.lower > 0:
                point.append(u.lower * (u.upper / u.lower) ** share)
            else:
                point.append(u.lower + (u.upper - u.lower) * share)
        found.append(np.array(point))
    return found


def _standard_errors(residuals: np.ndarray, jac: np.ndarray) -> list[float | None]:
    """Return `√diag(s² (JᵀJ)⁻¹)`, None where the measurements do not determine it."""
    count, unknowns = jac.shape
    if count <= unknowns or np.linalg.matrix_rank(jac) < unknowns:
        return [None] * unknowns
    variance = float(residuals @ residuals) / (count - unknowns)
    _, values, rows = np.linalg.svd(jac, full_matrices=False)
    errors = np.sqrt(variance * ((rows.T / values) ** 2).sum(axis=1))
    return [float(e) for e in errors]
