"""Advection of a wave along a line with constant speed."""

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


def advection(speed: float = 0.4, waves: tuple[int, int] = (1, 3)) -> Problem:
    """Linear advection of two sine waves, PDEBench's first family.

    u_t + β u_x = 0 on (0, 1), periodic, 0 < t ≤ 2;
    u(x, 0) = sin(2π n₁ x) + sin(2π n₂ x + 1)/2.

    The exact solution is the initial state moved by βt: u(x, t) = u(x - βt, 0). So any
    error is the method's: there is nothing to resolve but dispersion and dissipation.

    Trap: PDEBench's published data are no reference. Its initial states take the period
    to be one cell too short, so that they jump at the ends, and its MUSCL scheme on
    1024 cells is, at t = 2, 4.9e-4, 1.5e-3, 3.3e-3 and 1.0e-2 (normalised root mean
    square, for β = 0.1, 0.4, 1 and 4) away from the exact shift: as far as the errors
    near 1e-2 that are published for neural operators at β = 0.4 (second-hand).
    """
    if speed == 0 or any(n < 1 for n in waves):
        raise OptionError(
            f"advection: speed is {speed} and waves is {waves}; needed are a speed "
            "other than 0 and two positive whole numbers."
        )
    t, x = coordinates("t x")
    u = field_of("u", t, x)
    first, second = (2 * sp.pi * int(n) for n in waves)

    def start(place: sp.Expr) -> sp.Expr:
        return sp.sin(first * place) + sp.sin(second * place + 1) / 2

    return Problem(
        name="advection",
        fields=[u],
        equations=[D(u, t) + speed * D(u, x)],
        domain=Interval(x, 0, 1),
        time=TimeInterval(t, 0, 2),
        conditions=[Initial(u, start(x)), Periodic(x)],
        exact={u: start(x - speed * t)},
        invariants={"mass": u, "energy": u**2},
        source=(
            "M. Takamoto et al., PDEBench: An Extensive Benchmark for Scientific "
            "Machine Learning, NeurIPS 2022, arXiv:2210.07182, section D.1"
        ),
        tags=["linear", "advection", "hyperbolic", "periodic", "pdebench"],
    )
