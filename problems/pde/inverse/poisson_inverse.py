"""A conductivity in the plane, identified from noisy values of the potential."""

import numpy as np
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    Dirichlet,
    Observed,
    Problem,
    UnknownField,
    coordinates,
    div,
    field_of,
    grad,
)

DIVISIONS = 50
"""Measurements along each side of the square, its corners included."""


def poisson_inverse(noise: float = 0.1, seed: int = 0) -> Problem:
    """Poisson's equation with an unknown conductivity, from noisy values.

    ∇·(a ∇u) + f = 0 on (0, 1)²; u = 0 on the boundary; a(x, y) is unknown inside and
    given on the boundary; u is measured on a grid of 50 x 50 points with errors of
    normal distribution, standard deviation `noise`.

    The pair u = sin πx sin πy, a = 1/(1 + x² + y² + (x-1)² + (y-1)²) solves it with
    f = 2π² a sin πx sin πy
      + 2π a² ((2x-1) cos πx sin πy + (2y-1) sin πx cos πy).
    The measurements are this u, not a discrete solution, and noise drawn with `seed`,
    so no solver can profit from having made them (no "inverse crime").

    This is PINNacle's "PInv", repaired. There the source holds (2x+1) and (2y+1): the
    pair named as the solution leaves 36 % of the source as residual. Nor is u given on
    the boundary. The published errors (second-hand: 2.45e-2 for the best of its
    methods, 1.53e-2 later) are distances to an a that does not solve the equations that
    were trained on.

    Noise floor: with the defaults the regularised fit by `adjoint` is 2.2e-2 from the
    known a and estimates its own error, from the data alone, at 4.6e-2 (relative L2);
    the values of u carry 10 % noise. An error of a far below this is luck.

    Trap: a is the coefficient of second derivatives of the data: without
    regularisation, or by least squares on the equation itself, noise is amplified
    without bound.
    Trap: where ∇u = 0, in the middle of the square, nothing but smoothness
    determines a.
    """
    if not noise >= 0:
        raise OptionError(f"poisson_inverse: noise is {noise}; it must be at least 0.")
    if seed < 0:
        raise OptionError(f"poisson_inverse: seed is {seed}; use 0, 1, 2, ….")
    x, y = coordinates("x y")
    u, a = field_of("u", x, y), field_of("a", x, y)
    bump = sp.sin(sp.pi * x) * sp.sin(sp.pi * y)
    truth = 1 / (1 + x**2 + y**2 + (x - 1) ** 2 + (y - 1) ** 2)
    slope_x = (2 * x - 1) * sp.cos(sp.pi * x) * sp.sin(sp.pi * y)
    slope_y = (2 * y - 1) * sp.sin(sp.pi * x) * sp.cos(sp.pi * y)
    source = 2 * sp.pi**2 * truth * bump + 2 * sp.pi * truth**2 * (slope_x + slope_y)
    source = sp.expand_mul(source)
    axis = np.linspace(0.0, 1.0, DIVISIONS)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    errors = noise * np.random.default_rng(seed).standard_normal(len(points))
    values = np.sin(np.pi * points).prod(axis=1) + errors
    return Problem(
        name="poisson_inverse",
        fields=[u, a],
        equations=[div([a * g for g in grad(u, (x, y))], (x, y)) + source],
        domain=Box((x, 0, 1), (y, 0, 1)),
        conditions=[
            Dirichlet(u, 0),
            Dirichlet(a, truth),
            Observed(u, points, values),
        ],
        unknowns=[UnknownField(a, 0.05, 2.0, 0.5)],
        exact={u: bump, a: truth},
        source=(
            "Z. Hao et al., PINNacle: A Comprehensive Benchmark of Physics-Informed "
            "Neural Networks for Solving PDEs, 2023, doi:10.48550/arXiv.2306.08827, "
            "case PInv; G. Wahba, Spline Models for Observational Data, 1990, "
            "doi:10.1137/1.9781611970128, ch. 4 (the noise floor)"
        ),
        tags=["inverse", "coefficient field", "elliptic", "synthetic", "pinnacle"],
    )
