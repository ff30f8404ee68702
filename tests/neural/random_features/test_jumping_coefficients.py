"""Where a coefficient jumps, the flux is continuous and the gradient is not."""

import numpy as np
import pytest
import sympy as sp

from pinnsuite.neural.random_features.basis import SINE, draw
from pinnsuite.neural.random_features.equations import Equations
from pinnsuite.neural.random_features.solver import RandomFeatures, evaluator
from pinnsuite.neural.random_features.system import System
from pinnsuite.neural.random_features.whole import layers, level
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Disk,
    Flux,
    Initial,
    Interval,
    Neumann,
    Problem,
    TimeInterval,
    coordinates,
    div,
    field_of,
    grad,
    tabulated,
)
from pinnsuite.solution.solution import Status
from pinnsuite.verification.judge import judge
from pinnsuite.verification.reference import reference

t, x, y = coordinates("t x y")
HALF = sp.Rational(1, 2)


def kinked(contrast):
    """Return a coefficient and a function of x with a continuous flux of 1."""
    a = sp.Piecewise((1, x < HALF), (contrast, True))
    return a, sp.Piecewise((x, x < HALF), (HALF + (x - HALF) / contrast, True))


def sheet(contrast, build=lambda a: a):
    """Return flow along and across an interface: u = v(x) sin y."""
    a, v = kinked(contrast)
    u = field_of("u", x, y)
    flux = [build(a) * g for g in grad(u, (x, y))]
    return Problem(
        "sheet",
        fields=[u],
        equations=[div(flux, (x, y)) + a * v * sp.sin(y)],
        conditions=[
            Dirichlet(u, 0, on="left"),
            Flux(u, sp.sin(y), on="right", flux=tuple(flux)),
            Dirichlet(u, 0, on="bottom"),
            Neumann(u, v * sp.cos(2), on="top"),
        ],
        domain=Box((x, 0, 1), (y, 0, 2)),
        exact={u: v * sp.sin(y)},
    )


def error(problem, solution):
    return judge(problem, solution, reference(problem)).error.value


@pytest.mark.parametrize("contrast", [1000, 3, sp.Rational(1, 1000)])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_kink_is_kept_whatever_the_contrast(contrast, seed):
    problem = sheet(contrast)
    solution = RandomFeatures(seed=seed, tolerances=(1e-4,)).solve(problem)
    assert solution.status is Status.OK
    assert error(problem, solution) < 1e-4


def heaviside(a):
    (low, _), (high, _) = a.args
    return low + (high - low) * sp.Heaviside(x - HALF)


def table(a):
    (low, _), (high, _) = a.args
    return tabulated("a", ([0, 1],), [float(low), float(high)])(x)


@pytest.mark.parametrize("build", [heaviside, table])
def test_it_does_not_matter_how_a_jump_is_written(build):
    problem = sheet(sp.Integer(5), build)
    solution = RandomFeatures(tolerances=(1e-5,)).solve(problem)
    assert error(problem, solution) < 1e-5


def test_flux_passes_where_patches_of_two_sizes_meet_at_crossing_planes():
    """With a = p(x) q(y), p v' = 1 and q w' = 1, `div(a grad(v w)) = 0`."""
    p, v = kinked(5)
    q, w = (f.subs(x, y) for f in kinked(20))
    u = field_of("u", x, y)
    flux = [p * q * g for g in grad(u, (x, y))]
    problem = Problem(
        "crossing",
        fields=[u],
        equations=[div(flux, (x, y))],
        conditions=[Dirichlet(u, v * w)],
        domain=Box((x, 0, 1), (y, 0, 1)),
    )
    equations = Equations.of(problem)
    partition = layers(equations).refined([0]).refined([1])
    assert len({tuple(np.ptp(b, axis=1)) for b in partition.boxes}) > 1
    found = level(
        equations, "", draw(80, (3.0, 3.0), SINE, 0), partition, 0, lambda: 1.0
    )
    points = np.random.default_rng(0).uniform(0.01, 0.99, (300, 2))
    exact = sp.lambdify([x, y], v * w)(*points.T)
    values = evaluator(problem, [found.piece])(points)["u"]
    assert np.abs(values - exact).max() < 1e-4


