"""What every solver returns."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from pinnsuite.errors import SolveError
from pinnsuite.solution.cost import Cost
from pinnsuite.solution.support import Grid, Support

Evaluator = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""Fields at points: array (n, coordinates), time first -> {field: array (n,)}."""


class Status(enum.StrEnum):
    """How a run ended."""

    OK = "ok"
    NOT_REACHED = "not_reached"
    DIVERGED = "diverged"
    NAN = "nan"
    TIMEOUT = "timeout"
    OOM = "oom"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"
    CRASHED = "crashed"
    INTERRUPTED = "interrupted"
    BAD_REFERENCE = "bad_reference"

    @property
    def sentence(self) -> str:
        """What it means and what to do, for a person."""
        return SENTENCES[self]


SENTENCES = {
    Status.OK: "The solve finished.",
    Status.NOT_REACHED: "The budget ended before the solver's own goal; raise it.",
    Status.DIVERGED: "The iteration diverged; try a smaller step or a better start.",
    Status.NAN: "Values became NaN or infinite; try a smaller step or rescale.",
    Status.TIMEOUT: "The time limit ended the run; raise `time_limit`.",
    Status.OOM: "Memory ran out; lower the resolution or raise `memory_limit`.",
    Status.UNSUPPORTED: "The solver cannot express this problem.",
    Status.FAILED: "The solver raised an error; the log has the traceback.",
    Status.CRASHED: "The process died; the log has what it printed.",
    Status.INTERRUPTED: "The run was interrupted; run the suite again to resume.",
    Status.BAD_REFERENCE: "The reference contradicts the equations; see `check`.",
}


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The state of an iterative solver at one moment, to be judged after the clock.

    Attributes
    ----------
    cpu_s, wall_s
        Seconds of solver time when it was taken.
    loss
        The solver's own objective then: not an error.
    evaluate
        The fields as they were then.
    """

    cpu_s: float
    wall_s: float
    loss: float
    evaluate: Evaluator


@runtime_checkable
class Savable(Protocol):
    """Something that can be written to a file."""

    def save(self, path: Path) -> None:
        """Write it to `path`."""


@dataclass(frozen=True, eq=False)
class Solution:
    """Fields as float64 arrays on a support, with how they were got.

    Attributes
    ----------
    support
        Where the values live.
    fields
        One array a field, of shape `support.shape` (signals may add axes behind).
    status, message
        How the run ended; `message` says more than the status' own sentence.
    evaluator
        The solver's own evaluation at any point (its basis, its network); without one,
        values are interpolated on the grid.
    coefficients
        Identified values of the unknown coefficients, by name.
    cost
        By phase.
    history
        Named series over the iterations, such as the loss.
    snapshots
        Intermediate states, at geometrically spaced times.
    details
        Numbers and words about the run: degrees of freedom, steps, stop reason.
    model
        What can be saved, to evaluate or train further: a network.
    """

    support: Support
    fields: Mapping[str, np.ndarray]
    status: Status = Status.OK
    message: str = ""
    evaluator: Evaluator | None = None
    coefficients: Mapping[str, float] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)
    history: Mapping[str, np.ndarray] = field(default_factory=dict)
    snapshots: Sequence[Snapshot] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    model: Savable | None = None

    def __post_init__(self) -> None:
        expected = self.support.shape
        for name, values in self.fields.items():
            if values.shape[: len(expected)] != expected:
                raise ValueError(
                    f"Field {name!r} has shape {values.shape}, but its support "
                    f"({', '.join(self.support.axes) or 'mesh nodes'}) has {expected}."
                )

    def require_ok(self) -> Solution:
        """Return self, or raise `SolveError` with the sentence for the reader."""
        if self.status is not Status.OK:
            raise SolveError(f"{self.status.value}: {self.sentence}")
        return self

    @property
    def sentence(self) -> str:
        """How the run ended, for a person."""
        return self.message or self.status.sentence

    def at(self, points: np.ndarray) -> Mapping[str, np.ndarray]:
        """Return the fields at points, shape (n, coordinates), time first.

        Without the solver's own evaluation, values on a grid are interpolated by
        splines (cubic where an axis has four points or more, else linear); the
        interpolation error is then part of the answer.

        Raises
        ------
        SolveError
            If the values live on mesh nodes and no evaluation is there.
        """
        if self.evaluator is not None:
            return self.evaluator(points)
        if not isinstance(self.support, Grid):
            raise SolveError(
                "This solution holds values at mesh nodes only; solve again to "
                "evaluate it elsewhere."
            )
        return {n: interpolate(self.support, v, points) for n, v in self.fields.items()}


def interpolate(grid: Grid, values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the spline interpolant of `values` on `grid` at `points`."""
    from scipy.interpolate import RegularGridInterpolator

    axes = list(grid.axes.values())
    method = "cubic" if min(len(a) for a in axes) >= 4 else "linear"
    result: np.ndarray = RegularGridInterpolator(
        axes, values, method=method, bounds_error=False, fill_value=None
    )(points)
    return result


def failed(status: Status, message: str, **more: Any) -> Solution:
    """Return a solution that holds no values, only how the run ended."""
    return Solution(Grid({}), {}, status, message, **more)
