"""Intervals of identified coefficients cover as often as they say, and no wider."""

import numpy as np
import pytest
import scipy.stats
import sympy as sp

from pinnsuite.classical.least_squares import NonlinearLeastSquares
from pinnsuite.neural.pinn import PINN
from pinnsuite.problem import (
    D,
    Initial,
    Observed,
    Problem,
    TimeInterval,
    Unknown,
    coordinates,
    field_of,
)

TRUTH = {"k": 2.0, "c": 0.3}
t, k, c = coordinates("t k c")
u = field_of("u", t)


def oscillator(seed=0, upper=np.inf):
    """u'' + c u' + k u = 0 from (1, 0): a damped oscillation, measured with noise."""
    decay, frequency = 0.15, np.sqrt(2.0 - 0.15**2)
    times = np.linspace(0, 6, 41)[1:]
    wave = np.cos(frequency * times) + decay / frequency * np.sin(frequency * times)
    noise = 0.05 * np.random.default_rng(seed).standard_normal(40)
    return Problem(
        "oscillator",
        [u],
        [D(u, t, 2) + c * D(u, t) + k * u],
        [
            Initial(u, 1),
            Initial(u, 0, order=1),
            Observed(u, times[:, None], np.exp(-decay * times) * wave + noise),
        ],
        time=TimeInterval(t, 0, 6, 61),
        unknowns=[Unknown(k, 0.1, upper, 1), Unknown(c, -np.inf, 5, 1)],
    )


SMALL = PINN(
    width=10,
    depth=1,
    points=60,
    adam_steps=0,
    optimiser="levenberg-marquardt",
    steps=50,
    resample_every=0,
)


def covered(seeds, solver=SMALL):
    """How often each coefficient's interval holds it."""
    count = dict.fromkeys(TRUTH, 0)
    for seed in seeds:
        intervals = solver.solve(oscillator(seed)).details["intervals"]
        for name, (low, high) in intervals.items():
            count[name] += low <= TRUTH[name] <= high
    return count


def least_and_most(number):
    """What 95 % gives in all but one of a thousand repetitions."""
    return scipy.stats.binom.interval(0.999, number, 0.95)


def test_intervals_cover_the_coefficients_as_often_as_they_say():
    least, _ = least_and_most(20)
    for count in covered(range(20)).values():
        assert count >= least


@pytest.mark.slow
def test_intervals_cover_no_more_often_than_they_say():
    least, most = least_and_most(200)
    for count in covered(range(200)).values():
        assert least <= count <= most < 200


@pytest.mark.parametrize("seed", [0, 1, 5])
def test_intervals_are_those_of_the_fit_with_the_equations_exact(seed):
    problem = oscillator(seed)
    exact = NonlinearLeastSquares(starts=1).solve(problem)
    found = SMALL.solve(problem)
    for name, error in exact.details["standard_errors"].items():
        assert found.details["standard_errors"][name] == pytest.approx(error, rel=0.05)
        value = exact.coefficients[name]
        assert found.coefficients[name] == pytest.approx(value, abs=0.05 * error)
        ends = exact.details["intervals"][name]
        np.testing.assert_allclose(
            found.details["intervals"][name], ends, atol=0.8 * error
        )
    (noise,) = found.details["noise"].values()
    assert noise == pytest.approx(0.05, rel=0.3)
    for name, (low, high) in found.details["intervals"].items():
        assert f"{name} in [{low:.4g}, {high:.4g}]" in found.message


def test_an_interval_does_not_depend_on_the_limits_that_are_far():
    wide, narrow = (
        SMALL.solve(oscillator(upper=upper)).details["intervals"]["k"]
        for upper in (np.inf, 40.0)
    )
    np.testing.assert_allclose(wide, narrow, atol=0.01)


def test_what_the_measurements_do_not_tell_has_a_wide_interval():
    other = sp.Symbol("other", real=True)
    problem = oscillator()
    doubled = Problem(
        "doubled",
        [u],
        [problem.equations[0].subs(k, k * other)],
        problem.conditions,
        time=problem.time,
        unknowns=[Unknown(s, 0.1, 10, 1) for s in (k, other)]
        + [Unknown(c, -np.inf, 5, 1)],
    )
    found = SMALL.solve(doubled)
    product = found.coefficients["k"] * found.coefficients["other"]
    assert product == pytest.approx(2.0, rel=0.05)
    for name in ("k", "other"):
        low, high = found.details["intervals"][name]
        assert high - low > 9
        assert 0.1 <= low < high <= 10
    assert found.details["standard_errors"]["c"] < 0.05


def test_forward_problems_have_no_intervals():
    problem = oscillator()
    forward = Problem(
        "forward",
        [u],
        [problem.equations[0].subs({k: 2.0, c: 0.3})],
        problem.conditions[:2],
        time=problem.time,
    )
    assert "intervals" not in SMALL.solve(forward).details
