import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from pinnsuite.classical.finite_element import FiniteElements
from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.problem.conditions import (
    Dirichlet,
    Flux,
    Initial,
    Neumann,
    Periodic,
    Robin,
)
from pinnsuite.problem.definition import (
    D,
    Problem,
    coordinates,
    div,
    field_of,
    grad,
    laplacian,
)
from pinnsuite.problem.domain import Box, Disk, Interval, Polygon, TimeInterval
from pinnsuite.problem.manufactured import manufacture, smooth_field
from pinnsuite.problem.mesh_domain import MeshDomain
from pinnsuite.solution.solution import Status
from pinnsuite.solution.support import common_support
from pinnsuite.solver import Refinable

DATA = Path(__file__).parents[2] / "data"

t, x, y = coordinates("t x y")
SPACE = (x, y)
SQUARE = Box((x, 0, 1), (y, 0, 1))
INTERVAL = Interval(x, 0, 1)
TIME = TimeInterval(t, 0, 1, 11)
L_SHAPE = Polygon(
    x,
    y,
    [(-1, -1), (0, -1), (0, 0), (1, 0), (1, 1), (-1, 1)],
    ["bottom", "inner", "inner", "right", "top", "left"],
)
TAYLOR_HOOD = {"elements": {"u": "P2", "v": "P2", "p": "P1"}, "gauge": "p"}

u, v, p = (field_of(name, x, y) for name in "uvp")
w, z = field_of("w", t, x), field_of("z", t, x)
heat_field = field_of("u", t, x, y)


def mixed_conditions():
    k = 1 + x**2 / 2
    return Problem(
        "mixed conditions",
        [u],
        [-div([k * g for g in grad(u, SPACE)], SPACE)],
        [
            Dirichlet(u, 0, on=("left", "bottom")),
            Robin(u, 0, on="inner", a=2, b=k),
            Neumann(u, 0, on="top"),
            Flux(u, 0, on="right", flux=(k * D(u, x), k * D(u, y))),
        ],
        L_SHAPE,
    )


def nonlinear_diffusion():
    return Problem(
        "nonlinear diffusion",
        [u],
        [-div([(1 + u**2) * g for g in grad(u, SPACE)], SPACE)],
        [
            Dirichlet(u, 0, on=("left", "bottom")),
            Robin(u, 0, on="top"),
            Neumann(u, 0, on="right"),
        ],
        SQUARE,
    )


def two_fields():
    return Problem(
        "two fields",
        [u, v],
        [
            -laplacian(u, SPACE) + u * v,
            -div([(1 + u**2) * g for g in grad(v, SPACE)], SPACE) + D(u, x),
        ],
        [
            Dirichlet(u, 0, on=("left", "top")),
            Neumann(u, 0, on=("right", "bottom")),
            Robin(v, 0),
        ],
        SQUARE,
    )


def anisotropic():
    return Problem(
        "anisotropic",
        [u],
        [-3 * D(u, x, 2) - D(u, y, 2) - D(u, x, y) / 2],
        [
            Dirichlet(u, 0, on=("left", "top", "bottom")),
            Flux(u, 0, on="right", flux=(3 * D(u, x), D(u, y) + D(u, x) / 2)),
        ],
        SQUARE,
    )


def on_a_disk():
    conditions = [Neumann(u, 0)]
    disk = Disk(x, y, (0.2, 0.1), 1)
    return Problem("disk", [u], [u - laplacian(u, SPACE)], conditions, disk)


def periodic():
    conditions = [Periodic(x), Periodic(y)]
    return Problem(
        "periodic", [u], [u - laplacian(u, SPACE) + D(u, x)], conditions, SQUARE
    )


def advection_diffusion():
    f = field_of("f", x)
    return Problem(
        "advection and diffusion",
        [f],
        [D(f, x) - D(f, x, 2) / 10],
        [Dirichlet(f, 0, on="left"), Neumann(f, 0, on="right")],
        INTERVAL,
    )


