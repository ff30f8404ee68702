"""Equations and conditions on a partition as one system of least squares."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import scipy.fft
import sympy as sp

from pinnsuite.neural.random_features.basis import Basis
from pinnsuite.neural.random_features.block_least_squares import (
    Coupling,
    solve,
    triangular,
)
from pinnsuite.neural.random_features.partition import Interface, Partition
from pinnsuite.problem.conditions import Boundary, Initial, Periodic, normal
from pinnsuite.problem.definition import Problem, derivative_orders
from pinnsuite.problem.domain import sobol_points
from pinnsuite.problem.jets import (
    Jet,
    Lowered,
    is_linear,
    jacobian,
    lower,
    numpy_function,
)

Orders = tuple[int, ...]

TENSOR_DIMENSIONS = 3
"""Coordinates up to which collocation points form a grid in each patch."""
BOUNDARY_SHARE = 1.5
"""Points on a face for each function that a basis of that many has on a face."""
EXTRAPOLATION = 2
"""Degree in time of the state that Gauss-Newton begins with in a window: frozen, it
needed a step more."""
FAIR_SHARE = 1 / 8
"""Share of the volume below which a patch's error weighs less."""


@dataclass(frozen=True, eq=False)
class Expression:
    """A residual as algebra in the jets, with its partial derivatives.

    Attributes
    ----------
    lowered
        One expression and its jets.
    function
        Of coordinates, normals and jets: the residual, then its derivative by each jet.
    has_normals
        Whether the outward normal is among the arguments.
    """

    lowered: Lowered
    function: Callable[..., list[Any]]
    has_normals: bool

    @classmethod
    def of(
        cls, problem: Problem, expression: sp.Expr, *, has_normals: bool = False
    ) -> Expression:
        """Lower and compile an expression of the problem's fields."""
        lowered = lower([expression], problem.fields, problem.coordinates)
        normals = [normal(x) for x in problem.space] if has_normals else []
        arguments = [*problem.coordinates, *normals, *lowered.symbols]
        (slopes,) = jacobian(lowered)
        function = numpy_function(arguments, [*lowered.algebra, *slopes])
        return cls(lowered, function, has_normals)

    @property
    def jets(self) -> list[Jet]:
        """The jets, in the order of the arguments."""
        return list(self.lowered.jets.values())


@dataclass(frozen=True, eq=False)
class Equations:
    """What the fields have to satisfy, compiled once a problem.

    Attributes
    ----------
    interior
        The equations.
    boundary
        Name of a boundary, and what holds there.
    initial
        Field, orders of a derivative, and its value at the start as a function of
        space; derivatives in space among them as the equations need.
    orders
        For each coordinate the highest derivative of each field along it.
    is_linear
        All of them are affine in the fields.
    periodic
        The space axes along which everything repeats.
    """

    problem: Problem
    interior: tuple[Expression, ...]
    boundary: tuple[tuple[str, Expression], ...]
    initial: tuple[tuple[int, Orders, Callable[..., list[Any]]], ...]
    orders: tuple[tuple[int, ...], ...]
    is_linear: bool
    periodic: tuple[int, ...]

    @classmethod
    def of(cls, problem: Problem) -> Equations:
        """Lower and compile the equations and conditions of a problem."""
        interior = tuple(Expression.of(problem, e) for e in problem.equations)
        boundary = [
            (
                side,
                Expression.of(
                    problem, c.operator(problem.space) - c.value, has_normals=True
                ),
            )
            for c in problem.conditions_of(Boundary)
            for side in problem.boundaries_of(c)
        ]
        initial = [
            entry
            for c in problem.conditions_of(Initial)
            for entry in _initial_values(problem, c)
        ]
        everything = [*interior, *(e for _, e in boundary)]
        return cls(
            problem,
            interior,
            tuple(boundary),
            tuple(initial),
            tuple(
                derivative_orders(problem.equations, problem.fields, x)
                for x in problem.coordinates
            ),
            all(is_linear(e.lowered) for e in everything),
            periodic_axes(problem),
        )


def _initial_values(
    problem: Problem, condition: Initial
) -> list[tuple[int, Orders, Callable[..., list[Any]]]]:
    """Return the value and its derivatives in space that occur in the equations."""
    lowered = lower(problem.equations, problem.fields, problem.coordinates)
    field = problem.fields.index(condition.field)
    inside = {
        j.orders[1:]
        for j in lowered.jets.values()
        if j.field == field and j.orders[0] == 0
    }
    found = []
    for orders in {(0,) * len(problem.space)} | (
        inside if not condition.order else set()
    ):
        along = zip(problem.space, orders, strict=True)
        value = condition.value
        for x, k in along:
            value = sp.diff(value, x, k)
        function = numpy_function(problem.space, [value.doit()])
        found.append((field, (condition.order, *orders), function))
    return found


