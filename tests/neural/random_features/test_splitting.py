"""Implicit-explicit steps in time of features of space."""

import math

import numpy as np
import pytest
import sympy as sp

from pinnsuite.neural.random_features import elimination
from pinnsuite.neural.random_features.basis import SINE, Orthonormal, draw
from pinnsuite.neural.random_features.equations import Equations, initial_state
from pinnsuite.neural.random_features.runge_kutta import (
    DIAGONAL,
    EMBEDDED,
    EXPLICIT,
    NODES,
    TABLEAU,
    WEIGHTS,
    Instant,
    first_split_step,
    relaxed,
    split_step,
)
from pinnsuite.neural.random_features.semidiscrete import Semidiscrete
from pinnsuite.neural.random_features.solver import RandomFeatures, evaluator
from pinnsuite.neural.random_features.split_stages import KEPT_LENGTHS, SplitStages
from pinnsuite.neural.random_features.splitting import split
from pinnsuite.neural.random_features.stepping import step_through
from pinnsuite.neural.random_features.whole import whole
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Initial,
    Neumann,
    Periodic,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
    laplacian,
    manufacture,
)
from pinnsuite.solution.solution import Status

t, x, y = coordinates("t x y")
u, v, p = [field_of(name, t, x, y) for name in "uvp"]


def posed(fields, equations, *conditions, end=0.5):
    return Problem(
        "planar",
        fields=fields,
        equations=equations,
        domain=Box((x, -1, 1), (y, -1, 1)),
        time=TimeInterval(t, 0, end, num_outputs=5),
        conditions=list(conditions),
    )


def alone(equation, *conditions):
    return split(
        Equations.of(posed([u], [equation], Initial(u, sp.sin(sp.pi * x)), *conditions))
    )


def advected(end=0.5):
    """Return a problem with a moving wave, and the wave."""
    exact = sp.sin(sp.pi * (x - t)) * sp.cos(sp.pi * y) * sp.exp(-t / 2)
    problem = posed(
        [u],
        [D(u, t) + (1 + u) * D(u, x) - laplacian(u, (x, y)) / 10 + u**3],
        Initial(u, 0),
        Periodic(x),
        Periodic(y),
        end=end,
    )
    return manufacture(problem, {u: exact}), sp.lambdify([t, x, y], exact)


def started(problem, halvings=2):
    equations = Equations.of(problem)
    partition = whole(equations)
    for _ in range(halvings):
        partition = partition.refined(range(len(partition)))
    basis = Orthonormal.of(draw(80, (3.0, 3.0), SINE, 0))
    space = Semidiscrete(equations, basis, partition, split(equations))
    state = initial_state(equations)
    begin = Instant(0.0, [space.projected(state, 0), np.zeros(space.shape)])
    return SplitStages(space, space.sizes(begin.values[0])), begin


def full(rows, diagonal):
    a = np.zeros((6, 6))
    for i, row in enumerate(rows):
        a[i, : len(row)] = row
        a[i, i] = diagonal if i else 0.0
    return a


def test_the_tableaus_fulfil_the_conditions_of_their_orders_together():
    both = [full(TABLEAU, DIAGONAL), full(EXPLICIT, 0.0)]
    c = np.array(NODES)
    for a in both:
        np.testing.assert_allclose(a.sum(1), c, atol=1e-14)
        for weights in (WEIGHTS, EMBEDDED):
            assert np.dot(weights, a @ c) == pytest.approx(1 / 6, abs=1e-14)
        assert np.dot(WEIGHTS, c * (a @ c)) == pytest.approx(1 / 8, abs=1e-14)
        assert np.dot(WEIGHTS, a @ c**2) == pytest.approx(1 / 12, abs=1e-14)
        for other in both:
            assert np.dot(WEIGHTS, a @ other @ c) == pytest.approx(1 / 24, abs=1e-14)
    for weights in (WEIGHTS, EMBEDDED):
        assert sum(weights) == pytest.approx(1, abs=1e-14)
        assert np.dot(weights, c) == pytest.approx(1 / 2, abs=1e-14)
        assert np.dot(weights, c**2) == pytest.approx(1 / 3, abs=1e-14)


