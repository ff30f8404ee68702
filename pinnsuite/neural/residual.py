"""From a problem to residuals in torch: its equations and each of its conditions.

Everything is lowered once, by `jets.lower`, to algebra in coordinates, data and
derivatives; who supplies the derivatives (our networks, DeepXDE's) is left open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import sympy as sp
import torch

from pinnsuite.errors import DefinitionError, PinnsuiteError, UnsupportedProblemError
from pinnsuite.neural.printing import torch_function
from pinnsuite.problem.conditions import (
    Boundary,
    Initial,
    Observed,
    Periodic,
    Unknown,
    normal,
)
from pinnsuite.problem.definition import Problem, derivative_orders
from pinnsuite.problem.form import JUMPS, require_equations
from pinnsuite.problem.jets import Jet, Lowered, lower
from pinnsuite.problem.mixed import mixed

_ROUND_OFF = 1e-12
_OBSERVED = sp.Dummy("observed", real=True)


@dataclass(frozen=True)
class Place:
    """A set of points where residuals are taken.

    Attributes
    ----------
    kind
        `interior`, `initial`, `boundary`, `periodic` or `observed`.
    name
        Of the boundary, of the periodic coordinate, or the number of the `Observed`
        condition.
    """

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip()


INTERIOR = Place("interior")


@runtime_checkable
class Derivatives(Protocol):
    """Derivatives of the fields at a set of points."""

    def __getitem__(self, jet: Jet) -> torch.Tensor:
        """Return the derivative `jet` at the points: (n,)."""


class ReverseMode:
    """Derivatives by nested reverse-mode differentiation; each is taken once.

    An independent check of those that are carried forward (`taylor`), which were
    cheaper wherever both were measured: value and gradient of a 20x3 network at 2000
    points took 9, 14, 20 and 26 ms of CPU for Burgers, Kovasznay, Kuramoto-Sivashinsky
    and Poisson in five dimensions, and 11, 18, 106 and 39 ms this way.

    `u_xx` is the gradient of `u_x`, whose other component is `u_xt`: what derivatives
    have in common is shared.

    Parameters
    ----------
    points
        Shape (n, coordinates), requiring gradients.
    fields
        Shape (n, fields), computed from `points`.
    """

    def __init__(self, points: torch.Tensor, fields: torch.Tensor) -> None:
        self._points = points
        zero = (0,) * points.shape[1]
        self._known = {Jet(i, zero): u for i, u in enumerate(fields.unbind(1))}

    def __getitem__(self, jet: Jet) -> torch.Tensor:
        """Return the derivative `jet` at the points: (n,)."""
        if jet not in self._known:
            # Time comes first, so u_txx is got from u_xx and not from u_t.
            along = next(k for k, order in enumerate(jet.orders) if order)
            below = _raised(jet, along, -1)
            (gradient,) = torch.autograd.grad(
                self[below].sum(), self._points, create_graph=True
            )
            for k, derivative in enumerate(gradient.unbind(1)):
                self._known.setdefault(_raised(below, k, 1), derivative)
        return self._known[jet]


def _raised(jet: Jet, along: int, by: int) -> Jet:
    orders = list(jet.orders)
    orders[along] += by
    return Jet(jet.field, tuple(orders))


@dataclass(frozen=True, eq=False)
class Residual:
    """One expression that is to vanish at one place.

    Attributes
    ----------
    name
        `equation 1`, `Dirichlet(u(t, x)) on left`, …
    place
        Where.
    condition
        The condition that it is from; None for an equation.
    lowered
        The expression as algebra.
    arguments
        Coordinates, data, unknown coefficients and jets, in this order.
    function
        Its values, of the arguments.
    partials
        Its values, and its derivatives by each unknown coefficient and by each jet.
    """

    name: str
    place: Place
    condition: Any
    lowered: Lowered
    arguments: Sequence[sp.Symbol] = field(repr=False)
    function: Callable[..., list[Any]] = field(repr=False)
    partials: Callable[..., list[Any]] = field(repr=False)

    def __call__(
        self,
        points: torch.Tensor,
        data: torch.Tensor,
        unknowns: Sequence[torch.Tensor],
        derivatives: Derivatives,
    ) -> torch.Tensor:
        """Return the residual at the points: (n,), or (n/2,) at a periodic place.

        Parameters
        ----------
        points
            Shape (n, coordinates); at a periodic place first the lower side, then the
            points opposite.
        data
            Shape (n, k): outward normals on a boundary, the measured values (of their
            logarithms) at an observed place, else k = 0.
        unknowns
            The unknown coefficients' values.
        derivatives
            Of the fields, at the points.
        """
        (value,) = self.function(*self._arguments(points, data, unknowns, derivatives))
        values = _full(value, points)
        if self.place.kind == "periodic":
            half = len(values) // 2
            values = values[:half] - values[half:]
        return values

    def linearised(
        self,
        points: torch.Tensor,
        data: torch.Tensor,
        unknowns: Sequence[torch.Tensor],
        derivatives: Derivatives,
    ) -> Linearised:
        """Return the expression at all points with its partial derivatives.

        At a periodic place these belong to either side; the residual is the difference.
        """
        value, *rest = self.partials(
            *self._arguments(points, data, unknowns, derivatives)
        )
        number = len(unknowns)
        return Linearised(
            _full(value, points),
            rest[:number],
            dict(zip(self.lowered.jets.values(), rest[number:], strict=True)),
        )

    def magnitude(
        self,
        points: torch.Tensor,
        data: torch.Tensor,
        unknowns: Sequence[torch.Tensor],
        derivatives: Derivatives,
    ) -> torch.Tensor:
        """Return the sum of the absolute values of the expression's terms: (n,)."""
        values = self._sizes(*self._arguments(points, data, unknowns, derivatives))
        return sum((_full(v, points).abs() for v in values), torch.zeros(()))

    @property
    def num_terms(self) -> int:
        """The number of terms that can balance each other."""
        return len(self._terms)

    @cached_property
    def _terms(self) -> tuple[sp.Expr, ...]:
        """The terms with derivatives of the fields, and the sum of all others."""
        (expression,) = self.lowered.algebra
        source, rest = sp.expand(expression).as_independent(
            *self.lowered.symbols, as_Add=True
        )
        terms = sp.Add.make_args(rest)
        return terms if source == 0 else (source, *terms)

    @cached_property
    def _sizes(self) -> Callable[..., list[Any]]:
        return torch_function(self.arguments, self._terms)

    def _arguments(
        self,
        points: torch.Tensor,
        data: torch.Tensor,
        unknowns: Sequence[torch.Tensor],
        derivatives: Derivatives,
    ) -> list[torch.Tensor]:
        # Coordinates enter as numbers: their derivatives were taken symbolically.
        return [
            *points.detach().unbind(1),
            *data.unbind(1),
            *unknowns,
            *(derivatives[jet] for jet in self.lowered.jets.values()),
        ]


