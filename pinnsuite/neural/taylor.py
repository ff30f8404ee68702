"""Derivatives of functions of several coordinates, of any order, as arrays of channels.

A channel holds one derivative at all points. The rules for products and
compositions act on channels, and their transposes carry gradients back.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from pinnsuite.problem.jets import Jet

Orders = tuple[int, ...]
"""Order of differentiation along each coordinate."""

Terms = tuple[tuple[int, int, float], ...]
"""Products of two channels with a factor: numbers of both, and the factor."""


@dataclass(frozen=True)
class Channels:
    """The derivatives that are carried along, closed under lower ones.

    Attributes
    ----------
    orders
        Orders along each coordinate: those of the value, of first derivatives, then of
        higher ones.
    """

    orders: tuple[Orders, ...]

    @property
    def order(self) -> int:
        """The highest order."""
        return sum(self.orders[-1])

    @cached_property
    def number(self) -> Mapping[Orders, int]:
        """The number of the channel of each derivative."""
        return {a: k for k, a in enumerate(self.orders)}

    def jets(self, num_fields: int) -> Sequence[Jet]:
        """Return the derivatives of each field, one field after another."""
        known = self._jets
        for i in range(len(known) // len(self.orders), num_fields):
            known += [Jet(i, a) for a in self.orders]
        return known[: num_fields * len(self.orders)]

    @cached_property
    def _jets(self) -> list[Jet]:
        return []

    @cached_property
    def seconds(self) -> tuple[tuple[int, int, int], ...]:
        """The numbers of second derivatives and of the two first ones they are of."""
        found = []
        for k, a in enumerate(self.orders):
            if sum(a) == 2:
                axes = [axis for axis, n in enumerate(a) for _ in range(n)]
                i, j = (self.number[_unit(axis, len(a))] for axis in axes)
                found.append((k, i, j))
        return tuple(found)

    @cached_property
    def products(self) -> tuple[Terms, ...]:
        """Leibniz' rule for each channel: `∂ᵃ(f g) = Σ_{b≤a} C(a, b) ∂ᵇf ∂ᵃ⁻ᵇg`."""
        return tuple(
            tuple(
                (self.number[b], self.number[_minus(a, b)], _binomial(a, b))
                for b in _below(a)
            )
            for a in self.orders
        )

    @cached_property
    def chains(self) -> tuple[Terms, ...]:
        """The chain rule `∂ᵢy = w ∂ᵢz`, differentiated on, for each channel but 0.

        `∂ᵃy = Σ_b C(a - eᵢ, b - eᵢ) ∂ᵇz ∂ᵃ⁻ᵇw` over the b ≤ a with bᵢ > 0, for one i
        with aᵢ > 0; that with the smallest aᵢ has the fewest terms.
        """
        found: list[Terms] = [()]
        for a in self.orders[1:]:
            i = min((k for k, n in enumerate(a) if n), key=lambda k: a[k])
            found.append(
                tuple(
                    (
                        self.number[b],
                        self.number[_minus(a, b)],
                        _binomial(a, b) * b[i] / a[i],
                    )
                    for b in _below(a)
                    if b[i]
                )
            )
        return tuple(found)


def _unit(axis: int, size: int) -> Orders:
    return tuple(int(k == axis) for k in range(size))


def _below(a: Orders) -> Iterable[Orders]:
    return itertools.product(*(range(n + 1) for n in a))


def _minus(a: Orders, b: Orders) -> Orders:
    return tuple(m - n for m, n in zip(a, b, strict=True))


def _plus(a: Orders, b: Orders) -> Orders:
    return tuple(m + n for m, n in zip(a, b, strict=True))


def _binomial(a: Orders, b: Orders) -> float:
    return float(math.prod(map(math.comb, a, b)))


def channels(jets: Iterable[Jet], num_coordinates: int) -> Channels:
    """Return the channels that `jets` need."""
    orders = {(0,) * num_coordinates}
    for jet in jets:
        orders |= set(_below(jet.orders))
    return Channels(tuple(sorted(orders, key=lambda a: (sum(a), a))))


def product_matrix(left: torch.Tensor, kept: Channels) -> torch.Tensor:
    """Return the matrix that takes the channels of f to those of a product `left f`.

    From (channels, n) to (channels, channels, n): one matrix for each point.
    """
    matrix = left.new_zeros(len(left), *left.shape)
    for k, terms in enumerate(kept.products):
        for b, c, factor in terms:
            matrix[k, c] = factor * left[b]
    return matrix


def product(f: torch.Tensor, g: torch.Tensor, kept: Channels) -> torch.Tensor:
    """Return the channels of `f g`, by Leibniz' rule: (channels, n)."""
    return torch.stack(
        [
            torch.stack([factor * f[b] * g[c] for b, c, factor in terms]).sum(0)
            for terms in kept.products
        ]
    )


def quotient(f: torch.Tensor, g: torch.Tensor, kept: Channels) -> torch.Tensor:
    """Return the channels of `q = f / g`: Leibniz' rule for `q g = f`, solved for q."""
    found: list[torch.Tensor] = []
    for k, terms in enumerate(kept.products):
        value = f[k]
        for b, c, factor in terms:
            if b != k:
                value = value - factor * found[b] * g[c]
        found.append(value / g[0])
    return torch.stack(found)


def square_root(f: torch.Tensor, kept: Channels) -> torch.Tensor:
    """Return the channels of `s = √f`: Leibniz' rule for `s s = f`, solved for s."""
    found = [f[0].sqrt()]
    for k, terms in enumerate(kept.products[1:], 1):
        value = f[k]
        for b, c, factor in terms:
            if k not in (b, c):
                value = value - factor * found[b] * found[c]
        found.append(value / (2 * found[0]))
    return torch.stack(found)


def composed(
    outer: Callable[[Orders], torch.Tensor],
    inner: Sequence[torch.Tensor],
    kept: Channels,
) -> torch.Tensor:
    """Return the channels of `v(P)`, P a map of the coordinates: (channels, n).

    By the chain rule `∂ᵢ(v(P)) = Σₖ v_k(P) ∂ᵢPₖ`, differentiated on by Leibniz' rule.

    Parameters
    ----------
    outer
        Gives a derivative of v at the points P.
    inner
        Channels of the components of P.
    """
    size = len(inner)
    known: dict[tuple[Orders, Orders], torch.Tensor] = {}

    def derivative(a: Orders, of: Orders) -> torch.Tensor:
        """Return `∂ᵃ((∂ᵒᶠ v)(P))`."""
        if (a, of) not in known:
            if not any(a):
                known[a, of] = outer(of)
            else:
                i = next(k for k, n in enumerate(a) if n)
                rest = _minus(a, _unit(i, size))
                known[a, of] = torch.stack(
                    [
                        _binomial(rest, b)
                        * derivative(b, _plus(of, _unit(k, size)))
                        * component[kept.number[_minus(a, b)]]
                        for k, component in enumerate(inner)
                        for b in _below(rest)
                    ]
                ).sum(0)
        return known[a, of]

    return torch.stack([derivative(a, (0,) * size) for a in kept.orders])


class Carried:
    """Derivatives of the fields that were carried forward.

    Parameters
    ----------
    values
        Shape (fields, channels, n).
    kept
        What the channels are.
    """

    def __init__(self, values: torch.Tensor, kept: Channels) -> None:
        self.kept = kept
        rows = values.flatten(0, 1).unbind(0)
        self._values = dict(zip(kept.jets(len(values)), rows, strict=True))

    def __getitem__(self, jet: Jet) -> torch.Tensor:
        """Return the derivative `jet` at the points: (n,)."""
        return self._values[jet]
