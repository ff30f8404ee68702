"""Solves the equations of cells: at rest, in time by SDIRK or Störmer-Verlet steps.

Sources: E. Hairer & G. Wanner, Solving Ordinary Differential Equations II, 1996, sec.
IV.6, DOI 10.1007/978-3-642-05221-7 (SDIRK methods); E. Hairer, C. Lubich & G. Wanner,
Geometric Numerical Integration, 2006, sec. I.1, DOI 10.1007/3-540-30666-8
(Störmer-Verlet).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pinnsuite.classical.cell_system import CellSystem
from pinnsuite.classical.linear_systems import SolveFailedError
from pinnsuite.solution.solution import Status
from pinnsuite.solver import Progress

Array = np.ndarray

_GAMMA = 1 - math.sqrt(0.5)
TABLEAUX = {
    "SDIRK2": [[_GAMMA], [1 - _GAMMA, _GAMMA]],
    "SDIRK4": [
        [1 / 4],
        [1 / 2, 1 / 4],
        [17 / 50, -1 / 25, 1 / 4],
        [371 / 1360, -137 / 2720, 15 / 544, 1 / 4],
        [25 / 24, -49 / 48, 125 / 16, -85 / 12, 1 / 4],
    ],
}
"""L-stable, stiffly accurate Runge-Kutta methods with one diagonal entry."""

MAX_NEWTON = 25

SLOW = 0.2
"""A Newton step that leaves more of the error than this gets a new Jacobian."""


@dataclass(frozen=True)
class Iteration:
    """How the equations of one stage, or of a state of rest, are solved.

    Attributes
    ----------
    linear_solver
        `direct`, `multigrid` or `transform`.
    tolerance
        Share of the largest value that the last update of Newton's method may be.
    """

    linear_solver: str
    tolerance: float


def balance(system: CellSystem, iteration: Iteration) -> tuple[Array, dict[str, Any]]:
    """Return the values, shape (1, fields, cells), where all fluxes balance.

    Raises
    ------
    SolveFailedError
        If the equations are singular or Newton's method does not converge.
    """
    u = np.zeros(system.size)
    mass = np.zeros(system.size)
    for step in range(1, MAX_NEWTON + 1):
        residual = system.exchange @ u + system.source(0.0, u)
        slope = system.slope(0.0, u)
        change = system.solver(mass, 1.0, slope, iteration.linear_solver)(residual)
        u += change
        size = float(np.abs(change).max())
        is_small = size <= iteration.tolerance * float(np.abs(u).max())
        if system.is_linear or is_small:
            values = u.reshape(1, -1, system.count)
            return values, {"iterations": step}
    raise SolveFailedError(
        Status.DIVERGED,
        f"Newton's method has not converged in {MAX_NEWTON} iterations (the last "
        f"update was {size:.2g}).",
    )


class _Stages:
    """Solves `C Y = C y + h γ (K Y + r(t) + V f(t, Y))` by a simplified Newton method.

    The factors are kept from stage to stage and step to step for as long as they serve.
    """

    def __init__(
        self, system: CellSystem, iteration: Iteration, shift: float, t: float, u: Array
    ) -> None:
        self._system, self._iteration, self._shift = system, iteration, shift
        self.factorisations = 0
        self._factor(t, u)

    def _factor(self, t: float, u: Array) -> None:
        self.factorisations += 1
        self._solve = self._system.solver(
            self._system.capacity,
            self._shift,
            self._system.slope(t, u),
            self._iteration.linear_solver,
        )

    def __call__(self, t: float, known: Array, guess: Array) -> Array:
        """Return Y, with y given by `known`."""
        system = self._system
        y: Array = guess
        before = math.inf
        for _ in range(MAX_NEWTON):
            rate = system.exchange @ y + system.source(t, y)
            residual = system.capacity * (known - y) + self._shift * rate
            change = self._solve(residual)
            y = y + change
            if system.is_constant:
                return y
            size = float(np.abs(change).max())
            if size <= self._iteration.tolerance * float(np.abs(y).max()):
                return y
            if not math.isfinite(size):
                break
            if size > SLOW * before:
                self._factor(t, y)
            before = size
        raise SolveFailedError(
            Status.DIVERGED,
            f"Newton's method has not converged at {t:.6g}; use more steps.",
        )


def diffuse(
    system: CellSystem,
    method: str,
    count: int,
    iteration: Iteration,
    progress: Progress,
) -> tuple[Array, dict[str, Any]]:
    """Return the values at the output times, by uniform SDIRK steps.

    Parameters
    ----------
    method
        One of `TABLEAUX`.
    count
        Number of steps.

    Returns
    -------
    Shape (times, fields, cells).

    Raises
    ------
    SolveFailedError
        If a matrix is singular or Newton's method does not converge.
    """
    time = system.problem.time
    assert time is not None
    outputs = time.outputs
    h = (time.end - time.start) / count
    tableau = TABLEAUX[method]
    gamma = tableau[0][0]
    u = system.start(0)
    found = np.empty((len(outputs), system.size))
    found[0] = u
    stage = _Stages(system, iteration, h * gamma, time.start, u)
    done = 1
    rate: Array | None = None
    for n in range(count):
        t = time.start + n * h
        slopes: list[Array] = []
        for row in tableau:
            known = u
            for a, slope in zip(row[:-1], slopes, strict=True):
                known = known + h * a * slope
            nearest = slopes[-1] if slopes else rate
            guess = known if nearest is None else known + h * gamma * nearest
            value = stage(t + h * sum(row), known, guess)
            slopes.append((value - known) / (h * gamma))
        while done < len(outputs) and outputs[done] <= t + h * (1 + 1e-9):
            share = min((outputs[done] - t) / h, 1.0)
            found[done] = _between(share, h, u, value, rate, slopes[-1])
            done += 1
        # Stiffly accurate: the last stage is the new state, its slope the new rate.
        u, rate = value, slopes[-1]
        progress((n + 1) / count, f"{n + 1} of {count} steps")
    details = {"steps": count, "factorisations": stage.factorisations}
    return found.reshape(len(outputs), -1, system.count), details


def _between(
    share: float, h: float, u: Array, v: Array, first: Array | None, last: Array
) -> Array:
    """Return the state within a step from the states and rates at its ends.

    By Hermite's cubic polynomial; in the first step, whose initial rate may be of any
    size, by the parabola without it.
    """
    back = 1 - share
    if first is None:
        parabola: Array = u + share * (v - u) - share * back * (h * last - (v - u))
        return parabola
    cubic: Array = (
        back**2 * (1 + 2 * share) * u
        + share**2 * (1 + 2 * back) * v
        + share * back * h * (back * first - share * last)
    )
    return cubic


def swing(
    system: CellSystem, courant: float, refinements: int, progress: Progress
) -> tuple[Array, dict[str, Any]]:
    """Return the values at the output times, by Störmer-Verlet steps that meet them.

    Parameters
    ----------
    courant
        Share of the stability limit that a step takes, at most.
    refinements
        The number of steps between outputs is a multiple of two to this power, so that
        a refined grid halves them exactly.

    Returns
    -------
    Shape (times, fields, cells).
    """
    time = system.problem.time
    assert time is not None
    outputs = time.outputs
    mass, damping = system.capacity, system.damping
    # Gershgorin: the moduli of K's eigenvalues are below twice its diagonal.
    stiffness = 2 * float((-system.diagonal / mass).max())
    limit = courant * 2 / math.sqrt(stiffness)
    spacing = (time.end - time.start) / (len(outputs) - 1)
    count = 2**refinements * math.ceil(spacing / (limit * 2**refinements))
    h = spacing / count
    before = mass / h**2 - damping / (2 * h)
    after = mass / h**2 + damping / (2 * h)
    found = np.empty((len(outputs), system.size))
    u, rate = system.start(0), system.start(1)
    found[0] = u
    for n in range(count * (len(outputs) - 1)):
        push = system.exchange @ u + system.source(time.start + n * h, u)
        if n == 0:
            # Taylor's formula, as if there were a step before the first.
            start = (push - damping * rate) / mass
            previous = u - h * rate + h**2 / 2 * start
        u, previous = (2 * mass / h**2 * u - before * previous + push) / after, u
        if (n + 1) % count == 0:
            found[(n + 1) // count] = u
            progress((n + 1) / (count * (len(outputs) - 1)), f"{n + 1} steps")
    details = {"steps": count * (len(outputs) - 1), "step": h}
    return found.reshape(len(outputs), -1, system.count), details
