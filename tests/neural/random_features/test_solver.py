"""Random features reach the solution, say when they do not, and keep a budget."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.integrate
import sympy as sp

from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.neural.random_features.basis import draw
from pinnsuite.neural.random_features.equations import Equations
from pinnsuite.neural.random_features.solver import UNCONFIRMED, RandomFeatures
from pinnsuite.neural.random_features.system import System
from pinnsuite.neural.random_features.whole import whole
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Initial,
    Interval,
    Neumann,
    Observed,
    Periodic,
    Problem,
    TimeInterval,
    Unknown,
    coordinates,
    field_of,
    laplacian,
    manufacture,
)
from pinnsuite.solution.solution import Status

t, x, y = coordinates("t x y")


def on_square(wave_number, exact):
    u = field_of("u", x, y)
    problem = Problem(
        "helmholtz",
        [u],
        [-laplacian(u, (x, y)) - wave_number**2 * u],
        [Dirichlet(u, 0)],
        Box((x, 0, 1), (y, 0, 1)),
    )
    return manufacture(problem, {u: exact})


def burgers(end=1):
    u = field_of("u", t, x)
    return Problem(
        "burgers",
        [u],
        [D(u, t) + u * D(u, x) - D(u, x, 2) / (100 * sp.pi)],
        [Initial(u, -sp.sin(sp.pi * x)), Dirichlet(u, 0)],
        Interval(x, -1, 1),
        TimeInterval(t, 0, end, 6),
    )


def burgers_by_cole_hopf(points):
    """Return the solution by Gauss-Hermite quadrature of the Cole-Hopf integral."""
    at, weights = np.polynomial.hermite.hermgauss(200)
    nu = 0.01 / np.pi
    time, space = points.T[..., None]
    z = np.pi * (space - np.sqrt(4 * nu * time) * at)
    exponent = -np.cos(z) / (2 * np.pi * nu)
    kernel = weights * np.exp(exponent - exponent.max(1, keepdims=True))
    return -(kernel * np.sin(z)).sum(1) / kernel.sum(1)


def lorenz(end=2):
    u, v, w = (field_of(n, t) for n in "uvw")
    return Problem(
        "lorenz",
        [u, v, w],
        [
            D(u, t) - 10 * (v - u),
            D(v, t) - u * (28 - w) + v,
            D(w, t) - u * v + sp.Rational(8, 3) * w,
        ],
        [Initial(u, -8), Initial(v, 7), Initial(w, 27)],
        time=TimeInterval(t, 0, end, 41),
    )


def relative_l2(found, truth):
    return np.linalg.norm(found - truth) / np.linalg.norm(truth)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("wave_number", [0, 2 * sp.pi])
def test_linear_problems_are_solved_to_many_digits(wave_number, seed):
    exact = sp.sin(2 * sp.pi * x) * sp.exp(y)
    problem = on_square(wave_number, exact)
    found = RandomFeatures(tolerances=(1e-3, 1e-6, 1e-9), seed=seed).solve(problem)
    points = np.random.default_rng(0).uniform(size=(500, 2))
    truth = sp.lambdify((x, y), exact)(*points.T)
    assert found.status is Status.OK
    assert relative_l2(found.at(points)["u"], truth) < 1e-8


def test_lorenz_agrees_with_a_runge_kutta_method():
    found = RandomFeatures(tolerances=(1e-4, 1e-9)).solve(lorenz())
    points = np.linspace(0, 2, 81)

    def rate(_, s):
        return [
            10 * (s[1] - s[0]),
            s[0] * (28 - s[2]) - s[1],
            s[0] * s[1] - 8 / 3 * s[2],
        ]

    truth = scipy.integrate.solve_ivp(
        rate, (0, 2), [-8, 7, 27], "DOP853", points, rtol=1e-12, atol=1e-12
    ).y
    values = found.at(points[:, None])
    assert found.status is Status.OK
    for name, row in zip("uvw", truth, strict=True):
        assert relative_l2(values[name], row) < 1e-7


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_burgers_with_its_front_is_solved_at_a_fixed_cost(seed):
    solver = RandomFeatures(tolerances=(1e-2, 1e-3), seed=seed)
    found = solver.solve(burgers(), budget=40.0)
    unit = np.random.default_rng(1).uniform(size=(2000, 2))
    points = np.column_stack([0.01 + 0.99 * unit[:, 0], 2 * unit[:, 1] - 1])
    assert found.status is Status.OK
    assert relative_l2(found.at(points)["u"], burgers_by_cole_hopf(points)) < 1e-3


def test_a_nonlinear_evolution_that_repeats_in_space_is_solved():
    u = field_of("u", t, x)
    exact = sp.sin(2 * sp.pi * (x - t)) + sp.Rational(1, 2)
    problem = Problem(
        "periodic",
        [u],
        [D(u, t) + u * D(u, x) - D(u, x, 2) / 50],
        [Initial(u, 0), Periodic(x)],
        Interval(x, 0, 1),
        TimeInterval(t, 0, 0.3, 5),
    )
    posed = manufacture(problem, {u: exact})
    alone = RandomFeatures(tolerances=(1e-3,)).solve(posed)
    # Nothing says yet what error a residual makes.
    assert alone.details["amplification"] == UNCONFIRMED
    found = RandomFeatures(tolerances=(1e-3, 1e-5)).solve(posed)
    unit = np.random.default_rng(2).uniform(size=(500, 2)) * [0.3, 1]
    truth = sp.lambdify((t, x), exact)(*unit.T)
    assert found.status is Status.OK
    assert relative_l2(found.at(unit)["u"], truth) < 1e-4


def test_each_snapshot_is_later_and_has_a_smaller_indicator():
    problem = on_square(0, sp.sin(2 * sp.pi * x) * sp.exp(y))
    found = RandomFeatures().solve(problem)
    assert len(found.snapshots) >= 2
    for before, after in zip(found.snapshots, found.snapshots[1:], strict=False):
        assert before.cpu_s <= after.cpu_s
        assert before.wall_s <= after.wall_s
        assert after.loss < before.loss
    assert found.snapshots[-1].cpu_s <= found.cost.total
    at = np.random.default_rng(4).uniform(size=(9, 2))
    last = found.snapshots[-1].evaluate(at)
    assert np.array_equal(last["u"], found.at(at)["u"])


@pytest.mark.parametrize(
    "problem", [burgers(), lorenz(20), on_square(40, sp.exp(9 * x * y))]
)
def test_a_budget_ends_the_solution(problem):
    solver = RandomFeatures(tolerances=(1e-3, 1e-6, 1e-9, 1e-12), max_unknowns=10_000)
    found = solver.solve(problem, budget=2.0)
    assert found.cost.phases["train"].cpu_s < 4.0


def test_a_march_that_did_not_get_to_the_end_is_not_called_a_solution():
    found = RandomFeatures(tolerances=(1e-6,)).solve(burgers(), budget=0.5)
    assert found.status is Status.NOT_REACHED
    assert "budget" in found.message


def test_few_features_that_miss_a_fine_solution_are_refused():
    """150 features in one patch, and no more allowed: too few for 25 half waves."""
    problem = on_square(0, sp.sin(25 * sp.pi * x) * sp.sin(24 * sp.pi * y))
    solver = RandomFeatures(features=4, max_unknowns=200)
    found = solver.solve(problem)
    assert found.status is Status.NOT_REACHED
    assert found.details["fresh_residual"] > solver.acceptance


def test_a_fit_of_its_own_points_that_is_wrong_between_them_is_noticed():
    """More unknowns than rows: the residual there is nothing, elsewhere it is all."""
    problem = on_square(0, sp.sin(6 * sp.pi * x) * sp.sin(6 * sp.pi * y))
    equations = Equations.of(problem)
    basis = draw(300, (20.0, 20.0), "sine", 0)
    system = System(equations, basis, whole(equations), None, None, oversampling=0.3)
    fitted, _ = system.solve()
    _, misfit_of_own_points = system.solve(fitted)
    assert misfit_of_own_points < 1e-15
    assert system.indicators(fitted, None).max() > 0.1


def test_a_small_residual_that_makes_a_large_error_is_told_by_the_next_solution():
    """At this wave number the square is nearly resonant."""
    near = sp.sqrt(2) * sp.pi * sp.Rational(10001, 10000)
    problem = on_square(near, sp.exp(-3 * x) * sp.cos(11 * x * y))
    found = RandomFeatures(max_unknowns=200).solve(problem)
    assert found.details["amplification"] > 20
    at = np.random.default_rng(1).uniform(size=(2000, 2))
    exact = np.exp(-3 * at[:, 0]) * np.cos(11 * at[:, 0] * at[:, 1])
    error = np.linalg.norm(found.at(at)["u"] - exact) / np.linalg.norm(exact)
    assert found.details["fresh_residual"] / 30 < error
    assert error < 3 * found.details["fresh_residual"]


def test_a_first_march_far_below_the_next_tolerance_is_confirmed_all_the_same():
    u = field_of("u", t, x, y)
    problem = Problem(
        "reaction",
        [u],
        [D(u, t) - laplacian(u, (x, y)) / 10 + u**3],
        [Initial(u, 0), Dirichlet(u, 0)],
        Box((x, 0, 1), (y, 0, 1)),
        TimeInterval(t, 0, 1, 5),
    )
    wave = sp.exp(-t) * sp.sin(x) * sp.cos(y)
    found = RandomFeatures(tolerances=(1e-1, 5e-2)).solve(
        manufacture(problem, {u: wave})
    )
    assert found.details["amplification"] < UNCONFIRMED
    assert found.status is Status.OK


def test_a_derivative_that_vanishes_has_no_terms_to_be_compared_with():
    u = field_of("u", x)
    clamped = Problem(
        "clamped beam",
        [u],
        [D(u, x, 4)],
        [
            Dirichlet(u, 0, on="left"),
            Neumann(u, 0, on="left"),
            Dirichlet(u, 1, on="right"),
            Neumann(u, 0, on="right"),
        ],
        Interval(x, 0, 1),
    )
    found = RandomFeatures().solve(clamped)
    assert found.status is Status.OK
    at = np.linspace(0, 1, 21)
    exact = 3 * at**2 - 2 * at**3
    assert np.abs(found.at(at[:, None])["u"] - exact).max() < 1e-9


def test_a_solution_that_vanishes_is_found():
    found = RandomFeatures().solve(on_square(0, sp.Integer(0)))
    assert found.status is Status.OK
    assert np.abs(found.fields["u"]).max() < 1e-12


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_front_that_the_patches_cannot_hold_is_refused(seed):
    """Eight patches at most: the front of Burgers is a hundredth of the interval."""
    solver = RandomFeatures(
        tolerances=(1e-2,), features=12, max_unknowns=130, seed=seed
    )
    found = solver.solve(burgers(), budget=3.0)
    assert found.status is Status.NOT_REACHED


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tolerances": (1e-5, 1e-3)}, "decreasing"),
        ({"tolerances": (1e-3, 1e-3)}, "decreasing"),
        ({"tolerances": ()}, "decreasing"),
        ({"tolerances": (2.0,)}, "between 0 and 1"),
        ({"acceptance": 0.0}, "'acceptance' of RandomFeatures is 0.0"),
        ({"acceptance": float("nan")}, "'acceptance'"),
        ({"activation": "relu"}, "'relu'; known: sine, tanh"),
        ({"features": 3}, "'features' of RandomFeatures is 3; at least 4"),
        ({"max_unknowns": 1}, "'max_unknowns'"),
        ({"seed": -1}, "'seed'"),
    ],
)
def test_a_wrong_option_is_named_with_its_value(options, words):
    with pytest.raises(OptionError, match=words):
        RandomFeatures(**options)


def test_unknown_coefficients_and_measurements_are_left_to_networks():
    u, rate = field_of("u", t), sp.Symbol("k")
    problem = Problem(
        "decay",
        [u],
        [D(u, t) + rate * u],
        [Initial(u, 1), Observed(u, np.array([[0.5]]), np.array([0.6]))],
        time=TimeInterval(t, 0, 1, 5),
        unknowns=[Unknown(rate, 0.1, 2.0, 1.0)],
    )
    assert "pinn" in RandomFeatures().why_not(problem)
    with pytest.raises(UnsupportedProblemError, match="unknown coefficients"):
        RandomFeatures().solve(problem)


def test_a_solution_with_jumps_is_left_to_finite_volumes():
    assert "finite-volume" in RandomFeatures().why_not(replace(burgers(), norm="L1"))
