"""Fitting the coefficients of a known equation to measured trajectories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import sympy as sp
from scipy.optimize import least_squares

from pinnsuite.classical.trajectory import follow, forecast
from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.form import Evolution, evolution
from pinnsuite.problem.jets import numpy_function
from pinnsuite.problem.signal import SignalProblem, other_task
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solver import Progress, require_supported, silent


@dataclass(frozen=True)
class TrajectoryFit:
    """Nonlinear least squares of trajectories over coefficients and starts.

    The physics of the problem gives x' = f(x; θ). Minimised is Σ (x(t_k; θ, x₀) - x_k)²
    over the coefficients θ in their bounds and the starts x₀ of all training
    trajectories. The derivatives are exact: S = ∂x/∂(θ, x₀) follows
    S' = (∂f/∂x) S + ∂f/∂θ along with x. With independent Gaussian noise this is
    maximum likelihood.

    Source: Y. Bard, Nonlinear Parameter Estimation (1974), chapter VIII.

    Attributes
    ----------
    tolerance
        Of the integration, and of the fit's relative progress.
    """

    family: ClassVar[str] = "classical"

    tolerance: float = 1e-8

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < 1:
            raise OptionError(
                f"tolerance is {self.tolerance}; needed is a number in (0, 1)."
            )

    def why_not(self, problem: SignalProblem) -> str | None:
        """Say why `problem` is no forecast, or its physics cannot be fitted."""
        reason = other_task(problem, "forecast")
        if reason is not None:
            return reason
        physics = problem.physics
        if physics is None:
            return "its equations are not given; supply physics=Problem(…)"
        if not physics.unknown_scalars:
            return "its physics has no Unknown coefficient to fit"
        num_states = problem.given["states_train"].shape[2]
        if len(physics.fields) != num_states:
            return (
                f"its physics has {len(physics.fields)} fields, the trajectories have "
                f"{num_states} states"
            )
        try:
            form = evolution(physics)
        except UnsupportedProblemError as error:
            return f"its physics cannot be stepped in time because {error}"
        if len(form.states) != num_states:
            return "its physics is of second order in time; give the velocities too"
        assert physics.time is not None
        if any(physics.time.coordinate in e.free_symbols for e in form.rates.algebra):
            return "its physics depends on time, and the test starts have no time"
        return None

    def solve(
        self,
        problem: SignalProblem,
        *,
        progress: Progress = silent,
        budget: float | None = None,  # noqa: ARG002
    ) -> Solution:
        """Return the forecast of the fitted equations."""
        require_supported(self, problem)
        assert problem.physics is not None
        physics, clock = problem.physics, Clock()
        with clock.phase("symbolic"):
            system = _system(physics, evolution(physics))
        times, measured = problem.given["t_train"], problem.given["states_train"]
        num_trajectories, _, n = measured.shape
        num_coefficients = len(physics.unknown_scalars)

        def run(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            """Return the residuals and their derivatives by the parameters."""
            jacobian = np.zeros((*measured.shape, len(parameters)))
            followed = _sensitivities(
                system,
                parameters[:num_coefficients],
                parameters[num_coefficients:].reshape(num_trajectories, n),
                times,
                self.tolerance,
            )
            if followed is None:
                # The fit answers an infinite residual with a shorter step.
                return np.full(measured.size, np.inf), jacobian
            state, by_theta, by_start = followed
            jacobian[..., :num_coefficients] = by_theta
            for k in range(num_trajectories):
                first = num_coefficients + k * n
                jacobian[k, ..., first : first + n] = by_start[k]
            return (state - measured).ravel(), jacobian.reshape(-1, len(parameters))

        start = np.concatenate(
            [[u.guess for u in physics.unknown_scalars], measured[:, 0].ravel()]
        )
        with clock.phase("train"):
            kept = (start, *run(start))

        def at(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            """Return `run`, once for residual and Jacobian at the same point."""
            nonlocal kept
            if not np.array_equal(kept[0], parameters):
                kept = (parameters.copy(), *run(parameters))
            return kept[1], kept[2]

        if not np.isfinite(kept[1]).all():
            message = "The states blow up at the guesses; give others."
            return failed(Status.DIVERGED, message, cost=clock.cost())
        free = np.full(num_trajectories * n, np.inf)
        with clock.phase("train"):
            fit = least_squares(
                lambda p: at(p)[0],
                start,
                jac=lambda p: at(p)[1],
                bounds=(
                    np.concatenate([[u.lower for u in physics.unknown_scalars], -free]),
                    np.concatenate([[u.upper for u in physics.unknown_scalars], free]),
                ),
                x_scale="jac",
                xtol=self.tolerance,
                ftol=self.tolerance,
            )
        theta = fit.x[:num_coefficients]
        progress(1.0, f"cost {fit.cost:.3g} after {fit.nfev} evaluations")
        names = [u.symbol.name for u in physics.unknown_scalars]
        return forecast(
            problem,
            lambda s: system(s, theta)[0],
            clock,
            coefficients=dict(zip(names, map(float, theta), strict=True)),
            details={
                "dofs": len(fit.x),
                "steps": int(fit.nfev),
                "stop_reason": str(fit.message),
            },
        )


System = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""States (m, n) and θ (p,) -> f (m, n), ∂f/∂x (m, n, n), ∂f/∂θ (m, n, p)."""


def _system(physics: Problem, form: Evolution) -> System:
    """Return the right-hand side with its derivatives, from the equations."""
    unknowns = [u.symbol for u in physics.unknown_scalars]
    fields = {jet.field: symbol for symbol, jet in form.rates.jets.items()}
    # A field that no rate depends on has no symbol.
    states = [fields.get(i, sp.Dummy()) for i in range(len(form.states))]
    expressions = [
        e
        for rate in form.rates.algebra
        for e in (rate, *(sp.diff(rate, s) for s in [*states, *unknowns]))
    ]
    function = numpy_function([*states, *unknowns], expressions)
    n, width = len(states), 1 + len(states) + len(unknowns)

    def system(
        x: np.ndarray, theta: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        values = function(*x.T, *theta)
        table = np.stack([np.broadcast_to(v, len(x)) for v in values], axis=-1)
        table = table.reshape(len(x), n, width)
        return table[..., 0], table[..., 1 : n + 1], table[..., n + 1 :]

    return system


def _sensitivities(
    system: System,
    theta: np.ndarray,
    starts: np.ndarray,
    times: np.ndarray,
    tolerance: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return x, ∂x/∂θ and ∂x/∂x₀ at `times`, or None if the states blow up."""
    m, n = starts.shape
    p = len(theta)

    def rates(flat: np.ndarray) -> np.ndarray:
        table = flat.reshape(m, n, 1 + p + n)
        f, by_state, by_theta = system(table[..., 0], theta)
        change = by_state @ table[..., 1:]
        change[..., :p] += by_theta
        return np.concatenate([f[..., None], change], axis=-1).reshape(m, -1)

    first = np.zeros((m, n, 1 + p + n))
    first[..., 0] = starts
    first[..., 1 + p :] = np.eye(n)
    followed = follow(rates, first.reshape(m, -1), times, tolerance)
    if followed is None:
        return None
    table = followed.reshape(m, len(times), n, 1 + p + n)
    return table[..., 0], table[..., 1 : 1 + p], table[..., 1 + p :]
