"""Trial fields: networks made to satisfy what they can satisfy exactly.

Dirichlet values and initial values are built into `u = g(t, x) + m(t, x) N(t, x)`: g
takes the values and m vanishes there; on whole sides of a box by products of its
coordinates, on other boundaries by the distances to their parts (`transfinite`).
Periodic coordinates enter through their sine and cosine.

Source: I. E. Lagaris, A. Likas, D. I. Fotiadis, IEEE Transactions on Neural Networks 9
(1998) 987-1000, DOI 10.1109/72.712178; g is W. J. Gordon's transfinite interpolation,
SIAM Journal on Numerical Analysis 8 (1971) 158-177, DOI 10.1137/0708019.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
import torch

from pinnsuite.neural.boundary_part import Part, corners, is_supported, parts
from pinnsuite.neural.composition import Composition, exponential
from pinnsuite.neural.networks import MLP, Features
from pinnsuite.neural.propagation import Propagation
from pinnsuite.neural.residual import Magnitude, Place, Residual
from pinnsuite.neural.sampling import interior, sample
from pinnsuite.neural.taylor import Carried, Channels, channels, product, product_matrix
from pinnsuite.neural.transfinite import Expressions, Interpolation
from pinnsuite.problem.conditions import Dirichlet, Initial, Periodic
from pinnsuite.problem.definition import Problem, derivative_orders
from pinnsuite.problem.domain import Box, Difference
from pinnsuite.problem.jets import Jet, numpy_function
from pinnsuite.problem.solid import PerforatedBox

_ROUGH = (sp.Piecewise, sp.Heaviside, sp.Abs, sp.sign, sp.Max, sp.Min, sp.floor)
_COMPATIBLE = 1e-10
_NUM_PROBES = 64


@dataclass(frozen=True, eq=False)
class Exact:
    """What one field satisfies exactly by its form `g + m N`.

    Attributes
    ----------
    lift, factor
        Expressions of the coordinates; 0 and 1 where nothing is exact.
    conditions
        The conditions that hold exactly, each with the names of the boundaries where
        it does (none for an initial condition).
    interpolation
        Added to `lift` to give g, and times `factor` to give m; None: neither.
    """

    lift: sp.Expr = sp.S.Zero
    factor: sp.Expr = sp.S.One
    conditions: tuple[tuple[Any, tuple[str, ...]], ...] = ()
    interpolation: Interpolation | None = None

    @property
    def is_trivial(self) -> bool:
        """Whether nothing is built in."""
        return bool(self.factor == 1) and self.interpolation is None

    def holds(self, residual: Residual) -> bool:
        """Say whether a residual vanishes identically."""
        return any(
            c is residual.condition and (not names or residual.place.name in names)
            for c, names in self.conditions
        )


@dataclass(frozen=True)
class _Side:
    """One end of the coordinate number `axis`, and a condition there."""

    condition: Dirichlet
    name: str
    coordinate: sp.Symbol
    axis: int
    is_upper: bool
    end: float


def exact_conditions(problem: Problem, *, pieces: bool = False) -> list[Exact]:
    """Return what each field can satisfy exactly.

    Left to the loss are conditions whose value jumps or holds an unknown coefficient,
    those on the boundary of a mesh or of very many pieces, those on the sides of a box
    around holes on which there are none, all boundaries of a field whose values
    contradict each other in a corner, and initial values that contradict the
    boundaries.

    Parameters
    ----------
    pieces
        Whether values may be built in where that needs the distance to a piece of a
        line or circle, as at a re-entrant corner, and where they change in time on
        other boundaries than sides of a box; if not, all boundaries of such a field
        are left to the loss.
    """
    return with_initial(problem, exact_boundaries(problem, pieces=pieces))


def exact_boundaries(problem: Problem, *, pieces: bool = False) -> list[Exact]:
    """Return what each field can satisfy exactly, initial values left out."""
    return [_exact(problem, i, pieces) for i in range(len(problem.fields))]


def _exact(problem: Problem, index: int, pieces: bool) -> Exact:
    probes = interior(problem, _NUM_PROBES, seed=0)
    of_condition = _valued_parts(problem, index, pieces)
    conditions = list(of_condition)
    sides = _on_sides(problem, conditions, probes)
    if sides is None or not _agree_in_corners(problem, conditions, probes):
        # With a jump in a corner a factor that vanishes on the other sides makes
        # things worse: the lid-driven cavity's residual at fresh points was ten times
        # that of the same network without it.
        return Exact()
    exact, adopted = sides
    valued = [pair for pairs in of_condition.values() for pair in pairs]
    if not valued:
        # Sides around a hole alone did not help: `plate_with_hole` reached errors of
        # 0.92 and 0.97 in 15 CPU s with them built in, and 0.14 and 0.86 without.
        return exact if problem.domain == _box(problem) else Exact()
    if adopted:
        # The sides of a box are one part: in its corners, their product is smooth.
        box = _box(problem)
        assert box is not None
        axes = [s.axis for s in adopted]
        slopes = [
            (4 if axes.count(k) == 2 else 1) / float(np.ptp(box.bounds[k]))
            for k in set(axes)
        ]
        distance = exact.factor / sp.Float(max(slopes))
        valued = [(Part(distance, None, None), exact.lift), *valued]
    return _interpolated(problem, conditions, valued)


def _on_sides(
    problem: Problem, conditions: Sequence[Dirichlet], probes: np.ndarray
) -> tuple[Exact, list[_Side]] | None:
    """Return what holds on sides of a box, around holes or not.

    None if values contradict each other in a corner.
    """
    adopted: list[_Side] = []
    lift: sp.Expr = sp.S.Zero
    factor: sp.Expr = sp.S.One
    sides = _sides(problem, conditions)
    for axis in dict.fromkeys(side.axis for side in sides):
        x = problem.space[axis]
        box = _box(problem)
        assert box is not None
        low, high = (sp.Float(v) for v in box.bounds[axis])
        pair = [s for s in sides if s.axis == axis]
        gaps = {s: _on(s.condition.value - lift, s) for s in pair}
        for side in pair:
            if not all(
                _vanishes(_on(gaps[side], other), problem, probes) for other in adopted
            ):
                return None
        xi = (x - low) / (high - low)
        if len(pair) == 2:
            correction = sum(gaps[s] * (xi if s.is_upper else 1 - xi) for s in pair)
            factor *= 4 * xi * (1 - xi)
        else:
            correction = gaps[pair[0]]
            factor *= 1 - xi if pair[0].is_upper else xi
        lift += correction
        adopted += pair
    held: dict[Dirichlet, tuple[str, ...]] = {}
    for side in adopted:
        held[side.condition] = (*held.get(side.condition, ()), side.name)
    return Exact(lift, factor, tuple(held.items())), adopted


def _box(problem: Problem) -> Box | None:
    """Return the domain, or what holes were cut from, if it is a box."""
    domain = problem.domain
    if isinstance(domain, Difference | PerforatedBox):
        domain = domain.outer
    return domain if isinstance(domain, Box) else None


def _sides(problem: Problem, conditions: Sequence[Dirichlet]) -> list[_Side]:
    box = _box(problem)
    found = []
    for c in conditions if box is not None else ():
        assert box is not None
        ruled = problem.boundaries_of(c)
        for axis, x in enumerate(problem.space):
            for k, name in enumerate(box.sides(x)):
                if name in ruled:
                    end = float(box.bounds[axis, k])
                    found.append(_Side(c, name, x, axis, bool(k), end))
    return found


def _on(expression: sp.Expr, side: _Side) -> sp.Expr:
    return expression.subs(side.coordinate, sp.Float(side.end))


def _vanishes(expression: sp.Expr, problem: Problem, points: np.ndarray) -> bool:
    (values,) = numpy_function(problem.coordinates, [expression])(*points.T)
    return bool(np.abs(values).max() < _COMPATIBLE)


def _agree_in_corners(
    problem: Problem, conditions: Sequence[Dirichlet], probes: np.ndarray
) -> bool:
    """Say whether no two conditions differ where their boundaries meet."""
    if not is_supported(problem.domain):
        return True
    assert problem.domain is not None
    for first, second in itertools.combinations(conditions, 2):
        here, there = problem.boundaries_of(first), problem.boundaries_of(second)
        met = corners(problem.domain, here, there)
        if problem.time is not None:
            times = np.tile(probes[:, 0], len(met))
            met = np.column_stack([times, np.repeat(met, len(probes), axis=0)])
        if len(met) and not _vanishes(first.value - second.value, problem, met):
            return False
    return True


def _valued_parts(
    problem: Problem, index: int, pieces: bool
) -> dict[Dirichlet, list[tuple[Part, sp.Expr]]]:
    """Return the conditions on a field that can be built in.

    Each with the parts where it holds, sides of a box left out, and their values.
    """
    f, inside = problem.fields[index], set(problem.coordinates)
    found: dict[Dirichlet, list[tuple[Part, sp.Expr]]] = {}
    for c in problem.conditions_of(Dirichlet):
        if c.field != f or c.value.free_symbols - inside or c.value.has(*_ROUGH):
            continue
        found[c] = []
        if is_supported(problem.domain):
            assert problem.domain is not None
            order = max(
                derivative_orders(problem.equations, problem.fields, x)[index]
                for x in problem.space
            )
            of_boundary = parts(
                problem.domain,
                problem.boundaries_of(c),
                smoothness=order,
                pieces=pieces,
            )
            if of_boundary is None:
                # With the straight sides of `l_shape_laplace` built in alone, the error
                # was 0.6 and 0.7 times as large, but the residual at fresh points, by
                # which a solution is accepted, 5 and 2.4 times.
                return {}
            varies = problem.time is not None and c.value.has(problem.time.coordinate)
            if of_boundary and varies and not pieces:
                # Heat on an annulus and around two discs, 20 CPU s: 2.1e-3 and 3.8e-3
                # built in, 3.6e-4 and 2.8e-4 in the loss.
                return {}
            found[c] = [(part, c.value) for part in of_boundary]
    return found


def _interpolated(
    problem: Problem,
    conditions: Sequence[Dirichlet],
    valued: Sequence[tuple[Part, sp.Expr]],
) -> Exact:
    """Return what holds by interpolation between parts."""
    interpolation = Interpolation(
        problem.coordinates,
        tuple(part for part, _ in valued),
        tuple(value for _, value in valued),
    )
    points = torch.tensor(interior(problem, _NUM_PROBES**2, seed=0))
    zero = channels([], len(problem.coordinates))
    g, m = interpolation.channels(points, zero)
    if not g.isfinite().all():
        # A value that has no meaning at some foot cannot be carried into the domain.
        return Exact()
    return Exact(
        conditions=tuple((c, problem.boundaries_of(c)) for c in conditions),
        interpolation=replace(interpolation, largest=float(m.max())),
    )


def with_initial(problem: Problem, boundaries: Sequence[Exact]) -> list[Exact]:
    """Return `boundaries`, each with its field's initial values added if they fit."""
    found = []
    for i, exact in enumerate(boundaries):
        starts = _starts(problem, i)
        if starts and _fit(problem, i, starts, exact):
            state = _polynomial(problem, [c.value for c in starts])
            free = _without_state(problem, exact, len(starts))
            held = (*exact.conditions, *((c, ()) for c in starts))
            exact = replace(free, lift=state + free.lift, conditions=held)
        found.append(exact)
    return found


