"""Bending of a thin plate under a load."""

import functools
import math

import numpy as np
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    Dirichlet,
    Evaluated,
    Problem,
    coordinates,
    field_of,
    laplacian,
)
from pinnsuite.problem.definition import Evaluate

TERMS = 401
"""Terms of the single series, odd numbers up to about twice that."""


def biharmonic_plate(width: float = 1.0, height: float = 1.0) -> Problem:
    """Bending of a simply supported rectangular plate under a uniform load.

    ∇⁴w = 1 on [0, a] x [0, b], written as two equations of second order,

        ∇²w + m = 0,  ∇²m + 1 = 0,

    m = -∇²w the moment sum, all scaled by the plate's stiffness and the load;
    w = m = 0 on the boundary (simply supported).

    Known: Navier's and Lévy's series; in the middle of a square plate of side 1
    w = 0.00406235. The reference sums Lévy's single series for w and for m.

    Trap: the two equations decouple only on polygons with this support. On a polygon
    with a re-entrant corner, or a curved edge, their solution is not the plate's
    (Sapondzhyan's paradox), and a clamped plate couples both fields through ∂w/∂n = 0.
    """
    if width <= 0 or height <= 0:
        raise OptionError(
            f"biharmonic_plate: width is {width!r} and height {height!r}; both must be "
            "positive."
        )
    x, y = coordinates("x y")
    w, m = field_of("w", x, y), field_of("m", x, y)
    return Problem(
        name="biharmonic_plate",
        fields=[w, m],
        equations=[laplacian(w, (x, y)) + m, laplacian(m, (x, y)) + sp.Integer(1)],
        domain=Box((x, 0, width), (y, 0, height)),
        conditions=[Dirichlet(w, 0), Dirichlet(m, 0)],
        reference=Evaluated(
            _levy(width, height),
            1e-11,
            f"Lévy's series, {TERMS} terms (Timoshenko & Woinowsky-Krieger, sec. 30)",
        ),
        quantities={
            "w in the middle": functools.partial(_deflection, width / 2, height / 2)
        },
        source=(
            "S. Timoshenko, S. Woinowsky-Krieger, Theory of Plates and Shells, 2nd "
            "ed., McGraw-Hill 1959, sections 28-30"
        ),
        tags=["linear", "elliptic", "plate", "fourth order", "mixed method"],
    )


def _levy(width: float, height: float) -> Evaluate:
    def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
        x, y = points.T
        w, m = np.zeros(len(x)), np.zeros(len(x))
        # The series falls like exp(-k d), d the distance from the sides that it runs
        # along: take the one for which that is larger.
        is_near = np.minimum(x, width - x) <= np.minimum(y, height - y)
        w[is_near], m[is_near] = _series(x[is_near], y[is_near], width, height)
        far = ~is_near
        w[far], m[far] = _series(y[far], x[far], height, width)
        return {"w": w, "m": m}

    return evaluate


def _series(
    x: np.ndarray, y: np.ndarray, width: float, height: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return w and m: a beam along x, less a sum of sin(kx) that meets the ends in y.

    With s = y - b/2 and c = b/2 the sums of 4/(n π) sin(kx) times

        cosh(ks)/cosh(kc) / k²                                              and
        (cosh(ks) (1 + kc tanh(kc)/2) - ks sinh(ks)/2)/cosh(kc) / k⁴

    are harmonic and biharmonic, and equal the beam's m and w at s = ±c.
    """
    m = x * (width - x) / 2
    w = x * (width**3 - 2 * width * x**2 + x**3) / 24
    s, c = y - height / 2, height / 2
    for n in range(1, 2 * TERMS, 2):
        k = n * math.pi / width
        below, above = np.exp(k * (s - c)), np.exp(-k * (s + c))
        scale = 1 + math.exp(-2 * k * c)
        even, odd = (below + above) / scale, (below - above) / scale
        load = 4 / (n * math.pi) * np.sin(k * x)
        m -= load / k**2 * even
        w -= load / k**4 * (even + k * (c * math.tanh(k * c) * even - s * odd) / 2)
    return w, m


def _deflection(x: float, y: float, at: Evaluate) -> float:
    return float(at(np.array([[x, y]]))["w"][0])
