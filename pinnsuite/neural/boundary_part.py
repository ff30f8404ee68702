"""Smooth approximate distances to parts of a boundary, and values carried inwards.

A part is a line, a circle or a sphere, or a piece of one. Its distance function φ
vanishes on the part and nowhere else in the domain, and there it grows with slope 1:

    line            φ, the distance itself
    disc            φ = (R² - r²) / 2R
    round hole      φ = (r² - R²) / 2R
    piece           φ = √(f² + ((√(τ² + f⁴) - τ) / 2)²)

Lines and circles serve whole where the domain meets them on the part only; elsewhere,
as at a re-entrant corner, the piece of them is cut out by τ ≥ 0: by the circle about a
segment, by the chord of an arc. f is the φ of the line or circle, and both are in units
of the segment's length or the arc's radius. The second derivatives of the distance to a
piece grow like 1/r towards its ends.

A boundary value is known on its part only, whatever its expression means elsewhere: it
is carried inwards from the nearest point of the line or circle.

Source: N. Sukumar, A. Srivastava, Computer Methods in Applied Mechanics and Engineering
389 (2022) 114333, DOI 10.1016/j.cma.2021.114333; V. L. Rvachev, T. I. Sheiko,
V. Shapiro, I. Tsukanov, Transfinite interpolation over implicitly defined sets,
Computer Aided Geometric Design 18 (2001) 195-220.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp

from pinnsuite.problem.domain import Difference, Domain, PlanarDomain
from pinnsuite.problem.jets import numpy_function
from pinnsuite.problem.mesh_domain import MeshDomain
from pinnsuite.problem.outline import Arc, Curve, Segment, meeting_points, nearest
from pinnsuite.problem.solid import Ball, PerforatedBox

_TOLERANCE = 1e-9
"""Share of the domain's extent below which points are the same."""
_NUM_PROBES = 256
_MOST_PIECES = 24
"""Five parts take 5 ms of CPU for the derivatives at 1000 points, and the time grows
with their number; a step at 2000 points takes about 15 ms."""


@dataclass(frozen=True)
class Part:
    """One part of a boundary.

    Attributes
    ----------
    distance
        φ, or f of a piece.
    trim
        τ of a piece, else None.
    foot
        The nearest point of the line or circle, an expression for each coordinate of
        space; None where a value is known inside.
    fading
        1 on the part, and 0 in the center of a disc, where the nearest point jumps.
    length
        The unit of f and τ.
    """

    distance: sp.Expr
    trim: sp.Expr | None
    foot: tuple[sp.Expr, ...] | None
    fading: sp.Expr = sp.S.One
    length: float = 1.0


def is_supported(domain: Domain | None) -> bool:
    """Say whether the boundary of a domain consists of few such parts."""
    if isinstance(domain, MeshDomain) or domain is None:
        return False
    is_known = isinstance(domain, PlanarDomain | Ball | PerforatedBox)
    return is_known and len(domain.pieces) <= _MOST_PIECES


def parts(
    domain: Domain, names: Sequence[str], *, smoothness: int, pieces: bool
) -> list[Part] | None:
    """Return the parts of some boundaries, without the sides of a box around holes.

    Parameters
    ----------
    smoothness
        Derivatives that are to be continuous also where a disc has its center.
    pieces
        Whether parts may be pieces of lines and circles. If not, None is returned where
        they are needed.
    """
    space = domain.coordinates
    if isinstance(domain, Ball):
        inside = domain.name in names
        fading = _fading(domain.center, domain.radius, domain, smoothness)
        disc = _disc(domain.center, domain.radius, space, fading)
        return [disc] if inside else []
    if isinstance(domain, PerforatedBox):
        return [
            _hole(ball.center, ball.radius, space)
            for ball in domain.holes
            if ball.name in names
        ]
    assert isinstance(domain, PlanarDomain)
    found: list[Part] = []
    for curves in _carriers(domain, names):
        part = _whole(curves, domain, smoothness)
        if part is not None:
            found.append(part)
        elif pieces:
            found += [_piece(curve, domain, smoothness) for curve in curves]
        else:
            return None
    return found


