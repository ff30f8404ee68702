"""Equations of first order in time as a linear part and the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import sympy as sp
from scipy.sparse.csgraph import connected_components, maximum_bipartite_matching

from pinnsuite.neural.random_features.equations import Equations, Expression
from pinnsuite.problem.jets import Lowered, is_linear, jacobian

INFINITE = (sp.zoo, sp.oo, -sp.oo, sp.nan)
MOST_EXPLICIT = 1
"""The highest order of explicit derivatives: beside the fourth order of Cahn-Hilliard's
equation the second took as long as without a split, for twice the error."""


@dataclass(frozen=True, eq=False)
class Part:
    """An equation `a ∂u/∂t + L u + g + N = 0`, or `L u + g = 0`.

    L is linear, its coefficients do not depend on time; g is free of the fields.

    Attributes
    ----------
    implicit
        All but N.
    explicit
        N, where there is one.
    field, rate
        The number of u, and a; None and 0 where nothing evolves.
    """

    implicit: Expression
    explicit: Expression | None
    field: int | None
    rate: float


@dataclass(frozen=True, eq=False)
class Group:
    """Equations and fields whose implicit parts are solved together."""

    equations: Sequence[int]
    fields: Sequence[int]


@dataclass(frozen=True, eq=False)
class Split:
    """What an implicit-explicit method in time is given.

    Attributes
    ----------
    parts
        Of each equation.
    groups
        One after the other: each needs no fields but its own and those before.
    """

    parts: Sequence[Part]
    groups: Sequence[Group]


def split(equations: Equations) -> Split | None:
    """Return the linear parts of equations and the rest, None where that does not do.

    The linear part is the derivative where all fields are zero, but for what another
    field's values add to an equation of evolution: that is not stiff, and without it
    fields are solved one by one. It does where conditions on boundaries and equations
    without a derivative in time are linear and tell the fields without one, and where
    the rest of an equation has no derivatives of more than half the order of its linear
    part, and of the first at most.
    """
    if equations.is_linear or max(equations.orders[0]) != 1:
        return None
    time = equations.problem.coordinates[0]
    for _, e in equations.boundary:
        slopes = jacobian(e.lowered)[0]
        if not is_linear(e.lowered) or any(s.has(time) for s in slopes):
            return None
        if any(j.orders[0] for j in e.jets):
            return None
    parts = []
    for e in equations.interior:
        part = _parted(equations, e)
        if part is None:
            return None
        parts.append(part)
    evolving = [p.field for p in parts if p.field is not None]
    if sorted(evolving) != list(np.flatnonzero(equations.orders[0])):
        return None
    groups = _groups(equations, parts)
    return None if groups is None else Split(parts, groups)


def _parted(equations: Equations, expression: Expression) -> Part | None:
    problem, lowered = equations.problem, expression.lowered
    time = problem.coordinates[0]
    (algebra,), (slopes,) = lowered.algebra, jacobian(lowered)
    none = dict.fromkeys(lowered.symbols, sp.Integer(0))
    rates = {
        j: sp.expand(slope)
        for j, slope in zip(lowered.jets.values(), slopes, strict=True)
        if j.orders[0]
    }
    field, rate = None, sp.Integer(0)
    if rates:
        if len(rates) > 1:
            return None
        ((jet, rate),) = rates.items()
        field = jet.field
        if not rate.is_number or any(jet.orders[1:]):
            return None
    linear, rest = sp.Integer(0), sp.Integer(0)
    varying = dict(none)
    highest = 0
    for (symbol, jet), slope in zip(lowered.jets.items(), slopes, strict=True):
        slope = sp.expand(slope)
        coefficient = slope.xreplace(none)
        is_plain = field is None or jet.field == field or any(jet.orders[1:])
        if coefficient.has(*INFINITE):
            return None
        if coefficient.has(time) or not is_plain:
            coefficient = sp.Integer(0)
        linear += coefficient * symbol
        if jet.field == field and coefficient != 0:
            highest = max(highest, sum(jet.orders[1:]))
        if slope != coefficient:
            varying.pop(symbol)
            rest -= coefficient * symbol
    free = algebra.xreplace(none)
    if free.has(*INFINITE):
        return None
    rest += algebra.xreplace(varying) - free
    implicit = _expression(equations, lowered, linear + free)
    if len(varying) == len(none):
        return Part(implicit, None, field, float(rate))
    explicit = _expression(equations, lowered, rest)
    most = min(MOST_EXPLICIT, highest // 2)
    if field is None or any(sum(j.orders[1:]) > most for j in explicit.jets):
        return None
    return Part(implicit, explicit, field, float(rate))


def _expression(equations: Equations, lowered: Lowered, algebra: sp.Expr) -> Expression:
    jets = {s: j for s, j in lowered.jets.items() if algebra.has(s)}
    return Expression.compiled(
        equations.problem, Lowered((algebra,), jets, lowered.coordinates)
    )


def _groups(equations: Equations, parts: Sequence[Part]) -> list[Group] | None:
    """Return groups in an order in which they can be solved.

    None where a field without a derivative in time does not simply follow from those
    that have one: a pressure would not be that of the stage's time.
    """
    count = len(equations.orders[0])
    others = np.flatnonzero(np.array(equations.orders[0]) == 0).tolist()
    needs = [sorted({j.field for j in p.implicit.jets}) for p in parts]
    owner = [p.field for p in parts]
    still = [i for i, f in enumerate(owner) if f is None]
    if len(still) != len(others):
        return None
    if still:
        # Which of them follows from which of the equations that hold at all times.
        table = [[int(f in needs[i]) for f in others] for i in still]
        found = maximum_bipartite_matching(
            scipy.sparse.csr_matrix(table), perm_type="column"
        )
        if (found < 0).any():
            return None
        for i, k in zip(still, found, strict=True):
            owner[i] = others[k]
    graph = np.zeros((count, count), dtype=int)
    for f, those in zip(owner, needs, strict=True):
        graph[f, those] = 1
    for _, e in equations.boundary:
        # Which of the fields a condition is for cannot be told: all that it holds.
        those = sorted({j.field for j in e.jets})
        graph[np.ix_(those, those)] = 1
    _, label = connected_components(
        scipy.sparse.csr_matrix(graph),
        connection="strong" if not equations.boundary else "weak",
    )
    groups: list[Group] = []
    left = set(label.tolist())
    done: set[int] = set()
    while left:
        for g in sorted(left):
            fields = np.flatnonzero(label == g).tolist()
            asked = set(np.flatnonzero(graph[fields].any(0)).tolist())
            if asked <= done | set(fields):
                those = [i for i, f in enumerate(owner) if f in fields]
                if len({f in others for f in fields}) > 1:
                    return None
                groups.append(Group(those, fields))
                done |= set(fields)
                left.remove(g)
                break
    return groups
