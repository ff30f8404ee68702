"""Finite differences: declared orders, every linear solver, clear refusals."""

import numpy as np
import pytest
import sympy as sp

from pinnsuite.classical.finite_difference import FiniteDifferences
from pinnsuite.classical.stencils import ChebyshevAxis, interpolant
from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Disk,
    Interval,
    Neumann,
    Obstacle,
    Periodic,
    Problem,
    Robin,
    coordinates,
    div,
    field_of,
    grad,
    laplacian,
    manufacture,
)
from pinnsuite.problem.manufactured import smooth_field
from pinnsuite.solution.solution import Status
from pinnsuite.verification.reference import exact_evaluator

x, y, z, w, v = coordinates("x y z w v")


def stationary(dimension, operator=lambda u, space: laplacian(u, space)):
    """Dirichlet, Neumann and Robin sides, and a solution that is zero nowhere."""
    space = (x, y, z, w, v)[:dimension]
    u = field_of("u", *space)
    problem = Problem(
        "made",
        [u],
        [operator(u, space)],
        [
            Neumann(u, 0, on="left"),
            Robin(u, 0, on="right", a=2),
            Dirichlet(u, 0),
        ],
        Box(*((s, 0, 1 + k / 4) for k, s in enumerate(space))),
    )
    return manufacture(problem, smooth_field(problem))


def error(problem, solver):
    solution = solver.solve(problem.without_answer()).require_ok()
    points = problem.domain.sample_interior(256, seed=0)
    found, truth = solution.at(points), exact_evaluator(problem)(points)
    return max(
        np.linalg.norm(found[k] - truth[k]) / np.linalg.norm(truth[k]) for k in truth
    )


def separable(u, space):
    """Coefficients that vary along their own axis."""
    return (
        laplacian(u, space)
        + sp.exp(space[0]) * D(u, space[0])
        - (3 + sp.cos(space[-1])) * u
    )


def varying(u, space):
    k = 1 + sp.prod(space) / 2
    return div([k * g for g in grad(u, space)], space) - u


def nonlinear(u, space):
    return laplacian(u, space) - u**3 + space[0] * u


@pytest.mark.parametrize("operator", [separable, varying, nonlinear])
@pytest.mark.parametrize(("dimension", "order"), [(1, 2), (1, 6), (2, 2), (2, 4)])
def test_error_falls_with_the_declared_order(operator, dimension, order):
    problem = stationary(dimension, operator)
    solver = FiniteDifferences(points=41 if dimension == 1 else 25, order=order)
    assert solver.expected_order(problem) == order
    coarse, fine = error(problem, solver), error(problem, solver.refined())
    assert np.log2(coarse / fine) == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize("dimension", [1, 2, 3, 5])
def test_chebyshev_points_are_spectral(dimension):
    problem = stationary(dimension, separable)
    points = {1: 21, 2: 21, 3: 17, 5: 13}[dimension]
    solver = FiniteDifferences(points=points, stencil="chebyshev")
    assert solver.expected_order(problem) is None
    assert error(problem, solver) < {1: 1e-12, 2: 1e-12, 3: 1e-9, 5: 1e-5}[dimension]


@pytest.mark.parametrize("dimension", [2, 3])
def test_every_linear_solver_gives_the_same(dimension):
    problem = stationary(dimension, separable).without_answer()
    kinds = ("diagonalisation", "direct", "multigrid")
    solutions = [
        FiniteDifferences(points=13, linear_solver=k).solve(problem).require_ok()
        for k in kinds
    ]
    assert tuple(s.details["linear_solver"] for s in solutions) == kinds
    inner = (slice(1, -1),) * dimension
    for other in solutions[1:]:
        np.testing.assert_allclose(
            other.fields["u"][inner], solutions[0].fields["u"][inner], rtol=1e-8
        )


def test_multigrid_takes_nonlinear_problems():
    problem = stationary(3, nonlinear)
    solver = FiniteDifferences(points=9, order=2, linear_solver="multigrid")
    direct = FiniteDifferences(points=9, order=2)
    assert error(problem, solver) == pytest.approx(error(problem, direct), rel=1e-6)


def test_systems_and_periodic_sides_are_taken():
    u, g = field_of("u", x, y), field_of("g", x, y)
    problem = Problem(
        "pair",
        [u, g],
        [laplacian(u, (x, y)) - g, laplacian(g, (x, y)) - u + u**2],
        [Dirichlet(u, 0), Dirichlet(g, 0), Periodic(x)],
        Box((x, 0, 1), (y, 0, 1)),
    )
    made = manufacture(problem, smooth_field(problem))
    solver = FiniteDifferences(points=17)
    coarse, fine = error(made, solver), error(made, solver.refined())
    assert np.log2(coarse / fine) == pytest.approx(4.0, abs=0.3)
    periodic = FiniteDifferences(points=17).solve(made.without_answer())
    np.testing.assert_array_equal(periodic.fields["u"][0], periodic.fields["u"][-1])


