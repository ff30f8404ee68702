"""Tetrahedra for a box with smooth surfaces in it: isosurface stuffing.

Source: F. Labelle & J. R. Shewchuk, Isosurface stuffing: fast tetrahedral meshes with
good dihedral angles, ACM Trans. Graph. 26 (2007) 57, DOI 10.1145/1275808.1276448.
Quadrilaterals are cut from their vertex of smallest number in place of the paper's
parity rule, which any two tetrahedra agree on too.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pinnsuite.errors import MeshError
from pinnsuite.problem.mesh import (
    FACETS_OF_CELL,
    Array,
    Mesh,
    edges_of_cells,
    outer_facets,
    rows_in,
    signed_volumes,
)

_LONG, _SHORT = 0.24999, 0.41189
"""Shares of an edge within which a cut moves the vertex there; from the paper."""

_BISECTIONS = 40

GOOD = 0.5
"""Shape of a tetrahedron, 1 for a regular one, below which its vertices are moved."""

_SWEEPS = 6
_TRIALS = 12


@dataclass(frozen=True, eq=False)
class Surface:
    """Closed smooth surfaces.

    Attributes
    ----------
    signed_distance
        At points (n, 3), negative on the side that is meshed.
    project
        Nearest points of the surfaces.
    parts
        How many closed surfaces, each a sphere in its topology, bound the mesh; the
        outside of the box counts if the mesh reaches it.
    """

    signed_distance: Callable[[Array], Array]
    project: Callable[[Array], Array]
    parts: int


def lattice(counts: tuple[int, int, int]) -> tuple[Array, Array]:
    """Return the body-centred lattice of unit cubes: points (n, 3) and cells (m, 4).

    The corners come first, then the centres. Two centres and an edge of their common
    face are a tetrahedron; at the sides of the box, and at its middle planes, a centre
    and half a face are one. `counts` are even, so that coefficients that jump at a
    middle plane do not jump inside a cell.
    """
    corner_shape = tuple(n + 1 for n in counts)
    corners = np.arange(np.prod(corner_shape)).reshape(corner_shape)
    centres = corners.size + np.arange(np.prod(counts)).reshape(counts)
    points = np.concatenate(
        [
            np.stack(np.unravel_index(corners.ravel(), corner_shape), axis=1),
            np.stack(np.unravel_index(np.arange(centres.size), counts), axis=1) + 0.5,
        ]
    )
    cells = []
    for axis in range(3):
        others = [k for k in range(3) if k != axis]
        # The corners of the faces across `axis`, around the face.
        around = [
            _shifted(corners, {others[0]: a, others[1]: b})
            for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))
        ]
        n, middle = counts[axis], counts[axis] // 2
        layers = np.setdiff1d(np.arange(1, n), middle)
        low, high = (np.take(centres, layers - k, axis=axis) for k in (1, 0))
        inner = [np.take(c, layers, axis=axis) for c in around]
        for first, second in itertools.pairwise([*inner, inner[0]]):
            cells.append(np.stack([low, high, first, second], axis=-1).reshape(-1, 4))
        for layer, beside in (
            (0, 0),
            (middle, middle - 1),
            (middle, middle),
            (n, n - 1),
        ):
            centre = np.take(centres, beside, axis=axis)
            face = [np.take(c, layer, axis=axis) for c in around]
            for k in (1, 2):
                half = [centre, face[0], face[k], face[k + 1]]
                cells.append(np.stack(half, axis=-1).reshape(-1, 4))
    return points, np.concatenate(cells)


def _shifted(corners: Array, by: dict[int, int]) -> Array:
    for axis, start in by.items():
        count = corners.shape[axis] - 1
        corners = np.take(corners, range(start, start + count), axis=axis)
    return corners


def stuff(
    bounds: Array, signed_distance: Callable[[Array], Array], size: float
) -> tuple[Array, Array]:
    """Return points and positively oriented tetrahedra of the part that is inside.

    Parameters
    ----------
    bounds
        Of the box, (3, 2). Its middle planes are unions of facets, but for facets that
        touch a surface.
    signed_distance
        Of smooth surfaces that keep clear of the box's sides, negative inside.
    size
        Edge length; it must resolve the surfaces and the gaps between them.

    Raises
    ------
    MeshError
        If a surface is within about a `size` of a side of the box.
    """
    lengths = np.ptp(bounds, axis=1)
    counts = tuple(
        2 * int(n) for n in np.maximum(np.ceil(lengths / (2 * size) - 1e-9), 1)
    )
    unit, cells = lattice(counts)  # type: ignore[arg-type]
    points = bounds[:, 0] + unit * (lengths / counts)
    inside = -signed_distance(points)
    edges, _ = edges_of_cells(cells)
    edges = edges[inside[edges[:, 0]] * inside[edges[:, 1]] < 0]
    cuts = _roots(points[edges], inside[edges], signed_distance)
    is_side = np.any((unit == 0) | (unit == counts), axis=1)
    is_cut = _warp(points, inside, unit, edges, cuts, is_side)
    edges, cuts = edges[is_cut], cuts[is_cut]
    place = {edge: len(points) + k for k, edge in enumerate(map(tuple, edges.tolist()))}
    points = np.concatenate([points, cuts])
    cells = _clipped(cells, np.sign(inside).astype(int), place, points)
    used, inverse = np.unique(cells, return_inverse=True)
    points, cells = points[used], inverse.reshape(cells.shape)
    turned = signed_volumes(points, cells) < 0.0
    cells[turned] = cells[turned][:, [0, 1, 3, 2]]
    return points, cells


def _roots(ends: Array, values: Array, signed_distance: Callable[..., Array]) -> Array:
    """Return where the surface cuts edges (k, 2, 3), by bisection."""
    low = np.where(values[:, :1] > 0, ends[:, 0], ends[:, 1])
    high = np.where(values[:, :1] > 0, ends[:, 1], ends[:, 0])
    for _ in range(_BISECTIONS if len(ends) else 0):
        middle = (low + high) / 2
        is_inside = signed_distance(middle)[:, None] < 0
        low, high = np.where(is_inside, middle, low), np.where(is_inside, high, middle)
    return (low + high) / 2


def _warp(
    points: Array,
    inside: Array,
    unit: Array,
    edges: Array,
    cuts: Array,
    is_side: Array,
) -> Array:
    """Move vertices onto cuts that are too near, in place; say which cuts remain."""
    lengths = np.linalg.norm(points[edges[:, 1]] - points[edges[:, 0]], axis=1)
    is_long = np.sum(np.diff(unit[edges], axis=1)[:, 0] ** 2, axis=1) > 0.8
    reach = np.where(is_long, _LONG, _SHORT) * lengths
    near: dict[int, list[tuple[float, int]]] = {}
    for column in (0, 1):
        gaps = np.linalg.norm(cuts - points[edges[:, column]], axis=1)
        for k in np.flatnonzero(gaps < reach).tolist():
            near.setdefault(int(edges[k, column]), []).append((float(gaps[k]), k))
    at_vertex: dict[int, list[int]] = {}
    for k, edge in enumerate(edges.tolist()):
        for vertex in edge:
            at_vertex.setdefault(vertex, []).append(k)
    remains = np.ones(len(edges), dtype=bool)
    for vertex in sorted(near):
        left = [(gap, k) for gap, k in near[vertex] if remains[k]]
        if not left:
            continue
        if is_side[vertex]:
            raise MeshError(
                f"A curved surface passes the side of the box at {points[vertex]} "
                "nearer than the mesh can resolve; give a smaller size."
            )
        points[vertex] = cuts[min(left)[1]]
        inside[vertex] = 0.0
        remains[at_vertex[vertex]] = False
    return remains


def _clipped(
    cells: Array, sign: Array, place: dict[tuple[int, int], int], points: Array
) -> Array:
    """Return the tetrahedra of the part where `sign` is positive: (m, 4)."""
    signs = sign[cells]
    whole = cells[(signs.min(axis=1) >= 0) & (signs.max(axis=1) > 0)]
    parts: list[list[int]] = []

    def cut(a: int, b: int) -> int:
        return place[(a, b) if a < b else (b, a)]

    for cell in cells[(signs.min(axis=1) < 0) & (signs.max(axis=1) > 0)].tolist():
        # Smallest number first: it is the vertex that quadrilaterals are cut from.
        kept = sorted(v for v in cell if sign[v] > 0)
        on = [v for v in cell if sign[v] == 0]
        out = [v for v in cell if sign[v] < 0]
        if len(kept) == 1:
            parts.append([kept[0], *on, *(cut(kept[0], m) for m in out)])
        elif len(kept) == 3:
            a, b, c = (cut(v, out[0]) for v in kept)
            p, q, r = kept
            parts += [[p, a, b, c], [p, q, b, c], [p, q, r, c]]
        elif on:
            p, q = kept
            a, b = cut(p, out[0]), cut(q, out[0])
            parts += [[p, q, b, on[0]], [p, b, a, on[0]]]
        else:
            p, q = kept
            a, b = cut(p, out[0]), cut(p, out[1])
            c, d = cut(q, out[0]), cut(q, out[1])
            parts.append([p, q, c, d])
            # The four cuts lie on the surface: their shorter diagonal divides them.
            if np.sum((points[a] - points[d]) ** 2) < np.sum(
                (points[b] - points[c]) ** 2
            ):
                parts += [[p, a, b, d], [p, a, d, c]]
            else:
                parts += [[p, a, b, c], [p, b, d, c]]
    return np.concatenate([whole, np.array(parts, dtype=int).reshape(-1, 4)])


def shapes(points: Array, cells: Array) -> Array:
    """Return `12 (3V)^(2/3) / Σ l²` of each tetrahedron: 1 if regular, 0 if flat.

    Source: A. Liu & B. Joe, BIT 34 (1994) 268, DOI 10.1007/BF01955874.
    """
    corners = points[cells]
    first, second = np.triu_indices(4, 1)
    squares = np.sum((corners[:, first] - corners[:, second]) ** 2, axis=(1, 2))
    volumes = signed_volumes(points, cells)
    found: Array = 12 * np.cbrt(3 * volumes) ** 2 * np.sign(volumes) / squares
    return found


def _improve(
    points: Array,
    cells: Array,
    is_held: Array,
    is_round: Array,
    project: Callable[[Array], Array],
) -> None:
    """Move the vertices of badly shaped cells, in place, by trial.

    Parameters
    ----------
    points, cells
        Of the mesh.
    is_held
        Which components of which points stay, (n, 3).
    is_round
        Which points stay on the surface.
    project
        Onto the surface.
    """
    order = np.argsort(cells.ravel(), kind="stable")
    ends = np.searchsorted(cells.ravel()[order], np.arange(len(points) + 1))
    rng = np.random.default_rng(0)
    for sweep in range(_SWEEPS):
        bad = np.unique(cells[shapes(points, cells) < GOOD])
        for v in bad[~(is_held[bad].all(axis=1) | (is_round & is_held.any(1))[bad])]:
            around = cells[order[ends[v] : ends[v + 1]] // 4]
            worst = shapes(points, around).min()
            neighbours = np.unique(around)
            centre = points[neighbours].mean(axis=0)
            reach = np.linalg.norm(points[neighbours] - points[v], axis=1).max()
            steps = 0.3 * reach / (1 + sweep) * rng.standard_normal((_TRIALS, 3))
            steps = np.concatenate([[(centre - points[v]) / 2], steps])
            steps[:, is_held[v]] = 0.0
            for step in steps:
                before = points[v].copy()
                points[v] += step
                if is_round[v]:
                    points[v] = project(points[v : v + 1])[0]
                now = shapes(points, around).min()
                if now > worst:
                    worst = now
                else:
                    points[v] = before


def _corner_volumes(
    points: Array, cells: Array, curved_edges: Array, midpoints: Array
) -> Array:
    """Return the Jacobian of the quadratic map at the corners of each cell: (m, 4)."""
    edges, edge_of_cell = edges_of_cells(cells)
    middles = points[edges].mean(axis=1)
    middles[rows_in(edges, curved_edges)] = midpoints
    number = np.zeros((4, 4), dtype=int)
    number[np.triu_indices(4, 1)] = np.arange(6)
    number += number.T
    found = []
    for corner, others in enumerate(FACETS_OF_CELL[3]):
        start = points[cells[:, corner], None]
        ahead = middles[edge_of_cell[:, number[corner, others]]]
        slopes = 4 * ahead - 3 * start - points[cells[:, others]]
        found.append(np.linalg.det(slopes))
    return np.stack(found, axis=1)


def mesh_solid(
    bounds: Array,
    size: float,
    names_at: Callable[[Array], Array],
    surface: Surface | None = None,
) -> Mesh:
    """Return tetrahedra of a box, or of the part of it inside a surface.

    Parameters
    ----------
    bounds
        Of the box, (3, 2).
    size
        Edge length.
    names_at
        Names of the boundaries at points (n, 3) on them.
    surface
        Facets that are not on sides of the box are curved onto it.

    Raises
    ------
    MeshError
        If the size does not resolve the surface.
    """
    distance = surface.signed_distance if surface else lambda p: np.full(len(p), -1.0)
    points, cells = stuff(bounds, distance, size)
    facets = outer_facets(cells)
    corners = points[facets]
    gaps = np.abs(corners[..., None] - bounds).max(axis=1)
    is_round = gaps.min(axis=(1, 2)) > 1e-9 * np.ptp(bounds)
    names = names_at(corners.mean(axis=1))
    curves: dict[str, Any] = {}
    if surface is not None:
        sides, counts = np.unique(
            np.sort(facets[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1),
            axis=0,
            return_counts=True,
        )
        euler = len(np.unique(facets)) - len(sides) + len(facets)
        if (counts != 2).any() or euler != 2 * surface.parts:
            raise MeshError(
                f"A mesh of size {size:g} does not resolve the surfaces and the gaps "
                "between them; give a smaller size."
            )
        edges, _ = edges_of_cells(facets[is_round])
        on_surface = np.zeros(len(points), dtype=bool)
        on_surface[edges] = True
        planes = np.column_stack([bounds, bounds.mean(axis=1)])
        gaps = np.abs(points[:, :, None] - planes).min(axis=2)
        is_held = gaps < 1e-9 * np.ptp(bounds)
        _improve(points, cells, is_held, on_surface, surface.project)
        midpoints = surface.project(points[edges].mean(axis=1))
        if (_corner_volumes(points, cells, edges, midpoints) <= 0.0).any():
            raise MeshError(
                f"Cells of size {size:g} fold where they are bent onto the surface; "
                "give a smaller size."
            )
        curves = {
            "curved_edges": edges,
            "curved_midpoints": midpoints,
            "project": surface.project,
        }
    boundaries = {str(name): facets[names == name] for name in np.unique(names)}
    return Mesh(points, cells, boundaries, **curves)
