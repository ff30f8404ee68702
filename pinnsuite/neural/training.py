"""The training of a network: its points and its optimisers, one stage after another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from pinnsuite.neural.interval import Inference, infer
from pinnsuite.neural.objective import CollocationObjective, Term
from pinnsuite.neural.optimisers import Optimiser, make_optimiser
from pinnsuite.neural.option import DTYPES
from pinnsuite.neural.residual import (
    INTERIOR,
    Place,
    Residual,
    from_unknown,
    natural_scale,
    values_known,
)
from pinnsuite.neural.sampling import counts, interior, limits, sample
from pinnsuite.neural.snapshot import (
    FIRST_SNAPSHOT,
    SNAPSHOT_RATIO,
    Stopwatch,
    evaluator,
)
from pinnsuite.neural.trial import Trial, exact_conditions, trial
from pinnsuite.neural.verdict import Verdict, verdict
from pinnsuite.neural.weights import Model, load
from pinnsuite.problem.conditions import Periodic
from pinnsuite.problem.definition import Problem
from pinnsuite.solution.solution import Evaluator, Snapshot
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
    start: str | None = None


class Training:
    """The state of one training.

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
        watch: Stopwatch,
    ) -> None:
        self._options = options
        self._problem = problem
        self._watch = watch
        self._seeds = np.random.default_rng(options.seed)
        self._generator = torch.Generator().manual_seed(options.seed)
        self._dtype = DTYPES[options.dtype]
        self._device = torch.device(options.device)
        samples = self._sampled(dict.fromkeys(r.place for r in found))
        start = None if options.start is None else load(options.start)
        if start is not None:
            start.require_trained_on(problem)
        magnitudes = (
            values_known(problem, samples, found)
            if start is None
            else list(start.magnitudes)
        )
        exact = None
        if options.hard_conditions != "off":
            pieces = options.hard_conditions == "all"
            exact = exact_conditions(problem, pieces=pieces)
        ends = limits(problem)
        hidden = (options.width,) * options.depth
        self.trial: Trial = trial(
            problem,
            ends,
            magnitudes,
            exact,
            hidden,
            options.activation,
            self._frequencies(len(ends)) if start is None else start.frequencies,
        )
        held = [
            r
            for r in found
            if any(e.holds(r) for e in self.trial.exact)
            or (exact is not None and isinstance(r.condition, Periodic))
        ]
        self.exact_names = [r.name for r in held]
        guesses = [self._tensor(np.array(u.guess)) for u in problem.unknown_scalars]
        lengths = (ends[:, 1] - ends[:, 0]) / 2
        weight = {"interior": 1.0, "observed": options.data_weight}
        terms: dict[Place, list[Term]] = {}
        sets = {p: (self._tensor(x), self._tensor(d)) for p, (x, d) in samples.items()}
        for r in found:
            if r in held:
                continue
            scale = natural_scale(
                r, *sets[r.place], guesses, magnitudes, lengths, self._generator
            )
            term = Term(r, scale, weight.get(r.place.kind, options.boundary_weight))
            terms.setdefault(r.place, []).append(term)
        self.objective = CollocationObjective(
            self.trial, problem.unknown_scalars, terms, options.batch
        )
        for place in terms:
            self.objective.put(place, *sets[place])
        network = self.trial.network
        if start is None:
            weights = network.initial(self._generator)
            free = torch.tensor([from_unknown(u) for u in problem.unknown_scalars])
            first = torch.cat([weights, free.double()])
        else:
            start.require_network(network.sizes, network.activation)
            first = start.parameters
        self.parameters = first.to(self._device, self._dtype)
        self.losses: list[float] = []
        self.snapshots: list[Snapshot] = []
        self._next_snapshot = FIRST_SNAPSHOT
        self.trouble = ""

    def _sampled(
        self, places: Mapping[Place, Any], times: int = 1
    ) -> dict[Place, tuple[np.ndarray, np.ndarray]]:
        o = self._options
        initial = o.initial_points or o.boundary_points
        number = counts(
            self._problem, places, times * o.points, times * o.boundary_points, initial
        )
        return {p: sample(self._problem, p, n, self._seed()) for p, n in number.items()}

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
        """Train, and return what ended it."""
        o = self._options
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
                spent = self._watch.cpu_s
                if budget is not None and spent >= budget:
                    return "the budget"
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
                self._snapshot(loss)
                if reason:
                    break
                if step % 20 == 0:
                    share = max(
                        len(self.losses) / total, spent / budget if budget else 0
                    )
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
        n = self._options.points
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

    def _snapshot(self, loss: float) -> None:
        spent = self._watch.cpu_s
        if spent < self._next_snapshot:
            return
        self.snapshots.append(
            Snapshot(spent, self._watch.wall_s, loss, self.evaluator())
        )
        while self._next_snapshot <= spent:
            self._next_snapshot *= SNAPSHOT_RATIO

    def evaluator(self) -> Evaluator:
        """Return the fields of the present parameters as a function of points."""
        weights = self.parameters[: self.trial.network.num_parameters].clone()
        return evaluator(
            self._problem, lambda x: self.trial(weights, x), self._dtype, self._device
        )

    def model(self) -> Model:
        """Return what is to be saved of the present state."""
        return Model(
            self.parameters,
            self.trial.features.frequencies,
            self.trial.magnitudes,
            self._problem.definition_hash,
            self.trial.network.sizes,
            self.trial.network.activation,
            asdict(self._options),
        )

    def coefficients(self) -> dict[str, float]:
        """Return the unknown coefficients by name."""
        return self.objective.coefficients(self.parameters)
