"""Finite elements from an automatically derived weak form, by scikit-fem.

Continuous Lagrange elements of degree k = 1 or 2 on intervals and triangles; cells at a
curved boundary are isoparametric for k = 2. The weak form and its exact linearisation
come from `weak_form`; scikit-fem gives shape functions, numbering and quadrature
(`finite_element_space`).

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
from pinnsuite.classical.linear_systems import SolveFailedError
from pinnsuite.classical.weak_form import weak_form
from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.mesh import Mesh
from pinnsuite.problem.mesh_domain import MeshDomain
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, failed
from pinnsuite.solution.support import MeshNodes
from pinnsuite.solver import Progress, silent

Array = np.ndarray

DIVISIONS = 26
"""Cells along the longest side of a domain when no mesh size is given.

With few factors 2, so that the nodes, where the error is smaller than elsewhere, do not
fall on the points of comparison grids, whose divisions are powers of 2.
"""


@dataclass(frozen=True)
class FiniteElements:
    """Continuous finite elements on intervals and triangles; Newton; Radau IIA in time.

    The L2 error of a field with elements of degree k is O(hᵏ⁺¹) where the solution is
    smooth (corners and jumps of the data lower it). Time-dependent problems, also
    differential-algebraic ones, take uniform steps of the three-stage Radau IIA method:
    order 5, at least 4 with time-dependent Dirichlet values (stage order 3) and between
    steps, L-stable. There is no upwinding: keep the cell Péclet number small.

    Attributes
    ----------
    mesh_size
        Edge length; None takes the problem's hint, else 1/26 of the longest side or a
        mesh from a file as it is. With a size, a mesh from a file is refined to it.
    element
        `P1` or `P2` for every field that `hints["elements"]` does not name.
    refinements
        Uniform refinements of that mesh, each halving h.
    steps
        Time steps, for a time-dependent problem.
    newton_tolerance
        Newton's method ends when the update of every field is below this share of the
        field (largest absolute values).
    max_newton
        Iterations at most, for each system of equations.
    """

    family: ClassVar[str] = "classical"

    mesh_size: float | None = None
    element: str = "P2"
    refinements: int = 0
    steps: int = 40
    newton_tolerance: float = 1e-10
    max_newton: int = 25

    def __post_init__(self) -> None:
        if self.element not in DEGREES:
            raise OptionError(
                f"finite-element: element is {self.element!r}; use 'P1' or 'P2'."
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
        if not 0 < self.newton_tolerance < 1:
            raise OptionError(
                f"finite-element: newton_tolerance is {self.newton_tolerance!r}; a "
                "number between 0 and 1 is needed."
            )

    def why_not(self, problem: Problem) -> str | None:
        """Say which part of `problem` has no weak form with continuous elements."""
        if problem.domain is None:
            return "it has no space coordinates; use a solver for ordinary equations"
        if problem.dimension > 2:
            return (
                f"it has {problem.dimension} space coordinates; there are meshes in "
                "one and two"
            )
        for name, element in problem.hints.get("elements", {}).items():
            if name not in problem.field_names or element not in DEGREES:
                return (
                    f"hints['elements'] gives {element!r} for {name!r}; needed are "
                    f"'P1' or 'P2' for the fields {', '.join(problem.field_names)}"
                )
        try:
            weak_form(problem)
        except UnsupportedProblemError as error:
            return str(error)
        return None

    def elements(self, problem: Problem) -> dict[str, str]:
        """Return the element of each field by name."""
        chosen = problem.hints.get("elements", {})
        return {name: chosen.get(name, self.element) for name in problem.field_names}

    def expected_orders(self, problem: Problem) -> dict[str, float]:
        """Return the order k + 1 of the L2 error of each field by name."""
        return {
            name: DEGREES[element] + 1.0
            for name, element in self.elements(problem).items()
        }

    def expected_order(self, problem: Problem) -> float:
        """Return the smallest order of the judged fields; see `expected_orders`."""
        orders = self.expected_orders(problem)
        return min(orders[name] for name in problem.judged_names)

    def refined(self) -> FiniteElements:
        """Return the solver with half the mesh width and half the time step."""
        return replace(self, refinements=self.refinements + 1, steps=2 * self.steps)

    def mesh(self, problem: Problem) -> Mesh:
        """Return the mesh that `problem` is solved on."""
        assert problem.domain is not None
        size = self.mesh_size or problem.hints.get("mesh_size")
        if size is None:
            is_given = isinstance(problem.domain, MeshDomain)
            size = problem.domain.extent / (1 if is_given else DIVISIONS)
        if problem.domain.is_box:
            # Divided anew, not refined: the diagonals alternate at every level, so the
            # constant of the error stays the same. An even number halves exactly.
            count = 2 * math.ceil(problem.domain.extent / (2 * size) - 1e-9)
            return problem.domain.mesh(
                problem.domain.extent / (count * 2**self.refinements)
            )
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
            space = Space(problem, mesh, tuple(self.elements(problem).values()))
            system = System(problem, weak, integrands, space)
        iteration = Iteration(self.newton_tolerance, self.max_newton)
        try:
            with clock.phase("solve"), np.errstate(all="ignore"):
                if problem.time is None:
                    values, details = stationary(system, iteration, progress)
                    times = None
                else:
                    values, details = evolve(system, self.steps, iteration, progress)
                    times = problem.time.outputs
        except SolveFailedError as error:
            return failed(error.status, str(error), cost=clock.cost())
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
