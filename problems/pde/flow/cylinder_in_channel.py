"""Steady flow around a cylinder in a channel."""

import numpy as np
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    D,
    Difference,
    Dirichlet,
    Disk,
    Flux,
    Ladder,
    Neumann,
    Problem,
    coordinates,
    field_of,
    laplacian,
)
from pinnsuite.problem.definition import Evaluate


def cylinder_in_channel(viscosity: float = 0.001) -> Problem:
    """Flow past a cylinder in a channel, steady, incompressible: the DFG's 2D-1.

    u u_x + v u_y + p_x - ν ∇²u = 0, u v_x + v v_y + p_y - ν ∇²v = 0, u_x + v_y = 0
    on [0, 2.2] x [0, 0.41] without the disc of radius 0.05 around (0.2, 0.2), ν = 1e-3;
    on its sides

    - "inlet" (x = 0):            u = 1.2 y (0.41 - y) / 0.41², v = 0
    - "wall" and "cylinder":      u = v = 0
    - "outlet" (x = 2.2):         ν ∂u/∂n - p = 0, ν ∂v/∂n = 0   (no traction)

    The Reynolds number of mean inflow and diameter is 20. The cylinder stands a little
    below the middle. Known (John & Matthies 2001, Nabh 1998): the pressure falls by
    0.11752016697 from the front of the cylinder, (0.15, 0.2), to its back, (0.25, 0.2).

    The reference claims 1e-4; its estimate is the error of the mesh before its last.

    Trap: the cylinder must be round to the order of the method: with straight edges the
    pressure difference is of second order at best.
    """
    if viscosity <= 0:
        raise OptionError(
            f"cylinder_in_channel: viscosity is {viscosity!r}; it must be positive."
        )
    x, y = coordinates("x y")
    u, v, p = (field_of(name, x, y) for name in ("u", "v", "p"))
    nu = sp.nsimplify(viscosity)
    height = sp.Rational(41, 100)
    inflow = sp.Rational(6, 5) * y * (height - y) / height**2
    sides = {"left": "inlet", "right": "outlet", "bottom": "wall", "top": "wall"}
    channel = Box((x, 0, 2.2), (y, 0, 0.41), names=sides)
    solid = ("wall", "cylinder")
    return Problem(
        name="cylinder_in_channel",
        fields=[u, v, p],
        equations=[
            u * D(u, x) + v * D(u, y) + D(p, x) - nu * laplacian(u, (x, y)),
            u * D(v, x) + v * D(v, y) + D(p, y) - nu * laplacian(v, (x, y)),
            D(u, x) + D(v, y),
        ],
        domain=Difference(channel, Disk(x, y, (0.2, 0.2), 0.05, name="cylinder")),
        conditions=[
            Dirichlet(u, 0, on=solid),
            Dirichlet(v, 0, on=solid),
            Dirichlet(u, inflow, on="inlet"),
            Dirichlet(v, 0, on="inlet"),
            Flux(u, 0, on="outlet", flux=(nu * D(u, x) - p, nu * D(u, y))),
            Neumann(v, 0, on="outlet"),
        ],
        hints={"elements": {"u": "P2", "v": "P2", "p": "P1"}, "mesh_size": 0.03},
        reference=Ladder(
            "finite-element",
            {"element": "P3", "grading": "adaptive", "mesh_size": 0.03},
        ),
        accuracy=1e-4,
        quantities={"pressure difference": _pressure_difference},
        source=(
            "M. Schäfer, S. Turek, Benchmark computations of laminar flow around a "
            "cylinder, Notes on Numerical Fluid Mechanics 52 (1996) 547-566, "
            "doi:10.1007/978-3-322-89849-4_39 (test case 2D-1); V. John, G. Matthies, "
            "International Journal for Numerical Methods in Fluids 37 (2001) 885-903, "
            "doi:10.1002/fld.195"
        ),
        tags=["nonlinear", "incompressible flow", "holes", "benchmark"],
    )


def _pressure_difference(at: Evaluate) -> float:
    front, back = at(np.array([[0.15, 0.2], [0.25, 0.2]]))["p"]
    return float(front - back)
