"""Ordinary differential equations: orders, stiffness, tolerances, refusals."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from pinnsuite.classical.ode import ODESolver, _functions, march, ordinary
from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.problem import (
    D,
    Dirichlet,
    Initial,
    Interval,
    Observed,
    Problem,
    TimeInterval,
    Unknown,
    coordinates,
    field_of,
    load,
    manufacture,
)
from pinnsuite.problem.manufactured import smooth_field
from pinnsuite.solution.solution import Status
from pinnsuite.solver import Refinable

(t,) = coordinates("t")
a, b, c = (field_of(name, t) for name in "abc")

OSCILLATOR = Problem(
    "oscillator",
    [a],
    [D(a, t, 2) + D(a, t) / 5 + 4 * a],
    [Initial(a, 1), Initial(a, 0, order=1)],
    time=TimeInterval(t, 0, 3, 31),
)
PREDATION = Problem(
    "predation",
    [a, b],
    [D(a, t) - 1.5 * a + a * b, D(b, t) + 3 * b - a * b],
    [Initial(a, 10), Initial(b, 5)],
    time=TimeInterval(t, 0, 5, 11),
)
FORCED = {p.name: manufacture(p, smooth_field(p)) for p in (OSCILLATOR, PREDATION)}

# Robertson's chemistry, DOI 10.1007/978-3-642-05221-7, section IV.1: time scales
# from 1e-4 to beyond 1e4.
ROBERTSON = Problem(
    "robertson",
    [a, b, c],
    [
        D(a, t) + 0.04 * a - 1e4 * b * c,
        D(b, t) - 0.04 * a + 1e4 * b * c + 3e7 * b**2,
        D(c, t) - 3e7 * b**2,
    ],
    [Initial(a, 1), Initial(b, 0), Initial(c, 0)],
    time=TimeInterval(t, 0, 40, 5),
)


def error(problem, solver):
    solution = solver.solve(problem.without_answer()).require_ok()
    times = problem.time.outputs
    exact = sp.lambdify(t, [problem.exact[f] for f in problem.fields])(times)
    found = [solution.fields[n] for n in problem.field_names]
    return np.linalg.norm(np.array(found) - exact) / np.linalg.norm(exact)


@pytest.mark.parametrize("name", FORCED)
@pytest.mark.parametrize(("method", "step"), [("DOP853", 0.5), ("Radau", 0.1)])
def test_error_falls_with_the_order_of_the_method(method, step, name):
    problem = FORCED[name]
    solver = ODESolver(method, step=step).refined()
    if method == "DOP853":
        solver = ODESolver(method, step=step)
    expected = solver.expected_order(problem)
    fine = solver.refined()
    observed = np.log2(error(problem, solver) / error(problem, fine))
    if observed - expected > 0.1:
        observed = np.log2(error(problem, fine) / error(problem, fine.refined()))
    assert expected == {"DOP853": 8, "Radau": 5}[method]
    assert observed == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("method", ["DOP853", "Radau", "LSODA"])
def test_a_hundredth_of_the_tolerance_is_about_a_hundredth_of_the_error(method):
    solver = ODESolver(method, rtol=1e-6, atol=1e-8)
    problem = FORCED["oscillator"]
    assert solver.expected_order(problem) is None
    ratio = error(problem, solver) / error(problem, solver.refined())
    assert 20 < ratio < 1000


@pytest.mark.parametrize("method", ["Radau", "LSODA"])
def test_stiff_chemistry(method):
    solution = ODESolver(method, rtol=1e-9, atol=1e-14).solve(ROBERTSON).require_ok()
    # E. Hairer & G. Wanner, section IV.10, and SUNDIALS' cvRoberts: y(40).
    last = [solution.fields[n][-1] for n in "abc"]
    np.testing.assert_allclose(last, [7.158e-01, 9.185e-06, 2.842e-01], rtol=1e-3)
    total = sum(solution.fields[n] for n in "abc")
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)
    assert solution.details["steps"] < 600


def test_jacobian_is_the_derivative_of_the_rate():
    rate, jac = _functions(ROBERTSON, ordinary(ROBERTSON))
    at, h = np.array([0.7, 1e-5, 0.3]), 1e-8
    columns = [(rate(0.0, at + e) - rate(0.0, at - e)) / (2 * h) for e in h * np.eye(3)]
    np.testing.assert_allclose(jac(0.0, at), np.stack(columns, 1), rtol=1e-5, atol=1e-6)


def test_evaluation_between_outputs_is_as_accurate():
    problem = FORCED["oscillator"]
    solution = ODESolver(rtol=1e-10, atol=1e-12).solve(problem)
    at = np.random.default_rng(0).uniform(0, 3, (40, 1))
    exact = sp.lambdify(t, problem.exact[a])(at[:, 0])
    np.testing.assert_allclose(solution.at(at)["a"], exact, atol=1e-8)
    times = problem.time.outputs
    np.testing.assert_allclose(
        solution.at(times[:, None])["a"], solution.fields["a"], atol=1e-14
    )


def test_a_blow_up_is_a_status_and_not_a_shorter_answer():
    problem = Problem(
        "blow-up",
        [a],
        [D(a, t) - a**2],
        [Initial(a, 1)],
        time=TimeInterval(t, 0, 3),
    )
    for method in ("DOP853", "Radau", "LSODA"):
        solution = ODESolver(method).solve(problem)
        assert solution.status in (Status.DIVERGED, Status.NAN)
        assert "t = 1 " in solution.sentence
        assert not solution.fields


def test_a_stepper_that_lies_about_its_end_is_caught():
    class Stuck:
        y, t, nfev, status = np.zeros(1), 0.0, 0, "running"

        def fun(self, time, state):
            return state

        def step(self):
            self.status = "failed"
            return "gave up"

    trajectory = march(Stuck, np.linspace(0, 1, 3))
    assert trajectory.status is Status.DIVERGED
    assert trajectory.values is None


def test_the_budget_ends_the_run():
    problem = Problem(
        "slow",
        [a],
        [D(a, t, 2) + 1e8 * a],
        [Initial(a, 1), Initial(a, 0, order=1)],
        time=TimeInterval(t, 0, 3),
    )
    solution = ODESolver().solve(problem, budget=0.1)
    assert solution.status is Status.NOT_REACHED
    assert "budget of 0.1" in solution.sentence


def test_refined_halves_the_step_or_tightens_the_tolerances():
    assert ODESolver(step=0.2).refined().step == pytest.approx(0.1)
    loose = ODESolver(rtol=1e-6, atol=1e-8)
    assert isinstance(loose, Refinable)
    fine = loose.refined()
    assert (fine.rtol, fine.atol) == pytest.approx((1e-8, 1e-10))
    assert ODESolver(rtol=1e-12).refined().rtol == pytest.approx(1e-13)


def test_refusals_name_the_part():
    s, x = coordinates("s x")
    u = field_of("u", s, x)
    rod = Problem(
        "rod",
        [u],
        [D(u, s) - D(u, x, 2)],
        [Initial(u, 0), Dirichlet(u, 0)],
        Interval(x, 0, 1),
        TimeInterval(s, 0, 1),
    )
    assert "space coordinates x" in ODESolver().why_not(rod)
    with pytest.raises(UnsupportedProblemError, match="rod"):
        ODESolver().solve(rod)
    rate = sp.Symbol("rate", real=True)
    inverse = Problem(
        "inverse",
        [a],
        [D(a, t) + rate * a],
        [Initial(a, 1), Observed(a, [[1.0]], [0.5])],
        time=TimeInterval(t, 0, 1),
        unknowns=[Unknown(rate, 0, 1, 0.5)],
    )
    assert "'least-squares'" in ODESolver().why_not(inverse)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "RK45"}, "Unknown ode option method: 'RK45'"),
        ({"step": 0.0}, "step is 0.0"),
        ({"step": 0.1, "method": "LSODA"}, "chooses its own steps"),
        ({"rtol": 1e-16}, "rtol is 1e-16"),
        ({"atol": 0.0}, "atol is 0.0"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(OptionError, match=message):
        ODESolver(**options)


# Released at rest with both arms level: the last Taylor coefficients nearly vanish by
# symmetry, which has made an adaptive Taylor integrator wrong by 12.9 without a word.
LEVEL = Problem(
    "double pendulum",
    [a, b],
    [
        2 * D(a, t, 2)
        + sp.cos(a - b) * D(b, t, 2)
        + sp.sin(a - b) * D(b, t) ** 2
        + 2 * 9.81 * sp.sin(a),
        D(b, t, 2)
        + sp.cos(a - b) * D(a, t, 2)
        - sp.sin(a - b) * D(a, t) ** 2
        + 9.81 * sp.sin(b),
    ],
    [
        *(Initial(f, sp.pi / 2) for f in (a, b)),
        *(Initial(f, 0, order=1) for f in (a, b)),
    ],
    time=TimeInterval(t, 0, 2, 21),
)


def test_a_start_that_symmetry_makes_treacherous_is_agreed_on():
    tight = {"rtol": 1e-11, "atol": 1e-13}
    found = [ODESolver(method=m, **tight).solve(LEVEL) for m in ("DOP853", "Radau")]
    gap = np.abs(found[0].fields["a"] - found[1].fields["a"]).max()
    assert gap < 1e-8
    turned = found[0].fields["a"]
    assert np.abs(turned).max() > 1.5


@pytest.mark.parametrize("method", ["DOP853", "Radau", "LSODA"])
def test_a_run_that_ends_early_is_a_failure_with_no_values(method):
    """Some integrators return a short array and a flag that nobody reads."""
    blows_up = Problem(
        "blow-up",
        [a],
        [D(a, t) - a**2],
        [Initial(a, 1)],
        time=TimeInterval(t, 0, 2, 21),
    )
    solution = ODESolver(method=method).solve(blows_up)
    assert solution.status is not Status.OK
    assert solution.fields == {}
    whole = ODESolver(method=method).solve(replace(blows_up, time=SHORT))
    assert whole.fields["a"].shape == (21,)


SHORT = TimeInterval(t, 0, 0.5, 21)


def test_constants_are_the_double_literals_of_the_problem():
    """8/3 in higher precision moves Lorenz' system by 1.5e-10 until t = 20."""
    problem = load("lorenz")
    rate, _ = _functions(problem, ordinary(problem))
    assert rate(0.0, np.array([0.0, 0.0, 1.0]))[2] == -(8 / 3)
