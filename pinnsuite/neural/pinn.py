"""The physics-informed neural network: residuals at points, driven to zero."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from pinnsuite.errors import OptionError
from pinnsuite.neural.band import MOST_RESIDUAL, Band, in_details
from pinnsuite.neural.networks import ACTIVATIONS
from pinnsuite.neural.optimisers import OPTIMISERS
from pinnsuite.neural.option import DTYPES, at_least, choice, positive
from pinnsuite.neural.residual import residuals, why_no_strong_form
from pinnsuite.neural.snapshot import Stopwatch
from pinnsuite.neural.training import IN_BATCHES, TrainingOptions
from pinnsuite.neural.windows import Windows
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.mixed import mixed
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solution.support import common_support
from pinnsuite.solver import Progress, require_supported, silent


@dataclass(frozen=True)
class PINN(TrainingOptions):
    """A network trained on the residuals of the equations and conditions.

    The loss is the sum over the equations of the mean square of their residuals at
    collocation points, plus `boundary_weight` times those of the conditions that the
    network does not satisfy by its form, plus `data_weight` times those of
    measurements. Each residual is divided by its natural size (`natural_scale`), so
    equations of different magnitude count alike. Adam comes first, then the optimiser;
    the collocation points are drawn anew where the residual is large. The error falls
    with the loss, not with a mesh width: there is no order of convergence, and the
    residual at fresh points is what is reported.

    Where coefficients jump, the flux is one more output of the network (`mixed`), which
    keeps it continuous; the solution's kink at the interface is smoothed over.

    Unknown coefficients of an accepted solution are one-step estimates: the trained
    values and one Gauss-Newton step more, which removes what the weights of the loss
    and an unfinished training leave in them (`details["trained_coefficients"]`; the
    fields stay the trained ones). Their standard errors and intervals of 95 % are in
    `details["standard_errors"]` and `details["intervals"]`, from the noise that the
    measurements' misfit shows (`interval`).

    An unknown coefficient function is one more output of the network; its range is not
    imposed, the first guess only tells its size. What is returned of it is a one-step
    estimate, too, smoothed as far as the measurements ask for; the states stay the
    trained ones. On average over twelve seeds of `conductivity_field`, each 20 CPU s,
    its error was 0.06 instead of the trained function's 0.19. About it is a pointwise
    band of 95 % (`band`; it held 97 % of those truths): half of it is in
    `details["half_bands"]`, at the support's points in the function's own coordinates,
    and its relative L2 norm in `details["relative_half_bands"]`. It allows for the
    noise, `details["standard_errors"]`, and for the training, as far as the step
    changed the function, `details["training_errors"]`, both relative L2 norms: where
    the latter exceeds `tolerance`, the status is not reached. While a residual
    at fresh points exceeds 0.1, there is neither step nor band.

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
    fourier
        Standard deviation of the frequencies of random Fourier features, in radians
        over half of the domain; 0: none.
    points
        Collocation points inside.
    boundary_points, initial_points
        Points on all boundaries together, and at the start (None: as many as on the
        boundaries).
    adam_steps, adam_rate
        Steps and step size of Adam.
    optimiser, steps
        What follows Adam, and its steps: `ssbroyden`, `ssbfgs` or `bfgs` (dense, up to
        about 3000 parameters), `lbfgs`, `levenberg-marquardt` or `spring` (Gauss-Newton
        steps, each worth about ten others), or `adam` or `soap` for many parameters.
    batch
        Points that a step of `adam`, `soap` or `spring` takes of each place; None: all.
        `spring` is fastest on smooth solutions with 300: Helmholtz k = 4π to 8e-4 in
        8 CPU s, where `ssbroyden` has not begun to converge.
    resample_every
        Steps between two draws of collocation points; 0 keeps the first ones, None is
        300, or 10 Gauss-Newton steps.
    patience
        Steps without progress after which the training ends; 0: never.
    boundary_weight, data_weight
        Weights of the conditions' and the measurements' mean squares. An error of a
        condition is one of the solution, one of the equation is smoothed by solving it,
        so conditions weigh more: on Burgers' equation the error was 2.0e-3 with 1 and
        1.3e-4 with 20. (To balance the traces of the tangent kernel is no rule here:
        divided by natural sizes, those of all terms agree within a factor of 5 from the
        start, which would give weights of about 1.) Measurements are
        noisy and equations are not, so they weigh less; far less (0.01), and a solution
        of the equations that ignores them may be found.
    hard_conditions
        `auto` builds initial values, periodicity and Dirichlet values into the network
        where they fit: values on sides of boxes and, if they do not change in time, on
        lines that the domain lies on one side of, on circles and spheres. `all` does so
        too for those that do, and where the domain goes on beyond the end of a side, as
        at a re-entrant corner; the second derivatives of
        the distance to such a piece grow towards its ends, and with smooth solutions
        the error was 5 to 25 times that of `off` (with the singular one of
        `l_shape_laplace`, 0.3 to 0.9 times). `off` leaves all to the loss.
    dtype, device
        `float64` or `float32`, and where to compute, as torch names it.
    seed
        Of the initial weights and of all points.
    tolerance
        Largest residual at fresh points that counts as solved: relative to its natural
        size, and relative to the equations' terms.
    target
        Residual at fresh points, relative to its natural size, at which the training
        ends; it is looked at when points are drawn anew.
    windows
        Networks that follow each other in time (`Windows`), each with all the `steps`
        and its share of the budget: for long intervals and chaos. A number, or `auto`,
        which begins with an eighth of the time and halves or doubles it by the residual
        at fresh points. Stationary problems and measurements keep one. In 15 CPU s the
        Lorenz system came to 2.5e-3 and 5.7e-2 with 8 (two runs), to 4.8e-2 and 1.8e-2
        with `auto` and to 1.0 with one; but Burgers' equation to 0.21 with `auto` and
        2.9e-3 with one, the default.
    start
        A file with a network of the same problem and size, saved as `model` of its
        solution, to train further from (best without Adam, which may first go astray);
        it brings its windows. Without any steps the solution is the saved one.
    """

    family: ClassVar[str] = "pinn"
    tuned_on: ClassVar[tuple[str, ...]] = (
        "burgers",
        "conductivity_field",
        "heat_l_shape",
        "l_shape_laplace",
        "lid_driven_cavity",
        "lorenz",
        "lotka_volterra",
        "plate_with_hole",
        "poisson_boltzmann_discs",
        "poisson_discs",
        "poisson_inverse",
    )

    def __post_init__(self) -> None:
        for name in ("width", "depth", "points", "boundary_points", "initial_points"):
            at_least(self, name, 1)
        at_least(self, "batch", 1)
        for name in ("adam_steps", "steps", "resample_every", "patience", "seed"):
            at_least(self, name, 0)
        for name in ("adam_rate", "boundary_weight", "data_weight", "tolerance"):
            positive(self, name)
        choice(self, "activation", ACTIVATIONS)
        if not (isinstance(self.fourier, int | float) and 0 <= self.fourier < math.inf):
            raise OptionError(
                f"Option 'fourier' of PINN is {self.fourier!r}; needed is a number "
                "of at least 0."
            )
        choice(self, "optimiser", OPTIMISERS)
        choice(self, "hard_conditions", ("auto", "all", "off"))
        choice(self, "dtype", DTYPES)
        if self.windows != "auto" and not (
            type(self.windows) is int and self.windows >= 1
        ):
            raise OptionError(
                f"Option 'windows' of PINN is {self.windows!r}; needed is a whole "
                "number of at least 1, or 'auto'."
            )
        if self.batch and self.optimiser not in IN_BATCHES:
            raise OptionError(
                f"Option 'batch' of PINN is {self.batch}, but optimiser "
                f"{self.optimiser!r} needs the same points from step to step; use one "
                f"of {', '.join(IN_BATCHES)}, or no batch."
            )

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
            system = mixed(problem)
            found = residuals(system)
        watch = Stopwatch()
        with clock.phase("setup"):
            windows = Windows(self, system, found, watch)
        with clock.phase("train"):
            stop_reason = windows.run(progress, budget)
            verdict = windows.verdict()
            training = windows.last
            inference = training.inference()
            is_near = verdict.worst <= MOST_RESIDUAL
            posterior = training.posterior() if is_near else None
        details = {
            "dofs": sum(len(w.parameters) for w in windows.trained),
            "windows": len(windows.trained),
            "steps": len(windows.losses),
            "stop_reason": stop_reason,
            "exact_conditions": windows.trained[0].exact_names,
            **asdict(verdict),
            **(asdict(inference) if inference else {}),
        }
        history = {"loss": np.array(windows.losses)}
        if training.trouble:
            return failed(
                Status.NAN,
                training.trouble,
                cost=clock.cost(),
                history=history,
                snapshots=windows.snapshots,
                details=details,
            )
        evaluator = training.evaluator()
        support = common_support(problem)
        bands: dict[str, Band] = {}
        with clock.phase("infer"):
            if posterior:
                bands = posterior.bands(evaluator, support.points)
                evaluator = posterior.evaluator(evaluator)
            values = evaluator(support.points)
        details |= in_details(bands, details.get("standard_errors", {}))
        is_solved = verdict.worst <= self.tolerance and all(
            b.training_error <= self.tolerance for b in bands.values()
        )
        coefficients = training.coefficients()
        if inference:
            details["trained_coefficients"] = coefficients
            if is_solved:
                coefficients = inference.one_step_estimates
        message = (
            f"residual {verdict.fresh_residual:.1e} at fresh points, "
            f"{verdict.training_residual:.1e} at those trained on, relative to natural "
            f"size; {verdict.fresh_imbalance:.1e} relative to the equations' terms; "
            f"conditions {verdict.fresh_conditions:.1e}; stopped by {stop_reason}"
        )
        if inference:
            message += "; " + ", ".join(
                f"{name} in [{low:.4g}, {high:.4g}]"
                for name, (low, high) in inference.intervals.items()
            )
        for name, band in bands.items():
            message += (
                f"; {name} to ±{band.half_width:.1%} of its size (95 %), of which the "
                f"training {band.training_error:.1%}"
            )
        return Solution(
            support=support,
            fields={n: v.reshape(support.shape) for n, v in values.items()},
            status=Status.OK if is_solved else Status.NOT_REACHED,
            message=message
            if is_solved
            else f"not below {self.tolerance:g}: {message}",
            evaluator=evaluator,
            coefficients=coefficients,
            cost=clock.cost(),
            history=history,
            snapshots=windows.snapshots,
            details=details,
            model=windows.model(),
        )
