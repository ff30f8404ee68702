"""From sympy expressions to functions of torch tensors.

sympy's own printer writes calls that fail: `torch.pow(pi, 2)`, `torch.sqrt(2)`,
`torch.max(0, x)`, `torch.heaviside(x, 1/2)`. Here every constant is a Python float, and
what torch cannot take as it is goes through the small functions of this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp
import torch
from sympy.printing.codeprinter import PrintMethodNotImplementedError
from sympy.printing.pytorch import TorchPrinter

from pinnsuite.errors import UnsupportedProblemError
from pinnsuite.problem.tables import Tabulated

_REWRITTEN = {
    sp.sec: sp.cos,
    sp.csc: sp.sin,
    sp.cot: sp.tan,
    sp.sech: sp.cosh,
    sp.csch: sp.sinh,
    sp.coth: sp.tanh,
}
"""Reciprocals that torch does not have, and what they are the reciprocals of."""

_DIGITS = 30
"""Of constants before they become floats, so that only one rounding counts."""

_CALLS = {
    sp.erfc: "torch.special.erfc",
    sp.Mod: "torch.remainder",
    sp.gamma: "gamma",
}


class _Printer(TorchPrinter):  # type: ignore[misc]
    def _print(self, expression: Any, **settings: Any) -> str:
        is_expression = isinstance(expression, sp.Expr)
        if is_expression and expression.is_number and expression.is_extended_real:
            number = repr(float(expression))
            # repr gives bare inf and -3.0: neither can stand behind an operator.
            return (
                f"({number})" if math.isfinite(float(number)) else f"float('{number}')"
            )
        text: str = super()._print(expression, **settings)
        return text

    def _call(self, name: str, *arguments: Any) -> str:
        return f"{name}({', '.join(self._print(a) for a in arguments)})"

    def _print_Pow(self, expression: sp.Expr) -> str:
        base, exponent = expression.args
        if exponent == sp.S.Half:
            return self._call("torch.sqrt", base)
        if exponent == -sp.S.Half:
            return self._call("torch.rsqrt", base)
        if exponent.is_Integer and not base.is_number:
            return f"(({self._print(base)})**({int(exponent)}))"
        return self._call("torch.pow", base, exponent)

    def _print_Max(self, expression: sp.Expr) -> str:
        return self._fold("maximum", expression.args)

    def _print_Min(self, expression: sp.Expr) -> str:
        return self._fold("minimum", expression.args)

    def _fold(self, name: str, arguments: Sequence[sp.Expr]) -> str:
        # Numbers last, so that the first argument of every call is a tensor.
        first, *rest = sorted(arguments, key=lambda a: bool(a.is_number))
        text = self._print(first)
        for a in rest:
            text = f"{name}({text}, {self._print(a)})"
        return text

    def _print_Heaviside(self, expression: sp.Expr) -> str:
        return self._call("heaviside", *expression.args)

    def _print_sinc(self, expression: sp.Expr) -> str:
        return self._call("sinc", *expression.args)

    def _print_Piecewise(self, expression: sp.Expr) -> str:
        # Outside all of its cases a Piecewise has no value.
        text = "float('nan')"
        for value, condition in reversed(expression.args):
            if condition == sp.true:
                text = self._print(value)
            else:
                text = f"select({self._print(condition)}, {self._print(value)}, {text})"
        return text

    def _print_Function(self, expression: sp.Expr) -> str:
        kind = type(expression)
        if isinstance(expression, Tabulated):
            return self._call(kind.__name__, *expression.args)
        if kind in _REWRITTEN:
            return f"(1.0/{self._print(_REWRITTEN[kind](*expression.args))})"
        if kind in _CALLS:
            return self._call(_CALLS[kind], *expression.args)
        if kind not in self.mapping:
            raise PrintMethodNotImplementedError(str(expression.func))
        text: str = super()._print_Function(expression)
        return text

    _print_Expr = _print_Function
    _print_Application = _print_Function
    _print_gamma = _print_Function


def _tensor(value: torch.Tensor | float) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value
    # A scalar tensor does not raise the type of the array that it meets.
    return torch.tensor(value, dtype=torch.float64)


def _maximum(a: torch.Tensor, b: torch.Tensor | float) -> torch.Tensor:
    if isinstance(b, torch.Tensor):
        return torch.maximum(a, b)
    return torch.clamp(a, min=b)


def _minimum(a: torch.Tensor, b: torch.Tensor | float) -> torch.Tensor:
    if isinstance(b, torch.Tensor):
        return torch.minimum(a, b)
    return torch.clamp(a, max=b)


def _heaviside(x: torch.Tensor, at_zero: float) -> torch.Tensor:
    return torch.heaviside(x.detach(), torch.as_tensor(at_zero, dtype=x.dtype))


def _select(
    condition: torch.Tensor, yes: torch.Tensor | float, no: torch.Tensor | float
) -> torch.Tensor:
    return torch.where(condition, _tensor(yes), _tensor(no))


def _sinc(x: torch.Tensor) -> torch.Tensor:
    return torch.sinc(x / math.pi)


def _gamma(x: torch.Tensor) -> torch.Tensor:
    # lgamma gives log|Γ|; Γ(x) < 0 where floor(x) is negative and odd.
    sign = torch.where((x < 0) & (torch.floor(x) % 2 != 0), -1.0, 1.0)
    return sign.to(x.dtype) * torch.exp(torch.lgamma(x))


class _Table:
    """A table in torch, with gradients where it is linear."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __call__(self, *points: torch.Tensor | float) -> torch.Tensor:
        arrays: Sequence[torch.Tensor] = torch.broadcast_tensors(  # type: ignore[no-untyped-call]
            *(_tensor(p) for p in points)
        )

        def like(array: np.ndarray) -> torch.Tensor:
            return torch.tensor(array, dtype=arrays[0].dtype, device=arrays[0].device)

        corners: list[tuple[tuple[torch.Tensor, ...], torch.Tensor]] = [
            ((), torch.ones_like(arrays[0]))
        ]
        for nodes, method, x in zip(
            self._table.axes, self._table.methods, arrays, strict=True
        ):
            corners = [
                ((*index, where), weight * share)
                for index, weight in corners
                for where, share in _neighbours(like(nodes), method, x)
            ]
        values = like(self._table.values)
        return torch.stack([w * values[i] for i, w in corners]).sum(dim=0)


