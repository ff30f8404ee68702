"""Where the outline of a domain in the plane is not smooth."""

from __future__ import annotations

import itertools
import math

import numpy as np

from pinnsuite.problem.domain import Box, Domain, PlanarDomain

SHARP = math.cos(0.3)
"""Cosine of the angle from which the outline turns at a corner, not along a curve."""
_DIGITS = 9


def corners(domain: Domain | None) -> np.ndarray:
    """Return where the outline turns, or another boundary begins: (n, 2)."""
    if isinstance(domain, Box) and domain.dimension == 2:
        return np.array(list(itertools.product(*domain.bounds)))
    if not isinstance(domain, PlanarDomain):
        return np.zeros((0, 2))
    ends = np.array([[0.0], [1.0]])
    met: dict[tuple[float, ...], list[tuple[np.ndarray, str]]] = {}
    places = {}
    for piece in domain.pieces:
        for at, normal in zip(piece.at(ends), piece.normals(ends), strict=True):
            key = tuple((np.round(at / domain.extent, _DIGITS) + 0.0).tolist())
            met.setdefault(key, []).append((normal, piece.name))
            places[key] = at
    found = [
        places[key]
        for key, those in met.items()
        if any(
            one @ other < SHARP or name != its_name
            for (one, name), (other, its_name) in itertools.combinations(those, 2)
        )
    ]
    return np.array(found).reshape(-1, 2)
