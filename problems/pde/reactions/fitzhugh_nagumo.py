"""The FitzHugh-Nagumo equations in the plane: an activator and an inhibitor."""

import numpy as np
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    D,
    Initial,
    Ladder,
    Neumann,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
    laplacian,
)

MODES = 5
"""Cosines a direction in the initial state, the constant included."""


def fitzhugh_nagumo(seed: int = 0, end: float = 5.0) -> Problem:
    """FitzHugh-Nagumo diffusion-reaction from a smooth random state, no flux.

    u_t = d_u ∇²u + u - u³ - k - v, v_t = d_v ∇²v + u - v on (-1, 1)², 0 < t ≤ 5,
    d_u = 1e-3, d_v = 5e-3, k = 5e-3; ∂u/∂n = ∂v/∂n = 0;
    u(x, y, 0) = Σ a_mn cos mπξ cos nπη with ξ = (x + 1)/2, η = (y + 1)/2 and m, n < 5,
    a_mn normal with standard deviation 1/(1 + m² + n²), drawn by `seed`; v likewise.

    PDEBench's "2D diffusion-reaction" with its parameters. Every cosine satisfies the
    no-flux condition, so the solution is smooth from the start.

    Trap: PDEBench draws the initial state as white noise, one normal number a pixel.
    That state has no limit as the pixels shrink, so no refinement can converge to its
    data: the error of the data set is not known and not knowable. Its PINN baseline
    adds both residuals to one, whose terms can cancel, and is fed 30 % of the solution.
    """
    if not 0 < end <= 20:
        raise OptionError(
            f"fitzhugh_nagumo: end is {end}; it must lie between 0 and 20."
        )
    t, x, y = coordinates("t x y")
    u, v = (field_of(name, t, x, y) for name in "uv")
    generator = np.random.default_rng(seed)
    return Problem(
        name="fitzhugh_nagumo",
        fields=[u, v],
        equations=[
            D(u, t) - 1e-3 * laplacian(u, (x, y)) - (u - u**3 - 5e-3 - v),
            D(v, t) - 5e-3 * laplacian(v, (x, y)) - (u - v),
        ],
        domain=Box((x, -1, 1), (y, -1, 1)),
        time=TimeInterval(t, 0, end, num_outputs=21),
        conditions=[
            Initial(u, cosines(generator, x, y)),
            Initial(v, cosines(generator, x, y)),
            Neumann(u, 0),
            Neumann(v, 0),
        ],
        reference=Ladder(
            "lines", {"points": 33, "order": 4, "rtol": 1e-6, "atol": 1e-8}
        ),
        source=(
            "M. Takamoto et al., PDEBench: an extensive benchmark for scientific "
            "machine learning, NeurIPS 2022, arXiv:2210.07182, section D.5"
        ),
        tags=["nonlinear", "reaction", "system", "plane", "pdebench"],
    )


def cosines(generator: np.random.Generator, x: sp.Symbol, y: sp.Symbol) -> sp.Expr:
    """Return a random sum of cosines that have no slope at ±1."""
    m = np.arange(MODES)
    scale = 1 / (1 + m[:, None] ** 2 + m**2)
    # Few digits, so that the printed state is the state.
    heights = np.round(generator.standard_normal((MODES, MODES)) * scale, 4)
    along = [[sp.cos(k * sp.pi * (z + 1) / 2) for k in range(MODES)] for z in (x, y)]
    return sp.Add(
        *(
            heights[i, j].item() * along[0][i] * along[1][j]
            for i in range(MODES)
            for j in range(MODES)
        )
    )
