"""The condition u >= obstacle: what it states, and who refuses it."""

from dataclasses import replace

import pytest
import sympy as sp

from pinnsuite.errors import DefinitionError, UnsupportedProblemError
from pinnsuite.problem import (
    D,
    Dirichlet,
    Initial,
    Interval,
    Obstacle,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
    manufacture,
)
from pinnsuite.problem.form import evolution, require_equations
from pinnsuite.problem.manufactured import smooth_field
from pinnsuite.registry import SOLVERS, make_solver
from pinnsuite.verification.check import check

t, x = coordinates("t x")
u = field_of("u", t, x)


def membrane(*extra):
    return Problem(
        name="membrane",
        fields=[u],
        equations=[D(u, t) - D(u, x, 2) + 1],
        domain=Interval(x, -1, 1),
        time=TimeInterval(t, 0, 1),
        conditions=[Initial(u, 0), Dirichlet(u, 0), *extra],
    )


OBSTACLE = Obstacle(u, -sp.Rational(1, 4))
SOLVE_EQUATIONS = [
    name
    for name, entry in SOLVERS.items()
    if {"pde", "dynamics", "inverse"} & set(entry.kinds) and name != "complementarity"
]


@pytest.mark.parametrize("name", SOLVE_EQUATIONS)
def test_solvers_of_equations_refuse_it(name):
    solver = make_solver(name)
    with_obstacle = solver.why_not(membrane(OBSTACLE))
    if solver.why_not(membrane()) is None:
        assert "variational inequality" in with_obstacle
        assert "use 'complementarity'" in with_obstacle
    else:
        assert with_obstacle is not None


def test_there_is_no_evolution_equation():
    require_equations(membrane())
    with pytest.raises(UnsupportedProblemError, match=r"only where u.* is above -1/4"):
        evolution(membrane(OBSTACLE))


def test_it_counts_in_the_definition_hash():
    hashes = {
        membrane(*extra).definition_hash
        for extra in ([], [OBSTACLE], [Obstacle(u, -1)])
    }
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ([Obstacle(u, u**2)], "which holds a field"),
        ([Obstacle(u, sp.Symbol("k"))], "holds k"),
        ([OBSTACLE, Obstacle(u, -1)], "2 obstacles for u"),
        ([Obstacle(field_of("v", t, x), 0)], "Obstacle is about v"),
    ],
)
def test_nonsense_is_refused_with_the_reason(extra, message):
    with pytest.raises(DefinitionError, match=message):
        membrane(*extra)


def test_the_check_says_which_sign_counts():
    lines = check(membrane(OBSTACLE), solvers=False).lines
    assert any("u(t, x) >= -1/4" in line and ">= 0" in line for line in lines)


def test_the_check_finds_a_state_below_it():
    low = replace(membrane(), conditions=[*membrane().conditions, Obstacle(u, 1)])
    faults = check(low, solvers=False).faults
    assert any("Initial(u(t, x))" in f and "below" in f for f in faults)


def test_a_manufactured_solution_stays_above():
    problem = membrane(OBSTACLE)
    exact = smooth_field(problem)
    made = manufacture(problem, exact)
    (obstacle,) = made.conditions_of(Obstacle)
    assert sp.simplify(exact[u] - obstacle.value) == 1
