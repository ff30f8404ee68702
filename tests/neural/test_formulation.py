"""What another library is given says the same as the definition."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pinnsuite.neural.formulation import FormulationOptions, formulate
from pinnsuite.neural.residual import residuals
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Disk,
    Initial,
    Interval,
    Observed,
    Periodic,
    Problem,
    TimeInterval,
    Unknown,
    coordinates,
    field_of,
    laplacian,
)

t, x, y, k = coordinates("t x y k")
OPTIONS = FormulationOptions(
    points=50, boundary_points=64, initial_points=10, hard_conditions="auto"
)


def fields(formulation, points, raw):
    points = torch.tensor(points, dtype=torch.float64)
    outputs = torch.full((len(points), 1), raw, dtype=torch.float64)
    return formulation.trial.fields(outputs, points)[:, 0].numpy()


def box():
    u = field_of("u", x, y)
    domain = Box((x, 0, 1), (y, 0, 3))
    return Problem("box", [u], [-laplacian(u, (x, y)) - 1], [Dirichlet(u, 0)], domain)


def decay():
    u = field_of("u", t)
    return Problem(
        "decay",
        [u],
        [D(u, t) + k * u],
        [Initial(u, 80), Observed(u, [[1.0], [2.0]], [40.0, 20.0])],
        time=TimeInterval(t, 0, 4),
        unknowns=[Unknown(k, 0.1, 3, 1.5)],
    )


def test_unscaled_the_factor_is_the_product_of_the_distances():
    problem = box()
    points = np.random.default_rng(0).uniform([0, 0], [1, 3], (20, 2))
    raw = formulate(problem, residuals(problem), replace(OPTIONS, scaling="off"))
    a, b = points.T
    bare = a * (1 - a) * b * (3 - b)
    assert fields(raw, points, 2.0) == pytest.approx(2 * bare, rel=1e-12)
    scaled = formulate(problem, residuals(problem), OPTIONS)
    # Its largest value is one: 4 ξ (1 - ξ) on each axis.
    assert fields(scaled, points, 2.0) == pytest.approx(2 * bare * 16 / 9, rel=1e-12)


def test_an_unscaled_factor_on_a_disc_is_its_normalised_distance():
    u = field_of("u", x, y)
    disc = Disk(x, y, (1, 0), 2)
    problem = Problem("disc", [u], [laplacian(u, (x, y))], [Dirichlet(u, 0)], disc)
    points = np.array([[1.0, 0.0], [2.0, 0.5], [-0.5, 0.1]])
    distance = (4 - (points[:, 0] - 1) ** 2 - points[:, 1] ** 2) / 4
    raw = formulate(problem, residuals(problem), replace(OPTIONS, scaling="off"))
    assert fields(raw, points, 2.0) == pytest.approx(2 * distance, rel=1e-12)
    scaled = formulate(problem, residuals(problem), OPTIONS)
    assert fields(scaled, points, 2.0) == pytest.approx(2 * distance, rel=1e-2)


def test_conditions_that_hold_are_no_terms_of_the_loss():
    problem = box()
    found = residuals(problem)
    built_in = formulate(problem, found, OPTIONS)
    assert [r.name for r in built_in.residuals] == ["equation 1"]
    assert len(built_in.exact_names) == 4
    soft = formulate(problem, found, replace(OPTIONS, hard_conditions="off"))
    assert list(soft.residuals) == list(found)
    assert soft.exact_names == []


def test_unscaled_all_weights_are_one_and_unknowns_are_the_variables():
    problem = decay()
    off = replace(OPTIONS, scaling="off", hard_conditions="off")
    raw = formulate(problem, residuals(problem), off)
    assert raw.weights == [1.0, 1.0, 1.0]
    assert raw.guesses == [1.5]
    variable = torch.tensor(-7.0)
    assert raw.unknowns([variable]) == [variable]
    assert fields(raw, [[0.0], [1.0]], 3.0) == pytest.approx([3.0, 3.0])
    scaled = formulate(problem, residuals(problem), replace(OPTIONS, scaling="auto"))
    (coefficient,) = scaled.unknowns([torch.tensor(scaled.guesses[0])])
    assert float(coefficient) == pytest.approx(1.5)
    (coefficient,) = scaled.unknowns([variable])
    assert 0.1 < float(coefficient) < 0.2


def test_a_period_is_built_into_scaled_inputs_only():
    u = field_of("u", t, x)
    problem = Problem(
        "advection",
        [u],
        [D(u, t) + D(u, x)],
        [Initial(u, 0), Periodic(x)],
        Interval(x, 0, 1),
        TimeInterval(t, 0, 1),
    )
    found = residuals(problem)
    scaled = formulate(problem, found, OPTIONS)
    ends = torch.tensor([[0.3, 0.0], [0.3, 1.0]], dtype=torch.float64)
    first, second = scaled.features(ends)
    assert torch.allclose(first, second, atol=1e-12)
    assert all(r.place.kind != "periodic" for r in scaled.residuals)
    raw = formulate(problem, found, replace(OPTIONS, scaling="off"))
    assert torch.equal(raw.features(ends), ends)
    assert any(r.place.kind == "periodic" for r in raw.residuals)
