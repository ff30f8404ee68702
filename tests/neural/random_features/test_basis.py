"""Random features have the derivatives that they state."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnsuite.neural.random_features.basis import SINE, TANH, draw

STEP = 1e-4


@pytest.mark.parametrize("activation", [SINE, TANH])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_each_derivative_is_the_difference_quotient_of_the_one_below(activation, d):
    basis = draw(20, (1.5,) * d, activation, 0)
    points = np.random.default_rng(1).uniform(-1, 1, (15, d))
    for axis in range(d):
        for k in range(4):
            # Mixed derivatives too: one more along the last coordinate.
            low = [0] * d
            low[-1] = min(k, 1)
            low[axis] += k - low[-1]
            high = list(low)
            high[axis] += 1
            step = STEP * np.eye(d)[axis]
            low, high = tuple(low), tuple(high)
            after = basis.tables(points + step, [low])[low]
            before = basis.tables(points - step, [low])[low]
            table = basis.tables(points, [high])[high]
            quotient = (after - before) / (2 * STEP)
            assert np.abs(table - quotient).max() < 1e-6 * max(1.0, np.abs(table).max())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), activation=st.sampled_from([SINE, TANH]))
def test_a_table_does_not_depend_on_which_others_are_asked_for(seed, activation):
    basis = draw(9, (2.0, 5.0), activation, seed)
    points = np.random.default_rng(seed).uniform(-1, 1, (2, 7, 2))
    orders = [(0, 0), (1, 0), (2, 1), (0, 4)]
    together = basis.tables(points, orders)
    for a in orders:
        assert np.array_equal(together[a], basis.tables(points, [a])[a])


@pytest.mark.parametrize("activation", [SINE, TANH])
def test_direct_links_are_the_constant_and_the_coordinates(activation):
    basis = draw(5, (3.0, 3.0), activation, 2)
    points = np.random.default_rng(3).uniform(-1, 1, (8, 2))
    tables = basis.tables(points, [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0)])
    links = {a: table[:, 5:] for a, table in tables.items()}
    assert np.array_equal(links[0, 0], np.column_stack([np.ones(8), points]))
    assert np.array_equal(links[1, 0], np.tile([0.0, 1.0, 0.0], (8, 1)))
    assert np.array_equal(links[0, 1], np.tile([0.0, 0.0, 1.0], (8, 1)))
    assert not links[1, 1].any()
    assert not links[2, 0].any()


def test_scales_bound_the_weights_along_each_coordinate():
    basis = draw(500, (0.5, 8.0), TANH, 0)
    largest = np.abs(basis.weights).max(0)
    assert (largest <= [0.5, 8.0]).all()
    assert (largest > [0.45, 7.2]).all()


def test_a_seed_gives_the_same_features_and_another_seed_others():
    first, again, other = (draw(4, (1.0,), SINE, s) for s in (1, 1, 2))
    assert np.array_equal(first.weights, again.weights)
    assert np.array_equal(first.biases, again.biases)
    assert not np.array_equal(first.weights, other.weights)