def heat():
    k = 1 + x * y
    return Problem(
        "heat",
        [heat_field],
        [D(heat_field, t) - div([k * g for g in grad(heat_field, SPACE)], SPACE)],
        [
            Initial(heat_field, 0),
            Dirichlet(heat_field, 0, on=("left", "bottom")),
            Robin(heat_field, 0, on="top"),
            Neumann(heat_field, 0, on="right"),
        ],
        SQUARE,
        TIME,
    )


def wave():
    return Problem(
        "wave",
        [w],
        [D(w, t, 2) - D(w, x, 2)],
        [
            Initial(w, 0),
            Initial(w, 0, order=1),
            Dirichlet(w, 0, on="left"),
            Neumann(w, 0, on="right"),
        ],
        INTERVAL,
        TIME,
    )


def excitable():
    return Problem(
        "excitable medium",
        [w, z],
        [D(w, t) - D(w, x, 2) / 10 - w + w**3 + z, D(z, t) - w + z],
        [Initial(w, 0), Initial(z, 0), Dirichlet(w, 0)],
        INTERVAL,
        TIME,
    )


def errors(problem, solution):
    """Relative L2 errors at scattered points; a gauge's constant does not count."""
    # Random points: those of a sequence or grid fall on the same places of the cells,
    # where the error may be unusual.
    low, high = problem.domain.bounds.T
    points = np.random.default_rng(3).uniform(low, high, (4000, len(low)))
    points = points[problem.domain.contains(points)]
    times = [None] if problem.time is None else problem.time.outputs[::5]
    if problem.time is not None:
        times = np.repeat(problem.time.outputs[::2], len(points))
        points = np.tile(points, (len(times) // len(points), 1))
        points = np.column_stack([times, points])
    values = solution.require_ok().at(points)
    missed = {}
    for f, name in zip(problem.fields, problem.field_names, strict=True):
        exact = sp.lambdify(problem.coordinates, problem.exact[f])(*points.T)
        error = values[name] - exact
        if name == problem.hints.get("gauge"):
            moments = points[:, 0] if problem.time is not None else np.zeros(len(error))
            for moment in np.unique(moments):
                error[moments == moment] -= error[moments == moment].mean()
        missed[name] = np.linalg.norm(error) / np.linalg.norm(exact)
    return missed


def observed_orders(problem, solver):
    coarse = errors(problem, solver.solve(problem.without_answer()))
    fine = errors(problem, solver.refined().solve(problem.without_answer()))
    return {name: math.log2(coarse[name] / fine[name]) for name in coarse}


CASES = [
    (mixed_conditions, 1 / 8),
    (nonlinear_diffusion, 1 / 22),
    (two_fields, 1 / 22),
    (anisotropic, 1 / 22),
    (on_a_disk, 1 / 4),
    (periodic, 1 / 16),
    (advection_diffusion, 1 / 24),
    (heat, 1 / 24),
    (wave, 1 / 24),
    (excitable, 1 / 24),
]


@pytest.mark.parametrize("element", ["P1", "P2"])
@pytest.mark.parametrize(("make", "size"), CASES, ids=[c[0].__name__ for c in CASES])
def test_every_field_has_the_order_of_its_element(make, size, element):
    problem = make()
    problem = manufacture(problem, smooth_field(problem))
    solver = FiniteElements(mesh_size=size, element=element, steps=10)
    expected = solver.expected_orders(problem)
    assert observed_orders(problem, solver) == pytest.approx(expected, abs=0.1)


HIGH = [
    (mixed_conditions, 1 / 4, "P3"),
    (mixed_conditions, 1 / 4, "P4"),
    (nonlinear_diffusion, 1 / 10, "P3"),
    (nonlinear_diffusion, 1 / 6, "P4"),
    (anisotropic, 1 / 10, "P3"),
    (anisotropic, 1 / 6, "P4"),
    (on_a_disk, 1 / 3, "P3"),
    (periodic, 1 / 8, "P3"),
    (periodic, 1 / 8, "P4"),
    (advection_diffusion, 1 / 12, "P3"),
    (advection_diffusion, 1 / 8, "P4"),
    (heat, 1 / 10, "P3"),
    (excitable, 1 / 12, "P3"),
]


@pytest.mark.parametrize(
    ("make", "size", "element"), HIGH, ids=[f"{c[0].__name__}-{c[2]}" for c in HIGH]
)
def test_elements_of_higher_degree_have_their_order_too(make, size, element):
    problem = make()
    problem = manufacture(problem, smooth_field(problem))
    solver = FiniteElements(mesh_size=size, element=element, steps=20)
    expected = solver.expected_orders(problem)
    assert expected["u" if problem.dimension == 2 else problem.field_names[0]] > 3
    assert observed_orders(problem, solver) == pytest.approx(expected, abs=0.15)


FROM_FILE = MeshDomain.from_file(DATA / "meshes" / "l_shape.msh", SPACE).triangles
ROUND = Disk(x, y, (0, 0), 1).mesh(0.5)
PROJECTED = [
    ("P3", FROM_FILE, x**3 + x * y - y),
    ("P4", FROM_FILE, x**4 + x * y**3),
    # On curved cells only polynomials of half the degree are exact.
    ("P3", ROUND, x - 2 * y),
    ("P4", ROUND, x**2 - x * y),
]


@pytest.mark.parametrize(("element", "mesh", "polynomial"), PROJECTED, ids=str)
def test_high_degree_is_continuous_however_vertices_are_ordered(
    element, mesh, polynomial
):
    """A polynomial must be its own projection; on unsorted cells it is off by 1e-3."""
    turned = np.random.default_rng(0).integers(3, size=(len(mesh.cells), 1))
    cells = np.take_along_axis(mesh.cells, (turned + np.arange(3)) % 3, axis=1)
    domain = MeshDomain(x, y, replace(mesh, cells=cells))
    problem = Problem("projection", [u], [u - polynomial], [], domain)
    solution = FiniteElements(element=element).solve(problem).require_ok()
    points = domain.sample_interior(500, seed=0)
    exact = sp.lambdify(SPACE, polynomial)(*points.T)
    np.testing.assert_allclose(solution.at(points)["u"], exact, atol=1e-12)


def test_hints_keep_their_distance_and_are_not_lowered():
    problem = incompressible(is_linear=True, outlet="walls")
    chosen = {e: FiniteElements(element=e).elements(problem) for e in ("P1", "P3")}
    assert chosen["P1"] == {"u": "P2", "v": "P2", "p": "P1"}
    assert chosen["P3"] == {"u": "P3", "v": "P3", "p": "P2"}


def corner(element, **options):
    """The singular solution at the re-entrant corner of an L, which the axes bound."""
    angle = 3 * sp.pi / 4 - sp.atan2(x + y, y - x)
    exact = (x**2 + y**2) ** sp.Rational(1, 3) * sp.sin(2 * angle / 3)
    domain = Polygon(x, y, [(0, 0), (1, 0), (1, 1), (-1, 1), (-1, -1), (0, -1)], "side")
    problem = Problem(
        "corner",
        [u],
        [-laplacian(u, SPACE)],
        [Dirichlet(u, exact)],
        domain,
        exact={u: exact},
    )
    solver = FiniteElements(mesh_size=0.1, element=element, **options)
    solution = solver.solve(problem)
    return solution.details["dofs"], errors(problem, solution)["u"]


def test_adaption_regains_what_a_corner_costs():
    # Uniform meshes: 8.2e-4 with 1361, 3.2e-4 with 5281 degrees of freedom.
    dofs, error = corner("P2", grading="adaptive")
    assert dofs < 2000
    assert error < 1e-4
    dofs, error = corner("P4", grading="adaptive")
    assert dofs < 8000
    assert error < 2e-6
    assert corner("P2")[1] > 5e-4


def test_adaption_starts_newton_from_the_coarser_mesh_and_ends_at_its_size():
    problem = nonlinear_diffusion()
    problem = manufacture(problem, smooth_field(problem))
    solver = FiniteElements(mesh_size=1 / 10, grading="adaptive")
    solution = solver.solve(problem.without_answer()).require_ok()
    uniform = replace(solver, grading="uniform").solve(problem).details
    assert 0.8 < solution.details["cells"] / uniform["cells"] < 2.5
    assert solution.details["newton_iterations"] < uniform["newton_iterations"]
    assert errors(problem, solution)["u"] < 1e-3
    assert solver.expected_order(problem) is None


def test_cosine_grading_keeps_the_order_and_resolves_layers():
    f = field_of("f", x)
    layer = Problem(
        "boundary layer",
        [f],
        [f - D(f, x, 2) / 10000],
        [Dirichlet(f, 1)],
        INTERVAL,
        exact={f: sp.cosh(100 * (x - sp.Rational(1, 2))) / sp.cosh(50)},
    )
    uniform, graded = (
        errors(layer, FiniteElements(mesh_size=1 / 40, grading=g).solve(layer))["f"]
        for g in ("uniform", "cosine")
    )
    assert graded < uniform / 20
    problem = manufacture(anisotropic(), smooth_field(anisotropic()))
    solver = FiniteElements(mesh_size=1 / 16, grading="cosine")
    assert observed_orders(problem, solver) == pytest.approx({"u": 3}, abs=0.1)


def test_multigrid_agrees_with_factors_and_refuses_what_it_cannot():
    problem = manufacture(two_materials(), {u: sp.sin(2 * x + y)})
    direct, iterative = (
        FiniteElements(mesh_size=1 / 40, linear_solver=s).solve(problem).require_ok()
        for s in ("direct", "multigrid")
    )
    np.testing.assert_allclose(
        iterative.fields["u"], direct.fields["u"], rtol=0, atol=1e-9
    )
    solver = FiniteElements(mesh_size=1 / 8, linear_solver="multigrid")
    refused = solver.solve(incompressible(is_linear=True, outlet="walls"))
    assert refused.status is Status.FAILED
    assert "linear_solver='direct'" in refused.sentence
    assert "stationary" in solver.why_not(heat())


def two_materials():
    k = sp.Piecewise((1, x < sp.Rational(1, 2)), (10, True))
    return Problem(
        "two materials",
        [u],
        # The other sign than usual: definite all the same.
        [div([k * g for g in grad(u, SPACE)], SPACE)],
        [Dirichlet(u, 0, on=("left", "right")), Neumann(u, 0, on=("top", "bottom"))],
        SQUARE,
    )


REFUSED = [
    ({"grading": "cosine"}, mixed_conditions, "boxes"),
    ({"grading": "adaptive"}, heat, "stationary"),
    ({"element": "P4"}, on_a_disk, "P3"),
    ({"element": "P4"}, heat, "order 4"),
]


@pytest.mark.parametrize(
    ("options", "make", "word"), REFUSED, ids=lambda v: getattr(v, "__name__", str(v))
)
def test_options_that_do_not_fit_a_problem_are_refused(options, make, word):
    assert word in FiniteElements(**options).why_not(make())


def incompressible(is_linear, outlet):
    def transport(f):
        return 0 if is_linear else u * D(f, x) + v * D(f, y)

    sides = ("left", "bottom", "top")
    conditions = [Dirichlet(u, 0, on=sides), Dirichlet(v, 0, on=sides)]
    if outlet == "walls":
        conditions += [Dirichlet(u, 0, on="right"), Dirichlet(v, 0, on="right")]
    else:
        traction = (D(u, x) / 10 - p, D(u, y) / 10)
        conditions += [Flux(u, 0, on="right", flux=traction)]
        conditions += [Neumann(v, 0, on="right")]
    return Problem(
        "incompressible flow",
        [u, v, p],
        [
            transport(u) + D(p, x) - laplacian(u, SPACE) / 10,
            transport(v) + D(p, y) - laplacian(v, SPACE) / 10,
            D(u, x) + D(v, y),
        ],
        conditions,
        SQUARE,
        hints=TAYLOR_HOOD,
    )


STREAM = sp.sin(2 * x + sp.Rational(1, 2)) * sp.sin(2 * y + x)
FLOW = {u: sp.diff(STREAM, y), v: -sp.diff(STREAM, x), p: sp.sin(2 * x - y)}


@pytest.mark.parametrize("is_linear", [True, False], ids=["stokes", "navier-stokes"])
@pytest.mark.parametrize("outlet", ["walls", "traction"])
def test_velocities_have_order_3_and_the_pressure_order_2(is_linear, outlet):
    problem = manufacture(incompressible(is_linear, outlet), FLOW)
    solver = FiniteElements(mesh_size=1 / 20)
    assert solver.expected_order(problem) == 2
    observed = observed_orders(problem, solver)
    assert observed == pytest.approx({"u": 3, "v": 3, "p": 2}, abs=0.1)


def test_unsteady_flow_is_a_differential_algebraic_system():
    # The pressure has no initial value, and is right at the first time all the same.
    a, b, q = (field_of(name, t, x, y) for name in "uvp")
    stream = sp.sin(2 * x + sp.Rational(1, 2)) * sp.sin(2 * y + x + 2 * t)
    flow = {a: sp.diff(stream, y), b: -sp.diff(stream, x), q: sp.sin(2 * x - y + 3 * t)}
    problem = Problem(
        "unsteady flow",
        [a, b, q],
        [
            D(a, t) + a * D(a, x) + b * D(a, y) + D(q, x) - laplacian(a, SPACE) / 10,
            D(b, t) + a * D(b, x) + b * D(b, y) + D(q, y) - laplacian(b, SPACE) / 10,
            D(a, x) + D(b, y),
        ],
        [Initial(a, 0), Initial(b, 0), Dirichlet(a, 0), Dirichlet(b, 0)],
        SQUARE,
        TIME,
        hints=TAYLOR_HOOD,
    )
    problem = manufacture(problem, flow)
    observed = observed_orders(problem, FiniteElements(mesh_size=1 / 8, steps=5))
    assert observed["u"] > 2.9
    assert observed["v"] > 2.9
    assert observed["p"] > 1.9


def test_time_dependent_boundary_values_do_not_spoil_the_order_in_time():
    problem = Problem(
        "heat",
        [w],
        [D(w, t) - D(w, x, 2)],
        [Initial(w, 0), Dirichlet(w, 0, on="left"), Robin(w, 0, on="right")],
        INTERVAL,
        TIME,
    )
    problem = manufacture(problem, {w: sp.sin(x + 1) * sp.cos(8 * t + x)})
    coarse, fine = (
        errors(problem, FiniteElements(mesh_size=1 / 300, steps=n).solve(problem))["w"]
        for n in (10, 20)
    )
    assert math.log2(coarse / fine) > 4


def test_a_jump_of_the_conductivity_at_a_node_is_exact():
    f = field_of("f", x)
    k = sp.Piecewise((1, x < 0.5), (3, True))
    problem = Problem(
        "two materials",
        [f],
        [-div([k * D(f, x)], (x,))],
        [Dirichlet(f, 0, on="left"), Flux(f, 3, on="right", flux=(k * D(f, x),))],
        INTERVAL,
    )
    at = np.linspace(0, 1, 41)[:, None]
    values = FiniteElements(mesh_size=0.1).solve(problem).at(at)["f"]
    exact = np.where(at < 0.5, 3 * at, 1.5 + (at - 0.5))[:, 0]
    np.testing.assert_allclose(values, exact, atol=1e-12)


def lid(*conditions):
    return Problem(
        "lid-driven cavity",
        [u, v, p],
        [
            u * D(u, x) + v * D(u, y) + D(p, x) - laplacian(u, SPACE) / 100,
            u * D(v, x) + v * D(v, y) + D(p, y) - laplacian(v, SPACE) / 100,
            D(u, x) + D(v, y),
        ],
        [*conditions, Dirichlet(v, 0)],
        SQUARE,
        hints=TAYLOR_HOOD,
    )


WALLS = Dirichlet(u, 0, on=("left", "right", "bottom"))
LID = Dirichlet(u, 1, on="top")


def test_the_cavity_at_reynolds_100_has_its_known_velocity_minimum():
    solution = FiniteElements(mesh_size=1 / 40).solve(lid(WALLS, LID)).require_ok()
    height = np.linspace(0, 1, 1001)
    centre = np.column_stack([np.full(1001, 0.5), height])
    # Spectral and hp solutions with the plain lid: -0.2140 (O. Botella & R. Peyret,
    # DOI 10.1016/S0045-7930(98)00002-4: -0.21404).
    assert solution.at(centre)["u"].min() == pytest.approx(-0.2140, abs=2e-4)
    assert abs(solution.details["gauge_multiplier"]) < 1e-12


def test_the_first_condition_owns_the_corner():
    solver = FiniteElements(mesh_size=1 / 4)
    for conditions, corner in (((WALLS, LID), 0), ((LID, WALLS), 1)):
        values = solver.solve(lid(*conditions)).at(np.array([[0.0, 1.0], [0.5, 1.0]]))
        np.testing.assert_allclose(values["u"], [corner, 1], atol=1e-12)


def test_square_with_four_holes_agrees_with_an_external_solution():
    outer = dict.fromkeys(("left", "right", "bottom", "top"), "outer")
    domain = Box((x, -0.5, 0.5), (y, -0.5, 0.5), names=outer)
    for centre in ((0.3, 0.3), (-0.3, 0.3), (0.3, -0.3), (-0.3, -0.3)):
        domain = domain - Disk(x, y, centre, 0.1, "holes")
    problem = Problem(
        "four holes",
        [u],
        [-laplacian(u, SPACE)],
        [Dirichlet(u, 1, on="outer"), Dirichlet(u, 0, on="holes")],
        domain,
    )
    with np.load(DATA / "external" / "poisson_classic.npz") as data:
        points, external = np.column_stack([data["x"], data["y"]]), data["u"]
    values = FiniteElements(refinements=1).solve(problem).at(points)["u"]
    missed = np.linalg.norm(values - external) / np.linalg.norm(external)
    assert missed < 3e-4


def plate():
    domain = MeshDomain.from_file(DATA / "meshes" / "l_shape.msh", SPACE)
    return Problem(
        "heated plate",
        [heat_field],
        [D(heat_field, t) - laplacian(heat_field, SPACE) - sp.exp(-x * x - y * y)],
        [
            Initial(heat_field, 0),
            Dirichlet(heat_field, 1 - sp.exp(-20 * t), on="hot"),
            Robin(heat_field, 0, on="cooled", a=5),
            Neumann(heat_field, 0, on="insulated"),
        ],
        domain,
        TimeInterval(t, 0, 1),
    )


def test_a_mesh_from_a_file_is_taken_with_its_named_groups():
    problem = plate()
    problem = manufacture(problem, smooth_field(problem))
    solver = FiniteElements(steps=10)
    assert len(solver.mesh(problem).cells) == 544
    assert observed_orders(problem, solver) == pytest.approx({"u": 3}, abs=0.1)


def test_evaluation_agrees_with_the_nodes_however_points_are_arranged():
    problem = plate()
    solution = FiniteElements(steps=10).solve(problem)
    np.testing.assert_allclose(
        solution.at(solution.support.points)["u"],
        solution.fields["u"].ravel(),
        atol=1e-12,
    )
    points = common_support(problem).points
    together = solution.at(points)["u"]
    shuffled = np.random.default_rng(0).permutation(len(points))[:500]
    np.testing.assert_allclose(
        solution.at(points[shuffled])["u"], together[shuffled], atol=1e-12
    )


def test_quadratic_fields_are_exact_inside_on_edges_and_just_outside():
    exact = 1 + x + 2 * y + x**2 - x * y
    problem = manufacture(
        Problem("q", [u], [-laplacian(u, SPACE)], [Dirichlet(u, 0)], L_SHAPE),
        {u: exact},
    )
    solution = FiniteElements(mesh_size=0.3).solve(problem)
    nodes = solution.support.mesh.points
    middles = nodes[solution.support.mesh.edges].mean(axis=1)
    points = np.concatenate([nodes, middles, nodes * (1 + 1e-6)])
    expected = sp.lambdify(SPACE, exact)(*points.T)
    np.testing.assert_allclose(solution.at(points)["u"], expected, atol=1e-11)


def poisson(equation, *conditions, fields=(u,), domain=SQUARE, **more):
    return Problem("poisson", fields, equation, conditions, domain, **more)


def test_a_field_that_is_free_up_to_a_constant_needs_the_gauge():
    solver = FiniteElements(mesh_size=1 / 8)
    free = poisson([-laplacian(u, SPACE) - x + sp.Rational(1, 2)], Neumann(u, 0))
    solution = solver.solve(free)
    assert solution.status is Status.FAILED
    assert "hints={'gauge': 'u'}" in solution.sentence
    gauged = poisson(free.equations, Neumann(u, 0), hints={"gauge": "u"})
    solution = solver.solve(gauged).require_ok()
    at = np.column_stack([np.linspace(0, 1, 21), np.full(21, 0.3)])
    exact = -(at[:, 0] ** 3) / 6 + at[:, 0] ** 2 / 4 - 1 / 24
    np.testing.assert_allclose(solution.at(at)["u"], exact, atol=1e-4)


FAILING = [
    (
        poisson(
            [-laplacian(u, SPACE) - 1, D(u, x)],
            Dirichlet(u, 0),
            fields=(u, v),
        ),
        Status.FAILED,
        "singular",
    ),
    (poisson([sp.log(u) - laplacian(u, SPACE)], Dirichlet(u, -1)), Status.NAN, "NaN"),
    # Bratu's problem has no solution for a factor above 6.81.
    (
        poisson([-laplacian(u, SPACE) - 9 * sp.exp(u)], Dirichlet(u, 0)),
        Status.DIVERGED,
        "Newton",
    ),
]


@pytest.mark.parametrize(("problem", "status", "word"), FAILING)
def test_a_failed_solve_says_why(problem, status, word):
    solution = FiniteElements(mesh_size=1 / 8).solve(problem)
    assert solution.status is status
    assert word in solution.sentence


def test_what_cannot_be_solved_is_refused_with_its_reason():
    solver = FiniteElements()
    four = coordinates("a b c d")
    box = Box(*((c, 0, 1) for c in four))
    f = field_of("f", *four)
    in_four = poisson([-laplacian(f, four)], Dirichlet(f, 0), fields=(f,), domain=box)
    assert "4 space coordinates" in solver.why_not(in_four)
    with pytest.raises(UnsupportedProblemError, match="because it has 4 space"):
        solver.solve(in_four)
    hints = {"elements": {"u": "P5"}}
    quintic = poisson([-laplacian(u, SPACE)], Dirichlet(u, 0), hints=hints)
    assert "'P5' for 'u'" in solver.why_not(quintic)
    assert solver.why_not(nonlinear_diffusion()) is None


@pytest.mark.parametrize(
    "options",
    [
        {"element": "P5"},
        {"grading": "geometric"},
        {"linear_solver": "lu"},
        {"mesh_size": 0.0},
        {"refinements": -1},
        {"steps": 0},
        {"max_newton": 0},
        {"newton_tolerance": 0.0},
    ],
    ids=str,
)
def test_a_wrong_option_is_named(options):
    (name,) = options
    with pytest.raises(OptionError, match=name):
        FiniteElements(**options)


def test_it_keeps_the_protocol_of_refinable_solvers():
    solver = FiniteElements(steps=7)
    assert isinstance(solver, Refinable)
    fine = solver.refined()
    assert (fine.refinements, fine.steps) == (1, 14)
    problem = nonlinear_diffusion()
    assert fine.mesh(problem).size == pytest.approx(solver.mesh(problem).size / 2)
