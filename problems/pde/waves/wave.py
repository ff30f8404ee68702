"""The wave equation on a string that is held at both ends."""

import sympy as sp

from pinnsuite.problem import (
    D,
    Dirichlet,
    Initial,
    Interval,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)


def wave(speed: float = 2.0, amplitude: float = 0.5, mode: int = 4) -> Problem:
    """Wave equation with two modes.

    u_tt = c² u_xx on (0, 1), 0 < t ≤ 1; u(0, t) = u(1, t) = 0,
    u(x, 0) = sin πx + a sin mπx, u_t(x, 0) = 0.

    Exact: u = sin πx cos cπt + a sin mπx cos mcπt. With the default arguments this is
    PINNacle's "Wave 1d-C".
    """
    t, x = coordinates("t x")
    u = field_of("u", t, x)
    a, c = sp.nsimplify(amplitude), sp.nsimplify(speed)
    exact = sp.sin(sp.pi * x) * sp.cos(c * sp.pi * t) + a * sp.sin(
        mode * sp.pi * x
    ) * sp.cos(mode * c * sp.pi * t)
    return Problem(
        name="wave",
        fields=[u],
        equations=[D(u, t, 2) - c**2 * D(u, x, 2)],
        domain=Interval(x, 0, 1),
        time=TimeInterval(t, 0, 1),
        conditions=[
            Initial(u, exact.subs(t, 0)),
            Initial(u, 0, order=1),
            Dirichlet(u, 0),
        ],
        exact={u: exact},
        source=(
            "S. Wang, X. Yu, P. Perdikaris, When and why PINNs fail to train, Journal "
            "of Computational Physics 449 (2022) 110768, "
            "doi:10.1016/j.jcp.2021.110768, section 7.2"
        ),
        tags=["linear", "hyperbolic", "pinnacle"],
    )
