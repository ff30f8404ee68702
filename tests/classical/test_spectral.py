"""Fourier series: orders, independent references, pitfalls, batches, refusals."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from pinnsuite.classical.spectral import FourierPseudospectral
from pinnsuite.classical.splitting import split
from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Disk,
    Initial,
    Interval,
    Observed,
    Periodic,
    Problem,
    TimeInterval,
    Unknown,
    coordinates,
    data_file,
    field_of,
    laplacian,
    manufacture,
)
from pinnsuite.problem.manufactured import smooth_field
from pinnsuite.solution.solution import Status
from pinnsuite.solution.support import common_support
from pinnsuite.solver import Batched, Refinable

t, x, y = coordinates("t x y")
u, v = field_of("u", t, x), field_of("v", t, x)
w, ψ, p = (field_of(n, t, x, y) for n in ("w", "ψ", "p"))
a, b = field_of("a", t, x, y), field_of("b", t, x, y)
PLANE = (x, y)
LINE = Interval(x, 0, 2)
TORUS = Box((x, 0, 1), (y, 0, 2))
SHORT = TimeInterval(t, 0, 0.5, 5)


def forced(name, fields, equations, domain=LINE, orders=None):
    starts = zip(fields, orders or [1] * len(fields), strict=True)
    conditions = [Initial(f, 0, k) for f, order in starts for k in range(order)]
    conditions += [Periodic(s) for s in domain.coordinates]
    problem = Problem(name, fields, equations, conditions, domain, SHORT)
    return manufacture(problem, smooth_field(problem))


PROBLEMS = {
    p.name.split(" (")[0]: p
    for p in [
        forced("burgers", [u], [D(u, t) + u * D(u, x) - D(u, x, 2) / 20]),
        forced("kdv", [u], [D(u, t) + u * D(u, x) + D(u, x, 3) / 100]),
        forced(
            "thin film",
            [u],
            [D(u, t) + u * D(u, x) + D(u, x, 2) / 10 + D(u, x, 4) / 100],
        ),
        forced(
            "variable coefficient",
            [u],
            [D(u, t) - D((2 + sp.sin(sp.pi * x)) * D(u, x), x) / 50 + D(u, x)],
        ),
        forced(
            "two fields",
            [u, v],
            [
                D(u, t) - D(u, x, 2) / 20 - u * (1 - u * v),
                D(v, t) - D(v, x, 2) / 10 + u**2 * v - D(u, x, 2) / 50,
            ],
        ),
        forced(
            "allen-cahn on a torus",
            [w],
            [D(w, t) - laplacian(w, (x, y)) / 100 + w**3 - w],
            TORUS,
        ),
        forced(
            "schrödinger",
            [u, v],
            [
                D(u, t) + D(v, x, 2) / 5 + (u**2 + v**2) * v,
                D(v, t) - D(u, x, 2) / 5 - (u**2 + v**2) * u,
            ],
        ),
        forced(
            "chemical potential",
            [u, v],
            [D(u, t) - D(v, x, 2) / 50, v - u**3 + u + D(u, x, 2) / 100],
            orders=[1, 0],
        ),
        forced(
            "damped wave",
            [u],
            [D(u, t, 2) + D(u, t) / 5 - D(u, x, 2) + sp.sin(u)],
            orders=[2],
        ),
        forced(
            "long waves",
            [u],
            [D(u, t) + D(u, x) + u * D(u, x) - D(u, t, x, 2) / 10],
        ),
        forced(
            "varying inertia",
            [u, v],
            [
                (2 + sp.sin(sp.pi * x)) * D(u, t) + D(v, t) - D(u, x, 2) / 20,
                D(v, t) - D(u, t) - D(v, x, 2) / 20,
            ],
        ),
        forced(
            "vorticity and streamfunction",
            [w, ψ],
            [
                D(w, t)
                + D(ψ, y) * D(w, x)
                - D(ψ, x) * D(w, y)
                - laplacian(w, PLANE) / 50,
                laplacian(ψ, PLANE) + w,
            ],
            TORUS,
            orders=[1, 0],
        ),
        forced(
            "velocity and pressure",
            [a, b, p],
            [
                D(f, t) + a * D(f, x) + b * D(f, y) + D(p, z) - laplacian(f, PLANE) / 50
                for f, z in ((a, x), (b, y))
            ]
            + [D(a, x) + D(b, y)],
            TORUS,
            orders=[1, 1, 0],
        ),
    ]
}
SCHEMES = {"etdrk4": 4, "if-rk4": 4, "sbdf2": 2}


def error(problem, solver):
    solution = solver.solve(problem.without_answer()).require_ok()
    points = common_support(problem).points
    formulas = [problem.exact[f] for f in problem.fields]
    exact = np.stack(sp.lambdify(problem.coordinates, formulas)(*points.T))
    found = np.stack([solution.at(points)[n] for n in problem.field_names])
    return np.linalg.norm(found - exact) / np.linalg.norm(exact)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_error_falls_with_the_step_as_the_scheme_declares(name, scheme):
    problem = PROBLEMS[name]
    steps = 128 if scheme == "sbdf2" else 32
    solver = FourierPseudospectral(points=24, steps=steps, scheme=scheme)
    assert isinstance(solver, Refinable)
    observed = np.log2(error(problem, solver) / error(problem, solver.refined()))
    assert solver.expected_order(problem) == SCHEMES[scheme]
    assert observed == pytest.approx(SCHEMES[scheme], abs=0.1)


@pytest.mark.parametrize("points", [31, 32])
def test_linear_equations_with_constant_coefficients_are_solved_exactly(points):
    wave = 2 * sp.pi * 3 * (x - t) / 2
    decay = sp.exp(-sp.Rational(1, 10) * (3 * sp.pi) ** 2 * t)
    problem = Problem(
        "drift",
        [u],
        [D(u, t) + D(u, x) - D(u, x, 2) / 10],
        [Initial(u, sp.sin(3 * sp.pi * x)), Periodic(x)],
        LINE,
        SHORT,
        exact={u: decay * sp.sin(wave)},
    )
    assert error(problem, FourierPseudospectral(points=points, steps=1)) < 1e-12


def kuramoto_sivashinsky(num_outputs, end):
    """The form of PINNacle and JAXPI; chaotic, with errors that double every 0.07."""
    scale = sp.Rational(100, 16)
    equation = (
        D(u, t)
        + scale * u * D(u, x)
        + scale / 16 * D(u, x, 2)
        + scale / 16**3 * D(u, x, 4)
    )
    start = sp.cos(x) * (1 + sp.sin(x))
    return Problem(
        "kuramoto-sivashinsky",
        [u],
        [equation],
        [Initial(u, start), Periodic(x)],
        Interval(x, 0, 2 * np.pi),
        TimeInterval(t, 0, end, num_outputs),
    )


def test_kuramoto_sivashinsky_agrees_with_an_independent_reference():
    with data_file("external/kuramoto_sivashinsky.npz").open("rb") as file:
        stored = np.load(file)
        times, nodes, values = stored["t"], stored["x"], stored["u"].T
    problem = kuramoto_sivashinsky(len(times), 1.0)
    solution = FourierPseudospectral(points=384, steps=8000).solve(problem).require_ok()
    mesh = np.stack([m.ravel() for m in np.meshgrid(times, nodes, indexing="ij")], 1)
    found = solution.at(mesh)["u"].reshape(values.shape)
    assert np.linalg.norm(found - values) < 1e-6 * np.linalg.norm(values)
    early = times <= 0.5
    gap = np.linalg.norm((found - values)[early])
    assert gap < 2e-8 * np.linalg.norm(values[early])


def test_a_kink_in_the_initial_state_is_projected_and_does_not_alias():
    # x² cos πx on [-1, 1] has a kink at the period's end; the heat equation is then
    # solved exactly mode by mode, so that all the error is in the initial state.
    problem = Problem(
        "heat",
        [u],
        [D(u, t) - D(u, x, 2) / 1000],
        [Initial(u, x**2 * sp.cos(sp.pi * x)), Periodic(x)],
        Interval(x, -1, 1),
        SHORT,
    )
    nodes = np.arange(128) / 64 - 1

    def end(points):
        solver = FourierPseudospectral(points=points, steps=1)
        return solver.solve(problem).at(np.stack([np.full(128, 0.5), nodes], 1))["u"]

    # The same, but sampled on 128 nodes.
    k = np.pi * np.arange(65)
    sampled = np.fft.rfft(nodes**2 * np.cos(np.pi * nodes)) * np.exp(-(k**2) / 2000)
    fine = end(1024)
    projected = np.abs(end(128) - fine).max()
    assert projected < 1e-8
    assert np.abs(np.fft.irfft(sampled) - fine).max() > 1000 * projected


def allen_cahn():
    return Problem(
        "allen-cahn",
        [u],
        [D(u, t) - D(u, x, 2) / 10_000 - 5 * (u - u**3)],
        [Initial(u, x**2 * sp.cos(sp.pi * x)), Periodic(x)],
        Interval(x, -1, 1),
        TimeInterval(t, 0, 1, 5),
    )


def test_halving_the_step_alone_misses_the_error_in_space_and_refined_does_not():
    problem = allen_cahn()
    late = common_support(problem).points
    late = late[late[:, 0] > 0]
    coarse = FourierPseudospectral(points=256, steps=200)

    def values(solver):
        return solver.solve(problem).require_ok().at(late)["u"]

    start = values(coarse)
    truth = values(FourierPseudospectral(points=1024, steps=800))
    error = np.linalg.norm(start - truth)
    in_time = np.linalg.norm(values(replace(coarse, steps=400)) - start)
    both = np.linalg.norm(values(coarse.refined()) - start)
    assert in_time < 1e-3 * error
    assert both == pytest.approx(error, rel=0.1)


@pytest.mark.parametrize("points", [16, 17])
def test_a_solution_is_rebuilt_between_the_nodes_as_its_own_series(points):
    """All modes below the highest; that one's sine is invisible and left out."""
    top = (points - 1) // 2
    angle = sp.pi * x
    start = sp.cos(top * angle) + sp.sin(top * angle) / 2 + sp.cos(3 * angle)
    highest = sp.cos(8 * angle) if points == 16 else sp.Integer(0)
    problem = Problem(
        "shift",
        [u],
        [D(u, t) + D(u, x)],
        [Initial(u, start + highest), Periodic(x)],
        LINE,
        SHORT,
    )
    solution = FourierPseudospectral(points=points, steps=1).solve(problem)
    at = np.linspace(0, 2, 97)
    found = solution.at(np.stack([np.full(97, 0.5), at], 1))["u"]
    moved = sp.lambdify(x, start.subs(x, x - sp.Rational(1, 2)))(at)
    np.testing.assert_allclose(found, moved, atol=1e-12)


