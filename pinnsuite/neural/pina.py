"""PINA's network, operators and trainer, behind the same door as every other solver.

PINA (MIT licence) is optional: `pip install 'pinnsuite[pina]'`. Residuals, points and
natural sizes are those that `PINN` gets; differentiation, loss and training are PINA's,
and its trainer is Lightning's.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pinnsuite.neural.as_found import environment_as_found, generators_as_found
from pinnsuite.neural.formulation import Formulation, FormulationOptions, formulate
from pinnsuite.neural.option import DTYPES
from pinnsuite.neural.residual import Place, Residual, residuals, why_no_strong_form
from pinnsuite.neural.snapshot import evaluator
from pinnsuite.neural.watch import Watch
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.jets import Jet
from pinnsuite.problem.mixed import mixed
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Evaluator, Solution
from pinnsuite.solver import Progress, require_supported, silent

LOGGERS = ("lightning", "lightning.pytorch", "lightning.pytorch.utilities.rank_zero")
LBFGS_ITERATIONS = 20
"""L-BFGS iterations in an epoch, as torch.optim.LBFGS has it."""


@dataclass(frozen=True)
class PINA(FormulationOptions):
    """A network trained by PINA: Adam, then torch's L-BFGS.

    A feed-forward network with torch's initial weights and full batches of fixed
    points, one epoch a step. The options are those of `FormulationOptions`; `scaling =
    "off"`, `dtype = "float32"` and `steps = 0` are what its tutorials do.

    Source: D. Coscia, A. Ivagnes, N. Demo, G. Rozza, Journal of Open Source Software 8
    (2023) 5352, DOI 10.21105/joss.05352.
    """

    def why_not(self, problem: Problem) -> str | None:
        """Say which part of `problem` is out of reach, or None."""
        if importlib.util.find_spec("pina") is None:
            return "PINA is not installed; pip install 'pinnsuite[pina]'"
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
            system = mixed(problem)
            found = residuals(system)
        with _process_as_found(self.seed):
            # Importing is nobody's training time.
            with clock.phase("compile"):
                for module in ("pina.solver", "pina.model", "pina.optim"):
                    importlib.import_module(module)
            watch = Watch(self.adam_steps + self.steps, budget, progress)
            with clock.phase("setup"):
                run = _Run(self, formulate(system, found, self))
            with clock.phase("train"):
                run.train(watch)
            return watch.solution(
                problem, clock, run.evaluator(), run.coefficients(), run.details
            )


@contextlib.contextmanager
def _process_as_found(seed: int) -> Iterator[None]:
    """Keep what PINA and Lightning change to the block.

    On import PINA replaces the format and the filters of warnings; Lightning logs which
    devices there are, warns of slow loading of data and sets variables.
    """
    shown = warnings.formatwarning
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    with (
        environment_as_found(),
        generators_as_found(),
        warnings.catch_warnings(),
    ):
        importlib.import_module("pina")
        warnings.filterwarnings("ignore", module="lightning|pytorch_lightning|pina")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            warnings.formatwarning = shown
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


class _Derivatives:
    """Derivatives by PINA's gradient, each taken once."""

    def __init__(self, inputs: Any, outputs: Any) -> None:
        self._inputs = inputs
        zero = (0,) * inputs.shape[1]
        self._known = {
            Jet(i, zero): outputs.extract([name])
            for i, name in enumerate(outputs.labels)
        }

    def __getitem__(self, jet: Jet) -> torch.Tensor:
        """Return the derivative `jet` at all points: (n,)."""
        column: torch.Tensor = self._labelled(jet).tensor[:, 0]
        return column

    def _labelled(self, jet: Jet) -> Any:
        if jet not in self._known:
            gradient = importlib.import_module("pina.operator").fast_grad
            along = next(k for k, order in enumerate(jet.orders) if order)
            below = self._labelled(_raised(jet, along, -1))
            all_of_them = gradient(
                below, self._inputs, components=below.labels, d=self._inputs.labels
            )
            for k, name in enumerate(all_of_them.labels):
                found = _raised(_raised(jet, along, -1), k, 1)
                self._known.setdefault(found, all_of_them.extract([name]))
        return self._known[jet]


def _raised(jet: Jet, along: int, by: int) -> Jet:
    orders = list(jet.orders)
    orders[along] += by
    return Jet(jet.field, tuple(orders))


