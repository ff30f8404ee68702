from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Initial,
    Interval,
    Neumann,
    Problem,
    Robin,
    TimeInterval,
    coordinates,
    div,
    field_of,
    grad,
    load,
)
from pinnsuite.verification import check
from pinnsuite.verification.residual import STENCIL, central_weights, residual_findings

t, x, y = coordinates("t x y")


def test_central_differences_are_exact_for_polynomials_up_to_degree_eight():
    for order in range(1, 5):
        for degree in range(9):
            got = central_weights(order) @ (STENCIL + 0.5) ** degree
            wanted = sp.diff(x**degree, x, order).subs(x, 0.5)
            assert got == pytest.approx(float(wanted), abs=1e-6)


def plate():
    u = field_of("u", x, y)
    exact = sp.sin(x) * sp.exp(y)
    k = 1 + x**2
    source = sum(sp.diff(k * sp.diff(exact, c), c) for c in (x, y))
    return Problem(
        name="plate",
        fields=[u],
        equations=[div([k * g for g in grad(u, (x, y))], (x, y)) - source],
        domain=Box((x, 0, 1), (y, 0, 2)),
        conditions=[
            Dirichlet(u, exact, on=("left", "bottom")),
            Neumann(u, sp.diff(exact, x), on="right"),
            Robin(u, 3 * exact + 2 * sp.diff(exact, y), on="top", a=3, b=2),
        ],
        exact={u: exact},
    )


def test_flux_form_and_every_condition_pass_for_the_exact_solution():
    findings = residual_findings(plate())
    assert [f.what for f in findings] == [
        "equation 1",
        "Dirichlet(u(x, y), on='left')",
        "Dirichlet(u(x, y), on='bottom')",
        "Neumann(u(x, y), on='right')",
        "Robin(u(x, y), on='top')",
    ]
    assert max(f.residual for f in findings) < 1e-13


def test_a_wrong_factor_is_named():
    u = field_of("u", t, x)
    wrong = Problem(
        name="heat",
        fields=[u],
        equations=[D(u, t) - 0.2 * D(u, x, 2)],
        domain=Interval(x, 0, sp.pi),
        time=TimeInterval(t, 0, 1),
        conditions=[Initial(u, sp.sin(x)), Dirichlet(u, 0)],
        exact={u: sp.exp(-t / 10) * sp.sin(x)},
    )
    (finding, *others) = residual_findings(wrong)
    assert "0.5 times as large" in finding.suspect
    assert "(x, 2)" in finding.suspect
    assert all(f.is_ok for f in others)


def test_a_wrong_initial_state_is_found():
    wave = load("wave")
    u = wave.fields[0]
    conditions = [Initial(u, sp.sin(sp.pi * x)), *wave.conditions[1:]]
    bad = [
        f
        for f in residual_findings(replace(wave, conditions=conditions))
        if not f.is_ok
    ]
    assert [f.what for f in bad] == ["Initial(u(t, x), order=0)"]


def test_check_names_the_term_before_anything_is_trained():
    burgers = load("burgers")
    u = burgers.fields[0]
    wrong = replace(burgers, equations=[D(u, t) - u * D(u, x) - 0.0032 * D(u, x, 2)])
    report = check(wrong, solvers=False)
    assert not report.is_ok
    assert "equation 1" in report.faults[0]
    assert "sign of the term `-u(t, x)*Derivative(u(t, x), x)`" in report.faults[0]


def test_check_tells_what_holds_on_each_boundary():
    report = check(load("lid_driven_cavity"), solvers=False)
    assert report.is_ok
    text = "\n".join(report.lines)
    assert "boundary 'lid' (measure 1): Dirichlet(u), Dirichlet(v)" in text
    assert "cannot reveal a wrong sign" in text


def test_cole_hopf_is_odd_and_meets_its_boundary_values():
    evaluate = load("burgers").reference.evaluate
    points = np.array([[0.5, -1.0], [0.5, 0.3], [0.5, -0.3], [1.0, 1.0]])
    u = evaluate(points)["u"]
    np.testing.assert_allclose(u[[0, 3]], 0.0, atol=1e-14)
    assert u[1] == pytest.approx(-u[2], rel=1e-12)


def test_a_condition_on_the_rest_is_not_put_to_sides_that_others_rule():
    u = field_of("u", x, y)
    problem = Problem(
        name="ramp",
        fields=[u],
        equations=[D(u, x, 2) + D(u, y, 2)],
        domain=Box((x, 0, 1), (y, 0, 1)),
        conditions=[
            Dirichlet(u, 1, on="right"),
            Dirichlet(u, 0, on="left"),
            Neumann(u, 0),
        ],
        exact={u: x},
    )
    findings = residual_findings(problem)
    assert [f.what for f in findings if "Neumann" in f.what] == [
        "Neumann(u(x, y), on='bottom')",
        "Neumann(u(x, y), on='top')",
    ]
    assert all(f.is_ok for f in findings)
