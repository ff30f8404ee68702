"""Residuals of solutions that jump, as balances over cells of space-time."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from pinnsuite.problem import (
    D,
    Evaluated,
    Initial,
    Interval,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)
from pinnsuite.verification.balance import balances
from pinnsuite.verification.residual import residual_findings

t, x = coordinates("t x")
u = field_of("u", t, x)


def shock(speed, **changes):
    """Burgers' equation with a jump from 1 to 0, which has to move with speed 1/2."""

    def evaluate(points):
        return {"u": (points[:, 1] < 0.25 + speed * points[:, 0]).astype(float)}

    parts = {
        "name": "shock",
        "fields": [u],
        "equations": [D(u, t) + D(u**2 / 2, x)],
        "conditions": [Initial(u, sp.Piecewise((1, x < 0.25), (0, True)))],
        "domain": Interval(x, 0, 1),
        "time": TimeInterval(t, 0, 1),
        "norm": "L1",
        "reference": Evaluated(evaluate, 1e-12, "by hand"),
    }
    return Problem(**{**parts, **changes})


def test_a_shock_must_have_the_speed_of_rankine_and_hugoniot():
    (right, *_) = residual_findings(shock(0.5))
    assert right.is_ok
    (wrong, *_) = residual_findings(shock(0.52))
    assert wrong.residual > 0.02


def test_a_wrong_sign_in_a_conservation_law_is_named():
    problem = shock(0.5)
    flipped = replace(problem, equations=[D(u, t) - D(u**2 / 2, x)])
    finding = residual_findings(flipped)[0]
    assert not finding.is_ok
    assert "sign of the term" in finding.suspect


def test_terms_are_means_over_cells():
    # u = t + x²: ∂u/∂t = 1 everywhere, and x ∂u/∂x - u = x² - t has the means of both.
    problem = shock(0.5)

    def evaluate(points):
        return {"u": points[:, 0] + points[:, 1] ** 2}

    terms = [D(u, t), x * D(u, x), -u]
    (found,) = balances(problem, [terms], evaluate)
    np.testing.assert_allclose(found[0], 1.0)
    ((direct,),) = balances(problem, [[x**2 - t]], evaluate)
    np.testing.assert_allclose(found[1] + found[2], direct, atol=1e-3)


@pytest.mark.parametrize("term", [D(u, x, 2), u * D(u, x), D(u, x) ** 2])
def test_terms_without_a_flux_are_left_to_points(term):
    assert balances(shock(0.5), [[term]], lambda points: {"u": points[:, 0]}) is None
