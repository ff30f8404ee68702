"""Laplace's equation around a re-entrant corner."""

import sympy as sp

from pinnsuite.problem import (
    Dirichlet,
    Polygon,
    Problem,
    coordinates,
    field_of,
    laplacian,
)


def l_shape_laplace() -> Problem:
    """Laplace's equation in an L-shaped domain, with its singular solution.

    -∇²u = 0 in [-1, 1]² without (0, 1) x (-1, 0), u given on the boundary by

        u = r^(2/3) sin(2 θ/3),

    r and θ polar coordinates around the re-entrant corner (0, 0), θ from the side
    y = 0 anticlockwise, so that u = 0 on the two sides that meet there.

    The gradient grows like r^(-1/3) towards the corner.

    Trap: uniform refinement converges with order 4/3 in L2 with elements of any degree:
    the corner pollutes the solution everywhere. Meshes that are graded towards it
    regain the full order. Networks and polynomials, which are smooth, feel it too.
    """
    x, y = coordinates("x y")
    u = field_of("u", x, y)
    # The angle from the bisector of the domain, which arctan2 measures without a jump.
    along, across = (y - x) / sp.sqrt(2), (x + y) / sp.sqrt(2)
    angle = 3 * sp.pi / 4 - sp.atan2(across, along)
    exact = (x**2 + y**2) ** sp.Rational(1, 3) * sp.sin(2 * angle / 3)
    return Problem(
        name="l_shape_laplace",
        fields=[u],
        equations=[-laplacian(u, (x, y))],
        domain=Polygon(
            x,
            y,
            [(0, 0), (1, 0), (1, 1), (-1, 1), (-1, -1), (0, -1)],
            ["corner", "outer", "outer", "outer", "outer", "corner"],
        ),
        conditions=[Dirichlet(u, exact, on="outer"), Dirichlet(u, 0, on="corner")],
        exact={u: exact},
        source=(
            "P. Grisvard, Elliptic Problems in Nonsmooth Domains, SIAM 2011, "
            "doi:10.1137/1.9781611972030, section 4.4"
        ),
        tags=["linear", "elliptic", "corner singularity"],
    )
