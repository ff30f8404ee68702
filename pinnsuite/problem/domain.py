"""Where a problem is posed: domains with named boundaries, and the time interval.

A domain is a value: compared and hashed by its definition, checked when it is made.
Coordinates are sympy symbols; every boundary has a name, and several pieces may share
one. All points are float64 arrays of shape (n, d).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Protocol

import numpy as np
import sympy as sp

from pinnsuite.errors import DefinitionError, MeshError, unknown_name
from pinnsuite.problem import meshing, stuffing
from pinnsuite.problem.mesh import Mesh
from pinnsuite.problem.outline import (
    Arc,
    Array,
    Curve,
    Segment,
    bounds,
    combine,
    meeting_points,
    nearest,
)

_SOBOL_BLOCK = 64

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Piece(Protocol):
    """A smooth part of a boundary, parametrised over the unit cube."""

    @property
    def name(self) -> str:
        """Return the name of the boundary that it belongs to."""

    @property
    def measure(self) -> float:
        """Return its length or area; 1 for a point."""

    def at(self, parameters: Array) -> Array:
        """Return the points at `parameters` (n, d - 1), uniform in measure: (n, d)."""

    def normals(self, parameters: Array) -> Array:
        """Return the outward unit normals there: (n, d)."""


@dataclass(frozen=True)
class _Face:
    """One side of a box: the coordinate `axis` at its lower or upper end."""

    name: str
    box: tuple[tuple[float, float], ...]
    axis: int
    is_upper: bool

    @property
    def measure(self) -> float:
        lengths = [b - a for k, (a, b) in enumerate(self.box) if k != self.axis]
        return math.prod(lengths, start=1.0)

    def at(self, parameters: Array) -> Array:
        box = np.array(self.box)
        points = np.insert(parameters[:, : len(box) - 1], self.axis, self.is_upper, 1)
        # The convex combination is exact at both ends.
        placed: Array = (1.0 - points) * box[:, 0] + points * box[:, 1]
        return placed

    def normals(self, parameters: Array) -> Array:
        normals = np.zeros((len(parameters), len(self.box)))
        normals[:, self.axis] = 1.0 if self.is_upper else -1.0
        return normals


class Domain(ABC):
    """A bounded closed set with named boundaries; see `Interval`, `Box`, `Disk`, ….

    `a - b` removes one domain from another, in the plane or a ball from a box, and
    `a | b` joins them, in the plane.
    """

    @property
    @abstractmethod
    def coordinates(self) -> tuple[sp.Symbol, ...]:
        """Return the coordinates, as sympy symbols."""

    @property
    @abstractmethod
    def pieces(self) -> tuple[Piece, ...]:
        """Return the smooth parts of the boundary."""

    @property
    @abstractmethod
    def bounds(self) -> Array:
        """Return the smallest box around the domain: (d, 2), lower and upper ends."""

    @property
    @abstractmethod
    def measure(self) -> float:
        """Return the length, area or volume."""

    @abstractmethod
    def signed_distance(self, points: Array) -> Array:
        """Return the distance to the boundary, negative inside: (n,)."""

    @abstractmethod
    def project(self, points: Array) -> Array:
        """Return the nearest point of the boundary to each point: (n, d)."""

    @abstractmethod
    def canonical(self) -> dict[str, Any]:
        """Return the definition as plain JSON values; equal domains give equal ones."""

    @abstractmethod
    def describe(self) -> str:
        """Return the domain in mathematical notation."""

    @abstractmethod
    def mesh(self, size: float) -> Mesh:
        """Return a mesh with edges of about `size`, with the same boundary names.

        Raises
        ------
        MeshError
            If `size` is not positive and finite, or there is no mesher for the domain.
        """

    @property
    def dimension(self) -> int:
        """Return the number d of coordinates."""
        return len(self.coordinates)

    @property
    def is_box(self) -> bool:
        """Return whether the domain is an interval or a product of intervals."""
        return False

    @property
    def extent(self) -> float:
        """Return the longest side of the bounding box."""
        return float(np.ptp(self.bounds, axis=1).max())

    @property
    def boundaries(self) -> tuple[str, ...]:
        """Return the distinct names of the boundaries."""
        return tuple(dict.fromkeys(piece.name for piece in self.pieces))

    def _named(self, name: str) -> tuple[Piece, ...]:
        pieces = tuple(piece for piece in self.pieces if piece.name == name)
        if not pieces:
            raise DefinitionError(unknown_name("boundary", name, self.boundaries))
        return pieces

    def boundary_measure(self, name: str) -> float:
        """Return the length or area of a boundary; for an interval its points count."""
        return math.fsum(piece.measure for piece in self._named(name))

    def contains(self, points: Array, tolerance: float = 1e-12) -> Array:
        """Return which points lie in the closed domain or nearer than `tolerance`."""
        inside: Array = self.signed_distance(checked_points(self, points)) <= tolerance
        return inside

    def sample_interior(self, n: int, seed: int) -> Array:
        """Return `n` points strictly inside, of a scrambled Sobol sequence: (n, d).

        The points of a smaller `n` are the first ones of a larger `n`.
        """
        sampler = _sobol(self.dimension, seed)
        lower, upper = self.bounds.T
        margin = 1e-12 * self.extent
        accepted = [np.zeros((0, self.dimension))]
        count = 0
        while count < n:
            block = lower + sampler.random(_power_of_two(n)) * (upper - lower)
            block = block[self.signed_distance(block) < -margin]
            accepted.append(block)
            count += len(block)
        return np.concatenate(accepted)[:n]

    def sample_boundary(self, name: str, n: int, seed: int) -> tuple[Array, Array]:
        """Return `n` points of a boundary and the outward unit normals: (n, d) each.

        The points are uniform by measure over all pieces with this name together: a
        scrambled Sobol sequence runs along them, so every piece gets its share. The
        points of a smaller `n` are the first ones of a larger `n`.
        """
        pieces = self._named(name)
        samples = sobol_points(n, max(1, self.dimension - 1), seed)
        ends = np.cumsum([piece.measure for piece in pieces])
        ends /= ends[-1]
        owner = np.searchsorted(ends, samples[:, 0], side="right")
        points, normals = np.zeros((2, n, self.dimension))
        for index, piece in enumerate(pieces):
            mine = owner == index
            start = ends[index - 1] if index else 0.0
            local = samples[mine]
            local[:, 0] = (local[:, 0] - start) / (ends[index] - start)
            points[mine], normals[mine] = piece.at(local), piece.normals(local)
        return points, normals

    @abstractmethod
    def on_boundary(self, name: str, points: Array, tolerance: float) -> Array:
        """Return which points lie nearer than `tolerance` to a boundary: (n,)."""

    def __sub__(self, other: Domain) -> Domain:
        return (
            other._removed_from(self) if isinstance(other, Domain) else NotImplemented
        )

    def _removed_from(self, outer: Domain) -> Domain:
        """Return `outer` without the inside of this domain."""
        return Difference(outer, self)

    def __or__(self, other: Domain) -> Union:
        return Union(self, other)


class PlanarDomain(Domain):
    """A domain of the plane, given by its outline."""

    @property
    @abstractmethod
    def pieces(self) -> tuple[Curve, ...]:
        """Return the curves of the outline, with the domain on their left."""

    @abstractmethod
    def _is_inside(self, points: Array) -> Array:
        """Return which points are inside; either answer is right on the boundary."""

    @property
    def bounds(self) -> Array:
        """Return the smallest box around the domain: (2, 2), lower and upper ends."""
        return bounds(self.pieces)

    @cached_property
    def measure(self) -> float:
        """Return the area, by Green's theorem on the outline."""
        return math.fsum(curve.green_area for curve in self.pieces)

    def signed_distance(self, points: Array) -> Array:
        """Return the distance to the outline, negative inside: (n,)."""
        points = checked_points(self, points)
        distances, _ = nearest(self.pieces, points)
        return np.where(self._is_inside(points), -distances, distances)

    def project(self, points: Array) -> Array:
        """Return the nearest point of the outline to each point: (n, 2)."""
        return nearest(self.pieces, checked_points(self, points))[1]

    def on_boundary(self, name: str, points: Array, tolerance: float) -> Array:
        """Return which points lie nearer than `tolerance` to a boundary: (n,)."""
        self._named(name)
        curves = [curve for curve in self.pieces if curve.name == name]
        near: Array = nearest(curves, checked_points(self, points))[0] <= tolerance
        return near

    def mesh(self, size: float) -> Mesh:
        """Return triangles with edges of about `size`; see `meshing.mesh_outline`."""
        return _planar_mesh(self, checked_size(size))


