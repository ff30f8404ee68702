"""Equations and conditions at one instant, on patches of space."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from pinnsuite.neural.random_features.basis import Functions
from pinnsuite.neural.random_features.elimination import Factors, Rows
from pinnsuite.neural.random_features.equations import (
    Equations,
    Expression,
    Orders,
    State,
)
from pinnsuite.neural.random_features.joints import Joint, joints
from pinnsuite.neural.random_features.partition import Partition
from pinnsuite.neural.random_features.patch_points import PatchPoints, ranks, tensor
from pinnsuite.neural.random_features.splitting import Group, Split
from pinnsuite.neural.random_features.system import FAIR_SHARE, decay, times_table
from pinnsuite.neural.sampling import interior
from pinnsuite.problem.jets import Jet, jacobian

MEAN_POINTS = 1 << 14

Shifts = Mapping[int, Mapping[Jet, float]]
"""Multiples of derivatives that are added to the linear part of an equation, and taken
from its rest, by its number."""
Derivatives = Sequence[np.ndarray]
"""Coefficients of the fields and of their derivatives in time, one array
(patches, fields, functions) an order."""


@dataclass(frozen=True, eq=False)
class _Set:
    """Points where expressions hold, and the tables of the functions there.

    Attributes
    ----------
    points
        Coordinates of space, and the components of the normal if it has any: each
        (patches, n) inside, (n,) on a boundary.
    tables
        By derivatives in space: (1 or patches, n, functions), or (n, functions).
    owner
        The patch of each point of a boundary; None inside.
    """

    points: list[np.ndarray]
    tables: dict[Orders, np.ndarray]
    expressions: Sequence[Expression]
    owner: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Subsystem:
    """Some of the equations and conditions, and the fields that follow from them.

    Attributes
    ----------
    equations, fields
        Their numbers.
    inside, boundary
        Where they hold.
    joints
        Of these fields, counted from 0.
    """

    equations: Sequence[int]
    fields: Sequence[int]
    inside: _Set
    boundary: Sequence[_Set]
    joints: Sequence[Joint]

    @property
    def sets(self) -> list[_Set]:
        """Inside, then boundary by boundary."""
        return [self.inside, *self.boundary]

    @cached_property
    def places(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Patch and place of each row of the boundary, and places at most."""
        owners = []
        for a_set in self.boundary:
            assert a_set.owner is not None
            owners += [a_set.owner] * len(a_set.expressions)
        owner = np.concatenate(owners)
        return owner, ranks(owner), int(np.bincount(owner).max())

    def is_like(self, other: Subsystem) -> bool:
        """Say whether the joints are the same."""
        return len(self.joints) == len(other.joints) and all(
            a.field == b.field
            and np.array_equal(a.lower, b.lower)
            and np.array_equal(a.upper, b.upper)
            and np.array_equal(a.left, b.left)
            and np.array_equal(a.right, b.right)
            for a, b in zip(self.joints, other.joints, strict=True)
        )


@dataclass(frozen=True, eq=False)
class Linearised:
    """The rows at a state, and what divides each of them.

    Attributes
    ----------
    matrix
        Shape (patches, rows, unknowns).
    weights
        Of each residual: those inside, then boundary by boundary.
    """

    matrix: np.ndarray
    weights: list[np.ndarray]


