"""Equations as they are read: plain subscripts, Unicode, LaTeX and MathML.

A derivative of a field is a subscript, one of anything else keeps what is under it:
`D(k * D(u, x), x)` is not expanded. Sums over all space coordinates are written as ∇²
and ∇·.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.printing.latex import LatexPrinter
from sympy.printing.mathml import MathMLPresentationPrinter
from sympy.printing.pretty.pretty_symbology import greek_unicode
from sympy.printing.str import StrPrinter

from pinnsuite.problem.conditions import (
    EVERYWHERE,
    Boundary,
    Condition,
    Dirichlet,
    Initial,
    Neumann,
    Observed,
    Periodic,
    Robin,
    normal,
)
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.tables import Tabulated

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

_GREEK = {**greek_unicode, "lambda": "λ"}


class _Laplacian(sp.Function):  # type: ignore[misc]
    """∇² of a field."""


class _Divergence(sp.Function):  # type: ignore[misc]
    """∇·(k ∇u), of k and u."""


class _NormalDerivative(sp.Function):  # type: ignore[misc]
    """∂u/∂n."""


class _TimeDerivative(sp.Function):  # type: ignore[misc]
    """u_t at the start."""


def gathered(expression: sp.Expr, space: Sequence[sp.Symbol]) -> sp.Expr:
    """Return the expression with ∇²u and ∇·(k∇u) in place of their sums."""
    if len(space) < 2 or not expression.has(sp.Derivative):
        return expression
    if isinstance(expression, sp.Derivative | AppliedUndef):
        return expression
    args = [gathered(a, space) for a in expression.args]
    expression = expression.func(*args) if args else expression
    return _sums(expression, space) if isinstance(expression, sp.Add) else expression


def _sums(expression: sp.Add, space: Sequence[sp.Symbol]) -> sp.Expr:
    groups: dict[tuple[sp.Expr, sp.Expr], dict[sp.Symbol, sp.Expr]] = {}
    for term in expression.args:
        for factor in sp.Mul.make_args(term):
            found = _second(factor)
            if found is not None:
                whole, x = found
                groups.setdefault((term / factor, whole), {})[x] = term
                break
    for (coefficient, whole), terms in groups.items():
        if set(terms) == set(space):
            expression = expression - sp.Add(*terms.values()) + coefficient * whole
    return expression


def _second(factor: sp.Expr) -> tuple[sp.Expr, sp.Symbol] | None:
    """Return ∇²u or ∇·(k∇u) and the coordinate, if the factor is one term of it."""
    if not isinstance(factor, sp.Derivative):
        return None
    if isinstance(factor.expr, AppliedUndef):
        if len(factor.variable_count) == 1 and factor.variable_count[0][1] == 2:
            return _Laplacian(factor.expr), factor.variable_count[0][0]
        return None
    if len(factor.variables) != 1:
        return None
    (x,) = factor.variables
    for inner in sp.Mul.make_args(factor.expr):
        if isinstance(inner, sp.Derivative) and inner.variables == (x,):
            k = factor.expr / inner
            if isinstance(inner.expr, AppliedUndef):
                return _Divergence(k, inner.expr), x
    return None


def _short(number: sp.Float) -> str:
    return f"{float(number):.6g}"


class _Subscripts(StrPrinter):  # type: ignore[misc]
    """Write `u_t`, `u_xx` for derivatives and `u` for `u(t, x)`."""

    def _print_AppliedUndef(self, expression: AppliedUndef) -> str:
        return str(expression.func.__name__)

    def _print_Float(self, number: sp.Float) -> str:
        return repr(float(_short(number)))

    def _print_Derivative(self, expression: sp.Derivative) -> str:
        variables = "".join(str(v) * int(n) for v, n in expression.variable_count)
        inner = self._print(expression.expr)
        if not isinstance(expression.expr, AppliedUndef):
            inner = f"({inner})"
        return f"{inner}_{variables}"


class _TimeFirst:
    """Puts the derivatives in time before the other terms of a sum."""

    space: Sequence[sp.Symbol] = ()

    def _as_ordered_terms(self, expression: sp.Add, order: Any = None) -> list[sp.Expr]:
        terms: list[sp.Expr] = super()._as_ordered_terms(expression, order)  # type: ignore[misc]

        def is_late(term: sp.Expr) -> bool:
            factors = sp.Mul.make_args(term)
            return not any(
                isinstance(f, sp.Derivative) and not set(f.variables) & set(self.space)
                for f in factors
            )

        return sorted(terms, key=is_late)


class _Unicode(_TimeFirst, _Subscripts):
    """The same with ∂, ∇, Greek letters and powers as they are written by hand."""

    def _print_Float(self, number: sp.Float) -> str:
        mantissa, _, power = _short(number).partition("e")
        if not power:
            return mantissa
        return f"{mantissa}·10{str(int(power)).translate(_SUPERSCRIPT)}"

    def _print_Symbol(self, symbol: sp.Symbol) -> str:
        name, _, index = symbol.name.partition("_")
        head = "n" if name == "normal" else _GREEK.get(name, name)
        return f"{head}_{index}" if index else head

    def _print_Pi(self, _: sp.Expr) -> str:
        return "π"

    def _print_Derivative(self, expression: sp.Derivative) -> str:
        variables = "".join(
            self._print(v) * int(n) for v, n in expression.variable_count
        )
        inner = self._print(expression.expr)
        if isinstance(expression.expr, AppliedUndef):
            return f"{inner}_{variables}"
        return f"∂_{variables}({inner})"

    def _print__Laplacian(self, expression: sp.Expr) -> str:
        return f"∇²{self._print(expression.args[0])}"

    def _print__Divergence(self, expression: sp.Expr) -> str:
        k, u = expression.args
        factor = self.parenthesize(k, 50)
        return f"∇·({factor} ∇{self._print(u)})"

    def _print__NormalDerivative(self, expression: sp.Expr) -> str:
        return f"∂{self._print(expression.args[0])}/∂n"

    def _print__TimeDerivative(self, expression: sp.Expr) -> str:
        u, t = expression.args
        return f"{self._print(u)}_{self._print(t)}"

    def _print_Piecewise(self, expression: sp.Piecewise) -> str:
        parts = [
            f"{self._print(value)} "
            + ("otherwise" if condition is sp.true else f"if {self._print(condition)}")
            for value, condition in expression.args
        ]
        return "{" + "; ".join(parts) + "}"

    def _print_Abs(self, expression: sp.Abs) -> str:
        return f"|{self._print(expression.args[0])}|"


def equation_text(expression: sp.Expr) -> str:
    """Return an expression in plain subscripts: `u*u_x + u_t - 0.01*u_xx`."""
    return str(_Subscripts().doprint(expression))


def unicode_text(expression: sp.Expr, space: Sequence[sp.Symbol] = ()) -> str:
    """Return an expression on one line: `u u_x + u_t − 0.01 u_xx`."""
    printer = _Unicode()
    printer.space = space
    text = str(printer.doprint(gathered(expression, space)))
    text = re.sub(
        r"\*\*(?:\((-?\d+)\)|(\d+)(?![\d.]))",
        lambda m: (m[1] or m[2]).translate(_SUPERSCRIPT),
        text,
    )
    text = text.replace("**", "^").replace("*", " ")
    return text.replace("-", "−").replace("<=", "≤").replace(">=", "≥")


class _Latex(_TimeFirst, LatexPrinter):  # type: ignore[misc]
    def _print_AppliedUndef(
        self, expression: AppliedUndef, exp: str | None = None
    ) -> str:
        text = self._print(sp.Symbol(expression.func.__name__))
        return text if exp is None else f"{{{text}}}^{{{exp}}}"

    def _print_Float(self, number: sp.Float) -> str:
        mantissa, _, power = _short(number).partition("e")
        return mantissa + (rf" \cdot 10^{{{int(power)}}}" if power else "")

    def _print_Symbol(self, symbol: sp.Symbol, style: str = "plain") -> str:
        if symbol.name.startswith("normal_"):
            return f"n_{{{symbol.name.removeprefix('normal_')}}}"
        name = str(super()._print_Symbol(symbol, style))
        return re.sub(r"^([A-Za-z]{2,})", r"\\mathrm{\1}", name)

    def _print_Derivative(self, expression: sp.Derivative) -> str:
        variables = " ".join(
            " ".join([self._print(v)] * int(n)) for v, n in expression.variable_count
        )
        inner = self._print(expression.expr)
        if isinstance(expression.expr, AppliedUndef):
            # A field such as `c_1` has an index already.
            inner = f"{{{inner}}}" if "_" in inner else inner
            return f"{inner}_{{{variables}}}"
        return rf"\partial_{{{variables}}}\left({inner}\right)"

    def _print__Laplacian(self, expression: sp.Expr, exp: str | None = None) -> str:
        return self._raised(rf"\nabla^2 {self._print(expression.args[0])}", exp)

    def _print__Divergence(self, expression: sp.Expr, exp: str | None = None) -> str:
        k, u = expression.args
        factor = self.parenthesize(k, 50)
        text = rf"\nabla \cdot \left({factor} \nabla {self._print(u)}\right)"
        return self._raised(text, exp)

    def _print__NormalDerivative(
        self, expression: sp.Expr, exp: str | None = None
    ) -> str:
        u = self._print(expression.args[0])
        return self._raised(rf"\frac{{\partial {u}}}{{\partial n}}", exp)

    def _print__TimeDerivative(
        self, expression: sp.Expr, exp: str | None = None
    ) -> str:
        u, t = map(self._print, expression.args)
        return self._raised(f"{u}_{{{t}}}", exp)

    def _raised(self, text: str, exp: str | None) -> str:
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


def latex_text(expression: sp.Expr, space: Sequence[sp.Symbol] = ()) -> str:
    r"""Return an expression in LaTeX: `u u_{x} + u_{t} - 0.01 u_{x x}`."""
    printer = _Latex()
    printer.space = space
    return str(printer.doprint(gathered(expression, space)))


class _MathML(_TimeFirst, MathMLPresentationPrinter):  # type: ignore[misc]
    def _leaf(self, tag: str, text: str) -> Any:
        node = self.dom.createElement(tag)
        node.appendChild(self.dom.createTextNode(text))
        return node

    def _node(self, tag: str, *children: Any) -> Any:
        node = self.dom.createElement(tag)
        for child in children:
            node.appendChild(child)
        return node

    def _braced(self, inner: Any) -> Any:
        return self._node("mrow", self._leaf("mo", "("), inner, self._leaf("mo", ")"))

    def parenthesize(self, item: sp.Expr, level: int, strict: bool = False) -> Any:
        """Leave the subscripts of a field bare: `u u_x`."""
        if isinstance(item, sp.Derivative) and isinstance(item.expr, AppliedUndef):
            return self._print(item)
        return super().parenthesize(item, level, strict)

    def _print_AppliedUndef(self, expression: AppliedUndef) -> Any:
        return self._print(sp.Symbol(expression.func.__name__))

    def _print_Float(self, number: sp.Float) -> Any:
        mantissa, _, power = _short(number).partition("e")
        if not power:
            return self._leaf("mn", mantissa)
        ten = self._node(
            "msup", self._leaf("mn", "10"), self._leaf("mn", str(int(power)))
        )
        return self._node(
            "mrow", self._leaf("mn", mantissa), self._leaf("mo", "⋅"), ten
        )

    def _print_Symbol(self, symbol: sp.Symbol, style: str = "plain") -> Any:
        if symbol.name.startswith("normal_"):
            return self._node(
                "msub", self._leaf("mi", "n"), self._leaf("mi", symbol.name[7:])
            )
        return super()._print_Symbol(symbol, style)

    def _print_Tabulated(self, expression: Tabulated) -> Any:
        inner = [self._print(a) for a in expression.args]
        for k in range(len(inner) - 1, 0, -1):
            inner.insert(k, self._leaf("mo", ","))
        name = self._print(sp.Symbol(expression.label))
        return self._node("mrow", name, self._braced(self._node("mrow", *inner)))

    def _index(self, expression: sp.Derivative) -> Any:
        names = [v for v, n in expression.variable_count for _ in range(int(n))]
        return self._node("mrow", *map(self._print, names))

    def _print_Derivative(self, expression: sp.Derivative) -> Any:
        inner, index = self._print(expression.expr), self._index(expression)
        if isinstance(expression.expr, AppliedUndef):
            return self._node("msub", inner, index)
        sign = self._node("msub", self._leaf("mo", "∂"), index)
        return self._node("mrow", sign, self._braced(inner))

    def _print__Laplacian(self, expression: sp.Expr) -> Any:
        sign = self._node("msup", self._leaf("mo", "∇"), self._leaf("mn", "2"))
        return self._node("mrow", sign, self._print(expression.args[0]))

    def _print__Divergence(self, expression: sp.Expr) -> Any:
        k, u = expression.args
        factor = self._print(k)
        if isinstance(k, sp.Add):
            factor = self._braced(factor)
        flux = self._node("mrow", factor, self._leaf("mo", "∇"), self._print(u))
        return self._node(
            "mrow", self._leaf("mo", "∇"), self._leaf("mo", "⋅"), self._braced(flux)
        )

    def _print__NormalDerivative(self, expression: sp.Expr) -> Any:
        u = self._print(expression.args[0])
        above = self._node("mrow", self._leaf("mo", "∂"), u)
        below = self._node("mrow", self._leaf("mo", "∂"), self._leaf("mi", "n"))
        return self._node("mfrac", above, below)

    def _print__TimeDerivative(self, expression: sp.Expr) -> Any:
        u, t = map(self._print, expression.args)
        return self._node("msub", u, t)


def mathml_text(expression: sp.Expr, space: Sequence[sp.Symbol] = ()) -> str:
    """Return an expression as the inside of a `<math>` element."""
    printer = _MathML()
    printer.space = space
    text = str(printer._print(gathered(expression, space)).toxml())
    # sympy writes HTML's names of characters and a bare `<`, which XML does not know.
    text = re.sub(
        r"&(\w+);",
        lambda m: m[0] if m[1] in ("lt", "gt", "amp") else html.unescape(m[0]),
        text,
    )
    return text.replace("<mo><</mo>", "<mo>&lt;</mo>")


Write = Callable[..., str]
"""`unicode_text`, `latex_text` or `mathml_text`."""


@dataclass(frozen=True)
class Relation:
    """A line of a statement: `left sign right`, and where it holds, in words.

    `left` is None where words say it all.
    """

    left: sp.Expr | None
    right: sp.Expr | None = None
    sign: str = "="
    where: str = ""

    def unicode(self, space: Sequence[sp.Symbol]) -> str:
        """Return the line as text."""
        if self.left is None:
            return self.where
        assert self.right is not None
        sides = [unicode_text(e, space) for e in (self.left, self.right)]
        line = f" {self.sign} ".join(sides)
        return f"{line}  {self.where}" if self.where else line

    def latex(self, space: Sequence[sp.Symbol]) -> str:
        """Return the line in LaTeX."""
        if self.left is None:
            return rf"\text{{{self.where}}}"
        assert self.right is not None
        sign = {"≥": r"\ge"}.get(self.sign, self.sign)
        sides = [latex_text(e, space) for e in (self.left, self.right)]
        line = f" {sign} ".join(sides)
        return rf"{line} \quad \text{{{self.where}}}" if self.where else line

    def mathml(self, space: Sequence[sp.Symbol]) -> str:
        """Return the line as the inside of a `<math>` element; words stay outside."""
        if self.left is None:
            return ""
        assert self.right is not None
        left, right = (mathml_text(e, space) for e in (self.left, self.right))
        return f"<mrow>{left}<mo>{self.sign}</mo>{right}</mrow>"


def equation_relation(equation: sp.Expr) -> Relation:
    """Return an equation with its right-hand side: what holds no field."""
    terms = sp.Add.make_args(equation)
    free = [t for t in terms if not t.atoms(AppliedUndef)]
    if len(free) == len(terms):
        return Relation(equation, sp.S.Zero)
    kept = sp.Add(*(t for t in terms if t.atoms(AppliedUndef)))
    return Relation(kept, sp.Add(*(-t for t in free)))


def condition_relation(condition: Condition, problem: Problem) -> Relation:
    """Return a condition as it is read, with the boundaries where it holds."""
    if isinstance(condition, Periodic):
        return Relation(None, where=f"everything is periodic in {condition.along}")
    if isinstance(condition, Observed):
        words = f"{len(condition.values)} measurements of {condition.field.func}"
        return Relation(None, where=f"{words} ({condition.scale} misfit)")
    if isinstance(condition, Initial):
        assert problem.time is not None
        t = problem.time.coordinate
        left = _TimeDerivative(condition.field, t) if condition.order else None
        where = f"at {t} = {problem.time.start:g}"
        return Relation(left or condition.field, condition.value, where=where)
    if isinstance(condition, Boundary):
        left, names = condition.operator(problem.space), condition.on
        if isinstance(condition, Neumann):
            left = _NormalDerivative(condition.field)
        elif isinstance(condition, Robin):
            slope = _NormalDerivative(condition.field)
            left = condition.a * condition.field + condition.b * slope
        where = "on " + ", ".join(names)
        if EVERYWHERE in names:
            ruled = problem.boundaries_of(condition)
            everywhere = set(ruled) == set(problem.domain.boundaries)  # type: ignore[union-attr]
            where = "on the boundary" if everywhere else "on " + ", ".join(ruled)
        if not isinstance(condition, Dirichlet) and left.has(
            *(normal(x) for x in problem.space)
        ):
            where += ", n the outward normal"
        return Relation(left, condition.value, where=where)
    return Relation(condition.field, condition.value, "≥", "everywhere")


__all__ = [
    "Relation",
    "condition_relation",
    "equation_relation",
    "equation_text",
    "gathered",
    "latex_text",
    "mathml_text",
    "unicode_text",
]