class _Fields(torch.nn.Module):
    """PINA's network between features and fields, with the unknown coefficients."""

    def __init__(
        self, network: torch.nn.Module, formulation: Formulation, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self._network, self._formulation = network, formulation
        self.variables = torch.nn.ParameterList(
            torch.nn.Parameter(torch.tensor(g, dtype=dtype))
            for g in formulation.guesses
        )

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Return the fields at points."""
        at = points.as_subclass(torch.Tensor)
        raw = self._network(self._formulation.features(at))
        return self._formulation.trial.fields(raw, at)


class _Run:
    """One solver of PINA and its training."""

    def __init__(self, options: PINA, formulation: Formulation) -> None:
        o, f = options, formulation
        self._options, self._formulation = o, f
        self._dtype, self._device = DTYPES[o.dtype], torch.device(o.device)
        models = importlib.import_module("pina.model")
        network = models.FeedForward(
            f.features.size,
            len(f.problem.fields),
            layers=[o.width] * o.depth,
            func={"tanh": torch.nn.Tanh, "sine": _Sine}[o.activation],
        )
        self._fields = _Fields(network.to(self._dtype), f, self._dtype)
        self._fields.to(self._device)
        self._problem = self._stated()
        self.details = {
            "dofs": sum(p.numel() for p in self._fields.parameters()),
            "exact_conditions": f.exact_names,
        }

    def _stated(self) -> Any:
        """Return PINA's problem: a condition for each place."""
        pina = importlib.import_module("pina")
        equations = importlib.import_module("pina.equation")
        problems = importlib.import_module("pina.problem")
        f = self._formulation
        names = [x.name for x in f.problem.coordinates]
        outputs = list(f.problem.field_names)
        terms: dict[Place, list[tuple[Residual, float]]] = {}
        for residual, weight in zip(f.residuals, f.weights, strict=True):
            terms.setdefault(residual.place, []).append((residual, weight))
        stated = {}
        for place, here in terms.items():
            points, data = (
                torch.tensor(a, dtype=self._dtype) for a in f.samples[place]
            )
            stated[str(place).replace(" ", "_")] = pina.Condition(
                input=pina.LabelTensor(points, names),
                equation=equations.Equation(self._equation(here, data)),
            )

        class Stated(problems.BaseProblem):  # type: ignore[misc,name-defined]
            spatial_variables = names
            output_variables = outputs
            conditions = stated

        return Stated()

    def _equation(
        self, terms: Sequence[tuple[Residual, float]], data: torch.Tensor
    ) -> Callable[[Any, Any], torch.Tensor]:
        """Return the residuals of a place, one a column.

        PINA takes the mean over the columns too, and a sum is wanted.
        """
        data = data.to(self._device)

        def equation(inputs: Any, outputs: Any) -> torch.Tensor:
            derivatives = _Derivatives(inputs, outputs)
            unknowns = self._formulation.unknowns(list(self._fields.variables))
            columns = [
                (weight * len(terms)) ** 0.5
                * r(inputs.tensor, data, unknowns, derivatives)
                for r, weight in terms
            ]
            return torch.stack(columns, 1)

        return equation

    def train(self, watch: Watch) -> None:
        """Run Adam, then L-BFGS, until steps or budget end."""
        o = self._options
        stages: list[tuple[int, int, type[torch.optim.Optimizer], dict[str, Any]]] = [
            (o.adam_steps, 1, torch.optim.Adam, {"lr": o.adam_rate}),
            (
                -(-o.steps // LBFGS_ITERATIONS),
                LBFGS_ITERATIONS,
                torch.optim.LBFGS,
                {"max_iter": LBFGS_ITERATIONS, "line_search_fn": "strong_wolfe"},
            ),
        ]
        first, is_stopped = 0, False
        for epochs, steps_each, method, settings in stages:
            if epochs and not is_stopped:
                is_stopped = self._stage(
                    watch, first, epochs, steps_each, method, settings
                )
            first += epochs * steps_each

    def _stage(
        self,
        watch: Watch,
        first: int,
        epochs: int,
        steps_each: int,
        method: type[torch.optim.Optimizer],
        settings: dict[str, Any],
    ) -> bool:
        """Train with one optimiser; return whether it was stopped."""
        pina = importlib.import_module("pina")
        solvers = importlib.import_module("pina.solver")
        callbacks = importlib.import_module("lightning.pytorch.callbacks")
        optimiser = importlib.import_module("pina.optim").TorchOptimizer
        run = self

        class Watcher(callbacks.Callback):  # type: ignore[misc,name-defined]
            is_stopped = False

            def on_train_batch_end(
                self, trainer: Any, _: Any, outputs: Any, *_batch: Any
            ) -> None:
                steps = first + (trainer.current_epoch + 1) * steps_each
                if watch.note(steps, float(outputs["loss"]), run.evaluator):
                    trainer.should_stop = self.is_stopped = True

        watcher = Watcher()
        solver = solvers.PhysicsInformedSingleModelSolver(
            self._problem,
            # PINA replaces the `forward` of what it is given.
            torch.nn.Sequential(self._fields),
            optimizer=optimiser(method, **settings),
        )
        pina.Trainer(
            solver,
            max_epochs=epochs,
            accelerator=self._device.type,
            devices=1,
            callbacks=[watcher],
            shuffle=False,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).train()
        return watcher.is_stopped

    def evaluator(self) -> Evaluator:
        """Return the fields of the present weights as a function of points."""
        state = {n: p.detach().clone() for n, p in self._fields.named_parameters()}
        return evaluator(
            self._formulation.problem,
            lambda x: torch.func.functional_call(self._fields, state, (x,)),
            self._dtype,
            self._device,
        )

    def coefficients(self) -> dict[str, float]:
        """Return the unknown coefficients by name."""
        f = self._formulation
        found = f.unknowns([v.detach() for v in self._fields.variables])
        return {
            u.symbol.name: float(v)
            for u, v in zip(f.problem.unknown_scalars, found, strict=True)
        }


class _Sine(torch.nn.Module):
    """The activation sin."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return sin z."""
        return torch.sin(z)
