"""Order, exactness across layers, conservation, agreement of the linear solvers."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp

from pinnsuite.classical.cell_centred import CellCentred
from pinnsuite.classical.cell_grid import CellAxis, cell_axes, interpolation
from pinnsuite.classical.finite_element import FiniteElements
from pinnsuite.compare.metrics import relative_l2
from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Flux,
    Initial,
    Interval,
    Neumann,
    Periodic,
    Problem,
    Robin,
    TimeInterval,
    coordinates,
    div,
    field_of,
    grad,
    manufacture,
    tabulated,
)
from pinnsuite.problem.manufactured import smooth_field
from pinnsuite.solution.solution import Status
from pinnsuite.verification.reference import exact_evaluator

t, x, y = coordinates("t x y")
SQUARE = Box((x, 0, 1), (y, 0, 2))
A = 1 + x * y / 2 + x**2
B = 2 + sp.sin(y)


def smooth(kind, closing):
    """Return a problem with varying coefficients and a known solution."""
    where = (x, y) if kind == "at rest" else (t, x, y)
    u = field_of("u", *where)
    flux = (A * D(u, x), B * D(u, y))
    if closing == "periodic":
        flux = ((2 + sp.cos(2 * sp.pi * x)) * D(u, x), B * D(u, y))
    rate = {
        "at rest": (1 + x) * u,
        "heat": (1 + x) * D(u, t),
        "reaction": D(u, t) + u**3,
        "wave": (1 + x) * D(u, t, 2) + (1 + y) * D(u, t),
    }
    sides = {
        "values": [Dirichlet(u, 0)],
        "slopes": [Neumann(u, 0)],
        "mixed": [
            Robin(u, 0, on=("left", "top"), a=2, b=1 + x),
            Flux(u, 0, on="right", flux=flux),
            Dirichlet(u, 0),
        ],
        "periodic": [Periodic(x), Dirichlet(u, 0)],
    }
    start = [Initial(u, 0), Initial(u, 0, order=1)]
    problem = Problem(
        f"{kind}, {closing}",
        fields=[u],
        equations=[rate[kind] - div(flux, (x, y))],
        conditions=[
            *start[: {"at rest": 0, "wave": 2}.get(kind, 1)],
            *sides[closing],
        ],
        domain=SQUARE,
        time=None if kind == "at rest" else TimeInterval(t, 0, 1, num_outputs=5),
    )
    return manufacture(problem, smooth_field(problem))


def error(problem, solver):
    points = problem.domain.sample_interior(300, seed=0)
    if problem.time is not None:
        times = np.repeat(problem.time.outputs, len(points))[:, None]
        points = np.hstack([times, np.tile(points, (5, 1))])
    solution = solver.solve(problem.without_answer()).require_ok()
    truth = exact_evaluator(problem)(points)["u"]
    return relative_l2(solution.at(points)["u"], truth)


@pytest.mark.parametrize("closing", ["values", "slopes", "mixed", "periodic"])
@pytest.mark.parametrize("kind", ["at rest", "heat", "wave"])
def test_the_order_is_two(kind, closing):
    problem = smooth(kind, closing)
    solver = CellCentred(cells=32, steps=10)
    errors = [error(problem, s) for s in (solver, solver.refined())]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.1)


def test_reactions_are_solved_by_newton():
    problem = smooth("reaction", "mixed")
    solver = CellCentred(cells=16, steps=8)
    errors = [error(problem, s) for s in (solver, solver.refined())]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize(("method", "order"), [("SDIRK2", 2), ("SDIRK4", 4)])
def test_the_order_in_time(method, order):
    """On one cell pattern the error is that of the steps alone."""
    u = field_of("u", t, x)
    problem = Problem(
        "decay",
        fields=[u],
        equations=[D(u, t) - D(u, x, 2) / 10 - sp.sin(3 * t) * u],
        conditions=[Initial(u, 1 + sp.cos(sp.pi * x)), Neumann(u, 0)],
        domain=Interval(x, 0, 1),
        time=TimeInterval(t, 0, 2, num_outputs=3),
    )
    points = np.array([[2.0, 0.3], [1.0, 0.8]])
    found = [
        CellCentred(cells=16, method=method, steps=n).solve(problem).at(points)["u"]
        for n in (20, 40, 80)
    ]
    steps = [np.abs(a - b).max() for a, b in pairwise(found)]
    assert np.log2(steps[0] / steps[1]) == pytest.approx(order, abs=0.3)


def layers(method="nearest"):
    a = tabulated("a", ([0.1, 0.3, 0.7],), [1.0, 10.0, 0.1], method)(x)
    u = field_of("u", x)
    return Problem(
        "layers",
        fields=[u],
        equations=[-D(a * D(u, x), x)],
        conditions=[Dirichlet(u, 0, on="left"), Dirichlet(u, 1, on="right")],
        domain=Interval(x, 0, 1),
    )


@pytest.mark.parametrize("cells", [4, 7])
def test_layers_are_exact_also_between_the_centres(cells):
    """-(a u')' = 0 with interfaces at 0.2 and 0.5: u is linear in each layer."""
    at = np.linspace(0, 1, 41)
    resistance = np.interp(at, [0, 0.2, 0.5, 1], np.cumsum([0, 0.2, 0.03, 5.0]))
    found = CellCentred(cells=cells).solve(layers()).at(at[:, None])["u"]
    np.testing.assert_allclose(found, resistance / 5.23, atol=1e-12)


def test_faces_lie_where_coefficients_jump():
    axes = cell_axes(layers(), (), 10, 1)
    assert {0.2, 0.5} <= set(np.round(axes[0].faces, 12))
    assert len(axes[0].centres) == 20
    jump = sp.Piecewise((1, 2 * x < 0.5), (2, True)) + sp.Heaviside(x - 0.7)
    u = field_of("u", x)
    problem = replace(layers(), equations=[-D(jump * D(u, x), x)])
    assert {0.25, 0.7} <= set(np.round(cell_axes(problem, (), 10, 0)[0].faces, 12))


def test_pixels_are_passed_over_until_there_is_a_cell_for_each():
    at = np.linspace(0, 1, 16)
    a = tabulated("a", (at,), 1.0 + np.arange(16) % 2)(x)
    problem = replace(layers(), equations=[-D(a * D(field_of("u", x), x), x)])
    counts = [len(cell_axes(problem, (), 4, r)[0].centres) for r in range(4)]
    assert counts == [4, 8, 16, 32]
    faces = cell_axes(problem, (), 4, 3)[0].faces
    assert np.isin(np.round((at[1:] + at[:-1]) / 2, 9), np.round(faces, 9)).all()


def test_interpolation_is_exact_for_cubics_on_unequal_cells():
    axes = [
        CellAxis(np.array([0, 0.1, 0.3, 0.35, 0.5, 0.6, 0.8, 1.0])),
        CellAxis(np.linspace(0, 2, 9)),
    ]
    points = np.random.default_rng(0).uniform(0, 1, (200, 2)) * [1, 2]

    def cubic(a, b):
        return (1 + a - 2 * a**2 + a**3) * (b**3 - b)

    mesh = np.meshgrid(*(axis.centres for axis in axes), indexing="ij")
    matrix = interpolation(axes, points, [np.ones(())] * 2)
    np.testing.assert_allclose(
        matrix @ cubic(*mesh).ravel(), cubic(*points.T), atol=1e-13
    )


def chequered(contrast=10.0, *, closing="values", reaction=0.0):
    table = np.where(np.random.default_rng(0).random((4, 4)) < 0.5, 1.0, contrast)
    a = tabulated("a", (np.arange(4) / 4 + 0.125,) * 2, table)(x, y)
    u = field_of("u", x, y)
    sides = {
        "values": [Dirichlet(u, 0)],
        "mixed": [Dirichlet(u, x, on=("left", "bottom")), Neumann(u, 0)],
        "slopes": [Robin(u, 1, a=1, b=a)],
    }
    return Problem(
        "chequered",
        fields=[u],
        equations=[-div([a * g for g in grad(u, (x, y))], (x, y)) + reaction * u - 1],
        conditions=sides[closing],
        domain=Box((x, 0, 1), (y, 0, 1)),
    )


@pytest.mark.parametrize("closing", ["values", "mixed", "slopes"])
def test_all_linear_solvers_agree(closing):
    problem = chequered(closing=closing, reaction=0.5)
    found = {
        name: CellCentred(cells=32, linear_solver=name).solve(problem).require_ok()
        for name in ("direct", "transform", "multigrid")
    }
    for solution in found.values():
        np.testing.assert_allclose(
            solution.fields["u"], found["direct"].fields["u"], rtol=1e-9
        )


def test_what_solves_the_linear_system_by_itself():
    chosen = {
        (cells, contrast): CellCentred(cells=cells)
        .solve(chequered(contrast))
        .details["linear_solver"]
        for cells, contrast in ((16, 10.0), (240, 10.0), (16, 1e4))
    }
    assert list(chosen.values()) == ["direct", "transform", "direct"]


def test_it_agrees_with_finite_elements_across_jumps():
    problem = chequered()
    points = problem.domain.sample_interior(300, seed=1)
    mine = CellCentred(cells=64).solve(problem).at(points)["u"]
    theirs = FiniteElements(mesh_size=1 / 24, element="P2").solve(problem).at(points)
    assert relative_l2(mine, theirs["u"]) < 5e-3


def test_heat_is_conserved_to_rounding():
    a = tabulated("a", ([0.2, 0.6],), [1.0, 50.0])(x)
    u = field_of("u", t, x)
    problem = Problem(
        "insulated",
        fields=[u],
        equations=[D(u, t) - D(a * D(u, x), x)],
        conditions=[Initial(u, sp.exp(-20 * x)), Neumann(u, 0)],
        domain=Interval(x, 0, 1),
        time=TimeInterval(t, 0, 1, num_outputs=5),
    )
    solver = CellCentred(cells=50, steps=20)
    solution = solver.solve(problem)
    total = solution.fields["u"] @ solver.axes(problem)[0].widths
    # Rounding grows with the condition of the matrix, here 1e5.
    np.testing.assert_allclose(total, total[0], rtol=1e-10)
    assert np.ptp(solution.fields["u"][-1]) < 1e-6 * total[0]


def test_coupled_fields_of_either_sign():
    """The second equation is written with its signs turned round."""
    u, v = field_of("u", t, x), field_of("v", t, x)
    problem = Problem(
        "exchange",
        fields=[u, v],
        equations=[
            D(u, t) - D(u, x, 2) / 100 - (v - u),
            -2 * D(v, t) + D(v, x, 2) / 50 + 2 * (u - v),
        ],
        conditions=[
            Initial(u, sp.cos(sp.pi * x)),
            Initial(v, 0),
            Neumann(u, 0),
            Neumann(v, 0),
        ],
        domain=Interval(x, 0, 1),
        time=TimeInterval(t, 0, 1, num_outputs=3),
    )
    solution = CellCentred(cells=100, steps=20).solve(problem).require_ok()
    points = np.array([[1.0, 0.13], [1.0, 0.71]])
    wave = np.cos(np.pi * points[:, 1]) * np.exp(-((np.pi / 10) ** 2))
    found = solution.at(points)
    np.testing.assert_allclose(found["u"], wave * (1 + np.exp(-2)) / 2, rtol=2e-4)
    np.testing.assert_allclose(found["v"], wave * (1 - np.exp(-2)) / 2, rtol=2e-4)


def test_a_wrong_sign_is_told():
    u = field_of("u", t, x)
    problem = Problem(
        "backwards",
        fields=[u],
        equations=[D(u, t) + D(u, x, 2)],
        conditions=[Initial(u, x), Dirichlet(u, x)],
        domain=Interval(x, 0, 1),
        time=TimeInterval(t, 0, 1),
    )
    solution = CellCentred().solve(problem)
    assert solution.status is Status.FAILED
    assert "ill-posed" in solution.message


def test_a_field_up_to_a_constant_is_refused():
    problem = chequered()
    free = replace(problem, conditions=[Neumann(problem.fields[0], 0)])
    assert "up to a constant" in CellCentred().why_not(free)


U = field_of("u", t, x)
REFUSED = {
    "transport": (D(U, t) + D(U, x) - D(U, x, 2), "transport"),
    "nonlinear": (D(U, t) - D(U * D(U, x), x), "conductivity"),
    "unsteady": (D(U, t) - D((1 + t) * D(U, x), x), "conductivity"),
    "inertia": (U * D(U, t) - D(U, x, 2), "coefficient"),
    "outside": (D(U, t) - sp.Heaviside(x - 0.5) * D(U, x, 2), "jumps"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_refuses(name):
    equation, reason = REFUSED[name]
    problem = Problem(
        name,
        fields=[U],
        equations=[equation],
        conditions=[Initial(U, 0), Dirichlet(U, 0)],
        domain=Interval(x, 0, 1),
        time=TimeInterval(t, 0, 1),
    )
    assert reason in CellCentred().why_not(problem)
    with pytest.raises(UnsupportedProblemError):
        CellCentred().solve(problem)


def test_a_transform_needs_uniform_cells():
    assert "uniform" in CellCentred(linear_solver="transform").why_not(layers())
    assert CellCentred(linear_solver="transform").why_not(chequered()) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"cells": 3},
        {"steps": 0},
        {"method": "Euler"},
        {"courant": 1.5},
        {"linear_solver": "lu"},
    ],
)
def test_options_are_checked(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        CellCentred(**wrong)
