import json

import numpy as np
import pytest
import torch

from pinnsuite.compare.metrics import bits_per_character, error_rate, relative_l2
from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.neural.dynamics.blind_spot import (
    BlindSpotDenoiser,
    BlindSpotNetwork,
    noise_variance,
)
from pinnsuite.neural.dynamics.language_model import (
    CausalNetwork,
    StateSpaceLanguageModel,
    predict,
)
from pinnsuite.neural.dynamics.neural_ode import NeuralODE, VectorField
from pinnsuite.neural.dynamics.residual_networks import ODENet, ResNet
from pinnsuite.neural.dynamics.state_space_model import StateSpaceModel
from pinnsuite.neural.dynamics.training import seeded
from pinnsuite.problem.catalog import entries

QUICK = {
    "ecg": [BlindSpotDenoiser(width=8, num_layers=1, steps=5)],
    "filter_identification": [StateSpaceModel(steps=5)],
    "lotka_volterra_trajectories": [NeuralODE(width=8, batch=16, window=2, steps=5)],
    "digits": [ODENet(channels=6, epochs=1), ResNet(channels=6, epochs=1)],
    "text": [StateSpaceLanguageModel(width=8, num_layers=1, steps=3, window=64)],
}


@pytest.fixture(scope="module")
def problems():
    return {name: entries()[name].make() for name in QUICK}


@pytest.mark.parametrize(
    ("name", "solver"),
    [(name, solver) for name, solvers in QUICK.items() for solver in solvers],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
def test_the_answer_does_not_know_the_truth_and_repeats(problems, name, solver):
    problem = problems[name]
    if isinstance(solver, NeuralODE):
        # Its own forecast takes seconds, most of them for refined steps.
        problem = entries()[name].make(num_test=1, forecast=5.0)
    ((field, truth),) = problem.truth.items()
    blind = solver.solve(problem.without_answer())
    seeing = solver.solve(problem)
    assert blind.fields[field].shape == truth.shape
    assert blind.fields[field].dtype == np.float64
    np.testing.assert_array_equal(blind.fields[field], seeing.fields[field])
    assert blind.cost.total > 0
    json.dumps(dict(blind.details), allow_nan=False)
    other = next(p for n, p in problems.items() if n != name)
    with pytest.raises(UnsupportedProblemError, match="task"):
        solver.solve(other)


def test_a_budget_is_kept(problems):
    solution = StateSpaceModel(steps=10**6).solve(
        problems["filter_identification"].without_answer(), budget=0.5
    )
    assert solution.details["stop_reason"] == "budget"
    assert solution.cost.total < 1.0


def test_later_characters_do_not_change_earlier_predictions():
    with seeded(0):
        network = CausalNetwork(7, 8, 2, 4).double()
    codes = np.random.default_rng(0).integers(0, 7, 100)
    changed = codes.copy()
    changed[60:] = (changed[60:] + 1) % 7
    with torch.no_grad():
        first, second = (predict(network, c, 32) for c in (codes, changed))
    np.testing.assert_allclose(first[:61], second[:61], atol=1e-12)
    assert np.abs(first[61:] - second[61:]).max() > 1e-3
    np.testing.assert_allclose(np.exp2(first).sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("length", [1, 5, 16, 17, 33, 100])
def test_windows_cover_every_character_once(length):
    with seeded(0):
        network = CausalNetwork(3, 4, 1, 2)
    codes = np.zeros(length, dtype=np.int64)
    with torch.no_grad():
        assert predict(network, codes, 16).shape == (length, 3)


def test_no_sample_is_predicted_from_itself():
    with seeded(0):
        network = BlindSpotNetwork(6, 2, 4).double()
    y = torch.randn(50, generator=torch.Generator().manual_seed(0)).double()
    jacobian = torch.autograd.functional.jacobian(network, y)
    assert jacobian.diagonal().abs().max() < 1e-12
    assert (jacobian.abs().sum(1) > 1e-6).all()


def test_the_noise_variance_of_noise_on_a_smooth_signal_is_found():
    t = np.arange(20_000)
    noise = 0.5 * np.random.default_rng(0).standard_normal(len(t))
    assert noise_variance(np.sin(t / 50) + noise) == pytest.approx(0.25, rel=0.05)


def test_the_field_is_scaled_to_the_data():
    t = np.linspace(0.0, 1.0, 11)
    states = np.stack([1e3 + np.sin(t), 1e-3 * np.cos(t)], -1)[None]
    with seeded(0):
        field = VectorField(states, t, 16).double()
    rates = field(torch.zeros(()), torch.tensor(states)).abs()
    assert (rates.mean((0, 1)) < torch.tensor([10.0, 1e-2])).all()
    assert (rates.mean((0, 1)) > torch.tensor([1e-2, 1e-5])).all()


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: NeuralODE(scheme="rk5"), "rk4"),
        (lambda: NeuralODE(window=0), "window"),
        (lambda: ODENet(channels=20), "multiple of 6"),
        (lambda: ODENet(num_steps=3), "num_steps"),
        (lambda: ResNet(num_blocks=1), "num_blocks"),
        (lambda: StateSpaceModel(num_states=0), "num_states"),
        (lambda: StateSpaceLanguageModel(steps=0), "steps"),
        (lambda: BlindSpotDenoiser(learning_rate=-1.0), "learning_rate"),
    ],
)
def test_wrong_options_are_named(make, named):
    with pytest.raises(OptionError, match=named):
        make()


def errors_over_seeds(problem, make, measure):
    ((field, truth),) = problem.truth.items()
    return [
        measure(
            make(seed).solve(problem.without_answer()).require_ok().fields[field], truth
        )
        for seed in range(3)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "make", "measure", "largest"),
    [
        ("ecg", BlindSpotDenoiser, relative_l2, 10 ** (-12 / 20)),
        ("filter_identification", StateSpaceModel, relative_l2, 0.08),
        ("lotka_volterra_trajectories", NeuralODE, relative_l2, 0.2),
        ("digits", ODENet, error_rate, 0.06),
        ("digits", ResNet, error_rate, 0.04),
        ("text", StateSpaceLanguageModel, bits_per_character, 2.9),
    ],
)
def test_learned_solvers_reach_their_accuracy(problems, name, make, measure, largest):
    errors = errors_over_seeds(problems[name], lambda seed: make(seed=seed), measure)
    assert max(errors) < largest


@pytest.mark.slow
def test_a_trained_neural_ode_is_a_differential_equation(problems):
    problem = problems["lotka_volterra_trajectories"]
    solution = NeuralODE(steps=200).solve(problem.without_answer())
    table = solution.details["step_refinement"]
    assert table["observed_order"][1:-1] == pytest.approx([4.0] * 2, abs=0.2)
    assert table["trained_distance"] < 1e-3
