"""References and baselines of the problems in many dimensions, and the eikonal one."""

import numpy as np
import pytest

from pinnsuite.classical.collocation import Collocation
from pinnsuite.classical.finite_difference import FiniteDifferences
from pinnsuite.classical.lines import MethodOfLines
from pinnsuite.errors import OptionError
from pinnsuite.problem import load
from pinnsuite.solution.support import Grid, PointCloud, common_support
from pinnsuite.verification.reference import exact_evaluator


def error(problem, solver, points):
    solution = solver.solve(problem.without_answer())
    if problem.exact is None:
        truth = problem.reference.evaluate(points)["u"]
    else:
        truth = exact_evaluator(problem)(points)["u"]
    return np.linalg.norm(solution.at(points)["u"] - truth) / np.linalg.norm(truth)


@pytest.mark.parametrize("dimension", [1, 3, 5, 7])
def test_chebyshev_points_solve_poisson_in_any_dimension(dimension):
    problem = load("poisson_5d", dimension=dimension)
    points = problem.domain.sample_interior(64, seed=0)
    points_per_axis = 9 if dimension < 6 else 7
    solver = FiniteDifferences(points=points_per_axis, stencil="chebyshev")
    assert error(problem, solver, points) < (1e-8 if dimension < 6 else 1e-5)


def test_candidates_for_poisson_in_five_dimensions_agree():
    problem = load("poisson_5d")
    points = problem.domain.sample_interior(64, seed=0)
    assert error(problem, FiniteDifferences(order=2), points) < 1e-3
    assert error(problem, FiniteDifferences(order=4), points) < 1e-5
    assert error(problem, Collocation(degree=4), points) < 2e-4


def test_heat_in_five_dimensions_by_lines_of_few_nodes():
    problem = load("heat_5d", dimension=4)
    points = common_support(problem).points
    solver = MethodOfLines(points=7, stencil="chebyshev", rtol=1e-6, atol=1e-8)
    assert error(problem, solver, points) < 2e-4
    assert "lower points" in MethodOfLines().why_not(load("heat_5d"))


def test_the_ball_is_compared_on_a_cloud_and_boxes_on_grids():
    cloud = common_support(load("heat_ball"))
    assert isinstance(cloud, PointCloud)
    assert cloud.shape == (11, 4096)
    assert cloud.weights.sum() == pytest.approx(8 * np.pi**2 / 15)
    assert isinstance(common_support(load("heat_5d")), Grid)
    assert isinstance(common_support(load("poisson_5d", dimension=6)), PointCloud)


def test_a_polynomial_solves_the_heated_ball():
    problem = load("heat_ball", dimension=4)
    points = common_support(problem).points[::16]
    low, high = (error(problem, Collocation(degree=d), points) for d in (3, 5))
    assert high < 0.05 * low + 3e-3
    assert high < 6e-3


@pytest.mark.parametrize("viscosity", [0.5, 0.1])
def test_the_eikonal_series_agrees_with_newtons_method(viscosity):
    problem = load("eikonal", viscosity=viscosity)
    # The corners, where u_xx + u_yy = -1/ε meets u = 0, keep it from being spectral.
    solver = FiniteDifferences(points=31, stencil="chebyshev")
    points = common_support(problem).points
    inside = points[(points > 0).all(axis=1) & (points < 1).all(axis=1)]
    assert error(problem, solver, inside) < {0.5: 1e-7, 0.1: 1e-6}[viscosity]


def test_the_eikonal_solution_tends_to_the_distance():
    points = load("eikonal").domain.sample_interior(500, seed=0)
    distance = np.minimum(points, 1 - points).min(axis=1)
    gaps = []
    for viscosity in (0.08, 0.04, 0.02):
        u = load("eikonal", viscosity=viscosity).reference.evaluate(points)["u"]
        gaps.append(np.abs(u - distance).max())
    assert gaps[0] > 1.8 * gaps[1] > 3.2 * gaps[2]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("poisson_5d", {"dimension": 9}),
        ("heat_5d", {"dimension": 0}),
        ("heat_ball", {"dimension": 1}),
        ("eikonal", {"viscosity": 0.0}),
        ("poisson_spheres", {"k_low": 0.0}),
    ],
)
def test_parameters_out_of_range_say_what_is_allowed(name, parameters):
    with pytest.raises(OptionError, match=r"use a|numbers from"):
        load(name, **parameters)
