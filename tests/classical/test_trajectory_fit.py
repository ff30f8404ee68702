from dataclasses import replace

import numpy as np
import pytest

from pinnsuite.classical.trajectory_fit import (
    TrajectoryFit,
    _sensitivities,
    _system,
)
from pinnsuite.problem.catalog import entries
from pinnsuite.problem.form import evolution

TRUTH = {"α": 1.5, "β": 1.0, "γ": 3.0, "δ": 1.0}


@pytest.fixture(scope="module")
def small():
    make = entries()["lotka_volterra_trajectories"].make
    return lambda noise: make(noise=noise, num_train=4, num_test=2)


def test_without_noise_coefficients_and_forecast_are_exact(small):
    problem = small(0.0)
    solution = TrajectoryFit().solve(problem.without_answer()).require_ok()
    for name, value in TRUTH.items():
        assert solution.coefficients[name] == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(
        solution.fields["states"], problem.truth["states"], atol=1e-6
    )


def test_with_noise_the_coefficients_are_found_to_a_percent(small):
    solution = TrajectoryFit().solve(small(0.03).without_answer()).require_ok()
    for name, value in TRUTH.items():
        assert solution.coefficients[name] == pytest.approx(value, rel=0.01)


def test_sensitivities_are_the_derivatives_of_the_states(small):
    problem = small(0.0)
    system = _system(problem.physics, evolution(problem.physics))
    theta = np.array([1.4, 0.9, 2.8, 1.1])
    starts = problem.given["states_train"][:2, 0]
    times = np.linspace(0.0, 2.0, 5)
    _, by_theta, by_start = _sensitivities(system, theta, starts, times, 1e-11)

    def states(theta, starts):
        return _sensitivities(system, theta, starts, times, 1e-11)[0]

    step = 1e-5
    for k in range(4):
        change = step * np.eye(4)[k]
        difference = states(theta + change, starts) - states(theta - change, starts)
        np.testing.assert_allclose(by_theta[..., k], difference / (2 * step), atol=1e-6)
    for k in range(2):
        change = step * np.eye(2)[k]
        difference = states(theta, starts + change) - states(theta, starts - change)
        np.testing.assert_allclose(by_start[..., k], difference / (2 * step), atol=1e-6)


def test_without_equations_it_says_what_to_supply(small):
    problem = replace(small(0.0), physics=None)
    assert "physics=Problem" in TrajectoryFit().why_not(problem)
