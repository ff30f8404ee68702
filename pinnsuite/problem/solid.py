"""Domains of space and of more dimensions: balls, and boxes without balls."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy as sp

from pinnsuite.errors import DefinitionError, MeshError
from pinnsuite.problem import stuffing
from pinnsuite.problem.domain import (
    Box,
    Difference,
    Disk,
    Domain,
    Piece,
    check_distinct,
    check_name,
    check_symbol,
    checked_number,
    checked_points,
    checked_size,
    sobol_points,
)
from pinnsuite.problem.mesh import Array, Mesh


def directions(parameters: Array) -> Array:
    """Return unit vectors, uniform in angle, of points in the unit cube.

    The first component of a uniform direction in d dimensions is `2b - 1`, b of the
    distribution Beta((d - 1)/2, (d - 1)/2); the others are a direction in d - 1.

    Parameters
    ----------
    parameters
        Shape (n, d - 1).

    Returns
    -------
    Shape (n, d).
    """
    from scipy.special import betaincinv

    angle = 2 * np.pi * parameters[:, -1]
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for k in range(parameters.shape[1] - 2, -1, -1):
        half = vectors.shape[1] / 2
        first = 2 * betaincinv(half, half, parameters[:, k]) - 1
        rest = np.sqrt(np.maximum(1 - first**2, 0.0))[:, None] * vectors
        vectors = np.concatenate([first[:, None], rest], axis=1)
    unit: Array = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


@dataclass(frozen=True)
class _Sphere:
    """The boundary of a ball, or of the hole that a ball leaves."""

    name: str
    center: tuple[float, ...]
    radius: float
    is_hole: bool = False

    @property
    def measure(self) -> float:
        d = len(self.center)
        area: float = d * _unit_ball(d) * self.radius ** (d - 1)
        return area

    def at(self, parameters: Array) -> Array:
        return np.array(self.center) + self.radius * directions(parameters)

    def normals(self, parameters: Array) -> Array:
        outward = directions(parameters)
        return -outward if self.is_hole else outward


def _unit_ball(dimension: int) -> float:
    return math.pow(math.pi, dimension / 2) / math.gamma(dimension / 2 + 1)


@dataclass(frozen=True, init=False)
class Ball(Domain):
    """The points nearer than `radius` to `center`, in 2 to 10 dimensions.

    `Ball((x, y, z), (0, 0, 0), 1)`; its boundary is one sphere. In the plane, `Disk` is
    the same and can be joined with other domains.

    Raises
    ------
    DefinitionError
        If the radius is not positive, or coordinates and center do not match.
    """

    symbols: tuple[sp.Symbol, ...]
    center: tuple[float, ...]
    radius: float
    name: str

    def __init__(
        self,
        coordinates: Sequence[sp.Symbol],
        center: Sequence[float],
        radius: float,
        name: str = "sphere",
    ) -> None:
        symbols = tuple(coordinates)
        for symbol in symbols:
            check_symbol(symbol)
        check_distinct(symbols)
        if not 2 <= len(symbols) <= 10 or len(center) != len(symbols):
            raise DefinitionError(
                f"A ball has 2 to 10 coordinates and as many numbers in its center; "
                f"got {len(symbols)} and {len(center)}."
            )
        numbers = tuple(checked_number("center of a ball", c) for c in center)
        length = checked_number("radius of a ball", radius)
        if length <= 0.0:
            raise DefinitionError(
                f"The radius of a ball must be positive, not {length!r}."
            )
        check_name(name)
        object.__setattr__(self, "symbols", symbols)
        object.__setattr__(self, "center", numbers)
        object.__setattr__(self, "radius", length)
        object.__setattr__(self, "name", name)

    @property
    def coordinates(self) -> tuple[sp.Symbol, ...]:
        """Return the coordinates, as sympy symbols."""
        return self.symbols

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """Return the sphere."""
        return (_Sphere(self.name, self.center, self.radius),)

    @property
    def bounds(self) -> Array:
        """Return the smallest box around the ball: (d, 2)."""
        return np.array(self.center)[:, None] + self.radius * np.array([-1.0, 1.0])

    @property
    def measure(self) -> float:
        """Return the volume."""
        return float(_unit_ball(self.dimension) * self.radius**self.dimension)

    def signed_distance(self, points: Array) -> Array:
        """Return the distance to the sphere, negative inside: (n,)."""
        offsets = checked_points(self, points) - self.center
        distances: Array = np.linalg.norm(offsets, axis=1) - self.radius
        return distances

    def project(self, points: Array) -> Array:
        """Return the nearest point of the sphere to each point: (n, d)."""
        offsets = checked_points(self, points) - self.center
        # All points of the sphere are equally near to the center.
        offsets[np.all(offsets == 0.0, axis=1), 0] = 1.0
        lengths = np.linalg.norm(offsets, axis=1, keepdims=True)
        feet: Array = self.center + self.radius * offsets / lengths
        return feet

    def on_boundary(self, name: str, points: Array, tolerance: float) -> Array:
        """Return which points lie nearer than `tolerance` to the sphere: (n,)."""
        self._named(name)
        near: Array = np.abs(self.signed_distance(points)) <= tolerance
        return near

    def sample_interior(self, n: int, seed: int) -> Array:
        """Return `n` points strictly inside, of a scrambled Sobol sequence: (n, d).

        The points of a smaller `n` are the first ones of a larger `n`.
        """
        # Rejection from the box around it would keep one point of 400 in 10 dimensions.
        unit = sobol_points(n, self.dimension, seed)
        radii = (1 - 1e-12) * unit[:, :1] ** (1 / self.dimension)
        inside: Array = self.center + self.radius * radii * directions(unit[:, 1:])
        return inside

    def mesh(self, size: float) -> Mesh:
        """Return triangles or tetrahedra with edges of about `size`."""
        size = checked_size(size)
        if self.dimension == 2:
            return self._disk.mesh(size)
        return _solid_mesh(self, size)

    @property
    def _disk(self) -> Disk:
        x, y = self.symbols
        a, b = self.center
        return Disk(x, y, (a, b), self.radius, self.name)

    def _removed_from(self, outer: Domain) -> Domain:
        if self.dimension == 2:
            return Difference(outer, self._disk)
        return PerforatedBox(outer, self)

    def canonical(self) -> dict[str, Any]:
        """Return the definition as plain JSON values."""
        return {
            "type": "Ball",
            "coordinates": [symbol.name for symbol in self.symbols],
            "center": [repr(c) for c in self.center],
            "radius": repr(self.radius),
            "name": self.name,
        }

    def describe(self) -> str:
        """Return the ball with its dimension, radius and center."""
        center = ", ".join(f"{c:g}" for c in self.center)
        where = f"about ({center})" if any(self.center) else "about 0"
        return f"the {self.dimension}-ball of radius {self.radius:g} {where}"


@dataclass(frozen=True, init=False)
class PerforatedBox(Domain):
    """A box without balls inside it: `box - ball - ball`, in 3 to 10 dimensions.

    The balls touch neither each other nor the sides. Their spheres keep their names,
    with the normals turned into them.

    Raises
    ------
    DefinitionError
        If the parts are no box and balls, or two boundaries meet.
    """

    outer: Box
    holes: tuple[Ball, ...]

    def __init__(self, outer: Domain, *holes: Domain) -> None:
        if isinstance(outer, PerforatedBox):
            holes = (*outer.holes, *holes)
            outer = outer.outer
        balls = tuple(hole for hole in holes if isinstance(hole, Ball))
        if not isinstance(outer, Box) or not balls or len(balls) < len(holes):
            raise DefinitionError(
                "In space, only balls can be removed, and only from a box: "
                "Box((x, 0, 1), (y, 0, 1), (z, 0, 1)) - Ball((x, y, z), (.5, .5, .5), "
                f".2). Got {outer!r} minus {', '.join(map(repr, holes)) or 'nothing'}."
            )
        for ball in balls:
            if ball.coordinates != outer.coordinates or ball.dimension < 3:
                raise DefinitionError(
                    "A box and its holes need the same 3 coordinates or more, in the "
                    f"same order; got {outer.coordinates} and {ball.coordinates}."
                )
            if outer.signed_distance(np.array([ball.center]))[0] >= -ball.radius:
                raise DefinitionError(
                    f"The hole {ball.describe()} reaches the sides of "
                    f"{outer.describe()}; move it inside."
                )
        for first, second in itertools.combinations(balls, 2):
            if math.dist(first.center, second.center) <= first.radius + second.radius:
                raise DefinitionError(
                    f"The holes {first.describe()} and {second.describe()} meet; move "
                    "them apart."
                )
        object.__setattr__(self, "outer", outer)
        object.__setattr__(self, "holes", balls)

    @property
    def coordinates(self) -> tuple[sp.Symbol, ...]:
        """Return the coordinates, as sympy symbols."""
        return self.outer.coordinates

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """Return the sides of the box, then the spheres."""
        spheres = (_Sphere(b.name, b.center, b.radius, True) for b in self.holes)
        return (*self.outer.pieces, *spheres)

    @property
    def bounds(self) -> Array:
        """Return the ends of the box: (d, 2)."""
        return self.outer.bounds

    @property
    def measure(self) -> float:
        """Return the volume."""
        return self.outer.measure - math.fsum(ball.measure for ball in self.holes)

    def signed_distance(self, points: Array) -> Array:
        """Return the distance to the boundary, negative inside: (n,)."""
        distances = self.outer.signed_distance(points)
        for ball in self.holes:
            distances = np.maximum(distances, -ball.signed_distance(points))
        return distances

    def project(self, points: Array) -> Array:
        """Return the nearest point of the boundary to each point: (n, d)."""
        feet = np.stack([part.project(points) for part in (self.outer, *self.holes)])
        nearest = np.linalg.norm(feet - points, axis=2).argmin(axis=0)
        found: Array = feet[nearest, np.arange(len(points))]
        return found

    def on_boundary(self, name: str, points: Array, tolerance: float) -> Array:
        """Return which points lie nearer than `tolerance` to a boundary: (n,)."""
        self._named(name)
        near = np.zeros(len(points), dtype=bool)
        for part in (self.outer, *self.holes):
            if name in part.boundaries:
                near |= part.on_boundary(name, points, tolerance)
        return near

    def mesh(self, size: float) -> Mesh:
        """Return tetrahedra with edges of about `size`."""
        return _solid_mesh(self, checked_size(size))

    def _names_at(self, points: Array) -> Array:
        """Return the names of the boundaries nearest to points: (n,)."""
        distances = [np.abs(part.signed_distance(points)) for part in self.holes]
        distances.insert(0, np.abs(self.outer.signed_distance(points)))
        names = [self.outer.nearest_sides(points)]
        names += [np.full(len(points), ball.name) for ball in self.holes]
        nearest = np.stack(distances).argmin(axis=0)
        found: Array = np.stack(names)[nearest, np.arange(len(points))]
        return found

    def canonical(self) -> dict[str, Any]:
        """Return the definition as plain JSON values."""
        return {
            "type": "PerforatedBox",
            "outer": self.outer.canonical(),
            "holes": [ball.canonical() for ball in self.holes],
        }

    def describe(self) -> str:
        """Return the box minus its balls."""
        if len(self.holes) > 1:
            return f"{self.outer.describe()} minus {len(self.holes)} balls"
        return f"{self.outer.describe()} minus {self.holes[0].describe()}"


@lru_cache(maxsize=8)
def _solid_mesh(domain: Ball | PerforatedBox, size: float) -> Mesh:
    if domain.dimension != 3:
        raise MeshError(
            f"There is no mesher for {domain.describe()}, in {domain.dimension} "
            "dimensions: use a solver without a mesh."
        )
    if isinstance(domain, Ball):
        # Room for a layer of cells that are dropped.
        bounds = domain.bounds + 2 * size * np.array([-1.0, 1.0])
        surface = stuffing.Surface(domain.signed_distance, domain.project, parts=1)
        name = domain.name
        return stuffing.mesh_solid(
            bounds, size, lambda p: np.full(len(p), name), surface
        )
    holes = domain.holes

    def distance(points: Array) -> Array:
        depths = np.stack([-ball.signed_distance(points) for ball in holes])
        deepest: Array = depths.max(axis=0)
        return deepest

    def project(points: Array) -> Array:
        feet = np.stack([ball.project(points) for ball in holes])
        nearest = np.linalg.norm(feet - points, axis=2).argmin(axis=0)
        found: Array = feet[nearest, np.arange(len(points))]
        return found

    surface = stuffing.Surface(distance, project, parts=1 + len(holes))
    return stuffing.mesh_solid(domain.bounds, size, domain._names_at, surface)
