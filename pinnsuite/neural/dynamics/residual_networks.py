"""Image classifiers: the residual network and the differential equation behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from pinnsuite.errors import OptionError, unknown_name
from pinnsuite.neural.dynamics.integrators import SCHEMES
from pinnsuite.neural.dynamics.refinement import step_refinement
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

GROUPS = 6
"""Groups of channels that are normalised together."""

BATCH = 64
"""Images in a step."""

REFINEMENTS = (1, 2, 4, 8, 16, 32)
"""Steps through unit time at which a trained network is evaluated."""

NUM_PROBES = 256
"""Training and test images, each, on which it is."""


class Block(nn.Module):
    """The rate of the features: two 3 x 3 convolutions, the time as a further channel.

    f(t, x) = W₂ [silu(W₁ [norm(x), t]), t]; smooth in x and t, so that a scheme can
    reach its order.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.first = nn.Conv2d(channels + 1, channels, 3, padding=1)
        self.second = nn.Conv2d(channels + 1, channels, 3, padding=1)

    def forward(self, t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return the rate, same shape as `x`: (n, channels, height, width)."""
        time = t.to(x.dtype).expand(len(x), 1, *x.shape[2:])
        inner = nn.functional.silu(self.first(torch.cat([self.norm(x), time], 1)))
        rate: torch.Tensor = self.second(torch.cat([inner, time], 1))
        return rate


class Classifier(nn.Module):
    """Stem, then features through unit time, then a linear head.

    With one block, `x' = f(t, x)` on [0, 1] by `num_steps` steps of a scheme: the
    weights are tied. With several, x_{k+1} = x_k + f_k(x_k): a residual network.
    """

    def __init__(
        self, channels: int, num_classes: int, num_blocks: int, scheme: str
    ) -> None:
        super().__init__()
        self.scheme = SCHEMES[scheme]
        self.stem = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1),
            nn.GroupNorm(GROUPS, channels),
            nn.SiLU(),
        )
        self.blocks = nn.ModuleList(Block(channels) for _ in range(num_blocks))
        self.head = nn.Sequential(
            nn.GroupNorm(GROUPS, channels),
            nn.SiLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(4 * channels, num_classes),
        )

    def features(self, images: torch.Tensor, num_steps: int) -> torch.Tensor:
        """Return the features at time 1; a residual network takes one step a block."""
        x: torch.Tensor = self.stem(images)
        if len(self.blocks) == 1:
            return self.scheme.integrate(self.blocks[0], x, 0.0, 1.0, num_steps)
        for block in self.blocks:
            x = x + block(torch.zeros(()), x)
        return x


@dataclass(frozen=True)
class ImageNetwork:
    """The options that both networks have, and their training.

    Attributes
    ----------
    channels
        Of the features, a multiple of 6.
    epochs
        Passes over the training images.
    seed
        Moves the initial weights and the order of the images.
    """

    family: ClassVar[str] = "neural-de"
    dtype: ClassVar[str] = "float32"

    channels: int = 24
    epochs: int = 6
    learning_rate: float = 6e-3
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(epochs=self.epochs, learning_rate=self.learning_rate)
        if self.channels < 1 or self.channels % GROUPS:
            raise OptionError(
                f"channels is {self.channels}; needed is a multiple of {GROUPS}."
            )

    def why_not(self, problem: SignalProblem) -> str | None:
        """Say why `problem` is no classification of grey images."""
        reason = other_task(problem, "classify")
        if reason is None and problem.given["inputs_train"].ndim != 3:
            return "its inputs are no images; needed is the shape (n, height, width)"
        return reason

    def _train(
        self,
        problem: SignalProblem,
        progress: Progress,
        budget: float | None,
        *,
        num_blocks: int = 1,
        scheme: str = "euler",
        num_steps: int = 1,
    ) -> tuple[Classifier, Solution]:
        """Return the trained network and its answer."""
        clock, given = Clock(), problem.given
        num_classes = len(problem.coordinates["class"])
        with seeded(self.seed) as generator, clock.phase("train"):
            network = Classifier(self.channels, num_classes, num_blocks, scheme)
            images = image_tensor(given["inputs_train"])
            labels = torch.tensor(given["labels_train"], dtype=torch.int64)
            order: list[torch.Tensor] = []

            def loss() -> torch.Tensor:
                if not order:
                    shuffled = torch.randperm(len(images), generator=generator)
                    order.extend(torch.split(shuffled, BATCH))
                now = order.pop()
                scores = network.head(network.features(images[now], num_steps))
                return nn.functional.cross_entropy(scores, labels[now])

            training = train(
                network,
                loss,
                steps=self.epochs * -(-len(images) // BATCH),
                learning_rate=self.learning_rate,
                budget=budget,
                progress=progress,
            )
        with clock.phase("infer"), torch.no_grad():
            features = network.features(image_tensor(given["inputs_test"]), num_steps)
            scores = network.head(features).double().numpy()
        solution = Solution(
            Grid(problem.coordinates),
            {"scores": scores},
            training.status,
            cost=clock.cost(),
            history=training.history,
            details={"dofs": num_parameters(network), **training.details},
        )
        return network, solution


def image_tensor(images: np.ndarray) -> torch.Tensor:
    """Return images (n, height, width) as float32 with one channel."""
    return torch.tensor(images, dtype=torch.float32)[:, None]


@dataclass(frozen=True)
class ODENet(ImageNetwork):
    """Classify by a differential equation: x' = f(t, x) on [0, 1], one tied f.

    `details["step_refinement"]` says whether the trained network is a differential
    equation: its features under 1, 2, 4, … steps, on 256 training and 256 test images,
    the accuracy on the former, and the share of the latter whose label stays as with
    the trained number of steps.

    Source: R. T. Q. Chen et al., NeurIPS 2018 (arXiv:1806.07366), section 3; E. Haber
    and L. Ruthotto, Inverse Problems 34 (2018) 014004, DOI 10.1088/1361-6420/aa9a90.

    Attributes
    ----------
    scheme
        `euler`, `midpoint` or `rk4`.
    num_steps
        Steps through unit time, a power of two up to 16.
    """

    scheme: str = "euler"
    num_steps: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scheme not in SCHEMES:
            raise OptionError(unknown_name("scheme", self.scheme, SCHEMES))
        if self.num_steps not in REFINEMENTS[:-1]:
            raise OptionError(
                f"num_steps is {self.num_steps}; needed is one of "
                f"{', '.join(map(str, REFINEMENTS[:-1]))}."
            )

    def solve(
        self,
        problem: SignalProblem,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> Solution:
        """Return the scores of the test images."""
        require_supported(self, problem)
        network, solution = self._train(
            problem,
            progress,
            budget,
            scheme=self.scheme,
            num_steps=self.num_steps,
        )
        with torch.no_grad():
            refinement = self._refine(network, problem, solution.fields["scores"])
        details = {**solution.details, "step_refinement": refinement}
        return replace(solution, details=details)

    def _refine(
        self, network: Classifier, problem: SignalProblem, scores: np.ndarray
    ) -> dict[str, Any]:
        train = problem.given["inputs_train"][:NUM_PROBES]
        test = problem.given["inputs_test"][:NUM_PROBES]
        images = image_tensor(np.concatenate([train, test]))

        def features(num_steps: int) -> np.ndarray:
            values: np.ndarray = network.features(images, num_steps).numpy()
            return values

        def labels(values: np.ndarray) -> dict[str, float]:
            answer = network.head(torch.tensor(values)).argmax(1).numpy()
            right = answer[: len(train)] == problem.given["labels_train"][: len(train)]
            same = answer[len(train) :] == scores.argmax(1)[: len(test)]
            return {
                "train_accuracy": float(right.mean()),
                "same_test_labels": float(same.mean()),
            }

        return step_refinement(
            features,
            REFINEMENTS,
            trained=self.num_steps,
            expected_order=SCHEMES[self.scheme].order,
            scores=labels,
        )


@dataclass(frozen=True)
class ResNet(ImageNetwork):
    """Classify by a residual network, x_{k+1} = x_k + f_k(x_k): the untied twin.

    Every block has weights of its own and is a step of forward Euler with its own
    right-hand side; there is no equation that finer steps would approach.

    Source: K. He et al., CVPR 2016, DOI 10.1109/CVPR.2016.90.

    Attributes
    ----------
    num_blocks
        At least 2.
    """

    num_blocks: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_blocks < 2:
            raise OptionError(
                f"num_blocks is {self.num_blocks}; needed is at least 2. One block is "
                "an ODENet of one step."
            )

    def solve(
        self,
        problem: SignalProblem,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> Solution:
        """Return the scores of the test images."""
        require_supported(self, problem)
        _, solution = self._train(problem, progress, budget, num_blocks=self.num_blocks)
        return solution
