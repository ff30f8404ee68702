import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnsuite.compare.convergence import convergence, observed_orders


def differences(solutions):
    return [float(abs(b - a)) for a, b in itertools.pairwise(solutions)]


@given(st.floats(0.5, 8), st.floats(1e-3, 1e3), st.sampled_from([1.5, 2.0, 3.0]))
def test_an_algebraic_sequence_is_estimated_exactly(order, factor, ratio):
    h = 0.1 / ratio ** np.arange(3)
    found = convergence(
        differences(factor * h**order), ratio=ratio, expected_order=order, floor=0.0
    )
    # Differences of numbers that agree to many digits keep few of them.
    assert found.observed_order == pytest.approx(order, rel=1e-3)
    assert found.error_estimate == pytest.approx(factor * h[-1] ** order, rel=1e-2)
    assert found.gci == 1.25 * found.error_estimate


def trapezoid(n):
    x = np.linspace(0, 1, n + 1)
    return np.trapezoid(np.exp(x), x)


@pytest.mark.parametrize("n", [4, 16, 64])
def test_effectivity_is_near_one_for_the_trapezoidal_rule(n):
    found = convergence(
        differences([trapezoid(n), trapezoid(2 * n), trapezoid(4 * n)]),
        expected_order=2.0,
    )
    true = abs(trapezoid(4 * n) - np.expm1(1.0))
    assert found.observed_order == pytest.approx(2, abs=0.02)
    assert found.error_estimate / true == pytest.approx(1, abs=0.02)
    assert found.gci > true


def test_a_lower_observed_order_widens_the_error_bar():
    # √x has a singular derivative at 0: order 3/2, whatever the rule declares.
    def rule(n):
        x = np.linspace(0, 1, n + 1)
        return np.trapezoid(np.sqrt(x), x)

    found = convergence(
        differences([rule(64), rule(128), rule(256)]), expected_order=2.0
    )
    true = abs(rule(256) - 2 / 3)
    assert found.observed_order == pytest.approx(1.5, abs=0.05)
    assert found.error_estimate / true == pytest.approx(1, abs=0.05)
    assert found.safety == 3.0
    with_declared_order = differences([rule(128), rule(256)])[0] / 3
    assert with_declared_order < 0.7 * true


def test_spectral_accuracy_is_never_underestimated():
    errors = np.array([1e-1, 1e-2, 1e-4, 1e-8])
    for k in (3, 4):
        found = convergence(differences(errors[:k]))
        assert found.error_estimate >= errors[k - 1]


def test_two_grids_use_the_declared_order_and_a_factor_of_three():
    found = convergence([3e-4], expected_order=2.0)
    assert found.observed_order is None
    assert found.error_estimate == pytest.approx(1e-4)
    assert found.gci == pytest.approx(3e-4)
    assert convergence([3e-4]).error_estimate == np.inf


@pytest.mark.parametrize("rising", [[1e-3, 1e-3], [1e-3, 2e-3], [1e-3, np.nan]])
def test_what_does_not_converge_has_no_error_bar(rising):
    assert convergence(rising, expected_order=2.0).error_estimate == np.inf


def test_an_order_above_the_declared_one_does_not_narrow_the_error_bar():
    # 5 h⁸ hides h⁴ on coarse grids.
    def solution(h):
        return h**4 + 5 * h**8

    found = convergence(
        differences([solution(1.0), solution(0.5), solution(0.25)]), expected_order=4.0
    )
    assert found.observed_order > 5
    assert found.error_estimate >= solution(0.25)
    assert found.safety == 3.0


def test_differences_of_rounding_give_the_floor():
    found = convergence([1e-9, 3e-16], expected_order=4.0)
    assert found.observed_order is None
    assert found.error_estimate == 1e-14


def test_nothing_to_go_by_is_refused():
    with pytest.raises(ValueError, match="at least one difference"):
        convergence([])
    with pytest.raises(ValueError, match="ratio above 1"):
        convergence([1.0, 0.5], ratio=1.0)


def test_orders_against_a_known_solution():
    assert observed_orders([1.0, 0.25, 1 / 64]) == pytest.approx([2.0, 4.0])
    assert observed_orders([1.0, 1 / 9], ratio=3.0) == pytest.approx([2.0])
