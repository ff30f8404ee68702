"""What holds at the start, on the boundary and at the measured points.

A condition names its field, its value (a sympy expression of the coordinates, of the
unknown coefficients and, on a boundary, of the components of the outward unit normal,
see `normal`) and the named boundaries where it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef

from pinnsuite.errors import DefinitionError

EVERYWHERE = "boundary"
"""The name that stands for all boundaries of a domain."""


def normal(coordinate: sp.Symbol) -> sp.Symbol:
    """Return the symbol of the outward unit normal's component along `coordinate`."""
    return sp.Symbol(f"normal_{coordinate.name}", real=True)


def _names(on: str | Sequence[str]) -> tuple[str, ...]:
    return (on,) if isinstance(on, str) else tuple(on)


@dataclass(frozen=True)
class Initial:
    """`∂ᵒu/∂tᵒ = value` at the first time, `o = order` (0 or 1).

    Attributes
    ----------
    field
        The field `u(t, x, …)`.
    value
        Expression of the space coordinates.
    order
        1 for the initial velocity of a problem of second order in time.
    """

    field: AppliedUndef
    value: sp.Expr
    order: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", sp.sympify(self.value))
        if self.order not in (0, 1):
            raise DefinitionError(
                f"Initial({self.field}): order is {self.order}; use 0 for the value "
                "or 1 for the first time derivative."
            )


@dataclass(frozen=True)
class Boundary:
    """A condition that holds on named boundaries."""

    field: AppliedUndef
    value: sp.Expr
    on: str | Sequence[str] = (EVERYWHERE,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", sp.sympify(self.value))
        object.__setattr__(self, "on", _names(self.on))

    def operator(self, space: Sequence[sp.Symbol]) -> sp.Expr:
        """Return the left-hand side of `operator = value`, normals as symbols."""
        raise NotImplementedError


@dataclass(frozen=True)
class Dirichlet(Boundary):
    """`u = value` on the named boundaries."""

    def operator(self, space: Sequence[sp.Symbol]) -> sp.Expr:  # noqa: ARG002
        """Return `u`."""
        return self.field


@dataclass(frozen=True)
class Neumann(Boundary):
    """`∂u/∂n = value` on the named boundaries, n the outward unit normal."""

    def operator(self, space: Sequence[sp.Symbol]) -> sp.Expr:
        """Return `n·∇u`."""
        return sp.Add(*(normal(x) * sp.Derivative(self.field, x) for x in space))


@dataclass(frozen=True)
class Robin(Boundary):
    """`a u + b ∂u/∂n = value` on the named boundaries, b ≠ 0.

    Attributes
    ----------
    a, b
        Expressions of the coordinates; `b` must not vanish (that is Dirichlet's).
    """

    a: sp.Expr = field(default=sp.Integer(1), kw_only=True)
    b: sp.Expr = field(default=sp.Integer(1), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "a", sp.sympify(self.a))
        object.__setattr__(self, "b", sp.sympify(self.b))
        if self.b == 0:
            raise DefinitionError(
                f"Robin({self.field}): b is 0, which leaves a u = value. "
                "Use Dirichlet(field, value / a, on=…)."
            )

    def operator(self, space: Sequence[sp.Symbol]) -> sp.Expr:
        """Return `a u + b n·∇u`."""
        slope = sp.Add(*(normal(x) * sp.Derivative(self.field, x) for x in space))
        return self.a * self.field + self.b * slope


@dataclass(frozen=True)
class Flux(Boundary):
    """`n·F = value`, F the flux given here, such as `k ∇u` (outward positive).

    Attributes
    ----------
    flux
        One expression a space coordinate, in the order of the domain's coordinates.
        It must be the vector under the divergence of the field's equation, so that it
        is the natural condition of the weak form.
    """

    flux: tuple[sp.Expr, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "flux", tuple(sp.sympify(f) for f in self.flux))
        if not self.flux:
            raise DefinitionError(
                f"Flux({self.field}): no flux given; write flux=(k*D(u, x), …), one "
                "component a space coordinate."
            )

    def operator(self, space: Sequence[sp.Symbol]) -> sp.Expr:
        """Return `n·F`."""
        return sp.Add(*(normal(x) * f for x, f in zip(space, self.flux, strict=True)))


@dataclass(frozen=True)
class Periodic:
    """Every field and every derivative repeats from one end of `along` to the other."""

    along: sp.Symbol


@dataclass(frozen=True)
class Obstacle:
    """`u ≥ value` everywhere, in place of the equation where u touches it.

    The field's equation R = 0, R as the problem states it, becomes the complementarity
    problem `u ≥ value, R ≥ 0, (u - value) R = 0`: R vanishes wherever u is above the
    obstacle, and where they touch R is the force that holds u up. So the sign of the
    equation counts: write it with +u_t (or -∇²u where it is stationary), as in
    `u_t - u_xx - f`.

    Attributes
    ----------
    field
        The field `u(t, x, …)`.
    value
        The obstacle: expression of the coordinates.
    """

    field: AppliedUndef
    value: sp.Expr

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", sp.sympify(self.value))


@dataclass(frozen=True, eq=False)
class Observed:
    """Measurements of a field at scattered points, for inverse problems.

    Attributes
    ----------
    field
        The field that was measured.
    points
        Shape (n, d): one row a measurement, columns in the order of the problem's
        coordinates (time first).
    values
        Shape (n,): what was measured.
    scale
        `"linear"` when the noise is additive, `"log"` when it is multiplicative: the
        misfit is then `log u - log value`, and values must be positive.
    """

    field: AppliedUndef
    points: Any
    values: Any
    scale: str = "linear"

    def __post_init__(self) -> None:
        points = np.asarray(self.points, dtype=float)
        values = np.asarray(self.values, dtype=float)
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "values", values)
        if points.ndim != 2 or values.shape != points.shape[:1]:
            raise DefinitionError(
                f"Observed({self.field}): points have shape {points.shape} and values "
                f"{values.shape}; needed are (n, coordinates) and (n,)."
            )
        if self.scale not in ("linear", "log"):
            raise DefinitionError(
                f"Observed({self.field}): scale is {self.scale!r}; use 'linear' or "
                "'log'."
            )
        if not (np.isfinite(points).all() and np.isfinite(values).all()):
            raise DefinitionError(
                f"Observed({self.field}): NaN or infinite measurements; drop them."
            )
        if self.scale == "log" and (values <= 0).any():
            raise DefinitionError(
                f"Observed({self.field}): scale 'log' needs positive values; the "
                f"smallest is {values.min()}."
            )


