"""Residuals in torch: zero for exact solutions, equal to numpy's for any field."""

import math

import numpy as np
import pytest
import sympy as sp
import torch

from pinnsuite.neural.networks import MLP
from pinnsuite.neural.printing import torch_function
from pinnsuite.neural.residual import (
    Magnitude,
    Place,
    ReverseMode,
    from_unknown,
    natural_scale,
    residuals,
    to_unknown,
    values_known,
    why_no_strong_form,
)
from pinnsuite.neural.sampling import counts, interior, limits, sample
from pinnsuite.neural.trial import exact_conditions, trial
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Disk,
    Flux,
    Initial,
    Interval,
    Neumann,
    Observed,
    Periodic,
    Problem,
    Robin,
    TimeInterval,
    Unknown,
    coordinates,
    div,
    field_of,
    grad,
    laplacian,
    manufacture,
    normal,
)
from pinnsuite.problem.jets import Jet, numpy_function

t, x, y = coordinates("t x y")


def heat():
    """Every kind of boundary condition, a coefficient that varies."""
    u = field_of("u", t, x, y)
    k = 1 + x**2 / 2
    flux = tuple(k * g for g in grad(u, (x, y)))
    problem = Problem(
        "heat",
        [u],
        [D(u, t) - div(flux, (x, y))],
        [
            Initial(u, 0),
            Dirichlet(u, 0, on="left"),
            Neumann(u, 0, on="right"),
            Robin(u, 0, on="bottom", a=1 + y, b=2),
            Flux(u, 0, on="top", flux=flux),
        ],
        Box((x, 0, 1), (y, -1, 1)),
        TimeInterval(t, 0, 1),
    )
    return manufacture(problem, {u: sp.exp(-t) * sp.sin(x + 2 * y) + x * y})


def burgers():
    u = field_of("u", t, x)
    problem = Problem(
        "burgers",
        [u],
        [D(u, t) + u * D(u, x) - D(u, x, 2) / 10],
        [Initial(u, 0), Dirichlet(u, 0)],
        Interval(x, -1, 1),
        TimeInterval(t, 0, 1),
    )
    return manufacture(problem, {u: sp.tanh(x - t) + sp.sqrt(2)})


def kdv():
    """A soliton would not be periodic; a forced wave is."""
    u = field_of("u", t, x)
    problem = Problem(
        "kdv",
        [u],
        [D(u, t) + 6 * u * D(u, x) + D(u, x, 3)],
        [Initial(u, 0), Periodic(x)],
        Interval(x, 0, 2),
        TimeInterval(t, 0, 1),
    )
    return manufacture(problem, {u: sp.cos(sp.pi * x - t)})


def kovasznay(reynolds=20):
    u, v, p = (field_of(name, x, y) for name in ("u", "v", "p"))
    rate = sp.Rational(reynolds, 2) - sp.sqrt(
        sp.Rational(reynolds, 2) ** 2 + 4 * sp.pi**2
    )
    exact = {
        u: 1 - sp.exp(rate * x) * sp.cos(2 * sp.pi * y),
        v: rate / (2 * sp.pi) * sp.exp(rate * x) * sp.sin(2 * sp.pi * y),
        p: (1 - sp.exp(2 * rate * x)) / 2,
    }
    viscosity = sp.Rational(1, reynolds)
    return Problem(
        "kovasznay",
        [u, v, p],
        [
            u * D(u, x) + v * D(u, y) + D(p, x) - viscosity * laplacian(u, (x, y)),
            u * D(v, x) + v * D(v, y) + D(p, y) - viscosity * laplacian(v, (x, y)),
            D(u, x) + D(v, y),
        ],
        [Dirichlet(f, exact[f]) for f in (u, v)] + [Dirichlet(p, exact[p], on="right")],
        Box((x, -0.5, 1), (y, -0.5, 1.5)),
        exact=exact,
    )


def ring():
    """Normals that point in all directions."""
    u = field_of("u", x, y)
    problem = Problem(
        "ring",
        [u],
        [laplacian(u, (x, y)) - u**3],
        [Neumann(u, 0, on="circle"), Dirichlet(u, 0, on="hole")],
        Disk(x, y, (0, 0), 1, name="circle") - Disk(x, y, (0, 0), 0.3, name="hole"),
    )
    return manufacture(problem, {u: sp.exp(x) * sp.cos(2 * y)})


def oscillator():
    """Second order, nonlinear, with measurements on both scales."""
    u = field_of("u", t)
    exact = 2 + sp.cos(t)
    times = np.linspace(0, 3, 7)[:, None]
    values = 2 + np.cos(times[:, 0])
    k = sp.Symbol("k")
    return Problem(
        "oscillator",
        [u],
        [D(u, t, 2) + k * (u - 2)],
        [
            Initial(u, 3),
            Initial(u, 0, order=1),
            Observed(u, times, values),
            Observed(u, times, values, scale="log"),
        ],
        time=TimeInterval(t, 0, 3),
        unknowns=[Unknown(k, 0, 2, 1)],
        exact={u: exact},
    )


