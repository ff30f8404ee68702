"""Windows in time, one after the other, as long as the residual allows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from pinnsuite.neural.random_features.basis import Functions
from pinnsuite.neural.random_features.block_triangle import BlockTriangle
from pinnsuite.neural.random_features.equations import (
    Equations,
    State,
    initial_state,
)
from pinnsuite.neural.random_features.partition import Partition
from pinnsuite.neural.random_features.piece import Piece, StepPiece
from pinnsuite.neural.random_features.system import SIMILAR, System

OUT_OF_TIME = "the budget"
"""Why a march stopped that was told to."""
FIRST_WINDOW = 0.05
"""Share of the time interval that the first window takes."""
SHORTEST_WINDOW = 1e-7
MAX_STEPS = 8
"""Gauss-Newton steps in a window before it counts as too long."""
GROWTH = 1.6
ORDER = 10.0
"""The residual of a window is taken to fall like its length to this power."""
REST = 2
"""Windows after a rejection that are not longer than the one before."""
LOST = 4
"""Windows in a row whose steps do not converge until all patches are halved."""
EASY = 0.05
TIGHT, IDLE = 0.3, 1e-3
"""Shares of the tolerance above which a patch is halved ahead of need, and below which
two are joined."""
CONVERGED = 1e-2
"""Share of the tolerance that the last Gauss-Newton step may still change."""
SLOW = 0.5
"""Ratio of two changes from which steps do not converge: old factors are dropped."""
LINEAR_SHARE = 1e-3
"""Share of the misfit that a step by old factors may leave: the next one takes it."""


@dataclass
class March:
    """The state of a march through time.

    Attributes
    ----------
    pieces
        Accepted windows.
    worst
        Largest indicator of an accepted window, as a share of the tolerance.
    """

    pieces: list[Piece | StepPiece] = field(default_factory=list)
    worst: float = 0.0


def march(
    equations: Equations,
    basis: Functions,
    partition: Partition,
    max_patches: int,
    tolerance: float,
    report: Callable[[float, str], bool],
    is_over: Callable[[], bool] = lambda: False,
) -> tuple[March, str]:
    """Solve window by window; return the windows and why it stopped early, if it did.

    A window is accepted when at fresh points, in every patch, the residual relative to
    its terms and the misfit of the state at the window's start are below `tolerance`.
    Else it is made shorter, or patches are halved, as the solution's Chebyshev spectrum
    decays more slowly in time or in space.

    Parameters
    ----------
    report
        Told the share of time that is done and a note; True ends the march.
    is_over
        Asked within a window; True ends it, and `report` is told.
    """
    problem = equations.problem
    assert problem.time is not None
    begin, end = problem.time.start, problem.time.end
    start = initial_state(equations)
    result = March()
    now, length = begin, FIRST_WINDOW * (end - begin)
    order, failed, rest, lost = ORDER, None, 0, 0
    before: Steps | None = None
    while now < end - 1e-12 * (end - begin):
        # The last two windows share what is left: no sliver at the end.
        left = end - now
        span = left if left <= length * 1.01 else min(length, left / 2 * 1.01)
        window = now, now + span if span < left else end
        system = System(equations, basis, partition, window, start)
        found = newton(system, start, tolerance, before, is_over)
        coefficients = found.coefficients
        indicator = math.inf
        if found.is_converged:
            shares = system.indicators(coefficients, start) / tolerance
            indicator = float(shares.max())
        if report(
            (now - begin) / (end - begin),
            f"t = {now:.4g}, window {span:.2g}, {len(partition)} patches, "
            f"{indicator:.1e} of the tolerance",
        ):
            return result, OUT_OF_TIME
        old_partition = partition
        if not indicator <= 1.0:
            rest = REST
            if span < SHORTEST_WINDOW * (end - begin):
                return result, f"windows shorter than {span:.1e} at t = {now:.6g}"
            if not found.is_converged:
                length, lost = span / 2, lost + 1
                if lost % LOST == 0 and partition.dimension:
                    # Not for want of time, then: patches that cannot hold the state.
                    finer = partition.refined(range(len(partition)))
                    if len(finer) <= max_patches:
                        partition, before = finer, None
                continue
            bad = np.flatnonzero(shares > 1.0)
            finer, is_long = _mended(system, coefficients, bad, partition)
            if len(finer) > max_patches:
                return result, f"more than {max_patches} patches at t = {now:.6g}"
            if is_long:
                if failed is not None and failed[0] > span:
                    # What the last reduction of the window bought.
                    gain = math.log(failed[1] / indicator)
                    order = gain / math.log(failed[0] / span)
                    order = min(max(order, 1.0), ORDER)
                failed = span, indicator
                length = span * max(0.1, min(0.8, 0.8 * indicator ** (-1 / order)))
            partition = finer
        else:
            piece = Piece(basis, partition, window, coefficients)
            result.pieces.append(piece)
            result.worst = max(result.worst, indicator)
            start, now, before = piece.jets, window[1], found
            order, failed, lost = ORDER, None, 0
            # Never shorter after a success: what is left may not be due to the length.
            if rest:
                rest -= 1
            elif indicator < EASY:
                length = span * GROWTH
            elif indicator < TIGHT:
                length = span * math.sqrt(GROWTH)
            else:
                length = span
            # In the plane patches are dear, and not joined again: none is halved ahead.
            if partition.dimension == 1:
                tight = np.flatnonzero(shares > TIGHT)
                if len(tight):
                    finer, _ = _mended(system, coefficients, tight, partition)
                    partition = finer if len(finer) <= max_patches else partition
                else:
                    partition = partition.coarsened(np.flatnonzero(shares < IDLE))
        if partition is not old_partition:
            before = None
    return result, ""


def _mended(
    system: System, coefficients: np.ndarray, bad: np.ndarray, partition: Partition
) -> tuple[Partition, bool]:
    """Return a finer partition, and whether the window is too long.

    Spectra that decay alike in time and in space ask for both.
    """
    tails = system.tails(coefficients, bad)
    in_time, in_space = tails[:, 0], tails[:, 1:].max(1, initial=0.0)
    is_wide = in_space >= in_time
    if partition.dimension and is_wide.any():
        partition = partition.refined(bad[is_wide])
    return partition, bool((in_time >= SIMILAR * in_space).any())


@dataclass(frozen=True, eq=False)
class Steps:
    """Gauss-Newton steps in a window.

    Attributes
    ----------
    coefficients
        The last ones, (patches, fields, functions).
    is_converged
        The last step changed the fields little enough.
    factors
        Of the last elimination; None before the first.
    """

    coefficients: np.ndarray
    is_converged: bool
    factors: BlockTriangle | None


def newton(
    system: System,
    start: State,
    tolerance: float,
    before: Steps | None = None,
    is_over: Callable[[], bool] = lambda: False,
) -> Steps:
    """Take Gauss-Newton steps in a window until they change less than is needed.

    Of several patches the factors of the window before, if on the same patches, are
    preconditioners as long as they do; then the rows are eliminated anew.

    Parameters
    ----------
    tolerance
        Share of error that the window may have.
    before
        Of the window before on the same patches, where there is one.
    is_over
        Asked before each step; True ends them.
    """
    enough = max(CONVERGED * tolerance, 1e-9)
    is_chain = system.shape[0] > 1
    state = None if system.is_linear else system.state_from(start)
    old = np.zeros(system.shape)
    factors: BlockTriangle | None = None
    added: np.ndarray | None = None
    if before is not None and before.factors is not None:
        rows, _ = system.rows(before.coefficients, state)
        added = None if rows is None else rows.iterated(before.factors, LINEAR_SHARE)
        if added is not None:
            old, factors = before.coefficients, before.factors
    change = math.inf
    for step in range(1, MAX_STEPS + 1):
        is_exact = False
        if added is None:
            rows, _ = system.rows(old, state)
            if rows is None or is_over():
                break
            if factors is not None:
                added = rows.iterated(factors, LINEAR_SHARE)
            if added is None:
                is_exact = True
                added, found = rows.eliminated(system.damping)
                factors = found if is_chain else None
        if not np.isfinite(added).all():
            break
        new, added, state = old + added, None, None
        last, change = change, system.change(new, old) if step > 1 else math.inf
        old = new
        if change < enough or (is_exact and system.is_linear):
            return Steps(old, is_converged=True, factors=factors)
        if step > 2 and change > SLOW * last:
            if is_exact:
                # At the level of round-off, or lost.
                return Steps(old, change < max(enough, 1e-6), factors)
            factors = None
    return Steps(old, change < max(enough, 1e-6), factors)
