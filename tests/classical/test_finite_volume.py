from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from pinnsuite.classical.conservation_form import conservation_form, eigenvalues
from pinnsuite.classical.finite_volume import FiniteVolumes
from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Initial,
    Interval,
    Neumann,
    Periodic,
    Problem,
    Robin,
    TimeInterval,
    coordinates,
    field_of,
)
from pinnsuite.solution.solution import Status

t, x, y = coordinates("t x y")
u = field_of("u", t, x)


def scalar(flux, start, conditions=(), **more):
    parts = {
        "equations": [D(u, t) + D(flux, x)],
        "domain": Interval(x, 0, 1),
        "time": TimeInterval(t, 0, 0.5, num_outputs=3),
        "norm": "L1",
    }
    return Problem(
        "scalar", [u], conditions=[Initial(u, start), *conditions], **{**parts, **more}
    )


def step(left, right, at=0.5):
    return sp.Piecewise((left, x < at), (right, True))


def gas(left, right, wall=False):
    """Euler's equations between two states, as cell means at t = 0.2."""
    rho, m, e = (field_of(n, t, x) for n in ("rho", "m", "E"))
    pressure = sp.Rational(2, 5) * (e - m**2 / rho / 2)
    states = zip((rho, m, e), left, right, strict=True)
    conditions = [Initial(f, step(a, b)) for f, a, b in states]
    if wall:
        conditions.append(Dirichlet(m, 0))
    return Problem(
        "gas",
        [rho, m, e],
        [
            D(rho, t) + D(m, x),
            D(m, t) + D(m**2 / rho + pressure, x),
            D(e, t) + D((e + pressure) * m / rho, x),
        ],
        conditions,
        Interval(x, 0, 1),
        TimeInterval(t, 0, 0.2, num_outputs=3),
        norm="L1",
    )


def test_the_flux_is_what_stands_under_the_derivative():
    form = conservation_form(scalar(u**2 / 2, x))
    assert form.flux == ((form.states[0] ** 2 / 2,),)
    assert form.source == (0,)
    # u u_x is taken for the derivative of u²/2.
    same = conservation_form(scalar(0, x, equations=[2 * D(u, t) + u * D(u, x) - u]))
    assert same.flux == ((same.states[0] ** 2 / 4,),)
    assert same.source == (same.states[0] / 2,)


def test_a_coefficient_before_a_derivative_leaves_a_source():
    form = conservation_form(scalar(0, x, equations=[D(u, t) + x * D(u, x)]))
    assert form.flux == ((x * form.states[0],),)
    assert form.source == (form.states[0],)


def test_speeds_of_gas_are_found_in_closed_form():
    form = conservation_form(gas((1, 0, 2.5), (0.125, 0, 0.25)))
    matrix = sp.Matrix(form.flux[0]).jacobian(form.states)
    state = dict(zip(form.states, (1.0, 0.5, 2.5), strict=True))
    found = sorted(float(e.subs(state)) for e in eigenvalues(matrix))
    sound = np.sqrt(1.4 * 0.4 * (2.5 - 0.125))
    np.testing.assert_allclose(found, [0.5 - sound, 0.5, 0.5 + sound])


@pytest.mark.parametrize("scheme", ["MUSCL", "WENO5"])
def test_a_shock_moves_with_the_speed_of_its_flux(scheme):
    # From 1 to 0 under u²/2 a shock runs with speed 1/2.
    problem = scalar(u**2 / 2, step(1, 0, 0.25))
    solver = FiniteVolumes(cells=100, reconstruction=scheme)
    solution = solver.solve(problem).require_ok()
    points = solution.support.axes["x"]
    error = np.abs(solution.fields["u"][-1] - (points < 0.5)).mean()
    assert error < 0.01
    assert solution.fields["u"].max() < 1 + 1e-3


def test_a_nonconvex_flux_gets_its_entropy_solution():
    # u³/3 from -1 to 1: a shock from -1 to 1/2 (tangent there), then a fan u = √(x/t).
    problem = scalar(u**3 / 3, step(-1, 1, 0.3))
    solution = FiniteVolumes(cells=200).solve(problem).require_ok()
    speed = (solution.support.axes["x"] - 0.3) / 0.5
    exact = np.where(speed < 0.25, -1, np.sqrt(np.clip(speed, 0, 1)))
    assert np.abs(solution.fields["u"][-1] - exact).mean() < 0.01


@pytest.mark.parametrize("scheme", ["MUSCL", "WENO5"])
def test_a_contact_at_rest_stays_or_spreads_little(scheme):
    # Density jumps, pressure and velocity do not: HLLEM keeps the jump to rounding.
    problem = gas((1, 0, 2.5), (0.5, 0, 2.5))
    solver = FiniteVolumes(cells=50, reconstruction=scheme)
    rho = solver.solve(problem).require_ok().fields["rho"][-1]
    exact = np.where(np.arange(50) < 25, 1.0, 0.5)
    assert np.abs(rho - exact).mean() < (1e-12 if scheme == "MUSCL" else 0.015)


