"""A coefficient function as one more output of a network."""

import numpy as np
import pytest
import sympy as sp

from pinnsuite.neural.deepxde import DeepXDE
from pinnsuite.neural.pinn import PINN
from pinnsuite.neural.residual import Place, residuals, values_known
from pinnsuite.neural.sampling import sample
from pinnsuite.problem import (
    D,
    Dirichlet,
    Initial,
    Interval,
    Observed,
    Problem,
    TimeInterval,
    UnknownField,
    coordinates,
    field_of,
)
from pinnsuite.problem.jets import Jet

t, x = coordinates("t x")
u, a = field_of("u", t, x), field_of("a", x)


def rod(**changes):
    """`u = e^(x-t)`, `a = 1 + x²/2`, and the source that goes with them."""
    times, places = np.meshgrid(np.linspace(0, 1, 9), np.linspace(0, 1, 9))
    points = np.stack([times.ravel(), places.ravel()], axis=1)
    exact = sp.exp(x - t)
    truth = 1 + x**2 / 2
    source = sp.diff(exact, t) - sp.diff(truth * sp.diff(exact, x), x)
    parts = {
        "name": "rod",
        "fields": [u, a],
        "equations": [D(u, t) - D(a * D(u, x), x) - source],
        "conditions": [
            Initial(u, sp.exp(x)),
            Dirichlet(u, exact),
            Dirichlet(a, truth),
            Observed(u, points, np.exp(points[:, 1] - points[:, 0])),
        ],
        "domain": Interval(x, 0, 1),
        "time": TimeInterval(t, 0, 1, 11),
        "unknowns": [UnknownField(a, 0.5, 3.0, 1.2)],
    }
    return Problem(**{**parts, **changes})


def test_its_derivative_in_time_is_to_vanish():
    constant = [r for r in residuals(rod()) if r.name == "a is constant in t"]
    assert [r.place for r in constant] == [Place("interior")]
    assert list(constant[0].lowered.jets.values()) == [Jet(1, (1, 0))]


def test_its_guess_is_its_size_where_no_value_is_known():
    problem = rod()
    conditions = [
        c for c in problem.conditions if not (isinstance(c, Dirichlet) and c.field == a)
    ]
    bare = rod(conditions=conditions)
    for made, known in ((bare, 1.2), (problem, 1.25)):
        found = residuals(made)
        samples = {r.place: sample(made, r.place, 32, 0) for r in found}
        assert values_known(made, samples, found)[1].centre == pytest.approx(known)


@pytest.mark.parametrize(
    "solver",
    [
        PINN(width=8, depth=2, points=100, boundary_points=40, steps=100),
        pytest.param(
            DeepXDE(
                width=8,
                depth=2,
                points=200,
                boundary_points=40,
                adam_steps=200,
                steps=300,
            ),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["pinn", "deepxde"],
)
def test_a_short_training_comes_close(solver):
    problem = rod()
    assert solver.why_not(problem) is None
    solution = solver.solve(problem)
    times, places = np.meshgrid([0.1, 0.9], np.linspace(0, 1, 21))
    at = np.stack([times.ravel(), places.ravel()], axis=1)
    found = solution.at(at)
    np.testing.assert_allclose(found["u"], np.exp(at[:, 1] - at[:, 0]), atol=0.05)
    np.testing.assert_allclose(found["a"], 1 + at[:, 1] ** 2 / 2, atol=0.1)
