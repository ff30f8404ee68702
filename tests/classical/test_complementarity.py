"""Variational inequalities: contact, orders, three methods, published prices."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from pinnsuite.classical.complementarity import Complementarity
from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Disk,
    Initial,
    Interval,
    Neumann,
    Obstacle,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
    laplacian,
    load,
)
from pinnsuite.solution.solution import Status
from pinnsuite.solution.support import common_support
from pinnsuite.solver import Refinable

t, x, y = coordinates("t x y")
u = field_of("u", t, x)
w = field_of("w", t, x, y)
TIME = TimeInterval(t, 0, 1, 5)


def touching(field, domain, operator, exact, gap):
    """A solution that is in contact where `gap` < 0 and pressed with the force -gap."""
    residual = D(field, t) - operator(field)
    force = sp.Max(-gap, 0)
    source = (sp.diff(exact, t) - operator(exact).doit()) - force
    return Problem(
        name="touching",
        fields=[field],
        equations=[residual - source],
        domain=domain,
        time=TIME,
        conditions=[
            Initial(field, exact.subs(t, 0)),
            Dirichlet(field, exact),
            Obstacle(field, exact - sp.Max(gap, 0) ** 2),
        ],
        exact={field: exact},
    )


ROD = touching(
    u,
    Interval(x, 0, 2),
    lambda f: D(f, x, 2) / 10 - f * D(f, x),
    sp.cos(t) * sp.sin(3 * x + 0.3),
    x - 1 + t / 3,
)
PLATE = touching(
    w,
    Box((x, 0, 1), (y, 0, 1)),
    lambda f: laplacian(f, (x, y)) / 10,
    sp.cos(t) * sp.sin(3 * x + 0.3) * sp.cos(2 * y),
    (x - sp.Rational(1, 2)) ** 2 + (y - t / 3) ** 2 - sp.Rational(1, 10),
)


def error(problem, solver):
    solution = solver.solve(problem.without_answer())
    assert solution.status is Status.OK, solution.message
    support = common_support(problem)
    (field,) = problem.fields
    truth = sp.lambdify(problem.coordinates, problem.exact[field])(*support.points.T)
    (values,) = solution.at(support.points).values()
    return np.linalg.norm(values - truth) / np.linalg.norm(truth)


@pytest.mark.parametrize(("problem", "points"), [(ROD, 41), (PLATE, 21)])
def test_the_error_falls_with_the_square_of_the_mesh_width(problem, points):
    solver = Complementarity(points=points, steps=points // 2)
    assert isinstance(solver, Refinable)
    errors = [error(problem, s) for s in (solver, solver.refined())]
    # The contact's edge lies between nodes by chance, so the order scatters.
    order = np.log2(errors[0] / errors[1])
    assert solver.expected_order(problem) - 0.2 < order < 3
    assert errors[1] < 2e-3


def test_without_the_obstacle_the_same_problem_is_another():
    free = replace(
        ROD, conditions=[c for c in ROD.conditions if not isinstance(c, Obstacle)]
    )
    low = Obstacle(u, -100)
    unreachable = replace(free, conditions=[*free.conditions, low])
    assert error(unreachable, Complementarity(points=81, steps=40)) > 0.1


@pytest.fixture(scope="module")
def put():
    return load("american_put")


@pytest.mark.parametrize("method", ["active-set", "penalty", "psor"])
def test_all_methods_find_the_same_price_above_the_payoff(put, method):
    solver = Complementarity(points=129, steps=32, method=method)
    solution = solver.solve(put.without_answer())
    assert put.quantities["price at the money"](solution.at) == pytest.approx(
        6.0782, abs=1e-4
    )
    log_price = solution.support.axes["x"]
    payoff = np.maximum(100 * (1 - np.exp(log_price)), 0)
    assert (solution.fields["u"] >= payoff - 1e-12).all()


def binomial_price(steps, strike, rate, volatility, maturity):
    """J. C. Cox, S. A. Ross, M. Rubinstein, DOI 10.1016/0304-405X(79)90015-1."""
    dt = maturity / steps
    up = np.exp(volatility * np.sqrt(dt))
    share = (np.exp(rate * dt) - 1 / up) / (up - 1 / up)
    price = strike * up ** (2.0 * np.arange(steps + 1) - steps)
    value = np.maximum(strike - price, 0)
    for _ in range(steps):
        price = price[:-1] * up
        held = np.exp(-rate * dt) * (share * value[1:] + (1 - share) * value[:-1])
        value = np.maximum(held, strike - price)
    return value[0]


def test_the_put_is_worth_what_a_binomial_tree_says(put):
    solution = Complementarity(points=513, steps=128, stretch=3.0).solve(
        put.without_answer()
    )
    price = put.quantities["price at the money"](solution.at)
    trees = [binomial_price(n, 100.0, 0.05, 0.2, 1.0) for n in (1000, 2000)]
    assert price == pytest.approx(2 * trees[1] - trees[0], abs=2e-4)
    assert price == pytest.approx(6.0904, abs=2e-4)


def test_exercise_is_never_below_the_perpetual_boundary(put):
    solution = Complementarity(points=513, steps=128, stretch=3.0).solve(
        put.without_answer()
    )
    boundary = put.quantities["exercise below"](solution.at)
    assert 100 / (1 + 0.2**2 / (2 * 0.05)) < boundary < 100
    coarse = Complementarity(points=257, steps=64).solve(put.without_answer())
    assert put.quantities["exercise below"](coarse.at) == pytest.approx(
        boundary, rel=3e-3
    )


def test_a_wrong_sign_is_refused():
    wrong = replace(ROD, equations=[-e for e in ROD.equations])
    assert "multiply the equation by -1" in Complementarity().why_not(wrong)


@pytest.mark.parametrize(
    ("problem", "solver", "reason"),
    [
        (replace(ROD, conditions=ROD.conditions[:2]), {}, "it has no Obstacle"),
        (ROD, {"method": "psor"}, "nonlinear"),
        (
            Problem(
                "ring",
                [w],
                [D(w, t) - laplacian(w, (x, y))],
                [Initial(w, 0), Neumann(w, 0), Obstacle(w, -1)],
                Disk(x, y, (0, 0), 1),
                TIME,
            ),
            {},
            "no Interval or Box",
        ),
        (
            Problem(
                "string",
                [u],
                [D(u, t, 2) - D(u, x, 2)],
                [
                    Initial(u, 0),
                    Initial(u, 0, order=1),
                    Dirichlet(u, 0),
                    Obstacle(u, -1),
                ],
                Interval(x, 0, 1),
                TIME,
            ),
            {},
            "law of impact",
        ),
    ],
)
def test_what_it_cannot_take_is_said(problem, solver, reason):
    assert reason in Complementarity(**solver).why_not(problem)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("points", 3),
        ("steps", 0),
        ("method", "newton"),
        ("stretch", -1.0),
        ("grading", 0.5),
    ],
)
def test_options_are_checked(option, value):
    with pytest.raises(OptionError, match=option):
        Complementarity(**{option: value})


def test_a_budget_ends_the_run():
    solution = Complementarity(points=401, steps=2000).solve(ROD, budget=0.01)
    assert solution.status is Status.NOT_REACHED
    assert "budget" in solution.message
