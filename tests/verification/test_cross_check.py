"""Never one solver alone."""

from dataclasses import replace

import pytest
import sympy as sp

from pinnsuite.classical.ode import ODESolver
from pinnsuite.errors import TruthError
from pinnsuite.problem import (
    D,
    Dirichlet,
    Initial,
    Interval,
    Ladder,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)
from pinnsuite.verification import reference
from pinnsuite.verification.cross_check import cross_check

t, x = coordinates("t x")


def oscillator(**changes):
    y = field_of("y", t)
    parts = {
        "name": "oscillator",
        "fields": [y],
        "equations": [D(y, t, 2) + y],
        "time": TimeInterval(t, 0, 3, num_outputs=31),
        "conditions": [Initial(y, 1), Initial(y, 0, order=1)],
        "reference": Ladder("ode", {"rtol": 1e-9, "atol": 1e-11}),
    }
    return Problem(**{**parts, **changes})


def test_tolerance_control_is_checked_by_another_method(tmp_path):
    problem = oscillator()
    first = reference(problem, cache=tmp_path)
    second = first.cross_check
    assert "method='Radau'" in second.solver
    assert second.agrees
    assert 0 < second.difference["y"] <= 1.1 * second.error_estimate["y"]
    again = reference(problem, cache=tmp_path)
    assert again.cross_check == second
    assert again.part("x").cross_check.solver == second.solver


def test_a_reference_that_is_silently_wrong_is_refused(tmp_path, monkeypatch):
    """As a Taylor integrator on the double pendulum at rest: wrong, and content."""
    honest = ODESolver.solve

    def deceived(self, problem, **more):
        if self.method == "DOP853":
            equations = [e + sp.Rational(1, 1000) for e in problem.equations]
            problem = replace(problem, equations=equations)
        return honest(self, problem, **more)

    monkeypatch.setattr(ODESolver, "solve", deceived)
    with pytest.raises(TruthError, match=r"away from ODESolver\(method='Radau'"):
        reference(oscillator(), cache=tmp_path)


def test_an_equation_in_space_gets_another_discretisation(tmp_path):
    u = field_of("u", t, x)
    problem = Problem(
        name="cooling",
        fields=[u],
        equations=[D(u, t) - D(u, x, 2) / sp.pi**2],
        domain=Interval(x, 0, 1),
        time=TimeInterval(t, 0, 1, num_outputs=11),
        conditions=[Initial(u, sp.sin(sp.pi * x)), Dirichlet(u, 0)],
        exact={u: sp.exp(-t) * sp.sin(sp.pi * x)},
    )
    first = reference(problem, cache=tmp_path)
    assert first.cross_check is None
    second = cross_check(problem, first)
    assert second.solver.startswith("MethodOfLines")
    assert second.agrees
    assert second.difference["u"] == pytest.approx(second.error_estimate["u"], rel=0.3)
    other = replace(problem, exact=None, reference=Ladder("lines", {"points": 21}))
    assert not cross_check(other, first).solver.startswith("MethodOfLines")
    shifted = {"u": first.fields(first.solution.support)["u"] + 1e-3}
    wrong = replace(first, solution=replace(first.solution, fields=shifted))
    assert not cross_check(problem, wrong).agrees


def test_a_second_solution_that_knows_nothing_is_not_told(tmp_path, monkeypatch):
    problem = oscillator()
    first = reference(problem, cache=tmp_path)
    module = "pinnsuite.verification.cross_check"
    monkeypatch.setattr(f"{module}.WORTH_TELLING", 1e-30)
    assert cross_check(problem, first) is None