def test_heat_crosses_an_interface():
    a, v = kinked(sp.Integer(20))
    u = field_of("u", t, x)
    exact = sp.exp(-t) * v
    problem = Problem(
        "layers",
        fields=[u],
        equations=[D(u, t) - D(a * D(u, x), x) + exact],
        conditions=[Initial(u, v), Dirichlet(u, exact)],
        domain=Interval(x, 0, 1),
        time=TimeInterval(t, 0, 1),
        exact={u: exact},
    )
    solution = RandomFeatures(tolerances=(1e-5,)).solve(problem)
    assert solution.status is Status.OK
    assert error(problem, solution) < 1e-5


@pytest.mark.parametrize("contrast", [100, sp.Rational(1, 100)])
def test_heat_in_a_sheet_is_solved_for_the_whole_time_at_once(contrast):
    a, v = kinked(contrast)
    u = field_of("u", t, x, y)
    exact = sp.exp(-t) * v * sp.sin(y)
    flow = div([a * g for g in grad(u, (x, y))], (x, y))
    problem = Problem(
        "sheet",
        fields=[u],
        equations=[D(u, t) - flow + (1 - a) * exact],
        conditions=[Initial(u, exact.subs(t, 0)), Dirichlet(u, exact)],
        domain=Box((x, 0, 1), (y, 0, 2)),
        time=TimeInterval(t, 0, 1),
        exact={u: exact},
    )
    solution = RandomFeatures(tolerances=(1e-4,)).solve(problem)
    assert solution.details["method"].endswith("in 2 patches")
    assert error(problem, solution) < 1e-4


def test_the_moment_and_the_shear_force_of_a_beam_are_continuous():
    u = field_of("u", x)
    stiffness, _ = kinked(sp.Integer(4))
    problem = Problem(
        "beam",
        fields=[u],
        equations=[D(stiffness * D(u, x, 2), x, 2)],
        conditions=[Dirichlet(u, 0), Neumann(u, 1)],
        domain=Interval(x, 0, 1),
    )
    fluxes = Equations.of(problem).fluxes
    assert set(fluxes) == {(0, 0, 2), (0, 0, 3)}
    for (_, _, order), flux in fluxes.items():
        assert [j.orders for j in flux.jets] == [(order,)]
        for place, stiff in ((0.4, 1), (0.6, 4)):
            value, slope = flux.function(place, 2.0)
            assert (value, slope) == (2 * stiff, stiff)


@pytest.mark.parametrize("contrast", [1000, sp.Rational(1, 1000)])
def test_a_solution_that_loses_flux_at_an_interface_is_noticed(contrast):
    a, _ = kinked(contrast)
    u = field_of("u", x)
    problem = Problem(
        "two layers",
        fields=[u],
        equations=[D(a * D(u, x), x)],
        conditions=[Dirichlet(u, x)],
        domain=Interval(x, 0, 1),
    )
    equations = Equations.of(problem)
    basis = draw(10, (1.0,), SINE, 0)
    system = System(equations, basis, layers(equations), None, None)
    # u = x: continuous, and right in each layer and at the ends.
    straight = np.zeros(system.shape)
    straight[:, 0, -2:] = [[0.25, 0.25], [0.75, 0.25]]
    assert system.indicators(straight, None).max() > 0.1


def test_curved_interfaces_and_too_many_layers_are_refused():
    u = field_of("u", x, y)

    def why_not(a):
        return RandomFeatures().why_not(
            Problem(
                "refused",
                fields=[u],
                equations=[div([a * g for g in grad(u, (x, y))], (x, y))],
                conditions=[Dirichlet(u, 0)],
                domain=Disk(x, y, (0, 0), 1),
            )
        )

    assert "planes" in why_not(1 + sp.Heaviside(x * y))
    nodes = np.linspace(-1, 1, 100)
    values = np.random.default_rng(0).uniform(1, 2, (100, 100))
    assert "boxes" in why_not(tabulated("a", (nodes, nodes), values)(x, y))
    assert "not linear" in why_not((1 + sp.Heaviside(x)) * u)
