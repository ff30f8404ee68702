"""Finite elements from an automatically derived weak form, by scikit-fem.

Continuous Lagrange elements of degree k = 1 or 2 on intervals and triangles; cells at a
curved boundary are isoparametric for k = 2. The weak form and its exact linearisation
come from `weak_form`; scikit-fem gives shape functions, numbering and quadrature.

Sources: A. Ern & J.-L. Guermond, Theory and Practice of Finite Elements, 2004,
DOI 10.1007/978-1-4757-4355-5; E. Hairer & G. Wanner, Solving Ordinary Differential
Equations II, 1996, sec. IV.8, DOI 10.1007/978-3-642-05221-7 (Radau IIA);
T. Gustafsson & G. D. McBain, scikit-fem, DOI 10.21105/joss.02369.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
import skfem
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from pinnsuite.classical.weak_form import Integral, WeakForm, weak_form
from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.problem.conditions import Periodic, normal
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.jets import is_linear, jacobian, numpy_function
from pinnsuite.problem.mesh import Mesh
from pinnsuite.problem.mesh_domain import MeshDomain
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solution.support import MeshNodes
from pinnsuite.solver import Progress, silent

Array = np.ndarray

DEGREES = {"P1": 1, "P2": 2}
"""Degree of each element."""

DIVISIONS = 26
"""Cells along the longest side of a domain when no mesh size is given.

With few factors 2, so that the nodes, where the error is smaller than elsewhere, do not
fall on the points of comparison grids, whose divisions are powers of 2.
"""

CONTINUATION_STEPS = 10
"""Steps from the linearised to the full equations, when Newton's method fails."""

_ROOT = math.sqrt(6.0)
STAGES = np.array([(4 - _ROOT) / 10, (4 + _ROOT) / 10, 1.0])
"""Abscissae of the three-stage Radau IIA method."""