def test_the_linear_part_is_implicit_and_fields_are_solved_one_by_one():
    problem = posed(
        [u, v],
        [
            D(u, t) - laplacian(u, (x, y)) + u * v**2 + u / 4 - sp.cos(t),
            D(v, t) - 2 * laplacian(v, (x, y)) - u * v**2 + 3 * u,
        ],
        Initial(u, 1),
        Initial(v, 0),
        Neumann(u, 0),
        Neumann(v, 0),
    )
    found = split(Equations.of(problem))
    assert [list(g.fields) for g in found.groups] == [[0], [1]]
    first, second = found.parts
    assert {(j.field, sum(j.orders)) for j in first.implicit.jets} == {
        (0, 0),
        (0, 1),
        (0, 2),
    }
    assert {j.field for j in second.implicit.jets} == {1}
    assert {j.field for j in second.explicit.jets} == {0, 1}
    # At u = 2, v = 3: what another field adds is explicit.
    values = dict(zip(second.explicit.jets, (2.0, 3.0), strict=True))
    residual, *_ = second.explicit.function(0.1, 0.2, 0.3, *values.values())
    assert residual == pytest.approx(-2 * 9 + 6)


def test_what_is_stiff_beside_the_linear_part_stays_implicit_as_a_whole():
    lap = laplacian(u, (x, y))
    periodic = Periodic(x), Periodic(y)
    assert alone(D(u, t) - lap + u**3, *periodic)
    assert alone(D(u, t) - lap + u * D(u, x), *periodic)
    assert alone(D(u, t) + laplacian(lap, (x, y)) - u * D(u, x), *periodic)
    assert not alone(D(u, t) + laplacian(lap, (x, y)) - u**2 * lap, *periodic)
    assert not alone(D(u, t) - (1 + u**2) * lap, *periodic)
    assert not alone(D(u, t) + u * D(u, x), *periodic)
    assert not alone(D(u, t, 2) - lap + u**3, Initial(u, 0, order=1), *periodic)
    assert not alone((1 + u**2) * D(u, t) - lap, *periodic)
    assert not alone(D(u, t) - lap - D(lap, t) + u**3, *periodic)
    assert not alone(D(u, t) - sp.exp(t) * lap + u**3, *periodic)
    assert not alone(D(u, t) - lap, *periodic)


def test_a_pressure_keeps_the_implicit_method():
    problem = posed(
        [u, v, p],
        [
            D(u, t) + u * D(u, x) + D(p, x) - laplacian(u, (x, y)),
            D(v, t) + u * D(v, x) + D(p, y) - laplacian(v, (x, y)),
            D(u, x) + D(v, y),
        ],
        Initial(u, 0),
        Initial(v, 0),
        Periodic(x),
        Periodic(y),
    )
    assert split(Equations.of(problem)) is None


def test_steps_are_of_fourth_order():
    stages, begin = started(advected()[0])
    now = first_split_step(stages, begin, 1e-7)
    ends = []
    for number in (8, 16, 64):
        then = now
        for _ in range(number):
            then, _ = split_step(stages, then, 0.4 / number, lambda: False)
        ends.append(then.values[0])
    errors = [stages.space.sizes(c - ends[-1])[0] for c in ends[:2]]
    assert math.log2(errors[0] / errors[1]) > 3.5


def test_the_error_of_a_step_is_estimated():
    stages, begin = started(advected()[0])
    now = first_split_step(stages, begin, 1e-7)
    estimates = [
        split_step(stages, now, length, lambda: False)[1] for length in (0.05, 0.1)
    ]
    assert 6 < estimates[1] / estimates[0] < 40


def test_factors_serve_for_all_steps_of_a_length_and_for_equal_fields(monkeypatch):
    problem = posed(
        [u, v],
        [
            D(w, t) + u * D(w, x) + v * D(w, y) - laplacian(w, (x, y)) / 10
            for w in (u, v)
        ],
        Initial(u, sp.sin(sp.pi * y)),
        Initial(v, sp.sin(sp.pi * x)),
        Periodic(x),
        Periodic(y),
    )
    stages, begin = started(problem)
    made = []
    of = elimination.condensed

    def seen(own, *rest):
        made.append(own.shape)
        return of(own, *rest)

    monkeypatch.setattr(elimination, "condensed", seen)
    now = first_split_step(stages, begin, 1e-3)
    size = stages.space.basis.size
    assert made == [(16, size, size)]
    for length in (0.01, 0.01, 0.02, 0.01, 0.02):
        now, _ = split_step(stages, now, length, lambda: False)
    assert len(made) == 3 <= KEPT_LENGTHS
    split_step(stages, now, 0.04, lambda: False)
    first_split_step(stages, begin, 1e-3)
    assert len(made) == 5


