"""A round dam that breaks: shallow water spreading in the plane."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Evaluated,
    Initial,
    Interval,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)
from pinnsuite.registry import make_solver

REACH = 2.5
RADIAL_CELLS = 1600


def dam_break(radius: float = 0.5, inner: float = 2.0) -> Problem:
    """Radial dam break, shallow water, PDEBench's case.

    h_t + a_x + b_y = 0, a_t + (a²/h + h²/2)_x + (ab/h)_y = 0,
    b_t + (ab/h)_x + (b²/h + h²/2)_y = 0 on (-2.5, 2.5)², 0 < t ≤ 1;
    h(x, y, 0) = 2 inside the circle of radius R = 1/2 and 1 outside, a = b = 0.

    h is the depth and (a, b) the discharge, gravity is 1, and water may leave through
    the sides, which no wave reaches. A bore runs outwards and a fan inwards, which
    meets itself in the centre and leaves a trough with a second bore. All depends on
    r = √(x² + y²) and t alone, and that is how the reference is got: from
    h_t + q_r = -q/r, q_t + (q²/h + h²/2)_r = -q²/(h r) by MUSCL on 1600 cells. From
    1600 to 3200 cells h changes by 1e-4 and q by 2e-3, relative L1 over the plane;
    solutions are judged by h, which is what PDEBench stores.

    Trap: a square grid imprints itself on the round bore; compare along the diagonal.
    Trap: PDEBench's data are computed with second-order methods on 128² cells, where
    the bore is two or three cells wide. Its networks were trained on the three
    equations added up into one residual, in which errors cancel, with 30 % of the
    solution given as data.
    """
    if not 0.3 <= radius <= 0.7 or not 1 < inner <= 3:
        raise OptionError(
            f"dam_break: radius is {radius} and inner is {inner}; needed are 0.3 <= "
            "radius <= 0.7 and 1 < inner <= 3, so that no wave reaches a side."
        )
    t, x, y = coordinates("t x y")
    h, a, b = (field_of(name, t, x, y) for name in ("h", "a", "b"))
    inside = x**2 + y**2 < radius**2
    return Problem(
        name="dam_break",
        fields=[h, a, b],
        equations=[
            D(h, t) + D(a, x) + D(b, y),
            D(a, t) + D(a**2 / h + h**2 / 2, x) + D(a * b / h, y),
            D(b, t) + D(a * b / h, x) + D(b**2 / h + h**2 / 2, y),
        ],
        domain=Box((x, -REACH, REACH), (y, -REACH, REACH)),
        time=TimeInterval(t, 0, 1, num_outputs=11),
        conditions=[
            Initial(h, sp.Piecewise((inner, inside), (1, True))),
            Initial(a, sp.Integer(0)),
            Initial(b, sp.Integer(0)),
        ],
        judged=[h],
        norm="L1",
        reference=Evaluated(
            lambda points: _in_the_plane(points, radius, inner),
            error_estimate=3e-4,
            description="the radial equations by MUSCL on 1600 cells",
        ),
        source=(
            "M. Takamoto et al., PDEBench: An Extensive Benchmark for Scientific "
            "Machine Learning, NeurIPS 2022, arXiv:2210.07182, section D.5; R. J. "
            "LeVeque, Finite Volume Methods for Hyperbolic Problems, 2002, section 21.7"
        ),
        tags=["nonlinear", "hyperbolic", "shallow water", "shock", "pdebench"],
    )


def _radial_problem(radius: float, inner: float) -> Problem:
    """Return the problem in (t, r), q being the radial discharge."""
    t, r = coordinates("t r")
    h, q = field_of("h", t, r), field_of("q", t, r)
    return Problem(
        name="dam_break (radial)",
        fields=[h, q],
        equations=[
            D(h, t) + D(q, r) + q / r,
            D(q, t) + D(q**2 / h + h**2 / 2, r) + q**2 / h / r,
        ],
        domain=Interval(r, 0, REACH),
        time=TimeInterval(t, 0, 1, num_outputs=11),
        conditions=[
            Initial(h, sp.Piecewise((inner, r < radius), (1, True))),
            Initial(q, sp.Integer(0)),
            Dirichlet(q, 0, on="left"),
        ],
        norm="L1",
        source="the radially symmetric solutions of `dam_break`",
    )


@lru_cache(maxsize=2)
def _radial(radius: float, inner: float) -> tuple[np.ndarray, np.ndarray]:
    """Return h and q of shape (times, cells), 401 times in all."""
    problem = _radial_problem(radius, inner)
    assert problem.time is not None
    problem = replace(problem, time=replace(problem.time, num_outputs=401))
    options = {"cells": RADIAL_CELLS, "reconstruction": "MUSCL"}
    solution = make_solver("finite-volume", options).solve(problem).require_ok()
    return solution.fields["h"], solution.fields["q"]


def _in_the_plane(
    points: np.ndarray, radius: float, inner: float
) -> dict[str, np.ndarray]:
    depth, discharge = _radial(radius, inner)
    t, x, y = points.T
    r = np.hypot(x, y)
    times, cells = depth.shape
    late, far = t * (times - 1), np.minimum(r / REACH * cells - 0.5, cells - 1)
    i = np.clip(late.astype(int), 0, times - 2)
    # Linear between cell centres; about r = 0 depth is even and discharge odd.
    k = np.clip(np.floor(far).astype(int), -1, cells - 2)
    upper, outer = late - i, far - k

    def between(table: np.ndarray, sign: int) -> np.ndarray:
        near = np.maximum(k, 0)
        first = np.where(k < 0, sign, 1) * (
            (1 - upper) * table[i, near] + upper * table[i + 1, near]
        )
        second = (1 - upper) * table[i, k + 1] + upper * table[i + 1, k + 1]
        found: np.ndarray = (1 - outer) * first + outer * second
        return found

    q = between(discharge, -1) / np.maximum(r, 1e-300)
    return {"h": between(depth, 1), "a": q * x, "b": q * y}
