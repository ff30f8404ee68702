"""Finite elements of high order by NGSolve: a second, independent code.

The weak form is the one that `weak_form` derives; the mesher (Netgen), the curved
elements of any degree, the geometric refinement at corners, the assembly, the
linearisation and the factorisation are NGSolve's. It is an optional dependency
(`pip install pinnsuite[ngsolve]`, LGPL-2.1).

Sources: J. Schöberl, NETGEN, Computing and Visualization in Science 1 (1997) 41-52,
DOI 10.1007/s007910050004; E. Hairer & G. Wanner, Solving Ordinary Differential
Equations II, 1996, table IV.6.5 (SDIRK), DOI 10.1007/978-3-642-05221-7; C. Schwab, p-
and hp-Finite Element Methods, 1998 (geometric meshes at corners).
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import sympy as sp
from scipy.interpolate import CubicSpline

from pinnsuite.classical.weak_form import WeakForm, weak_form
from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.problem.conditions import Periodic, normal
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.domain import Box, Domain, PlanarDomain
from pinnsuite.problem.jets import is_linear, jacobian
from pinnsuite.problem.outline import Arc, Curve, Segment
from pinnsuite.problem.tables import Tabulated
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solution.support import common_support
from pinnsuite.solver import Progress, require_supported, silent

Array = np.ndarray

DIVISIONS = 12
"""Edges along the longest side of a domain when no mesh size is given."""

BONUS = 6
"""Degrees that quadrature integrates beyond products of shape functions."""

GRADING = 0.15
"""Ratio of successive layers of cells at a corner."""

_STAGES = (1 / 4, 3 / 4, 11 / 20, 1 / 2, 1.0)
_DIAGONAL = 1 / 4
_WEIGHTS = (
    (),
    (1 / 2,),
    (17 / 50, -1 / 25),
    (371 / 1360, -137 / 2720, 15 / 544),
    (25 / 24, -49 / 48, 125 / 16, -85 / 12),
)
"""The stiffly accurate, L-stable SDIRK method of order 4 in five stages."""


@dataclass(frozen=True)
class NGSolveElements:
    """Elements of degree p on curved triangles, graded geometrically at corners.

    In a mixed form a field whose hint is an element of lower degree gets p - 1, as the
    pressure of Taylor and Hood. For piecewise analytic solutions the error falls
    exponentially in p as layers at the corners are added along, which `refined` does;
    there is no order in h. Time steps are those of an L-stable SDIRK method of order 4.

    Attributes
    ----------
    degree
        Polynomial degree p of the elements.
    mesh_size
        Edge length; None takes 1/12 of the longest side.
    corner_layers
        Layers of cells around each corner of the domain, each 0.15 times the last.
    steps
        Time steps, for a time-dependent problem.
    newton_tolerance
        Newton's method ends when the update of every judged field is below this share
        of the field; a pressure that is unbounded in a corner would never let it end.
    max_newton
        Iterations at most, for each system of equations.
    """

    family: ClassVar[str] = "classical"

    degree: int = 4
    mesh_size: float | None = None
    corner_layers: int = 2
    steps: int = 40
    newton_tolerance: float = 1e-10
    max_newton: int = 25

    def __post_init__(self) -> None:
        for name, least in (
            ("degree", 1),
            ("corner_layers", 0),
            ("steps", 1),
            ("max_newton", 1),
        ):
            value = getattr(self, name)
            if value != int(value) or value < least:
                raise OptionError(
                    f"ngsolve: {name} is {value!r}; a whole number of at least {least} "
                    "is needed."
                )
        if self.mesh_size is not None and not 0 < self.mesh_size < math.inf:
            raise OptionError(
                f"ngsolve: mesh_size is {self.mesh_size!r}; a positive length is "
                "needed, or None."
            )
        if not 0 < self.newton_tolerance < 1:
            raise OptionError(
                f"ngsolve: newton_tolerance is {self.newton_tolerance!r}; a number "
                "between 0 and 1 is needed."
            )

    def why_not(self, problem: Problem) -> str | None:
        """Say which part of `problem` is out of reach, or None."""
        if importlib.util.find_spec("ngsolve") is None:
            return "NGSolve is not installed; pip install 'pinnsuite[ngsolve]'"
        domain = problem.domain
        if not isinstance(domain, Box | PlanarDomain) or domain.dimension != 2:
            return "it is not posed in the plane, where the outlines are meshed"
        if problem.conditions_of(Periodic):
            return "it is periodic; use 'fourier'"
        try:
            weak = weak_form(problem)
        except UnsupportedProblemError as error:
            return str(error)
        for integral in weak.integrals:
            for expression in integral.integrand.algebra:
                strange = _untranslated(expression)
                if strange is not None:
                    return f"{strange} has no counterpart among NGSolve's functions"
        return None

    def refined(self) -> NGSolveElements:
        """Return the solver with two degrees and two layers more, half the step."""
        return replace(
            self,
            degree=self.degree + 2,
            corner_layers=self.corner_layers + 2,
            steps=2 * self.steps,
        )

    def expected_order(self, problem: Problem) -> float | None:  # noqa: ARG002
        """Return None: exponential in space, and in time between 2 and 4.

        The SDIRK method is of order 4 but of stage order 1, so that time-dependent
        boundary values lower its order.
        """
        return None

    def solve(
        self,
        problem: Problem,
        *,
        progress: Progress = silent,
        budget: float | None = None,  # noqa: ARG002
    ) -> Solution:
        """Solve `problem`; it runs to its end whatever the budget.

        Raises
        ------
        UnsupportedProblemError
            If `why_not` speaks.
        """
        require_supported(self, problem)
        assert problem.domain is not None
        import_ngsolve()
        clock = Clock()
        with clock.phase("symbolic"):
            weak = weak_form(problem)
        with clock.phase("setup"):
            system = _System(problem, weak, self)
        times = None if problem.time is None else problem.time.outputs
        try:
            with clock.phase("solve"):
                states, details = (
                    system.stationary() if times is None else system.march(progress)
                )
        except _NotConvergedError as error:
            return failed(Status.DIVERGED, str(error), cost=clock.cost())
        evaluate = _evaluator(system, states, times)
        support = common_support(problem)
        values = evaluate(support.points)
        return Solution(
            support,
            {k: np.reshape(v, support.shape) for k, v in values.items()},
            evaluator=evaluate,
            cost=clock.cost(),
            details={"dofs": system.dofs, "cells": system.mesh.ne, **details},
        )


def import_ngsolve() -> Any:
    """Import NGSolve with its libraries kept to itself, and return it.

    It loads OpenBLAS for the whole process to see, and a PyTorch that is imported
    afterwards then calls that in place of its own: the process dies at the first
    product of matrices. Visible to NGSolve alone, both work in either order.
    """
    everyone_sees = ctypes.CDLL

    def kept_apart(name: Any, *_: Any, **__: Any) -> Any:
        return everyone_sees(name, mode=ctypes.RTLD_LOCAL)

    ctypes.CDLL = kept_apart  # type: ignore[assignment, misc]
    try:
        return importlib.import_module("ngsolve")
    finally:
        ctypes.CDLL = everyone_sees  # type: ignore[misc]


class _NotConvergedError(Exception):
    """Newton's method did not end."""


