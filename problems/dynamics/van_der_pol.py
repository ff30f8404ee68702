"""Van der Pol's oscillator: slow drifts and sudden jumps."""

import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    D,
    Initial,
    Ladder,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)


def van_der_pol(stiffness: float = 1000.0) -> Problem:
    """Van der Pol's oscillator, stiff.

    x' = v, v' = μ (1 - x²) v - x, x(0) = 2, v(0) = 0, 0 ≤ t ≤ 3 max(μ, 10), μ = 1000.

    x drifts slowly along a branch of v ≈ x/(μ (1 - x²)) until it reaches |x| = 1, then
    jumps to the other branch within a time of about 1/μ, where v reaches 4/3 μ. The
    period is about (3 - 2 ln 2) μ + 7 μ^(-1/3). Judged by x: v is a spike whose
    moment carries all its error.

    Trap: explicit methods need steps of about 1/(3 μ) all along the slow branches.
    Trap: implicit solvers at loose tolerances stop before the end here, and hand back
    fewer values than were asked for; the flag and the length have to be looked at.
    """
    if not 0 < stiffness <= 1e4:
        raise OptionError(
            f"van_der_pol: stiffness is {stiffness}; it must lie between 0 and 1e4."
        )
    (t,) = coordinates("t")
    x, v = field_of("x", t), field_of("v", t)
    mu = sp.Float(stiffness)
    return Problem(
        name="van_der_pol",
        fields=[x, v],
        equations=[D(x, t) - v, D(v, t) - mu * (1 - x**2) * v + x],
        time=TimeInterval(t, 0, 3 * max(stiffness, 10.0), num_outputs=601),
        conditions=[Initial(x, 2), Initial(v, 0)],
        reference=Ladder("ode", {"method": "Radau", "rtol": 1e-8, "atol": 1e-10}),
        judged=[x],
        source=(
            "E. Hairer & G. Wanner, Solving Ordinary Differential Equations II, "
            "Springer 1996, doi:10.1007/978-3-642-05221-7, section IV.1"
        ),
        tags=["nonlinear", "stiff", "oscillator", "ordinary"],
    )
