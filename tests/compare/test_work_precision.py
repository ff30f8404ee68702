import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnsuite.compare.work_precision import (
    Point,
    by_name,
    curves,
    error_at,
    learned_names,
    pareto_front,
    time_to_error,
    time_to_error_table,
)
from pinnsuite.solution.solution import Status
from tests.records import lines, pinn, record

TRACE = [
    (1.0, 1.0, 0.5, 1e-1),
    (2.0, 2.0, 0.4, 8e-3),
    (4.0, 4.0, 0.3, 2e-2),
    (8.0, 8.0, 0.2, 5e-3),
]


def test_an_error_is_reached_when_the_run_stays_there():
    run = pinn([4e-3], cpu_s=9.0, trace=TRACE)[0]
    assert time_to_error(run, 1e-1) == 1.0
    assert time_to_error(run, 1e-2) == 8.0
    assert time_to_error(run, 4e-3) == 9.0
    assert time_to_error(run, 1e-3) == math.inf


def test_a_run_that_ended_worse_did_not_reach():
    run = pinn([5e-2], cpu_s=9.0, trace=TRACE)[0]
    assert time_to_error(run, 1e-2) == math.inf
    failed = pinn([5e-2], cpu_s=9.0, trace=TRACE, status=Status.NAN)[0]
    assert time_to_error(failed, 1e-1) == math.inf


def test_error_at_a_moment_is_the_last_one_known():
    run = pinn([4e-3], cpu_s=9.0, trace=TRACE)[0]
    assert [error_at(run, s) for s in (0.5, 1.0, 3.0, 5.0, 100.0)] == [
        math.inf,
        1e-1,
        8e-3,
        2e-2,
        4e-3,
    ]


def test_resolutions_are_joined_and_seeds_are_not():
    runs = [*lines((1e-2, 0.3), (1e-3, 0.1)), *pinn([1e-3, 2e-3], trace=TRACE)]
    classical, one, two = curves(runs)
    assert [p.cpu_s for p in classical.points] == [0.1, 0.3]
    assert classical.points[0].label == "64 unknowns"
    assert (one.seed, two.seed) == (0, 1)
    assert len(one.points) == 5


def test_another_scheme_is_another_curve():
    runs = [
        record(error=1e-3, options={"num_points": 10, "method": m, "order": p})
        for m, p in [("fd", 2), ("fd", 4), ("chebyshev", 2)]
    ]
    assert [c.name for c in curves(runs)] == [
        "lines (chebyshev, order 2)",
        "lines (fd, order 2)",
        "lines (fd, order 4)",
    ]


def test_runs_without_an_error_make_no_curve():
    assert curves([record(error=None), record(status=Status.CRASHED)]) == []


@given(st.lists(st.tuples(st.floats(1e-9, 1), st.floats(1e-3, 1e3)), min_size=1))
def test_no_point_beats_one_of_the_front(pairs):
    points = [Point(e, s) for e, s in pairs]
    front = pareto_front(points)
    assert front
    for p in front:
        assert not any(
            q.error <= p.error
            and q.cpu_s <= p.cpu_s
            and (q.error, q.cpu_s) != (p.error, p.cpu_s)
            for q in points
        )
    for q in points:
        assert any(p.error <= q.error and p.cpu_s <= q.cpu_s for p in front)


def test_the_table_gives_the_share_of_seeds_and_the_cheapest_grid():
    runs = [*lines((5e-2, 0.1), (5e-3, 0.3), (2e-3, 0.9)), *pinn([5e-2, 4e-3, None])]
    table = time_to_error_table(runs, levels=(1e-1, 1e-2, 1e-3))
    assert list(table) == ["lines", "pinn"]
    assert [r.cpu_s for r in table["lines"]] == [0.1, 0.3, None]
    assert [r.share for r in table["pinn"]] == pytest.approx([2 / 3, 1 / 3, 0])
    assert table["pinn"][1].cpu_s == pytest.approx(66.0)


def changed(**options):
    standard = {"optimiser": "lbfgs", "points": 100, "width": 20}
    return record("net", "pinn", 1e-3, 5.0, seed=0, options=standard | options)


def test_one_option_changed_at_a_time_names_the_change():
    runs = [changed(), changed(optimiser="adam"), changed(points=50), *lines((1, 1))]
    names = [*learned_names(runs).values()]
    assert names == ["net", "net, optimiser=adam", "net, points=50"]
    assert [*by_name(runs)] == ["lines", "net", "net, optimiser=adam", "net, points=50"]
    table = time_to_error_table(runs, levels=(1e-2,))
    assert [len(reaches) for reaches in table.values()] == [1, 1, 1, 1]


def test_the_commonest_value_needs_no_majority():
    others = ["adam", "soap", "bfgs"]
    runs = [changed(), changed(points=50), *(changed(optimiser=o) for o in others)]
    names = [*learned_names(runs).values()]
    assert names[:3] == ["net", "net, points=50", "net, optimiser=adam"]


def test_of_two_configurations_neither_is_the_common_one():
    names = learned_names([changed(), changed(optimiser="adam")])
    assert [*names.values()] == ["net, optimiser=lbfgs", "net, optimiser=adam"]


def test_one_configuration_has_the_solvers_name():
    assert [*learned_names([changed()]).values()] == ["net"]
    assert [c.name for c in curves([changed(), changed(width=5)])] == [
        "net, width=20",
        "net, width=5",
    ]
