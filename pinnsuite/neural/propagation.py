"""Derivatives of a network's outputs, and gradients back to its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from pinnsuite.neural.composition import Composition, sine, tanh
from pinnsuite.neural.networks import MLP
from pinnsuite.neural.taylor import Channels

_COMPOSITIONS = {"tanh": tanh, "sine": sine}
Layers = Sequence[tuple[torch.Tensor, torch.Tensor]]
"""Weights (inputs, outputs) and biases, from `MLP.layers`."""


class Propagation:
    """Derivatives through a network for some number of points, forward and back.

    It keeps what the last forward pass computed; a pass back belongs to that one.

    Parameters
    ----------
    network
        Whose outputs.
    like
        Derivatives of the inputs, (channels, n, inputs), of the shape, floating type
        and device that all others will have.
    kept
        What the channels are.
    """

    def __init__(self, network: MLP, like: torch.Tensor, kept: Channels) -> None:
        compose = _COMPOSITIONS[network.activation]
        *inner, last = network.sizes[1:]
        shared: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._layers, self._inputs = [], like.flatten(0, 1)
        for width in inner:
            z = like.new_empty(*like.shape[:2], width)
            if width not in shared:
                shared[width] = torch.empty_like(z), torch.empty_like(z)
            by_values, by_z = shared[width]
            layer = compose(z, by_values, kept)
            self._layers.append(
                _Layer(
                    layer,
                    z.flatten(0, 1),
                    z[0],
                    layer.values.flatten(0, 1),
                    by_values.flatten(0, 1),
                    by_z.flatten(0, 1),
                    by_z,
                )
            )
        self._outputs = like.new_empty(*like.shape[:2], last)
        self._ones = like.new_ones(like.shape[1])
        self._products: dict[tuple[int, int], torch.Tensor] = {}

    def outputs(self, layers: Layers, inputs: torch.Tensor) -> torch.Tensor:
        """Return the derivatives of the outputs, (channels, n, outputs).

        They are overwritten by the next call.

        Parameters
        ----------
        layers
            Weights and biases, from `MLP.layers`.
        inputs
            Derivatives of the network's inputs.
        """
        self._inputs = hidden = inputs.flatten(0, 1)
        *inner, (weight, bias) = layers
        for (w, b), layer in zip(inner, self._layers, strict=True):
            torch.mm(hidden, w, out=layer.sums)
            layer.value.add_(b)
            layer.composition.evaluate()
            hidden = layer.values
        torch.mm(hidden, weight, out=self._outputs.flatten(0, 1))
        self._outputs[0].add_(bias)
        return self._outputs

    def add_gradient(
        self, layers: Layers, cotangent: torch.Tensor, into: Layers
    ) -> None:
        """Add the gradient of `Σ cotangent · outputs` by weights and biases."""
        n = len(self._ones)
        for number, inputs, g in self._backwards(layers, cotangent):
            weight, bias = into[number]
            weight.addmm_(inputs.T, g)
            bias.addmv_(g[:n].T, self._ones)

    def jacobian(
        self, layers: Layers, cotangent: torch.Tensor, into: torch.Tensor
    ) -> None:
        """Write the gradient for each point by itself into `into` (n, parameters).

        The row of point n holds `Σₖ A[k, n, :] ⊗ G[k, n, :]` for each layer, A its
        inputs and G the cotangent of its outputs.
        """
        n, end = len(self._ones), into.shape[1]
        for _, inputs, g in self._backwards(layers, cotangent):
            size, width = inputs.shape[1] * g.shape[1], g.shape[1]
            # One product of matrices for each point; written straight into the strided
            # rows it takes eight times as long.
            shape = inputs.shape[1], width
            if shape not in self._products:
                self._products[shape] = into.new_empty(n, *shape)
            products = torch.bmm(
                inputs.view(-1, n, inputs.shape[1]).permute(1, 2, 0),
                g.view(-1, n, width).permute(1, 0, 2),
                out=self._products[shape],
            )
            into[:, end - width : end] = g[:n]
            end -= width + size
            into[:, end : end + size] = products.flatten(1)

    def _backwards(
        self, layers: Layers, cotangent: torch.Tensor
    ) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        """Give each layer's number, inputs and the cotangent of what it adds up.

        Both of shape (channels · n, width).
        """
        g = cotangent.flatten(0, 1)
        for number in range(len(layers) - 1, 0, -1):
            below = self._layers[number - 1]
            yield number, below.values, g
            torch.mm(g, layers[number][0].T, out=below.by_values)
            below.composition.pullback(below.by_channels)
            g = below.by_sums
        yield 0, self._inputs, g


@dataclass(frozen=True, eq=False)
class _Layer:
    """A hidden layer's arrays, flat ones (channels · n, width), views of each other.

    Attributes
    ----------
    value
        The sums' channel 0, where the bias is added.
    by_channels
        Cotangent of the sums: (channels, n, width).
    """

    composition: Composition
    sums: torch.Tensor
    value: torch.Tensor
    values: torch.Tensor
    by_values: torch.Tensor
    by_sums: torch.Tensor
    by_channels: torch.Tensor
