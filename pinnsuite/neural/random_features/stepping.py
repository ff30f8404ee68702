"""Steps in time of the coefficients of features of space."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from pinnsuite.neural.random_features.basis import Functions, Harmonics
from pinnsuite.neural.random_features.equations import Equations, initial_state
from pinnsuite.neural.random_features.marching import OUT_OF_TIME, March
from pinnsuite.neural.random_features.partition import Partition
from pinnsuite.neural.random_features.piece import Piece, StepPiece
from pinnsuite.neural.random_features.runge_kutta import (
    Instant,
    first_split_step,
    first_step,
    relaxed,
    split_step,
    step,
)
from pinnsuite.neural.random_features.semidiscrete import Semidiscrete
from pinnsuite.neural.random_features.split_stages import SplitStages
from pinnsuite.neural.random_features.splitting import Split
from pinnsuite.neural.random_features.stages import Measured, Stages
from pinnsuite.neural.random_features.system import slow_axes
from pinnsuite.problem.jets import Jet

FIRST_STEP = 1e-5
"""Share of the time that the first step takes."""
SHORTEST_STEP = 1e-9
IN_TIME, IN_TIME_SPLIT = 0.1, 0.02
"""Share of the tolerance that the error of a step in time may have; less where steps
are cheap."""
HORIZON = 0.05
"""Share of the time during which residuals are taken to add up."""
ORDER = 4
GROWTH, LEAST, MOST = 5.0, 0.1, 0.7
"""Of the length: at most so much after a step, and between these after a failure."""
LOST = 0.25
"""Of the length where the iterations did not converge."""
COARSE = 0.6
"""Of the length where the residual is too large in the middle, and not at the end."""
WORTH = 1.5
"""A longer step needs new factors: not for less than so many times the length."""
RATIOS, NEARLY = 2, 0.1
"""Lengths for each factor of 2 where factors are kept, and what is not rounded down."""
FACTORS = 8
"""Steps that cost as much as factors for another length, where these are kept."""
SAFETY = 0.85
REST = 5
"""Steps after a failure that are not longer than the one before."""
STUCK = 0.7
"""Ratio of the errors of a shorter and a longer step above which time is not to blame.
"""
FITTED = 0.3
"""Share of the tolerance to which the initial fields are fitted."""
TIGHT = 0.5
"""Share of the tolerance from which a patch is halved, where one has to be."""
MAX_FREQUENCIES = 400
TOO_HIGH = f"more than {MAX_FREQUENCIES} frequencies"


def step_through(
    equations: Equations,
    basis: Functions,
    partition: Partition,
    max_patches: int,
    tolerance: float,
    report: Callable[[float, str], bool],
    is_over: Callable[[], bool] = lambda: False,
    parts: Split | None = None,
) -> tuple[March, str]:
    """Step through time; return the steps and why they stopped early, if they did.

    The equations at collocation points in space are a system for the coefficients in
    time (method of lines). Where they are split, their linear part is implicit and
    the rest explicit, and lengths are of few, for which factors are kept; else all of
    it is implicit. A step's length follows its embedded error, and the residual
    at fresh points in its middle. Patches are halved where the residual at its end is
    above `tolerance`; where no more of them are allowed, it goes on, and the largest
    residual says how far that is off. Harmonics of a period get more frequencies
    instead, and it ends where more than `MAX_FREQUENCIES` are needed.

    Parameters
    ----------
    report
        Told the share of time that is done and a note; True ends the steps.
    is_over
        Asked within a step; True ends it, and `report` is told.
    parts
        The linear parts of the equations and the rest, see `split`.
    """
    time = equations.problem.time
    assert time is not None
    duration = time.end - time.start
    horizon = HORIZON * duration
    space = Semidiscrete(equations, basis, partition, parts)
    space, now, gap = _started(space, tolerance, max_patches)
    is_split = space.split is not None
    kind = SplitStages if is_split else Stages
    stages = kind(space, space.sizes(now.values[0]))
    allowed = (IN_TIME_SPLIT if is_split else IN_TIME) * tolerance
    result = March(worst=gap)
    if isinstance(space.basis, Harmonics) and gap > 1.0:
        return result, TOO_HIGH
    length, rest = FIRST_STEP * duration, 0
    earlier = np.zeros(len(space.partition))
    # The error and the length of the first attempt at this step, if it failed.
    last, wanted = math.inf, length
    while now.time < time.end - 1e-12 * duration:
        left = time.end - now.time
        if is_split:
            length = _rounded(length, duration)
        if left <= length * (1 + 1e-9):
            length = left
        new, error = _stepped(stages, now, length, allowed, is_over, not result.pieces)
        error /= allowed
        # An error that a shorter step does not lessen is one in space.
        is_stuck = error > max(1.0, STUCK * last)
        is_done = new is not None and (error <= 1.0 or is_stuck)
        indicator = math.nan
        if new is not None and is_done:
            stages.see(new.values, horizon)
            piece = _piece(space, now, new)
            at_end, between = (
                _lasting(stages, piece, t, earlier, tolerance, length, horizon)
                for t in (new.time, (now.time + new.time) / 2)
            )
            indicator = float(max(at_end.max(), between.max()))
        if report(
            (now.time - time.start) / duration,
            f"t = {now.time:.4g}, step {length:.2g}, {len(space.partition)} patches, "
            f"{indicator:.1e} of the tolerance",
        ):
            return result, OUT_OF_TIME
        if new is None or not is_done:
            if length < SHORTEST_STEP * duration:
                return result, f"steps shorter than {length:.1e} at t = {now.time:.6g}"
            if math.isinf(last):
                wanted = length
            last = error if error > 1.0 else math.inf
            factor = SAFETY * error ** (-1 / ORDER) if error > 1.0 else LOST
            length, rest = length * min(max(factor, LEAST), MOST), REST
            continue
        if not (between <= 1.0).all() and (at_end <= 1.0).all():
            # The polynomial in time is what is wrong.
            length, rest = COARSE * length, REST
            continue
        finer = _refined(space, now.values[0], at_end, max_patches)
        if finer is not space:
            centres = finer.partition.boxes.mean(2)
            earlier = earlier[space.partition.locate(centres)]
            space, now = finer, _moved(space, now, finer)
            stages.move(space)
            if isinstance(stages, SplitStages):
                now = relaxed(stages, now, length)
            continue
        if isinstance(space.basis, Harmonics) and not (at_end <= 1.0).all():
            return result, TOO_HIGH
        result.pieces.append(piece)
        result.worst = max(result.worst, indicator)
        now, earlier, last = new, np.maximum(at_end, between), math.inf
        rest -= 1
        longer = min(SAFETY * max(error, 1e-8) ** (-1 / ORDER), GROWTH)
        saved = (time.end - now.time) / length * (1 - 1 / longer)
        is_worth = not is_split or saved >= FACTORS
        if is_stuck:
            length = wanted
        elif longer < 1.0 or (longer >= WORTH and is_worth and rest < 0):
            length *= longer
    return result, ""


def _stepped(
    stages: Stages | SplitStages,
    now: Instant,
    length: float,
    allowed: float,
    is_over: Callable[[], bool],
    is_first: bool,
) -> tuple[Instant | None, float]:
    if isinstance(stages, SplitStages):
        if is_first:
            return first_split_step(stages, now, length), 0.0
        return split_step(stages, now, length, is_over)
    if is_first:
        return first_step(stages, now, length, allowed), 0.0
    return step(stages, now, length, allowed, is_over)


def _rounded(length: float, duration: float) -> float:
    """Return a length of a few that come again and again, so that factors do."""
    power = math.floor(RATIOS * math.log2(length / duration) + NEARLY)
    return float(duration * 2.0 ** (power / RATIOS))


def _piece(space: Semidiscrete, now: Instant, new: Instant) -> StepPiece:
    return StepPiece(
        space.basis,
        space.partition,
        (now.time, new.time),
        now.values,
        new.values,
        [max(m, 1) for m in space.equations.orders[0]],
    )


def _lasting(
    stages: Measured,
    piece: StepPiece,
    time: float,
    earlier: np.ndarray,
    tolerance: float,
    length: float,
    horizon: float,
) -> np.ndarray:
    """Return the indicators, in tolerances, averaged over what came `earlier`.

    What lasts for a time that is short against the horizon counts for little.
    """
    kept = math.exp(-length / horizon)
    sizes = np.where(stages.sizes > 0, stages.sizes, 1.0)
    found = stages.space.indicators(
        time, piece.derivatives(time), max(horizon, length), sizes
    )
    averaged: np.ndarray = kept * earlier + (1 - kept) * found / tolerance
    return averaged


def _started(
    space: Semidiscrete, tolerance: float, max_patches: int
) -> tuple[Semidiscrete, Instant, float]:
    """Return the initial fields, on patches that are fine enough for them.

    And how far they are off, in tolerances.
    """
    state = initial_state(space.equations)
    time = space.equations.problem.time
    assert time is not None
    while True:
        values = [space.projected(state, m) for m in range(max(space.order, 1))]
        gaps = [space.misfits(state, m, c) for m, c in enumerate(values)]
        shares = np.max(gaps, axis=0) / tolerance
        finer = _refined(space, values[0], shares / FITTED, max_patches)
        if finer is space:
            values.append(np.zeros(space.shape))
            return space, Instant(time.start, values), float(shares.max())
        space = finer


def _refined(
    space: Semidiscrete, c: np.ndarray, shares: np.ndarray, max_patches: int
) -> Semidiscrete:
    """Return finer functions if a share of the tolerance is above 1, where allowed.

    On patches that are halved along the axes by which their spectra decay slowly, or
    with more harmonics.
    """
    if (shares <= 1.0).all():
        return space
    basis, partition = space.basis, space.partition
    if isinstance(basis, Harmonics):
        basis = basis.finer()
        is_allowed = basis.highest <= MAX_FREQUENCIES
    else:
        bad = np.flatnonzero(~(shares <= TIGHT))
        partition = partition.refined(bad, slow_axes(space.tails(c, bad)))
        is_allowed = len(space.partition) < len(partition) <= max_patches
    if not is_allowed:
        return space
    return Semidiscrete(space.equations, basis, partition, space.split)


def _moved(space: Semidiscrete, now: Instant, finer: Semidiscrete) -> Instant:
    """Return the same fields in finer functions."""
    pieces = [Piece(space.basis, space.partition, None, c) for c in now.values]

    def state(points: np.ndarray, jets: Sequence[Jet]) -> list[np.ndarray]:
        order = jets[0].orders[0]
        flat = [Jet(j.field, j.orders[1:]) for j in jets]
        return pieces[order].jets(points[:, 1:], flat)

    values = [finer.projected(state, m) for m in range(len(now.values))]
    return Instant(now.time, values)