# --- Geometry -------------------------------------------------------------------------


def _curves(domain: Domain) -> Sequence[Curve]:
    """Return the outline with the domain on its left."""
    if isinstance(domain, PlanarDomain):
        return domain.pieces
    assert isinstance(domain, Box)
    (left, right), (bottom, top) = domain.bounds.tolist()
    x_names, y_names = (domain.sides(c) for c in domain.coordinates)
    corners = [(left, bottom), (right, bottom), (right, top), (left, top)]
    names = [y_names[0], x_names[1], y_names[1], x_names[0]]
    return [
        Segment(name, start, end)
        for name, start, end in zip(
            names, corners, [*corners[1:], corners[0]], strict=True
        )
    ]


def _mesh(domain: Domain, solver: NGSolveElements) -> Any:
    import ngsolve
    from netgen.geom2d import SplineGeometry

    # A rational quadratic spline is a circle's arc of less than half a turn.
    curves = [part for c in _curves(domain) for part in _quarters(c)]
    extent = domain.extent
    ends = np.array(
        [np.concatenate([c.at(np.array([0.0])), c.at(np.array([1.0]))]) for c in curves]
    )
    corner = _corners(curves, ends, 1e-8 * extent)
    geometry = SplineGeometry()
    known: list[tuple[Array, int]] = []

    def number(point: Array) -> int:
        for place, index in known:
            if np.hypot(*(place - point)) < 1e-8 * extent:
                return index
        is_corner = any(np.hypot(*(c - point)) < 1e-8 * extent for c in corner)
        hp = int(is_corner and solver.corner_layers > 0)
        index = int(geometry.AppendPoint(*point.tolist(), hpref=hp))
        known.append((point, index))
        return index

    for curve, (start, end) in zip(curves, ends, strict=True):
        spline: list[Any] = ["line", number(start), number(end)]
        if isinstance(curve, Arc):
            half = (curve.end - curve.start) / 2
            middle = (curve.end + curve.start) / 2
            reach = curve.radius / math.cos(half)
            tip = np.array(curve.center) + reach * np.array(
                [math.cos(middle), math.sin(middle)]
            )
            control = int(geometry.AppendPoint(*tip.tolist()))
            spline = ["spline3", spline[1], control, spline[2]]
        geometry.Append(spline, bc=curve.name, leftdomain=1, rightdomain=0)
    size = solver.mesh_size or extent / DIVISIONS
    mesh = ngsolve.Mesh(geometry.GenerateMesh(maxh=size))
    if solver.corner_layers and len(corner):
        mesh.RefineHP(solver.corner_layers, GRADING)
    mesh.Curve(max(solver.degree, 3))
    return mesh


