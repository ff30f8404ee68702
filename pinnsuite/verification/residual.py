"""Putting a known solution into the equations, term by term.

At points or, where the solution jumps, over cells of space-time (`balance`). Every
additive term is evaluated on its own, so that a wrong term can be named: if one
factor on one term makes the residual vanish, that term is the suspect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from pinnsuite.problem.conditions import Boundary, Dirichlet, Initial, normal
from pinnsuite.problem.definition import Evaluated, Problem
from pinnsuite.problem.form import JUMPS, lost_jumps
from pinnsuite.problem.jets import Jet, lower, numpy_function
from pinnsuite.verification.balance import balances

NUM_POINTS = 64
"""Points in the interior, and on each boundary, where the residual is taken."""

EXACT_TOLERANCE = 1e-8
"""Largest residual, relative to the terms, of a closed-form solution."""

EVALUATED_TOLERANCE = 1e-3
"""The same for a solution whose derivatives are taken by finite differences."""

STENCIL = np.arange(-4, 5)
"""Offsets of the eighth-order central differences."""

STEP = 2e-4
"""Spacing of those differences, as a share of each coordinate's extent."""


@dataclass(frozen=True)
class Finding:
    """The residual of one equation or condition.

    Attributes
    ----------
    what
        Which equation or condition.
    residual
        Root mean square of the residual over that of its terms.
    tolerance
        What is allowed.
    suspect
        The sentence that names the term, where one was found.
    """

    what: str
    residual: float
    tolerance: float
    suspect: str = ""

    @property
    def is_ok(self) -> bool:
        """The residual is within its tolerance."""
        return bool(self.residual <= self.tolerance)


def residual_findings(problem: Problem, *, conditions: bool = True) -> list[Finding]:
    """Put the exact or evaluated solution of `problem` into everything it states.

    Returns an empty list where the problem has neither.

    Parameters
    ----------
    problem
        With its solution.
    conditions
        Whether to look at the conditions too, after the equations.
    """
    known: _Exact | _Differences
    if problem.exact is not None:
        known = _Exact(problem)
        tolerance = EXACT_TOLERANCE
    elif isinstance(problem.reference, Evaluated):
        known = _Differences(problem, problem.reference)
        tolerance = EVALUATED_TOLERANCE
    else:
        return []
    points = _interior(problem, known.margin)
    findings = _equations(problem, points, known, tolerance)
    for c in problem.conditions if conditions else ():
        if isinstance(c, Initial):
            findings.append(_initial(problem, c, known, tolerance))
        elif isinstance(c, Boundary) and (known.margin == 0 or type(c) is Dirichlet):
            findings += _boundary(problem, c, known, tolerance)
    return findings


class _Exact:
    """Derivatives of a closed form, by sympy."""

    margin = 0.0

    def __init__(self, problem: Problem) -> None:
        assert problem.exact is not None
        self.problem = problem
        self.exact = [problem.exact[f] for f in problem.fields]
        self.functions: dict[Jet, Callable[..., list[Any]]] = {}

    def jet(self, jet: Jet, points: np.ndarray) -> np.ndarray:
        if jet not in self.functions:
            expression = self.exact[jet.field]
            for c, n in zip(self.problem.coordinates, jet.orders, strict=True):
                if n:
                    expression = sp.diff(expression, c, n)
            function = numpy_function(self.problem.coordinates, [expression])
            self.functions[jet] = function
        value = self.functions[jet](*points.T)[0]
        return np.broadcast_to(np.asarray(value, dtype=float), len(points))

    def at(self, points: np.ndarray) -> Mapping[str, np.ndarray]:
        none = (0,) * points.shape[1]
        names = self.problem.field_names
        return {n: self.jet(Jet(i, none), points) for i, n in enumerate(names)}


