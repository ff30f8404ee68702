"""Jumps under derivatives give way to waves; everything else stays."""

import sympy as sp

from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Flux,
    Problem,
    coordinates,
    div,
    field_of,
    grad,
    tabulated,
)
from pinnsuite.problem.form import JUMPS, lost_jumps
from pinnsuite.problem.smoothed import smoothed

x, y = coordinates("x y")
u = field_of("u", x, y)


def layered(a, f=1):
    flux = tuple(a * g for g in grad(u, (x, y)))
    return Problem(
        "layered",
        fields=[u],
        equations=[-div(flux, (x, y)) - f],
        conditions=[Flux(u, 0, on="left", flux=flux), Dirichlet(u, 0)],
        domain=Box((x, 0, 1), (y, 0, 1)),
    )


def test_a_wave_stands_for_a_table_in_equations_and_conditions():
    a = tabulated("a", ([0, 1], [0, 1]), [[1, 2], [3, 5]])(x, y)
    made = smoothed(layered(a, f=sp.Heaviside(x - 0.5)))
    assert lost_jumps(made) == ()
    assert not made.conditions[0].flux[0].has(*JUMPS)
    assert made.equations[0].has(sp.Heaviside), "a source may jump"
    (wave,) = {
        d.expr / D(u, x)
        for d in made.equations[0].atoms(sp.Derivative)
        if d.expr.has(D(u, x)) and d.expr != u
    }
    values = [wave.subs({x: i / 8, y: j / 8}) for i in range(9) for j in range(9)]
    assert 1 < min(values) < max(values) < 5


def test_a_problem_without_jumps_is_left_alone():
    problem = layered(1 + x)
    assert smoothed(problem) is problem
