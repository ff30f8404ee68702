"""Finite elements from an automatically derived weak form, by scikit-fem.

Continuous Lagrange elements of degree k = 1 to 4 on intervals and triangles; cells at a
curved boundary are quadratic images of triangles for k > 1. The weak form and its exact
linearisation come from `weak_form`; scikit-fem gives shape functions, numbering and
quadrature (`finite_element_space`).

Sources: A. Ern & J.-L. Guermond, Theory and Practice of Finite Elements, 2004,
DOI 10.1007/978-1-4757-4355-5; E. Hairer & G. Wanner, Solving Ordinary Differential
Equations II, 1996, sec. IV.8, DOI 10.1007/978-3-642-05221-7 (Radau IIA);
T. Gustafsson & G. D. McBain, scikit-fem, DOI 10.21105/joss.02369.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from pinnsuite.classical.finite_element_space import DEGREES, Evaluator, Space
from pinnsuite.classical.finite_element_steps import Iteration, evolve, stationary
from pinnsuite.classical.finite_element_system import Integrand, System
from pinnsuite.classical.linear_systems import LINEAR_SOLVERS, SolveFailedError
from pinnsuite.classical.weak_form import weak_form
from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.problem.bisection import bisect, longest_edge_first
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.domain import Domain, PlanarDomain
from pinnsuite.problem.mesh import Mesh
from pinnsuite.problem.mesh_domain import MeshDomain
from pinnsuite.problem.outline import Arc
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, failed
from pinnsuite.solution.support import MeshNodes
from pinnsuite.solver import Progress, silent

Array = np.ndarray

GRADINGS = ("uniform", "cosine", "adaptive")
"""How mesh widths vary over the domain."""

COARSER = 4
"""How much wider than asked for the meshes are that adaption starts from."""

MARKED = 0.5
"""Triangles are bisected whose estimated error is above this share of the largest."""

ROUGH = 1e-3
"""Where Newton's method ends on the meshes that are refined further."""

DIVISIONS = 26
"""Cells along the longest side of a domain when no mesh size is given.

With few factors 2, so that the nodes, where the error is smaller than elsewhere, do not
fall on the points of comparison grids, whose divisions are powers of 2.
"""


