"""The diagonal state-space layer: linear differential equations as a sequence layer."""

from __future__ import annotations

import math

import torch
from torch import nn


class DiagonalStateSpace(nn.Module):
    """One linear system of `num_states` complex modes for each channel.

        x' = Λ x + u(t),    y = 2 Re(C x) + D u,    Λ diagonal, Re Λ < 0

    sampled with step Δ under a held input: x_k = Ā x_{k-1} + B̄ u_k with
    Ā = exp(Δ Λ), B̄ = (Ā - 1) / Λ. Trained are log Δ, log(-Re Λ), Im Λ, C and D; Re Λ
    starts at -1/2 and Im Λ at π n (S4D-Lin). The system is stable for all parameters.

    The same map is computed in three ways: as a convolution by FFT (fastest on a CPU),
    as a scan that doubles its reach log₂ L times, and step by step.

    Source: A. Gu et al., On the parameterization and initialization of diagonal state
    space models, NeurIPS 2022 (arXiv:2206.11893); J. T. H. Smith et al., Simplified
    state space layers, ICLR 2023 (arXiv:2208.04933) for the scan.

    Parameters
    ----------
    step_range
        Δ starts log-uniformly in it, one a channel; modes with Δ |Im Λ| > π alias.
    """

    def __init__(
        self, channels: int, num_states: int, step_range: tuple[float, float]
    ) -> None:
        super().__init__()
        low, high = map(math.log, step_range)
        self.log_step = nn.Parameter(low + (high - low) * torch.rand(channels))
        self.log_decay = nn.Parameter(torch.full((channels, num_states), math.log(0.5)))
        self.frequency = nn.Parameter(
            math.pi * torch.arange(num_states).float().repeat(channels, 1)
        )
        # Unit variance of a complex normal number.
        self.readout = nn.Parameter(torch.randn(channels, num_states, 2) / math.sqrt(2))
        self.direct = nn.Parameter(torch.randn(channels))

    def _discrete(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return Δ Λ and 2 C B̄, shapes (channels, states): all that y depends on."""
        rate = torch.complex(-self.log_decay.exp(), self.frequency)
        exponent = rate * self.log_step.exp()[:, None]
        gain = 2 * torch.view_as_complex(self.readout) * torch.expm1(exponent) / rate
        return exponent, gain

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        """Return y for u, both (…, channels, length), from rest, by FFT."""
        length = u.shape[-1]
        exponent, gain = self._discrete()
        times = torch.arange(length, device=u.device, dtype=u.dtype)
        powers = torch.exp(exponent[..., None] * times)
        kernel = torch.einsum("hn,hnl->hl", gain, powers).real
        # Twice the length: a circular convolution would wrap the end to the start.
        spectrum = torch.fft.rfft(kernel, 2 * length) * torch.fft.rfft(u, 2 * length)
        y: torch.Tensor = torch.fft.irfft(spectrum, 2 * length)[..., :length]
        return y + self.direct[:, None] * u

    def scan(self, u: torch.Tensor) -> torch.Tensor:
        """Return what `forward` returns: after k rounds x holds the last 2ᵏ inputs."""
        exponent, gain = self._discrete()
        x = u[..., None, :] + 0j * exponent[..., None]
        reach = 1
        while reach < u.shape[-1]:
            earlier = nn.functional.pad(x[..., :-reach], (reach, 0))
            x = x + torch.exp(reach * exponent)[..., None] * earlier
            reach *= 2
        y = (gain[..., None] * x).sum(-2).real
        return y + self.direct[:, None] * u

    def step(
        self, u: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return y (…, channels) for one sample u, and the next state.

        The state, complex of shape (…, channels, states), is zero at rest.
        """
        exponent, gain = self._discrete()
        state = torch.exp(exponent) * state + u[..., None]
        return (gain * state).sum(-1).real + self.direct * u, state


class StateSpaceBlock(nn.Module):
    """`h + GLU(W gelu(S(norm h)))`, S a diagonal state-space layer; causal."""

    def __init__(
        self, channels: int, num_states: int, step_range: tuple[float, float]
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.layer = DiagonalStateSpace(channels, num_states, step_range)
        self.mix = nn.Linear(channels, 2 * channels)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """Return the features, same shape as `h`: (batch, length, channels)."""
        inner = self.layer(self.norm(h).transpose(1, 2)).transpose(1, 2)
        gated = nn.functional.glu(self.mix(nn.functional.gelu(inner)), -1)
        return h + gated
