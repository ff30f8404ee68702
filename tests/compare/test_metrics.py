import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnsuite.compare.metrics import (
    bits_per_character,
    error_rate,
    max_error,
    mean_relative_l2,
    relative_l1,
    relative_l2,
    relative_l2_modulo_constant,
)
from pinnsuite.errors import DataError
from pinnsuite.solution.support import Grid


def test_quadrature_weights_make_it_the_ratio_of_integrals():
    # u = x² beside v = x on [0, 1]: ∫(x² - x)² = 1/30 and ∫x² = 1/3. Points crowd at 0.
    x = np.linspace(0, 1, 4001) ** 3
    error = relative_l2(x**2, x, Grid({"x": x}).weights)
    assert error == pytest.approx(np.sqrt(1 / 10), rel=1e-6)
    assert abs(relative_l2(x**2, x) - np.sqrt(1 / 10)) > 0.05


@given(st.floats(1e-6, 1e6), st.floats(-1e3, 1e3))
def test_the_scale_of_the_field_does_not_matter_nor_a_constant_to_a_gauge(scale, shift):
    generator = np.random.default_rng(0)
    u, v, w = generator.uniform(1, 2, (3, 50))
    once = relative_l2(u, v, w)
    assert relative_l2(scale * u, scale * v, w) == pytest.approx(once)
    free = relative_l2_modulo_constant(u, v, w)
    assert relative_l2_modulo_constant(u + shift, v, w) == pytest.approx(free)
    assert free <= relative_l2(u, v, w) * np.sqrt(np.sum(w * v**2))


def test_a_reference_of_zero_leaves_the_root_mean_square():
    assert relative_l2(np.full(10, 0.5), np.zeros(10)) == pytest.approx(0.5)


def test_a_jump_in_the_wrong_cell_costs_its_width_in_l1():
    # A step that is off by δ of the unit interval, height 1: L1 has δ, L2 √δ.
    x = np.linspace(0, 1, 10001)
    weights = Grid({"x": x}).weights
    off, right = np.where(x < 0.51, 2.0, 1.0), np.where(x < 0.5, 2.0, 1.0)
    assert relative_l1(off, right, weights) == pytest.approx(0.01 / 1.5, rel=1e-3)
    assert relative_l2(off, right, weights) == pytest.approx(0.1 / 2.5**0.5, rel=1e-3)
    assert relative_l1(np.full(10, -0.5), np.zeros(10)) == pytest.approx(0.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_field_with_holes_is_infinitely_wrong(bad):
    u = np.array([1.0, bad, 1.0])
    assert relative_l2(u, np.ones(3)) == np.inf
    assert relative_l1(u, np.ones(3)) == np.inf
    assert max_error(u, np.ones(3)) == np.inf
    assert relative_l2_modulo_constant(u, np.arange(3.0)) == np.inf


def test_members_count_alike_whatever_their_size():
    v = np.array([[1.0, 1.0], [100.0, 100.0]])
    u = v * [[1.1], [1.3]]
    assert mean_relative_l2(u, v) == pytest.approx(0.2)


def test_error_rate_counts_wrong_rows():
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    labels = np.array([0, 1, 1, 1])
    assert error_rate(scores, labels) == 0.25
    assert error_rate(scores, np.eye(2)[labels]) == 0.25
    with pytest.raises(DataError, match="NaN in 1 of 4 rows"):
        error_rate(np.where(scores == 0.9, np.nan, scores), labels)


def test_a_uniform_guess_costs_the_logarithm_of_the_alphabet():
    codes = np.arange(32) % 8
    guess = np.full((32, 8), -3.0)
    assert bits_per_character(guess, codes) == pytest.approx(3.0)
    assert bits_per_character(guess, np.eye(8)[codes]) == pytest.approx(3.0)


@pytest.mark.parametrize("shift", [0.01, -0.01, np.nan])
def test_rows_that_are_no_distribution_are_refused(shift):
    guess = np.full((4, 8), -3.0)
    guess[2] += shift
    with pytest.raises(DataError, match="probabilities of row 2 sum to"):
        bits_per_character(guess, np.zeros(4, dtype=int))
