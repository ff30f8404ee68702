"""Newton's method and steps in time for the discrete equations of finite elements.

Source: E. Hairer & G. Wanner, Solving Ordinary Differential Equations II, 1996, sec.
IV.8, DOI 10.1007/978-3-642-05221-7 (Radau IIA).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from pinnsuite.classical.finite_element_space import lagrange
from pinnsuite.classical.finite_element_system import System
from pinnsuite.classical.linear_systems import LinearSystem, SolveFailedError
from pinnsuite.solution.solution import Status
from pinnsuite.solver import Progress

Array = np.ndarray

SLOW = 0.3
"""Ratio of successive updates in a time step above which the equations are linearised
anew, …"""

RELINEARISATIONS = 4
"""… so many times in a step at most."""

CONTINUATION_STEPS = 10
"""Steps from the linearised to the full equations, when Newton's method fails."""

_ROOT = math.sqrt(6.0)
STAGES = np.array([(4 - _ROOT) / 10, (4 + _ROOT) / 10, 1.0])
"""Abscissae of the three-stage Radau IIA method."""

_RADAU = np.array(
    [
        [(88 - 7 * _ROOT) / 360, (296 - 169 * _ROOT) / 1800, (-2 + 3 * _ROOT) / 225],
        [(296 + 169 * _ROOT) / 1800, (88 + 7 * _ROOT) / 360, (-2 - 3 * _ROOT) / 225],
        [(16 - _ROOT) / 36, (16 + _ROOT) / 36, 1 / 9],
    ]
)


@dataclass(frozen=True)
class Iteration:
    """When Newton's method ends.

    Attributes
    ----------
    tolerance
        Share of each field that the last update may be.
    max_steps
        Iterations at most, for each system of equations.
    linear_solver
        Of the linear systems, one of `LINEAR_SOLVERS`.
    """

    tolerance: float
    max_steps: int
    linear_solver: str


def _relative_size(system: System, update: Array, y: Array) -> float:
    """Return the largest update relative to its unknown, over all unknowns.

    An unknown that vanishes is measured by a hundredth of the largest one.
    """
    largest = np.abs(y).max(initial=0.0)
    sizes = []
    for part in system.parts:
        change = np.abs(update[part]).max(initial=0.0)
        scale = max(np.abs(y[part]).max(initial=0.0), 1e-2 * largest)
        sizes.append(change / scale if scale > 0 else change)
    size = float(max(sizes))
    if not math.isfinite(size):
        raise SolveFailedError(
            Status.NAN,
            "The values became infinite or NaN: a coefficient has no value at a state "
            "that was met (a division by 0?), or the system is singular.",
        )
    return size


def stationary(
    system: System,
    iteration: Iteration,
    progress: Progress,
    start: Array | None = None,
) -> tuple[Array, dict[str, Any]]:
    """Return the solution of `R(y) = 0` and what to tell about it.

    Newton's method begins at `start`, or at harmonic functions with the values on the
    boundary.

    Raises
    ------
    SolveFailedError
        If Newton's method fails, from the linearised equations too.
    """
    zero = np.zeros(system.size)
    if start is None:
        start = system.harmonic_extension()
    progress(0.0, f"{system.size} unknowns")

    def residual(y: Array) -> Array:
        return system.residual(0.0, y, zero)

    def matrix(y: Array) -> sparse.csc_matrix:
        return system.jacobian(0.0, y, zero)[0]

    solver = _Newton(system, iteration)
    steps = 0
    try:
        y = solver.solve(start, residual, matrix)
    except SolveFailedError as error:
        if error.status is not Status.DIVERGED:
            raise
        # Linearised at zero at first, then more and more of the equations as they are.
        offset, linear = residual(zero), matrix(zero)
        y = start
        for steps in range(CONTINUATION_STEPS + 1):
            share = steps / CONTINUATION_STEPS
            progress(share, "continuation from the linearised equations")
            y = solver.solve(
                y,
                _blended(share, residual, lambda y: offset + linear @ y),
                _blended(share, matrix, lambda _: linear),
            )
    progress(1.0, f"{solver.iterations} Newton iterations")
    details = {
        "newton_iterations": solver.iterations,
        "factorisations": solver.factorisations,
        "continuation_steps": steps,
        "gauge_multiplier": solver.multiplier,
        "stop_reason": "direct" if system.is_linear else "newton converged",
    }
    return y, details


def _blended(
    share: float, full: Callable[[Array], Any], linear: Callable[[Array], Any]
) -> Callable[[Array], Any]:
    return lambda y: share * full(y) + (1.0 - share) * linear(y)


