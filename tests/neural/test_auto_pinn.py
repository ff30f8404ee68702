"""The learned method is chosen by the form of the problem, and by fresh residuals."""

from itertools import pairwise

import numpy as np
import pytest
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.neural.auto_pinn import AutoPINN
from pinnsuite.neural.pinn import PINN
from pinnsuite.neural.random_features.solver import RandomFeatures
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Initial,
    Observed,
    Problem,
    TimeInterval,
    Unknown,
    coordinates,
    field_of,
    laplacian,
    manufacture,
)
from pinnsuite.solution.solution import Status

t, x, y = coordinates("t x y")


def poisson():
    u = field_of("u", x, y)
    problem = Problem(
        "poisson",
        [u],
        [-laplacian(u, (x, y))],
        [Dirichlet(u, 0)],
        Box((x, 0, 1), (y, 0, 1)),
    )
    return manufacture(problem, {u: sp.sin(2 * x) * sp.exp(y)})


def in_four_dimensions():
    axes = coordinates("x_1 x_2 x_3 x_4")
    u = field_of("u", *axes)
    return Problem(
        "poisson 4d",
        [u],
        [-laplacian(u, axes) - 1],
        [Dirichlet(u, 0)],
        Box(*((a, 0, 1) for a in axes)),
    )


def decay_with_unknown_rate():
    u, rate = field_of("u", t), sp.Symbol("k")
    at = np.linspace(0.1, 1, 8)
    return Problem(
        "decay",
        [u],
        [D(u, t) + rate * u],
        [Initial(u, 1), Observed(u, at[:, None], np.exp(-0.7 * at))],
        time=TimeInterval(t, 0, 1, 5),
        unknowns=[Unknown(rate, 0.1, 2.0, 1.0)],
    )


def test_forward_problems_begin_with_random_features_and_fall_back_to_a_network():
    first, second = AutoPINN(seed=3, acceptance=0.02).candidates(poisson())
    assert isinstance(first, RandomFeatures)
    assert (first.seed, first.acceptance) == (3, 0.02)
    assert second == PINN(seed=3, tolerance=0.02)


def test_unknown_coefficients_in_ordinary_equations_follow_the_measurements():
    (network,) = AutoPINN().candidates(decay_with_unknown_rate())
    assert isinstance(network, PINN)
    assert network.data_weight > PINN().data_weight


def test_many_dimensions_have_a_network_in_batches_of_single_precision():
    *_, network = AutoPINN().candidates(in_four_dimensions())
    assert (network.optimiser, network.dtype) == ("soap", "float32")
    assert network.batch is not None


def test_what_is_accepted_first_ends_the_search():
    found = AutoPINN().solve(poisson())
    assert found.status is Status.OK
    (step,) = found.details["tried"]
    assert step.startswith("random-features: ok")
    points = np.random.default_rng(0).uniform(size=(200, 2))
    truth = np.sin(2 * points[:, 0]) * np.exp(points[:, 1])
    assert np.abs(found.at(points)["u"] - truth).max() < 1e-6


def test_nothing_is_accepted_that_misses_the_acceptance_and_all_is_recorded():
    """No method reaches 1e-14 here; the better answer comes back, as not reached."""
    found = AutoPINN(acceptance=1e-14).solve(poisson(), budget=4.0)
    assert found.status is Status.NOT_REACHED
    names = [step.split(":")[0] for step in found.details["tried"]]
    assert names == ["random-features", "pinn"]
    assert "Then pinn" in found.message
    # Random features, since their residual is the smaller one.
    assert found.details["fresh_residual"] < 1e-6
    for before, after in pairwise(found.snapshots):
        assert before.cpu_s <= after.cpu_s
        assert before.wall_s <= after.wall_s
    assert found.snapshots[-1].cpu_s <= found.cost.total
    assert found.cost.total < 8.0


def test_costs_and_progress_go_over_all_that_was_tried():
    told = []
    alone = RandomFeatures(acceptance=1e-14).solve(poisson(), budget=1.0)
    found = AutoPINN(acceptance=1e-14).solve(
        poisson(), budget=3.0, progress=lambda share, note: told.append((share, note))
    )
    assert found.cost.total > alone.cost.phases["symbolic"].cpu_s + 1.0
    shares = [share for share, _ in told]
    assert min(shares) >= 0
    assert max(shares) <= 1
    network = [s for s, note in told if note.startswith("pinn")]
    features = [s for s, note in told if note.startswith("random-features")]
    assert max(features) <= 0.5 <= min(network)


def test_no_time_at_all_is_said():
    found = AutoPINN().solve(poisson(), budget=0.0)
    assert found.status is Status.NOT_REACHED
    assert "no time" in found.message


@pytest.mark.parametrize(
    "options", [{"acceptance": 0.0}, {"seed": -1}, {"dtype": "float16"}]
)
def test_a_wrong_option_is_named(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        AutoPINN(**options)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_an_unknown_rate_is_found(seed):
    found = AutoPINN(seed=seed).solve(decay_with_unknown_rate())
    assert found.status is Status.OK
    assert found.coefficients["k"] == pytest.approx(0.7, rel=1e-6)
