"""DeepXDE's own network and optimisers, behind the same door as every other solver.

Residuals, points and natural sizes are those that `PINN` gets; differentiation, loss
and training are DeepXDE's.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import sympy as sp
import torch

from pinnsuite.neural.deepxde_session import session
from pinnsuite.neural.networks import Features
from pinnsuite.neural.pinn import (
    DTYPES,
    FIRST_SNAPSHOT,
    INTERIOR,
    SNAPSHOT_RATIO,
    Stopwatch,
    at_least,
    choice,
    evaluator,
    positive,
)
from pinnsuite.neural.residual import (
    Magnitude,
    Place,
    Residual,
    from_unknown,
    natural_scale,
    residuals,
    to_unknown,
    values_known,
    why_no_strong_form,
)
from pinnsuite.neural.sampling import counts, limits, sample
from pinnsuite.neural.trial import Exact, exact_conditions, trial
from pinnsuite.problem.conditions import Periodic
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.jets import Jet
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Evaluator, Snapshot, Solution, Status, failed
from pinnsuite.solution.support import common_support
from pinnsuite.solver import Progress, require_supported, silent

LOOK_EVERY = 50
"""L-BFGS iterations between two looks at the clock, each worth about one of them."""
ACTIVATIONS = {"tanh": "tanh", "sine": "sin"}
"""Our names and DeepXDE's."""
INITIALISERS = {"glorot_normal": "Glorot normal", "glorot_uniform": "Glorot uniform"}
OPTIMISERS = ("lbfgs",)


@dataclass(frozen=True)
class DeepXDE:
    """A network trained by DeepXDE: its Adam, then its L-BFGS.

    A fully connected network and full batches of fixed points. The defaults are what
    its documentation advises: all conditions in the loss, float64 for L-BFGS, inputs
    scaled to [-1, 1], outputs and loss terms scaled to order one. Its examples do
    without some of this: `scaling = "off"` and `dtype = "float32"` are theirs, and some
    build conditions in.

    Source: L. Lu, X. Meng, Z. Mao, G. E. Karniadakis, SIAM Review 63 (2021) 208-228,
    DOI 10.1137/19M1274067.

    Attributes
    ----------
    width, depth
        Neurons a hidden layer, and hidden layers.
    activation
        `tanh` or `sine`.
    initialiser
        Of the weights: `glorot_normal` or `glorot_uniform`; biases start at zero.
    sine_features
        The number n of features sin z, sin 2z, … sin nz that a network gets of each
        input z beside it.
    points, boundary_points, initial_points
        Inside, on all boundaries together, and at the start (None: as many as on the
        boundaries). What DeepXDE calls `num_domain`, `num_boundary` and `num_initial`
        are all points of the equations, and their sum is what `points` is here.
    adam_steps, adam_rate
        Steps and step size of Adam.
    optimiser
        What follows it: `lbfgs`.
    steps
        Largest number of iterations of `optimiser`.
    scaling
        `auto` scales inputs to [-1, 1], and outputs and terms of the loss by their
        natural sizes. `off` leaves them as they are: raw coordinates, raw outputs,
        unknown coefficients that are the trained variables themselves, whose limits are
        not imposed.
    hard_conditions
        `auto` builds Dirichlet values on sides of boxes and initial values in where
        they fit, as `PINN` does, and with scaled inputs periodicity; unscaled, the
        factor is the bare product of the distances to the sides, x (1 - x). `off`
        leaves all to the loss.
    boundary_weight
        Weight of the conditions and measurements in the loss.
    dtype, device
        `float64` or `float32`, and where to compute, as torch names it.
    seed
        Of the initial weights and of all points.
    """

    family: ClassVar[str] = "pinn"

    width: int = 20
    depth: int = 3
    activation: str = "tanh"
    initialiser: str = "glorot_normal"
    sine_features: int = 0
    points: int = 2000
    boundary_points: int = 400
    initial_points: int | None = None
    adam_steps: int = 5000
    adam_rate: float = 1e-3
    optimiser: str = "lbfgs"
    steps: int = 5000
    scaling: str = "auto"
    hard_conditions: str = "off"
    boundary_weight: float = 1.0
    dtype: str = "float64"
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("width", "depth", "points", "boundary_points", "initial_points"):
            at_least(self, name, 1)
        for name in ("sine_features", "adam_steps", "steps", "seed"):
            at_least(self, name, 0)
        for name in ("adam_rate", "boundary_weight"):
            positive(self, name)
        choice(self, "activation", ACTIVATIONS)
        choice(self, "initialiser", INITIALISERS)
        choice(self, "optimiser", OPTIMISERS)
        choice(self, "scaling", ("auto", "off"))
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
        with _environment_as_found():
            return self._solve(problem, progress, budget)

    def _solve(
        self, problem: Problem, progress: Progress, budget: float | None
    ) -> Solution:
        clock = Clock()
        with clock.phase("symbolic"):
            found = residuals(problem)
        # Importing is nobody's training time.
        with clock.phase("compile"), session():
            pass
        watch = Stopwatch()
        with session(dtype=self.dtype, device=self.device, seed=self.seed) as dde:
            with clock.phase("setup"):
                run = _Run(self, problem, found, dde, watch)
            with clock.phase("train"):
                run.train(progress, budget)
        details = {
            "dofs": run.num_parameters,
            "steps": run.steps,
            "stop_reason": run.stop_reason,
            "exact_conditions": run.exact_names,
        }
        history = {name: np.array(series) for name, series in run.history.items()}
        if run.trouble:
            return failed(
                Status.NAN,
                run.trouble,
                cost=clock.cost(),
                history=history,
                snapshots=run.snapshots,
                details=details,
            )
        evaluate = run.evaluator()
        support = common_support(problem)
        with clock.phase("infer"):
            values = evaluate(support.points)
        return Solution(
            support=support,
            fields={n: v.reshape(support.shape) for n, v in values.items()},
            message=f"loss {run.loss:.1e} after {run.steps} steps; stopped by "
            f"{run.stop_reason}",
            evaluator=evaluate,
            coefficients=run.coefficients(),
            cost=clock.cost(),
            history=history,
            snapshots=run.snapshots,
            details=details,
        )


