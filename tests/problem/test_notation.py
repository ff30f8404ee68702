"""Formulas as they are read: the flux form stays, sums over space become nabla."""

import xml.etree.ElementTree as ET

import pytest
import sympy as sp

from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Flux,
    Initial,
    Neumann,
    Periodic,
    Problem,
    Robin,
    TimeInterval,
    coordinates,
    div,
    field_of,
    grad,
    laplacian,
    normal,
)
from pinnsuite.problem.catalog import entries
from pinnsuite.problem.notation import (
    condition_relation,
    equation_relation,
    latex_text,
    mathml_text,
    unicode_text,
)

t, x, y = coordinates("t x y")
u = field_of("u", t, x, y)
SPACE = (x, y)
k = 1 + x**2
PROBLEM = Problem(
    name="heat",
    fields=[u],
    equations=[D(u, t) - div([k * g for g in grad(u, SPACE)], SPACE) - 3],
    conditions=[
        Initial(u, sp.exp(-(x**2))),
        Dirichlet(u, 1, on="left"),
        Neumann(u, 0.5, on="right"),
        Robin(u, 0, on="top", a=2, b=k),
        Flux(u, 4, on="bottom", flux=[k * g for g in grad(u, SPACE)]),
    ],
    domain=Box((x, 0, 1), (y, 0, 1)),
    time=TimeInterval(t, 0, 1),
)


@pytest.mark.parametrize(
    ("expression", "unicode", "latex"),
    [
        (D(k * D(u, x), x), "∂_x((x² + 1) u_x)", r"\partial_{x}\left("),
        (
            div([k * g for g in grad(u, SPACE)], SPACE),
            "∇·((x² + 1) ∇u)",
            r"\nabla \cdot",
        ),
        (laplacian(u, SPACE) / 3, "∇²u/3", r"\nabla^2 u"),
        # One of two coordinates is no Laplacian, and neither are unequal factors.
        (D(u, x, 2) + 2 * D(u, y, 2), "u_xx + 2 u_yy", "u_{x x} + 2 u_{y y}"),
        (D(u, x, y), "u_xy", "u_{x y}"),
        (u * D(u, x) + D(u, t), "u_t + u u_x", "u_{t} + u u_{x}"),
        (sp.Float(1e-7) * u**2, "1·10⁻⁷ u²", r"1 \cdot 10^{-7} {u}^{2}"),
        (normal(x) * sp.pi, "π n_x", r"\pi n_{x}"),
        (sp.Piecewise((1, x < 0), (2, True)), "{1 if x < 0; 2 otherwise}", "cases"),
    ],
)
def test_an_expression_is_written_as_by_hand(expression, unicode, latex):
    assert unicode_text(expression, SPACE) == unicode
    assert latex in latex_text(expression, SPACE)
    ET.fromstring(f"<math>{mathml_text(expression, SPACE)}</math>")


def test_a_source_stands_on_the_right():
    relation = equation_relation(PROBLEM.equations[0])
    assert relation.unicode(SPACE) == "u_t − ∇·((x² + 1) ∇u) = 3"


def test_conditions_say_where_they_hold():
    read = [condition_relation(c, PROBLEM).unicode(SPACE) for c in PROBLEM.conditions]
    assert read == [
        "u = exp(−x²)  at t = 0",
        "u = 1  on left",
        "∂u/∂n = 0.5  on right",
        "(x² + 1) ∂u/∂n + 2 u = 0  on top",
        "n_x (x² + 1) u_x + n_y (x² + 1) u_y = 4  on bottom, n the outward normal",
    ]
    words = condition_relation(Periodic(x), PROBLEM).unicode(SPACE)
    assert words == "everything is periodic in x"


@pytest.mark.parametrize(
    "name", [n for n, e in entries().items() if e.returns == "Problem"]
)
def test_every_page_of_the_catalogue_can_be_read_as_mathematics(name):
    problem = entries()[name].make()
    relations = [equation_relation(e) for e in problem.equations]
    relations += [condition_relation(c, problem) for c in problem.conditions]
    for relation in relations:
        text = relation.unicode(problem.space)
        assert "Derivative(" not in text
        assert "**" not in text
        assert relation.latex(problem.space).count("{") == relation.latex(
            problem.space
        ).count("}")
        ET.fromstring(f"<math>{relation.mathml(problem.space)}</math>")
