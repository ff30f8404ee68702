"""Functions given by a table: coefficients and initial states from measured fields.

`tabulated` makes a function of sympy for one table, to be applied to coordinates. Its
name ends in the sha256 of the table, so that an expression says which numbers it means,
and two problems with different tables have different definitions.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import sympy as sp

from pinnsuite.errors import DefinitionError

METHODS = ("nearest", "linear")
"""How a table is read between its nodes."""

_SLOPE = "slope"
"""Along this axis the derivative of the linear interpolant is taken."""

_FunctionClass: Any = type(sp.Function)


class Tabulated(sp.Function):  # type: ignore[misc]
    """The base of all functions made by `tabulated`; it can be applied and evaluated.

    Attributes
    ----------
    label
        The name it is shown by.
    axes
        Increasing nodes, one array an axis.
    values
        One value a node.
    methods
        `nearest`, `linear` or `slope`, one an axis.
    """

    label: ClassVar[str]
    axes: ClassVar[tuple[np.ndarray, ...]]
    values: ClassVar[np.ndarray]
    methods: ClassVar[tuple[str, ...]]

    is_real = True
    is_finite = True

    @classmethod
    def evaluate(cls, *points: Any) -> np.ndarray:
        """Return the values at points: one array (or number) a coordinate."""
        arrays = np.broadcast_arrays(*(np.asarray(p, dtype=float) for p in points))
        corners = _corners(cls.axes, cls.methods, arrays)
        parts = [weight * cls.values[index] for index, weight in corners]
        total: np.ndarray = np.sum(parts, axis=0)
        return total

    @classmethod
    def edges(cls, axis: int) -> np.ndarray:
        """Return where the function jumps along an axis: midpoints, nothing or nodes.

        A grid whose faces hold them sees one value a cell.
        """
        nodes = cls.axes[axis]
        found: np.ndarray = {
            "nearest": (nodes[1:] + nodes[:-1]) / 2,
            "linear": nodes[:0],
            _SLOPE: nodes,
        }[cls.methods[axis]]
        return found

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Return the derivative along one argument, zero almost everywhere of a jump.

        A derivative that would lose a jump is for the caller to refuse; see
        `form.require_no_lost_jump`.
        """
        k = argindex - 1
        if self.methods[k] != "linear":
            return sp.Integer(0)
        methods = (*self.methods[:k], _SLOPE, *self.methods[k + 1 :])
        return _function(self.label, self.axes, self.values, methods)(*self.args)

    def _eval_evalf(self, prec: int) -> sp.Expr | None:
        if not all(a.is_number for a in self.args):
            return None
        value = self.evaluate(*(float(a) for a in self.args))
        return sp.Float(float(value), precision=prec)

    def _sympystr(self, printer: Any) -> str:
        return f"{self.label}({', '.join(printer._print(a) for a in self.args)})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        power = "" if exp is None else f"^{{{exp}}}"
        arguments = ", ".join(printer._print(a) for a in self.args)
        return (
            rf"{printer._print(sp.Symbol(self.label))}{power}\left({arguments}\right)"
        )

    def _pretty(self, printer: Any) -> Any:
        return printer._print_Function(self, func_name=self.label)

    def __reduce__(self) -> tuple[Any, ...]:
        return _applied, (self.label, self.axes, self.values, self.methods, self.args)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tabulated:
        return self


class JumpTable(Tabulated):
    """A table that jumps: read by its nearest node, or the slope of a linear one."""


_made: weakref.WeakValueDictionary[str, type[Tabulated]] = weakref.WeakValueDictionary()
"""Functions by name: the same table gives the same function."""


