import pytest
import sympy as sp

from pinnsuite.classical.weak_form import by_parts, weak_form
from pinnsuite.errors import UnsupportedProblemError
from pinnsuite.problem.conditions import (
    Dirichlet,
    Flux,
    Initial,
    Neumann,
    Observed,
    Robin,
    Unknown,
    normal,
)
from pinnsuite.problem.definition import (
    D,
    Problem,
    coordinates,
    div,
    field_of,
    grad,
    laplacian,
)
from pinnsuite.problem.domain import Box, Disk, Interval, TimeInterval
from pinnsuite.problem.jets import Jet

t, x, y = coordinates("t x y")
u, v, p = field_of("u", x, y), field_of("v", x, y), field_of("p", x, y)
SPACE = (x, y)
SQUARE = Box((x, 0, 1), (y, 0, 1))
DISK = Disk(x, y, (0, 0), 1)
k = 2 + sp.sin(x * y)
jump = sp.Piecewise((1, x < 0.5), (3, True))


def parts_of(equation):
    return by_parts(equation, (u, v, p), SPACE)


EQUATIONS = [
    -laplacian(u, SPACE),
    -div([k * g for g in grad(u, SPACE)], SPACE) + u**3,
    -k * laplacian(u, SPACE) + u * D(u, x),
    3 * D(u, x, y) - D(u**2, y, 2) + D(k * u, x),
    -2 * (x * (laplacian(u, SPACE) - v) + y * D(k * D(v, y), y)) + D(p, x),
    u * laplacian(v, SPACE),
    D(k * u - (1 + u**2) * D(u, x), x) - D(D(u, y), y),
]


@pytest.mark.parametrize("equation", EQUATIONS, ids=str)
def test_integration_by_parts_leaves_the_equation_as_it_is(equation):
    source, flux = parts_of(equation)
    again = source + sum(sp.diff(b.doit(), c) for b, c in zip(flux, SPACE, strict=True))
    assert sp.simplify(again.doit() - equation.doit()) == 0
    derivatives = [*source.doit().atoms(sp.Derivative)]
    derivatives += [d for b in flux for d in b.doit().atoms(sp.Derivative)]
    assert all(d.derivative_count == 1 for d in derivatives)


def test_a_jump_under_the_divergence_is_never_differentiated():
    source, flux = parts_of(-div([jump * g for g in grad(u, SPACE)], SPACE))
    assert source == 0
    assert flux == [-jump * D(u, x), -jump * D(u, y)]
    source, flux = parts_of(D(jump * u, x))
    assert (source, flux) == (0, [jump * u, 0])


def test_first_derivatives_stay_as_they_are():
    equation = u * D(u, x) + D(p, x)
    assert parts_of(equation) == (equation, [0, 0])


def square(equation, *conditions, domain=SQUARE):
    rest = [Dirichlet(u, 0)] if domain is SQUARE else []
    return Problem("test", [u], [equation], [*conditions, *rest], domain)


def integrand_on(problem, name):
    (integral,) = (i for i in weak_form(problem).integrals if i.on == name)
    assert len(integral.tests) == 1
    lowered = integral.integrand
    plain = {
        s: (problem.fields[jet.field] if not any(jet.orders) else sp.Symbol(s.name))
        for s, jet in lowered.jets.items()
    }
    return integral.tests[0], lowered.algebra[0].xreplace(plain)


DIFFUSION = -div([k * g for g in grad(u, SPACE)], SPACE)
K_GRAD = (k * D(u, x), k * D(u, y))

NATURAL = [
    (DIFFUSION, Neumann(u, x, on="top"), -k * x),
    (DIFFUSION, Robin(u, y, on="top", a=3, b=k), 3 * u - y),
    (DIFFUSION, Robin(u, y, on="top", a=3), k * (3 * u - y)),
    (DIFFUSION, Robin(u, -(u**4), on="top"), k * (u**4 + u)),
    (DIFFUSION, Flux(u, 7, on="top", flux=K_GRAD), -7),
    (DIFFUSION, Flux(u, 7, on="top", flux=[-f for f in K_GRAD]), 7),
    (
        -div([(1 + u**2) * g for g in grad(u, SPACE)], SPACE),
        Neumann(u, x, on="top"),
        -(1 + u**2) * x,
    ),
    # Along a coordinate axis a diagonal conductivity is scalar.
    (-3 * D(u, x, 2) - 5 * D(u, y, 2), Robin(u, x, on="top", a=2), 5 * (2 * u - x)),
    (-3 * D(u, x, 2) - 5 * D(u, y, 2), Neumann(u, y, on="left"), -3 * y),
    # The advective flux under the divergence stays, with the field's own value.
    (
        div([u - D(u, x), -D(u, y)], SPACE),
        Neumann(u, x, on="right"),
        normal(x) * u - x,
    ),
]


