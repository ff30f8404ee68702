"""A diagonally implicit Runge-Kutta method, and the step that starts it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pinnsuite.neural.random_features.semidiscrete import Derivatives
from pinnsuite.neural.random_features.stages import Stages

DIAGONAL = 1 / 4
WEIGHTS = (82889 / 524892, 0.0, 15625 / 83664, 69875 / 102672, -2260 / 8211, DIAGONAL)
EMBEDDED = (
    4586570599 / 29645900160,
    0.0,
    178811875 / 945068544,
    814220225 / 1159782912,
    -3700637 / 11593932,
    61727 / 225920,
)
"""Weights of order 3."""
TABLEAU = (
    (),
    (1 / 4,),
    (8611 / 62500, -1743 / 31250),
    (5012029 / 34652500, -654441 / 2922500, 174375 / 388108),
    (
        15267082809 / 155376265600,
        -71443401 / 120774400,
        730878875 / 902184768,
        2285395 / 8070912,
    ),
    WEIGHTS[:-1],
)
"""What stands before the diagonal, stage by stage."""
NODES = (0.0, 1 / 2, 83 / 250, 31 / 50, 17 / 20, 1.0)
CONVERGED = 0.1
"""Share of the allowed error of a step that the last iteration may still change."""


@dataclass(frozen=True, eq=False)
class Instant:
    """The coefficients and their derivatives in time, up to the highest one."""

    time: float
    values: Derivatives


def first_step(
    stages: Stages, now: Instant, length: float, enough: float
) -> Instant | None:
    """Take a step of the implicit Euler method; None without convergence.

    Its derivative at the end is the one that the next step begins with. What initial
    conditions leave open, the highest derivatives and fields that do not evolve, is
    set in `now` to what it is at the end.
    """
    found = stages.solve(
        now.time + length,
        now.values[:-1],
        1 / length,
        now.values[0],
        CONVERGED * enough,
    )
    if found is None:
        return None
    others = ~stages.space.evolves
    now.values[0][:, others] = found[0][:, others]
    found[1][:, others] = 0.0
    now.values[-1][:] = found[-1]
    return Instant(now.time + length, found)


def step(
    stages: Stages,
    now: Instant,
    length: float,
    enough: float,
    is_over: Callable[[], bool],
) -> tuple[Instant | None, float]:
    """Take a step of ESDIRK4(3)6L[2]SA: of order 4, L-stable and stiffly accurate.

    Returns
    -------
    Its end, None without convergence or where `is_over`, and its error relative to the
    fields, the difference to the embedded method of order 3.

    Source: C. A. Kennedy, M. H. Carpenter, Applied Numerical Mathematics 44 (2003)
    139-181, DOI 10.1016/S0168-9274(02)00138-1, the implicit part of ARK4(3)6L[2]SA.
    """
    slopes: list[Derivatives] = [now.values[1:]]
    found: Derivatives = now.values
    for row, node in zip(TABLEAU[1:], NODES[1:], strict=True):
        if is_over():
            return None, math.nan
        bases = [
            y + length * _sum(row, [k[m] for k in slopes])
            for m, y in enumerate(now.values[:-1])
        ]
        stage = stages.solve(
            now.time + node * length,
            bases,
            1 / (DIAGONAL * length),
            bases[0] + DIAGONAL * length * slopes[-1][0],
            CONVERGED * enough,
        )
        if stage is None:
            return None, math.nan
        found = stage
        slopes.append(stage[1:])
    apart = [b - e for b, e in zip(WEIGHTS, EMBEDDED, strict=True)]
    gap = length * _sum(apart, [k[0] for k in slopes])
    return Instant(now.time + length, found), stages.relative(gap, found[0])


def _sum(weights: Sequence[float], terms: Sequence[np.ndarray]) -> np.ndarray:
    total: np.ndarray = np.zeros_like(terms[0])
    for weight, term in zip(weights, terms, strict=True):
        if weight:
            total = total + weight * term
    return total
