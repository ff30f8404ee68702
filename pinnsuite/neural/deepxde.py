"""DeepXDE's own network and optimisers, behind the same door as every other solver.

Residuals, points and natural sizes are those that `PINN` gets; differentiation, loss
and training are DeepXDE's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pinnsuite.neural.as_found import environment_as_found
from pinnsuite.neural.deepxde_session import session
from pinnsuite.neural.formulation import (
    Formulation,
    FormulationOptions,
    Raw,
    formulate,
)
from pinnsuite.neural.networks import Features
from pinnsuite.neural.optimisers.torch_optimiser import STEPS_PER_CALL, TorchOptimiser
from pinnsuite.neural.option import DTYPES, at_least, choice
from pinnsuite.neural.residual import INTERIOR, Residual, residuals, why_no_strong_form
from pinnsuite.neural.sampling import limits
from pinnsuite.neural.snapshot import evaluator
from pinnsuite.neural.watch import Watch
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.jets import Jet
from pinnsuite.problem.mixed import mixed
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Evaluator, Solution
from pinnsuite.solver import Progress, require_supported, silent

LOOK_EVERY = 50
"""L-BFGS iterations between two looks at the clock, each worth about one of them."""
ACTIVATIONS = {"tanh": "tanh", "sine": "sin"}
"""Our names and DeepXDE's."""
INITIALISERS = {"glorot_normal": "Glorot normal", "glorot_uniform": "Glorot uniform"}
OPTIMISERS = ("lbfgs", "ssbroyden")


@dataclass(frozen=True)
class DeepXDE(FormulationOptions):
    """A network trained by DeepXDE: its Adam, then its L-BFGS.

    A fully connected network and full batches of fixed points. The defaults are what
    its documentation advises: all conditions in the loss, float64 for L-BFGS, inputs
    scaled to [-1, 1], outputs and loss terms scaled to order one. Its examples do
    without some of this: `scaling = "off"` and `dtype = "float32"` are theirs, and some
    build conditions in. What DeepXDE calls `num_domain`, `num_boundary` and
    `num_initial` are all points of the equations, and `points` is their sum.

    Source: L. Lu, X. Meng, Z. Mao, G. E. Karniadakis, SIAM Review 63 (2021) 208-228,
    DOI 10.1137/19M1274067.

    Attributes
    ----------
    initialiser
        Of the weights: `glorot_normal` or `glorot_uniform`; biases start at zero.
    sine_features
        The number n of features sin z, sin 2z, … sin nz that a network gets of each
        input z beside it.
    optimiser
        What follows Adam: DeepXDE's `lbfgs`, or this package's `ssbroyden` (dense, up
        to about 3000 parameters) handed over as the torch.optim.Optimizer that it
        takes, which tells its engine and its optimiser apart.

    The other options are those of `FormulationOptions`.
    """

    initialiser: str = "glorot_normal"
    sine_features: int = 0
    optimiser: str = "lbfgs"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, "sine_features", 0)
        choice(self, "initialiser", INITIALISERS)
        choice(self, "optimiser", OPTIMISERS)

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
        with environment_as_found():
            return self._solve(problem, progress, budget)

    def _solve(
        self, problem: Problem, progress: Progress, budget: float | None
    ) -> Solution:
        clock = Clock()
        with clock.phase("symbolic"):
            system = mixed(problem)
            found = residuals(system)
        # Importing is nobody's training time.
        with clock.phase("compile"), session():
            pass
        watch = Watch(self.adam_steps + self.steps, budget, progress)
        with session(dtype=self.dtype, device=self.device, seed=self.seed) as dde:
            with clock.phase("setup"):
                run = _Run(self, formulate(system, found, self), dde)
            with clock.phase("train"):
                run.train(watch)
            return watch.solution(
                problem, clock, run.evaluator(), run.coefficients(), run.details
            )


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
class _WithSines:
    """Features z with sin z, sin 2z, … sin nz behind them."""

    features: Features | Raw
    number: int

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        """Return the features: (n, features · (1 + number))."""
        z = self.features(points)
        return torch.cat([z, *(torch.sin(k * z) for k in range(1, self.number + 1))], 1)