class Semidiscrete:
    """Equations in space for coefficients that depend on time (method of lines).

    With features φ_j of space in each patch, `u(t, x) = Σ c_j(t) φ_j(x)`, so that the
    derivatives of u in time are those of the coefficients, and the equations at
    collocation points one system of least squares at each instant.

    Parameters
    ----------
    equations
        Compiled.
    basis, partition
        Of space.
    split
        The linear parts of the equations and the rest, where there are any.
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
        split: Split | None = None,
        *,
        oversampling: float = 2.0,
        seed: int = 0,
    ) -> None:
        self.equations, self.basis, self.partition = equations, basis, partition
        self.split = split
        self._seed = seed
        number = math.ceil(oversampling * basis.size)
        self._points = PatchPoints(equations.problem, partition, None, number, seed)
        self._inside = self._interior(number, seed)
        count = self._points.face_count()
        self._boundary = self._boundary_sets(count)
        self._joints = joints(
            basis,
            self._points,
            equations.orders[1:],
            0,
            partition.interfaces,
            np.ones(len(partition)),
        )
        self._masses: dict[tuple[int, ...], Factors] = {}

    @cached_property
    def whole(self) -> Subsystem:
        """All equations."""
        fields = range(self.shape[1])
        every = range(len(self.equations.interior))
        return Subsystem(every, fields, self._inside, self._boundary, self._joints)

    @cached_property
    def groups(self) -> list[Subsystem]:
        """The linear parts, group by group."""
        assert self.split is not None
        return [self._subsystem(group) for group in self.split.groups]

    def _subsystem(self, group: Group) -> Subsystem:
        assert self.split is not None
        inside = [self.split.parts[i].implicit for i in group.equations]
        boundary = []
        for a_set in self._boundary:
            own = [e for e in a_set.expressions if e.jets[0].field in group.fields]
            if own:
                boundary.append(replace(a_set, expressions=own))
        return Subsystem(
            group.equations,
            group.fields,
            replace(self._inside, expressions=inside),
            boundary,
            self._joints_of(group.fields),
        )

    def _joints_of(self, fields: Sequence[int]) -> list[Joint]:
        """Return the joints of some fields, which are counted from 0."""
        place = {f: k for k, f in enumerate(fields)}
        return [
            replace(j, field=place[j.field]) for j in self._joints if j.field in place
        ]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of coefficients: patches, fields, functions."""
        fields = len(self.equations.problem.fields)
        return len(self.partition), fields, self.basis.size

    @cached_property
    def order(self) -> int:
        """The highest derivative in time."""
        return max(self.equations.orders[0])

    @cached_property
    def evolves(self) -> np.ndarray:
        """Whether the equations hold a field's derivative in time: (fields,)."""
        return np.array(self.equations.orders[0]) > 0

    @cached_property
    def is_fixed(self) -> bool:
        """Whether the rows are the same at all times and states."""
        if not self.equations.is_linear:
            return False
        time = self.equations.problem.coordinates[0]
        every = [*self.equations.interior, *(e for _, e in self.equations.boundary)]
        return not any(
            slope.has(time) for e in every for slope in jacobian(e.lowered)[0]
        )

    def _interior(self, number: int, seed: int) -> _Set:
        local = self._points.inside(number, seed)
        points = self._points.centres[:, None] + self._points.halves[:, None] * local
        expressions = self.equations.interior
        zero = (0,) * local.shape[-1]
        orders = dict.fromkeys(j.orders[1:] for e in expressions for j in e.jets)
        return _Set(
            [points[..., k] for k in range(points.shape[2])],
            self.basis.tables(local, [zero, *(a for a in orders if a != zero)]),
            expressions,
            None,
        )

    def _boundary_sets(self, count: int) -> list[_Set]:
        found = []
        for name in dict.fromkeys(name for name, _ in self.equations.boundary):
            expressions = [e for n, e in self.equations.boundary if n == name]
            points, normals = self._points.boundary(name, count)
            owner = self.partition.locate(self._points.inwards(points, normals))
            local = (points - self._points.centres[owner]) / self._points.halves[owner]
            orders = dict.fromkeys(j.orders[1:] for e in expressions for j in e.jets)
            found.append(
                _Set(
                    [*points.T, *normals.T],
                    self.basis.tables(local, list(orders)),
                    expressions,
                    owner,
                )
            )
        return found

    def _rates(self, a_set: _Set, orders: Orders) -> np.ndarray:
        """Return what turns local derivatives into derivatives, for each point."""
        rates: np.ndarray = np.prod(self._points.halves ** -np.array(orders), axis=1)
        return rates[:, None] if a_set.owner is None else rates[a_set.owner]

    def _state(self, a_set: _Set, c: Derivatives) -> dict[Jet, np.ndarray]:
        """Return the jets at the points of a set."""
        found = {}
        for j in dict.fromkeys(j for e in a_set.expressions for j in e.jets):
            table = a_set.tables[j.orders[1:]]
            own = c[j.orders[0]][:, j.field]
            if a_set.owner is None:
                values = times_table(table, own)
            else:
                values = np.einsum("nm,nm->n", table, own[a_set.owner])
            found[j] = self._rates(a_set, j.orders[1:]) * values
        return found

    def _evaluated(
        self, a_set: _Set, time: float, c: Derivatives
    ) -> list[tuple[np.ndarray, list[Any], dict[Jet, np.ndarray]]]:
        """Return residual, slopes and jets of each expression of a set."""
        state = self._state(a_set, c)
        now = np.full_like(a_set.points[0], time)
        found = []
        for e in a_set.expressions:
            arguments = [now, *a_set.points]
            if not e.has_normals:
                arguments = arguments[: 1 + len(self.equations.problem.space)]
            residual, *slopes = e.function(*arguments, *(state[j] for j in e.jets))
            residual = np.broadcast_to(residual, now.shape).astype(float)
            found.append((residual, slopes, state))
        return found

    def linearised(
        self,
        part: Subsystem,
        time: float,
        c: Derivatives,
        rate: float,
        shifts: Shifts | None = None,
    ) -> Linearised:
        """Return the rows of what is added to the coefficients of the part's fields.

        A derivative in time of order m gains `rateᵐ` times as much.
        """
        place = {f: k for k, f in enumerate(part.fields)}
        fields, size = len(place), self.basis.size
        blocks, weights = [], []
        for a_set in part.sets:
            for k, (e, (residual, slopes, _)) in enumerate(
                zip(a_set.expressions, self._evaluated(a_set, time, c), strict=True)
            ):
                terms = list(zip(e.jets, slopes, strict=True))
                if shifts is not None and a_set is part.inside:
                    terms += shifts[part.equations[k]].items()
                matrix = np.zeros((*residual.shape, fields, size))
                for jet, slope in terms:
                    if jet.field not in place or (np.ndim(slope) == 0 and slope == 0):
                        continue
                    factor = slope * rate ** jet.orders[0]
                    factor = factor * self._rates(a_set, jet.orders[1:])
                    factor = np.broadcast_to(factor, residual.shape)
                    matrix[..., place[jet.field], :] += (
                        factor[..., None] * a_set.tables[jet.orders[1:]]
                    )
                matrix = matrix.reshape(*residual.shape, -1)
                if a_set.owner is None:
                    norm = np.sqrt(np.mean(matrix**2, axis=(1, 2)) * size * fields)
                    norm = (norm * math.sqrt(matrix.shape[1]))[:, None]
                else:
                    norm = np.sqrt(np.mean(matrix**2, axis=1) * size * fields)
                    norm = norm * np.sqrt(np.bincount(a_set.owner)[a_set.owner])
                weight = 1.0 / np.where(norm > 0, norm, 1.0)
                weights.append(weight)
                blocks.append(weight[..., None] * matrix)
        rows = self._stacked(part, blocks)
        return Linearised(rows, weights)

    def target(
        self,
        part: Subsystem,
        time: float,
        c: Derivatives,
        rows: Linearised,
        known: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the right-hand sides of rows at a state: (patches, rows).

        The equations may have to equal something `known`: (equations, patches, n).
        """
        residuals = [
            residual
            for a_set in part.sets
            for residual, _, _ in self._evaluated(a_set, time, c)
        ]
        if known is not None:
            for k, i in enumerate(part.equations):
                residuals[k] = residuals[k] - known[i]
        blocks = [-w * r for w, r in zip(rows.weights, residuals, strict=True)]
        return self._stacked(part, blocks)

    def only_inside(
        self, part: Subsystem, rows: Linearised, terms: np.ndarray
    ) -> np.ndarray:
        """Return right-hand sides that are terms at the points, and zero elsewhere."""
        blocks = [
            weights * terms[i]
            for i, weights in zip(part.equations, rows.weights, strict=False)
        ]
        blocks += [np.zeros_like(w) for w in rows.weights[len(blocks) :]]
        return self._stacked(part, blocks)

    def _stacked(self, part: Subsystem, blocks: Sequence[np.ndarray]) -> np.ndarray:
        """Return blocks of rows patch by patch, filled up with rows of zeros."""
        patches = len(self.partition)
        many = len(part.equations)
        inside = np.concatenate(blocks[:many], axis=1)
        if len(blocks) == many:
            return inside
        owner, place, counts = part.places
        outside = np.zeros((patches, counts, *inside.shape[2:]))
        outside[owner, place] = np.concatenate(blocks[many:])
        return np.concatenate([inside, outside], axis=1)

    def factors(self, part: Subsystem, rows: Linearised) -> Factors:
        """Return the factors of rows."""
        none = np.zeros(rows.matrix.shape[:2])
        system = self.rows(part, rows, none, np.zeros(self.shape))
        return system.squared(self.partition.order)

    def rows(
        self,
        part: Subsystem,
        linearised: Linearised,
        target: np.ndarray,
        old: np.ndarray,
    ) -> Rows:
        """Return the system for what is added to the part's fields of `old`."""
        old = old[:, part.fields]
        return Rows(linearised.matrix, target, old, part.joints)

    def explicit(self, time: float, c: np.ndarray) -> np.ndarray:
        """Return what the explicit parts add to the derivatives in time at the points.

        Shape (equations, patches, n).
        """
        found = self._zeros()
        for i, (residual, _, _) in self._rest(time, c).items():
            found[i] = -residual
        return found

    def shifts(self, time: float, c: np.ndarray) -> Shifts:
        """Return the mean factors of derivatives in space in the explicit parts."""
        assert self.split is not None
        found: dict[int, dict[Jet, float]] = {i: {} for i in range(len(self._zeros()))}
        for i, (_, slopes, _) in self._rest(time, c).items():
            part = self.split.parts[i]
            assert part.explicit is not None
            for jet, slope in zip(part.explicit.jets, slopes, strict=True):
                if jet.field == part.field and any(jet.orders):
                    means = np.mean(slope + np.zeros(self._zeros().shape[1:]), axis=1)
                    found[i][jet] = float(self._share @ means)
        return found

    def shifted(self, c: np.ndarray, shifts: Shifts) -> np.ndarray:
        """Return what `shifts` add to the linear parts: (equations, patches, n)."""
        found = self._zeros()
        for i, terms in shifts.items():
            for jet, factor in terms.items():
                table = self._inside.tables[jet.orders[1:]]
                values = times_table(table, c[:, jet.field])
                found[i] += factor * self._rates(self._inside, jet.orders[1:]) * values
        return found

    def _zeros(self) -> np.ndarray:
        assert self.split is not None
        return np.zeros((len(self.split.parts), *self._inside.points[0].shape))

    def _rest(
        self, time: float, c: np.ndarray
    ) -> dict[int, tuple[np.ndarray, list[Any], dict[Jet, np.ndarray]]]:
        """Return explicit parts with their slopes and jets, by the equation."""
        assert self.split is not None
        explicit = {i: p.explicit for i, p in enumerate(self.split.parts) if p.explicit}
        a_set = replace(self._inside, expressions=list(explicit.values()))
        return dict(zip(explicit, self._evaluated(a_set, time, [c]), strict=True))

    def moving(self, c: np.ndarray) -> np.ndarray:
        """Return the equations' terms with a derivative in time, if that is `c`."""
        assert self.split is not None
        table = self._inside.tables[(0,) * len(self._inside.points)]
        found = self._zeros()
        for i, part in enumerate(self.split.parts):
            if part.field is not None:
                found[i] = part.rate * times_table(table, c[:, part.field])
        return found

    def fitted(self, terms: np.ndarray) -> np.ndarray:
        """Return the derivatives in time that fit terms, zero of what does not evolve.

        The other way round than `moving`.
        """
        assert self.split is not None
        found = np.zeros(self.shape)
        for part, values in zip(self.split.parts, terms, strict=True):
            if part.field is None:
                continue
            if len(self._inside.tables[(0,) * len(self._inside.points)]) == 1:
                # Patch by patch: what is stepped is joined by the next solve.
                fit = values @ self._inverse.T
            else:
                fit = self._fit(part.field, values)
            found[:, part.field] = fit / part.rate
        return found

    def projected(self, state: State, order: int) -> np.ndarray:
        """Return the coefficients that fit a state's derivative in time of an order."""
        points = np.stack(self._inside.points, axis=-1)
        shape, zero = points.shape[:2], (0,) * points.shape[2]
        start = self.equations.problem.time.start  # type: ignore[union-attr]
        points = np.insert(points.reshape(-1, len(zero)), 0, start, axis=1)
        jets = [Jet(f, (order, *zero)) for f in range(self.shape[1])]
        found = np.zeros(self.shape)
        for f, values in enumerate(state(points, jets)):
            found[:, f] = self._fit(f, values.reshape(shape))
        return found

    def _fit(self, field: int, values: np.ndarray) -> np.ndarray:
        """Return the coefficients of a field that fit values at the points."""
        table = self._inside.tables[(0,) * len(self._inside.points)]
        patches, count = values.shape
        size = self.basis.size
        weight = 1.0 / math.sqrt(float(np.mean(table**2)) * size * count)
        matrix = np.broadcast_to(weight * table, (patches, count, size))
        old = np.zeros((patches, 1, size))
        joints = self._joints_of([field])
        rows = Rows(matrix, weight * values, old, joints)
        # Fields with derivatives of the same orders have the same joints.
        orders = tuple(along[field] for along in self.equations.orders[1:])
        if orders not in self._masses:
            self._masses[orders] = rows.squared(self.partition.order)
        return rows.solved(self._masses[orders])[:, 0]

    @cached_property
    def _inverse(self) -> np.ndarray:
        """What turns values at the points of a patch into coefficients."""
        table = self._inside.tables[(0,) * len(self._inside.points)]
        found: np.ndarray = np.linalg.pinv(table[0])
        return found

    def misfits(self, state: State, order: int, c: np.ndarray) -> np.ndarray:
        """Return how far a derivative in time is from a state's: (patches,)."""
        (inside, _), zero = self._fresh, tuple(0 for _ in self.equations.problem.space)
        points = np.stack(inside.points, axis=-1)
        flat = points.reshape(-1, points.shape[2])
        start = self.equations.problem.time.start  # type: ignore[union-attr]
        jets = [Jet(f, (order, *zero)) for f in range(c.shape[1])]
        worst: np.ndarray = np.zeros(len(c))
        for f, values in enumerate(state(np.insert(flat, 0, start, axis=1), jets)):
            gap = times_table(inside.tables[zero], c[:, f])
            gap = gap - values.reshape(gap.shape)
            size = math.sqrt(np.mean(values**2)) or 1.0
            worst = np.maximum(worst, np.sqrt(np.mean(gap**2, axis=1)) / size)
        weighted: np.ndarray = worst * np.sqrt(
            np.minimum(1.0, self._share / FAIR_SHARE)
        )
        return weighted

    def gauged(self, c: np.ndarray) -> np.ndarray:
        """Return coefficients of which the field `gauge` has the mean zero in space.

        It is fixed up to a constant, at each time another one.
        """
        name = self.equations.problem.hints.get("gauge")
        if name is None:
            return c
        f = self.equations.problem.field_names.index(name)
        means, constant = self._means
        found: np.ndarray = c.copy()
        found[:, f] -= np.sum(means * c[:, f]) * constant
        return found

    @cached_property
    def _means(self) -> tuple[np.ndarray, np.ndarray]:
        """Return each function's part of a mean in space, and the coefficients of 1."""
        space = interior(self.equations.problem, MEAN_POINTS, seed=0)[:, 1:]
        owner = self.partition.locate(space)
        local = (space - self._points.centres[owner]) / self._points.halves[owner]
        zero = (0,) * space.shape[1]
        table = self.basis.tables(local, [zero])[zero]
        means = np.zeros((len(self.partition), self.basis.size))
        np.add.at(means, owner, table / len(table))
        inside = self.basis.tables(tensor([12] * space.shape[1]), [zero])[zero]
        constant, *_ = np.linalg.lstsq(inside, np.ones(len(inside)))
        return means, constant

    def sizes(self, c: np.ndarray) -> np.ndarray:
        """Return the root mean square of each field: (fields,)."""
        zero = tuple(0 for _ in self.equations.problem.space)
        table = self._inside.tables[zero]
        return np.array(
            [
                math.sqrt(
                    self._share @ np.mean(times_table(table, c[:, f]) ** 2, axis=1)
                )
                for f in range(c.shape[1])
            ]
        )

    @property
    def _share(self) -> np.ndarray:
        """The share of the volume that each patch is: (patches,)."""
        volume = np.prod(self._points.halves, axis=1)
        share: np.ndarray = volume / volume.sum()
        return share

    @cached_property
    def _fresh(self) -> tuple[_Set, list[_Set]]:
        number = math.ceil(1.5 * self.basis.size)
        return self._interior(number, self._seed + 101), self._boundary_sets(
            self._points.face_count() + 3
        )

    def indicators(
        self, time: float, c: Derivatives, horizon: float, sizes: np.ndarray
    ) -> np.ndarray:
        """Return the largest share of error that a patch shows: (patches,).

        Of the residual at fresh points, relative to its terms or to the change that it
        makes during `horizon`, if that is less; of the conditions at fresh points, and
        of the jumps at interfaces. `sizes` are those of the fields.
        """
        inside, boundary = self._fresh
        share = np.sqrt(np.minimum(1.0, self._share / FAIR_SHARE))
        worst = np.zeros(len(self.partition))
        for e, (residual, slopes, state) in zip(
            inside.expressions, self._evaluated(inside, time, c), strict=True
        ):
            cost = self._cost(e, slopes, state, sizes, horizon)
            gap = np.sqrt(np.mean(residual**2, axis=1))
            worst = np.maximum(worst, cost * share * gap)
        natural = np.ptp(self.partition.boxes, axis=(0, 2))
        for a_set in boundary:
            assert a_set.owner is not None
            for e, (residual, slopes, _) in zip(
                a_set.expressions, self._evaluated(a_set, time, c), strict=True
            ):
                scale = max(
                    float(np.mean(np.abs(slope)))
                    * sizes[jet.field]
                    * math.prod((2 / natural) ** np.array(jet.orders[1:]))
                    for jet, slope in zip(e.jets, slopes, strict=True)
                )
                square = np.bincount(a_set.owner, residual**2, minlength=len(worst))
                number = np.bincount(a_set.owner, minlength=len(worst))
                gap = np.sqrt(square / np.maximum(number, 1)) / (scale or 1.0)
                worst = np.maximum(worst, share * gap)
        for j in self._joints:
            jump = np.sqrt(np.mean(j.jumps(c[0]) ** 2, axis=1)) / sizes[j.field]
            np.maximum.at(worst, j.lower, jump)
            np.maximum.at(worst, j.upper, jump)
        return worst

    def _cost(
        self,
        expression: Expression,
        slopes: Sequence[Any],
        state: dict[Jet, np.ndarray],
        sizes: np.ndarray,
        horizon: float,
    ) -> float:
        """Return the share of error that a residual of one may make."""
        terms: Any = 0.0
        costs = []
        highest = max(j.orders[0] for j in expression.jets)
        for jet, slope in zip(expression.jets, slopes, strict=True):
            terms = terms + np.abs(slope * state[jet])
            if highest and jet.orders[0] == highest:
                factor = math.sqrt(np.mean(np.square(slope))) * math.prod(
                    np.max(self._points.halves, axis=0) ** -np.array(jet.orders[1:])
                )
                if factor:
                    costs.append(horizon**highest / (factor * sizes[jet.field]))
        size = math.sqrt(self._share @ np.mean(terms**2, axis=1)) or 1.0
        return float(min(1.0 / size, *costs, math.inf))

    def tails(self, c: np.ndarray, patches: np.ndarray) -> np.ndarray:
        """Return how slowly spectra decay along each axis of space: (patches, d)."""
        d = len(self.equations.problem.space)
        n = 12
        zero = (0,) * d
        table = self.basis.tables(tensor([n] * d), [zero])[zero]
        found = np.zeros((len(patches), d))
        for f in range(c.shape[1]):
            values = (c[patches, f] @ table.T).reshape(-1, *[n] * d)
            found = np.maximum(found, decay(values))
        return found
