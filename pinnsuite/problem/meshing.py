"""Meshes of boxes and of planar domains given by their outline.

The outline is divided first, evenly by arc length and finer where curves come near each
other, and its points stay: so each boundary edge has a name, ends on the true boundary
and joins the next. The inside starts as a lattice and is smoothed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pinnsuite.errors import MeshError
from pinnsuite.problem.mesh import Mesh, edges_of_cells, outer_facets
from pinnsuite.problem.outline import Arc, Array, Curve, bounds

# Lengths in units of the wanted one. The numbers were chosen on 35 meshes of five
# domains: more steps or a finer outline did not raise their smallest angles.
_SMOOTHING_STEPS = 40
_ADAPTING_STEPS = (4, 8, 12, 16, 20, 24)
_SHORT, _LONG = 0.7, 1.4  # inner edges beyond these lose a point or get one
_COARSE = 1.8  # boundary edges beyond this are halved; below 1.6 that may not end
_GRADING = 0.3  # growth of the wanted length per unit of distance
_EDGES_PER_TURN = 16
_FINEST = 0.01  # of the size: an outline that needs shorter edges is refused


def mesh_segment(ends: Array, sides: Sequence[str], size: float) -> Mesh:
    """Return equal segments no longer than `size`; `sides` names the two ends."""
    count = max(1, int(np.ceil((ends[1] - ends[0]) / size - 1e-9)))
    return Mesh(
        points=np.linspace(ends[0], ends[1], count + 1)[:, None],
        cells=np.stack([np.arange(count), np.arange(1, count + 1)], axis=1),
        boundaries=_by_name(sides, [[0], [count]]),
    )


def mesh_rectangle(box: Array, sides: Sequence[str], size: float) -> Mesh:
    """Return right triangles with legs no longer than `size`.

    The diagonals alternate and the numbers of divisions are even, so that the mesh is
    symmetric and no triangle has two edges on the boundary. `sides` names left, right,
    bottom and top.
    """
    columns, rows = (
        2 * max(1, int(np.ceil(0.5 * (b - a) / size - 1e-9))) for a, b in box
    )
    x, y = (
        np.linspace(a, b, n + 1) for (a, b), n in zip(box, (columns, rows), strict=True)
    )
    points = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    i, j = np.meshgrid(np.arange(columns), np.arange(rows), indexing="ij")
    southwest = (i * (rows + 1) + j).ravel()
    northwest, southeast = southwest + 1, southwest + rows + 1
    northeast = southeast + 1
    rising = ((i + j) % 2 == 0).ravel()[:, None]
    first = np.where(
        rising,
        np.stack([southwest, southeast, northeast], 1),
        np.stack([southwest, southeast, northwest], 1),
    )
    second = np.where(
        rising,
        np.stack([southwest, northeast, northwest], 1),
        np.stack([southeast, northeast, northwest], 1),
    )
    cells = np.stack([first, second], axis=1).reshape(-1, 3)
    facets = outer_facets(cells)
    middles = points[facets].mean(axis=1)
    distance = np.abs(middles[:, [0, 0, 1, 1]] - box.ravel())
    names = [sides[k] for k in np.argmin(distance, axis=1)]
    return Mesh(points=points, cells=cells, boundaries=_by_name(names, facets))


def mesh_outline(
    curves: Sequence[Curve],
    signed_distance: Callable[[Array], Array],
    project: Callable[[Array], Array],
    size: float,
) -> Mesh:
    """Return triangles with edges of about `size` inside the outline.

    An arc gets at least sixteen edges per turn, and edges become as short as twice the
    distance between two curves. Inner vertices move to the mean centroid of their
    triangles, weighted by area over the square of the wanted area (centroidal patch
    triangulation), with a new Delaunay triangulation at every step; in the first steps
    points also leave or join where edges are much shorter or longer than wanted.

    Raises
    ------
    MeshError
        If the outline cannot be resolved, as where two curves meet in a cusp.

    References
    ----------
    L. Chen, M. Holst, "Efficient mesh optimization schemes based on optimal Delaunay
    triangulations", CMAME 200 (2011), doi:10.1016/j.cma.2010.11.007.
    """
    box = bounds(curves)
    divisions = [_initial_division(curve, size) for curve in curves]
    for _ in range(20):
        outline = _Outline(curves, divisions, size, 1e-9 * np.ptp(box, axis=1).max())
        if outline.lengths.min() < _FINEST * size:
            break
        split = outline.crowded() | outline.coarse()
        if not split.any():
            # Cheap, and most often the answer: do the points of the outline suffice?
            split = outline.missing(_delaunay(outline.points, signed_distance, outline))
        if not split.any():
            points, cells = _triangulate(outline, signed_distance, box)
            split = outline.missing(cells)
        if not split.any():
            return outline.mesh(points, cells, project)
        divisions = outline.split(split)
    raise MeshError(
        f"No triangles of size {size} resolve the outline "
        f"({', '.join(dict.fromkeys(c.name for c in curves))}): curves meet at too "
        "sharp an angle. Give a smaller size, or move the curves apart."
    )


def _initial_division(curve: Curve, size: float) -> Array:
    target = size
    if isinstance(curve, Arc):
        target = min(size, 2 * np.pi * curve.radius / _EDGES_PER_TURN)
    count = max(1, int(np.ceil(curve.measure / target - 1e-9)))
    return np.linspace(0.0, 1.0, count + 1)


class _Outline:
    """A divided outline: its points, its edges and the edge length wanted around it."""

    def __init__(
        self,
        curves: Sequence[Curve],
        divisions: Sequence[Array],
        size: float,
        tolerance: float,
    ) -> None:
        self.curves, self.divisions, self.size = curves, divisions, size
        placed = [c.at(d) for c, d in zip(curves, divisions, strict=True)]
        points: list[Array] = []
        corners: list[int] = []
        edges: list[Array] = []
        for curve_points in placed:
            ends = []
            for end in (curve_points[0], curve_points[-1]):
                known = [k for k in corners if np.hypot(*(points[k] - end)) < tolerance]
                if not known:
                    points.append(end)
                    corners.append(len(points) - 1)
                ends.append(known[0] if known else len(points) - 1)
            inner = np.arange(len(points), len(points) + len(curve_points) - 2)
            points.extend(curve_points[1:-1])
            chain = np.r_[ends[0], inner, ends[1]]
            edges.append(np.stack([chain[:-1], chain[1:]], axis=1))
        self.points = np.array(points)
        self.edges = np.concatenate(edges)
        self.curve_of_edge = np.repeat(np.arange(len(curves)), [len(e) for e in edges])
        ends_of_edge = self.points[self.edges]
        self.middles = ends_of_edge.mean(axis=1)
        self.lengths = np.hypot(*(ends_of_edge[:, 1] - ends_of_edge[:, 0]).T)
        self.spacing = np.full(len(self.points), np.inf)
        for side in (0, 1):
            np.minimum.at(self.spacing, self.edges[:, side], self.lengths)

    def wanted(self, points: Array) -> Array:
        """Return the edge length wanted at `points`, from that of the boundary."""
        from scipy.spatial import cKDTree

        fine = self.spacing < 0.8 * self.size
        if not fine.any():
            return np.full(len(points), self.size)
        distance, index = cKDTree(self.points[fine]).query(points)
        lengths: Array = np.minimum(
            self.size, self.spacing[fine][index] + _GRADING * distance
        )
        return lengths

    def coarse(self) -> Array:
        """Return which edges are much longer than their surroundings want."""
        coarse: Array = self.lengths > _COARSE * self.wanted(self.middles)
        return coarse

    def crowded(self) -> Array:
        """Return which edges have a point of a curve beside them in their circle."""
        from scipy.spatial import cKDTree

        ends = [{e[0], e[-1]} for e in map(self._chain, range(len(self.curves)))]
        owners: list[set[int]] = [set() for _ in self.points]
        for edge, curve in zip(
            self.edges.tolist(), self.curve_of_edge.tolist(), strict=True
        ):
            for point in edge:
                owners[point].add(curve)
        near = cKDTree(self.points).query_ball_point(
            self.middles, 0.5 * self.lengths * (1 - 1e-9)
        )
        crowded = np.zeros(len(self.edges), dtype=bool)
        for i, candidates in enumerate(near):
            curve = int(self.curve_of_edge[i])
            crowded[i] = any(
                all(other != curve and not ends[other] & ends[curve] for other in own)
                for own in (owners[k] for k in candidates)
            )
        return crowded

    def _chain(self, curve: int) -> Array:
        chain: Array = self.edges[self.curve_of_edge == curve].ravel()
        return chain

    def missing(self, cells: Array) -> Array:
        """Return which edges are not on the boundary of the triangles.

        If none is missing but the triangles have other boundary edges as well, all are
        returned: the triangulation is then not that of the outline.
        """
        present = set(map(tuple, np.sort(outer_facets(cells), axis=1).tolist()))
        wanted = np.sort(self.edges, axis=1).tolist()
        missing = np.array([tuple(edge) not in present for edge in wanted])
        if not missing.any() and len(present) != len(wanted):
            missing[:] = True
        return missing

    def split(self, chosen: Array) -> list[Array]:
        """Return the divisions with the chosen edges halved."""
        divisions = []
        for index, division in enumerate(self.divisions):
            halve = chosen[self.curve_of_edge == index]
            middles = 0.5 * (division[:-1] + division[1:])[halve]
            divisions.append(np.sort(np.r_[division, middles]))
        return divisions

    def mesh(
        self, points: Array, cells: Array, project: Callable[[Array], Array]
    ) -> Mesh:
        """Return the mesh of these triangles with the names of the curves."""
        names = [self.curves[k].name for k in self.curve_of_edge.tolist()]
        curved_edges, midpoints = [np.zeros((0, 2), dtype=int)], [np.zeros((0, 2))]
        for index, (curve, division) in enumerate(
            zip(self.curves, self.divisions, strict=True)
        ):
            if isinstance(curve, Arc):
                curved_edges.append(self.edges[self.curve_of_edge == index])
                midpoints.append(curve.at(0.5 * (division[:-1] + division[1:])))
        return Mesh(
            points=points,
            cells=cells,
            boundaries=_by_name(names, self.edges),
            curved_edges=np.concatenate(curved_edges),
            curved_midpoints=np.concatenate(midpoints),
            project=project,
        )


def _triangulate(
    outline: _Outline, signed_distance: Callable[[Array], Array], box: Array
) -> tuple[Array, Array]:
    """Return the smoothed points, those of the outline first, and their triangles."""
    fixed = len(outline.points)
    points = np.concatenate(
        [outline.points, _lattice(outline, signed_distance, box)], axis=0
    )
    for step in range(_SMOOTHING_STEPS):
        cells = _delaunay(points, signed_distance, outline)
        if step in _ADAPTING_STEPS:
            points = _adapted(points, cells, outline)
            cells = _delaunay(points, signed_distance, outline)
        centroids = points[cells].mean(axis=1)
        weights = _areas(points[cells]) / outline.wanted(centroids) ** 4
        total = np.zeros(len(points))
        moment = np.zeros_like(points)
        for k in range(3):
            np.add.at(total, cells[:, k], weights)
            np.add.at(moment, cells[:, k], weights[:, None] * centroids)
        inner = np.flatnonzero(total[fixed:] > 0.0) + fixed
        points[inner] = moment[inner] / total[inner, None]
    return points, _delaunay(points, signed_distance, outline)


def _adapted(points: Array, cells: Array, outline: _Outline) -> Array:
    """Return the points without one end of short edges, with middles of long ones.

    Edges between two points of the outline stay as they are.
    """
    fixed = len(outline.points)
    edges = edges_of_cells(cells)[0]
    edges = edges[edges[:, 1] >= fixed]
    middles = points[edges].mean(axis=1)
    lengths = np.hypot(*(points[edges[:, 1]] - points[edges[:, 0]]).T)
    ratio = lengths / outline.wanted(middles)
    keep = np.ones(len(points), dtype=bool)
    for a, b in edges[ratio < _SHORT].tolist():
        if keep[a] and keep[b]:
            keep[b] = False
    return np.concatenate([points[keep], middles[ratio > _LONG]])


def _lattice(
    outline: _Outline, signed_distance: Callable[[Array], Array], box: Array
) -> Array:
    """Return points of triangular lattices of the wanted spacing, off the outline."""
    levels = int(np.ceil(np.log2(outline.size / outline.spacing.min()) - 0.5))
    chosen = []
    for level in range(max(levels, 0) + 1):
        step = outline.size / 2**level
        # A length of up to √2 steps is wanted only this near to edges as short as that.
        near = outline.points[outline.spacing <= np.sqrt(2) * step]
        reach = np.sqrt(2) * step / _GRADING
        if level > 0 and len(near):
            box = np.stack([near.min(axis=0) - reach, near.max(axis=0) + reach], axis=1)
        x = np.arange(box[0, 0] + 0.5 * step, box[0, 1], step)
        y = np.arange(box[1, 0] + 0.5 * step, box[1, 1], step * np.sqrt(0.75))
        lattice = np.stack(np.meshgrid(x, y), axis=-1)
        lattice[1::2, :, 0] += 0.5 * step
        points = lattice.reshape(-1, 2)
        wanted = outline.wanted(points)
        fits = np.round(np.log2(outline.size / wanted)) == level
        points, wanted = points[fits], wanted[fits]
        chosen.append(points[signed_distance(points) < -0.6 * wanted])
    return np.concatenate(chosen)


def _delaunay(
    points: Array, signed_distance: Callable[[Array], Array], outline: _Outline
) -> Array:
    from scipy.spatial import Delaunay

    cells: Array = np.asarray(Delaunay(points).simplices, dtype=int)
    corners = points[cells]
    flat = _areas(corners) < 1e-6 * outline.spacing.min() ** 2
    inside = signed_distance(corners.mean(axis=1)) < 0.0
    cells = cells[inside & ~flat]
    corners = points[cells]
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    inverted = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0] < 0.0
    cells[inverted] = cells[inverted][:, [0, 2, 1]]
    return cells


def _areas(corners: Array) -> Array:
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    areas: Array = 0.5 * np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
    return areas


def _by_name(names: Sequence[str], facets: Array | list[list[int]]) -> dict[str, Array]:
    """Return the facets grouped by name, in the order of first appearance."""
    table, labels = np.asarray(facets, dtype=int), np.array(names)
    return {name: table[labels == name] for name in dict.fromkeys(names)}