def corners(domain: Domain, first: Sequence[str], second: Sequence[str]) -> np.ndarray:
    """Return the points where boundaries meet others: (k, d)."""
    none = np.zeros((0, domain.dimension))
    if not isinstance(domain, PlanarDomain):
        return none
    tolerance = _TOLERANCE * domain.extent
    met = [
        meeting_points(a, b, tolerance)
        for a in domain.pieces
        for b in domain.pieces
        if a.name in first and b.name in second and a is not b
    ]
    return np.concatenate([none, *met])


def _carriers(domain: PlanarDomain, names: Sequence[str]) -> Iterator[list[Curve]]:
    """Give the curves with these names, those on one line or circle together."""
    tolerance = _TOLERANCE * domain.extent
    together: list[list[Curve]] = []
    for curve in domain.pieces:
        if curve.name not in names or _is_on_side(curve, domain):
            continue
        for others in together:
            if _share_carrier(curve, others[0], tolerance):
                others.append(curve)
                break
        else:
            together.append([curve])
    yield from together


def _is_on_side(curve: Curve, domain: PlanarDomain) -> bool:
    if not isinstance(domain, Difference) or not domain.outer.is_box:
        return False
    if isinstance(curve, Arc):
        return False
    ends = np.array([curve.start, curve.end])[:, :, None]
    gaps = np.abs(ends - domain.outer.bounds).max(axis=0)
    return bool(gaps.min() <= _TOLERANCE * domain.extent)


def _share_carrier(first: Curve, second: Curve, tolerance: float) -> bool:
    if isinstance(first, Arc) and isinstance(second, Arc):
        apart = math.dist(first.center, second.center)
        turn = (first.end - first.start) * (second.end - second.start)
        return max(apart, abs(first.radius - second.radius)) <= tolerance and turn > 0
    if isinstance(first, Segment) and isinstance(second, Segment):
        normal = first.normals(np.zeros(1))[0]
        ends = np.array([second.start, second.end]) - np.array(first.start)
        same_way = normal @ second.normals(np.zeros(1))[0] > 0
        return bool(np.abs(ends @ normal).max() <= tolerance and same_way)
    return False


def _whole(
    curves: Sequence[Curve], domain: PlanarDomain, smoothness: int
) -> Part | None:
    """Return the part of a whole line or circle, if the domain meets it there only."""
    curve = curves[0]
    tolerance = _TOLERANCE * domain.extent
    carrier: Curve
    if isinstance(curve, Arc):
        turn = math.copysign(2 * math.pi, curve.end - curve.start)
        carrier = Arc("", curve.center, curve.radius, curve.start, curve.start + turn)
    else:
        reach = 2 * domain.extent + curve.measure
        along = np.subtract(curve.end, curve.start) / curve.measure
        low, high = curve.at(np.array([0.0, 1.0])) + reach * np.array([-along, along])
        carrier = Segment("", tuple(low.tolist()), tuple(high.tolist()))
    met = np.concatenate([meeting_points(carrier, p, tolerance) for p in domain.pieces])
    cuts = np.unique(np.concatenate([[0.0, 1.0], carrier.parameters(met)]))
    middles = carrier.at((cuts[1:] + cuts[:-1]) / 2)
    # Between close cuts a middle is a meeting point itself.
    touching = np.concatenate([met, middles])
    touching = touching[domain.signed_distance(touching) <= tolerance]
    if (nearest(curves, touching)[0] > 10 * tolerance).any():
        return None
    space = domain.coordinates
    if isinstance(curve, Segment):
        distance = _distance_to_line(curve, space)
        part = Part(distance, None, _foot_on_line(curve, space))
    elif curve.end < curve.start:
        part = _hole(curve.center, curve.radius, space)
    else:
        fading = _fading(curve.center, curve.radius, domain, smoothness)
        part = _disc(curve.center, curve.radius, space, fading)
    inside = domain.sample_interior(_NUM_PROBES, seed=0)
    (values,) = numpy_function(space, [part.distance])(*inside.T)
    return part if np.min(values) > 0 else None


