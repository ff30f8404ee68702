"""Steps in time of features of space."""

import math

import numpy as np
import pytest
import sympy as sp

from pinnsuite.neural.random_features.basis import SINE, Harmonics, Orthonormal, draw
from pinnsuite.neural.random_features.equations import Equations, initial_state
from pinnsuite.neural.random_features.marching import march
from pinnsuite.neural.random_features.piece import StepPiece, hermite
from pinnsuite.neural.random_features.runge_kutta import (
    DIAGONAL,
    EMBEDDED,
    NODES,
    TABLEAU,
    WEIGHTS,
    Instant,
    first_step,
    step,
)
from pinnsuite.neural.random_features.semidiscrete import Semidiscrete
from pinnsuite.neural.random_features.solver import RandomFeatures, evaluator
from pinnsuite.neural.random_features.stages import Stages
from pinnsuite.neural.random_features.stepping import step_through
from pinnsuite.neural.random_features.whole import whole
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Initial,
    Interval,
    Periodic,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
    laplacian,
    manufacture,
)
from pinnsuite.problem.jets import Jet
from pinnsuite.solution.solution import Status

t, x, y = coordinates("t x y")
u = field_of("u", t, x, y)


def planar(build, exact, *conditions, end=0.5, low=-1.0):
    """Return a problem on a square, 0 < t < `end`, and its solution `exact`."""
    problem = Problem(
        "planar",
        fields=[u],
        equations=[build(u)],
        domain=Box((x, low, 1), (y, low, 1)),
        time=TimeInterval(t, 0, end, num_outputs=5),
        conditions=list(conditions),
    )
    return manufacture(problem, {u: exact}), sp.lambdify([t, x, y], exact)


def reaction():
    exact = sp.cos(5 * t) * sp.cos(sp.pi * x / 2) * sp.cos(sp.pi * y / 2)
    return planar(
        lambda v: D(v, t) - laplacian(v, (x, y)) / 10 + v**3,
        exact,
        Initial(u, 0),
        Dirichlet(u, 0),
    )


def orthonormal(number=80):
    return Orthonormal.of(draw(number, (3.0, 3.0), SINE, 0))


def started(problem, halvings=2):
    equations = Equations.of(problem)
    partition = whole(equations)
    for _ in range(halvings):
        partition = partition.refined(range(len(partition)))
    space = Semidiscrete(equations, orthonormal(), partition)
    state = initial_state(equations)
    values = [space.projected(state, m) for m in range(max(space.order, 1))]
    return space, Instant(0.0, [*values, np.zeros(space.shape)])


def test_the_tableau_fulfils_the_conditions_of_its_orders():
    a = np.zeros((6, 6))
    for i, row in enumerate(TABLEAU):
        a[i, : len(row)] = row
        a[i, i] = DIAGONAL if i else 0.0
    c = np.array(NODES)
    np.testing.assert_allclose(a.sum(1), c, atol=1e-14)
    np.testing.assert_allclose(a @ c, c**2 / 2, atol=1e-14)
    third = [
        (np.ones(6), 1),
        (c, 1 / 2),
        (c**2, 1 / 3),
        (a @ c, 1 / 6),
    ]
    fourth = [
        (c**3, 1 / 4),
        (c * (a @ c), 1 / 8),
        (a @ c**2, 1 / 12),
        (a @ a @ c, 1 / 24),
    ]
    for terms, value in third + fourth:
        assert np.dot(WEIGHTS, terms) == pytest.approx(value, abs=1e-14)
    for terms, value in third:
        assert np.dot(EMBEDDED, terms) == pytest.approx(value, abs=1e-14)
    assert any(abs(np.dot(EMBEDDED, v) - e) > 1e-4 for v, e in fourth)


def test_steps_are_of_fourth_order():
    space, begin = started(reaction()[0])
    ends = []
    for number in (4, 8, 32):
        stages = Stages(space, space.sizes(begin.values[0]))
        now = first_step(stages, begin, 1e-7, 1e-6)
        length = (0.5 - now.time) / number
        for _ in range(number):
            now, _ = step(stages, now, length, 1e-6, lambda: False)
        ends.append(now.values[0])
    errors = [space.sizes(c - ends[-1])[0] for c in ends[:2]]
    assert math.log2(errors[0] / errors[1]) > 3.3


def test_the_error_of_a_step_is_estimated():
    space, begin = started(reaction()[0])
    estimates = []
    for length in (0.0625, 0.125):
        stages = Stages(space, space.sizes(begin.values[0]))
        now = first_step(stages, begin, 1e-7, 1e-6)
        _, error = step(stages, now, length, 1e-6, lambda: False)
        estimates.append(error)
    assert 5 < estimates[1] / estimates[0] < 40


