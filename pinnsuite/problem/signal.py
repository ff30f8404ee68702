"""Data with a task: restore, identify, forecast, classify, predict text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pinnsuite.errors import DefinitionError
from pinnsuite.problem.definition import Problem

TASKS = {
    "restore": "a clean signal from a noisy one: given t, noisy; wanted signal",
    "identify": (
        "the response of a system: given input_train, output_train, input_test; "
        "wanted output"
    ),
    "forecast": (
        "trajectories of a dynamical system: given t_train, states_train "
        "(trajectories, times, states), t_test, initial_test (trajectories, states); "
        "wanted states (trajectories, times, states)"
    ),
    "classify": (
        "labels: given inputs_train (n, …), labels_train (n,), inputs_test; wanted "
        "scores (n, classes), the largest one being the answer"
    ),
    "language": (
        "the next character: given codes_train, codes_test (context; entry i may use "
        "the entries before it only), num_codes; wanted log2_probability (n, num_codes)"
    ),
}
"""The tasks, what a solver is given and what it must return."""

METRICS = ("relative_l2", "error_rate", "bits_per_character")
"""What the answer is judged by; smaller is better for each."""


@dataclass(frozen=True, eq=False)
class SignalProblem:
    """Measured or synthetic data plus a task, a split, a noise model and a metric.

    Attributes
    ----------
    name
        What it is called on the command line.
    task
        One of `TASKS`, which says what `given` holds and what is wanted.
    given
        All that a solver may see.
    truth
        What it is judged by, one array under the name of the wanted field; None once
        `without_answer` took it away.
    coordinates
        One array an axis of the wanted field, by name.
    metric
        One of `METRICS`.
    noise, split, units
        In words: how the noise was made, how train and test were separated.
    physics
        The equations, where they are known and a solver may use them.
    parameters
        The arguments that made the problem, set by the catalogue.
    source
        Where the data is from, with licence.
    """

    name: str
    task: str
    given: Mapping[str, np.ndarray]
    truth: Mapping[str, np.ndarray] | None
    coordinates: Mapping[str, np.ndarray]
    metric: str = "relative_l2"
    noise: str = "none"
    split: str = ""
    units: str = ""
    physics: Problem | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    tags: Sequence[str] = ()

    kind = "signal"

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise DefinitionError(
                f"SignalProblem {self.name!r}: task is {self.task!r}; known: "
                f"{', '.join(TASKS)}."
            )
        if self.metric not in METRICS:
            raise DefinitionError(
                f"SignalProblem {self.name!r}: metric is {self.metric!r}; known: "
                f"{', '.join(METRICS)}."
            )
        for name, values in {**self.given, **(self.truth or {})}.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise DefinitionError(
                    f"SignalProblem {self.name!r}: {name} holds NaN or infinity; drop "
                    "those samples."
                )

    @property
    def dimension(self) -> int:
        """The number of axes of the data's coordinates."""
        return len(self.coordinates)

    def without_answer(self) -> SignalProblem:
        """Return the problem as a solver may see it."""
        return replace(self, truth=None)

    @property
    def definition_hash(self) -> str:
        """The sha256 of task, metric and all arrays."""

        def digests(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
            return {
                k: hashlib.sha256(np.ascontiguousarray(v).tobytes()).hexdigest()
                for k, v in arrays.items()
            }

        content = {
            "task": self.task,
            "metric": self.metric,
            "given": digests(self.given),
            "truth": digests(self.truth or {}),
        }
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def other_task(problem: Any, task: str) -> str | None:
    """Say that `problem` is no signal problem with this task, or None if it is."""
    if not isinstance(problem, SignalProblem):
        return f"it is no SignalProblem, and this solver takes those of task {task!r}"
    if problem.task != task:
        return f"its task is {problem.task!r}, and this solver takes {task!r}"
    return None
