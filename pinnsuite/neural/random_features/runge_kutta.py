"""Runge-Kutta methods: diagonally implicit, or with an explicit one beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pinnsuite.neural.random_features.semidiscrete import Derivatives
from pinnsuite.neural.random_features.split_stages import SplitStages
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
EXPLICIT = (
    (),
    (1 / 2,),
    (13861 / 62500, 6889 / 62500),
    (
        -116923316275 / 2393684061468,
        -2731218467317 / 15368042101831,
        9408046702089 / 11113171139209,
    ),
    (
        -451086348788 / 2902428689909,
        -2682348792572 / 7519795681897,
        12662868775082 / 11960479115383,
        3355817975965 / 11060851509271,
    ),
    (
        647845179188 / 3216320057751,
        73281519250 / 8382639484533,
        552539513391 / 3454668386233,
        3354512671639 / 8306763924573,
        4040 / 17871,
    ),
)
"""Of the explicit method with the same nodes and weights."""
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


def first_split_step(
    stages: SplitStages, now: Instant, length: float
) -> Instant | None:
    """Take a step of the Euler methods, implicit and explicit; None if it blows up.

    What initial conditions leave open is set in `now` as `first_step` does. The
    explicit part may need it: then it is solved for first.
    """
    space, rate = stages.space, 1 / length
    others = ~space.evolves
    (c, slope), time = now.values, now.time + length
    if not stages.prepare(now.time, c, rate):
        return None
    found = c
    for _ in range(2 if others.any() else 1):
        known = length * stages.explicit(now.time, c, rate)
        solved = stages.solve(time, c, rate, known, found)
        if solved is None:
            return None
        found = solved
        c[:, others] = found[:, others]
    implicit = rate * (space.moving(found - c) - known)
    slope[:] = space.fitted(implicit + stages.explicit(time, found, rate))
    return Instant(time, [found, slope.copy()])


def relaxed(stages: SplitStages, now: Instant, length: float) -> Instant:
    """Return the fields, brought closer to what the equations ask of other patches.

    As much as a stage of a step of this length does, with the same derivatives in
    time: else that step would change them, and look as if it was too long.
    """
    space, rate = stages.space, 1 / (DIAGONAL * length)
    c, slope = now.values
    if not stages.prepare(now.time, c, rate):
        return now
    known = (stages.explicit(now.time, c, rate) - space.moving(slope)) / rate
    found = stages.solve(now.time, c, rate, known, c)
    return now if found is None else Instant(now.time, [found, slope])


def split_step(
    stages: SplitStages,
    now: Instant,
    length: float,
    is_over: Callable[[], bool],
) -> tuple[Instant | None, float]:
    """Take a step of ARK4(3)6L[2]SA: its implicit part is the method of `step`.

    With `A ∂u/∂t = I(t, u) + E(t, u)` at the points, each stage is one linear solve,
    and I follows from it. Fields that do not evolve follow the implicit method.

    Returns
    -------
    As `step` does.

    Source: C. A. Kennedy, M. H. Carpenter, Applied Numerical Mathematics 44 (2003)
    139-181, DOI 10.1016/S0168-9274(02)00138-1.
    """
    space, rate = stages.space, 1 / (DIAGONAL * length)
    others = ~space.evolves
    found, slope = now.values
    if not stages.prepare(now.time, found, rate):
        return None, math.nan
    explicit = [stages.explicit(now.time, found, rate)]
    implicit = [space.moving(slope) - explicit[0]]
    slopes = [slope[:, others]]
    for row, beside, node in zip(TABLEAU[1:], EXPLICIT[1:], NODES[1:], strict=True):
        if is_over():
            return None, math.nan
        known = length * (_sum(row, implicit) + _sum(beside, explicit))
        time = now.time + node * length
        stage = stages.solve(time, now.values[0], rate, known, found)
        if stage is None:
            return None, math.nan
        found = stage
        change = found - now.values[0]
        implicit.append(rate * (space.moving(change) - known))
        explicit.append(stages.explicit(time, found, rate))
        slopes.append(rate * (change[:, others] - length * _sum(row, slopes)))
    apart = [b - e for b, e in zip(WEIGHTS, EMBEDDED, strict=True)]
    gap = space.fitted(length * (_sum(apart, implicit) + _sum(apart, explicit)))
    # The last stage has the weights of the implicit method, but not of the explicit.
    missing = [b - a for b, a in zip(WEIGHTS, (*EXPLICIT[-1], 0.0), strict=True)]
    more = length * _sum(missing, explicit)
    # All of it but (1 - P)² of it, P the implicit Euler method: of no account at fourth
    # order, and nearly everything where that is stiff.
    twice = 2 * more - space.moving(stages.damped(more, rate))
    change = stages.damped(twice, rate)
    if not (np.isfinite(gap).all() and np.isfinite(change).all()):
        return None, math.nan
    found = stages.settled(time, found + change, rate)
    ends = implicit[-1] + rate * (space.moving(change) - twice)
    slope = space.fitted(ends + stages.explicit(time, found, rate))
    slope[:, others] = slopes[-1]
    return Instant(time, [found, slope]), stages.relative(gap, found)


def _sum(weights: Sequence[float], terms: Sequence[np.ndarray]) -> np.ndarray:
    total: np.ndarray = np.zeros_like(terms[0])
    for weight, term in zip(weights, terms, strict=True):
        if weight:
            total = total + weight * term
    return total
