"""A strong shock that runs into a wave of density."""

import sympy as sp

from pinnsuite.problem import (
    D,
    Dirichlet,
    Initial,
    Interval,
    Ladder,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)


def shu_osher() -> Problem:
    """Shu and Osher's problem: a shock of Mach 3 in a sinusoidal density.

    Euler's equations of an ideal gas, γ = 1.4, on (-5, 5), 0 < t ≤ 1.8:
    ρ_t + m_x = 0, m_t + (m²/ρ + p)_x = 0, E_t + ((E + p) m/ρ)_x = 0;
    (ρ, u, p) = (27/7, 4√35/9, 31/3) for x < -4, (1 + 0.2 sin 5x, 0, 1) for x > -4.

    The shock compresses the density wave to a quarter of its length and sends acoustic
    waves behind itself that steepen into small shocks: details between jumps, which
    tell methods of high order from merely sharp ones. No exact solution is known; the
    reference is a ladder of WENO5, and its error, dominated by the jumps, falls like h:
    2.4e-3 of the momentum and 1.8e-3 of the density are left with 1600 cells.

    Trap: the usual decimals 3.857143, 2.629369, 10.33333 of the left state are the
    exact jump behind Mach 3 rounded; the exact numbers leave no start-up error.
    Trap: with 200 cells, second-order methods flatten the compressed wave altogether,
    and look converged because two of them agree.
    """
    t, x = coordinates("t x")
    rho, m, energy = (field_of(name, t, x) for name in ("rho", "m", "E"))
    fields = (rho, m, energy)
    gamma = sp.Rational(7, 5)
    pressure = (gamma - 1) * (energy - m**2 / rho / 2)
    density, velocity = sp.Rational(27, 7), 4 * sp.sqrt(35) / 9
    behind = (
        density,
        density * velocity,
        sp.Rational(31, 3) / (gamma - 1) + density * velocity**2 / 2,
    )
    ahead = (1 + sp.sin(5 * x) / 5, sp.Integer(0), 1 / (gamma - 1))
    initial = [
        Initial(f, sp.Piecewise((a, x < -4), (b, True)))
        for f, a, b in zip(fields, behind, ahead, strict=True)
    ]
    held = [
        Dirichlet(f, v, on=side)
        for side, state in (("left", behind), ("right", ahead))
        for f, v in zip(fields, state, strict=True)
    ]
    return Problem(
        name="shu_osher",
        fields=fields,
        equations=[
            D(rho, t) + D(m, x),
            D(m, t) + D(m**2 / rho + pressure, x),
            D(energy, t) + D((energy + pressure) * m / rho, x),
        ],
        domain=Interval(x, -5, 5),
        time=TimeInterval(t, 0, sp.Rational(9, 5), num_outputs=10),
        conditions=[*initial, *held],
        accuracy=3e-3,
        norm="L1",
        reference=Ladder("finite-volume", {"cells": 400, "reconstruction": "WENO5"}),
        source=(
            "C.-W. Shu, S. Osher, Efficient implementation of essentially "
            "non-oscillatory shock-capturing schemes II, Journal of Computational "
            "Physics 83 (1989) 32-78, doi:10.1016/0021-9991(89)90222-2, section 8"
        ),
        tags=["nonlinear", "hyperbolic", "gas dynamics", "shock", "pdebench"],
    )