def _neighbours(
    nodes: torch.Tensor, method: str, x: torch.Tensor
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return the nodes that a table is read from along one axis, and their weights."""
    at = x.detach().contiguous()
    if method == "nearest":
        middles = (nodes[1:] + nodes[:-1]) / 2
        return [(torch.searchsorted(middles, at, right=True), torch.ones_like(x))]
    low = torch.searchsorted(nodes, at, right=True) - 1
    low = low.clamp(0, len(nodes) - 2)
    width = nodes[low + 1] - nodes[low]
    if method == "linear":
        share = ((x - nodes[low]) / width).clamp(0.0, 1.0)
        return [(low, 1.0 - share), (low + 1, share)]
    inside = ((at >= nodes[0]) & (at <= nodes[-1])).to(x.dtype) / width
    return [(low, -inside), (low + 1, inside)]


_NAMESPACE = {
    "maximum": _maximum,
    "minimum": _minimum,
    "heaviside": _heaviside,
    "select": _select,
    "sinc": _sinc,
    "gamma": _gamma,
    "torch": torch,
}


def _with_numbers(expression: sp.Expr) -> sp.Expr:
    """Return the expression with its irrational constants as decimals.

    Else the common subexpression √2 gets a name, and torch a number by that name.
    """
    return sp.sympify(expression).replace(
        lambda e: e.is_number and e.is_extended_real and not e.is_Rational,
        lambda e: e.evalf(_DIGITS),
    )


def _tables(expressions: Sequence[sp.Expr]) -> dict[str, Callable[..., Any]]:
    """Return the tables in the expressions, as functions of torch by name."""
    found = set().union(*(sp.sympify(e).atoms(Tabulated) for e in expressions))
    return {type(a).__name__: _Table(type(a)) for a in found}


def torch_function(
    arguments: Sequence[sp.Symbol], expressions: Sequence[sp.Expr]
) -> Callable[..., list[Any]]:
    """Return `f(*tensors) -> [value, …]`, common subexpressions computed once.

    Values keep the floating type of the tensors and are differentiable where the
    expression is. A constant expression gives a number: broadcast where it matters.

    Raises
    ------
    UnsupportedProblemError
        If an expression holds a function that has no counterpart in torch.
    """
    try:
        function: Callable[..., list[Any]] = sp.lambdify(
            list(arguments),
            [_with_numbers(e) for e in expressions],
            modules=[_NAMESPACE | _tables(expressions)],
            use_imps=False,
            printer=_Printer({"fully_qualified_modules": True}),
            cse=True,
        )
    except (PrintMethodNotImplementedError, NotImplementedError) as error:
        raise UnsupportedProblemError(
            f"{error} has no counterpart in torch; write the expression in elementary "
            "functions."
        ) from None
    return function


__all__ = ["torch_function"]
