"""Inverse problems: where the data come from, and what the pages claim of them."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from pinnsuite.classical.adjoint import Adjoint
from pinnsuite.classical.least_squares import NonlinearLeastSquares
from pinnsuite.classical.lines import MethodOfLines
from pinnsuite.errors import OptionError
from pinnsuite.problem import Observed, data_file, load
from pinnsuite.solution.support import common_support
from pinnsuite.verification.judge import judge
from pinnsuite.verification.reference import exact_evaluator, reference
from pinnsuite.verification.residual import residual_findings

NAMES = (
    "poisson_inverse",
    "heat_inverse",
    "burgers_viscosity",
    "conductivity_field",
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PINNSUITE_CACHE", str(tmp_path))


def known(problem):
    """The fields at points, without a reference on the comparison points."""
    if problem.exact is not None:
        return exact_evaluator(problem)
    return problem.reference.evaluate


@pytest.mark.parametrize("name", NAMES)
def test_measurements_are_the_known_solution_and_the_noise_that_is_stated(name):
    problem = load(name)
    (observed,) = problem.conditions_of(Observed)
    truth = known(problem)(observed.points)["u"]
    errors = observed.values - truth
    noise = problem.parameters["noise"]
    assert np.std(errors) == pytest.approx(noise, rel=0.1)
    assert abs(np.mean(errors)) < 4 * noise / np.sqrt(len(errors))
    again = load(name).conditions_of(Observed)[0].values
    np.testing.assert_array_equal(observed.values, again)
    other = load(name, seed=1).conditions_of(Observed)[0].values
    assert not np.allclose(observed.values, other)
    silent = load(name, noise=0.0)
    (exact,) = silent.conditions_of(Observed)
    truth = known(silent)(exact.points)["u"]
    np.testing.assert_allclose(exact.values, truth, atol=1e-12)


def test_the_sites_of_heat_inverse_are_those_of_pinnacle():
    (observed,) = load("heat_inverse").conditions_of(Observed)
    with np.load(data_file("measured/heat_inverse_sites.npz")) as sites:
        for k, name in enumerate("txy"):
            np.testing.assert_array_equal(observed.points[:, k], sites[name])


def test_pinnacles_source_leaves_a_third_of_itself():
    """The statement of the page: (2x+1), (2y+1) in place of (2x-1), (2y-1)."""
    problem = load("poisson_inverse")
    x, y = problem.space
    u, a = problem.exact.values()
    right = -sum(sp.diff(a * sp.diff(u, c), c) for c in (x, y))
    gap = sum(
        4 * sp.pi * a**2 * f
        for f in (
            sp.cos(sp.pi * x) * sp.sin(sp.pi * y),
            sp.sin(sp.pi * x) * sp.cos(sp.pi * y),
        )
    )
    points = problem.domain.sample_interior(4096, seed=0).T
    wrong = sp.lambdify((x, y), right + gap)(*points)
    residual = sp.lambdify((x, y), gap)(*points)
    assert np.linalg.norm(residual) / np.linalg.norm(wrong) == pytest.approx(
        0.36, abs=0.01
    )
    bad = replace(problem, equations=[problem.equations[0] + gap])
    assert not residual_findings(bad)[0].is_ok


def test_the_series_of_the_rod_agrees_with_the_method_of_lines():
    problem = load("conductivity_field", seed=2)
    (x,) = problem.space
    generator = np.random.default_rng(2)
    weights = generator.standard_normal(4) / np.arange(1, 5)
    truth = 0.2 * sp.exp(
        sum(w * sp.cos((k + 1) * sp.pi * x) for k, w in enumerate(weights.tolist()))
    )
    a = problem.fields[1]
    forward = replace(
        problem,
        fields=problem.states,
        equations=[problem.equations[0].subs(a, truth).doit()],
        conditions=[c for c in problem.conditions if not isinstance(c, Observed)],
        unknowns=(),
        reference=None,
    )
    support = common_support(problem)
    series = problem.reference.evaluate(support.points)
    solution = MethodOfLines(points=101, order=6, rtol=1e-9, atol=1e-11).solve(forward)
    found = solution.require_ok().at(support.points)["u"]
    np.testing.assert_allclose(found, series["u"], atol=2e-6)
    np.testing.assert_allclose(
        series["a"], sp.lambdify(x, truth)(support.points[:, 1]), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("name", "field", "floor", "expected"),
    [
        ("poisson_inverse", "a", 2.2e-2, 4.6e-2),
        ("conductivity_field", "a", 1.5e-2, 2.5e-2),
        pytest.param("heat_inverse", "a", 5.9e-2, 9.2e-2, marks=pytest.mark.slow),
    ],
)
def test_noise_floors_are_those_on_the_page(name, field, floor, expected):
    problem = load(name)
    solution = Adjoint().solve(problem.without_answer()).require_ok()
    error = judge(problem, solution, reference(problem)).error
    assert error.per_field[field].relative_l2 == pytest.approx(floor, rel=0.03)
    claimed = solution.details["standard_errors"][field]
    assert claimed == pytest.approx(expected, rel=0.03)
    assert error.per_field["u"].relative_l2 < error.per_field[field].relative_l2


def test_viscosity_is_judged_beside_the_solution():
    problem = load("burgers_viscosity")
    solution = Adjoint().solve(problem.without_answer()).require_ok()
    error = judge(problem, solution, reference(problem)).error
    entry = error.coefficients["nu"]
    assert entry["reference"] == 0.02
    assert entry["value"] == pytest.approx(0.0198, abs=5e-5)
    assert entry["relative_error"] == pytest.approx(abs(entry["value"] / 0.02 - 1))
    assert solution.details["standard_errors"]["nu"] == pytest.approx(4.7e-4, rel=0.03)
    assert error.per_field["u"].relative_l2 == pytest.approx(2e-3, rel=0.05)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("poisson_inverse", {"noise": -0.1}),
        ("heat_inverse", {"seed": -1}),
        ("burgers_viscosity", {"viscosity": 1.0}),
        ("burgers_viscosity", {"measurements": 1}),
        ("conductivity_field", {"roughness": 2.0}),
        ("conductivity_field", {"sensors": 0}),
    ],
)
def test_parameters_out_of_range_are_named(name, parameters):
    with pytest.raises(OptionError, match=f"{next(iter(parameters))} is"):
        load(name, **parameters)


def test_the_lorenz_systems_measurements_lie_on_the_trajectory_of_its_true_rates():
    noisy = load("lorenz_inverse", measurements=60, noise=0.5, seed=3)
    found = NonlinearLeastSquares().solve(noisy.without_answer())
    for u in noisy.unknowns:
        error = found.details["standard_errors"][u.name]
        assert abs(found.coefficients[u.name] - u.truth) < 4 * error
    silent = load("lorenz_inverse")
    for observed in silent.conditions_of(Observed):
        exact = silent.reference.evaluate(observed.points)
        np.testing.assert_allclose(
            observed.values, exact[observed.field.func.__name__], rtol=1e-12
        )
