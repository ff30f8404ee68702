"""The method of lines: stencils in space, an ODE solver in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any, ClassVar

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import sympy as sp

from pinnsuite.classical.ode import (
    STEPPERS,
    check_tolerances,
    march,
    system_fields,
    tightened,
)
from pinnsuite.classical.stencils import ChebyshevAxis, LocalAxis, interpolant
from pinnsuite.errors import OptionError, UnsupportedProblemError, unknown_name
from pinnsuite.problem.conditions import Boundary, Periodic, normal
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.domain import Box
from pinnsuite.problem.form import Evolution, evolution
from pinnsuite.problem.jets import Jet, jacobian, lower, numpy_function
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, failed
from pinnsuite.solution.support import Grid
from pinnsuite.solver import Progress, require_supported, silent

SpaceAxis = LocalAxis | ChebyshevAxis

MAX_BAND = 64
"""Rows that a band may have for a banded factorisation to be the better choice."""

_EXPLICIT_STEPS = {
    "oscillatory": 5000.0,
    "banded": 30.0,
    "sparse": 500.0,
    "wrapped": 3000.0,
}
"""Steps that stability may ask of DOP853 before an implicit method is the cheaper.

Periodic sides in the plane fill the factors of BDF: two reacting fields on 101² nodes
took 43 CPU-s by BDF and 9.8 by DOP853, which needed about 1000 steps.
"""

_DENSE = 0.2
"""Share of nonzeros above which a Jacobian is stored as a full matrix."""


@dataclass(frozen=True)
class MethodOfLines:
    """Finite differences of any even order, or Chebyshev points, on boxes; then ODEs.

    `∂s/∂t = F(t, x, s, s_x, …)` is kept at the nodes, with F in its expanded algebra
    and the derivatives by stencils; values on the boundary are eliminated through the
    conditions, which take one-sided stencils of the same order. Fields of second order
    in time are split into value and velocity. The Jacobian Σ diag(∂F/∂s) D_s is exact.
    The error falls as h^order for smooth solutions, while the integrator's tolerances
    (which `refined` tightens along) stay out of the way; for Chebyshev points it falls
    faster than any power. Conservation is met to that order only: `D(k*D(u, x), x)` is
    expanded, so jumps of k, and shocks, belong to other methods.
    Source: W. E. Schiesser, The Numerical Method of Lines, 1991; B. Fornberg, DOI
    10.1137/S0036144596322507 (stencils); L. N. Trefethen, Spectral Methods in MATLAB,
    DOI 10.1137/1.9780898719598 (Chebyshev).

    Attributes
    ----------
    points
        Nodes along each axis, both ends included (in a periodic axis they are one).
    order
        Even order of the finite differences.
    stencil
        "finite-difference" or "chebyshev".
    stretch
        Finite differences on axes that are not periodic: 0 gives uniform nodes, b > 0
        the nodes `sinh(b s)/sinh(b)`, s uniform in [-1, 1], which lie e^b/(2b) times
        denser (about) in the middle, for an inner layer there.
    integrator
        "BDF", "Radau", "LSODA", "DOP853", or "auto": the explicit DOP853 where the
        spectral radius allows, else LSODA where the Jacobian is banded, else BDF.
    rtol, atol
        Tolerances of the time integration.
    """

    family: ClassVar[str] = "classical"

    points: int = 101
    order: int = 4
    stencil: str = "finite-difference"
    stretch: float = 0.0
    integrator: str = "auto"
    rtol: float = 1e-8
    atol: float = 1e-10

    def __post_init__(self) -> None:
        stencils = ("finite-difference", "chebyshev")
        if self.stencil not in stencils:
            raise OptionError(
                unknown_name("lines option stencil", self.stencil, stencils)
            )
        integrators = ("auto", *STEPPERS)
        if self.integrator not in integrators:
            raise OptionError(
                unknown_name("lines option integrator", self.integrator, integrators)
            )
        if self.order < 2 or self.order % 2:
            raise OptionError(f"lines: order is {self.order}; use 2, 4, 6, ….")
        least = 5 if self.stencil == "chebyshev" else self.order + 3
        if self.points < least:
            raise OptionError(
                f"lines: points is {self.points}; order {self.order} needs at least "
                f"{least}."
            )
        if self.stretch < 0 or (self.stretch and self.stencil == "chebyshev"):
            raise OptionError(
                f"lines: stretch is {self.stretch} with stencil {self.stencil!r}; it "
                "is a positive number for finite differences, and 0 for Chebyshev "
                "points."
            )
        check_tolerances("lines", self.rtol, self.atol)

    def why_not(self, problem: Problem) -> str | None:
        """Say which part of `problem` is out of reach, or None."""
        try:
            _analyse(self, problem)
        except UnsupportedProblemError as error:
            return str(error)
        return None

    def refined(self) -> MethodOfLines:
        """Return the solver at half the mesh width, tolerances tightened along."""
        factor = 100.0 if self.stencil == "chebyshev" else 2.0**self.order
        rtol, atol = tightened(self.rtol, self.atol, factor)
        return replace(self, points=2 * self.points - 1, rtol=rtol, atol=atol)

    def expected_order(self, problem: Problem) -> float | None:
        """Return `order`, or None for Chebyshev points.

        Periodic axes take finite differences in either case.
        """
        if self.stencil == "chebyshev" and not problem.conditions_of(Periodic):
            return None
        return float(self.order)

    def solve(
        self,
        problem: Problem,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> Solution:
        """Solve `problem` from its first to its last time."""
        require_supported(self, problem)
        assert problem.time is not None
        clock = Clock()
        with clock.phase("symbolic"):
            form = _analyse(self, problem)
            functions = _Functions.of(problem, form)
        with clock.phase("setup"):
            scheme = _Scheme(problem, form, functions, self._axes(problem))
        outputs = problem.time.outputs
        with clock.phase("solve"), np.errstate(all="ignore"):
            name = self._choose(problem, form, scheme)
            trajectory = march(
                lambda: self._stepper(name, scheme, outputs),
                outputs,
                progress=progress,
                budget=budget,
            )
        if trajectory.values is None:
            return failed(trajectory.status, trajectory.message, cost=clock.cost())
        values = scheme.fields(outputs, trajectory.values)
        names = problem.field_names
        axes = [LocalAxis(outputs, 2), *scheme.axes]
        rebuild = interpolant(axes, values)

        def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
            return dict(zip(names, rebuild(points).T, strict=True))

        grid = {problem.time.coordinate.name: outputs}
        for k, (x, axis) in enumerate(zip(problem.space, scheme.axes, strict=True), 1):
            grid[x.name] = axis.nodes
            if isinstance(axis, LocalAxis) and axis.period is not None:
                grid[x.name] = np.append(axis.nodes, axis.nodes[0] + axis.period)
                first = np.take(values, [0], axis=k)
                values = np.concatenate([values, first], axis=k)
        return Solution(
            Grid(grid),
            {n: values[..., i] for i, n in enumerate(names)},
            evaluator=evaluate,
            cost=clock.cost(),
            details={
                "dofs": len(scheme.free),
                "steps": trajectory.steps,
                "evaluations": trajectory.evaluations,
                "integrator": name,
                "stop_reason": "the last time was reached",
            },
        )

    def _axes(self, problem: Problem) -> list[SpaceAxis]:
        assert problem.domain is not None
        periodic = {c.along for c in problem.conditions_of(Periodic)}
        axes: list[SpaceAxis] = []
        for x, (low, high) in zip(problem.space, problem.domain.bounds, strict=True):
            low, high = float(low), float(high)
            if x in periodic:
                nodes = np.linspace(low, high, self.points)[:-1]
                axes.append(LocalAxis(nodes, self.order, high - low))
            elif self.stencil == "chebyshev":
                axes.append(ChebyshevAxis(low, high, self.points))
            else:
                s = np.linspace(-1.0, 1.0, self.points)
                if self.stretch:
                    s = np.sinh(self.stretch * s) / np.sinh(self.stretch)
                nodes = (low * (1 - s) + high * (1 + s)) / 2
                axes.append(LocalAxis(nodes, self.order))
        return axes

    def _keeps_waves(self, top: int) -> bool:
        """Say whether derivatives of order `top` do not amplify undamped waves.

        Measured on ∂/∂x with inflow, ∂²/∂x² and ∂⁴/∂x⁴ with two conditions an end: at
        order 4 the eigenvalues are bounded as h falls, at order 6 they grow.
        """
        return top <= 2 if self.stencil == "chebyshev" else self.order <= 4

    def _choose(self, problem: Problem, form: _Form, scheme: _Scheme) -> str:
        if self.integrator != "auto":
            return self.integrator
        assert problem.time is not None
        length = problem.time.end - problem.time.start
        # DOP853 is stable to about 5 on either axis of the complex plane.
        steps = scheme.spectral_radius(problem.time.start) * length / 5
        if form.is_oscillatory:
            # BDF formulas of order 3 to 6 amplify oscillations.
            return "DOP853" if steps < _EXPLICIT_STEPS["oscillatory"] else "Radau"
        kind = "banded" if scheme.is_banded else "sparse"
        if problem.dimension > 1 and problem.conditions_of(Periodic):
            kind = "wrapped"
        if steps < _EXPLICIT_STEPS[kind]:
            return "DOP853"
        return "LSODA" if scheme.is_banded else "BDF"

    def _stepper(self, name: str, scheme: _Scheme, outputs: np.ndarray) -> Any:
        more: dict[str, Any] = {}
        if name == "LSODA" and scheme.is_banded:
            lower, upper = scheme.bands
            more = {"jac": scheme.banded_jacobian, "lband": lower, "uband": upper}
        elif name == "LSODA":
            more = {"jac": lambda t, y: scheme.jacobian(t, y).toarray()}
        elif name != "DOP853":
            more = {"jac": scheme.stored_jacobian}
        return STEPPERS[name](
            scheme.rate,
            float(outputs[0]),
            scheme.start,
            float(outputs[-1]),
            rtol=self.rtol,
            atol=self.atol,
            **more,
        )


@dataclass(frozen=True, eq=False)
class _Condition:
    """A condition on one side, as `Σ coefficient · jet = value`.

    Attributes
    ----------
    field
        The field whose values it eliminates.
    axis, is_upper
        The side of the box.
    depth
        How many conditions of the same field were on this side before: the values
        that many nodes inside are the ones eliminated.
    coefficients
        Expressions of the space coordinates; `Jet.orders` counts along space.
    value
        Expression of time and space.
    """

    field: int
    axis: int
    is_upper: bool
    depth: int
    coefficients: dict[Jet, sp.Expr]
    value: sp.Expr


@dataclass(frozen=True, eq=False)
class _Form:
    """A problem as the method of lines takes it."""

    system: Evolution
    conditions: tuple[_Condition, ...]

    @cached_property
    def is_oscillatory(self) -> bool:
        """The eigenvalues lie near the imaginary axis: waves and dispersion."""
        highest = max(
            (sum(j.orders) for j in self.system.rates.jets.values()), default=0
        )
        return highest % 2 == 1 or any(s.order for s in self.system.states)


def _analyse(solver: MethodOfLines, problem: Problem) -> _Form:
    """Return the form of `problem`; UnsupportedProblemError says why there is none."""
    if problem.domain is None:
        raise UnsupportedProblemError("it has no space coordinates; use 'ode'")
    if not problem.domain.is_box:
        raise UnsupportedProblemError(
            f"its domain, {problem.domain.describe()}, is no Interval or Box; use "
            "'finite-element'"
        )
    if problem.unknowns:
        names = ", ".join(str(u.symbol) for u in problem.unknowns)
        raise UnsupportedProblemError(f"its coefficients {names} are unknown; fix them")
    system = evolution(problem)
    form = _Form(system, ())
    periodic = {c.along for c in problem.conditions_of(Periodic)}
    highest = [[0] * problem.dimension for _ in problem.fields]
    for jet in system.rates.jets.values():
        mine = highest[system.states[jet.field].field]
        mine[:] = (max(a, b) for a, b in zip(mine, jet.orders, strict=True))
    for k, (x, axis) in enumerate(
        zip(problem.space, solver._axes(problem), strict=True)
    ):
        top = max(orders[k] for orders in highest)
        needed = axis.needed(max(top, 1))
        if len(axis.nodes) < needed:
            raise UnsupportedProblemError(
                f"its derivatives of order {top} along {x} need {needed} nodes at "
                f"order {solver.order}, and there are {len(axis.nodes)}; raise points"
            )
        is_open = x not in periodic
        if is_open and form.is_oscillatory and not solver._keeps_waves(top):
            raise UnsupportedProblemError(
                f"its waves are not damped, and one-sided stencils of order "
                f"{solver.order} ({solver.stencil}) at the ends of {x} amplify them; "
                "use finite differences of order 4 and more points"
            )
        if problem.dimension > 1 and is_open and top > 2:
            raise UnsupportedProblemError(
                f"its derivatives of order {top} along {x} meet corners where "
                "several conditions hold at once; make the coordinate periodic, or "
                "split the equation into two of second order"
            )
    return replace(form, conditions=tuple(_conditions(problem, highest)))


def _conditions(problem: Problem, highest: list[list[int]]) -> Iterator[_Condition]:
    assert isinstance(problem.domain, Box)
    periodic = {c.along for c in problem.conditions_of(Periodic)}
    depth: dict[tuple[int, int, bool], int] = {}
    for c in problem.conditions_of(Boundary):
        names = problem.boundaries_of(c)
        i = problem.fields.index(c.field)
        for k, x in enumerate(problem.space):
            for is_upper, side in enumerate(problem.domain.sides(x)):
                place = (i, k, bool(is_upper))
                used = depth.get(place, 0)
                # The first conditions win: one a side for equations of second order.
                room = max(1, (highest[i][k] + 1) // 2)
                if side in names and x not in periodic and used < room:
                    depth[place] = used + 1
                    yield _Condition(*place, used, *_affine(problem, c, k, is_upper))


def _affine(
    problem: Problem, condition: Boundary, axis: int, is_upper: int
) -> tuple[dict[Jet, sp.Expr], sp.Expr]:
    what = f"its {type(condition).__name__}({condition.field}, on={condition.on})"
    assert problem.time is not None
    outward = {
        normal(x): (2 * is_upper - 1 if k == axis else 0)
        for k, x in enumerate(problem.space)
    }
    residual = condition.operator(problem.space) - condition.value
    lowered = lower(
        [residual.subs(outward).doit()], problem.fields, problem.coordinates
    )
    (rest,) = lowered.algebra
    zero = dict.fromkeys(lowered.symbols, sp.Integer(0))
    coefficients = {}
    for symbol, jet in lowered.jets.items():
        factor = sp.diff(rest, symbol)
        if factor.free_symbols & {*lowered.symbols, problem.time.coordinate}:
            raise UnsupportedProblemError(
                f"{what} is not linear in the fields with coefficients that are "
                "constant in time; write it as Dirichlet, Neumann or Robin of that "
                "kind, or use 'finite-element'"
            )
        if jet.orders[0]:
            raise UnsupportedProblemError(
                f"{what} holds a time derivative; write it without, or give the "
                "boundary value a field of its own"
            )
        if factor != 0:
            coefficients[Jet(jet.field, jet.orders[1:])] = factor
    return coefficients, -rest.xreplace(zero)


@dataclass(frozen=True, eq=False)
class _Functions:
    """The compiled right-hand side, its slopes, and the initial state."""

    rates: Callable[..., list[Any]]
    slopes: Callable[..., list[Any]]
    pairs: tuple[tuple[int, int], ...]
    initial: Callable[..., list[Any]]

    @classmethod
    def of(cls, problem: Problem, form: _Form) -> _Functions:
        assert problem.time is not None
        rates = form.system.rates
        arguments = [problem.time.coordinate, *problem.space, *rates.symbols]
        table = {
            (i, j): slope
            for i, row in enumerate(jacobian(rates))
            for j, slope in enumerate(row)
            if slope != 0
        }
        return cls(
            numpy_function(arguments, rates.algebra),
            numpy_function(arguments, list(table.values())),
            tuple(table),
            numpy_function(problem.space, form.system.initial),
        )


class _Scheme:
    """The ordinary differential equations for the values at the nodes.

    All values are one vector w, node by node and in each node state by state; y are
    those of them that no condition determines. The conditions `R w = g(t)` give
    `w = E y + G g(t)`, and with the stencils of all jets below each other in A, the
    jets are `A E y + A G g(t)`.
    """

    def __init__(
        self,
        problem: Problem,
        form: _Form,
        functions: _Functions,
        axes: list[SpaceAxis],
    ) -> None:
        self.axes = axes
        self.functions = functions
        system = form.system
        self.primaries = list(system_fields(problem, system).values())
        self.shape = tuple(len(a.nodes) for a in axes)
        self.states = len(system.states)
        mesh = np.meshgrid(*(a.nodes for a in axes), indexing="ij")
        self.where = [m.ravel() for m in mesh]
        self.count = len(self.where[0])
        self._matrices: dict[tuple[int, ...], scipy.sparse.csr_array] = {}
        self._eliminate(problem, form)
        jets = list(system.rates.jets.values())
        stack = scipy.sparse.vstack(
            [self._on_state(j.orders, j.field) for j in jets]
            or [scipy.sparse.csr_array((0, self.count * self.states))],
            format="csr",
        )
        self.jets = (stack @ self.extend).tocsr()
        self.forcing = (stack @ self.lift).tocsr()
        self.num_jets = len(jets)
        initial = self._spread(functions.initial(*self.where))
        self.start = initial.T.ravel()[self.free]
        self._plan_jacobian()

    def _derivative(self, orders: tuple[int, ...]) -> scipy.sparse.csr_array:
        if orders not in self._matrices:
            factors = [a.derivative(m) for a, m in zip(self.axes, orders, strict=True)]
            self._matrices[orders] = reduce(
                lambda a, b: scipy.sparse.kron(a, b, format="csr"), factors
            )
        return self._matrices[orders]

    def _on_state(self, orders: tuple[int, ...], state: int) -> scipy.sparse.csr_array:
        pick = scipy.sparse.csr_array(([1.0], ([0], [state])), shape=(1, self.states))
        return scipy.sparse.kron(self._derivative(orders), pick, format="csr")

    def _spread(self, values: list[Any]) -> np.ndarray:
        out = np.empty((len(values), self.count))
        for row, value in zip(out, values, strict=True):
            row[:] = value
        return out

    def _eliminate(self, problem: Problem, form: _Form) -> None:
        """Set `free`, E (`extend`), G (`lift`) and the functions of g(t)."""
        assert problem.time is not None
        total = self.count * self.states
        numbers = np.arange(self.count).reshape(self.shape)
        is_free = np.ones(total, dtype=bool)
        rows, eliminated = [], []
        self._values: list[
            tuple[slice, Callable[..., list[Any]], list[np.ndarray]]
        ] = []
        self._constant = np.zeros(0)
        start = 0
        index = {(s.field, s.order): n for n, s in enumerate(form.system.states)}
        t = problem.time.coordinate
        constants = []
        for c in form.conditions:
            n = self.shape[c.axis]
            at = n - 1 if c.is_upper else 0
            inner = n - 1 - c.depth if c.is_upper else c.depth
            boundary = np.take(numbers, at, axis=c.axis).ravel()
            removed = np.take(numbers, inner, axis=c.axis).ravel()
            for (field, order), state in index.items():
                if field != c.field:
                    continue
                mine = is_free[removed * self.states + state]
                points, gone = boundary[mine], removed[mine] * self.states + state
                is_free[gone] = False
                eliminated.append(gone)
                where = [x[points] for x in self.where]
                block = scipy.sparse.csr_array((len(points), total))
                for jet, factor in c.coefficients.items():
                    if (jet.field, order) not in index:
                        raise UnsupportedProblemError(
                            f"a condition on {problem.fields[c.field]} couples it to "
                            f"{problem.fields[jet.field]}, which is of another order "
                            "in time"
                        )
                    (value,) = numpy_function(problem.space, [factor])(*where)
                    scale = np.broadcast_to(value, (len(points), 1))
                    stencil = self._on_state(jet.orders, index[jet.field, order])
                    block = block + stencil[points].multiply(scale)
                rows.append(block.tocsr())
                expression = sp.diff(c.value, t, order)
                function = numpy_function([t, *problem.space], [expression])
                place = slice(start, start + len(points))
                start += len(points)
                constants.append(np.zeros(len(points)))
                if t in expression.free_symbols:
                    self._values.append((place, function, where))
                else:
                    constants[-1][:] = function(problem.time.start, *where)[0]
        self.free = np.flatnonzero(is_free)
        keep = scipy.sparse.eye_array(total, format="csc")[:, self.free].tocsr()
        if not rows:
            self.extend, self.lift = keep, scipy.sparse.csr_array((total, 0))
            return
        self._constant = np.concatenate(constants)
        gone = np.concatenate(eliminated)
        conditions = scipy.sparse.vstack(rows, format="csc")
        inverse = scipy.sparse.linalg.splu(conditions[:, gone].tocsc())
        others = conditions[:, self.free]
        touched = np.flatnonzero(np.diff(others.indptr))
        place_back = scipy.sparse.csr_array(
            (np.ones(len(gone)), (gone, np.arange(len(gone)))), shape=(total, len(gone))
        )
        follow = scipy.sparse.coo_array(inverse.solve(others[:, touched].toarray()))
        follow = scipy.sparse.csr_array(
            (follow.data, (follow.row, touched[follow.col])),
            shape=(len(gone), len(self.free)),
        )
        self.extend = (keep - place_back @ follow).tocsr()
        self.lift = (
            place_back @ scipy.sparse.csr_array(inverse.solve(np.eye(len(gone))))
        ).tocsr()

    def _boundary(self, t: float) -> np.ndarray:
        """Return g(t)."""
        if not self._values:
            return self._constant
        g = self._constant.copy()
        for place, function, where in self._values:
            g[place] = function(t, *where)[0]
        return g

    @cached_property
    def _steady(self) -> np.ndarray:
        forced: np.ndarray = self.forcing @ self._constant
        return forced

    def _arguments(self, t: float, y: np.ndarray) -> list[Any]:
        jets = self.jets @ y
        jets += self.forcing @ self._boundary(t) if self._values else self._steady
        return [t, *self.where, *jets.reshape(self.num_jets, self.count)]

    def rate(self, t: float, y: np.ndarray) -> np.ndarray:
        """Return dy/dt."""
        rates = self._spread(self.functions.rates(*self._arguments(t, y)))
        found: np.ndarray = rates.T.ravel()[self.free]
        return found

    def _plan_jacobian(self) -> None:
        """Lay out the products of slopes and stencils and where their sums go."""
        total = self.count * self.states
        position = np.full(total, -1)
        position[self.free] = np.arange(len(self.free))
        rows, columns, data, slope = [], [], [], []
        for number, (i, j) in enumerate(self.functions.pairs):
            points = np.flatnonzero(position[i :: self.states] >= 0)
            block = self.jets[j * self.count + points].tocoo()
            rows.append(position[i :: self.states][points[block.row]])
            columns.append(block.col)
            data.append(block.data)
            slope.append(number * self.count + points[block.row])
        n = len(self.free)
        empty = np.zeros(0, dtype=np.int64)
        r = np.concatenate([empty, *rows])
        c = np.concatenate([empty, *columns]).astype(np.int64)
        self._data = np.concatenate([np.zeros(0), *data])
        self._slope = np.concatenate([empty, *slope])
        self.bands = (int((r - c).max(initial=0)), int((c - r).max(initial=0)))
        lower, upper = self.bands
        # Wider bands (grids in the plane) cost LSODA more than BDF's sparse factors:
        # heat on 101² nodes of order 4 took 9.3 and 2.0 CPU-s.
        self.is_banded = lower + upper + 1 <= min(n / 4, MAX_BAND)
        if self.is_banded:
            self._band_place = (upper + r - c) * n + c
        places, self._place = np.unique(c * n + r, return_inverse=True)
        self._rows = places % n
        self._starts = np.searchsorted(places, n * np.arange(n + 1))

    def _products(self, t: float, y: np.ndarray) -> np.ndarray:
        slopes = self._spread(self.functions.slopes(*self._arguments(t, y)))
        found: np.ndarray = slopes.ravel()[self._slope] * self._data
        return found

    def jacobian(self, t: float, y: np.ndarray) -> scipy.sparse.csc_array:
        """Return `∂(dy/dt)/∂y`, exactly."""
        n = len(self.free)
        data = np.bincount(self._place, self._products(t, y), len(self._rows))
        return scipy.sparse.csc_array((data, self._rows, self._starts), shape=(n, n))

    def stored_jacobian(self, t: float, y: np.ndarray) -> Any:
        """Return the Jacobian, as a full matrix where few entries are zero."""
        matrix = self.jacobian(t, y)
        full = len(self._rows) > _DENSE * len(self.free) ** 2
        return matrix.toarray() if full else matrix

    def banded_jacobian(self, t: float, y: np.ndarray) -> np.ndarray:
        """Return the diagonals of the Jacobian as rows, the uppermost first."""
        n = len(self.free)
        height = sum(self.bands) + 1
        flat = np.bincount(self._band_place, self._products(t, y), height * n)
        return flat.reshape(height, n)

    def spectral_radius(self, t: float) -> float:
        """Estimate the largest modulus of the Jacobian's eigenvalues at the start."""
        matrix = self.jacobian(t, self.start)
        v = np.random.default_rng(0).standard_normal(len(self.free))
        growth = []
        for _ in range(40):
            v = v / (np.linalg.norm(v) or 1.0)
            v = matrix @ v
            growth.append(max(float(np.linalg.norm(v)), 1e-300))
        return float(np.exp(np.mean(np.log(growth[20:]))))

    def fields(self, times: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return all fields at all nodes, shape (times, *axes, fields)."""
        boundary = np.array([self._boundary(t) for t in times])
        whole = (self.extend @ values.T + self.lift @ boundary.T).T
        table = whole.reshape(len(times), *self.shape, self.states)
        found: np.ndarray = table[..., self.primaries]
        return found
