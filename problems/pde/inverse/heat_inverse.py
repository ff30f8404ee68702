"""A diffusivity in the plane, identified from noisy temperatures in space and time."""

import numpy as np
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Initial,
    Observed,
    Problem,
    TimeInterval,
    UnknownField,
    coordinates,
    data_file,
    div,
    field_of,
    grad,
)


def heat_inverse(noise: float = 0.1, seed: int = 0) -> Problem:
    """Heat equation with an unknown diffusivity, from noisy temperatures.

    u_t = ∇·(a ∇u) + f on (-1, 1)², 0 < t ≤ 1; u = 0 on the boundary, u = sin πx sin πy
    at t = 0; a(x, y) is unknown inside and 2 on the boundary; u is measured at 2500
    points (x, y, t) with errors of normal distribution, standard deviation `noise`.

    The pair u = e⁻ᵗ w, a = 2 + w, w = sin πx sin πy, solves it with
    f = e⁻ᵗ (2π² w (2 + w) - w - π² (cos² πx sin² πy + sin² πx cos² πy)).
    The measurements are this u and noise drawn with `seed`: no discrete solution has
    part in them (no "inverse crime").

    This is PINNacle's "HInv" with its own 2500 points. There u is not given on the
    boundary nor at the start, only measured; the equation and source are right. The
    published errors (second-hand: 5.26e-2 for the best of its methods, 3.77e-2 later;
    another table of the same paper has 1.19e-2 and 4.56e-1 for one method) are of u
    and a together and state no noise floor.

    Noise floor: with the defaults the regularised fit by `adjoint` is 5.9e-2 from the
    known a and estimates its own error, from the data alone, at 9.2e-2 (relative L2).

    Trap: the source is known and pulls u to the truth whatever a is: a small misfit, or
    a small error of u, says little about a.
    Trap: ∇u = 0 in the middle of each of the four bumps, where a is determined by
    smoothness alone.
    """
    if not noise >= 0:
        raise OptionError(f"heat_inverse: noise is {noise}; it must be at least 0.")
    if seed < 0:
        raise OptionError(f"heat_inverse: seed is {seed}; use 0, 1, 2, ….")
    t, x, y = coordinates("t x y")
    u, a = field_of("u", t, x, y), field_of("a", x, y)
    sine_x, sine_y = sp.sin(sp.pi * x), sp.sin(sp.pi * y)
    cosine_x, cosine_y = sp.cos(sp.pi * x), sp.cos(sp.pi * y)
    wave = sine_x * sine_y
    steep = cosine_x**2 * sine_y**2 + sine_x**2 * cosine_y**2
    source = sp.expand_mul(
        sp.exp(-t) * (2 * sp.pi**2 * wave * (2 + wave) - wave - sp.pi**2 * steep)
    )
    with np.load(data_file("measured/heat_inverse_sites.npz")) as sites:
        points = np.stack([sites["t"], sites["x"], sites["y"]], axis=1)
    errors = noise * np.random.default_rng(seed).standard_normal(len(points))
    values = np.exp(-points[:, 0]) * np.sin(np.pi * points[:, 1:]).prod(axis=1) + errors
    return Problem(
        name="heat_inverse",
        fields=[u, a],
        equations=[D(u, t) - div([a * g for g in grad(u, (x, y))], (x, y)) - source],
        domain=Box((x, -1, 1), (y, -1, 1)),
        time=TimeInterval(t, 0, 1),
        conditions=[
            Initial(u, wave),
            Dirichlet(u, 0),
            Dirichlet(a, 2),
            Observed(u, points, values),
        ],
        unknowns=[UnknownField(a, 0.5, 5.0, 2.0)],
        exact={u: sp.exp(-t) * wave, a: 2 + wave},
        source=(
            "Z. Hao et al., PINNacle: A Comprehensive Benchmark of Physics-Informed "
            "Neural Networks for Solving PDEs, 2023, doi:10.48550/arXiv.2306.08827, "
            "case HInv; the points from its repository at 6f8d69c"
        ),
        tags=["inverse", "coefficient field", "diffusion", "synthetic", "pinnacle"],
    )
