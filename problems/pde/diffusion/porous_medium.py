"""Gas that spreads through porous rock with a sharp front (Barenblatt)."""

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


def porous_medium(m: int = 2, end: float = 4.0) -> Problem:
    """Porous medium equation with Barenblatt's solution.

    u_t = (uᵐ)_xx on (-6, 6), 1 < t ≤ 4, u(±6, t) = 0;
    u(x, t) = t^-α [1 - k x² t^-2α]₊^(1/(m-1)), α = 1/(m + 1), k = α (m - 1)/(2m).

    Diffusion m uᵐ⁻¹ vanishes with u: what starts on an interval stays on one, whose
    ends ±t^α/√k move with a finite speed. The solution has a kink there (m = 2) or an
    infinite slope (m > 2), and holds in the weak sense; the mass is constant.

    Trap: u_t = m uᵐ⁻¹ u_xx + m (m - 1) uᵐ⁻² u_x² is the same only where u > 0, and
    stencils of it stop the front or move it wrongly; keep (uᵐ)_xx. Trap: small negative
    values turn diffusion around. High order is lost at the fronts: the error falls like
    h^(3/2) in L2 at best for m = 2.
    """
    if m not in (2, 3, 4) or not 1 < end <= 8:
        raise OptionError(
            f"porous_medium: m is {m} and end is {end}; needed are m = 2, 3 or 4 and "
            "1 < end <= 8, so that the fronts stay on the interval."
        )
    t, x = coordinates("t x")
    u = field_of("u", t, x)
    alpha = sp.Rational(1, m + 1)
    k = alpha * sp.Rational(m - 1, 2 * m)

    def barenblatt(time: sp.Expr) -> sp.Expr:
        bulge = 1 - k * x**2 * time ** (-2 * alpha)
        height = time ** (-alpha) * bulge ** sp.Rational(1, m - 1)
        return sp.Piecewise((height, bulge > 0), (0, True))

    return Problem(
        name="porous_medium",
        fields=[u],
        equations=[D(u, t) - D(u**m, x, 2)],
        domain=Interval(x, -6, 6),
        time=TimeInterval(t, 1, end),
        conditions=[Initial(u, barenblatt(sp.Integer(1))), Dirichlet(u, 0)],
        exact={u: barenblatt(t)},
        invariants={"mass": u},
        source=(
            "J. L. Vázquez, The Porous Medium Equation, 2007, section 1.1, "
            "doi:10.1093/acprof:oso/9780198569039.001.0001"
        ),
        tags=["nonlinear", "degenerate diffusion", "free boundary"],
    )
