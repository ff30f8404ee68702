"""The discrete equations of a weak form: residual, Jacobian, boundary values."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from pinnsuite.classical.finite_element_space import Quadrature, Space
from pinnsuite.classical.linear_systems import (
    LinearSystem,
    SolveFailedError,
    nested_dissection,
)
from pinnsuite.classical.weak_form import Integral, WeakForm
from pinnsuite.problem.conditions import normal
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.jets import is_linear, jacobian, numpy_function
from pinnsuite.solution.solution import Status

Array = np.ndarray


class Integrand:
    """An integral of the weak form and its exact derivatives, compiled for numpy."""

    def __init__(self, integral: Integral) -> None:
        lowered = integral.integrand
        self.on, self.tests = integral.on, integral.tests
        self.jets = list(lowered.jets.values())
        space = lowered.coordinates[-len(integral.tests[0].orders) :]
        self.has_time = len(space) < len(lowered.coordinates)
        normals = [normal(x) for x in space] if self.on is not None else []
        arguments = [*lowered.coordinates, *normals, *lowered.symbols]
        self.values = numpy_function(arguments, lowered.algebra)
        derivatives = [
            (k, j, e)
            for k, row in enumerate(jacobian(lowered))
            for j, e in enumerate(row)
            if e != 0
        ]
        self.pairs = [(k, j) for k, j, _ in derivatives]
        self.slopes = numpy_function(arguments, [e for _, _, e in derivatives])
        clock = {lowered.coordinates[0]} if self.has_time else set()
        self.is_linear = is_linear(lowered)
        self.is_static = not any(e.free_symbols & clock for _, _, e in derivatives)
        self.has_static_load = not any(e.free_symbols & clock for e in lowered.algebra)


class System:
    """`R(t, y, y') = 0` for the coefficients y of all unknowns, with its Jacobian."""

    def __init__(
        self,
        problem: Problem,
        weak: WeakForm,
        integrands: Sequence[Integrand],
        space: Space,
    ) -> None:
        self.problem, self.weak, self.space = problem, weak, space
        self.integrands = integrands
        self.is_linear = all(i.is_linear for i in integrands)
        self.is_constant = self.is_linear and all(i.is_static for i in integrands)
        sizes = [space.size(owner) for owner in weak.owners]
        ends = np.cumsum([0, *sizes]).tolist()
        self.parts = [slice(a, b) for a, b in itertools.pairwise(ends)]
        self.size = ends[-1]
        self.points = np.concatenate([space.locations(o) for o in weak.owners])
        self.gauge: int | None = None
        self.border: Array | None = None
        self._impose()

    def _impose(self) -> None:
        """Find the degrees of freedom that Dirichlet conditions hold."""
        holder = np.full(self.size, -1)
        # Backwards, so that the first condition has the last word.
        for number, e in reversed(list(enumerate(self.weak.essential))):
            start = self.parts[e.unknown].start
            dofs = self.space.on(self.weak.owners[e.unknown], e.on)
            holder[start + dofs] = number
        self.fixed = np.flatnonzero(holder >= 0)
        self.free = np.flatnonzero(holder < 0)
        self._imposed = []
        for number, e in enumerate(self.weak.essential):
            mine = np.flatnonzero(holder[self.fixed] == number)
            function = numpy_function(self.problem.coordinates, [e.value])
            points = self.points[self.fixed[mine]]
            self._imposed.append((mine, points.T, function))

    def boundary_values(self, t: float) -> Array:
        """Return the values of the fixed degrees of freedom."""
        values = np.zeros(len(self.fixed))
        for mine, points, function in self._imposed:
            values[mine] = function(*self._clock(t), *points)[0]
        return values

    def initial_values(self) -> Array:
        """Return the state at the start: interpolated, Dirichlet values imposed."""
        y = np.zeros(self.size)
        for part, value in zip(self.parts, self.weak.initial, strict=True):
            if value is not None:
                function = numpy_function(self.problem.space, [value])
                y[part] = function(*self.points[part].T)[0]
        assert self.problem.time is not None
        y[self.fixed] = self.boundary_values(self.problem.time.start)
        return y

    def transferred(self, space: Space, values: Array) -> Array:
        """Return coefficients on another mesh, interpolated on this one."""
        y = np.empty(self.size)
        start = 0
        for part, owner in zip(self.parts, self.weak.owners, strict=True):
            stop = start + space.size(owner)
            matrix = space.matrices(self.points[part])[space.elements[owner]]
            y[part] = matrix @ values[start:stop]
            start = stop
        y[self.fixed] = self.boundary_values(0.0)
        return y

    def harmonic_extension(self) -> Array:
        """Return the Dirichlet values, continued by harmonic functions."""
        y = np.zeros(self.size)
        y[self.fixed] = self.boundary_values(0.0)
        if self.is_linear:
            return y
        quadrature = self.space.quadrature(None)
        weights = quadrature.weights[:, :, None]
        for unknown, part in enumerate(self.parts):
            if not y[part].any():
                continue
            local: Any = sum(
                (weights * table).transpose(0, 2, 1) @ table
                for (name, orders), table in quadrature.tables.items()
                if name == self._name(unknown) and any(orders)
            )
            dofs = self._dofs(unknown, quadrature)
            rows, columns = np.broadcast_arrays(dofs[:, :, None], dofs[:, None, :])
            matrix = self._matrix([[local.ravel(), rows.ravel(), columns.ravel()]])
            free = self.free[(self.free >= part.start) & (self.free < part.stop)]
            inner = matrix[free][:, free]
            extension = LinearSystem(inner, self._elimination(free))
            y[free] = extension.solve(-(matrix @ y)[free])[0]
        return y

    def _clock(self, t: float) -> list[float]:
        return [] if self.problem.time is None else [t]

    def _name(self, unknown: int) -> str:
        return self.space.elements[self.weak.owners[unknown]]

    def _dofs(self, unknown: int, quadrature: Quadrature) -> Array:
        dofs: Array = self.parts[unknown].start + quadrature.dofs[self._name(unknown)]
        return dofs

    def _arguments(
        self, form: Integrand, t: float, y: Array, rate: Array
    ) -> tuple[Quadrature, list[Any]]:
        quadrature = self.space.quadrature(form.on)
        values: list[Any] = []
        for jet in form.jets:
            is_rate = form.has_time and jet.orders[0]
            local = (rate if is_rate else y)[self._dofs(jet.field, quadrature)]
            orders = jet.orders[1:] if form.has_time else jet.orders
            table = quadrature.tables[self._name(jet.field), orders]
            values.append((table @ local[:, :, None])[:, :, 0])
        arguments = [*self._clock(t), *quadrature.points, *quadrature.normals, *values]
        return quadrature, arguments

    def residual(self, t: float, y: Array, rate: Array) -> Array:
        """Return R(t, y, y')."""
        result = np.zeros(self.size)
        for form in self.integrands:
            quadrature, arguments = self._arguments(form, t, y, rate)
            for test, value in zip(form.tests, form.values(*arguments), strict=True):
                table = quadrature.tables[self._name(test.field), test.orders]
                local = ((quadrature.weights * value)[:, None, :] @ table)[:, 0]
                dofs = self._dofs(test.field, quadrature)
                result += np.bincount(dofs.ravel(), local.ravel(), self.size)
        return result

    def jacobian(
        self, t: float, y: Array, rate: Array
    ) -> tuple[sparse.csc_matrix, sparse.csc_matrix]:
        """Return ∂R/∂y and ∂R/∂y'."""
        entries: tuple[list[Any], list[Any]] = ([], [])
        for form in self.integrands:
            quadrature, arguments = self._arguments(form, t, y, rate)
            # Sum over the trial functions first: one product for each test function.
            sums: dict[tuple[int, int, int], Array] = {}
            slopes = form.slopes(*arguments)
            for (k, j), slope in zip(form.pairs, slopes, strict=True):
                jet = form.jets[j]
                is_rate = int(form.has_time and jet.orders[0])
                orders = jet.orders[1:] if form.has_time else jet.orders
                table = quadrature.tables[self._name(jet.field), orders]
                weighted = (quadrature.weights * slope)[:, :, None] * table
                key = (k, jet.field, is_rate)
                sums[key] = sums[key] + weighted if key in sums else weighted
            blocks: dict[tuple[int, int, int], Array] = {}
            for (k, unknown, is_rate), trial in sums.items():
                test = form.tests[k]
                table = quadrature.tables[self._name(test.field), test.orders]
                local = table.transpose(0, 2, 1) @ trial
                key = (test.field, unknown, is_rate)
                blocks[key] = blocks[key] + local if key in blocks else local
            for (tested, unknown, is_rate), local in blocks.items():
                rows = self._dofs(tested, quadrature)[:, :, None]
                columns = self._dofs(unknown, quadrature)[:, None, :]
                entries[is_rate].append(
                    [
                        local.ravel(),
                        np.broadcast_to(rows, local.shape).ravel(),
                        np.broadcast_to(columns, local.shape).ravel(),
                    ]
                )
        stiffness, mass = (self._matrix(parts) for parts in entries)
        return stiffness, mass

    def _matrix(self, parts: list[Any]) -> sparse.csc_matrix:
        if not parts:
            return sparse.csc_matrix((self.size, self.size))
        data, rows, columns = (np.concatenate(p) for p in zip(*parts, strict=True))
        shape = (self.size, self.size)
        return sparse.coo_matrix((data, (rows, columns)), shape=shape).tocsc()

    def _mean(self, unknown: int) -> Array:
        """Return the integrals of an unknown's shape functions, on the free nodes."""
        quadrature = self.space.quadrature(None)
        orders = (0,) * self.space.dimension
        table = quadrature.tables[self._name(unknown), orders]
        local = (quadrature.weights[:, None, :] @ table)[:, 0]
        dofs = self._dofs(unknown, quadrature)
        total: Array = np.bincount(dofs.ravel(), local.ravel(), self.size)
        return total[self.free]

    @cached_property
    def _ranks(self) -> Array:
        quadrature = self.space.quadrature(None)
        centres = np.stack([x.mean(axis=1) for x in quadrature.points], axis=1)
        dofs = [self._dofs(i, quadrature) for i in range(len(self.parts))]
        ranks = np.empty(self.size, dtype=np.int64)
        ranks[nested_dissection(centres, dofs, self.size)] = np.arange(self.size)
        return ranks

    def _elimination(self, dofs: Array) -> Array:
        """Return the order of elimination of some degrees of freedom."""
        return np.argsort(self._ranks[dofs])

    def linear_system(self, matrix: sparse.csc_matrix, method: str) -> LinearSystem:
        """Return the system with a matrix on the free nodes, ready to be solved."""
        field = np.searchsorted([p.stop for p in self.parts], self.free, side="right")
        constants = (field[:, None] == np.arange(len(self.parts))).astype(float)
        return LinearSystem(
            matrix,
            self._elimination(self.free),
            constants=constants,
            border=self.border,
            method=method,
        )

    def fix_gauge(self, matrix: sparse.csc_matrix) -> None:
        """Find the field that `matrix` leaves free up to a constant.

        Raises
        ------
        SolveFailedError
            If there is one that the problem's gauge does not name.
        """
        wanted = self.problem.hints.get("gauge")
        size = abs(matrix)
        for unknown, name in enumerate(self.weak.unknowns):
            part = self.parts[unknown]
            ones = ((self.free >= part.start) & (self.free < part.stop)).astype(float)
            if ones.sum() < part.stop - part.start:
                continue
            scale = (size @ ones).max()
            if scale > 0 and np.abs(matrix @ ones).max() < 1e-11 * scale:
                if name != wanted:
                    raise SolveFailedError(
                        Status.FAILED,
                        f"The equations and conditions fix {name!r} only up to a "
                        f"constant. Give hints={{'gauge': {name!r}}}, which sets its "
                        "mean to 0, or a Dirichlet or Robin condition.",
                    )
                self.gauge = unknown
                self.border = self._mean(unknown)
