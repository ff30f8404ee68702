"""The Fokker-Planck equation of a particle in a double well."""

import math

import numpy as np
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    D,
    Flux,
    Initial,
    Interval,
    Ladder,
    Problem,
    TimeInterval,
    coordinates,
    div,
    field_of,
)
from pinnsuite.problem.definition import Evaluate

REACH = 2.0


def fokker_planck(temperature: float = 0.25, end: float = 20.0) -> Problem:
    """Fokker-Planck equation of a double well: diffusion over a barrier.

    p_t = ∇·(V' p + θ p_x) on (-2, 2), 0 < t ≤ 20, with V = (x² - 1)²; no
    probability leaves: n·(V' p + θ p_x) = 0; p(x, 0) is normal about x = -1 with
    standard deviation 0.2.

    p is the density of a particle that slides down V while noise of temperature
    θ = 0.25 kicks it. It fills the left well at once, then leaks over the barrier of
    height 1 at the rate of Kramers, about (2√2/π) e^(-1/θ), until it is Boltzmann's
    e^(-V/θ)/Z. Total probability is kept.

    Trap: the flux, not p_x, vanishes at the ends; Neumann's condition loses mass. So do
    differences that expand the divergence, as their error accumulates: 5 % until t = 20
    at order 2 on 161 nodes.
    Trap: after t ≈ 1 the solution changes ten times slower than the equation's terms,
    which cancel: a small residual says little about the escape rate.
    """
    if not 0.05 <= temperature <= 2:
        raise OptionError(
            f"fokker_planck: temperature is {temperature}; it must lie between 0.05 "
            "and 2."
        )
    if not 0.5 <= end <= 1000:
        raise OptionError(
            f"fokker_planck: end is {end}; it must lie between 0.5 and 1000."
        )
    t, x = coordinates("t x")
    p = field_of("p", t, x)
    force = 4 * x * (x**2 - 1)
    flux = (force * p + temperature * D(p, x),)
    width = sp.Rational(1, 5)
    start = sp.exp(-(((x + 1) / width) ** 2) / 2) / (width * sp.sqrt(2 * sp.pi))
    return Problem(
        name="fokker_planck",
        fields=[p],
        equations=[D(p, t) - div(flux, (x,))],
        domain=Interval(x, -REACH, REACH),
        time=TimeInterval(t, 0, end, num_outputs=81),
        conditions=[Initial(p, start), Flux(p, 0, flux=flux)],
        reference=Ladder("lines", {"points": 121, "rtol": 1e-10, "atol": 1e-12}),
        invariants={"probability": p},
        quantities={
            "probability on the right at the end": lambda at: on_the_right(at, end),
            "escape rate": lambda at: escape_rate(at, end),
        },
        source=(
            "H. Risken, The Fokker-Planck Equation, 2nd ed., Springer 1989, "
            "doi:10.1007/978-3-642-61544-3, sections 5.10 and 11.7"
        ),
        tags=["linear", "parabolic", "conservation", "statistical physics"],
    )


def on_the_right(at: Evaluate, time: float) -> float:
    """Return the probability of x > 0, by Gauss' rule."""
    x, weight = np.polynomial.legendre.leggauss(64)
    x = REACH * (x + 1) / 2
    values = at(np.column_stack([np.full(len(x), time), x]))["p"]
    return float(REACH / 2 * weight @ values)


def escape_rate(at: Evaluate, end: float) -> float:
    """Return k in `½ - P(x > 0) = C e^(-2kt)`, from the last half of the time."""
    half = 0.5 - on_the_right(at, end / 2)
    last = 0.5 - on_the_right(at, end)
    return math.log(half / last) / end
