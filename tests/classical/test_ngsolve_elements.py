"""The second code: exact solutions, corners, time, and the way from sympy to it."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import sympy as sp

from pinnsuite.classical.ngsolve_elements import (
    NGSolveElements,
    _coefficient,
    import_ngsolve,
)
from pinnsuite.compare.metrics import relative_l2
from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    D,
    Difference,
    Dirichlet,
    Disk,
    Initial,
    Neumann,
    Polygon,
    Problem,
    Robin,
    TimeInterval,
    coordinates,
    div,
    field_of,
    grad,
    laplacian,
    load,
    manufacture,
    tabulated,
)
from pinnsuite.problem.jets import numpy_function
from pinnsuite.problem.manufactured import smooth_field
from pinnsuite.verification.reference import exact_evaluator

if importlib.util.find_spec("ngsolve") is None:
    pytest.skip("NGSolve is not installed", allow_module_level=True)
ngsolve = import_ngsolve()

x, y = coordinates("x y")


def error_of(solver, problem, field="u"):
    solution = solver.solve(problem.without_answer()).require_ok()
    points = problem.domain.sample_interior(300, seed=0)
    if problem.time is not None:
        end = np.full((len(points), 1), problem.time.end)
        points = np.hstack([end, points])
    truth = exact_evaluator(problem)(points)[field]
    return relative_l2(solution.at(points)[field], truth)


def with_a_hole():
    u = field_of("u", x, y)
    exact = sp.exp(x) * sp.cos(2 * y)
    k = 1 + x**2
    source = sp.Add(*(sp.diff(k * sp.diff(exact, c), c) for c in (x, y)))
    slope = -(sp.diff(exact, x) * x + sp.diff(exact, y) * y) / sp.sqrt(x**2 + y**2)
    return Problem(
        name="with_a_hole",
        fields=[u],
        equations=[div([k * g for g in grad(u, (x, y))], (x, y)) - source],
        domain=Difference(
            Box((x, -1, 1), (y, -1, 1)), Disk(x, y, (0, 0), 0.4, name="hole")
        ),
        conditions=[
            Neumann(u, slope, on="hole"),
            Robin(u, exact + sp.diff(exact, x), on="right"),
            Dirichlet(u, exact),
        ],
        exact={u: exact},
    )


def test_error_falls_exponentially_with_the_degree_on_curved_sides():
    errors = [
        error_of(NGSolveElements(degree=p, mesh_size=0.4, corner_layers=0), problem)
        for problem in [with_a_hole()]
        for p in (2, 4, 6)
    ]
    assert errors[1] < errors[0] / 20
    assert errors[2] < errors[1] / 20
    assert errors[2] < 1e-6


def test_layers_at_a_reentrant_corner_make_up_for_the_singularity():
    u = field_of("u", x, y)
    angle = sp.Piecewise((sp.atan2(y, x), y >= 0), (sp.atan2(y, x) + 2 * sp.pi, True))
    exact = (x**2 + y**2) ** sp.Rational(1, 3) * sp.sin(2 * angle / 3)
    corners = [(0, 0), (1, 0), (1, 1), (-1, 1), (-1, -1), (0, -1)]
    names = ["notch", "outer", "outer", "outer", "outer", "notch"]
    # On the outer sides in a form without a branch cut.
    radius = sp.sqrt(x**2 + y**2)
    smooth = radius ** sp.Rational(2, 3) * sp.sin(
        sp.Rational(2, 3) * (sp.pi - 2 * sp.atan(y / (radius - x)))
    )
    problem = Problem(
        name="l",
        fields=[u],
        equations=[laplacian(u, (x, y))],
        domain=Polygon(x, y, corners, names=names),
        conditions=[Dirichlet(u, 0, on="notch"), Dirichlet(u, smooth, on="outer")],
        exact={u: exact},
    )
    plain = error_of(NGSolveElements(degree=4, corner_layers=0), problem)
    graded = error_of(NGSolveElements(degree=8, corner_layers=14), problem)
    assert plain > 1e-5
    assert graded < 1e-7


def test_time_steps_are_of_fourth_order():
    t, *_ = coordinates("t")
    u = field_of("u", t, x, y)
    exact = 2 + sp.cos(4 * t)
    problem = Problem(
        name="swinging",
        fields=[u],
        equations=[
            D(u, t) - laplacian(u, (x, y)) + u**2 - exact**2 - sp.diff(exact, t)
        ],
        domain=Box((x, 0, 1), (y, 0, 1)),
        time=TimeInterval(t, 0, 1, num_outputs=3),
        conditions=[Initial(u, exact.subs(t, 0)), Neumann(u, 0)],
        exact={u: exact},
    )
    # Constant in space, so that all error is of the steps.
    errors = [
        error_of(NGSolveElements(degree=2, mesh_size=0.5, steps=n), problem)
        for n in (16, 32)
    ]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.3)


def test_flow_is_solved_with_the_pressure_of_mean_zero():
    cavity = load("lid_driven_cavity", lid="regularised")
    made = manufacture(cavity, smooth_field(cavity))
    solver = NGSolveElements(degree=7, mesh_size=0.25, corner_layers=0)
    assert error_of(solver, made) < 1e-6
    solution = solver.solve(made.without_answer())
    assert abs(float(solution.fields["p"].mean())) < 0.05


AXES = (np.linspace(0, 1, 5), np.linspace(-0.5, 1, 4))
NUMBERS = np.random.default_rng(1).uniform(1, 2, (5, 4))


@pytest.mark.parametrize(
    "expression",
    [
        sp.sin(x) * sp.exp(-(y**2)) + sp.sqrt(1 + x**2) / (2 + y) ** 3,
        sp.tanh(50 * (x - y)),
        sp.Piecewise((x, (x > 0.3) & (y < 0.5)), (y**2, x <= 0.3), (sp.pi, True)),
        sp.Abs(x - y) + sp.Max(x, y, sp.Rational(1, 2)) - sp.Min(x, y),
        sp.Heaviside(x - 0.4) + sp.sign(y - 0.6),
        tabulated("a", AXES, NUMBERS)(x, y),
        tabulated("a", AXES, NUMBERS, "linear")(x, y - x / 2),
        tabulated("a", AXES[1:], NUMBERS[0])(y),
        sp.erf(x) + sp.atan(y) + (1 + x) ** sp.Rational(2, 3),
    ],
)
def test_coefficients_have_the_values_of_their_expressions(expression):
    mesh = ngsolve.Mesh(ngsolve.unit_square.GenerateMesh(maxh=0.5))
    points = np.random.default_rng(0).uniform(0.01, 0.99, (50, 2))
    made = _coefficient(expression, {x: ngsolve.x, y: ngsolve.y})
    seen = np.asarray(made(mesh(*np.ascontiguousarray(points.T)))).ravel()
    wanted = numpy_function((x, y), [expression])(*points.T)[0]
    np.testing.assert_allclose(seen, wanted, rtol=1e-12, atol=1e-12)


def test_points_of_another_mesh_on_curved_sides_are_found():
    problem = with_a_hole()
    solution = NGSolveElements(degree=4).solve(problem.without_answer())
    nodes = problem.domain.mesh(0.05).points
    truth = exact_evaluator(problem)(nodes)["u"]
    assert relative_l2(solution.at(nodes)["u"], truth) < 1e-5


def test_it_says_what_it_cannot_take():
    assert "plane" in NGSolveElements().why_not(load("periodic_burgers"))
    with pytest.raises(OptionError, match="degree is 0"):
        NGSolveElements(degree=0)


def test_torch_works_beside_it_whichever_comes_first():
    """Its OpenBLAS, seen by all, made PyTorch's products crash the process."""
    program = """
from pinnsuite.classical.ngsolve_elements import import_ngsolve
import_ngsolve()
import torch
print(torch.ones(4, 30, 30, dtype=torch.cdouble).bmm(
    torch.ones(4, 30, 3, dtype=torch.cdouble)).sum().real.item())
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert float(run.stdout) == 4 * 30 * 30 * 3
