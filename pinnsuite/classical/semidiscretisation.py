"""Stencils on a box, boundary values eliminated: `dy/dt = F(t, y)` at the nodes.

Shared by the method of lines, which integrates these equations, and by the
finite-difference solver, which solves `F(y) = 0`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
import scipy.sparse.linalg
import sympy as sp

from pinnsuite.classical.ode import system_fields
from pinnsuite.classical.stencils import ChebyshevAxis, LocalAxis
from pinnsuite.errors import UnsupportedProblemError
from pinnsuite.problem.conditions import Boundary, Periodic, normal
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.domain import Box
from pinnsuite.problem.form import Evolution
from pinnsuite.problem.jets import Jet, jacobian, lower, numpy_function

SpaceAxis = LocalAxis | ChebyshevAxis

MAX_BAND = 64
"""Rows that a band may have for a banded factorisation to be the better choice."""

_DENSE = 0.2
"""Share of nonzeros above which a Jacobian is stored as a full matrix."""


def box_axes(
    problem: Problem, points: int, order: int, stencil: str, stretch: float = 0.0
) -> list[SpaceAxis]:
    """Return the axis of each space coordinate; periodic ones take finite differences.

    Parameters
    ----------
    problem
        On a box.
    points
        Nodes along each axis, both ends included.
    order
        Even order of the finite differences.
    stencil
        "finite-difference" or "chebyshev".
    stretch
        0 for uniform nodes, b > 0 for `sinh(b s)/sinh(b)` with s uniform.
    """
    assert problem.domain is not None
    periodic = {c.along for c in problem.conditions_of(Periodic)}
    axes: list[SpaceAxis] = []
    for x, (low, high) in zip(problem.space, problem.domain.bounds, strict=True):
        low, high = float(low), float(high)
        if x in periodic:
            nodes = np.linspace(low, high, points)[:-1]
            axes.append(LocalAxis(nodes, order, high - low))
        elif stencil == "chebyshev":
            axes.append(ChebyshevAxis(low, high, points))
        else:
            s = np.linspace(-1.0, 1.0, points)
            if stretch:
                s = np.sinh(stretch * s) / np.sinh(stretch)
            nodes = (low * (1 - s) + high * (1 + s)) / 2
            axes.append(LocalAxis(nodes, order))
    return axes


def closed_axes(
    axes: Sequence[SpaceAxis], values: np.ndarray, first: int = 0
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the nodes of each axis and the values with a period's right end added.

    Parameters
    ----------
    axes
        Of the grid.
    values
        Values at its nodes; the axis number `first` belongs to `axes[0]`.
    """
    nodes = []
    for k, axis in enumerate(axes, first):
        nodes.append(axis.nodes)
        if isinstance(axis, LocalAxis) and axis.period is not None:
            nodes[-1] = np.append(axis.nodes, axis.nodes[0] + axis.period)
            values = np.concatenate([values, np.take(values, [0], axis=k)], axis=k)
    return nodes, values


@dataclass(frozen=True, eq=False)
class SideCondition:
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
class BoxForm:
    """A problem as stencils take it.

    Attributes
    ----------
    system
        States and rates; for a stationary problem, the residuals.
    highest
        Highest derivative of each field along each coordinate.
    conditions
        Those that eliminate values, in the order of their precedence.
    """

    system: Evolution
    highest: tuple[tuple[int, ...], ...]
    conditions: tuple[SideCondition, ...]


def require_box(problem: Problem) -> None:
    """Raise UnsupportedProblemError unless `problem` is a forward one on a box."""
    if problem.domain is None:
        raise UnsupportedProblemError("it has no space coordinates; use 'ode'")
    if not problem.domain.is_box:
        raise UnsupportedProblemError(
            f"its domain, {problem.domain.describe()}, is no Interval or Box; use "
            "'finite-element'"
        )
    if problem.unknowns:
        names = ", ".join(u.name for u in problem.unknowns)
        raise UnsupportedProblemError(
            f"its coefficients {names} are unknown; fix them, or use 'adjoint'"
        )


def box_form(problem: Problem, system: Evolution, axes: Sequence[SpaceAxis]) -> BoxForm:
    """Return the form of `problem`; UnsupportedProblemError says why there is none.

    Parameters
    ----------
    problem
        A forward problem on a box, see `require_box`.
    system
        Its states and rates.
    axes
        See `box_axes`.
    """
    highest = [[0] * problem.dimension for _ in problem.fields]
    for jet in system.rates.jets.values():
        mine = highest[system.states[jet.field].field]
        mine[:] = (max(a, b) for a, b in zip(mine, jet.orders, strict=True))
    for k, (x, axis) in enumerate(zip(problem.space, axes, strict=True)):
        top = max(orders[k] for orders in highest)
        needed = axis.needed(max(top, 1))
        if len(axis.nodes) < needed:
            raise UnsupportedProblemError(
                f"its derivatives of order {top} along {x} need {needed} nodes, and "
                f"there are {len(axis.nodes)}; raise points"
            )
        is_open = isinstance(axis, ChebyshevAxis) or axis.period is None
        if problem.dimension > 1 and is_open and top > 2:
            raise UnsupportedProblemError(
                f"its derivatives of order {top} along {x} meet corners where "
                "several conditions hold at once; make the coordinate periodic, or "
                "split the equation into two of second order"
            )
    return BoxForm(
        system, tuple(map(tuple, highest)), tuple(_conditions(problem, highest))
    )


