import numpy as np
import pytest

from pinnsuite.classical.sindy import SINDy, thresholded_least_squares
from pinnsuite.problem.catalog import entries
from pinnsuite.problem.signal import SignalProblem


def relative_error(solver, problem):
    truth = problem.truth["states"]
    solution = solver.solve(problem.without_answer()).require_ok()
    return np.linalg.norm(solution.fields["states"] - truth) / np.linalg.norm(truth)


def test_a_sparse_combination_is_recovered_exactly():
    generator = np.random.default_rng(0)
    features = generator.standard_normal((200, 8))
    truth = np.zeros((8, 2))
    truth[1, 0], truth[5, 0], truth[3, 1] = 2.0, -1.0, 0.5
    targets = features @ truth + 0.01 * generator.standard_normal((200, 2))
    found = thresholded_least_squares(features, targets, 0.2)
    assert ((found != 0) == (truth != 0)).all()
    np.testing.assert_allclose(found, truth, atol=5e-3)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_only_the_terms_of_the_equation_are_found(noise, seed):
    problem = entries()["lotka_volterra_trajectories"].make(noise=noise, seed=seed)
    solution = SINDy().solve(problem.without_answer())
    prey, predator = solution.details["equations"]
    assert "x0" in prey
    assert "x0 x1" in prey
    assert "x1" in predator
    assert solution.details["dofs"] == 4
    assert relative_error(SINDy(), problem) < 0.03


def test_derivatives_are_of_fourth_order():
    errors = []
    for samples in (51, 101):
        t = np.linspace(0.0, 2.0, samples)
        states = np.sin(3 * t)[None, :, None]
        inner = slice(2, -2)
        rates = SINDy(window=5)._local_polynomial(states, t, 1)[:, 0]
        errors.append(np.abs(rates - 3 * np.cos(3 * t[inner])).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(4.0, abs=0.1)


def test_a_blow_up_is_a_status():
    # x' = x², x = 1 / (1 / x₀ - t): decays from below 0, blows up at 1 from x₀ = 1.
    t = np.linspace(0.0, 2.0, 101)
    starts = -np.array([2.0, 1.5, 1.0, 0.5])
    given = {
        "t_train": t,
        "states_train": (1 / (1 / starts[:, None] - t))[..., None],
        "t_test": t,
        "initial_test": np.array([[1.0]]),
    }
    axes = {"trajectory": np.zeros(1), "t": t, "state": np.zeros(1)}
    solution = SINDy().solve(SignalProblem("escape", "forecast", given, None, axes))
    assert solution.details["equations"] == ["1 x0^2"]
    assert solution.status == "diverged"
    assert "blows up" in solution.sentence
