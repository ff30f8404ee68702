"""Coefficients by Gauss-Newton steps over forward solutions."""

import math

import numpy as np
import pytest
import scipy.stats
import sympy as sp

from pinnsuite.neural.auto_pinn import AutoPINN
from pinnsuite.neural.identification import identified, misfits
from pinnsuite.neural.random_features.solver import RandomFeatures
from pinnsuite.problem import (
    D,
    Dirichlet,
    Initial,
    Interval,
    Observed,
    Problem,
    TimeInterval,
    Unknown,
    UnknownField,
    coordinates,
    field_of,
)
from pinnsuite.problem.replaced import with_coefficients
from pinnsuite.solution.solution import Status

t, x, k, c = coordinates("t x k c")
u = field_of("u", t)
TRUTH = {"k": 2.0, "c": 0.3}


def oscillator(noise=0.0, seed=0, scale="linear"):
    """u'' + c u' + k u = 0 from (2, 0), measured at forty times."""
    decay, frequency = 0.15, math.sqrt(2.0 - 0.15**2)
    times = np.linspace(0, 6, 41)[1:]
    wave = np.cos(frequency * times) + decay / frequency * np.sin(frequency * times)
    exact = 2 * np.exp(-decay * times) * wave
    errors = noise * np.random.default_rng(seed).standard_normal(40)
    return Problem(
        "oscillator",
        [u],
        [D(u, t, 2) + c * D(u, t) + k * u],
        [
            Initial(u, 2),
            Initial(u, 0, order=1),
            Observed(u, times[:, None], exact + errors, scale),
        ],
        time=TimeInterval(t, 0, 6, 61),
        unknowns=[Unknown(k, 0.1, 50, 1), Unknown(c, -1, 5, 1)],
    )


def identify(problem, start, is_over=lambda: False):
    solver = RandomFeatures(tolerances=(1e-8,))
    return identified(problem, start, solver.solve, is_over)


def test_exact_measurements_give_the_coefficients_to_the_accuracy_of_the_solver():
    found = identify(oscillator(), {"k": 1.8, "c": 0.5})
    for name, value in TRUTH.items():
        assert found.coefficients[name] == pytest.approx(value, rel=1e-6)
    assert found.details["misfit"] < 1e-6
    assert found.status is Status.OK


def test_logarithms_are_fitted_where_they_are_measured():
    rate = sp.Symbol("k", real=True)
    times = np.linspace(0.5, 5, 10)
    factors = np.exp(0.3 * np.random.default_rng(0).standard_normal(10))
    problem = Problem(
        "decay",
        [u],
        [D(u, t) + rate * u],
        [
            Initial(u, 3),
            Observed(u, times[:, None], 3 * np.exp(-times) * factors, "log"),
        ],
        time=TimeInterval(t, 0, 5, 6),
        unknowns=[Unknown(rate, 0.1, 5.0, 1.0)],
    )
    found = identify(problem, {"k": 0.6})
    # log u = log 3 - k t: a linear fit.
    logs = np.log(np.exp(-times) * factors)
    assert found.coefficients["k"] == pytest.approx(
        -(times @ logs) / (times @ times), rel=1e-6
    )


@pytest.mark.parametrize("number", [12, pytest.param(200, marks=pytest.mark.slow)])
def test_intervals_cover_as_often_as_they_say(number):
    least, most = scipy.stats.binom.interval(0.999, number, 0.95)
    count = dict.fromkeys(TRUTH, 0)
    for seed in range(number):
        found = identify(oscillator(noise=0.05, seed=seed), TRUTH)
        for name, (low, high) in found.details["intervals"].items():
            count[name] += low <= TRUTH[name] <= high
    for covered in count.values():
        assert least <= covered <= most


def test_what_no_forward_solution_is_found_for_has_none():
    assert identify(oscillator(), TRUTH, is_over=lambda: True) is None


def test_another_minimum_is_no_solution():
    at = np.linspace(0, 20, 61)[1:]
    problem = Problem(
        "spring",
        [u],
        [D(u, t, 2) + k * u],
        [
            Initial(u, 1),
            Initial(u, 0, order=1),
            Observed(u, at[:, None], np.cos(3 * at)),
        ],
        time=TimeInterval(t, 0, 20, 61),
        unknowns=[Unknown(k, 0.1, 50, 1)],
    )
    found = AutoPINN().solve(problem, budget=2.0)
    assert abs(found.coefficients["k"] - 9) > 1
    assert found.status is Status.NOT_REACHED


