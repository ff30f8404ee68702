"""The physics-informed neural network: residuals at points, driven to zero."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from pinnsuite.errors import OptionError, unknown_name
from pinnsuite.neural.networks import ACTIVATIONS
from pinnsuite.neural.objective import CollocationObjective, Term
from pinnsuite.neural.optimisers import LimitedMemory, QuasiNewton, SelfScaledBroyden
from pinnsuite.neural.residual import (
    Place,
    Residual,
    from_unknown,
    natural_scale,
    residuals,
    values_known,
    why_no_strong_form,
)
from pinnsuite.neural.sampling import counts, interior, limits, sample
from pinnsuite.neural.trial import Trial, exact_conditions, trial
from pinnsuite.problem.conditions import Periodic
from pinnsuite.problem.definition import Problem
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Evaluator, Snapshot, Solution, Status, failed
from pinnsuite.solution.support import common_support
from pinnsuite.solver import Progress, require_supported, silent

logger = logging.getLogger(__name__)

INTERIOR = Place("interior")
OPTIMISERS = ("ssbroyden", "lbfgs", "adam")
DTYPES = {"float64": torch.float64, "float32": torch.float32}
POOL = 8
"""Candidates for each collocation point when points are drawn anew."""
FIRST_SNAPSHOT, SNAPSHOT_RATIO = 0.25, 1.25
BATCH = 1 << 14


@dataclass(frozen=True)
class PINN:
    """A network trained on the residuals of the equations and conditions.

    The loss is the sum over the equations of the mean square of their residuals at
    collocation points, plus `boundary_weight` times those of the conditions that the
    network does not satisfy by its form, plus `data_weight` times those of
    measurements. Each residual is divided by its natural size (`natural_scale`), so
    equations of different magnitude count alike. Adam comes first, then a quasi-Newton
    method, in full batches; the collocation points are drawn anew where the residual is
    large. The error falls with the loss, not with a mesh width: there is no order of
    convergence, and the residual at fresh points is what is reported.

    An unknown coefficient function is one more output of the network; its range is not
    imposed, the first guess only tells its size.

    Source: M. Raissi, P. Perdikaris, G. E. Karniadakis, Journal of Computational
    Physics 378 (2019) 686-707, DOI 10.1016/j.jcp.2018.10.045; C. Wu et al., Computer
    Methods in Applied Mechanics and Engineering 403 (2023) 115671,
    DOI 10.1016/j.cma.2022.115671 (residual-based adaptive distribution, k = c = 1).

    Attributes
    ----------
    width, depth
        Neurons a hidden layer, and hidden layers.
    activation
        `tanh`, or `sine` for oscillating solutions.
    points
        Collocation points inside.
    boundary_points, initial_points
        Points on all boundaries together, and at the start (None: as many as on the
        boundaries).
    adam_steps, adam_rate
        Steps and step size of Adam.
    optimiser
        What follows Adam: `ssbroyden` (dense, up to about 3000 parameters), `lbfgs`, or
        `adam` for more of it.
    steps
        Steps of `optimiser`.
    resample_every
        Its steps between two draws of collocation points; 0 keeps the first ones.
    boundary_weight, data_weight
        Weights of the conditions' and the measurements' mean squares. Measurements are
        noisy and equations are not, so they weigh less; far less (0.01), and a solution
        of the equations that ignores them may be found.
    hard_conditions
        `auto` builds Dirichlet values on sides of boxes, initial values and periodicity
        into the network where they fit; `off` leaves all to the loss.
    dtype, device
        `float64` or `float32`, and where to compute, as torch names it.
    seed
        Of the initial weights and of all points.
    tolerance
        Largest residual at fresh points, relative to its natural size, that counts as
        solved.
    """

    family: ClassVar[str] = "pinn"
    tuned_on: ClassVar[tuple[str, ...]] = (
        "burgers",
        "heat_l_shape",
        "lid_driven_cavity",
        "lotka_volterra",
    )

    width: int = 20
    depth: int = 3
    activation: str = "tanh"
    points: int = 2000
    boundary_points: int = 400
    initial_points: int | None = None
    adam_steps: int = 100
    adam_rate: float = 2e-3
    optimiser: str = "ssbroyden"
    steps: int = 3000
    resample_every: int = 300
    boundary_weight: float = 50.0
    data_weight: float = 0.1
    hard_conditions: str = "auto"
    dtype: str = "float64"
    device: str = "cpu"
    seed: int = 0
    tolerance: float = 0.1

    def __post_init__(self) -> None:
        for name in ("width", "depth", "points", "boundary_points", "initial_points"):
            at_least(self, name, 1)
        for name in ("adam_steps", "steps", "resample_every", "seed"):
            at_least(self, name, 0)
        for name in ("adam_rate", "boundary_weight", "data_weight", "tolerance"):
            positive(self, name)
        choice(self, "activation", ACTIVATIONS)
        choice(self, "optimiser", OPTIMISERS)
        choice(self, "hard_conditions", ("auto", "off"))
        choice(self, "dtype", DTYPES)

    def why_not(self, problem: Problem) -> str | None:
        """Say which part of `problem` is out of reach, or None."""
        return why_no_strong_form(problem)

    def solve(
        self,
        problem: Problem,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> Solution:
        """Train on `problem` and evaluate on its common support.

        Parameters
        ----------
        problem
            Forward, or inverse with unknown coefficients and measurements.
        progress
            Told how far the work is.
        budget
            CPU seconds of setup and training; the state at their end is returned.

        Raises
        ------
        UnsupportedProblemError
            If `why_not` speaks.
        """
        require_supported(self, problem)
        clock = Clock()
        with clock.phase("symbolic"):
            found = residuals(problem)
        watch = Stopwatch()
        with clock.phase("setup"):
            training = _Training(self, problem, found, watch)
        with clock.phase("train"):
            stop_reason = training.run(progress, budget)
            verdict = training.verdict()
        details = {
            "dofs": len(training.parameters),
            "steps": len(training.losses),
            "stop_reason": stop_reason,
            "exact_conditions": training.exact_names,
            **verdict,
        }
        history = {"loss": np.array(training.losses)}
        if training.trouble:
            return failed(
                Status.NAN,
                training.trouble,
                cost=clock.cost(),
                history=history,
                snapshots=training.snapshots,
                details=details,
            )
        evaluator = training.evaluator()
        support = common_support(problem)
        with clock.phase("infer"):
            values = evaluator(support.points)
        fresh, trained = verdict["fresh_residual"], verdict["training_residual"]
        message = (
            f"residual {fresh:.1e} at fresh points, {trained:.1e} at those trained on, "
            f"relative to natural size; stopped by {stop_reason}"
        )
        is_solved = fresh <= self.tolerance
        return Solution(
            support=support,
            fields={n: v.reshape(support.shape) for n, v in values.items()},
            status=Status.OK if is_solved else Status.NOT_REACHED,
            message=message
            if is_solved
            else f"not below {self.tolerance:g}: {message}",
            evaluator=evaluator,
            coefficients=training.coefficients(),
            cost=clock.cost(),
            history=history,
            snapshots=training.snapshots,
            details=details,
        )


class Stopwatch:
    """CPU and wall seconds since it was made."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    @property
    def cpu_s(self) -> float:
        """CPU seconds of this process."""
        return time.process_time() - self._cpu

    @property
    def wall_s(self) -> float:
        """Wall seconds."""
        return time.perf_counter() - self._wall


