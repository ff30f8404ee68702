"""Burgers' equations in the plane: a velocity that steepens into moving layers."""

import numpy as np
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    D,
    Initial,
    Ladder,
    Periodic,
    Problem,
    TimeInterval,
    coordinates,
    data_file,
    field_of,
    laplacian,
)


def burgers_2d(start: int = 0, viscosity: float = 1e-3) -> Problem:
    """Burgers' equations in the plane, periodic.

    u_t + u u_x + v u_y = ν ∇²u, v_t + u v_x + v v_y = ν ∇²v on the unit square,
    0 < t ≤ 1, periodic; u(x, y, 0) and v(x, y, 0) are sums of
    sin 2π(ix + jy) and cos 2π(ix + jy), 0 ≤ i, j ≤ 3, with coefficients drawn once and
    kept in five files, `start` 0 to 4, and a constant.

    By t = 0.2 the velocity, up to 2.5 in size, has steepened into layers that are as
    thin as 4ν/|jump| = 0.0012; they merge, and decay.

    This is PINNacle's "Burgers 2d-C" (and 2d-P for start 1 to 4). There it is posed on
    (0, 4)² although the initial state repeats with period 1, so that the solution is
    the one here, sixteen times over. The data shipped for it is 2 to 5 % off, from a
    mesh that does not resolve the layers, and only the values are made periodic there,
    not the derivatives. The published best is 2.6e-1 (second-hand).

    The layers are thinner than the mesh of any grid that three minutes pay for: Fourier
    ladders of 96², 192² and 384² nodes leave an estimated 1.1e-2 in u and 3e-3 in v.
    The reference goes to 512² and claims 1e-2.

    Trap: the equations are not in conservation form, so that a grid that does not
    resolve the layers moves them with the wrong speed: on 96² nodes u is a fifth off,
    and stays so after the layers have thickened. Trap: the sum of sines looks smooth; a
    grid that resolves it ten times over does not resolve what it becomes. Trap: (u, v)
    is no gradient, so that the Cole-Hopf transformation does not apply.
    """
    if start not in range(5):
        raise OptionError(f"burgers_2d: start is {start}; use 0, 1, 2, 3 or 4.")
    if not 5e-4 <= viscosity <= 1:
        raise OptionError(
            f"burgers_2d: viscosity is {viscosity}; it must lie in [0.0005, 1]."
        )
    t, x, y = coordinates("t x y")
    u, v = field_of("u", t, x, y), field_of("v", t, x, y)
    with data_file(f"coefficients/burgers2d_init_{start}.npz").open("rb") as file:
        stored = dict(np.load(file))
    plane = (x, y)
    return Problem(
        name="burgers_2d",
        fields=[u, v],
        equations=[
            D(u, t) + u * D(u, x) + v * D(u, y) - viscosity * laplacian(u, plane),
            D(v, t) + u * D(v, x) + v * D(v, y) - viscosity * laplacian(v, plane),
        ],
        domain=Box((x, 0, 1), (y, 0, 1)),
        time=TimeInterval(t, 0, 1, num_outputs=41),
        conditions=[
            Initial(u, _series(stored["Au"], stored["Bu"], stored, 0, x, y)),
            Initial(v, _series(stored["Av"], stored["Bv"], stored, 1, x, y)),
            Periodic(x),
            Periodic(y),
        ],
        reference=Ladder("fourier", {"points": 128, "steps": 320, "growth": 2.0}),
        accuracy=1e-2,
        source=(
            "Z. Hao et al., PINNacle: A Comprehensive Benchmark of Physics-Informed "
            "Neural Networks for Solving PDEs, 2023, doi:10.48550/arXiv.2306.08827, "
            "Burgers 2d-C"
        ),
        tags=["nonlinear", "advection", "layer", "periodic", "system", "pinnacle"],
    )


def _series(
    sines: np.ndarray,
    cosines: np.ndarray,
    stored: dict[str, np.ndarray],
    component: int,
    x: sp.Symbol,
    y: sp.Symbol,
) -> sp.Expr:
    """Return `scale Σ (A_ij sin 2π(ix + jy) + B_ij cos 2π(ix + jy)) + mean`."""
    terms = [sp.Float(float(stored["mean"][component]))]
    for i in range(len(sines)):
        for j in range(len(sines)):
            angle = 2 * sp.pi * (i * x + j * y)
            a, b = (float(stored["scale"] * c[i, j]) for c in (sines, cosines))
            terms += [a * sp.sin(angle), b * sp.cos(angle)]
    return sp.Add(*terms)