def bound_solitons():
    square = u**2 + v**2
    return Problem(
        "breather",
        [u, v],
        [
            D(u, t) + D(v, x, 2) / 2 + square * v,
            D(v, t) - D(u, x, 2) / 2 - square * u,
        ],
        [Initial(u, 2 / sp.cosh(x)), Initial(v, 0), Periodic(x)],
        Interval(x, -30, 30),
        TimeInterval(t, 0, sp.pi / 2, 5),
    )


def test_two_bound_solitons_follow_satsuma_and_yajima():
    problem = bound_solitons()
    solver = FourierPseudospectral(points=768, steps=800, dealias="none")
    points = common_support(problem).points
    found = solver.solve(problem).require_ok().at(points)
    time, place = points.T
    exact = (
        4
        * np.exp(0.5j * time)
        * (np.cosh(3 * place) + 3 * np.exp(4j * time) * np.cosh(place))
        / (np.cosh(4 * place) + 4 * np.cosh(2 * place) + 3 * np.cos(4 * time))
    )
    gap = np.linalg.norm(found["u"] + 1j * found["v"] - exact)
    assert gap < 1e-6 * np.linalg.norm(exact)


def flow(constraint, start, more=0):
    velocity = [
        D(f, t) + a * D(f, x) + b * D(f, y) + D(p, z) - laplacian(f, PLANE) / 50
        for f, z in ((a, x), (b, y))
    ]
    return Problem(
        "flow",
        [a, b, p],
        [velocity[0] + more, velocity[1], constraint],
        [Initial(a, start), Initial(b, 0), Periodic(x), Periodic(y)],
        TORUS,
        SHORT,
    )