def test_measurements_of_any_size_count_alike():
    a, b = sp.symbols("a b", real=True)
    v = field_of("v", t)
    at = np.linspace(0.1, 3, 30)
    noise = 0.02 * np.random.default_rng(0).standard_normal((2, 30))
    problem = Problem(
        "two rates",
        [u, v],
        [D(u, t) + a * u, D(v, t) + b * v],
        [
            Initial(u, 10_000),
            Initial(v, 1),
            Observed(u, at[:, None], 1e4 * (np.exp(-at) + noise[0])),
            Observed(v, at[:, None], np.exp(-at / 2) + noise[1]),
        ],
        time=TimeInterval(t, 0, 3, 31),
        unknowns=[Unknown(a, 0.01, 5, 1.5), Unknown(b, 0.01, 5, 1)],
    )
    found = identify(problem, {"a": 1.2, "b": 0.7})
    for name, value in {"a": 1.0, "b": 0.5}.items():
        low, high = found.details["intervals"][name]
        assert low < value < high
        assert high - low < 0.1


def test_what_no_measurement_depends_on_stays_and_has_all_of_its_range():
    b, v = sp.Symbol("b", real=True), field_of("v", t)
    at = np.linspace(0.1, 3, 30)
    noise = 0.02 * np.random.default_rng(0).standard_normal(30)
    problem = Problem(
        "one of two",
        [u, v],
        [D(u, t) + k * u, D(v, t) + b * v],
        [
            Initial(u, 1),
            Initial(v, 1),
            Observed(u, at[:, None], np.exp(-at) + noise),
        ],
        time=TimeInterval(t, 0, 3, 31),
        unknowns=[Unknown(k, 0.01, 5, 1.5), Unknown(b, 0.01, 5, 1)],
    )
    found = identify(problem, {"k": 1.2, "b": 0.7})
    assert found.coefficients["b"] == 0.7
    assert found.details["intervals"]["b"] == [0.01, 5.0]
    assert found.coefficients["k"] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("start", [3.0, 1.0])
def test_steps_stop_short_of_bounds_where_the_equations_are_undefined(start):
    tau = sp.Symbol("tau", real=True)
    at = np.linspace(0.1, 1, 10)
    problem = Problem(
        "relaxation",
        [u],
        [D(u, t) + u / tau],
        [Initial(u, 1), Observed(u, at[:, None], np.exp(-5 * at))],
        time=TimeInterval(t, 0, 1, 11),
        unknowns=[Unknown(tau, 0, 5, 1)],
    )
    found = identify(problem, {"tau": start})
    assert found.coefficients["tau"] == pytest.approx(0.2, rel=1e-5)
    assert identify(problem, {"tau": 0.0}) is None


def test_known_coefficients_leave_a_forward_problem():
    known = with_coefficients(oscillator(), TRUTH)
    assert not known.unknowns
    assert not known.conditions_of(Observed)
    assert not known.equations[0].has(k, c)


def test_exact_equations_end_what_a_network_began():
    found = AutoPINN().solve(oscillator(noise=0.02), budget=8.0)
    assert [s.split(":")[0] for s in found.details["tried"]] == ["pinn", "gauss-newton"]
    assert found.status is Status.OK
    # The equations hold far better than a network's do.
    assert found.details["fresh_residual"] < 1e-6
    (r,) = misfits(oscillator(noise=0.02), found.evaluator)
    assert math.sqrt(np.mean(r**2)) == pytest.approx(0.02, rel=0.3)
    for before, after in zip(found.snapshots, found.snapshots[1:], strict=False):
        assert before.cpu_s <= after.cpu_s


def test_unknown_functions_are_left_to_the_network():
    w, a = field_of("w", t, x), field_of("a", x)
    problem = Problem(
        "rod",
        [w, a],
        [D(w, t) - D(a * D(w, x), x)],
        [
            Initial(w, 1 - x),
            Dirichlet(w, 1 - x),
            Observed(w, [[0.5, 0.5]], [0.5]),
        ],
        Interval(x, 0, 1),
        TimeInterval(t, 0, 1, 5),
        unknowns=[UnknownField(a, 0.1, 10.0, 1.0)],
    )
    found = AutoPINN().solve(problem, budget=1.0)
    assert [s.split(":")[0] for s in found.details["tried"]] == ["pinn"]
