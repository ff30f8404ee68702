"""When a learned operator has paid back its data and its training."""

import math

import numpy as np
import pytest

from pinnsuite.compare.breakeven import breakeven, classical_cost
from pinnsuite.errors import DataError

# Error falls by 10 when the cost doubles.
ERRORS = np.array([1e-1, 1e-2, 1e-3, 1e-4])
COSTS = np.array([1.0, 2.0, 4.0, 8.0])


def judged(**changes):
    arguments = {
        "once_s": 100.0,
        "infer_s": 0.5,
        "error": 1e-2,
        "classical_errors": ERRORS,
        "classical_s": COSTS,
    }
    return breakeven(**(arguments | changes))


def test_the_count_is_where_both_have_cost_the_same():
    result = judged(error=10**-2.5)
    assert result.code == "AMORTISED"
    assert result.classical_s == pytest.approx(2 * math.sqrt(2))
    learned = 100.0 + result.count * 0.5
    assert learned == pytest.approx(result.count * result.classical_s)
    assert result.speedup == pytest.approx(4 * math.sqrt(2))


def test_the_sentence_holds_the_numbers():
    sentence = judged().sentence
    assert sentence == (
        "Pays off after 67 solves at error 1e-2: one classical solve costs 2 s, one "
        "inference 500 ms (marginal speed-up 4), 100 s spent once."
    )


@pytest.mark.parametrize("infer_s", [2.0, 3.0])
def test_an_inference_no_cheaper_than_a_solve_never_pays(infer_s):
    result = judged(infer_s=infer_s)
    assert result.code == "NEVER-PAYS"
    assert result.count is None
    assert result.speedup == pytest.approx(2.0 / infer_s)
    assert result.sentence.startswith("Never pays off at error 1e-2")


def test_what_costs_nothing_once_pays_at_once():
    assert judged(once_s=0.0).count == 0.0


def test_a_worse_operator_is_held_against_a_cheaper_solve():
    counts = [judged(error=e).count for e in (1e-4, 1e-3, 1e-2, 1e-1)]
    assert counts == sorted(counts)


def test_above_the_coarsest_rung_its_cost_stands():
    assert classical_cost(0.5, ERRORS, COSTS) == pytest.approx(1.0)
    assert judged(error=0.5).classical_s == pytest.approx(1.0)


def test_below_the_finest_rung_there_is_no_count():
    assert classical_cost(1e-5, ERRORS, COSTS) is None
    result = judged(error=1e-5)
    assert result.code == "INCOMPLETE"
    assert result.count is None
    assert "finer" in result.sentence


def test_three_rungs_are_too_few():
    result = judged(classical_errors=ERRORS[:3], classical_s=COSTS[:3])
    assert result.code == "INCOMPLETE"
    assert "3 resolutions" in result.sentence


def test_a_rung_that_another_beats_does_not_count():
    errors, costs = np.append(ERRORS, 2e-2), np.append(COSTS, 100.0)
    for error in (1e-4, 3e-3, 1.5e-2, 0.2):
        assert classical_cost(error, errors, costs) == pytest.approx(
            classical_cost(error, ERRORS, COSTS)
        )


def test_the_order_of_the_rungs_does_not_matter():
    order = [2, 0, 3, 1]
    assert judged() == judged(classical_errors=ERRORS[order], classical_s=COSTS[order])


def test_at_a_rung_the_cost_is_that_rung():
    costs = [classical_cost(e, ERRORS, COSTS) for e in ERRORS]
    np.testing.assert_allclose(costs, COSTS)


def test_an_exact_rung_is_taken():
    errors = np.array([1e-1, 1e-2, 1e-3, 0.0])
    assert classical_cost(0.0, errors, COSTS) == pytest.approx(8.0)
    assert classical_cost(1e-2, errors, COSTS) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"once_s": -1.0}, "once_s"),
        ({"once_s": math.inf}, "once_s"),
        ({"infer_s": 0.0}, "infer_s"),
        ({"error": math.nan}, "error"),
        ({"classical_errors": ERRORS[:3]}, "shape"),
        ({"classical_errors": -ERRORS}, "errors"),
        ({"classical_s": 0 * COSTS}, "costs"),
    ],
)
def test_costs_that_cannot_be_are_refused(changes, word):
    with pytest.raises(DataError, match=word):
        judged(**changes)
