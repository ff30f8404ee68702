"""What every minimiser can do."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from pinnsuite.neural.optimisers.objective import Objective

NOT_FINITE = "the objective is not finite"
GRADIENT_NOT_FINITE = "the gradient is not finite"
GRADIENT_VANISHES = "the gradient vanishes"
NO_DESCENT = "no descent, however short the step (round-off)"


class Optimiser(ABC):
    """A minimiser that is asked for one step at a time.

    Parameters
    ----------
    objective
        What is minimised. It may be replaced between steps: call `evaluate` then.
    parameters
        Where to start, shape (n,); it is not changed.

    Attributes
    ----------
    parameters
        The current iterate.
    """

    def __init__(self, objective: Objective, parameters: torch.Tensor) -> None:
        self.objective = objective
        self.parameters = parameters

    @property
    @abstractmethod
    def value(self) -> float:
        """The objective at `parameters`."""

    @abstractmethod
    def evaluate(self) -> None:
        """Take the objective anew after it has changed, as by other points."""

    @abstractmethod
    def step(self) -> str | None:
        """Take one step; return why no further one is possible, or None."""