ALL = [heat, burgers, kdv, kovasznay, ring, oscillator]


def unknowns_at(problem, values):
    assert len(values) == len(problem.unknowns)
    return [torch.tensor(v, dtype=torch.float64) for v in values]


def sets(problem, found):
    places = dict.fromkeys(r.place for r in found)
    number = counts(problem, places, 64, 40, 16)
    for place, n in number.items():
        points, data = sample(problem, place, n, seed=1)
        leaf = torch.tensor(points).requires_grad_()
        yield place, leaf, torch.tensor(data)


@pytest.mark.parametrize("make", ALL)
def test_residuals_of_an_exact_solution_vanish(make):
    problem = make()
    exact = torch_function(
        problem.coordinates, [problem.exact[f] for f in problem.fields]
    )
    found = residuals(problem)
    guesses = unknowns_at(problem, [u.guess for u in problem.unknowns])
    seen = 0
    for place, points, data in sets(problem, found):
        derivatives = ReverseMode(points, torch.stack(exact(*points.unbind(1)), 1))
        for r in found:
            if r.place == place:
                values = r(points, data, guesses, derivatives)
                assert values.abs().max() < 2e-12, r.name
                seen += 1
    assert seen == len(found)


def tanh_network(problem):
    """The same random one-layer network for torch and as sympy expressions."""
    generator = np.random.default_rng(5)
    d, m, width = len(problem.coordinates), len(problem.fields), 3
    inner, shift = generator.normal(size=(width, d)), generator.normal(size=width)
    outer = generator.normal(size=(m, width))
    hidden = [
        sp.tanh(sum(a * c for a, c in zip(row, problem.coordinates, strict=True)) + b)
        for row, b in zip(inner, shift, strict=True)
    ]
    expressions = [
        3 + sum(a * h for a, h in zip(row, hidden, strict=True)) for row in outer
    ]

    def network(points):
        z = torch.tanh(points @ torch.tensor(inner).T + torch.tensor(shift))
        return 3 + z @ torch.tensor(outer).T

    return network, dict(zip(problem.fields, expressions, strict=True))


@pytest.mark.parametrize("make", ALL)
def test_torch_and_numpy_agree_on_a_random_field(make):
    problem = make()
    network, field = tanh_network(problem)
    found = residuals(problem)
    values_of_unknowns = [1.7 for _ in problem.unknowns]
    for place, points, data in sets(problem, found):
        if place.kind in ("observed", "periodic"):
            continue
        derivatives = ReverseMode(points, network(points))
        for r in found:
            if r.place != place:
                continue
            if r.condition is None:
                index = int(r.name.removeprefix("equation ")) - 1
                expression = problem.equations[index]
            elif isinstance(r.condition, Initial):
                left = sp.Derivative(r.condition.field, (t, r.condition.order))
                expression = left - r.condition.value
            else:
                left = r.condition.operator(problem.space)
                expression = left - r.condition.value
            plain = expression.subs(field).doit()
            symbols = [
                *problem.coordinates,
                *[normal(c) for c in problem.space],
                *[u.symbol for u in problem.unknowns],
            ]
            columns = data.numpy().T if data.shape[1] else [0.0] * len(problem.space)
            (expected,) = numpy_function(symbols, [plain])(
                *points.detach().numpy().T, *columns, *values_of_unknowns
            )
            unknowns = unknowns_at(problem, values_of_unknowns)
            got = r(points, data, unknowns, derivatives).detach().numpy()
            scale = max(1.0, float(np.abs(expected).max()))
            np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-11 * scale)


def test_a_field_that_does_not_repeat_has_periodic_residuals():
    problem = kdv()
    found = [r for r in residuals(problem) if r.place.kind == "periodic"]
    assert len(found) == 3  # u, u_x and u_xx for an equation of third order
    points, data = sample(problem, found[0].place, 5, seed=0)
    leaf = torch.tensor(points).requires_grad_()
    derivatives = ReverseMode(leaf, (leaf[:, 1:] ** 3))
    jumps = [r(leaf, torch.tensor(data), [], derivatives) for r in found]
    # x³ from 0 to 2 grows by 8, its slopes by 12 and 12.
    for jump, expected in zip(jumps, (-8.0, -12.0, -12.0), strict=True):
        torch.testing.assert_close(jump, torch.full_like(jump, expected))