class _Differences:
    """Derivatives of an evaluated solution, by tensor-product central differences."""

    margin = 4.5 * STEP

    def __init__(self, problem: Problem, reference: Evaluated) -> None:
        self.names = problem.field_names
        self.evaluate = reference.evaluate
        self.steps = STEP * np.ptp(_bounds(problem), axis=1)

    def at(self, points: np.ndarray) -> Mapping[str, np.ndarray]:
        return self.evaluate(points)

    def jet(self, jet: Jet, points: np.ndarray) -> np.ndarray:
        offsets, weights = np.zeros((1, points.shape[1])), np.ones(1)
        for axis, order in enumerate(jet.orders):
            if order:
                row = np.zeros((len(STENCIL), points.shape[1]))
                row[:, axis] = STENCIL * self.steps[axis]
                offsets = (offsets[:, None] + row).reshape(-1, points.shape[1])
                rule = central_weights(order) / self.steps[axis] ** order
                weights = np.multiply.outer(weights, rule).ravel()
        where = (points[:, None] + offsets).reshape(-1, points.shape[1])
        values = self.evaluate(where)[self.names[jet.field]]
        result: np.ndarray = values.reshape(len(points), -1) @ weights
        return result


def central_weights(order: int) -> np.ndarray:
    """Return the weights of `d^order/dx^order` on `STENCIL` with unit spacing."""
    n = len(STENCIL)
    vandermonde = np.vander(STENCIL.astype(float), n, increasing=True).T
    moments = np.zeros(n)
    moments[order] = float(sp.factorial(order))
    return np.linalg.solve(vandermonde, moments)


def _bounds(problem: Problem) -> np.ndarray:
    rows = []
    if problem.time is not None:
        rows.append([problem.time.start, problem.time.end])
    if problem.domain is not None:
        rows += problem.domain.bounds.tolist()
    return np.array(rows, dtype=float)


def _times(problem: Problem, count: int, margin: float = 0.0) -> np.ndarray:
    """Return times between start and end (or the horizon of chaos), as a column."""
    assert problem.time is not None
    start, end = problem.time.start, problem.time.end
    share = margin + (1 - 2 * margin) * (np.arange(count) + 0.5) / count
    golden = np.random.default_rng(0).permutation(share)
    return (start + (end - start) * golden)[:, None]


def _interior(problem: Problem, margin: float) -> np.ndarray:
    columns = []
    if problem.time is not None:
        columns.append(_times(problem, NUM_POINTS, margin))
    if problem.domain is not None:
        space = problem.domain.sample_interior(NUM_POINTS, seed=1)
        if margin:
            # Stencils of differences must stay inside.
            centre = problem.domain.bounds.mean(axis=1)
            space = centre + (1 - 2 * margin) * (space - centre)
        columns.append(space)
    points = np.hstack(columns)
    return points[~_at_jumps(problem, points, margin)] if margin else points


def _at_jumps(problem: Problem, points: np.ndarray, margin: float) -> np.ndarray:
    """Say at which points a stencil of differences reaches across a jump."""
    jumps = sorted(
        {j for d in lost_jumps(problem) for j in d.expr.atoms(*JUMPS)}, key=sp.srepr
    )
    jumps = [j for j in jumps if not j.has(*problem.fields)]
    function = numpy_function(problem.coordinates, jumps)
    crossed = np.zeros(len(points), dtype=bool)
    here = function(*points.T)
    for axis, width in enumerate(margin * np.ptp(_bounds(problem), axis=1)):
        for side in (-width, width):
            there = points.copy()
            there[:, axis] += side
            for a, b in zip(here, function(*there.T), strict=True):
                crossed |= a != b
    return crossed


def _terms(
    problem: Problem, expression: sp.Expr, value: sp.Expr | int
) -> list[sp.Expr]:
    """Return the summands of `expression - value`, with the true coefficients."""
    truth = {u.symbol: u.truth for u in problem.unknown_scalars if u.truth is not None}
    stated = expression.subs(truth)
    expanded = sp.expand(stated, deep=False) - sp.sympify(value).subs(truth)
    return [t for t in sp.Add.make_args(sp.expand_mul(expanded)) if t != 0]


def _equations(
    problem: Problem, points: np.ndarray, known: _Exact | _Differences, tolerance: float
) -> list[Finding]:
    """Judge the equations at points, or over cells where the solution jumps."""
    names = [f"equation {i}" for i in range(1, len(problem.equations) + 1)]
    if problem.norm == "L1":
        terms = [_terms(problem, equation, 0) for equation in problem.equations]
        means = balances(problem, terms, known.at)
        if means is not None:
            return [
                _judged(*equation, EVALUATED_TOLERANCE)
                for equation in zip(names, terms, means, strict=True)
            ]
    return [
        _finding(problem, name, equation, 0, points, {}, known, tolerance)
        for name, equation in zip(names, problem.equations, strict=True)
    ]


