"""The nonlinear Schrödinger equation: a pulse that focuses and returns."""

import sympy as sp

from pinnsuite.problem import (
    D,
    Initial,
    Interval,
    Ladder,
    Periodic,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)


def nonlinear_schroedinger() -> Problem:
    """Nonlinear Schrödinger equation, focusing, 2 sech x on a short box.

    i h_t + ½ h_xx + |h|² h = 0 on (-5, 5), 0 < t ≤ π/2, periodic; h(x, 0) = 2 sech x.
    In real fields h = u + iv: u_t + ½ v_xx + (u² + v²) v = 0,
    v_t - ½ u_xx - (u² + v²) u = 0.

    The pulse focuses to |h| = 4 at t = π/4 and spreads again. On the whole line it is
    the breathing bound state of two solitons, known in closed form and of period π/2 in
    |h|; the box of the published benchmark is so short that its tail, 0.027 at the
    ends, meets itself. The two differ by 0.7 %, and the closed form is no reference.

    Trap: the periodic initial state has a kink of 0.054 in its slope at x = ±5, which
    the equation, being dispersive, spreads but never smooths. The error of a Fourier
    method therefore falls like N^(-3/2) only (measured), whatever the order in time.
    """
    t, x = coordinates("t x")
    u, v = field_of("u", t, x), field_of("v", t, x)
    return Problem(
        name="nonlinear_schroedinger",
        fields=[u, v],
        equations=[
            D(u, t) + D(v, x, 2) / 2 + u**2 * v + v**3,
            D(v, t) - D(u, x, 2) / 2 - u**3 - u * v**2,
        ],
        domain=Interval(x, -5, 5),
        time=TimeInterval(t, 0, sp.pi / 2),
        conditions=[Initial(u, 2 / sp.cosh(x)), Initial(v, 0), Periodic(x)],
        reference=Ladder("fourier", {"points": 256, "steps": 800}),
        invariants={"mass": u**2 + v**2},
        source=(
            "M. Raissi, P. Perdikaris, G. E. Karniadakis, Physics-informed neural "
            "networks, Journal of Computational Physics 378 (2019) 686-707, "
            "doi:10.1016/j.jcp.2018.10.045, section 3.1.1; whole line: J. Satsuma, "
            "N. Yajima, Progress of Theoretical Physics Supplement 55 (1974) 284-306, "
            "doi:10.1143/PTPS.55.284"
        ),
        tags=["nonlinear", "dispersive", "soliton", "periodic", "system"],
    )