def _full(value: torch.Tensor | float, points: torch.Tensor) -> torch.Tensor:
    values = torch.as_tensor(value, dtype=points.dtype, device=points.device)
    return values.expand(len(points))


@dataclass(frozen=True, eq=False)
class Linearised:
    """A residual's expression and its partial derivatives at points.

    Attributes
    ----------
    values
        Shape (n,).
    by_unknown
        By each unknown coefficient: (n,), or one number for all points.
    by_jet
        By each derivative of the fields, likewise.
    """

    values: torch.Tensor
    by_unknown: Sequence[torch.Tensor | float]
    by_jet: Mapping[Jet, torch.Tensor | float]


def _partial(expression: sp.Expr, symbol: sp.Symbol) -> sp.Expr:
    """Return a partial derivative; jumps are differentiated on both sides only."""
    return sp.diff(expression, symbol).replace(sp.DiracDelta, lambda *_: sp.S.Zero)


def residuals(problem: Problem) -> tuple[Residual, ...]:
    """Return the residuals of all equations and conditions.

    An unknown coefficient field is an output like any other; of the coordinates that it
    is no function of, its derivatives are to vanish.

    Raises
    ------
    DefinitionError
        If an equation cannot be lowered (it holds the derivative of a jump).
    UnsupportedProblemError
        If a function has no counterpart in torch.
    """
    found = []

    def add(
        name: str,
        place: Place,
        condition: Any,
        expression: sp.Expr | Lowered,
        data: Sequence[sp.Symbol] = (),
    ) -> None:
        lowered = (
            expression
            if isinstance(expression, Lowered)
            else lower([expression], problem.fields, problem.coordinates)
        )
        free = [*(u.symbol for u in problem.unknown_scalars), *lowered.symbols]
        arguments = [*problem.coordinates, *data, *free]
        (value,) = lowered.algebra
        function = torch_function(arguments, [value])
        partials = torch_function(
            arguments, [value, *(_partial(value, s) for s in free)]
        )
        found.append(
            Residual(name, place, condition, lowered, arguments, function, partials)
        )

    for i, equation in enumerate(problem.equations, 1):
        add(f"equation {i}", Place("interior"), None, equation)
    for u in problem.unknown_fields:
        # The outputs of a network are functions of all coordinates.
        for k, x in enumerate(problem.coordinates):
            if x not in u.field.args:
                orders = tuple(np.eye(len(problem.coordinates), dtype=int)[k].tolist())
                slope = sp.Dummy(f"{u.name}_{x}", real=True)
                jets = {slope: Jet(problem.fields.index(u.field), orders)}
                constant = Lowered((slope,), jets, problem.coordinates)
                add(f"{u.name} is constant in {x}", Place("interior"), None, constant)
    normals = [normal(x) for x in problem.space]
    for c in problem.conditions:
        if isinstance(c, Initial):
            assert problem.time is not None
            left = c.field
            if c.order:
                left = sp.Derivative(c.field, (problem.time.coordinate, c.order))
            name = f"Initial({c.field}, order={c.order})"
            add(name, Place("initial"), c, left - c.value)
        elif isinstance(c, Boundary):
            for side in problem.boundaries_of(c):
                name = f"{type(c).__name__}({c.field}) on {side}"
                expression = c.operator(problem.space) - c.value
                add(name, Place("boundary", side), c, expression, normals)
        elif isinstance(c, Periodic):
            orders = derivative_orders(problem.equations, problem.fields, c.along)
            for f, order in zip(problem.fields, orders, strict=True):
                for k in range(max(order, 1)):
                    left = sp.Derivative(f, (c.along, k)) if k else f
                    add(f"Periodic({left})", Place("periodic", c.along.name), c, left)
        elif isinstance(c, Observed):
            number = problem.conditions_of(Observed).index(c)
            left = sp.log(c.field) if c.scale == "log" else c.field
            place = Place("observed", str(number))
            add(f"Observed({c.field})", place, c, left - _OBSERVED, [_OBSERVED])
    return tuple(found)


