"""What is known of the parabolic problems beside their own references."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.linalg import eigh_tridiagonal
from scipy.special import ellipk

from pinnsuite.classical.complementarity import Complementarity
from pinnsuite.classical.finite_element import FiniteElements
from pinnsuite.classical.lines import MethodOfLines
from pinnsuite.classical.ode import ODESolver
from pinnsuite.problem import load
from pinnsuite.problem.conditions import Initial
from pinnsuite.problem.jets import numpy_function

X = np.linspace(-1.5, 1.5, 21)


def initial(problem, index=0):
    return problem.conditions_of(Initial)[index].value


def test_put_and_call_differ_by_the_forward():
    put, call = (load("black_scholes", right=r) for r in ("put", "call"))
    points = np.column_stack([np.repeat([0.0, 0.3, 1.0], 21), np.tile(X, 3)])
    values = [p.reference.evaluate(points)["u"] for p in (put, call)]
    forward = 100 * (np.exp(points[:, 1]) - np.exp(-0.05 * points[:, 0]))
    np.testing.assert_allclose(values[1] - values[0], forward, atol=1e-11)
    # J. C. Hull, Options, Futures and Other Derivatives: 5.5735 for these numbers.
    assert put.quantities["price at the money"](put.reference.evaluate) == (
        pytest.approx(5.5735, abs=5e-5)
    )


def test_the_american_put_is_worth_more_than_the_european():
    american, european = load("american_put"), load("black_scholes")
    solution = Complementarity(points=129, steps=32).solve(american.without_answer())
    points = np.column_stack([np.full(41, 1.0), np.linspace(-1.3, 1.3, 41)])
    gain = solution.at(points)["u"] - european.reference.evaluate(points)["u"]
    assert gain.min() > -1e-3
    assert gain.max() == pytest.approx(100 * (1 - math.exp(-0.05)), rel=0.02)


def test_the_escape_rate_is_half_the_spectral_gap():
    """By a conservative scheme of volumes for the symmetric operator."""
    n, theta, reach = 800, 0.25, 2.0
    h = 2 * reach / n
    centres = -reach + h * (np.arange(n) + 0.5)
    weight = np.exp(-((centres**2 - 1) ** 2) / theta)
    faces = np.exp(-((((centres[1:] + centres[:-1]) / 2) ** 2 - 1) ** 2) / theta)
    off = theta * faces / h**2 / np.sqrt(weight[1:] * weight[:-1])
    main = np.zeros(n)
    main[1:] += theta * faces / h**2 / weight[1:]
    main[:-1] += theta * faces / h**2 / weight[:-1]
    zero, gap = eigh_tridiagonal(
        main, -off, eigvals_only=True, select="i", select_range=(0, 1)
    )
    assert abs(zero) < 1e-8
    problem = load("fokker_planck")
    solution = MethodOfLines(points=161, rtol=1e-8).solve(problem.without_answer())
    rate = problem.quantities["escape rate"](solution.at)
    assert rate == pytest.approx(gap / 2, rel=2e-4)
    kramers = 2 * math.sqrt(2) / math.pi * math.exp(-4)
    assert rate == pytest.approx(kramers, rel=0.15)


def test_elements_keep_the_probability_that_expanded_differences_lose():
    problem = load("fokker_planck").without_answer()
    x, weight = np.polynomial.legendre.leggauss(96)

    def mass(solver):
        points = np.column_stack([np.full(len(x), 20.0), 2 * x])
        return float(2 * weight @ solver.solve(problem).at(points)["p"])

    assert mass(MethodOfLines(points=161, order=2)) == pytest.approx(0.95, abs=0.02)
    kept = mass(FiniteElements(element="P1", refinements=4, steps=80))
    assert kept == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_sorbing_start_agrees_with_the_ends(seed):
    problem = load("diffusion_sorption", seed=seed)
    (x,) = problem.space
    u = initial(problem)
    assert float(u.subs(x, 0)) == pytest.approx(1.0, abs=1e-12)
    outflow = u + 5e-4 * sp.diff(u, x)
    assert float(outflow.subs(x, 1)) == pytest.approx(0.0, abs=1e-12)
    assert float(sp.diff(u, x, 2).subs(x, 0)) == pytest.approx(0.0, abs=1e-12)
    values = numpy_function([x], [u])(np.linspace(0, 1, 401))[0]
    assert values.min() > 0


def test_the_random_state_is_given_by_its_seed_and_has_no_flux():
    problem = load("fitzhugh_nagumo")
    assert problem.definition_hash == load("fitzhugh_nagumo").definition_hash
    assert problem.definition_hash != load("fitzhugh_nagumo", seed=1).definition_hash
    x, y = problem.space
    for u in (initial(problem, 0), initial(problem, 1)):
        slopes = numpy_function([x, y], [sp.diff(u, x), sp.diff(u, y)])
        for end in (-1.0, 1.0):
            assert abs(slopes(end, X)[0]).max() < 1e-12
            assert abs(slopes(X, end)[1]).max() < 1e-12


def test_the_front_in_the_heart_runs_at_its_known_speed():
    """√(k d/2) (1 - 2 a) where the tissue has recovered."""
    problem = load("aliev_panfilov")
    solution = MethodOfLines(points=401, rtol=1e-6, atol=1e-8).solve(
        problem.without_answer()
    )
    speed = problem.quantities["speed of the front"](solution.at)
    assert speed == pytest.approx(math.sqrt(8 / 2) * (1 - 2 * 0.15), rel=5e-3)


def test_the_pendulum_has_its_known_period():
    problem = load("pendulum")
    period = 4 * ellipk(math.sin(1.5) ** 2) / math.sqrt(9.81)
    assert period == pytest.approx(5.16, abs=0.01)
    at = problem.reference.evaluate
    assert at(np.array([[0.0], [period]]))["theta"] == pytest.approx([3.0, 3.0])


def test_the_stiff_oscillator_has_its_asymptotic_period():
    problem = load("van_der_pol", stiffness=100.0)
    solution = ODESolver(method="LSODA").solve(problem.without_answer())
    t = np.linspace(0, 300, 300001)
    x = solution.at(t[:, None])["x"]
    down = t[1:][(x[:-1] > 0) & (x[1:] <= 0)]
    expected = (3 - 2 * math.log(2)) * 100 + 7.014 * 100 ** (-1 / 3)
    assert down[1] - down[0] == pytest.approx(expected, rel=2e-3)
