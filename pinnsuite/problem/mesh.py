"""Simplex meshes with named boundaries and regions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from pinnsuite.errors import MeshError

Array = np.ndarray

FACETS_OF_CELL = {
    1: [[1], [0]],
    2: [[1, 2], [2, 0], [0, 1]],
    3: [[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]],
}
"""The facet opposite each vertex, with the cell on the left of a facet in the plane."""


def outer_facets(cells: Array) -> Array:
    """Return the facets that belong to one cell only: (k, d).

    In the plane a facet runs from its first to its second vertex with its cell on the
    left, for positively oriented cells.
    """
    facets = cells[:, FACETS_OF_CELL[cells.shape[1] - 1]].reshape(
        -1, cells.shape[1] - 1
    )
    _, index, count = np.unique(_keys(facets), return_index=True, return_counts=True)
    outer: Array = facets[np.sort(index[count == 1])]
    return outer


def _keys(rows: Array, base: int = 0) -> Array:
    """Return one number for each set of vertices: (k,); `base` is above all of them.

    Numbers sort much faster than rows, and in the same order.
    """
    base = base or int(rows.max(initial=0)) + 1
    powers = base ** np.arange(rows.shape[1] - 1, -1, -1)
    keys: Array = np.sort(rows, axis=1) @ powers
    return keys


def edges_of_cells(cells: Array) -> tuple[Array, Array]:
    """Return the sorted edges (k, 2) and their indices by cell, opposite vertex."""
    pairs = {
        2: [[0, 1]],
        3: [[1, 2], [2, 0], [0, 1]],
        4: [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]],
    }[cells.shape[1]]
    base = int(cells.max(initial=0)) + 1
    keys, inverse = np.unique(
        _keys(cells[:, pairs].reshape(-1, 2), base), return_inverse=True
    )
    edges = np.stack(np.divmod(keys, base), axis=1)
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
        Edges (k, 2) that are parabolas in place of chords, and the points (k, d) that
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
        if not len(self.curved_edges):
            object.__setattr__(self, "curved_midpoints", np.zeros((0, self.dimension)))
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
        """Return the mesh with every cell divided into 2ᵈ, names kept.

        Red refinement: new vertices are the midpoints of the edges, those of curved
        edges lie on the curve. Similar triangles stay similar; the octahedron inside a
        tetrahedron is divided along its shortest diagonal.
        Source: J. Bey, Tetrahedral grid refinement, Computing 55 (1995) 355, DOI
        10.1007/BF02238487.
        """
        edges, edge_of_cell = edges_of_cells(self.cells)
        middles = self.points[edges].mean(axis=1)
        curved = rows_in(edges, np.sort(self.curved_edges, axis=1))
        if len(curved):
            middles[curved] = self.curved_midpoints
        vertices = np.concatenate([self.points, middles])
        cells = _children(self.cells, len(self.points) + edge_of_cell, vertices)
        count = 2**self.dimension
        everywhere = np.arange(len(self.curved_edges))
        curves, midpoints = self.halved_curves(everywhere, len(self.points) + curved)
        if self.dimension == 3 and len(curved):
            inner, inner_midpoints = self._curves_across_facets(edges, curved)
            curves = np.concatenate([curves, inner])
            midpoints = np.concatenate([midpoints, inner_midpoints])
        return Mesh(
            points=vertices,
            cells=cells,
            boundaries={
                name: self._refined_facets(facets, edges)
                for name, facets in self.boundaries.items()
            },
            regions={
                name: (count * chosen[:, None] + np.arange(count)).ravel()
                for name, chosen in self.regions.items()
            },
            curved_edges=curves,
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
        start = len(self.points)
        if self.dimension == 2:
            middle = start + rows_in(edges, np.sort(facets, axis=1))
            parts = [[facets[:, 0], middle], [middle, facets[:, 1]]]
        else:
            a, b, c = facets.T
            ab, bc, ca = (
                start + rows_in(edges, np.sort(np.stack(pair, axis=1), axis=1))
                for pair in ((a, b), (b, c), (c, a))
            )
            parts = [[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]
        stacked = np.stack([np.stack(part, axis=1) for part in parts], axis=1)
        return stacked.reshape(-1, self.dimension)

    def _curves_across_facets(self, edges: Array, curved: Array) -> tuple[Array, Array]:
        """Return the curves between midpoints in facets whose three sides are curved.

        Without `project` they lie in the facet's quadratic triangle.
        """
        number = np.full(len(edges), -1)
        number[curved] = np.arange(len(curved))
        facets = np.concatenate(list(self.boundaries.values()))
        pairs = [np.roll(facets, -k, axis=1)[:, :2] for k in range(3)]
        sides = np.stack([rows_in(edges, np.sort(p, axis=1)) for p in pairs], axis=1)
        sides = sides[(number[sides] >= 0).all(axis=1)]
        curves, midpoints = [], []
        for k in range(3):
            first, second, third = (sides[:, (k + i) % 3] for i in range(3))
            curves.append(len(self.points) + np.stack([first, second], axis=1))
            m1, m2, m3 = (
                self.curved_midpoints[number[side]] for side in (first, second, third)
            )
            # The point at (1/4, 1/2, 1/4) of the triangle.
            ends = self.points[edges[third]].sum(axis=1)
            middle = (m1 + m2) / 2 + m3 / 4 - ends / 8
            midpoints.append(middle if self.project is None else self.project(middle))
        return np.concatenate(curves), np.concatenate(midpoints)


def _children(cells: Array, middle: Array, points: Array) -> Array:
    """Return the 2ᵈ parts of each cell, one cell after the other: (2ᵈ m, d + 1).

    Parameters
    ----------
    cells
        Vertex indices, (m, d + 1).
    middle
        Indices of the midpoints of their edges, as `edges_of_cells` orders them.
    points
        Of the vertices and midpoints.
    """
    old = cells.T
    if len(old) == 2:
        (new,) = middle.T
        parts = [[old[0], new], [new, old[1]]]
    elif len(old) == 3:
        opposite_0, opposite_1, opposite_2 = middle.T
        parts = [
            [old[0], opposite_2, opposite_1],
            [opposite_2, old[1], opposite_0],
            [opposite_1, opposite_0, old[2]],
            [opposite_0, opposite_1, opposite_2],
        ]
    else:
        m01, m02, m03, m12, m13, m23 = middle.T
        parts = [
            [old[0], m01, m02, m03],
            [m01, old[1], m12, m13],
            [m02, m12, old[2], m23],
            [m03, m13, m23, old[3]],
        ]
        # Each diagonal, and the other four vertices around it.
        around = np.stack(
            [
                np.stack([m01, m23, m02, m03, m13, m12]),
                np.stack([m02, m13, m03, m01, m12, m23]),
                np.stack([m03, m12, m01, m02, m23, m13]),
            ]
        )
        lengths = np.sum((points[around[:, 0]] - points[around[:, 1]]) ** 2, axis=2)
        low, high, *ring = around[lengths.argmin(axis=0), :, np.arange(len(cells))].T
        parts += [[low, high, ring[k], ring[(k + 1) % 4]] for k in range(4)]
    children = np.stack([np.stack(p, axis=1) for p in parts], axis=1)
    return children.reshape(-1, len(old))


def _sorted_rows(facets: Array) -> Array:
    rows = np.sort(facets, axis=1)
    return rows[np.lexsort(rows.T[::-1])]


def rows_in(table: Array, rows: Array) -> Array:
    """Return the index of each sorted pair of `rows` in the sorted `table`: (k,)."""
    base = int(table.max(initial=0)) + 1
    found: Array = np.searchsorted(_keys(table, base), _keys(rows, base))
    return found