@lru_cache(maxsize=32)
def _planar_mesh(domain: PlanarDomain, size: float) -> Mesh:
    return meshing.mesh_outline(
        domain.pieces, domain.signed_distance, domain.project, size
    )


@dataclass(frozen=True, init=False)
class Box(Domain):
    """The product of intervals `Box((x, 0, 1), (y, 0, 2))`, in 1 to 10 dimensions.

    Its sides are called "left", "right" (first coordinate), "bottom", "top" (second),
    "back", "front" (third), then "w_low", "w_high" after the coordinate's own name.
    `names` renames them: `names={"left": "wall", "right": "wall", "top": "lid"}`.

    Raises
    ------
    DefinitionError
        If an end is not finite, a lower end is not below its upper end, coordinates
        are repeated, or `names` holds an unknown side.
    """

    ranges: tuple[tuple[sp.Symbol, float, float], ...]
    side_names: tuple[str, ...]

    def __init__(
        self,
        *ranges: tuple[sp.Symbol, float, float],
        names: Mapping[str, str] | None = None,
    ) -> None:
        if not 1 <= len(ranges) <= 10:
            raise DefinitionError(
                f"A box has 1 to 10 coordinates, not {len(ranges)}: "
                "Box((x, 0, 1), (y, 0, 1))."
            )
        checked = []
        for entry in ranges:
            if not isinstance(entry, Sequence) or len(entry) != 3:
                raise DefinitionError(
                    f"A box needs (symbol, lower, upper) for each coordinate, not "
                    f"{entry!r}."
                )
            checked.append(_range(*entry))
        check_distinct([symbol for symbol, _, _ in checked])
        default = ["left", "right", "bottom", "top", "back", "front"]
        for symbol, _, _ in checked[3:]:
            default += [f"{symbol.name}_low", f"{symbol.name}_high"]
        default = default[: 2 * len(checked)]
        names = names or {}
        for side, name in names.items():
            if side not in default:
                raise DefinitionError(unknown_name("side of the box", side, default))
            check_name(name)
        sides = tuple(names.get(side, side) for side in default)
        object.__setattr__(self, "ranges", tuple(checked))
        object.__setattr__(self, "side_names", sides)

    @property
    def coordinates(self) -> tuple[sp.Symbol, ...]:
        """Return the coordinates, as sympy symbols."""
        return tuple(symbol for symbol, _, _ in self.ranges)

    @property
    def is_box(self) -> bool:
        """Return True."""
        return True

    def sides(self, coordinate: sp.Symbol) -> tuple[str, str]:
        """Return the names of the two sides across `coordinate`, lower one first."""
        k = 2 * self.coordinates.index(coordinate)
        return self.side_names[k], self.side_names[k + 1]

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """Return the sides."""
        box = tuple((a, b) for _, a, b in self.ranges)
        return tuple(
            _Face(name, box, axis=k // 2, is_upper=k % 2 == 1)
            for k, name in enumerate(self.side_names)
        )

    @property
    def bounds(self) -> Array:
        """Return the ends of the intervals: (d, 2)."""
        return np.array([[a, b] for _, a, b in self.ranges])

    @property
    def measure(self) -> float:
        """Return the product of the lengths of the intervals."""
        return math.prod(b - a for _, a, b in self.ranges)

    def signed_distance(self, points: Array) -> Array:
        """Return the distance to the boundary, negative inside: (n,)."""
        points = checked_points(self, points)
        lower, upper = self.bounds.T
        excess = np.maximum(lower - points, points - upper)
        outside = np.linalg.norm(np.maximum(excess, 0.0), axis=1)
        distances: Array = outside + np.minimum(excess.max(axis=1), 0.0)
        return distances

    def project(self, points: Array) -> Array:
        """Return the nearest point of the boundary to each point: (n, d)."""
        lower, upper = self.bounds.T
        feet: Array = np.clip(checked_points(self, points), lower, upper)
        gaps = np.concatenate([feet - lower, upper - feet], axis=1)
        side = np.argmin(gaps, axis=1)
        rows, axes = np.arange(len(feet)), side % self.dimension
        feet[rows, axes] = np.where(side < self.dimension, lower[axes], upper[axes])
        return feet

    def on_boundary(self, name: str, points: Array, tolerance: float) -> Array:
        """Return which points lie nearer than `tolerance` to a boundary: (n,)."""
        self._named(name)
        points = checked_points(self, points)
        near = np.zeros(len(points), dtype=bool)
        for k, side in enumerate(self.side_names):
            if side == name:
                flat = self.bounds.copy()
                flat[k // 2] = flat[k // 2, k % 2]
                feet = np.clip(points, *flat.T)
                near |= np.linalg.norm(points - feet, axis=1) <= tolerance
        return near

    def nearest_sides(self, points: Array) -> Array:
        """Return the name of the side nearest to each point inside: (n,)."""
        gaps = np.abs(checked_points(self, points)[:, :, None] - self.bounds)
        sides = gaps.reshape(len(points), -1).argmin(axis=1)
        names: Array = np.array(self.side_names)[sides]
        return names

    def mesh(self, size: float) -> Mesh:
        """Return segments, right triangles, or tetrahedra of a body-centred lattice."""
        size = checked_size(size)
        if self.dimension == 1:
            return meshing.mesh_segment(self.bounds[0], self.side_names, size)
        if self.dimension == 2:
            return meshing.mesh_rectangle(self.bounds, self.side_names, size)
        if self.dimension == 3:
            return stuffing.mesh_solid(self.bounds, size, self.nearest_sides)
        raise MeshError(
            f"There is no mesher for a box in {self.dimension} dimensions: use a "
            "solver without a mesh, or build a pinnsuite Mesh of your own."
        )

    def canonical(self) -> dict[str, Any]:
        """Return the definition as plain JSON values."""
        return {
            "type": type(self).__name__,
            "coordinates": _symbol_names(self),
            "ranges": [[repr(a), repr(b)] for _, a, b in self.ranges],
            "sides": list(self.side_names),
        }

    def describe(self) -> str:
        """Return the product of the intervals."""
        factors = [f"[{a:g}, {b:g}]" for _, a, b in self.ranges]
        if len(factors) > 1 and len(set(factors)) == 1:
            return factors[0] + str(len(factors)).translate(_SUPERSCRIPTS)
        return " × ".join(factors)


class Interval(Box):
    """The interval [lower, upper] with the ends "left" and "right"."""

    def __init__(self, x: sp.Symbol, lower: float, upper: float) -> None:
        super().__init__((x, lower, upper))

    def describe(self) -> str:
        """Return the interval."""
        return f"{self.coordinates[0]} ∈ {super().describe()}"


@dataclass(frozen=True)
class Disk(PlanarDomain):
    """The points nearer than `radius` to `center`; its boundary is one circle."""

    x: sp.Symbol
    y: sp.Symbol
    center: tuple[float, float]
    radius: float
    name: str = "circle"

    def __post_init__(self) -> None:
        check_plane(self.x, self.y)
        object.__setattr__(self, "center", _point("center of a disk", self.center))
        radius = checked_number("radius of a disk", self.radius)
        if radius <= 0.0:
            raise DefinitionError(
                f"The radius of a disk must be positive, not {radius!r}."
            )
        object.__setattr__(self, "radius", radius)
        check_name(self.name)

    @property
    def coordinates(self) -> tuple[sp.Symbol, ...]:
        """Return the coordinates, as sympy symbols."""
        return (self.x, self.y)

    @cached_property
    def pieces(self) -> tuple[Curve, ...]:
        """Return the circle."""
        return (Arc(self.name, self.center, self.radius, 0.0, 2.0 * math.pi),)

    def _is_inside(self, points: Array) -> Array:
        inside: Array = np.hypot(*(points - self.center).T) < self.radius
        return inside

    def canonical(self) -> dict[str, Any]:
        """Return the definition as plain JSON values."""
        return {
            "type": "Disk",
            "coordinates": _symbol_names(self),
            "center": [repr(c) for c in self.center],
            "radius": repr(self.radius),
            "name": self.name,
        }

    def describe(self) -> str:
        """Return the disc as a ball about its center."""
        x, y = self.center
        return f"the disc of radius {self.radius:g} about ({x:g}, {y:g})"


@dataclass(frozen=True, init=False)
class Polygon(PlanarDomain):
    """The inside of a simple polygon, its vertices given in either orientation.

    `names` is one name, or one for each edge; the k-th edge runs from the k-th vertex
    to the next. The vertices are kept anticlockwise.

    Raises
    ------
    DefinitionError
        If there are fewer than three vertices, edges cross, touch or fold back, or the
        number of names is not that of the edges.
    """

    x: sp.Symbol
    y: sp.Symbol
    vertices: tuple[tuple[float, float], ...]
    names: tuple[str, ...]

    def __init__(
        self,
        x: sp.Symbol,
        y: sp.Symbol,
        vertices: Sequence[tuple[float, float]],
        names: Sequence[str] | str = "boundary",
    ) -> None:
        check_plane(x, y)
        corners = [_point("vertex of a polygon", vertex) for vertex in vertices]
        if len(corners) < 3:
            raise DefinitionError(
                f"A polygon needs at least 3 vertices, not {len(corners)}."
            )
        labels = [names] * len(corners) if isinstance(names, str) else list(names)
        if len(labels) != len(corners):
            raise DefinitionError(
                f"A polygon with {len(corners)} vertices needs as many names, one for "
                f"each edge, or a single string; got {len(labels)}."
            )
        for label in labels:
            check_name(label)
        _check_simple(corners)
        area = sum(c.green_area for c in _polygon_edges(corners, labels))
        if area < 0.0:
            corners.reverse()
            labels = labels[-2::-1] + labels[-1:]
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "y", y)
        object.__setattr__(self, "vertices", tuple(corners))
        object.__setattr__(self, "names", tuple(labels))

    @property
    def coordinates(self) -> tuple[sp.Symbol, ...]:
        """Return the coordinates, as sympy symbols."""
        return (self.x, self.y)

    @cached_property
    def pieces(self) -> tuple[Curve, ...]:
        """Return the edges, anticlockwise."""
        return tuple(_polygon_edges(self.vertices, self.names))

    def _is_inside(self, points: Array) -> Array:
        return encloses(np.array([self.vertices, _rolled(self.vertices)]), points)

    def canonical(self) -> dict[str, Any]:
        """Return the definition as plain JSON values."""
        return {
            "type": "Polygon",
            "coordinates": _symbol_names(self),
            "vertices": [[repr(a), repr(b)] for a, b in self.vertices],
            "names": list(self.names),
        }

    def describe(self) -> str:
        """Return the corners, or their number where they are many."""
        if len(self.vertices) > 6:
            return f"a polygon with {len(self.vertices)} corners"
        corners = ", ".join(f"({a:g}, {b:g})" for a, b in self.vertices)
        return f"the polygon {corners}"


@dataclass(frozen=True, init=False)
class Difference(PlanarDomain):
    """The domain `outer` without the insides of `holes`: `outer - hole`, in the plane.

    The boundaries of the holes keep their names, with the normals turned into them.
    A name that occurs several times is one boundary.

    Raises
    ------
    DefinitionError
        If a hole does not overlap the domain, nothing is left, or the parts do not
        share two coordinates.
    """

    outer: Domain
    holes: tuple[Domain, ...]

    def __init__(self, outer: Domain, *holes: Domain) -> None:
        # (a - b) - c is a - b - c: one level of pieces for any number of holes.
        while isinstance(outer, Difference):
            holes = (*outer.holes, *holes)
            outer = outer.outer
        if not holes:
            raise DefinitionError("A difference needs at least one hole to remove.")
        _check_combinable([outer, *holes])
        object.__setattr__(self, "outer", outer)
        object.__setattr__(self, "holes", holes)
        for hole in holes:
            joint = np.stack([outer.bounds, hole.bounds])
            apart = np.any(joint[:, :, 0].max(axis=0) >= joint[:, :, 1].min(axis=0))
            if apart or not _overlap(outer, hole):
                raise DefinitionError(
                    f"The hole {hole.describe()} does not overlap {outer.describe()}; "
                    "move it inside or leave it out."
                )
        if not self.pieces:
            raise DefinitionError(f"Nothing is left of {self.describe()}.")

    @property
    def coordinates(self) -> tuple[sp.Symbol, ...]:
        """Return the coordinates, as sympy symbols."""
        return self.outer.coordinates

    @cached_property
    def pieces(self) -> tuple[Curve, ...]:
        """Return what remains of the outer boundary, then of those of the holes."""
        holes = [c.reversed() for hole in self.holes for c in _outline(hole)]
        return combine([*_outline(self.outer), *holes], self._is_inside)

    def _is_inside(self, points: Array) -> Array:
        tolerance = 1e-13 * self.outer.extent
        inside = self.outer.signed_distance(points) <= 0.0
        for hole in self.holes:
            # Closed, so that two holes with a common side leave no slit.
            inside &= hole.signed_distance(points) > tolerance
        return inside

    def canonical(self) -> dict[str, Any]:
        """Return the definition as plain JSON values."""
        return {
            "type": "Difference",
            "outer": self.outer.canonical(),
            "holes": [hole.canonical() for hole in self.holes],
        }

    def describe(self) -> str:
        """Return the outer domain minus its holes."""
        discs = sum(isinstance(hole, Disk) for hole in self.holes)
        if len(self.holes) > 1 and discs == len(self.holes):
            return f"{self.outer.describe()} minus {discs} discs"
        return " minus ".join(part.describe() for part in (self.outer, *self.holes))


@dataclass(frozen=True, init=False)
class Union(PlanarDomain):
    """The points of any of the `parts`: `a | b`, in the plane.

    Boundaries inside the union vanish; where parts share one, the first names it.
    """

    parts: tuple[Domain, ...]

    def __init__(self, *parts: Domain) -> None:
        if len(parts) < 2:
            raise DefinitionError(
                f"A union needs at least two parts, not {len(parts)}."
            )
        _check_combinable(parts)
        object.__setattr__(self, "parts", parts)

    @property
    def coordinates(self) -> tuple[sp.Symbol, ...]:
        """Return the coordinates, as sympy symbols."""
        return self.parts[0].coordinates

    @cached_property
    def pieces(self) -> tuple[Curve, ...]:
        """Return what remains of the boundaries of the parts, in their order."""
        return combine(
            [curve for part in self.parts for curve in _outline(part)], self._is_inside
        )

    def _is_inside(self, points: Array) -> Array:
        # Closed with a margin, so that two parts with a common side leave no slit.
        inside = np.zeros(len(points), dtype=bool)
        for part in self.parts:
            inside |= part.signed_distance(points) <= 1e-13 * part.extent
        return inside

    def canonical(self) -> dict[str, Any]:
        """Return the definition as plain JSON values."""
        return {
            "type": "Union",
            "parts": [part.canonical() for part in self.parts],
        }

    def describe(self) -> str:
        """Return the parts, joined."""
        return " ∪ ".join(part.describe() for part in self.parts)


@dataclass(frozen=True)
class TimeInterval:
    """The time from `start` to `end`, and how many times a solution reports.

    `num_outputs` evenly spaced times, both ends included, are no part of the
    definition: they change what is stored, not what is solved.
    """

    t: sp.Symbol
    start: float
    end: float
    num_outputs: int = 101

    def __post_init__(self) -> None:
        _, start, end = _range(self.t, self.start, self.end)
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "end", end)
        if self.num_outputs < 2:
            raise DefinitionError(
                f"num_outputs must be at least 2 (start and end), not "
                f"{self.num_outputs!r}."
            )

    @property
    def coordinate(self) -> sp.Symbol:
        """Return the time symbol."""
        return self.t

    @property
    def outputs(self) -> Array:
        """Return the output times: (num_outputs,)."""
        return np.linspace(self.start, self.end, self.num_outputs)

    def canonical(self) -> dict[str, Any]:
        """Return the definition as plain JSON values, without the output times."""
        return {
            "type": "TimeInterval",
            "coordinates": [self.t.name],
            "ranges": [[repr(self.start), repr(self.end)]],
        }

    def describe(self) -> str:
        """Return the interval."""
        return f"{self.t} ∈ [{self.start:g}, {self.end:g}]"


