"""Problems whose coefficients jump: what is known of them beside their references."""

import numpy as np
import pytest

from pinnsuite.classical.cell_centred import CellCentred
from pinnsuite.classical.finite_element import FiniteElements
from pinnsuite.compare.metrics import relative_l2
from pinnsuite.errors import OptionError
from pinnsuite.problem.catalog import load


def test_two_methods_agree_on_the_reflected_pulses():
    problem = load("layered_acoustics")
    x = np.linspace(0, 1.25, 101)
    points = np.stack([np.full(101, 2.0), x], axis=1)
    truth = problem.reference.evaluate(points)["p"]
    found = CellCentred(cells=1600).solve(problem).at(points)["p"]
    assert relative_l2(found, truth) < 1e-2
    finer = CellCentred(cells=3200).solve(problem).at(points)["p"]
    assert relative_l2(finer, truth) < 0.3 * relative_l2(found, truth)


def test_equal_impedances_reflect_nothing():
    """ρ c = 1 everywhere: the pulse passes the layer, only faster."""
    problem = load("layered_acoustics", density=0.5, speed=2.0)
    inside = np.array([[0.25, 0.5], [0.5, 0.8]])
    found = problem.reference.evaluate(inside)["p"]
    # 0.25 to the interface; then 0.125 through the layer and 0.05 at speed 1 is left.
    assert found[0] == pytest.approx(0.5)
    late = 0.5 - 0.25 - 0.125 - 0.05
    assert found[1] == pytest.approx(0.5 * np.exp(-((late / 0.03) ** 2) / 2), rel=1e-9)


def test_the_river_takes_what_the_rain_brings():
    problem = load("layered_aquifer")
    z = (np.arange(400) + 0.5) / 400 * 10 + 40
    solution = CellCentred(cells=640).solve(problem).require_ok()
    head = solution.at(np.stack([np.zeros(400), z], axis=1))["h"]
    assert head.mean() * 10 == pytest.approx(0.001 * 400, rel=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["darcy", "layered_aquifer", "poisson_patchwork"])
def test_finite_elements_agree_with_finite_volumes(name):
    problem = load(name)
    points = problem.domain.sample_interior(500, seed=0)
    (field,) = problem.field_names
    mine = CellCentred(cells=320).solve(problem).at(points)[field]
    # Corners of the patches leave either error little more than first order.
    elements = FiniteElements(element="P2", refinements=2)
    theirs = elements.solve(problem).at(points)[field]
    assert relative_l2(mine, theirs) < 1e-2


def test_a_smooth_medium_is_solved_with_second_order():
    problem = load("darcy", medium="log-normal")
    points = problem.domain.sample_interior(300, seed=0)
    found = [CellCentred(cells=n).solve(problem).at(points)["u"] for n in (16, 32, 64)]
    steps = [relative_l2(a, found[-1]) for a in found[:-1]]
    assert np.log2(steps[0] / steps[1]) == pytest.approx(np.log2(5), abs=0.2)


def test_media_differ_by_seed_and_are_the_same_every_time():
    hashes = {load("darcy", seed=s).definition_hash for s in (0, 0, 1)}
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("darcy", {"medium": "granite"}),
        ("darcy", {"pixels": 4}),
        ("layered_aquifer", {"clay": -1.0}),
        ("layered_acoustics", {"density": 0.0}),
        ("heat_multiscale", {"waves": 0}),
    ],
)
def test_parameters_are_checked(name, wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        load(name, **wrong)