def continued(
    problem: Problem, boundaries: Sequence[Exact], orders: Sequence[int]
) -> list[Exact]:
    """Return `boundaries`, each with room for the state that a `Past` adds to it.

    The boundary values still hold then, since those of the past do.

    Parameters
    ----------
    problem
        Its time interval starts where the past ends.
    orders
        How many time derivatives of each field the past gives; 0: nothing of it.
    """
    found = []
    for f, exact, p in zip(problem.fields, boundaries, orders, strict=True):
        starts = [(c, ()) for c in problem.conditions_of(Initial) if c.field == f]
        held = (*exact.conditions, *starts)
        found.append(replace(_without_state(problem, exact, p), conditions=held))
    return found


def _without_state(problem: Problem, exact: Exact, p: int) -> Exact:
    """Return `exact` without its value and first time derivatives at the start.

    g less its own Taylor polynomial about the start, and m times the power p of the
    share of time that has passed: a polynomial `Σ_{j<p} (t - s)ʲ/j! ∂ʲu(s, x)` added to
    g then gives the first p derivatives there, the value being one of them, and the
    boundary values hold if they are those of u.
    """
    if not p:
        return exact
    assert problem.time is not None
    t, start = problem.time.coordinate, sp.Float(problem.time.start)

    def less_polynomial(g: sp.Expr) -> sp.Expr:
        known = [sp.diff(g, t, j).subs(t, start) for j in range(p)]
        return g - _polynomial(problem, known)

    passed = (t - start) / (sp.Float(problem.time.end) - start)
    interpolation = exact.interpolation
    if interpolation is not None:
        # It is linear in the values, with weights that do not change with time.
        values = tuple(less_polynomial(v) for v in interpolation.values)
        interpolation = replace(interpolation, values=values)
    return replace(
        exact,
        lift=less_polynomial(exact.lift),
        factor=exact.factor * passed**p,
        interpolation=interpolation,
    )


