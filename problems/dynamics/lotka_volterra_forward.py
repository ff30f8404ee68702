"""Predator and prey with known rates: a few sharp cycles."""

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


def lotka_volterra_forward(scale: float = 200.0, duration: float = 20.0) -> Problem:
    """Lotka-Volterra with known rates, in units of its peaks.

    r' = T (2 r - 0.04 S r p), p' = T (0.02 S r p - 1.06 p), 0 < t ≤ 1; r(0) = 100/S,
    p(0) = 15/S; S = `scale`, T = `duration`: prey S r and predators S p over a time T,
    which is about four cycles.

    The example "Lotka-Volterra" of DeepXDE. Along the solution
    0.02 S r - 1.06 ln r + 0.04 S p - 2 ln p is constant.

    Trap: the whole interval at once is hard for a network: one that has lost the phase
    of a late cycle, or has died out after the first, has small residuals almost
    everywhere.
    """
    (t,) = coordinates("t")
    prey, predators = field_of("r", t), field_of("p", t)
    s, length = sp.nsimplify(scale), sp.nsimplify(duration)
    gain, loss = sp.Rational(4, 100) * s, sp.Rational(2, 100) * s
    return Problem(
        name="lotka_volterra_forward",
        fields=[prey, predators],
        equations=[
            D(prey, t) - length * (2 * prey - gain * prey * predators),
            D(predators, t)
            - length * (loss * prey * predators - sp.Rational(106, 100) * predators),
        ],
        time=TimeInterval(t, 0, 1, num_outputs=201),
        conditions=[Initial(prey, 100 / s), Initial(predators, 15 / s)],
        reference=Ladder("ode", {"method": "DOP853", "rtol": 1e-11, "atol": 1e-13}),
        source=(
            "L. Lu, X. Meng, Z. Mao, G. E. Karniadakis, DeepXDE, SIAM Review 63 (2021) "
            "208-228, doi:10.1137/19M1274067, examples/pinn_forward/Lotka_Volterra.py"
        ),
        tags=["nonlinear", "oscillator", "ordinary"],
    )
