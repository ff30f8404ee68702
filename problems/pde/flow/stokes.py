"""Creeping flow with a polynomial solution: two streams collide."""

from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Problem,
    coordinates,
    field_of,
    laplacian,
)


def stokes() -> Problem:
    """Stokes flow: two streams collide and turn aside.

    p_x - ∇²u = 0, p_y - ∇²v = 0, u_x + v_y = 0 on [-1, 1]², velocities given on the
    boundary by

        u = 20 x y³,  v = 5 x⁴ - 5 y⁴,  p = 60 x² y - 20 y³.

    The pressure is fixed up to a constant: its mean is not judged.

    Trap: velocities and pressure need elements that fit each other (P2 and P1, P3 and
    P2, …); with the same degree for both the matrix is singular or the pressure
    oscillates from node to node. P4 velocities with a P3 pressure are exact here.
    """
    x, y = coordinates("x y")
    u, v, p = (field_of(name, x, y) for name in ("u", "v", "p"))
    exact = {
        u: 20 * x * y**3,
        v: 5 * x**4 - 5 * y**4,
        p: 60 * x**2 * y - 20 * y**3,
    }
    return Problem(
        name="stokes",
        fields=[u, v, p],
        equations=[
            D(p, x) - laplacian(u, (x, y)),
            D(p, y) - laplacian(v, (x, y)),
            D(u, x) + D(v, y),
        ],
        domain=Box((x, -1, 1), (y, -1, 1)),
        conditions=[Dirichlet(u, exact[u]), Dirichlet(v, exact[v])],
        hints={"elements": {"u": "P2", "v": "P2", "p": "P1"}, "gauge": "p"},
        exact=exact,
        source=(
            "H. C. Elman, D. J. Silvester, A. J. Wathen, Finite Elements and Fast "
            "Iterative Solvers, 2nd ed., Oxford 2014, "
            "doi:10.1093/acprof:oso/9780199678792.001.0001, example 3.1.4"
        ),
        tags=["linear", "incompressible flow", "mixed method"],
    )