@contextlib.contextmanager
def _environment_as_found() -> Iterator[None]:
    # scikit-learn and torch's optimisers, once used, set variables of their own.
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


class _Derivatives:
    """Derivatives by `dde.grad` on the full outputs, where DeepXDE keeps its cache."""

    def __init__(self, dde: Any, inputs: torch.Tensor, outputs: torch.Tensor) -> None:
        self._dde, self._inputs, self._outputs = dde, inputs, outputs

    def __getitem__(self, jet: Jet) -> torch.Tensor:
        """Return the derivative `jet` at all points: (n,)."""
        along = [k for k, order in enumerate(jet.orders) for _ in range(order)]
        grad, y, x = self._dde.grad, self._outputs, self._inputs
        if not along:
            return y[:, jet.field]
        if len(along) == 1:
            slope: torch.Tensor = grad.jacobian(y, x, i=jet.field, j=along[0])
            return slope[:, 0]
        value: torch.Tensor = grad.hessian(
            y, x, component=jet.field, i=along[-2], j=along[-1]
        )
        for k in reversed(along[:-2]):
            value = grad.jacobian(value, x, i=0, j=k)
        return value[:, 0]


class _Rows:
    """The rows `first:last` of derivatives."""

    def __init__(self, all_rows: _Derivatives, rows: slice) -> None:
        self._all, self._rows = all_rows, rows

    def __getitem__(self, jet: Jet) -> torch.Tensor:
        """Return the derivative `jet` at these rows."""
        return self._all[jet][self._rows]


@dataclass(frozen=True)
class _Raw:
    """The coordinates as they are."""

    size: int
    periodic: tuple[int, ...] = ()

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        """Return the points."""
        return points


@dataclass(frozen=True)
class _WithSines:
    """Features z with sin z, sin 2z, … sin nz behind them."""

    features: Features | _Raw
    number: int

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        """Return the features: (n, features · (1 + number))."""
        z = self.features(points)
        return torch.cat([z, *(torch.sin(k * z) for k in range(1, self.number + 1))], 1)


def _with_bare_factor(exact: Exact, problem: Problem) -> Exact:
    """Return `exact` with the product of the distances to the sides as its factor."""
    leading = sp.LC(sp.expand(exact.factor), *problem.coordinates)
    return replace(exact, factor=exact.factor / abs(leading))


