"""Multilayer perceptrons as functions of one flat vector of parameters.

A flat vector is what quasi-Newton methods work on, and what a snapshot has to copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from pinnsuite.neural.taylor import Channels, Orders

ACTIVATIONS = {"tanh": torch.tanh, "sine": torch.sin}
"""Smooth ones: their derivatives enter the residual."""


@dataclass(frozen=True)
class MLP:
    """A fully connected network `z ↦ W_L σ(… σ(W_1 z + b_1) …) + b_L`.

    Attributes
    ----------
    sizes
        Widths of all layers, input and output included.
    activation
        Name of σ, one of `ACTIVATIONS`.
    """

    sizes: tuple[int, ...]
    activation: str = "tanh"

    @property
    def num_parameters(self) -> int:
        """The number of weights and biases."""
        return sum((a + 1) * b for a, b in pairwise(self.sizes))

    def initial(self, generator: torch.Generator) -> torch.Tensor:
        """Return Glorot-normal weights and zero biases in one float64 vector.

        Source: X. Glorot, Y. Bengio, AISTATS 2010, PMLR 9:249-256, eq. 12.
        """
        parts = []
        for a, b in pairwise(self.sizes):
            normal = torch.randn(a * b, generator=generator, dtype=torch.float64)
            parts += [
                normal * math.sqrt(2 / (a + b)),
                torch.zeros(b, dtype=torch.float64),
            ]
        return torch.cat(parts)

    def __call__(self, parameters: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Return the outputs (n, sizes[-1]) at `inputs` (n, sizes[0])."""
        function = ACTIVATIONS[self.activation]
        hidden = inputs
        *inner, last = self.layers(parameters)
        for weight, bias in inner:
            hidden = function(torch.addmm(bias, hidden, weight))
        weight, bias = last
        return torch.addmm(bias, hidden, weight)

    def layers(
        self, parameters: torch.Tensor
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return views of the vector: weights (inputs, outputs) and biases."""
        lengths = [n for a, b in pairwise(self.sizes) for n in (a * b, b)]
        parts = torch.split(parameters, lengths)
        return [
            (parts[2 * layer].view(sizes), parts[2 * layer + 1])
            for layer, sizes in enumerate(pairwise(self.sizes))
        ]


@dataclass(frozen=True, eq=False)
class Features:
    """What a network sees of the coordinates.

    Each coordinate scaled to [-1, 1], or its sine and cosine over one period where the
    fields are periodic: then so is every function of them, with all derivatives. Random
    Fourier features may follow: `sin(B x)` and `cos(B x)` of the scaled coordinates x,
    where the solution holds frequencies that a network learns late.

    Source: M. Tancik et al., Advances in Neural Information Processing Systems 33
    (2020) 7537-7547, arXiv:2006.10739.

    Attributes
    ----------
    limits
        Lower and upper ends of the coordinates, shape (coordinates, 2).
    periodic
        The columns of the periodic coordinates.
    frequencies
        B, shape (coordinates, k); None: no such features.
    """

    limits: np.ndarray
    periodic: Sequence[int] = ()
    frequencies: torch.Tensor | None = None

    @property
    def size(self) -> int:
        """The number of features."""
        waves = 0 if self.frequencies is None else 2 * self.frequencies.shape[1]
        return len(self.limits) + len(self.periodic) + waves

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        """Return the features (n, size) of `points` (n, coordinates)."""
        ends = torch.as_tensor(self.limits, dtype=points.dtype, device=points.device)
        scaled = (2 * points - ends.sum(1)) / (ends[:, 1] - ends[:, 0])
        if not self.periodic and self.frequencies is None:
            return scaled
        columns = []
        for k, column in enumerate(scaled.unbind(1)):
            if k in self.periodic:
                angle = math.pi * column
                columns += [torch.sin(angle), torch.cos(angle)]
            else:
                columns.append(column)
        features = torch.stack(columns, 1)
        if self.frequencies is None:
            return features
        phases = scaled @ self.frequencies.to(scaled)
        return torch.cat([features, torch.sin(phases), torch.cos(phases)], 1)

    def derivatives(self, points: torch.Tensor, kept: Channels) -> torch.Tensor:
        """Return the features and their derivatives: (channels, n, size)."""
        rows = [self(points)]
        rates = 2 / (self.limits[:, 1] - self.limits[:, 0])
        for orders in kept.orders[1:]:
            row = torch.zeros_like(rows[0])
            column = 0
            for k, rate in enumerate(rates):
                is_along = orders[k] == sum(orders)
                if k in self.periodic:
                    if is_along:
                        sine, cosine = rows[0][:, column], rows[0][:, column + 1]
                        for _ in range(orders[k]):
                            sine, cosine = cosine, -sine
                        turn = (math.pi * rate) ** orders[k]
                        row[:, column : column + 2] = turn * torch.stack(
                            [sine, cosine], 1
                        )
                    column += 1
                elif is_along and orders[k] == 1:
                    row[:, column] = rate
                column += 1
            if self.frequencies is not None:
                row[:, column:] = self._waves(rows[0][:, column:], orders, rates)
            rows.append(row)
        return torch.stack(rows)

    def _waves(
        self, values: torch.Tensor, orders: Orders, rates: np.ndarray
    ) -> torch.Tensor:
        """Return a derivative of the Fourier features from their values."""
        assert self.frequencies is not None
        factor = torch.ones(self.frequencies.shape[1]).to(values)
        for row, rate, order in zip(self.frequencies, rates, orders, strict=True):
            factor = factor * (row.to(values) * rate) ** order
        sine, cosine = values.chunk(2, 1)
        for _ in range(sum(orders)):
            sine, cosine = cosine, -sine
        return torch.cat([factor * sine, factor * cosine], 1)
