"""The Fourier neural operator in one space dimension."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from pinnsuite.errors import OptionError
from pinnsuite.neural.operators.fitted import (
    FittedNetwork,
    Scaled,
    check_data,
    check_options,
    describe_map,
    read,
)
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.support import Dataset
from pinnsuite.solver import Progress, silent

HIDDEN = 128
"""Width of the layer before the output, as in the source."""


@dataclass(frozen=True)
class FNO:
    """Fourier neural operator on a periodic interval.

    v₀ = P u;  v_{l+1} = σ(W_l v_l + F⁻¹(R_l · F v_l)), l < L;  u(T) = Q v_L

    with F the Fourier transform in x cut after `modes` waves, R_l complex and W_l real
    `width`×`width` matrices, P and Q pointwise, σ = gelu (not after the last layer).
    Loss is the relative L2 error, mean over members; Adam with a cosine schedule to
    zero. The position x is no input: the map of an equation without x commutes with
    shifts, and so does the network.

    Source: Z. Li et al., Fourier neural operator for parametric partial differential
    equations, ICLR 2021, arXiv:2010.08895.

    Attributes
    ----------
    width, modes, layers
        Channels, Fourier modes that are kept (the mean included), Fourier layers.
    epochs
        Passes over the training members.
    batch
        Members a step.
    rate
        Adam's rate at the start.
    dtype, device, seed
        `float32` or `float64`; as torch names it; of initialisation and batches.
    """

    family: ClassVar[str] = "operator"
    tuned_on: ClassVar[tuple[str, ...]] = ("burgers_family",)

    width: int = 32
    modes: int = 16
    layers: int = 4
    epochs: int = 75
    batch: int = 20
    rate: float = 2e-3
    dtype: str = "float32"
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        check_options(self, "width", "modes", "layers", "epochs", "batch")

    def fit(
        self,
        data: Dataset,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> FittedNetwork:
        """Train on the pairs; scales come from the same pairs.

        Stops after `epochs`, or after the step in which `budget` CPU seconds are over.

        Raises
        ------
        DataError
            If the pairs cannot be learned from.
        OptionError
            If the grid is too coarse for `modes`.
        """
        check_data(data)
        if self.modes > len(data.grid) // 2:
            raise OptionError(
                f"modes of FNO is {self.modes}, and {len(data.grid)} points hold "
                f"{len(data.grid) // 2} at most."
            )
        clock = Clock()
        with clock.phase("setup"):
            generator = torch.Generator().manual_seed(self.seed)
            network = self._network(generator, data)
        with clock.phase("train"):
            losses, reason = self._train(network, data, generator, progress, budget)
        return FittedNetwork(
            self,
            network,
            data.grid,
            describe_map(data.problem),
            clock.cost(),
            {"loss": losses},
            {
                "dofs": sum(p.numel() for p in network.parameters()),
                "epochs": len(losses),
                "stop_reason": reason,
            },
        )

    @classmethod
    def load(cls, path: Path | str, *, device: str | None = None) -> FittedNetwork:
        """Read what `FittedNetwork.save` wrote, onto `device` or the one it was on.

        Raises
        ------
        DataError
            If the file is missing, damaged, or holds another solver's operator.
        """
        saved = read(path, cls.__name__)
        options = cls(**saved.options)
        options = options if device is None else replace(options, device=device)
        network = options._network(torch.Generator(), None)
        network.load_state_dict(saved.weights)
        return FittedNetwork(options, network, **saved.others)

    def _network(self, generator: torch.Generator, data: Dataset | None) -> Scaled:
        network = FourierNetwork(self.width, self.modes, self.layers, generator)
        return Scaled(network, data).to(self.device, getattr(torch, self.dtype))

    def _train(
        self,
        network: nn.Module,
        data: Dataset,
        generator: torch.Generator,
        progress: Progress,
        budget: float | None,
    ) -> tuple[np.ndarray, str]:
        start = time.process_time()
        dtype = getattr(torch, self.dtype)
        inputs = torch.tensor(data.inputs, dtype=dtype, device=self.device)
        outputs = torch.tensor(data.outputs, dtype=dtype, device=self.device)
        optimiser = torch.optim.Adam(network.parameters(), lr=self.rate)
        members = len(inputs)
        steps = self.epochs * math.ceil(members / self.batch)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        losses: list[float] = []
        for epoch in range(self.epochs):
            total = torch.zeros((), dtype=dtype, device=self.device)
            order = torch.randperm(members, generator=generator)
            for chosen in torch.split(order.to(self.device), self.batch):
                error = network(inputs[chosen]) - outputs[chosen]
                relative = error.norm(dim=1) / outputs[chosen].norm(dim=1)
                optimiser.zero_grad()
                relative.mean().backward()
                optimiser.step()
                schedule.step()
                total += relative.detach().sum()
                if budget is not None and time.process_time() - start > budget:
                    # The last epoch is cut; its mean would be of few members.
                    return np.array(losses), "budget"
            losses.append(float(total) / members)
            progress((epoch + 1) / self.epochs, f"relative L2 {losses[-1]:.2e}")
        return np.array(losses), "epochs"


class FourierNetwork(nn.Module):
    """The map of `FNO` between scaled values, shape (members, points)."""

    def __init__(
        self, width: int, modes: int, layers: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.lift = Pointwise(1, width, generator)
        self.spectral = nn.ModuleList(
            SpectralConvolution(width, modes, generator) for _ in range(layers)
        )
        self.local = nn.ModuleList(
            Pointwise(width, width, generator) for _ in range(layers)
        )
        self.hidden = Pointwise(width, HIDDEN, generator)
        self.project = Pointwise(HIDDEN, 1, generator)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the fields at the last time."""
        v = self.lift(values[:, None])
        last = len(self.local) - 1
        for i, (spectral, local) in enumerate(
            zip(self.spectral, self.local, strict=True)
        ):
            v = spectral(v) + local(v)
            if i < last:
                v = nn.functional.gelu(v)
        out: torch.Tensor = self.project(nn.functional.gelu(self.hidden(v)))
        return out[:, 0]


class Pointwise(nn.Module):
    """`W v(x) + b` at every point; shape (members, channels, points)."""

    def __init__(
        self, channels_in: int, channels_out: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        bound = channels_in**-0.5
        weight = torch.rand(channels_out, channels_in, generator=generator)
        bias = torch.rand(channels_out, 1, generator=generator)
        self.weight = nn.Parameter(bound * (2 * weight - 1))
        self.bias = nn.Parameter(bound * (2 * bias - 1))

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        """Return the mixed channels."""
        return self.weight @ v + self.bias


class SpectralConvolution(nn.Module):
    """`F⁻¹(R · F v)` on the lowest `modes` waves; shape (members, channels, points).

    R is kept as pairs of real numbers, so that optimisers, number formats and files
    see plain real tensors.
    """

    def __init__(self, width: int, modes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.modes = modes
        pairs = torch.rand(modes, width, width, 2, generator=generator)
        self.weight = nn.Parameter(pairs / width**2)

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        """Return the convolution."""
        n = v.shape[-1]
        waves = torch.fft.rfft(v)[..., : self.modes]
        matrices = torch.view_as_complex(self.weight)
        # One product of matrices a wave, (members, width) @ (width, width)
        mixed = (waves.permute(2, 0, 1) @ matrices).permute(1, 2, 0)
        result: torch.Tensor = torch.fft.irfft(mixed, n=n)  # other waves are zero
        return result
