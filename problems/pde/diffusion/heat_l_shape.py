"""Heat in an L-shaped plate: heated on one side, cooled at the notch."""

import sympy as sp

from pinnsuite.problem import (
    D,
    Dirichlet,
    Initial,
    Ladder,
    MeshDomain,
    Neumann,
    Problem,
    Robin,
    TimeInterval,
    coordinates,
    data_file,
    div,
    field_of,
    grad,
)


def heat_l_shape(conductivity: float = 0.5, heat_transfer: float = 2.0) -> Problem:
    """Heat with a source on an L-shaped plate, mixed boundary conditions.

    u_t = ∇·(k ∇u) + f on [-1, 1]² without [0, 1] x [-1, 0], 0 < t ≤ 1, u(0) = 0;
    f = 2 exp(-20 ((x - 1/2)² + (y - 1/2)²)); nondimensional. On its sides

    - "hot" (x = -1):         u = 1 - exp(-8 t²)      (switched on smoothly)
    - "cooled" (the notch):   k ∂u/∂n + h u = 0       (Robin: air at temperature 0)
    - "insulated" (the rest): ∂u/∂n = 0

    The mesh is a gmsh file whose physical groups carry these names. At the re-entrant
    corner the gradient behaves like r^(-1/3), so uniform refinement converges with
    order 4/3 in L2, whatever the element.
    """
    t, x, y = coordinates("t x y")
    u = field_of("u", t, x, y)
    half = sp.Rational(1, 2)
    source = 2 * sp.exp(-20 * ((x - half) ** 2 + (y - half) ** 2))
    k = conductivity
    return Problem(
        name="heat_l_shape",
        fields=[u],
        equations=[
            D(u, t) - div([k * g for g in grad(u, (x, y))], (x, y)) - source,
        ],
        domain=MeshDomain.from_file(data_file("meshes/l_shape.msh"), (x, y)),
        time=TimeInterval(t, 0, 1),
        conditions=[
            Initial(u, 0),
            Dirichlet(u, 1 - sp.exp(-8 * t**2), on="hot"),
            Robin(u, 0, on="cooled", a=heat_transfer, b=k),
            Neumann(u, 0, on="insulated"),
        ],
        reference=Ladder(
            "finite-element", {"element": "P2", "refinements": 0, "steps": 20}
        ),
        source=(
            "P. Grisvard, Elliptic Problems in Nonsmooth Domains, SIAM 2011, "
            "doi:10.1137/1.9781611972030, section 4.4 (the singularity of the corner)"
        ),
        tags=["linear", "parabolic", "mesh", "Robin", "corner singularity"],
    )
