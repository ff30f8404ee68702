"""What every solver has in common."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from pinnsuite.errors import UnsupportedProblemError
from pinnsuite.problem.definition import Problem
from pinnsuite.solution.cost import Cost
from pinnsuite.solution.solution import Solution
from pinnsuite.solution.support import Dataset


@runtime_checkable
class Progress(Protocol):
    """Called by a solver now and then; what it does is the caller's business."""

    def __call__(self, fraction: float, note: str) -> None:
        """Take the share of the work that is done, in [0, 1], and a short note."""


def silent(fraction: float, note: str) -> None:
    """Ignore progress."""


@runtime_checkable
class Solver(Protocol):
    """A frozen dataclass of options; its `repr` is the complete record of them.

    Class attributes
    ----------------
    family
        `classical`, `pinn`, `operator`, `neural-de` or `signal`.
    """

    family: ClassVar[str]

    def why_not(self, problem: Any) -> str | None:
        """Say which part of `problem` this solver cannot take and what to supply."""

    def solve(
        self,
        problem: Any,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> Solution:
        """Solve `problem`; a failed solve is a `Solution` whose status says so.

        Parameters
        ----------
        problem
            As `problem.without_answer()` gives it: a solver never sees the reference.
        progress
            Told how far the work is.
        budget
            CPU seconds after which an iterative solver returns its best so far.

        Raises
        ------
        UnsupportedProblemError
            If `why_not` speaks.
        """


def require_supported(solver: Solver, problem: Any) -> None:
    """Raise `UnsupportedProblemError` with the solver's reason, if it has one."""
    reason = solver.why_not(problem)
    if reason is not None:
        raise UnsupportedProblemError(
            f"{type(solver).__name__} cannot take {problem.name!r}: {reason}."
        )


@runtime_checkable
class Refinable(Solver, Protocol):
    """A classical solver: it can be refined, and says how its error then falls."""

    def refined(self) -> Refinable:
        """Return the same solver at half the mesh width (and step where it has one)."""

    def expected_order(self, problem: Problem) -> float | None:
        """Return p in `error = O(hᵖ)` under `refined`; None for spectral accuracy."""


@runtime_checkable
class Batched(Refinable, Protocol):
    """A classical solver that takes many initial states at once."""

    def solve_batch(self, problem: Problem, initial: np.ndarray) -> np.ndarray:
        """Return the field at the last time for each initial state.

        Parameters
        ----------
        problem
            Any member of the family: only its equations, domain and time are used.
        initial
            Shape (members, points) on the periodic grid without the right end.

        Returns
        -------
        Same shape, on the same grid, whatever grid the solver used inside.
        """


@runtime_checkable
class FittedOperator(Solver, Protocol):
    """A trained operator: a solver for every member of its family."""

    cost: Cost

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the fields at the last time, shape (members, points)."""


@runtime_checkable
class Operator(Protocol):
    """A map between functions that is learned from pairs."""

    family: ClassVar[str]

    def fit(
        self,
        data: Dataset,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> FittedOperator:
        """Train on the pairs of `data` (training members only)."""


__all__ = [
    "Batched",
    "FittedOperator",
    "Operator",
    "Progress",
    "Refinable",
    "Solver",
    "require_supported",
    "silent",
]
