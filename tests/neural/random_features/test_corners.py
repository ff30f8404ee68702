"""Corners are found, and what holds in them."""

import numpy as np
import pytest
import sympy as sp

from pinnsuite.neural.random_features.corners import corners, disputed
from pinnsuite.neural.random_features.solver import RandomFeatures
from pinnsuite.problem import (
    Box,
    Dirichlet,
    Disk,
    Polygon,
    Problem,
    coordinates,
    field_of,
    laplacian,
)
from pinnsuite.problem.catalog import entries
from pinnsuite.solution.solution import Status
from pinnsuite.verification.judge import judge
from pinnsuite.verification.reference import reference

x, y = coordinates("x y")
SQUARE = Box((x, 0, 1), (y, 0, 1))
L_SHAPE = [(0, 0), (1, 0), (1, 1), (-1, 1), (-1, -1), (0, -1)]


@pytest.mark.parametrize(
    ("domain", "count"),
    [
        (SQUARE, 4),
        (Box((x, 0, 1)), 0),
        (Disk(x, y, (0, 0), 1.0), 0),
        (Polygon(x, y, L_SHAPE), 6),
        (SQUARE - Disk(x, y, (0.5, 0.5), 0.2), 4),
        (SQUARE - Disk(x, y, (0, 0), 0.2), 5),
        (None, 0),
    ],
)
def test_an_outline_has_corners_where_it_turns(domain, count):
    assert corners(domain).shape == (count, 2)


def test_a_boundary_of_another_name_begins_at_a_corner():
    names = ["low", "side", "top", "high", "side"]
    flat = Polygon(x, y, [(0, 0), (1, 0), (1, 1), (0.4, 1), (0, 1)], names)
    assert [0.4, 1.0] in corners(flat).tolist()


def test_the_walls_own_the_corners_of_a_plain_lid():
    found = disputed(entries()["lid_driven_cavity"].make())
    at = sorted((field, *corner, value) for field, corner, value in found)
    assert at == [(0, 0.0, 1.0, 0.0), (0, 1.0, 1.0, 0.0)]


def test_data_that_agree_are_not_disputed():
    assert disputed(entries()["lid_driven_cavity"].make(lid="regularised")) == []
    assert disputed(entries()["l_shape_laplace"].make()) == []


def test_a_value_that_is_not_finite_in_a_corner_is_no_dispute():
    u = field_of("u", x, y)
    exact = x * sp.log(x**2 + y**2) / 2 - y * sp.atan2(y, x)
    problem = Problem(
        "z log z", [u], [laplacian(u, (x, y))], [Dirichlet(u, exact)], SQUARE
    )
    assert disputed(problem) == []
    found = RandomFeatures().solve(problem, budget=1.0)
    assert np.isfinite(found.fields["u"]).all()


def test_patches_are_graded_towards_a_re_entrant_corner():
    # On grids, with planes through the whole domain, 4.5e-3 was the best.
    problem = entries()["l_shape_laplace"].make()
    solution = RandomFeatures(max_unknowns=5000).solve(problem)
    assert solution.status is Status.OK
    error = judge(problem, solution, reference(problem)).error
    assert error.per_field["u"].relative_l2 < 5e-4


def test_values_at_a_disputed_corner_are_those_of_the_first_condition():
    problem = entries()["lid_driven_cavity"].make()
    solution = RandomFeatures(max_unknowns=3000).solve(problem)
    at = np.array([[0.0, 1.0], [1.0, 1.0], [0.5, 1.0]])
    values = solution.evaluator(at)["u"]
    assert values[:2].tolist() == [0.0, 0.0]
    assert abs(values[2] - 1.0) < 0.2
