"""Tables of points: read with care, written with all digits."""

import csv

import numpy as np
import pytest

from pinnsuite.errors import DataError
from pinnsuite.problem import (
    Box,
    Dirichlet,
    Disk,
    Initial,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
    laplacian,
    load,
)
from pinnsuite.problem.definition import D
from pinnsuite.solution.points import (
    differences,
    read_points,
    reporting,
    with_fields,
    write_points,
)

t, x, y = coordinates("t x y")
u = field_of("u", t, x, y)
HEAT = Problem(
    name="heat",
    fields=[u],
    equations=[D(u, t) - laplacian(u, (x, y))],
    conditions=[Initial(u, 0), Dirichlet(u, 1)],
    domain=Box((x, 0, 2), (y, 0, 1)) - Disk(x, y, (1, 0.5), 0.2),
    time=TimeInterval(t, 0, 3),
)


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / "points.csv"
        path.write_text(text, encoding="utf-8")
        return read_points(path, HEAT)

    return write


def test_columns_stand_in_any_order_and_others_come_along(table, tmp_path):
    found = table("node, y,u,t,x\na,0.5,1e-3,0.1,0.25\nb,1,2,3,2\n")
    np.testing.assert_array_equal(found.points, [[0.1, 0.25, 0.5], [3, 2, 1]])
    np.testing.assert_array_equal(found.known["u"], [1e-3, 2])
    fields = {"u": np.array([0.1 + 0.2, 2.0])}
    write_points(tmp_path / "out.csv", with_fields(found, fields))
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["t", "x", "y", "u", "node", "given u"]
    assert float(rows[0]["u"]) == 0.1 + 0.2
    assert rows[1]["node"] == "b"
    assert differences(found, fields, None)["u"] == pytest.approx(
        0.299 / np.hypot(1e-3, 2), rel=1e-9
    )


def test_a_field_up_to_a_constant_is_compared_without_it(table):
    found = table("t,x,y,u\n0,0,0,1\n0,1,0,2\n")
    fields = {"u": np.array([11.0, 12.0])}
    assert differences(found, fields, "u")["u"] < 1e-15
    assert differences(found, fields, None)["u"] > 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("t,x,y\n", "no points"),
        ("t,x\n0,0\n", "lacks y; 'heat' has the coordinates t, x, y"),
        ("t,x,y\n0,0,0\n0,0,nan\n", r"points\.csv:3: y is nan"),
        ("t,x,y\n0,0,zero\n", r"points\.csv:2: y is 'zero', which is no number"),
        ("t,x,y\n\n0,0\n", r"points\.csv:3: 2 cells where the header has 3"),
        ("t,x,y\n0,0,0\n3.1,0,0\n", r"points\.csv:3: the time 3.1 is outside"),
        ("t,x,y\n0,0,0\n0,1,0.4\n", r"points\.csv:3: the point \(1, 0.4\) is outside"),
        ("t,x,x,y\n0,0,0,0\n", "names a column twice"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(table, text, message):
    with pytest.raises(DataError, match=message):
        table(text)


def test_a_point_may_be_outside_by_the_rounding_of_a_table(table):
    rim = 1 + 0.2 * np.cos(0.7), 0.5 + 0.2 * np.sin(0.7)
    found = table(f"t,x,y\n3.00000001,{rim[0]:.5f},{rim[1]:.5f}\n")
    assert found.points[0, 0] == 3


def test_solvers_report_at_the_times_asked_for_and_at_their_own():
    points = np.array([[0.1, 0, 0], [0.7, 0, 0]])
    asked = reporting(HEAT, points)
    for time in (*points[:, 0], *HEAT.time.outputs):
        assert np.abs(asked.time.outputs - time).min() < 1e-12
    assert asked.definition_hash == HEAT.definition_hash
    assert reporting(HEAT, points[:0:-1] * 0 + 0.3) is HEAT
    assert reporting(HEAT, np.array([[0.1234567, 0, 0]])) is HEAT


def test_points_beyond_a_periodic_end_are_folded_back_and_written_as_given(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("t,x\n0.5,0.25\n0.5,1.25\n0.5,-2.75\n0.5,1\n")
    problem = load("advection")
    low, high = problem.domain.bounds[0]
    assert (low, high) == (0, 1)
    found = read_points(path, problem)
    np.testing.assert_allclose(found.points[:, 1], [0.25, 0.25, 0.25, 1.0])
    written = with_fields(found, {"u": np.zeros(4)})
    assert written["x"] == [0.25, 1.25, -2.75, 1.0]
