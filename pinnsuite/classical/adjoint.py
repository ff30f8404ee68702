"""Identify coefficients of partial differential equations: the discrete misfit."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import scipy.linalg
import scipy.optimize

from pinnsuite.classical.coefficients import Coefficients
from pinnsuite.classical.semidiscretisation import box_axes, closed_axes
from pinnsuite.classical.sensitivities import DivergedError, Equations, Model, Run
from pinnsuite.classical.stencils import LocalAxis, interpolant
from pinnsuite.errors import OptionError, UnsupportedProblemError, unknown_name
from pinnsuite.problem.conditions import Boundary, Dirichlet, Observed
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.domain import Box
from pinnsuite.problem.form import classify, require_equations
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solution.support import Grid
from pinnsuite.solver import Progress, require_supported, silent

POINTS = {1: 257, 2: 33, 3: 13}
"""Nodes along each axis, by the number of space coordinates."""

METHODS = ("gauss-newton", "l-bfgs")
STENCILS = ("finite-difference", "chebyshev")

CAUTION = 1.4
"""What each degree of freedom costs in the cross-validation.

1 undersmooths now and then, since the minimum is flat towards small weights. Source:
Y.-J. Kim & C. Gu, J. R. Statist. Soc. B 66 (2004) 337, DOI
10.1046/j.1369-7412.2003.05316.x.
"""

LOG_WEIGHTS = np.log(np.logspace(-12, 4, 65))
"""Logarithms of the weights that are tried, as shares of the misfit's curvature."""

_SETTLING = 10
"""Iterations after which the weight stays, so that it cannot alternate."""

_HALVINGS = 12

_SAME = 1e-2
"""Relative change of the weight below which it is kept: its minimum is flat."""


