"""Identification: a real data set, a manufactured one, bounds, budgets, refusals."""

import csv

import numpy as np
import pytest
import sympy as sp

from pinnsuite.classical.least_squares import NonlinearLeastSquares, _Misfit
from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.problem import (
    D,
    Dirichlet,
    Initial,
    Interval,
    Observed,
    Problem,
    TimeInterval,
    Unknown,
    coordinates,
    data_file,
    field_of,
)
from pinnsuite.solution.solution import Status

(t,) = coordinates("t")
hare, lynx, z = field_of("hare", t), field_of("lynx", t), field_of("z", t)
alpha, beta, gamma, delta, hare_0, lynx_0, rate, limit = (
    sp.Symbol(name, real=True)
    for name in ["alpha", "beta", "gamma", "delta", "hare_0", "lynx_0", "rate", "limit"]
)


def pelts():
    with data_file("measured/hudson_bay_pelts.csv").open() as file:
        rows = np.array([[float(v) for v in r] for r in list(csv.reader(file))[1:]])
    years = rows[:, :1] - 1900
    return Problem(
        "pelts",
        [hare, lynx],
        [
            D(hare, t) - alpha * hare + beta * hare * lynx,
            D(lynx, t) + gamma * lynx - delta * hare * lynx,
        ],
        [
            Initial(hare, hare_0),
            Initial(lynx, lynx_0),
            Observed(hare, years, rows[:, 1], scale="log"),
            Observed(lynx, years, rows[:, 2], scale="log"),
        ],
        time=TimeInterval(t, 0, 20, 81),
        unknowns=[
            Unknown(alpha, 0.05, 3, 1),
            Unknown(beta, 0.001, 1, 0.05),
            Unknown(gamma, 0.05, 3, 1),
            Unknown(delta, 0.001, 1, 0.05),
            Unknown(hare_0, 1, 100, 30),
            Unknown(lynx_0, 1, 100, 4),
        ],
    )


def logistic(values=None, guess=0.3, scale="linear"):
    times = np.linspace(0, 4, 9)[:, None]
    if values is None:
        values = 2 / (1 + 3 * np.exp(-1.5 * times[:, 0]))
    return Problem(
        "logistic",
        [z],
        [D(z, t) - rate * z * (1 - z / limit)],
        [Initial(z, limit / 4), Observed(z, times, values, scale=scale)],
        time=TimeInterval(t, 0, 4, 21),
        unknowns=[Unknown(rate, 0.1, 5, guess), Unknown(limit, 0.5, 9, 5)],
    )


def test_pelts_agree_with_the_bayesian_fit_of_the_same_model():
    # Posterior means of the Stan case study named in data/README.md.
    solution = NonlinearLeastSquares().solve(pelts()).require_ok()
    stan = {"alpha": 0.55, "beta": 0.028, "gamma": 0.80, "delta": 0.024}
    spread = solution.details["standard_errors"]
    for name, value in stan.items():
        assert solution.coefficients[name] == pytest.approx(value, abs=spread[name])
    assert solution.details["misfit"] == pytest.approx(0.25, abs=0.05)
    assert solution.cost.total < 5


def test_no_neighbour_of_the_fit_is_better():
    problem = pelts()
    solution = NonlinearLeastSquares(starts=1).solve(problem)
    misfit = _Misfit(NonlinearLeastSquares(), problem, None)
    best = np.array([solution.coefficients[str(u.symbol)] for u in problem.unknowns])
    least = np.sum(misfit.residuals(best) ** 2)
    for k in range(len(best)):
        for factor in (0.999, 1.001):
            near = best.copy()
            near[k] *= factor
            assert np.sum(misfit.residuals(near) ** 2) > least


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_exact_measurements_give_back_the_coefficients(scale):
    solution = NonlinearLeastSquares(rtol=1e-11).solve(logistic(scale=scale))
    assert solution.coefficients["rate"] == pytest.approx(1.5, rel=1e-8)
    assert solution.coefficients["limit"] == pytest.approx(2.0, rel=1e-8)
    at = np.array([[0.0], [1.23], [4.0]])
    exact = 2 / (1 + 3 * np.exp(-1.5 * at[:, 0]))
    np.testing.assert_allclose(solution.at(at)["z"], exact, rtol=1e-8)


def test_sensitivities_are_the_derivatives_of_the_residuals():
    problem = logistic(scale="log")
    misfit = _Misfit(NonlinearLeastSquares(rtol=1e-12, atol=1e-13), problem, None)
    at = np.array([0.9, 2.5])
    jac = misfit.jacobian(at)
    for k, h in enumerate((1e-5, 1e-5)):
        step = h * np.eye(2)[k]
        slope = (misfit.residuals(at + step) - misfit.residuals(at - step)) / (2 * h)
        np.testing.assert_allclose(jac[:, k], slope, atol=1e-8)