def test_walls_keep_mass_and_energy():
    problem = gas((1, 0, 2.5), (0.125, 0, 0.25), wall=True)
    long = replace(problem, time=TimeInterval(t, 0, 1.0, num_outputs=5))
    solution = FiniteVolumes(cells=60).solve(long).require_ok()
    for name in ("rho", "E"):
        total = solution.fields[name].mean(axis=1)
        np.testing.assert_allclose(total, total[0], rtol=1e-12)


def test_shallow_water_in_the_plane_keeps_its_symmetry_and_its_mass():
    h, a, b = (field_of(n, t, x, y) for n in ("h", "a", "b"))
    inside = x**2 + y**2 < sp.Rational(1, 4)
    problem = Problem(
        "dam",
        [h, a, b],
        [
            D(h, t) + D(a, x) + D(b, y),
            D(a, t) + D(a**2 / h + h**2 / 2, x) + D(a * b / h, y),
            D(b, t) + D(a * b / h, x) + D(b**2 / h + h**2 / 2, y),
        ],
        [
            Initial(h, sp.Piecewise((2, inside), (1, True))),
            Initial(a, 0),
            Initial(b, 0),
            Periodic(x),
            Periodic(y),
        ],
        Box((x, -1, 1), (y, -1, 1)),
        TimeInterval(t, 0, 0.2, num_outputs=3),
        norm="L1",
    )
    fields = FiniteVolumes(cells=32).solve(problem).require_ok().fields
    np.testing.assert_allclose(fields["a"][-1], fields["b"][-1].T, atol=1e-12)
    np.testing.assert_allclose(fields["h"][-1], fields["h"][-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(fields["h"].mean(axis=(1, 2)), fields["h"][0].mean())


@pytest.mark.parametrize(("scheme", "order"), [("MUSCL", 2.0), ("WENO5", 5.0)])
def test_smooth_waves_show_the_order(scheme, order):
    problem = scalar(
        u,
        sp.sin(2 * sp.pi * x),
        [Periodic(x)],
        norm="L2",
        time=TimeInterval(t, 0, 1, num_outputs=2),
    )
    solver = FiniteVolumes(cells=40, reconstruction=scheme)
    assert solver.expected_order(problem) == order
    points = np.column_stack([np.ones(500), np.random.default_rng(0).random(500)])
    exact = np.sin(2 * np.pi * points[:, 1])
    errors = [
        np.abs(s.solve(problem).require_ok().at(points)["u"] - exact).max()
        for s in (solver, solver.refined())
    ]
    assert np.log2(errors[0] / errors[1]) > order - 0.2


def test_stiff_diffusion_is_stepped_implicitly():
    flux = -(1 + u**2) * D(u, x)
    conditions = [Dirichlet(u, 1, on="left"), Neumann(u, 0, on="right")]
    problem = scalar(flux, 1 + 0 * x, conditions, norm="L2")
    solution = FiniteVolumes(cells=200).solve(problem).require_ok()
    assert solution.details["integrator"] == "LSODA"
    np.testing.assert_allclose(solution.fields["u"], 1.0, atol=1e-7)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (scalar(0, x, equations=[D(u, t) + D(u, x) ** 2]), "not linear in one"),
        (scalar(0, x, equations=[D(u, x) + u]), "no time derivative"),
        (scalar(0, x, equations=[D(u**2, t) + D(u, x)]), "make what is conserved"),
        (
            scalar(D(u, x), x, [Dirichlet(u, 0)], norm="L2"),
            "diffusion along x is negative",
        ),
        (scalar(-D(u, x), x, [Robin(u, 0)], norm="L2"), r"Robin\(u\)"),
    ],
)
def test_what_is_out_of_reach_is_named(problem, words):
    with pytest.raises(UnsupportedProblemError, match=words):
        FiniteVolumes().solve(problem)


def test_a_system_that_is_not_hyperbolic_is_refused():
    v = field_of("v", t, x)
    problem = Problem(
        "elliptic",
        [u, v],
        [D(u, t) + D(v, x), D(v, t) - D(u, x)],
        [Initial(u, 0), Initial(v, x)],
        Interval(x, 0, 1),
        TimeInterval(t, 0, 1),
    )
    assert "not hyperbolic" in FiniteVolumes().why_not(problem)


def test_blow_up_and_the_budget_are_reported():
    growing = scalar(0, 1 + x, equations=[D(u, t) + D(u, x) - u**2])
    long = replace(growing, time=TimeInterval(t, 0, 5, num_outputs=3))
    assert FiniteVolumes().solve(long).status in (Status.NAN, Status.DIVERGED)
    stopped = FiniteVolumes().solve(growing, budget=0.0)
    assert stopped.status is Status.NOT_REACHED
    assert "0 CPU s" in stopped.message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cells": 4}, "cells is 4"),
        ({"courant": 1.5}, "courant is 1.5"),
        ({"limiter": "superbee"}, "limiter: 'superbee'"),
        ({"reconstruction": "WENO7"}, "reconstruction: 'WENO7'"),
    ],
)
def test_options_are_checked(options, words):
    with pytest.raises(OptionError, match=words):
        FiniteVolumes(**options)
