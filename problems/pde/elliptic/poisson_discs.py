"""Laplace's equation in a square with four round holes."""

from pinnsuite.problem import (
    Box,
    Difference,
    Dirichlet,
    Disk,
    Ladder,
    Problem,
    coordinates,
    field_of,
    laplacian,
)


def poisson_discs(radius: float = 0.1) -> Problem:
    """Laplace's equation in a square minus four discs.

    ∇²u = 0 in [-1/2, 1/2]² without discs of radius r around (±0.3, ±0.3);
    u = 1 on the square's sides, u = 0 on the circles.

    PINNacle's "Poisson 2d-C". The discs' sides must be curved in a finite element
    method: with straight edges quadratic elements stall at 2.5e-3.
    """
    x, y = coordinates("x y")
    u = field_of("u", x, y)
    sides = ("left", "right", "bottom", "top")
    square = Box((x, -0.5, 0.5), (y, -0.5, 0.5), names=dict.fromkeys(sides, "square"))
    discs = [
        Disk(x, y, (a, b), radius, name="circles")
        for a in (-0.3, 0.3)
        for b in (-0.3, 0.3)
    ]
    return Problem(
        name="poisson_discs",
        fields=[u],
        equations=[laplacian(u, (x, y))],
        domain=Difference(square, *discs),
        conditions=[Dirichlet(u, 1, on="square"), Dirichlet(u, 0, on="circles")],
        reference=Ladder("finite-element", {"element": "P2", "mesh_size": 0.04}),
        source=(
            "Z. Hao et al., PINNacle, NeurIPS 2024 datasets and benchmarks, "
            "arXiv:2306.08827, appendix B.1 (Poisson 2d-C)"
        ),
        tags=["linear", "elliptic", "holes", "pinnacle"],
    )
