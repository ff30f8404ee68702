"""Heat conduction through a finned heat sink of two metals."""

import numpy as np
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Flux,
    Ladder,
    MeshDomain,
    Problem,
    Robin,
    coordinates,
    data_file,
    div,
    field_of,
    grad,
)
from pinnsuite.problem.definition import Evaluate


def heat_sink(
    base_conductivity: float = 390.0,
    fin_conductivity: float = 205.0,
    heat_transfer: float = 50.0,
    heat_flux: float = 1e5,
) -> Problem:
    """Steady heat conduction in a heat sink: a copper base with four aluminium fins.

    -∇·(k ∇u) = 0 in the section, u the temperature above the air's in K; lengths in cm,
    base [0, 7] x [0, 1], fins 1 wide and 3 high at x = 0, 2, 4, 6 on it; k = 390
    W/(m K) in the base and 205 in the fins, so that u and k ∂u/∂n are continuous where
    they meet. On its sides

    - "chip" (2.5 < x < 4.5 of the bottom):   k ∂u/∂n = q = 10⁵ W/m²
    - "insulated" (the rest of the bottom):   k ∂u/∂n = 0
    - "air" (all others):                     k ∂u/∂n = -h u, h = 50 W/(m² K)

    The mesh is a gmsh file whose physical groups carry these names and, for the metals,
    "base" and "fins". It is fine at the corners.

    Known: the air takes what the chip gives, ∮ h u ds = q · 2 cm.

    Trap: at the roots of the fins the gradient is unbounded, with an exponent that
    depends on the ratio of the conductivities, and at the chip's ends it has a
    logarithm. With the conductivity outside the divergence, k ∇²u = 0, the interface
    is lost and the temperature is another.
    """
    if min(base_conductivity, fin_conductivity, heat_transfer) <= 0:
        raise OptionError(
            "heat_sink: conductivities and heat_transfer must be positive; given are "
            f"{base_conductivity!r}, {fin_conductivity!r} and {heat_transfer!r}."
        )
    x, y = coordinates("x y")
    u = field_of("u", x, y)
    k = sp.Piecewise((base_conductivity, y <= 1), (fin_conductivity, True))
    # Lengths in cm: h and q are per metre.
    h, q = heat_transfer / 100, heat_flux / 100
    flux = [k * g for g in grad(u, (x, y))]
    return Problem(
        name="heat_sink",
        fields=[u],
        equations=[-div(flux, (x, y))],
        domain=MeshDomain.from_file(data_file("meshes/heat_sink.msh"), (x, y)),
        conditions=[
            Flux(u, q, on="chip", flux=tuple(flux)),
            Flux(u, 0, on="insulated", flux=tuple(flux)),
            Robin(u, 0, on="air", a=h, b=k),
        ],
        quantities={"temperature of the chip's middle": _hottest},
        reference=Ladder("finite-element", {"element": "P3"}),
        source=(
            "F. P. Incropera, D. P. DeWitt, T. L. Bergman, A. S. Lavine, Fundamentals "
            "of Heat and Mass Transfer, 6th ed., Wiley 2007, section 3.6 (fins)"
        ),
        tags=["linear", "elliptic", "mesh", "interface", "Robin", "application"],
    )


def _hottest(at: Evaluate) -> float:
    return float(at(np.array([[3.5, 0.0]]))["u"][0])
