"""Local refinement of triangle meshes by newest-vertex bisection.

Source: R. Stevenson, The completion of locally refined simplicial partitions created by
bisection, Math. Comp. 77 (2008) 227-241, DOI 10.1090/S0025-5718-07-01959-X.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pinnsuite.errors import MeshError
from pinnsuite.problem.mesh import Mesh, edges_of_cells, rows_in

Array = np.ndarray


def longest_edge_first(mesh: Mesh) -> Mesh:
    """Return the mesh with the longest edge of each triangle opposite its first vertex.

    The edge there is the one that `bisect` halves first.

    Raises
    ------
    MeshError
        If it is not a mesh of triangles in the plane.
    """
    if mesh.dimension != 2:
        raise MeshError(
            f"Meshes of triangles are bisected; this one is in {mesh.dimension} "
            "dimension(s)."
        )
    corners = mesh.points[mesh.cells]
    opposite = np.roll(corners, -1, axis=1) - np.roll(corners, -2, axis=1)
    first = np.hypot(*opposite.T).T.argmax(axis=1)
    turned = (first[:, None] + np.arange(3)) % 3
    return replace(mesh, cells=np.take_along_axis(mesh.cells, turned, axis=1))


def bisect(mesh: Mesh, marked: Array) -> Mesh:
    """Return the mesh with the edges of the marked triangles halved, and no others.

    No others but those that keep it conforming. Triangles are halved towards the edge
    opposite their first vertex, which the new vertex becomes, so that the angles stay
    bounded however often this is repeated. Names are kept, and curved edges stay on
    their curves.

    Parameters
    ----------
    mesh
        From `longest_edge_first`, or from here.
    marked
        Indices of triangles.
    """
    cells = mesh.cells
    edges, edge_of_cell = edges_of_cells(cells)
    is_split = np.zeros(len(edges), dtype=bool)
    is_split[edge_of_cell[marked]] = True
    while True:
        halved = is_split[edge_of_cell]
        first = edge_of_cell[halved.any(axis=1) & ~halved[:, 0], 0]
        if not len(first):
            break
        is_split[first] = True
    new = np.full(len(edges), -1)
    new[is_split] = len(mesh.points) + np.arange(is_split.sum())
    middles = mesh.points[edges].mean(axis=1)
    curved = rows_in(edges, np.sort(mesh.curved_edges, axis=1))
    middles[curved] = mesh.curved_midpoints
    points = np.concatenate([mesh.points, middles[is_split]])
    # Each triangle (a, b, c) with the middle m of bc, k of ca and n of ab.
    m, k, n = new[edge_of_cell].T
    a, b, c = cells.T
    everything = np.arange(len(cells))
    parts = [
        (m < 0, (a, b, c)),
        ((m >= 0) & (n < 0), (m, a, b)),
        ((m >= 0) & (n >= 0), (n, m, a)),
        ((m >= 0) & (n >= 0), (n, b, m)),
        ((m >= 0) & (k < 0), (m, c, a)),
        ((m >= 0) & (k >= 0), (k, m, c)),
        ((m >= 0) & (k >= 0), (k, a, m)),
    ]
    children = np.concatenate([np.stack(v, axis=1)[where] for where, v in parts])
    parents = np.concatenate([everything[where] for where, _ in parts])
    bent, whole = np.flatnonzero(is_split[curved]), np.flatnonzero(~is_split[curved])
    halves, midpoints = mesh.halved_curves(bent, new[curved[bent]])
    return Mesh(
        points=points,
        cells=children,
        boundaries={
            name: _halved_facets(facets, edges, new)
            for name, facets in mesh.boundaries.items()
        },
        regions={
            name: np.flatnonzero(np.isin(parents, chosen))
            for name, chosen in mesh.regions.items()
        },
        curved_edges=np.concatenate([mesh.curved_edges[whole], halves]),
        curved_midpoints=np.concatenate([mesh.curved_midpoints[whole], midpoints]),
        project=mesh.project,
    )


def _halved_facets(facets: Array, edges: Array, new: Array) -> Array:
    """Return boundary edges with those halved that have a new vertex, in direction."""
    middle = new[rows_in(edges, np.sort(facets, axis=1))]
    whole, halved = facets[middle < 0], facets[middle >= 0]
    middle = middle[middle >= 0]
    return np.concatenate(
        [
            whole,
            np.stack([halved[:, 0], middle], axis=1),
            np.stack([middle, halved[:, 1]], axis=1),
        ]
    )
