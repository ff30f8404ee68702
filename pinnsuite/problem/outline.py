"""The outline of a planar domain: segments and arcs with the inside on the left.

An outline is a tuple of curves. Every curve knows its exact length, its points and its
outward normals, so a boundary is sampled without rejection, a signed distance is exact
also where shapes are combined, and an area is a line integral (Green's theorem). A set
operation splits all curves where they meet and keeps the pieces that bound the result.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Segment:
    """The straight curve from `start` to `end`; the domain lies on its left."""

    name: str
    start: tuple[float, float]
    end: tuple[float, float]

    @property
    def measure(self) -> float:
        """Return the length."""
        return float(np.hypot(*np.subtract(self.end, self.start)))

    @property
    def green_area(self) -> float:
        """Return ½ ∫ x dy - y dx along the curve."""
        return 0.5 * (self.start[0] * self.end[1] - self.start[1] * self.end[0])

    @property
    def bounds(self) -> Array:
        """Return the smallest box around the curve, shape (2, 2)."""
        return np.sort(np.array([self.start, self.end]), axis=0).T

    def at(self, parameters: Array) -> Array:
        """Return the points at `parameters` in [0, 1], by arc length: (n, 2)."""
        s = np.reshape(parameters, (-1, 1))
        points: Array = (1.0 - s) * np.array(self.start) + s * np.array(self.end)
        return points

    def normals(self, parameters: Array) -> Array:
        """Return the outward unit normals at `parameters`: (n, 2)."""
        dx, dy = np.subtract(self.end, self.start) / self.measure
        return np.tile([dy, -dx], (np.size(parameters), 1))

    def parameters(self, points: Array) -> Array:
        """Return the parameters of the nearest points of the curve: (n,)."""
        along = np.subtract(self.end, self.start)
        s = (np.asarray(points) - np.array(self.start)) @ along / (along @ along)
        clipped: Array = np.clip(s, 0.0, 1.0)
        return clipped

    def between(self, first: float, last: float) -> Segment:
        """Return the part of the curve between two parameters."""
        a, b = self.at(np.array([first, last])).tolist()
        start = self.start if first == 0.0 else (a[0], a[1])
        end = self.end if last == 1.0 else (b[0], b[1])
        return replace(self, start=start, end=end)

    def reversed(self) -> Segment:
        """Return the same curve with the domain on its other side."""
        return replace(self, start=self.end, end=self.start)


@dataclass(frozen=True)
class Arc:
    """Part of a circle from angle `start` to `end` (radians); the domain lies left.

    Anticlockwise (`start < end`) the domain is inside the circle, clockwise outside.
    """

    name: str
    center: tuple[float, float]
    radius: float
    start: float
    end: float

    @property
    def measure(self) -> float:
        """Return the length."""
        return self.radius * abs(self.end - self.start)

    @property
    def green_area(self) -> float:
        """Return ½ ∫ x dy - y dx along the curve."""
        (ax, ay), (bx, by) = self.at(np.array([0.0, 1.0])).tolist()
        x, y = self.center
        sector = self.radius**2 * (self.end - self.start)
        return float(0.5 * (x * (by - ay) - y * (bx - ax) + sector))

    @property
    def bounds(self) -> Array:
        """Return the smallest box around the curve, shape (2, 2)."""
        low, high = sorted((self.start, self.end))
        quarters = np.arange(np.ceil(2 * low / np.pi), np.floor(2 * high / np.pi) + 1)
        points = self._on_circle(np.r_[low, high, 0.5 * np.pi * quarters])
        return np.stack([points.min(axis=0), points.max(axis=0)], axis=1)

    def _on_circle(self, angles: Array) -> Array:
        directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return np.array(self.center) + self.radius * directions

    def _angles(self, parameters: Array) -> Array:
        return self.start + np.ravel(parameters) * (self.end - self.start)

    def at(self, parameters: Array) -> Array:
        """Return the points at `parameters` in [0, 1], by arc length: (n, 2)."""
        return self._on_circle(self._angles(parameters))

    def normals(self, parameters: Array) -> Array:
        """Return the outward unit normals at `parameters`: (n, 2)."""
        angles = self._angles(parameters)
        radial = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return radial if self.end > self.start else -radial

    def parameters(self, points: Array) -> Array:
        """Return the parameters of the nearest points of the curve: (n,)."""
        offset = np.asarray(points) - np.array(self.center)
        angles = np.arctan2(offset[:, 1], offset[:, 0])
        low, high = sorted((self.start, self.end))
        middle = 0.5 * (low + high)
        # The turn that brings the angle nearest to the middle of the arc.
        angles += 2 * np.pi * np.round((middle - angles) / (2 * np.pi))
        angles = np.clip(angles, low, high)
        parameters: Array = (angles - self.start) / (self.end - self.start)
        return parameters

    def between(self, first: float, last: float) -> Arc:
        """Return the part of the curve between two parameters."""
        start, end = self._angles(np.array([first, last])).tolist()
        return replace(
            self,
            start=self.start if first == 0.0 else start,
            end=self.end if last == 1.0 else end,
        )

    def reversed(self) -> Arc:
        """Return the same curve with the domain on its other side."""
        return replace(self, start=self.end, end=self.start)


Curve = Segment | Arc


def nearest(curves: Sequence[Curve], points: Array) -> tuple[Array, Array]:
    """Return the distances (n,) and nearest points (n, 2) on the curves."""
    distances = np.full(len(points), np.inf)
    feet = np.zeros((len(points), 2))
    for curve in curves:
        candidates = curve.at(curve.parameters(points))
        candidate_distances = np.hypot(*(points - candidates).T)
        closer = candidate_distances < distances
        distances[closer] = candidate_distances[closer]
        feet[closer] = candidates[closer]
    return distances, feet


def bounds(curves: Sequence[Curve]) -> Array:
    """Return the smallest box around the curves, shape (2, 2)."""
    boxes = np.array([curve.bounds for curve in curves])
    return np.stack([boxes[:, :, 0].min(axis=0), boxes[:, :, 1].max(axis=0)], axis=1)


def meeting_points(first: Curve, second: Curve, tolerance: float) -> Array:
    """Return the points where two curves cross, touch or end on each other: (k, 2).

    Of two curves that run along each other these are the ends of the common part.
    """
    candidates = [second.at(np.array([0.0, 1.0])), first.at(np.array([0.0, 1.0]))]
    if isinstance(first, Segment) and isinstance(second, Segment):
        candidates.append(_line_line(first, second))
    elif isinstance(first, Segment) and isinstance(second, Arc):
        candidates.append(_line_circle(first, second, tolerance))
    elif isinstance(first, Arc) and isinstance(second, Segment):
        candidates.append(_line_circle(second, first, tolerance))
    elif isinstance(first, Arc) and isinstance(second, Arc):
        candidates.append(_circle_circle(first, second, tolerance))
    points = np.concatenate(candidates)
    on_both = (nearest([first], points)[0] <= tolerance) & (
        nearest([second], points)[0] <= tolerance
    )
    common: Array = points[on_both]
    return common


def _line_line(first: Segment, second: Segment) -> Array:
    u = np.subtract(first.end, first.start)
    v = np.subtract(second.end, second.start)
    turn = u[0] * v[1] - u[1] * v[0]
    if abs(turn) <= 1e-12 * first.measure * second.measure:
        return np.zeros((0, 2))
    w = np.subtract(second.start, first.start)
    crossing: Array = first.start + (w[0] * v[1] - w[1] * v[0]) / turn * u
    return crossing[None]


def _line_circle(line: Segment, circle: Arc, tolerance: float) -> Array:
    direction = np.subtract(line.end, line.start) / line.measure
    offset = np.subtract(circle.center, line.start)
    foot = np.array(line.start) + (offset @ direction) * direction
    distance = abs(offset[0] * direction[1] - offset[1] * direction[0])
    if distance > circle.radius + tolerance:
        return np.zeros((0, 2))
    half_chord = np.sqrt(max(circle.radius**2 - distance**2, 0.0))
    return np.stack([foot - half_chord * direction, foot + half_chord * direction])


def _circle_circle(first: Arc, second: Arc, tolerance: float) -> Array:
    offset = np.subtract(second.center, first.center)
    distance = float(np.hypot(*offset))
    reach = first.radius + second.radius
    if (
        distance <= tolerance
        or distance > reach + tolerance
        or distance < abs(first.radius - second.radius) - tolerance
    ):
        return np.zeros((0, 2))
    direction = offset / distance
    along = (distance**2 + first.radius**2 - second.radius**2) / (2 * distance)
    half_chord = np.sqrt(max(first.radius**2 - along**2, 0.0))
    foot = np.array(first.center) + along * direction
    across = half_chord * np.array([-direction[1], direction[0]])
    return np.stack([foot - across, foot + across])


def combine(
    curves: Sequence[Curve], is_inside: Callable[[Array], Array]
) -> tuple[Curve, ...]:
    """Return the pieces of `curves` that bound the set where `is_inside` holds.

    The curves are split wherever two of them meet. A piece stays if the set lies just
    left of its middle and not just right of it. Where two curves coincide, the first
    one names the boundary.
    """
    extent = float(np.ptp(bounds(curves), axis=1).max())
    tolerance = 1e-10 * extent
    meetings: list[list[Array]] = [[] for _ in curves]
    for i, j in itertools.combinations(range(len(curves)), 2):
        points = meeting_points(curves[i], curves[j], tolerance)
        meetings[i].append(points)
        meetings[j].append(points)
    pieces: list[Curve] = []
    for curve, met in zip(curves, meetings, strict=True):
        margin = 10 * tolerance / curve.measure
        cuts = [0.0]
        for s in np.sort(curve.parameters(np.concatenate([*met, np.zeros((0, 2))]))):
            if s > cuts[-1] + margin and s < 1.0 - margin:
                cuts.append(float(s))
        ends = itertools.pairwise([*cuts, 1.0])
        pieces += [curve.between(first, last) for first, last in ends]
    half = np.array([0.5])
    middles = np.concatenate([piece.at(half) for piece in pieces])
    normals = np.concatenate([piece.normals(half) for piece in pieces])
    steps = np.array([[max(1e-6 * p.measure, 1e-12 * extent)] for p in pieces])
    bounding = is_inside(middles - steps * normals) & ~is_inside(
        middles + steps * normals
    )
    kept: list[int] = []
    for i in np.flatnonzero(bounding).tolist():
        others = middles[np.array(kept, dtype=int)] - middles[i]
        if not np.any(np.hypot(*others.T) <= 10 * tolerance):
            kept.append(i)
    return tuple(pieces[i] for i in kept)
