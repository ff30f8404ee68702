"""Groundwater in a layered aquifer beside a river."""

import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    Flux,
    Ladder,
    Problem,
    Robin,
    coordinates,
    div,
    field_of,
    grad,
)

LENGTH, DEPTH = 400.0, 50.0
"""From the river to the divide, and from the rock to the water table, in metres."""

RIVER_BED = 40.0
"""The river cuts into the layers above this height, in metres."""


def layered_aquifer(clay: float = 0.01, recharge: float = 0.001) -> Problem:
    """Groundwater flow to a river through gravel, clay and sand.

    ∇·(K ∇h) = 0 for the hydraulic head h in metres above the level of the river, in a
    vertical section of 400 m from the river (x = 0) to the water divide, z = 0 … 50 m
    above the rock. K in metres a day: gravel 10 (z < 15), `clay` 0.01 (15 < z < 20),
    sand 10 above. On the sides

    - top:      K ∂h/∂n = N, recharge by rain (0.001 m a day: 365 mm a year)
    - left:     K ∂h/∂n = -h/c where the river is (z > 40 m), through a bed of
                resistance c = 1 day; no flow below
    - right:    no flow (divide);  bottom: no flow (rock)

    On interfaces head and normal flux are continuous. Below the clay the water must go
    through it twice: the head there is nearly constant along x.

    Trap: conductivities jump by 1000. Their arithmetic mean at the faces of the clay
    makes it leak; the harmonic mean is exact for layers.
    Trap: at z = 40 m the condition changes its kind, and the flux is singular there.
    Trap: only the river fixes the head. What a method loses of the recharge, 0.4 m² a
    day, it loses of the head: the total flux is a check of conservation.
    """
    if not 1e-5 <= clay <= 10:
        raise OptionError(
            f"layered_aquifer: clay is {clay} m/day; it must lie in [1e-5, 10]."
        )
    x, z = coordinates("x z")
    h = field_of("h", x, z)
    K = sp.Piecewise((10, z < 15), (clay, z < 20), (10, True))
    flux = tuple(K * g for g in grad(h, (x, z)))
    river = sp.Heaviside(z - RIVER_BED)
    return Problem(
        name="layered_aquifer",
        fields=[h],
        equations=[div(flux, (x, z))],
        domain=Box((x, 0, LENGTH), (z, 0, DEPTH)),
        conditions=[
            Robin(h, 0, on="left", a=river, b=K),
            Flux(h, recharge, on="top", flux=flux),
            Flux(h, 0, on=("right", "bottom"), flux=flux),
        ],
        reference=Ladder("cell-centred", {"cells": 160}),
        accuracy=1e-4,
        hints={"mesh_size": 5.0},
        source=(
            "J. Bear, Dynamics of Fluids in Porous Media, Elsevier 1972, chapter 7 "
            "(boundary conditions, layered media); M. P. Anderson, W. W. Woessner, "
            "R. J. Hunt, Applied Groundwater Modeling, 2015, "
            "doi:10.1016/C2009-0-21563-7, chapter 3"
        ),
        tags=["linear", "elliptic", "discontinuous coefficient", "Robin", "hydrology"],
    )
