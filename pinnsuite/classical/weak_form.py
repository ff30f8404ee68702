"""From the equations to their weak form, as algebra.

Equation i is multiplied by a test function v_i of the space of field i and integrated
over the domain. Every term `c ∂F/∂x_k` with a flux F that holds first derivatives of
the fields is integrated by parts before anything is differentiated,

    ∫ c ∂F/∂x_k v = - ∫ F ∂(c v)/∂x_k + ∮ n_k c F v,

so a coefficient under a divergence may jump. For `c ∂²u/∂x²` this holds the derivative
of c and is exact for the equation as it is written. First derivatives stay as they are,
among them a pressure gradient, unless a coefficient under them jumps.

On a boundary without a Dirichlet condition the flux `n·B` of the last integral is
eliminated by the condition there: with `n·B = r L(u) + q(u)`, where `L(u) = g` is the
Neumann, Robin or Flux condition and q holds no derivatives, it becomes `r g + q(u)`.
Conditions are therefore met exactly, whatever was integrated by parts: with
`Flux(u, 0, flux=(ν u_x - p, ν u_y))` at an outlet the pressure enters through q.

A field of second order in time is reduced: its velocity becomes another unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef

from pinnsuite.errors import UnsupportedProblemError
from pinnsuite.problem.conditions import Boundary, Dirichlet, Initial, Periodic, normal
from pinnsuite.problem.definition import Problem, derivative_orders
from pinnsuite.problem.domain import Box, Domain
from pinnsuite.problem.form import JUMPS, require_equations
from pinnsuite.problem.jets import Jet, Lowered, lower


@dataclass(frozen=True, eq=False)
class Integral:
    """`Σ_β ∫ c_β ∂^β v_i`, over the domain or over one boundary.

    Attributes
    ----------
    on
        Name of the boundary; None for the domain.
    tests
        One jet a coefficient: the equation i and the derivative β of its test function,
        counted along the space coordinates.
    integrand
        The coefficients c_β. Their jets count along time (if any) and space and hold
        at most one derivative along each of the two.
    """

    on: str | None
    tests: tuple[Jet, ...]
    integrand: Lowered


@dataclass(frozen=True)
class Essential:
    """`unknown = value` on a boundary, imposed on the degrees of freedom."""

    unknown: int
    on: str
    value: sp.Expr


@dataclass(frozen=True, eq=False)
class WeakForm:
    """Find the unknowns such that the integrals of each equation vanish for all tests.

    Attributes
    ----------
    unknowns
        Names: the fields, then the velocities of those of second order in time.
    owners
        The field whose finite element each unknown shares.
    integrals
        Over the domain first, then over boundaries.
    essential
        In the order of precedence: the first one wins where boundaries meet.
    initial
        The start of each unknown; None where the equations hold no time derivative.
    """

    unknowns: tuple[str, ...]
    owners: tuple[int, ...]
    integrals: tuple[Integral, ...]
    essential: tuple[Essential, ...]
    initial: tuple[sp.Expr | None, ...]


def weak_form(problem: Problem) -> WeakForm:
    """Derive the weak form of `problem`.

    Raises
    ------
    UnsupportedProblemError
        With a reason that fits after "because": derivatives of third order, products
        of second derivatives, first-order transport, a boundary condition that does
        not give the flux of the weak form, ….
    """
    require_equations(problem)
    if problem.unknowns:
        raise UnsupportedProblemError(
            "it has unknown coefficients, and only forward problems are solved"
        )
    expressions: list[sp.Expr] = []
    tests: list[Jet] = []
    fluxes: list[list[sp.Expr]] = []
    for i, equation in enumerate(problem.equations):
        source, flux = by_parts(equation, problem.fields, problem.space)
        expressions += [source, *(-f for f in flux)]
        tests += [Jet(i, orders) for orders in _orders(problem.dimension)]
        fluxes.append(flux)
    volume = _lowered(problem, expressions)
    _check_transport(problem, volume, fluxes)
    used = [k for k, e in enumerate(volume.algebra) if e != 0]
    volume = Lowered(
        tuple(volume.algebra[k] for k in used), volume.jets, volume.coordinates
    )
    integrals = [Integral(None, tuple(tests[k] for k in used), volume)]
    essential: list[Essential] = []
    for condition, name in _first_conditions(problem):
        i = problem.fields.index(condition.field)
        if isinstance(condition, Dirichlet):
            essential.append(_essential(problem, condition, name))
        else:
            integrand = _natural(problem, condition, name, fluxes[i])
            integrals += _boundary_integral(problem, i, name, integrand)
    integrals += _free_boundaries(problem, fluxes)
    return _first_order_in_time(problem, integrals, essential)


def by_parts(
    equation: sp.Expr, fields: Sequence[sp.Expr], space: Sequence[sp.Symbol]
) -> tuple[sp.Expr, list[sp.Expr]]:
    """Return S and B with `equation = S + ∇·B`, S holding first derivatives at most.

    Raises
    ------
    UnsupportedProblemError
        If there is no such form.
    """
    found: dict[sp.Derivative, sp.Dummy] = {}

    def mark(e: sp.Basic) -> sp.Basic:
        if isinstance(e, sp.Derivative):
            return _marked(e, fields, space, found)
        if not e.has(sp.Derivative):
            return e
        return e.func(*(mark(a) for a in e.args))

    algebra = mark(sp.sympify(equation))
    source = algebra.xreplace(dict.fromkeys(found.values(), sp.Integer(0)))
    flux = [sp.Integer(0) for _ in space]
    for derivative, symbol in found.items():
        coefficient = sp.diff(algebra, symbol)
        if coefficient.has(*found.values()):
            raise UnsupportedProblemError(
                f"the equations are not linear in the second derivative {derivative}; "
                "make its argument a field of its own"
            )
        k, inner = _peeled(derivative, space)
        if any(j.free_symbols & set(space) for j in coefficient.atoms(*JUMPS)):
            raise UnsupportedProblemError(
                f"the coefficient {coefficient} of {derivative} jumps and stands "
                "outside the derivative; write div(k*grad(u))"
            )
        flux[k] += coefficient * inner
        source -= sp.diff(coefficient.doit(), space[k]) * inner
    return source, flux


def _marked(
    derivative: sp.Derivative,
    fields: Sequence[sp.Expr],
    space: Sequence[sp.Symbol],
    found: dict[sp.Derivative, sp.Dummy],
) -> sp.Expr:
    """Return a symbol in place of a derivative that is to be integrated by parts."""
    order = _space_order(derivative, fields, space)
    if order > 2:
        raise UnsupportedProblemError(
            f"{derivative} is of order {order} in space, and continuous elements take "
            "2 at most; write the equation as a system of second order"
        )
    outer = [v for v in derivative.variables if v in space]
    jumps = order == 1 and derivative.expr.has(*JUMPS) and outer
    if order < 2 and not jumps:
        return derivative
    if not outer:
        raise UnsupportedProblemError(
            f"{derivative} is the time derivative of a second derivative in space; "
            "take it under the divergence"
        )
    return found.setdefault(derivative, sp.Dummy(real=True))


def _peeled(
    derivative: sp.Derivative, space: Sequence[sp.Symbol]
) -> tuple[int, sp.Expr]:
    """Return k and F of `derivative = ∂F/∂x_k`."""
    variables = list(derivative.variables)
    last = next(v for v in reversed(variables) if v in space)
    variables.remove(last)
    inner = derivative.expr
    if variables:
        inner = sp.Derivative(inner, *variables)
    return space.index(last), inner.doit()


def _space_order(
    expression: sp.Basic, fields: Sequence[sp.Expr], space: Sequence[sp.Symbol]
) -> int:
    """Return the highest total order of derivatives of the fields in space."""
    if expression in fields or not expression.has(*fields):
        return 0
    if isinstance(expression, sp.Derivative):
        own = sum(int(n) for v, n in expression.variable_count if v in space)
        return own + _space_order(expression.expr, fields, space)
    return max(_space_order(a, fields, space) for a in expression.args)


def _orders(dimension: int) -> list[tuple[int, ...]]:
    """Return the derivatives of a test function: itself, then its gradient."""
    unit = np.eye(dimension, dtype=int).tolist()
    return [(0,) * dimension, *(tuple(row) for row in unit)]


def _lowered(problem: Problem, expressions: Sequence[sp.Expr]) -> Lowered:
    lowered = lower(expressions, problem.fields, problem.coordinates)
    start = len(problem.coordinates) - problem.dimension
    for symbol, jet in lowered.jets.items():
        if sum(jet.orders[start:]) > 1:
            raise UnsupportedProblemError(
                f"the second derivative {symbol.name} is left after integration by "
                "parts: its coefficient holds a derivative; write it as a divergence"
            )
        if sum(jet.orders[:start]) > 2:
            raise UnsupportedProblemError(
                f"{symbol.name} is of order {jet.orders[0]} in time; write the "
                "equation as a system"
            )
    return lowered


def _check_transport(
    problem: Problem, volume: Lowered, fluxes: Sequence[Sequence[sp.Expr]]
) -> None:
    start = len(problem.coordinates) - problem.dimension
    size = 1 + problem.dimension
    for i, name in enumerate(problem.field_names):
        source = volume.algebra[i * size].free_symbols
        jets = [jet for symbol, jet in volume.jets.items() if symbol in source]
        if (
            not any(fluxes[i])
            and any(sum(jet.orders[start:]) for jet in jets)
            and any(jet.field == i for jet in jets)
        ):
            raise UnsupportedProblemError(
                f"equation {i + 1}, of {name!r}, transports without diffusion (first "
                "derivatives in space, no second), where Galerkin elements lose their "
                "order; use a solver by finite differences or Fourier"
            )


def _first_conditions(problem: Problem) -> list[tuple[Boundary, str]]:
    """Return conditions and boundaries in order, the first of each field only."""
    assert problem.domain is not None
    periodic = _periodic_sides(problem)
    seen: set[tuple[AppliedUndef, str]] = set()
    chosen = []
    for condition in problem.conditions_of(Boundary):
        for name in problem.boundaries_of(condition):
            if (condition.field, name) not in seen and name not in periodic:
                seen.add((condition.field, name))
                chosen.append((condition, name))
    return chosen


def _periodic_sides(problem: Problem) -> set[str]:
    if not isinstance(problem.domain, Box):
        return set()
    return {
        side
        for condition in problem.conditions_of(Periodic)
        for side in problem.domain.sides(condition.along)
    }


def _essential(problem: Problem, condition: Dirichlet, name: str) -> Essential:
    value = condition.value.doit()
    if value.has(AppliedUndef) or value.has(*(normal(x) for x in problem.space)):
        raise UnsupportedProblemError(
            f"Dirichlet({condition.field}) on {name!r} holds a field or the normal; "
            "only functions of the coordinates are imposed on nodes"
        )
    return Essential(problem.fields.index(condition.field), name, value)


def _natural(
    problem: Problem, condition: Boundary, name: str, flux: Sequence[sp.Expr]
) -> sp.Expr:
    """Return `n·B` on a boundary, its derivatives eliminated by the condition there."""
    assert problem.domain is not None
    what = f"{type(condition).__name__}({condition.field}) on {name!r}"
    if not any(flux):
        raise UnsupportedProblemError(
            f"{what} has no place in the weak form: equation "
            f"{problem.fields.index(condition.field) + 1} has no second derivative"
        )
    normals = [normal(x) for x in problem.space]
    zero = {
        n: sp.Integer(0)
        for n, vanishes in zip(normals, _no_normal(problem.domain, name), strict=True)
        if vanishes
    }
    outward = sp.Add(*(n * f for n, f in zip(normals, flux, strict=True)))
    lowered = lower(
        [outward.subs(zero), condition.operator(problem.space).subs(zero)],
        problem.fields,
        problem.coordinates,
    )
    start = len(problem.coordinates) - problem.dimension
    slopes = [s for s, jet in lowered.jets.items() if sum(jet.orders[start:])]
    outward, operator = lowered.algebra
    for slope in slopes:
        part = sp.diff(operator, slope)
        if part != 0:
            ratio = sp.cancel(sp.diff(outward, slope) / part)
            rest = sp.expand(outward - ratio * operator)
            if rest.has(*slopes):
                rest = sp.simplify(rest)
            if not rest.has(*slopes) and not ratio.has(*slopes):
                back = _raised(problem, lowered)
                value = condition.value.doit()
                return (ratio * value + rest).xreplace(back)
            break
    shown = ", ".join(str(f) for f in flux)
    raise UnsupportedProblemError(
        f"{what} does not give the normal component of the flux under the divergence, "
        f"B = ({shown}); state it as Flux({condition.field}, value, flux=B)"
    )


def _raised(problem: Problem, lowered: Lowered) -> dict[sp.Symbol, sp.Expr]:
    """Return what the symbols of the jets stand for, as expressions."""
    back = {}
    for symbol, jet in lowered.jets.items():
        counts = [
            (c, n) for c, n in zip(problem.coordinates, jet.orders, strict=True) if n
        ]
        f = problem.fields[jet.field]
        back[symbol] = sp.Derivative(f, *counts) if counts else f
    return back


def _no_normal(domain: Domain, name: str) -> list[bool]:
    """Say along which coordinates the normal of a boundary has no component."""
    parameters = np.random.default_rng(0).random((8, max(1, domain.dimension - 1)))
    normals = np.concatenate(
        [p.normals(parameters) for p in domain.pieces if p.name == name]
    )
    vanishes: list[bool] = (np.abs(normals) < 1e-12).all(axis=0).tolist()
    return vanishes


def _boundary_integral(
    problem: Problem, equation: int, name: str, integrand: sp.Expr
) -> list[Integral]:
    if integrand == 0:
        return []
    tests = (Jet(equation, (0,) * problem.dimension),)
    return [Integral(name, tests, _lowered(problem, [integrand]))]


def _free_boundaries(
    problem: Problem, fluxes: Sequence[Sequence[sp.Expr]]
) -> list[Integral]:
    """Return `∮ n·B v` where no condition holds: B must be known from the values."""
    assert problem.domain is not None
    covered = {(c.field, name) for c, name in _first_conditions(problem)}
    periodic = _periodic_sides(problem)
    integrals = []
    for i, (f, flux) in enumerate(zip(problem.fields, fluxes, strict=True)):
        outward = sp.Add(
            *(normal(x) * b for x, b in zip(problem.space, flux, strict=True))
        )
        for name in problem.domain.boundaries:
            if outward == 0 or name in periodic or (f, name) in covered:
                continue
            if _space_order(outward, problem.fields, problem.space):
                raise UnsupportedProblemError(
                    f"boundary {name!r} has no condition for {f}, whose equation is "
                    "of second order; add Dirichlet, Neumann, Robin or Flux"
                )
            integrals += _boundary_integral(problem, i, name, outward)
    return integrals


def _first_order_in_time(
    problem: Problem, integrals: list[Integral], essential: list[Essential]
) -> WeakForm:
    names = list(problem.field_names)
    owners = list(range(len(names)))
    if problem.time is None:
        return WeakForm(
            tuple(names),
            tuple(owners),
            tuple(integrals),
            tuple(essential),
            (None,) * len(names),
        )
    t = problem.time.coordinate
    starts = {
        (problem.fields.index(c.field), c.order): c.value
        for c in problem.conditions_of(Initial)
    }
    orders = derivative_orders(problem.equations, problem.fields, t)
    initial = [starts[i, 0] if order else None for i, order in enumerate(orders)]
    velocity: dict[int, int] = {}
    for i, order in enumerate(orders):
        if order == 2:
            velocity[i] = len(names)
            names.append(f"{names[i]}_{t.name}")
            owners.append(i)
            initial.append(starts[i, 1])

    def reduced(jet: Jet) -> Jet:
        if jet.field in velocity and jet.orders[0]:
            return Jet(velocity[jet.field], (jet.orders[0] - 1, *jet.orders[1:]))
        return jet

    integrals = [
        Integral(
            integral.on,
            integral.tests,
            Lowered(
                integral.integrand.algebra,
                {s: reduced(jet) for s, jet in integral.integrand.jets.items()},
                integral.integrand.coordinates,
            ),
        )
        for integral in integrals
    ]
    for i, w in velocity.items():
        rate, speed = sp.symbols("rate speed", cls=sp.Dummy, real=True)
        none = (0,) * problem.dimension
        jets = {rate: Jet(i, (1, *none)), speed: Jet(w, (0, *none))}
        lowered = Lowered((rate - speed,), jets, problem.coordinates)
        integrals.append(Integral(None, (Jet(w, none),), lowered))
        essential = essential + [
            Essential(w, e.on, sp.diff(e.value, t)) for e in essential if e.unknown == i
        ]
    return WeakForm(
        tuple(names),
        tuple(owners),
        tuple(integrals),
        tuple(essential),
        tuple(initial),
    )
