"""Restoring a signal from its own noisy record, by predicting each sample."""

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

STEP_RANGE = (1e-2, 1.0)
"""Memories from one sample to a hundred."""

HELD_OUT = 0.1
"""Share of the samples that are never a target: their error stops the training."""


class BlindSpotNetwork(nn.Module):
    """Predict each sample from those before and those after it, never from itself.

    State-space blocks run forward and, on the reversed record, backward; the features
    of sample k - 1 of the one and of k + 1 of the other meet in a network at k.
    """

    def __init__(self, width: int, num_layers: int, num_states: int) -> None:
        super().__init__()

        def direction() -> nn.Sequential:
            blocks = [
                StateSpaceBlock(width, num_states, STEP_RANGE)
                for _ in range(num_layers)
            ]
            return nn.Sequential(nn.Linear(1, width), *blocks)

        self.forwards = direction()
        self.backwards = direction()
        self.head = nn.Sequential(
            nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, 1)
        )

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """Return the prediction of each sample of `y`, shape (length,)."""
        record = y[None, :, None]
        past = nn.functional.pad(self.forwards(record)[:, :-1], (0, 0, 1, 0))
        future = self.backwards(record.flip(1)).flip(1)
        future = nn.functional.pad(future[:, 1:], (0, 0, 0, 1))
        prediction: torch.Tensor = self.head(torch.cat([past, future], -1))
        return prediction[0, :, 0]


@dataclass(frozen=True)
class BlindSpotDenoiser:
    """Restore a record by state-space layers trained on that record alone.

    The network predicts every sample from its neighbours. Noise that is independent
    from sample to sample cannot be predicted, so the prediction p that fits the noisy
    record best is the signal's conditional mean: no clean data is needed. Where the
    noise has variance σ² and the held-out error is E = mean (y - p)², the prediction
    itself is wrong by E - σ², and the sample and its prediction are weighted by what
    is known of each:

        ŝ = p + (1 - σ² / E) (y - p)

    σ is the median of the second differences' absolute values over 0.6745 √6.

    Source: J. Batson and L. Royer, Noise2Self, ICML 2019 (arXiv:1901.11365); S. Laine
    et al., NeurIPS 2019 (arXiv:1901.10277) for blind spots and the weighting.

    Attributes
    ----------
    width
        Channels in each direction.
    num_layers, num_states
        State-space blocks in each direction, and complex modes a channel.
    steps
        Of Adam, each on the whole record; the best step on held-out samples is kept.
    seed
        Moves the initial weights and the held-out samples.
    """

    family: ClassVar[str] = "neural-de"
    dtype: ClassVar[str] = "float32"
    tuned_on: ClassVar[tuple[str, ...]] = ("ecg",)

    width: int = 24
    num_layers: int = 2
    num_states: int = 8
    steps: int = 200
    learning_rate: float = 1e-2
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(
            width=self.width,
            num_layers=self.num_layers,
            num_states=self.num_states,
            steps=self.steps,
            learning_rate=self.learning_rate,
        )

    def why_not(self, problem: SignalProblem) -> str | None:
        """Say why `problem` is no restoration of one evenly sampled record."""
        reason = other_task(problem, "restore")
        if reason is None and problem.given["noisy"].ndim != 1:
            return "the noisy signal has more than one axis; give one record"
        if reason is None and np.ptp(np.diff(problem.given["t"], n=2)) > 1e-6:
            return "the samples are not evenly spaced; resample them"
        return reason

    def solve(
        self,
        problem: SignalProblem,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> Solution:
        """Return the restored signal."""
        require_supported(self, problem)
        clock = Clock()
        noisy = problem.given["noisy"]
        mean, scale = noisy.mean(), noisy.std()
        with seeded(self.seed) as generator, clock.phase("train"):
            y = torch.tensor((noisy - mean) / scale, dtype=torch.float32)
            network = BlindSpotNetwork(self.width, self.num_layers, self.num_states)
            held = torch.rand(len(y), generator=generator) < HELD_OUT

            def error(which: torch.Tensor) -> torch.Tensor:
                miss: torch.Tensor = (network(y) - y)[which]
                return (miss**2).mean()

            training = train(
                network,
                lambda: error(~held),
                steps=self.steps,
                learning_rate=self.learning_rate,
                budget=budget,
                progress=progress,
                validate=lambda: float(error(held)),
            )
        with clock.phase("infer"), torch.no_grad():
            prediction = mean + scale * network(y).double().numpy()
            wrong = float(((noisy - prediction)[held.numpy()] ** 2).mean())
            variance = noise_variance(noisy)
            weight = max(0.0, 1 - variance / wrong)
        return Solution(
            Grid(problem.coordinates),
            {"signal": prediction + weight * (noisy - prediction)},
            training.status,
            cost=clock.cost(),
            history=training.history,
            details={
                "dofs": num_parameters(network),
                **training.details,
                "noise_level": float(np.sqrt(variance)),
                "weight_of_sample": weight,
            },
        )


def noise_variance(noisy: np.ndarray) -> float:
    """Return σ² of white noise on a smooth signal, from the second differences.

    These have variance 6 σ²; the median does not see where the signal bends sharply.
    """
    median = float(np.median(np.abs(np.diff(noisy, n=2))))
    return (median / 0.6744897501960817) ** 2 / 6
