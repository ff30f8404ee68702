"""Continuous Lagrange elements on a simplex mesh, by scikit-fem.

Shape functions, numbering, quadrature and evaluation at any points: everything that the
finite element method takes from scikit-fem is here.

Source: T. Gustafsson & G. D. McBain, scikit-fem, DOI 10.21105/joss.02369.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import skfem
from scipy import sparse
from scipy.spatial import cKDTree

from pinnsuite.problem.conditions import Periodic
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.mesh import Mesh

Array = np.ndarray

DEGREES = {"P1": 1, "P2": 2, "P3": 3, "P4": 4}
"""Degree of each element."""


class Space:
    """The elements of all fields on one mesh: numbering, quadrature, evaluation."""

    def __init__(self, problem: Problem, mesh: Mesh, elements: Sequence[str]) -> None:
        self.elements = tuple(elements)
        self.names = tuple(dict.fromkeys(elements))
        self.dimension = mesh.dimension
        degree = max(DEGREES[name] for name in self.names)
        self.is_curved = degree > 1 and len(mesh.curved_edges) > 0
        self.mesh = _scikit_mesh(mesh, self.is_curved)
        # Products of two shape functions exactly, and two degrees for coefficients; in
        # space the points would be twice as many.
        self.exactness = 2 * degree + (2 if mesh.dimension < 3 else 0)
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
        self._quadratures: dict[str | None, Quadrature] = {}

    def size(self, field: int) -> int:
        """Return the number of degrees of freedom of a field."""
        return int(self.owners[self.elements[field]].max()) + 1

    @property
    def num_cells(self) -> int:
        """Return the number of cells."""
        return int(self.mesh.t.shape[1])

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

    def quadrature(self, boundary: str | None) -> Quadrature:
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
            self._quadratures[boundary] = Quadrature(bases, self.owners)
        return self._quadratures[boundary]

    def jumps(self, field: int, coefficients: Array) -> Array:
        """Return `Σ_E h_E/2 ∫_E [∂u/∂n]²` over the inner edges E of each cell."""
        element = self.bases[self.elements[field]].elem
        dofs = self.owners[self.elements[field]][
            self.bases[self.elements[field]].element_dofs
        ]
        nodes, geometry = self._geometry
        s, weights = np.polynomial.legendre.leggauss(element.maxdeg)
        s, weights = (1 + s) / 2, weights / 2
        corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        count = self.mesh.facets.shape[1]
        jumps, lengths = np.zeros((len(s), count)), np.zeros((len(s), count))
        for k, (start, end) in enumerate(skfem.refdom.RefTri.facets):
            # Cells are sorted: an edge has the same direction in both of its cells.
            along = corners[end] - corners[start]
            reference = corners[start] + s[:, None] * along
            slopes = _shapes(geometry, reference)[1]
            jacobian = np.einsum("qgj,igc->qcij", slopes, nodes)
            slopes = _shapes(element, reference)[1]
            gradient = np.einsum("qbj,bc->qcj", slopes, coefficients[dofs])
            inverse = np.linalg.inv(jacobian)
            gradient = np.einsum("qcji,qcj->qci", inverse, gradient)
            tangent = jacobian @ along
            speed = np.hypot(tangent[..., 0], tangent[..., 1])
            outward = gradient[..., 0] * tangent[..., 1]
            outward -= gradient[..., 1] * tangent[..., 0]
            edges = self.mesh.t2f[k]
            is_first = self.mesh.f2t[0, edges] == np.arange(self.num_cells)
            side = np.where(is_first, 1.0, -1.0) * outward / speed
            for row, values in zip(jumps, side, strict=True):
                row += np.bincount(edges, values, count)
            lengths[:, edges] = speed
        jumps[:, self.mesh.f2t[1] < 0] = 0.0
        size = weights @ lengths
        on_edges = 0.5 * size * (weights @ (jumps**2 * lengths))
        total: Array = on_edges[self.mesh.t2f].sum(axis=0)
        return total

    @cached_property
    def _geometry(self) -> tuple[Array, Any]:
        """Return the nodes of the cells' maps, (d, nodes, cells), and their element."""
        if self.is_curved:
            return self.mesh.doflocs[:, self.mesh.dofs.element_dofs], self.mesh.elem()
        return self.mesh.p[:, self.mesh.t], self.mesh.elem()

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
        nodes, element = self._geometry
        nodes = nodes[:, :, cells].transpose(2, 1, 0)
        for _ in range(8):
            shapes, slopes = _shapes(element, reference)
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


class Quadrature:
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
        return _LineElement(DEGREES[name])
    shape = "Tri" if mesh.dimension == 2 else "Tet"
    return getattr(skfem, f"Element{shape}{name}")()


class _LineElement(skfem.ElementH1):  # type: ignore[misc]
    """Lagrange element on an interval, with equidistant nodes."""

    nodal_dofs = 1
    refdom = skfem.refdom.RefLine

    def __init__(self, degree: int) -> None:
        self.interior_dofs = degree - 1
        self.maxdeg = degree
        self.dofnames = ["u"] * degree
        nodes = np.linspace(0.0, 1.0, degree + 1)[[0, degree, *range(1, degree)]]
        self.doflocs = nodes[:, None]
        powers = np.linalg.inv(np.vander(nodes, increasing=True)).T
        self._shapes = [np.polynomial.Polynomial(row) for row in powers]

    def lbasis(self, X: Array, i: int) -> tuple[Array, Array]:
        """Return shape function i and its derivative at reference points (1, …)."""
        shape = self._shapes[i]
        return shape(X[0]), shape.deriv()(X)


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
    # Cells with sorted vertices, so that neighbours number the inner nodes of their
    # edge alike; unsorted, elements of degree 3 and 4 are not continuous.
    flat, curved = skfem.MeshTri, skfem.MeshTri2
    if mesh.dimension == 3:
        flat, curved = skfem.MeshTet, skfem.MeshTet2
    straight = flat(points, cells, sort_t=True)
    if not is_curved:
        return straight
    quadratic = curved.from_mesh(straight)
    table, numbers = straight.facets, quadratic.dofs.facet_dofs
    if mesh.dimension == 3:
        table, numbers = straight.edges, quadratic.dofs.edge_dofs
    edges = _rows(table.T, mesh.curved_edges)
    locations = quadratic.doflocs.copy()
    locations[:, numbers[0, edges]] = mesh.curved_midpoints.T
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
                # Coordinates of opposite nodes may differ in the last digits.
                places = np.round(others[nodes] / (high - low), 9)
                nodes = nodes[np.lexsort(places.T)]
            ends.append(nodes)
        owners[ends[1]] = owners[ends[0]]
    # A corner was given to a node that was itself given away.
    owners = owners[owners]
    return np.unique(owners, return_inverse=True)[1]


class Evaluator:
    """Fields at any points, by the shape functions; between output times by cubics."""

    def __init__(
        self,
        space: Space,
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
        """Return the fields at points (n, coordinates), time first."""
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
    weights = lagrange(nodes[columns], times[:, None])
    ends = np.arange(0, columns.size + 1, width)
    return sparse.csr_matrix(
        (weights.ravel(), columns.ravel(), ends), shape=(len(times), len(nodes))
    )


def lagrange(nodes: Array, at: Array) -> Array:
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
