from dataclasses import replace

import numpy as np
import pytest

from pinnsuite.classical import reconstruction
from pinnsuite.classical.lines import MethodOfLines
from pinnsuite.problem import Problem, load
from pinnsuite.problem.catalog import entries
from pinnsuite.verification.order import STARTS, verify, why_not

PROBLEMS = [n for n, e in entries().items() if e.returns == "Problem"]
QUICK = ("burgers", "lorenz")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in PROBLEMS],
)
def test_every_classical_solver_shows_its_declared_order(name):
    problem = load(name)
    assert isinstance(problem, Problem)
    rows = verify([problem])
    if not rows:
        unsaid = [s for s in STARTS if why_not(problem, s) is None]
        assert not unsaid, "these take it, and none came to its end"
    for row in rows:
        assert row.is_ok, row


def test_a_scheme_that_loses_its_order_is_found(monkeypatch):
    """Second differences that call themselves fourth-order do not pass."""
    honest = MethodOfLines.solve

    def lying(self, problem, **more):
        return honest(replace(self, order=2), problem, **more)

    monkeypatch.setattr(MethodOfLines, "solve", lying)
    rows = verify([load("wave")], ["lines"])
    (row,) = [r for r in rows if r.solver == "lines 4"]
    assert row.observed_order == pytest.approx(2.0, abs=0.1)
    assert not row.is_ok


def test_a_scheme_that_is_not_stable_is_found(monkeypatch):
    """Fluxes from downwind do not pass, on however short an interval."""
    honest = reconstruction.riemann_flux

    def downwind(wave, flux, left, right):
        middle = (left + right) / 2
        centred = honest(wave, flux, middle, middle)
        return 2 * centred - honest(wave, flux, left, right)

    monkeypatch.setattr(reconstruction, "riemann_flux", downwind)
    rows = verify([load("burgers_inviscid")], ["finite-volume"])
    (row,) = [r for r in rows if r.solver == "finite-volume MUSCL"]
    assert not row.is_ok


def test_noise_is_not_taken_for_rounding(monkeypatch):
    honest = MethodOfLines.solve
    noise = np.random.default_rng(0)

    def noisy(self, problem, **more):
        found = honest(self, problem, **more)
        fields = {
            k: v * (1 + 1e-4 * noise.standard_normal(v.shape))
            for k, v in found.fields.items()
        }
        return replace(found, fields=fields, evaluator=None)

    monkeypatch.setattr(MethodOfLines, "solve", noisy)
    rows = verify([load("wave")], ["lines"])
    assert rows
    assert not any(row.is_ok for row in rows)


def test_estimates_without_the_solution_are_the_errors():
    rows = [r for r in verify([load("wave")], ["finite-element"]) if r.error > 1e-10]
    assert len(rows) >= 2, "of an error above rounding"
    for row in rows:
        assert row.error_estimate == pytest.approx(row.error, rel=0.25)
