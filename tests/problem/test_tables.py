"""A table is a function: evaluated, differentiated, hashed and carried about."""

import copy
import pickle

import numpy as np
import pytest
import sympy as sp

from pinnsuite.errors import DefinitionError, UnsupportedProblemError
from pinnsuite.problem import (
    D,
    Dirichlet,
    Initial,
    Interval,
    Problem,
    TimeInterval,
    coordinates,
    div,
    field_of,
    grad,
    tabulated,
)
from pinnsuite.problem.form import evolution, lost_jumps, require_no_lost_jump
from pinnsuite.problem.jets import lower, numpy_function
from pinnsuite.registry import make_solver

x, y = sp.symbols("x y", real=True)
XS, YS = [0.0, 1.0, 3.0], [0.0, 0.5]
TABLE = [[1.0, 2.0], [3.0, 5.0], [4.0, 9.0]]


def nearest():
    return tabulated("a", (XS, YS), TABLE)


def linear():
    return tabulated("a", (XS, YS), TABLE, method="linear")


def values(expression, *points):
    (found,) = numpy_function([x, y], [expression])(*np.transpose(points))
    return np.broadcast_to(found, len(points))


def test_nearest_reads_the_nearest_node_and_the_ends_beyond():
    points = [(0.4, 0.2), (0.6, 0.3), (1.9, 0.0), (2.1, 0.0), (-5, 9), (7, -1)]
    found = values(nearest()(x, y), *points)
    np.testing.assert_array_equal(found, [1, 5, 3, 4, 2, 4])


def test_linear_is_exact_for_bilinear_functions_and_keeps_the_ends():
    xs, ys = np.array([0.0, 0.7, 2.0]), np.array([-1.0, 0.0, 0.5])
    table = 2 + xs[:, None] - 3 * ys + xs[:, None] * ys
    a = tabulated("a", (xs, ys), table, method="linear")(x, y)
    rng = np.random.default_rng(0)
    px, py = rng.uniform(0, 2, 50), rng.uniform(-1, 0.5, 50)
    np.testing.assert_allclose(
        values(a, *zip(px, py, strict=True)), 2 + px - 3 * py + px * py
    )
    np.testing.assert_allclose(
        values(sp.diff(a, x), *zip(px, py, strict=True)), 1 + py, atol=1e-13
    )
    np.testing.assert_allclose(values(a, (-3, 0.5)), table[0, 2])
    np.testing.assert_array_equal(values(sp.diff(a, x), (-3, 0.2), (2.5, 0)), 0)


def test_the_chain_rule_holds():
    a = linear()(x**2, y)
    h = 1e-6
    before, after = values(a, (1.3 - h, 0.2), (1.3 + h, 0.2))
    slope = values(sp.diff(a, x), (1.3, 0.2))[0]
    assert slope == pytest.approx((after - before) / (2 * h), rel=1e-8)


def test_the_derivative_of_a_jump_is_zero_and_the_slope_of_a_line_jumps():
    assert sp.diff(nearest()(x, y), x) == 0
    assert sp.diff(linear()(x, y), x, 2) == 0
    assert sp.diff(linear()(x, y), x, y) == sp.diff(linear()(x, y), y, x) != 0


def test_edges_are_where_it_jumps():
    np.testing.assert_array_equal(nearest().edges(0), [0.5, 2.0])
    assert len(linear().edges(0)) == 0


def test_equal_tables_are_equal_and_others_are_not():
    a = nearest()(x, y)
    assert nearest()(x, y) == a
    for other in (
        linear(),
        tabulated("b", (XS, YS), TABLE),
        tabulated("a", (XS, [0.0, 0.6]), TABLE),
        tabulated("a", (XS, YS), np.add(TABLE, 1e-15)),
    ):
        assert other(x, y) != a
        assert sp.srepr(other(x, y)) != sp.srepr(a)
    assert str(a) == "a(x, y)"
    assert "a" in sp.latex(a)
    assert "_" not in sp.latex(a)


