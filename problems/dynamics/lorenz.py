"""The Lorenz system: deterministic chaos in three variables."""

import sympy as sp

from pinnsuite.problem import (
    D,
    Initial,
    Ladder,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)


def lorenz(sigma: float = 10.0, rho: float = 28.0, end: float = 3.0) -> Problem:
    """Lorenz system.

    x' = σ (y - x), y' = x (ρ - z) - y, z' = x y - (8/3) z, from (1, 1, 1).

    Errors grow by a factor of e about every 1.1 time units, so the interval is short;
    any double-precision solution is worthless after t ≈ 40.
    """
    (t,) = coordinates("t")
    x, y, z = (field_of(name, t) for name in ("x", "y", "z"))
    beta = sp.Float(8 / 3)
    return Problem(
        name="lorenz",
        fields=[x, y, z],
        equations=[
            D(x, t) - sigma * (y - x),
            D(y, t) - x * (rho - z) + y,
            D(z, t) - x * y + beta * z,
        ],
        time=TimeInterval(t, 0, end, num_outputs=301),
        conditions=[Initial(f, 1) for f in (x, y, z)],
        reference=Ladder("ode", {"method": "DOP853", "rtol": 1e-11, "atol": 1e-13}),
        valid_until=min(end, 16.0),
        source=(
            "E. N. Lorenz, Deterministic nonperiodic flow, Journal of the Atmospheric "
            "Sciences 20 (1963) 130-141, "
            "doi:10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2"
        ),
        tags=["nonlinear", "chaos", "ordinary"],
    )
