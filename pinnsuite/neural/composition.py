"""Smooth functions of a carried function: all derivatives forward, gradients back.

With `y = σ(z)`, each class computes the channels of y and takes a cotangent of y back
to one of z, written out by hand: no graph is recorded, and the same pass serves the
gradient of a loss and the rows of a Jacobian. Arrays and views of them are made once
and used at every call: with new ones, calls into torch took longer than the arithmetic
on blocks of a few hundred points.

Source: A. Griewank, A. Walther, Evaluating Derivatives, 2nd ed. 2008, section 13.2
(propagation of Taylor coefficients), DOI 10.1137/1.9780898717761.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch

from pinnsuite.neural.taylor import Channels, Terms


@runtime_checkable
class Composition(Protocol):
    """Channels of `σ(z)`.

    Made with the array of z and that of the values' cotangent, which the caller fills
    before each call.
    """

    values: torch.Tensor
    cotangent: torch.Tensor

    def evaluate(self) -> None:
        """Compute the values from z."""

    def pullback(self, out: torch.Tensor) -> None:
        """Write the cotangent of z into `out`, from that of the values."""


class SecondOrder:
    """The hyperbolic tangent or the sine with derivatives up to second order.

    With s = σ'(z), q = σ''(z): y_i = s z_i, y_ij = s z_ij + q z_i z_j. Back, from
    cotangents g:

        z̄_ij = s g_ij,   z̄_i = s g_i + Σ_j q (1 + δ_ij) z_j g_ij,
        z̄ = s g + q (Σ_i z_i g_i + Σ z_ij g_ij) + σ''' Σ z_i z_j g_ij

    Parameters
    ----------
    z, cotangent
        Channels of the argument, and the cotangent of the values: (channels, n, width).
    """

    def __init__(
        self, z: torch.Tensor, cotangent: torch.Tensor, activation: str, kept: Channels
    ) -> None:
        self._is_tanh, self._seconds = activation == "tanh", kept.seconds
        self.values = torch.empty_like(z)
        self.cotangent = cotangent
        self._y, self._z, self._g = (a.unbind(0) for a in (self.values, z, cotangent))
        self._derivatives = z[1:], self.values[1:]
        self._squares = torch.empty_like(z[: len(kept.seconds)]).unbind(0)
        self._slope, self._sum, self._work = (torch.empty_like(z[0]) for _ in range(3))
        # The curvature q = σ'' is a multiple of this array: -2 y s, or -y.
        self._curved = torch.empty_like(z[0]) if self._is_tanh else self._y[0]
        self._times = -2.0 if self._is_tanh else -1.0

    def evaluate(self) -> None:
        """Compute the values from z."""
        z, y, s, q = self._z, self._y, self._slope, self._curved
        if self._is_tanh:
            torch.tanh(z[0], out=y[0])
            torch.mul(y[0], y[0], out=s).neg_().add_(1.0)
            torch.mul(y[0], s, out=q)
        else:
            torch.sin(z[0], out=y[0])
            torch.cos(z[0], out=s)
        before, after = self._derivatives
        torch.mul(before, s, out=after)
        for (k, i, j), square in zip(self._seconds, self._squares, strict=True):
            torch.mul(z[i], z[j], out=square)
            y[k].addcmul_(square, q, value=self._times)

    def pullback(self, out: torch.Tensor) -> None:
        """Write the cotangent of z into `out`, from that of the values."""
        z, g, s, q = self._z, self._g, self._slope, self._curved
        torch.mul(self.cotangent, s, out=out)
        if len(z) == 1:
            return
        by = out.unbind(0)
        torch.mul(z[1], g[1], out=self._sum)
        for k in range(2, len(z)):
            self._sum.addcmul_(z[k], g[k])
        by[0].addcmul_(self._sum, q, value=self._times)
        if not self._seconds:
            return
        by_curvature = None
        for (k, i, j), square in zip(self._seconds, self._squares, strict=True):
            weighted = torch.mul(q, g[k], out=self._work)
            if i == j:
                by[i].addcmul_(weighted, z[i], value=2.0 * self._times)
            else:
                by[i].addcmul_(weighted, z[j], value=self._times)
                by[j].addcmul_(weighted, z[i], value=self._times)
            if by_curvature is None:
                by_curvature = torch.mul(square, g[k], out=self._sum)
            else:
                by_curvature.addcmul_(square, g[k])
        # The third derivative is s (4 - 6 s) for tanh, as y² = 1 - s, and -s for sine.
        if self._is_tanh:
            third = torch.mul(s, 4.0, out=self._work).addcmul_(s, s, value=-6.0)
            by[0].addcmul_(third, self._sum)
        else:
            by[0].addcmul_(s, self._sum, value=-1.0)


class TanhSeries:
    """The hyperbolic tangent to any order: `∂ᵢy = w ∂ᵢz`, `w = 1 - y²`.

    Both rules are differentiated on, by `Channels.chains` and `Channels.products`.
    """

    def __init__(
        self, z: torch.Tensor, cotangent: torch.Tensor, kept: Channels
    ) -> None:
        self.values = torch.empty_like(z)
        self.cotangent, self._kept = cotangent, kept
        self._z, self._y, self._w = (
            a.unbind(0) for a in (z, self.values, torch.empty_like(z))
        )
        self._by_y, self._by_w = torch.empty_like(z), torch.empty_like(z)
        # Of w, only what a higher derivative of y asks for; terms of the square that
        # are equal are taken together.
        needed = {c for terms in kept.chains for _, c, _ in terms}
        self._squares: list[Terms] = [
            tuple(
                (b, c, factor if b == c else 2.0 * factor)
                for b, c, factor in kept.products[k]
                if b <= c and k in needed
            )
            for k in range(len(z))
        ]

    def evaluate(self) -> None:
        """Compute the values from z."""
        z, y, w = self._z, self._y, self._w
        torch.tanh(z[0], out=y[0])
        torch.mul(y[0], y[0], out=w[0]).neg_().add_(1.0)
        for k in range(1, len(z)):
            _sum_of(self._kept.chains[k], z, w, y[k])
            _sum_of(self._squares[k], y, y, w[k], -1.0)

    def pullback(self, out: torch.Tensor) -> None:
        """Write the cotangent of z into `out`, from that of the values."""
        z, y, w = self._z, self._y, self._w
        self._by_y.copy_(self.cotangent)
        self._by_w.zero_()
        out.zero_()
        by_y, by_w, by_z = (a.unbind(0) for a in (self._by_y, self._by_w, out))
        for k in range(len(z) - 1, 0, -1):
            for b, c, factor in self._squares[k]:
                by_y[b].addcmul_(by_w[k], y[c], value=-factor)
                by_y[c].addcmul_(by_w[k], y[b], value=-factor)
            for b, c, factor in self._kept.chains[k]:
                by_z[b].addcmul_(by_y[k], w[c], value=factor)
                by_w[c].addcmul_(by_y[k], z[b], value=factor)
        by_y[0].addcmul_(by_w[0], y[0], value=-2.0)
        by_z[0].addcmul_(by_y[0], w[0])


class LinearSeries:
    """Functions whose derivatives are one another, to any order.

    The exponential, `∂ᵢy = y ∂ᵢz`; sine and cosine, `∂ᵢy = v ∂ᵢz`, `∂ᵢv = -y ∂ᵢz`. The
    first function is the result.

    Parameters
    ----------
    functions
        Each function, the number of its derivative among them, and a sign.
    """

    def __init__(
        self,
        z: torch.Tensor,
        cotangent: torch.Tensor,
        functions: tuple[tuple[Callable[..., torch.Tensor], int, float], ...],
        kept: Channels,
    ) -> None:
        arrays = [torch.empty_like(z) for _ in functions]
        self.values = arrays[0]
        self.cotangent, self._functions, self._kept = cotangent, functions, kept
        self._z, self._all = z.unbind(0), [a.unbind(0) for a in arrays]
        self._by = [torch.empty_like(z) for _ in functions]

    def evaluate(self) -> None:
        """Compute the values from z."""
        for y, (function, _, _) in zip(self._all, self._functions, strict=True):
            function(self._z[0], out=y[0])
        for k, terms in enumerate(self._kept.chains[1:], 1):
            for y, (_, slope, sign) in zip(self._all, self._functions, strict=True):
                _sum_of(terms, self._z, self._all[slope], y[k], sign)

    def pullback(self, out: torch.Tensor) -> None:
        """Write the cotangent of z into `out`, from that of the values."""
        for a in self._by:
            a.zero_()
        self._by[0].copy_(self.cotangent)
        out.zero_()
        z, by, by_z = self._z, [a.unbind(0) for a in self._by], out.unbind(0)
        for k in range(len(z) - 1, 0, -1):
            for by_y, (_, slope, sign) in zip(by, self._functions, strict=True):
                for b, c, factor in self._kept.chains[k]:
                    weight = sign * factor
                    by_z[b].addcmul_(by_y[k], self._all[slope][c], value=weight)
                    by[slope][c].addcmul_(by_y[k], z[b], value=weight)
        for by_y, (_, slope, sign) in zip(by, self._functions, strict=True):
            by_z[0].addcmul_(by_y[0], self._all[slope][0], value=sign)


def _sum_of(
    terms: Terms,
    left: tuple[torch.Tensor, ...],
    right: tuple[torch.Tensor, ...],
    out: torch.Tensor,
    sign: float = 1.0,
) -> None:
    """Write the sum of products of channels into `out`."""
    for number, (b, c, factor) in enumerate(terms):
        if number:
            out.addcmul_(left[b], right[c], value=sign * factor)
        else:
            torch.mul(left[b], right[c], out=out)
            if sign * factor != 1.0:
                out.mul_(sign * factor)


def exponential(
    z: torch.Tensor, cotangent: torch.Tensor, kept: Channels
) -> Composition:
    """Return the channels of `exp z`."""
    return LinearSeries(z, cotangent, ((torch.exp, 0, 1.0),), kept)


def sine(z: torch.Tensor, cotangent: torch.Tensor, kept: Channels) -> Composition:
    """Return the channels of `sin z`."""
    if kept.order <= 2:
        return SecondOrder(z, cotangent, "sine", kept)
    functions = (torch.sin, 1, 1.0), (torch.cos, 0, -1.0)
    return LinearSeries(z, cotangent, functions, kept)


def tanh(z: torch.Tensor, cotangent: torch.Tensor, kept: Channels) -> Composition:
    """Return the channels of `tanh z`."""
    if kept.order <= 2:
        return SecondOrder(z, cotangent, "tanh", kept)
    return TanhSeries(z, cotangent, kept)
