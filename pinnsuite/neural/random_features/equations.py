"""Equations and conditions, lowered and compiled once a problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from pinnsuite.errors import UnsupportedProblemError
from pinnsuite.problem.conditions import Boundary, Initial, Periodic, normal
from pinnsuite.problem.definition import Problem, derivative_orders
from pinnsuite.problem.form import lost_jumps
from pinnsuite.problem.jets import (
    Jet,
    Lowered,
    is_linear,
    jacobian,
    lower,
    numpy_function,
)

Orders = tuple[int, ...]
"""Order of differentiation along each coordinate."""

State = Callable[[np.ndarray, Sequence[Jet]], list[np.ndarray]]
"""Derivatives of the fields at points."""


@dataclass(frozen=True, eq=False)
class Expression:
    """A residual as algebra in the jets, with its partial derivatives.

    Attributes
    ----------
    lowered
        One expression and its jets.
    function
        Of coordinates, normals and jets: the residual, then its derivative by each jet.
    has_normals
        Whether the outward normal is among the arguments.
    """

    lowered: Lowered
    function: Callable[..., list[Any]]
    has_normals: bool

    @classmethod
    def of(
        cls, problem: Problem, expression: sp.Expr, *, has_normals: bool = False
    ) -> Expression:
        """Lower and compile an expression of the problem's fields."""
        lowered = lower([expression], problem.fields, problem.coordinates)
        return cls.compiled(problem, lowered, has_normals=has_normals)

    @classmethod
    def compiled(
        cls, problem: Problem, lowered: Lowered, *, has_normals: bool = False
    ) -> Expression:
        """Compile what is algebra already."""
        normals = [normal(x) for x in problem.space] if has_normals else []
        arguments = [*problem.coordinates, *normals, *lowered.symbols]
        (slopes,) = jacobian(lowered)
        function = numpy_function(arguments, [*lowered.algebra, *slopes])
        return cls(lowered, function, has_normals)

    @property
    def jets(self) -> list[Jet]:
        """The jets, in the order of the arguments."""
        return list(self.lowered.jets.values())


@dataclass(frozen=True, eq=False)
class Equations:
    """What the fields have to satisfy, compiled once a problem.

    Attributes
    ----------
    interior
        The equations.
    boundary
        Name of a boundary, and what holds there.
    initial
        Field, orders of a derivative, and its value at the start as a function of
        space; derivatives in space among them as the equations need.
    orders
        For each coordinate the highest derivative of each field along it.
    is_linear
        All of them are affine in the fields.
    periodic
        The space axes along which everything repeats.
    fluxes
        What is continuous where coefficients jump, in place of a derivative, by its
        coordinate, field and order.
    """

    problem: Problem
    interior: tuple[Expression, ...]
    boundary: tuple[tuple[str, Expression], ...]
    initial: tuple[tuple[int, Orders, Callable[..., list[Any]]], ...]
    orders: tuple[tuple[int, ...], ...]
    is_linear: bool
    periodic: tuple[int, ...]
    fluxes: Mapping[tuple[int, int, int], Expression]

    @classmethod
    def of(cls, problem: Problem) -> Equations:
        """Lower and compile the equations and conditions of a problem."""
        interior = tuple(
            Expression.of(problem, _between_jumps(e)) for e in problem.equations
        )
        boundary = [
            (
                side,
                Expression.of(
                    problem, c.operator(problem.space) - c.value, has_normals=True
                ),
            )
            for c in problem.conditions_of(Boundary)
            for side in problem.boundaries_of(c)
        ]
        initial = [
            entry
            for c in problem.conditions_of(Initial)
            for entry in _initial_values(problem, c)
        ]
        everything = [*interior, *(e for _, e in boundary)]
        return cls(
            problem,
            interior,
            tuple(boundary),
            tuple(initial),
            tuple(
                derivative_orders(problem.equations, problem.fields, x)
                for x in problem.coordinates
            ),
            all(is_linear(e.lowered) for e in everything),
            periodic_axes(problem),
            continuous_fluxes(problem),
        )


def _between_jumps(equation: sp.Expr) -> sp.Expr:
    """Return the equation with jumps whose derivatives are zero."""
    return equation.replace(
        lambda e: isinstance(e, sp.Heaviside | sp.sign),
        lambda e: sp.Piecewise(
            (sp.Integer(0) if isinstance(e, sp.Heaviside) else -1, e.args[0] < 0),
            (1, True),
        ),
    )


def continuous_fluxes(
    problem: Problem,
) -> dict[tuple[int, int, int], Expression]:
    """Return what is continuous where a coefficient jumps under a derivative.

    Of `∂ₓ(a u_x)` that is `a u_x`, in place of `u_x`; of `∂ₓₓ(b u_xx)` it is `b u_xx`
    and `∂ₓ(b u_xx)`.

    Raises
    ------
    UnsupportedProblemError
        If it holds several fields, or is not linear in one.
    """
    found: dict[tuple[int, int, int], Expression] = {}
    for derivative in lost_jumps(problem):
        x, *others = derivative.variables
        flux = Expression.of(problem, _between_jumps(derivative.expr))
        fields = {j.field for j in flux.jets}
        if len(fields) != 1 or set(others) - {x} or not is_linear(flux.lowered):
            raise UnsupportedProblemError(
                f"{derivative} differentiates a coefficient that jumps, and "
                f"{derivative.expr} is not linear in one field; use 'finite-element'"
            )
        (field,) = fields
        column = problem.coordinates.index(x)
        order = max(j.orders[column] for j in flux.jets)
        for k in range(1 + len(others)):
            expression = sp.diff(_between_jumps(derivative.expr), x, k)
            found[column, field, order + k] = Expression.of(problem, expression)
    return found


def _initial_values(
    problem: Problem, condition: Initial
) -> list[tuple[int, Orders, Callable[..., list[Any]]]]:
    """Return the value and its derivatives in space that occur in the equations."""
    lowered = lower(problem.equations, problem.fields, problem.coordinates)
    field = problem.fields.index(condition.field)
    inside = {
        j.orders[1:]
        for j in lowered.jets.values()
        if j.field == field and j.orders[0] == 0
    }
    found = []
    for orders in {(0,) * len(problem.space)} | (
        inside if not condition.order else set()
    ):
        along = zip(problem.space, orders, strict=True)
        value = condition.value
        for x, k in along:
            value = sp.diff(value, x, k)
        function = numpy_function(problem.space, [value.doit()])
        found.append((field, (condition.order, *orders), function))
    return found


def initial_state(equations: Equations) -> State:
    """Return the initial conditions as a state; derivatives in space by differences."""
    known = {(i, k): f for i, k, f in equations.initial}

    def state(points: np.ndarray, jets: Sequence[Jet]) -> list[np.ndarray]:
        found = []
        for j in jets:
            function = known.get((j.field, j.orders))
            if function is None:
                found.append(np.zeros(len(points)))
                continue
            (value,) = function(*points[:, 1:].T)
            found.append(np.broadcast_to(value, len(points)).astype(float))
        return found

    return state


def periodic_axes(problem: Problem) -> tuple[int, ...]:
    """Return the space axes that `Periodic` conditions name."""
    along = [c.along for c in problem.conditions_of(Periodic)]
    return tuple(k for k, x in enumerate(problem.space) if x in along)