@pytest.mark.parametrize("order", [0, 1, 2])
def test_two_point_polynomials_have_one_derivative_each(order):
    for k, row in enumerate(hermite(order)):
        p = np.polynomial.Polynomial(row)
        found = [p.deriv(m)(end) for end in (0, 1) for m in range(order + 1)]
        np.testing.assert_allclose(found, np.eye(2 * order + 2)[k], atol=1e-10)


def test_derivatives_of_a_piece_are_those_of_its_values():
    rng = np.random.default_rng(0)
    space, _ = started(reaction()[0])
    ends = rng.normal(size=(2, 2, *space.shape))
    piece = StepPiece(
        space.basis, space.partition, (0.2, 0.5), list(ends[0]), list(ends[1]), [1]
    )
    points = np.array([[0.3, 0.1, -0.4], [0.45, -0.7, 0.2]])
    for axis, orders in enumerate([(1, 0, 0), (0, 1, 0), (0, 0, 1)]):
        nearby = [points.copy(), points.copy()]
        nearby[0][:, axis] -= 1e-5
        nearby[1][:, axis] += 1e-5
        low, high = (piece.jets(p, [Jet(0, (0, 0, 0))])[0] for p in nearby)
        (slope,) = piece.jets(points, [Jet(0, orders)])
        np.testing.assert_allclose(slope, (high - low) / 2e-5, rtol=1e-3, atol=1e-3)
    now, rate = piece.derivatives(0.2)
    np.testing.assert_allclose(now, ends[0, 0])
    np.testing.assert_allclose(rate, ends[0, 1], atol=1e-10)


def test_orthonormal_functions_span_what_the_features_do():
    features = draw(60, (3.0, 3.0), SINE, 0)
    functions = Orthonormal.of(features)
    grid = np.cos(math.pi * (np.arange(30) + 0.5) / 30)
    points = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    orders = [(0, 0), (1, 0), (0, 2)]
    ours, theirs = functions.tables(points, orders), features.tables(points, orders)
    gram = ours[0, 0].T @ ours[0, 0] / len(points)
    np.testing.assert_allclose(gram, np.eye(functions.size), atol=1e-6)
    wanted = theirs[0, 0][:, 3]
    c, *_ = np.linalg.lstsq(ours[0, 0], wanted, rcond=None)
    for a in orders:
        np.testing.assert_allclose(ours[a] @ c, theirs[a][:, 3], atol=1e-5)


def test_a_nonlinear_problem_in_the_plane_is_solved_to_the_tolerance():
    problem, exact = reaction()
    solution = RandomFeatures(tolerances=(1e-2, 1e-4)).solve(problem)
    assert solution.status is Status.OK
    points = np.random.default_rng(0).uniform(-1, 1, (300, 3))
    points[:, 0] = points[:, 0] / 4 + 0.25
    truth = exact(*points.T)
    found = solution.evaluator(points)["u"]
    assert np.abs(found - truth).max() < 5e-4


def test_an_equation_of_second_order_in_time_keeps_its_wave():
    mode = sp.sin(sp.pi * x) * sp.sin(sp.pi * y)
    problem, exact = planar(
        lambda v: D(v, t, 2) - laplacian(v, (x, y)),
        mode * sp.cos(sp.sqrt(2) * sp.pi * t),
        Initial(u, mode),
        Initial(u, 0, order=1),
        Dirichlet(u, 0),
        end=3.0,
        low=0.0,
    )
    equations = Equations.of(problem)
    partition = whole(equations).refined([0])
    result, trouble = step_through(
        equations, orthonormal(80), partition, 100, 1e-3, lambda *_: False
    )
    assert not trouble
    points = np.random.default_rng(0).uniform(0, 1, (300, 3))
    points[:, 0] *= 3.0
    found = evaluator(problem, result.pieces)(points)["u"]
    assert np.abs(found - exact(*points.T)).max() < 5e-3


def test_a_pressure_has_the_mean_zero_at_each_time():
    fields = v, w, p = [field_of(name, t, x, y) for name in "vwp"]
    nu = sp.Rational(1, 5)
    problem = Problem(
        "stokes",
        fields=fields,
        equations=[
            D(v, t) + D(p, x) - nu * laplacian(v, (x, y)),
            D(w, t) + D(p, y) - nu * laplacian(w, (x, y)) - sp.sin(x) * sp.cos(y),
            D(v, x) + D(w, y),
        ],
        domain=Box((x, 0, 2 * sp.pi), (y, 0, 2 * sp.pi)),
        time=TimeInterval(t, 0, 1),
        conditions=[Initial(v, 0), Initial(w, 0), Periodic(x), Periodic(y)],
        hints={"gauge": "p"},
    )
    equations = Equations.of(problem)
    partition = whole(equations).refined([0]).refined(range(4))
    result, trouble = step_through(
        equations, orthonormal(80), partition, 100, 1e-2, lambda *_: False
    )
    assert not trouble
    # The gradient part of the force is balanced at all times.
    grid = (np.arange(24) + 0.5) / 24 * 2 * math.pi
    plane = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    force = np.sin(plane[:, 0]) * np.sin(plane[:, 1]) / 2
    for now in (0.3, 1.0):
        points = np.insert(plane, 0, now, axis=1)
        pressure = evaluator(problem, result.pieces)(points)["p"]
        assert abs(pressure.mean()) < 1e-3
        assert np.abs(pressure - force).max() < 2e-2


