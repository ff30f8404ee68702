"""The torch form of an expression has sympy's own values and derivatives."""

import numpy as np
import pytest
import sympy as sp
import torch

from pinnsuite.errors import UnsupportedProblemError
from pinnsuite.neural.printing import torch_function
from pinnsuite.problem.tables import tabulated

x, y = sp.symbols("x y", real=True)
X = [-0.5, 0.3, 1.2]
Y = [1.3, 0.4, 0.6]

SMOOTH = [
    sp.pi**2 * x,
    sp.sqrt(2) * x,
    sp.sqrt(x + 2),
    x**2,
    x**-3,
    2**x,
    sp.pi**x,
    sp.E**x,
    y**x,
    (x + 2) ** sp.Rational(3, 2),
    1 / sp.sqrt(x + 1),
    sp.cbrt(x + y),
    sp.exp(-(x**2) / 2),
    x / 3 + sp.E * y,
    sp.log(x + y),
    sp.sin(sp.pi * x) * sp.cos(2 * sp.pi * y) + 1,
    sp.tan(x),
    sp.sec(x),
    sp.csc(x),
    sp.cot(x),
    sp.asin(x / 2),
    sp.acos(x / 2),
    sp.atan(x),
    sp.atan2(x, y),
    sp.sinh(x),
    sp.cosh(x),
    sp.tanh(x),
    sp.sech(x),
    sp.csch(x),
    sp.coth(x),
    sp.asinh(x),
    sp.acosh(x + 2),
    sp.atanh(x / 2),
    sp.erf(x),
    sp.erfc(x),
    sp.sinc(x),
    sp.gamma(x),
    sp.exp(x * sp.sqrt(2)) + sp.exp(sp.sqrt(2)) + sp.sin(sp.sqrt(2)) * x,
    sp.loggamma(x + 1),
]
WITH_CASES = [
    sp.Abs(x),
    sp.sign(x) * x,
    sp.Heaviside(x) * x,
    sp.Max(x, 0),
    sp.Max(0, x) ** 2,
    sp.Min(x, y, 1),
    sp.Max(x, y, sp.Rational(1, 3)),
    sp.Piecewise((x, x < 0), (x**2, True)),
    sp.Piecewise((1, x < 0), (2, x < 1), (x, True)) + x,
    sp.Piecewise((x, (x > 0) & (y < 1)), (3 * x, True)),
]


def torch_value_and_slope(expression, dtype=torch.float64):
    at = torch.tensor(X, dtype=dtype, requires_grad=True)
    (value,) = torch_function([x, y], [expression])(at, torch.tensor(Y, dtype=dtype))
    (slope,) = torch.autograd.grad(value.sum(), at)
    return value.detach(), slope


def sympy_values(expression):
    points = zip(X, Y, strict=True)
    return [float(expression.subs({x: a, y: b}).doit()) for a, b in points]


@pytest.mark.parametrize("expression", SMOOTH + WITH_CASES, ids=str)
def test_values_and_slopes_are_sympys(expression):
    value, slope = torch_value_and_slope(expression)
    np.testing.assert_allclose(value, sympy_values(expression), rtol=1e-13)
    slopes = sympy_values(sp.diff(expression, x))
    np.testing.assert_allclose(slope, slopes, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("expression", [sp.floor(3 * x), sp.ceiling(x), sp.Mod(x, 2)])
def test_steps_have_sympys_values(expression):
    (value,) = torch_function([x], [expression])(torch.tensor(X, dtype=torch.float64))
    np.testing.assert_allclose(value, sympy_values(expression), rtol=1e-14)


@pytest.mark.parametrize("expression", [WITH_CASES[-2], sp.pi * x, sp.Max(x, 0.1)])
def test_the_floating_type_is_that_of_the_tensors(expression):
    value, _ = torch_value_and_slope(expression, torch.float32)
    assert value.dtype == torch.float32


def test_heaviside_at_its_jump_is_what_the_definition_says():
    zero = torch.zeros(1, dtype=torch.float64)
    half, one = torch_function([x], [sp.Heaviside(x), sp.Heaviside(x, 1)])(zero)
    assert (half.item(), one.item()) == (0.5, 1.0)


@pytest.mark.parametrize("f", [sp.zeta(x), sp.Function("f")(x), sp.besselj(2, x)])
def test_a_function_without_counterpart_is_named(f):
    with pytest.raises(UnsupportedProblemError, match=f.func.__name__):
        torch_function([x], [f])


@pytest.mark.parametrize("method", ["nearest", "linear"])
def test_a_table_has_the_values_and_derivatives_of_numpy(method):
    table = tabulated(
        "a", ([0, 1, 1.5], [0, 0.5, 2]), np.arange(9.0).reshape(3, 3) ** 2, method
    )
    a = table(x, y)
    rng = np.random.default_rng(0)
    px, py = rng.uniform(-0.5, 2, 40), rng.uniform(-0.5, 2.5, 40)
    expressions = [a, sp.diff(a, x), sp.diff(a, x, y), a * x]
    tensors = torch.tensor(px, requires_grad=True), torch.tensor(py)
    found = torch_function([x, y], expressions)(*tensors)
    expected = sp.lambdify([x, y], expressions)(px, py)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(
            np.broadcast_to(torch.as_tensor(mine).detach(), 40), theirs, atol=1e-13
        )
    if method == "linear":
        (slope,) = torch.autograd.grad(found[0].sum(), tensors[0])
        np.testing.assert_allclose(slope, expected[1], atol=1e-12)
