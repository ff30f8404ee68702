"""The coefficients of the Lorenz system, identified from its trajectory."""

import numpy as np
from scipy.integrate import solve_ivp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    D,
    Evaluated,
    Initial,
    Observed,
    Problem,
    TimeInterval,
    Unknown,
    coordinates,
    field_of,
)

END = 3.0
TRUTH = {"sigma": 10.0, "rho": 15.0, "beta": 8 / 3}
START = (-8.0, 7.0, 27.0)


def lorenz_inverse(
    measurements: int = 25, noise: float = 0.0, seed: int = 0
) -> Problem:
    """Lorenz system with unknown coefficients, from values on its trajectory.

    x' = σ (y - x), y' = x (ρ - z) - y, z' = x y - β z from (-8, 7, 27), 0 < t ≤ 3;
    σ, ρ and β are unknown between 0.1 and 50, first guess 1; x, y and z are given at
    evenly spaced times with errors of normal distribution, standard deviation `noise`.

    The measurements are the solution for σ = 10, ρ = 15, β = 8/3 by DOP853 at a
    relative tolerance of 1e-12, and noise drawn with `seed`. The example
    "Inverse problem for the Lorenz system" of DeepXDE; there ρ = 15 too, where
    trajectories end in a fixed point: no chaos. What is judged is the trajectory, and
    beside it the errors of σ, ρ and β.

    Trap: at the first guess, ρ = 1, the origin attracts everything, so that a fit of
    whole trajectories starts far away; some starts end in other minima.
    """
    for name, value, least in (("measurements", measurements, 1), ("seed", seed, 0)):
        if value < least:
            raise OptionError(
                f"lorenz_inverse: {name} is {value}; it must be at least {least}."
            )
    if not noise >= 0:
        raise OptionError(f"lorenz_inverse: noise is {noise}; it must be at least 0.")
    (t,) = coordinates("t")
    fields = x, y, z = tuple(field_of(name, t) for name in ("x", "y", "z"))
    sigma, rho, beta = coordinates(" ".join(TRUTH))
    times = np.linspace(0.0, END, measurements + 1)[1:, None]
    errors = noise * np.random.default_rng(seed).standard_normal((3, measurements))
    values = list(_trajectory(times).values()) + errors
    return Problem(
        name="lorenz_inverse",
        fields=list(fields),
        equations=[
            D(x, t) - sigma * y + sigma * x,
            D(y, t) - rho * x + x * z + y,
            D(z, t) - x * y + beta * z,
        ],
        time=TimeInterval(t, 0, END, num_outputs=301),
        conditions=[
            *(Initial(f, v) for f, v in zip(fields, START, strict=True)),
            *(Observed(f, times, v) for f, v in zip(fields, values, strict=True)),
        ],
        unknowns=[
            Unknown(s, 0.1, 50.0, 1.0, truth=TRUTH[s.name]) for s in (sigma, rho, beta)
        ],
        reference=Evaluated(
            _trajectory,
            error_estimate=1e-10,
            description="the trajectory that was measured, by DOP853",
        ),
        source=(
            "L. Lu, X. Meng, Z. Mao, G. E. Karniadakis, DeepXDE, SIAM Review 63 (2021) "
            "208-228, doi:10.1137/19M1274067, section 4.4"
        ),
        tags=["inverse", "nonlinear", "ordinary", "synthetic"],
    )


def _trajectory(points: np.ndarray) -> dict[str, np.ndarray]:
    """Return x, y and z at times, shape (n, 1)."""
    sigma, rho, beta = TRUTH.values()

    def rates(_: float, s: np.ndarray) -> list[float]:
        x, y, z = s
        return [sigma * (y - x), x * (rho - z) - y, x * y - beta * z]

    times, order = np.unique(points[:, 0], return_inverse=True)
    solved = solve_ivp(
        rates, (0.0, END), START, method="DOP853", t_eval=times, rtol=1e-12, atol=1e-12
    )
    return dict(zip("xyz", solved.y[:, order], strict=True))
