"""Diffusion with sorption: a dissolved substance that sticks to the ground."""

import numpy as np
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    D,
    Dirichlet,
    Initial,
    Interval,
    Ladder,
    Problem,
    Robin,
    TimeInterval,
    coordinates,
    field_of,
)

DIFFUSIVITY = 5e-4
POROSITY, DENSITY, SORPTION, EXPONENT = 0.29, 2880.0, 3.5e-4, 0.874
MODES = 5


def diffusion_sorption(seed: int = 0, end: float = 500.0) -> Problem:
    """Diffusion slowed down by sorption, after Freundlich.

    R(u) u_t = D u_xx on (0, 1), 0 < t ≤ 500, with the retardation
    R(u) = 1 + (1 - φ)/φ ρ k n u^(n - 1), D = 5e-4, φ = 0.29, ρ = 2880, k = 3.5e-4,
    n = 0.874 (m, days, kg/m³); u(0, t) = 1, outflow u = -D u_x at x = 1;

    u(x, 0) = (1 - x + D) q(x) / ((1 + D) q(0)), q = 1 + Σ a_k cos kπx, k ≤ 5: positive,
    drawn by `seed`, with Σ k² a_k = 0, so that it agrees with both conditions and
    with u_t = 0 at x = 0.

    PDEBench's "1D diffusion-sorption" with its parameters. R grows without bound as
    u → 0; near the outlet u falls to about D over a length of about D.

    Trap: PDEBench starts from a constant below the inlet's value, so its family has one
    parameter and its solutions jump at t = 0. Its data are made by RK45 at rtol 1e-3
    and are 1.4e-2 away from the converged solution, its boundary difference adds 2e-3.
    Trap: the outflow condition is printed there as u = +D u_x, which taken literally
    makes u grow like exp(t/(R D)).
    """
    if not 0 < end <= 5000:
        raise OptionError(
            f"diffusion_sorption: end is {end}; it must lie between 0 and 5000."
        )
    t, x = coordinates("t x")
    u = field_of("u", t, x)
    held = (1 - POROSITY) / POROSITY * DENSITY * SORPTION * EXPONENT
    retardation = 1 + held * u ** (EXPONENT - 1)
    return Problem(
        name="diffusion_sorption",
        fields=[u],
        equations=[retardation * D(u, t) - DIFFUSIVITY * D(u, x, 2)],
        domain=Interval(x, 0, 1),
        time=TimeInterval(t, 0, end, num_outputs=51),
        conditions=[
            Initial(u, start(seed, x)),
            Dirichlet(u, 1, on="left"),
            Robin(u, 0, a=1, b=DIFFUSIVITY, on="right"),
        ],
        reference=Ladder(
            "lines",
            {"points": 49, "stencil": "chebyshev", "rtol": 1e-7, "atol": 1e-10},
        ),
        source=(
            "M. Takamoto et al., PDEBench: an extensive benchmark for scientific "
            "machine learning, NeurIPS 2022, arXiv:2210.07182, section D.4"
        ),
        tags=["nonlinear", "parabolic", "Robin", "hydrology", "pdebench"],
    )


def start(seed: int, x: sp.Symbol) -> sp.Expr:
    """Return the initial state."""
    k = np.arange(1, MODES + 1)
    heights = np.random.default_rng(seed).uniform(-1, 1, MODES) / k
    heights[-1] = -(k[:-1] ** 2 @ heights[:-1]) / MODES**2
    heights *= 0.7 / np.abs(heights).sum()
    heights = np.round(heights, 4)
    heights[-1] = -(k[:-1] ** 2 @ heights[:-1]) / MODES**2
    q = 1 + sp.Add(
        *(h * sp.cos(n * sp.pi * x) for h, n in zip(heights, k.tolist(), strict=True))
    )
    return (1 - x + DIFFUSIVITY) * q / ((1 + DIFFUSIVITY) * q.subs(x, 0))
