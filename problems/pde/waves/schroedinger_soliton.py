"""The nonlinear Schrödinger equation: a bright soliton on its way."""

import math

import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    D,
    Initial,
    Interval,
    Periodic,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)


def schroedinger_soliton(amplitude: float = 1.5, speed: float = 2.0) -> Problem:
    """Nonlinear Schrödinger equation, one bright soliton.

    i h_t + ½ h_xx + |h|² h = 0 on (-ℓ, ℓ), 0 < t ≤ 3, periodic, in real fields
    h = u + iv; h(x, 0) from h = a sech(a(x - c(t - 3/2))) exp(i(cx + ½(a² - c²)t)).

    The envelope keeps its shape and moves with speed c, while real and imaginary part
    oscillate beneath it. ℓ is such that the tails, which the periodic box cuts, are
    below 1e-13.

    Trap: |h| alone looks right long after the phase is wrong; u and v are judged.
    """
    if not 0.5 <= amplitude <= 4 or not 0 <= speed <= 8:
        raise OptionError(
            f"schroedinger_soliton: amplitude is {amplitude}, speed is {speed}; needed "
            "is 0.5 <= amplitude <= 4 and 0 <= speed <= 8."
        )
    t, x = coordinates("t x")
    u, v = field_of("u", t, x), field_of("v", t, x)
    a, c = sp.nsimplify(amplitude), sp.nsimplify(speed)
    length = math.ceil(1.5 * speed + 31 / amplitude)
    envelope = a / sp.cosh(a * (x - c * (t - sp.Rational(3, 2))))
    phase = c * x + (a**2 - c**2) * t / 2
    exact = {u: envelope * sp.cos(phase), v: envelope * sp.sin(phase)}
    return Problem(
        name="schroedinger_soliton",
        fields=[u, v],
        equations=[
            D(u, t) + D(v, x, 2) / 2 + u**2 * v + v**3,
            D(v, t) - D(u, x, 2) / 2 - u**3 - u * v**2,
        ],
        domain=Interval(x, -length, length),
        time=TimeInterval(t, 0, 3),
        conditions=[
            Initial(u, exact[u].subs(t, 0)),
            Initial(v, exact[v].subs(t, 0)),
            Periodic(x),
        ],
        exact=exact,
        invariants={"mass": u**2 + v**2},
        source=(
            "V. E. Zakharov, A. B. Shabat, Exact theory of two-dimensional "
            "self-focusing and one-dimensional self-modulation of waves in nonlinear "
            "media, Soviet Physics JETP 34 (1972) 62-69"
        ),
        tags=["nonlinear", "dispersive", "soliton", "periodic", "system"],
    )
