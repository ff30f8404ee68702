"""Domains given by a mesh file, with its named groups as boundaries and regions."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp

from pinnsuite.errors import MeshError
from pinnsuite.problem.domain import PlanarDomain, check_plane, checked_size, encloses
from pinnsuite.problem.mesh import Mesh, outer_facets, signed_volumes
from pinnsuite.problem.outline import Array, Curve, Segment

logger = logging.getLogger(__name__)

_PARTS_OF_A_PARABOLA = 8


@dataclass(frozen=True, eq=False)
class MeshDomain(PlanarDomain):
    """The part of the plane that a triangle mesh covers.

    Its outline are the boundary edges of the mesh; a curved edge (quadratic geometry)
    counts as eight chords of its parabola.
    """

    x: sp.Symbol
    y: sp.Symbol
    triangles: Mesh
    label: str = "mesh"

    def __post_init__(self) -> None:
        check_plane(self.x, self.y)

    @classmethod
    def from_file(
        cls, path: str | Path, coordinates: tuple[sp.Symbol, sp.Symbol]
    ) -> MeshDomain:
        """Read a planar triangle mesh through meshio, as gmsh writes it.

        The physical curves name the boundaries and the physical surfaces the regions;
        in other formats cell sets do. Triangles may be straight or quadratic
        ("triangle6"). Inverted triangles are turned over and points of no triangle
        dropped, both noted in the log.

        Raises
        ------
        MeshError
            If the file is missing or unreadable, holds no triangles or other surface
            cells, does not lie in a plane z = const, or a boundary edge is in no group.
        """
        path = Path(path)
        data = _read(path)
        mesh = _triangles(path, data)
        return cls(*coordinates, mesh, path.name)

    @property
    def coordinates(self) -> tuple[sp.Symbol, ...]:
        """Return the coordinates, as sympy symbols."""
        return (self.x, self.y)

    @property
    def regions(self) -> tuple[str, ...]:
        """Return the names of the regions; there may be none."""
        return tuple(self.triangles.regions)

    @cached_property
    def pieces(self) -> tuple[Curve, ...]:
        """Return the boundary edges, the mesh on their left."""
        points = self.triangles.points
        middles = {
            frozenset(edge): middle
            for edge, middle in zip(
                self.triangles.curved_edges.tolist(),
                self.triangles.curved_midpoints,
                strict=True,
            )
        }
        s = np.linspace(0.0, 1.0, _PARTS_OF_A_PARABOLA + 1)[:, None]
        pieces: list[Curve] = []
        for name, facets in self.triangles.boundaries.items():
            for facet in facets.tolist():
                a, b = points[facet]
                middle = middles.get(frozenset(facet))
                if middle is None:
                    chain = np.array([a, b])
                else:
                    chain = a + s * (b - a) + 4 * s * (1 - s) * (middle - (a + b) / 2)
                corners = [(p[0], p[1]) for p in chain.tolist()]
                pieces += [
                    Segment(name, start, end)
                    for start, end in itertools.pairwise(corners)
                ]
        return tuple(pieces)

    def _is_inside(self, points: Array) -> Array:
        segments = [p for p in self.pieces if isinstance(p, Segment)]
        return encloses(
            np.array([[p.start for p in segments], [p.end for p in segments]]), points
        )

    def mesh(self, size: float) -> Mesh:
        """Return the mesh of the file, refined until its mean edge is below `size`."""
        size = checked_size(size)
        mesh = self.triangles
        while mesh.mean_size > size:
            mesh = mesh.refine()
        return mesh

    def canonical(self) -> dict[str, Any]:
        """Return the names, and a checksum of points, triangles and groups."""
        mesh = self.triangles
        digest = hashlib.sha256()
        for array in (mesh.points, mesh.curved_midpoints):
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        groups = [*sorted(mesh.boundaries.items()), *sorted(mesh.regions.items())]
        for array in (mesh.cells, mesh.curved_edges, *(group for _, group in groups)):
            digest.update(repr(array.shape).encode())
            digest.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
        return {
            "type": "MeshDomain",
            "coordinates": [self.x.name, self.y.name],
            "boundaries": sorted(mesh.boundaries),
            "regions": sorted(mesh.regions),
            "sha256": digest.hexdigest(),
        }

    def describe(self) -> str:
        """Return the label and the number of triangles."""
        return f"{self.label} ({len(self.triangles.cells)} triangles)"


def _read(path: Path) -> Any:
    """Return the meshio mesh, without letting meshio print or end the process."""
    import meshio

    if not path.is_file():
        raise MeshError(f"There is no mesh file {path}.")
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            return meshio.read(path)
    # meshio ends the process on a file that it cannot read, and its readers let
    # through whatever the parsing of a damaged file raises.
    except (SystemExit, Exception) as error:  # noqa: BLE001
        reason = " ".join(f"{said.getvalue()} {error}".split())
        formats = ", ".join(sorted(meshio.extension_to_filetypes))
        raise MeshError(
            f"The mesh file {path} cannot be read: {reason}. Known endings: {formats}."
        ) from None


def _triangles(path: Path, data: Any) -> Mesh:
    kinds = {block.type for block in data.cells}
    other = sorted(kinds - {"vertex", "line", "line3", "triangle", "triangle6"})
    if other or not kinds & {"triangle", "triangle6"}:
        raise MeshError(
            f"The mesh {path} must hold triangles only; it has "
            f"{', '.join(sorted(kinds)) or 'no cells'}. Mesh the surface in 2-D with "
            "triangles (gmsh -2) and save all its groups."
        )
    points = np.asarray(data.points, dtype=float)
    if points.shape[1] == 3 and np.ptp(points[:, 2]) > 1e-12 * np.ptp(points):
        raise MeshError(
            f"The mesh {path} is not planar: z runs from {points[:, 2].min():g} to "
            f"{points[:, 2].max():g}. Only meshes in a plane z = const are taken."
        )
    points = points[:, :2]
    blocks = [
        (block.type, np.asarray(block.data, dtype=int), names)
        for block, names in zip(data.cells, _group_names(data), strict=True)
    ]
    surfaces = [block for block in blocks if block[0].startswith("triangle")]
    lines = [block for block in blocks if block[0].startswith("line")]
    corners = np.concatenate([cells[:, :3] for _, cells, _ in surfaces])
    used, inverse = np.unique(corners, return_inverse=True)
    number = np.full(len(points), -1)
    number[used] = np.arange(len(used))
    cells = inverse.reshape(corners.shape)
    vertices = points[used]
    inverted = signed_volumes(vertices, cells) < 0.0
    if inverted.any():
        logger.warning("%s: turned over %d inverted triangles", path, inverted.sum())
        cells[inverted] = cells[inverted][:, [0, 2, 1]]
    name_of_facet: dict[frozenset[int], str] = {}
    for _, facets, names in lines:
        for facet, name in zip(number[facets[:, :2]].tolist(), names, strict=True):
            if name:
                name_of_facet.setdefault(frozenset(facet), name)
    curved_edges, midpoints = _curved(points, number, surfaces)
    return Mesh(
        points=vertices,
        cells=cells,
        boundaries=_boundaries(path, vertices, outer_facets(cells), name_of_facet),
        regions=_regions(surfaces),
        curved_edges=curved_edges,
        curved_midpoints=midpoints,
    )


def _group_names(data: Any) -> list[list[str]]:
    """Return the name of the group of each cell, by block; "" where there is none."""
    if "gmsh:physical" in data.cell_data:
        name_of = {(int(d), int(tag)): n for n, (tag, d) in data.field_data.items()}
        return [
            [
                name_of.get((block.dim, int(tag)), str(tag)) if tag else ""
                for tag in tags
            ]
            for block, tags in zip(
                data.cells, data.cell_data["gmsh:physical"], strict=True
            )
        ]
    names = [[""] * len(block.data) for block in data.cells]
    for name, members in data.cell_sets.items():
        if not name.startswith("gmsh:"):
            for labels, chosen in zip(names, members, strict=True):
                for index in [] if chosen is None else chosen:
                    labels[index] = name
    return names


def _boundaries(
    path: Path, points: Array, facets: Array, name_of_facet: dict[frozenset[int], str]
) -> dict[str, Array]:
    names = np.array([name_of_facet.get(frozenset(f), "") for f in facets.tolist()])
    bare = facets[names == ""]
    groups = sorted(set(name_of_facet.values()))
    if len(bare):
        x, y = points[bare[0]].mean(axis=0)
        raise MeshError(
            f"{len(bare)} of {len(facets)} boundary edges of the mesh {path} are left "
            f"bare: they belong to no group (one is at ({x:g}, {y:g})). Groups on "
            f"edges: {', '.join(groups) or 'none'}. Put every boundary curve into a "
            "named physical group (gmsh: Physical Curve) and save the mesh again."
        )
    for name in set(groups) - set(names.tolist()):
        logger.warning("%s: the group %r has no edge on the boundary", path, name)
    return {name: facets[names == name] for name in groups if name in names}


def _regions(surfaces: list[tuple[str, Array, list[str]]]) -> dict[str, Array]:
    names = np.array([name for _, _, labels in surfaces for name in labels])
    return {
        str(name): np.flatnonzero(names == name) for name in np.unique(names) if name
    }


def _curved(
    points: Array, number: Array, surfaces: list[tuple[str, Array, list[str]]]
) -> tuple[Array, Array]:
    """Return the edges of quadratic triangles whose midpoint is off the chord."""
    # The midpoints of meshio's triangle6 follow the edges 01, 12, 20.
    rows = [
        cells[:, columns]
        for kind, cells, _ in surfaces
        if kind == "triangle6"
        for columns in ([0, 1, 3], [1, 2, 4], [2, 0, 5])
    ]
    edges = np.concatenate([*rows, np.zeros((0, 3), dtype=int)])
    start, end, middle = points[edges.T]
    sagitta = np.hypot(*(middle - 0.5 * (start + end)).T)
    edges = edges[sagitta > 1e-10 * np.hypot(*(end - start).T)]
    _, first = np.unique(np.sort(edges[:, :2], axis=1), axis=0, return_index=True)
    edges = edges[first]
    return number[edges[:, :2]], points[edges[:, 2]]
