"""The discrete equations of all cells, `C u⁽ᵐ⁾ + D u' = K u + r(t) + V f(t, u)`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp
from scipy import sparse
from scipy.sparse.linalg import splu

from pinnsuite.classical.cell_form import CellForm, Side
from pinnsuite.classical.cell_grid import CellAxis
from pinnsuite.classical.fast_transform import TransformedLaplacian
from pinnsuite.classical.linear_systems import LinearSystem, SolveFailedError
from pinnsuite.problem.conditions import Initial
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.form import lost_jumps
from pinnsuite.problem.jets import numpy_function
from pinnsuite.solution.solution import Status

Array = np.ndarray

DEFINITE = {
    "permc_spec": "MMD_AT_PLUS_A",
    "diag_pivot_thresh": 0.0,
    "options": {"SymmetricMode": True},
}
"""For symmetric positive definite matrices: the least fill on these grids."""


class CellSystem:
    """The equations of all cells, each multiplied by its volume.

    Fields come one after the other, cells with the last coordinate fastest.

    Attributes
    ----------
    capacity, damping
        c V and d V, shape (size,).
    exchange
        K, symmetric and negative: fluxes between cells and into the sides.
    """

    def __init__(self, problem: Problem, form: CellForm, axes: list[CellAxis]) -> None:
        self.problem, self.form, self.axes = problem, form, axes
        self.shape = tuple(len(axis.centres) for axis in axes)
        self.count = int(np.prod(self.shape))
        self.size = self.count * len(problem.fields)
        mesh = np.meshgrid(*(axis.centres for axis in axes), indexing="ij")
        self.where = [m.ravel() for m in mesh]
        volume = np.ones(1)
        for axis in axes:
            volume = np.multiply.outer(volume, axis.widths).ravel()
        self.volume = np.tile(volume, len(problem.fields))
        self.is_jumping = bool(lost_jumps(problem))
        self._flux = numpy_function(
            problem.space, [b for row in form.flux for b in row]
        )
        flux = self._spread(self._flux(*self.where))
        flux = flux.reshape(len(problem.fields), len(axes), *self.shape)
        capacity = self._at_centres(form.capacity)
        leading = capacity if form.time_order else -flux
        total = leading.reshape(len(problem.fields), -1).sum(axis=1)
        self._signs = np.where(total < 0, -1.0, 1.0)
        sign = self._signs[:, None]
        self.conductivity = -self._signs.reshape(-1, *(1,) * (flux.ndim - 1)) * flux
        if (self.conductivity < 0).any() or (sign * capacity < 0).any():
            raise SolveFailedError(
                Status.FAILED,
                "The conductivity has not the same sign everywhere (that of the time "
                "derivative): the problem is ill-posed. Look for a wrong sign.",
            )
        self.capacity = (sign * capacity).ravel() * self.volume
        self.damping = (sign * self._at_centres(form.damping)).ravel() * self.volume
        arguments = [*problem.coordinates, *form.symbols]
        rest = [
            -sp.Integer(int(n)) * e for n, e in zip(self._signs, form.rest, strict=True)
        ]
        self._source = numpy_function(arguments, rest)
        slopes = [
            (i, j, sp.diff(e, s))
            for i, e in enumerate(rest)
            for j, s in enumerate(form.symbols)
        ]
        self._slopes = [(i, j) for i, j, e in slopes if e != 0]
        found = [e for _, _, e in slopes if e != 0]
        self._slope = numpy_function(arguments, found)
        fields = set(form.symbols)
        self.is_linear = not any(e.free_symbols & fields for e in found)
        changing = fields | set(problem.coordinates[: -problem.dimension])
        self.is_constant = not any(e.free_symbols & changing for e in found)
        self._steady: Array | None = None
        self.exchange = self._assemble()
        if not (self._moving or any(e.free_symbols & changing for e in rest)):
            self._steady = self.source(0.0, np.zeros(self.size))

    def _at_centres(self, expressions: Sequence[sp.Expr]) -> Array:
        return self._spread(
            numpy_function(self.problem.space, list(expressions))(*self.where)
        )

    def _spread(self, values: Sequence[Any]) -> Array:
        spread = [np.broadcast_to(v, self.count) for v in values]
        table: Array = np.array(spread, dtype=float)
        return table

    def jumping_conductivity(self) -> list[list[Array]]:
        """Return a by field and coordinate; of shape () where it is smooth or 0."""
        return [
            [a if self.is_jumping and a.min() > 0 else np.ones(()) for a in row]
            for row in self.conductivity
        ]

    @property
    def contrast(self) -> float:
        """The largest over the smallest conductivity along any axis."""
        flat = self.conductivity.reshape(-1, self.count)
        with np.errstate(divide="ignore"):
            return float((flat.max(axis=1) / flat.min(axis=1)).max())

    def start(self, order: int) -> Array:
        """Return the initial values (order 0) or rates (order 1)."""
        given = {
            c.field: c.value
            for c in self.problem.conditions_of(Initial)
            if c.order == order
        }
        return self._at_centres([given[f] for f in self.problem.fields]).ravel()

    def source(self, t: float, u: Array) -> Array:
        """Return r(t) + V f(t, u)."""
        if self._steady is not None:
            return self._steady
        inside = self._on_cells(self._source, t, u) * self.volume
        total: Array = inside + self._from_sides(t)
        return total

    def slope(self, t: float, u: Array) -> sparse.csr_array:
        """Return V ∂f/∂u."""
        blocks: list[list[Any]] = [
            [None for _ in self.form.symbols] for _ in self.form.symbols
        ]
        for i in range(len(blocks)):
            blocks[i][i] = sparse.csr_array((self.count, self.count))
        values = self._on_cells(self._slope, t, u).reshape(-1, self.count)
        for (i, j), value in zip(self._slopes, values, strict=True):
            blocks[i][j] = sparse.diags_array(value * self.volume[: self.count])
        return sparse.csr_array(sparse.block_array(blocks, format="csr"))

    def _on_cells(self, function: Callable[..., Any], t: float, u: Array) -> Array:
        times = [t] * (len(self.problem.coordinates) - self.problem.dimension)
        values = function(*times, *self.where, *u.reshape(-1, self.count))
        if not values:
            return np.zeros(0)
        return np.concatenate([np.broadcast_to(v, self.count) for v in values])

    def _from_sides(self, t: float) -> Array:
        right = self._constant.copy()
        for cells, factor, value, where in self._moving:
            right[cells] += factor * np.asarray(value(t, *where)[0], dtype=float)
        return right

    def _assemble(self) -> sparse.csr_array:
        self._constant = np.zeros(self.size)
        self._moving: list[tuple[Array, Array, Callable[..., Any], list[Array]]] = []
        self.diagonal = np.zeros(self.size)
        rows, columns, values = [], [], []
        numbers = np.arange(self.count).reshape(self.shape)
        volume = self.volume[: self.count].reshape(self.shape)
        for i in range(len(self.form.symbols)):
            for k, axis in enumerate(self.axes):
                widths = self._along(k, axis.widths)
                low = np.roll(numbers, 1, axis=k)
                distance = (widths + np.roll(widths, 1, axis=k)) / 2
                through = volume / widths / distance * self._at_faces(i, k)
                first = 0 if axis.is_periodic else 1
                inner = [
                    np.moveaxis(a, k, 0)[first:].ravel()
                    for a in (numbers, low, through)
                ]
                rows.append(inner[0] + i * self.count)
                columns.append(inner[1] + i * self.count)
                values.append(inner[2])
        r, c = np.concatenate(rows), np.concatenate(columns)
        v = np.concatenate(values)
        np.subtract.at(self.diagonal, r, v)
        np.subtract.at(self.diagonal, c, v)
        for side in self.form.sides:
            self._close(side, numbers, volume)
        everything = np.arange(self.size)
        matrix = sparse.coo_array(
            (
                np.concatenate([v, v, self.diagonal]),
                (
                    np.concatenate([r, c, everything]),
                    np.concatenate([c, r, everything]),
                ),
            ),
            shape=(self.size, self.size),
        )
        return sparse.csr_array(matrix)

    def _along(self, k: int, values: Array) -> Array:
        """Give one value a cell of axis k its place among all axes."""
        return values.reshape([-1 if j == k else 1 for j in range(len(self.axes))])

    def _at_faces(self, i: int, k: int) -> Array:
        """Return a at the lower faces of the cells along axis k, shape (*cells).

        Its own value where a is smooth, the harmonic mean of the cells if it may jump.
        """
        axis = self.axes[k]
        if not self.is_jumping:
            where = list(self.where)
            lower = self._along(k, axis.faces[:-1])
            where[k] = np.broadcast_to(lower, self.shape).ravel()
            b = self._flux(*where)[i * len(self.axes) + k]
            b = np.broadcast_to(np.asarray(b, dtype=float), self.count)
            smooth: Array = -self._signs[i] * b.reshape(self.shape)
            return smooth
        widths = self._along(k, axis.widths)
        with np.errstate(divide="ignore"):
            resistance = widths / self.conductivity[i, k]
        total = resistance + np.roll(resistance, 1, axis=k)
        harmonic: Array = (widths + np.roll(widths, 1, axis=k)) / total
        return harmonic

    def _close(self, side: Side, numbers: Array, volume: Array) -> None:
        """Add the flux through one side of the box to the diagonal and to r."""
        axis = self.axes[side.axis]
        at = -1 if side.is_upper else 0
        cells = np.take(numbers, at, axis=side.axis).ravel()
        width = axis.widths[at]
        area = np.take(volume, at, axis=side.axis).ravel() / width
        where = [x[cells] for x in self.where]
        where[side.axis] = np.full(len(cells), axis.faces[at])
        space = self.problem.space
        alpha, beta = (
            np.broadcast_to(v, len(cells))
            for v in numpy_function(space, [side.alpha, side.beta])(*where)
        )
        flux = self._flux(*where)[side.field * len(self.axes) + side.axis]
        a = -self._signs[side.field] * np.asarray(flux, dtype=float)
        if side.beta == 0:
            inside = self.conductivity[side.field, side.axis].ravel()[cells]
            with np.errstate(divide="ignore"):
                a = 2 / (1 / a + 1 / inside)
        # From u_b = u_i + s h/2 and alpha u_b + beta s = g, with s = ∂u/∂n.
        factor = area * a / (beta + alpha * width / 2)
        cells = cells + side.field * self.count
        self.diagonal[cells] -= factor * alpha
        coordinates = self.problem.coordinates
        value = numpy_function(coordinates, [side.value])
        if side.value.free_symbols & set(coordinates[: -len(space)]):
            self._moving.append((cells, factor, value, where))
        else:
            times = [0.0] * (len(coordinates) - len(space))
            self._constant[cells] += factor * np.asarray(
                value(*times, *where)[0], dtype=float
            )

    def solver(
        self, mass: Array, factor: float, slope: sparse.csr_array, method: str
    ) -> Callable[[Array], Array]:
        """Return the function that solves `(mass - factor (K + slope)) x = right`."""
        matrix = sparse.csr_array(
            sparse.diags_array(mass) - factor * (self.exchange + slope)
        )
        if method == "transform":
            extra = float((mass - factor * slope.diagonal()).mean())
            mean = self.conductivity[0].reshape(len(self.axes), -1).mean(axis=1)
            laplacian = TransformedLaplacian(self.axes, self._ends())
            return laplacian.solver(matrix, factor * mean, extra)
        if method == "multigrid":
            fields = len(self.form.symbols)
            constants = np.kron(np.eye(fields), np.ones((self.count, 1)))
            hierarchy = LinearSystem(
                sparse.csc_matrix(matrix),
                np.arange(self.size),
                constants=constants,
                method=method,
            )
            return lambda right: hierarchy.solve(right)[0]
        # Coupled fields make the matrix unsymmetric, and it may need pivots.
        options = DEFINITE if len(self.form.symbols) == 1 else {}
        try:
            solve: Callable[[Array], Array] = splu(
                sparse.csc_matrix(matrix), **options
            ).solve
        except RuntimeError as error:
            raise SolveFailedError(
                Status.FAILED,
                f"The system of {self.size} equations is singular ({error}). Does a "
                "condition or a reaction fix each field?",
            ) from None
        return solve

    def _ends(self) -> list[tuple[bool, bool]]:
        """Say, along each axis, which ends hold the value (else the slope)."""
        held = {(s.axis, s.is_upper) for s in self.form.sides if s.beta == 0}
        return [((k, False) in held, (k, True) in held) for k in range(len(self.axes))]
