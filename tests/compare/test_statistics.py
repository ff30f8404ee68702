import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnsuite.compare.statistics import interquartile_mean_log10, ratio_interval


def test_the_interquartile_mean_leaves_a_quarter_off_at_each_end():
    errors = [1e-9, 1e-3, 1e-5, 1e3]
    assert interquartile_mean_log10(errors) == pytest.approx(1e-4)
    # Five values: 0.75 of the second, the third, 0.75 of the fourth.
    five = [1e-9, 1e-4, 1e-3, 1e-2, 1.0]
    assert interquartile_mean_log10(five) == pytest.approx(1e-3)


@given(st.lists(st.floats(1e-12, 1e6), min_size=1, max_size=12))
def test_it_lies_between_the_extremes(errors):
    middle = interquartile_mean_log10(errors)
    assert min(errors) * (1 - 1e-9) <= middle <= max(errors) * (1 + 1e-9)


def test_the_interval_covers_the_true_ratio_as_often_as_it_says():
    generator = np.random.default_rng(1)
    hits = 0
    for k in range(200):
        a = np.exp(generator.normal(np.log(3.0), 0.3, 15))
        b = np.exp(generator.normal(0.0, 0.3, 15))
        ratio, low, high = ratio_interval(a, b, seed=k)
        assert low <= ratio <= high
        hits += low <= 3.0 <= high
    assert 0.88 <= hits / 200 <= 1.0


def test_it_is_repeatable_and_of_no_width_for_one_value():
    values = [1.0, 2.0, 4.0]
    assert ratio_interval(values, [1.0]) == ratio_interval(values, [1.0])
    assert ratio_interval([6.0], [2.0]) == (3.0, 3.0, 3.0)
