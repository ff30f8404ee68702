"""Finite elements on tetrahedra: declared orders, curved surfaces, conditions."""

import numpy as np
import pytest

from pinnsuite.classical.finite_element import FiniteElements
from pinnsuite.problem import (
    Ball,
    Box,
    Dirichlet,
    Neumann,
    Periodic,
    Problem,
    Robin,
    coordinates,
    field_of,
    laplacian,
    manufacture,
)
from pinnsuite.problem.manufactured import smooth_field
from pinnsuite.verification.reference import exact_evaluator

x, y, z = coordinates("x y z")
u = field_of("u", x, y, z)
CUBE = Box((x, 0, 1), (y, 0, 1), (z, 0, 1))
CASES = {
    "cube": (CUBE, 0.25, [Dirichlet(u, 0)]),
    "periodic": (CUBE, 0.25, [Periodic(x), Neumann(u, 0)]),
    "ball": (Ball((x, y, z), (0, 0, 0), 1), 0.4, [Neumann(u, 0)]),
    "hole": (
        CUBE - Ball((x, y, z), (0.4, 0.5, 0.5), 0.25),
        0.15,
        [Robin(u, 0, on="sphere", a=2), Dirichlet(u, 0)],
    ),
}


def error(problem, solver):
    solution = solver.solve(problem.without_answer()).require_ok()
    points = problem.domain.sample_interior(500, seed=0)
    truth = exact_evaluator(problem)(points)["u"]
    return np.linalg.norm(solution.at(points)["u"] - truth) / np.linalg.norm(truth)


ROWS = [
    ("cube", "P1", 2),
    ("ball", "P1", 2),
    ("ball", "P2", 3),
    pytest.param("cube", "P2", 3, marks=pytest.mark.slow),
    pytest.param("periodic", "P2", 3, marks=pytest.mark.slow),
    pytest.param("hole", "P1", 2, marks=pytest.mark.slow),
    pytest.param("hole", "P2", 3, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("key", "element", "order"), ROWS)
def test_error_falls_with_the_declared_order(key, element, order):
    domain, size, conditions = CASES[key]
    equation = -laplacian(u, (x, y, z)) + 3 * u
    problem = Problem("made", [u], [equation], conditions, domain)
    made = manufacture(problem, smooth_field(problem))
    solver = FiniteElements(element=element, mesh_size=size, linear_solver="multigrid")
    coarse, fine = error(made, solver), error(made, solver.refined())
    assert np.log2(coarse / fine) == pytest.approx(order, abs=0.35)


def test_there_are_tetrahedra_of_degree_one_and_two_only():
    problem = Problem("p", [u], [laplacian(u, (x, y, z))], [Dirichlet(u, 0)], CUBE)
    assert "use 'P1' or 'P2'" in FiniteElements(element="P3").why_not(problem)
    assert FiniteElements(element="P2").why_not(problem) is None
