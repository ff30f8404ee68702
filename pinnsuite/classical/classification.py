"""Classifying by the support vector machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sklearn.svm import SVC

from pinnsuite.errors import OptionError
from pinnsuite.problem.signal import SignalProblem, other_task
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution
from pinnsuite.solution.support import Grid
from pinnsuite.solver import Progress, require_supported, silent


@dataclass(frozen=True)
class SupportVectorMachine:
    """The classifier of largest margin, with kernel exp(-γ ‖x - x'‖²).

    γ is 1 / (number of features x variance of the inputs); one classifier for each
    pair of classes votes.

    Source: C. Cortes and V. Vapnik, Machine Learning 20 (1995) 273-297,
    DOI 10.1007/BF00994018; `sklearn.svm.SVC`.

    Attributes
    ----------
    penalty
        C, the weight of points on the wrong side of the margin.
    """

    family: ClassVar[str] = "classical"

    penalty: float = 10.0

    def __post_init__(self) -> None:
        if not self.penalty > 0:
            raise OptionError(
                f"penalty is {self.penalty}; needed is a positive number."
            )

    def why_not(self, problem: SignalProblem) -> str | None:
        """Say why `problem` is no classification."""
        return other_task(problem, "classify")

    def solve(
        self,
        problem: SignalProblem,
        *,
        progress: Progress = silent,
        budget: float | None = None,  # noqa: ARG002
    ) -> Solution:
        """Return the votes of each test input, corrected by the margins."""
        require_supported(self, problem)
        clock = Clock()
        given = problem.given
        flat = {k: given[k].reshape(len(given[k]), -1) for k in given if "inputs" in k}
        machine = SVC(C=self.penalty, gamma="scale")
        with clock.phase("train"):
            machine.fit(flat["inputs_train"], given["labels_train"])
        with clock.phase("infer"):
            scores = machine.decision_function(flat["inputs_test"])
        if scores.ndim == 1:
            # With two classes there is one margin.
            scores = scores[:, None] * [-1.0, 1.0]
        progress(1.0, f"{len(machine.support_)} support vectors")
        return Solution(
            Grid(problem.coordinates),
            {"scores": scores},
            cost=clock.cost(),
            details={"dofs": len(machine.support_), "stop_reason": "optimal"},
        )