@dataclass(frozen=True)
class FiniteElements:
    """Continuous finite elements on intervals and triangles; Newton; Radau IIA in time.

    The L2 error of a field with elements of degree k is O(hᵏ⁺¹) where the solution is
    smooth. Corners and jumps of the data lower it, which graded meshes mend.
    Time-dependent problems, also differential-algebraic ones, take uniform steps of the
    three-stage Radau IIA method: order 5, at least 4 with time-dependent Dirichlet
    values (stage order 3) and between steps, L-stable. There is no upwinding: keep the
    cell Péclet number small.

    Attributes
    ----------
    mesh_size
        Edge length; None takes the problem's hint, else 1/26 of the longest side or a
        mesh from a file as it is. With a size, a mesh from a file is refined to it.
    element
        `P1` to `P4`. Where `hints["elements"]` names elements, it is that of the fields
        with the highest degree, and the others keep their distance: with a hint of P2
        velocities and a P1 pressure, `P3` gives P3 and P2. Hints are never lowered.
    refinements
        Uniform refinements of that mesh, each halving h.
    grading
        `uniform`; `cosine`, for boxes: nodes at `(1 - cos π s)/2` of each side, close
        together at the walls; `adaptive`, for stationary problems in the plane: from a
        mesh four times as coarse the triangles with the largest jumps of the gradient
        are bisected until there are as many as the uniform mesh has.
    steps
        Time steps, for a time-dependent problem.
    newton_tolerance
        Newton's method ends when the update of every field is below this share of the
        field (largest absolute values).
    max_newton
        Iterations at most, for each system of equations.
    linear_solver
        `direct` (LU factors) or, for stationary problems whose matrices are symmetric
        and definite, `multigrid`: conjugate gradients with smoothed aggregation, which
        takes less memory and, in space, less time. Where it cannot be used the solution
        says so.
    """

    family: ClassVar[str] = "classical"

    mesh_size: float | None = None
    element: str = "P2"
    refinements: int = 0
    grading: str = "uniform"
    steps: int = 40
    newton_tolerance: float = 1e-10
    max_newton: int = 25
    linear_solver: str = "direct"

    def __post_init__(self) -> None:
        if self.element not in DEGREES:
            raise OptionError(
                f"finite-element: element is {self.element!r}; use "
                + " or ".join(map(repr, DEGREES))
                + "."
            )
        if self.grading not in GRADINGS:
            raise OptionError(
                f"finite-element: grading is {self.grading!r}; use "
                + " or ".join(map(repr, GRADINGS))
                + "."
            )
        if self.mesh_size is not None and not 0 < self.mesh_size < math.inf:
            raise OptionError(
                f"finite-element: mesh_size is {self.mesh_size!r}; a positive length "
                "is needed, or None for the problem's hint."
            )
        for name, least in (("refinements", 0), ("steps", 1), ("max_newton", 1)):
            value = getattr(self, name)
            if value != int(value) or value < least:
                raise OptionError(
                    f"finite-element: {name} is {value!r}; a whole number of at least "
                    f"{least} is needed."
                )
        if self.linear_solver not in LINEAR_SOLVERS:
            raise OptionError(
                f"finite-element: linear_solver is {self.linear_solver!r}; use "
                + " or ".join(map(repr, LINEAR_SOLVERS))
                + "."
            )
        if not 0 < self.newton_tolerance < 1:
            raise OptionError(
                f"finite-element: newton_tolerance is {self.newton_tolerance!r}; a "
                "number between 0 and 1 is needed."
            )

    def why_not(self, problem: Problem) -> str | None:
        """Say which part of `problem` has no weak form with continuous elements."""
        if problem.domain is None:
            return "it has no space coordinates; use a solver for ordinary equations"
        if problem.dimension > 3:
            return (
                f"it has {problem.dimension} space coordinates; there are meshes in "
                "one to three"
            )
        for name, element in problem.hints.get("elements", {}).items():
            if name not in problem.field_names or element not in DEGREES:
                return (
                    f"hints['elements'] gives {element!r} for {name!r}; needed are "
                    f"{', '.join(DEGREES)} for the fields "
                    f"{', '.join(problem.field_names)}"
                )
        reason = self._unfit_option(problem)
        if reason:
            return reason
        try:
            weak_form(problem)
        except UnsupportedProblemError as error:
            return str(error)
        return None

    def _unfit_option(self, problem: Problem) -> str | None:
        """Say which option has no meaning for `problem`."""
        assert problem.domain is not None
        if self.grading == "cosine" and not problem.domain.is_box:
            return "grading='cosine' is for boxes; use 'uniform' or 'adaptive'"
        if self.grading == "adaptive" and (
            problem.time is not None or problem.dimension != 2
        ):
            return "grading='adaptive' is for stationary problems in the plane"
        if problem.dimension == 3 and {"P3", "P4"} & set(
            self.elements(problem).values()
        ):
            return "tetrahedra are of degree 1 or 2; use 'P1' or 'P2'"
        if problem.time is not None and self.linear_solver == "multigrid":
            return "linear_solver='multigrid' is for stationary problems; use 'direct'"
        if "P4" in self.elements(problem).values():
            if problem.time is not None:
                return "P4 elements outdo the order 4 of the steps in time; use 'P3'"
            if _is_round(problem.domain):
                return (
                    "P4 elements outdo the quadratic geometry of its round boundary, "
                    "which is good for order 4; use 'P3'"
                )
        return None

    def elements(self, problem: Problem) -> dict[str, str]:
        """Return the element of each field by name."""
        chosen = problem.hints.get("elements", {})
        own = DEGREES[self.element]
        lift = max(own - max(map(DEGREES.__getitem__, chosen.values()), default=0), 0)
        return {
            name: f"P{DEGREES[chosen[name]] + lift}" if name in chosen else self.element
            for name in problem.field_names
        }

    def expected_orders(self, problem: Problem) -> dict[str, float]:
        """Return the order k + 1 of the L2 error of each field by name."""
        return {
            name: DEGREES[element] + 1.0
            for name, element in self.elements(problem).items()
        }

    def expected_order(self, problem: Problem) -> float | None:
        """Return the smallest order of the judged fields; see `expected_orders`.

        None with adaptive meshes, which have no h.
        """
        if self.grading == "adaptive":
            return None
        orders = self.expected_orders(problem)
        return min(orders[name] for name in problem.judged_names)

    def refined(self) -> FiniteElements:
        """Return the solver with half the mesh width and half the time step."""
        return replace(self, refinements=self.refinements + 1, steps=2 * self.steps)

    def _size(self, problem: Problem) -> float:
        """Return the edge length before refinements."""
        assert problem.domain is not None
        size = self.mesh_size or problem.hints.get("mesh_size")
        if size is None:
            is_given = isinstance(problem.domain, MeshDomain)
            size = problem.domain.extent / (1 if is_given else DIVISIONS)
        return float(size)

    def mesh(self, problem: Problem) -> Mesh:
        """Return the mesh that `problem` is solved on, or that adaption starts from."""
        assert problem.domain is not None
        size = self._size(problem)
        if self.grading == "adaptive":
            return longest_edge_first(problem.domain.mesh(COARSER * size))
        if problem.domain.is_box:
            # Divided anew, not refined: the diagonals alternate at every level, so the
            # constant of the error stays the same. An even number halves exactly.
            count = 2 * math.ceil(problem.domain.extent / (2 * size) - 1e-9)
            mesh = problem.domain.mesh(
                problem.domain.extent / (count * 2**self.refinements)
            )
            return _cosine_graded(mesh) if self.grading == "cosine" else mesh
        mesh = problem.domain.mesh(size)
        for _ in range(self.refinements):
            mesh = mesh.refine()
        return mesh

    def solve(
        self,
        problem: Problem,
        *,
        progress: Progress = silent,
        budget: float | None = None,  # noqa: ARG002
    ) -> Solution:
        """Solve `problem`; it runs to its end whatever the budget.

        Raises
        ------
        UnsupportedProblemError
            If `why_not` speaks.
        """
        reason = self.why_not(problem)
        if reason:
            raise UnsupportedProblemError(
                f"finite-element cannot solve {problem.name!r} because {reason}."
            )
        clock = Clock()
        with clock.phase("symbolic"):
            weak = weak_form(problem)
            integrands = [Integrand(integral) for integral in weak.integrals]
        with clock.phase("setup"):
            mesh = self.mesh(problem)
        elements = tuple(self.elements(problem).values())
        times = None if problem.time is None else problem.time.outputs
        wanted = 0.0
        if self.grading == "adaptive":
            coarser = max(mesh.mean_size / self._size(problem), 1.0)
            wanted = len(mesh.cells) * coarser**2 * 4**self.refinements
        last: tuple[Space, Array] | None = None
        while True:
            with clock.phase("setup"):
                space = Space(problem, mesh, elements)
                system = System(problem, weak, integrands, space)
            is_last = len(mesh.cells) >= wanted
            tolerance = max(self.newton_tolerance, 0.0 if is_last else ROUGH)
            iteration = Iteration(tolerance, self.max_newton, self.linear_solver)
            try:
                with clock.phase("solve"), np.errstate(all="ignore"):
                    if problem.time is None:
                        start = system.transferred(*last) if last else None
                        values, details = stationary(system, iteration, progress, start)
                    else:
                        values, details = evolve(
                            system, self.steps, iteration, progress
                        )
            except SolveFailedError as error:
                return failed(error.status, str(error), cost=clock.cost())
            if is_last:
                break
            with clock.phase("solve"):
                mesh = bisect(mesh, _worst(problem, system, values))
                last = None if system.is_linear else (space, values)
        names = problem.field_names
        nodes = {
            name: values[..., system.parts[i].start + space.vertices(i)]
            for i, name in enumerate(names)
        }
        label = "t" if problem.time is None else problem.time.coordinate.name
        coordinates = tuple(x.name for x in problem.space)
        evaluator = Evaluator(
            space,
            names,
            times,
            [values[..., system.parts[i]] for i in range(len(names))],
        )
        return Solution(
            MeshNodes(mesh, coordinates, times, label),
            nodes,
            evaluator=evaluator,
            cost=clock.cost(),
            details={"dofs": system.size, "cells": len(mesh.cells), **details},
        )


def _is_round(domain: Domain) -> bool:
    return isinstance(domain, PlanarDomain) and any(
        isinstance(piece, Arc) for piece in domain.pieces
    )


def _cosine_graded(mesh: Mesh) -> Mesh:
    """Return the mesh of a box with its nodes drawn towards the sides."""
    low, high = mesh.points.min(axis=0), mesh.points.max(axis=0)
    share = (mesh.points - low) / (high - low)
    points = low + (high - low) * (1.0 - np.cos(np.pi * share)) / 2.0
    # Sides stay where they are to the last bit.
    points = np.where(share == 1.0, high, points)
    return replace(mesh, points=points)


def _worst(problem: Problem, system: System, values: Array) -> Array:
    """Return the cells with the largest jumps of the gradients of the judged fields."""
    total = np.zeros(system.space.num_cells)
    for name in problem.judged_names:
        i = problem.field_names.index(name)
        jumps = system.space.jumps(i, values[system.parts[i]])
        total += jumps / max(jumps.sum(), np.finfo(float).tiny)
    return np.flatnonzero(total > MARKED**2 * total.max())
