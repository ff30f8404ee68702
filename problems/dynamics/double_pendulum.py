"""The double pendulum: two rods, released at rest."""

import math

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

GRAVITY = 9.81


def double_pendulum(
    upper: float = math.pi / 2, lower: float = math.pi / 2, end: float = 5.0
) -> Problem:
    """Double pendulum of two equal masses on two massless rods of 1 m.

    2 a'' + cos(a - b) b'' + sin(a - b) b'² + 2 g sin a = 0,
    b'' + cos(a - b) a'' - sin(a - b) a'² + g sin b = 0,  0 ≤ t ≤ 5 s, g = 9.81 m/s²,

    a and b the angles of the upper and lower rod from the vertical (rad), at rest at
    first, both level: a = b = π/2.

    The motion is chaotic: neighbouring starts part by e about every half second.
    The energy is kept.

    Trap: from this start the odd Taylor coefficients vanish by symmetry, and an
    adaptive Taylor integrator has taken its first step ten times too long: wrong by
    12.9 rad at t = 10 without a word. Another method at tight tolerance shows it.
    """
    if not 0.1 <= end <= 20:
        raise OptionError(
            f"double_pendulum: end is {end}; it must lie between 0.1 and 20 s."
        )
    (t,) = coordinates("t")
    a, b = field_of("a", t), field_of("b", t)
    return Problem(
        name="double_pendulum",
        fields=[a, b],
        equations=[
            2 * D(a, t, 2)
            + sp.cos(a - b) * D(b, t, 2)
            + sp.sin(a - b) * D(b, t) ** 2
            + 2 * GRAVITY * sp.sin(a),
            D(b, t, 2)
            + sp.cos(a - b) * D(a, t, 2)
            - sp.sin(a - b) * D(a, t) ** 2
            + GRAVITY * sp.sin(b),
        ],
        time=TimeInterval(t, 0, end, num_outputs=201),
        conditions=[
            Initial(a, upper),
            Initial(b, lower),
            Initial(a, 0, order=1),
            Initial(b, 0, order=1),
        ],
        reference=Ladder("ode", {"method": "DOP853", "rtol": 1e-11, "atol": 1e-13}),
        valid_until=min(end, 20.0),
        source=(
            "L. D. Landau & E. M. Lifshitz, Mechanics, 3rd ed., Pergamon 1976, "
            "doi:10.1016/C2009-0-25569-3, section 5, problem 1"
        ),
        tags=["nonlinear", "chaos", "mechanics", "ordinary"],
    )
