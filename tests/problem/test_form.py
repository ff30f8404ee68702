import pytest
import sympy as sp

from pinnsuite.errors import UnsupportedProblemError
from pinnsuite.problem import (
    D,
    Dirichlet,
    Initial,
    Interval,
    Periodic,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)
from pinnsuite.problem.form import classify, evolution

t, x = coordinates("t x")
u, v = field_of("u", t, x), field_of("v", t, x)


def evolving(equations, fields=(u,), orders=(1,)):
    return Problem(
        name="test",
        fields=fields,
        equations=equations,
        domain=Interval(x, 0, 1),
        time=TimeInterval(t, 0, 1),
        conditions=[
            *(
                Initial(f, x, order=k)
                for f, m in zip(fields, orders, strict=True)
                for k in range(m)
            ),
            Periodic(x),
        ],
    )


def test_variable_mass_is_divided_out():
    form = evolution(evolving([(1 + x**2) * D(u, t) - D(u, x, 2)]))
    (rate,) = form.rates.algebra
    (second,) = form.rates.symbols
    assert sp.simplify(rate - second / (1 + x**2)) == 0


def test_coupled_time_derivatives_are_solved_for():
    equations = [2 * D(u, t) + D(v, t) - u, D(u, t) - D(v, t) - v]
    form = evolution(evolving(equations, (u, v), (1, 1)))
    a, b = form.rates.symbols
    assert sp.simplify(form.rates.algebra[0] - (a + b) / 3) == 0
    assert sp.simplify(form.rates.algebra[1] - (a - 2 * b) / 3) == 0


def test_second_order_in_time_gives_a_velocity():
    form = evolution(evolving([D(u, t, 2) - 4 * D(u, x, 2)], orders=(2,)))
    assert [s.name for s in form.states] == ["u", "u_t"]
    assert form.primary(0) == 0
    velocity, second = form.rates.algebra
    assert form.rates.jets[velocity].field == 1
    assert second.free_symbols.pop() in form.rates.jets


def test_damping_uses_the_velocity():
    form = evolution(evolving([D(u, t, 2) + 3 * D(u, t) + u], orders=(2,)))
    rate = form.rates.algebra[1]
    fields = {form.rates.jets[s].field for s in rate.free_symbols}
    assert fields == {0, 1}


def test_benjamin_bona_mahony_is_refused():
    bbm = evolving([D(u, t) + u * D(u, x) - sp.Derivative(u, t, (x, 2))])
    with pytest.raises(UnsupportedProblemError, match="mixes"):
        evolution(bbm)


def test_incompressible_flow_is_refused_as_differential_algebraic():
    p = field_of("p", t, x)
    flow = evolving([D(u, t) + D(p, x) - D(u, x, 2), D(u, x)], (u, p), (1, 0))
    assert classify(flow).is_differential_algebraic
    with pytest.raises(UnsupportedProblemError, match="field 'p'"):
        evolution(flow)


def test_squared_time_derivative_is_refused():
    with pytest.raises(UnsupportedProblemError, match="not linear"):
        evolution(evolving([D(u, t) ** 2 - u]))


def test_singular_mass_is_refused():
    equations = [D(u, t) + D(v, t) - u, D(u, t) + D(v, t) - v]
    with pytest.raises(UnsupportedProblemError, match="singular"):
        evolution(evolving(equations, (u, v), (1, 1)))


def test_classification_of_a_stationary_problem():
    w = field_of("w", x)
    form = classify(
        Problem(
            name="bvp",
            fields=[w],
            equations=[D(w, x, 2) - sp.exp(w)],
            domain=Interval(x, 0, 1),
            conditions=[Dirichlet(w, 0)],
        )
    )
    assert form.is_stationary
    assert not form.is_linear
    assert form.space_orders == (2,)