def encloses(edges: Array, points: Array) -> Array:
    """Return which points a closed chain of edges (2, k, 2) goes around: (n,).

    Even-odd rule: a ray to the right of an inner point meets an odd number of edges.
    """
    x, y = points.T
    inside = np.zeros(len(points), dtype=bool)
    for (ax, ay), (bx, by) in edges.transpose(1, 0, 2).tolist():
        if ay != by:
            spans = (ay > y) != (by > y)
            inside ^= spans & (x < ax + (y - ay) * (bx - ax) / (by - ay))
    return inside


def _outline(domain: Domain) -> tuple[Curve, ...]:
    """Return the boundary of a planar domain as curves, the domain on their left."""
    if isinstance(domain, PlanarDomain):
        return domain.pieces
    (x0, x1), (y0, y1) = domain.bounds.tolist()
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    left, right, bottom, top = (piece.name for piece in domain.pieces)
    return tuple(_polygon_edges(corners, [bottom, right, top, left]))


def _overlap(first: Domain, second: Domain) -> bool:
    """Return whether the insides of two planar domains have common points."""
    tolerance = 1e-9 * min(first.extent, second.extent)

    def is_common(points: Array) -> Array:
        return (first.signed_distance(points) < 0.0) & (
            second.signed_distance(points) < 0.0
        )

    common = combine([*_outline(first), *_outline(second)], is_common)
    return math.fsum(c.green_area for c in common) > tolerance * tolerance


