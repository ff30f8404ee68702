"""Equations with unknown coefficients on a box: solution, tangent and adjoint.

The discrete equations `F(t, y, ẏ; z) = 0` hold one row a node and field: the equation
inside, the condition on a side. They are stepped by BDF2 with a constant step, or
solved once where there is no time; all derivatives are exact, so that

    tangent:   K δy_n = -F_z δz - F_ẏ (c₁ δy_{n-1} + c₂ δy_{n-2})/τ,
    adjoint:   Kᵀ λ_n = C_nᵀ r - (c₁ F_ẏᵀ λ_{n+1} + c₂ F_ẏᵀ λ_{n+2})/τ,

K = F_y + c₀ F_ẏ/τ, are those of the discrete solution, not of the equations.
Source: M. Hinze, R. Pinnau, M. Ulbrich, S. Ulbrich, Optimization with PDE Constraints,
2009, sec. 1.6, DOI 10.1007/978-1-4020-8839-1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import sympy as sp

from pinnsuite.classical.coefficients import Coefficients
from pinnsuite.classical.semidiscretisation import SpaceAxis
from pinnsuite.classical.stencils import Axis, LocalAxis
from pinnsuite.problem.conditions import Boundary, Initial, Observed, Periodic, normal
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.domain import Box
from pinnsuite.problem.jets import Jet, lower, numpy_function

NEWTON_TOLERANCE = 1e-11
"""Newton's method ends when the update is below this share of the solution."""

MAX_NEWTON = 20

_BDF = ((1.0, -1.0, 0.0), (1.5, -2.0, 0.5))
"""Weights of the newest, previous and one before value: first step, all others."""


class DivergedError(Exception):
    """The discrete equations could not be solved for these coefficients."""


@dataclass(eq=False)
class _Rows:
    """One expression at some nodes.

    Attributes
    ----------
    rows
        Which equations these are: (n,).
    points
        Where: (n, dimension).
    function
        Of time, space, numbers and jets: the residual, its derivatives by the jets of
        the states, by those of the coefficients and by the numbers.
    jets
        For each jet of the states whether it is one of their rates, and its matrix.
    coefficients
        For each jet of a coefficient the coefficient's number, the matrix from its free
        values, and the part of the fixed ones.
    """

    rows: np.ndarray
    points: np.ndarray
    function: Any
    jets: list[tuple[bool, scipy.sparse.csr_array]]
    coefficients: list[tuple[int, np.ndarray, np.ndarray]]


class _Assembly:
    """A sparse matrix whose entries are sums of slopes times fixed weights."""

    def __init__(self, parts: Sequence[tuple[np.ndarray, Any, int]], size: int) -> None:
        empty = np.zeros(0, dtype=np.int64)
        rows, columns, weights, slots = [empty], [empty], [np.zeros(0)], [empty]
        for place, block, first in parts:
            entries = block.tocoo()
            rows.append(place[entries.row])
            columns.append(entries.col.astype(np.int64))
            weights.append(entries.data)
            slots.append(first + entries.row)
        self._weights, self._slots = np.concatenate(weights), np.concatenate(slots)
        flat = np.concatenate(columns) * size + np.concatenate(rows)
        places, self._place = np.unique(flat, return_inverse=True)
        self._rows = places % size
        self._starts = np.searchsorted(places, size * np.arange(size + 1))
        self._size = size

    def matrix(self, slopes: np.ndarray) -> scipy.sparse.csc_array:
        """Return the matrix for the slopes (all slots)."""
        data = np.bincount(
            self._place, slopes[self._slots] * self._weights, len(self._rows)
        )
        shape = (self._size, self._size)
        return scipy.sparse.csc_array((data, self._rows, self._starts), shape=shape)