def _quarters(curve: Curve) -> Iterator[Curve]:
    count = 1
    if isinstance(curve, Arc):
        count = math.ceil(abs(curve.end - curve.start) / (0.51 * math.pi))
    cuts = np.linspace(0.0, 1.0, count + 1).tolist()
    for first, last in itertools.pairwise(cuts):
        yield curve.between(first, last)


def _corners(curves: Sequence[Curve], ends: Array, tolerance: float) -> list[Array]:
    """Return the points where the outline turns or its boundaries change their name."""
    corners = []
    for i, curve in enumerate(curves):
        outgoing = curve.normals(np.array([0.0]))[0]
        for j, other in enumerate(curves):
            if np.hypot(*(ends[j, 1] - ends[i, 0])) > tolerance:
                continue
            incoming = other.normals(np.array([1.0]))[0]
            if outgoing @ incoming < 1 - 1e-8 or curve.name != other.name:
                corners.append(ends[i, 0])
    return corners


# --- From sympy to coefficient functions ----------------------------------------------

_FUNCTIONS = {
    sp.sin: "sin",
    sp.cos: "cos",
    sp.tan: "tan",
    sp.exp: "exp",
    sp.log: "log",
    sp.sinh: "sinh",
    sp.cosh: "cosh",
    sp.atan: "atan",
    sp.asin: "asin",
    sp.acos: "acos",
    sp.erf: "erf",
}
_BRANCHES = (sp.Piecewise, sp.Heaviside, sp.sign, sp.Abs, sp.Max, sp.Min)
_PLAIN = (sp.Add, sp.Mul, sp.Pow, sp.Symbol, sp.Number, sp.NumberSymbol, sp.tanh)


