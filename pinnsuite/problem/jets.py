"""The one lowering: from equations to algebra in the derivatives of the fields.

`F(x, t, u, u_x, u_xx, …)` and a table symbol -> derivative. Solvers differ only in how
they differentiate, so everything else about an equation is taken from here: the value
of the residual, its exact linearisation, its printed form for numpy or torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.printing.numpy import SciPyPrinter

from pinnsuite.errors import DefinitionError


@dataclass(frozen=True, order=True)
class Jet:
    """One derivative of one field.

    Attributes
    ----------
    field
        Index into the fields.
    orders
        Order of differentiation along each coordinate; all zero is the field itself.
    """

    field: int
    orders: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Lowered:
    """Expressions as algebra in coordinates, constants and jets.

    Attributes
    ----------
    algebra
        The expressions, each derivative of a field replaced by its symbol.
    jets
        What each symbol stands for, in a fixed order.
    coordinates
        The coordinates that `Jet.orders` counts along.
    """

    algebra: tuple[sp.Expr, ...]
    jets: Mapping[sp.Symbol, Jet]
    coordinates: tuple[sp.Symbol, ...]

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        """The symbols of the jets, in their order."""
        return tuple(self.jets)

    def symbol(self, jet: Jet) -> sp.Symbol | None:
        """Return the symbol that stands for `jet`, or None where it does not occur."""
        return next((s for s, j in self.jets.items() if j == jet), None)


def lower(
    expressions: Iterable[sp.Expr],
    fields: Sequence[AppliedUndef],
    coordinates: Sequence[sp.Symbol],
) -> Lowered:
    """Carry out all derivatives and replace those of the fields by symbols.

    Raises
    ------
    DefinitionError
        If a derivative of something else than a field remains.
    """
    done = [sp.sympify(e).doit() for e in expressions]
    for e in done:
        if e.has(sp.DiracDelta):
            raise DefinitionError(
                f"The expression {e} holds the derivative of a jump. Keep the "
                "discontinuous coefficient under the divergence and use finite "
                "elements."
            )
    found: dict[sp.Basic, Jet] = {}
    for e in done:
        for d in e.atoms(sp.Derivative):
            if d.expr not in fields:
                raise DefinitionError(
                    f"{d} differentiates {d.expr}, which is not one of the fields "
                    f"{tuple(fields)}."
                )
            found[d] = _jet(d, fields, coordinates)
    symbols = {d: _symbol(jet, fields, coordinates) for d, jet in found.items()}
    # Derivatives first: u_xx holds u, and would lose it otherwise.
    algebra = [e.xreplace(symbols) for e in done]
    for f in set().union(*(e.atoms(AppliedUndef) for e in algebra)) & set(fields):
        found[f] = Jet(fields.index(f), (0,) * len(coordinates))
        symbols[f] = _symbol(found[f], fields, coordinates)
    algebra = [e.xreplace(symbols) for e in algebra]
    order = sorted(found.items(), key=lambda item: item[1])
    jets = {symbols[d]: jet for d, jet in order}
    return Lowered(tuple(algebra), jets, tuple(coordinates))


def _jet(
    derivative: sp.Derivative,
    fields: Sequence[AppliedUndef],
    coordinates: Sequence[sp.Symbol],
) -> Jet:
    orders = [0] * len(coordinates)
    for variable, count in derivative.variable_count:
        orders[coordinates.index(variable)] += int(count)
    return Jet(fields.index(derivative.expr), tuple(orders))


def _symbol(
    jet: Jet, fields: Sequence[AppliedUndef], coordinates: Sequence[sp.Symbol]
) -> sp.Symbol:
    name = fields[jet.field].func.__name__
    suffix = "".join(c.name * n for c, n in zip(coordinates, jet.orders, strict=True))
    # A dummy cannot be confused with a coordinate or coefficient of the same name.
    return sp.Dummy(f"{name}_{suffix}" if suffix else name, real=True)


def numpy_function(
    arguments: Sequence[sp.Symbol], expressions: Sequence[sp.Expr]
) -> Callable[..., list[Any]]:
    """Return `f(*arrays) -> [value, …]`, common subexpressions computed once.

    A constant expression gives a number, not an array: broadcast where it matters.
    """
    if all(e.is_number and e.is_real for e in map(sp.sympify, expressions)):
        # Compiling takes a millisecond, and many boundary values are 0.
        values = [float(e) for e in expressions]
        return lambda *_: list(values)
    function: Callable[..., list[Any]] = sp.lambdify(
        list(arguments),
        list(expressions),
        modules=["scipy", "numpy"],
        printer=_Printer(
            {
                "fully_qualified_modules": False,
                "inline": True,
                "allow_unknown_functions": True,
            }
        ),
        cse=True,
    )
    return function


class _Printer(SciPyPrinter):  # type: ignore[misc]
    """Prints numbers to the last bit, and small powers as products.

    Sympy's own numbers stop at 15 digits: the 16th of 8/3 moves Lorenz' system by 1e-10
    until t = 20. numpy takes thirty times as long for x**3 as for x*x*x.
    """

    def _print_Float(self, number: sp.Float) -> str:
        return repr(float(number))

    def _print_Pow(self, power: sp.Pow, rational: bool = False) -> str:
        base, exponent = power.as_base_exp()
        if base.is_Symbol and exponent in (3, 4):
            return "(" + "*".join([self._print(base)] * int(exponent)) + ")"
        if exponent == -1:
            return f"(1.0/({self._print(base)}))"
        printed: str = super()._print_Pow(power, rational=rational)
        return printed


def jacobian(lowered: Lowered) -> list[list[sp.Expr]]:
    """Return `∂F_i/∂s` for each expression i and each jet symbol s, exactly."""
    return [[sp.diff(e, s) for s in lowered.symbols] for e in lowered.algebra]


def is_linear(lowered: Lowered) -> bool:
    """Say whether the expressions are affine in the jets."""
    jets = set(lowered.symbols)
    return not any(d.free_symbols & jets for row in jacobian(lowered) for d in row)
