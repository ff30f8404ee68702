"""Dirichlet values hold exactly on discs, polygons and around holes."""

import numpy as np
import pytest
import sympy as sp
import torch

from pinnsuite.neural.pinn import PINN
from pinnsuite.neural.residual import Magnitude, ReverseMode, residuals
from pinnsuite.neural.sampling import interior, limits
from pinnsuite.neural.taylor import channels
from pinnsuite.neural.trial import exact_conditions, trial
from pinnsuite.problem import (
    Ball,
    Box,
    D,
    Dirichlet,
    Disk,
    Initial,
    Neumann,
    Polygon,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
    laplacian,
)
from pinnsuite.problem.jets import Jet

t, x, y, z = coordinates("t x y z")
SQUARE = Box((x, -1, 1), (y, -1, 1))
CUBE = Box((x, -1, 1), (y, -1, 1), (z, -1, 1))
DOMAINS = {
    "disc": Disk(x, y, (0.3, -0.2), 1.3),
    "annulus": Disk(x, y, (0, 0), 1, "outer") - Disk(x, y, (0.1, 0), 0.4, "inner"),
    "two discs removed": SQUARE
    - Disk(x, y, (0.4, 0.3), 0.3, "one")
    - Disk(x, y, (-0.5, -0.3), 0.2, "other"),
    "triangle": Polygon(x, y, [(0, 0), (2, 0.3), (0.7, 1.4)]),
    "L-shape": Polygon(x, y, [(0, 0), (1, 0), (1, 1), (-1, 1), (-1, -1), (0, -1)]),
    "sector removed": Disk(x, y, (0, 0), 1) - Polygon(x, y, [(0, 0), (2, -1), (2, 1)]),
    "triangle removed": SQUARE - Polygon(x, y, [(-0.3, -0.3), (0.4, -0.2), (0, 0.4)]),
    "side bitten": SQUARE - Disk(x, y, (1, 0), 0.5),
    "two discs joined": Disk(x, y, (0, 0), 1) | Disk(x, y, (1, 0), 0.8),
    "ball": Ball((x, y, z), (0.1, 0, 0), 1.2),
    "ball removed": CUBE - Ball((x, y, z), (0.1, 0, 0.2), 0.5),
}
VALUE = sp.cos(2 * x) + x * y + sp.exp(y)


@pytest.fixture(params=DOMAINS)
def domain(request):
    return DOMAINS[request.param]


def poisson(domain, value=VALUE, order=2):
    u = field_of("u", *domain.coordinates)
    equation = sum(D(u, c, order) for c in domain.coordinates)
    conditions = [Dirichlet(u, value)]
    if order == 4:
        conditions.append(Neumann(u, 0))
    return Problem("problem", [u], [equation], conditions, domain)


def stated(problem):
    """Return a trial field with random weights."""
    form = trial(
        problem,
        limits(problem),
        [Magnitude(0.3, 1.7)],
        exact_conditions(problem, pieces=True),
        (7, 6),
        "tanh",
    )
    return form, form.network.initial(torch.Generator().manual_seed(3))


def values_at(form, weights, points):
    return form(weights, torch.tensor(points))[:, 0].numpy()


def test_values_hold_to_round_off_for_any_weights(domain):
    problem = poisson(domain)
    form, weights = stated(problem)
    (exact,) = form.exact
    assert all(exact.holds(r) for r in residuals(problem) if r.condition)
    value = sp.lambdify(domain.coordinates, VALUE)
    for name in domain.boundaries:
        points, _ = domain.sample_boundary(name, 1000, seed=1)
        error = values_at(form, weights, points) - value(*points.T)
        assert np.abs(error).max() < 1e-14


def test_values_hold_in_the_corners():
    polygon = DOMAINS["L-shape"]
    form, weights = stated(poisson(polygon))
    corners = np.array(polygon.vertices)
    expected = sp.lambdify((x, y), VALUE)(*corners.T)
    np.testing.assert_allclose(
        values_at(form, weights, corners), expected, rtol=0, atol=1e-14
    )


