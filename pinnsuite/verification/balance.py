"""Balances over cells of space-time: a residual that needs no derivative.

A solution that jumps has no residual at points of its jumps, and finite differences
near them are arbitrarily wrong. The integral of a term over a box Q holds there too:

    ∫_Q ∂F/∂x_k = ∫ F over the upper face - ∫ F over the lower face,

so that a conservation law becomes a balance of fluxes through faces, which a jump
fulfils if it moves with the speed of Rankine and Hugoniot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import sympy as sp

from pinnsuite.problem.definition import Problem
from pinnsuite.problem.jets import lower, numpy_function

NUM_CELLS = {1: 10, 2: 8}
"""Cells, by the number of space coordinates."""

NUM_NODES = {1: 4096, 2: 256}
"""Midpoints along each axis of a face: a jump costs half a spacing of it, at most."""

VOLUME_NODES = 64
"""The same for the inside of a cell, where sources are integrated."""

SIZES = (0.1, 0.4)
"""Edges of the cells, as shares of each coordinate's extent."""

Values = Callable[[np.ndarray], Mapping[str, np.ndarray]]


def balances(
    problem: Problem, equations: Sequence[Sequence[sp.Expr]], evaluate: Values
) -> list[np.ndarray] | None:
    """Return the mean of each term of each equation over random cells of space-time.

    Parameters
    ----------
    problem
        With one or two space coordinates, on a box.
    equations
        Their summands: `c ∂F/∂x`, with c of the coordinates and F of coordinates and
        fields, or sources without derivatives.
    evaluate
        The solution at points.

    Returns
    -------
    An array (terms, cells) each; None if a term is of another kind.
    """
    if problem.dimension not in NUM_CELLS or problem.time is None:
        return None
    assert problem.domain is not None
    if not problem.domain.is_box:
        return None
    parts = []
    for term in (t for terms in equations for t in terms):
        part = _split(problem, term)
        if part is None:
            return None
        parts.append(part)
    bounds = np.array(
        [[problem.time.start, problem.time.end], *problem.domain.bounds.tolist()]
    )
    extent = np.ptp(bounds, axis=1)
    generator = np.random.default_rng(0)
    shape = (NUM_CELLS[problem.dimension], len(bounds))
    width = generator.uniform(*SIZES, shape) * extent
    low = bounds[:, 0] + generator.uniform(0, 1, shape) * (extent - width)
    means = np.array(
        [
            _over_cell(problem, parts, evaluate, a, b)
            for a, b in zip(low, low + width, strict=True)
        ]
    ).T
    ends = np.cumsum([len(terms) for terms in equations])[:-1]
    return np.split(means, ends)


def _split(
    problem: Problem, term: sp.Expr
) -> tuple[int | None, sp.Expr, sp.Expr] | None:
    """Return (axis, flux, source) with `term = ∂flux/∂x_axis + source`."""
    factors = sp.Mul.make_args(term)
    found = [f for f in factors if isinstance(f, sp.Derivative)]
    rest = sp.Mul(*(f for f in factors if not isinstance(f, sp.Derivative)))
    if not found and not rest.has(sp.Derivative):
        return None, sp.Integer(0), rest
    if len(found) != 1 or rest.has(sp.Derivative, *problem.fields):
        return None
    (derivative,) = found
    if len(derivative.variables) != 1 or derivative.expr.has(sp.Derivative):
        return None
    x = derivative.variables[0]
    flux = rest * derivative.expr
    source = -sp.diff(rest, x) * derivative.expr
    return problem.coordinates.index(x), flux, source


def _over_cell(
    problem: Problem,
    parts: Sequence[tuple[int | None, sp.Expr, sp.Expr]],
    evaluate: Values,
    low: np.ndarray,
    high: np.ndarray,
) -> list[float]:
    totals = np.zeros(len(parts))
    for axis in range(len(low)):
        chosen = [i for i, (k, _, _) in enumerate(parts) if k == axis]
        if not chosen:
            continue
        fluxes = [parts[i][1] for i in chosen]
        for end, sign in ((high, 1.0), (low, -1.0)):
            points = _midpoints(low, high, {axis: float(end[axis])}, problem.dimension)
            means = _means(problem, fluxes, evaluate, points)
            totals[chosen] += sign * means / (high[axis] - low[axis])
    sources = [s for _, _, s in parts]
    if any(s != 0 for s in sources):
        points = _midpoints(low, high, {}, problem.dimension)
        totals += _means(problem, sources, evaluate, points)
    return [float(v) for v in totals]


def _midpoints(
    low: np.ndarray, high: np.ndarray, fixed: Mapping[int, float], dimension: int
) -> np.ndarray:
    """Return midpoints of a face, or of the cell itself where nothing is fixed."""
    count = NUM_NODES[dimension] if fixed else VOLUME_NODES
    share = (np.arange(count) + 0.5) / count
    axes = [
        np.array([fixed[k]]) if k in fixed else a + (b - a) * share
        for k, (a, b) in enumerate(zip(low, high, strict=True))
    ]
    mesh = np.meshgrid(*axes, indexing="ij")
    return np.stack([m.ravel() for m in mesh], axis=1)


def _means(
    problem: Problem,
    expressions: Sequence[sp.Expr],
    evaluate: Values,
    points: np.ndarray,
) -> np.ndarray:
    lowered = lower(expressions, problem.fields, problem.coordinates)
    values = evaluate(points)
    fields = [values[problem.field_names[jet.field]] for jet in lowered.jets.values()]
    function = numpy_function([*problem.coordinates, *lowered.symbols], lowered.algebra)
    found = function(*points.T, *fields)
    return np.array([float(np.mean(v)) for v in found])