def tabulated(
    name: str, axes: Sequence[Any], values: Any, method: str = "nearest"
) -> type[Tabulated]:
    """Return a function of sympy that reads a table, `tabulated("a", (xs, ys), a)`.

    Applied to coordinates, `a(x, y)`, it is part of expressions like any function:
    numpy and torch evaluate it, and `"linear"` can be differentiated. A table read by
    its nearest node jumps midway between nodes; as a coefficient it must stay under a
    divergence, as for every coefficient that jumps. Beyond its ends a table keeps the
    value there.

    Parameters
    ----------
    name
        How it is shown.
    axes
        Increasing nodes, one sequence an axis.
    values
        Shape (len(axis), …): one value a node.
    method
        `"nearest"` (midway between two nodes the upper one) or `"linear"` (multilinear
        interpolation).

    Raises
    ------
    DefinitionError
        If shapes do not agree, an axis does not increase, or a number is not finite.
    """
    nodes = tuple(np.array(axis, dtype=float) for axis in axes)
    table = np.array(values, dtype=float)
    if not name.isidentifier():
        raise DefinitionError(f"tabulated({name!r}): the name must be an identifier.")
    if method not in METHODS:
        raise DefinitionError(
            f"tabulated({name!r}): method is {method!r}; use 'nearest' or 'linear'."
        )
    if not nodes or table.shape != tuple(axis.size for axis in nodes):
        raise DefinitionError(
            f"tabulated({name!r}): values have shape {table.shape} and the axes "
            f"{tuple(axis.shape for axis in nodes)}; one value a node is needed."
        )
    for k, axis in enumerate(nodes):
        if axis.ndim != 1 or axis.size < 2 or not (np.diff(axis) > 0).all():
            raise DefinitionError(
                f"tabulated({name!r}): axis {k} must hold two or more increasing "
                f"numbers; it is {axis}."
            )
    if not all(np.isfinite(a).all() for a in (table, *nodes)):
        raise DefinitionError(
            f"tabulated({name!r}): NaN or infinite numbers in the table or its axes."
        )
    return _function(name, nodes, table, (method,) * len(nodes))


def _function(
    label: str,
    axes: tuple[np.ndarray, ...],
    values: np.ndarray,
    methods: tuple[str, ...],
) -> type[Tabulated]:
    digest = hashlib.sha256(repr((values.shape, methods)).encode())
    for array in (*axes, values):
        digest.update(np.ascontiguousarray(array).tobytes())
        array.flags.writeable = False
    key = f"{label}_{digest.hexdigest()[:12]}"
    found = _made.get(key)
    if found is None:
        base = Tabulated if set(methods) == {"linear"} else JumpTable
        body: dict[str, Any] = {
            "label": label,
            "axes": axes,
            "values": values,
            "methods": methods,
            "nargs": len(axes),
            "__doc__": f"A table of shape {values.shape}, read by {methods}.",
        }
        if _SLOPE not in methods and values.min() > 0:
            body["is_positive"] = True
        found = _FunctionClass(key, (base,), body)
        found._imp_ = staticmethod(found.evaluate)  # what lambdify calls
        _made[key] = found
    return found


def _applied(
    label: str,
    axes: tuple[np.ndarray, ...],
    values: np.ndarray,
    methods: tuple[str, ...],
    arguments: tuple[sp.Expr, ...],
) -> sp.Expr:
    return _function(label, axes, values, methods)(*arguments)


def _corners(
    axes: Sequence[np.ndarray], methods: Sequence[str], points: Sequence[np.ndarray]
) -> list[tuple[tuple[np.ndarray, ...], np.ndarray]]:
    """Return indices and weights of each corner of the cells that hold the points."""
    corners: list[tuple[tuple[np.ndarray, ...], np.ndarray]] = [
        ((), np.ones(points[0].shape))
    ]
    for nodes, method, x in zip(axes, methods, points, strict=True):
        if method == "nearest":
            where = np.searchsorted((nodes[1:] + nodes[:-1]) / 2, x, side="right")
            corners = [((*index, where), weight) for index, weight in corners]
            continue
        low = np.clip(np.searchsorted(nodes, x, side="right") - 1, 0, len(nodes) - 2)
        width = nodes[low + 1] - nodes[low]
        if method == "linear":
            share = np.clip((x - nodes[low]) / width, 0.0, 1.0)
            weights = (1.0 - share, share)
        else:
            slope = np.where((x >= nodes[0]) & (x <= nodes[-1]), 1.0 / width, 0.0)
            weights = (-slope, slope)
        corners = [
            ((*index, low + step), weight * weights[step])
            for index, weight in corners
            for step in (0, 1)
        ]
    return corners


__all__ = ["Tabulated", "tabulated"]
