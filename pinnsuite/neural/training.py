"""The training of a network: its points and its optimisers, one stage after another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from pinnsuite.neural.band import Posterior, posterior
from pinnsuite.neural.interval import Inference, infer
from pinnsuite.neural.objective import CollocationObjective, Term
from pinnsuite.neural.optimisers import Optimiser, make_optimiser
from pinnsuite.neural.option import DTYPES
from pinnsuite.neural.piecewise import Piece, Piecewise
from pinnsuite.neural.residual import (
    INTERIOR,
    Magnitude,
    Place,
    Residual,
    from_unknown,
    natural_scale,
    values_known,
)
from pinnsuite.neural.sampling import counts, interior, limits, sample
from pinnsuite.neural.snapshot import Course, evaluator
from pinnsuite.neural.trial import (
    Exact,
    Past,
    Trial,
    exact_boundaries,
    trial,
    with_initial,
)
from pinnsuite.neural.verdict import Verdict, verdict
from pinnsuite.neural.weights import Model
from pinnsuite.problem.conditions import Initial, Periodic
from pinnsuite.problem.definition import Problem
from pinnsuite.solution.solution import Evaluator
from pinnsuite.solver import Progress

POOL = 8
"""Candidates for each collocation point when points are drawn anew."""
MANY_STEPS, FEW_STEPS = 300, 10
"""Steps between two draws: of cheap steps, and of Gauss-Newton steps."""
GAUSS_NEWTON = ("levenberg-marquardt", "spring")
IN_BATCHES = ("adam", "soap", "spring")
"""Optimisers whose steps may each see other points."""
PROGRESS = 0.99
"""A loss that falls by less than this factor within the patience has stalled."""

Window = tuple[float, float]
"""Start and end of a part of the time interval."""


@dataclass(frozen=True)
class TrainingOptions:
    """What a training is told; `PINN` explains it."""

    width: int = 20
    depth: int = 3
    activation: str = "tanh"
    fourier: float = 0.0
    points: int = 2000
    boundary_points: int = 400
    initial_points: int | None = None
    adam_steps: int = 100
    adam_rate: float = 2e-3
    optimiser: str = "ssbroyden"
    steps: int = 3000
    batch: int | None = None
    resample_every: int | None = None
    patience: int = 0
    boundary_weight: float = 50.0
    data_weight: float = 0.1
    hard_conditions: str = "auto"
    dtype: str = "float64"
    device: str = "cpu"
    seed: int = 0
    tolerance: float = 0.1
    target: float = 0.0
    windows: int | str = 1
    start: str | None = None


class Training:
    """The state of one training: of all the time interval, or of a window of it.

    Natural sizes are those of the whole problem: in units of the window's length, any
    residual would pass in a window that is short enough.

    Parameters
    ----------
    problem, found
        The whole problem and its residuals.
    course
        Takes the snapshots.
    window
        Where in time; None: everywhere.
    before
        The training of the window that ends where this one starts: its state is the
        initial one, its weights are the first.
    start
        A saved network whose magnitudes and frequencies are to be those of this one.
    first
        The parameters to start from, if not those of `before` or random ones.
    orders
        How many time derivatives of each field's state go on, the state included; None:
        as many as there are initial values.

    Attributes
    ----------
    parameters
        Of the network, then of the unknown coefficients.
    losses
        At the start of each step.
    exact_names
        Residuals that vanish by the form of the network.
    trouble
        Why the loss is not finite, or empty.
    """

    def __init__(
        self,
        options: TrainingOptions,
        problem: Problem,
        found: Sequence[Residual],
        course: Course,
        *,
        window: Window | None = None,
        before: Training | None = None,
        start: Model | None = None,
        first: torch.Tensor | None = None,
        orders: tuple[int, ...] | None = None,
    ) -> None:
        self._options, self._whole, self._course = options, problem, course
        self._problem = problem if window is None else within(problem, window)
        self._found = found
        self._dtype = DTYPES[options.dtype]
        self._device = torch.device(options.device)
        if before is None:
            self._seeds = np.random.default_rng(options.seed)
            self._generator = torch.Generator().manual_seed(options.seed)
            self._earlier: tuple[Piece, ...] = ()
            past = None
        else:
            self._seeds, self._generator = before._seeds, before._generator
            self._earlier = before.pieces
            past = before.past(orders or state_orders(problem))
        self._magnitudes: Sequence[Magnitude]
        self._boundaries: Sequence[Exact] | None
        self._waves: torch.Tensor | None
        self.parameters: torch.Tensor
        samples = self._sampled(dict.fromkeys(r.place for r in found))
        sets = {p: (self._tensor(x), self._tensor(d)) for p, (x, d) in samples.items()}
        if before is not None:
            self._magnitudes, self._waves = before._magnitudes, before._waves
            self._boundaries = before._boundaries
        else:
            self._magnitudes = (
                values_known(problem, samples, found)
                if start is None
                else list(start.magnitudes)
            )
            self._boundaries = None
            if options.hard_conditions != "off":
                pieces = options.hard_conditions == "all"
                self._boundaries = exact_boundaries(problem, pieces=pieces)
            self._waves = (
                self._frequencies(len(problem.coordinates))
                if start is None
                else start.frequencies
            )
        self.trial = self._trial(self._problem, past)
        held = [
            r
            for r in found
            if any(e.holds(r) for e in self.trial.exact)
            or (self._boundaries is not None and isinstance(r.condition, Periodic))
        ]
        self.exact_names = [r.name for r in held]
        left = [r for r in found if r not in held]
        # What is left to the loss of a later window is left to that of the first, too.
        self._scales: Mapping[Residual, float] = (
            self._natural_sizes(left, sets) if before is None else before._scales
        )
        weight = {"interior": 1.0, "observed": options.data_weight}
        terms: dict[Place, list[Term]] = {}
        for r in left:
            share = weight.get(r.place.kind, options.boundary_weight)
            terms.setdefault(r.place, []).append(Term(r, self._scales[r], share))
        self.objective = CollocationObjective(
            self.trial, problem.unknown_scalars, terms, options.batch
        )
        for place in terms:
            self.objective.put(place, *sets[place])
        if first is None and before is not None:
            first = before.parameters
        if first is None:
            weights = self.trial.network.initial(self._generator)
            free = torch.tensor([from_unknown(u) for u in problem.unknown_scalars])
            first = torch.cat([weights, free.double()])
        self.parameters = first.to(self._device, self._dtype)
        self.losses: list[float] = []
        self.trouble = ""

    def _trial(self, problem: Problem, past: Past | None) -> Trial:
        """Return the trial fields on the time interval of `problem`."""
        o, exact = self._options, self._boundaries
        if exact is not None and past is None:
            exact = with_initial(problem, exact)
        return trial(
            problem,
            limits(problem),
            self._magnitudes,
            exact,
            (o.width,) * o.depth,
            o.activation,
            self._waves,
            past,
        )

    def _natural_sizes(
        self,
        found: Sequence[Residual],
        sets: Mapping[Place, tuple[torch.Tensor, torch.Tensor]],
    ) -> Mapping[Residual, float]:
        """Return the natural sizes of residuals at these points, see the class."""
        unknowns, ends = self._whole.unknown_scalars, limits(self._whole)
        guesses = [self._tensor(np.array(u.guess)) for u in unknowns]
        lengths = (ends[:, 1] - ends[:, 0]) / 2
        return {
            r: natural_scale(
                r, *sets[r.place], guesses, self._magnitudes, lengths, self._generator
            )
            for r in found
        }

    def _sampled(
        self, places: Mapping[Place, Any], times: int = 1
    ) -> dict[Place, tuple[np.ndarray, np.ndarray]]:
        o = self._options
        initial = o.initial_points or o.boundary_points
        number = counts(
            self._problem,
            places,
            times * self._number_of(o.points),
            times * self._number_of(o.boundary_points),
            initial,
        )
        return {p: sample(self._problem, p, n, self._seed()) for p, n in number.items()}

    def _number_of(self, points: int) -> int:
        """Return how many of the points of the whole interval the window gets.

        The square root of its share of time: fewer, since there is less to resolve, but
        not fewer than a network needs to be pinned down between them.
        """
        whole, mine = self._whole.time, self._problem.time
        if whole is None or mine is None:
            return points
        share = (mine.end - mine.start) / (whole.end - whole.start)
        return max(1, round(points * math.sqrt(share)))

    def _frequencies(self, num_coordinates: int) -> torch.Tensor | None:
        """Return random frequencies of Fourier features, half a width of them."""
        o = self._options
        if not o.fourier:
            return None
        shape = num_coordinates, max(1, o.width // 2)
        normal = torch.randn(shape, generator=self._generator, dtype=torch.float64)
        return o.fourier * normal

    def _seed(self) -> int:
        return int(self._seeds.integers(1 << 31))

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.tensor(array, dtype=self._dtype, device=self._device)

    def run(self, progress: Progress, budget: float | None) -> str:
        """Train until the watch shows the budget, and return what ended it."""
        o = self._options
        begun = self._course.watch.cpu_s
        stages = [(o.optimiser, o.steps)]
        if o.adam_steps:
            stages.insert(0, ("adam", o.adam_steps))
        total = sum(steps for _, steps in stages)
        reason: str | None = None
        for name, steps in stages:
            optimiser = self._optimiser(name)
            every = o.resample_every
            if every is None:
                every = FEW_STEPS if name in GAUSS_NEWTON else MANY_STEPS
            for step in range(steps):
                spent = self._course.watch.cpu_s
                if budget is not None and spent >= budget:
                    return "the budget"
                share = len(self.losses) / total
                if budget is not None:
                    share = max(share, (spent - begun) / (budget - begun))
                if every and step and step % every == 0:
                    if self._resample() <= o.target:
                        return f"a residual at fresh points below {o.target:g}"
                    optimiser.evaluate()
                elif o.batch and name in IN_BATCHES:
                    self.objective.draw(self._generator)
                    optimiser.evaluate()
                loss = optimiser.value
                if self._is_broken(loss):
                    return "a loss that is not finite"
                self.losses.append(loss)
                if self._has_stalled():
                    return f"a loss that did not fall for {o.patience} steps"
                reason = optimiser.step()
                self.parameters = optimiser.parameters
                self._course.note(loss, self.evaluator)
                if reason:
                    break
                if step % 20 == 0:
                    progress(min(share, 1.0), f"step {step + 1}, loss {loss:.2e}")
            self.objective.draw(None)
        return reason or "the number of steps"

    def _optimiser(self, name: str) -> Optimiser:
        options: dict[str, Any] = {}
        if name == "adam":
            options["rate"] = self._options.adam_rate
        elif name == "soap":
            number = self.trial.network.num_parameters
            layers = self.trial.network.layers(self.parameters[:number])
            options["shapes"] = [a.shape for layer in layers for a in layer]
            if self._problem.unknown_scalars:
                options["shapes"].append((len(self._problem.unknown_scalars),))
        return make_optimiser(name, self.objective, self.parameters, **options)

    def _has_stalled(self) -> bool:
        patience = self._options.patience
        if not patience or len(self.losses) % 20 or len(self.losses) <= 2 * patience:
            return False
        before, now = self.losses[:-patience], self.losses[-patience:]
        return min(now) > PROGRESS * min(before[-patience:])

    def _is_broken(self, loss: float) -> bool:
        if math.isfinite(loss):
            return False
        bad = self.objective.broken(self.parameters)
        self.trouble = (
            f"The loss is not finite after {len(self.losses)} steps; so are the terms "
            f"{', '.join(bad)}. Lower adam_rate, or check the domain of the functions "
            "in them (roots and logarithms of negative fields)."
        )
        return True

    def _resample(self) -> float:
        """Draw collocation points anew, more of them where the residual is large.

        Returns
        -------
        float
            Root mean square of the scaled residuals at the points to choose from,
            which were not trained on.
        """
        n = self._number_of(self._options.points)
        pool = interior(self._problem, POOL * n, self._seed())
        at = self._tensor(pool)
        values = list(
            self.objective.at(INTERIOR, at, at[:, :0], self.parameters).values()
        )
        size = torch.stack([v.abs() for v in values]).sum(0).cpu()
        odds = size / size.mean() + 1.0
        if not odds.isfinite().all():
            odds = torch.ones_like(odds)
        chosen = torch.multinomial(odds, n, generator=self._generator)
        points = at[chosen.to(at.device)]
        self.objective.put(INTERIOR, points, points[:, :0])
        return float(torch.stack(values).square().mean().sqrt())

    def verdict(self) -> Verdict:
        """Return how well the equations and conditions hold at fresh points."""
        fresh = self._sampled(self.objective.terms, POOL)
        sets = {p: (self._tensor(x), self._tensor(d)) for p, (x, d) in fresh.items()}
        return verdict(self.objective, sets, self.parameters)

    def inference(self) -> Inference | None:
        """Return intervals of the unknown coefficients, see `interval.infer`."""
        self.objective.draw(None)
        return infer(self.objective, self._problem.unknown_scalars, self.parameters)

    def posterior(self) -> Posterior | None:
        """Return what is known of the unknown functions, see `band.posterior`."""
        self.objective.draw(None)
        return posterior(self.objective, self.trial, self._problem, self.parameters)

    @property
    def window(self) -> Window:
        """Start and end of the time that is trained on."""
        assert self._problem.time is not None
        return self._problem.time.start, self._problem.time.end

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The trained fields of the windows so far, this one included."""
        number = self.trial.network.num_parameters
        weights = self.parameters[:number].clone()
        time = self._problem.time
        end = math.inf if time is None else time.end
        return (*self._earlier, Piece(self.trial, weights, end))

    def past(self, orders: tuple[int, ...]) -> Past:
        """Return the state at the end of the window, see `Past`."""
        last = self.pieces[-1]
        return Past(last.trial, last.weights, last.end, orders)

    def rest(self) -> Training | None:
        """Return what stands for the time after the window: its last state, at rest.

        It is the next window's trial before any training, all outputs zero, without
        slopes in time. None if the window is the last one.
        """
        window = self._window_left()
        if window is None:
            return None
        return Training(
            self._options,
            self._whole,
            self._found,
            self._course,
            window=window,
            before=self,
            first=torch.zeros_like(self.parameters),
            orders=self._still,
        )

    @property
    def _still(self) -> tuple[int, ...]:
        """Orders of a `Past` that keeps every field as it is."""
        return (1,) * len(self._whole.fields)

    def _window_left(self) -> Window | None:
        whole, mine = self._whole.time, self._problem.time
        if whole is None or mine is None or mine.end >= whole.end:
            return None
        return mine.end, whole.end

    def evaluator(self) -> Evaluator:
        """Return the fields of the present parameters as a function of points."""
        pieces, window = self.pieces, self._window_left()
        if window is not None:
            still = self._trial(within(self._whole, window), self.past(self._still))
            pieces += (Piece(still, torch.zeros_like(pieces[-1].weights), window[1]),)
        return evaluator(self._whole, Piecewise(pieces), self._dtype, self._device)

    def coefficients(self) -> dict[str, float]:
        """Return the unknown coefficients by name."""
        return self.objective.coefficients(self.parameters)


def within(problem: Problem, window: Window) -> Problem:
    """Return the problem on a part of its time interval."""
    assert problem.time is not None
    start, end = window
    return replace(problem, time=replace(problem.time, start=start, end=end))


def state_orders(problem: Problem) -> tuple[int, ...]:
    """Return how many initial values each field has: its order in time."""
    starts = problem.conditions_of(Initial)
    return tuple(sum(c.field == f for c in starts) for f in problem.fields)