def test_velocity_stays_free_of_divergence_and_agrees_with_the_streamfunction():
    ripple = sp.cos(2 * sp.pi * x) * sp.cos(sp.pi * y) / 4
    first = flow(D(a, x) + D(b, y), 0)
    first = replace(
        first,
        conditions=[
            Initial(a, sp.sin(sp.pi * y) + D(ripple, y).doit()),
            Initial(b, -D(ripple, x).doit()),
            Periodic(x),
            Periodic(y),
        ],
    )
    vorticity = -laplacian(ripple, PLANE).doit() - sp.pi * sp.cos(sp.pi * y)
    second = Problem(
        "vorticity",
        [w, ψ],
        [
            D(w, t) + D(ψ, y) * D(w, x) - D(ψ, x) * D(w, y) - laplacian(w, PLANE) / 50,
            laplacian(ψ, PLANE) + w,
        ],
        [Initial(w, vorticity), Periodic(x), Periodic(y)],
        TORUS,
        SHORT,
    )
    solver = FourierPseudospectral(points=48, steps=64)
    velocity = solver.solve(first).require_ok().fields
    stream = solver.solve(second).require_ok().fields["ψ"][-1, :-1, :-1]
    k_x = 2j * np.pi * np.fft.fftfreq(48, 1 / 48)[:, None]
    k_y = 1j * np.pi * np.arange(25)
    a_hat, b_hat = (np.fft.rfft2(velocity[n][-1, :-1, :-1]) for n in ("a", "b"))
    assert np.abs(k_x * a_hat + k_y * b_hat).max() < 1e-9
    from_stream = np.fft.irfft2(k_y * np.fft.rfft2(stream))
    np.testing.assert_allclose(velocity["a"][-1, :-1, :-1], from_stream, atol=1e-8)


