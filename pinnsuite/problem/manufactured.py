"""Force a problem so that a chosen field solves it (method of manufactured solutions).

Source: P. J. Roache, Verification and Validation in Computational Science and
Engineering, 1998, ch. 3; K. Salari & P. Knupp, SAND2000-1444, DOI 10.2172/759450.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef

from pinnsuite.errors import DefinitionError
from pinnsuite.problem.conditions import (
    Boundary,
    Condition,
    Dirichlet,
    Flux,
    Initial,
    Observed,
    Obstacle,
    Periodic,
    Robin,
    Unknown,
)
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.jets import lower, numpy_function


def manufacture(problem: Problem, exact: Mapping[AppliedUndef, sp.Expr]) -> Problem:
    """Return `problem` with sources, initial and boundary values made from `exact`.

    `N(u) = 0` becomes `N(u) - N(exact) = 0`. Unknown coefficients take their guesses
    and measurements are dropped: what remains is a forward problem. Its errors are
    measured in L2, since `exact` has no jumps.

    Raises
    ------
    DefinitionError
        If `exact` misses a field.
    """
    missing = [f for f in problem.states if f not in exact]
    if missing:
        raise DefinitionError(f"exact misses the fields {missing}.")
    guesses = {
        u.symbol if isinstance(u, Unknown) else u.field: sp.Float(u.guess)
        for u in problem.unknowns
    }

    def put(expression: sp.Expr) -> sp.Expr:
        return expression.subs(guesses).subs(exact).doit()

    def force(condition: Condition) -> Condition:
        if isinstance(condition, Periodic | Observed):
            return condition
        if isinstance(condition, Initial):
            assert problem.time is not None
            t = problem.time.coordinate
            value = sp.diff(exact[condition.field], t, condition.order)
            return replace(condition, value=value.subs(t, problem.time.start))
        if isinstance(condition, Obstacle):
            # Out of reach, so that the equation holds everywhere.
            return replace(condition, value=exact[condition.field] - 1)
        assert isinstance(condition, Boundary)
        value = put(condition.operator(problem.space))
        if isinstance(condition, Robin):
            a, b = condition.a.subs(guesses), condition.b.subs(guesses)
            return replace(condition, value=value, a=a, b=b)
        if isinstance(condition, Flux):
            flux = tuple(f.subs(guesses) for f in condition.flux)
            return replace(condition, value=value, flux=flux)
        return replace(condition, value=value)

    equations = [e.subs(guesses) for e in problem.equations]
    return replace(
        problem,
        name=f"{problem.name} (manufactured)",
        fields=problem.states,
        equations=[e - put(e) for e in equations],
        conditions=[
            force(c)
            for c in problem.conditions
            if isinstance(c, Periodic)
            or (c.field in problem.states and not isinstance(c, Observed))
        ],
        judged=[f for f in problem.judged if f in problem.states],
        exact=dict(exact),
        reference=None,
        unknowns=(),
        norm="L2",
        invariants={},
        quantities={},
        valid_until=None,
    )


def smooth_field(problem: Problem) -> dict[AppliedUndef, sp.Expr]:
    """Return a smooth, non-symmetric solution to manufacture, one wave a field.

    Periodic coordinates get whole waves; the others most of one, with a phase, so that
    no derivative vanishes on a boundary and errors stand clear of rounding. Lengths are
    scaled to the domain. A field that starts nonnegative stays positive (a density, a
    depth, a concentration) where the equations are no polynomials or diffusion depends
    on the fields. The field of a scalar conservation law, which keeps within the range
    of its data, does so here too where its flux is no polynomial.
    """
    positive = _positive_fields(problem)
    span = _span(problem)
    periodic = {c.along for c in problem.conditions_of(Periodic)}
    exact: dict[AppliedUndef, sp.Expr] = {}
    for i, f in enumerate(problem.states):
        wave: sp.Expr = sp.Integer(1)
        for k, x in enumerate(problem.space):
            assert problem.domain is not None
            low, high = (float(v) for v in problem.domain.bounds[k])
            unit = (x - low) / (high - low)
            phase = sp.Rational(1 + i + 2 * k, 5)
            angle = 2 * sp.pi if x in periodic else 5 + sp.Rational(i, 4)
            wave *= sp.sin(angle * unit + phase)
        rate: sp.Expr = sp.Integer(1)
        if problem.time is not None:
            t = problem.time.coordinate
            unit = (t - problem.time.start) / (problem.time.end - problem.time.start)
            rate = (
                sp.cos(unit + sp.Rational(i, 3))
                if problem.space
                else sp.sin(2 * unit + sp.Rational(1 + i, 2))
            )
        shift = 3 if f in positive else 0 if problem.space else 2
        exact[f] = wave * rate + shift
        if span is not None:
            low, high = span
            exact[f] = (low + high) / 2 + 2 * (high - low) / 5 * wave * rate
    return exact


def _span(problem: Problem) -> tuple[float, float] | None:
    """Return the range of the data of a scalar conservation law.

    None for other problems, and where the flux is a polynomial, which means something
    for every state.
    """
    if problem.domain is None or problem.time is None or len(problem.states) > 1:
        return None
    lowered = lower(problem.equations, problem.fields, problem.coordinates)
    orders = {sum(jet.orders[1:]) for jet in lowered.jets.values()}
    is_polynomial = all(e.is_polynomial(*lowered.symbols) for e in lowered.algebra)
    if max(orders) != 1 or is_polynomial:
        return None
    sides = [
        (c, problem.domain.sample_boundary(name, 16, seed=0)[0])
        for c in problem.conditions_of(Dirichlet)
        for name in problem.boundaries_of(c)
    ]
    inside = problem.domain.sample_interior(64, seed=0)
    starts = [(c, inside) for c in problem.conditions_of(Initial)]
    found = []
    for c, points in [*starts, *sides]:
        columns = [np.full(len(points), problem.time.start), *points.T]
        (values,) = numpy_function(problem.coordinates, [c.value])(*columns)
        found += [float(np.min(values)), float(np.max(values))]
    return (min(found), max(found)) if min(found) < max(found) else None


def _positive_fields(problem: Problem) -> set[AppliedUndef]:
    """Return the fields that start nonnegative, if their sign may matter."""
    if problem.domain is None:
        return set()
    points = problem.domain.sample_interior(64, seed=0)
    found = set()
    for c in problem.conditions_of(Initial):
        if c.order or not c.value.free_symbols <= set(problem.space):
            continue
        (start,) = numpy_function(problem.space, [c.value])(*points.T)
        if np.min(start) >= 0 and np.max(start) > 0:
            found.add(c.field)
    if not found:
        return set()
    lowered = lower(problem.equations, problem.fields, problem.coordinates)
    symbols = set(lowered.symbols)
    highest = [
        s
        for s, jet in lowered.jets.items()
        if sum(jet.orders[-problem.dimension :]) >= 2
    ]
    matters = any(
        not e.is_polynomial(*symbols)
        or any(sp.diff(e, s).free_symbols & symbols for s in highest)
        for e in lowered.algebra
    )
    return found if matters else set()
