"""Equations and conditions on a partition as one system of least squares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.fft

from pinnsuite.neural.random_features.basis import Functions, Orthonormal
from pinnsuite.neural.random_features.block_least_squares import ROUND_OFF
from pinnsuite.neural.random_features.corners import corners
from pinnsuite.neural.random_features.elimination import Factors, Rows
from pinnsuite.neural.random_features.equations import (
    Equations,
    Expression,
    Orders,
    State,
)
from pinnsuite.neural.random_features.joints import Fluxes, joints
from pinnsuite.neural.random_features.partition import Interface, Partition
from pinnsuite.neural.random_features.patch_points import PatchPoints, tensor
from pinnsuite.problem.jets import Jet

EXTRAPOLATION = 2
"""Degree in time of the state that Gauss-Newton begins with in a window: frozen, it
needed a step more."""
DAMPING = 1e-13
"""Of factors that are used again: by smaller ones the round-off of a product would be
taken for directions."""
FAIR_SHARE = 1 / 8
"""Share of the volume below which a patch's error weighs less."""
SIMILAR = 0.3
"""Ratio of spectral tails from which more than one axis is to blame."""
FLUX_WEIGHT = 10.0
"""How many times as much as values fluxes weigh where coefficients jump, at least: what
is lost of a flux raises or lowers all that it flows to. The error of
`poisson_patchwork` grew on finer patches with 1 and fell with 10; with 100 it was twice
as large."""


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
        basis: Functions,
        partition: Partition,
        times: tuple[float, float] | None,
        start: State | None,
        *,
        oversampling: float = 2.0,
        seed: int = 0,
    ) -> None:
        self._equations, self._basis = equations, basis
        self._partition, self._times = partition, times
        self._seed = seed
        number = math.ceil(oversampling * basis.size)
        self._points = PatchPoints(equations.problem, partition, times, number, seed)
        self._centres, self._halves = self._points.centres, self._points.halves
        self._jets = list(dict.fromkeys(j for e in equations.interior for j in e.jets))
        self._interior = self._points.inside(number, seed)
        self._tables = self._tables_at(self._interior)
        self._boundary = self._boundary_sets(self._points.face_count())
        self._initial = self._initial_rows(start)
        offset = 0 if times is None else 1
        self._joints = joints(
            basis,
            self._points,
            equations.orders,
            offset,
            partition.interfaces,
            self._weights,
            self._fluxes,
        )

    @property
    def num_fields(self) -> int:
        """The number of fields."""
        return len(self._equations.problem.fields)

    @cached_property
    def _weights(self) -> np.ndarray:
        """How much the rows of each patch count: (patches,).

        Those of small patches at a corner as the root of their share of the volume:
        what they cannot meet would else be made good in their neighbours, at the cost
        of what the neighbours can.
        """
        weights: np.ndarray = np.ones(len(self._centres))
        share = self._share
        for corner in self._corners:
            those = self._partition.around(corner)
            weights[those] = np.sqrt(share[those] / share.max())
        return weights

    def _tables_at(self, local: np.ndarray) -> dict[Orders, np.ndarray]:
        orders = list(dict.fromkeys(j.orders for j in self._jets))
        return self._basis.tables(local, orders)

    def _rates(self, orders: Orders) -> np.ndarray:
        """Return what turns local derivatives into derivatives, a factor a patch."""
        rates: np.ndarray = np.prod(self._halves ** -np.array(orders), axis=1)
        return rates

    def _boundary_sets(self, count: int) -> list[_BoundarySet]:
        problem = self._equations.problem
        if problem.domain is None or not self._equations.boundary:
            return []
        found = []
        names = dict.fromkeys(name for name, _ in self._equations.boundary)
        for name in names:
            points, normals = self._points.boundary(name, count)
            owner = self._partition.locate(
                # A point on a face between patches belongs to the one inside.
                self._points.inwards(points[:, -normals.shape[1] :], normals)
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

    def _initial_rows(self, start: State | None) -> list[_FixedRows]:
        """Return rows `∂ᵏu/∂tᵏ = value` at the start, alike in all patches."""
        if start is None or self._times is None:
            return []
        count = self._points.face_count()
        local = np.insert(self._points.face(count), 0, -1.0, axis=1)
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

    def _fluxes(self, i: Interface, column: int, both: np.ndarray) -> Fluxes:
        """Return the fluxes of fields whose coefficients jump, with their weights.

        In local coordinates, those of the lower patch along `column`.
        """
        d = self._centres.shape[1]
        found = {}
        ratio = self._halves[i.upper, column] / self._halves[i.lower, column]
        points = self._centres[i.lower] + self._halves[i.lower] * both[0]
        near = self._near_corners(points, self._halves[i.lower])
        if len(self._corners):
            for field, highest in enumerate(self._equations.orders[column]):
                for order in range(1, highest if near.min() < 1.0 else 1):
                    along = tuple(order if c == column else 0 for c in range(d))
                    found[field, order] = [(along, near, near * ratio**-order)]
        for field, weights in self._flux_weights.items():
            weight = np.full(both.shape[1], min(weights[i.lower], weights[i.upper]))
            for order in range(1, self._equations.orders[column][field]):
                along = tuple(order if c == column else 0 for c in range(d))
                found[field, order] = [(along, weight, weight * ratio**-order)]
        for (c, field, order), e in self._equations.fluxes.items():
            if c != column:
                continue
            least = self._coefficients[field].min()
            unit = self._halves[i.lower, column] ** order * FLUX_WEIGHT / least
            sides = []
            for patch, local in zip((i.lower, i.upper), both, strict=True):
                # A little inside, where the coefficient is that of the patch.
                local = local * np.where(np.arange(d) == column, 1 - 1e-9, 1.0)
                points = self._centres[patch] + self._halves[patch] * local
                slopes = _slopes_at(e, points)
                rates = [self._rates(j.orders)[patch] for j in e.jets]
                sides.append(
                    [unit * near * s * r for s, r in zip(slopes, rates, strict=True)]
                )
            found[field, order] = [
                (j.orders, *both) for j, *both in zip(e.jets, *sides, strict=True)
            ]
        return found

    @cached_property
    def _coefficients(self) -> dict[int, np.ndarray]:
        """Mean size of the coefficients of fluxes that jump, by field: (patches,)."""
        points = self._global(self._interior)
        found: dict[int, np.ndarray] = {}
        for (_, field, order), e in self._equations.fluxes.items():
            for jet, slope in zip(e.jets, _slopes_at(e, points), strict=True):
                if sum(jet.orders) == order:
                    size = np.abs(slope).mean(axis=1)
                    found[field] = np.maximum(size, found.get(field, 0.0))
        return found

    @cached_property
    def _flux_weights(self) -> dict[int, np.ndarray]:
        """How much rows of fluxes weigh where a coefficient jumps: (patches,).

        Proportional to the coefficient, so that a flux counts alike on both sides.
        """
        return {f: FLUX_WEIGHT * c / c.min() for f, c in self._coefficients.items()}

    def _lightened(self, rows: np.ndarray, jet: Jet, patches: Any) -> np.ndarray:
        """Return rows of a jet by which an equation's natural size is measured."""
        weights = self._flux_weights.get(jet.field)
        offset = 0 if self._times is None else 1
        if weights is None or not any(jet.orders[offset:]):
            return rows
        light: np.ndarray = rows / weights[patches].reshape(-1, *[1] * (rows.ndim - 1))
        return light

    def _near_corners(self, points: np.ndarray, halves: np.ndarray) -> np.ndarray:
        """Return the distance to where planes of jumps cross, in patches, at most 1.

        The solution is like rᵏ there, k > 0; neither r^(k - 2) nor its square has an
        integral without that weight.
        """
        planes = self._partition.planes
        near: np.ndarray = np.ones(points.shape[:-1])
        offset = 0 if self._times is None else 1
        if len(planes) > 1 and self._equations.fluxes:
            away = [
                np.abs(points[..., k, None] - at).min(axis=-1) / halves[..., k]
                for k, at in enumerate(planes, offset)
            ]
            first, second = np.sort(away, axis=0)[:2]
            near = np.minimum(1.0, np.hypot(first, second))
        for corner in self._corners:
            gap = (points[..., offset:] - corner) / halves[..., offset:]
            near = np.minimum(near, np.linalg.norm(gap, axis=-1))
        return near

    @cached_property
    def _corners(self) -> np.ndarray:
        """The corners of a domain in the plane that is cut into patches: (n, 2)."""
        if self._times is not None or len(self._centres) == 1:
            return np.zeros((0, 2))
        return corners(self._equations.problem.domain)

    def state_of(self, coefficients: np.ndarray) -> list[np.ndarray]:
        """Return the jets at the interior points: (patches, n) each."""
        return [
            self._rates(j.orders)[:, None]
            * times_table(self._tables[j.orders], coefficients[:, j.field])
            for j in self._jets
        ]

    def state_from(self, start: State) -> list[np.ndarray]:
        """Return the jets of a state at the interior points: (patches, n) each.

        In a window they are extrapolated from its beginning, by a Taylor polynomial of
        degree `EXTRAPOLATION` in time.
        """
        local, elapsed, degree = self._interior, np.zeros(1), 0
        where: np.ndarray | slice = slice(None)
        if self._times is not None:
            elapsed = (1.0 + local[..., 0]) * self._halves[:, :1]
            degree = EXTRAPOLATION
            local = local.copy()
            local[..., 0] = -1.0
            if len(local) == 1:
                # Of a grid in space and time few points are left.
                distinct, where = np.unique(local[0], axis=0, return_inverse=True)
                local = distinct[None]
        points = self._global(local)
        flat = points.reshape(-1, points.shape[2])
        jets = self._jets
        asked = {
            Jet(j.field, (j.orders[0] + m, *j.orders[1:])): None
            for j in jets
            for m in range(degree + 1)
        }
        values = dict(zip(asked, start(flat, list(asked)), strict=True))
        found = []
        for j in jets:
            total: Any = 0.0
            for m in range(degree + 1):
                term = values[Jet(j.field, (j.orders[0] + m, *j.orders[1:]))]
                term = term.reshape(points.shape[:2])[:, where]
                total = total + term * (elapsed**m / math.factorial(m))
            found.append(total)
        return found

    def _global(self, local: np.ndarray) -> np.ndarray:
        points: np.ndarray = self._centres[:, None] + self._halves[:, None] * local
        return points

    def solve(self, old: np.ndarray | None = None) -> tuple[np.ndarray, float]:
        """Return new coefficients from one Gauss-Newton step, and the misfit before.

        `old` are the last ones, (patches, fields, functions); None for zero. Without a
        finite row the step is NaN and the misfit infinite.
        """
        rows, misfit = self.rows(old)
        if rows is None:
            return np.full(self.shape, np.nan), math.inf
        return rows.old + self.eliminated(rows)[0], misfit

    def eliminated(self, rows: Rows) -> tuple[np.ndarray, Factors]:
        """Return the solution of rows, and their factors.

        Of orthonormal functions by normal equations: in space an elimination front by
        front takes many times as long.
        """
        if isinstance(self._basis, Orthonormal):
            known = rows.squared(self._partition.order)
            return rows.solved(known), known
        return rows.eliminated(self.damping)

    @property
    def damping(self) -> float:
        """The damping of eliminations: of several patches factors are used again."""
        return DAMPING if self.shape[0] > 1 else ROUND_OFF

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of coefficients: patches, fields, functions."""
        return len(self._centres), self.num_fields, self._basis.size

    def rows(
        self, old: np.ndarray | None = None, state: list[np.ndarray] | None = None
    ) -> tuple[Rows | None, float]:
        """Return the linearised rows of what is added to `old`, and its misfit.

        Parameters
        ----------
        old
            Coefficients, (patches, fields, functions); None for zero.
        state
            The jets that the equations are linearised at; None for those of `old`.

        Returns
        -------
        None and infinity where a row is not finite.
        """
        patches, fields, size = self.shape
        old = np.zeros(self.shape) if old is None else old
        ours = self.state_of(old)
        known = dict(zip(self._jets, ours, strict=True))
        values = known if state is None else dict(zip(self._jets, state, strict=True))
        points = self._global(self._interior)
        columns = [points[..., k] for k in range(points.shape[2])]
        count = points.shape[1]
        near = self._near_corners(points, self._halves[:, None])
        rows, right = [], []
        misfit = 0.0
        for e in self._equations.interior:
            jets = e.jets
            residual, *slopes = e.function(*columns, *(values[j] for j in jets))
            residual = np.broadcast_to(residual, (patches, count)).astype(float)
            matrix = np.zeros((patches, count, fields, size))
            light = np.zeros_like(matrix) if self._flux_weights else matrix
            target = -residual
            for jet, slope in zip(jets, slopes, strict=True):
                if np.ndim(slope) == 0 and slope == 0:
                    continue
                factor = np.broadcast_to(slope, (patches, count))
                rate = self._rates(jet.orders)[:, None]
                part = (factor * rate)[..., None] * self._tables[jet.orders]
                matrix[:, :, jet.field] += part
                if light is not matrix:
                    light[:, :, jet.field] += self._lightened(part, jet, slice(None))
                if state is not None:
                    target = target + factor * (values[jet] - known[jet])
            flat = matrix.reshape(patches, count, -1)
            norm = np.sqrt(np.mean(light**2, axis=(1, 2, 3)) * size * fields)
            norm = 1.0 / (np.where(norm > 0, norm, 1.0) * math.sqrt(count))
            weights = (self._weights * norm)[:, None] * near
            misfit += float(np.sum((weights * residual) ** 2))
            rows.append(flat * weights[..., None])
            right.append(target * weights)
        for fixed in self._initial:
            n = fixed.table.shape[0]
            matrix = np.zeros((patches, n, fields, size))
            weight = fixed.weights / (
                np.sqrt(np.mean(fixed.table**2) * size) * math.sqrt(n)
            )
            matrix[:, :, fixed.field] = weight[..., None] * fixed.table
            residual = weight * (
                times_table(fixed.table[None], old[:, fixed.field]) - fixed.values
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
            return None, math.inf
        misfit += math.fsum(float(np.sum(j.weighted(old) ** 2)) for j in self._joints)
        return Rows(matrix, target, old, self._joints), misfit

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
        patches, fields, size = self.shape
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
            light = np.zeros_like(matrix) if self._flux_weights else matrix
            for jet, slope, rate in zip(e.jets, slopes, rates, strict=True):
                part = (slope * rate)[:, None] * tables[jet.orders]
                matrix[:, jet.field] += part
                if light is not matrix:
                    light[:, jet.field] += self._lightened(part, jet, owner)
            norm = np.sqrt(np.mean(light**2, axis=(1, 2)) * size * fields)
            norm = 1.0 / np.where(norm > 0, norm, 1.0)
            norm = norm * self._weights[owner] / np.sqrt(counts[owner])
            rows = np.zeros((patches, counts.max(), fields * size))
            rows[owner, place] = norm[:, None] * matrix.reshape(len(owner), -1)
            right = np.zeros((patches, counts.max()))
            right[owner, place] = norm * residual
            found.append((rows, right))
        return found

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
            values = times_table(table, new[:, f])
            step = times_table(table, new[:, f] - old[:, f])
            size = np.sqrt(np.mean(values**2)) or 1.0
            worst = max(worst, float(np.sqrt(np.mean(step**2)) / size))
        return worst

    def fresh_residual(self, coefficients: np.ndarray) -> np.ndarray:
        """Return how much the residual at fresh points may cost: (patches,).

        With r the root mean square of a residual over a patch and S that of its terms
        `Σ |∂F/∂s s|`: `r/S`, or in a window of length τ the change `r τᵐ/(c |u|)` of
        the solution that it makes, if that is less (c the coefficient of `∂ᵐu/∂tᵐ`, the
        highest). In a window S is that over all patches; else the one of the patch, but
        at least their mean: next to a corner terms may be of any size, and must not
        make the residual elsewhere seem small. Patches that are less than `FAIR_SHARE`
        of the volume count as the root of their share: an error there weighs that much
        in L2. The largest over the equations. If an equation is one derivative alone,
        it is the change which that makes.
        """
        local = self._points.inside(2 * self._basis.size, self._seed + 101)
        tables = self._tables_at(local)
        state = {
            j: self._rates(j.orders)[:, None]
            * times_table(tables[j.orders], coefficients[:, j.field])
            for j in self._jets
        }
        points = self._global(local)
        columns = [points[..., k] for k in range(points.shape[2])]
        near = self._near_corners(points, self._halves[:, None])
        worst: np.ndarray = np.zeros(len(self._centres))
        for e in self._equations.interior:
            values = [state[j] for j in e.jets]
            residual, *slopes = e.function(*columns, *values)
            residual = np.broadcast_to(residual, points.shape[:2])
            cost = self._cost(e, slopes, state, near)
            if _is_one_term(e, residual, slopes, state):
                cost = self._cost_of_derivative(e, slopes, coefficients)
            residual = residual * near
            own = np.sqrt(np.mean(residual**2, axis=1))
            worst = np.maximum(worst, cost * own)
        weighted: np.ndarray = worst * np.sqrt(
            np.minimum(1.0, self._share / FAIR_SHARE)
        )
        return weighted

    @property
    def _share(self) -> np.ndarray:
        """The share of the volume that each patch is: (patches,)."""
        volume = np.prod(self._halves, axis=1)
        share: np.ndarray = volume / volume.sum()
        return share

    def _cost_of_derivative(
        self, expression: Expression, slopes: Sequence[Any], coefficients: np.ndarray
    ) -> float:
        """Return the change that a derivative makes over half of the domain.

        Per unit of it, relative to the field. An equation that states nothing but that
        a derivative vanishes has no terms to compare its residual with.
        """
        (jet,), (slope,) = expression.jets, slopes
        low, high = self._centres - self._halves, self._centres + self._halves
        half = (high.max(0) - low.min(0)) / 2
        size = self._sizes(coefficients)[jet.field]
        reach = math.prod(half ** np.array(jet.orders))
        return float(reach / (math.sqrt(np.mean(np.square(slope))) * size))

    def _cost(
        self,
        expression: Expression,
        slopes: Sequence[Any],
        state: dict[Jet, Any],
        near: np.ndarray,
    ) -> np.ndarray | float:
        """Return the share of error that a residual of one may make: (patches,)."""
        terms: Any = 0.0
        for jet, slope in zip(expression.jets, slopes, strict=True):
            terms = terms + np.abs(slope * state[jet])
        if self._times is None:
            own = np.sqrt(np.mean((near * terms) ** 2, axis=1))
            sizes = np.maximum(own, self._share @ own)
            return 1.0 / np.where(sizes > 0, sizes, 1.0)
        size = math.sqrt(self._share @ np.mean(terms**2, axis=1)) or 1.0
        return min(1.0 / size, self._cost_in_time(expression, slopes, state))

    def _cost_in_time(
        self,
        expression: Expression,
        slopes: Sequence[Any],
        state: dict[Jet, np.ndarray],
    ) -> float:
        """Return `τᵐ/(c |u|)` of an evolution equation, else infinity."""
        assert self._times is not None
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
            size = math.sqrt(self._share @ np.mean(values**2, axis=1))
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
        share = np.sqrt(np.minimum(1.0, self._share / FAIR_SHARE))
        sizes = self._sizes(coefficients)
        if start is not None:
            gaps = self._start_gaps(coefficients, start)
            for f, gap in gaps.items():
                worst = np.maximum(worst, share * gap / sizes[f])
        natural = np.ptp(
            np.stack([self._centres - self._halves, self._centres + self._halves]),
            axis=(0, 1),
        )
        for a_set in self._boundary_sets(self._points.face_count() + 3):
            owner, one = a_set.owner, np.ones(len(a_set.owner))
            for e in a_set.expressions:
                residual, slopes, _, _ = self._at_boundary(a_set, e, coefficients)
                scale = max(
                    float(np.mean(self._lightened(np.abs(slope) * one, jet, owner)))
                    * sizes[jet.field]
                    * math.prod((2 / natural) ** np.array(jet.orders))
                    for jet, slope in zip(e.jets, slopes, strict=True)
                )
                square = np.bincount(owner, residual**2, minlength=len(self._centres))
                number = np.bincount(owner, minlength=len(self._centres))
                gap = np.sqrt(square / np.maximum(number, 1)) / (scale or 1.0)
                worst = np.maximum(worst, share * gap)
        return worst

    def _sizes(self, coefficients: np.ndarray) -> list[float]:
        """Return the root mean square of each field, 1 where it vanishes."""
        zero = (0,) * self._centres.shape[1]
        table = self._basis.tables(self._interior, [zero])[zero]
        found = []
        for f in range(self.num_fields):
            values = times_table(table, coefficients[:, f])
            found.append(math.sqrt(self._share @ np.mean(values**2, axis=1)) or 1.0)
        return found

    def _start_gaps(
        self, coefficients: np.ndarray, start: State
    ) -> dict[int, np.ndarray]:
        """Return the misfit of the state at the start, by field: (patches,)."""
        local = np.insert(
            self._points.face(self._points.face_count() + 1), 0, -1.0, axis=1
        )
        points = self._global(
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
                gap = times_table(table, coefficients[:, f])
                gap = weights * (gap - values.reshape(points.shape[:2]))
                found[f] = np.sqrt(np.mean(gap**2, axis=1))
        return found

    def _jumps(self, coefficients: np.ndarray) -> np.ndarray:
        """Return the jumps at interfaces relative to the fields: (patches,).

        Where coefficients jump they are what is wrong: values are joined loosely there,
        compared with fluxes, and the residual inside is small.
        """
        worst = np.zeros(len(self._centres))
        sizes = self._sizes(coefficients)
        share = np.sqrt(np.minimum(1.0, self._share / FAIR_SHARE))
        for j in self._joints:
            # Rows are of unit norm for coefficients of order one.
            gap = np.sqrt(np.mean(j.jumps(coefficients) ** 2, axis=1)) / sizes[j.field]
            for patches in (j.lower, j.upper):
                weight: Any = 1.0
                if j.field in self._flux_weights:
                    weight = share[patches] * math.sqrt(self._basis.size)
                np.maximum.at(worst, patches, weight * gap)
        return worst

    def tails(self, coefficients: np.ndarray, patches: np.ndarray) -> np.ndarray:
        """Return how slowly spectra decay along each coordinate: (patches, d)."""
        d = self._centres.shape[1]
        n = 12
        local = tensor([n] * d)
        zero = (0,) * d
        table = self._basis.tables(local, [zero])[zero]
        found = np.zeros((len(patches), d))
        for f in range(self.num_fields):
            values = (coefficients[patches, f] @ table.T).reshape(-1, *[n] * d)
            found = np.maximum(found, decay(values))
        return found


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


def slow_axes(tails: np.ndarray) -> np.ndarray:
    """Return the axes along which patches are halved, by their tails: (patches, d)."""
    slow: np.ndarray = tails >= SIMILAR * tails.max(axis=1, keepdims=True)
    return slow


def _slopes_at(expression: Expression, points: np.ndarray) -> list[np.ndarray]:
    """Return the factors of the jets of a linear expression at points (…, d)."""
    columns = [points[..., k] for k in range(points.shape[-1])]
    zeros = np.zeros((len(expression.jets), *points.shape[:-1]))
    _, *slopes = expression.function(*columns, *zeros)
    return [np.broadcast_to(s, points.shape[:-1]).astype(float) for s in slopes]


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


def times_table(table: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Return table (1 or patches, n, m) times coefficients (patches, m)."""
    product: np.ndarray = (
        coefficients @ table[0].T
        if len(table) == 1
        else np.einsum("pnm,pm->pn", table, coefficients)
    )
    return product


def _is_one_term(
    expression: Expression,
    residual: np.ndarray,
    slopes: Sequence[Any],
    state: dict[Jet, Any],
) -> bool:
    """Say whether a residual is a coefficient times one derivative, nothing else."""
    if len(expression.jets) != 1:
        return False
    return np.allclose(residual, slopes[0] * state[expression.jets[0]], rtol=1e-12)