def test_the_linear_part_is_what_has_constant_coefficients():
    form = split(PROBLEMS["two fields"])
    assert [{(j.field, j.orders) for j in row.linear} for row in form.rows] == [
        {(0, (0,)), (0, (2,))},
        {(1, (2,)), (0, (2,))},
    ]
    (row,) = split(PROBLEMS["variable coefficient"]).rows
    assert {j.orders: c for j, c in row.linear.items()} == {
        (1,): -1.0,
        (2,): pytest.approx(1 / 25),
    }


def family_member(num_outputs=11):
    return Problem(
        "burgers",
        [u],
        [D(u, t) + u * D(u, x) - D(u, x, 2) / 100],
        [Initial(u, sp.sin(sp.pi * x)), Periodic(x)],
        LINE,
        TimeInterval(t, 0, 1, num_outputs),
    )


def test_a_batch_is_its_members_one_by_one():
    nodes = 2 * np.arange(64) / 64
    states = np.stack([np.sin(np.pi * nodes), np.cos(2 * np.pi * nodes) / 2])
    solver = FourierPseudospectral(points=96, steps=160)
    assert isinstance(solver, Batched)
    final = solver.solve_batch(family_member(), states)
    single = solver.solve(family_member()).require_ok()
    alone = single.at(np.stack([np.ones(64), nodes], 1))["u"]
    np.testing.assert_allclose(final[0], alone, atol=1e-8)
    np.testing.assert_allclose(
        solver.solve_batch(family_member(), states[1:])[0], final[1], atol=1e-14
    )