def _untranslated(expression: sp.Basic) -> sp.Basic | None:
    """Return a part that `_coefficient` cannot translate, or None."""
    for part in sp.preorder_traversal(expression):
        if isinstance(
            part,
            sp.logic.boolalg.Boolean | sp.functions.elementary.piecewise.ExprCondPair,
        ):
            continue
        if isinstance(part, Tabulated) and _is_voxel(part):
            continue
        if not isinstance(part, (*_PLAIN, *_BRANCHES, *_FUNCTIONS)):
            return part
    return None


def _is_voxel(table: Any) -> bool:
    """Say whether a table is uniform along its axes, and read in the same way."""
    uniform = all(np.allclose(np.diff(a), a[1] - a[0]) for a in table.axes)
    return uniform and set(table.methods) in ({"nearest"}, {"linear"})


def _voxels(table: Any, arguments: Sequence[Any]) -> Any:
    import ngsolve

    is_linear = "linear" in table.methods
    # A nearest value reaches half a step to either side of its node.
    margins = [0.0 if is_linear else (a[1] - a[0]) / 2 for a in table.axes]
    return ngsolve.VoxelCoefficient(
        tuple(float(a[0] - m) for a, m in zip(table.axes, margins, strict=True)),
        tuple(float(a[-1] + m) for a, m in zip(table.axes, margins, strict=True)),
        np.ascontiguousarray(table.values.T),
        linear=is_linear,
        trafocf=ngsolve.CoefficientFunction(tuple(arguments)),
    )


def _coefficient(expression: sp.Expr, values: Mapping[sp.Symbol, Any]) -> Any:
    """Return the expression as a coefficient function of the given symbols."""
    import ngsolve

    known: dict[sp.Basic, Any] = {}

    def translate(e: sp.Basic) -> Any:
        if e not in known:
            known[e] = made(e)
        return known[e]

    def made(e: sp.Basic) -> Any:
        if isinstance(e, sp.Symbol):
            return values[e]
        if isinstance(e, sp.Number | sp.NumberSymbol):
            return ngsolve.CoefficientFunction(float(e))
        if isinstance(e, sp.Piecewise):
            return branches(e.args)
        parts = [translate(a) for a in e.args]
        if isinstance(e, Tabulated):
            return _voxels(e, parts)
        if isinstance(e, sp.Add):
            return sum(parts[1:], parts[0])
        if isinstance(e, sp.Mul):
            return math.prod(parts[1:], start=parts[0])
        if isinstance(e, sp.Pow):
            return power(parts[0], parts[1], e.exp)
        if isinstance(e, sp.tanh):
            # Written so that no exponential overflows.
            decay = ngsolve.exp(-2 * magnitude(parts[0]))
            size = (1 - decay) / (1 + decay)
            return ngsolve.IfPos(parts[0], size, -size)
        if isinstance(e, sp.Heaviside):
            return ngsolve.IfPos(parts[0], 1.0, 0.0)
        if isinstance(e, sp.sign):
            return ngsolve.IfPos(parts[0], 1.0, -1.0)
        if isinstance(e, sp.Abs):
            return magnitude(parts[0])
        if isinstance(e, sp.Max | sp.Min):
            result = parts[0]
            for other in parts[1:]:
                pair = (result, other) if isinstance(e, sp.Max) else (other, result)
                result = ngsolve.IfPos(result - other, *pair)
            return result
        return getattr(ngsolve, _FUNCTIONS[e.func])(*parts)

    def magnitude(value: Any) -> Any:
        return ngsolve.IfPos(value, value, -value)

    def power(base: Any, exponent: Any, written: sp.Expr) -> Any:
        if written.is_Integer:
            result = math.prod([base] * abs(int(written)), start=1.0)
            return result if written > 0 else 1.0 / result
        if written == sp.Rational(1, 2):
            return ngsolve.sqrt(base)
        return base**exponent

    def branches(pairs: Sequence[Any]) -> Any:
        (value, condition), *rest = pairs
        if condition is sp.true:
            return translate(value)
        other = branches(rest) if rest else ngsolve.CoefficientFunction(0.0)
        return decide(condition, translate(value), other)

    def decide(condition: Any, yes: Any, no: Any) -> Any:
        if isinstance(condition, sp.And):
            for part in condition.args:
                yes = decide(part, yes, no)
            return yes
        if isinstance(condition, sp.Or):
            for part in condition.args:
                no = decide(part, yes, no)
            return no
        if isinstance(condition, sp.StrictGreaterThan | sp.GreaterThan):
            return ngsolve.IfPos(translate(condition.lhs - condition.rhs), yes, no)
        if isinstance(condition, sp.StrictLessThan | sp.LessThan):
            return ngsolve.IfPos(translate(condition.rhs - condition.lhs), yes, no)
        raise UnsupportedProblemError(
            f"the condition {condition} has no counterpart among NGSolve's functions"
        )

    return translate(sp.sympify(expression))


