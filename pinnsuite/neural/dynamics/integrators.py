"""Explicit Runge-Kutta schemes with fixed steps, differentiable by torch.

Gradients go through the steps ("discretise, then optimise"): they are those of the
discrete model exactly, where the adjoint equation gives them up to its own error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

Field = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""The right-hand side of x' = f(t, x)."""


@dataclass(frozen=True)
class Scheme:
    """An explicit Runge-Kutta scheme by its Butcher tableau.

        k_i = f(t + c_i h, x + h Σ_{j<i} a_ij k_j),    x⁺ = x + h Σ_i b_i k_i

    with c_i = Σ_j a_ij.

    Attributes
    ----------
    order
        p in `error = O(hᵖ)` at a fixed time.
    """

    stages: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    order: int

    def step(
        self, field: Field, t: torch.Tensor, x: torch.Tensor, h: torch.Tensor
    ) -> torch.Tensor:
        """Return x at t + h; `h` may differ between the rows of `x`."""
        rates: list[torch.Tensor] = []
        for row in self.stages:
            inner = x
            for a, k in zip(row, rates, strict=True):
                if a:
                    inner = inner + a * h * k
            rates.append(field(t + sum(row) * h, inner))
        increment = sum(
            (b * k for b, k in zip(self.weights, rates, strict=True)),
            start=torch.zeros_like(x),
        )
        return x + h * increment

    def integrate(
        self, field: Field, x: torch.Tensor, start: float, end: float, num_steps: int
    ) -> torch.Tensor:
        """Return x at `end` after `num_steps` equal steps from `start`."""
        h = torch.tensor((end - start) / num_steps, dtype=x.dtype, device=x.device)
        for i in range(num_steps):
            x = self.step(field, start + i * h, x, h)
        return x


SCHEMES = {
    "euler": Scheme(((),), (1.0,), 1),
    "midpoint": Scheme(((), (0.5,)), (0.0, 1.0), 2),
    "rk4": Scheme(
        ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6), 4
    ),
}
"""By name.

Source: E. Hairer, S. P. Nørsett and G. Wanner, Solving Ordinary Differential Equations
I, 2nd ed. (1993), section II.1.
"""
