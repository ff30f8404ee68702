"""The Gray-Scott equations: spots that grow and divide."""

import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    D,
    Initial,
    Ladder,
    Periodic,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
    laplacian,
)


def gray_scott(feed: float = 0.04, removal: float = 0.1) -> Problem:
    """Gray-Scott equations, two reacting species.

    u_t = 1e-5 ∇²u + f (1 - u) - u v², v_t = 5e-6 ∇²v - r v + u v² on (-1, 1)²,
    0 < t ≤ 200, periodic; u(x, y, 0) = 1 - exp(-80((x + 0.05)² + (y + 0.02)²)),
    v(x, y, 0) = exp(-80((x - 0.05)² + (y - 0.02)²)).

    u is fed, v feeds on u and decays. From the off-centre start a ring travels
    outwards and breaks up.

    This is PINNacle's "GS". There the equations carry no condition on the boundary at
    all, which leaves them ill posed for a network; the data is periodic, as stated
    here. In the time shown hardly anything reaches the boundary. The published best,
    8e-2 (second-hand), pools both fields, and u = 1, v = 0 alone scores about as well:
    the pattern fills a small part of the square.

    Trap: u = 1, v = 0 solves the equations and is stable; a method that loses the
    pulse at the start, or does not weigh it, converges to it with a tiny residual.
    """
    if not 0 < feed <= 0.1 or not 0 < removal <= 0.2:
        raise OptionError(
            f"gray_scott: feed is {feed}, removal is {removal}; needed is "
            "0 < feed <= 0.1 and 0 < removal <= 0.2."
        )
    t, x, y = coordinates("t x y")
    u, v = field_of("u", t, x, y), field_of("v", t, x, y)
    plane = (x, y)
    shift_x, shift_y = sp.Rational(1, 20), sp.Rational(1, 50)
    hole = sp.exp(-80 * ((x + shift_x) ** 2 + (y + shift_y) ** 2))
    pulse = sp.exp(-80 * ((x - shift_x) ** 2 + (y - shift_y) ** 2))
    return Problem(
        name="gray_scott",
        fields=[u, v],
        equations=[
            D(u, t) - 1e-5 * laplacian(u, plane) - feed * (1 - u) + u * v**2,
            D(v, t) - 5e-6 * laplacian(v, plane) + removal * v - u * v**2,
        ],
        domain=Box((x, -1, 1), (y, -1, 1)),
        time=TimeInterval(t, 0, 200, num_outputs=41),
        conditions=[Initial(u, 1 - hole), Initial(v, pulse), Periodic(x), Periodic(y)],
        reference=Ladder("fourier", {"points": 216, "steps": 160, "dealias": "none"}),
        source=(
            "J. E. Pearson, Complex patterns in a simple system, Science 261 (1993) "
            "189-192, doi:10.1126/science.261.5118.189; this case: Z. Hao et al., "
            "PINNacle, 2023, doi:10.48550/arXiv.2306.08827, GS"
        ),
        tags=["nonlinear", "reaction", "pattern", "periodic", "system", "pinnacle"],
    )