def _finding(
    problem: Problem,
    what: str,
    expression: sp.Expr,
    value: sp.Expr | int,
    points: np.ndarray,
    normals: Mapping[sp.Symbol, np.ndarray],
    known: _Exact | _Differences,
    tolerance: float,
) -> Finding:
    terms = _terms(problem, expression, value)
    lowered = lower(terms, problem.fields, problem.coordinates)
    arguments = [*problem.coordinates, *normals, *lowered.symbols]
    jets = [known.jet(jet, points) for jet in lowered.jets.values()]
    computed = numpy_function(arguments, lowered.algebra)(
        *points.T, *normals.values(), *jets
    )
    values = np.array(
        [np.broadcast_to(np.asarray(v, dtype=float), len(points)) for v in computed]
    )
    return _judged(what, terms, values, tolerance)


def _judged(
    what: str, terms: Sequence[sp.Expr], values: np.ndarray, tolerance: float
) -> Finding:
    """Return the finding from the values of each term, shape (terms, points)."""
    size = float(np.sqrt((values**2).sum(axis=0).mean())) if len(terms) else 0.0
    total = values.sum(axis=0)
    # A condition on a solution that vanishes there has no size of its own.
    scale = size if size > 1e-12 else 1.0
    residual = float(np.sqrt((total**2).mean())) / scale
    allowed = tolerance * scale * float(np.sqrt(values.shape[1]))
    suspect = "" if residual <= tolerance else _suspect(terms, values, allowed)
    return Finding(what, residual, tolerance, suspect)


def _suspect(terms: Sequence[sp.Expr], values: np.ndarray, allowed: float) -> str:
    total = values.sum(axis=0)
    # (is no explanation, is no sign, is no derivative, remaining residual, index,
    # factor): where several terms explain it, as in a travelling wave, whose u_t is
    # -c u_x, a sign is likelier than another factor; a derivative, as one that equals
    # a source, likelier than that.
    found: list[tuple[bool, bool, bool, float, int, float]] = []
    for i, row in enumerate(values):
        if not row.any():
            continue
        rest = total - row
        factor = -float(rest @ row) / float(row @ row)
        left = float(np.linalg.norm(rest + factor * row))
        fails = left > max(1e-3 * float(np.linalg.norm(total)), allowed)
        is_scaled = abs(factor + 1) >= 1e-2
        is_plain = not terms[i].has(sp.Derivative)
        found.append((fails, is_scaled, is_plain, left, i, factor))
    if not found:
        return ""
    fails, is_scaled, _, _, i, factor = min(found)
    if fails:
        largest = int(np.argmax((values**2).sum(axis=1)))
        return f"no single term explains it; the largest is `{terms[largest]}`"
    if not is_scaled:
        return f"the sign of the term `{terms[i]}` is wrong"
    return f"the term `{terms[i]}` would have to be {factor:.4g} times as large"


def _initial(
    problem: Problem, c: Initial, known: _Exact | _Differences, tolerance: float
) -> Finding:
    assert problem.time is not None
    count = NUM_POINTS if problem.domain is not None else 1
    columns = [np.full((count, 1), problem.time.start)]
    if problem.domain is not None:
        columns.append(problem.domain.sample_interior(count, seed=2))
    left: sp.Expr = c.field
    if c.order:
        left = sp.Derivative(c.field, (problem.time.coordinate, c.order))
    what = f"Initial({c.field}, order={c.order})"
    points = np.hstack(columns)
    return _finding(problem, what, left, c.value, points, {}, known, tolerance)


def _boundary(
    problem: Problem, c: Boundary, known: _Exact | _Differences, tolerance: float
) -> list[Finding]:
    assert problem.domain is not None
    findings = []
    for name in problem.boundaries_of(c):
        points, normals = problem.domain.sample_boundary(name, NUM_POINTS, seed=3)
        if problem.time is not None:
            points = np.hstack([_times(problem, len(points)), points])
        vector = {normal(x): normals[:, k] for k, x in enumerate(problem.space)}
        what = f"{type(c).__name__}({c.field}, on={name!r})"
        operator = c.operator(problem.space)
        findings.append(
            _finding(problem, what, operator, c.value, points, vector, known, tolerance)
        )
    return findings
