"""How far a learned solver is from the classical ones, at the error that it reaches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pinnsuite.compare.breakeven import classical_cost
from pinnsuite.compare.verdict import reference_error
from pinnsuite.compare.work_precision import (
    by_name,
    is_learned,
    reach,
    usable_error,
)
from pinnsuite.solution.record import Record

TELLING = 10.0
"""Errors nearer to the reference's own than this factor are not told apart."""


@dataclass(frozen=True)
class Distance:
    """One learned configuration beside the classical solvers of its problem.

    Attributes
    ----------
    problem, learned
        Names.
    errors
        Of all seeds that ended well, sorted.
    num_runs
        How many there were.
    level
        The error at which times are compared: the median seed's (the lower one of two),
        or ten times that of the reference where it is smaller.
    learned_s
        Median CPU seconds until the seeds that reach `level` stay there.
    classical, classical_s
        The classical solver that is the cheapest at `level` and its CPU seconds there,
        interpolated between its runs, see `classical_cost`; empty and None where no
        classical run is as good.
    is_coarsest
        Whether its coarsest run was already better than `level`: a coarser one might
        have been cheaper still.
    """

    problem: str
    learned: str
    errors: tuple[float, ...]
    num_runs: int
    level: float
    learned_s: float | None
    classical: str
    classical_s: float | None
    is_coarsest: bool

    @property
    def ratio(self) -> float | None:
        """CPU seconds learned over classical, None where one of them is missing."""
        if self.learned_s is None or not self.classical_s:
            return None
        return self.learned_s / self.classical_s


def distances(records: Sequence[Record]) -> list[Distance]:
    """Return a `Distance` for each learned configuration that ended with an error.

    Parameters
    ----------
    records
        Of one problem.
    """
    groups = by_name(records)
    classical = {n: g for n, g in groups.items() if not is_learned(g[0])}
    return [
        _distance(name, group, classical)
        for name, group in groups.items()
        if is_learned(group[0]) and any(math.isfinite(usable_error(r)) for r in group)
    ]


def _distance(
    name: str, group: Sequence[Record], classical: dict[str, list[Record]]
) -> Distance:
    errors = sorted(e for r in group if math.isfinite(e := usable_error(r)))
    floor = TELLING * (reference_error(group[0]) or 0.0)
    level = max(errors[(len(errors) - 1) // 2], floor)
    best, best_s, is_coarsest = "", None, False
    for solver, runs in classical.items():
        good = [r for r in runs if math.isfinite(usable_error(r)) and r.compared_s > 0]
        if not good:
            continue
        at = np.array([usable_error(r) for r in good])
        cost = classical_cost(level, at, np.array([r.compared_s for r in good]))
        if cost is not None and (best_s is None or cost < best_s):
            best, best_s, is_coarsest = solver, cost, bool(at.max() < level)
    return Distance(
        problem=group[0].problem.id,
        learned=name,
        errors=tuple(errors),
        num_runs=len(group),
        level=level,
        learned_s=reach(group, level).cpu_s,
        classical=best,
        classical_s=best_s,
        is_coarsest=is_coarsest,
    )
