"""Where coefficients jump: planes across one coordinate, found in the expressions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sympy as sp

from pinnsuite.problem.conditions import Boundary
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.form import JUMPS, lost_jumps
from pinnsuite.problem.tables import JumpTable

_SAME = 1e-9
"""Positions that differ by less than this share of a side are one."""


def jump_planes(problem: Problem, x: sp.Symbol) -> list[float]:
    """Return where the problem jumps across planes x = constant inside the domain.

    Increasing positions, of jumps in the equations and the boundary conditions.
    """
    assert problem.domain is not None
    low, high = map(float, problem.domain.bounds[problem.space.index(x)])
    expressions = list(problem.equations)
    for c in problem.conditions_of(Boundary):
        expressions += [c.operator(problem.space), c.value]
    found = {
        (level - float(switch.subs(x, 0))) / float(sp.diff(switch, x))
        for expression in expressions
        for jump in expression.atoms(*JUMPS)
        for switch, levels in _switches(jump)
        if _is_across(switch, [x])
        for level in levels
    }
    near = _SAME * (high - low)
    planes: list[float] = []
    for position in sorted(found):
        is_new = not planes or position > planes[-1] + near
        if is_new and low + near < position < high - near:
            planes.append(position)
    return planes


def curved_jumps(problem: Problem) -> Iterator[sp.Expr]:
    """Yield jumps under derivatives that do not lie on `jump_planes`."""
    for derivative in lost_jumps(problem):
        for jump in sorted(derivative.expr.atoms(*JUMPS), key=str):
            switches = [switch for switch, _ in _switches(jump)]
            if not switches or not all(_is_across(s, problem.space) for s in switches):
                yield jump


def _is_across(switch: sp.Expr, coordinates: Sequence[sp.Symbol]) -> bool:
    """Say whether the levels of `switch` are planes across one of `coordinates`."""
    if len(switch.free_symbols) != 1:
        return False
    (x,) = switch.free_symbols
    slope = sp.diff(switch, x)
    return x in coordinates and bool(slope.is_number) and slope != 0


def _switches(jump: sp.Expr) -> list[tuple[sp.Expr, Sequence[float]]]:
    """Return the expressions and the levels of theirs at which `jump` jumps."""
    if isinstance(jump, JumpTable):
        return [(a, jump.edges(k).tolist()) for k, a in enumerate(jump.args)]
    if isinstance(jump, sp.Piecewise):
        relations = jump.atoms(sp.core.relational.Relational)
        return [(r.lhs - r.rhs, (0.0,)) for r in relations]
    if isinstance(jump, sp.Heaviside | sp.sign):
        return [(jump.args[0], (0.0,))]
    return []