@dataclass(frozen=True)
class Magnitude:
    """What is known of a field's size before it is solved for.

    Attributes
    ----------
    centre, spread
        The field is about `centre ± spread`, or its logarithm is (`is_positive`).
    is_positive
        Whether the field was measured on a logarithmic scale.
    """

    centre: float = 0.0
    spread: float = 1.0
    is_positive: bool = False

    def applied(self, raw: torch.Tensor) -> torch.Tensor:
        """Return a field of this size from numbers of order one."""
        values = self.centre + self.spread * raw
        return torch.exp(values) if self.is_positive else values


def magnitude(values: np.ndarray, *, is_positive: bool = False) -> Magnitude:
    """Return the magnitude of a field from some of its values.

    Their mean and standard deviation, or those of their logarithms; where they hardly
    vary, their absolute value stands for the spread. Values that vanish up to round-off
    (sin π) tell nothing.
    """
    if is_positive:
        values = np.log(values[values > 0])
    if not len(values) or np.abs(values).max() < _ROUND_OFF:
        return Magnitude(is_positive=is_positive)
    centre, spread = float(values.mean()), float(values.std())
    if spread <= 1e-3 * abs(centre):
        spread = abs(centre)
    return Magnitude(centre, spread, is_positive)


def natural_scale(
    residual: Residual,
    points: torch.Tensor,
    data: torch.Tensor,
    guesses: Sequence[torch.Tensor],
    magnitudes: Sequence[Magnitude],
    lengths: np.ndarray,
    generator: torch.Generator,
) -> float:
    """Return the size that a residual has for fields of natural size.

    The root mean square of the residual when every derivative `∂ᵃu` is drawn at random
    with its natural size, the spread of u over `Πₖ ℓₖ^aₖ`, ℓ the half-lengths of the
    domain: equations and conditions divided by it are dimensionless and of order one.
    """

    class Random(dict[Jet, torch.Tensor]):
        def __missing__(self, jet: Jet) -> torch.Tensor:
            m = magnitudes[jet.field]
            noise = torch.randn(len(points), generator=generator, dtype=torch.float64)
            noise = noise.to(points)
            size = m.spread / math.prod(lengths ** np.array(jet.orders))
            if not any(jet.orders):
                self[jet] = m.applied(noise)
            elif m.is_positive:
                self[jet] = m.applied(noise) * size * noise
            else:
                self[jet] = size * noise
            return self[jet]

    values = residual(points, data, guesses, Random())
    finite = values[torch.isfinite(values)]
    scale = float(finite.square().mean().sqrt()) if len(finite) else 0.0
    return scale if scale > 0 else 1.0


