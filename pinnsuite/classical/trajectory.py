"""Following many states of one dynamical system at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from pinnsuite.problem.signal import SignalProblem
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solution.support import Grid

Rates = Callable[[np.ndarray], np.ndarray]
"""The right-hand side of x' = f(x): states (trajectories, states) -> same shape."""


def follow(
    rates: Rates, starts: np.ndarray, times: np.ndarray, tolerance: float = 1e-9
) -> np.ndarray | None:
    """Return the trajectories, shape (trajectories, times, states), or None.

    All are integrated as one system by DOP853, which takes one step size for all. None
    says that the states blew up.

    Parameters
    ----------
    starts
        Shape (trajectories, states), at the first of `times`.
    tolerance
        Relative and absolute.
    """
    shape = starts.shape
    with np.errstate(all="ignore"):
        solved = solve_ivp(
            lambda _, s: rates(s.reshape(shape)).ravel(),
            (times[0], times[-1]),
            starts.ravel(),
            method="DOP853",
            t_eval=times,
            rtol=tolerance,
            atol=tolerance,
        )
    if not solved.success or not np.isfinite(solved.y).all():
        return None
    trajectories: np.ndarray = solved.y.reshape(*shape, len(times)).transpose(0, 2, 1)
    return trajectories


def forecast(
    problem: SignalProblem,
    rates: Rates,
    clock: Clock,
    details: Mapping[str, Any],
    coefficients: Mapping[str, float],
) -> Solution:
    """Follow the test starts of `problem` and return them as its solution."""
    with clock.phase("infer"):
        states = follow(rates, problem.given["initial_test"], problem.given["t_test"])
    if states is None:
        return failed(
            Status.DIVERGED,
            "The identified system blows up on the test starts.",
            coefficients=coefficients,
            cost=clock.cost(),
            details=details,
        )
    return Solution(
        Grid(problem.coordinates),
        {"states": states},
        coefficients=coefficients,
        cost=clock.cost(),
        details=details,
    )
