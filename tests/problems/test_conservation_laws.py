"""Conservation laws of the catalogue against independent numbers."""

from dataclasses import replace

import numpy as np
import pytest

from pinnsuite.errors import OptionError
from pinnsuite.problem import load
from pinnsuite.problem.domain import TimeInterval
from pinnsuite.registry import make_solver
from pinnsuite.solution.support import common_support
from pinnsuite.verification import judge, reference

# E. F. Toro, Riemann Solvers and Numerical Methods for Fluid Dynamics, table 4.3:
# left and right (density, velocity, pressure), then pressure and velocity between.
TORO = [
    ((1.0, 0.0, 1.0), (0.125, 0.0, 0.1), 0.30313, 0.92745),
    ((1.0, -2.0, 0.4), (1.0, 2.0, 0.4), 0.00189, 0.0),
    ((1.0, 0.0, 1000.0), (1.0, 0.0, 0.01), 460.894, 19.5975),
    ((1.0, 0.0, 0.01), (1.0, 0.0, 100.0), 46.0950, -6.19633),
]


@pytest.mark.parametrize(("left", "right", "pressure", "velocity"), TORO)
def test_the_states_between_the_waves_are_those_of_toro(
    left, right, pressure, velocity
):
    fastest = 1.2 * (abs(velocity) + np.sqrt(1.4 * max(left[2], right[2])) + 3)
    problem = load("sod", left=left, right=right, end=0.2 / fastest)
    end = problem.time.end
    # Just on either side of the contact.
    places = 0.5 + end * (velocity + np.array([-1e-3, 1e-3]))
    points = np.column_stack([np.full(2, end), places])
    rho, m, energy = problem.reference.evaluate(points).values()
    np.testing.assert_allclose(m / rho, velocity, rtol=1e-5, atol=2e-3)
    found = 0.4 * (energy - m**2 / rho / 2)
    np.testing.assert_allclose(found, pressure, rtol=6e-3)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sod", {"gamma": 1.0}),
        ("sod", {"end": 0.4}),
        ("sod", {"left": (1.0, -9.0, 0.4), "right": (1.0, 9.0, 0.4)}),
        ("traffic_flow", {"density": 0.7}),
        ("advection", {"speed": 0.0}),
        ("dam_break_line", {"downstream": 3.0}),
        ("dam_break", {"radius": 2.0}),
        ("burgers_inviscid", {"end": -1.0}),
        ("buckley_leverett", {"mobility_ratio": 0.0}),
        ("porous_medium", {"m": 7}),
    ],
)
def test_parameters_out_of_range_are_refused(name, options):
    with pytest.raises(OptionError, match=name):
        load(name, **options)


@pytest.mark.parametrize(
    "name",
    ["traffic_flow", "buckley_leverett", "burgers_inviscid", "dam_break_line", "sod"],
)
def test_finite_volumes_converge_to_the_exact_solution_in_l1(name, tmp_path):
    problem = load(name)
    truth = reference(problem, cache=tmp_path)
    errors = []
    for cells in (50, 200):
        solver = make_solver("finite-volume", {"cells": cells})
        solution = solver.solve(problem.without_answer())
        error = judge(problem, solution, truth).error
        assert error.metric == "relative_l1"
        errors.append(error.value)
    # Order 1 gives a factor of 4.
    assert errors[1] < 0.06
    assert 2.5 < errors[0] / errors[1] < 8


def test_the_front_of_the_porous_medium_has_barenblatts_speed():
    problem = replace(load("porous_medium"), exact=None)
    short = replace(problem, time=TimeInterval(problem.time.coordinate, 1, 4, 2))
    solution = make_solver("finite-volume", {"cells": 120}).solve(short).require_ok()
    support = common_support(short)
    values = solution.at(support.points)["u"].reshape(support.shape)[-1]
    front = support.axes["x"][values > 1e-3].max()
    # ±t^(1/3)/√k with k = 1/12.
    assert front == pytest.approx(4 ** (1 / 3) * np.sqrt(12), abs=0.12)