@dataclass(frozen=True, eq=False)
class Piece:
    """The fields on a partition of space during a time.

    Attributes
    ----------
    basis, partition
        Of each patch.
    times
        Start and end; None where nothing depends on time.
    coefficients
        Shape (patches, fields, functions).
    """

    basis: Basis
    partition: Partition
    times: tuple[float, float] | None
    coefficients: np.ndarray

    def jets(self, points: np.ndarray, jets: Sequence[Jet]) -> list[np.ndarray]:
        """Return derivatives of the fields at points (n, coordinates): (n,) each."""
        centres, halves = geometry(self.partition, self.times)
        space = points if self.times is None else points[:, 1:]
        owner = self.partition.locate(space)
        orders = list(dict.fromkeys(j.orders for j in jets))
        found = [np.empty(len(points)) for _ in jets]
        for first in range(0, len(points), 1 << 13):
            part = slice(first, first + (1 << 13))
            mine = owner[part]
            tables = self.basis.tables(
                (points[part] - centres[mine]) / halves[mine], orders
            )
            for jet, values in zip(jets, found, strict=True):
                weights = self.coefficients[mine, jet.field]
                rate = np.prod(halves[mine] ** -np.array(jet.orders), axis=1)
                values[part] = rate * np.einsum("nm,nm->n", tables[jet.orders], weights)
        return found


State = Callable[[np.ndarray, Sequence[Jet]], list[np.ndarray]]
"""Derivatives of the fields at points."""


