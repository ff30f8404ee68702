"""Trial fields: networks made to satisfy what they can satisfy exactly.

On a box, Dirichlet values on whole sides and initial values are built into
`u = g(t, x) + m(t, x) N(t, x)`: g takes the values and m vanishes there. Periodic
coordinates enter through their sine and cosine.

Source: I. E. Lagaris, A. Likas, D. I. Fotiadis, IEEE Transactions on Neural Networks 9
(1998) 987-1000, DOI 10.1109/72.712178; g is W. J. Gordon's transfinite interpolation,
SIAM Journal on Numerical Analysis 8 (1971) 158-177, DOI 10.1137/0708019.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
import torch

from pinnsuite.neural.composition import Composition, exponential
from pinnsuite.neural.networks import MLP, Features
from pinnsuite.neural.printing import torch_function
from pinnsuite.neural.propagation import Propagation
from pinnsuite.neural.residual import Magnitude, Residual
from pinnsuite.neural.sampling import interior
from pinnsuite.neural.taylor import Carried, Channels, channels, product_matrix
from pinnsuite.problem.conditions import Dirichlet, Initial, Periodic
from pinnsuite.problem.definition import Problem, derivative_orders
from pinnsuite.problem.domain import Box
from pinnsuite.problem.jets import Jet, numpy_function

_ROUGH = (sp.Piecewise, sp.Heaviside, sp.Abs, sp.sign, sp.Max, sp.Min, sp.floor)
_COMPATIBLE = 1e-10
_NUM_PROBES = 64


@dataclass(frozen=True, eq=False)
class Exact:
    """What one field satisfies exactly by its form `g + m N`.

    Attributes
    ----------
    lift, factor
        g and m, expressions of the coordinates; 0 and 1 where nothing is exact.
    sides
        Where a condition holds exactly, and which.
    initial
        The initial conditions that hold exactly.
    """

    lift: sp.Expr = sp.S.Zero
    factor: sp.Expr = sp.S.One
    sides: tuple[Side, ...] = ()
    initial: tuple[Initial, ...] = ()

    @property
    def is_trivial(self) -> bool:
        """Whether nothing is built in."""
        return bool(self.factor == 1)

    def holds(self, residual: Residual) -> bool:
        """Say whether a residual vanishes identically."""
        return any(c is residual.condition for c in self.initial) or any(
            s.condition is residual.condition and s.name == residual.place.name
            for s in self.sides
        )


@dataclass(frozen=True)
class Side:
    """One end of the coordinate number `axis`, and a condition there."""

    condition: Dirichlet
    name: str
    coordinate: sp.Symbol
    axis: int
    is_upper: bool


def exact_conditions(problem: Problem) -> list[Exact]:
    """Return what each field can satisfy exactly.

    Left to the loss are conditions whose value jumps or holds an unknown coefficient,
    those on other boundaries than whole sides of a box, all sides of a field whose
    values contradict each other in a corner, and initial values that contradict the
    sides.
    """
    return with_initial(problem, exact_sides(problem))


def exact_sides(problem: Problem) -> list[Exact]:
    """Return what each field can satisfy exactly, initial values left out."""
    return [_exact(problem, f) for f in problem.fields]


def _exact(problem: Problem, f: sp.Expr) -> Exact:
    probes = interior(problem, _NUM_PROBES, seed=0)
    sides = _dirichlet_sides(problem, f)
    adopted: list[Side] = []
    lift: sp.Expr = sp.S.Zero
    factor: sp.Expr = sp.S.One
    for axis in dict.fromkeys(side.axis for side in sides):
        assert problem.domain is not None
        x = problem.space[axis]
        low, high = (sp.Float(v) for v in problem.domain.bounds[axis])
        pair = [s for s in sides if s.axis == axis]
        gaps = {s: _on(s.condition.value - lift, s, problem) for s in pair}
        for side in pair:
            if not all(
                _vanishes(_on(gaps[side], other, problem), problem, probes)
                for other in adopted
            ):
                # With a jump in a corner a factor that vanishes on the other sides
                # makes things worse: the lid-driven cavity's residual at fresh points
                # was ten times that of the same network without it.
                return Exact()
        xi = (x - low) / (high - low)
        if len(pair) == 2:
            correction = sum(gaps[s] * (xi if s.is_upper else 1 - xi) for s in pair)
            factor *= 4 * xi * (1 - xi)
        else:
            correction = gaps[pair[0]]
            factor *= 1 - xi if pair[0].is_upper else xi
        lift += correction
        adopted += pair
    return Exact(lift, factor, tuple(adopted))


def _dirichlet_sides(problem: Problem, f: sp.Expr) -> list[Side]:
    if not isinstance(problem.domain, Box):
        return []
    inside = set(problem.coordinates)
    found = []
    for c in problem.conditions_of(Dirichlet):
        if c.field != f or c.value.free_symbols - inside or c.value.has(*_ROUGH):
            continue
        ruled = problem.boundaries_of(c)
        for axis, x in enumerate(problem.space):
            for is_upper, name in enumerate(problem.domain.sides(x)):
                if name in ruled:
                    found.append(Side(c, name, x, axis, bool(is_upper)))
    return found


def _on(expression: sp.Expr, side: Side, problem: Problem) -> sp.Expr:
    assert problem.domain is not None
    end = float(problem.domain.bounds[side.axis, int(side.is_upper)])
    return expression.subs(side.coordinate, sp.Float(end))


def _vanishes(expression: sp.Expr, problem: Problem, probes: np.ndarray) -> bool:
    (values,) = numpy_function(problem.coordinates, [expression])(*probes.T)
    return bool(np.abs(values).max() < _COMPATIBLE)


def with_initial(problem: Problem, sides: Sequence[Exact]) -> list[Exact]:
    """Return `sides`, each with the initial values of its field added if they fit."""
    return [_with_initial(problem, i, e) for i, e in enumerate(sides)]


def _with_initial(problem: Problem, index: int, exact: Exact) -> Exact:
    f = problem.fields[index]
    probes = interior(problem, _NUM_PROBES, seed=0)
    starts = {c.order: c for c in problem.conditions_of(Initial) if c.field == f}
    if problem.time is None or sorted(starts) != list(range(len(starts))) or not starts:
        return exact
    t, start = problem.time.coordinate, sp.Float(problem.time.start)
    gaps = []
    for order, c in sorted(starts.items()):
        if c.value.free_symbols - set(problem.space) or c.value.has(*_ROUGH):
            return exact
        gaps.append(c.value - sp.diff(exact.lift, t, order).subs(t, start))
    for gap in gaps:
        if not all(
            _vanishes(_on(gap, s, problem), problem, probes) for s in exact.sides
        ):
            return exact
        for c in problem.conditions_of(Periodic):
            if not _repeats(gap, c.along, problem, index, probes):
                return exact
    lift = exact.lift + sum((t - start) ** k * gap for k, gap in enumerate(gaps))
    factor = exact.factor * _elapsed(problem) ** len(starts)
    return Exact(lift, factor, exact.sides, tuple(starts.values()))


def _elapsed(problem: Problem) -> sp.Expr:
    """Return the share of the time interval that has passed."""
    assert problem.time is not None
    start, end = sp.Float(problem.time.start), sp.Float(problem.time.end)
    return (problem.time.coordinate - start) / (end - start)


def continued(
    problem: Problem, sides: Sequence[Exact], orders: Sequence[int]
) -> list[Exact]:
    """Return `sides`, each with room for the state that a `Past` adds to it.

    With `Σ_{j<p} (t - s)ʲ/j! ∂ʲu(s, x)` of the past added, `g` less its own Taylor
    polynomial about the start s still takes the values on the sides, because u does,
    and `m ((t - s)/T)ᵖ` leaves the first p time derivatives at s alone.

    Parameters
    ----------
    problem
        Its time interval starts where the past ends.
    orders
        p of each field; 0 where nothing is continued.
    """
    assert problem.time is not None
    t, start = problem.time.coordinate, sp.Float(problem.time.start)
    found = []
    for f, exact, p in zip(problem.fields, sides, orders, strict=True):
        known = [
            (t - start) ** j
            * sp.diff(exact.lift, t, j).subs(t, start)
            / sp.factorial(j)
            for j in range(p)
        ]
        starts = tuple(c for c in problem.conditions_of(Initial) if c.field == f)
        factor = exact.factor * _elapsed(problem) ** p
        found.append(Exact(exact.lift - sp.Add(*known), factor, exact.sides, starts))
    return found


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
        forms = self._forms((0,) * len(self.coordinates))(*points.unbind(1))
        fields = []
        for i, (m, exact) in enumerate(zip(self.magnitudes, self.exact, strict=True)):
            raw = outputs[:, i]
            if exact.is_trivial:
                fields.append(m.applied(raw))
            else:
                lift, factor = forms[2 * i : 2 * i + 2]
                fields.append(lift + factor * (m.spread * raw))
        values = torch.stack(fields, 1)
        if self.past is not None:
            value = channels([], len(self.coordinates))
            values += self.past.derivatives(points, value)[:, 0].T
        return values

    def at(self, points: torch.Tensor, kept: Channels) -> Prepared:
        """Return what the trial's derivatives at `points` need besides parameters."""
        forms = []
        for orders in kept.orders:
            values = self._forms(orders)(*points.unbind(1))
            full = [
                torch.as_tensor(v, dtype=points.dtype, device=points.device).expand(
                    len(points)
                )
                for v in values
            ]
            forms.append(torch.stack(full))
        inputs = self.features.derivatives(points, kept)
        form = torch.stack(forms, 1).view(len(self.exact), 2, len(kept.orders), -1)
        if self.past is not None:
            form[:, 0] += self.past.derivatives(points, kept)
        return Prepared(self, kept, inputs, form)

    def _forms(self, orders: tuple[int, ...]) -> Callable[..., list[Any]]:
        """Return the function for a derivative of all lifts and factors."""
        if orders not in self._known:
            along = tuple(zip(self.coordinates, orders, strict=True))
            expressions = [
                sp.diff(f, *along) for e in self.exact for f in (e.lift, e.factor)
            ]
            self._known[orders] = torch_function(self.coordinates, expressions)
        return self._known[orders]

    @cached_property
    def _known(self) -> dict[tuple[int, ...], Callable[..., list[Any]]]:
        return {}


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