def test_measurements_on_a_logarithmic_scale_are_compared_by_ratio():
    u = field_of("u", t)
    problem = Problem(
        "growth",
        [u],
        [D(u, t) - u],
        [Initial(u, 1), Observed(u, [[0.5]], [4.0], scale="log")],
        time=TimeInterval(t, 0, 1),
    )
    (r,) = (r for r in residuals(problem) if r.place.kind == "observed")
    points, data = sample(problem, r.place, 1, seed=0)
    leaf = torch.tensor(points).requires_grad_()
    value = r(leaf, torch.tensor(data), [], ReverseMode(leaf, 8 + 0 * leaf))
    assert value.item() == pytest.approx(math.log(2), abs=1e-15)


def test_the_first_condition_rules_where_two_cover_a_side():
    u = field_of("u", x, y)
    lid, rest = Dirichlet(u, 1, on="top"), Dirichlet(u, 0)
    problem = Problem(
        "plate", [u], [laplacian(u, (x, y))], [lid, rest], Box((x, 0, 1), (y, 0, 1))
    )
    assert problem.boundaries_of(lid) == ("top",)
    assert problem.boundaries_of(rest) == ("left", "right", "bottom")


def test_a_beam_keeps_both_conditions_of_a_side():
    u = field_of("u", x)
    problem = Problem(
        "beam",
        [u],
        [D(u, x, 4) - 1],
        [Dirichlet(u, 0), Neumann(u, 0)],
        Interval(x, 0, 1),
    )
    names = [r.name for r in residuals(problem)[1:]]
    assert len(names) == 4


def test_residuals_of_natural_size_are_of_order_one():
    problem = burgers()
    equation = residuals(problem)[0]
    points = torch.tensor(interior(problem, 256, 0))
    lengths = (limits(problem)[:, 1] - limits(problem)[:, 0]) / 2
    small, large = (
        natural_scale(
            equation,
            points,
            points[:, :0],
            [],
            [Magnitude(0.0, size)],
            lengths,
            torch.Generator().manual_seed(0),
        )
        for size in (1.0, 1e3)
    )
    assert 1.0 < small < 10.0
    assert large == pytest.approx(1e6, rel=0.5)  # the quadratic term leads


def test_logarithms_of_measurements_and_initial_values_make_one_magnitude():
    u = field_of("u", t)
    problem = Problem(
        "growth",
        [u],
        [D(u, t) - u],
        [Initial(u, 1), Observed(u, [[1.0]], [math.e], scale="log")],
        time=TimeInterval(t, 0, 1),
    )
    found = residuals(problem)
    samples = {r.place: sample(problem, r.place, 4, seed=0) for r in found}
    (m,) = values_known(problem, samples, found)
    assert (m.centre, m.spread) == (pytest.approx(0.5), pytest.approx(0.5))
    assert m.is_positive


@pytest.mark.parametrize(
    ("low", "high", "guess"),
    [(0.1, 2.0, 0.5), (0.0, math.inf, 3.0), (-math.inf, 1.0, -2.0), (-9, 9, 9)],
)
def test_unknown_coefficients_start_at_the_guess_and_stay_inside(low, high, guess):
    unknown = Unknown(sp.Symbol("c"), low, high, guess)
    start = to_unknown(unknown, torch.tensor(from_unknown(unknown)))
    assert float(start) == pytest.approx(guess, abs=0.02)
    for far in (-30.0, 30.0):
        assert low <= float(to_unknown(unknown, torch.tensor(far))) <= high


def test_what_points_cannot_see_is_refused_with_the_reason():
    u = field_of("u", x)
    jump = sp.Piecewise((1, x < 0), (2, True))
    sides = [Dirichlet(u, 0)]
    domain = Interval(x, -1, 1)
    steep = Problem("steep", [u], [D(jump * D(u, x), x) - 1], sides, domain)
    # The flux is a field of its own, and nothing is lost.
    assert why_no_strong_form(steep) is None
    switched = D(sp.Heaviside(u - 1) * D(u, x), x) - 1
    steep_in_u = Problem("steep in u", [u], [switched], sides, domain)
    assert "differentiates a jump" in why_no_strong_form(steep_in_u)
    source = Problem("source", [u], [D(u, x, 2) - sp.DiracDelta(x)], sides, domain)
    assert "jump" in why_no_strong_form(source)
    strange = Problem("strange", [u], [D(u, x, 2) - sp.zeta(x + 3)], sides, domain)
    assert "zeta" in why_no_strong_form(strange)
    assert why_no_strong_form(burgers()) is None
    assert "str" in why_no_strong_form("burgers")


HARD = [heat, burgers, kdv, kovasznay, oscillator]


