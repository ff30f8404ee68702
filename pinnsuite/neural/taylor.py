"""Derivatives of networks up to second order, carried forward through the layers.

All derivatives of all outputs come out of one pass, so a system costs hardly more than
one equation; parameters alone are differentiated backwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch

from pinnsuite.problem.jets import Jet

ORDER = 2
"""Highest order of derivatives that is carried."""


@dataclass(frozen=True)
class Channels:
    """The derivatives that are carried along, closed under lower ones.

    Attributes
    ----------
    orders
        Orders along each coordinate: those of the value, of first derivatives, then of
        second ones.
    """

    orders: tuple[tuple[int, ...], ...]

    @property
    def firsts(self) -> tuple[int, ...]:
        """The numbers of the first derivatives."""
        return tuple(k for k, a in enumerate(self.orders) if sum(a) == 1)

    @property
    def seconds(self) -> tuple[tuple[int, int, int], ...]:
        """The numbers of second derivatives and of the two first ones they are of."""
        found = []
        for k, a in enumerate(self.orders):
            if sum(a) == ORDER:
                below = [i for i in self.firsts for _ in range(_dot(a, self.orders[i]))]
                found.append((k, below[0], below[1]))
        return tuple(found)


def _dot(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    return sum(i * j for i, j in zip(a, b, strict=True))


def channels(jets: Iterable[Jet], num_coordinates: int) -> Channels | None:
    """Return the channels that `jets` need; None if one is of higher order than two."""
    orders = {(0,) * num_coordinates}
    for jet in jets:
        if sum(jet.orders) > ORDER:
            return None
        orders |= set(product(*(range(k + 1) for k in jet.orders)))
    return Channels(tuple(sorted(orders, key=lambda a: (sum(a), a))))


class _Composition(torch.autograd.Function):
    """An activation applied to values and derivatives.

    With A = σ(Z), s = σ'(Z), q = σ''(Z): A_i = s Z_i, A_ij = s Z_ij + q Z_i Z_j.
    """

    @staticmethod
    def forward(
        ctx: Any, z: torch.Tensor, bias: torch.Tensor, activation: str, kept: Channels
    ) -> torch.Tensor:
        """Return the channels of `σ(z + bias)`, shape of z: (channels, n, width)."""
        value = z[0] + bias
        a = torch.empty_like(z)
        if activation == "tanh":
            y = torch.tanh(value, out=a[0])
            s = 1.0 - y * y
            q = -2.0 * y * s
        else:
            q = -torch.sin(value, out=a[0])
            s = torch.cos(value)
        for i in kept.firsts:
            torch.mul(s, z[i], out=a[i])
        for k, i, j in kept.seconds:
            torch.mul(q, z[i], out=a[k]).mul_(z[j]).addcmul_(s, z[k])
        ctx.save_for_backward(z, a, s, q)
        ctx.activation, ctx.kept = activation, kept
        return a

    @staticmethod
    def backward(
        ctx: Any, g: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        """Return the gradients by z and by the bias from that by the result."""
        z, a, s, q = ctx.saved_tensors
        out = s * g
        kept: Channels = ctx.kept
        by_slope, by_curvature = None, None
        for i in kept.firsts:
            by_slope = _plus(by_slope, z[i], g[i])
        for k, i, j in kept.seconds:
            by_slope = _plus(by_slope, z[k], g[k])
            weighted = q * g[k]
            out[i].addcmul_(weighted, z[j])
            out[j].addcmul_(weighted, z[i])
            by_curvature = _plus(by_curvature, z[i] * z[j], g[k])
        if by_slope is not None:
            out[0].addcmul_(q, by_slope)
        if by_curvature is not None:
            third = s * (6.0 * a[0] * a[0] - 2.0) if ctx.activation == "tanh" else -s
            out[0].addcmul_(third, by_curvature)
        return out, out[0].sum(0), None, None


def composed(
    z: torch.Tensor, bias: torch.Tensor, activation: str, kept: Channels
) -> torch.Tensor:
    """Return values and derivatives of `σ(z + bias)`: (channels, n, width).

    Parameters
    ----------
    activation
        `tanh` or `sine`.
    """
    result: torch.Tensor = _Composition.apply(z, bias, activation, kept)  # type: ignore[no-untyped-call]
    return result


def _plus(
    total: torch.Tensor | None, left: torch.Tensor, right: torch.Tensor
) -> torch.Tensor:
    return left * right if total is None else total.addcmul_(left, right)


def product_rule(
    left: torch.Tensor, right: torch.Tensor, kept: Channels
) -> torch.Tensor:
    """Return the channels of a product of two functions: (channels, n)."""
    rows = [left[0] * right[0]]
    rows += [left[0] * right[i] + left[i] * right[0] for i in kept.firsts]
    rows += [
        left[0] * right[k]
        + left[i] * right[j]
        + left[j] * right[i]
        + left[k] * right[0]
        for k, i, j in kept.seconds
    ]
    return torch.stack(rows)


def exponential(z: torch.Tensor, kept: Channels) -> torch.Tensor:
    """Return the channels of `exp z`: (channels, n)."""
    value = torch.exp(z[0])
    rows = [value]
    rows += [value * z[i] for i in kept.firsts]
    rows += [value * (z[k] + z[i] * z[j]) for k, i, j in kept.seconds]
    return torch.stack(rows)


class Carried:
    """Derivatives of the fields that were carried forward.

    Parameters
    ----------
    values
        For each field its channels, (channels, n).
    kept
        What the channels are.
    """

    def __init__(self, values: Iterable[torch.Tensor], kept: Channels) -> None:
        self._values: Mapping[Jet, torch.Tensor] = {
            Jet(i, orders): row
            for i, rows in enumerate(values)
            for orders, row in zip(kept.orders, rows.unbind(0), strict=True)
        }

    def __getitem__(self, jet: Jet) -> torch.Tensor:
        """Return the derivative `jet` at the points: (n,)."""
        return self._values[jet]