def _conditions(problem: Problem, highest: list[list[int]]) -> Iterator[SideCondition]:
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
                    yield SideCondition(*place, used, *_affine(problem, c, k, is_upper))


def _affine(
    problem: Problem, condition: Boundary, axis: int, is_upper: int
) -> tuple[dict[Jet, sp.Expr], sp.Expr]:
    what = f"its {type(condition).__name__}({condition.field}, on={condition.on})"
    clock = set() if problem.time is None else {problem.time.coordinate}
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
        if factor.free_symbols & {*lowered.symbols, *clock}:
            raise UnsupportedProblemError(
                f"{what} is not linear in the fields with coefficients that are "
                "constant in time; write it as Dirichlet, Neumann or Robin of that "
                "kind, or use 'finite-element'"
            )
        if clock and jet.orders[0]:
            raise UnsupportedProblemError(
                f"{what} holds a time derivative; write it without, or give the "
                "boundary value a field of its own"
            )
        if factor != 0:
            coefficients[Jet(jet.field, jet.orders[len(clock) :])] = factor
    return coefficients, -rest.xreplace(zero)


@dataclass(frozen=True, eq=False)
class CompiledRates:
    """The compiled right-hand side, its slopes, and the initial state."""

    rates: Callable[..., list[Any]]
    slopes: Callable[..., list[Any]]
    pairs: tuple[tuple[int, int], ...]
    initial: Callable[..., list[Any]]

    @classmethod
    def of(cls, problem: Problem, form: BoxForm) -> CompiledRates:
        """Compile the expressions of `form`."""
        rates = form.system.rates
        arguments = [_clock(problem), *problem.space, *rates.symbols]
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


def _clock(problem: Problem) -> sp.Symbol:
    """Return the time, or a symbol that occurs nowhere."""
    return sp.Dummy("t") if problem.time is None else problem.time.coordinate


class Semidiscretisation:
    """The ordinary differential equations for the values at the nodes.

    All values are one vector w, node by node and in each node state by state; y are
    those of them that no condition determines. The conditions `R w = g(t)` give
    `w = E y + G g(t)`, and with the stencils of all jets below each other in A, the
    jets are `A E y + A G g(t)`.
    """

    def __init__(
        self,
        problem: Problem,
        form: BoxForm,
        functions: CompiledRates,
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

    def _eliminate(self, problem: Problem, form: BoxForm) -> None:
        """Set `free`, E (`extend`), G (`lift`) and the functions of g(t)."""
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
        t = _clock(problem)
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
                    constants[-1][:] = function(0.0, *where)[0]
        self.free = np.flatnonzero(is_free)
        keep = scipy.sparse.eye_array(total, format="csc")[:, self.free].tocsr()
        if not rows:
            self.extend, self.lift = keep, scipy.sparse.csr_array((total, 0))
            return
        self._constant = np.concatenate(constants)
        gone = np.concatenate(eliminated)
        conditions = scipy.sparse.vstack(rows, format="csc")
        inverse = _sparse_inverse(conditions[:, gone].tocsc())
        place_back = scipy.sparse.csr_array(
            (np.ones(len(gone)), (gone, np.arange(len(gone)))), shape=(total, len(gone))
        )
        self.lift = (place_back @ inverse).tocsr()
        self.extend = (keep - self.lift @ conditions[:, self.free]).tocsr()

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


def _sparse_inverse(matrix: scipy.sparse.csc_array) -> scipy.sparse.csr_array:
    """Return the inverse of a matrix that falls into many small blocks.

    The k-th columns of all blocks are solved for together, so that the number of
    solves is the size of the largest block, not of the matrix.
    """
    n = matrix.shape[0]
    _, block = scipy.sparse.csgraph.connected_components(matrix, directed=False)
    order = np.argsort(block, kind="stable")
    starts = np.searchsorted(block[order], np.arange(block.max() + 1))
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n) - starts[block[order]]
    right = np.zeros((n, int(rank.max()) + 1))
    right[np.arange(n), rank] = 1.0
    solved = scipy.sparse.linalg.splu(matrix).solve(right)
    rows, ranks = np.nonzero(solved)
    columns = order[starts[block[rows]] + ranks]
    return scipy.sparse.csr_array((solved[rows, ranks], (rows, columns)), shape=(n, n))
