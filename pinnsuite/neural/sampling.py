"""Collocation points: Sobol sequences in the domain, on its sides and in time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.stats import qmc

from pinnsuite.neural.residual import Place
from pinnsuite.problem.conditions import Observed
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.domain import Box

_FEWEST_ON_A_SIDE = 16


def interior(problem: Problem, n: int, seed: int) -> np.ndarray:
    """Return `n` points of the problem's space and time, shape (n, coordinates).

    On boxes and for ordinary equations one scrambled Sobol sequence runs through all
    coordinates; on other domains times are paired with points in random order.
    """
    if problem.domain is not None and not problem.domain.is_box:
        points = problem.domain.sample_interior(n, seed)
        return _with_times(problem, points, seed)
    bounds = limits(problem)
    unit = _sobol(len(bounds), n, seed)
    inside: np.ndarray = bounds[:, 0] + unit * (bounds[:, 1] - bounds[:, 0])
    return inside


def sample(
    problem: Problem, place: Place, n: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return points of a place and their data; see `Residual` for what the data is.

    The number of measurements is their own; one point is the start of an ordinary
    equation; a periodic place gets `n` pairs.
    """
    if place.kind == "observed":
        observed = problem.conditions_of(Observed)[int(place.name)]
        values = observed.values[:, None]
        return observed.points, np.log(values) if observed.scale == "log" else values
    if place.kind == "boundary":
        assert problem.domain is not None
        points, normals = problem.domain.sample_boundary(place.name, n, seed)
        return _with_times(problem, points, seed), normals
    if place.kind == "periodic":
        points = interior(problem, n, seed)
        names = [x.name for x in problem.coordinates]
        ends = np.concatenate([points, points])
        column = names.index(place.name)
        ends[:n, column], ends[n:, column] = limits(problem)[column]
        return ends, np.zeros((2 * n, 0))
    if place.kind == "initial":
        assert problem.time is not None
        points = interior(problem, n if problem.domain is not None else 1, seed)
        points[:, 0] = problem.time.start
        return points, np.zeros((len(points), 0))
    points = interior(problem, n, seed)
    return points, np.zeros((n, 0))


def counts(
    problem: Problem, places: Iterable[Place], points: int, boundary: int, initial: int
) -> dict[Place, int]:
    """Return how many points each place gets.

    The boundary's points are shared out by measure, a periodic pair of sides counting
    like a side, with at least `_FEWEST_ON_A_SIDE` each.
    """
    number = {}
    measures = {}
    for place in places:
        if place.kind == "boundary":
            assert problem.domain is not None
            measures[place] = problem.domain.boundary_measure(place.name)
        elif place.kind == "periodic":
            assert isinstance(problem.domain, Box)
            column = [x.name for x in problem.space].index(place.name)
            low, _ = problem.domain.sides(problem.space[column])
            measures[place] = problem.domain.boundary_measure(low)
        else:
            number[place] = initial if place.kind == "initial" else points
    for place, measure in measures.items():
        share = boundary * measure / sum(measures.values())
        number[place] = max(round(share), _FEWEST_ON_A_SIDE)
    return number


def limits(problem: Problem) -> np.ndarray:
    """Return lower and upper ends of all coordinates, shape (coordinates, 2)."""
    ends = np.zeros((0, 2))
    if problem.domain is not None:
        ends = np.asarray(problem.domain.bounds, dtype=float)
    if problem.time is not None:
        ends = np.vstack([[problem.time.start, problem.time.end], ends])
    return ends


def _with_times(problem: Problem, points: np.ndarray, seed: int) -> np.ndarray:
    if problem.time is None:
        return points
    # Two Sobol sequences side by side are correlated, so one of them is shuffled.
    generator = np.random.default_rng([seed, 1])
    unit = generator.permutation(_sobol(1, len(points), seed)[:, 0])
    start, end = problem.time.start, problem.time.end
    return np.column_stack([start + unit * (end - start), points])


def _sobol(dimension: int, n: int, seed: int) -> np.ndarray:
    engine = qmc.Sobol(dimension, scramble=True, rng=np.random.default_rng([seed, 2]))
    # Powers of two keep the sequence balanced (scipy warns otherwise).
    points: np.ndarray = engine.random_base2(max(n - 1, 1).bit_length())[:n]
    return points
