import logging

import numpy as np
import pytest
import sympy as sp

from pinnsuite.errors import DefinitionError
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
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
    field_of,
    laplacian,
)

t, x, y = coordinates("t x y")
u = field_of("u", t, x)
w = field_of("w", x, y)


def heat(diffusivity=0.1, **changes):
    parts = {
        "name": "heat",
        "fields": [u],
        "equations": [D(u, t) - diffusivity * D(u, x, 2)],
        "conditions": [Initial(u, sp.sin(sp.pi * x)), Dirichlet(u, 0)],
        "domain": Interval(x, 0, 1),
        "time": TimeInterval(t, 0, 1),
    }
    return Problem(**{**parts, **changes})


def poisson(**changes):
    parts = {
        "name": "poisson",
        "fields": [w],
        "equations": [laplacian(w, (x, y)) + 1],
        "conditions": [Dirichlet(w, 0)],
        "domain": Box((x, 0, 1), (y, 0, 1)),
    }
    return Problem(**{**parts, **changes})


def test_same_definition_same_hash_and_a_changed_number_another():
    assert heat().definition_hash == heat().definition_hash
    assert heat().definition_hash != heat(diffusivity=0.2).definition_hash


@pytest.mark.parametrize(
    "change",
    [
        {"domain": Interval(x, 0, 2)},
        {"time": TimeInterval(t, 0, 2)},
        {"conditions": [Initial(u, 0), Dirichlet(u, 0)]},
        {"conditions": [Initial(u, sp.sin(sp.pi * x)), Neumann(u, 0)]},
    ],
)
def test_every_part_of_the_mathematics_is_in_the_hash(change):
    assert heat(**change).definition_hash != heat().definition_hash


def test_name_hints_and_source_are_not_in_the_hash():
    other = heat(name="warm", source="a book", hints={"mesh_size": 0.1})
    assert other.definition_hash == heat().definition_hash


def test_hash_is_the_same_in_another_process(tmp_path):
    import subprocess
    import sys
    from pathlib import Path

    program = (
        "from tests.problem.test_definition import heat; print(heat().definition_hash)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={"PYTHONHASHSEED": "123", "PATH": ""},
        check=True,
    )
    assert run.stdout.strip() == heat().definition_hash


def test_a_misspelt_boundary_is_named_with_the_nearest_one():
    with pytest.raises(DefinitionError, match=r"'lefft'.*Did you mean 'left'"):
        heat(conditions=[Initial(u, 0), Dirichlet(u, 0, on="lefft")])


def test_a_bare_boundary_is_named():
    with pytest.raises(DefinitionError, match=r"'right' is left bare for u"):
        heat(conditions=[Initial(u, 0), Dirichlet(u, 0, on="left")])


def test_periodic_covers_both_ends():
    assert heat(conditions=[Initial(u, 0), Periodic(x)]).conditions_of(Periodic)


def test_a_condition_on_a_periodic_end_is_refused():
    with pytest.raises(DefinitionError, match=r"periodic side"):
        heat(conditions=[Initial(u, 0), Periodic(x), Dirichlet(u, 0, on="left")])


def test_a_condition_that_covers_nothing_is_refused():
    with pytest.raises(DefinitionError, match=r"covers nothing"):
        heat(conditions=[Initial(u, 0), Dirichlet(u, 0), Dirichlet(u, 1, on="left")])


def test_a_missing_initial_velocity_is_named():
    with pytest.raises(DefinitionError, match=r"1. time derivative of u"):
        heat(equations=[D(u, t, 2) - D(u, x, 2)])


def test_a_missing_initial_value_is_named():
    with pytest.raises(DefinitionError, match=r"initial value of u"):
        heat(conditions=[Dirichlet(u, 0)])


def test_a_strange_symbol_is_named():
    k = sp.Symbol("k")
    with pytest.raises(DefinitionError, match=r"equation 1 holds k"):
        heat(equations=[D(u, t) - k * D(u, x, 2)])


def test_a_strange_field_is_named():
    v = field_of("v", t, x)
    with pytest.raises(DefinitionError, match=r"not one of the fields"):
        heat(equations=[D(u, t) - D(v, x, 2)])


def test_unknown_without_measurements_is_refused():
    k = sp.Symbol("k", real=True)
    with pytest.raises(DefinitionError, match=r"Observed"):
        heat(
            equations=[D(u, t) - k * D(u, x, 2)],
            unknowns=[Unknown(k, 0.0, 1.0, 0.5)],
        )


def test_one_equation_a_field():
    with pytest.raises(DefinitionError, match=r"2 equations for 1 fields"):
        poisson(equations=[laplacian(w, (x, y)), w])


def test_unknown_hint_is_named():
    with pytest.raises(DefinitionError, match=r"'gague'.*'gauge'"):
        poisson(hints={"gague": "w"})


def test_a_norm_is_one_that_can_be_taken():
    assert poisson(norm="L1").norm == "L1"
    with pytest.raises(DefinitionError, match=r"'L3'.*L2"):
        poisson(norm="L3")
    with pytest.raises(DefinitionError, match="leave out norm='L1'"):
        poisson(norm="L1", hints={"gauge": "w"})


def test_exact_must_give_every_field():
    with pytest.raises(DefinitionError, match=r"missing: u"):
        heat(exact={})


def test_a_lost_flux_is_warned_about(caplog):
    with caplog.at_level(logging.WARNING):
        poisson(equations=[(1 + x) * D(w, x, 2) + D(w, y, 2)])
    assert "stands outside the derivative" in caplog.text


def test_a_kept_flux_is_not_warned_about(caplog):
    with caplog.at_level(logging.WARNING):
        poisson(equations=[D((1 + x) * D(w, x), x) + 3 * D(w, y, 2)])
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Robin(w, 0, b=0), "Use Dirichlet"),
        (lambda: Initial(u, 0, order=2), "order is 2"),
        (lambda: Flux(w, 0), "no flux given"),
        (lambda: Unknown(sp.Symbol("k"), 1.0, 0.0, 0.5), "lower <= guess"),
        (lambda: Observed(u, np.zeros((3, 2)), np.zeros(2)), r"\(3, 2\)"),
        (lambda: Observed(u, np.zeros((2, 2)), [1.0, np.nan]), "NaN"),
        (lambda: Observed(u, np.zeros((1, 2)), [-1.0], scale="log"), "positive"),
        (lambda: Observed(u, np.zeros((1, 2)), [1.0], scale="lin"), "'lin'"),
    ],
)
def test_conditions_say_what_is_wrong_with_them(make, words):
    with pytest.raises(DefinitionError, match=words):
        make()


def test_a_solver_sees_no_answer():
    shown = heat(exact={u: sp.Integer(0)}).without_answer()
    assert shown.exact is None
    assert shown.reference is None


def test_a_condition_on_the_rest_leaves_out_what_is_taken():
    lid = poisson(conditions=[Dirichlet(w, 0, on="left"), Dirichlet(w, 1)])
    assert [c.on for c in lid.conditions] == [("left",), ("boundary",)]
    assert lid.boundaries_of(lid.conditions[1]) == ("right", "bottom", "top")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_parameter_that_is_not_finite_is_refused(value):
    with pytest.raises(DefinitionError, match="equation 1 is not finite"):
        heat(diffusivity=value)
    with pytest.raises(DefinitionError, match=r"Dirichlet\(u.* is not finite"):
        heat(conditions=[Initial(u, 0), Dirichlet(u, value)])