class _Newton:
    """Newton's method with halved steps where a full one raises the residual."""

    def __init__(self, system: System, iteration: Iteration) -> None:
        self._system, self._iteration = system, iteration
        self.iterations = 0
        self.factorisations = 0
        self.multiplier = 0.0

    def solve(
        self,
        start: Array,
        residual: Callable[[Array], Array],
        matrix: Callable[[Array], sparse.csc_matrix],
    ) -> Array:
        """Return the root, or raise `SolveFailedError`."""
        system, iteration = self._system, self._iteration
        free = system.free
        y = start.copy()
        right = residual(y)[free]
        factor = None
        last = math.inf
        for _ in range(iteration.max_steps):
            is_new = factor is None
            if factor is None:
                jacobian = matrix(y)[free][:, free]
                if self.iterations == 0:
                    system.fix_gauge(jacobian)
                factor = system.linear_system(jacobian, iteration.linear_solver)
                self.factorisations += 1
            self.iterations += 1
            border = 0.0 if system.border is None else system.border
            update = np.zeros(system.size)
            update[free], multiplier = factor.solve(-right, -np.sum(border * y[free]))
            self.multiplier = float(multiplier)
            size = _relative_size(system, update, y + update)
            if system.is_linear or size <= iteration.tolerance:
                return y + update
            before = _norm(right, border)
            length = 1.0
            while True:
                candidate = y + length * update
                right = residual(candidate)[free]
                # A tiny update is at the level of rounding, and is taken as it is.
                if _norm(right, border) < before or size < 1e-6:
                    break
                length /= 2
                if length < 1e-3:
                    raise SolveFailedError(
                        Status.DIVERGED,
                        "Newton's method finds no step that lowers the residual; "
                        "start from an easier problem, or refine the mesh.",
                    )
            # Factors cost most: keep them while the updates fall tenfold.
            if length < 1.0 or size > (0.05 if is_new else 0.1 * last):
                factor = None
            last = size
            y = candidate
        raise SolveFailedError(
            Status.DIVERGED,
            f"Newton's method has not converged in {iteration.max_steps} iterations; "
            "raise max_newton, or refine the mesh.",
        )


def _norm(right: Array, border: Array | float) -> float:
    """Return the residual's norm, less what the gauge's multiplier takes away."""
    if isinstance(border, np.ndarray):
        right = right - (right @ border) / (border @ border) * border
    return float(np.linalg.norm(right))


