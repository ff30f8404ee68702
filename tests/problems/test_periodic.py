"""What the pages of periodic problems state beyond their equations."""

import numpy as np
import pytest
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import data_file, load
from pinnsuite.problem.conditions import Initial


def initial(problem, grid):
    """Values of the initial states on a grid, one array a field."""
    values = [c.value for c in problem.conditions_of(Initial)]
    return sp.lambdify(problem.space, values)(*grid)


@pytest.mark.parametrize("start", range(5))
def test_the_plane_burgers_states_have_the_range_that_their_source_states(start):
    with data_file(f"coefficients/burgers2d_init_{start}.npz").open("rb") as file:
        stored = dict(np.load(file))
    axis = np.linspace(0, 1, 129)
    fields = initial(load("burgers_2d", start=start), np.meshgrid(axis, axis))
    for name, values in zip("uv", fields, strict=True):
        assert values.min() == pytest.approx(stored[f"{name}min"], abs=0.02)
        assert values.max() == pytest.approx(stored[f"{name}max"], abs=0.02)


def test_two_solitons_have_their_heights_and_places_before_they_meet():
    problem = load("kdv", slow=1.0, fast=2.0)
    (u,) = problem.exact
    middle = problem.time.end / 2
    low, high = problem.domain.bounds[0]
    axis = np.linspace(low, high, 20_001)
    start = np.asarray(initial(problem, [axis])[0])
    assert start.max() == pytest.approx(8, abs=1e-3)
    assert abs(axis[start.argmax()] + 16 * middle) < 1
    assert start[axis > -10 * middle].max() == pytest.approx(2, abs=0.01)
    assert max(abs(start[0]), abs(start[-1])) < 1e-12
    assert problem.exact[u].free_symbols == set(problem.coordinates)


@pytest.mark.parametrize(
    "name",
    ["kdv", "schroedinger_soliton", "sine_gordon", "benjamin_bona_mahony"],
)
def test_the_box_is_so_long_that_the_period_does_not_show(name):
    problem = load(name)
    ends = problem.domain.bounds[0]
    times = np.linspace(problem.time.start, problem.time.end, 41)
    for formula in problem.exact.values():
        values = sp.lambdify(problem.coordinates, formula)
        for end in ends:
            assert np.abs(values(times, end)).max() < 1e-11


def test_the_published_formula_of_the_long_wave_solves_another_equation():
    problem = load("wave_2d_long_time")
    t, x, y = problem.coordinates
    pi = sp.pi
    formula = sp.sin(pi * x) * sp.sinh(pi * y) * sp.cos(pi * t) + sp.sinh(
        3 * pi * x
    ) * sp.sin(2 * pi * y) * sp.cos(pi * t)
    residual = (
        sp.diff(formula, t, 2) - sp.diff(formula, x, 2) - 2 * sp.diff(formula, y, 2)
    )
    assert sp.simplify(residual + 2 * pi**2 * formula) == 0


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("kdv", {"slow": 2.0, "fast": 1.0}),
        ("burgers_2d", {"start": 5}),
        ("sine_gordon", {"frequency": 1.0}),
        ("gray_scott", {"feed": -0.1}),
        ("cahn_hilliard", {"width": 0.01}),
        ("taylor_green", {"viscosity": 0.0}),
    ],
)
def test_parameters_are_checked(name, options):
    with pytest.raises(OptionError, match=f"{name}: "):
        load(name, **options)
