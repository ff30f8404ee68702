"""The Aliev-Panfilov model: a pulse of excitation runs along heart muscle."""

import numpy as np
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    D,
    Initial,
    Interval,
    Ladder,
    Neumann,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)
from pinnsuite.problem.definition import Evaluate

LENGTH = 60.0
PROBES = (20.0, 40.0)
"""Where the arrival of the front is timed, in mm."""


def aliev_panfilov(diffusivity: float = 1.0, end: float = 40.0) -> Problem:
    """Aliev-Panfilov model of cardiac excitation on a cable.

    u_t = d u_xx - k u (u - a)(u - 1) - u w,
    w_t = -(ε₀ + μ₁ w/(u + μ₂)) (w + k u (u - a - 1))

    on (0, 60 mm), 0 < t ≤ 40; ∂u/∂n = 0; u(x, 0) = exp(-(x/3)²), w(x, 0) = 0: the left
    end is stimulated. k = 8, a = 0.15, ε₀ = 0.002, μ₁ = 0.2, μ₂ = 0.3, d = 1.

    u is the transmembrane potential in units of its rise (E = 100 u - 80 mV), w the
    recovery, x is in mm, and one unit of t is 12.9 ms. A steep front (about 2 mm) runs
    right at about 1.4 mm a unit, 11 cm/s, and leaves a plateau that recovers slowly;
    w diffuses nowhere, so it keeps every kink that it is given.

    Trap: the front needs several nodes; on coarser grids it runs slow or stops
    (propagation failure), which looks like a result. Trap: u and w differ in scale by
    their rates, 8 against 0.002, so that one loss weight cannot serve both.
    """
    if not 0.25 <= diffusivity <= 4:
        raise OptionError(
            f"aliev_panfilov: diffusivity is {diffusivity}; it must lie between 0.25 "
            "and 4."
        )
    if not 0 < end <= 100:
        raise OptionError(
            f"aliev_panfilov: end is {end}; it must lie between 0 and 100."
        )
    t, x = coordinates("t x")
    u, w = field_of("u", t, x), field_of("w", t, x)
    k, a, slow, speed, shift = 8.0, 0.15, 0.002, 0.2, 0.3
    recovery = slow + speed * w / (u + shift)
    return Problem(
        name="aliev_panfilov",
        fields=[u, w],
        equations=[
            D(u, t) - diffusivity * D(u, x, 2) + k * u * (u - a) * (u - 1) + u * w,
            D(w, t) + recovery * (w + k * u * (u - a - 1)),
        ],
        domain=Interval(x, 0, LENGTH),
        time=TimeInterval(t, 0, end, num_outputs=81),
        conditions=[
            Initial(u, sp.exp(-((x / 3) ** 2))),
            Initial(w, 0),
            Neumann(u, 0),
        ],
        reference=Ladder(
            "lines", {"points": 401, "order": 4, "rtol": 1e-8, "atol": 1e-10}
        ),
        quantities={"speed of the front": lambda at: front_speed(at, end)},
        source=(
            "R. R. Aliev & A. V. Panfilov, A simple two-variable model of cardiac "
            "excitation, Chaos, Solitons & Fractals 7 (1996) 293-301, "
            "doi:10.1016/0960-0779(95)00089-5"
        ),
        tags=["nonlinear", "reaction", "travelling wave", "biology", "stiff"],
    )


def front_speed(at: Evaluate, end: float) -> float:
    """Return the speed of u = 1/2 between the probes; nan if it does not arrive."""
    t = np.linspace(0, end, 4001)
    times = []
    for x in PROBES:
        u = at(np.column_stack([t, np.full(len(t), x)]))["u"]
        first = int(np.argmax(u > 0.5))
        if first == 0:
            return float("nan")
        share = (0.5 - u[first - 1]) / (u[first] - u[first - 1])
        times.append(t[first - 1] + share * (t[1] - t[0]))
    return float((PROBES[1] - PROBES[0]) / (times[1] - times[0]))