def _piece(curve: Curve, domain: PlanarDomain, smoothness: int) -> Part:
    """Return a segment or an arc as a part that ends where it ends."""
    space = domain.coordinates
    if isinstance(curve, Arc):
        scale = sp.Float(curve.radius)
        squared = _squared_radius(curve.center, space) / scale**2
        f = (squared - 1) / 2 if curve.end < curve.start else (1 - squared) / 2
        first, middle, last = curve.at(np.array([0.0, 0.5, 1.0]))
        chord = Segment("", tuple(first.tolist()), tuple(last.tolist()))
        outward = chord.normals(np.zeros(1))[0]
        if outward @ (middle - first) > 0:
            chord = chord.reversed()
        trim = _distance_to_line(chord, space) / scale
        fading = _fading(curve.center, curve.radius, domain, smoothness)
        foot = _foot_on(curve.center, curve.radius, space)
        return Part(f, trim, foot, fading, curve.radius)
    length = sp.Float(curve.measure)
    center = np.add(curve.start, curve.end) / 2
    trim = sp.Rational(1, 4) - _squared_radius(center.tolist(), space) / length**2
    f = _distance_to_line(curve, space) / length
    return Part(f, trim, _foot_on_line(curve, space), length=curve.measure)


def _distance_to_line(line: Segment, space: Sequence[sp.Symbol]) -> sp.Expr:
    """Return the distance to a line, positive on its left."""
    normal = line.normals(np.zeros(1))[0].tolist()
    return -sum(
        sp.Float(n) * (x - sp.Float(a))
        for n, x, a in zip(normal, space, line.start, strict=True)
        if n
    )


def _foot_on_line(line: Segment, space: Sequence[sp.Symbol]) -> tuple[sp.Expr, ...]:
    normal = line.normals(np.zeros(1))[0].tolist()
    distance = _distance_to_line(line, space)
    # Along an axis the coordinate across is constant to the last bit.
    return tuple(
        sp.Float(a) if abs(n) == 1 else x + sp.Float(n) * distance
        for n, x, a in zip(normal, space, line.start, strict=True)
    )


def _squared_radius(center: Sequence[float], space: Sequence[sp.Symbol]) -> sp.Expr:
    return sum((x - sp.Float(c)) ** 2 for x, c in zip(space, center, strict=True))


def _foot_on(
    center: Sequence[float], radius: float, space: Sequence[sp.Symbol]
) -> tuple[sp.Expr, ...]:
    """Return the nearest point of a sphere, finite at its center too."""
    near = sp.Float((1e-10 * radius) ** 2)
    stretch = sp.Float(radius) / sp.sqrt(_squared_radius(center, space) + near)
    return tuple(
        sp.Float(c) + stretch * (x - sp.Float(c))
        for x, c in zip(space, center, strict=True)
    )


def _fading(
    center: Sequence[float], radius: float, domain: Domain, smoothness: int
) -> sp.Expr:
    """Return (r/R)^k if the center is inside, else 1.

    r^k times a function of the angle has k - 1 continuous derivatives there.
    """
    if not domain.contains(np.array([center]))[0]:
        return sp.S.One
    squared = _squared_radius(center, domain.coordinates) / sp.Float(radius) ** 2
    return squared ** (smoothness // 2 + 1)


def _hole(center: Sequence[float], radius: float, space: Sequence[sp.Symbol]) -> Part:
    excess = _squared_radius(center, space) - sp.Float(radius) ** 2
    distance = excess / (2 * sp.Float(radius))
    return Part(distance, None, _foot_on(center, radius, space))


def _disc(
    center: Sequence[float],
    radius: float,
    space: Sequence[sp.Symbol],
    fading: sp.Expr,
) -> Part:
    depth = sp.Float(radius) ** 2 - _squared_radius(center, space)
    distance = depth / (2 * sp.Float(radius))
    return Part(distance, None, _foot_on(center, radius, space), fading)
