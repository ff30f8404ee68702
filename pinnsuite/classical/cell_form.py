"""Problems in divergence form: `c ∂ᵐu/∂tᵐ + d u_t = ∇·(a ∇u) + f(t, x, u)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp

from pinnsuite.classical.weak_form import by_parts
from pinnsuite.errors import UnsupportedProblemError
from pinnsuite.problem.conditions import Boundary, Periodic, normal
from pinnsuite.problem.definition import Problem, derivative_orders
from pinnsuite.problem.domain import Box
from pinnsuite.problem.form import require_equations
from pinnsuite.problem.jets import Jet, lower


@dataclass(frozen=True, eq=False)
class Side:
    """`alpha u + beta ∂u/∂n = value` for one field on one side of the box."""

    field: int
    axis: int
    is_upper: bool
    alpha: sp.Expr
    beta: sp.Expr
    value: sp.Expr


@dataclass(frozen=True, eq=False)
class CellForm:
    """A problem as cells take it, before its signs are known.

    Attributes
    ----------
    time_order
        0, 1 or 2, of every field.
    capacity, damping
        c and d, one a field; d is 0 unless the order is 2.
    flux
        `B_k = flux[i][k] ∂u_i/∂x_k` under the divergence of equation i.
    rest
        Equation i is `c ∂ᵐu/∂tᵐ + d u_t + rest + ∇·B = 0`; of coordinates and fields.
    symbols
        The symbols of the fields in `rest`.
    sides
        The conditions, one a field and open side.
    """

    time_order: int
    capacity: tuple[sp.Expr, ...]
    damping: tuple[sp.Expr, ...]
    flux: tuple[tuple[sp.Expr, ...], ...]
    rest: tuple[sp.Expr, ...]
    symbols: tuple[sp.Symbol, ...]
    sides: tuple[Side, ...]


def cell_form(problem: Problem) -> CellForm:
    """Return the form of `problem`; UnsupportedProblemError says why there is none."""
    if not isinstance(problem.domain, Box) or problem.dimension > 3:
        raise UnsupportedProblemError(
            "cells fill an Interval or a Box of up to 3 dimensions, and its domain is "
            + ("none" if problem.domain is None else problem.domain.describe())
        )
    require_equations(problem)
    if problem.unknowns:
        raise UnsupportedProblemError("it has unknown coefficients; fix them")
    orders = (0,) * len(problem.fields)
    if problem.time is not None:
        orders = derivative_orders(
            problem.equations, problem.fields, problem.time.coordinate
        )
    if len(set(orders)) > 1 or orders[0] > 2:
        raise UnsupportedProblemError(
            f"its fields are of the orders {orders} in time; 0, 1 or 2 is needed, the "
            "same for all"
        )
    divided = [by_parts(e, problem.fields, problem.space) for e in problem.equations]
    flux = tuple(
        tuple(_conductivity(problem, i, k, b) for k, b in enumerate(flux))
        for i, (_, flux) in enumerate(divided)
    )
    sources = [source for source, _ in divided]
    form = _sources(problem, orders[0], sources, flux, tuple(_sides(problem)))
    for i, name in enumerate(problem.field_names):
        held = any(side.alpha != 0 for side in form.sides if side.field == i)
        if not (orders[0] or held or form.symbols[i] in form.rest[i].free_symbols):
            raise UnsupportedProblemError(
                f"its field {name!r} is fixed up to a constant only: no condition and "
                "no term of its equation holds the value"
            )
    return form


def _conductivity(problem: Problem, i: int, k: int, flux: sp.Expr) -> sp.Expr:
    lowered = lower([flux], problem.fields, problem.coordinates)
    (algebra,) = lowered.algebra
    time = set(problem.coordinates) - set(problem.space)
    slope = lowered.symbol(
        Jet(i, tuple(int(c == problem.space[k]) for c in problem.coordinates))
    )
    a = sp.Integer(0) if slope is None else sp.diff(algebra, slope)
    if slope is None or algebra.xreplace({slope: sp.Integer(0)}) != 0:
        raise UnsupportedProblemError(
            f"the flux {flux} of equation {i + 1} along {problem.space[k]} is not "
            f"a ∂{problem.field_names[i]}/∂{problem.space[k]}"
        )
    if a.free_symbols & (set(lowered.symbols) | time):
        raise UnsupportedProblemError(
            f"the conductivity {a} in equation {i + 1} depends on time or on the fields"
        )
    return a


def _sources(
    problem: Problem,
    order: int,
    sources: Sequence[sp.Expr],
    flux: tuple[tuple[sp.Expr, ...], ...],
    sides: tuple[Side, ...],
) -> CellForm:
    """Divide what stands outside the divergences into capacity, damping and rest."""
    lowered = lower(sources, problem.fields, problem.coordinates)
    none = (0,) * problem.dimension
    start = len(problem.coordinates) - problem.dimension
    fixed = {*lowered.symbols} | set(problem.coordinates[:start])
    for symbol, jet in lowered.jets.items():
        if sum(jet.orders[start:]):
            raise UnsupportedProblemError(
                f"its equations hold {symbol.name} outside a divergence of a ∇u (a "
                "transport term); use 'lines' or 'finite-volume'"
            )
    symbols = tuple(
        lowered.symbol(Jet(i, (0,) * start + none)) or sp.Dummy(name, real=True)
        for i, name in enumerate(problem.field_names)
    )
    factors: dict[int, list[sp.Expr]] = {1: [], 2: []}
    rest = []
    for i, algebra in enumerate(lowered.algebra):
        left = algebra
        for k in (1, 2):
            rate = lowered.symbol(Jet(i, (k, *none))) if start else None
            factor = sp.Integer(0) if rate is None else sp.diff(algebra, rate)
            if factor.free_symbols & fixed:
                raise UnsupportedProblemError(
                    f"the coefficient {factor} of {rate} depends on time or on the "
                    "fields"
                )
            factors[k].append(factor)
            if rate is not None:
                left = left.xreplace({rate: sp.Integer(0)})
        if left.free_symbols & (set(lowered.symbols) - set(symbols)):
            raise UnsupportedProblemError(
                f"equation {i + 1} holds the time derivative of another field"
            )
        rest.append(left)
    zero = tuple(sp.Integer(0) for _ in rest)
    return CellForm(
        order,
        capacity=tuple(factors[order]) if order else zero,
        damping=tuple(factors[1]) if order == 2 else zero,
        flux=flux,
        rest=tuple(rest),
        symbols=symbols,
        sides=sides,
    )


def _sides(problem: Problem) -> list[Side]:
    """Return the first condition of each field on each open side."""
    assert isinstance(problem.domain, Box)
    periodic = {c.along for c in problem.conditions_of(Periodic)}
    found: dict[tuple[int, int, bool], Side] = {}
    for c in problem.conditions_of(Boundary):
        i = problem.fields.index(c.field)
        names = problem.boundaries_of(c)
        for k, x in enumerate(problem.space):
            for is_upper, name in zip(
                (False, True), problem.domain.sides(x), strict=True
            ):
                place = (i, k, is_upper)
                if name in names and x not in periodic and place not in found:
                    found[place] = _side(problem, c, *place)
    return list(found.values())


def _side(
    problem: Problem, condition: Boundary, i: int, k: int, is_upper: bool
) -> Side:
    outward = {
        normal(x): (2 * is_upper - 1 if j == k else 0)
        for j, x in enumerate(problem.space)
    }
    expressions = [
        condition.operator(problem.space).subs(outward).doit(),
        condition.value.subs(outward),
    ]
    lowered = lower(expressions, problem.fields, problem.coordinates)
    operator, value = lowered.algebra
    start = len(problem.coordinates) - problem.dimension
    zero = Jet(i, (0,) * len(problem.coordinates))
    slope = Jet(i, tuple(int(j == k + start) for j in range(len(zero.orders))))
    factors = [
        sp.Integer(0) if s is None else sp.diff(operator, s)
        for s in (lowered.symbol(zero), lowered.symbol(slope))
    ]
    known = {s for s, jet in lowered.jets.items() if jet in (zero, slope)}
    fixed = {*lowered.symbols} | set(problem.coordinates[:start])
    offset = operator.xreplace(dict.fromkeys(known, sp.Integer(0)))
    if (
        any(f.free_symbols & fixed for f in factors)
        or offset != 0
        or value.free_symbols & set(lowered.symbols)
    ):
        raise UnsupportedProblemError(
            f"its {type(condition).__name__}({condition.field}, on={condition.on}) is "
            "not a u + b ∂u/∂n = g with a, b constant in time; use 'finite-element'"
        )
    return Side(
        i,
        k,
        is_upper,
        factors[0],
        factors[1] * outward[normal(problem.space[k])],
        value,
    )