def test_the_error_of_a_batch_falls_with_the_resolution():
    nodes = 2 * np.arange(128) / 128
    states = np.stack([np.sin(np.pi * nodes), np.cos(np.pi * nodes) ** 2])
    ladder = [
        FourierPseudospectral(points=n, steps=s).solve_batch(family_member(), states)
        for n, s in ((48, 80), (96, 160), (192, 320), (384, 640))
    ]
    errors = [np.linalg.norm(rung - ladder[-1]) for rung in ladder[:-1]]
    assert errors[0] > 5 * errors[1] > 25 * errors[2]


def test_batches_take_one_field_on_a_line():
    with pytest.raises(UnsupportedProblemError, match="2 unknowns"):
        FourierPseudospectral().solve_batch(PROBLEMS["two fields"], np.zeros((1, 8)))


def test_output_times_are_met_exactly_and_doubling_halves_the_step():
    outputs = np.linspace(0, 1, 8)
    steps = [FourierPseudospectral(steps=s)._steps(outputs) for s in (1, 7, 8, 16, 20)]
    assert [n for n, _ in steps] == [1, 1, 2, 4, 4]
    assert all(n * h == pytest.approx(1 / 7) for n, h in steps)


def test_values_that_are_not_finite_are_a_status():
    problem = Problem(
        "blow-up",
        [u],
        [D(u, t) - D(u, x, 2) / 100 - u**2],
        [Initial(u, 5 + sp.cos(sp.pi * x)), Periodic(x)],
        LINE,
        SHORT,
    )
    solution = FourierPseudospectral(points=32, steps=100).solve(problem)
    assert solution.status is Status.NAN
    assert not solution.fields
    assert "more steps" in solution.sentence


def test_the_budget_ends_the_run():
    problem = kuramoto_sivashinsky(3, 1.0)
    solution = FourierPseudospectral(points=128, steps=100_000).solve(
        problem, budget=0.1
    )
    assert solution.status is Status.NOT_REACHED
    assert solution.cost.total < 2


def plain(*conditions, field=u, equation=None, domain=LINE, **more):
    equation = D(field, t) - D(field, x, 2) if equation is None else equation
    start = [Initial(field, 0), *conditions]
    return Problem("plain", [field], [equation], start, domain, SHORT, **more)


k = sp.Symbol("k", real=True)
z = field_of("z", t)

REFUSED = {
    "no space coordinates": Problem(
        "o", [z], [D(z, t) + z], [Initial(z, 1)], time=SHORT
    ),
    "no box": plain(Dirichlet(w, 0), field=w, domain=Disk(x, y, (0, 0), 1)),
    "not periodic in y": plain(
        Periodic(x),
        Dirichlet(w, 0, ("bottom", "top")),
        field=w,
        equation=D(w, t) - laplacian(w, (x, y)),
        domain=TORUS,
    ),
    "initial state breaks the constraint": flow(
        D(a, x) + D(b, y), sp.sin(2 * sp.pi * x)
    ),
    "not linear with constant": flow(D(a, x) + D(b, y) + a**2, 0),
    "do not determine": flow(D(a, y) - D(b, x), 0),
    "stands in a product": flow(D(a, x) + D(b, y), 0, p * D(p, x)),
    "coefficients k are unknown": plain(
        Periodic(x),
        Observed(u, [[0.1, 0.1]], [0.0]),
        equation=D(u, t) - k * D(u, x, 2),
        unknowns=[Unknown(k, 0, 1, 0.5)],
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refusals_name_the_part(reason):
    assert reason in FourierPseudospectral().why_not(REFUSED[reason])
    with pytest.raises(UnsupportedProblemError, match=reason):
        FourierPseudospectral().solve(REFUSED[reason])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": 3}, "points is 3"),
        ({"steps": 0}, "steps is 0"),
        ({"growth": 1.0}, "growth is 1.0"),
        ({"dealias": "3/2"}, "Unknown fourier option dealias: '3/2'"),
        ({"scheme": "rk4"}, "Unknown fourier option scheme: 'rk4'"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(OptionError, match=message):
        FourierPseudospectral(**options)
