"""A wave that meets blobs of a faster medium."""

import numpy as np
import sympy as sp

from pinnsuite.problem import (
    Box,
    D,
    Initial,
    Ladder,
    Neumann,
    Problem,
    TimeInterval,
    coordinates,
    data_file,
    div,
    field_of,
    grad,
    tabulated,
)


def wave_heterogeneous(stiffness: float = 2.0) -> Problem:
    """Waves in a plate of two materials with ragged interfaces.

    u_tt = ∇·(c ∇u) on [-1, 1]², 0 < t ≤ 5, ∂u/∂n = 0 on the sides; at the start
    u = exp(-((x + 1/2)² + y²)/(2 0.3²)) and u_t = 0. c is `stiffness` in the blobs of a
    256 x 256 picture and 1 outside; pixels reach half way to their neighbours.

    PINNacle's "Wave 2d-CG". Its code states u_tt = c ∇²u with c interpolated between
    pixels, its simulation u_tt = div(c ∇u) with the nearest pixel, as here. The levels
    2 and 1 are a choice (so are 12 and 1): the picture is known, the levels are not, as
    no pair reproduced the checksum of the coefficient's file. An exact solver of the
    coded equation scores 0.38 (levels 2 and 1) to 1.17 (12 and 1) against the reference
    data; the best published score is 0.79 (second-hand) and says nothing about methods.

    Trap: the speed is √c, and c, not √c, stands under the divergence.
    Trap: interfaces scatter the pulse many times until t = 5; errors of the phase add
    up, and corners of pixels lower the order of every method. The reference claims 5e-3
    for levels 2 and 1, at 41 CPU-s; with 12 and 1 grids of 128² and 256² cells still
    differ by 7e-2.
    """
    t, x, y = coordinates("t x y")
    u = field_of("u", t, x, y)
    with np.load(data_file("coefficients/blobs.npz")) as data:
        # The picture is stored by rows, mask[iy, ix], on the unit square.
        values = np.where(data["mask"].T, stiffness, 1.0)
        nodes = (2 * data["x"] - 1, 2 * data["y"] - 1)
    c = tabulated("c", nodes, values)(x, y)
    start = sp.exp(-((x + sp.Rational(1, 2)) ** 2 + y**2) / (2 * sp.Rational(9, 100)))
    return Problem(
        name="wave_heterogeneous",
        fields=[u],
        equations=[D(u, t, 2) - div([c * g for g in grad(u, (x, y))], (x, y))],
        domain=Box((x, -1, 1), (y, -1, 1)),
        time=TimeInterval(t, 0, 5),
        conditions=[Initial(u, start), Initial(u, 0, order=1), Neumann(u, 0)],
        reference=Ladder("cell-centred", {"cells": 128}),
        accuracy=5e-3,
        source=(
            "Z. Hao et al., PINNacle, NeurIPS 2024 datasets and benchmarks, "
            "arXiv:2306.08827, appendix B.1 (Wave 2d-CG)"
        ),
        tags=["linear", "hyperbolic", "discontinuous coefficient", "pinnacle"],
    )