@pytest.mark.slow
def test_standard_errors_are_the_spread_over_repeated_noise():
    times = np.linspace(0, 4, 9)
    exact = 2 / (1 + 3 * np.exp(-1.5 * times))
    generator = np.random.default_rng(1)
    found, claimed = [], []
    for _ in range(60):
        noisy = exact + 0.02 * generator.standard_normal(9)
        solver = NonlinearLeastSquares(starts=1, rtol=1e-6, atol=1e-8)
        solution = solver.solve(logistic(noisy, guess=1.4))
        found.append(solution.coefficients["rate"])
        claimed.append(solution.details["standard_errors"]["rate"])
    # The relative error of a spread from 60 draws is 1/√120 = 9 %.
    assert np.std(found) == pytest.approx(np.sqrt(np.mean(np.square(claimed))), rel=0.3)


@pytest.mark.slow
def test_a_bad_guess_is_saved_by_other_starts():
    times = np.linspace(0, 10, 41)
    frequency = sp.Symbol("frequency", real=True)
    problem = Problem(
        "tone",
        [z],
        [D(z, t, 2) + frequency**2 * z],
        [
            Initial(z, 1),
            Initial(z, 0, order=1),
            Observed(z, times[:, None], np.cos(3 * times)),
        ],
        time=TimeInterval(t, 0, 10, 11),
        unknowns=[Unknown(frequency, 1, 6, 5.5)],
    )
    alone = NonlinearLeastSquares(starts=1).solve(problem)
    assert alone.details["misfit"] > 0.1
    helped = NonlinearLeastSquares(starts=12).solve(problem)
    assert helped.coefficients["frequency"] == pytest.approx(3, rel=1e-6)


def test_what_the_measurements_do_not_determine_has_no_standard_error():
    other = sp.Symbol("other", real=True)
    times = np.linspace(0, 1, 5)
    problem = Problem(
        "decay",
        [z],
        [D(z, t) + rate * other * z],
        [Initial(z, 1), Observed(z, times[:, None], np.exp(-times))],
        time=TimeInterval(t, 0, 1, 5),
        unknowns=[Unknown(rate, 0.1, 5, 1), Unknown(other, 0.1, 5, 2)],
    )
    solution = NonlinearLeastSquares(starts=1).solve(problem)
    product = solution.coefficients["rate"] * solution.coefficients["other"]
    assert product == pytest.approx(1, rel=1e-6)
    assert set(solution.details["standard_errors"].values()) == {None}


def test_budget_returns_the_best_so_far():
    solution = NonlinearLeastSquares(starts=50).solve(pelts(), budget=0.3)
    assert solution.status is Status.NOT_REACHED
    assert "best fit so far" in solution.sentence
    assert solution.coefficients
    assert solution.cost.total < 1.5


def test_no_trajectory_at_any_start_is_a_failure_with_the_way_out():
    problem = Problem(
        "blow-up",
        [z],
        [D(z, t) - rate * z**2],
        [Initial(z, 1), Observed(z, [[3.0]], [1.0])],
        time=TimeInterval(t, 0, 3, 5),
        unknowns=[Unknown(rate, 1, 2, 1.5)],
    )
    solution = NonlinearLeastSquares().solve(problem)
    assert solution.status is Status.DIVERGED
    assert "narrow the bounds" in solution.sentence


def test_refined_tightens_the_tolerances():
    solver = NonlinearLeastSquares().refined()
    assert (solver.rtol, solver.atol) == pytest.approx((1e-10, 1e-12))
    assert solver.expected_order(logistic()) is None


def test_refusals_name_the_part():
    known = Problem(
        "known", [z], [D(z, t) + z], [Initial(z, 1)], time=TimeInterval(t, 0, 1)
    )
    assert "no unknown coefficients" in NonlinearLeastSquares().why_not(known)
    with pytest.raises(UnsupportedProblemError, match="known"):
        NonlinearLeastSquares().solve(known)
    t_, x = coordinates("t x")
    u = field_of("u", t_, x)
    in_space = Problem(
        "rod",
        [u],
        [D(u, t_) - rate * D(u, x, 2)],
        [Initial(u, 0), Dirichlet(u, 0), Observed(u, [[0.5, 0.5]], [1.0])],
        Interval(x, 0, 1),
        TimeInterval(t_, 0, 1),
        unknowns=[Unknown(rate, 0, 1, 0.5)],
    )
    assert "space coordinates x" in NonlinearLeastSquares().why_not(in_space)
    late = logistic()
    late = Problem(
        "late",
        late.fields,
        late.equations,
        late.conditions,
        time=TimeInterval(t, 0, 3),
        unknowns=late.unknowns,
    )
    assert "extend the interval" in NonlinearLeastSquares().why_not(late)
    with pytest.raises(OptionError, match="starts is 0"):
        NonlinearLeastSquares(starts=0)
