"""Coefficient functions that are unknown: where they may stand, who refuses them."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from pinnsuite.errors import DefinitionError, UnsupportedProblemError
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Initial,
    Observed,
    Problem,
    TimeInterval,
    Unknown,
    UnknownField,
    coordinates,
    div,
    field_of,
    grad,
    manufacture,
)
from pinnsuite.problem.form import classify, evolution, require_equations
from pinnsuite.problem.jets import lower
from pinnsuite.problem.manufactured import smooth_field
from pinnsuite.verification.residual import residual_findings

t, x, y = coordinates("t x y")
u, a = field_of("u", t, x, y), field_of("a", x, y)
k = sp.Symbol("k", real=True)


def diffusion(**changes):
    parts = {
        "name": "diffusion",
        "fields": [u, a],
        "equations": [D(u, t) - div([a * g for g in grad(u, (x, y))], (x, y)) + x],
        "conditions": [
            Initial(u, 0),
            Dirichlet(u, t),
            Dirichlet(a, 1 + x),
            Observed(u, [[0.5, 0.5, 0.5]], [1.0]),
        ],
        "domain": Box((x, 0, 1), (y, 0, 1)),
        "time": TimeInterval(t, 0, 1),
        "unknowns": [UnknownField(a, 0.5, 3.0, 1.0)],
        "exact": {u: t, a: 1 + x},
    }
    return Problem(**{**parts, **changes})


def test_coefficient_is_a_field_but_no_state():
    problem = diffusion()
    assert problem.states == (u,)
    assert problem.judged_names == ("u", "a")
    assert problem.boundaries_of(problem.conditions[2]) == problem.domain.boundaries
    form = classify(problem)
    assert form.time_orders == (1,)
    assert not form.is_linear


def test_derivatives_of_the_coefficient_are_jets():
    problem = diffusion()
    lowered = lower(problem.equations, problem.fields, problem.coordinates)
    names = {s.name for s in lowered.symbols}
    assert {"a", "a_x", "a_y", "u_x", "u_xx", "u_yy"} <= names


def test_exact_pair_is_put_into_everything_that_is_stated():
    source = 1 + x  # of u = t, which has no gradient
    good = diffusion(equations=[diffusion().equations[0] - source])
    assert all(f.is_ok for f in residual_findings(good))
    bad = replace(good, exact={u: t + x, a: 1 + x})
    assert not residual_findings(bad)[0].is_ok


def test_range_and_guess_are_in_the_hash_and_the_truth_is_not():
    problem = diffusion()
    wider = replace(problem, unknowns=[UnknownField(a, 0.5, 4.0, 1.0)])
    assert wider.definition_hash != problem.definition_hash
    scalar = diffusion(
        fields=[u],
        equations=[D(u, t) - k * D(u, x, 2) - D(u, y, 2)],
        conditions=[Initial(u, 0), Dirichlet(u, 0), Observed(u, [[0, 0, 0]], [1.0])],
        unknowns=[Unknown(k, 0.0, 1.0, 0.5)],
        exact=None,
    )
    told = replace(scalar, unknowns=[Unknown(k, 0.0, 1.0, 0.5, truth=0.3)])
    assert told.definition_hash == scalar.definition_hash
    assert told.without_answer().unknowns[0].truth is None


def test_manufactured_problem_takes_the_guess():
    made = manufacture(diffusion(), smooth_field(diffusion()))
    assert made.fields == (u,)
    assert all(f.residual < 1e-9 for f in residual_findings(made))
    assert not [c for c in made.conditions if getattr(c, "field", None) == a]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fields": [a, u]}, "must be the last"),
        ({"fields": [u]}, "equations for 0 fields"),
        ({"exact": {u: t}}, "missing: a"),
        ({"unknowns": [UnknownField(field_of("a", k), 0, 1, 0.5)]}, "must be the last"),
        (
            {
                "conditions": [
                    Initial(u, 0),
                    Initial(a, 1),
                    Dirichlet(u, t),
                    Observed(u, np.zeros((1, 3)), [1.0]),
                ]
            },
            "no equation to step",
        ),
        (
            {"conditions": [Initial(u, 0), Dirichlet(u, t), Dirichlet(a, 1)]},
            "no Observed",
        ),
    ],
)
def test_definitions_are_checked(change, words):
    with pytest.raises(DefinitionError, match=words):
        diffusion(**change)


def test_guess_outside_the_range_is_named():
    with pytest.raises(DefinitionError, match=r"UnknownField\(a\).*given 0, 2, 1"):
        UnknownField(a, 0, 1, 2)


def test_solvers_of_forward_problems_refuse():
    with pytest.raises(UnsupportedProblemError, match="use 'adjoint'"):
        require_equations(diffusion())
    with pytest.raises(UnsupportedProblemError, match="use 'adjoint'"):
        evolution(diffusion())
    require_equations(diffusion(), unknown_fields=True)