class _Training:
    """The state of one training."""

    def __init__(
        self,
        options: PINN,
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
        magnitudes = values_known(problem, samples, found)
        exact = exact_conditions(problem) if options.hard_conditions == "auto" else None
        ends = limits(problem)
        hidden = (options.width,) * options.depth
        self.trial: Trial = trial(
            problem, ends, magnitudes, exact, hidden, options.activation
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
            self.trial, problem.unknown_scalars, terms
        )
        for place in terms:
            self.objective.put(place, *sets[place])
        weights = self.trial.network.initial(self._generator)
        free = torch.tensor([from_unknown(u) for u in problem.unknown_scalars])
        self.parameters = torch.cat([weights, free.double()]).to(
            self._device, self._dtype
        )
        self.losses: list[float] = []
        self.snapshots: list[Snapshot] = []
        self._next_snapshot = FIRST_SNAPSHOT
        self.trouble = ""

    def _sampled(
        self, places: Mapping[Place, None]
    ) -> dict[Place, tuple[np.ndarray, np.ndarray]]:
        o = self._options
        initial = o.initial_points or o.boundary_points
        number = counts(self._problem, places, o.points, o.boundary_points, initial)
        return {p: sample(self._problem, p, n, self._seed()) for p, n in number.items()}

    def _seed(self) -> int:
        return int(self._seeds.integers(1 << 31))

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.tensor(array, dtype=self._dtype, device=self._device)

    def run(self, progress: Progress, budget: float | None) -> str:
        """Train, and return what ended it."""
        o = self._options
        adam_steps = o.adam_steps + (o.steps if o.optimiser == "adam" else 0)
        total = o.adam_steps + o.steps
        leaf = self.parameters.clone().requires_grad_()
        adam = torch.optim.Adam([leaf], lr=o.adam_rate)
        quasi_newton: QuasiNewton | None = None
        for step in range(total):
            if budget is not None and self._watch.cpu_s >= budget:
                return "the budget"
            if step < adam_steps:
                loss, leaf.grad = self.objective(leaf.detach())
                if self._is_broken(loss, leaf.detach()):
                    return "a loss that is not finite"
                adam.step()
                self.parameters = leaf.detach().clone()
            else:
                if quasi_newton is None:
                    quasi_newton = self._quasi_newton()
                elif self._is_due(step - adam_steps):
                    self._resample()
                    quasi_newton.evaluate()
                reason = quasi_newton.step()
                self.parameters, loss = quasi_newton.parameters, quasi_newton.value
                if self._is_broken(loss, self.parameters):
                    return "a loss that is not finite"
                if reason:
                    return reason
            self.losses.append(loss)
            self._snapshot(loss)
            if step % 20 == 0:
                spent = self._watch.cpu_s / budget if budget else 0.0
                share = min(max((step + 1) / total, spent), 1.0)
                progress(share, f"step {step + 1}, loss {loss:.2e}")
        return "the number of steps"

    def _quasi_newton(self) -> QuasiNewton:
        if self._options.optimiser == "lbfgs":
            return QuasiNewton(self.objective, self.parameters, LimitedMemory())
        matrix = SelfScaledBroyden(len(self.parameters), self._dtype, self._device)
        return QuasiNewton(self.objective, self.parameters, matrix)

    def _is_due(self, step: int) -> bool:
        every = self._options.resample_every
        return every > 0 and step % every == 0

    def _is_broken(self, loss: float, parameters: torch.Tensor) -> bool:
        if math.isfinite(loss):
            return False
        bad = self.objective.broken(parameters)
        self.trouble = (
            f"The loss is not finite after {len(self.losses)} steps; so are the terms "
            f"{', '.join(bad)}. Lower adam_rate, or check the domain of the functions "
            "in them (roots and logarithms of negative fields)."
        )
        return True

    def _resample(self) -> None:
        """Draw collocation points anew, more of them where the residual is large."""
        n = self._options.points
        pool = interior(self._problem, POOL * n, self._seed())
        size = torch.cat([self._size(part) for part in np.array_split(pool, POOL)])
        odds = size / size.mean() + 1.0
        if not odds.isfinite().all():
            odds = torch.ones_like(odds)
        chosen = torch.multinomial(odds, n, generator=self._generator).numpy()
        points = self._tensor(pool[chosen])
        self.objective.put(INTERIOR, points, points[:, :0])

    def _size(self, points: np.ndarray) -> torch.Tensor:
        """Return the summed size of the equations' residuals at points: (n,)."""
        at = self._tensor(points)
        values = self.objective.at(INTERIOR, at, at[:, :0], self.parameters).values()
        return torch.stack([v.abs() for v in values]).sum(0).cpu()

    def verdict(self) -> dict[str, float]:
        """Return root mean squares of scaled residuals, at old and at fresh points."""
        places = self.objective.terms
        fresh = self._sampled(dict.fromkeys(places))

        def rms(kinds: Sequence[str], *, is_fresh: bool) -> float:
            squares = []
            for place in places:
                if place.kind in kinds:
                    x, data = (
                        map(self._tensor, fresh[place])
                        if is_fresh
                        else self.objective.points(place)
                    )
                    found = self.objective.at(place, x, data, self.parameters)
                    squares += [float(v.square().mean()) for v in found.values()]
            return math.sqrt(sum(squares) / len(squares)) if squares else 0.0

        conditions = ("initial", "boundary", "periodic")
        return {
            "training_residual": rms(["interior"], is_fresh=False),
            "fresh_residual": rms(["interior"], is_fresh=True),
            "fresh_conditions": rms(conditions, is_fresh=True),
            "data_misfit": rms(["observed"], is_fresh=False),
        }

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

    def coefficients(self) -> dict[str, float]:
        """Return the unknown coefficients by name."""
        return self.objective.coefficients(self.parameters)


def evaluator(
    problem: Problem,
    fields: Callable[[torch.Tensor], torch.Tensor],
    dtype: torch.dtype,
    device: torch.device,
) -> Evaluator:
    """Return the function from numpy points to fields by name, in batches.

    A field that is fixed up to a constant (the hint `gauge`) gets the mean zero.
    """
    names = problem.field_names

    def at(points: np.ndarray) -> np.ndarray:
        parts = np.array_split(points, max(1, -(-len(points) // BATCH)))
        with torch.no_grad():
            values = [
                fields(torch.tensor(x, dtype=dtype, device=device)).cpu().numpy()
                for x in parts
            ]
        return np.concatenate(values).astype(float)

    gauge = problem.hints.get("gauge")
    offsets = np.zeros(len(names))

    def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
        if gauge is not None and not offsets.any():
            column = names.index(gauge)
            offsets[column] = at(interior(problem, BATCH, 0))[:, column].mean()
        return dict(zip(names, (at(points) - offsets).T, strict=True))

    return evaluate


def at_least(options: object, name: str, least: int) -> None:
    """Check a whole-number option; None passes."""
    value = getattr(options, name)
    if value is not None and (not isinstance(value, int) or value < least):
        raise OptionError(
            f"Option {name!r} of {type(options).__name__} is {value!r}; needed is a "
            f"whole number of at least {least}."
        )


def positive(options: object, name: str) -> None:
    """Check an option that must be a positive number."""
    value = getattr(options, name)
    if not (isinstance(value, int | float) and 0 < value < math.inf):
        raise OptionError(
            f"Option {name!r} of {type(options).__name__} is {value!r}; needed is a "
            "positive number."
        )


def choice(
    options: object, name: str, known: Sequence[str] | Mapping[str, object]
) -> None:
    """Check an option that must be one of several words."""
    value = getattr(options, name)
    if value not in known:
        raise OptionError(
            unknown_name(f"{name} of {type(options).__name__}", value, known)
        )
