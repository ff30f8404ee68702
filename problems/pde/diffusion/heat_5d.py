"""The heat equation in a box of five dimensions."""

import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Initial,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
    laplacian,
)


def heat_5d(dimension: int = 5) -> Problem:
    """One mode of the heat equation in the unit cube of five dimensions, or of 1 to 6.

    ∂u/∂t = ∇²u/(d π²) in [0, 1]ᵈ, 0 ≤ t ≤ 1; u = Π sin(π xᵢ) at first, u = 0 on the
    sides. The mode decays as u = e⁻ᵗ Π sin(π xᵢ).

    Trap: relative errors of a product multiply. At a random point of five dimensions u
    is 0.1 of its largest value, near any side it is next to nothing, and a network that
    learns u = 0 has a small mean residual: the error must be relative to u itself.
    """
    if not 1 <= dimension <= 6:
        raise OptionError(
            f"heat_5d: dimension is {dimension!r}; use a whole number from 1 to 6."
        )
    t, *space = coordinates(
        " ".join(["t", *(f"x{i}" for i in range(1, dimension + 1))])
    )
    u = field_of("u", t, *space)
    mode = sp.Mul(*(sp.sin(sp.pi * x) for x in space))
    return Problem(
        name="heat_5d",
        fields=[u],
        equations=[D(u, t) - laplacian(u, space) / (dimension * sp.pi**2)],
        conditions=[Initial(u, mode), Dirichlet(u, 0)],
        domain=Box(*((x, 0, 1) for x in space)),
        time=TimeInterval(t, 0, 1, num_outputs=11),
        exact={u: sp.exp(-t) * mode},
        source=(
            "H. S. Carslaw & J. C. Jaeger, Conduction of Heat in Solids, 2nd ed., "
            "1959, sec. 5.6 (products of solutions)"
        ),
        tags=["linear", "parabolic", "high dimension"],
    )
