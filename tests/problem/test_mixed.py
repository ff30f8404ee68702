"""The first-order system says the same as the problem, and differentiates no jump."""

import numpy as np
import pytest
import sympy as sp

from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Flux,
    Interval,
    Neumann,
    Problem,
    Robin,
    coordinates,
    field_of,
    laplacian,
    load,
    normal,
)
from pinnsuite.problem.form import lost_jumps
from pinnsuite.problem.mixed import mixed

x, y = coordinates("x y")

LAYERED = (
    "poisson_patchwork",
    "darcy",
    "layered_aquifer",
    "heat_varying_coefficient",
    "wave_heterogeneous",
    "layered_acoustics",
)


def two_layers(condition):
    """Conduction through two layers with the flux -1: a u_x = 1."""
    u = field_of("u", x)
    a = sp.Piecewise((1, x < 1), (10, True))
    return Problem(
        name="two layers",
        fields=[u],
        equations=[D(a * D(u, x), x)],
        domain=Interval(x, 0, 2),
        conditions=[Dirichlet(u, 0, on="left"), condition(u, a)],
        exact={u: sp.Piecewise((x, x < 1), (1 + (x - 1) / 10, True))},
    )


CONDITIONS = {
    "Dirichlet": lambda u, a: Dirichlet(u, sp.Rational(11, 10), on="right"),
    "Neumann": lambda u, a: Neumann(u, sp.Rational(1, 10), on="right"),
    "Flux": lambda u, a: Flux(u, 1, on="right", flux=(a * D(u, x),)),
    "Robin": lambda u, a: Robin(u, sp.Rational(21, 10), on="right", a=1, b=a),
}


@pytest.mark.parametrize("kind", CONDITIONS)
def test_the_exact_solution_of_two_layers_solves_the_first_order_system(kind):
    problem = two_layers(CONDITIONS[kind])
    system = mixed(problem)
    u, q = system.fields
    assert str(q) == "flux_u_x(x)"
    assert lost_jumps(system) == ()
    for equation in system.equations:
        residual = equation.subs(system.exact).doit()
        # Off the interface, where u has two slopes.
        assert all(residual.subs(x, v) == 0 for v in (0.3, 0.9, 1.1, 2))
    for c in system.conditions:
        end, outward = {"left": (0, -1), "right": (2, 1)}[c.on[0]]
        miss = (c.operator((x,)) - c.value).subs(system.exact).doit()
        assert miss.subs({x: end, normal(x): outward}) == pytest.approx(0, abs=1e-15)
    if kind != "Dirichlet":
        assert system.conditions[1].operator((x,)).has(q)
        assert not system.conditions[1].operator((x,)).has(D(u, x))


def test_the_solution_without_the_interface_condition_does_not_solve_it():
    problem = two_layers(CONDITIONS["Dirichlet"])
    # a u_xx = 0 on both sides, but a u_x is 0.55 and 5.5.
    system = mixed(problem)
    u, q = system.fields
    straight = 11 * x / 20
    flux = problem.equations[0].expr.subs(u, straight).doit()
    assert problem.equations[0].doit().subs(u, straight).doit() == 0
    divergence, definition = system.equations
    assert definition.subs({u: straight, q: flux}).doit() == 0
    values = sp.lambdify(x, flux)(np.array([0.5, 1.5]))
    assert values == pytest.approx([0.55, 5.5])
    assert divergence == D(q, x)


@pytest.mark.parametrize("name", LAYERED)
def test_layered_problems_lose_no_jump_and_are_judged_as_before(name):
    problem = load(name)
    system = mixed(problem)
    assert lost_jumps(problem)
    assert lost_jumps(system) == ()
    assert system.judged_names == problem.judged_names
    new = len(system.fields) - len(problem.fields)
    assert new == len({d.expr for d in lost_jumps(problem)})
    assert len(system.equations) == len(system.fields)


def test_a_jump_along_another_coordinate_needs_no_field():
    # The layers lie across z: K h_x may be differentiated along x.
    problem = load("layered_aquifer")
    assert mixed(problem).field_names == ("h", "flux_h_z")


def test_a_smooth_problem_is_returned_unchanged():
    u = field_of("u", x, y)
    box = Box((x, 0, 1), (y, 0, 1))
    smooth = Problem("smooth", [u], [laplacian(u, (x, y)) + 1], [Dirichlet(u, 0)], box)
    assert mixed(smooth) is smooth


def test_a_beam_of_two_parts_keeps_its_moment():
    w = field_of("w", x)
    stiffness = sp.Piecewise((1, x < 1), (2, True))
    bent = D(stiffness * D(w, x, 2), x, 2)
    beam = Problem(
        "beam",
        [w],
        [bent - 1],
        [Dirichlet(w, 0), Neumann(w, 0)],
        Interval(x, 0, 2),
    )
    system = mixed(beam)
    _, moment, shear = system.fields
    assert system.equations == (
        D(shear, x) - 1,
        moment - bent.expr,
        shear - D(moment, x),
    )
    assert system.conditions == beam.conditions