def test_global_axes_are_evaluated_point_by_point():
    axes = [ChebyshevAxis(0.0, 1.0, n) for n in (6, 7, 8)]
    mesh = np.meshgrid(*(a.nodes for a in axes), indexing="ij")
    values = np.stack([mesh[0] ** 2 * mesh[1] - mesh[2] ** 3, mesh[2]], axis=-1)
    points = np.random.default_rng(0).random((50, 3))
    a, b, c = points.T
    np.testing.assert_allclose(
        interpolant(axes, values)(points), np.stack([a**2 * b - c**3, c], 1), atol=1e-14
    )


def simple(equation=None, conditions=None, domain=None, **more):
    u = field_of("u", x, y)
    return Problem(
        "simple",
        [u],
        [laplacian(u, (x, y)) + 1 if equation is None else equation(u)],
        [Dirichlet(u, 0)] if conditions is None else conditions(u),
        domain or Box((x, 0, 1), (y, 0, 1)),
        **more,
    )


REFUSED = {
    "disk": (simple(domain=Disk(x, y, (0, 0), 1)), {}, "no Interval or Box"),
    "gauge": (
        simple(conditions=lambda u: [Neumann(u, 0)], hints={"gauge": "u"}),
        {},
        "up to a constant only",
    ),
    "jump": (
        simple(
            lambda u: div([sp.Heaviside(x - 0.5) * g for g in grad(u, (x, y))], (x, y))
        ),
        {},
        "loses the jump",
    ),
    "mixed": (
        simple(lambda u: laplacian(u, (x, y)) + D(u, x, y) / 2),
        {"linear_solver": "diagonalisation"},
        "linear sum of operators along the axes",
    ),
    "obstacle": (
        simple(conditions=lambda u: [Dirichlet(u, 0), Obstacle(u, 0)]),
        {},
        "use 'complementarity'",
    ),
    "few points": (simple(), {"points": 5}, "raise points"),
    "plate": (
        simple(
            lambda u: D(u, x, 4) + D(u, y, 4) - 1,
            lambda u: [Dirichlet(u, 0), Neumann(u, 0)],
        ),
        {},
        "meet corners",
    ),
}


@pytest.mark.parametrize("key", REFUSED)
def test_what_it_cannot_take_is_named(key):
    problem, options, message = REFUSED[key]
    solver = FiniteDifferences(**options)
    assert message in solver.why_not(problem)
    with pytest.raises(UnsupportedProblemError, match=message):
        solver.solve(problem)


def test_a_problem_in_time_belongs_to_the_method_of_lines():
    from pinnsuite.problem import load

    assert "use 'lines'" in FiniteDifferences().why_not(load("allen_cahn"))


def test_a_singular_system_and_a_failed_newton_iteration_say_so():
    free = simple(conditions=lambda u: [Neumann(u, 0)])
    solution = FiniteDifferences().solve(free)
    assert solution.status is Status.FAILED
    assert "leave a function free" in solution.message
    # -∇²u = 100 exp(u) has no solution.
    none = simple(lambda u: laplacian(u, (x, y)) + 100 * sp.exp(u))
    assert FiniteDifferences(points=11).solve(none).status in (
        Status.DIVERGED,
        Status.NAN,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stencil": "chebychev"}, "Did you mean 'chebyshev'"),
        ({"linear_solver": "amg"}, "finite-difference option linear_solver"),
        ({"order": 3}, "order is 3"),
        ({"points": 4}, "at least 5"),
        ({"refinements": -1}, "refinements is -1"),
        ({"max_newton": 0}, "max_newton is 0"),
        ({"newton_tolerance": 0.0}, "between 0 and 1"),
    ],
)
def test_wrong_options_are_answered_with_what_is_needed(options, message):
    with pytest.raises(OptionError, match=message):
        FiniteDifferences(**options)


def test_end_points_of_an_interval_are_kept():
    u = field_of("u", x)
    problem = Problem(
        "line",
        [u],
        [D(u, x, 2) - 2],
        [Dirichlet(u, 1, on="left"), Dirichlet(u, 4, on="right")],
        Interval(x, 0, 1),
    )
    solution = FiniteDifferences(points=11, order=2).solve(problem)
    nodes = solution.support.axes["x"]
    np.testing.assert_allclose(
        solution.fields["u"], nodes**2 + 2 * nodes + 1, atol=1e-12
    )