class _Radau:
    """Steps of one length h of the three-stage Radau IIA method.

    The stages are `Y_i = y + Z_i` with rates `Σ_j (A⁻¹)_ij Z_j / h`. Simplified
    Newton iterations on all three are one real and one complex system each, in the
    eigenvectors of A⁻¹.
    """

    def __init__(self, system: System, iteration: Iteration, h: float) -> None:
        self._system, self._iteration, self._h = system, iteration, h
        self._inverse = np.linalg.inv(_RADAU)
        values, vectors = np.linalg.eig(self._inverse)
        real = int(np.argmin(np.abs(values.imag)))
        complex_ = int(np.argmax(values.imag))
        self._values = values[real].real, values[complex_]
        # The real eigenvector comes with an arbitrary complex factor of modulus 1.
        back = np.linalg.inv(vectors)
        phase = vectors[0, real] / abs(vectors[0, real])
        self._vectors = (vectors[:, real] / phase).real, vectors[:, complex_]
        self._rows = (back[real] * phase).real, back[complex_]
        self._factors: tuple[LinearSystem, LinearSystem] | None = None
        self._is_fresh = False
        self._matrices: tuple[sparse.csc_matrix, sparse.csc_matrix] | None = None
        self._load: Array | None = None
        self.factorisations = 0
        self.iterations = 0

    def _factorise(self, t: float, y: Array) -> None:
        system = self._system
        free = system.free
        zero = np.zeros(system.size)
        stiffness, mass = system.jacobian(t, y, zero)
        if system.is_constant:
            self._matrices = stiffness.tocsr(), mass.tocsr()
        stiffness, mass = stiffness[free][:, free], mass[free][:, free]
        if not self.factorisations:
            system.fix_gauge(self._values[0] / self._h * mass + stiffness)
        first, second = (
            system.linear_system((value / self._h * mass + stiffness).tocsc(), "direct")
            for value in self._values
        )
        self._factors, self._is_fresh = (first, second), True
        self.factorisations += 1

    def _residual(self, t: float, y: Array, rate: Array) -> Array:
        if self._matrices is None:
            return self._system.residual(t, y, rate)
        load = self._load
        if load is None:
            zero = np.zeros(self._system.size)
            load = self._system.residual(t, zero, zero)
            if all(i.has_static_load for i in self._system.integrands):
                self._load = load
        stiffness, mass = self._matrices
        residual: Array = load + stiffness @ y + mass @ rate
        return residual

    def step(self, t: float, y: Array, guess: Array) -> Array:
        """Return the three stages (3, n) of the step from t to t + h."""
        system = self._system
        if self._factors is None:
            self._factorise(t, y)
        while True:
            z = guess - y
            for i, c in enumerate(STAGES):
                values = system.boundary_values(t + c * self._h)
                z[i, system.fixed] = values - y[system.fixed]
            if self._iterate(t, y, z):
                stages: Array = y + z
                return stages
            if self._is_fresh:
                raise SolveFailedError(
                    Status.DIVERGED,
                    f"Newton's method fails in the step from t = {t:g}; raise steps.",
                )
            self._factorise(t, guess[-1])

    def _iterate(self, t: float, y: Array, z: Array) -> bool:
        """Iterate on the stages `y + z` in place; say whether that converged."""
        system, h = self._system, self._h
        free, border = system.free, system.border
        last = math.inf
        relinearised = 0
        for _ in range(self._iteration.max_steps):
            rates = self._inverse @ z / h
            right = np.stack(
                [
                    self._residual(t + c * h, y + z[i], rates[i])[free]
                    for i, c in enumerate(STAGES)
                ]
            )
            means = 0.0 if border is None else (y + z)[:, free] @ border
            update = np.zeros_like(z)
            assert self._factors is not None
            for k, (factor, row, vector) in enumerate(
                zip(self._factors, self._rows, self._vectors, strict=True)
            ):
                mean = 0.0 if border is None else row @ means
                part, _ = factor.solve(-(row @ right), -mean)
                # The complex pair counts twice its real part.
                update[:, free] += (1 + k) * np.outer(vector, part).real
            z += update
            self.iterations += 1
            size = max(
                _relative_size(system, u, y + u + s)
                for u, s in zip(update, z, strict=True)
            )
            if system.is_constant:
                return True
            is_first = last == math.inf
            ratio = 0.5 if is_first else size / last
            if ratio < 1 and size * ratio / (1 - ratio) <= self._iteration.tolerance:
                # Slow convergence asks for a new linearisation in the next step.
                self._is_fresh = False
                if ratio > 0.1:
                    self._factors = None
                return True
            last = size
            if ratio > SLOW and not is_first and size > 1e-8:
                if relinearised == RELINEARISATIONS:
                    return False
                self._factorise(t + STAGES[1] * h, y + z[1])
                relinearised += 1
                last = math.inf
        return False


def evolve(
    system: System, steps: int, iteration: Iteration, progress: Progress
) -> tuple[Array, dict[str, Any]]:
    """Return the coefficients at the output times (k, n) and what to tell about it.

    Raises
    ------
    SolveFailedError
        If Newton's method fails in a step.
    """
    interval = system.problem.time
    assert interval is not None
    h = (interval.end - interval.start) / steps
    outputs = interval.outputs
    method = _Radau(system, iteration, h)
    y = system.initial_values()
    nodes = np.concatenate([[0.0], STAGES])
    ahead = lagrange(nodes, 1.0 + STAGES[:, None])
    values = np.zeros((len(outputs), system.size))
    stages = np.tile(y, (3, 1))
    guess = stages
    for step in range(steps):
        t = interval.start + step * h
        stages = method.step(t, y, guess)
        if step == 0:
            # A field without a time derivative has no start of its own.
            back = lagrange(STAGES, np.zeros(1)) @ stages
            for part, value in zip(system.parts, system.weak.initial, strict=True):
                if value is None:
                    y[part] = back[part]
        polynomial = np.vstack([y, stages])
        last = step == steps - 1
        inside = (outputs >= t - 1e-12 * h) & ((outputs < t + h * (1 - 1e-12)) | last)
        weights = lagrange(nodes, (outputs[inside, None] - t) / h)
        values[inside] = weights @ polynomial
        guess = ahead @ polynomial
        y = stages[-1]
        progress((step + 1) / steps, f"t = {t + h:g}")
    details = {
        "steps": steps,
        "newton_iterations": method.iterations,
        "factorisations": method.factorisations,
        "stop_reason": "end of the time interval",
    }
    return values, details