@dataclass(frozen=True)
class Adjoint:
    """Least squares over coefficients of equations on boxes, discretised first.

    Minimises `Σ r² + λ ∫ |∇a|²`, r = u(t_i, x_i) - value_i (of logarithms where the
    measurements have that scale), u the discrete solution for the coefficients, within
    their bounds. Unknown functions are cubic splines. The weight λ is the minimiser of
    the generalised cross-validation of the linearised problem, which asks for no noise
    level; without unknown functions there is none. By "gauss-newton" the exact tangent
    is the Jacobian; by "l-bfgs" the exact adjoint gives the gradient, and the tangent
    only λ. On exact data the error falls as h^order, time steps of BDF2 being refined
    along; under noise it ends at the statistical one, which is estimated:
    `details["standard_errors"]` has it for numbers, and for functions the relative L2
    error to expect (the posterior's, given λ).
    Source: G. Wahba, Spline Models for Observational Data, 1990, sec. 4, DOI
    10.1137/1.9781611970128 (cross-validation, posterior); E. Haber & D. Oldenburg,
    Computational Geosciences 4 (2000) 41, DOI 10.1023/A:1011599530422 (in every
    iteration); C. R. Vogel, Computational Methods for Inverse Problems, 2002, DOI
    10.1137/1.9780898717570.

    Attributes
    ----------
    points
        Nodes of the states along each axis, both ends included; None takes 257 on an
        interval, 33 in the plane and 13 in space.
    order
        Even order of the finite differences.
    stencil
        "finite-difference" or "chebyshev".
    steps
        Time steps, for a problem in time.
    coefficient_points
        Nodes of the unknown functions along each axis.
    refinements
        How often the mesh widths of states and functions are halved, and with them the
        time step so that its error falls as fast.
    method
        "gauss-newton" or "l-bfgs".
    max_iterations
        Of the optimiser, at most.
    tolerance
        The end: of Gauss-Newton the largest change of a coefficient, as a share of its
        range (of its logarithm's, for a positive number); of L-BFGS the root of the
        relative change of the objective.
    """

    family: ClassVar[str] = "classical"

    points: int | None = None
    order: int = 4
    stencil: str = "finite-difference"
    steps: int = 64
    coefficient_points: int = 13
    refinements: int = 0
    method: str = "gauss-newton"
    max_iterations: int = 200
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        for name, known in (("method", METHODS), ("stencil", STENCILS)):
            value = getattr(self, name)
            if value not in known:
                raise OptionError(unknown_name(f"adjoint option {name}", value, known))
        if self.order < 2 or self.order % 2:
            raise OptionError(f"adjoint: order is {self.order}; use 2, 4, 6, ….")
        least = {
            "points": self.order + 3,
            "steps": 4,
            "coefficient_points": 4,
            "refinements": 0,
            "max_iterations": 1,
        }
        for name, minimum in least.items():
            value = getattr(self, name)
            if value is not None and value < minimum:
                raise OptionError(
                    f"adjoint: {name} is {value}; at least {minimum} is needed."
                )
        if not 0 < self.tolerance < 1:
            raise OptionError(
                f"adjoint: tolerance is {self.tolerance}; a number between 0 and 1 is "
                "needed."
            )

    def why_not(self, problem: Problem) -> str | None:
        """Say which part of `problem` is out of reach, or None."""
        if not problem.unknowns:
            return "it has no unknown coefficients; use a solver of forward problems"
        if not isinstance(problem.domain, Box):
            return "its domain is no box: the nodes are those of a tensor grid"
        try:
            require_equations(problem, unknown_fields=True)
        except UnsupportedProblemError as error:
            return str(error)
        return _why_no_model(problem) or _why_no_coefficients(problem)

    def refined(self) -> Adjoint:
        """Return the solver at half the mesh width, time steps and splines along."""
        return replace(self, refinements=self.refinements + 1)

    def resolution(self, problem: Problem) -> tuple[int, int, int]:
        """Return nodes along each axis, time steps and nodes of functions."""
        points = self.points or POINTS[min(problem.dimension, 3)]
        cells, knots = points - 1, self.coefficient_points - 1
        factor = 2**self.refinements
        steps = self.steps * factor ** (self.order // 2)
        return factor * cells + 1, steps, factor * knots + 1

    def expected_order(self, problem: Problem) -> float | None:
        """Return `order`, which exact data show; None for Chebyshev points or noise.

        Splines of unknown functions are of order 4.
        """
        if self.stencil == "chebyshev":
            return None
        return float(min(self.order, 4) if problem.unknown_fields else self.order)

    def solve(
        self,
        problem: Problem,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> Solution:
        """Fit the unknowns of `problem`; the states are those of the best fit.

        Where the budget or the iterations end first, the best so far has the status
        `not_reached`.
        """
        require_supported(self, problem)
        clock = Clock()
        with clock.phase("setup"):
            points, steps, knots = self.resolution(problem)
            coefficients = Coefficients(problem, knots)
            axes = box_axes(problem, points, self.order, self.stencil)
            model = Model(Equations(problem, axes, coefficients), steps)
        search = _Search(self, model, progress, budget)
        try:
            with clock.phase("solve"), np.errstate(all="ignore"):
                if self.method == "gauss-newton":
                    search.gauss_newton()
                else:
                    search.l_bfgs()
                details = search.statistics()
        except DivergedError as error:
            return failed(
                Status.DIVERGED,
                f"The equations could not be solved for the first guess: {error}. "
                "Raise points or steps, or give another guess.",
                cost=clock.cost(),
            )
        return _solution(problem, search, clock, details)


def _why_no_model(problem: Problem) -> str | None:
    form = classify(problem)
    if max(form.time_orders) > 1:
        return "it is of second order in time; make the velocity a field"
    if max(form.space_orders) > 2:
        return (
            f"it is of order {max(form.space_orders)} in space, and one condition a "
            "side is taken; write it as a system of second order"
        )
    for c in problem.conditions_of(Observed):
        if c.field not in problem.states:
            return f"Observed({c.field}) measures the coefficient itself"
        low, high = c.points.min(axis=0), c.points.max(axis=0)
        ends = [] if problem.time is None else [(problem.time.start, problem.time.end)]
        assert problem.domain is not None
        for k, (a, b) in enumerate([*ends, *problem.domain.bounds.tolist()]):
            if low[k] < a or high[k] > b:
                return (
                    f"its measurements of {c.field} reach from {low[k]:g} to "
                    f"{high[k]:g} along {problem.coordinates[k]}, beyond [{a:g}, {b:g}]"
                )
    return None


def _why_no_coefficients(problem: Problem) -> str | None:
    symbols = {u.symbol for u in problem.unknown_scalars}
    for u in problem.unknown_fields:
        if set(u.field.args) - set(problem.space):
            return f"its coefficient {u.field} varies in time"
        for c in problem.conditions_of(Boundary):
            if c.field != u.field:
                continue
            if not isinstance(c, Dirichlet):
                return (
                    f"{type(c).__name__}({c.field}) is no value: of unknown functions "
                    "Dirichlet conditions are taken"
                )
            if c.value.free_symbols & symbols or set(u.field.args) != set(
                problem.space
            ):
                return (
                    f"Dirichlet({c.field}) must give numbers, for a function of all "
                    "space coordinates"
                )
    return None


@dataclass(frozen=True, eq=False)
class _Linear:
    """The linearised problem `min |J z - d|² + λ (zᵀQz + 2 qᵀz)`, made diagonal.

    With `V` the eigenvectors of `JᵀJ v = α (JᵀJ + τQ) v`, its solution is
    `V (Vᵀ(Jᵀd - λq) / (α + λ(1 - α)/τ))` for every λ.

    Attributes
    ----------
    images
        `J V`.
    """

    vectors: np.ndarray
    shares: np.ndarray
    images: np.ndarray
    data: np.ndarray
    linear: np.ndarray
    unit: float

    @staticmethod
    def of(jac: np.ndarray, data: np.ndarray, model: Coefficients) -> _Linear:
        quadratic, linear, _ = model.penalty
        square = jac.T @ jac
        trace = float(np.trace(quadratic))
        unit = float(np.trace(square)) / trace if trace > 0 else 1.0
        whole = square + unit * quadratic
        # Round-off must not make a direction that nothing determines negative.
        whole[np.diag_indices_from(whole)] *= 1 + 1e-13
        shares, vectors = scipy.linalg.eigh(square, whole)
        shares = np.clip(shares, 0.0, 1.0)
        return _Linear(vectors, shares, jac @ vectors, data, linear, unit)

    def filters(self, weight: float) -> np.ndarray:
        """Return `1 / (α + λ(1 - α)/τ)`."""
        scale = weight / self.unit
        found: np.ndarray = 1.0 / (self.shares + scale * (1.0 - self.shares))
        return found

    def solution(self, weight: float) -> np.ndarray:
        """Return z."""
        right = self.images.T @ self.data - weight * (self.vectors.T @ self.linear)
        found: np.ndarray = self.vectors @ (self.filters(weight) * right)
        return found

    def freedom(self, weight: float) -> float:
        """Return the effective number of free coefficients."""
        return float(self.shares @ self.filters(weight))

    def best_weight(self) -> float:
        """Return λ by generalised cross-validation."""
        first = self.images.T @ self.data
        second = self.vectors.T @ self.linear

        def score(logarithm: float) -> float:
            weight = self.unit * np.exp(logarithm)
            part = self.filters(weight) * (first - weight * second)
            misfit = float(((self.images @ part - self.data) ** 2).sum())
            left = len(self.data) - CAUTION * self.freedom(weight)
            return misfit / left**2 if left > 0 else np.inf

        lowest = int(np.argmin([score(v) for v in LOG_WEIGHTS]))
        around = np.clip([lowest - 1, lowest + 1], 0, len(LOG_WEIGHTS) - 1)
        found = scipy.optimize.minimize_scalar(
            score, bounds=LOG_WEIGHTS[around], method="bounded"
        )
        return self.unit * float(np.exp(found.x))


class _Search:
    """The optimisation: where it is, and how it got there."""

    def __init__(
        self, solver: Adjoint, model: Model, progress: Progress, budget: float | None
    ) -> None:
        self.solver, self.model, self.progress = solver, model, progress
        self.deadline = None if budget is None else time.process_time() + budget
        self.coefficients = model.equations.coefficients
        self.z = self.coefficients.guess.copy()
        self.run: Run = model.solve(self.z, tangent=True)
        self.weight = 0.0
        self.iterations = 0
        self.stop_reason = f"the number of iterations, {solver.max_iterations}"
        self.is_converged = False
        finite = np.isfinite(self.coefficients.upper - self.coefficients.lower)
        with np.errstate(invalid="ignore"):
            span = self.coefficients.upper - self.coefficients.lower
        self.span = np.where(finite, span, np.maximum(np.abs(self.z), 1.0))

    def linear(self) -> _Linear:
        """Return the problem linearised where the search is."""
        assert self.run.tangent is not None
        data = self.run.tangent @ self.z - self.run.seen + self.model.wanted
        return _Linear.of(self.run.tangent, data, self.coefficients)

    def objective(self, z: np.ndarray, run: Run) -> float:
        """Return `Σ r² + λ roughness`."""
        quadratic, linear, constant = self.coefficients.penalty
        residual = run.seen - self.model.wanted
        rough = float(z @ quadratic @ z + 2 * linear @ z) + constant
        return float(residual @ residual) + self.weight * rough

    def is_over(self) -> bool:
        """Say whether the budget has ended, and note it."""
        if self.deadline is None or time.process_time() < self.deadline:
            return False
        self.stop_reason = "the budget"
        return True

    def gauss_newton(self) -> None:
        """Step to the minimiser of the linearised problem, with λ chosen anew."""
        for k in range(self.solver.max_iterations):
            if self.is_over():
                return
            linear = self.linear()
            if self.coefficients.fields and k < _SETTLING:
                self.weight = linear.best_weight()
            target = self._bounded(linear)
            change = float(np.max(np.abs(target - self.z) / self.span))
            self.iterations = k + 1
            self.progress(
                min((k + 1) / self.solver.max_iterations, 1.0), f"change {change:.1e}"
            )
            if change <= self.solver.tolerance:
                self.stop_reason, self.is_converged = "the change", True
                return
            if not self._step(target):
                self.stop_reason = "no lower point along the step"
                self.is_converged = change <= 1e3 * self.solver.tolerance
                return

    def _bounded(self, linear: _Linear) -> np.ndarray:
        """Return the minimiser of the linearised problem within the bounds."""
        lower, upper = self.coefficients.lower, self.coefficients.upper
        free = linear.solution(self.weight)
        if (free >= lower).all() and (free <= upper).all():
            return free
        assert self.run.tangent is not None
        quadratic, constant, _ = self.coefficients.penalty
        whole = self.run.tangent.T @ self.run.tangent + self.weight * quadratic
        whole[np.diag_indices_from(whole)] *= 1 + 1e-13
        right = self.run.tangent.T @ linear.data - self.weight * constant
        root = scipy.linalg.cholesky(whole)
        image = scipy.linalg.solve_triangular(root, right, trans="T")
        found = scipy.optimize.lsq_linear(root, image, (lower, upper), method="bvls")
        inside: np.ndarray = np.clip(found.x, lower, upper)
        return inside

    def _step(self, target: np.ndarray) -> bool:
        """Go to `target`, or part of the way, where the objective is lower."""
        here = self.objective(self.z, self.run)
        for k in range(_HALVINGS):
            z = self.z + 0.5**k * (target - self.z)
            try:
                run = self.model.solve(z, tangent=True)
            except DivergedError:
                continue
            if self.objective(z, run) < here:
                self.z, self.run = z, run
                return True
        return False

    def l_bfgs(self) -> None:
        """Minimise by L-BFGS-B for one λ, take λ anew there, until it stays."""
        left = self.solver.max_iterations
        for _ in range(_SETTLING):
            before = self.weight
            if self.coefficients.fields:
                self.weight = self.linear().best_weight()
                if abs(self.weight - before) <= _SAME * self.weight:
                    return
            result = self._minimised(left)
            self.iterations += result.nit
            left -= result.nit
            self.is_converged = bool(result.success)
            self.stop_reason = str(result.message)
            if self.is_over() or not result.success:
                return
            if not self.coefficients.fields or left <= 0:
                return

    def _minimised(self, left: int) -> Any:
        """Minimise in coordinates that give the linearised problem a unit diagonal."""
        quadratic, linear, _ = self.coefficients.penalty
        assert self.run.tangent is not None
        diagonal = (self.run.tangent**2).sum(axis=0)
        diagonal = np.sqrt(diagonal + self.weight * np.diag(quadratic))
        span = 1 / np.maximum(diagonal, 1e-8 * diagonal.max())
        start = self.objective(self.z, self.run)

        def value_and_slope(scaled: np.ndarray) -> tuple[float, np.ndarray]:
            z = scaled * span
            try:
                run = self.model.solve(z)
            except DivergedError:
                # So high that the line search turns back.
                return 1e3 * start, np.zeros(len(z))
            slope = self.model.gradient(z, run)
            slope = 2 * (slope + self.weight * (quadratic @ z + linear))
            return self.objective(z, run), slope * span

        def watch(intermediate_result: Any) -> None:  # noqa: ARG001
            if self.is_over():
                raise StopIteration

        result = scipy.optimize.minimize(
            value_and_slope,
            self.z / span,
            jac=True,
            method="L-BFGS-B",
            bounds=np.stack([self.coefficients.lower, self.coefficients.upper], 1)
            / span[:, None],
            callback=watch,
            options={
                "maxiter": left,
                "maxfun": 3 * left,
                "ftol": self.solver.tolerance**2,
                "gtol": self.solver.tolerance * np.sqrt(start),
            },
        )
        self.z = result.x * span
        self.run = self.model.solve(self.z, tangent=True)
        return result

    def statistics(self) -> dict[str, Any]:
        """Return the noise that the misfit shows, and the errors it causes."""
        linear = self.linear()
        residual = self.run.seen - self.model.wanted
        freedom = linear.freedom(self.weight)
        noise = float(np.sqrt(residual @ residual / max(len(residual) - freedom, 1.0)))
        root = noise * linear.vectors * np.sqrt(linear.filters(self.weight))
        _, scales = self.coefficients.numbers(self.z)
        scalars = scales * np.sqrt((root[: len(scales)] ** 2).sum(axis=1))
        errors = dict(zip(self.coefficients.names, scalars.tolist(), strict=True))
        for f, part in zip(
            self.coefficients.fields, self.coefficients.slices, strict=True
        ):
            mass = f.mass[np.ix_(f.free, f.free)]
            square = float(np.einsum("ik,ij,jk->", root[part], mass, root[part]))
            nodal = f.nodal(self.z[part])
            errors[f.name] = float(np.sqrt(square / (nodal @ f.mass @ nodal)))
        return {
            "standard_errors": errors,
            "noise": noise,
            "regularisation": self.weight,
            "degrees_of_freedom": freedom,
            "measurements": len(residual),
            "misfit": float(np.sqrt(np.mean(residual**2))),
        }


def _solution(
    problem: Problem,
    search: _Search,
    clock: Clock,
    details: dict[str, Any],
) -> Solution:
    model, equations = search.model, search.model.equations
    z, coefficients = search.z, search.coefficients
    shape = (len(model.times), equations.num_states, *equations.shape)
    values = np.moveaxis(search.run.values.reshape(shape), 1, -1)
    axes = [LocalAxis(model.times, 2), *equations.axes]
    if problem.time is None:
        values, axes = values[0], axes[1:]
    rebuild = interpolant(axes, values)
    names = [f.func.__name__ for f in problem.states]

    def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
        found = dict(zip(names, rebuild(points).T, strict=True))
        space = points[:, len(problem.coordinates) - problem.dimension :]
        for f, part in zip(coefficients.fields, coefficients.slices, strict=True):
            found[f.name] = f.at(z[part], space)
        return found

    nodes, _ = closed_axes(equations.axes, np.zeros(equations.shape))
    grid = {x.name: n for x, n in zip(problem.space, nodes, strict=True)}
    if problem.time is not None:
        grid = {problem.time.coordinate.name: problem.time.outputs, **grid}
    support = Grid(grid)
    fields = evaluate(support.points)
    message = (
        ""
        if search.is_converged
        else f"Stopped by {search.stop_reason} after {search.iterations} iterations; "
        "this is the best fit so far."
    )
    return Solution(
        support,
        {n: v.reshape(support.shape) for n, v in fields.items()},
        Status.OK if search.is_converged else Status.NOT_REACHED,
        message,
        evaluator=evaluate,
        coefficients=dict(
            zip(coefficients.names, coefficients.numbers(z)[0].tolist(), strict=True)
        ),
        cost=clock.cost(),
        details={
            "dofs": coefficients.size + equations.size,
            "steps": len(model.times) - 1,
            "iterations": search.iterations,
            "solves": model.solves,
            **details,
            "stop_reason": search.stop_reason,
        },
    )