@pytest.mark.parametrize(
    ("name", "order"), [*((name, 2) for name in DOMAINS), ("L-shape", 4), ("disc", 4)]
)
def test_derivatives_are_those_of_automatic_differentiation(name, order):
    domain = DOMAINS[name]
    form, weights = stated(poisson(domain, order=order))
    size = domain.dimension
    # Mixed ones too: ∂²ₓ∂²ᵧ holds those below it.
    highest = [(1, 1, 0), (0, 1, 1), (2, 0, 0), (0, 2, 0), (0, 0, 2)]
    if order == 4:
        highest = [(2, 2, 0)]
    jets = [Jet(0, a[:size]) for a in highest]
    kept = channels(jets, size)
    points = torch.tensor(interior(poisson(domain), 200, seed=0), requires_grad=True)
    nested = ReverseMode(points, form(weights, points))
    carried = form.at(points.detach(), kept)(weights)
    for orders in kept.orders:
        expected = nested[Jet(0, orders)].detach()
        error = (carried[Jet(0, orders)] - expected).abs() / (1 + expected.abs())
        assert error.max() < 1e-10, orders


def test_the_factor_vanishes_like_the_distance_on_the_boundary_and_nowhere_else(domain):
    form, _ = stated(poisson(domain))
    points = interior(poisson(domain), 4000, seed=5)
    factor = form.at(torch.tensor(points), channels([], domain.dimension)).forms[0, 1]
    factor = factor[0].numpy()
    assert 0.9 < factor.max() < 1.1
    share = factor / -domain.signed_distance(points) * domain.extent
    # In a corner where the sides of a box meet, the factor is the product of both.
    away = np.abs(np.abs(points) - 1).min(axis=1) > 0.1
    assert share.max() < 30
    assert share[away].min() > 0.5


def test_only_values_on_the_boundary_are_used():
    """Else a value that means the solution everywhere would give it away."""
    for domain, vanishing in [
        (DOMAINS["disc"], (x - 0.3) ** 2 + (y + 0.2) ** 2 - 1.3**2),
        (
            Ball((x, y, z), (0.1, 0, 0.2), 0.5),
            0.25 - (x - 0.1) ** 2 - y**2 - (z - 0.2) ** 2,
        ),
        (DOMAINS["L-shape"], x * y * (1 - x**2) * (1 - y**2)),
    ]:
        points = interior(poisson(domain), 300, seed=0)
        lifts = []
        for value in (VALUE, VALUE + vanishing * sp.exp(x)):
            form, weights = stated(poisson(domain, value))
            lifts.append(values_at(form, weights, points))
        np.testing.assert_allclose(lifts[0], lifts[1], rtol=0, atol=1e-11)


def test_initial_values_hold_beside_those_on_the_boundary():
    domain = DOMAINS["two discs removed"]
    u = field_of("u", t, x, y)
    start, ramp = sp.cos(x) * sp.exp(y), 1 + sp.sin(3 * t)
    problem = Problem(
        "heated",
        [u],
        [D(u, t, 2) - laplacian(u, (x, y))],
        [
            Initial(u, start),
            Initial(u, 3 * start, order=1),
            Dirichlet(u, ramp * start, on=("one", "left", "right", "top", "bottom")),
            Neumann(u, 1, on="other"),
        ],
        domain,
        TimeInterval(t, 0.0, 2),
    )
    form, weights = stated(problem)
    (exact,) = form.exact
    held = [r.name for r in residuals(problem) if exact.holds(r)]
    assert len(held) == 7
    points = interior(problem, 1000, seed=0)
    points[:, 0] = 0
    leaf = torch.tensor(points, requires_grad=True)
    nested = ReverseMode(leaf, form(weights, leaf))
    expected = sp.lambdify((x, y), start)(*points[:, 1:].T)
    for orders, factor in [((0, 0, 0), 1), ((1, 0, 0), 3)]:
        got = nested[Jet(0, orders)].detach().numpy()
        np.testing.assert_allclose(got, factor * expected, rtol=0, atol=1e-13)
    for name in ("one", "left"):
        points[:, 1:], _ = domain.sample_boundary(name, 1000, seed=1)
        points[:, 0] = np.linspace(0, 2, 1000)
        expected = sp.lambdify((t, x, y), ramp * start)(*points.T)
        got = values_at(form, weights, points)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13)


