"""Collocation: exponential convergence on any domain, conditions of every kind."""

import numpy as np
import pytest
import sympy as sp

from pinnsuite.classical.collocation import Collocation, _Basis
from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.problem import (
    Ball,
    Box,
    D,
    Dirichlet,
    Disk,
    Initial,
    Interval,
    Neumann,
    Periodic,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
    laplacian,
    load,
    manufacture,
)
from pinnsuite.problem.conditions import normal
from pinnsuite.problem.manufactured import smooth_field
from pinnsuite.solution.solution import Status
from pinnsuite.verification.reference import exact_evaluator

t, x, y, z, w = coordinates("t x y z w")


def heat(domain, condition):
    space = domain.coordinates
    u = field_of("u", t, *space)
    size = sum(s**2 for s in space)
    exact = sp.exp(size / 2 + t)
    equation = D(u, t) - laplacian(u, space) / len(space)
    return Problem(
        "heat",
        [u],
        [equation + size / len(space) * exact],
        [Initial(u, exact.subs(t, 0)), condition(u, exact)],
        domain,
        TimeInterval(t, 0, 0.5, 6),
        exact={u: exact},
    )


def outward(u, exact):
    space = u.args[1:]
    return Neumann(u, sum(normal(s) * sp.diff(exact, s) for s in space))


def error(problem, solver):
    # A low degree says "not reached", and is compared all the same.
    solution = solver.solve(problem.without_answer())
    points = solution.support.points
    truth = exact_evaluator(problem)(points)
    return max(
        np.linalg.norm(solution.fields[k].ravel() - truth[k]) / np.linalg.norm(truth[k])
        for k in truth
    )


@pytest.mark.parametrize(
    "domain",
    [
        Interval(x, -1, 1),
        Disk(x, y, (0, 0), 1),
        Ball((x, y, z, w), (0, 0, 0, 0), 1),
        Box((x, -1, 1), (y, -1, 1), (z, -0.5, 1)),
    ],
    ids=lambda d: d.describe(),
)
@pytest.mark.parametrize("condition", [Dirichlet, outward])
def test_error_falls_exponentially_on_any_domain(domain, condition):
    problem = heat(domain, condition)
    low, high = (error(problem, Collocation(degree=d)) for d in (3, 6))
    assert high < 0.06 * low
    assert high < 0.01


def test_a_smooth_solution_is_found_to_rounding():
    problem = heat(Interval(x, -1, 1), Dirichlet)
    assert error(problem, Collocation(degree=20)) < 1e-12


@pytest.mark.parametrize("name", ["wave", "kdv", "heat_l_shape"])
def test_catalogue_problems_with_a_manufactured_solution(name):
    """Second order in time, third in space with periodic sides, a polygon."""
    problem = load(name)
    made = manufacture(problem, smooth_field(problem))
    coarse = Collocation(degree=8)
    assert error(made, coarse.refined().refined()) < 0.1 * error(made, coarse)


def test_a_nonlinear_system_takes_few_steps():
    u, v = field_of("u", x, y), field_of("v", x, y)
    problem = Problem(
        "pair",
        [u, v],
        [laplacian(u, (x, y)) - u * v, laplacian(v, (x, y)) + v**3 - D(u, x)],
        [Dirichlet(u, 0), Dirichlet(v, 0)],
        Box((x, 0, 1), (y, 0, 2)),
    )
    made = manufacture(problem, smooth_field(problem))
    solver = Collocation(degree=16)
    assert error(made, solver) < 1e-6
    details = solver.solve(made.without_answer()).details
    assert details["newton_iterations"] < 12
    assert details["dofs"] == 2 * 153


def test_periodic_sides_join_values_and_slopes():
    u = field_of("u", x)
    problem = Problem(
        "ring",
        [u],
        [D(u, x, 2) - u + sp.sin(2 * sp.pi * x) * (1 + 4 * sp.pi**2)],
        [Periodic(x)],
        Interval(x, 0.2, 1.2),
        exact={u: sp.sin(2 * sp.pi * x)},
    )
    assert error(problem, Collocation()) < 1e-11


def test_the_basis_holds_all_products_of_its_degree():
    basis = _Basis(np.array([[0.0, 2.0], [-1.0, 1.0], [1.0, 4.0]]), 4)
    assert basis.size == 35
    rng = np.random.default_rng(0)
    points = rng.random((40, 3)) * [2, 2, 3] + [0, -1, 1]
    a, b, c = points.T
    table = basis.table(points, (0, 0, 0))
    wanted = np.stack([a**2 * b * c - c**4, b**4], axis=1)
    coefficients = np.linalg.lstsq(table, wanted, rcond=None)[0]
    np.testing.assert_allclose(table @ coefficients, wanted, atol=1e-10)
    slope = basis.table(points, (1, 0, 2)) @ coefficients[:, 0]
    np.testing.assert_allclose(slope, 0.0, atol=1e-9)
    slope = basis.table(points, (0, 0, 3)) @ coefficients[:, 0]
    np.testing.assert_allclose(slope, -24 * c, atol=1e-8)
    np.testing.assert_allclose(
        basis.values(coefficients.T, points), wanted.T, atol=1e-10
    )


def test_an_iteration_that_does_not_converge_says_so():
    u = field_of("u", x)
    problem = Problem(
        "none",
        [u],
        [D(u, x, 2) + 100 * sp.exp(u)],
        [Dirichlet(u, 0)],
        Interval(x, 0, 1),
    )
    solution = Collocation(max_newton=5).solve(problem)
    assert solution.status in (Status.NOT_REACHED, Status.NAN)
    few = Collocation(max_newton=1).solve(
        Problem(
            "cubic", [u], [D(u, x, 2) - u**3 - 1], [Dirichlet(u, 0)], Interval(x, 0, 1)
        )
    )
    assert few.status is Status.NOT_REACHED
    assert "raise max_newton" in few.message


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lorenz", {}, "no space coordinates"),
        ("lotka_volterra", {}, "no space coordinates"),
        ("heat_l_shape", {"degree": 40}, "5000 are the most; lower degree"),
    ],
)
def test_what_it_cannot_take_is_named(name, options, message):
    solver = Collocation(**options)
    assert message in solver.why_not(load(name))
    with pytest.raises(UnsupportedProblemError, match=message):
        solver.solve(load(name))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"degree": 1}, "degree is 1"),
        ({"refinements": -1}, "refinements is -1"),
        ({"oversampling": 0.5}, "oversampling is 0.5"),
        ({"newton_tolerance": 2.0}, "between 0 and 1"),
    ],
)
def test_wrong_options_are_answered_with_what_is_needed(options, message):
    with pytest.raises(OptionError, match=message):
        Collocation(**options)


def test_refinement_raises_the_degree():
    solver = Collocation(degree=8)
    problem = heat(Interval(x, -1, 1), Dirichlet)
    assert solver.expected_order(problem) is None
    degrees = [s.solve(problem).details["degree"] for s in (solver, solver.refined())]
    assert degrees == [8, 10]


def test_a_fit_that_leaves_much_of_the_data_is_no_solution():
    solution = Collocation().solve(load("fokker_planck").without_answer())
    assert solution.status is Status.NOT_REACHED
    assert "as residual" in solution.sentence