def test_without_finer_patches_it_goes_on_and_says_how_far_it_is_off():
    sharp = sp.tanh(20 * (x + y)) * sp.exp(-t)
    problem, _ = planar(
        lambda v: D(v, t) - laplacian(v, (x, y)) / 100,
        sharp,
        Initial(u, 0),
        Dirichlet(u, 0),
    )
    equations = Equations.of(problem)
    partition = whole(equations).refined([0])
    result, trouble = step_through(
        equations, orthonormal(40), partition, 4, 1e-3, lambda *_: False
    )
    assert not trouble
    assert result.pieces[-1].times[1] == pytest.approx(0.5)
    assert result.worst > 1.0


def test_windows_march_in_the_plane_too():
    # As they do where a coefficient jumps.
    problem, exact = planar(
        lambda v: D(v, t) - laplacian(v, (x, y)) / 10,
        sp.exp(-t) * sp.cos(sp.pi * x / 2) * sp.cos(sp.pi * y / 2),
        Initial(u, 0),
        Dirichlet(u, 0),
        end=0.2,
    )
    equations = Equations.of(problem)
    partition = whole(equations).refined([0])
    basis = draw(100, (1.0, 3.0, 3.0), SINE, 0)
    result, trouble = march(equations, basis, partition, 16, 0.5, lambda *_: False)
    assert not trouble
    points = np.random.default_rng(0).uniform(-1, 1, (100, 3))
    points[:, 0] = points[:, 0] / 10 + 0.1
    found = evaluator(problem, result.pieces)(points)["u"]
    assert np.abs(found - exact(*points.T)).max() < 5e-2


def ring(initial, exact=None):
    """Return a dispersive problem on a period, 0 < t < 1."""
    v = field_of("v", t, x)
    problem = Problem(
        "ring",
        fields=[v],
        equations=[D(v, t) + v * D(v, x) + D(v, x, 3) / 50],
        domain=Interval(x, -1, 1),
        time=TimeInterval(t, 0, 1, num_outputs=5),
        conditions=[Initial(v, initial), Periodic(x)],
    )
    return problem if exact is None else manufacture(problem, {v: exact})


def test_harmonics_are_periodic_orthonormal_and_have_the_derivatives_they_state():
    basis = Harmonics(6)
    grid = -1 + np.arange(40)[:, None] / 20
    values = basis.tables(grid, [(0,)])[0,]
    assert np.abs(values.T @ values / 40 - np.eye(basis.size)).max() < 1e-13
    for k in range(4):
        step = 1e-4
        after = basis.tables(grid + step, [(k,)])[k,]
        before = basis.tables(grid - step, [(k,)])[k,]
        table = basis.tables(grid, [(k + 1,)])[k + 1,]
        quotient = (after - before) / (2 * step)
        assert np.abs(table - quotient).max() < 1e-6 * np.abs(table).max()
    ends = basis.tables(np.array([[-1.0], [1.0]]), [(0,), (3,)])
    for table in ends.values():
        assert np.abs(table[0] - table[1]).max() < 1e-12 * np.abs(table).max()


def test_a_dispersive_wave_on_a_period_is_stepped_with_as_many_harmonics_as_it_needs():
    wave = sp.sin(sp.pi * (x - t)) / (2 - sp.cos(sp.pi * (x - t)))
    problem = ring(0, wave)
    solution = RandomFeatures(tolerances=(1e-3, 1e-5)).solve(problem)
    assert solution.status is Status.OK
    assert "steps" in solution.details["method"]
    points = np.random.default_rng(0).uniform([0, -1], [1, 1], (300, 2))
    exact = sp.lambdify([t, x], wave)(*points.T)
    assert np.abs(solution.evaluator(points)["v"] - exact).max() < 1e-4


def test_too_many_harmonics_are_given_up():
    equations = Equations.of(ring(sp.Abs(x)))
    result, trouble = step_through(
        equations, Harmonics(300), whole(equations), 9, 1e-5, lambda *_: False
    )
    assert "frequencies" in trouble
    assert not result.pieces


def test_initial_fields_on_too_coarse_patches_are_told_of():
    peak = sp.exp(-200 * (x**2 + y**2))
    # At rest: no residual tells of it.
    problem, _ = planar(
        lambda v: D(v, t), peak, Initial(u, 0), Periodic(x), Periodic(y), end=0.1
    )
    equations = Equations.of(problem)
    result, _ = step_through(
        equations, orthonormal(20), whole(equations), 1, 1e-3, lambda *_: False
    )
    assert result.worst > 10.0
