"""Jumps of coefficients lie where their expressions switch."""

import numpy as np
import pytest
import sympy as sp

from pinnsuite.problem import (
    Box,
    Dirichlet,
    Neumann,
    Problem,
    Robin,
    coordinates,
    div,
    field_of,
    grad,
    tabulated,
)
from pinnsuite.problem.jumps import curved_jumps, jump_planes

x, y = coordinates("x y")
u = field_of("u", x, y)


def diffusion(a, *conditions):
    return Problem(
        "diffusion",
        fields=[u],
        equations=[div([a * g for g in grad(u, (x, y))], (x, y))],
        conditions=[*conditions] or [Dirichlet(u, 0)],
        domain=Box((x, 0, 1), (y, 0, 2)),
    )


@pytest.mark.parametrize(
    ("coefficient", "planes"),
    [
        (sp.Piecewise((1, x < 0.25), (2, x <= 0.75), (3, True)), [0.25, 0.75]),
        (sp.Piecewise((1, (x > 0.25) & (y < 1)), (2, True)), [0.25]),
        (1 + sp.Heaviside(2 * x - 1), [0.5]),
        (2 + sp.sign(0.3 - x), [0.3]),
        (tabulated("a", ([0, 0.5, 1], [0, 1]), np.ones((3, 2)))(x, y), [0.25, 0.75]),
        (tabulated("a", ([0, 2, 4], [0, 1]), np.ones((3, 2)))(4 * x, y), [0.25, 0.75]),
        (1 + sp.Heaviside(x - 2), []),
    ],
)
def test_planes_across_a_coordinate_are_found(coefficient, planes):
    problem = diffusion(coefficient)
    np.testing.assert_allclose(jump_planes(problem, x), planes, atol=1e-15)
    assert not list(curved_jumps(problem))


def test_planes_at_which_a_condition_changes_are_found():
    wet = Robin(u, 0, a=sp.Heaviside(y - sp.Rational(3, 2)), b=1, on="left")
    problem = diffusion(1 + x, wet, Neumann(u, 0, on=("right", "top", "bottom")))
    assert jump_planes(problem, y) == [1.5]
    assert jump_planes(problem, x) == []


@pytest.mark.parametrize(
    "coefficient",
    [
        sp.Piecewise((1, x**2 + y**2 < 1), (2, True)),
        1 + sp.Heaviside(x - y),
        1 + sp.Heaviside(x**2 - sp.Rational(1, 2)),
        1 + sp.floor(3 * x),
    ],
)
def test_jumps_elsewhere_are_told(coefficient):
    assert list(curved_jumps(diffusion(coefficient)))


def test_a_curved_jump_that_stands_under_no_derivative_is_none():
    problem = diffusion(sp.Integer(1))
    source = Problem(
        "source",
        fields=[u],
        equations=[problem.equations[0] + sp.Heaviside(x - y)],
        conditions=problem.conditions,
        domain=problem.domain,
    )
    assert not list(curved_jumps(source))