@dataclass(frozen=True, eq=False)
class Linearised:
    """The discrete equations at one state.

    Attributes
    ----------
    residual
        Shape (n,).
    slopes
        Derivatives by the jets of the states, in the order of the assemblies.
    by_coefficients
        `∂F/∂z`, shape (n, coefficients); None where it was not asked.
    """

    residual: np.ndarray
    slopes: np.ndarray
    by_coefficients: np.ndarray | None


class Equations:
    """The rows `F(t, y, ẏ; z)` at the nodes of a box.

    Parameters
    ----------
    problem
        With coefficients that are functions of space.
    axes
        One a space coordinate.
    coefficients
        How z stands for them.
    """

    def __init__(
        self, problem: Problem, axes: Sequence[SpaceAxis], coefficients: Coefficients
    ) -> None:
        self.problem, self.axes, self.coefficients = problem, axes, coefficients
        self.shape = tuple(len(axis.nodes) for axis in axes)
        mesh = np.meshgrid(*(axis.nodes for axis in axes), indexing="ij")
        self.points = np.stack([m.ravel() for m in mesh], axis=1)
        self.count, self.num_states = len(self.points), len(problem.states)
        self.size = self.count * self.num_states
        self._derivatives: dict[tuple[int, ...], scipy.sparse.csr_array] = {}
        self._rows = list(self._all_rows())
        states: list[tuple[np.ndarray, Any, int]] = []
        rates: list[tuple[np.ndarray, Any, int]] = []
        first = 0
        for rows in self._rows:
            for is_rate, block in rows.jets:
                (rates if is_rate else states).append((rows.rows, block, first))
                first += len(rows.rows)
        self.by_states = _Assembly(states, self.size)
        self.by_rates = _Assembly(rates, self.size)

    def _all_rows(self) -> Iterator[_Rows]:
        """Yield the equations where no condition holds, and the conditions."""
        problem = self.problem
        assert isinstance(problem.domain, Box)
        taken = np.zeros((self.num_states, self.count), dtype=bool)
        periodic = {c.along for c in problem.conditions_of(Periodic)}
        index = np.stack(np.unravel_index(np.arange(self.count), self.shape), axis=1)
        for c in problem.conditions_of(Boundary):
            if c.field not in problem.states:
                continue
            state = problem.states.index(c.field)
            ruled = problem.boundaries_of(c)
            for k, x in enumerate(problem.space):
                if x in periodic:
                    continue
                for end, name in enumerate(problem.domain.sides(x)):
                    last = self.shape[k] - 1
                    here = index[:, k] == end * last
                    nodes = np.flatnonzero(here & ~taken[state])
                    if name not in ruled or not len(nodes):
                        continue
                    taken[state, nodes] = True
                    outward = {
                        normal(y): sp.Integer((2 * end - 1) * (y == x))
                        for y in problem.space
                    }
                    expression = c.operator(problem.space) - c.value
                    yield self._rows_of(state, nodes, expression.subs(outward).doit())
        for state, equation in enumerate(problem.equations):
            yield self._rows_of(state, np.flatnonzero(~taken[state]), equation)

    def _rows_of(self, state: int, nodes: np.ndarray, expression: sp.Expr) -> _Rows:
        problem, z = self.problem, self.coefficients
        lowered = lower([expression], problem.fields, problem.coordinates)
        own = {s: j for s, j in lowered.jets.items() if j.field < self.num_states}
        other = {s: j for s, j in lowered.jets.items() if j.field >= self.num_states}
        (residual,) = lowered.algebra
        order = [*own, *other, *z.symbols]
        function = numpy_function(
            [*problem.coordinates, *z.symbols, *own, *other],
            [residual, *(sp.diff(residual, s) for s in order)],
        )
        start = len(problem.coordinates) - problem.dimension
        jets = []
        for jet in own.values():
            block = self._derivative(jet.orders[start:])[nodes].tocoo()
            columns = block.col + jet.field * self.count
            shape = (len(nodes), self.size)
            matrix = scipy.sparse.csr_array(
                (block.data, (block.row, columns)), shape=shape
            )
            jets.append((any(jet.orders[:start]), matrix))
        coefficients = []
        for jet in other.values():
            number = jet.field - self.num_states
            coefficients.append((number, *self._coefficient(number, jet, nodes)))
        return _Rows(
            state * self.count + nodes,
            self.points[nodes],
            function,
            jets,
            coefficients,
        )

    def _coefficient(
        self, number: int, jet: Jet, nodes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        f = self.coefficients.fields[number]
        start = len(self.problem.coordinates) - self.problem.dimension
        grid = [axis.nodes for axis in self.axes]
        table = f.on_grid(grid, jet.orders[start:])[nodes]
        return table[:, f.free], table @ f.fixed

    def _derivative(self, orders: tuple[int, ...]) -> scipy.sparse.csr_array:
        """Return the matrix of a derivative in space on all nodes."""
        if orders not in self._derivatives:
            parts = [a.derivative(o) for a, o in zip(self.axes, orders, strict=True)]
            self._derivatives[orders] = scipy.sparse.csr_array(
                reduce(scipy.sparse.kron, parts)
            )
        return self._derivatives[orders]

    def initial(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the states at the start and their derivatives by z."""
        starts = {c.field: c.value for c in self.problem.conditions_of(Initial)}
        symbols = self.coefficients.symbols
        y = np.zeros((self.num_states, self.count))
        slopes = np.zeros((self.num_states, self.count, len(z)))
        for i, f in enumerate(self.problem.states):
            if f not in starts:
                continue
            expressions = [starts[f], *(sp.diff(starts[f], s) for s in symbols)]
            function = numpy_function([*self.problem.space, *symbols], expressions)
            numbers, scales = self.coefficients.numbers(z)
            values = function(*self.points.T, *numbers)
            y[i] = values[0]
            for k, slope in enumerate(values[1:]):
                slopes[i, :, k] = scales[k] * slope
        return y.ravel(), slopes.reshape(self.size, len(z))

    def linearised(
        self,
        t: float,
        y: np.ndarray,
        rate: np.ndarray,
        z: np.ndarray,
        *,
        by_coefficients: bool = False,
    ) -> Linearised:
        """Return `F(t, y, rate; z)` and its derivatives."""
        time = [] if self.problem.time is None else [t]
        residual = np.zeros(self.size)
        table = np.zeros((self.size, len(z))) if by_coefficients else None
        numbers, scales = self.coefficients.numbers(z)
        slopes: list[np.ndarray] = []
        for rows in self._rows:
            jets = [m @ (rate if is_rate else y) for is_rate, m in rows.jets]
            for number, matrix, fixed in rows.coefficients:
                part = self.coefficients.slices[number]
                jets.append(matrix @ z[part] + fixed)
            values = rows.function(*time, *rows.points.T, *numbers, *jets)
            spread = [np.broadcast_to(v, len(rows.rows)) for v in values]
            residual[rows.rows] = spread[0]
            slopes += spread[1 : 1 + len(rows.jets)]
            if table is None:
                continue
            rest = spread[1 + len(rows.jets) :]
            for (number, matrix, _), slope in zip(
                rows.coefficients, rest, strict=False
            ):
                part = self.coefficients.slices[number]
                table[rows.rows, part] += slope[:, None] * matrix
            for k, slope in enumerate(rest[len(rows.coefficients) :]):
                table[rows.rows, k] = scales[k] * slope
        return Linearised(residual, np.concatenate(slopes), table)


@dataclass(frozen=True, eq=False)
class Run:
    """A solution of the discrete equations, or a sequence of them in time.

    Attributes
    ----------
    values
        Shape (times, states · nodes).
    seen
        Values at the measurements: (measurements,).
    tangent
        `∂ seen/∂z`, or None.
    """

    values: np.ndarray
    seen: np.ndarray
    tangent: np.ndarray | None


class Model:
    """What the measurements would be for given coefficients.

    Parameters
    ----------
    equations
        The discrete equations.
    steps
        Time steps, for a problem in time.
    """

    def __init__(self, equations: Equations, steps: int) -> None:
        self.equations = equations
        time = equations.problem.time
        self.times = (
            np.zeros(1)
            if time is None
            else np.linspace(time.start, time.end, steps + 1)
        )
        self.step = float(self.times[1] - self.times[0]) if time is not None else 1.0
        self.solves = 0
        self._last = np.zeros((len(self.times), equations.size))
        self._factor: tuple[np.ndarray, Any] | None = None
        self._observe()

    def _observe(self) -> None:
        """Lay out the values at the measurements as sums over times and nodes."""
        problem, equations = self.equations.problem, self.equations
        axes: list[Axis] = [*equations.axes]
        if problem.time is not None:
            axes.insert(0, LocalAxis(self.times, 2))
        parts, wanted, is_log = [], [], []
        for c in problem.conditions_of(Observed):
            columns, weights = _interpolation(axes, c.points)
            step, node = np.divmod(columns, equations.count)
            state = problem.states.index(c.field)
            columns = step * equations.size + state * equations.count + node
            rows = np.repeat(np.arange(len(columns)), columns.shape[1])
            shape = (len(columns), len(self.times) * equations.size)
            entries = (weights.ravel(), (rows, columns.ravel()))
            parts.append(scipy.sparse.csr_array(entries, shape=shape))
            wanted.append(np.log(c.values) if c.scale == "log" else c.values)
            is_log.append(np.full(len(c.values), c.scale == "log"))
        whole = scipy.sparse.csc_array(scipy.sparse.vstack(parts))
        n = equations.size
        self.operators = [
            scipy.sparse.csr_array(whole[:, k * n : (k + 1) * n])
            for k in range(len(self.times))
        ]
        self.wanted, self.is_log = np.concatenate(wanted), np.concatenate(is_log)

    @property
    def is_stationary(self) -> bool:
        """Whether there is no time."""
        return self.equations.problem.time is None

    def solve(self, z: np.ndarray, *, tangent: bool = False) -> Run:
        """Solve the equations, and their linearisation by z.

        Raises
        ------
        DivergedError
            If Newton's method does not converge.
        """
        equations = self.equations
        values = np.zeros((len(self.times), equations.size))
        start, slopes = equations.initial(z)
        seen = np.zeros(len(self.wanted))
        table = np.zeros((len(self.wanted), len(z))) if tangent else None
        first = 0 if self.is_stationary else 1
        values[0] = start
        before = [slopes, slopes]
        if not self.is_stationary:
            seen += self.operators[0] @ start
            if table is not None:
                table += self.operators[0] @ slopes
        for n in range(first, len(self.times)):
            self._newton(n, values, z)
            seen += self.operators[n] @ values[n]
            if table is not None:
                factor, at = self._linear(n, values, z, by_coefficients=True)
                assert at.by_coefficients is not None
                right = at.by_coefficients
                if not self.is_stationary:
                    _, c1, c2 = self._weights(n)
                    memory = c1 * before[0] + c2 * before[1]
                    right = right + equations.by_rates.matrix(at.slopes) @ memory
                change = -factor.solve(np.ascontiguousarray(right))
                table += self.operators[n] @ change
                before = [change, before[0]]
        self._last = values
        self.solves += 1
        return Run(values, *self._scaled(seen, table))

    def _scaled(
        self, seen: np.ndarray, table: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return values and tangent on the scale of the measurements."""
        log = self.is_log
        if not log.any():
            return seen, table
        if (seen[log] <= 0).any():
            raise DivergedError("a field measured on a logarithmic scale is negative")
        if table is not None:
            table[log] /= seen[log, None]
        seen[log] = np.log(seen[log])
        return seen, table

    def gradient(self, z: np.ndarray, run: Run) -> np.ndarray:
        """Return the derivative of `½ Σ (seen - wanted)²` by z, by the adjoint."""
        equations = self.equations
        weights = run.seen - self.wanted
        weights = np.where(self.is_log, weights / np.exp(run.seen), weights)
        found = np.zeros(len(z))
        behind = [np.zeros(equations.size), np.zeros(equations.size)]
        last = len(self.times) - 1
        for n in range(last, 0 if not self.is_stationary else -1, -1):
            right = self.operators[n].T @ weights - behind[0]
            factor, at = self._linear(n, run.values, z, by_coefficients=True)
            assert at.by_coefficients is not None
            multiplier = factor.solve(right, trans="T")
            found -= at.by_coefficients.T @ multiplier
            _, c1, c2 = self._weights(n)
            if not self.is_stationary:
                back = equations.by_rates.matrix(at.slopes).T @ multiplier
                behind = [behind[1] + c1 * back, c2 * back]
        if not self.is_stationary:
            _, slopes = equations.initial(z)
            found += slopes.T @ (self.operators[0].T @ weights - behind[0])
        return found

    def _weights(self, n: int) -> tuple[float, float, float]:
        c0, c1, c2 = _BDF[min(n, 2) - 1] if n else (0.0, 0.0, 0.0)
        return c0 / self.step, c1 / self.step, c2 / self.step

    def _rate(self, n: int, values: np.ndarray) -> np.ndarray:
        if self.is_stationary:
            return np.zeros(values.shape[1])
        c0, c1, c2 = self._weights(n)
        rate: np.ndarray = c0 * values[n] + c1 * values[n - 1]
        return rate + c2 * values[n - 2] if n > 1 else rate

    def _linear(
        self, n: int, values: np.ndarray, z: np.ndarray, *, by_coefficients: bool
    ) -> tuple[Any, Linearised]:
        """Return the factorised K at step n, and what it was made from."""
        equations = self.equations
        at = equations.linearised(
            self.times[n],
            values[n],
            self._rate(n, values),
            z,
            by_coefficients=by_coefficients,
        )
        matrix = equations.by_states.matrix(at.slopes)
        if not self.is_stationary:
            rates = equations.by_rates.matrix(at.slopes)
            matrix = scipy.sparse.csc_array(matrix + self._weights(n)[0] * rates)
        # Where the equations are linear with constant coefficients, all steps share it.
        known = self._factor
        if known is None or not np.array_equal(known[0], matrix.data):
            try:
                self._factor = known = (
                    matrix.data.copy(),
                    scipy.sparse.linalg.splu(matrix),
                )
            except (RuntimeError, ValueError) as error:
                raise DivergedError(f"the linear system is singular: {error}") from None
        return known[1], at

    def _newton(self, n: int, values: np.ndarray, z: np.ndarray) -> None:
        """Solve for the values at step n, in place."""
        values[n] = values[n - 1] if n and not self._last.any() else self._last[n]
        for _ in range(MAX_NEWTON):
            factor, at = self._linear(n, values, z, by_coefficients=False)
            update = factor.solve(at.residual)
            values[n] -= update
            size = float(np.abs(values[n]).max())
            if not np.isfinite(size):
                break
            if float(np.abs(update).max()) <= NEWTON_TOLERANCE * size:
                return
        raise DivergedError("Newton's method does not converge")


def _interpolation(
    axes: Sequence[Axis], points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return flat indices on a grid and weights, (n, k) each, for points (n, axes)."""
    columns = np.zeros((len(points), 1), dtype=np.int64)
    weights = np.ones((len(points), 1))
    for axis, at in zip(axes, points.T, strict=True):
        index, part = axis.interpolation(at)
        columns = columns[:, :, None] * len(axis.nodes) + index[:, None, :]
        weights = weights[:, :, None] * part[:, None, :]
        columns = columns.reshape(len(points), -1)
        weights = weights.reshape(len(points), -1)
    return columns, weights