def test_initial_values_that_contradict_the_boundary_are_left_to_the_loss():
    u = field_of("u", t, x, y)
    problem = Problem(
        "heated",
        [u],
        [D(u, t) - laplacian(u, (x, y))],
        [Initial(u, 0), Dirichlet(u, 1)],
        DOMAINS["disc"],
        TimeInterval(t, 0.0, 2),
    )
    (exact,) = exact_conditions(problem)
    names = [r.name for r in residuals(problem) if exact.holds(r)]
    assert names == ["Dirichlet(u(t, x, y)) on circle"]


def test_values_that_contradict_each_other_in_a_corner_are_left_to_the_loss():
    u = field_of("u", x, y)

    def exact(domain, first, second):
        conditions = [Dirichlet(u, 0, on=first), Dirichlet(u, 1, on=second)]
        problem = Problem("p", [u], [laplacian(u, (x, y))], conditions, domain)
        return exact_conditions(problem)[0]

    corners = [(0, 0), (2, 0.3), (0.7, 1.4)]
    triangle = Polygon(x, y, corners, ["floor", "wall", "wall"])
    assert exact(triangle, "floor", "wall").is_trivial
    assert not exact(DOMAINS["annulus"], "inner", "outer").is_trivial
    sides = ("left", "right", "bottom", "top")
    assert exact(DOMAINS["side bitten"], sides, "circle").is_trivial


def test_pieces_of_lines_and_circles_are_built_in_only_if_asked_for():
    hole = poisson(DOMAINS["triangle removed"])
    assert exact_conditions(hole)[0].is_trivial
    assert not exact_conditions(hole, pieces=True)[0].is_trivial
    u = field_of("u", x, y)
    names = ["corner", "outer", "outer", "outer", "outer", "corner"]
    shape = Polygon(x, y, DOMAINS["L-shape"].vertices, names)
    values = [Dirichlet(u, 0, on="outer"), Dirichlet(u, x * y, on="corner")]
    apart = Problem("p", [u], [laplacian(u, (x, y))], values, shape)
    assert exact_conditions(apart)[0].is_trivial
    for name in ("disc", "triangle", "side bitten", "annulus", "ball removed"):
        (exact,) = exact_conditions(poisson(DOMAINS[name]))
        assert all(part.trim is None for part in exact.interpolation.parts)


def test_boundaries_of_many_pieces_and_sides_around_a_hole_alone_are_left_to_the_loss():
    angles = np.linspace(0, 2 * np.pi, 30, endpoint=False)
    corners = np.column_stack([np.cos(angles), np.sin(angles)]).tolist()
    assert exact_conditions(poisson(Polygon(x, y, corners)))[0].is_trivial
    u = field_of("u", x, y)
    holed = Problem(
        "p",
        [u],
        [laplacian(u, (x, y))],
        [Neumann(u, 0, on="circle"), Dirichlet(u, 0)],
        DOMAINS["side bitten"],
    )
    assert exact_conditions(holed)[0].is_trivial


@pytest.mark.slow
def test_around_a_hole_exact_values_train_to_a_smaller_error_in_as_many_steps():
    radius = sp.sqrt((x - sp.Rational(1, 5)) ** 2 + y**2)
    solution = 1 + sp.log(radius) + x * y
    hole = Disk(x, y, (0.2, 0), 0.25)
    problem = poisson(SQUARE - hole, solution)
    points = interior(problem, 2000, seed=9)
    expected = sp.lambdify((x, y), solution)(*points.T)

    def error(mode, seed):
        solver = PINN(points=800, steps=200, hard_conditions=mode, seed=seed)
        got = solver.solve(problem).evaluator(points)["u"]
        return np.linalg.norm(got - expected) / np.linalg.norm(expected)

    for seed in (0, 1):
        assert error("auto", seed) < error("off", seed) / 3