@pytest.mark.parametrize(("equation", "condition", "expected"), NATURAL)
def test_a_condition_becomes_the_flux_of_the_weak_form(equation, condition, expected):
    problem = square(equation, condition)
    test, integrand = integrand_on(problem, condition.on[0])
    assert test == Jet(0, (0, 0))
    assert sp.simplify(integrand - expected) == 0


def test_pressure_enters_the_boundary_integral_of_a_traction():
    sides = ("left", "bottom", "top")
    traction = Flux(u, 0, on="right", flux=(D(u, x) - p, D(u, y)))
    problem = Problem(
        "outlet",
        [u, v, p],
        [
            D(p, x) - laplacian(u, SPACE),
            D(p, y) - laplacian(v, SPACE),
            D(u, x) + D(v, y),
        ],
        [
            Dirichlet(u, 0, on=sides),
            Dirichlet(v, 0, on=sides),
            traction,
            Neumann(v, 0, on="right"),
        ],
        SQUARE,
    )
    test, integrand = integrand_on(problem, "right")
    assert test.field == 0
    assert integrand == -normal(x) * p


def test_the_first_condition_on_a_boundary_wins():
    problem = square(DIFFUSION, Dirichlet(u, 1, on="top"), Neumann(u, 5))
    weak = weak_form(problem)
    assert [(e.on, e.value) for e in weak.essential] == [("top", 1)]
    assert {i.on for i in weak.integrals} == {None, "left", "right", "bottom"}


def test_second_order_in_time_gives_a_velocity_with_its_own_conditions():
    w = field_of("w", t, x)
    wave = Problem(
        "wave",
        [w],
        [D(w, t, 2) - D(w, x, 2)],
        [
            Initial(w, x),
            Initial(w, 7, order=1),
            Dirichlet(w, sp.sin(t), on="left"),
            Neumann(w, 0, on="right"),
        ],
        Interval(x, 0, 1),
        TimeInterval(t, 0, 1),
    )
    weak = weak_form(wave)
    assert weak.unknowns == ("w", "w_t")
    assert weak.owners == (0, 0)
    assert weak.initial == (x, 7)
    assert [(e.unknown, e.value) for e in weak.essential] == [
        (0, sp.sin(t)),
        (1, sp.cos(t)),
    ]
    rates = {jet.orders[0] for i in weak.integrals for jet in i.integrand.jets.values()}
    assert rates == {0, 1}


def inverse_problem():
    c = sp.Symbol("c", real=True)
    return Problem(
        "inverse",
        [u],
        [-c * laplacian(u, SPACE) - 1],
        [Dirichlet(u, 0), Observed(u, [[0.5, 0.5]], [1.0])],
        SQUARE,
        unknowns=[Unknown(c, 0, 2, 1)],
    )


def transport():
    w = field_of("w", t, x)
    return Problem(
        "transport",
        [w],
        [D(w, t) + D(w, x)],
        [Initial(w, 0), Dirichlet(w, 0, on="left")],
        Interval(x, 0, 1),
        TimeInterval(t, 0, 1),
    )


REJECTED = [
    (lambda: square(D(u, x, 4) + D(u, y, 4), Neumann(u, 0)), "order 4"),
    (lambda: square(D(u, x, 2) * D(u, y, 2) - 1), "not linear in the second"),
    (lambda: square(jump * laplacian(u, SPACE)), "jumps and stands outside"),
    (lambda: square(D(u, x) * laplacian(u, SPACE)), "write it as a divergence"),
    (
        lambda: square(
            -D(u, x, 2) - 2 * D(u, y, 2), Neumann(u, 0, on="circle"), domain=DISK
        ),
        "state it as Flux",
    ),
    (lambda: square(-laplacian(u, SPACE), Dirichlet(u, normal(x), on="top")), "normal"),
    (inverse_problem, "unknown coefficients"),
    (transport, "without diffusion"),
]


@pytest.mark.parametrize(("make", "reason"), REJECTED)
def test_what_has_no_weak_form_is_refused_with_its_reason(make, reason):
    with pytest.raises(UnsupportedProblemError, match=reason):
        weak_form(make())
