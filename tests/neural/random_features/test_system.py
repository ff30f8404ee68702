"""Systems of rows are solved by what solves the problem."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import sympy as sp

from pinnsuite.neural.random_features.basis import SINE, TANH, draw
from pinnsuite.neural.random_features.equations import Equations, initial_state
from pinnsuite.neural.random_features.marching import newton
from pinnsuite.neural.random_features.piece import Piece
from pinnsuite.neural.random_features.solver import RandomFeatures
from pinnsuite.neural.random_features.system import System, decay
from pinnsuite.neural.random_features.whole import whole
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Disk,
    Initial,
    Interval,
    Neumann,
    Periodic,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
    laplacian,
    manufacture,
)
from pinnsuite.problem.catalog import entries
from pinnsuite.problem.jets import Jet
from pinnsuite.solution.solution import Status
from pinnsuite.verification.judge import judge
from pinnsuite.verification.reference import reference

t, x, y = coordinates("t x y")


def evolution(build, exact, *conditions, fields=None):
    """Return a problem on 0 < x < 1, 0 < t < 0.2, solved by `exact`."""
    fields = fields or [field_of("u", t, x)]
    problem = Problem(
        "evolution",
        fields,
        build(*fields),
        [*(Initial(f, 0) for f in fields), *conditions],
        Interval(x, 0, 1),
        TimeInterval(t, 0, sp.Rational(1, 5), 5),
    )
    return manufacture(problem, dict(zip(fields, exact, strict=True)))


def heat():
    u = field_of("u", t, x)
    return evolution(
        lambda u: [D(u, t) - D(u, x, 2)],
        [sp.exp(-t) * sp.sin(2 * x + 1)],
        Dirichlet(u, 0, on="left"),
        Neumann(u, 0, on="right"),
    ), [sp.exp(-t) * sp.sin(2 * x + 1)]


def third_order():
    u = field_of("u", t, x)
    exact = sp.cos(x - t) + x / 2
    return evolution(
        lambda u: [D(u, t) + 6 * u * D(u, x) + D(u, x, 3)],
        [exact],
        Dirichlet(u, 0),
        Neumann(u, 0, on="right"),
    ), [exact]


def pair():
    u, v = field_of("u", t, x), field_of("v", t, x)
    exact = [sp.sin(x + t), sp.exp(x - t)]
    return evolution(
        lambda u, v: [D(u, t) - D(v, x, 2) + u * v, D(v, t) + D(u, x, 2) - u**2],
        exact,
        Dirichlet(u, 0),
        Dirichlet(v, 0),
        fields=[u, v],
    ), exact


def periodic():
    exact = sp.sin(2 * sp.pi * (x - t))
    return evolution(
        lambda u: [D(u, t) + u * D(u, x) - D(u, x, 2) / 10],
        [exact],
        Periodic(x),
    ), [exact]


def around_a_hole():
    u = field_of("u", x, y)
    exact = sp.exp(x) * sp.sin(y + 1)
    problem = Problem(
        "hole",
        [u],
        [-laplacian(u, (x, y))],
        [Dirichlet(u, 0)],
        Box((x, -1, 1), (y, -1, 1)) - Disk(x, y, (0, 0), sp.Rational(2, 5)),
    )
    return manufacture(problem, {u: exact}), [exact]


CASES = [heat, third_order, pair, periodic, around_a_hole]


def solved(problem, features, patches, *, activation=SINE, scale=2.5, seed=0):
    """Return the system, its coefficients, and the piece they make."""
    equations = Equations.of(problem)
    partition = whole(equations)
    while len(partition) < patches:
        partition = partition.refined(range(len(partition)))
    time = problem.time
    times = None if time is None else (float(time.start), float(time.end))
    start = None if time is None else initial_state(equations)
    d = len(problem.coordinates)
    basis = draw(features, (scale,) * d, activation, seed)
    system = System(equations, basis, partition, times, start)
    if start is None:
        coefficients, _ = system.solve()
    else:
        coefficients = newton(system, start, 1e-9).coefficients
    return system, coefficients, Piece(basis, partition, times, coefficients), start


def error(problem, piece, exact):
    """Return the largest relative L2 error of a field at scattered points."""
    space = problem.domain.sample_interior(400, 5)
    points = space
    if problem.time is not None:
        end = float(problem.time.end)
        unit = np.random.default_rng(6).uniform(0, end, len(space))
        points = np.column_stack([unit, space])
    zero = (0,) * points.shape[1]
    found = piece.jets(points, [Jet(i, zero) for i in range(len(exact))])
    errors = []
    for values, formula in zip(found, exact, strict=True):
        function = sp.lambdify(problem.coordinates, formula)
        truth = function(*points.T)
        errors.append(np.linalg.norm(values - truth) / np.linalg.norm(truth))
    return max(errors)


@pytest.mark.parametrize("case", CASES)
def test_a_manufactured_solution_is_found_and_more_features_find_it_better(case):
    problem, exact = case()
    coarse = error(problem, solved(problem, 12, 4)[2], exact)
    fine = error(problem, solved(problem, 90, 4)[2], exact)
    assert fine < 1e-5
    assert fine < coarse / 30


@pytest.mark.parametrize("case", CASES)
def test_the_indicator_is_of_the_size_of_the_error(case):
    problem, exact = case()
    for features in (12, 40):
        system, coefficients, piece, start = solved(problem, features, 4)
        indicator = system.indicators(coefficients, start).max()
        assert indicator > error(problem, piece, exact) / 20


@pytest.mark.parametrize("activation", [SINE, TANH])
def test_an_affine_solution_is_reproduced_to_round_off(activation):
    u = field_of("u", t, x)
    exact = 1 + 2 * t - 3 * x
    problem = evolution(
        lambda u: [D(u, t) + D(u, x)], [exact], Dirichlet(u, 0, on="left")
    )
    system, coefficients, piece, start = solved(problem, 6, 4, activation=activation)
    assert error(problem, piece, [exact]) < 1e-11
    assert system.indicators(coefficients, start).max() < 1e-11


@pytest.mark.parametrize("case", [heat, third_order, periodic])
def test_fields_are_smooth_across_interfaces_up_to_the_order_less_one(case):
    problem, _ = case()
    _, _, piece, _ = solved(problem, 90, 4)
    order = Equations.of(problem).orders[1][0]
    planes = list(piece.partition.edges[0][1:-1])
    pairs = [(p - 1e-9, p + 1e-9) for p in planes]
    if piece.partition.periodic:
        pairs.append((1 - 1e-9, 1e-9))
    at = np.linspace(0, 0.2, 7)
    for below, above in pairs:
        for k in range(order):
            before, after = (
                piece.jets(np.column_stack([at, np.full(7, p)]), [Jet(0, (0, k))])[0]
                for p in (below, above)
            )
            assert np.abs(before - after).max() < 1e-4 * max(1, np.abs(before).max())


def test_a_wrong_answer_has_an_indicator_of_the_size_of_what_is_wrong():
    problem, _exact = heat()
    system, coefficients, _, start = solved(problem, 60, 4)
    right = system.indicators(coefficients, start).max()
    wrong = system.indicators(1.1 * coefficients, start).max()
    assert right < 1e-5
    assert 0.01 < wrong < 1


def test_the_spectrum_tells_a_rough_axis_from_a_smooth_one():
    at = np.cos(np.pi * (np.arange(12) + 0.5) / 12)
    values = np.exp(at)[:, None] * np.sign(at)[None, :]
    smooth, rough = decay(values[None])[0]
    assert smooth < 1e-6
    assert rough > 0.1


@pytest.mark.parametrize(
    "case", [third_order, pair, periodic], ids=lambda f: f.__name__
)
def test_the_factors_of_another_state_solve_the_rows_by_a_few_iterations(case):
    problem, _ = case()
    system, coefficients, _, _ = solved(problem, 40, 4)
    rows, _ = system.rows(coefficients)
    _, factors = rows.eliminated(1e-13)
    # Rows of a state that is a tenth off, and far from solved.
    other, _ = system.rows(1.1 * coefficients)
    exact, _ = other.eliminated(1e-13)
    found = other.iterated(factors, 1e-6)
    assert found is not None
    size = np.sqrt(np.mean(system.state_of(exact)[0] ** 2))
    apart = system.state_of(found)[0] - system.state_of(exact)[0]
    assert np.sqrt(np.mean(apart**2)) < 1e-4 * size


def test_factors_of_entirely_other_rows_are_refused():
    problem, _ = periodic()
    system, _, _, _ = solved(problem, 40, 4)
    rows, _ = system.rows()
    _, factors = rows.eliminated(1e-13)
    poor = replace(
        factors,
        diagonal=[np.eye(len(d)) for d in factors.diagonal],
        beside=[np.zeros_like(b) for b in factors.beside],
    )
    assert rows.iterated(poor, 1e-9) is None


def test_patches_bear_a_corner_where_derivatives_are_unbounded():
    # The plain lid: its velocity jumps at two corners, where no residual is small.
    problem = entries()["lid_driven_cavity"].make()
    solution = RandomFeatures(max_unknowns=12_000).solve(problem, budget=20.0)
    assert solution.status is Status.NOT_REACHED
    truth = reference(problem)
    error = judge(problem, solution, truth).error.per_field
    assert error["u"].relative_l2 < 0.15
    assert error["v"].relative_l2 < 0.2


@dataclass(frozen=True, eq=False)
class Monomials:
    """All products of powers up to a degree, of two coordinates."""

    degree: int

    @property
    def size(self):
        return (self.degree + 1) ** 2

    def tables(self, local, orders):
        found = {}
        for order in orders:
            one = [
                np.stack(
                    [
                        np.polynomial.Polynomial.basis(k).deriv(m)(local[..., axis])
                        if m <= k
                        else np.zeros(local.shape[:-1])
                        for k in range(self.degree + 1)
                    ],
                    axis=-1,
                )
                for axis, m in enumerate(order)
            ]
            product = one[0][..., :, None] * one[1][..., None, :]
            found[order] = product.reshape(*local.shape[:-1], -1)
        return found


@pytest.mark.parametrize("is_orthogonal", [True, False])
def test_a_polynomial_is_met_on_patches_of_different_sizes(is_orthogonal):
    x, y = coordinates("x y")
    u = field_of("u", x, y)
    exact = x**3 - 3 * x * y**2 + x * y + 2 * y
    problem = Problem(
        name="harmonic",
        fields=[u],
        equations=[laplacian(u, (x, y))],
        domain=Box((x, -1, 1), (y, 0, 1)),
        conditions=[Dirichlet(u, exact)],
    )
    partition = whole(Equations.of(problem)).refined([0])
    for corner in ((-1.0, 0.0), (0.2, 0.3), (0.2, 0.3)):
        partition = partition.refined(partition.around(np.array(corner)))
    along = np.array([[True, False]])
    partition = partition.refined(partition.around(np.array([0.9, 0.9]))[:1], along)
    sizes = {tuple(np.ptp(box, axis=1)) for box in partition.boxes}
    assert len(sizes) > 3
    basis = Monomials(3)
    system = System(Equations.of(problem), basis, partition, None, None)
    rows, _ = system.rows()
    if is_orthogonal:
        coefficients, _ = rows.eliminated()
    else:
        coefficients = rows.solved(rows.squared(partition.order, 1e-15))
    piece = Piece(basis, partition, None, coefficients)
    at = np.random.default_rng(0).uniform([-1, 0], [1, 1], (200, 2))
    (found,) = piece.jets(at, [Jet(0, (0, 0))])
    expected = at[:, 0] ** 3 - 3 * at[:, 0] * at[:, 1] ** 2
    expected += at[:, 0] * at[:, 1] + 2 * at[:, 1]
    assert np.abs(found - expected).max() < 1e-8
    assert system.indicators(coefficients, None).max() < 1e-8
