"""The Fisher-KPP equation: a population that grows and spreads as a wave."""

import sympy as sp

from pinnsuite.errors import OptionError
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


def fisher_kpp(diffusivity: float = 1.0, growth: float = 1.0) -> Problem:
    """Fisher-KPP equation with a travelling wave in closed form.

    u_t = d u_xx + r u (1 - u) on (-5, 10), 0 < t ≤ 2; the initial state and the values
    at both ends are those of the solution.

    Exact: u = (1 + e^{z})⁻², z = √(r/(6d)) (x - c t), with the speed c = 5 √(r d/6),
    the only one besides the trivial ones for which the wave is elementary. It is a
    little faster than the slowest wave, c = 2 √(r d), which compact initial states
    tend to.

    Trap: the state u = 0 ahead of the front is unstable. Errors there grow like e^{rt},
    and a method that makes u negative blows up.
    """
    for name, value in (("diffusivity", diffusivity), ("growth", growth)):
        if not 0.05 <= value <= 20:
            raise OptionError(
                f"fisher_kpp: {name} is {value}; it must lie between 0.05 and 20."
            )
    t, x = coordinates("t x")
    u = field_of("u", t, x)
    d, r = sp.nsimplify(diffusivity), sp.nsimplify(growth)
    speed = 5 * sp.sqrt(r * d / 6)
    wave = (1 + sp.exp(sp.sqrt(r / (6 * d)) * (x - speed * t))) ** -2
    return Problem(
        name="fisher_kpp",
        fields=[u],
        equations=[D(u, t) - d * D(u, x, 2) - r * (u - u**2)],
        domain=Interval(x, -5, 10),
        time=TimeInterval(t, 0, 2, num_outputs=41),
        conditions=[Initial(u, wave.subs(t, 0)), Dirichlet(u, wave)],
        exact={u: wave},
        source=(
            "M. J. Ablowitz & A. Zeppetella, Explicit solutions of Fisher's equation "
            "for a special wave speed, Bulletin of Mathematical Biology 41 (1979) "
            "835-840, doi:10.1007/BF02462380"
        ),
        tags=["nonlinear", "reaction", "travelling wave", "biology"],
    )
