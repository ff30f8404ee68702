"""Poisson's equation in a box of five dimensions."""

import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    Dirichlet,
    Problem,
    coordinates,
    field_of,
    laplacian,
)


def poisson_5d(dimension: int = 5) -> Problem:
    """Poisson's equation in the unit cube of five dimensions, or of one to eight.

    -∇²u = (π²/4) Σ sin(π xᵢ/2) in [0, 1]ᵈ, u = Σ sin(π xᵢ/2) on the sides, which is the
    solution everywhere.

    PINNacle's "Poisson Nd" (PNd) with d = 5, sound as published; its best published
    error is 1.3e-4 (second-hand). No grid method is timed there.

    Trap: "high dimension" is not "hard". The solution is a sum of functions of one
    variable, and the operator a sum of operators along the axes: Chebyshev points,
    diagonalised axis by axis, reach 4e-10 in a quarter of a second with 9 nodes an
    axis. What does grow is a grid of n nodes an axis: n⁵ of them, so that second-order
    differences are out of breath at three digits.
    """
    if not 1 <= dimension <= 8:
        raise OptionError(
            f"poisson_5d: dimension is {dimension!r}; use a whole number from 1 to 8."
        )
    space = coordinates(" ".join(f"x{i}" for i in range(1, dimension + 1)))
    u = field_of("u", *space)
    exact = sp.Add(*(sp.sin(sp.pi * x / 2) for x in space))
    source = sp.Add(*(sp.pi**2 / 4 * sp.sin(sp.pi * x / 2) for x in space))
    return Problem(
        name="poisson_5d",
        fields=[u],
        equations=[-laplacian(u, space) - source],
        conditions=[Dirichlet(u, exact)],
        domain=Box(*((x, 0, 1) for x in space)),
        exact={u: exact},
        source=(
            "Z. Hao et al., PINNacle, NeurIPS 2024 datasets and benchmarks, "
            "arXiv:2306.08827, appendix B.1 (Poisson Nd)"
        ),
        tags=["linear", "elliptic", "high dimension", "pinnacle"],
    )
