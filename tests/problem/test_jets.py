import numpy as np
import pytest
import sympy as sp

from pinnsuite.errors import DefinitionError
from pinnsuite.problem import D, coordinates, div, field_of, grad
from pinnsuite.problem.jets import Jet, is_linear, jacobian, lower, numpy_function

t, x, y = coordinates("t x y")
u, v = field_of("u", t, x), field_of("v", t, x)


def test_lowered_residual_is_the_equation():
    """The algebra, fed with the derivatives of a trial field, gives sympy's value."""
    equation = D(u, t) + u * D(u, x) - D((1 + u**2) * D(u, x), x) + sp.sin(x) * v
    trial = {u: sp.sin(2 * x) * sp.exp(-t), v: x**2 * t}
    lowered = lower([equation], [u, v], [t, x])
    points = np.random.default_rng(0).uniform(size=(2, 20))
    jets = []
    for jet in lowered.jets.values():
        expression = [trial[u], trial[v]][jet.field]
        for c, n in zip((t, x), jet.orders, strict=True):
            expression = sp.diff(expression, c, n) if n else expression
        jets.append(sp.lambdify((t, x), expression)(*points))
    (got,) = numpy_function([t, x, *lowered.symbols], lowered.algebra)(*points, *jets)
    wanted = sp.lambdify((t, x), equation.subs(trial).doit())(*points)
    np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_jets_count_orders_along_each_coordinate():
    lowered = lower([D(u, t) + D(u, x, 4) + sp.Derivative(u, t, x)], [u], [t, x])
    assert set(lowered.jets.values()) == {
        Jet(0, (1, 0)),
        Jet(0, (0, 4)),
        Jet(0, (1, 1)),
    }


def test_order_of_the_jets_does_not_depend_on_the_writing():
    one = lower([D(u, t) + u * D(u, x)], [u], [t, x])
    two = lower([D(u, x) * u + D(u, t)], [u], [t, x])
    assert list(one.jets.values()) == list(two.jets.values())


def test_a_field_called_like_a_coordinate_is_kept_apart():
    """The Lorenz system has fields x, y, z of t: symbols must not meet."""
    (s,) = coordinates("s")
    f = field_of("s", s)
    lowered = lower([D(f, s) - s * f], [f], [s])
    (value,) = numpy_function([s, *lowered.symbols], lowered.algebra)(2.0, 3.0, 5.0)
    assert value == 5.0 - 2.0 * 3.0


def test_jacobian_is_exact():
    lowered = lower([D(u, t) + u**3], [u], [t, x])
    symbol = lowered.symbol(Jet(0, (0, 0)))
    (row,) = jacobian(lowered)
    assert row[lowered.symbols.index(symbol)] == 3 * symbol**2


def test_linearity():
    w = field_of("w", x, y)
    flux = [(1 + x**2) * g for g in grad(w, (x, y))]
    assert is_linear(lower([div(flux, (x, y)) - sp.exp(x)], [w], [x, y]))
    assert not is_linear(lower([w * D(w, x)], [w], [x, y]))


def test_derivative_of_something_else_is_refused():
    k = sp.Function("k")(x)
    with pytest.raises(DefinitionError, match="not one of the fields"):
        lower([D(k * D(u, x), x)], [u], [t, x])


def test_derivative_of_a_jump_is_refused():
    with pytest.raises(DefinitionError, match="jump"):
        lower([D(sp.Heaviside(x) * D(u, x), x)], [u], [t, x])
