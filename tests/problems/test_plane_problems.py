"""Numbers known from elsewhere, for problems in the plane."""

import numpy as np
import pytest

from pinnsuite.classical.finite_element import FiniteElements
from pinnsuite.problem import load
from pinnsuite.verification.reference import exact_evaluator


def solved(name, solver, **parameters):
    problem = load(name, **parameters)
    return problem, solver.solve(problem.without_answer()).require_ok()


def test_the_plain_lid_has_the_velocity_minimum_of_spectral_methods():
    solver = FiniteElements(mesh_size=1 / 12, element="P3", grading="cosine")
    problem, solution = solved("lid_driven_cavity", solver)
    # O. Botella & R. Peyret 1998, table 9: Re = 100.
    smallest = problem.quantities["u_min on x = 1/2"](solution.at)
    assert smallest == pytest.approx(-0.2140424, abs=2e-4)


@pytest.mark.slow
def test_the_cylinder_has_the_pressure_difference_of_the_benchmark():
    solver = FiniteElements(mesh_size=0.02, element="P3", grading="adaptive")
    problem, solution = solved("cylinder_in_channel", solver)
    assert problem.quantities["pressure difference"](solution.at) == pytest.approx(
        0.11752016697, abs=2e-5
    )


def test_the_hole_has_three_times_the_tension():
    solver = FiniteElements(mesh_size=0.2, element="P3")
    problem, solution = solved("plate_with_hole", solver)
    factor = problem.quantities["stress concentration"](solution.at)
    assert factor == pytest.approx(3.0, abs=2e-3)


def test_the_supported_plate_has_its_tabulated_deflection():
    problem = load("biharmonic_plate")
    # Timoshenko & Woinowsky-Krieger, table 8: w = 0.00406 q a⁴/D, moments 0.0479 q a²
    # each for a Poisson ratio of 0.3, and m their sum divided by 1.3.
    middle = problem.reference.evaluate(np.array([[0.5, 0.5]]))
    assert middle["w"][0] == pytest.approx(0.00406, abs=5e-6)
    assert middle["m"][0] == pytest.approx(2 * 0.0479 / 1.3, abs=1e-4)
    solver = FiniteElements(1 / 12, element="P4", grading="cosine")
    _, solution = solved("biharmonic_plate", solver)
    points = problem.domain.sample_interior(300, seed=0)
    for name, exact in problem.reference.evaluate(points).items():
        np.testing.assert_allclose(solution.at(points)[name], exact, atol=2e-6)


def test_the_air_takes_from_the_sink_what_the_chip_gives():
    problem, solution = solved("heat_sink", FiniteElements(element="P2"))
    nodes, weights = np.polynomial.legendre.leggauss(4)
    nodes, weights = (1 + nodes) / 2, weights / 2
    lost = 0.0
    for piece in problem.domain.pieces:
        if piece.name == "air":
            values = solution.at(piece.at(nodes))["u"]
            lost += piece.measure * 0.5 * (weights @ values)
    assert lost == pytest.approx(1e3 * 2.0, rel=1e-9)


def test_p4_velocities_with_p3_pressure_hold_the_colliding_streams_exactly():
    problem, solution = solved("stokes", FiniteElements(1 / 2, element="P4"))
    points = problem.domain.sample_interior(200, seed=0)
    exact = exact_evaluator(problem)(points)
    for name, values in solution.at(points).items():
        shift = (values - exact[name]).mean() if name == "p" else 0.0
        np.testing.assert_allclose(values - shift, exact[name], atol=1e-9)
