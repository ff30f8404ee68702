import numpy as np
import pytest
from scipy.signal import lfilter

from pinnsuite.classical.identification import (
    N4SID,
    OutputError,
    _output,
    _sensitivity,
    subspace_model,
)
from pinnsuite.errors import OptionError
from pinnsuite.problem.catalog import entries


def relative_error(solver, problem):
    truth = problem.truth["output"]
    solution = solver.solve(problem.without_answer()).require_ok()
    return np.linalg.norm(solution.fields["output"] - truth) / np.linalg.norm(truth)


@pytest.mark.parametrize("order", [2, 4, 6])
@pytest.mark.parametrize("solver", [N4SID(), OutputError()], ids=["n4sid", "oe"])
def test_without_noise_order_and_response_are_exact(solver, order):
    problem = entries()["filter_identification"].make(order=order, snr=400.0)
    assert relative_error(solver, problem) < 1e-8
    assert solver.solve(problem.without_answer()).details["order"] == order


def test_the_poles_of_a_known_system_are_found():
    u = np.random.default_rng(0).standard_normal(400)
    y = lfilter([1.0, 0.5], [1.0, -1.2, 0.72], u)
    model = subspace_model(u, y, 10)
    poles = np.sort_complex(np.linalg.eigvals(model.a))
    np.testing.assert_allclose(poles, [0.6 - 0.6j, 0.6 + 0.6j], atol=1e-10)
    assert model.d == pytest.approx(1.0)


def test_output_error_attains_the_least_variance():
    errors = []
    for seed in range(8):
        problem = entries()["filter_identification"].make(seed=seed)
        errors.append(relative_error(OutputError(), problem))
    # 13 coefficients from 1000 samples with noise of a tenth of the signal: the mean
    # square of the relative error is 0.01 * 13 / 1000 for long records.
    ratio = np.mean(np.square(errors)) / (0.01 * 13 / 1000)
    assert 0.5 < ratio < 1.5


def test_output_error_is_no_worse_than_its_start_on_noisy_records():
    errors = []
    for seed in range(4):
        problem = entries()["filter_identification"].make(seed=seed, snr=10.0)
        errors.append([relative_error(s, problem) for s in (N4SID(), OutputError())])
    start, fitted = np.mean(errors, axis=0)
    assert fitted < start
    assert fitted < 0.06


def test_derivatives_of_the_output_are_exact():
    generator = np.random.default_rng(0)
    u = generator.standard_normal(50)
    point = np.array([-1.2, 0.72, 1.0, 0.5, 0.1])
    exact = _sensitivity(point, 2, u)
    for k, column in enumerate(exact.T):
        step = 1e-6 * np.eye(5)[k]
        difference = (_output(point + step, 2, u) - _output(point - step, 2, u)) / 2e-6
        np.testing.assert_allclose(column, difference, atol=1e-7)


@pytest.mark.parametrize("make", [N4SID, OutputError])
def test_too_few_block_rows_are_refused(make):
    with pytest.raises(OptionError, match="num_block_rows"):
        make(order=6, num_block_rows=6)


def test_a_short_record_is_refused_with_the_way_out():
    problem = entries()["filter_identification"].make(num_train=100)
    assert "lower num_block_rows" in N4SID().why_not(problem)
    assert N4SID(num_block_rows=8).why_not(problem) is None
