"""Central differences and `scipy.integrate.solve_ivp`, as it comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.integrate

from pinnsuite.errors import UnsupportedProblemError
from pinnsuite.problem.conditions import Dirichlet, Periodic
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.form import evolution
from pinnsuite.problem.jets import numpy_function
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solution.support import Grid
from pinnsuite.solver import Progress, silent

STENCILS = {
    0: {0: 1.0},
    1: {-1: -0.5, 1: 0.5},
    2: {-1: 1.0, 0: -2.0, 1: 1.0},
    3: {-2: -0.5, -1: 1.0, 1: -1.0, 2: 0.5},
    4: {-2: 1.0, -1: -4.0, 0: 6.0, 1: -4.0, 2: 1.0},
}
"""Weights of the second-order central differences with unit spacing, by offset."""


def not_simple(problem: Problem) -> str | None:
    """Say why a problem is not one field on a periodic or clamped interval."""
    try:
        form = evolution(problem)
    except UnsupportedProblemError as error:
        return str(error)
    if problem.dimension != 1 or len(form.states) != 1:
        return "it is not one equation of first order in time on an interval"
    if problem.conditions_of(Periodic):
        return None
    held = problem.conditions_of(Dirichlet)
    if any(c.value != 0 for c in held) or not held:
        return "its ends are neither periodic nor held at zero"
    orders = (jet.orders[0] for jet in form.rates.jets.values())
    return "it needs more than two neighbours at an end" if max(orders) > 2 else None


@dataclass(frozen=True)
class SolveIVP:
    """u_t = F(u, u_x, …) by central differences and `solve_ivp`.

    Attributes
    ----------
    points
        Of the uniform grid; without the right end if it is periodic.
    method, rtol, atol
        As `solve_ivp` takes them, with its defaults.
    """

    family: ClassVar[str] = "classical"

    points: int = 257
    method: str = "RK45"
    rtol: float = 1e-3
    atol: float = 1e-6

    def why_not(self, problem: Problem) -> str | None:
        """Say why the problem cannot be taken, None if it can."""
        return not_simple(problem)

    def solve(
        self,
        problem: Problem,
        *,
        progress: Progress = silent,  # noqa: ARG002
        budget: float | None = None,  # noqa: ARG002
    ) -> Solution:
        """Integrate over the output times."""
        assert problem.time is not None
        assert problem.domain is not None
        clock = Clock()
        with clock.phase("symbolic"):
            form = evolution(problem)
            symbols = form.rates.symbols
            arguments = [problem.time.coordinate, *problem.space, *symbols]
            rate = numpy_function(arguments, form.rates.algebra)
            start = numpy_function(problem.space, form.initial)
        is_periodic = bool(problem.conditions_of(Periodic))
        ((low, high),) = problem.domain.bounds
        count = self.points + is_periodic
        x = np.linspace(low, high, count)[: self.points]
        spacing = x[1] - x[0]
        orders = [form.rates.jets[s].orders[0] for s in symbols]

        def derivative(u: np.ndarray, order: int) -> np.ndarray:
            terms = [w * np.roll(u, -k) for k, w in STENCILS[order].items()]
            return np.sum(terms, axis=0) / spacing**order

        def rates(t: float, u: np.ndarray) -> np.ndarray:
            jets = [derivative(u, k) for k in orders]
            result = np.broadcast_to(rate(t, x, *jets)[0], x.shape).copy()
            if not is_periodic:
                result[[0, -1]] = 0.0
            return result

        first = np.array(np.broadcast_to(start(x)[0], x.shape), dtype=float)
        if not is_periodic:
            first[[0, -1]] = 0.0
        times = problem.time.outputs
        with clock.phase("solve"):
            found: Any = scipy.integrate.solve_ivp(
                rates,
                (times[0], times[-1]),
                first,
                method=self.method,
                t_eval=times,
                rtol=self.rtol,
                atol=self.atol,
            )
        if not found.success:
            return failed(Status.FAILED, str(found.message), cost=clock.cost())
        return on_grid(problem, times, x, found.y.T, clock)


def on_grid(
    problem: Problem,
    times: np.ndarray,
    x: np.ndarray,
    values: np.ndarray,
    clock: Clock,
) -> Solution:
    """Return the solution on its grid, the right end added where it is periodic."""
    assert problem.time is not None
    assert problem.domain is not None
    if problem.conditions_of(Periodic):
        x = np.append(x, problem.domain.bounds[0, 1])
        values = np.hstack([values, values[:, :1]])
    axes = {problem.time.coordinate.name: times, problem.space[0].name: x}
    return Solution(
        Grid(axes),
        {problem.field_names[0]: values},
        cost=clock.cost(),
        details={"dofs": len(x)},
    )
