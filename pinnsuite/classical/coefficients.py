"""Unknown coefficients as one vector: numbers, and functions as tensor splines.

A number that is positive stands there by its logarithm: a first guess may be far off.
A function is the cubic spline through its values at the nodes of a uniform grid, so
the vector holds values of it; where a Dirichlet condition gives it, they are fixed. Its
roughness is the seminorm `∫ |∇a|²`, exactly.
Source: C. de Boor, A Practical Guide to Splines, 2001, ch. IV and XVII.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, reduce
from itertools import pairwise

import numpy as np
import sympy as sp
from scipy.interpolate import make_interp_spline

from pinnsuite.problem.conditions import Dirichlet, Unknown, UnknownField
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.domain import Box
from pinnsuite.problem.jets import numpy_function

_GAUSS = np.polynomial.legendre.leggauss(4)
"""Exact to degree 7; products of two cubics have degree 6."""


class SplineAxis:
    """The cubic splines on one axis that are 1 at one node and 0 at the others."""

    def __init__(self, lower: float, upper: float, count: int) -> None:
        self.nodes = np.linspace(lower, upper, count)
        self._splines = make_interp_spline(self.nodes, np.eye(count), k=3)

    def values(self, at: np.ndarray, derivative: int = 0) -> np.ndarray:
        """Return a derivative of every spline at points: (n, nodes)."""
        found: np.ndarray = self._splines(at, nu=derivative)
        return found

    def gram(self, derivative: int) -> np.ndarray:
        """Return the integrals of products of derivatives: (nodes, nodes)."""
        points, weights = _GAUSS
        half = np.diff(self.nodes)[:, None] / 2
        at = (self.nodes[:-1, None] + half * (1 + points)).ravel()
        table = self.values(at, derivative)
        found: np.ndarray = table.T @ ((half * weights).reshape(-1, 1) * table)
        return found


class ConstantAxis:
    """An axis along which the coefficient does not vary."""

    nodes = np.zeros(1)

    def values(self, at: np.ndarray, derivative: int = 0) -> np.ndarray:
        """Return ones, or zeros for a derivative: (n, 1)."""
        return np.full((len(at), 1), float(derivative == 0))

    def gram(self, derivative: int) -> np.ndarray:
        """Return the mean of the product of derivatives: (1, 1)."""
        return np.full((1, 1), float(derivative == 0))


class CoefficientField:
    """One unknown function of space, by its values at the free nodes.

    Parameters
    ----------
    unknown
        Of the problem, which is on a box.
    points
        Nodes along each axis.
    """

    def __init__(self, problem: Problem, unknown: UnknownField, points: int) -> None:
        assert isinstance(problem.domain, Box)
        self.name = unknown.name
        self.axes = [
            SplineAxis(low, high, points) if x in unknown.field.args else ConstantAxis()
            for x, low, high in problem.domain.ranges
        ]
        shape = tuple(len(axis.nodes) for axis in self.axes)
        values = np.full(shape, np.nan)
        mesh = np.meshgrid(*(axis.nodes for axis in self.axes), indexing="ij")
        # Backwards: where sides meet, the first condition wins.
        for c in reversed(problem.conditions_of(Dirichlet)):
            if c.field != unknown.field:
                continue
            (value,) = numpy_function(problem.space, [c.value])(*mesh)
            table = np.broadcast_to(np.asarray(value, dtype=float), shape)
            for k, x in enumerate(problem.space):
                for end, name in zip((0, -1), problem.domain.sides(x), strict=True):
                    if name in problem.boundaries_of(c):
                        side = tuple(
                            end if j == k else slice(None) for j in range(len(shape))
                        )
                        values[side] = table[side]
        self.shape = shape
        self.free = np.flatnonzero(np.isnan(values).ravel())
        self.fixed = np.nan_to_num(values).ravel()

    def nodal(self, free: np.ndarray) -> np.ndarray:
        """Return the values at all nodes, from those at the free ones."""
        values: np.ndarray = self.fixed.copy()
        values[self.free] = free
        return values

    def on_grid(self, nodes: Sequence[np.ndarray], orders: Sequence[int]) -> np.ndarray:
        """Return the matrix from nodal values to a derivative on a tensor grid."""
        tables = [
            axis.values(at, order)
            for axis, at, order in zip(self.axes, nodes, orders, strict=True)
        ]
        return np.asarray(reduce(np.kron, tables))

    def at(self, free: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return the coefficient at scattered points (n, dimension): (n,)."""
        table = self.nodal(free).reshape(self.shape)
        block = np.broadcast_to(table, (len(points), *self.shape))
        for axis, x in zip(self.axes, points.T, strict=True):
            block = np.einsum("nk,nk...->n...", axis.values(x), block)
        return np.asarray(block)

    @cached_property
    def mass(self) -> np.ndarray:
        """The matrix of `∫ a²` on all nodal values."""
        return np.asarray(reduce(np.kron, [axis.gram(0) for axis in self.axes]))

    @cached_property
    def roughness(self) -> np.ndarray:
        """The matrix of `∫ |∇a|²` on all nodal values."""
        parts = [
            reduce(
                np.kron, [axis.gram(int(j == k)) for j, axis in enumerate(self.axes)]
            )
            for k in range(len(self.axes))
        ]
        return np.asarray(sum(parts))


class Coefficients:
    """All unknowns of a problem as one vector: numbers first, then functions.

    Attributes
    ----------
    symbols
        Of the numbers.
    is_log
        Which of the numbers stand by their logarithm: those of positive lower bound.
    fields
        The functions.
    lower, upper, guess
        Of the vector: (n,).
    """

    def __init__(self, problem: Problem, points: int) -> None:
        scalars, functions = problem.unknown_scalars, problem.unknown_fields
        self.symbols: tuple[sp.Symbol, ...] = tuple(u.symbol for u in scalars)
        self.names = tuple(u.name for u in scalars)
        self.fields = [CoefficientField(problem, u, points) for u in functions]
        sizes = [1] * len(scalars) + [len(f.free) for f in self.fields]
        both: tuple[Unknown | UnknownField, ...] = (*scalars, *functions)
        self.is_log = np.array([u.lower > 0 for u in scalars], dtype=bool)
        count = len(scalars)
        ranges = np.array(
            [[float(v) for v in (u.lower, u.upper, u.guess)] for u in both]
        )
        ranges[:count][self.is_log] = np.log(ranges[:count][self.is_log])
        self.lower, self.upper, self.guess = np.repeat(ranges, sizes, axis=0).T
        ends = np.cumsum([count, *sizes[count:]])
        self.slices = [slice(a, b) for a, b in pairwise(ends.tolist())]

    def numbers(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers and their derivatives by their own entries of `z`."""
        part = z[: len(self.symbols)]
        values = np.where(self.is_log, np.exp(part), part)
        return values, np.where(self.is_log, values, 1.0)

    @property
    def size(self) -> int:
        """The number of entries of the vector."""
        return len(self.guess)

    @cached_property
    def penalty(self) -> tuple[np.ndarray, np.ndarray, float]:
        """`Q, q, c` of the summed roughness `zᵀQz + 2 qᵀz + c` of all functions."""
        quadratic, linear = np.zeros((self.size, self.size)), np.zeros(self.size)
        constant = 0.0
        for f, part in zip(self.fields, self.slices, strict=True):
            rows = f.roughness[f.free]
            quadratic[part, part] = rows[:, f.free]
            linear[part] = rows @ f.fixed
            constant += float(f.fixed @ f.roughness @ f.fixed)
        return quadratic, linear, constant