@pytest.mark.parametrize("make", HARD)
def test_conditions_built_in_hold_for_any_weights(make):
    problem = make()
    ends = limits(problem)
    exact = exact_conditions(problem)
    form = trial(
        problem, ends, [Magnitude()] * len(problem.fields), exact, (6, 6), "tanh"
    )
    found = [
        r
        for r in residuals(problem)
        if any(e.holds(r) for e in exact) or isinstance(r.condition, Periodic)
    ]
    expected = {
        heat: 2,  # left; the initial state fits it
        burgers: 3,
        kdv: 4,
        kovasznay: 9,
        oscillator: 2,
    }
    assert len(found) == expected[make]
    weights = form.network.initial(torch.Generator().manual_seed(3))
    for place, points, data in sets(problem, found):
        derivatives = ReverseMode(points, form(weights, points))
        for r in found:
            if r.place == place:
                unknowns = unknowns_at(problem, [u.guess for u in problem.unknowns])
                values = r(points, data, unknowns, derivatives)
                assert values.abs().max() < 2e-14, r.name


def test_values_that_contradict_each_other_are_left_to_the_loss():
    u = field_of("u", x, y)
    problem = Problem(
        "cavity",
        [u],
        [laplacian(u, (x, y))],
        [Dirichlet(u, 0, on="wall"), Dirichlet(u, 1, on="lid")],
        Box(
            (x, 0, 1),
            (y, 0, 1),
            names={"left": "wall", "right": "wall", "bottom": "wall", "top": "lid"},
        ),
    )
    (exact,) = exact_conditions(problem)
    assert not any(exact.holds(r) for r in residuals(problem))
    assert exact.is_trivial


def test_a_network_is_periodic_with_all_its_derivatives():
    problem = kdv()
    form = trial(
        problem, limits(problem), [Magnitude()], exact_conditions(problem), (5,), "sine"
    )
    weights = form.network.initial(torch.Generator().manual_seed(0))
    points, _ = sample(problem, Place("periodic", "x"), 8, seed=0)
    low, high = form(weights, torch.tensor(points)).chunk(2)
    torch.testing.assert_close(low, high, rtol=0, atol=1e-14)


def test_a_network_has_the_parameters_that_it_says():
    network = MLP((2, 7, 7, 3))
    weights = network.initial(torch.Generator().manual_seed(0))
    assert len(weights) == network.num_parameters == 2 * 7 + 7 + 7 * 7 + 7 + 7 * 3 + 3
    assert network(weights, torch.zeros(4, 2, dtype=weights.dtype)).shape == (4, 3)


@pytest.mark.parametrize("make", ALL)
def test_partial_derivatives_from_sympy_are_those_of_autograd(make):
    problem = make()
    generator = torch.Generator().manual_seed(0)
    found = residuals(problem)
    values = [1.3 + 0.1 * k for k in range(len(problem.unknowns))]
    for place, points, data in sets(problem, found):
        for r in found:
            if r.place != place:
                continue
            n = len(points)
            jets = {
                jet: (
                    1.5 + torch.rand(n, generator=generator, dtype=torch.float64)
                ).requires_grad_()
                for jet in r.lowered.jets.values()
            }
            unknowns = [
                torch.full((n,), v, dtype=torch.float64, requires_grad=True)
                for v in values
            ]
            at = r.linearised(points, data, unknowns, jets)
            (value,) = r.function(
                *points.detach().T, *data.T, *unknowns, *jets.values()
            )
            inputs = [*unknowns, *jets.values()]
            expected = torch.autograd.grad(value.sum(), inputs, materialize_grads=True)
            got = [*at.by_unknown, *at.by_jet.values()]
            torch.testing.assert_close(at.values, value, rtol=1e-12, atol=1e-12)
            for one, other in zip(got, expected, strict=True):
                full = torch.as_tensor(one, dtype=other.dtype).expand(n)
                torch.testing.assert_close(full, other, rtol=1e-12, atol=1e-12)


def test_the_terms_of_an_equation_can_balance_each_other():
    equation = residuals(burgers())[0]
    names = {jet.orders: s for s, jet in equation.lowered.jets.items()}
    assert equation.num_terms == 4  # u_t, u u_x, u_xx and the source as one
    points = torch.tensor([[0.5, 0.25]], dtype=torch.float64)
    jets = {
        Jet(0, a): torch.tensor([v], dtype=torch.float64)
        for a, v in {(1, 0): 2.0, (0, 0): -3.0, (0, 1): 5.0, (0, 2): 7.0}.items()
    }
    assert set(names) == {j.orders for j in jets}
    r = float(equation(points, points[:, :0], [], jets))
    source = r - (2.0 - 15.0 - 0.7)
    size = float(equation.magnitude(points, points[:, :0], [], jets))
    assert size == pytest.approx(2.0 + 15.0 + 0.7 + abs(source), rel=1e-14)
