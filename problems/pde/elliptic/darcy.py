"""Flow through a porous medium of random conductivity."""

import numpy as np
import sympy as sp

from pinnsuite.errors import OptionError, unknown_name
from pinnsuite.problem import (
    Box,
    Dirichlet,
    Ladder,
    Problem,
    coordinates,
    div,
    field_of,
    grad,
    tabulated,
)

MODES = 6
"""Waves of the random field along each side."""

MEDIA = ("two-phase", "log-normal")


def darcy(
    medium: str = "two-phase", seed: int = 0, load: float = 1.0, pixels: int = 64
) -> Problem:
    """Darcy flow with a random coefficient.

    -∇·(a ∇u) = β on the unit square, u = 0 on its sides; β = `load`. With the Gaussian
    random field g = Σ z_kl (1 + π²(k² + l²)/9)^(-1) cos kπx cos lπy, z standard normal,
    k, l < 6, scaled to variance 1 and drawn with `seed`,

    - "two-phase":   a = 1 where g > 0 and 0.1 elsewhere, in `pixels`² equal pixels
    - "log-normal":  a = exp g, smooth

    PDEBench's "2D Darcy flow", solved for its steady state. PDEBench marches
    u_t = ∇·(a ∇u) + β explicitly from a random field to t = 2 and calls that steady:
    where a = 0.1 the slowest mode has then decayed to exp(-4) = 2 % only.

    Trap: u is continuous but its gradient jumps with a; sampling a at nodes or
    averaging it arithmetically moves the interfaces by half a cell, which is an error
    of first order. Published errors of operators (1 %) are those of a 64² grid (0.8 %).
    Trap: corners of pixels make the gradient singular, so refinement converges with an
    order near 1.3 for the two-phase medium; the reference claims 3e-4.
    """
    if medium not in MEDIA:
        raise OptionError(unknown_name("darcy parameter medium", medium, MEDIA))
    if not 8 <= pixels <= 256:
        raise OptionError(f"darcy: pixels is {pixels}; it must lie in [8, 256].")
    x, y = coordinates("x y")
    u = field_of("u", x, y)
    k = np.arange(MODES)
    weights = np.random.default_rng(seed).standard_normal((MODES, MODES))
    weights /= 1 + np.pi**2 * (k[:, None] ** 2 + k**2) / 9
    weights[0, 0] = 0.0
    share = np.where(k > 0, 0.5, 1.0)
    weights /= np.sqrt(share @ weights**2 @ share)
    if medium == "two-phase":
        centres = (np.arange(pixels) + 0.5) / pixels
        waves = np.cos(np.pi * np.outer(k, centres))
        g = np.einsum("kx,kl,ly->xy", waves, weights, waves)
        a = tabulated("a", (centres, centres), np.where(g > 0, 1.0, 0.1))(x, y)
    else:
        a = sp.exp(
            sp.Add(
                *(
                    float(w) * sp.cos(i * sp.pi * x) * sp.cos(j * sp.pi * y)
                    for (i, j), w in np.ndenumerate(weights)
                )
            )
        )
    return Problem(
        name="darcy",
        fields=[u],
        equations=[-div([a * g for g in grad(u, (x, y))], (x, y)) - load],
        domain=Box((x, 0, 1), (y, 0, 1)),
        conditions=[Dirichlet(u, 0)],
        reference=Ladder("cell-centred", {"cells": 64}),
        accuracy=3e-4,
        hints={"mesh_size": 1 / 64},
        source=(
            "M. Takamoto et al., PDEBench, NeurIPS 2022 datasets and benchmarks, "
            "arXiv:2210.07182, appendix D.5 (Darcy flow); the field after Z. Li et "
            "al., arXiv:2010.08895, appendix A.3.2"
        ),
        tags=["linear", "elliptic", "discontinuous coefficient", "pdebench"],
    )
