"""Watching a training that another library runs: its clock, losses and snapshots."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pinnsuite.neural.snapshot import FIRST_SNAPSHOT, SNAPSHOT_RATIO, Stopwatch
from pinnsuite.problem.definition import Problem
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Evaluator, Snapshot, Solution, Status, failed
from pinnsuite.solution.support import common_support
from pinnsuite.solver import Progress


class Watch:
    """What has become of a training, and whether it is to stop.

    Its clock runs from its making, so that setup counts.

    Attributes
    ----------
    steps, loss
        The last ones that were told.
    stop_reason, trouble
        What ended the training; what made it fail, empty unless it did.
    """

    def __init__(self, total: int, budget: float | None, progress: Progress) -> None:
        self._total, self._budget, self._progress = total, budget, progress
        self._clock = Stopwatch()
        self._next_snapshot = FIRST_SNAPSHOT
        self._history: dict[str, list[float]] = {"step": [], "loss": []}
        self._snapshots: list[Snapshot] = []
        self.steps, self.loss = 0, math.nan
        self.stop_reason, self.trouble = "the number of steps", ""

    def note(self, steps: int, loss: float, evaluator: Callable[[], Evaluator]) -> bool:
        """Take note of a loss; return whether the training is to stop here.

        Parameters
        ----------
        evaluator
            Makes the fields of the present weights, called where a snapshot is due.
        """
        if loss != self.loss:
            self._history["step"].append(float(steps))
            self._history["loss"].append(loss)
        self.steps, self.loss = steps, loss
        if not math.isfinite(loss):
            self.stop_reason = "a loss that is not finite"
            self.trouble = (
                f"The loss is not finite after {steps} steps. Lower adam_rate, or "
                "check the domain of the functions in the equations (roots and "
                "logarithms of negative fields)."
            )
            return True
        spent = self._clock.cpu_s
        if spent >= self._next_snapshot:
            self._snapshots.append(
                Snapshot(spent, self._clock.wall_s, loss, evaluator())
            )
            while self._next_snapshot <= spent:
                self._next_snapshot *= SNAPSHOT_RATIO
        share = max(steps / max(self._total, 1), spent / (self._budget or math.inf))
        self._progress(min(share, 1.0), f"step {steps}, loss {loss:.2e}")
        if self._budget is not None and spent >= self._budget:
            self.stop_reason = "the budget"
            return True
        return False

    def solution(
        self,
        problem: Problem,
        clock: Clock,
        evaluate: Evaluator,
        coefficients: Mapping[str, float],
        details: Mapping[str, Any],
    ) -> Solution:
        """Return what the training came to, with the fields on the common support."""
        details = {**details, "steps": self.steps, "stop_reason": self.stop_reason}
        history = {name: np.array(series) for name, series in self._history.items()}
        if self.trouble:
            return failed(
                Status.NAN,
                self.trouble,
                cost=clock.cost(),
                history=history,
                snapshots=self._snapshots,
                details=details,
            )
        support = common_support(problem)
        with clock.phase("infer"):
            values = evaluate(support.points)
        return Solution(
            support=support,
            fields={n: v.reshape(support.shape) for n, v in values.items()},
            message=f"loss {self.loss:.1e} after {self.steps} steps; stopped by "
            f"{self.stop_reason}",
            evaluator=evaluate,
            coefficients=coefficients,
            cost=clock.cost(),
            history=history,
            snapshots=self._snapshots,
            details=details,
        )