# --- The discrete equations -----------------------------------------------------------


class _System:
    """The weak form on one mesh, solved by Newton's method."""

    def __init__(
        self, problem: Problem, weak: WeakForm, solver: NGSolveElements
    ) -> None:
        import ngsolve

        assert problem.domain is not None
        self.problem, self.weak, self.solver = problem, weak, solver
        self.mesh = _mesh(problem.domain, solver)
        self.time = ngsolve.Parameter(0.0)
        self.step = ngsolve.Parameter(1.0)
        spaces = []
        for i, owner in enumerate(weak.owners):
            names = {e.on for e in weak.essential if e.unknown == i}
            spaces.append(
                ngsolve.H1(
                    self.mesh,
                    order=self._degree(owner),
                    dirichlet="|".join(sorted(names)),
                )
            )
        self.space = ngsolve.FESpace(spaces)
        self.dofs = int(self.space.ndof)
        self.state = ngsolve.GridFunction(self.space)
        self.base = ngsolve.GridFunction(self.space)
        self.where = dict(zip(problem.space, (ngsolve.x, ngsolve.y), strict=True))
        self.time_symbol = sp.Dummy()
        if problem.time is not None:
            self.time_symbol = problem.time.coordinate
            self.where[self.time_symbol] = self.time
        self.free = ngsolve.BitArray(self.space.FreeDofs())
        gauge = problem.hints.get("gauge")
        self.gauge = problem.field_names.index(gauge) if gauge else None
        if self.gauge is not None:
            # Its mean is taken off in the end.
            self.free.Clear(self.space.Range(self.gauge).start)
        self.form = self._form()
        self.inverse: Any = None
        self.is_linear = all(is_linear(i.integrand) for i in weak.integrals)
        self.is_constant = self.is_linear and not any(
            slope.has(self.time_symbol)
            for integral in weak.integrals
            for row in jacobian(integral.integrand)
            for slope in row
        )

    def _degree(self, owner: int) -> int:
        chosen = self.problem.hints.get("elements", {})
        names = self.problem.field_names
        mine = chosen.get(names[owner])
        is_lower = mine is not None and mine < max(chosen.values())
        return max(1, self.solver.degree - int(is_lower))

    def _form(self) -> Any:
        import ngsolve

        trials = [_components(f) for f in _tuple(self.space.TrialFunction())]
        tests = [_components(f) for f in _tuple(self.space.TestFunction())]
        rates = [
            (value - old) / (_DIAGONAL * self.step)
            for (value, _), old in zip(trials, self.base.components, strict=True)
        ]
        vector = ngsolve.specialcf.normal(2)
        normals = {normal(c): vector[k] for k, c in enumerate(self.problem.space)}
        has_time = self.problem.time is not None
        form = ngsolve.BilinearForm(self.space)
        for integral in self.weak.integrals:
            values = dict(self.where)
            if integral.on is not None:
                values |= normals
            for symbol, jet in integral.integrand.jets.items():
                values[symbol] = (
                    rates[jet.field]
                    if has_time and jet.orders[0]
                    else _derivative(trials[jet.field], jet.orders[has_time:])
                )
            total = None
            for test, e in zip(integral.tests, integral.integrand.algebra, strict=True):
                term = _coefficient(e, values) * _derivative(
                    tests[test.field], test.orders
                )
                total = term if total is None else total + term
            if total is None:
                continue
            if integral.on is None:
                measure = ngsolve.dx(bonus_intorder=BONUS)
            else:
                measure = ngsolve.ds(integral.on, bonus_intorder=BONUS)
            form += total.Compile() * measure
        return form

    def impose(self) -> None:
        """Set the Dirichlet values at the present time; the first condition wins."""
        import ngsolve

        for e in reversed(self.weak.essential):
            part = self.state.components[e.unknown]
            region = self.mesh.Boundaries(e.on)
            other = ngsolve.GridFunction(part.space)
            other.Set(_coefficient(e.value, self.where), definedon=region)
            held = np.array(list(part.space.GetDofs(region)), dtype=bool)
            part.vec.FV().NumPy()[held] = other.vec.FV().NumPy()[held]

    def newton(self) -> int:
        """Solve for the state from where it stands; return the iterations.

        The factors of the last Jacobian serve for as long as each update is at most a
        tenth of the one before.
        """
        update = self.state.vec.CreateVector()
        residual = self.state.vec.CreateVector()
        last = math.inf
        if self.is_linear and not self.is_constant:
            self.inverse = None
        for count in range(1, self.solver.max_newton + 1):
            self.form.Apply(self.state.vec, residual)
            if self.inverse is None:
                self.form.AssembleLinearization(self.state.vec)
                self.inverse = self.form.mat.Inverse(self.free, inverse="umfpack")
            update.data = self.inverse * residual
            self.state.vec.data -= update
            moved = self._share(update.FV().NumPy())
            if not math.isfinite(moved):
                break
            if self.is_linear or moved < self.solver.newton_tolerance:
                return count
            if moved > 0.1 * min(last, 1.0):
                self.inverse = None
            last = moved
        raise _NotConvergedError(
            f"Newton's method did not converge in {count} iterations; take a finer "
            "mesh, more steps or a lower degree."
        )

    def _share(self, update: Array) -> float:
        """Return the largest update of a judged field as a share of that field."""
        state, names = self.state.vec.FV().NumPy(), self.problem.field_names
        shares = []
        for i, owner in enumerate(self.weak.owners):
            if names[owner] in self.problem.judged_names:
                part = slice(self.space.Range(i).start, self.space.Range(i).stop)
                size = float(np.abs(state[part]).max(initial=0.0))
                moved = float(np.abs(update[part]).max(initial=0.0))
                shares.append(moved / size if size > 0 else moved)
        return max(shares)

    def stationary(self) -> tuple[list[Array], dict[str, Any]]:
        """Return the one state and what is to be told of it."""
        self.impose()
        count = self.newton()
        return [self._copy()], {"newton": count}

    def march(self, progress: Progress) -> tuple[list[Array], dict[str, Any]]:
        """Return the state at each output time."""
        assert self.problem.time is not None
        outputs = self.problem.time.outputs
        self.time.Set(float(outputs[0]))
        for i, value in enumerate(self.weak.initial):
            if value is not None:
                self.state.components[i].Set(_coefficient(value, self.where))
        self.impose()
        states = [self._copy()]
        each = math.ceil(self.solver.steps / (len(outputs) - 1))
        total = 0
        for start, end in itertools.pairwise(outputs):
            h = float(end - start) / each
            if abs(h - self.step.Get()) > 1e-12 * h:
                self.step.Set(h)
                self.inverse = None
            for k in range(each):
                self._advance(float(start) + k * h, h)
                total += 1
            states.append(self._copy())
            progress(len(states) / len(outputs), f"t = {end:.4g}")
        return states, {"steps": total}

    def _advance(self, t: float, h: float) -> None:
        old = self._copy()
        slopes: list[Array] = []
        for c, weights in zip(_STAGES, _WEIGHTS, strict=True):
            base = old + h * sum(
                (w * s for w, s in zip(weights, slopes, strict=True)),
                start=np.zeros_like(old),
            )
            self.base.vec.FV().NumPy()[:] = base
            self.time.Set(t + c * h)
            self.impose()
            self.newton()
            slopes.append((self._copy() - base) / (_DIAGONAL * h))

    def _copy(self) -> Array:
        values: Array = self.state.vec.FV().NumPy().copy()
        return values

    def locate(self, points: Array) -> Any:
        """Return NGSolve's mesh points; those outside by rounding are drawn inside."""
        assert self.problem.domain is not None
        domain = self.problem.domain
        moved = np.array(points, dtype=float)
        depth = 1e-10 * domain.extent
        # The mesh's sides are polynomials: they leave the true ones by a little.
        while depth < 0.02 * domain.extent:
            found = self.mesh(*np.ascontiguousarray(moved.T))
            lost = np.flatnonzero(found["nr"] < 0)
            if not len(lost):
                return found
            foot = domain.project(points[lost])
            inward = np.zeros_like(foot)
            for k in range(2):
                shift = np.zeros(2)
                shift[k] = 1e-6 * domain.extent
                inward[:, k] = domain.signed_distance(
                    foot - shift
                ) - domain.signed_distance(foot + shift)
            inward /= np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-300)
            moved[lost] = foot + depth * inward
            depth *= 8
        raise UnsupportedProblemError(
            f"{len(lost)} points lie outside the mesh, the first one at "
            f"{points[lost[0]]}; ask for points of {domain.describe()}"
        )


