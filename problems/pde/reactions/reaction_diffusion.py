"""Fisher's equation: growth to saturation, with diffusion."""

import sympy as sp

from pinnsuite.errors import OptionError
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


def reaction_diffusion(diffusivity: float = 0.5, rate: float = 1.0) -> Problem:
    """Fisher's equation, periodic.

    u_t = ν u_xx + ρ u (1 - u) on (0, 1), 0 < t ≤ 1, periodic;
    u(x, 0) = ½ + ¼ sin 2πx + ⅕ cos 6πx.

    This is PDEBench's "1D reaction-diffusion" (ν in 0.5, 1, 2, 5; ρ in 1, 2, 5, 10),
    whose initial states are random: sums of two waves, a tenth of them cut by |·| or a
    window, scaled to [0, 1]. Here the state is smooth and fixed. Its waves decay within
    about 1/(4π²ν), after which the mean follows the logistic curve: nearly all of the
    interval 0 < t ≤ 1 is an ordinary differential equation.

    Trap: errors of the first 0.05 hide in a norm over all times; PDEBench's generator
    splits reaction and diffusion and takes explicit steps bound by h²/(2ν).
    """
    if not 0 < diffusivity <= 10 or not 0 <= rate <= 20:
        raise OptionError(
            f"reaction_diffusion: diffusivity is {diffusivity}, rate is {rate}; needed "
            "is 0 < diffusivity <= 10 and 0 <= rate <= 20."
        )
    t, x = coordinates("t x")
    u = field_of("u", t, x)
    start = sp.Rational(1, 2) + sp.sin(2 * sp.pi * x) / 4 + sp.cos(6 * sp.pi * x) / 5
    return Problem(
        name="reaction_diffusion",
        fields=[u],
        equations=[D(u, t) - diffusivity * D(u, x, 2) - rate * u * (1 - u)],
        domain=Interval(x, 0, 1),
        time=TimeInterval(t, 0, 1),
        conditions=[Initial(u, start), Periodic(x)],
        reference=Ladder("fourier", {"points": 32, "steps": 100}),
        source=(
            "R. A. Fisher, The wave of advance of advantageous genes, Annals of "
            "Eugenics 7 (1937) 355-369, doi:10.1111/j.1469-1809.1937.tb02153.x; "
            "this case: M. Takamoto et al., PDEBench, 2022, "
            "doi:10.48550/arXiv.2210.07182, 1D reaction-diffusion"
        ),
        tags=["nonlinear", "reaction", "periodic", "pdebench"],
    )
