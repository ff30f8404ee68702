"""Predicting text by state-space layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from pinnsuite.neural.dynamics.state_space import StateSpaceBlock
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

STEP_RANGE = (1e-3, 1e-1)
"""Memories from ten characters to a thousand, as S4D starts with."""


class CausalNetwork(nn.Module):
    """Embedding, state-space blocks, linear head: no entry sees a later one."""

    def __init__(self, num_codes: int, width: int, layers: int, states: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_codes, width)
        self.blocks = nn.Sequential(
            *(StateSpaceBlock(width, states, STEP_RANGE) for _ in range(layers))
        )
        self.head = nn.Linear(width, num_codes)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the scores of what follows each code: (…, length, num_codes)."""
        scores: torch.Tensor = self.head(self.blocks(self.embedding(codes)))
        return scores


@dataclass(frozen=True)
class StateSpaceLanguageModel:
    """Predict each character from state-space features of those before it.

    Trained on windows of `window` characters drawn at random. A test character is
    predicted from at least `window` / 2 characters before it (fewer at the start).

    Attributes
    ----------
    width
        Channels.
    num_layers
        State-space blocks; see `StateSpaceBlock`.
    num_states
        Complex modes a channel.
    window
        Characters in a training sequence, even.
    batch
        Windows in a step.
    steps
        Of Adam.
    seed
        Moves the initial weights and the windows.
    """

    family: ClassVar[str] = "neural-de"
    dtype: ClassVar[str] = "float32"

    width: int = 96
    num_layers: int = 2
    num_states: int = 16
    window: int = 192
    batch: int = 16
    steps: int = 350
    learning_rate: float = 6e-3
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(
            width=self.width,
            num_layers=self.num_layers,
            num_states=self.num_states,
            window=self.window,
            batch=self.batch,
            steps=self.steps,
            learning_rate=self.learning_rate,
        )

    def why_not(self, problem: SignalProblem) -> str | None:
        """Say why `problem` is no prediction of a long enough text."""
        reason = other_task(problem, "language")
        if reason is None and len(problem.given["codes_train"]) <= self.window + 1:
            return (
                f"{len(problem.given['codes_train'])} training characters do not fill "
                f"a window of {self.window}; lower `window`"
            )
        return reason

    def solve(
        self,
        problem: SignalProblem,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> Solution:
        """Return log₂ of the probability of every character at every test position."""
        require_supported(self, problem)
        clock = Clock()
        size = int(problem.given["num_codes"])
        with seeded(self.seed) as generator, clock.phase("train"):
            network = CausalNetwork(size, self.width, self.num_layers, self.num_states)
            codes = torch.tensor(problem.given["codes_train"])
            ahead = torch.arange(self.window + 1)

            def loss() -> torch.Tensor:
                first = torch.randint(
                    len(codes) - self.window, (self.batch, 1), generator=generator
                )
                text = codes[first + ahead]
                scores = network(text[:, :-1])
                return nn.functional.cross_entropy(
                    scores.reshape(-1, size), text[:, 1:].reshape(-1)
                )

            training = train(
                network,
                loss,
                steps=self.steps,
                learning_rate=self.learning_rate,
                budget=budget,
                progress=progress,
            )
        with clock.phase("infer"), torch.no_grad():
            probability = predict(network, problem.given["codes_test"], self.window)
        return Solution(
            Grid(problem.coordinates),
            {"log2_probability": probability},
            training.status,
            cost=clock.cost(),
            history=training.history,
            details={"dofs": num_parameters(network), **training.details},
        )


def predict(network: CausalNetwork, codes: np.ndarray, window: int) -> np.ndarray:
    """Return log₂ p of each entry of `codes` given those before it, shape (n, codes).

    Windows overlap by half: the first half of each but the first is context only.
    """
    half = max(window // 2, 1)
    # The first character has nothing before it: its scores are those after code 0.
    before = torch.cat([torch.zeros(1, dtype=torch.int64), torch.tensor(codes[:-1])])
    scores = [network(before[None, : 2 * half])[0]]
    scores += [
        network(before[None, first : first + 2 * half])[0, half:]
        for first in range(half, len(codes) - half, half)
    ]
    logits = torch.cat(scores)[: len(codes)].double()
    natural: np.ndarray = logits.log_softmax(-1).numpy()
    natural /= np.log(2)
    return natural
