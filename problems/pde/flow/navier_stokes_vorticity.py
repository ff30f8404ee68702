"""Incompressible flow in the plane, by vorticity and streamfunction."""

import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    D,
    Initial,
    Ladder,
    Periodic,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
    laplacian,
)


def navier_stokes_vorticity(viscosity: float = 1e-3) -> Problem:
    """Navier-Stokes equations in the plane, forced, by vorticity and streamfunction.

    ω_t + ψ_y ω_x - ψ_x ω_y = ν ∇²ω + f, ∇²ψ + ω = 0 on the unit square, 0 < t ≤ 10,
    periodic, with f = (sin 2π(x + y) + cos 2π(x + y))/10 and
    ω(x, y, 0) = sin 2π(x + 2y) + ½ cos 4π(x - y/2) + ½ sin 6πx cos 2πy.

    The velocity is (ψ_y, -ψ_x). Mean vorticity and mean flow are zero, and ψ, which is
    fixed up to a constant, has mean zero. Equation, forcing, box and viscosity are
    those on which Fourier neural operators are trained; their initial states are
    random (a Gaussian field), this one is fixed and smooth. PDEBench's incompressible
    family belongs here as well.

    Trap: ω = -∇²ψ has to hold at all times; an error in ψ grows by |k|² on its way to
    ω, so that a fit of ψ alone proves little. Trap: without dealiasing the products of
    high modes come back as low ones.
    """
    if not 1e-4 <= viscosity <= 1:
        raise OptionError(
            f"navier_stokes_vorticity: viscosity is {viscosity}; it must lie in "
            "[0.0001, 1]."
        )
    t, x, y = coordinates("t x y")
    ω, ψ = field_of("omega", t, x, y), field_of("psi", t, x, y)
    pi = sp.pi
    forcing = (sp.sin(2 * pi * (x + y)) + sp.cos(2 * pi * (x + y))) / 10
    start = (
        sp.sin(2 * pi * (x + 2 * y))
        + sp.cos(4 * pi * x - 2 * pi * y) / 2
        + sp.sin(6 * pi * x) * sp.cos(2 * pi * y) / 2
    )
    return Problem(
        name="navier_stokes_vorticity",
        fields=[ω, ψ],
        equations=[
            D(ω, t)
            + D(ψ, y) * D(ω, x)
            - D(ψ, x) * D(ω, y)
            - viscosity * laplacian(ω, (x, y))
            - forcing,
            laplacian(ψ, (x, y)) + ω,
        ],
        domain=Box((x, 0, 1), (y, 0, 1)),
        time=TimeInterval(t, 0, 10, num_outputs=41),
        conditions=[Initial(ω, start), Periodic(x), Periodic(y)],
        hints={"gauge": "psi"},
        reference=Ladder("fourier", {"points": 64, "steps": 160}),
        source=(
            "Z. Li et al., Fourier neural operator for parametric partial differential "
            "equations, 2020, doi:10.48550/arXiv.2010.08895, section 5.3"
        ),
        tags=["nonlinear", "incompressible", "periodic", "system", "pdebench"],
    )