@dataclass(frozen=True)
class Unknown:
    """A coefficient to be identified: its symbol, its range and a first guess.

    Attributes
    ----------
    truth
        Its value, where the measurements are synthetic; no solver sees it.
    """

    symbol: sp.Symbol
    lower: float
    upper: float
    guess: float
    truth: float | None = None

    def __post_init__(self) -> None:
        _check_range(self)

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self.symbol)


@dataclass(frozen=True)
class UnknownField:
    """A coefficient function to be identified, such as a conductivity `a(x, y)`.

    It is one of the problem's fields, behind the states, and has no equation of its
    own; equations may hold its derivatives, and `Dirichlet` may give it on a boundary.

    Attributes
    ----------
    field
        `field_of("a", x, y)`: a function of some of the coordinates.
    lower, upper
        Its range.
    guess
        The constant to start from.
    """

    field: AppliedUndef
    lower: float
    upper: float
    guess: float

    def __post_init__(self) -> None:
        _check_range(self)

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self.field.func.__name__)


def _check_range(unknown: Unknown | UnknownField) -> None:
    low, guess, high = unknown.lower, unknown.guess, unknown.upper
    if not low < high or not low <= guess <= high:
        raise DefinitionError(
            f"{type(unknown).__name__}({unknown.name}): needed is lower <= guess <= "
            f"upper, given {low}, {guess}, {high}."
        )


Condition = Initial | Boundary | Periodic | Obstacle | Observed
