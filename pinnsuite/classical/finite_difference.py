"""Stationary problems on boxes of any dimension: stencils, then Newton's method."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyamg
import scipy.sparse.linalg
import sympy as sp

from pinnsuite.classical.linear_systems import SolveFailedError
from pinnsuite.classical.semidiscretisation import (
    BoxForm,
    CompiledRates,
    Semidiscretisation,
    SideCondition,
    SpaceAxis,
    box_axes,
    box_form,
    closed_axes,
    require_box,
)
from pinnsuite.classical.stencils import interpolant
from pinnsuite.errors import (
    DefinitionError,
    OptionError,
    UnsupportedProblemError,
    unknown_name,
)
from pinnsuite.problem.conditions import Periodic
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.form import (
    Evolution,
    State,
    require_equations,
    require_no_lost_jump,
)
from pinnsuite.problem.jets import is_linear, jacobian, lower, numpy_function
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solution.support import Grid
from pinnsuite.solver import Progress, require_supported, silent

POINTS = {1: 101, 2: 41, 3: 21, 4: 13, 5: 9}
"""Nodes along each axis by default, by the number of axes."""

FEW_POINTS = 7
"""The same for more axes than `POINTS` names."""

CONTINUATION_STEPS = 10
"""Steps from the linearised to the full equations, when Newton's method fails."""

MAX_CONDITION = 1e6
"""Condition number of the eigenvectors up to which an operator is diagonalised."""

MAX_DIRECT = {1: math.inf, 2: 300_000, 3: 25_000}
"""Unknowns up to which LU factors are chosen, by the number of axes."""

FORCING = 1e-4
"""Residual, relative, to which iterations solve each of several Newton steps."""

_CYCLES = 8


