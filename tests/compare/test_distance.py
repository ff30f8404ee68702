import pytest

from pinnsuite.compare.distance import distances
from pinnsuite.solution.solution import Status
from tests.records import REFERENCE, lines, pinn, record

LADDER = lines((1e-2, 0.1), (1e-4, 1.0), (1e-6, 10.0))


def test_the_distance_is_the_ratio_of_times_at_the_median_seeds_error():
    seeds = pinn([1e-3, 1e-4, 3e-5], cpu_s=50.0, spread=0.0)
    (d,) = distances([*LADDER, *seeds])
    assert d.level == 1e-4
    assert d.errors == (3e-5, 1e-4, 1e-3)
    assert (d.classical, d.classical_s) == ("lines", pytest.approx(1.0))
    assert d.learned_s == 50.0
    assert d.ratio == pytest.approx(50.0)
    assert not d.is_coarsest


def test_between_two_runs_the_classical_time_is_interpolated():
    (d,) = distances([*LADDER, *pinn([1e-3], cpu_s=5.0)])
    assert d.classical_s == pytest.approx(10**-0.5)


def test_the_cheapest_classical_solver_counts():
    slow = [record("spectral", error=1e-5, cpu_s=3.0), *pinn([1e-5])]
    assert distances([*LADDER, *slow])[0].classical == "spectral"
    quick = [record("spectral", error=1e-5, cpu_s=30.0), *pinn([1e-5])]
    assert distances([*LADDER, *quick])[0].classical == "lines"


def test_what_no_classical_run_reached_has_no_distance():
    (d,) = distances([*LADDER, *pinn([1e-8])])
    assert (d.classical, d.classical_s, d.ratio) == ("", None, None)


def test_a_coarsest_run_that_is_better_is_marked():
    (d,) = distances([*LADDER, *pinn([0.5], cpu_s=20.0)])
    assert d.is_coarsest
    assert d.ratio == pytest.approx(200.0)


def test_errors_that_the_reference_cannot_tell_are_compared_at_ten_times_its_own():
    part = REFERENCE.model_copy(update={"error_estimate": {"relative_l2": 1e-5}})
    seeds = pinn([1e-7], reference=part)
    (d,) = distances([*LADDER, *seeds])
    assert d.level == pytest.approx(1e-4)


def test_failed_seeds_are_counted_and_have_no_error():
    seeds = pinn([1e-3, 1e-4], cpu_s=50.0)
    seeds[1].status = Status.NAN
    (d,) = distances([*LADDER, *seeds])
    assert (d.errors, d.num_runs) == ((1e-3,), 2)
    assert distances([*LADDER, *pinn([1e-3], status=Status.NAN)]) == []
