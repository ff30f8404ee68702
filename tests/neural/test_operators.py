"""Operators: trained on pairs, then solvers for every member."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch

from pinnsuite.errors import DataError, OptionError, UnsupportedProblemError
from pinnsuite.neural.operators import FNO, DeepONet, FittedNetwork
from pinnsuite.neural.operators.fno import FourierNetwork, SpectralConvolution
from pinnsuite.problem.catalog import find
from pinnsuite.solver import FittedOperator, Operator
from pinnsuite.verification.dataset import dataset, family_reference
from tests.etdrk4 import BurgersETDRK4

SMALL = {
    "fno": FNO(width=8, modes=6, layers=2, epochs=12, batch=4),
    "deeponet": DeepONet(width=16, iterations=60, batch=0),
}
ARGUMENTS = {"num_train": 12, "num_test": 4, "num_points": 32}
operators = pytest.mark.parametrize("name", SMALL)


@functools.cache
def family():
    return find("burgers_family").make(**ARGUMENTS)


@functools.cache
def train():
    return dataset(family(), family().train, BurgersETDRK4(points=64))


@functools.cache
def fitted(name):
    return SMALL[name].fit(train())


@operators
def test_operators_keep_the_protocol(name):
    assert isinstance(SMALL[name], Operator)
    assert isinstance(fitted(name), FittedOperator)
    assert fitted(name).family == "operator"
    assert fitted(name).cost.phases["train"].cpu_s > 0


@operators
def test_training_lowers_the_loss(name):
    loss = fitted(name).history["loss"]
    assert loss[-1] < 0.7 * loss[0]


@operators
def test_predictions_are_float64_and_depend_on_no_neighbour_in_the_batch(name):
    inputs = train().inputs
    outputs = fitted(name).predict(inputs)
    assert outputs.dtype == np.float64
    assert outputs.shape == inputs.shape
    alone = fitted(name).predict(inputs[3:4])
    np.testing.assert_allclose(outputs[3:4], alone, atol=1e-6)


@operators
def test_a_seed_decides_the_result_and_global_generators_stay(name):
    options = SMALL[name]
    inputs = train().inputs[:2]
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again = options.fit(train())
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(again.predict(inputs), fitted(name).predict(inputs))
    other = replace(options, seed=1).fit(train())
    assert np.abs(other.predict(inputs) - again.predict(inputs)).max() > 1e-3


@operators
def test_scales_come_from_the_pairs_given(name):
    numbers = fitted(name).network.numbers.numpy()
    data = train()
    expected = [f(v) for v in (data.inputs, data.outputs) for f in (np.mean, np.std)]
    np.testing.assert_allclose(numbers, expected, atol=1e-7)


@operators
def test_solving_a_member_is_predicting_from_its_start(name):
    index = family().test[0]
    member = family().member(index)
    solution = fitted(name).solve(member.without_answer()).require_ok()
    (inputs,) = dataset(family(), [index], BurgersETDRK4(points=64)).inputs
    expected = fitted(name).predict(inputs[None])
    np.testing.assert_allclose(solution.fields["u"], expected, atol=1e-6)
    assert list(solution.support.axes) == ["t", "x"]


@operators
def test_the_solution_is_the_periodic_interpolant_at_the_last_time_only(name):
    solution = fitted(name).solve(family().member(0))
    x = train().grid
    (values,) = solution.fields["u"]

    def at(t, x):
        return solution.at(np.stack([np.full_like(x, t), x], axis=1))["u"]

    np.testing.assert_allclose(at(1.0, x), values, atol=1e-12)
    np.testing.assert_allclose(at(1.0, x + 1), values, atol=1e-12)
    assert np.isnan(at(0.5, x)).all()


@operators
def test_problems_outside_the_family_are_refused_with_the_difference(name):
    find_member = find("periodic_burgers").make
    assert fitted(name).why_not(find_member()) is None
    other = find_member(viscosity=0.02)
    assert "equations" in fitted(name).why_not(other)
    with pytest.raises(UnsupportedProblemError, match=r"0\.02"):
        fitted(name).solve(other)
    longer = find_member()
    longer = replace(longer, time=replace(longer.time, end=2.0))
    assert fitted(name).why_not(longer).startswith("its time")
    assert fitted(name).why_not(find("burgers").make()) is not None
    assert fitted(name).why_not(find("lorenz").make()) is not None


@operators
def test_a_file_gives_the_same_operator(name, tmp_path):
    path = tmp_path / "operator.safetensors"
    before = fitted(name)
    before.save(path)
    after = type(before.options).load(path, device="cpu")
    assert after.options == before.options
    assert after.cost == before.cost
    assert after.details == before.details
    np.testing.assert_array_equal(after.history["loss"], before.history["loss"])
    inputs = train().inputs
    np.testing.assert_array_equal(after.predict(inputs), before.predict(inputs))
    assert after.why_not(family().member(3)) is None


def test_files_of_others_are_refused(tmp_path):
    path = tmp_path / "operator.safetensors"
    fitted("fno").save(path)
    with pytest.raises(DataError, match="FNO"):
        DeepONet.load(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="cannot be read"):
        FNO.load(path)
    with pytest.raises(DataError, match="cannot be read"):
        FNO.load(tmp_path / "missing")


@operators
def test_a_budget_ends_the_training(name):
    long = {"fno": {"epochs": 10**6}, "deeponet": {"iterations": 10**7}}
    result = replace(SMALL[name], **long[name]).fit(train(), budget=0.5)
    assert result.details["stop_reason"] == "budget"
    assert 0.5 < result.cost.phases["train"].cpu_s < 3
    assert fitted(name).details["stop_reason"] != "budget"


@operators
def test_progress_ends_at_one(name):
    seen = []
    SMALL[name].fit(train(), progress=lambda fraction, note: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


@operators
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_have_the_declared_number_format(name, dtype):
    short = {"fno": {"epochs": 1}, "deeponet": {"iterations": 2}}
    result = replace(SMALL[name], dtype=dtype, **short[name]).fit(train())
    kinds = {p.dtype for p in result.network.parameters()}
    assert kinds == {getattr(torch, dtype)}


def test_the_fourier_network_commutes_with_shifts():
    network = FourierNetwork(8, 6, 3, torch.Generator().manual_seed(0)).double()
    values = torch.randn(2, 32, generator=torch.Generator().manual_seed(1)).double()
    shifted = network(values.roll(5, dims=1))
    torch.testing.assert_close(shifted, network(values).roll(5, dims=1))


def test_the_spectral_convolution_is_one():
    """Against the sum that defines it: R as a kernel, real and imaginary part."""
    modes, width, n = 3, 2, 16
    layer = SpectralConvolution(width, modes, torch.Generator().manual_seed(0)).double()
    v = np.random.default_rng(0).standard_normal((1, width, n))
    weight = layer.weight.detach().numpy()
    matrices = weight[..., 0] + 1j * weight[..., 1]
    x = np.arange(n)
    kernel = sum(
        (1 if k == 0 else 2)
        * (matrices[k][..., None] * np.exp(2j * np.pi * k * x / n)).real
        for k in range(modes)
    )
    expected = np.zeros((width, n))
    for i in range(width):
        for j in range(width):
            for shift in range(n):
                expected[j] += v[0, i, shift] * np.roll(kernel[i, j], shift) / n
    (result,) = layer(torch.as_tensor(v)).detach().numpy()
    np.testing.assert_allclose(result, expected, atol=1e-12)


def test_deeponet_is_periodic():
    network = fitted("deeponet").network.network
    start = torch.as_tensor(train().inputs[:1], dtype=torch.float32)
    ends = torch.tensor([[0.0], [1.0]])
    with torch.no_grad():
        left, right = network.operator((start, ends))[0]
    assert abs(left - right) < 1e-5


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: FNO(width=0), "width"),
        (lambda: FNO(rate=0.0), "rate"),
        (lambda: FNO(dtype="float16"), "float16"),
        (lambda: DeepONet(iterations=0), "iterations"),
        (lambda: DeepONet(batch=-1), "batch"),
        (lambda: FNO(modes=17).fit(train()), "modes"),
        (lambda: fitted("fno").predict(np.zeros((2, 31))), "32"),
    ],
)
def test_wrong_options_are_refused(make, word):
    with pytest.raises(OptionError, match=word):
        make()


@operators
def test_data_that_teaches_nothing_is_refused(name):
    holes = train().outputs.copy()
    holes[0, 0] = np.nan
    with pytest.raises(DataError, match="NaN"):
        SMALL[name].fit(replace(train(), outputs=holes))
    with pytest.raises(DataError, match="shape"):
        SMALL[name].fit(replace(train(), outputs=holes[:, 1:]))
    with pytest.raises(DataError, match=r"all 0\.0"):
        SMALL[name].fit(replace(train(), inputs=np.zeros_like(holes)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("options", "bound"),
    [(FNO(epochs=40), 6e-3), (DeepONet(iterations=4000), 0.12)],
)
def test_unseen_members_are_predicted(options, bound, seed):
    """Mean relative L2 over 100 test members; predicting zero gives 1."""
    whole = find("burgers_family").make()
    data = dataset(whole, whole.train, BurgersETDRK4())
    truth = family_reference(whole, BurgersETDRK4(), tolerance=1e-6)
    result = replace(options, seed=seed).fit(data)
    assert isinstance(result, FittedNetwork)
    inputs = dataset(whole, whole.test, BurgersETDRK4()).inputs
    errors = np.linalg.norm(result.predict(inputs) - truth.outputs, axis=1)
    relative = errors / np.linalg.norm(truth.outputs, axis=1)
    assert truth.error_estimate < 0.01 * bound
    assert relative.mean() < bound
