"""Identifying a filter by training a state-space layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from pinnsuite.neural.dynamics.state_space import DiagonalStateSpace
from pinnsuite.neural.dynamics.training import (
    check_positive,
    num_parameters,
    seeded,
    train,
)
from pinnsuite.problem.signal import SignalProblem, other_task
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution
from pinnsuite.solution.support import Grid
from pinnsuite.solver import Progress, require_supported, silent


@dataclass(frozen=True)
class StateSpaceModel:
    """One linear state-space layer, trained to give the measured output.

    The modes start evenly over all frequencies of the sampled signal. There is no
    choice of order: `num_states` is larger than needed, and the noise is fitted with
    all of it.

    Attributes
    ----------
    num_states
        Complex modes; two real states each.
    steps
        Of Adam, each on the whole record.
    seed
        Moves the initial weights.
    """

    family: ClassVar[str] = "neural-de"
    dtype: ClassVar[str] = "float32"
    tuned_on: ClassVar[tuple[str, ...]] = ("filter_identification",)

    num_states: int = 16
    steps: int = 1000
    learning_rate: float = 2e-2
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(
            num_states=self.num_states,
            steps=self.steps,
            learning_rate=self.learning_rate,
        )

    def why_not(self, problem: SignalProblem) -> str | None:
        """Say why `problem` is no identification of one input and one output."""
        reason = other_task(problem, "identify")
        if reason is None and problem.given["input_train"].ndim != 1:
            return "it has several inputs or outputs, and this takes one of each"
        return reason

    def solve(
        self,
        problem: SignalProblem,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> Solution:
        """Return the response of the trained layer to the test input."""
        require_supported(self, problem)
        clock = Clock()
        output = problem.given["output_train"]
        scale = float(output.std())

        def sequence(name: str) -> torch.Tensor:
            return torch.tensor(problem.given[name])[None]

        with seeded(self.seed), clock.phase("train"):
            even = 1 / self.num_states
            layer = DiagonalStateSpace(1, self.num_states, (even, even)).double()
            u = sequence("input_train")
            y = sequence("output_train") / scale
            training = train(
                layer,
                lambda: ((layer(u) - y) ** 2).mean(),
                steps=self.steps,
                learning_rate=self.learning_rate,
                budget=budget,
                progress=progress,
            )
        with clock.phase("infer"), torch.no_grad():
            response: np.ndarray = scale * layer(sequence("input_test"))[0].numpy()
        return Solution(
            Grid(problem.coordinates),
            {"output": response},
            training.status,
            cost=clock.cost(),
            history=training.history,
            details={"dofs": num_parameters(layer), **training.details},
        )
