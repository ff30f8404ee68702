"""Conservative cell-centred differences for diffusion and waves in divergence form.

Source: A. A. Samarskii, The Theory of Difference Schemes, 2001, ch. 3, DOI
10.1201/9780203908518.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy import sparse

from pinnsuite.classical.cell_form import CellForm, cell_form
from pinnsuite.classical.cell_grid import STENCIL, CellAxis, cell_axes, interpolation
from pinnsuite.classical.cell_steps import TABLEAUX, Iteration, balance, diffuse, swing
from pinnsuite.classical.cell_system import CellSystem
from pinnsuite.classical.linear_systems import SolveFailedError
from pinnsuite.classical.stencils import LocalAxis
from pinnsuite.errors import OptionError, UnsupportedProblemError, unknown_name
from pinnsuite.problem.conditions import Periodic
from pinnsuite.problem.definition import Problem
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solution.support import Grid
from pinnsuite.solver import Progress, require_supported, silent

Array = np.ndarray

LINEAR_SOLVERS = ("auto", "direct", "multigrid", "transform")
"""See the option `linear_solver`."""


@dataclass(frozen=True)
class CellCentred:
    """Finite volumes on boxes for `c u_t`, `c u_tt` or 0 `= ∇·(a ∇u) + f(t, x, u)`.

    The flux through a face is `a ∂u/∂n` with the harmonic mean of a, so that layers
    whose interfaces are faces (the grid puts faces on planes across which a coefficient
    jumps) are met exactly, and what leaves one cell enters the next. Second order for
    smooth solutions; corners of interfaces lower it. Diffusion takes uniform steps of
    an L-stable SDIRK method (Crank-Nicolson stalls on rough coefficients), its matrix
    factored once while f is linear; waves take the Störmer-Verlet method, with a step
    from the stability limit and damping `d u_t` in the middle of it. Fields may be
    coupled through f.

    Attributes
    ----------
    cells
        Cells along the longest side, about: every layer has one at the least, as long
        as there are not more layers than cells.
    refinements
        How often those are halved.
    method
        `SDIRK2` or `SDIRK4`, for diffusion in time.
    steps
        Steps of it, for the coarse grid; each refinement doubles them.
    courant
        Share of the stability limit that a wave's step takes, at most.
    linear_solver
        `direct`; `multigrid` (conjugate gradients, smoothed aggregation before them);
        `transform` (conjugate gradients with the Laplacian of the mean coefficient
        inverted by sine and cosine transforms before them, on uniform grids: steps do
        not grow with the grid but with the contrast of a); `auto` takes `transform`
        for large stationary linear problems of moderate contrast, else `direct`.
    newton_tolerance
        Share of the largest value by which the last update of Newton's method changes
        the solution.
    """

    family: ClassVar[str] = "classical"

    cells: int = 64
    refinements: int = 0
    method: str = "SDIRK4"
    steps: int = 40
    courant: float = 0.7
    linear_solver: str = "auto"
    newton_tolerance: float = 1e-9

    def __post_init__(self) -> None:
        for name, least in (("cells", STENCIL), ("refinements", 0), ("steps", 1)):
            if getattr(self, name) < least:
                raise OptionError(
                    f"cell-centred: {name} is {getattr(self, name)}; at least {least} "
                    "is needed."
                )
        for name, known in (("method", TABLEAUX), ("linear_solver", LINEAR_SOLVERS)):
            value = getattr(self, name)
            if value not in known:
                raise OptionError(
                    unknown_name(f"cell-centred option {name}", value, known)
                )
        for name in ("courant", "newton_tolerance"):
            if not 0 < getattr(self, name) < 1:
                raise OptionError(
                    f"cell-centred: {name} is {getattr(self, name)}; a number between "
                    "0 and 1 is needed."
                )

    def why_not(self, problem: Problem) -> str | None:
        """Say which part of `problem` is out of reach, or None."""
        try:
            form = cell_form(problem)
            if self.linear_solver == "transform":
                _require_uniform(problem, form, self)
        except UnsupportedProblemError as error:
            return str(error)
        return None

    def refined(self) -> CellCentred:
        """Return the solver with half the cell width and half the step."""
        return replace(self, refinements=self.refinements + 1)

    def expected_order(self, problem: Problem) -> float:  # noqa: ARG002
        """Return 2, the order of the fluxes and of Störmer-Verlet steps."""
        return 2.0

    def axes(self, problem: Problem) -> list[CellAxis]:
        """Return the cells that `problem` is solved on, an axis a coordinate."""
        periodic = {c.along for c in problem.conditions_of(Periodic)}
        return cell_axes(problem, periodic, self.cells, self.refinements)

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
            form = cell_form(problem)
        names = problem.field_names
        try:
            with clock.phase("setup"):
                axes = self.axes(problem)
                system = CellSystem(problem, form, axes)
            with clock.phase("solve"), np.errstate(all="ignore"):
                method = self._linear_solver(system)
                iteration = Iteration(method, self.newton_tolerance)
                if form.time_order == 2:
                    values, details = swing(
                        system, self.courant, self.refinements, progress
                    )
                elif form.time_order == 1:
                    count = self.steps * 2**self.refinements
                    values, details = diffuse(
                        system, self.method, count, iteration, progress
                    )
                else:
                    values, details = balance(system, iteration)
        except SolveFailedError as error:
            return failed(error.status, str(error), cost=clock.cost())
        if not np.isfinite(values).all():
            return failed(Status.NAN, Status.NAN.sentence, cost=clock.cost())
        shape = [len(axis.centres) for axis in axes]
        outputs = None if problem.time is None else problem.time.outputs
        grid = {x.name: a.centres for x, a in zip(problem.space, axes, strict=True)}
        if problem.time is not None and outputs is not None:
            grid = {problem.time.coordinate.name: outputs, **grid}
            shape = [len(outputs), *shape]
        return Solution(
            Grid(grid),
            {n: values[:, i].reshape(shape) for i, n in enumerate(names)},
            evaluator=_Evaluator(
                names, axes, outputs, values, system.jumping_conductivity()
            ),
            cost=clock.cost(),
            details={
                "dofs": system.size,
                "cells": [len(axis.centres) for axis in axes],
                "linear_solver": method,
                "stop_reason": "the system was solved",
                **details,
            },
        )

    def _linear_solver(self, system: CellSystem) -> str:
        if self.linear_solver != "auto":
            return self.linear_solver
        if system.form.time_order or not system.is_constant:
            return "direct"
        # Measured: 0.5 and 0.7 CPU-s with 256² cells and a contrast of 10; 0.2 and 5
        # with 160² cells and a contrast of 700. In space LU factors fill up.
        is_worth_it = system.size > 50_000 and system.contrast <= 100
        if len(system.axes) < 3 and not is_worth_it:
            return "direct"
        try:
            _require_uniform(system.problem, system.form, self)
        except UnsupportedProblemError:
            return "direct"
        return "transform"


def _require_uniform(problem: Problem, form: CellForm, solver: CellCentred) -> None:
    axes = solver.axes(problem)
    if any(axis.is_periodic or not axis.is_uniform for axis in axes):
        raise UnsupportedProblemError(
            "linear_solver='transform' takes uniform cells without periodic sides; "
            "use 'direct'"
        )
    if len(problem.fields) > 1 or form.time_order == 2:
        raise UnsupportedProblemError(
            "linear_solver='transform' takes one field, stationary or of first order "
            "in time; use 'direct'"
        )


@dataclass(frozen=True, eq=False)
class _Evaluator:
    """Values between centres; see `cell_grid.interpolation`."""

    names: tuple[str, ...]
    axes: list[CellAxis]
    outputs: Array | None
    values: Array
    conductivity: list[list[Array]]

    def __call__(self, points: Array) -> dict[str, Array]:
        """Return the fields at points, shape (n, coordinates), time first."""
        if self.outputs is None:
            space, back = points, np.arange(len(points))
            in_time = None
        else:
            space, back = np.unique(points[:, 1:], axis=0, return_inverse=True)
            back = back.ravel()
            in_time = LocalAxis(self.outputs, 2).interpolation(points[:, 0])
        matrices: dict[int, sparse.csr_array] = {}
        found = {}
        for i, name in enumerate(self.names):
            # Fields without jumps share the interpolation.
            key = i if any(a.ndim for a in self.conductivity[i]) else -1
            if key not in matrices:
                matrices[key] = interpolation(self.axes, space, self.conductivity[i])
            table = matrices[key] @ self.values[:, i].T
            if in_time is None:
                found[name] = table[back, 0]
            else:
                times, weights = in_time
                found[name] = (table[back[:, None], times] * weights).sum(axis=1)
        return found
