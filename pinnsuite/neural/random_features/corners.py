"""Where the outline of a domain in the plane is not smooth."""

from __future__ import annotations

import itertools
import math

import numpy as np

from pinnsuite.problem.conditions import Dirichlet
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.domain import Box, Domain, PlanarDomain
from pinnsuite.problem.jets import numpy_function

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


def disputed(problem: Problem) -> list[tuple[int, np.ndarray, float]]:
    """Return the fields and corners of a stationary problem where boundary data jump.

    With the value of the first condition that holds there. What is smooth in a patch
    has something between.
    """
    found = []
    conditions = problem.conditions_of(Dirichlet)
    if problem.domain is None or problem.time is not None:
        return []
    for corner in corners(problem.domain):
        given: dict[int, list[float]] = {}
        for c in conditions:
            if _touches(problem, c, corner):
                with np.errstate(all="ignore"):
                    (value,) = numpy_function(problem.space, [c.value])(*corner)
                field = problem.fields.index(c.field)
                if np.isfinite(value):
                    given.setdefault(field, []).append(float(value))
        found += [
            (field, corner, values[0])
            for field, values in given.items()
            if not np.allclose(values, values[0])
        ]
    return found


def _touches(problem: Problem, condition: Dirichlet, point: np.ndarray) -> bool:
    assert problem.domain is not None
    tolerance = 10.0**-_DIGITS * problem.domain.extent
    return any(
        problem.domain.on_boundary(name, point[None], tolerance)[0]
        for name in problem.boundaries_of(condition)
    )
