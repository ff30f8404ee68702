"""The viscosity of Burgers' equation, identified from noisy velocities."""

import numpy as np
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    D,
    Dirichlet,
    Evaluated,
    Initial,
    Interval,
    Observed,
    Problem,
    TimeInterval,
    Unknown,
    coordinates,
    field_of,
    load,
)


def burgers_viscosity(
    viscosity: float = 0.02, measurements: int = 500, noise: float = 0.05, seed: int = 0
) -> Problem:
    """Burgers' equation with an unknown viscosity, from noisy velocities.

    u_t + u u_x = ν u_xx on (-1, 1), 0 < t ≤ 1; u(x, 0) = -sin πx, u(±1, t) = 0; the
    number ν is unknown between 0.001 and 1; u is measured at random points (x, t) with
    errors of normal distribution, standard deviation `noise`.

    The measurements are the Cole-Hopf solution, see `burgers`, for ν = `viscosity`, and
    noise drawn with `seed`: no discrete solution has part in them. What is judged is
    that solution, and beside it the error of ν.

    Noise floor: with the defaults the least-squares fit by `adjoint` finds
    ν = 0.0198 ± 0.0005, the standard error from the data alone; over twenty seeds the
    error of ν was 1.3 of them (root mean square). It makes u wrong by 2e-3.
    The literature asks for ν = 0.01/π = 0.0032; then few points lie in the layer, where
    alone the viscosity shows, and the standard error is 7 % of ν.

    Trap: a discrete solution that smears the layer takes the smearing for viscosity:
    with 0.01/π and no noise, 257 nodes of order 4 find a ν that is 11 % too large, 513
    nodes one that is 1.2 % too large.
    Trap: the misfit falls with ν over decades; steps taken in ν itself run to the
    smallest value allowed, those in log ν do not.
    """
    if not 0.003 <= viscosity <= 0.3:
        raise OptionError(
            f"burgers_viscosity: viscosity is {viscosity}; it must be in [0.003, 0.3], "
            "well inside the range that is searched."
        )
    if not noise >= 0:
        raise OptionError(
            f"burgers_viscosity: noise is {noise}; it must be at least 0."
        )
    for name, value, least in (("measurements", measurements, 2), ("seed", seed, 0)):
        if value < least:
            raise OptionError(
                f"burgers_viscosity: {name} is {value}; it must be at least {least}."
            )
    t, x, nu = coordinates("t x nu")
    u = field_of("u", t, x)
    forward = load("burgers", viscosity=viscosity)
    assert isinstance(forward, Problem)
    assert isinstance(forward.reference, Evaluated)
    generator = np.random.default_rng(seed)
    points = generator.uniform([0.0, -1.0], [1.0, 1.0], (measurements, 2))
    errors = noise * generator.standard_normal(measurements)
    return Problem(
        name="burgers_viscosity",
        fields=[u],
        equations=[D(u, t) + u * D(u, x) - nu * D(u, x, 2)],
        domain=Interval(x, -1, 1),
        time=TimeInterval(t, 0, 1),
        conditions=[
            Initial(u, -sp.sin(sp.pi * x)),
            Dirichlet(u, 0),
            Observed(u, points, forward.reference.evaluate(points)["u"] + errors),
        ],
        unknowns=[Unknown(nu, 1e-3, 1.0, 0.1, truth=viscosity)],
        reference=Evaluated(
            forward.reference.evaluate,
            error_estimate=forward.reference.error_estimate,
            description="the solution that was measured: "
            + forward.reference.description,
        ),
        source=(
            "M. Raissi, P. Perdikaris, G. E. Karniadakis, Physics-informed neural "
            "networks, Journal of Computational Physics 378 (2019) 686-707, "
            "doi:10.1016/j.jcp.2018.10.045, sec. 4.1 (identification of Burgers' "
            "equation); solution as in `burgers`"
        ),
        tags=["inverse", "nonlinear", "advection", "layer", "synthetic"],
    )
