"""Heat in a bar whose ends are kept cold, with its closed form."""

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


def heat(diffusivity: float = 0.4, mode: int = 1) -> Problem:
    """Heat equation on a bar, one mode.

    u_t = a u_xx on (0, 1), 0 < t ≤ 1; u(0, t) = u(1, t) = 0, u(x, 0) = sin nπx.

    Exact: u = exp(-n²π² a t) sin nπx. The example "Heat equation" of DeepXDE.

    Trap: with the default arguments u falls by a factor of 52. The error is judged over
    all times together and says little about the last ones, whose relative error is
    larger.
    """
    t, x = coordinates("t x")
    u = field_of("u", t, x)
    a = sp.nsimplify(diffusivity)
    exact = sp.exp(-(mode**2) * sp.pi**2 * a * t) * sp.sin(mode * sp.pi * x)
    return Problem(
        name="heat",
        fields=[u],
        equations=[D(u, t) - a * D(u, x, 2)],
        domain=Interval(x, 0, 1),
        time=TimeInterval(t, 0, 1),
        conditions=[Initial(u, exact.subs(t, 0)), Dirichlet(u, 0)],
        exact={u: exact},
        source=(
            "J. Crank, The Mathematics of Diffusion, 2nd ed., Oxford University Press "
            "1975, section 2.3; L. Lu et al., DeepXDE, SIAM Review 63 (2021) 208-228, "
            "doi:10.1137/19M1274067, examples/pinn_forward/heat.py"
        ),
        tags=["linear", "parabolic", "diffusion"],
    )
