"""The weighted sum of squares: two routes to its rows, gradient and Jacobian."""

import numpy as np
import pytest
import sympy as sp
import torch

from pinnsuite.neural.objective import BLOCK, CollocationObjective, Term
from pinnsuite.neural.residual import (
    Magnitude,
    ReverseMode,
    from_unknown,
    residuals,
    to_unknown,
)
from pinnsuite.neural.sampling import counts, limits, sample
from pinnsuite.neural.trial import exact_conditions, trial
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Initial,
    Interval,
    Neumann,
    Observed,
    Periodic,
    Problem,
    TimeInterval,
    Unknown,
    coordinates,
    field_of,
    laplacian,
)

t, x, y = coordinates("t x y")


def burgers():
    u = field_of("u", t, x)
    return Problem(
        "burgers",
        [u],
        [D(u, t) + u * D(u, x) - D(u, x, 2) / 10],
        [Initial(u, -sp.sin(sp.pi * x)), Dirichlet(u, 0)],
        Interval(x, -1, 1),
        TimeInterval(t, 0, 1),
    )


def kuramoto_sivashinsky():
    u = field_of("u", t, x)
    return Problem(
        "kuramoto_sivashinsky",
        [u],
        [D(u, t) + u * D(u, x) + D(u, x, 2) + D(u, x, 4) / 5],
        [Initial(u, sp.cos(sp.pi * x)), Periodic(x)],
        Interval(x, 0, 2),
        TimeInterval(t, 0, 1),
    )


def biharmonic():
    """Mixed derivatives of fourth order."""
    u = field_of("u", x, y)
    plate = D(u, x, 4) + 2 * D(u, x, 2, y, 2) + D(u, y, 4)
    return Problem(
        "biharmonic",
        [u],
        [plate - sp.sin(x) * u**2],
        [Dirichlet(u, 0), Neumann(u, 1)],
        Box((x, 0, 1), (y, -1, 1)),
    )


def kovasznay():
    u, v, p = (field_of(name, x, y) for name in ("u", "v", "p"))
    return Problem(
        "kovasznay",
        [u, v, p],
        [
            u * D(u, x) + v * D(u, y) + D(p, x) - laplacian(u, (x, y)) / 20,
            u * D(v, x) + v * D(v, y) + D(p, y) - laplacian(v, (x, y)) / 20,
            D(u, x) + D(v, y),
        ],
        [Dirichlet(u, sp.cos(y)), Dirichlet(v, sp.sin(x)), Dirichlet(p, x, on="right")],
        Box((x, -0.5, 1), (y, -0.5, 1.5)),
    )


def inverse():
    """Unknown coefficients in the equation and in a condition; one positive field."""
    u, v = field_of("u", t), field_of("v", t)
    k, a = sp.symbols("k a")
    times = np.linspace(0, 3, 7)[:, None]
    values = 2 + np.cos(times[:, 0])
    return Problem(
        "oscillator",
        [u, v],
        [D(u, t, 2) + k * (u - a) * v, D(v, t) + k**2 * v / u],
        [
            Initial(u, a + 1),
            Initial(u, 0, order=1),
            Initial(v, 2),
            Observed(u, times, values),
            Observed(v, times, values, scale="log"),
        ],
        time=TimeInterval(t, 0, 3),
        unknowns=[Unknown(k, 0, 2, 1), Unknown(a, 0, np.inf, 1.5)],
    )


def first_order():
    u = field_of("u", t)
    return Problem(
        "decay", [u], [D(u, t) + sp.exp(u)], [Initial(u, 1)], time=TimeInterval(t, 0, 1)
    )


MAKERS = [burgers, kuramoto_sivashinsky, biharmonic, kovasznay, inverse, first_order]


def assert_close(got, expected, relative=1e-11):
    """Compare with the largest entry: rounding errors are of that size."""
    assert float((got - expected).abs().max()) <= relative * float(expected.abs().max())