class _Run:
    """One model of DeepXDE and its training."""

    def __init__(self, options: DeepXDE, formulation: Formulation, dde: Any) -> None:
        self._options, self._formulation, self._dde = options, formulation, dde
        self._dtype = DTYPES[options.dtype]
        self._device = torch.device(options.device)
        o, f = options, formulation
        self._variables = [dde.Variable(guess) for guess in f.guesses]
        inputs = f.features.size * (1 + o.sine_features)
        sizes = [inputs, *([o.width] * o.depth), len(f.problem.fields)]
        self._net = dde.nn.FNN(
            sizes, ACTIVATIONS[o.activation], INITIALISERS[o.initialiser]
        )
        self._net.apply_feature_transform(_WithSines(f.features, o.sine_features))
        self._net.apply_output_transform(lambda x, raw: f.trial.fields(raw, x))
        self._model = dde.Model(self._data(), self._net)
        weights = sum(p.numel() for p in self._net.parameters())
        self.details = {
            "dofs": len(self._variables) + weights,
            "exact_conditions": f.exact_names,
        }

    def _unknowns(self) -> list[torch.Tensor]:
        return self._formulation.unknowns(self._variables)

    def _data(self) -> Any:
        """Return DeepXDE's description of points, equations and conditions."""
        residuals, samples = self._formulation.residuals, self._formulation.samples
        equations = [r for r in residuals if r.place == INTERIOR]

        def pde(inputs: torch.Tensor, outputs: torch.Tensor) -> list[torch.Tensor]:
            derivatives = _Derivatives(self._dde, inputs, outputs)
            nothing, unknowns = inputs.detach()[:, :0], self._unknowns()
            return [
                r(inputs, nothing, unknowns, derivatives)[:, None] for r in equations
            ]

        conditions, first = [], 0
        for r in residuals[len(equations) :]:
            points, data = samples[r.place]
            rows = slice(first, first + len(points))
            known = torch.tensor(data, dtype=self._dtype, device=self._device)
            zeros = np.zeros((len(points), 1))
            conditions.append(
                self._dde.icbc.PointSetOperatorBC(
                    points, zeros, self._condition(r, known, rows)
                )
            )
            first = rows.stop
        # All points are given: the geometry only tells the number of coordinates.
        ends = limits(self._formulation.problem)
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

    def train(self, watch: Watch) -> None:
        """Run Adam, then the other optimiser, until steps or budget end."""
        o, dde, model = self._options, self._dde, self._model
        run = self

        class Watcher(dde.callbacks.Callback):  # type: ignore[misc,name-defined]
            first, steps_per_call = 0, 1

            def on_batch_end(self) -> None:
                state = model.train_state
                steps = self.first + (state.step - self.first) * self.steps_per_call
                loss = float(np.sum(state.loss_train))
                if watch.note(steps, loss, run.evaluator):
                    model.stop_training = True

        watcher = Watcher()
        settings = {
            "loss_weights": self._formulation.weights,
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
            self._second_stage(watch, watcher, settings)
        if watch.trouble:
            terms = np.asarray(model.train_state.loss_train)
            bad = [
                r.name
                for r, term in zip(self._formulation.residuals, terms, strict=True)
                if not math.isfinite(term)
            ]
            watch.trouble += f" Not finite are the terms {', '.join(bad)}."

    def _second_stage(
        self, watch: Watch, watcher: Any, settings: Mapping[str, Any]
    ) -> None:
        o, model = self._options, self._model
        if o.optimiser == "lbfgs":
            self._dde.optimizers.set_LBFGS_options(maxiter=o.steps)
            # set_LBFGS_options leaves the iterations between two callbacks at 1000.
            options = self._dde.optimizers.LBFGS_options
            num_looks = -(-o.steps // LOOK_EVERY)
            options["iter_per_step"] = -(-o.steps // num_looks)
            options["fun_per_step"] = int(1.25 * options["iter_per_step"])
            model.compile("L-BFGS", **settings)
            model.train(callbacks=[watcher], verbose=0)
            if not model.stop_training and watch.steps < o.adam_steps + o.steps:
                watch.stop_reason = "L-BFGS, which found no lower point"
            return
        ours = TorchOptimiser([*self._net.parameters(), *self._variables], o.optimiser)
        watcher.first = model.train_state.step
        watcher.steps_per_call = STEPS_PER_CALL
        model.compile(ours, **settings)
        model.train(
            iterations=-(-o.steps // STEPS_PER_CALL),
            display_every=1,
            callbacks=[watcher],
            verbose=0,
        )

    def evaluator(self) -> Evaluator:
        """Return the fields of the present weights as a function of points."""
        state = {n: p.detach().clone() for n, p in self._net.named_parameters()}
        return evaluator(
            self._formulation.problem,
            lambda x: torch.func.functional_call(self._net, state, (x,)),
            self._dtype,
            self._device,
        )

    def coefficients(self) -> dict[str, float]:
        """Return the unknown coefficients by name."""
        unknowns = self._formulation.problem.unknown_scalars
        return {
            u.symbol.name: float(v.detach())
            for u, v in zip(unknowns, self._unknowns(), strict=True)
        }
