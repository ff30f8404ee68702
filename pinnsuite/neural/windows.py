"""Windows in time: one network after the other, each from the state of the last one.

Over a long interval a network may learn a residual that is small and a solution that is
wrong, because nothing tells it that time has a direction. A window's network starts
from the state at the end of the window before, `u = u_k(x) + (t - t_k) N(t, x)` for
equations of first order in time (`Past`), so an early error is not traded for a late
one, and from that window's weights.

Source: A. S. Krishnapriyan et al., Advances in Neural Information Processing Systems 34
(2021), arXiv:2109.01050 (sequence to sequence); C. L. Wight, J. Zhao, Communications in
Computational Physics 29 (2021) 930-954, DOI 10.4208/cicp.OA-2020-0086 (time marching);
M. Penwarden et al., Journal of Computational Physics 493 (2023) 112464,
DOI 10.1016/j.jcp.2023.112464 (both, and what is kept from window to window).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, astuple

import torch

from pinnsuite.neural.residual import Residual
from pinnsuite.neural.snapshot import Course, Stopwatch
from pinnsuite.neural.training import Training, TrainingOptions
from pinnsuite.neural.verdict import Verdict
from pinnsuite.neural.weights import Model, load
from pinnsuite.problem.conditions import Observed
from pinnsuite.problem.definition import Problem
from pinnsuite.solution.solution import Snapshot
from pinnsuite.solver import Progress

logger = logging.getLogger(__name__)

FIRST_NUMBER = 8
"""Windows of the length that "auto" begins with."""
SHORTEST_WINDOW = 1e-3
"""Share of the time interval below which a window is not halved."""
EASY = 0.01
"""Share of the tolerance below which the next window is twice as long."""
TELLING_STEPS = 200
"""Steps before which a residual says nothing about a window's length."""


class Windows:
    """Trainings that follow each other in time; a single one where that makes no sense.

    It makes none for stationary problems, and measurements speak about all times at
    once.

    Attributes
    ----------
    trained
        One training a window.
    """

    def __init__(
        self,
        options: TrainingOptions,
        problem: Problem,
        found: Sequence[Residual],
        watch: Stopwatch,
    ) -> None:
        self._options, self._problem, self._found = options, problem, found
        self._course = Course(watch)
        self._start: Model | None = None
        if options.start is not None:
            self._start = load(options.start)
            self._start.require_trained_on(problem)
        is_one = (
            problem.time is None or problem.unknowns or problem.conditions_of(Observed)
        )
        self._number = 1 if is_one else options.windows
        self._length = math.inf
        if problem.time is not None:
            number = FIRST_NUMBER if self._number == "auto" else int(self._number)
            self._length = (problem.time.end - problem.time.start) / number
        self.trained: list[Training] = []
        self._begin()
        if self._start is not None:
            network = self.last.trial.network
            self._start.require_network(network.sizes, network.activation)

    @property
    def last(self) -> Training:
        """The training of the last window so far."""
        return self.trained[-1]

    @property
    def losses(self) -> list[float]:
        """Of all steps, window after window."""
        return [loss for w in self.trained for loss in w.losses]

    @property
    def snapshots(self) -> list[Snapshot]:
        """Of all windows."""
        return self._course.snapshots

    def run(self, progress: Progress, budget: float | None) -> str:
        """Train window after window, and return what ended it.

        Each window has the share of the CPU seconds left that it has of the time left.
        With "auto" it is halved if the residual at fresh points is not below the
        tolerance then, and the one after it is twice as long if it is far below. After
        few steps the residual says nothing of the length: the window is taken.
        """
        watch, tolerance = self._course.watch, self._options.tolerance
        while True:
            training, spent = self.last, watch.cpu_s
            done, share = self._shares()
            until = budget
            if budget is not None and spent < budget:
                until = spent + (budget - spent) * share
            reason = training.run(_part(progress, done, (1.0 - done) * share), until)
            is_over = budget is not None and watch.cpu_s >= budget
            worst = math.nan
            if self._number == "auto" and not (self._is_saved or is_over):
                worst = math.inf if training.trouble else training.verdict().worst
            if worst > tolerance and len(training.losses) >= TELLING_STEPS:
                start, end = training.window
                logger.debug("[%g, %g] has residual %.1e: halved", start, end, worst)
                self._length = (end - start) / 2
                if self._length < SHORTEST_WINDOW * self._whole:
                    return f"windows shorter than {end - start:.1e} at t = {start:.6g}"
                self.trained.pop()
            elif training.trouble or share == 1.0:
                return reason
            elif is_over:
                is_idle = not (training.losses or self._is_saved)
                if is_idle and len(self.trained) > 1:
                    self.trained.pop()
                return "the budget"
            elif worst <= EASY * tolerance:
                self._length *= 2
            self._begin()

    @property
    def _whole(self) -> float:
        assert self._problem.time is not None
        return self._problem.time.end - self._problem.time.start

    @property
    def _is_saved(self) -> bool:
        """Whether the last window is one of those that the training starts from."""
        return self._start is not None and len(self.trained) <= len(
            self._start.parameters
        )

    def _shares(self) -> tuple[float, float]:
        """Return the share of time done before the last window, and its of the rest."""
        if self._problem.time is None:
            return 0.0, 1.0
        (start, end), last = self.last.window, self._problem.time.end
        return 1.0 - (last - start) / self._whole, (end - start) / (last - start)

    def _begin(self) -> None:
        """Add the training of the next window."""
        number = len(self.trained)
        before = self.trained[-1] if self.trained else None
        window, first = None, None
        if self._start is not None and number < len(self._start.parameters):
            first = self._start.parameters[number]
            if self._start.edges is not None:
                window = self._start.edges[number], self._start.edges[number + 1]
        elif self._problem.time is not None:
            start = self._problem.time.start if before is None else before.window[1]
            left = self._problem.time.end - start
            # Windows of one length share what is left: no sliver at the end.
            parts = max(1, math.ceil(left / self._length - 0.01))
            end = self._problem.time.end if parts == 1 else start + left / parts
            window = start, end
        self.trained.append(
            Training(
                self._options,
                self._problem,
                self._found,
                self._course,
                window=window,
                before=before,
                start=self._start,
                first=first,
            )
        )

    def verdict(self) -> Verdict:
        """Return the worst of each number over all windows, and over what is left.

        What no window has reached keeps its last state, which is no solution.
        """
        rest = self.last.rest()
        everywhere = [*self.trained, *([] if rest is None else [rest])]
        numbers = [astuple(w.verdict()) for w in everywhere]
        return Verdict(*map(max, zip(*numbers, strict=True)))

    def model(self) -> Model:
        """Return what is to be saved of the present state."""
        trial = self.last.trial
        edges = None
        if self._problem.time is not None:
            edges = [self._problem.time.start, *(w.window[1] for w in self.trained)]
        return Model(
            torch.stack([w.parameters for w in self.trained]),
            edges,
            trial.features.frequencies,
            trial.magnitudes,
            self._problem.definition_hash,
            trial.network.sizes,
            trial.network.activation,
            asdict(self._options),
        )


def _part(progress: Progress, done: float, share: float) -> Progress:
    """Return the progress of a share of the work after what is done."""

    def report(fraction: float, note: str) -> None:
        progress(done + fraction * share, note)

    return report