def _tuple(functions: Any) -> Sequence[Any]:
    return functions if isinstance(functions, tuple | list) else (functions,)


def _components(function: Any) -> tuple[Any, Any]:
    import ngsolve

    return function, ngsolve.grad(function)


def _derivative(pair: tuple[Any, Any], orders: Sequence[int]) -> Any:
    value, gradient = pair
    return gradient[orders.index(1)] if any(orders) else value


def _evaluator(
    system: _System, states: Sequence[Array], times: Array | None
) -> Callable[[Array], dict[str, Array]]:
    """Return the fields as functions of points; between output times by cubics."""
    names = system.problem.field_names

    def at_nodes(where: Array) -> dict[str, Array]:
        """Return every field at each state: (states, points)."""
        found = system.locate(where)
        result: dict[str, list[Array]] = {name: [] for name in names}
        for state in states:
            system.state.vec.FV().NumPy()[:] = state
            for i, name in enumerate(names):
                function = system.state.components[i]
                values = np.asarray(function(found)).ravel()
                if i == system.gauge:
                    values = values - _mean(system, function)
                result[name].append(values)
        return {name: np.array(rows) for name, rows in result.items()}

    def evaluate(points: Array) -> dict[str, Array]:
        points = np.asarray(points, dtype=float)
        if times is None:
            return {k: v[0] for k, v in at_nodes(points).items()}
        where, back = np.unique(points[:, 1:], axis=0, return_inverse=True)
        back = back.ravel()
        result = {}
        for name, rows in at_nodes(where).items():
            curve = CubicSpline(times, rows) if len(times) > 2 else None
            values = np.empty(len(points))
            for t in np.unique(points[:, 0]):
                mine = points[:, 0] == t
                exact = np.flatnonzero(np.abs(times - t) <= 1e-12 * np.ptp(times))
                if len(exact) or curve is None:
                    row = rows[exact[0] if len(exact) else 0]
                else:
                    row = curve(t)
                values[mine] = row[back[mine]]
            result[name] = values
        return result

    return evaluate


def _mean(system: _System, function: Any) -> float:
    import ngsolve

    area = ngsolve.Integrate(ngsolve.CoefficientFunction(1.0), system.mesh)
    return float(ngsolve.Integrate(function, system.mesh) / area)
