"""Coefficients of partial differential equations: derivatives, orders, noise."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from pinnsuite.classical.adjoint import Adjoint, _Linear, _Search
from pinnsuite.classical.coefficients import Coefficients
from pinnsuite.classical.semidiscretisation import box_axes
from pinnsuite.classical.sensitivities import Equations, Model
from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Disk,
    Initial,
    Interval,
    Ladder,
    Neumann,
    Observed,
    Periodic,
    Problem,
    Robin,
    TimeInterval,
    Unknown,
    UnknownField,
    coordinates,
    field_of,
)
from pinnsuite.solution.solution import Status
from pinnsuite.solver import silent
from pinnsuite.verification.ladder import ladder_of
from pinnsuite.verification.reference import reference

t, x, y, k, q = coordinates("t x y k q")
u, v, a = field_of("u", t, x), field_of("v", t, x), field_of("a", x)
w, b = field_of("w", x), field_of("b", x, y)


def model_of(problem, solver):
    points, steps, knots = solver.resolution(problem)
    coefficients = Coefficients(problem, knots)
    axes = box_axes(problem, points, solver.order, solver.stencil)
    return Model(Equations(problem, axes, coefficients), steps)


def coupled():
    """A nonlinear system with two numbers, a function and all kinds of conditions."""
    generator = np.random.default_rng(1)
    points = np.stack([generator.uniform(0, 1, 40), generator.uniform(-1, 1, 40)], 1)
    return Problem(
        "coupled",
        [u, v, a],
        [
            D(u, t) + u * D(u, x) - D(a * D(u, x), x) - v,
            D(v, t) - k * D(v, x, 2) + u * v * k,
        ],
        [
            Initial(u, q * sp.cos(x)),
            Initial(v, 2 + x),
            Dirichlet(u, t * q + 1, on="left"),
            Robin(u, t, on="right", b=k),
            Neumann(v, 0),
            Dirichlet(a, 0.3, on="left"),
            Observed(u, points, np.ones(40)),
            Observed(v, points, 2 * np.ones(40), scale="log"),
        ],
        Interval(x, -1, 1),
        TimeInterval(t, 0, 1),
        unknowns=[
            Unknown(k, 0.1, 2, 0.5),
            Unknown(q, -2, 2, 1.0),
            UnknownField(a, 0.05, 3, 0.4),
        ],
    )


@pytest.mark.parametrize("stencil", ["finite-difference", "chebyshev"])
def test_tangent_and_adjoint_are_the_derivatives_of_the_discrete_solution(stencil):
    problem = coupled()
    solver = Adjoint(points=17, steps=9, coefficient_points=6, stencil=stencil)
    model = model_of(problem, solver)
    generator = np.random.default_rng(0)
    size = model.equations.coefficients.size
    z = model.equations.coefficients.guess + 0.05 * generator.random(size)
    way = 0.1 * generator.standard_normal(size)
    run = model.solve(z, tangent=True)
    ahead, behind = model.solve(z + 1e-4 * way), model.solve(z - 1e-4 * way)
    slope = (ahead.seen - behind.seen) / 2e-4
    np.testing.assert_allclose(run.tangent @ way, slope, atol=1e-7 * abs(slope).max())
    expected = run.tangent.T @ (run.seen - model.wanted)
    np.testing.assert_allclose(model.gradient(z, run), expected, rtol=1e-10)


def rod(exact, coefficient, count=61, noise=0.0, **changes):
    """`(a w_x)_x = f` with w and a known at both ends."""
    at = np.linspace(0.01, 0.99, count)
    values = sp.lambdify(x, exact)(at)
    values = values + noise * np.random.default_rng(3).standard_normal(count)
    parts = {
        "name": "rod",
        "fields": [w, field_of("c", x)],
        "equations": [
            D(field_of("c", x) * D(w, x), x)
            - sp.diff(coefficient * sp.diff(exact, x), x)
        ],
        "conditions": [
            Dirichlet(w, exact),
            Dirichlet(field_of("c", x), coefficient),
            Observed(w, at[:, None], values),
        ],
        "domain": Interval(x, 0, 1),
        "unknowns": [UnknownField(field_of("c", x), 0.1, 5.0, 1.0)],
    }
    return Problem(**{**parts, **changes})


def error_of(solution, coefficient, name="c"):
    at = np.linspace(0, 1, 201)
    return np.abs(solution.at(at[:, None])[name] - sp.lambdify(x, coefficient)(at))


def test_a_function_is_recovered_from_exact_data():
    coefficient = 1 + sp.sin(3 * x) / 2
    solver = Adjoint(points=65, coefficient_points=9)
    solution = solver.solve(rod(sp.exp(x), coefficient)).require_ok()
    assert error_of(solution, coefficient).max() < 1e-3
    at = np.array([[0.0], [0.37], [1.0]])
    np.testing.assert_allclose(solution.at(at)["w"], np.exp(at[:, 0]), rtol=1e-6)
    assert solution.fields["c"].shape == solution.fields["w"].shape


def test_cross_validation_finds_the_noise_and_the_error_to_expect():
    coefficient = 1 + sp.sin(3 * x) / 2
    problem = rod(sp.exp(x), coefficient, count=400, noise=0.01)
    solution = Adjoint(points=65, coefficient_points=17).solve(problem).require_ok()
    assert solution.details["noise"] == pytest.approx(0.01, rel=0.1)
    size = np.sqrt(np.mean(sp.lambdify(x, coefficient)(np.linspace(0, 1, 201)) ** 2))
    relative = np.sqrt(np.mean(error_of(solution, coefficient) ** 2)) / size
    expected = solution.details["standard_errors"]["c"]
    assert expected / 4 < relative < 2 * expected
    assert 2 < solution.details["degrees_of_freedom"] < 15


def test_both_methods_find_the_same_minimum():
    problem = rod(sp.exp(x), 1 + x**2, count=50, noise=0.01)
    solver = Adjoint(points=33, coefficient_points=9, tolerance=1e-8)
    newton = solver.solve(problem).require_ok()
    other = replace(solver, method="l-bfgs", max_iterations=2000).solve(problem)
    assert other.require_ok().details["iterations"] > newton.details["iterations"]
    np.testing.assert_allclose(other.fields["c"], newton.fields["c"], atol=1e-4, rtol=0)


def test_no_neighbour_of_the_fit_is_better_and_bounds_hold():
    coefficient = 1 + sp.sin(3 * x)
    bounded = [UnknownField(field_of("c", x), 0.1, 1.6, 1.0)]
    conditions = [
        c
        for c in rod(sp.exp(x), coefficient).conditions
        if getattr(c, "field", None) == w
    ]
    problem = rod(sp.exp(x), coefficient, unknowns=bounded, conditions=conditions)
    solver = Adjoint(points=33, coefficient_points=9)
    search = _Search(solver, model_of(problem, solver), silent, None)
    search.gauss_newton()
    least = search.objective(search.z, search.run)
    upper = search.coefficients.upper
    assert (search.z <= upper).all()
    assert (search.z == upper).any()
    for i in range(len(search.z)):
        for step in (-1e-3, 1e-3):
            near = search.z.copy()
            near[i] = min(near[i] + step, upper[i])
            assert search.objective(near, search.model.solve(near)) >= least


def diffusion(times=11, **changes):
    """`u_t = k u_xx` on a period, whose solution is known."""
    grid = np.stack(
        np.meshgrid(np.linspace(0.1, 1, times), np.linspace(0, 6, 13)), -1
    ).reshape(-1, 2)
    values = np.exp(-0.7 * grid[:, 0]) * np.sin(grid[:, 1])
    parts = {
        "name": "diffusion",
        "fields": [u],
        "equations": [D(u, t) - k * D(u, x, 2)],
        "conditions": [
            Initial(u, sp.sin(x)),
            Periodic(x),
            Observed(u, grid, values),
        ],
        "domain": Interval(x, 0, 2 * sp.pi),
        "time": TimeInterval(t, 0, 1, 11),
        "unknowns": [Unknown(k, 0.01, 10, 3.0)],
    }
    return Problem(**{**parts, **changes})


@pytest.mark.parametrize(("order", "steps"), [(2, 10), (4, 20)])
def test_error_of_a_number_falls_with_the_declared_order(order, steps):
    solver = Adjoint(points=17, order=order, steps=steps, tolerance=1e-10)
    errors = []
    for _ in range(2):
        solution = solver.solve(diffusion()).require_ok()
        errors.append(abs(solution.coefficients["k"] - 0.7))
        solver = solver.refined()
    observed = np.log2(errors[-2] / errors[-1])
    assert observed == pytest.approx(solver.expected_order(diffusion()), abs=0.25)


def test_a_far_guess_of_a_positive_number_is_no_trouble():
    far = diffusion(unknowns=[Unknown(k, 1e-4, 100, 50.0)])
    solution = Adjoint(points=33, steps=40).solve(far).require_ok()
    assert solution.coefficients["k"] == pytest.approx(0.7, rel=1e-2)
    assert solution.details["standard_errors"]["k"] < 1e-2


@pytest.mark.slow
def test_standard_errors_are_the_spread_over_repeated_noise():
    generator = np.random.default_rng(2)
    solver = Adjoint(points=17, steps=10)
    problem = diffusion()
    observed = problem.conditions_of(Observed)[0]
    found, claimed = [], []
    for _ in range(60):
        noise = 0.05 * generator.standard_normal(len(observed.values))
        noisy = replace(observed, values=observed.values + noise)
        conditions = [*problem.conditions[:-1], noisy]
        solution = solver.solve(replace(problem, conditions=conditions))
        found.append(solution.coefficients["k"])
        claimed.append(solution.details["standard_errors"]["k"])
    # The relative error of a spread from 60 draws is 1/√120 = 9 %.
    assert np.std(found) == pytest.approx(np.sqrt(np.mean(np.square(claimed))), rel=0.3)


def test_diagonal_form_solves_the_regularised_problem():
    problem = rod(sp.exp(x), 1 + x**2, count=20, noise=0.01)
    model = model_of(problem, Adjoint(points=33, coefficient_points=9))
    coefficients = model.equations.coefficients
    run = model.solve(coefficients.guess, tangent=True)
    data = run.tangent @ coefficients.guess - run.seen + model.wanted
    linear = _Linear.of(run.tangent, data, coefficients)
    quadratic, first, _ = coefficients.penalty
    weight = 1e-3 * linear.unit
    whole = run.tangent.T @ run.tangent + weight * quadratic
    expected = np.linalg.solve(whole, run.tangent.T @ data - weight * first)
    np.testing.assert_allclose(linear.solution(weight), expected, rtol=1e-8)
    hat = run.tangent @ np.linalg.solve(whole, run.tangent.T)
    assert linear.freedom(weight) == pytest.approx(np.trace(hat), rel=1e-8)


def test_roughness_is_the_integral_of_the_squared_gradient():
    plane = Problem(
        "plane",
        [field_of("s", x, y), b],
        [D(b * D(field_of("s", x, y), x), x) + D(field_of("s", x, y), y, 2)],
        [
            Dirichlet(field_of("s", x, y), 0),
            Dirichlet(b, x + y**3, on="left"),
            Observed(field_of("s", x, y), [[0.5, 0.5]], [1.0]),
        ],
        Box((x, 0, 1), (y, 0, 2)),
        unknowns=[UnknownField(b, 0, 9, 1)],
    )
    f = Coefficients(plane, 5).fields[0]
    assert len(f.free) == 20
    mesh = np.meshgrid(*(axis.nodes for axis in f.axes), indexing="ij")
    values = (mesh[0] + mesh[1] ** 3).ravel()
    # ∫ 1 + 9 y⁴ over the box, and the fixed side has those values.
    assert values @ f.roughness @ values == pytest.approx(2 + 9 * 32 / 5)
    np.testing.assert_allclose(f.nodal(values[f.free]), values)
    at = np.array([[0.3, 1.7], [0.0, 0.2]])
    np.testing.assert_allclose(f.at(values[f.free], at), at[:, 0] + at[:, 1] ** 3)


def test_without_a_known_solution_the_fit_is_the_reference(tmp_path):
    """Numbers under noise: the ladder ends at the fit, not at the truth."""
    problem = diffusion()
    observed = problem.conditions_of(Observed)[0]
    noise = 0.05 * np.random.default_rng(5).standard_normal(len(observed.values))
    noisy = replace(observed, values=observed.values + noise)
    problem = replace(problem, conditions=[*problem.conditions[:-1], noisy])
    assert ladder_of(problem).solver == "adjoint"
    start = Ladder("adjoint", {"points": 17, "steps": 4, "order": 2})
    found = reference(replace(problem, reference=start), cache=tmp_path)
    assert found.kind == "fit"
    assert found.observed_order == pytest.approx(2, abs=0.2)
    assert found.error_estimate["u"] < 1e-3
    fine = Adjoint(points=65, steps=256).solve(problem)
    expected = fine.coefficients["k"]
    assert found.coefficients["k"] == pytest.approx(expected, rel=2e-3)


def test_budget_returns_the_best_so_far():
    solution = Adjoint(points=33).solve(coupled(), budget=0.0)
    assert solution.status is Status.NOT_REACHED
    assert "the budget" in solution.sentence
    assert set(solution.coefficients) == {"k", "q"}


def test_refusals_name_the_part():
    solver = Adjoint()
    known = diffusion(equations=[D(u, t) - D(u, x, 2)], unknowns=())
    assert "no unknown" in solver.why_not(known)
    wave = diffusion(
        equations=[D(u, t, 2) - k * D(u, x, 2)],
        conditions=[*diffusion().conditions, Initial(u, 0, order=1)],
    )
    assert "second order in time" in solver.why_not(wave)
    beam = diffusion(equations=[D(u, t) + k * D(u, x, 4)])
    assert "order 4 in space" in solver.why_not(beam)
    late = diffusion(time=TimeInterval(t, 0, 0.5))
    assert "reach from 0.1 to 1 along t" in solver.why_not(late)
    s = field_of("s", x, y)
    disc = Problem(
        "disc",
        [s],
        [k * D(s, x, 2) + D(s, y, 2)],
        [Dirichlet(s, 1), Observed(s, [[0.0, 0.0]], [1.0])],
        Disk(x, y, (0.0, 0.0), 1.0),
        unknowns=[Unknown(k, 0, 1, 0.5)],
    )
    assert "no box" in solver.why_not(disc)
    with pytest.raises(UnsupportedProblemError, match="disc"):
        solver.solve(disc)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "newton"}, "method"),
        ({"order": 3}, "order is 3"),
        ({"points": 6}, "points is 6"),
        ({"steps": 1}, "steps is 1"),
        ({"tolerance": 0.0}, "tolerance"),
    ],
)
def test_options_are_checked(options, words):
    with pytest.raises(OptionError, match=words):
        Adjoint(**options)