def to_unknown(unknown: Unknown, parameter: torch.Tensor) -> torch.Tensor:
    """Return the coefficient between its limits that a free parameter stands for.

    A logistic curve between finite limits, `softplus` above or below one limit, else
    the parameter itself.
    """
    low, high = unknown.lower, unknown.upper
    if math.isfinite(low) and math.isfinite(high):
        return low + (high - low) * torch.sigmoid(parameter)
    if math.isfinite(low):
        return low + torch.nn.functional.softplus(parameter)
    if math.isfinite(high):
        return high - torch.nn.functional.softplus(parameter)
    return parameter


def from_unknown(unknown: Unknown) -> float:
    """Return the free parameter of the first guess; kept off the limits by 0.1 %."""
    low, high, guess = unknown.lower, unknown.upper, unknown.guess
    if math.isfinite(low) and math.isfinite(high):
        share = min(max((guess - low) / (high - low), 1e-3), 1 - 1e-3)
        return math.log(share / (1 - share))
    if math.isfinite(low) or math.isfinite(high):
        gap = max(guess - low if math.isfinite(low) else high - guess, 1e-3)
        return gap + math.log(-math.expm1(-gap))
    return guess


def why_no_strong_form(problem: object) -> str | None:
    """Say why a network cannot be trained on pointwise residuals of `problem`.

    Residuals are those of the first-order system (`mixed`), in which a flux `a u_x` is
    a field where a jumps with x. What it leaves is refused: a jump of a field that is
    differentiated.
    """
    if not isinstance(problem, Problem):
        return (
            f"it is a {type(problem).__name__}, and a physics-informed network solves "
            "one Problem of differential equations"
        )
    try:
        require_equations(problem, unknown_fields=True)
    except UnsupportedProblemError as error:
        return str(error)
    system = mixed(problem)
    for equation in system.equations:
        for derivative in equation.atoms(sp.Derivative):
            # A field is free in the coordinates: its jumps count too.
            jumps = derivative.expr.atoms(*JUMPS)
            if any(j.free_symbols & set(derivative.variables) for j in jumps):
                return (
                    f"{derivative} differentiates a jump, and residuals at points do "
                    "not see the jump; use 'finite-element'"
                )
    try:
        residuals(system)
    except DefinitionError as error:
        return str(error)
    except PinnsuiteError as error:
        return f"its residual cannot be computed: {error}"
    return None


def values_known(
    problem: Problem,
    samples: Mapping[Place, tuple[np.ndarray, np.ndarray]],
    found: Sequence[Residual],
) -> list[Magnitude]:
    """Return the magnitude of each field from its conditions' own values.

    Initial and Dirichlet values at the sampled points and measurements count, those of
    the conditions that hold unknown coefficients do not. Of an unknown coefficient
    field without any, the first guess is the size.
    """
    known: list[list[np.ndarray]] = [[] for _ in problem.fields]
    positive = [False] * len(problem.fields)
    unknown = {u.symbol for u in problem.unknown_scalars}
    zero = (0,) * len(problem.coordinates)
    for r in found:
        c, (points, data) = r.condition, samples[r.place]
        if c is None or isinstance(c, Periodic):
            continue
        i = problem.fields.index(c.field)
        if isinstance(c, Observed):
            known[i].append(c.values)
            positive[i] = positive[i] or c.scale == "log"
        elif not c.value.free_symbols & unknown and list(r.lowered.jets.values()) == [
            Jet(i, zero)
        ]:
            # The residual u - value of a vanishing field is minus its value.
            at = torch.as_tensor(points)
            jets = {Jet(i, zero): torch.zeros(len(at), dtype=at.dtype)}
            guesses = [torch.tensor(u.guess) for u in problem.unknown_scalars]
            values = -r(at, torch.as_tensor(data), guesses, jets)
            known[i].append(values.numpy())
    for u in problem.unknown_fields:
        if not known[i := problem.fields.index(u.field)]:
            known[i].append(np.array([u.guess]))
    return [
        magnitude(np.concatenate(values or [np.zeros(0)]), is_positive=log)
        for values, log in zip(known, positive, strict=True)
    ]
