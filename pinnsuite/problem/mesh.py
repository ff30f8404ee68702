"""Simplex meshes with named boundaries and regions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from pinnsuite.errors import MeshError

Array = np.ndarray

# The facet opposite each vertex, with the cell on the left of a facet in the plane.
_FACETS_OF_CELL = {
    1: [[1], [0]],
    2: [[1, 2], [2, 0], [0, 1]],
    3: [[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]],
}


def outer_facets(cells: Array) -> Array:
    """Return the facets that belong to one cell only: (k, d).

    In the plane a facet runs from its first to its second vertex with its cell on the
    left, for positively oriented cells.
    """
    facets = cells[:, _FACETS_OF_CELL[cells.shape[1] - 1]].reshape(
        -1, cells.shape[1] - 1
    )
    _, index, count = np.unique(
        np.sort(facets, axis=1), axis=0, return_index=True, return_counts=True
    )
    outer: Array = facets[np.sort(index[count == 1])]
    return outer


def edges_of_cells(cells: Array) -> tuple[Array, Array]:
    """Return the sorted edges (k, 2) and their indices by cell, opposite vertex."""
    pairs = {
        2: [[0, 1]],
        3: [[1, 2], [2, 0], [0, 1]],
        4: [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]],
    }[cells.shape[1]]
    edges, inverse = np.unique(
        np.sort(cells[:, pairs].reshape(-1, 2), axis=1), axis=0, return_inverse=True
    )
    return edges, inverse.reshape(len(cells), len(pairs))


def signed_volumes(points: Array, cells: Array) -> Array:
    """Return det(x₁ - x₀, …, x_d - x₀) / d! of each cell: (m,)."""
    edges = points[cells[:, 1:]] - points[cells[:, :1]]
    volumes: Array = np.linalg.det(edges) / math.factorial(points.shape[1])
    return volumes


@dataclass(frozen=True, eq=False, repr=False)
class Mesh:
    """Points joined to intervals, triangles or tetrahedra, with names on them.

    The arrays are read-only, since meshes are shared.

    Parameters
    ----------
    points
        Coordinates, (n, d).
    cells
        Vertex indices, (m, d + 1), positively oriented.
    boundaries
        Facets (k, d) as vertex indices, by name. In the plane a facet has the domain
        on its left. Together they are the boundary of the mesh.
    regions
        Cell indices by name; may be empty.
    curved_edges, curved_midpoints
        Edges (k, 2) that are parabolas in place of chords, and the points (k, 2) that
        they pass through at half their parameter: quadratic (isoparametric) geometry.
    project
        Map of points near the boundary to their nearest points on the true boundary;
        `refine` puts the new points of curved edges there. Without it new points stay
        on the parabolas.

    Raises
    ------
    MeshError
        If a cell is not positively oriented, or the named facets are not exactly the
        boundary of the mesh.
    """

    points: Array
    cells: Array
    boundaries: Mapping[str, Array]
    regions: Mapping[str, Array] = field(default_factory=dict)
    curved_edges: Array = field(default_factory=lambda: np.zeros((0, 2), dtype=int))
    curved_midpoints: Array = field(default_factory=lambda: np.zeros((0, 2)))
    project: Callable[[Array], Array] | None = None

    def __post_init__(self) -> None:
        volumes = signed_volumes(self.points, self.cells)
        if np.any(volumes <= 0.0):
            raise MeshError(
                f"{np.sum(volumes <= 0.0)} of {len(self.cells)} cells are empty or "
                "inverted; order the vertices of each cell anticlockwise."
            )
        named = _sorted_rows(
            np.concatenate(
                [*self.boundaries.values(), np.zeros((0, self.dimension), dtype=int)]
            )
        )
        outer = _sorted_rows(outer_facets(self.cells))
        if not np.array_equal(named, outer):
            raise MeshError(
                f"The named boundaries hold {len(named)} facets, but the mesh has "
                f"{len(outer)} boundary facets; every one needs exactly one name."
            )
        arrays = [self.points, self.cells, self.curved_edges, self.curved_midpoints]
        for array in [*arrays, *self.boundaries.values(), *self.regions.values()]:
            array.flags.writeable = False

    def __repr__(self) -> str:
        return (
            f"<Mesh of {len(self.cells)} cells and {len(self.points)} points in "
            f"{self.dimension}-D, boundaries {', '.join(self.boundaries)}>"
        )

    @property
    def dimension(self) -> int:
        """Return the number d of coordinates."""
        return int(self.points.shape[1])

    @property
    def measure(self) -> float:
        """Return the length, area or volume of the straight cells."""
        return float(signed_volumes(self.points, self.cells).sum())

    @property
    def edges(self) -> Array:
        """Return every edge once, as sorted vertex pairs: (k, 2)."""
        return edges_of_cells(self.cells)[0]

    def _lengths(self) -> Array:
        ends = self.points[self.edges]
        lengths: Array = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
        return lengths

    @property
    def size(self) -> float:
        """Return the length of the longest edge."""
        return float(self._lengths().max())

    @property
    def mean_size(self) -> float:
        """Return the mean length of the edges."""
        return float(self._lengths().mean())

    @property
    def minimum_angle(self) -> float:
        """Return the smallest angle of a triangle, in degrees; 60 would be perfect."""
        if self.dimension != 2:
            raise MeshError(f"A mesh in {self.dimension} dimension(s) has no angles.")
        corners = self.points[self.cells]
        forward = np.roll(corners, -1, axis=1) - corners
        backward = np.roll(corners, 1, axis=1) - corners
        turn = forward[..., 0] * backward[..., 1] - forward[..., 1] * backward[..., 0]
        return float(np.degrees(np.arctan2(turn, np.sum(forward * backward, -1)).min()))

    def nodal_weights(self) -> Array:
        """Return the integrals of the piecewise linear hat functions: (n,).

        They are the lumped mass matrix, a quadrature of second order at the vertices.
        """
        shares = signed_volumes(self.points, self.cells) / self.cells.shape[1]
        return np.bincount(
            self.cells.ravel(),
            weights=np.repeat(shares, self.cells.shape[1]),
            minlength=len(self.points),
        )

    def refine(self) -> Mesh:
        """Return the mesh with every cell divided into 2ᵈ, names kept (d ≤ 2).

        Red refinement: new vertices are the midpoints of the edges, and similar
        triangles stay similar. The new vertices of curved edges lie on the curve.
        """
        if self.dimension > 2:
            raise MeshError(
                "Only meshes of one or two dimensions are refined; supply a finer one."
            )
        edges, edge_of_cell = edges_of_cells(self.cells)
        middles = self.points[edges].mean(axis=1)
        curved = rows_in(edges, np.sort(self.curved_edges, axis=1))
        if len(curved):
            middles[curved] = self.curved_midpoints
        new = len(self.points) + edge_of_cell
        old = self.cells
        if self.dimension == 1:
            children = [[old[:, 0], new[:, 0]], [new[:, 0], old[:, 1]]]
        else:
            opposite_0, opposite_1, opposite_2 = new.T
            children = [
                [old[:, 0], opposite_2, opposite_1],
                [opposite_2, old[:, 1], opposite_0],
                [opposite_1, opposite_0, old[:, 2]],
                [opposite_0, opposite_1, opposite_2],
            ]
        count = len(children)
        cells = np.stack([np.stack(c, axis=1) for c in children], axis=1)
        vertices = np.concatenate([self.points, middles])
        everywhere = np.arange(len(self.curved_edges))
        halves, midpoints = self.halved_curves(everywhere, len(self.points) + curved)
        return Mesh(
            points=vertices,
            cells=cells.reshape(-1, self.dimension + 1),
            boundaries={
                name: self._refined_facets(facets, edges)
                for name, facets in self.boundaries.items()
            },
            regions={
                name: (count * chosen[:, None] + np.arange(count)).ravel()
                for name, chosen in self.regions.items()
            },
            curved_edges=halves,
            curved_midpoints=midpoints,
            project=self.project,
        )

    def halved_curves(self, which: Array, middles: Array) -> tuple[Array, Array]:
        """Return the halves (2k, 2) of curved edges, and the points in their middle.

        Parameters
        ----------
        which
            Indices of k curved edges.
        middles
            The vertices that their midpoints have become: (k,).
        """
        start, end = self.curved_edges[which].T
        halves = np.concatenate(
            [np.stack([start, middles], 1), np.stack([end, middles], 1)]
        )
        a, m, b = self.points[start], self.curved_midpoints[which], self.points[end]
        if self.project is not None and len(which):
            chords = np.concatenate([a + m, b + m]) / 2
            return halves, self.project(chords)
        # The points at a quarter of the parabola through a, m, b from either end.
        quarters = [0.375 * a + 0.75 * m - 0.125 * b, 0.375 * b + 0.75 * m - 0.125 * a]
        return halves, np.concatenate(quarters)

    def _refined_facets(self, facets: Array, edges: Array) -> Array:
        if self.dimension == 1:
            return facets.copy()
        middle = len(self.points) + rows_in(edges, np.sort(facets, axis=1))
        halves = [[facets[:, 0], middle], [middle, facets[:, 1]]]
        return np.stack([np.stack(h, axis=1) for h in halves], axis=1).reshape(-1, 2)


def _sorted_rows(facets: Array) -> Array:
    rows = np.sort(facets, axis=1)
    return rows[np.lexsort(rows.T[::-1])]


def rows_in(table: Array, rows: Array) -> Array:
    """Return the index of each sorted pair of `rows` in the sorted `table`: (k,)."""
    base = int(table.max()) + 1
    keys = table[:, 0] * base + table[:, 1]
    found: Array = np.searchsorted(keys, rows[:, 0] * base + rows[:, 1])
    return found