def _polynomial(problem: Problem, derivatives: Sequence[sp.Expr]) -> sp.Expr:
    """Return the polynomial in time with these derivatives at the start."""
    assert problem.time is not None
    since = problem.time.coordinate - sp.Float(problem.time.start)
    terms = [since**j / sp.factorial(j) * d for j, d in enumerate(derivatives)]
    return sp.Add(*terms)


def _starts(problem: Problem, index: int) -> list[Initial]:
    """Return the initial conditions of a field by order, if they can be built in."""
    f = problem.fields[index]
    starts = {c.order: c for c in problem.conditions_of(Initial) if c.field == f}
    if problem.time is None or sorted(starts) != list(range(len(starts))):
        return []
    for c in starts.values():
        if c.value.free_symbols - set(problem.space) or c.value.has(*_ROUGH):
            return []
    return [starts[k] for k in range(len(starts))]


def _fit(problem: Problem, index: int, starts: Sequence[Initial], exact: Exact) -> bool:
    """Say whether initial values are those of the boundaries at the start."""
    assert problem.time is not None
    t, start = problem.time.coordinate, sp.Float(problem.time.start)
    probes = interior(problem, _NUM_PROBES, seed=0)
    for order, c in enumerate(starts):
        for d, names in exact.conditions:
            gap = c.value - sp.diff(d.value, t, order).subs(t, start)
            for name in names:
                points, _ = sample(problem, Place("boundary", name), _NUM_PROBES, 0)
                points[:, 0] = problem.time.start
                if not _vanishes(gap, problem, points):
                    return False
        gap = c.value - sp.diff(exact.lift, t, order).subs(t, start)
        for p in problem.conditions_of(Periodic):
            if not _repeats(gap, p.along, problem, index, probes):
                return False
    return True


