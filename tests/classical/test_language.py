import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnsuite.classical.language import NGram
from pinnsuite.compare.metrics import bits_per_character
from pinnsuite.problem.catalog import entries
from pinnsuite.problem.signal import SignalProblem


def text(train, test, num_codes=3):
    return SignalProblem(
        "small",
        "language",
        {
            "codes_train": np.array(train),
            "codes_test": np.array(test),
            "num_codes": np.array(num_codes),
        },
        None,
        {"position": np.arange(float(len(test))), "code": np.arange(float(num_codes))},
        metric="bits_per_character",
    )


def test_two_characters_by_hand():
    # Training 0 0 1: n = 3, u = 2; after 0: 0 once, 1 once.
    solution = NGram(2).solve(text([0, 0, 1], [0, 1]))
    probability = 2.0 ** solution.fields["log2_probability"]
    empty = np.array([2 + 2 / 3, 1 + 2 / 3, 2 / 3]) / 5
    after_zero = (np.array([1, 1, 0]) + 2 * empty) / 4
    np.testing.assert_allclose(probability, [empty, after_zero], rtol=1e-14)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 2), min_size=6, max_size=40),
    st.lists(st.integers(0, 2), min_size=6, max_size=20),
    st.integers(1, 5),
)
def test_probabilities_sum_to_one_and_see_only_the_past(train, test, order):
    full = NGram(order).solve(text(train, test)).fields["log2_probability"]
    np.testing.assert_allclose(np.exp2(full).sum(axis=1), 1.0, rtol=1e-12)
    changed = [*test[:-1], (test[-1] + 1) % 3]
    again = NGram(order).solve(text(train, changed)).fields["log2_probability"]
    np.testing.assert_array_equal(full, again)


def test_five_characters_predict_better_than_three():
    problem = entries()["text"].make()
    bits = [
        bits_per_character(
            NGram(order).solve(problem.without_answer()).fields["log2_probability"],
            problem.truth["log2_probability"],
        )
        for order in (1, 3, 5)
    ]
    assert bits[0] > bits[1] > bits[2]
    assert bits[2] < 2.4


def test_contexts_that_do_not_fit_an_integer_are_refused():
    assert "lower `order`" in NGram(9).why_not(text([0], [0], num_codes=256))
    assert NGram(7).why_not(text([0], [0], num_codes=256)) is None


def test_contexts_longer_than_the_text_do_no_harm():
    full = NGram(5).solve(text([0, 1], [1, 0])).fields["log2_probability"]
    np.testing.assert_allclose(np.exp2(full).sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("order", [0, 10])
def test_orders_out_of_range_are_refused(order):
    with pytest.raises(ValueError, match="order"):
        NGram(order)
