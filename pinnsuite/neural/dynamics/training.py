"""The training loop of the networks here: Adam, annealed over steps or seconds."""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from pinnsuite.errors import OptionError
from pinnsuite.solution.solution import Status
from pinnsuite.solver import Progress

WARM_UP = 0.1
"""Share of the training in which the learning rate rises."""

VALIDATIONS = 40
"""How often a validation loss is looked at."""


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[torch.Generator]:
    """Yield a generator; torch's own is seeded inside and given back as it was.

    torch initialises layers by its global generator only.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)


def num_parameters(module: torch.nn.Module) -> int:
    """Return the number of trained real numbers."""
    return sum(p.numel() for p in module.parameters())


def check_positive(**options: int | float) -> None:
    """Raise `OptionError` for the first option that is not positive."""
    for name, value in options.items():
        if not value > 0:
            raise OptionError(f"{name} is {value}; needed is a positive number.")


@dataclass(frozen=True, eq=False)
class Training:
    """How a training went.

    Attributes
    ----------
    loss, cpu_s
        One entry a step: the loss and the CPU seconds since the start.
    stop_reason
        `steps`, `budget` or `nan`.
    """

    loss: np.ndarray
    cpu_s: np.ndarray
    stop_reason: str

    @property
    def status(self) -> Status:
        """NAN if the loss was not finite, else OK."""
        return Status.NAN if self.stop_reason == "nan" else Status.OK

    @property
    def history(self) -> dict[str, np.ndarray]:
        """The series for a solution."""
        return {"loss": self.loss, "cpu_s": self.cpu_s}

    @property
    def details(self) -> dict[str, int | str]:
        """The numbers and words for a solution."""
        return {"steps": len(self.loss), "stop_reason": self.stop_reason}


def train(
    module: torch.nn.Module,
    loss: Callable[[], torch.Tensor],
    *,
    steps: int,
    learning_rate: float,
    budget: float | None,
    progress: Progress,
    validate: Callable[[], float] | None = None,
) -> Training:
    """Minimise `loss` over the parameters of `module` by Adam.

    The learning rate rises linearly and then falls to 0 as a cosine; the gradient is
    cut to norm 1. How far it is counts in steps or in seconds of the budget, whichever
    is further, so that a training that the budget ends is annealed too.

    Parameters
    ----------
    loss
        Draws its own batch.
    budget
        CPU seconds, or None.
    validate
        A loss on data that is not trained on: the parameters where it was smallest are
        restored at the end.

    Source: D. P. Kingma and J. Ba, ICLR 2015 (arXiv:1412.6980); I. Loshchilov and
    F. Hutter, ICLR 2017 (arXiv:1608.03983).
    """
    optimiser = torch.optim.Adam(module.parameters(), learning_rate)
    begin = time.process_time()
    losses: list[float] = []
    seconds: list[float] = []
    best, kept = math.inf, copy.deepcopy(module.state_dict())
    reason, looked = "steps", 0
    for step in range(steps):
        spent = time.process_time() - begin
        done = step / steps
        if budget is not None:
            done = max(done, spent / budget)
        if done >= 1:
            reason = "budget"
            break
        for group in optimiser.param_groups:
            group["lr"] = learning_rate * _annealed(done)
        optimiser.zero_grad()
        value = loss()
        losses.append(float(value.detach()))
        seconds.append(spent)
        if not math.isfinite(losses[-1]):
            reason = "nan"
            break
        torch.autograd.backward(value)
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        if done * VALIDATIONS >= looked:
            looked += 1
            progress(done, f"loss {losses[-1]:.3g}")
            if validate is not None:
                with torch.no_grad():
                    held_out = validate()
                if held_out < best:
                    best, kept = held_out, copy.deepcopy(module.state_dict())
    if validate is not None:
        module.load_state_dict(kept)
    return Training(np.array(losses), np.array(seconds), reason)


def _annealed(done: float) -> float:
    if done < WARM_UP:
        return (done + 0.01) / (WARM_UP + 0.01)
    return 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))
