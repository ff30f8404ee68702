"""Diffusion through 25 blocks whose conductivities differ by three orders."""

import numpy as np
import sympy as sp

from pinnsuite.problem import (
    Box,
    Ladder,
    Problem,
    Robin,
    coordinates,
    data_file,
    div,
    field_of,
    grad,
    tabulated,
)


def poisson_patchwork() -> Problem:
    """Diffusion through a patchwork of 5 x 5 blocks.

    ∇·(a ∇u) + f = 0 on [-10, 10]², a ∂u/∂n + u = 0 on the sides. In block (i, j), the
    i-th along x and the j-th along y, from -10 upwards,

    - a = a_ij, from 0.13 to 87.9
    - f = f_ij00 + f_ij11 sin πξ sin πη, with ξ, η in [0, 1] the place within the block

    with a and f from data/coefficients/patchwork.npz. On the interfaces u and a ∂u/∂n
    are continuous.

    PINNacle's "Poisson 2d-MS", repaired. Its code states a ∇²u + f = 0 and ∂u/∂n = -u:
    without interface conditions that is another problem, and an ill-defined one (the
    Laplacian of u does not exist on the interfaces). Which form its reference solves is
    not known; if it is this one, an exact solver of the coded equation scores 1.8
    against it. Best published score 0.59 (second-hand), which says nothing about the
    methods. The code numbers blocks by a[i, j] with i along x; terms of f with the
    index 0 other than f_ij00 vanish with sin 0.

    Trap: where four blocks meet, u behaves like r^λ with λ as small as the contrast is
    large; uniform refinement converges with first order, whatever the order of the
    method. The reference claims 1e-3.
    Trap: pointwise residuals do not see interfaces.
    """
    x, y = coordinates("x y")
    u = field_of("u", x, y)
    with np.load(data_file("coefficients/patchwork.npz")) as data:
        conductivity, source = data["a"], data["f"]
    centres = (np.linspace(-8, 8, 5),) * 2
    a = tabulated("a", centres, conductivity)(x, y)
    constant = tabulated("f_constant", centres, source[:, :, 0, 0])(x, y)
    bump = tabulated("f_bump", centres, source[:, :, 1, 1])(x, y)
    # |sin| starts anew at every block.
    ξ, η = (sp.Abs(sp.sin(sp.pi * (s + 10) / 4)) for s in (x, y))
    return Problem(
        name="poisson_patchwork",
        fields=[u],
        equations=[
            div([a * g for g in grad(u, (x, y))], (x, y)) + constant + bump * ξ * η
        ],
        domain=Box((x, -10, 10), (y, -10, 10)),
        conditions=[Robin(u, 0, a=1, b=a)],
        reference=Ladder("finite-element", {"element": "P4", "mesh_size": 1.0}),
        accuracy=1e-3,
        hints={"mesh_size": 0.5},
        source=(
            "Z. Hao et al., PINNacle, NeurIPS 2024 datasets and benchmarks, "
            "arXiv:2306.08827, appendix B.1 (Poisson 2d-MS)"
        ),
        tags=["linear", "elliptic", "discontinuous coefficient", "Robin", "pinnacle"],
    )