@dataclass(frozen=True)
class FiniteDifferences:
    """Finite differences of any even order, or Chebyshev points, for `F(x, u, …) = 0`.

    The stencils of the method of lines, values on the boundary eliminated through the
    conditions. Where the equation is one linear sum of operators along the axes, such
    as Poisson's and Helmholtz's, the system is diagonalised axis by axis: n^(d+1)
    operations for n^d nodes, which five dimensions can pay. Other systems take Newton's
    method with the exact Jacobian, by LU factors, or by Krylov iterations with
    algebraic multigrid where factors would fill. The error falls as h^order for smooth
    solutions, faster than any power for Chebyshev points; jumps of coefficients need
    methods in divergence form.
    Sources: R. E. Lynch, J. R. Rice & D. H. Thomas, Numer. Math. 6 (1964) 185, DOI
    10.1007/BF01386067 (diagonalisation); N. Bell, L. N. Olson & J. Schroder, PyAMG, DOI
    10.21105/joss.04142; B. Fornberg, DOI 10.1137/S0036144596322507 (stencils).

    Attributes
    ----------
    points
        Nodes along each axis, both ends included; None chooses by the dimension.
    order
        Even order of the finite differences.
    stencil
        "finite-difference" or "chebyshev".
    refinements
        How often the distance of the nodes is halved.
    linear_solver
        "diagonalisation", "direct", "multigrid", or "auto": the first where it applies,
        multigrid for many unknowns, else direct.
    newton_tolerance
        Newton's method ends when its step is below this share of the solution.
    max_newton
        Its iterations at most.
    """

    family: ClassVar[str] = "classical"

    points: int | None = None
    order: int = 4
    stencil: str = "finite-difference"
    refinements: int = 0
    linear_solver: str = "auto"
    newton_tolerance: float = 1e-10
    max_newton: int = 25

    def __post_init__(self) -> None:
        choices = {
            "stencil": ("finite-difference", "chebyshev"),
            "linear_solver": ("auto", "diagonalisation", "direct", "multigrid"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                what = f"finite-difference option {name}"
                raise OptionError(unknown_name(what, getattr(self, name), known))
        if self.order < 2 or self.order % 2:
            raise OptionError(
                f"finite-difference: order is {self.order}; use 2, 4, 6, …."
            )
        if self.points is not None and self.points < 5:
            raise OptionError(
                f"finite-difference: points is {self.points}; at least 5 are needed, "
                "or None to choose by the dimension."
            )
        for name, least in (("refinements", 0), ("max_newton", 1)):
            if getattr(self, name) < least:
                raise OptionError(
                    f"finite-difference: {name} is {getattr(self, name)}; at least "
                    f"{least} is needed."
                )
        if not 0 < self.newton_tolerance < 1:
            raise OptionError(
                f"finite-difference: newton_tolerance is {self.newton_tolerance}; a "
                "number between 0 and 1 is needed."
            )

    def why_not(self, problem: Problem) -> str | None:
        """Say which part of `problem` is out of reach, or None."""
        try:
            form = _analyse(self, problem)
        except UnsupportedProblemError as error:
            return str(error)
        if self.linear_solver == "diagonalisation" and _parts(problem, form) is None:
            return (
                "it is not one linear sum of operators along the axes, with conditions "
                "of constant coefficients; use linear_solver = 'auto'"
            )
        return None

    def refined(self) -> FiniteDifferences:
        """Return the solver at half the mesh width."""
        return replace(self, refinements=self.refinements + 1)

    def expected_order(self, problem: Problem) -> float | None:
        """Return `order`, or None for Chebyshev points.

        Periodic axes take finite differences in either case.
        """
        if self.stencil == "chebyshev" and not problem.conditions_of(Periodic):
            return None
        return float(self.order)

    def solve(
        self,
        problem: Problem,
        *,
        progress: Progress = silent,
        budget: float | None = None,  # noqa: ARG002
    ) -> Solution:
        """Solve `problem`; it runs to its end whatever the budget."""
        require_supported(self, problem)
        clock = Clock()
        with clock.phase("symbolic"):
            form = _analyse(self, problem)
            parts = _parts(problem, form)
        axes = self._axes(problem)
        try:
            with np.errstate(all="ignore"):
                values, details = self._solved(
                    problem, form, parts, axes, clock, progress
                )
        except SolveFailedError as error:
            return failed(error.status, str(error), cost=clock.cost())
        names = problem.field_names
        rebuild = interpolant(axes, values)

        def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
            return dict(zip(names, rebuild(points).T, strict=True))

        nodes, values = closed_axes(axes, values)
        coordinates = [x.name for x in problem.space]
        return Solution(
            Grid(dict(zip(coordinates, nodes, strict=True))),
            {n: values[..., i] for i, n in enumerate(names)},
            evaluator=evaluate,
            cost=clock.cost(),
            details=details,
        )

    def _axes(self, problem: Problem) -> list[SpaceAxis]:
        count = self.points or POINTS.get(problem.dimension, FEW_POINTS)
        count = (count - 1) * 2**self.refinements + 1
        return box_axes(problem, count, self.order, self.stencil)

    def _solved(
        self,
        problem: Problem,
        form: BoxForm,
        parts: list[_Part] | None,
        axes: list[SpaceAxis],
        clock: Clock,
        progress: Progress,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the values (*nodes, fields) and the details."""
        if parts is not None and self.linear_solver in ("auto", "diagonalisation"):
            with clock.phase("setup"):
                tensor = _TensorSystem(problem, form, parts, axes)
            if self.linear_solver != "auto" or tensor.condition <= MAX_CONDITION:
                with clock.phase("solve"):
                    return tensor.solve()[..., None], {
                        "dofs": tensor.size,
                        "linear_solver": "diagonalisation",
                        "condition_of_eigenvectors": tensor.condition,
                        "stop_reason": "direct",
                    }
        with clock.phase("setup"):
            functions = CompiledRates.of(problem, form)
            scheme = Semidiscretisation(problem, form, functions, axes)
        with clock.phase("solve"):
            y, details = self._newton(scheme, is_linear(form.system.rates), progress)
        return scheme.fields(np.zeros(1), y[None])[0], details

    def _newton(
        self, scheme: Semidiscretisation, is_linear: bool, progress: Progress
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the free values by Newton's method, by continuation where it fails."""

        def rate(y: np.ndarray) -> np.ndarray:
            return scheme.rate(0.0, y)

        def slope(y: np.ndarray) -> Any:
            return scheme.jacobian(0.0, y)

        few = len(scheme.start) <= MAX_DIRECT.get(len(scheme.axes), 0)
        kind = self.linear_solver
        if kind in ("auto", "diagonalisation"):
            kind = "direct" if few else "multigrid"
        steps = 0
        start = scheme.start.copy()
        try:
            y, count = self._iterated(rate, slope, start, kind, is_linear, progress)
        except SolveFailedError as error:
            if error.status is not Status.DIVERGED:
                raise
            # Linearised at the start at first, then more and more as they are.
            offset, linear = rate(start), slope(start)
            y, count = start, 0
            for steps in range(CONTINUATION_STEPS + 1):
                share = steps / CONTINUATION_STEPS

                def blended(y: np.ndarray, s: float = share) -> np.ndarray:
                    straight: np.ndarray = offset + linear @ (y - start)
                    return s * rate(y) + (1 - s) * straight

                def matrix(y: np.ndarray, s: float = share) -> Any:
                    return s * slope(y) + (1 - s) * linear

                y, more = self._iterated(blended, matrix, y, kind, False, progress)
                count += more
        return y, {
            "dofs": len(y),
            "newton_iterations": count,
            "continuation_steps": steps,
            "linear_solver": kind,
            "stop_reason": "direct" if is_linear else "newton converged",
        }

    def _iterated(
        self,
        rate: Callable[[np.ndarray], np.ndarray],
        slope: Callable[[np.ndarray], Any],
        y: np.ndarray,
        kind: str,
        is_linear: bool,
        progress: Progress,
    ) -> tuple[np.ndarray, int]:
        """Return where `rate` vanishes and the number of iterations.

        Steps are halved where they raise the residual.
        """
        residual = rate(y)
        for iteration in range(1, self.max_newton + 1):
            matrix = scipy.sparse.csc_array(slope(y))
            if kind == "direct":
                step = _direct(matrix, -residual)
            else:
                tolerance = 1e-11 if is_linear else FORCING
                step = _krylov(scipy.sparse.csr_matrix(matrix), -residual, tolerance)
            size = np.abs(step).max(initial=0.0) / max(np.abs(y + step).max(), 1e-300)
            if not np.isfinite(size):
                raise SolveFailedError(
                    Status.NAN,
                    "The values became infinite or NaN: a coefficient has no value at "
                    "a state that was met (a division by 0?), or the system is "
                    "singular.",
                )
            progress(min(1.0, iteration / 8), f"Newton step of {size:.1e}")
            if is_linear or size <= self.newton_tolerance:
                return y + step, iteration
            before, length = np.linalg.norm(residual), 1.0
            while True:
                residual = rate(y + length * step)
                # A tiny step is at the level of rounding, and is taken as it is.
                if np.linalg.norm(residual) < before or size < 1e-6:
                    break
                length /= 2
                if length < 1e-4:
                    raise SolveFailedError(
                        Status.DIVERGED,
                        "Newton's method finds no step that lowers the residual, not "
                        "by continuation from the linearised equations either; start "
                        "from an easier problem, or raise points.",
                    )
            y = y + length * step
        raise SolveFailedError(
            Status.DIVERGED,
            f"Newton's method has not converged in {self.max_newton} iterations; raise "
            "max_newton, or points.",
        )


def _direct(matrix: scipy.sparse.csc_array, right: np.ndarray) -> np.ndarray:
    """Solve by LU factors."""
    try:
        solution: np.ndarray = scipy.sparse.linalg.splu(matrix).solve(right)
    except RuntimeError as error:
        raise SolveFailedError(
            Status.FAILED,
            f"The system of {len(right)} equations is singular ({error}). Is every "
            "field fixed by its equation and its conditions?",
        ) from None
    return solution


def _krylov(
    matrix: scipy.sparse.csr_matrix, right: np.ndarray, tolerance: float
) -> np.ndarray:
    """Solve by GMRES, preconditioned by smoothed aggregation."""
    # One-sided stencils at the boundary make the matrix unsymmetric.
    sign = 1.0 if matrix.diagonal().sum() > 0 else -1.0
    matrix = sign * matrix
    # The energy-minimising smoother would draw random numbers.
    hierarchy = pyamg.smoothed_aggregation_solver(
        matrix, symmetry="nonsymmetric", smooth=("jacobi", {"omega": 4 / 3})
    )
    solution, info = scipy.sparse.linalg.gmres(
        matrix,
        sign * right,
        rtol=tolerance,
        restart=50,
        maxiter=_CYCLES,
        M=hierarchy.aspreconditioner(),
    )
    if info:
        raise SolveFailedError(
            Status.NOT_REACHED,
            f"GMRES with algebraic multigrid has not converged in {_CYCLES} "
            "cycles of 50 iterations; the system may be indefinite. Use "
            "linear_solver = 'direct'.",
        )
    found: np.ndarray = solution
    return found


def _analyse(solver: FiniteDifferences, problem: Problem) -> BoxForm:
    """Return the form of `problem`; UnsupportedProblemError says why there is none."""
    require_box(problem)
    require_equations(problem)
    require_no_lost_jump(problem)
    if problem.time is not None:
        raise UnsupportedProblemError("it depends on time; use 'lines'")
    if "gauge" in problem.hints:
        raise UnsupportedProblemError(
            f"its field {problem.hints['gauge']!r} is fixed up to a constant only; use "
            "'finite-element'"
        )
    try:
        lowered = lower(problem.equations, problem.fields, problem.coordinates)
    except DefinitionError as error:
        raise UnsupportedProblemError(
            f"its equations cannot be expanded: {str(error).rstrip('.')}"
        ) from None
    states = tuple(State(i, 0, n) for i, n in enumerate(problem.field_names))
    system = Evolution(states, lowered, (sp.Integer(0),) * len(states))
    return box_form(problem, system, solver._axes(problem))


# --- Diagonalisation ------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Part:
    """The terms along one axis: `Σ coefficient(x_k) · ∂ᵒ/∂x_kᵒ`, and its conditions."""

    coefficients: dict[int, sp.Expr]
    conditions: tuple[SideCondition, ...]


def _parts(problem: Problem, form: BoxForm) -> list[_Part] | None:
    """Return the equation as a sum of operators along the axes, or None."""
    rates = form.system.rates
    if len(problem.fields) > 1 or not is_linear(rates):
        return None
    coefficients: list[dict[int, sp.Expr]] = [{} for _ in problem.space]
    for jet, factor in zip(rates.jets.values(), jacobian(rates)[0], strict=True):
        along = [k for k, order in enumerate(jet.orders) if order]
        on = [k for k, x in enumerate(problem.space) if x in factor.free_symbols]
        if len({*along, *on}) > 1:
            return None
        axis = (along or on or [0])[0]
        coefficients[axis][jet.orders[axis]] = factor
    for c in form.conditions:
        for jet, factor in c.coefficients.items():
            across = [k for k, order in enumerate(jet.orders) if order]
            if factor.free_symbols or set(across) - {c.axis}:
                return None
    return [
        _Part(mine, tuple(c for c in form.conditions if c.axis == k))
        for k, mine in enumerate(coefficients)
    ]


class _AxisOperator:
    """One part on the nodes of its axis, end values eliminated.

    All values are `extend @ free + lift @ g`, g the values of the conditions.
    """

    def __init__(self, x: sp.Symbol, part: _Part, axis: SpaceAxis) -> None:
        nodes = axis.nodes
        n = len(nodes)
        self.matrix = np.zeros((n, n))
        for order, factor in part.coefficients.items():
            (value,) = numpy_function([x], [factor])(nodes)
            stencil = axis.derivative(order).toarray()
            self.matrix += np.broadcast_to(value, n)[:, None] * stencil
        ends = [n - 1 if c.is_upper else 0 for c in part.conditions]
        rows = np.zeros((len(ends), n))
        for row, end, c in zip(rows, ends, part.conditions, strict=True):
            for jet, factor in c.coefficients.items():
                stencil = axis.derivative(jet.orders[c.axis])[[end]].toarray()[0]
                row += float(factor) * stencil
        self.ends = nodes[ends]
        self.free = np.setdiff1d(np.arange(n), ends)
        inverse = np.linalg.inv(rows[:, ends])
        self.extend = np.zeros((n, len(self.free)))
        self.extend[self.free, np.arange(len(self.free))] = 1.0
        self.extend[ends] = -inverse @ rows[:, self.free]
        self.lift = np.zeros((n, len(ends)))
        self.lift[ends] = inverse

    @cached_property
    def eigen(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues and eigenvectors of the operator on the free values."""
        values, vectors = np.linalg.eig(self.matrix[self.free] @ self.extend)
        return values, vectors


class _TensorSystem:
    """A sum of operators along the axes, solved in the product of their eigenvectors.

    An equation at an inner node meets each boundary along its own axis only, so that
    the conditions of different axes never mix.
    """

    def __init__(
        self,
        problem: Problem,
        form: BoxForm,
        parts: list[_Part],
        axes: Sequence[SpaceAxis],
    ) -> None:
        self._space = problem.space
        self._parts = parts
        self._nodes = [a.nodes for a in axes]
        self._operators = [
            _AxisOperator(x, part, axis)
            for x, part, axis in zip(self._space, parts, axes, strict=True)
        ]
        zero = dict.fromkeys(form.system.rates.symbols, sp.Integer(0))
        self._source = form.system.rates.algebra[0].xreplace(zero)
        self._free = [
            n[o.free] for n, o in zip(self._nodes, self._operators, strict=True)
        ]
        self.size = math.prod(len(n) for n in self._free)

    @cached_property
    def condition(self) -> float:
        """The largest condition number of the eigenvectors of an axis."""
        return max(float(np.linalg.cond(o.eigen[1])) for o in self._operators)

    def solve(self) -> np.ndarray:
        """Return the values at all nodes; an edge takes those of the later axis."""
        right = -self._on(self._source, self._free)
        for k, o in enumerate(self._operators):
            if len(o.ends):
                lift = o.matrix[o.free] @ o.lift
                right -= _along(k, lift, self._ends(k, self._free))
        total: np.ndarray | float = 0.0
        for k, o in enumerate(self._operators):
            values, vectors = o.eigen
            total = np.add.outer(total, values) if k else values
            right = _along(k, np.linalg.inv(vectors), right)
        if np.abs(total).min() <= 1e-13 * np.abs(total).max():
            raise SolveFailedError(
                Status.FAILED,
                "The system is singular: the equation and its conditions leave a "
                "function free, such as a constant under Neumann conditions alone.",
            )
        right = right / total
        for k, o in enumerate(self._operators):
            right = _along(k, o.eigen[1], right)
        values = right.real
        grid = list(self._free)
        for k, o in enumerate(self._operators):
            known = self._ends(k, grid)
            values = _along(k, o.extend, values)
            if len(o.ends):
                values += _along(k, o.lift, known)
            grid[k] = self._nodes[k]
        return values

    def _ends(self, axis: int, grid: Sequence[np.ndarray]) -> np.ndarray:
        """Return the conditions' values on a grid, which counts them along `axis`."""
        rows = []
        for c, end in zip(
            self._parts[axis].conditions, self._operators[axis].ends, strict=True
        ):
            place = [*grid[:axis], np.array([end]), *grid[axis + 1 :]]
            rows.append(self._on(c.value, place))
        if not rows:
            return np.zeros([len(g) for g in grid])
        return np.concatenate(rows, axis=axis)

    def _on(self, expression: sp.Expr, grid: Sequence[np.ndarray]) -> np.ndarray:
        open_mesh = np.meshgrid(*grid, indexing="ij", sparse=True)
        (value,) = numpy_function(self._space, [expression])(*open_mesh)
        return np.array(np.broadcast_to(value, [len(g) for g in grid]), dtype=float)


def _along(axis: int, matrix: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return `matrix` applied along one axis of `values`."""
    return np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