def stated(make, *, is_hard, activation="tanh", n=40):
    """Return the objective, parameters, and its value by nested differentiation."""
    problem = make()
    found = residuals(problem)
    exact = exact_conditions(problem) if is_hard else None
    logarithmic = {c.field for c in problem.conditions_of(Observed) if c.scale == "log"}
    magnitudes = [Magnitude(0.3, 1.7, f in logarithmic) for f in problem.fields]
    form = trial(problem, limits(problem), magnitudes, exact, (7, 6), activation)
    places = dict.fromkeys(r.place for r in found)
    terms = {p: [] for p in places}
    for i, r in enumerate(found):
        terms[r.place].append(Term(r, scale=0.5 + i, weight=3.0 / (1 + i)))
    objective = CollocationObjective(form, problem.unknown_scalars, terms)
    sets = {}
    for place, number in counts(problem, places, n, 24, 8).items():
        sets[place] = [torch.tensor(a) for a in sample(problem, place, number, 1)]
        objective.put(place, *sets[place])
    free = torch.tensor([from_unknown(u) for u in problem.unknown_scalars])
    weights = form.network.initial(torch.Generator().manual_seed(2))
    parameters = torch.cat([weights, free.double()])

    def rows(p):
        weights = p[: form.network.num_parameters]
        free = p[len(weights) :].unbind()
        unknowns = [
            to_unknown(u, q) for u, q in zip(problem.unknown_scalars, free, strict=True)
        ]
        parts = []
        for place, (points, data) in sets.items():
            leaf = points.clone().requires_grad_()
            nested = ReverseMode(leaf, form(weights, leaf))
            for term in terms[place]:
                r = term.residual(leaf, data, unknowns, nested)
                parts.append((term.weight / len(r)) ** 0.5 / term.scale * r)
        return torch.cat(parts)

    return objective, parameters, rows


@pytest.mark.parametrize("activation", ["tanh", "sine"])
@pytest.mark.parametrize("is_hard", [True, False])
@pytest.mark.parametrize("make", MAKERS)
def test_rows_gradient_and_jacobian_are_those_of_nested_differentiation(
    make, is_hard, activation
):
    objective, parameters, rows = stated(make, is_hard=is_hard, activation=activation)
    leaf = parameters.clone().requires_grad_()
    expected = rows(leaf)
    loss = expected @ expected
    (slope,) = torch.autograd.grad(loss, leaf, retain_graph=True)
    value, gradient = objective(parameters)
    assert value == pytest.approx(float(loss.detach()), rel=1e-12)
    assert_close(gradient, slope)
    r, jacobian = objective.jacobian(parameters)
    assert_close(r, expected.detach(), 1e-12)
    assert_close(objective.residuals(parameters), expected.detach(), 1e-12)
    some = range(0, len(r), 7)
    by_row = [
        torch.autograd.grad(expected[i], leaf, retain_graph=True)[0] for i in some
    ]
    assert_close(jacobian[some], torch.stack(by_row))
    assert_close(2 * r @ jacobian, slope)


def test_blocks_do_not_change_what_is_computed():
    """Some blocks are shorter than others; periodic pairs stay together."""
    many = 2 * BLOCK + 37
    objective, parameters, rows = stated(kuramoto_sivashinsky, is_hard=False, n=many)
    leaf = parameters.clone().requires_grad_()
    expected = rows(leaf)
    value, gradient = objective(parameters)
    (slope,) = torch.autograd.grad(expected @ expected, leaf)
    assert value == pytest.approx(float(expected.detach() @ expected.detach()))
    assert_close(gradient, slope)
    r, jacobian = objective.jacobian(parameters)
    assert_close(2 * r @ jacobian, slope)


def test_single_precision_agrees_to_its_own_round_off():
    objective, parameters, _ = stated(kovasznay, is_hard=True)
    value, gradient = objective(parameters)
    for place in objective.terms:
        points, data = objective.points(place)
        objective.put(place, points.float(), data.float())
    low, single = objective(parameters.float())
    assert single.dtype == torch.float32
    assert low == pytest.approx(value, rel=1e-5)
    assert_close(single.double(), gradient, 1e-4)


def test_no_batch_is_left_out():
    """The mean over the batches of equal length is the value at all points."""
    objective, parameters, _ = stated(burgers, is_hard=True, n=2 * BLOCK)
    everything, _ = objective(parameters)
    generator = torch.Generator().manual_seed(0)
    found = set()
    for _ in range(20):
        objective.draw(generator)
        found.add(objective(parameters)[0])
    assert len(found) == 2
    assert sum(found) / 2 == pytest.approx(everything, rel=1e-12)
    objective.draw(None)
    assert objective(parameters)[0] == everything
