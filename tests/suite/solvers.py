"""Solvers that end in every way there is; files like this one are a user's own."""

import ctypes
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution
from pinnsuite.solution.support import Grid


@dataclass(frozen=True)
class Fake:
    """Answers a restoration with the noisy signal, or misbehaves as told."""

    family: ClassVar[str] = "signal"

    how: str = "answer"
    seed: int = 0
    seconds: float = 60.0

    def why_not(self, problem):
        return "it is shy" if self.how == "refuse" else None

    def solve(self, problem, *, progress=None, budget=None):
        clock = Clock()
        with clock.phase("solve"):
            getattr(self, self.how)(progress)
        signal = problem.given["noisy"].copy()
        if self.how == "nan":
            signal[3] = np.nan
        assert problem.truth is None
        return Solution(
            Grid(dict(problem.coordinates)),
            {"signal": signal},
            cost=clock.cost(),
            details={"dofs": 7, "budget": budget},
        )

    def answer(self, progress):
        progress(0.5, "half way")

    nan = answer

    def fail(self, progress):
        raise ValueError("no luck")

    def segfault(self, progress):
        ctypes.string_at(0)

    def leave(self, progress):
        os._exit(3)

    def leave_politely(self, progress):
        sys.exit(5)

    def sleep(self, progress):
        time.sleep(self.seconds)

    def sleep_deaf(self, progress):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(self.seconds)

    def eat(self, progress):
        eaten = []
        while True:
            eaten.append(np.ones(2**22))
            time.sleep(0.02)

    def starve(self, progress):
        raise MemoryError


@dataclass(frozen=True)
class Classical(Fake):
    """The same, as a classical solver: timed several times."""

    family: ClassVar[str] = "classical"
