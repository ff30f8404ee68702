"""A problem with other expressions in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sympy as sp

from pinnsuite.problem.conditions import Observed
from pinnsuite.problem.definition import Problem


def replaced(
    problem: Problem, table: Mapping[sp.Expr, sp.Expr], **changes: Any
) -> Problem:
    """Return `problem` with expressions replaced in its equations and conditions.

    What is known of its solution is left out: that is another one. `changes` are those
    of other attributes.
    """
    conditions = changes.pop("conditions", problem.conditions)

    def put(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(put(v) for v in value)
        return value.xreplace(table) if isinstance(value, sp.Basic) else value

    return replace(
        problem,
        equations=[put(e) for e in problem.equations],
        conditions=[
            replace(c, **{key: put(value) for key, value in vars(c).items()})
            for c in conditions
        ],
        exact=None,
        reference=None,
        **changes,
    )


def with_coefficients(problem: Problem, values: Mapping[str, float]) -> Problem:
    """Return the forward problem whose unknown scalars are known: no measurements."""
    table = {u.symbol: sp.Float(values[u.name]) for u in problem.unknown_scalars}
    kept = [c for c in problem.conditions if not isinstance(c, Observed)]
    return replaced(
        problem,
        table,
        conditions=kept,
        unknowns=problem.unknown_fields,
        invariants={},
        quantities={},
    )
