"""The method of lines: stencils in space, an ODE solver in time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import scipy.sparse

from pinnsuite.classical.ode import STEPPERS, check_tolerances, march, tightened
from pinnsuite.classical.semidiscretisation import (
    BoxForm,
    CompiledRates,
    Semidiscretisation,
    SpaceAxis,
    box_axes,
    box_form,
    closed_axes,
    require_box,
)
from pinnsuite.classical.stencils import LocalAxis, interpolant
from pinnsuite.errors import OptionError, UnsupportedProblemError, unknown_name
from pinnsuite.problem.conditions import Periodic
from pinnsuite.problem.definition import Problem, derivative_orders
from pinnsuite.problem.form import evolution
from pinnsuite.problem.jets import is_linear
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, failed
from pinnsuite.solution.support import Grid
from pinnsuite.solver import Progress, require_supported, silent

MAX_NODES = 1_500_000
"""Nodes at most, over all axes."""

_EXPLICIT_STEPS = {
    "oscillatory": 5000.0,
    "banded": 30.0,
    "sparse": 500.0,
    "wrapped": 3000.0,
}
"""Steps that stability may ask of DOP853 before an implicit method is the cheaper.

Periodic sides in the plane fill the factors of BDF: two reacting fields on 101² nodes
took 43 CPU-s by BDF and 9.8 by DOP853, which needed about 1000 steps.
"""


@dataclass(frozen=True)
class MethodOfLines:
    """Finite differences of any even order, or Chebyshev points, on boxes; then ODEs.

    `∂s/∂t = F(t, x, s, s_x, …)` is kept at the nodes, with F in its expanded algebra
    and the derivatives by stencils; values on the boundary are eliminated through the
    conditions, which take one-sided stencils of the same order. Fields of second order
    in time are split into value and velocity. The Jacobian Σ diag(∂F/∂s) D_s is exact.
    The error falls as h^order for smooth solutions, while the integrator's tolerances
    (which `refined` tightens along) stay out of the way; for Chebyshev points it falls
    faster than any power. Conservation is met to that order only: `D(k*D(u, x), x)` is
    expanded, so jumps of k, and shocks, belong to other methods.
    Source: W. E. Schiesser, The Numerical Method of Lines, 1991; B. Fornberg, DOI
    10.1137/S0036144596322507 (stencils); L. N. Trefethen, Spectral Methods in MATLAB,
    DOI 10.1137/1.9780898719598 (Chebyshev).

    Attributes
    ----------
    points
        Nodes along each axis, both ends included (in a periodic axis they are one).
    order
        Even order of the finite differences.
    stencil
        "finite-difference" or "chebyshev".
    stretch
        Finite differences on axes that are not periodic: 0 gives uniform nodes, b > 0
        the nodes `sinh(b s)/sinh(b)`, s uniform in [-1, 1], which lie e^b/(2b) times
        denser (about) in the middle, for an inner layer there.
    integrator
        "BDF", "Radau", "LSODA", "DOP853", or "auto": the explicit DOP853 where the
        spectral radius allows, else LSODA where the Jacobian is banded, else BDF.
    rtol, atol
        Tolerances of the time integration.
    """

    family: ClassVar[str] = "classical"

    points: int = 101
    order: int = 4
    stencil: str = "finite-difference"
    stretch: float = 0.0
    integrator: str = "auto"
    rtol: float = 1e-8
    atol: float = 1e-10

    def __post_init__(self) -> None:
        stencils = ("finite-difference", "chebyshev")
        if self.stencil not in stencils:
            raise OptionError(
                unknown_name("lines option stencil", self.stencil, stencils)
            )
        integrators = ("auto", *STEPPERS)
        if self.integrator not in integrators:
            raise OptionError(
                unknown_name("lines option integrator", self.integrator, integrators)
            )
        if self.order < 2 or self.order % 2:
            raise OptionError(f"lines: order is {self.order}; use 2, 4, 6, ….")
        least = 5 if self.stencil == "chebyshev" else self.order + 3
        if self.points < least:
            raise OptionError(
                f"lines: points is {self.points}; order {self.order} needs at least "
                f"{least}."
            )
        if self.stretch < 0 or (self.stretch and self.stencil == "chebyshev"):
            raise OptionError(
                f"lines: stretch is {self.stretch} with stencil {self.stencil!r}; it "
                "is a positive number for finite differences, and 0 for Chebyshev "
                "points."
            )
        check_tolerances("lines", self.rtol, self.atol)

    def why_not(self, problem: Problem) -> str | None:
        """Say which part of `problem` is out of reach, or None."""
        try:
            _analyse(self, problem)
        except UnsupportedProblemError as error:
            return str(error)
        orders = [
            max(derivative_orders(problem.equations, problem.fields, x))
            for x in problem.space
        ]
        if problem.norm == "L1" and max(orders) <= 1:
            return (
                "its solution jumps, and differences across a jump oscillate; use "
                "'finite-volume'"
            )
        return None

    def refined(self) -> MethodOfLines:
        """Return the solver at half the mesh width, tolerances tightened along."""
        factor = 100.0 if self.stencil == "chebyshev" else 2.0**self.order
        rtol, atol = tightened(self.rtol, self.atol, factor)
        return replace(self, points=2 * self.points - 1, rtol=rtol, atol=atol)

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
        budget: float | None = None,
    ) -> Solution:
        """Solve `problem` from its first to its last time."""
        require_supported(self, problem)
        assert problem.time is not None
        clock = Clock()
        with clock.phase("symbolic"):
            form = _analyse(self, problem)
            functions = CompiledRates.of(problem, form)
        with clock.phase("setup"):
            scheme = Semidiscretisation(problem, form, functions, self._axes(problem))
        outputs = problem.time.outputs
        with clock.phase("solve"), np.errstate(all="ignore"):
            name = self._choose(problem, form, scheme)
            rate = _rate(problem, form, scheme)
            trajectory = march(
                lambda: self._stepper(name, scheme, rate, outputs),
                outputs,
                progress=progress,
                budget=budget,
            )
        if trajectory.values is None:
            return failed(trajectory.status, trajectory.message, cost=clock.cost())
        values = scheme.fields(outputs, trajectory.values)
        names = problem.field_names
        axes = [LocalAxis(outputs, 2), *scheme.axes]
        rebuild = interpolant(axes, values)

        def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
            return dict(zip(names, rebuild(points).T, strict=True))

        nodes, values = closed_axes(scheme.axes, values, first=1)
        coordinates = [c.name for c in problem.coordinates]
        return Solution(
            Grid(dict(zip(coordinates, [outputs, *nodes], strict=True))),
            {n: values[..., i] for i, n in enumerate(names)},
            evaluator=evaluate,
            cost=clock.cost(),
            details={
                "dofs": len(scheme.free),
                "steps": trajectory.steps,
                "evaluations": trajectory.evaluations,
                "integrator": name,
                "stop_reason": "the last time was reached",
            },
        )

    def _axes(self, problem: Problem) -> list[SpaceAxis]:
        return box_axes(problem, self.points, self.order, self.stencil, self.stretch)

    def _keeps_waves(self, top: int) -> bool:
        """Say whether derivatives of order `top` do not amplify undamped waves.

        Measured on ∂/∂x with inflow, ∂²/∂x² and ∂⁴/∂x⁴ with two conditions an end: at
        order 4 the eigenvalues are bounded as h falls, at order 6 they grow.
        """
        return top <= 2 if self.stencil == "chebyshev" else self.order <= 4

    def _choose(
        self, problem: Problem, form: BoxForm, scheme: Semidiscretisation
    ) -> str:
        if self.integrator != "auto":
            return self.integrator
        assert problem.time is not None
        length = problem.time.end - problem.time.start
        # DOP853 is stable to about 5 on either axis of the complex plane.
        steps = scheme.spectral_radius(problem.time.start) * length / 5
        if _is_oscillatory(form):
            # BDF formulas of order 3 to 6 amplify oscillations.
            return "DOP853" if steps < _EXPLICIT_STEPS["oscillatory"] else "Radau"
        kind = "banded" if scheme.is_banded else "sparse"
        if problem.dimension > 1 and problem.conditions_of(Periodic):
            kind = "wrapped"
        if steps < _EXPLICIT_STEPS[kind]:
            return "DOP853"
        return "LSODA" if scheme.is_banded else "BDF"

    def _stepper(
        self,
        name: str,
        scheme: Semidiscretisation,
        rate: Callable[[float, np.ndarray], np.ndarray],
        outputs: np.ndarray,
    ) -> Any:
        more: dict[str, Any] = {}
        if name == "LSODA" and scheme.is_banded:
            lower, upper = scheme.bands
            more = {"jac": scheme.banded_jacobian, "lband": lower, "uband": upper}
        elif name == "LSODA":
            more = {"jac": lambda t, y: scheme.jacobian(t, y).toarray()}
        elif name != "DOP853":
            more = {"jac": scheme.stored_jacobian}
        return STEPPERS[name](
            rate,
            float(outputs[0]),
            scheme.start,
            float(outputs[-1]),
            rtol=self.rtol,
            atol=self.atol,
            **more,
        )


def _analyse(solver: MethodOfLines, problem: Problem) -> BoxForm:
    """Return the form of `problem`; UnsupportedProblemError says why there is none."""
    require_box(problem)
    axes = solver._axes(problem)
    count = math.prod(len(axis.nodes) for axis in axes)
    if count > MAX_NODES:
        raise UnsupportedProblemError(
            f"its grid of {solver.points} nodes in each of {problem.dimension} "
            f"coordinates has {count:.2g} nodes, and {MAX_NODES:.2g} are the most; "
            "lower points"
        )
    form = box_form(problem, evolution(problem), axes)
    periodic = {c.along for c in problem.conditions_of(Periodic)}
    for k, x in enumerate(problem.space):
        top = max(orders[k] for orders in form.highest)
        is_damped = not _is_oscillatory(form) or solver._keeps_waves(top)
        if x not in periodic and not is_damped:
            raise UnsupportedProblemError(
                f"its waves are not damped, and one-sided stencils of order "
                f"{solver.order} ({solver.stencil}) at the ends of {x} amplify them; "
                "use finite differences of order 4 and more points"
            )
    return form


def _rate(
    problem: Problem, form: BoxForm, scheme: Semidiscretisation
) -> Callable[[float, np.ndarray], np.ndarray]:
    """Return dy/dt, as one product where it is A y + b: half the time for waves."""
    assert problem.time is not None
    t, start = problem.time.coordinate, problem.time.start
    rates = form.system.rates
    given = [*rates.algebra, *(c.value for c in form.conditions)]
    if any(t in e.free_symbols for e in given) or not is_linear(rates):
        return scheme.rate
    zero = np.zeros_like(scheme.start)
    forcing = scheme.rate(start, zero)
    matrix = scheme.stored_jacobian(start, zero)
    if scipy.sparse.issparse(matrix):
        matrix = matrix.tocsr()
    return lambda _, y: matrix @ y + forcing


def _is_oscillatory(form: BoxForm) -> bool:
    """Say whether the eigenvalues lie near the imaginary axis: waves and dispersion."""
    highest = max((sum(j.orders) for j in form.system.rates.jets.values()), default=0)
    return highest % 2 == 1 or any(s.order for s in form.system.states)
