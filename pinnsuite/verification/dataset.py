"""Input-output pairs of a family from a classical solver, and the truth about them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp

from pinnsuite.errors import (
    OptionError,
    SolveError,
    TruthError,
    UnsupportedProblemError,
)
from pinnsuite.problem.conditions import Initial
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.family import Family
from pinnsuite.problem.jets import numpy_function
from pinnsuite.solution.support import Dataset, family_support
from pinnsuite.solver import Batched, require_supported


def initial_states(members: Sequence[Problem], grid: np.ndarray) -> np.ndarray:
    """Return u(0, ·) of 1-D problems on `grid`, shape (members, points).

    Members are sums over common functions with coefficients of their own; each common
    function is compiled and evaluated once.
    """
    known: dict[sp.Expr, np.ndarray] = {}
    states = np.zeros((len(members), len(grid)))
    for state, member in zip(states, members, strict=True):
        (initial,) = member.conditions_of(Initial)
        for term, coefficient in initial.value.as_coefficients_dict().items():
            if term not in known:
                (value,) = numpy_function(member.space, [term])(grid)
                known[term] = np.broadcast_to(value, grid.shape)
            state += float(coefficient) * known[term]
    return states


def dataset(family: Family, indices: Sequence[int], solver: Batched) -> Dataset:
    """Return the pairs u(0, ·), u(T, ·) of members, made by `solver` in one batch.

    `Dataset.cost` holds the CPU seconds of the solve; drawing the initial states is
    symbolic work and not counted.

    Raises
    ------
    OptionError
        If there are no members to make.
    UnsupportedProblemError
        If the solver cannot take the members, or they differ in more than their start.
    SolveError
        If the solver returns values that are not finite.
    """
    if not len(indices):
        raise OptionError(f"Dataset of {family.name!r}: needed is at least one member.")
    members = [family.member(int(i)) for i in indices]
    member = members[0]
    if any(m.equations != member.equations for m in members):
        raise UnsupportedProblemError(
            f"The members of {family.name!r} differ in their equations, and a batch "
            "shares them; vary the initial state only."
        )
    require_supported(solver, member)
    grid = family_support(family).axes[member.space[0].name]
    inputs = initial_states(members, grid)
    before = time.process_time()
    outputs = solver.solve_batch(member, inputs)
    cost = time.process_time() - before
    numbers = np.array(indices)
    bad = numbers[~np.isfinite(outputs).all(axis=1)]
    if len(bad):
        raise SolveError(
            f"{solver!r} gave values that are not finite for {len(bad)} members of "
            f"{family.name!r}, the first being {bad[0]}; take more steps or points."
        )
    return Dataset(grid, inputs, outputs, numbers, member, cost)


@dataclass(frozen=True, eq=False)
class FamilyReference:
    """The truth about a family's test members, with its own error.

    Attributes
    ----------
    outputs
        Shape (test members, points): the fields at the last time.
    error_estimate
        Largest relative L2 difference, over the members, between the last two rungs:
        the error of the coarser one, and so a bound with room for the finer one, which
        is what `outputs` holds.
    info
        Solver, rungs (the difference each step made) and CPU seconds.
    """

    outputs: np.ndarray
    error_estimate: float
    info: Mapping[str, Any] = field(default_factory=dict)


def family_reference(
    family: Family, solver: Batched, *, tolerance: float = 1e-8, max_steps: int = 5
) -> FamilyReference:
    """Solve the test members ever finer until two rungs agree to `tolerance`.

    `refined` halves mesh width and time step together, so that the difference of two
    rungs holds the error of both.

    Parameters
    ----------
    solver
        The first rung.
    tolerance
        Relative L2 difference, of the worst member, at which to stop.
    max_steps
        Refinements at most.

    Raises
    ------
    TruthError
        If the rungs do not come closer with refinement.
    """
    coarse = dataset(family, family.test, solver)
    cost = coarse.cost
    rungs: list[float] = []
    while True:
        refined = solver.refined()
        assert isinstance(refined, Batched)
        solver = refined
        fine = dataset(family, family.test, solver)
        cost += fine.cost
        scale = np.linalg.norm(fine.outputs, axis=1)
        difference = np.linalg.norm(fine.outputs - coarse.outputs, axis=1) / scale
        rungs.append(float(difference.max()))
        if rungs[-1] <= tolerance or len(rungs) == max_steps:
            break
        coarse = fine
    if len(rungs) > 1 and rungs[-1] >= rungs[-2]:
        raise TruthError(
            f"The rungs of {family.name!r} do not converge: refinement changed the "
            f"worst member by {', '.join(f'{r:.1e}' for r in rungs)} in turn. Start "
            "from more points or steps, or ask for a larger tolerance."
        )
    info = {"solver": repr(solver), "rungs": rungs, "cpu_s": cost}
    return FamilyReference(fine.outputs, rungs[-1], info)


__all__ = ["FamilyReference", "dataset", "family_reference", "initial_states"]