def test_a_field_that_does_not_evolve_follows_from_those_that_do():
    exact = sp.exp(-2 * sp.pi**2 * t / 10) * sp.sin(sp.pi * x) * sp.sin(sp.pi * y)
    problem = posed(
        [u, v],
        [
            D(u, t) + D(v, y) * D(u, x) - D(v, x) * D(u, y) - laplacian(u, (x, y)) / 10,
            laplacian(v, (x, y)) + u,
        ],
        Initial(u, exact.subs(t, 0)),
        Periodic(x),
        Periodic(y),
    )
    problem.hints["gauge"] = "v"
    found = split(Equations.of(problem))
    assert [list(g.fields) for g in found.groups] == [[0], [1]]
    stages, begin = started(problem)
    now = first_split_step(stages, begin, 1e-4)
    for _ in range(4):
        now, _ = split_step(stages, now, 0.05, lambda: False)
    decayed = math.exp(-2 * math.pi**2 * now.time / 10)
    wave, stream = stages.space.sizes(now.values[0])
    assert wave == pytest.approx(decayed / 2, rel=1e-2)
    assert stream == pytest.approx(wave / (2 * math.pi**2), rel=1e-3)
    rate, flow = stages.space.sizes(now.values[1])
    assert rate == pytest.approx(2 * math.pi**2 / 10 * wave, rel=1e-3)
    assert flow == pytest.approx(2 * math.pi**2 / 10 * stream, rel=1e-2)


def test_conditions_on_the_boundary_hold_at_each_stage():
    exact = sp.cos(3 * t) * (1 + x * y / 2)
    problem = manufacture(
        posed(
            [u],
            [D(u, t) - laplacian(u, (x, y)) / 10 + u**3],
            Initial(u, 0),
            Dirichlet(u, 0),
        ),
        {u: exact},
    )
    equations = Equations.of(problem)
    basis = Orthonormal.of(draw(80, (3.0, 3.0), SINE, 0))
    partition = whole(equations).refined([0])
    result, trouble = step_through(
        equations,
        basis,
        partition,
        64,
        1e-3,
        lambda *_: False,
        parts=split(equations),
    )
    assert not trouble
    points = np.random.default_rng(0).uniform(-1, 1, (200, 3))
    points[:100, 1] = 1.0
    points[:, 0] = (points[:, 0] + 1) / 4
    found = evaluator(problem, result.pieces)(points)["u"]
    truth = sp.lambdify([t, x, y], exact)(*points.T)
    assert np.abs(found - truth).max() < 2e-3


def test_lengths_come_again_but_for_the_last_one():
    problem, exact = advected(end=1.0)
    equations = Equations.of(problem)
    basis = Orthonormal.of(draw(80, (3.0, 3.0), SINE, 0))
    partition = whole(equations).refined([0]).refined(range(4))
    result, trouble = step_through(
        equations,
        basis,
        partition,
        100,
        1e-2,
        lambda *_: False,
        parts=split(equations),
    )
    assert not trouble
    lengths = np.array([p.times[1] - p.times[0] for p in result.pieces])
    powers = 2 * np.log2(lengths[:-1])
    np.testing.assert_allclose(powers, np.round(powers), atol=1e-6)
    assert result.pieces[-1].times[1] == 1.0
    points = np.random.default_rng(0).uniform(-1, 1, (300, 3))
    points[:, 0] = (points[:, 0] + 1) / 2
    found = evaluator(problem, result.pieces)(points)["u"]
    assert np.abs(found - exact(*points.T)).max() < 1e-2


def test_fields_from_coarser_patches_are_relaxed():
    stages, begin = started(advected()[0])
    now = first_split_step(stages, begin, 1e-3)
    space = stages.space
    noise = 1e-4 * np.random.default_rng(0).normal(size=space.shape)
    noisy = Instant(now.time, [now.values[0] + noise, now.values[1]])
    found = relaxed(stages, noisy, 0.1)
    before, after = (
        space.sizes(i.values[0] - now.values[0])[0] for i in (noisy, found)
    )
    assert after < before / 3
    np.testing.assert_array_equal(found.values[1], noisy.values[1])


def test_nothing_is_evaluated_beyond_the_end():
    source = sp.sqrt(1 - t) * sp.sin(sp.pi * x) * sp.sin(sp.pi * y)
    problem = posed(
        [u],
        [D(u, t) - laplacian(u, (x, y)) + u**3 - source],
        Initial(u, sp.sin(sp.pi * x) * sp.sin(sp.pi * y)),
        Dirichlet(u, 0),
        end=1.0,
    )
    found = RandomFeatures(tolerances=(1e-1, 1e-2)).solve(problem)
    assert found.status is Status.OK


@pytest.mark.parametrize("term", [(1 + x**2) * sp.sqrt(u), (1 + x**2) / u])
def test_what_is_singular_where_the_fields_are_zero_is_not_split(term):
    problem = posed(
        [u],
        [D(u, t) - laplacian(u, (x, y)) + term],
        Initial(u, 1),
        Dirichlet(u, 1),
    )
    assert split(Equations.of(problem)) is None