def _rolled(vertices: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [*vertices[1:], vertices[0]]


def _polygon_edges(
    vertices: Sequence[tuple[float, float]], names: Sequence[str]
) -> list[Segment]:
    ends = zip(names, vertices, _rolled(vertices), strict=True)
    return [Segment(name, start, end) for name, start, end in ends]


def _check_simple(vertices: Sequence[tuple[float, float]]) -> None:
    edges = _polygon_edges(vertices, [""] * len(vertices))
    extent = float(np.ptp(np.array(vertices), axis=0).max())
    for i, edge in enumerate(edges):
        if edge.measure <= 1e-12 * extent:
            raise DefinitionError(
                f"The polygon repeats the vertex {edge.start} (number {i}); give each "
                "vertex once, without closing the polygon."
            )
    for i, first in enumerate(edges):
        for j in range(i + 1, len(edges)):
            second = edges[j]
            touching = meeting_points(first, second, 1e-12 * extent)
            shared = (first.end if j == i + 1 else first.start,)
            is_neighbour = j == i + 1 or (i == 0 and j == len(edges) - 1)
            if is_neighbour and len(touching):
                away = np.hypot(*(touching - np.array(shared)).T) > 1e-9 * extent
                touching = touching[away]
            if len(touching):
                x, y = touching[0]
                raise DefinitionError(
                    f"The polygon is not simple: its edges {i} "
                    f"({first.start} to {first.end}) and {j} ({second.start} to "
                    f"{second.end}) meet at ({x:g}, {y:g}). Order the vertices around "
                    "the domain."
                )


def _check_combinable(parts: Sequence[Domain]) -> None:
    first = parts[0]
    for part in parts:
        if not isinstance(part, Domain):
            raise DefinitionError(f"A domain is needed, not {part!r}.")
        if part.dimension != 2:
            raise DefinitionError(
                "Only domains of the plane can be joined or removed; "
                f"{part.describe()} has {part.dimension} dimension(s)."
            )
        if part.coordinates != first.coordinates:
            raise DefinitionError(
                f"Combined domains need the same coordinates in the same order; got "
                f"{first.coordinates} and {part.coordinates}."
            )


def check_plane(x: sp.Symbol, y: sp.Symbol) -> None:
    """Raise DefinitionError unless `x` and `y` are two different symbols."""
    check_symbol(x)
    check_symbol(y)
    check_distinct([x, y])


def check_symbol(symbol: object) -> None:
    """Raise DefinitionError unless `symbol` is a sympy symbol."""
    if not isinstance(symbol, sp.Symbol):
        raise DefinitionError(
            f"A coordinate must be a sympy Symbol, not {symbol!r}: "
            'x = sympy.Symbol("x", real=True).'
        )


def check_distinct(symbols: Sequence[sp.Symbol]) -> None:
    """Raise DefinitionError if two coordinates share a name."""
    if len({symbol.name for symbol in symbols}) != len(symbols):
        raise DefinitionError(f"Coordinates must differ; got {tuple(symbols)}.")


def check_name(name: object) -> None:
    """Raise DefinitionError unless `name` can name a boundary."""
    if not isinstance(name, str) or not name.strip():
        raise DefinitionError(
            f"The name of a boundary must be a non-empty string, not {name!r}."
        )


def checked_number(what: str, value: Any) -> float:
    """Return a number as float; DefinitionError names `what` unless it is finite."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise DefinitionError(f"The {what} must be a finite number, not {value!r}.")
    return number


def _point(what: str, value: Any) -> tuple[float, float]:
    try:
        x, y = value
    except (TypeError, ValueError):
        raise DefinitionError(
            f"The {what} must be two numbers, not {value!r}."
        ) from None
    return (checked_number(what, x), checked_number(what, y))


def _range(symbol: Any, lower: Any, upper: Any) -> tuple[sp.Symbol, float, float]:
    check_symbol(symbol)
    a = checked_number(f"lower end of {symbol}", lower)
    b = checked_number(f"upper end of {symbol}", upper)
    if not a < b:
        raise DefinitionError(
            f"The lower end of {symbol} must be below the upper; got [{a!r}, {b!r}]."
        )
    return (symbol, a, b)


def checked_size(size: float) -> float:
    """Return the size of a mesh; raise MeshError unless it is positive and finite."""
    if not (math.isfinite(size) and size > 0.0):
        raise MeshError(f"The size of a mesh must be positive, not {size!r}.")
    return float(size)


def checked_points(domain: Domain, points: Array) -> Array:
    """Return points as an array; DefinitionError unless they are (n, dimension)."""
    points = np.asarray(points, dtype=float)
    if points.ndim != 2 or points.shape[1] != domain.dimension:
        raise DefinitionError(
            f"Points in {domain.describe()} need the shape (n, {domain.dimension}), "
            f"not {points.shape}."
        )
    return points


def _symbol_names(domain: Domain) -> list[str]:
    return [symbol.name for symbol in domain.coordinates]


def sobol_points(n: int, dimension: int, seed: int) -> Array:
    """Return the first `n` points of a scrambled Sobol sequence: (n, dimension)."""
    points: Array = _sobol(dimension, seed).random(_power_of_two(n))[:n]
    return points


def _sobol(dimension: int, seed: int) -> Any:
    from scipy.stats import qmc

    return qmc.Sobol(dimension, scramble=True, rng=np.random.default_rng(seed))


def _power_of_two(n: int) -> int:
    return 1 << max(_SOBOL_BLOCK, n).bit_length()
