"""py-pde, by an expression of its own language: `pip install py-pde`."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pde
import sympy as sp

from pinnsuite.problem.catalog import load_file
from pinnsuite.problem.conditions import Periodic
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.form import evolution
from pinnsuite.problem.jets import numpy_function
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution
from pinnsuite.solver import Progress, silent

shared = load_file(Path(__file__).parent / "scipy_defaults.py")

OPERATORS = {
    0: "{}",
    1: "d_dx({})",
    2: "laplace({})",
    3: "d_dx(laplace({}))",
    4: "laplace(laplace({}))",
}


@dataclass(frozen=True)
class PyPDE:
    """u_t = F(u, u_x, …) by `pde.PDE` with its adaptive explicit stepper.

    Attributes
    ----------
    points
        Cells of the grid.
    tolerance
        Of a step, in its own measure.
    """

    family: ClassVar[str] = "classical"

    points: int = 256
    tolerance: float = 1e-4

    def why_not(self, problem: Problem) -> str | None:
        """Say why the problem cannot be taken, None if it can."""
        reason: str | None = shared.not_simple(problem)
        return reason

    def solve(
        self,
        problem: Problem,
        *,
        progress: Progress = silent,  # noqa: ARG002
        budget: float | None = None,  # noqa: ARG002
    ) -> Solution:
        """Solve twice with one compiled stepper; the second time counts."""
        assert problem.time is not None
        assert problem.domain is not None
        clock = Clock()
        with clock.phase("symbolic"):
            form = evolution(problem)
            names = {
                s: sp.Symbol(OPERATORS[jet.orders[0]].format("u"))
                for s, jet in form.rates.jets.items()
            }
            text = str(form.rates.algebra[0].xreplace(names))
            start = numpy_function(problem.space, form.initial)
        is_periodic = bool(problem.conditions_of(Periodic))
        grid = pde.CartesianGrid(
            [tuple(problem.domain.bounds[0])], self.points, periodic=is_periodic
        )
        x = grid.axes_coords[0]
        first = np.array(np.broadcast_to(start(x)[0], x.shape), dtype=float)
        equation = pde.PDE(
            {"u": text}, bc="periodic" if is_periodic else {"value": 0.0}
        )
        times = problem.time.outputs

        solver = pde.RungeKuttaSolver(equation, adaptive=True, tolerance=self.tolerance)

        def run() -> np.ndarray:
            state = pde.ScalarField(grid, first)
            kept = [first]
            for now, then in itertools.pairwise(times):
                step(state, now, then)
                kept.append(state.data.copy())
            return np.array(kept)

        with clock.phase("compile"):
            step = solver.make_stepper(pde.ScalarField(grid, first))
            run()
        with clock.phase("solve"):
            values = run()
        if not is_periodic:
            edges = problem.domain.bounds[0]
            x = np.r_[edges[0], x, edges[1]]
            values = np.pad(values, ((0, 0), (1, 1)))
        else:
            # Cell centres: the periodic interval starts half a cell later.
            x, values = _from_the_left(problem, x, values)
        solution: Solution = shared.on_grid(problem, times, x, values, clock)
        return solution


def _from_the_left(
    problem: Problem, x: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return values at the left ends of the cells, by a shift of the Fourier modes."""
    assert problem.domain is not None
    half = (x[1] - x[0]) / 2
    modes = 2j * np.pi * np.fft.rfftfreq(len(x), d=x[1] - x[0])
    shifted = np.fft.irfft(
        np.fft.rfft(values, axis=1) * np.exp(-modes * half), n=len(x), axis=1
    )
    return x - half, shifted
