"""What holds for every problem of the catalogue, whoever wrote it."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from pinnsuite.problem import Family, Problem, SignalProblem, manufacture
from pinnsuite.problem.catalog import entries
from pinnsuite.problem.manufactured import smooth_field
from pinnsuite.verification.residual import residual_findings

ENTRIES = entries()
PROBLEMS = [n for n, e in ENTRIES.items() if e.returns == "Problem"]
KNOWN = [n for n in PROBLEMS if ENTRIES[n].reference in ("exact", "evaluated")]
SPATIAL = [n for n in PROBLEMS if ENTRIES[n].kind == "pde"]


@pytest.fixture(scope="module", params=PROBLEMS)
def problem(request):
    return ENTRIES[request.param].make()


@pytest.mark.parametrize("name", ENTRIES)
def test_it_can_be_made_without_arguments_under_its_own_name(name):
    made = ENTRIES[name].make()
    assert isinstance(made, Problem | Family | SignalProblem)
    assert made.name == name


@pytest.mark.parametrize("name", ENTRIES)
def test_it_has_a_statement_and_a_source(name):
    statement = ENTRIES[name].statement
    assert len(statement.splitlines()) >= 3, "title, blank line, statement"
    assert ENTRIES[name].make().source


def test_known_solution_satisfies_everything_that_is_stated(problem):
    for finding in residual_findings(problem):
        assert finding.is_ok, finding


@pytest.mark.parametrize("name", KNOWN)
def test_a_flipped_sign_is_found_and_named(name):
    """Where a solution is known, no term's sign can be wrong unnoticed."""
    problem = ENTRIES[name].make()

    def finding(i, equation):
        equations = list(problem.equations)
        equations[i] = equation
        changed = replace(problem, equations=equations)
        return residual_findings(changed, conditions=False)[i]

    for i, equation in enumerate(problem.equations):
        for term in sp.Add.make_args(equation):
            wrong = finding(i, equation - 2 * term)
            if wrong.is_ok:
                # It vanishes on this solution; what is stated is pinned besides.
                assert finding(i, term).residual < 1e-8
            else:
                assert "sign of the term" in wrong.suspect


def test_manufactured_solution_solves_the_manufactured_problem(problem):
    made = manufacture(problem, smooth_field(problem))
    for finding in residual_findings(made):
        assert finding.residual < 1e-9, finding


@pytest.mark.parametrize("name", SPATIAL)
def test_every_boundary_can_be_sampled(name):
    problem = ENTRIES[name].make()
    for name in problem.domain.boundaries:
        points, normals = problem.domain.sample_boundary(name, 20, seed=0)
        assert len(points) == 20
        np.testing.assert_allclose((normals**2).sum(axis=1), 1.0)