class _Run:
    """One model of DeepXDE and its training."""

    def __init__(
        self,
        options: DeepXDE,
        problem: Problem,
        found: Sequence[Residual],
        dde: Any,
        watch: Stopwatch,
    ) -> None:
        self._options, self._problem = options, problem
        self._dde, self._watch = dde, watch
        self._dtype = DTYPES[options.dtype]
        self._device = torch.device(options.device)
        self.snapshots: list[Snapshot] = []
        self.history: dict[str, list[float]] = {"step": [], "loss": []}
        self.steps, self.loss = 0, math.nan
        self.stop_reason, self.trouble = "the number of steps", ""
        seeds = np.random.default_rng(options.seed)
        o = options
        number = counts(
            problem,
            dict.fromkeys(r.place for r in found),
            o.points,
            o.boundary_points,
            o.initial_points or o.boundary_points,
        )
        samples = {
            p: sample(problem, p, n, int(seeds.integers(1 << 31)))
            for p, n in number.items()
        }
        is_scaled = o.scaling == "auto"
        magnitudes = (
            values_known(problem, samples, found)
            if is_scaled
            else [Magnitude()] * len(problem.fields)
        )
        exact = exact_conditions(problem) if o.hard_conditions == "auto" else None
        if exact is not None and not is_scaled:
            exact = [_with_bare_factor(e, problem) for e in exact]
        ends = limits(problem)
        # Its network is left aside for DeepXDE's.
        fields = trial(
            problem, ends, magnitudes, exact, [o.width] * o.depth, o.activation
        )
        features = fields.features if is_scaled else _Raw(len(ends))
        held = [
            r
            for r in found
            if any(e.holds(r) for e in fields.exact)
            or (features.periodic and isinstance(r.condition, Periodic))
        ]
        self.exact_names = [r.name for r in held]
        self._residuals = [r for r in found if r not in held]
        self._weights = [
            1.0 if r.place == INTERIOR else o.boundary_weight for r in self._residuals
        ]
        if is_scaled:
            scales = self._scales(samples, magnitudes, ends)
            self._weights = [
                w / s**2 for w, s in zip(self._weights, scales, strict=True)
            ]
        self._variables = [
            dde.Variable(from_unknown(u) if is_scaled else u.guess)
            for u in problem.unknown_scalars
        ]
        inputs = features.size * (1 + o.sine_features)
        sizes = [inputs, *([o.width] * o.depth), len(problem.fields)]
        self.net = dde.nn.FNN(
            sizes, ACTIVATIONS[o.activation], INITIALISERS[o.initialiser]
        )
        self.net.apply_feature_transform(_WithSines(features, o.sine_features))
        self.net.apply_output_transform(lambda x, raw: fields.fields(raw, x))
        self._model = dde.Model(self._data(samples, ends), self.net)
        self.num_parameters = len(self._variables) + sum(
            p.numel() for p in self.net.parameters()
        )

    def _scales(
        self,
        samples: Mapping[Place, tuple[np.ndarray, np.ndarray]],
        magnitudes: Sequence[Magnitude],
        ends: np.ndarray,
    ) -> list[float]:
        """Return the natural sizes of the residuals in the loss."""
        guesses = [
            self._tensor(np.array(u.guess)) for u in self._problem.unknown_scalars
        ]
        generator = torch.Generator().manual_seed(self._options.seed)
        lengths = (ends[:, 1] - ends[:, 0]) / 2
        tensors = {
            p: (self._tensor(points), self._tensor(data))
            for p, (points, data) in samples.items()
        }
        return [
            natural_scale(r, *tensors[r.place], guesses, magnitudes, lengths, generator)
            for r in self._residuals
        ]

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.tensor(array, dtype=self._dtype, device=self._device)

    def _unknowns(self) -> list[torch.Tensor]:
        if self._options.scaling == "off":
            return self._variables
        return [
            to_unknown(u, v)
            for u, v in zip(self._problem.unknown_scalars, self._variables, strict=True)
        ]

    def _data(
        self, samples: Mapping[Place, tuple[np.ndarray, np.ndarray]], ends: np.ndarray
    ) -> Any:
        """Return DeepXDE's description of points, equations and conditions."""
        equations = [r for r in self._residuals if r.place == INTERIOR]

        def pde(inputs: torch.Tensor, outputs: torch.Tensor) -> list[torch.Tensor]:
            derivatives = _Derivatives(self._dde, inputs, outputs)
            nothing, unknowns = inputs.detach()[:, :0], self._unknowns()
            return [
                r(inputs, nothing, unknowns, derivatives)[:, None] for r in equations
            ]

        conditions, first = [], 0
        for r in self._residuals[len(equations) :]:
            points, data = samples[r.place]
            rows = slice(first, first + len(points))
            function = self._condition(r, self._tensor(data), rows)
            zeros = np.zeros((len(points), 1))
            conditions.append(
                self._dde.icbc.PointSetOperatorBC(points, zeros, function)
            )
            first = rows.stop
        # All points are given: the geometry only tells the number of coordinates.
        geometry = (
            self._dde.geometry.Interval(*ends[0])
            if len(ends) == 1
            else self._dde.geometry.Hypercube(*ends.T)
        )
        anchors, _ = samples[INTERIOR]
        return self._dde.data.PDE(geometry, pde, conditions, anchors=anchors)

    def _condition(
        self, residual: Residual, data: torch.Tensor, rows: slice
    ) -> Callable[[torch.Tensor, torch.Tensor, np.ndarray], torch.Tensor]:
        """Return the condition as DeepXDE wants it: for all rows, to use its own.

        DeepXDE stacks the points of the conditions in their order.
        """

        def function(
            inputs: torch.Tensor, outputs: torch.Tensor, _: np.ndarray
        ) -> torch.Tensor:
            derivatives = _Rows(_Derivatives(self._dde, inputs, outputs), rows)
            values = residual(inputs[rows], data, self._unknowns(), derivatives)
            if residual.place.kind == "periodic":
                values = values.repeat(2)
            padding = (0, 0, rows.start, len(inputs) - rows.stop)
            return torch.nn.functional.pad(values[:, None], padding)

        return function

    def train(self, progress: Progress, budget: float | None) -> None:
        """Run Adam, then L-BFGS, until the steps or the budget end."""
        o, dde, model = self._options, self._dde, self._model
        run = self
        total = o.adam_steps + o.steps

        class Watcher(dde.callbacks.Callback):  # type: ignore[misc,name-defined]
            next_snapshot = FIRST_SNAPSHOT

            def on_batch_end(self) -> None:
                state = model.train_state
                run.steps = state.step
                run.loss = float(np.sum(state.loss_train))
                if not math.isfinite(run.loss):
                    model.stop_training = True
                    return
                spent = run._watch.cpu_s
                if budget is not None and spent >= budget:
                    run.stop_reason = "the budget"
                    model.stop_training = True
                if spent >= self.next_snapshot:
                    run._snapshot(spent)
                    while self.next_snapshot <= spent:
                        self.next_snapshot *= SNAPSHOT_RATIO
                if run.steps % LOOK_EVERY == 0:
                    share = max(run.steps / total, spent / budget if budget else 0.0)
                    note = f"step {run.steps}, loss {run.loss:.2e}"
                    progress(min(share, 1.0), note)

        watcher = Watcher()
        settings = {
            "loss_weights": self._weights,
            "external_trainable_variables": self._variables,
            "verbose": 0,
        }
        if o.adam_steps:
            model.compile("adam", lr=o.adam_rate, **settings)
            model.train(
                iterations=o.adam_steps,
                display_every=LOOK_EVERY * 2,
                callbacks=[watcher],
                verbose=0,
            )
        if o.steps and not model.stop_training:
            dde.optimizers.set_LBFGS_options(maxiter=o.steps)
            # set_LBFGS_options leaves the iterations between two callbacks at 1000.
            options = dde.optimizers.LBFGS_options
            num_looks = -(-o.steps // LOOK_EVERY)
            options["iter_per_step"] = -(-o.steps // num_looks)
            options["fun_per_step"] = int(1.25 * options["iter_per_step"])
            model.compile("L-BFGS", **settings)
            model.train(callbacks=[watcher], verbose=0)
            if not model.stop_training and self.steps < total:
                self.stop_reason = "L-BFGS, which found no lower point"
        self._finish()

    def _finish(self) -> None:
        log = self._model.losshistory
        self.history["step"] = [float(s) for s in log.steps]
        self.history["loss"] = [float(np.sum(row)) for row in log.loss_train]
        if not math.isfinite(self.loss):
            terms = np.asarray(self._model.train_state.loss_train)
            bad = [
                r.name
                for r, term in zip(self._residuals, terms, strict=True)
                if not math.isfinite(term)
            ]
            self.stop_reason = "a loss that is not finite"
            self.trouble = (
                f"The loss is not finite after {self.steps} steps; so are the terms "
                f"{', '.join(bad)}. Lower adam_rate, or check the domain of the "
                "functions in them (roots and logarithms of negative fields)."
            )

    def _snapshot(self, spent: float) -> None:
        self.snapshots.append(
            Snapshot(spent, self._watch.wall_s, self.loss, self.evaluator())
        )

    def evaluator(self) -> Evaluator:
        """Return the fields of the present weights as a function of points."""
        state = {n: p.detach().clone() for n, p in self.net.named_parameters()}
        return evaluator(
            self._problem,
            lambda x: torch.func.functional_call(self.net, state, (x,)),
            self._dtype,
            self._device,
        )

    def coefficients(self) -> dict[str, float]:
        """Return the unknown coefficients by name."""
        return {
            u.symbol.name: float(v.detach())
            for u, v in zip(
                self._problem.unknown_scalars, self._unknowns(), strict=True
            )
        }
