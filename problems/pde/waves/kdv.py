"""The Korteweg-de Vries equation: two solitons that pass through each other."""

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


def kdv(slow: float = 1.0, fast: float = 1.5) -> Problem:
    """Korteweg-de Vries equation, two solitons.

    u_t + 6 u u_x + u_xxx = 0 on (-ℓ, ℓ), 0 < t ≤ 2t₀, periodic; u(x, 0) from the
    solution on the whole line,
    u = 2(f² - s²)(f² cosh²σ + s² sinh²φ)/(f cosh φ cosh σ - s sinh σ sinh φ)² with
    σ = s(x - 4s²(t - t₀)), φ = f(x - 4f²(t - t₀)).

    Two waves of heights 2s² and 2f² and speeds 4s² and 4f²; the fast one starts behind
    the slow one, overtakes it at t₀ = 5/(4(f² - s²)) and leaves it unchanged but for a
    shift. ℓ is such that the tails at the ends, which the periodic box cuts, are below
    1e-12: on this box the solution of the line is exact to that.

    Trap: waves of all lengths travel, and numerical dispersion leaves a train of
    ripples behind the solitons that looks like physics. Trap: mass ∫u and momentum ∫u²
    are conserved, and a method that damps loses height, hence speed, hence its place.
    """
    if not 0.5 <= slow < fast <= 3 or fast < 1.2 * slow:
        raise OptionError(
            f"kdv: slow is {slow}, fast is {fast}; needed is 0.5 <= slow, "
            "1.2 slow <= fast <= 3."
        )
    t, x = coordinates("t x")
    u = field_of("u", t, x)
    s, f = sp.nsimplify(slow), sp.nsimplify(fast)
    middle = 5 / (4 * (f**2 - s**2))
    length = max(
        math.ceil(4 * float(k**2 * middle) + 33 / (2 * float(k)) + 2) for k in (s, f)
    )
    σ, φ = (k * (x - 4 * k**2 * (t - middle)) for k in (s, f))
    exact = (
        2
        * (f**2 - s**2)
        * (f**2 * sp.cosh(σ) ** 2 + s**2 * sp.sinh(φ) ** 2)
        / (f * sp.cosh(φ) * sp.cosh(σ) - s * sp.sinh(σ) * sp.sinh(φ)) ** 2
    )
    return Problem(
        name="kdv",
        fields=[u],
        equations=[D(u, t) + 6 * u * D(u, x) + D(u, x, 3)],
        domain=Interval(x, -length, length),
        time=TimeInterval(t, 0, 2 * middle),
        conditions=[Initial(u, exact.subs(t, 0)), Periodic(x)],
        exact={u: exact},
        invariants={"mass": u, "momentum": u**2},
        source=(
            "P. G. Drazin, R. S. Johnson, Solitons: an Introduction, Cambridge "
            "University Press 1989, doi:10.1017/CBO9781139172059"
        ),
        tags=["nonlinear", "dispersive", "soliton", "periodic"],
    )
