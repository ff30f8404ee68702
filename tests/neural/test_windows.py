"""Windows in time join exactly, and reach where one network does not."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from pinnsuite.errors import OptionError
from pinnsuite.neural.pinn import PINN
from pinnsuite.neural.residual import residuals
from pinnsuite.neural.sampling import interior
from pinnsuite.neural.snapshot import Stopwatch
from pinnsuite.neural.windows import Windows
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Disk,
    Initial,
    Interval,
    Neumann,
    Observed,
    Periodic,
    Polygon,
    Problem,
    TimeInterval,
    Unknown,
    coordinates,
    field_of,
    laplacian,
)
from pinnsuite.solution.solution import Status
from pinnsuite.solver import silent

t, x, y = coordinates("t x y")
SMALL = PINN(
    width=8,
    depth=2,
    points=200,
    boundary_points=40,
    adam_steps=5,
    steps=15,
    resample_every=5,
    windows=3,
)


def heated_end():
    """A value on a side that changes with time."""
    u = field_of("u", t, x)
    return Problem(
        "heated end",
        [u],
        [D(u, t) - D(u, x, 2)],
        [
            Initial(u, x * (1 - x)),
            Dirichlet(u, sp.sin(3 * t), on="left"),
            Dirichlet(u, 0, on="right"),
        ],
        Interval(x, 0, 1),
        TimeInterval(t, 0, 3),
    )


def vibration():
    """Second order in time, and a ring."""
    u = field_of("u", t, x)
    return Problem(
        "vibration",
        [u],
        [D(u, t, 2) - D(u, x, 2)],
        [
            Initial(u, sp.sin(2 * sp.pi * x)),
            Initial(u, sp.cos(2 * sp.pi * x), order=1),
            Periodic(x),
        ],
        Interval(x, 0, 1),
        TimeInterval(t, 0, 3),
    )


def with_an_algebraic_field():
    u, v = field_of("u", t), field_of("v", t)
    return Problem(
        "rate",
        [u, v],
        [D(u, t) + v, v - u**2],
        [Initial(u, 1)],
        time=TimeInterval(t, 0, 3),
    )


def lorenz(end=3.0):
    u, v, w = (field_of(name, t) for name in "uvw")
    return Problem(
        "lorenz",
        [u, v, w],
        [
            D(u, t) - 10 * (v - u),
            D(v, t) - u * (28 - w) + v,
            D(w, t) - u * v + sp.Rational(8, 3) * w,
        ],
        [Initial(f, 1) for f in (u, v, w)],
        time=TimeInterval(t, 0, end),
    )


START = sp.cos(x) * sp.exp(y)
RAMPED = (1 + sp.sin(3 * t)) * START
DOMAINS = {
    "annulus": Disk(x, y, (0, 0), 1, "outer") - Disk(x, y, (0.1, 0), 0.4, "inner"),
    "hole in a box": Box((x, -1, 1), (y, -1, 1)) - Disk(x, y, (0.2, 0), 0.3),
    "L-shape": Polygon(x, y, [(0, 0), (1, 0), (1, 1), (-1, 1), (-1, -1), (0, -1)]),
}


def shaken(domain, free=()):
    """A membrane, moved at its rim: of second order in time."""
    u = field_of("u", t, x, y)
    return Problem(
        "shaken",
        [u],
        [D(u, t, 2) - laplacian(u, (x, y))],
        [
            Initial(u, START),
            Initial(u, 3 * START, order=1),
            *(Neumann(u, 1, on=side) for side in free),
            Dirichlet(u, RAMPED),
        ],
        DOMAINS[domain],
        TimeInterval(t, 0, 3),
    )


def at(solution, problem, time):
    """Return the first field at a time, at some places."""
    points = interior(problem, 21, seed=0)
    points[:, 0] = time
    return solution.at(points)["u"]


def assert_states_agree(solution, problem):
    for joint in (1.0, 2.0):
        before = at(solution, problem, joint)
        after = at(solution, problem, np.nextafter(joint, 3.0))
        assert np.abs(before).max() > 0
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-12)


def assert_velocities_agree(solution, problem):
    step = 1e-5
    early, joint, late = (
        at(solution, problem, time) for time in (1.0 - step, 1.0, 1.0 + step)
    )
    before, after = (joint - early) / step, (late - joint) / step
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-3 * np.abs(before).max())


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (heated_end, {}),
        (heated_end, {"hard_conditions": "off"}),
        (heated_end, {"fourier": 1.0}),
        (vibration, {}),
        (with_an_algebraic_field, {}),
    ],
)
def test_a_window_starts_from_the_state_of_the_one_before_to_round_off(make, options):
    problem = make()
    solution = replace(SMALL, **options).solve(problem)
    assert solution.details["windows"] == 3
    assert_states_agree(solution, problem)


def test_the_velocity_of_an_equation_of_second_order_goes_on_too():
    assert_velocities_agree(SMALL.solve(vibration()), vibration())


def test_values_on_sides_hold_in_every_window():
    solution = SMALL.solve(heated_end())
    times = np.linspace(0, 3, 40)
    left = np.column_stack([times, np.zeros(40)])
    np.testing.assert_allclose(solution.at(left)["u"], np.sin(3 * times), atol=1e-12)
    assert "Dirichlet(u(t, x)) on left" in solution.details["exact_conditions"]


@pytest.mark.parametrize(
    ("domain", "mode", "free"),
    [
        ("annulus", "all", ()),
        ("hole in a box", "all", ("left", "top")),
        ("L-shape", "all", ()),
    ],
)
def test_windows_join_beside_values_on_curved_and_bent_boundaries(domain, mode, free):
    problem = shaken(domain, free)
    solution = replace(SMALL, hard_conditions=mode).solve(problem)
    assert solution.details["windows"] == 3
    assert_states_agree(solution, problem)
    assert_velocities_agree(solution, problem)
    value = sp.lambdify((t, x, y), RAMPED)
    for name in set(problem.domain.boundaries) - set(free):
        assert (
            f"Dirichlet(u(t, x, y)) on {name}" in solution.details["exact_conditions"]
        )
        places, _ = problem.domain.sample_boundary(name, 300, seed=1)
        points = np.column_stack([np.linspace(0, 3, 300), places])
        np.testing.assert_allclose(
            solution.at(points)["u"], value(*points.T), rtol=0, atol=1e-12
        )


@pytest.mark.parametrize("make", [heated_end, with_an_algebraic_field])
def test_all_windows_are_read_as_they_were_saved_and_trained_further(make, tmp_path):
    solution = SMALL.solve(make())
    path = tmp_path / "model.safetensors"
    solution.model.save(path)
    # The file brings its windows.
    still = replace(SMALL, start=str(path), adam_steps=0, steps=0, windows=1)
    again = still.solve(make())
    assert again.details["windows"] == 3
    for name, values in solution.fields.items():
        np.testing.assert_array_equal(again.fields[name], values)
    further = replace(still, steps=30).solve(make())
    first = further.history["loss"][0]
    assert first <= solution.history["loss"][: SMALL.steps + 5][-1] * (1 + 1e-9)


def test_what_no_window_reaches_keeps_its_last_state_and_is_not_reached(tmp_path):
    solution = SMALL.solve(vibration(), budget=1e-9)
    assert solution.details["windows"] == 1
    assert solution.details["stop_reason"] == "the budget"
    assert solution.status is Status.NOT_REACHED
    last = at(solution, vibration(), 1.0)
    for time in (1.5, 3.0):
        still = at(solution, vibration(), time)
        np.testing.assert_allclose(still, last, atol=1e-12)
    path = tmp_path / "model.safetensors"
    solution.model.save(path)
    again = replace(SMALL, start=str(path)).solve(vibration(), budget=1e-9)
    np.testing.assert_array_equal(again.fields["u"], solution.fields["u"])


def test_a_solution_that_stays_at_rest_is_no_solution_of_what_moves():
    """The residual of the kept state counts, though that of the window is small."""
    problem = with_an_algebraic_field()
    options = replace(SMALL, windows=8, adam_steps=20, steps=200)
    windows = Windows(options, problem, residuals(problem), Stopwatch())
    windows.last.run(silent, None)
    assert windows.last.window == (0.0, 0.375)
    assert windows.last.verdict().worst < options.tolerance / 10
    assert windows.verdict().worst > 2 * options.tolerance


def test_a_budget_is_shared_by_all_windows():
    solver = replace(SMALL, windows=8, adam_steps=20, steps=10**6)
    # How good it gets in two seconds is the machine's affair.
    solution = solver.solve(with_an_algebraic_field(), budget=2.0)
    assert solution.details["windows"] == 8
    assert solution.cost.total < 4.0
    times = [s.cpu_s for s in solution.snapshots]
    assert times == sorted(times)
    assert times[-1] > 0.5


def test_easy_windows_grow_and_all_of_the_interval_is_solved():
    solver = replace(SMALL, windows="auto", adam_steps=20, steps=200)
    solution = solver.solve(with_an_algebraic_field()).require_ok()
    assert solution.details["windows"] < 8
    points = np.linspace(0, 3, 50)[:, None]
    np.testing.assert_allclose(
        solution.at(points)["u"], 1 / (1 + points[:, 0]), rtol=1e-3
    )


def test_windows_that_are_never_good_are_halved_until_they_are_too_short():
    solver = replace(
        SMALL, width=1, depth=1, windows="auto", steps=200, tolerance=1e-12, points=20
    )
    solution = solver.solve(lorenz())
    assert solution.status is Status.NOT_REACHED
    assert "windows shorter than" in solution.details["stop_reason"]


def test_measurements_keep_one_window():
    u, k = field_of("u", t), sp.Symbol("k")
    times = np.linspace(0, 3, 9)
    problem = Problem(
        "decay",
        [u],
        [D(u, t) + k * u],
        [Initial(u, 1), Observed(u, times[:, None], np.exp(-0.7 * times))],
        time=TimeInterval(t, 0, 3),
        unknowns=[Unknown(k, 0.1, 3, 1.5)],
    )
    assert SMALL.solve(problem).details["windows"] == 1


@pytest.mark.parametrize("windows", [0, -1, "many", True])
def test_windows_are_a_number_or_auto(windows):
    with pytest.raises(OptionError, match="windows"):
        PINN(windows=windows)


@pytest.mark.slow
def test_windows_follow_chaos_that_one_network_smooths_over():
    problem = lorenz()
    times = np.linspace(0, 3, 200)

    def slope(_, s):
        a, b, c = s
        return [10 * (b - a), a * (28 - c) - b, a * b - 8 / 3 * c]

    truth = solve_ivp(
        slope, (0, 3), [1, 1, 1], t_eval=times, method="DOP853", rtol=1e-11, atol=1e-12
    ).y[1]
    errors = {}
    for windows in (1, 8):
        solution = PINN(windows=windows, points=200, steps=300).solve(problem)
        values = solution.at(times[:, None])["v"]
        errors[windows] = np.linalg.norm(values - truth) / np.linalg.norm(truth)
    # Measured: 1.0 and 4e-3.
    assert errors[1] > 0.5
    assert errors[8] < 5e-2
