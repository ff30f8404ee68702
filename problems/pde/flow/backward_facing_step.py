"""Steady flow over a step at which a channel doubles its height."""

import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    D,
    Dirichlet,
    Flux,
    Ladder,
    Neumann,
    Polygon,
    Problem,
    coordinates,
    field_of,
    laplacian,
)


def backward_facing_step(viscosity: float = 0.01) -> Problem:
    """Backward-facing step, steady, incompressible.

    u u_x + v u_y + p_x - ν ∇²u = 0, u v_x + v v_y + p_y - ν ∇²v = 0, u_x + v_y = 0
    on [0, 4] x [0, 2] without (0, 2) x (1, 2), ν = 1/100; on its sides

    - "inlet" (x = 0):   u = 4 y (1 - y), v = 0
    - "wall":            u = v = 0
    - "outlet" (x = 4):  ν ∂u/∂n - p = 0, ν ∂v/∂n = 0   (no traction)

    PINNacle's "NS 2d-CG", repaired. Its code asks only p = 0 at the outlet, which
    leaves the velocities there undetermined; its data come from yet another outlet
    (p = 0 with v = 0, and backflow suppressed). Even the exact solution of the coded
    equations scores 6.3e-2 against those data, so that the best published score,
    8.24e-2 (second-hand), says little. Upstream, x < 2, the data can be compared.

    Trap: at the re-entrant corner (2, 1) the velocity is like r^0.54 and the pressure
    like r^(-0.46), unbounded. Solutions are judged by velocities, and uniform meshes
    converge with an order near 1 whatever the element: refine towards the corner. The
    reference does, and claims 2e-4, as its estimate is the error of the mesh before.
    """
    if viscosity <= 0:
        raise OptionError(
            f"backward_facing_step: viscosity is {viscosity!r}; it must be positive."
        )
    x, y = coordinates("x y")
    u, v, p = (field_of(name, x, y) for name in ("u", "v", "p"))
    nu = sp.nsimplify(viscosity)
    return Problem(
        name="backward_facing_step",
        fields=[u, v, p],
        equations=[
            u * D(u, x) + v * D(u, y) + D(p, x) - nu * laplacian(u, (x, y)),
            u * D(v, x) + v * D(v, y) + D(p, y) - nu * laplacian(v, (x, y)),
            D(u, x) + D(v, y),
        ],
        domain=Polygon(
            x,
            y,
            [(0, 0), (4, 0), (4, 2), (2, 2), (2, 1), (0, 1)],
            ["wall", "outlet", "wall", "wall", "wall", "inlet"],
        ),
        conditions=[
            Dirichlet(u, 0, on="wall"),
            Dirichlet(v, 0, on="wall"),
            Dirichlet(u, 4 * y * (1 - y), on="inlet"),
            Dirichlet(v, 0, on="inlet"),
            Flux(u, 0, on="outlet", flux=(nu * D(u, x) - p, nu * D(u, y))),
            Neumann(v, 0, on="outlet"),
        ],
        hints={"elements": {"u": "P2", "v": "P2", "p": "P1"}},
        reference=Ladder(
            "finite-element", {"element": "P3", "grading": "adaptive", "mesh_size": 0.1}
        ),
        accuracy=2e-4,
        judged=[u, v],
        source=(
            "Z. Hao et al., PINNacle, NeurIPS 2024 datasets and benchmarks, "
            "arXiv:2306.08827, appendix B.1 (NS 2d-CG); outlet: J. G. Heywood, "
            "R. Rannacher, S. Turek, International Journal for Numerical Methods in "
            "Fluids 22 (1996) 325-352, doi:10.1002/(SICI)1097-0363(19960315)22:5<325::"
            "AID-FLD307>3.0.CO;2-Y"
        ),
        tags=["nonlinear", "incompressible flow", "corner singularity", "pinnacle"],
    )