def geometry(
    partition: Partition, times: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return centres and half-widths of the patches in all coordinates: (p, d)."""
    boxes = partition.boxes if partition.edges else np.zeros((1, 0, 2))
    if times is not None:
        ends = np.broadcast_to(times, (len(boxes), 1, 2))
        boxes = np.concatenate([ends, boxes], axis=1)
    return boxes.mean(2), np.ptp(boxes, axis=2) / 2


class System:
    """The rows of one window of time, or of a stationary problem.

    Parameters
    ----------
    equations
        Compiled.
    basis, partition, times
        The unknowns: one coefficient for each function, patch and field.
    start
        The fields when the window begins, for the initial rows; None where nothing
        depends on time.
    oversampling
        Collocation points in a patch for each function of the basis.
    seed
        Of scattered points.
    """

    def __init__(
        self,
        equations: Equations,
        basis: Basis,
        partition: Partition,
        times: tuple[float, float] | None,
        start: State | None,
        *,
        oversampling: float = 2.0,
        seed: int = 0,
    ) -> None:
        self._equations, self._basis = equations, basis
        self._partition, self._times = partition, times
        self._seed, self._oversampling = seed, oversampling
        self._centres, self._halves = geometry(partition, times)
        self._jets = list(dict.fromkeys(j for e in equations.interior for j in e.jets))
        number = math.ceil(oversampling * basis.size)
        self._interior = self._points_inside(number, seed)
        self._tables = self._tables_at(self._interior)
        self._boundary = self._boundary_sets(self._face_count())
        self._initial = self._initial_rows(start)
        self._interfaces = self._interface_rows()

    @property
    def num_fields(self) -> int:
        """The number of fields."""
        return len(self._equations.problem.fields)

    @property
    def num_unknowns(self) -> int:
        """The number of coefficients."""
        return len(self._centres) * self.num_fields * self._basis.size

    # --- points -----------------------------------------------------------------

    def _points_inside(self, number: int, seed: int | None) -> np.ndarray:
        """Return local coordinates inside: (1 or patches, n, d).

        On boxes all patches share one grid of Chebyshev points, or the same scattered
        points (`seed`); elsewhere scattered points inside the domain.
        """
        d = self._centres.shape[1]
        domain = self._equations.problem.domain
        if domain is None or domain.is_box:
            if d <= TENSOR_DIMENSIONS and seed == self._seed:
                return _tensor([math.ceil(number ** (1 / d))] * d)[None]
            return _clustered(sobol_points(number, d, 7 if seed is None else seed))[
                None
            ]
        offset = 0 if self._times is None else 1
        found = []
        for p, (centre, half) in enumerate(
            zip(self._centres, self._halves, strict=True)
        ):
            kept = np.zeros((0, d))
            count = number
            while len(kept) < number and count <= 64 * number:
                unit = _clustered(sobol_points(count, d, (seed or 7) + 13 * p))
                at = centre + half * unit
                inside = domain.signed_distance(at[:, offset:]) < 0
                kept = unit[inside][:number]
                count *= 2
            repeats = math.ceil(number / max(len(kept), 1))
            found.append(np.tile(kept, (repeats, 1))[:number])
        return np.array(found)

    def _tables_at(self, local: np.ndarray) -> dict[Orders, np.ndarray]:
        orders = list(dict.fromkeys(j.orders for j in self._jets))
        return self._basis.tables(local, orders)

    def _rates(self, orders: Orders) -> np.ndarray:
        """Return what turns local derivatives into derivatives, a factor a patch."""
        rates: np.ndarray = np.prod(self._halves ** -np.array(orders), axis=1)
        return rates

    def _face_count(self) -> int:
        """Return how many points to take on one face of a patch."""
        d = self._centres.shape[1]
        if d == 1:
            return 1
        whole = self._oversampling * self._basis.size
        return math.ceil(BOUNDARY_SHARE * math.pow(whole, (d - 1) / d))

    def _face_points(self, count: int) -> np.ndarray:
        """Return points of [-1, 1]^(d-1)."""
        d = self._centres.shape[1] - 1
        if d == 0:
            return np.zeros((1, 0))
        if d <= 2:
            return _tensor([math.ceil(count ** (1 / d))] * d)
        return _clustered(sobol_points(count, d, self._seed + 5))

    # --- conditions ---------------------------------------------------------------

    def _boundary_sets(self, count: int) -> list[_BoundarySet]:
        problem = self._equations.problem
        if problem.domain is None or not self._equations.boundary:
            return []
        found = []
        names = dict.fromkeys(name for name, _ in self._equations.boundary)
        for name in names:
            points, normals = self._boundary_points(name, count)
            owner = self._partition.locate(
                # A point on a face between patches belongs to the one inside.
                self._inwards(points, normals)
            )
            found.append(
                _BoundarySet(
                    points,
                    normals,
                    owner,
                    [e for n, e in self._equations.boundary if n == name],
                )
            )
        return found

    def _inwards(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        space = points if self._times is None else points[:, 1:]
        size = np.ptp(self._partition.boxes, axis=2).min()
        inside: np.ndarray = space - 1e-9 * size * normals
        return inside

    def _boundary_points(self, name: str, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return points of a boundary, in time too, and the outward normals."""
        domain = self._equations.problem.domain
        assert domain is not None
        if domain.is_box:
            return self._box_side(name, count)
        # As many points a length as the faces of patches have.
        faces = np.ptp(self._partition.boxes, axis=2).mean() ** (domain.dimension - 1)
        total = count * math.ceil(domain.boundary_measure(name) / faces + 1)
        space, normals = domain.sample_boundary(name, total, self._seed)
        if self._times is None:
            return space, normals
        unit = np.random.default_rng(self._seed).permutation(total)
        low, high = self._times
        t = low + (high - low) * (1 - np.cos(math.pi * (unit + 0.5) / total)) / 2
        return np.column_stack([t, space]), normals

    def _box_side(self, name: str, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the points of one side of a box: the same on every patch along it."""
        problem = self._equations.problem
        offset = 0 if self._times is None else 1
        for axis, x in enumerate(problem.space):
            sides = problem.domain.sides(x)  # type: ignore[union-attr]
            if name not in sides:
                continue
            end = sides.index(name)
            numbers = np.moveaxis(self._partition.numbers, axis, 0)
            patches = numbers[-end].ravel()
            face = self._face_points(count)
            local = np.insert(face, axis + offset, 2.0 * end - 1.0, axis=1)
            points = self._centres[patches, None] + self._halves[patches, None] * local
            normals = np.zeros((points.shape[0] * points.shape[1], len(problem.space)))
            normals[:, axis] = 2.0 * end - 1.0
            return points.reshape(-1, points.shape[2]), normals
        raise AssertionError(name)

    def _initial_rows(self, start: State | None) -> list[_FixedRows]:
        """Return rows `∂ᵏu/∂tᵏ = value` at the start, alike in all patches."""
        if start is None or self._times is None:
            return []
        count = self._face_count()
        local = np.insert(self._face_points(count), 0, -1.0, axis=1)
        domain = self._equations.problem.domain
        points = self._centres[:, None] + self._halves[:, None] * local
        weights = np.ones(points.shape[:2])
        if domain is not None and not domain.is_box:
            flat = points.reshape(-1, points.shape[2])[:, 1:]
            weights = (domain.signed_distance(flat) < 0).astype(float)
            weights = weights.reshape(points.shape[:2])
        zero = (0,) * (points.shape[2] - 1)
        found = []
        for field, highest in enumerate(self._equations.orders[0]):
            for k in range(highest):
                orders = (k, *zero)
                table = self._basis.tables(local, [orders])[orders]
                (values,) = start(
                    points.reshape(-1, points.shape[2]), [Jet(field, orders)]
                )
                # In local time, so that rows of all orders are of one size.
                values = values.reshape(points.shape[:2])
                values = values / self._rates(orders)[:, None]
                found.append(_FixedRows(field, table, values, weights))
        return found

    def _interface_rows(self) -> list[tuple[Interface, np.ndarray, np.ndarray, int]]:
        """Return for each interface and field the rows `left u_a - right u_b = 0`."""
        offset = 0 if self._times is None else 1
        d = self._centres.shape[1]
        domain = self._equations.problem.domain
        face = self._face_points(self._face_count())
        kinds: dict[tuple[int, float], Any] = {}
        found = []
        for i in self._partition.interfaces:
            column = i.axis + offset
            ratio = self._halves[i.upper, column] / self._halves[i.lower, column]
            key = column, ratio
            if key not in kinds:
                kinds[key] = self._jump_tables(column, ratio, face)
            for field, (left, right) in enumerate(kinds[key]):
                if domain is not None and not domain.is_box:
                    local = np.insert(face, column, 1.0, axis=1)
                    at = self._centres[i.lower] + self._halves[i.lower] * local
                    inside = domain.signed_distance(at[:, offset:]) <= 0
                    if not inside.any():
                        continue
                    repeats = len(left) // len(face)
                    keep = np.tile(inside, repeats)
                    found.append((i, left[keep], right[keep], field))
                elif len(left):
                    found.append((i, left, right, field))
        assert d
        return found

    def _jump_tables(
        self, column: int, ratio: float, face: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return for each field the derivatives across a face from both sides.

        Orders 0 to m - 1 for an equation of order m, in the lower patch's coordinate.
        """
        d = self._centres.shape[1]
        before = np.insert(face, column, 1.0, axis=1)
        after = np.insert(face, column, -1.0, axis=1)
        found = []
        for highest in self._equations.orders[column]:
            along = [
                tuple(k if c == column else 0 for c in range(d)) for k in range(highest)
            ]
            left, right = (self._basis.tables(x, along) for x in (before, after))
            scale = [
                1.0 / (np.sqrt(np.mean(left[a] ** 2) * self._basis.size) or 1.0)
                for a in along
            ]
            empty = np.zeros((0, self._basis.size))
            found.append(
                (
                    np.concatenate(
                        [
                            empty,
                            *(s * left[a] for s, a in zip(scale, along, strict=True)),
                        ]
                    ),
                    np.concatenate(
                        [
                            empty,
                            *(
                                s * right[a] * ratio ** -sum(a)
                                for s, a in zip(scale, along, strict=True)
                            ),
                        ]
                    ),
                )
            )
        return found

    # --- linearisation ------------------------------------------------------------

    def state_of(self, coefficients: np.ndarray) -> list[np.ndarray]:
        """Return the jets at the interior points: (patches, n) each."""
        return [
            self._rates(j.orders)[:, None]
            * _times_table(self._tables[j.orders], coefficients[:, j.field])
            for j in self._jets
        ]

    def state_from(self, start: State) -> list[np.ndarray]:
        """Return the jets of a state at the interior points: (patches, n) each.

        In a window they are extrapolated from its beginning, by a Taylor polynomial of
        degree `EXTRAPOLATION` in time.
        """
        points = self._points(self._interior)
        flat = points.reshape(-1, points.shape[2]).copy()
        jets, degree = self._jets, 0
        if self._times is not None:
            elapsed = flat[:, 0] - self._times[0]
            flat[:, 0] = self._times[0]
            degree = EXTRAPOLATION
        asked = {
            Jet(j.field, (j.orders[0] + m, *j.orders[1:])): None
            for j in jets
            for m in range(degree + 1)
        }
        values = dict(zip(asked, start(flat, list(asked)), strict=True))
        found = []
        for j in jets:
            total = np.zeros(len(flat))
            for m in range(degree + 1):
                term = values[Jet(j.field, (j.orders[0] + m, *j.orders[1:]))]
                total += term if not m else term * elapsed**m / math.factorial(m)
            found.append(total.reshape(points.shape[:2]))
        return found

    def _points(self, local: np.ndarray) -> np.ndarray:
        points: np.ndarray = self._centres[:, None] + self._halves[:, None] * local
        return points

    def solve(
        self, state: list[np.ndarray] | None, coefficients: np.ndarray | None
    ) -> tuple[np.ndarray, float]:
        """Return new coefficients from one Gauss-Newton step, and the misfit before.

        Parameters
        ----------
        state
            The jets that equations are linearised at, where there are no coefficients
            yet; None for zero.
        coefficients
            The last ones: (patches, fields, functions).
        """
        patches, fields, size = len(self._centres), self.num_fields, self._basis.size
        shape = patches, fields, size
        is_step = coefficients is not None
        old = np.zeros(shape) if coefficients is None else coefficients
        if is_step or state is None:
            state = self.state_of(old)
        values = dict(zip(self._jets, state, strict=True))
        points = self._points(self._interior)
        columns = [points[..., k] for k in range(points.shape[2])]
        count = points.shape[1]
        rows, right = [], []
        misfit = 0.0
        for e in self._equations.interior:
            jets = e.jets
            residual, *slopes = e.function(*columns, *(values[j] for j in jets))
            residual = np.broadcast_to(residual, (patches, count)).astype(float)
            matrix = np.zeros((patches, count, fields, size))
            target = -residual
            for jet, slope in zip(jets, slopes, strict=True):
                if np.ndim(slope) == 0 and slope == 0:
                    continue
                factor = np.broadcast_to(slope, (patches, count))
                rate = self._rates(jet.orders)[:, None]
                matrix[:, :, jet.field] += (factor * rate)[..., None] * self._tables[
                    jet.orders
                ]
                if not is_step:
                    target = target + factor * values[jet]
            flat = matrix.reshape(patches, count, -1)
            norm = np.sqrt(np.mean(flat**2, axis=(1, 2)) * size * fields)
            norm = 1.0 / (np.where(norm > 0, norm, 1.0) * math.sqrt(count))
            misfit += float(np.sum((norm[:, None] * residual) ** 2))
            rows.append(flat * norm[:, None, None])
            right.append(target * norm[:, None])
        for fixed in self._initial:
            n = fixed.table.shape[0]
            matrix = np.zeros((patches, n, fields, size))
            weight = fixed.weights / (
                np.sqrt(np.mean(fixed.table**2) * size) * math.sqrt(n)
            )
            matrix[:, :, fixed.field] = weight[..., None] * fixed.table
            residual = weight * (
                _times_table(fixed.table[None], old[:, fixed.field]) - fixed.values
            )
            misfit += float(np.sum(residual**2))
            rows.append(matrix.reshape(patches, n, -1))
            right.append(-residual)
        for a_set in self._boundary:
            for matrix, residual in self._boundary_rows(a_set, old):
                misfit += float(np.sum(residual**2))
                rows.append(matrix)
                right.append(-residual)
        matrix = np.concatenate(rows, axis=1)
        target = np.concatenate(right, axis=1)
        if not (np.isfinite(matrix).all() and np.isfinite(target).all()):
            return np.full(shape, np.nan), math.inf
        found = self._eliminated(matrix, target, old)
        misfit += self._jump(old)
        return (old + found if is_step else found), misfit

    def _jump(self, old: np.ndarray) -> float:
        return sum(
            float(np.sum((left @ old[i.lower, f] - right @ old[i.upper, f]) ** 2))
            / len(left)
            for i, left, right, f in self._interfaces
        )

    def _at_boundary(
        self, a_set: _BoundarySet, expression: Expression, old: np.ndarray
    ) -> tuple[np.ndarray, list[Any], list[np.ndarray], dict[Orders, np.ndarray]]:
        """Return residual, slopes, rates and tables of a condition at its points."""
        owner, jets = a_set.owner, expression.jets
        local = (a_set.points - self._centres[owner]) / self._halves[owner]
        tables = self._basis.tables(local, [j.orders for j in jets])
        rates = [self._rates(j.orders)[owner] for j in jets]
        values = [
            rate * np.einsum("nm,nm->n", tables[j.orders], old[owner, j.field])
            for rate, j in zip(rates, jets, strict=True)
        ]
        residual, *slopes = expression.function(
            *a_set.points.T, *a_set.normals.T, *values
        )
        residual = np.broadcast_to(residual, len(owner)).astype(float)
        return residual, slopes, rates, tables

    def _boundary_rows(
        self, a_set: _BoundarySet, old: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the rows of one boundary, patch by patch: (patches, k, unknowns)."""
        patches, fields, size = old.shape
        owner = a_set.owner
        # Each point's place among the rows of its patch.
        order = np.argsort(owner, kind="stable")
        counts = np.bincount(owner, minlength=patches)
        place = np.empty(len(owner), dtype=int)
        starts = np.cumsum(counts) - counts
        place[order] = np.arange(len(owner)) - np.repeat(starts, counts)
        found = []
        for e in a_set.expressions:
            residual, slopes, rates, tables = self._at_boundary(a_set, e, old)
            matrix = np.zeros((len(owner), fields, size))
            for jet, slope, rate in zip(e.jets, slopes, rates, strict=True):
                matrix[:, jet.field] += (slope * rate)[:, None] * tables[jet.orders]
            norm = np.sqrt(np.mean(matrix**2, axis=(1, 2)) * size * fields)
            norm = 1.0 / np.where(norm > 0, norm, 1.0)
            norm = norm / np.sqrt(counts[owner])
            rows = np.zeros((patches, counts.max(), fields * size))
            rows[owner, place] = norm[:, None] * matrix.reshape(len(owner), -1)
            right = np.zeros((patches, counts.max()))
            right[owner, place] = norm * residual
            found.append((rows, right))
        return found

    def _eliminated(
        self, matrix: np.ndarray, target: np.ndarray, old: np.ndarray
    ) -> np.ndarray:
        """Return the least-squares solution of own rows and interfaces."""
        patches, fields, size = old.shape
        n = fields * size
        if patches == 1 and not self._interfaces:
            (solution,) = solve([(matrix[0], target[0])], [])
            return solution.reshape(old.shape)
        both = np.concatenate([matrix, target[..., None]], axis=2)
        if both.shape[1] > n + 1:
            both = np.stack([triangular(b) for b in both])
        fronts = self._partition.fronts
        group = {p: (g, k) for g, f in enumerate(fronts) for k, p in enumerate(f)}
        own_rows: list[list[np.ndarray]] = [[] for _ in fronts]
        ahead: list[list[np.ndarray]] = [[] for _ in fronts]
        for g, front in enumerate(fronts):
            width = len(front) * n
            stacked = np.zeros((len(front) * both.shape[1], width + 1))
            for k, p in enumerate(front):
                r = slice(k * both.shape[1], (k + 1) * both.shape[1])
                stacked[r, k * n : (k + 1) * n] = both[p, :, :-1]
                stacked[r, -1] = both[p, :, -1]
            own_rows[g].append(stacked)
        for i, left, right, field in self._interfaces:
            weight = 1.0 / math.sqrt(len(left))
            jump = left @ old[i.lower, field] - right @ old[i.upper, field]
            (ga, ka), (gb, kb) = group[i.lower], group[i.upper]
            g = min(ga, gb)
            width = len(fronts[g]) * n
            wide = width if ga == gb else width + len(fronts[g + 1]) * n
            rows = np.zeros((len(left), wide + 1))
            for place, block, sign in ((ga, left, 1.0), (gb, right, -1.0)):
                k = ka if place == ga and block is left else kb
                first = (0 if place == g else width) + k * n + field * size
                rows[:, first : first + size] += sign * weight * block
            rows[:, -1] = -weight * jump
            (own_rows if ga == gb else ahead)[g].append(rows)
        own = []
        couplings = []
        for g, front in enumerate(fronts):
            width = len(front) * n
            stacked = np.concatenate(own_rows[g])
            own.append((stacked[:, :-1], stacked[:, -1]))
            if g < len(fronts) - 1:
                total = width + len(fronts[g + 1]) * n
                rows = np.concatenate([np.zeros((0, total + 1)), *ahead[g]])
                couplings.append(
                    Coupling(rows[:, :width], rows[:, width:-1], rows[:, -1])
                )
        solution = np.zeros(old.shape)
        for front, part in zip(fronts, solve(own, couplings), strict=True):
            for k, p in enumerate(front):
                solution[p] = part[k * n : (k + 1) * n].reshape(fields, size)
        return solution

    @property
    def is_linear(self) -> bool:
        """Whether one step solves it."""
        return self._equations.is_linear

    def change(self, new: np.ndarray, old: np.ndarray | None) -> float:
        """Return the largest relative change of a field at the interior points."""
        if old is None:
            return math.inf
        zero = (0,) * self._centres.shape[1]
        table = self._tables.get(zero)
        if table is None:
            table = self._basis.tables(self._interior, [zero])[zero]
        worst = 0.0
        for f in range(self.num_fields):
            values = _times_table(table, new[:, f])
            step = _times_table(table, new[:, f] - old[:, f])
            size = np.sqrt(np.mean(values**2)) or 1.0
            worst = max(worst, float(np.sqrt(np.mean(step**2)) / size))
        return worst

    # --- judgement ----------------------------------------------------------------

    def fresh_residual(self, coefficients: np.ndarray) -> np.ndarray:
        """Return how much the residual at fresh points may cost: (patches,).

        With r the root mean square of a residual over a patch and S that of its terms
        `Σ |∂F/∂s s|` over all patches: `r/S`, or in a window of length τ the change
        `r τᵐ/(c |u|)` of the solution that it makes, if that is less (c the coefficient
        of `∂ᵐu/∂tᵐ`, the highest). Patches that are less than `FAIR_SHARE` of the
        volume count as the root of their share: an error there weighs that much in L2.
        The largest over the equations.
        """
        local = self._points_inside(2 * self._basis.size, self._seed + 101)
        tables = self._tables_at(local)
        state = {
            j: self._rates(j.orders)[:, None]
            * _times_table(tables[j.orders], coefficients[:, j.field])
            for j in self._jets
        }
        points = self._points(local)
        columns = [points[..., k] for k in range(points.shape[2])]
        volume = np.prod(self._halves, axis=1)
        share = volume / volume.sum()
        worst: np.ndarray = np.zeros(len(self._centres))
        for e in self._equations.interior:
            values = [state[j] for j in e.jets]
            residual, *slopes = e.function(*columns, *values)
            residual = np.broadcast_to(residual, points.shape[:2])
            terms = np.zeros(points.shape[:2])
            for slope, value in zip(slopes, values, strict=True):
                terms = terms + np.abs(slope * value)
            size = math.sqrt(share @ np.mean(terms**2, axis=1)) or 1.0
            cost = min(1.0 / size, self._cost_in_time(e, slopes, state, share))
            own = np.sqrt(np.mean(residual**2, axis=1))
            worst = np.maximum(worst, cost * own)
        weighted: np.ndarray = worst * np.sqrt(np.minimum(1.0, share / FAIR_SHARE))
        return weighted

    def _cost_in_time(
        self,
        expression: Expression,
        slopes: Sequence[Any],
        state: dict[Jet, np.ndarray],
        share: np.ndarray,
    ) -> float:
        """Return `τᵐ/(c |u|)` of an evolution equation, else infinity."""
        if self._times is None:
            return math.inf
        jets = expression.jets
        highest = max(j.orders[0] for j in jets)
        if not highest:
            return math.inf
        zero = (0,) * self._centres.shape[1]
        length = (self._times[1] - self._times[0]) ** highest
        costs = []
        for jet, slope in zip(jets, slopes, strict=True):
            if jet.orders[0] < highest:
                continue
            values = state.get(Jet(jet.field, zero))
            factor = math.sqrt(np.mean(np.square(slope))) * math.prod(
                # u_txx: the change of u_xx is what the residual makes.
                np.max(self._halves, axis=0)[1:] ** -np.array(jet.orders[1:])
            )
            if values is None or not factor:
                continue
            size = math.sqrt(share @ np.mean(values**2, axis=1))
            costs.append(length / (factor * size) if size else math.inf)
        return min(costs, default=math.inf)

    def indicators(self, coefficients: np.ndarray, start: State | None) -> np.ndarray:
        """Return the largest share of error that a patch shows: (patches,).

        Of the residual (`fresh_residual`), of the conditions at fresh points, and of
        the jumps at interfaces.
        """
        worst: np.ndarray = np.maximum(
            self.fresh_residual(coefficients), self._jumps(coefficients)
        )
        volume = np.prod(self._halves, axis=1)
        share = np.sqrt(np.minimum(1.0, volume / volume.sum() / FAIR_SHARE))
        sizes = self._sizes(coefficients)
        if start is not None:
            gaps = self._start_gaps(coefficients, start)
            for f, gap in gaps.items():
                worst = np.maximum(worst, share * gap / sizes[f])
        natural = np.ptp(
            np.stack([self._centres - self._halves, self._centres + self._halves]),
            axis=(0, 1),
        )
        for a_set in self._boundary_sets(self._face_count() + 3):
            for e in a_set.expressions:
                residual, slopes, _, _ = self._at_boundary(a_set, e, coefficients)
                scale = max(
                    float(np.mean(np.abs(slope)))
                    * sizes[jet.field]
                    * math.prod((2 / natural) ** np.array(jet.orders))
                    for jet, slope in zip(e.jets, slopes, strict=True)
                )
                square = np.bincount(
                    a_set.owner, residual**2, minlength=len(self._centres)
                )
                number = np.bincount(a_set.owner, minlength=len(self._centres))
                gap = np.sqrt(square / np.maximum(number, 1)) / (scale or 1.0)
                worst = np.maximum(worst, share * gap)
        return worst

    def _sizes(self, coefficients: np.ndarray) -> list[float]:
        """Return the root mean square of each field, 1 where it vanishes."""
        zero = (0,) * self._centres.shape[1]
        table = self._basis.tables(self._interior, [zero])[zero]
        volume = np.prod(self._halves, axis=1)
        share = volume / volume.sum()
        found = []
        for f in range(self.num_fields):
            values = _times_table(table, coefficients[:, f])
            found.append(math.sqrt(share @ np.mean(values**2, axis=1)) or 1.0)
        return found

    def _start_gaps(
        self, coefficients: np.ndarray, start: State
    ) -> dict[int, np.ndarray]:
        """Return the misfit of the state at the start, by field: (patches,)."""
        local = np.insert(self._face_points(self._face_count() + 1), 0, -1.0, axis=1)
        points = self._points(
            np.broadcast_to(local, (len(self._centres), *local.shape))
        )
        zero = (0,) * points.shape[2]
        table = self._basis.tables(local, [zero])[zero][None]
        domain = self._equations.problem.domain
        weights: np.ndarray = np.ones(points.shape[:2])
        if domain is not None and not domain.is_box:
            flat = points.reshape(-1, points.shape[2])[:, 1:]
            inside = domain.signed_distance(flat) < 0
            weights = inside.reshape(weights.shape).astype(float)
        found = {}
        for f, highest in enumerate(self._equations.orders[0]):
            if highest:
                (values,) = start(points.reshape(-1, points.shape[2]), [Jet(f, zero)])
                gap = _times_table(table, coefficients[:, f])
                gap = weights * (gap - values.reshape(points.shape[:2]))
                found[f] = np.sqrt(np.mean(gap**2, axis=1))
        return found

    def _jumps(self, coefficients: np.ndarray) -> np.ndarray:
        """Return the jumps at interfaces relative to the fields: (patches,)."""
        worst = np.zeros(len(self._centres))
        sizes = self._sizes(coefficients)
        for i, left, right, f in self._interfaces:
            gap = left @ coefficients[i.lower, f] - right @ coefficients[i.upper, f]
            # Rows are of unit norm for coefficients of order one.
            share = float(np.sqrt(np.mean(gap**2))) / sizes[f]
            worst[[i.lower, i.upper]] = np.maximum(worst[[i.lower, i.upper]], share)
        return worst

    def tails(
        self, coefficients: np.ndarray, patches: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return how slowly spectra decay in time and, at worst, in space."""
        d = self._centres.shape[1]
        n = 12
        local = _tensor([n] * d)
        zero = (0,) * d
        table = self._basis.tables(local, [zero])[zero]
        found = np.zeros((len(patches), d))
        for f in range(self.num_fields):
            values = (coefficients[patches, f] @ table.T).reshape(-1, *[n] * d)
            found = np.maximum(found, decay(values))
        return found[:, 0], found[:, 1:].max(1, initial=0.0)


def decay(values: np.ndarray) -> np.ndarray:
    """Return how slowly Chebyshev coefficients decay along each axis.

    Parameters
    ----------
    values
        On a grid of Chebyshev points, (patches, n_1, …, n_d).

    Returns
    -------
    The share of the norm in the upper third of the coefficients: (patches, d).
    """
    axes = tuple(range(1, values.ndim))
    found = []
    for axis in axes:
        spectrum = scipy.fft.dct(values, axis=axis, norm="ortho")
        n = spectrum.shape[axis]
        high = np.take(spectrum, range(2 * n // 3, n), axis)
        size = np.maximum((spectrum**2).sum(axes), 1e-300)
        found.append(np.sqrt((high**2).sum(axes) / size))
    return np.stack(found, 1)


@dataclass(frozen=True, eq=False)
class _BoundarySet:
    points: np.ndarray
    normals: np.ndarray
    owner: np.ndarray
    expressions: list[Expression]


@dataclass(frozen=True, eq=False)
class _FixedRows:
    field: int
    table: np.ndarray
    values: np.ndarray
    weights: np.ndarray


def _times_table(table: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Return table (1 or patches, n, m) times coefficients (patches, m)."""
    product: np.ndarray = (
        coefficients @ table[0].T
        if len(table) == 1
        else np.einsum("pnm,pm->pn", table, coefficients)
    )
    return product


def _tensor(counts: Sequence[int]) -> np.ndarray:
    """Return a grid of Chebyshev points in [-1, 1]ᵈ: (n, d)."""
    axes = [np.cos(math.pi * (np.arange(n) + 0.5) / n)[::-1] for n in counts]
    return np.array(list(product(*axes)))


def _clustered(unit: np.ndarray) -> np.ndarray:
    """Return points of [0, 1]ᵈ moved to [-1, 1]ᵈ, denser towards the faces."""
    clustered: np.ndarray = -np.cos(math.pi * unit)
    return clustered


def periodic_axes(problem: Problem) -> tuple[int, ...]:
    """Return the space axes that `Periodic` conditions name."""
    along = [c.along for c in problem.conditions_of(Periodic)]
    return tuple(k for k, x in enumerate(problem.space) if x in along)
