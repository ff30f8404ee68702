"""One system for the whole domain, time included, refined by its residual."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pinnsuite.neural.random_features.basis import Functions, Orthonormal, draw
from pinnsuite.neural.random_features.corners import corners
from pinnsuite.neural.random_features.equations import (
    Equations,
    State,
    initial_state,
)
from pinnsuite.neural.random_features.partition import Partition
from pinnsuite.neural.random_features.piece import Piece
from pinnsuite.neural.random_features.system import System, slow_axes
from pinnsuite.neural.snapshot import Stopwatch
from pinnsuite.problem.jumps import jump_planes

SCALES = (1.5, 3.0, 6.0, 12.0, 24.0, 48.0)
"""Scales that are tried alike along all coordinates, in one patch."""
FIRST_FEATURES = 150
GROWTH = 1.7
COST_ORDER = 3
"""The time of a solution on one patch grows like the number of features to it."""
ENOUGH = 0.2
"""More features follow while each step leaves at most this share of the residual: less
is better spent on patches."""
ENOUGH_ALONE = 0.9
"""The same in many dimensions, where no patches follow."""
POOR = 0.3
"""Indicator above which one patch is given up after the first scales, where more are
dear: of nonlinear problems, and in three coordinates."""
FEW_COORDINATES = 3
PATCH_SCALE = 3.0
"""Scale in each of several patches: they are made smaller instead."""
MAX_STEPS = 20
SHORTEST_STEP = 1e-2
LINEAR_SHARE = 1e-3
"""Share of what round-off left that a second step by the same factors may leave."""
PAYING = 0.8
"""A full Gauss-Newton step that leaves more of the misfit is the last one."""
THRESHOLDS = (0.1, 0.3, 0.6, 1.0)
"""Patches are halved whose indicator is above this share of the largest, the first that
does not make more than `MAX_GROWTH` times as many of them."""
MAX_GROWTH = 2.6
SINGULAR = 0.25
"""Share of a corner's indicator that a halving leaves if the solution is not smooth
there: of an r^k, k > 0, it is about a half, of what is smooth next to nothing."""
MOST_HALVINGS = 4
"""Halvings towards a corner from one solution to the next."""


@dataclass(frozen=True, eq=False)
class Level:
    """A solution of one system, and how good it looks.

    Attributes
    ----------
    piece
        The fields.
    indicator
        Largest share of error over patches and fresh points.
    note
        Features, scales and patches, for people.
    """

    piece: Piece
    indicator: float
    note: str


def one_patch(
    equations: Equations,
    activation: str,
    seed: int,
    max_unknowns: int,
    remaining: Callable[[], float],
) -> Iterator[Level]:
    """Yield ever better solutions on one patch: scales first, then more features.

    Where coefficients jump it is one patch a layer, if that is within `max_unknowns`.
    The scales of the features are chosen by the residual at fresh points: alike along
    all coordinates first, then one by one. More features follow while they pay.
    """
    partition = layers(equations)
    each = len(partition) * len(equations.problem.fields)
    d = len(equations.problem.coordinates)
    number = FIRST_FEATURES if d <= FEW_COORDINATES else 2 * FIRST_FEATURES
    best: Level | None = None
    chosen: tuple[float, ...] = ()

    def tried(
        scales: tuple[float, ...], number: int, guess: State | None = None
    ) -> Level:
        basis = draw(number, scales, activation, seed)
        note = basis_note(number, scales, len(partition))
        return level(equations, note, basis, partition, seed, remaining, guess)

    if number * each > max_unknowns:
        return

    seen = set()

    def candidates() -> Iterator[tuple[float, ...]]:
        for s in SCALES:
            yield (s,) * d
        for _, axis in itertools.product(range(2), range(d)):
            for factor in (0.5, 2.0):
                yield tuple(
                    s * factor if k == axis else s for k, s in enumerate(chosen)
                )

    rising = 0
    is_dear = d == FEW_COORDINATES or not equations.is_linear
    for scales in candidates():
        if remaining() <= 0:
            return
        is_alike = len(set(scales)) == 1
        if is_dear and not is_alike and best and best.indicator > POOR:
            return
        if scales in seen or (rising >= 2 and is_alike):
            continue
        seen.add(scales)
        found = tried(scales, number)
        if best is None or found.indicator < best.indicator:
            best, chosen, rising = found, scales, 0
            yield found
        else:
            rising += 1
    assert best is not None
    last = best.indicator
    enough = ENOUGH if d <= FEW_COORDINATES else ENOUGH_ALONE
    spent = 0.0
    while remaining() > spent * GROWTH**COST_ORDER:
        watch = Stopwatch()
        number = math.ceil(number * GROWTH)
        if number * each > max_unknowns:
            return
        # More features resolve higher frequencies: the scale may rise with them.
        guess = None if equations.is_linear else best.piece.jets
        step = min(
            (tried(tuple(s * f for s in chosen), number, guess) for f in (1.0, 1.3)),
            key=lambda found: found.indicator,
        )
        if step.indicator < best.indicator:
            best = step
            yield best
        spent = watch.cpu_s
        if step.indicator > enough * last:
            return
        last = step.indicator


def many_patches(
    equations: Equations,
    activation: str,
    seed: int,
    features: int,
    max_unknowns: int,
    remaining: Callable[[], float],
) -> Iterator[Level]:
    """Yield solutions on ever finer partitions, halved where the indicator is large."""
    problem = equations.problem
    d = len(problem.coordinates)
    drawn = draw(features, (PATCH_SCALE,) * d, activation, seed)
    # Where eliminations are dear: in space, and one for each Gauss-Newton step.
    is_dear = problem.dimension > 2 or not equations.is_linear
    basis = Orthonormal.of(drawn) if is_dear else drawn
    partition = layers(equations)
    if len(partition) == 1:
        partition = partition.refined(range(len(partition)))
    outline = corners(problem.domain)
    start: State | None = None
    before: tuple[Partition, np.ndarray] | None = None
    spent = 0.0
    while len(partition) * len(problem.fields) * basis.size <= max_unknowns:
        if remaining() <= spent:
            # It would not end in time.
            return
        watch = Stopwatch()
        note = basis_note(features, (PATCH_SCALE,) * d, len(partition))
        found = level(equations, note, basis, partition, seed, remaining, start)
        yield found
        start = found.piece.jets if math.isfinite(found.indicator) else None
        shares, tails = shares_and_tails(equations, found, seed)
        finer = halved(partition, shares, tails)
        finer = graded(finer, partition, shares, before, outline)
        before = partition, shares
        spent = watch.cpu_s * finer.work / partition.work
        partition = finer


def halved(partition: Partition, shares: np.ndarray, tails: np.ndarray) -> Partition:
    """Return the partition with its worst patches halved, not many times as many.

    Along the axes on which their spectra decay slowly.
    """
    along = slow_axes(tails)
    for threshold in THRESHOLDS:
        worst = np.flatnonzero(shares >= threshold * shares.max())
        finer = partition.refined(worst, along[worst])
        if len(finer) <= MAX_GROWTH * len(partition):
            break
    return finer


def graded(
    finer: Partition,
    partition: Partition,
    shares: np.ndarray,
    before: tuple[Partition, np.ndarray] | None,
    outline: np.ndarray,
) -> Partition:
    """Return a finer partition, graded towards corners that halving hardly mends.

    How much the last halvings left of a corner's indicator says how many more of them
    make it a small part of what the other patches show.

    Parameters
    ----------
    finer
        The worst patches of `partition`, halved.
    shares
        The indicators on `partition`.
    before
        The partition before, and the indicators on it.
    outline
        The corners: (n, 2).
    """
    if before is None:
        return finer
    touching = [partition.around(c) for c in outline]
    others = np.delete(shares, np.concatenate([np.zeros(0, dtype=int), *touching]))
    goal = THRESHOLDS[0] * others.max(initial=0.0)
    for corner, patches in zip(outline, touching, strict=True):
        old, old_shares = before
        those = old.around(corner)
        now, then = shares[patches].max(), old_shares[those].max()
        halvings = math.log2(old.width(those) / partition.width(patches))
        if not halvings or goal <= 0.0 or now <= goal:
            continue
        left = min(now / then, 0.9) ** (1 / halvings)
        if left < SINGULAR:
            continue
        number = math.ceil(math.log(goal / now) / math.log(left))
        smallest = partition.width(patches) / 2 ** min(number, MOST_HALVINGS)
        while finer.width(near := finer.around(corner)) > smallest * (1 + 1e-9):
            finer = finer.refined(near)
    return finer


def whole(equations: Equations) -> Partition:
    """Return the partition into one patch."""
    problem = equations.problem
    if problem.domain is None:
        return Partition.grid(())
    return Partition.grid(
        tuple(np.asarray(b, dtype=float) for b in problem.domain.bounds),
        problem.domain,
        equations.periodic,
    )


def layers(equations: Equations) -> Partition:
    """Return the partition into boxes in which no coefficient of a flux jumps."""
    one = whole(equations)
    if not equations.fluxes:
        return one
    edges = tuple(
        np.sort(np.append(e, jump_planes(equations.problem, x)))
        for x, e in zip(equations.problem.space, one.edges, strict=True)
    )
    return Partition.grid(edges, one.domain, one.periodic, planes=edges)


def times_of(equations: Equations) -> tuple[float, float] | None:
    """Return the whole time, None where there is none."""
    time = equations.problem.time
    return None if time is None else (time.start, time.end)


def basis_note(number: int, scales: tuple[float, ...], patches: int) -> str:
    """Return what a level consists of, in words."""
    sizes = ", ".join(f"{s:.3g}" for s in scales)
    where = "1 patch" if patches == 1 else f"{patches} patches"
    return f"{number} features of scale {sizes} in {where}"


def level(
    equations: Equations,
    note: str,
    basis: Functions,
    partition: Partition,
    seed: int,
    remaining: Callable[[], float],
    guess: State | None = None,
) -> Level:
    """Solve one system; a failed one has the indicator infinity."""
    times = times_of(equations)
    start = None if times is None else initial_state(equations)
    system = System(equations, basis, partition, times, start, seed=seed)
    coefficients = stationary(system, guess, remaining)
    piece = Piece(basis, partition, times, coefficients)
    # Converged or not: the residual at fresh points tells.
    indicator = float(system.indicators(coefficients, start).max())
    if not math.isfinite(indicator):
        indicator = math.inf
    return Level(piece, indicator, note)


def shares_and_tails(
    equations: Equations, found: Level, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the indicators of all patches, and their spectra's tails along space."""
    piece = found.piece
    start = None if piece.times is None else initial_state(equations)
    system = System(
        equations, piece.basis, piece.partition, piece.times, start, seed=seed
    )
    shares = system.indicators(piece.coefficients, start)
    tails = system.tails(piece.coefficients, np.arange(len(piece.partition)))
    return (
        np.where(np.isfinite(shares), shares, 1.0),
        np.nan_to_num(tails[:, -piece.partition.dimension :], nan=1.0),
    )


def stationary(
    system: System, guess: State | None, remaining: Callable[[], float]
) -> np.ndarray:
    """Return coefficients by damped Gauss-Newton steps, as long as they pay."""
    state = None if guess is None else system.state_from(guess)
    rows, _ = system.rows(None, state)
    if rows is None:
        return np.full(system.shape, np.nan)
    coefficients, known = system.eliminated(rows)
    if not np.isfinite(coefficients).all():
        return coefficients
    if system.is_linear and system.shape[0] > 1:
        rows, _ = system.rows(coefficients)
        added = None if rows is None else rows.iterated(known, LINEAR_SHARE)
        return coefficients if added is None else coefficients + added
    new, misfit = system.solve(coefficients)
    if system.is_linear:
        # Once more for what round-off left.
        return new if np.isfinite(new).all() else coefficients
    for _ in range(MAX_STEPS):
        direction = new - coefficients
        length = 1.0
        if remaining() <= 0:
            break
        while True:
            trial = coefficients + length * direction
            new, after = system.solve(trial)
            if after < misfit or length < SHORTEST_STEP:
                break
            length /= 4
        if not after < misfit:
            break
        coefficients = trial
        if after > PAYING * misfit and length == 1.0:
            break
        misfit = after
    return coefficients