def _repeats(
    expression: sp.Expr,
    x: sp.Symbol,
    problem: Problem,
    index: int,
    probes: np.ndarray,
) -> bool:
    """Say whether an expression and its lower derivatives agree at both ends of x."""
    assert problem.domain is not None
    low, high = problem.domain.bounds[problem.space.index(x)]
    order = derivative_orders(problem.equations, problem.fields, x)[index]
    for k in range(max(order, 1)):
        slope = sp.diff(expression, x, k)
        jump = slope.subs(x, sp.Float(high)) - slope.subs(x, sp.Float(low))
        if not _vanishes(jump, problem, probes):
            return False
    return True


@dataclass(frozen=True, eq=False)
class Past:
    """The state at the end of trained fields, a polynomial in time from there on.

    `P = Σ_{j<p} (t - s)ʲ/j! ∂ʲu(s, x)`, s the end: a fixed function of the points.

    Attributes
    ----------
    trial, weights
        The fields and their parameters, as they were left.
    end
        s.
    orders
        p of each field; 0: nothing of it goes on.
    """

    trial: Trial
    weights: torch.Tensor
    end: float
    orders: tuple[int, ...]

    def derivatives(self, points: torch.Tensor, kept: Channels) -> torch.Tensor:
        """Return P with derivatives: (fields, channels, n)."""
        jets = [
            Jet(i, (j, *orders[1:]))
            for i, p in enumerate(self.orders)
            for orders in kept.orders
            for j in range(orders[0], p)
        ]
        at = points.clone()
        at[:, 0] = self.end
        # Each place once: of ordinary equations there is one.
        at, where = torch.unique(at, dim=0, return_inverse=True)
        prepared = self.trial.at(at, channels(jets, points.shape[1]))
        with torch.no_grad():
            state = prepared(self.weights)
        since = points[:, 0] - self.end
        values = points.new_zeros(len(self.orders), len(kept.orders), len(points))
        for i, p in enumerate(self.orders):
            for k, (order, *along) in enumerate(kept.orders):
                for j in range(order, p):
                    power = since ** (j - order) / math.factorial(j - order)
                    values[i, k] += power * state[Jet(i, (j, *along))][where]
        return values


