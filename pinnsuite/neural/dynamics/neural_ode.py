"""A dynamical system whose right-hand side is a network."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from pinnsuite.errors import OptionError, unknown_name
from pinnsuite.neural.dynamics.integrators import SCHEMES, Scheme
from pinnsuite.neural.dynamics.refinement import step_refinement
from pinnsuite.neural.dynamics.training import (
    check_positive,
    num_parameters,
    seeded,
    train,
)
from pinnsuite.problem.signal import SignalProblem, other_task
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solution.support import Grid
from pinnsuite.solver import Progress, require_supported, silent

REFINEMENTS = (1, 2, 4, 8)
"""Steps between two samples at which the trained network is evaluated."""


class VectorField(nn.Module):
    """`x' = r σ N((x - μ) / σ)`, N a network of two hidden layers.

    μ and σ are mean and standard deviation of the training states, r that of the rates
    of (x - μ) / σ: the network sees and returns numbers of size one.
    """

    def __init__(self, states: np.ndarray, times: np.ndarray, width: int) -> None:
        super().__init__()
        num_states = states.shape[-1]
        flat = states.reshape(-1, num_states)
        scaled = (states - flat.mean(0)) / flat.std(0)
        rates = np.diff(scaled, axis=1) / np.diff(times)[:, None]
        self.mean: torch.Tensor
        self.scale: torch.Tensor
        self.rate: torch.Tensor
        self.register_buffer("mean", torch.tensor(flat.mean(0)))
        self.register_buffer("scale", torch.tensor(flat.std(0)))
        self.register_buffer("rate", torch.tensor(rates.std((0, 1))))
        self.network = nn.Sequential(
            nn.Linear(num_states, width),
            nn.Tanh(),
            nn.Linear(width, width),
            nn.Tanh(),
            nn.Linear(width, num_states),
        )

    def forward(self, _: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return the rates, same shape as `x`: (…, states)."""
        z = (x - self.mean) / self.scale
        rates: torch.Tensor = self.rate * self.scale * self.network(z)
        return rates


@dataclass(frozen=True)
class NeuralODE:
    """Learn the right-hand side of x' = f(x) from trajectories, as a network.

    Trained through the steps of a Runge-Kutta scheme (one a sample) by multiple
    shooting: windows of `window` intervals, each started from a measured state, drawn
    at random from all trajectories. Long windows see more of the dynamics and less of
    the noise in their start, short ones have the easier loss.

    `details["step_refinement"]` says whether the trained network is a differential
    equation: its forecast under 1, 2, 4, … steps between two samples.

    Source: R. T. Q. Chen et al., NeurIPS 2018 (arXiv:1806.07366); H. G. Bock and K. J.
    Plitt, IFAC Proc. 17 (1984) 1603-1608, DOI 10.1016/S1474-6670(17)61205-9 (multiple
    shooting).

    Attributes
    ----------
    width
        Of the two hidden layers, tanh.
    scheme
        `euler`, `midpoint` or `rk4`.
    window
        Sampling intervals in a training window.
    batch
        Windows in a step.
    steps
        Of Adam.
    seed
        Moves the initial weights and the windows.
    """

    family: ClassVar[str] = "neural-de"
    dtype: ClassVar[str] = "float32"
    tuned_on: ClassVar[tuple[str, ...]] = ("lotka_volterra_trajectories",)

    width: int = 64
    scheme: str = "rk4"
    window: int = 10
    batch: int = 256
    steps: int = 500
    learning_rate: float = 5e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise OptionError(unknown_name("scheme", self.scheme, SCHEMES))
        check_positive(
            width=self.width,
            window=self.window,
            batch=self.batch,
            steps=self.steps,
            learning_rate=self.learning_rate,
        )

    def why_not(self, problem: SignalProblem) -> str | None:
        """Say why `problem` is no forecast from long enough trajectories."""
        reason = other_task(problem, "forecast")
        if reason is None and len(problem.given["t_train"]) <= self.window:
            return (
                f"{len(problem.given['t_train'])} training times do not fill a window "
                f"of {self.window} intervals; lower `window`"
            )
        return reason

    def solve(
        self,
        problem: SignalProblem,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> Solution:
        """Return the forecast of the trained network."""
        require_supported(self, problem)
        clock = Clock()
        scheme = SCHEMES[self.scheme]
        times, states = problem.given["t_train"], problem.given["states_train"]
        with seeded(self.seed) as generator, clock.phase("train"):
            field = VectorField(states, times, self.width).float()
            measured = torch.tensor(states, dtype=torch.float32)
            intervals = torch.tensor(np.diff(times), dtype=torch.float32)
            num_trajectories, num_times, _ = states.shape
            ahead = torch.arange(self.window + 1)

            def loss() -> torch.Tensor:
                shape = (self.batch, 1)
                which = torch.randint(num_trajectories, shape, generator=generator)
                last = num_times - self.window
                first = torch.randint(last, shape, generator=generator)
                target = measured[which, first + ahead]
                steps = intervals[first + ahead[:-1]]
                x, total = target[:, 0], torch.zeros(())
                for k in range(self.window):
                    x = scheme.step(field, steps[:, k : k + 1], x, steps[:, k : k + 1])
                    miss = (x - target[:, k + 1]) / field.scale
                    total = total + (miss**2).mean()
                return total / self.window

            training = train(
                field,
                loss,
                steps=self.steps,
                learning_rate=self.learning_rate,
                budget=budget,
                progress=progress,
            )
        field.double()
        details: dict[str, Any] = {"dofs": num_parameters(field), **training.details}
        with clock.phase("infer"), torch.no_grad():
            starts, t = problem.given["initial_test"], problem.given["t_test"]
            # Steps between outputs as short as those between training samples.
            between = max(1, round(float(np.diff(t).max() / np.diff(times).min())))
            forecast = follow(field, scheme, starts, t, between)
        if not np.isfinite(forecast).all():
            return failed(
                Status.DIVERGED,
                "The trained system blows up on the test starts; train longer.",
                cost=clock.cost(),
                history=training.history,
                details=details,
            )
        with torch.no_grad():
            details["step_refinement"] = step_refinement(
                lambda n: follow(field, scheme, starts, t, n * between),
                REFINEMENTS,
                trained=1,
                expected_order=scheme.order,
            )
        return Solution(
            Grid(problem.coordinates),
            {"states": forecast},
            training.status,
            cost=clock.cost(),
            history=training.history,
            details=details,
        )


def follow(
    field: VectorField, scheme: Scheme, starts: np.ndarray, times: np.ndarray, n: int
) -> np.ndarray:
    """Return the trajectories from `starts` (trajectories, states) at `times`.

    `n` steps lie between two times; shape (trajectories, times, states).
    """
    x = torch.tensor(starts)
    states = [x]
    for start, end in pairwise(times):
        x = scheme.integrate(field, x, float(start), float(end), n)
        states.append(x)
    trajectories: np.ndarray = torch.stack(states, dim=1).numpy()
    return trajectories