def test_a_copy_of_an_expression_is_the_same():
    e = x * nearest()(x, y) + sp.diff(linear()(x, y), y)
    assert pickle.loads(pickle.dumps(e)) == e
    assert copy.deepcopy(e) == e


def test_it_is_a_number_at_numbers():
    a = linear()(0.5, 0.25)
    assert float(a) == pytest.approx(2.75)
    assert nearest()(x, y).is_positive
    assert tabulated("b", ([0, 1],), [-1, 1])(x).is_positive is None


@pytest.mark.parametrize(
    ("axes", "table", "method", "message"),
    [
        (([0, 1],), [1, 2], "cubic", "method is 'cubic'"),
        (([0, 1],), [1, 2, 3], "linear", "one value a node"),
        (([0, 0],), [1, 2], "linear", "increasing"),
        (([0],), [1], "linear", "two or more"),
        (([0, 1],), [1, np.nan], "linear", "NaN"),
        ((), 1.0, "linear", "one value a node"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(axes, table, method, message):
    with pytest.raises(DefinitionError, match=message):
        tabulated("a", axes, table, method=method)


def test_the_name_must_be_one():
    with pytest.raises(DefinitionError, match="identifier"):
        tabulated("a b", ([0, 1],), [1, 2])


def layered(method):
    t, z = coordinates("t z")
    u = field_of("u", t, z)
    a = tabulated("a", ([0, 0.5, 1],), [1, 2, 4], method=method)(z)
    return Problem(
        "layered",
        fields=[u],
        equations=[D(u, t) - div([a * g for g in grad(u, (z,))], (z,)) - a],
        conditions=[Initial(u, 0), Dirichlet(u, 0)],
        domain=Interval(z, 0, 1),
        time=TimeInterval(t, 0, 1),
    )


def test_a_jump_under_a_derivative_is_not_expanded_silently():
    problem = layered("nearest")
    assert len(lost_jumps(problem)) == 1
    with pytest.raises(UnsupportedProblemError, match="loses the jump"):
        require_no_lost_jump(problem)


def test_a_linear_table_and_a_jump_in_the_source_can_be_expanded():
    problem = layered("linear")
    assert lost_jumps(problem) == ()
    require_no_lost_jump(problem)
    lowered = lower(problem.equations, problem.fields, problem.coordinates)
    orders = [sum(jet.orders[1:]) for jet in lowered.jets.values()]
    assert sorted(orders) == [0, 1, 2], "u_t, a' u_z and a u_zz"


def test_the_table_is_part_of_the_definition():
    assert layered("nearest").definition_hash != layered("linear").definition_hash
    assert layered("linear").definition_hash == layered("linear").definition_hash


@pytest.mark.parametrize("method", ["nearest", "linear"])
def test_time_stepping_by_expansion_takes_lines_and_refuses_jumps(method):
    problem = layered(method)
    if method == "nearest":
        with pytest.raises(UnsupportedProblemError, match="loses the jump"):
            evolution(problem)
    else:
        assert len(evolution(problem).rates.jets) == 2


@pytest.mark.parametrize("solver", ["lines", "finite-difference", "collocation"])
def test_solvers_that_expand_derivatives_refuse_a_jump(solver):
    z = coordinates("z")[0]
    u = field_of("u", z)
    a = tabulated("a", ([0, 1],), [1, 2])(z)
    at_rest = Problem(
        "at rest",
        fields=[u],
        equations=[D(a * D(u, z), z)],
        conditions=[Dirichlet(u, z)],
        domain=Interval(z, 0, 1),
    )
    for problem in (layered("nearest"), at_rest):
        assert make_solver(solver).why_not(problem) is not None
    assert "jump" in " ".join(
        make_solver(solver).why_not(p) or "" for p in (layered("nearest"), at_rest)
    )