@dataclass(frozen=True, eq=False)
class Trial:
    """The fields as functions of points and of one flat vector of parameters.

    Attributes
    ----------
    network
        From features to one raw output a field.
    features
        Of the points.
    magnitudes
        Centre and spread of each field.
    exact
        What each field satisfies by construction.
    coordinates
        Of the problem, in the order of the points' columns.
    past
        What the fields start from, added to their lifts; None: nothing.
    """

    network: MLP
    features: Features
    magnitudes: Sequence[Magnitude]
    exact: Sequence[Exact]
    coordinates: tuple[sp.Symbol, ...]
    past: Past | None = None

    def __call__(self, parameters: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        """Return the fields at `points` (n, coordinates): (n, fields)."""
        return self.fields(self.network(parameters, self.features(points)), points)

    def fields(self, outputs: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        """Return the fields that a network's `outputs` at `points` stand for."""
        value = channels([], len(self.coordinates))
        forms = self._forms(points, value)[:, :, 0]
        fields = []
        for i, (m, exact) in enumerate(zip(self.magnitudes, self.exact, strict=True)):
            raw = outputs[:, i]
            if exact.is_trivial:
                fields.append(m.applied(raw))
            else:
                lift, factor = forms[i]
                fields.append(lift + factor * (m.spread * raw))
        return torch.stack(fields, 1)

    def at(self, points: torch.Tensor, kept: Channels) -> Prepared:
        """Return what the trial's derivatives at `points` need besides parameters."""
        inputs = self.features.derivatives(points, kept)
        return Prepared(self, kept, inputs, self._forms(points, kept))

    def _forms(self, points: torch.Tensor, kept: Channels) -> torch.Tensor:
        """Return the derivatives of g and m of all fields: (fields, 2, channels, n)."""
        n = len(self.exact)
        forms = self._expressions.channels(points, kept)
        forms = forms.view(n, 2, len(kept.orders), -1)
        rows = []
        for (lift, factor), exact in zip(forms, self.exact, strict=True):
            if exact.interpolation is not None:
                g, m = exact.interpolation.channels(points, kept)
                lift, factor = lift + g, product(factor, m, kept)
            rows.append(torch.stack([lift, factor]))
        forms = torch.stack(rows)
        if self.past is not None:
            forms[:, 0] += self.past.derivatives(points, kept)
        return forms

    @cached_property
    def _expressions(self) -> Expressions:
        """The lifts and factors that are expressions, one field after another."""
        return Expressions(
            self.coordinates, tuple(f for e in self.exact for f in (e.lift, e.factor))
        )


@dataclass(frozen=True, eq=False)
class Prepared:
    """A trial at fixed points: its inputs, lifts and factors, with derivatives.

    Attributes
    ----------
    trial, kept
        Whose derivatives, and which.
    inputs
        Features: (channels, n, features).
    forms
        Lift and factor of each field: (fields, 2, channels, n).
    """

    trial: Trial
    kept: Channels
    inputs: torch.Tensor
    forms: torch.Tensor

    @cached_property
    def _affine(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What takes the network's channels to those of the fields.

        Matrices (fields, channels, channels, n) and what is added to their products.
        """
        lifts, factors = self.forms[:, 0].clone(), self.forms[:, 1].clone()
        for i, (m, exact) in enumerate(
            zip(self.trial.magnitudes, self.trial.exact, strict=True)
        ):
            factors[i] *= m.spread
            if exact.is_trivial:
                lifts[i, 0] += m.centre
        matrices = [product_matrix(f, self.kept) for f in factors]
        return torch.stack(matrices), lifts

    def propagation(self) -> Propagation:
        """Return the arrays to compute with, for these and as many other points."""
        return Propagation(self.trial.network, self.inputs, self.kept)

    def __call__(
        self, parameters: torch.Tensor, propagation: Propagation | None = None
    ) -> CarriedBack:
        """Return the derivatives of the fields.

        Parameters
        ----------
        propagation
            Arrays to compute with; what was computed with them before cannot take
            gradients back any more.
        """
        network = propagation or self.propagation()
        outputs = network.outputs(self.trial.network.layers(parameters), self.inputs)
        matrices, lifts = self._affine
        # (fields, 1, channels, n): each field's channels beside every row.
        raw = outputs.permute(2, 0, 1).unsqueeze(1)
        values = torch.mul(matrices, raw).sum(2).add_(lifts)
        positive = {}
        for i, m in enumerate(self.trial.magnitudes):
            if m.is_positive:
                z = values[i].clone()
                positive[i] = exponential(z, torch.zeros_like(z), self.kept)
                positive[i].evaluate()
                values[i] = positive[i].values
        return CarriedBack(values, self, parameters, network, positive)

    def to_outputs(self, cotangent: torch.Tensor) -> torch.Tensor:
        """Return the cotangent of the network's outputs, (channels, n, fields).

        From that of the fields before exponentials: (fields, channels, n).
        """
        matrices, _ = self._affine
        return torch.mul(matrices, cotangent.unsqueeze(2)).sum(1).permute(1, 2, 0)


class CarriedBack(Carried):
    """Derivatives of the fields that take gradients back to the parameters.

    Parameters
    ----------
    values
        Shape (fields, channels, n).
    prepared, parameters, network, positive
        What they were computed from; the exponentials by field.
    """

    def __init__(
        self,
        values: torch.Tensor,
        prepared: Prepared,
        parameters: torch.Tensor,
        network: Propagation,
        positive: Mapping[int, Composition],
    ) -> None:
        super().__init__(values, prepared.kept)
        self._prepared, self._network, self._positive = prepared, network, positive
        self._layers = prepared.trial.network.layers(parameters)
        self._shape = values.shape

    def add_gradient(
        self, cotangents: Mapping[Jet, torch.Tensor], into: torch.Tensor
    ) -> None:
        """Add to `into` (parameters,) the gradient of `Σ cotangent · value`.

        Parameters
        ----------
        cotangents
            Of some derivatives, each (n,).
        """
        outputs = self._of_outputs(cotangents)
        self._network.add_gradient(
            self._layers, outputs, self._prepared.trial.network.layers(into)
        )

    def jacobian(
        self, cotangents: Mapping[Jet, torch.Tensor], into: torch.Tensor
    ) -> None:
        """Write into `into` (n, parameters) the gradient for each point by itself."""
        self._network.jacobian(self._layers, self._of_outputs(cotangents), into)

    def _of_outputs(self, cotangents: Mapping[Jet, torch.Tensor]) -> torch.Tensor:
        """Return the cotangent of the network's outputs: (channels, n, fields)."""
        by_values = self._prepared.inputs.new_zeros(self._shape)
        for jet, g in cotangents.items():
            by_values[jet.field, self.kept.number[jet.orders]] = g
        for i, composed in self._positive.items():
            composed.cotangent.copy_(by_values[i])
            composed.pullback(by_values[i])
        return self._prepared.to_outputs(by_values).contiguous()


def trial(
    problem: Problem,
    limits: np.ndarray,
    magnitudes: Sequence[Magnitude],
    exact: Sequence[Exact] | None,
    hidden: Sequence[int],
    activation: str,
    frequencies: torch.Tensor | None = None,
    past: Past | None = None,
) -> Trial:
    """Return the trial fields of a problem.

    Parameters
    ----------
    exact
        From `exact_conditions`; None builds nothing in, periodicity included. A field
        measured on a logarithmic scale is an exponential instead: it stays positive.
    past
        What the fields start from; `exact` is then made into what fits it, `continued`.
    hidden
        Widths of the hidden layers.
    frequencies
        Of Fourier features, (coordinates, k); along periodic coordinates they are set
        to zero.
    """
    periodic = []
    if exact is not None:
        along = [c.along for c in problem.conditions_of(Periodic)]
        periodic = [k for k, x in enumerate(problem.coordinates) if x in along]
    if frequencies is not None:
        frequencies = frequencies.clone()
        frequencies[periodic] = 0.0
    features = Features(limits, periodic, frequencies)
    network = MLP((features.size, *hidden, len(problem.fields)), activation)
    built = [
        Exact() if m.is_positive else e
        for e, m in zip(exact or [Exact()] * len(magnitudes), magnitudes, strict=True)
    ]
    if past is not None:
        built = continued(problem, built, past.orders)
    return Trial(network, features, magnitudes, built, problem.coordinates, past)
