"""Steady flow in a square cavity whose lid moves."""

import numpy as np
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Ladder,
    Problem,
    coordinates,
    field_of,
    laplacian,
)
from pinnsuite.problem.definition import Evaluate

LIDS = ("plain", "regularised")


def lid_driven_cavity(reynolds: float = 100.0, lid: str = "plain") -> Problem:
    """Lid-driven cavity, steady, incompressible.

    u u_x + v u_y + p_x - ∇²u/Re = 0, u v_x + v v_y + p_y - ∇²v/Re = 0, u_x + v_y = 0
    on the unit square; u = v = 0 on the walls; on the lid y = 1 v = 0 and u = 1
    ("plain") or u = 16 x² (1 - x)² ("regularised").

    With the plain lid the velocity jumps in the two upper corners, which the walls own;
    were they the lid's, methods would converge with first order to another number. The
    jump limits every reference to about 1e-2, although the flow inside is known better:
    on the centre line x = 1/2 the smallest u is -0.2140 (the table of Ghia, Ghia & Shin
    1982 has -0.2109). Score solvers on the regularised lid. The pressure is fixed up to
    a constant and unbounded in the corners, so solutions are judged by velocities.
    """
    if lid not in LIDS:
        raise OptionError(
            f"lid_driven_cavity: lid is {lid!r}; use " + " or ".join(map(repr, LIDS))
        )
    x, y = coordinates("x y")
    lid_velocity = sp.Integer(1) if lid == "plain" else 16 * x**2 * (1 - x) ** 2
    u, v, p = (field_of(name, x, y) for name in ("u", "v", "p"))
    walls = dict.fromkeys(("left", "right", "bottom"), "wall")
    return Problem(
        name="lid_driven_cavity",
        fields=[u, v, p],
        equations=[
            u * D(u, x) + v * D(u, y) + D(p, x) - laplacian(u, (x, y)) / reynolds,
            u * D(v, x) + v * D(v, y) + D(p, y) - laplacian(v, (x, y)) / reynolds,
            D(u, x) + D(v, y),
        ],
        domain=Box((x, 0, 1), (y, 0, 1), names={**walls, "top": "lid"}),
        conditions=[
            Dirichlet(u, 0, on="wall"),
            Dirichlet(v, 0, on="wall"),
            Dirichlet(u, lid_velocity, on="lid"),
            Dirichlet(v, 0, on="lid"),
        ],
        hints={
            "elements": {"u": "P2", "v": "P2", "p": "P1"},
            "gauge": "p",
            "mesh_size": 1 / 36,
        },
        reference=Ladder("finite-element", {"mesh_size": 1 / 16}),
        judged=[u, v],
        quantities={"u_min on x = 1/2": _smallest_u},
        source=(
            "U. Ghia, K. N. Ghia, C. T. Shin, High-Re solutions for incompressible "
            "flow, Journal of Computational Physics 48 (1982) 387-411, "
            "doi:10.1016/0021-9991(82)90058-4"
        ),
        tags=["nonlinear", "incompressible flow", "corner singularity", "pinnacle"],
    )


def _smallest_u(at: Evaluate) -> float:
    y = np.linspace(0, 1, 2001)
    return float(at(np.column_stack([np.full_like(y, 0.5), y]))["u"].min())