_RADAU = np.array(
    [
        [(88 - 7 * _ROOT) / 360, (296 - 169 * _ROOT) / 1800, (-2 + 3 * _ROOT) / 225],
        [(296 + 169 * _ROOT) / 1800, (88 + 7 * _ROOT) / 360, (-2 - 3 * _ROOT) / 225],
        [(16 - _ROOT) / 36, (16 + _ROOT) / 36, 1 / 9],
    ]
)


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
            integrands = [_Integrand(integral) for integral in weak.integrals]
        with clock.phase("setup"):
            mesh = self.mesh(problem)
            space = _Space(problem, mesh, tuple(self.elements(problem).values()))
            system = _System(problem, weak, integrands, space)
        try:
            with clock.phase("solve"), np.errstate(all="ignore"):
                if problem.time is None:
                    values, details = _stationary(system, self, progress)
                    times = None
                else:
                    values, details = _evolve(system, self, progress)
                    times = problem.time.outputs
        except _SolveFailedError as error:
            return failed(error.status, str(error), cost=clock.cost())
        names = problem.field_names
        nodes = {
            name: values[..., system.parts[i].start + space.vertices(i)]
            for i, name in enumerate(names)
        }
        label = "t" if problem.time is None else problem.time.coordinate.name
        coordinates = tuple(x.name for x in problem.space)
        evaluator = _Evaluator(
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


class _SolveFailedError(Exception):
    """Ends a solve with a status and a sentence."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


# --- Space: mesh, shape functions, numbering, point evaluation ------------------------


class _Space:
    """The elements of all fields on one mesh: numbering, quadrature, evaluation."""

    def __init__(self, problem: Problem, mesh: Mesh, elements: Sequence[str]) -> None:
        self.elements = tuple(elements)
        self.names = tuple(dict.fromkeys(elements))
        self.dimension = mesh.dimension
        self.is_curved = "P2" in self.names and len(mesh.curved_edges) > 0
        self.mesh = _scikit_mesh(mesh, self.is_curved)
        # Products of two shape functions exactly, and two degrees for coefficients.
        self.exactness = 2 * max(DEGREES[name] for name in self.names) + 2
        self.bases = {
            name: skfem.Basis(self.mesh, _element(name, mesh), intorder=self.exactness)
            for name in self.names
        }
        self.owners = {
            name: _periodic_owners(problem, basis.doflocs.T)
            for name, basis in self.bases.items()
        }
        self.facets = {
            name: _rows(self.mesh.facets.T, facets)
            for name, facets in mesh.boundaries.items()
        }
        self._quadratures: dict[str | None, _Quadrature] = {}

    def size(self, field: int) -> int:
        """Return the number of degrees of freedom of a field."""
        return int(self.owners[self.elements[field]].max()) + 1

    def locations(self, field: int) -> Array:
        """Return the points of the degrees of freedom: (n, d)."""
        name = self.elements[field]
        points = np.empty((self.size(field), self.dimension))
        # Backwards, so that merged nodes keep the point of the first.
        points[self.owners[name][::-1]] = self.bases[name].doflocs.T[::-1]
        return points

    def vertices(self, field: int) -> Array:
        """Return the degrees of freedom at the vertices of the mesh: (n,)."""
        name = self.elements[field]
        owned: Array = self.owners[name][self.bases[name].nodal_dofs[0]]
        return owned

    def on(self, field: int, boundary: str) -> Array:
        """Return the degrees of freedom on a boundary."""
        name = self.elements[field]
        dofs = self.bases[name].get_dofs(self.facets[boundary]).all()
        return np.unique(self.owners[name][dofs])

    def quadrature(self, boundary: str | None) -> _Quadrature:
        """Return the quadrature over the domain, or over a boundary."""
        if boundary not in self._quadratures:
            bases = self.bases
            if boundary is not None:
                bases = {
                    name: skfem.FacetBasis(
                        self.mesh,
                        basis.elem,
                        facets=self.facets[boundary],
                        intorder=self.exactness,
                    )
                    for name, basis in self.bases.items()
                }
            self._quadratures[boundary] = _Quadrature(bases, self.owners)
        return self._quadratures[boundary]

    @cached_property
    def _search(self) -> tuple[cKDTree, Array, Array]:
        corners = self.mesh.p.T[self.mesh.t[: self.dimension + 1].T]
        edges = (corners[:, 1:] - corners[:, :1]).transpose(0, 2, 1)
        return cKDTree(corners.mean(axis=1)), corners[:, 0], np.linalg.inv(edges)

    def locate(self, points: Array) -> tuple[Array, Array]:
        """Return the cell of each point and the reference coordinates: (n,), (n, d).

        A point outside goes to the candidate that it is least outside of.
        """
        tree, origins, inverses = self._search
        cells = np.zeros(len(points), dtype=int)
        reference = np.zeros(points.shape)
        depth = np.full(len(points), -np.inf)
        for count in (8, 64, 512):
            left = np.flatnonzero(depth < -1e-10)
            if not len(left):
                break
            count = min(count, len(origins))
            _, candidates = tree.query(points[left], k=count)
            candidates = candidates.reshape(len(left), count)
            offsets = points[left, None] - origins[candidates]
            local = np.einsum("pcij,pcj->pci", inverses[candidates], offsets)
            depths = np.minimum(local.min(axis=2), 1.0 - local.sum(axis=2))
            best = depths.argmax(axis=1)
            rows = np.arange(len(left))
            cells[left] = candidates[rows, best]
            reference[left] = local[rows, best]
            depth[left] = depths[rows, best]
        if self.is_curved:
            self._bend(points, cells, reference)
        return cells, reference

    def _bend(self, points: Array, cells: Array, reference: Array) -> None:
        """Invert the quadratic map of the cells by Newton's method, in place."""
        nodes = self.mesh.doflocs.T[self.mesh.dofs.element_dofs.T[cells]]
        for _ in range(8):
            shapes, slopes = _shapes(self.mesh.elem(), reference)
            error = points - np.einsum("pb,pbi->pi", shapes, nodes)
            if np.abs(error).max() < 1e-14 * np.abs(self.mesh.p).max():
                break
            slope = np.einsum("pbj,pbi->pij", slopes, nodes)
            reference += np.linalg.solve(slope, error[:, :, None])[:, :, 0]

    def matrices(self, points: Array) -> dict[str, sparse.csr_matrix]:
        """Return, by element, the matrix from coefficients to values at points."""
        cells, reference = self.locate(points)
        matrices = {}
        for name, basis in self.bases.items():
            shapes, _ = _shapes(basis.elem, reference)
            dofs = self.owners[name][basis.element_dofs.T[cells]]
            ends = np.arange(0, dofs.size + 1, dofs.shape[1])
            matrices[name] = sparse.csr_matrix(
                (shapes.ravel(), dofs.ravel(), ends),
                shape=(len(points), int(self.owners[name].max()) + 1),
            )
        return matrices


class _Quadrature:
    """Points and weights over cells or facets, with the shape functions there.

    Attributes
    ----------
    points, normals
        One array (cells, points) a coordinate; no normals inside the domain.
    weights
        (cells, points).
    tables
        Shape functions (cells, points, functions) by element and derivative.
    dofs
        Degrees of freedom (cells, functions) by element.
    """

    def __init__(self, bases: Mapping[str, Any], owners: Mapping[str, Array]) -> None:
        first = next(iter(bases.values()))
        self.points = list(np.asarray(first.global_coordinates()))
        self.weights = np.asarray(first.dx)
        is_boundary = isinstance(first, skfem.FacetBasis)
        self.normals = list(np.asarray(first.normals)) if is_boundary else []
        self.tables: dict[tuple[str, tuple[int, ...]], Array] = {}
        self.dofs = {}
        shape = self.weights.shape
        dimension = len(self.points)
        for name, basis in bases.items():
            self.dofs[name] = owners[name][basis.element_dofs.T]
            for k in range(dimension + 1):
                orders = tuple(int(j == k - 1) for j in range(dimension))
                parts = [
                    f[0].value if k == 0 else f[0].grad[k - 1] for f in basis.basis
                ]
                self.tables[name, orders] = np.stack(
                    [np.broadcast_to(part, shape) for part in parts], axis=-1
                )


def _element(name: str, mesh: Mesh) -> Any:
    if mesh.dimension == 1:
        return {"P1": skfem.ElementLineP1, "P2": skfem.ElementLineP2}[name]()
    return {"P1": skfem.ElementTriP1, "P2": skfem.ElementTriP2}[name]()


def _shapes(element: Any, reference: Array) -> tuple[Array, Array]:
    """Return shape functions (n, b) and their reference gradients (n, b, d)."""
    count = len(element.doflocs)
    pairs = [element.lbasis(reference.T, i) for i in range(count)]
    shape = reference.T.shape
    return (
        np.stack([value for value, _ in pairs], axis=1),
        np.stack([np.broadcast_to(g, shape).T for _, g in pairs], axis=1),
    )


def _scikit_mesh(mesh: Mesh, is_curved: bool) -> Any:
    points = np.ascontiguousarray(mesh.points.T)
    cells = np.ascontiguousarray(mesh.cells.T)
    if mesh.dimension == 1:
        return skfem.MeshLine(points, cells)
    straight = skfem.MeshTri(points, cells)
    if not is_curved:
        return straight
    quadratic = skfem.MeshTri2.from_mesh(straight)
    edges = _rows(straight.facets.T, mesh.curved_edges)
    locations = quadratic.doflocs.copy()
    locations[:, quadratic.dofs.facet_dofs[0, edges]] = mesh.curved_midpoints.T
    return replace(quadratic, doflocs=locations)


def _rows(table: Array, rows: Array) -> Array:
    """Return where each vertex set of `rows` stands in `table`: (k,)."""
    base = int(table.max()) + 1
    powers = base ** np.arange(table.shape[1])
    keys = np.sort(table, axis=1) @ powers
    order = np.argsort(keys)
    wanted = np.sort(rows, axis=1) @ powers
    found: Array = order[np.searchsorted(keys[order], wanted)]
    return found


def _periodic_owners(problem: Problem, points: Array) -> Array:
    """Return the number of each node after those of opposite ends are made one."""
    assert problem.domain is not None
    owners = np.arange(len(points))
    for condition in problem.conditions_of(Periodic):
        k = problem.space.index(condition.along)
        low, high = problem.domain.bounds[k]
        others = np.delete(points, k, axis=1)
        ends = []
        for end in (low, high):
            nodes = np.flatnonzero(np.abs(points[:, k] - end) < 1e-10 * (high - low))
            if others.shape[1]:
                nodes = nodes[np.argsort(others[nodes, 0])]
            ends.append(nodes)
        owners[ends[1]] = owners[ends[0]]
    # A corner was given to a node that was itself given away.
    owners = owners[owners]
    return np.unique(owners, return_inverse=True)[1]


class _Evaluator:
    """Fields at any points, by the shape functions; between output times by cubics."""

    def __init__(
        self,
        space: _Space,
        names: Sequence[str],
        times: Array | None,
        values: Sequence[Array],
    ) -> None:
        self._space, self._names = space, names
        self._times, self._values = times, values
        self._matrices = lru_cache(maxsize=4)(self._matrices_at)

    def _matrices_at(self, data: bytes) -> dict[str, sparse.csr_matrix]:
        points = np.frombuffer(data).reshape(-1, self._space.dimension)
        return self._space.matrices(points)

    def __call__(self, points: Array) -> dict[str, Array]:
        points = np.asarray(points, dtype=float)
        if self._times is None:
            matrices = self._matrices(points.tobytes())
            return {
                name: matrices[element] @ values
                for name, element, values in zip(
                    self._names, self._space.elements, self._values, strict=False
                )
            }
        # All times at the same points, time slowest: one set of points serves them.
        times, where = points[:, 0], points[:, 1:]
        count = max(int((times == times[0]).sum()), 1) if len(times) else 1
        blocks = times.reshape(-1, count) if len(times) % count == 0 else None
        is_tensor = (
            blocks is not None
            and bool((blocks == blocks[:, :1]).all())
            and bool((where.reshape(len(blocks), -1) == where[:count].ravel()).all())
        )
        chosen = where[:count] if is_tensor else where
        matrices = self._matrices(np.ascontiguousarray(chosen).tobytes())
        weights = _cubic_weights(self._times, times[::count] if is_tensor else times)
        result = {}
        for name, element, values in zip(
            self._names, self._space.elements, self._values, strict=False
        ):
            at_outputs = matrices[element] @ values.T
            if is_tensor:
                result[name] = (weights @ at_outputs.T).ravel()
            else:
                result[name] = np.asarray(weights.multiply(at_outputs).sum(1)).ravel()
        return result


def _cubic_weights(nodes: Array, times: Array) -> sparse.csr_matrix:
    """Return the matrix that interpolates from four neighbouring nodes to times."""
    width = min(4, len(nodes))
    first = np.searchsorted(nodes, times) - width // 2
    first = np.clip(first, 0, len(nodes) - width)
    columns = first[:, None] + np.arange(width)
    weights = _lagrange(nodes[columns], times[:, None])
    ends = np.arange(0, columns.size + 1, width)
    return sparse.csr_matrix(
        (weights.ravel(), columns.ravel(), ends), shape=(len(times), len(nodes))
    )


def _lagrange(nodes: Array, at: Array) -> Array:
    """Return the Lagrange polynomials of `nodes` (…, m) at points (…, 1): (…, m)."""
    weights = np.ones(np.broadcast_shapes(nodes.shape, at.shape))
    count = nodes.shape[-1]
    for j in range(count):
        for k in range(count):
            if k != j:
                weights[..., j] *= (at[..., 0] - nodes[..., k]) / (
                    nodes[..., j] - nodes[..., k]
                )
    return weights


# --- The discrete equations -----------------------------------------------------------


class _Integrand:
    """An integral of the weak form and its exact derivatives, compiled for numpy."""

    def __init__(self, integral: Integral) -> None:
        lowered = integral.integrand
        self.on, self.tests = integral.on, integral.tests
        self.jets = list(lowered.jets.values())
        space = lowered.coordinates[-len(integral.tests[0].orders) :]
        self.has_time = len(space) < len(lowered.coordinates)
        normals = [normal(x) for x in space] if self.on is not None else []
        arguments = [*lowered.coordinates, *normals, *lowered.symbols]
        self.values = numpy_function(arguments, lowered.algebra)
        derivatives = [
            (k, j, e)
            for k, row in enumerate(jacobian(lowered))
            for j, e in enumerate(row)
            if e != 0
        ]
        self.pairs = [(k, j) for k, j, _ in derivatives]
        self.slopes = numpy_function(arguments, [e for _, _, e in derivatives])
        clock = {lowered.coordinates[0]} if self.has_time else set()
        self.is_linear = is_linear(lowered)
        self.is_static = not any(e.free_symbols & clock for _, _, e in derivatives)
        self.has_static_load = not any(e.free_symbols & clock for e in lowered.algebra)


class _System:
    """`R(t, y, y') = 0` for the coefficients y of all unknowns, with its Jacobian."""

    def __init__(
        self,
        problem: Problem,
        weak: WeakForm,
        integrands: Sequence[_Integrand],
        space: _Space,
    ) -> None:
        self.problem, self.weak, self.space = problem, weak, space
        self.integrands = integrands
        self.is_linear = all(i.is_linear for i in integrands)
        self.is_constant = self.is_linear and all(i.is_static for i in integrands)
        sizes = [space.size(owner) for owner in weak.owners]
        ends = np.cumsum([0, *sizes]).tolist()
        self.parts = [slice(a, b) for a, b in itertools.pairwise(ends)]
        self.size = ends[-1]
        self.gauge: int | None = None
        self._impose()

    def _impose(self) -> None:
        """Find the degrees of freedom that Dirichlet conditions hold."""
        holder = np.full(self.size, -1)
        # Backwards, so that the first condition has the last word.
        for number, e in reversed(list(enumerate(self.weak.essential))):
            start = self.parts[e.unknown].start
            dofs = self.space.on(self.weak.owners[e.unknown], e.on)
            holder[start + dofs] = number
        self.fixed = np.flatnonzero(holder >= 0)
        self.free = np.flatnonzero(holder < 0)
        self._imposed = []
        for number, e in enumerate(self.weak.essential):
            mine = np.flatnonzero(holder[self.fixed] == number)
            local = self.fixed[mine] - self.parts[e.unknown].start
            points = self.space.locations(self.weak.owners[e.unknown])[local]
            function = numpy_function(self.problem.coordinates, [e.value])
            self._imposed.append((mine, points.T, function))

    def boundary_values(self, t: float) -> Array:
        """Return the values of the fixed degrees of freedom."""
        values = np.zeros(len(self.fixed))
        for mine, points, function in self._imposed:
            values[mine] = function(*self._clock(t), *points)[0]
        return values

    def initial_values(self) -> Array:
        """Return the state at the start: interpolated, Dirichlet values imposed."""
        y = np.zeros(self.size)
        for part, owner, value in zip(
            self.parts, self.weak.owners, self.weak.initial, strict=True
        ):
            if value is not None:
                function = numpy_function(self.problem.space, [value])
                y[part] = function(*self.space.locations(owner).T)[0]
        assert self.problem.time is not None
        y[self.fixed] = self.boundary_values(self.problem.time.start)
        return y

    def harmonic_extension(self) -> Array:
        """Return the Dirichlet values, continued by harmonic functions."""
        y = np.zeros(self.size)
        y[self.fixed] = self.boundary_values(0.0)
        if self.is_linear:
            return y
        quadrature = self.space.quadrature(None)
        weights = quadrature.weights[:, :, None]
        for unknown, part in enumerate(self.parts):
            if not y[part].any():
                continue
            local: Any = sum(
                (weights * table).transpose(0, 2, 1) @ table
                for (name, orders), table in quadrature.tables.items()
                if name == self._name(unknown) and any(orders)
            )
            dofs = self._dofs(unknown, quadrature)
            rows, columns = np.broadcast_arrays(dofs[:, :, None], dofs[:, None, :])
            matrix = self._matrix([[local.ravel(), rows.ravel(), columns.ravel()]])
            free = self.free[(self.free >= part.start) & (self.free < part.stop)]
            inner = matrix[free][:, free]
            y[free] = splu(inner, **_ordering(inner)).solve(-(matrix @ y)[free])
        return y

    def _clock(self, t: float) -> list[float]:
        return [] if self.problem.time is None else [t]

    def _name(self, unknown: int) -> str:
        return self.space.elements[self.weak.owners[unknown]]

    def _dofs(self, unknown: int, quadrature: _Quadrature) -> Array:
        dofs: Array = self.parts[unknown].start + quadrature.dofs[self._name(unknown)]
        return dofs

    def _arguments(
        self, form: _Integrand, t: float, y: Array, rate: Array
    ) -> tuple[_Quadrature, list[Any]]:
        quadrature = self.space.quadrature(form.on)
        values: list[Any] = []
        for jet in form.jets:
            is_rate = form.has_time and jet.orders[0]
            local = (rate if is_rate else y)[self._dofs(jet.field, quadrature)]
            orders = jet.orders[1:] if form.has_time else jet.orders
            table = quadrature.tables[self._name(jet.field), orders]
            values.append((table @ local[:, :, None])[:, :, 0])
        arguments = [*self._clock(t), *quadrature.points, *quadrature.normals, *values]
        return quadrature, arguments

    def residual(self, t: float, y: Array, rate: Array) -> Array:
        """Return R(t, y, y')."""
        result = np.zeros(self.size)
        for form in self.integrands:
            quadrature, arguments = self._arguments(form, t, y, rate)
            for test, value in zip(form.tests, form.values(*arguments), strict=True):
                table = quadrature.tables[self._name(test.field), test.orders]
                local = ((quadrature.weights * value)[:, None, :] @ table)[:, 0]
                dofs = self._dofs(test.field, quadrature)
                result += np.bincount(dofs.ravel(), local.ravel(), self.size)
        return result

    def jacobian(
        self, t: float, y: Array, rate: Array
    ) -> tuple[sparse.csc_matrix, sparse.csc_matrix]:
        """Return ∂R/∂y and ∂R/∂y'."""
        entries: tuple[list[Any], list[Any]] = ([], [])
        for form in self.integrands:
            quadrature, arguments = self._arguments(form, t, y, rate)
            # Sum over the trial functions first: one product for each test function.
            sums: dict[tuple[int, int, int], Array] = {}
            slopes = form.slopes(*arguments)
            for (k, j), slope in zip(form.pairs, slopes, strict=True):
                jet = form.jets[j]
                is_rate = int(form.has_time and jet.orders[0])
                orders = jet.orders[1:] if form.has_time else jet.orders
                table = quadrature.tables[self._name(jet.field), orders]
                weighted = (quadrature.weights * slope)[:, :, None] * table
                key = (k, jet.field, is_rate)
                sums[key] = sums[key] + weighted if key in sums else weighted
            for (k, unknown, is_rate), trial in sums.items():
                test = form.tests[k]
                table = quadrature.tables[self._name(test.field), test.orders]
                local = table.transpose(0, 2, 1) @ trial
                rows = self._dofs(test.field, quadrature)[:, :, None]
                columns = self._dofs(unknown, quadrature)[:, None, :]
                entries[is_rate].append(
                    [
                        local.ravel(),
                        np.broadcast_to(rows, local.shape).ravel(),
                        np.broadcast_to(columns, local.shape).ravel(),
                    ]
                )
        stiffness, mass = (self._matrix(parts) for parts in entries)
        return stiffness, mass

    def _matrix(self, parts: list[Any]) -> sparse.csc_matrix:
        if not parts:
            return sparse.csc_matrix((self.size, self.size))
        data, rows, columns = (np.concatenate(p) for p in zip(*parts, strict=True))
        shape = (self.size, self.size)
        return sparse.coo_matrix((data, (rows, columns)), shape=shape).tocsc()

    def mean(self, unknown: int) -> Array:
        """Return the integrals of an unknown's shape functions, on the free nodes."""
        quadrature = self.space.quadrature(None)
        orders = (0,) * self.space.dimension
        table = quadrature.tables[self._name(unknown), orders]
        local = (quadrature.weights[:, None, :] @ table)[:, 0]
        dofs = self._dofs(unknown, quadrature)
        total: Array = np.bincount(dofs.ravel(), local.ravel(), self.size)
        return total[self.free]

    def fix_gauge(self, matrix: sparse.csc_matrix) -> None:
        """Find the field that `matrix` leaves free up to a constant.

        Raises
        ------
        _SolveFailedError
            If there is one that the problem's gauge does not name.
        """
        wanted = self.problem.hints.get("gauge")
        size = abs(matrix)
        for unknown, name in enumerate(self.weak.unknowns):
            part = self.parts[unknown]
            ones = ((self.free >= part.start) & (self.free < part.stop)).astype(float)
            if ones.sum() < part.stop - part.start:
                continue
            scale = (size @ ones).max()
            if scale > 0 and np.abs(matrix @ ones).max() < 1e-11 * scale:
                if name != wanted:
                    raise _SolveFailedError(
                        Status.FAILED,
                        f"The equations and conditions fix {name!r} only up to a "
                        f"constant. Give hints={{'gauge': {name!r}}}, which sets its "
                        "mean to 0, or a Dirichlet or Robin condition.",
                    )
                self.gauge = unknown


# --- Systems of equations -------------------------------------------------------------


class _Factor:
    """LU factors on the free nodes, with the mean of a gauged field set to 0.

    With a gauge the system is `A x + λ m = r, m·x = c`, m the integrals of the shape
    functions. A is singular, so one diagonal entry is added, and taken off again by a
    system of two equations; the dense row and column would fill the factors.
    """

    def __init__(self, matrix: sparse.csc_matrix, system: _System) -> None:
        self._border: Array | None = None
        if system.gauge is not None:
            self._border = system.mean(system.gauge)
            self._node = int(self._border.nonzero()[0][0])
            self._shift = abs(matrix[:, [self._node]]).max()
            unit = ([self._shift], ([self._node], [self._node]))
            matrix = matrix + sparse.csc_matrix(unit, shape=matrix.shape)
        try:
            self._lu = splu(matrix, **_ordering(matrix))
        except RuntimeError as error:
            raise _SolveFailedError(
                Status.FAILED,
                f"The system of {matrix.shape[0]} equations is singular ({error}). "
                "Is every field fixed by its equation and its conditions, and is the "
                "mixed element stable (P2 for velocities with P1 for the pressure)?",
            ) from None
        if self._border is not None:
            unit_vector = np.zeros(matrix.shape[0], dtype=matrix.dtype)
            unit_vector[self._node] = 1.0
            self._b = self._lu.solve(unit_vector)
            self._c = self._lu.solve(self._border.astype(matrix.dtype))

    def solve(self, right: Array, mean: Any = 0.0) -> tuple[Array, Any]:
        """Return x and the multiplier λ (0 without a gauge)."""
        x = self._lu.solve(right)
        if self._border is None:
            return x, 0.0
        m, b, c = self._border, self._b, self._c
        i, s = self._node, self._shift
        matrix = np.array([[m @ b, -(m @ c)], [s * b[i] - 1.0, -s * c[i]]])
        alpha, multiplier = np.linalg.solve(matrix, [mean - m @ x, -s * x[i]])
        return x + alpha * b - multiplier * c, multiplier


def _ordering(matrix: sparse.csc_matrix) -> dict[str, Any]:
    """Return the options of SuperLU: no pivoting where the matrix is definite."""
    is_symmetric = abs(matrix - matrix.T).max() <= 1e-12 * abs(matrix).max()
    if is_symmetric and (matrix.diagonal().real > 0).all():
        return {
            "permc_spec": "MMD_AT_PLUS_A",
            "diag_pivot_thresh": 0.0,
            "options": {"SymmetricMode": True},
        }
    return {"permc_spec": "COLAMD"}


def _relative_size(system: _System, update: Array, y: Array) -> float:
    """Return the largest update relative to its unknown, over all unknowns.

    An unknown that vanishes is measured by a hundredth of the largest one.
    """
    largest = np.abs(y).max(initial=0.0)
    sizes = []
    for part in system.parts:
        change = np.abs(update[part]).max(initial=0.0)
        scale = max(np.abs(y[part]).max(initial=0.0), 1e-2 * largest)
        sizes.append(change / scale if scale > 0 else change)
    size = float(max(sizes))
    if not math.isfinite(size):
        raise _SolveFailedError(
            Status.NAN,
            "The values became infinite or NaN: a coefficient has no value at a state "
            "that was met (a division by 0?), or the system is singular.",
        )
    return size


def _stationary(
    system: _System, options: FiniteElements, progress: Progress
) -> tuple[Array, dict[str, Any]]:
    zero = np.zeros(system.size)
    start = system.harmonic_extension()
    progress(0.0, f"{system.size} unknowns")

    def residual(y: Array) -> Array:
        return system.residual(0.0, y, zero)

    def matrix(y: Array) -> sparse.csc_matrix:
        return system.jacobian(0.0, y, zero)[0]

    solver = _Newton(system, options)
    steps = 0
    try:
        y = solver.solve(start, residual, matrix)
    except _SolveFailedError as error:
        if error.status is not Status.DIVERGED:
            raise
        # Linearised at zero at first, then more and more of the equations as they are.
        offset, linear = residual(zero), matrix(zero)
        y = start
        for steps in range(CONTINUATION_STEPS + 1):
            share = steps / CONTINUATION_STEPS
            progress(share, "continuation from the linearised equations")
            y = solver.solve(
                y,
                _blended(share, residual, lambda y: offset + linear @ y),
                _blended(share, matrix, lambda _: linear),
            )
    progress(1.0, f"{solver.iterations} Newton iterations")
    details = {
        "newton_iterations": solver.iterations,
        "factorisations": solver.factorisations,
        "continuation_steps": steps,
        "gauge_multiplier": solver.multiplier,
        "stop_reason": "direct" if system.is_linear else "newton converged",
    }
    return y, details


def _blended(
    share: float, full: Callable[[Array], Any], linear: Callable[[Array], Any]
) -> Callable[[Array], Any]:
    return lambda y: share * full(y) + (1.0 - share) * linear(y)


class _Newton:
    """Newton's method with halved steps where a full one raises the residual."""

    def __init__(self, system: _System, options: FiniteElements) -> None:
        self._system, self._options = system, options
        self.iterations = 0
        self.factorisations = 0
        self.multiplier = 0.0

    def solve(
        self,
        start: Array,
        residual: Callable[[Array], Array],
        matrix: Callable[[Array], sparse.csc_matrix],
    ) -> Array:
        """Return the root, or raise `_SolveFailedError`."""
        system, options = self._system, self._options
        free = system.free
        y = start.copy()
        right = residual(y)[free]
        factor = None
        last = math.inf
        for _ in range(options.max_newton):
            is_new = factor is None
            if factor is None:
                jacobian = matrix(y)[free][:, free]
                if self.iterations == 0:
                    system.fix_gauge(jacobian)
                factor = _Factor(jacobian, system)
                self.factorisations += 1
            self.iterations += 1
            border = 0.0 if system.gauge is None else system.mean(system.gauge)
            update = np.zeros(system.size)
            update[free], multiplier = factor.solve(-right, -np.sum(border * y[free]))
            self.multiplier = float(multiplier)
            size = _relative_size(system, update, y + update)
            if system.is_linear or size <= options.newton_tolerance:
                return y + update
            before = _norm(right, border)
            length = 1.0
            while True:
                candidate = y + length * update
                right = residual(candidate)[free]
                # A tiny update is at the level of rounding, and is taken as it is.
                if _norm(right, border) < before or size < 1e-6:
                    break
                length /= 2
                if length < 1e-3:
                    raise _SolveFailedError(
                        Status.DIVERGED,
                        "Newton's method finds no step that lowers the residual; "
                        "start from an easier problem, or refine the mesh.",
                    )
            # Factors cost most: keep them while the updates fall tenfold.
            if length < 1.0 or size > (0.05 if is_new else 0.1 * last):
                factor = None
            last = size
            y = candidate
        raise _SolveFailedError(
            Status.DIVERGED,
            f"Newton's method has not converged in {options.max_newton} iterations; "
            "raise max_newton, or refine the mesh.",
        )


def _norm(right: Array, border: Array | float) -> float:
    """Return the residual's norm, less what the gauge's multiplier takes away."""
    if isinstance(border, np.ndarray):
        right = right - (right @ border) / (border @ border) * border
    return float(np.linalg.norm(right))


# --- Time -----------------------------------------------------------------------------


class _Radau:
    """Steps of one length h of the three-stage Radau IIA method.

    The stages are `Y_i = y + Z_i` with rates `Σ_j (A⁻¹)_ij Z_j / h`. Simplified
    Newton iterations on all three are one real and one complex system each, in the
    eigenvectors of A⁻¹.
    """

    def __init__(self, system: _System, options: FiniteElements, h: float) -> None:
        self._system, self._options, self._h = system, options, h
        self._inverse = np.linalg.inv(_RADAU)
        values, vectors = np.linalg.eig(self._inverse)
        real = int(np.argmin(np.abs(values.imag)))
        complex_ = int(np.argmax(values.imag))
        self._values = values[real].real, values[complex_]
        # The real eigenvector comes with an arbitrary complex factor of modulus 1.
        back = np.linalg.inv(vectors)
        phase = vectors[0, real] / abs(vectors[0, real])
        self._vectors = (vectors[:, real] / phase).real, vectors[:, complex_]
        self._rows = (back[real] * phase).real, back[complex_]
        self._factors: tuple[_Factor, _Factor] | None = None
        self._is_fresh = False
        self._matrices: tuple[sparse.csc_matrix, sparse.csc_matrix] | None = None
        self._load: Array | None = None
        self.factorisations = 0
        self.iterations = 0

    def _factorise(self, t: float, y: Array) -> None:
        system = self._system
        free = system.free
        zero = np.zeros(system.size)
        stiffness, mass = system.jacobian(t, y, zero)
        if system.is_constant:
            self._matrices = stiffness.tocsr(), mass.tocsr()
        stiffness, mass = stiffness[free][:, free], mass[free][:, free]
        if not self.factorisations:
            system.fix_gauge(self._values[0] / self._h * mass + stiffness)
        first, second = (
            _Factor((value / self._h * mass + stiffness).tocsc(), system)
            for value in self._values
        )
        self._factors, self._is_fresh = (first, second), True
        self.factorisations += 1

    def _residual(self, t: float, y: Array, rate: Array) -> Array:
        if self._matrices is None:
            return self._system.residual(t, y, rate)
        load = self._load
        if load is None:
            zero = np.zeros(self._system.size)
            load = self._system.residual(t, zero, zero)
            if all(i.has_static_load for i in self._system.integrands):
                self._load = load
        stiffness, mass = self._matrices
        residual: Array = load + stiffness @ y + mass @ rate
        return residual

    def step(self, t: float, y: Array, guess: Array) -> Array:
        """Return the three stages (3, n) of the step from t to t + h."""
        system = self._system
        free = system.free
        if self._factors is None:
            self._factorise(t, y)
        border = None if system.gauge is None else system.mean(system.gauge)
        while True:
            z = guess - y
            for i, c in enumerate(STAGES):
                values = system.boundary_values(t + c * self._h)
                z[i, system.fixed] = values - y[system.fixed]
            if self._iterate(t, y, z, free, border):
                stages: Array = y + z
                return stages
            if self._is_fresh:
                raise _SolveFailedError(
                    Status.DIVERGED,
                    f"Newton's method fails in the step from t = {t:g}; raise steps.",
                )
            self._factorise(t, guess[-1])

    def _iterate(
        self, t: float, y: Array, z: Array, free: Array, border: Array | None
    ) -> bool:
        """Iterate on the stages `y + z` in place; say whether that converged."""
        assert self._factors is not None
        system, h = self._system, self._h
        last = math.inf
        for _ in range(self._options.max_newton):
            rates = self._inverse @ z / h
            right = np.stack(
                [
                    self._residual(t + c * h, y + z[i], rates[i])[free]
                    for i, c in enumerate(STAGES)
                ]
            )
            means = 0.0 if border is None else (y + z)[:, free] @ border
            update = np.zeros_like(z)
            for k, (factor, row, vector) in enumerate(
                zip(self._factors, self._rows, self._vectors, strict=True)
            ):
                mean = 0.0 if border is None else row @ means
                part, _ = factor.solve(-(row @ right), -mean)
                # The complex pair counts twice its real part.
                update[:, free] += (1 + k) * np.outer(vector, part).real
            z += update
            self.iterations += 1
            size = max(
                _relative_size(system, u, y + u + s)
                for u, s in zip(update, z, strict=True)
            )
            if system.is_constant:
                return True
            ratio = size / last if last < math.inf else 0.5
            if (
                ratio < 1
                and size * ratio / (1 - ratio) <= self._options.newton_tolerance
            ):
                # Slow convergence asks for a new linearisation in the next step.
                self._is_fresh = False
                if ratio > 0.1:
                    self._factors = None
                return True
            if ratio > 1 and size > 1e-8:
                return False
            last = size
        return False


def _evolve(
    system: _System, options: FiniteElements, progress: Progress
) -> tuple[Array, dict[str, Any]]:
    interval = system.problem.time
    assert interval is not None
    h = (interval.end - interval.start) / options.steps
    outputs = interval.outputs
    method = _Radau(system, options, h)
    y = system.initial_values()
    nodes = np.concatenate([[0.0], STAGES])
    ahead = _lagrange(nodes, 1.0 + STAGES[:, None])
    values = np.zeros((len(outputs), system.size))
    stages = np.tile(y, (3, 1))
    guess = stages
    for step in range(options.steps):
        t = interval.start + step * h
        stages = method.step(t, y, guess)
        if step == 0:
            # A field without a time derivative has no start of its own.
            back = _lagrange(STAGES, np.zeros(1)) @ stages
            for part, value in zip(system.parts, system.weak.initial, strict=True):
                if value is None:
                    y[part] = back[part]
        polynomial = np.vstack([y, stages])
        last = step == options.steps - 1
        inside = (outputs >= t - 1e-12 * h) & ((outputs < t + h * (1 - 1e-12)) | last)
        weights = _lagrange(nodes, (outputs[inside, None] - t) / h)
        values[inside] = weights @ polynomial
        guess = ahead @ polynomial
        y = stages[-1]
        progress((step + 1) / options.steps, f"t = {t + h:g}")
    details = {
        "steps": options.steps,
        "newton_iterations": method.iterations,
        "factorisations": method.factorisations,
        "stop_reason": "end of the time interval",
    }
    return values, details
