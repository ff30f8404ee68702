import json

import numpy as np
import pytest

from pinnsuite.neural.dynamics.refinement import step_refinement

COUNTS = (1, 2, 4, 8, 16, 32, 64)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_an_answer_with_a_known_error_shows_its_order(order):
    limit = np.array([3.0, 4.0])
    table = step_refinement(
        lambda n: limit + np.array([0.3, -0.1]) / n**order,
        COUNTS[: 7 if order < 4 else 5],
        trained=4,
        expected_order=order,
    )
    inner = table["observed_order"][1:-1]
    assert inner == pytest.approx([order] * len(inner), abs=1e-4)
    assert table["observed_order"][0] is None
    assert table["distance"][-1] == 0.0
    assert table["trained_distance"] == table["distance"][2]
    json.dumps(table, allow_nan=False)


def test_an_answer_that_lives_off_its_steps_has_no_order():
    table = step_refinement(
        lambda n: np.array([1.0, (-1.0) ** np.log2(n)]),
        COUNTS,
        trained=4,
        expected_order=1,
        scores=lambda a: {"second": float(a[1])},
    )
    assert max(map(abs, table["observed_order"][1:-1])) < 1e-12
    assert table["second"] == [(-1.0) ** k for k in range(7)]


def test_differences_of_rounding_size_give_no_order():
    table = step_refinement(lambda n: np.ones(2), COUNTS, trained=1, expected_order=4)
    assert table["observed_order"] == [None] * len(COUNTS)
