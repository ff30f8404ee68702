"""Smooth stand-ins for coefficients that jump, to observe orders of accuracy with."""

from __future__ import annotations

import numpy as np
import sympy as sp

from pinnsuite.problem.definition import Problem
from pinnsuite.problem.form import JUMPS, lost_jumps
from pinnsuite.problem.jets import numpy_function
from pinnsuite.problem.replaced import replaced

NUM_SAMPLES = 4096
"""Points at which the lowest and highest value of a coefficient are looked for."""


def smoothed(problem: Problem) -> Problem:
    """Return `problem` with smooth functions in place of coefficients that jump.

    No smooth field has a continuous flux where a coefficient jumps, so an order of
    accuracy is observed with a wave between the lowest and highest value instead. Jumps
    that stand under no derivative stay.
    """
    jumps = {
        jump
        for derivative in lost_jumps(problem)
        for jump in derivative.expr.atoms(*JUMPS)
        if jump.free_symbols <= set(problem.space) and not jump.has(*problem.fields)
    }
    if not jumps:
        return problem
    assert problem.domain is not None
    points = problem.domain.sample_interior(NUM_SAMPLES, seed=0)
    table = {}
    for n, jump in enumerate(sorted(jumps, key=sp.srepr), 1):
        (values,) = numpy_function(problem.space, [jump])(*points.T)
        low, high = float(np.min(values)), float(np.max(values))
        wave: sp.Expr = sp.Integer(1)
        for x, (start, end) in zip(problem.space, problem.domain.bounds, strict=True):
            wave *= sp.cos(2 * sp.pi * n * (x - float(start)) / float(end - start))
        table[jump] = (low + high) / 2 + (high - low) / 4 * wave

    return replaced(problem, table)
