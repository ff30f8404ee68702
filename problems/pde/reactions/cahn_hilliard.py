"""The Cahn-Hilliard equation: a mixture separates."""

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


def cahn_hilliard(width: float = 0.2) -> Problem:
    """Cahn-Hilliard equation, phase separation in the plane.

    u_t = ∇²(u³ - u - ε² ∇²u) on (0, 2π)², 0 < t ≤ 1, periodic;
    u(x, y, 0) = (cos 3x cos 2y + sin(2x + 3y) + cos(x - 3y))/10.

    Concentrations u = ±1 are stable, everything between separates: waves with
    |k| < 1/ε grow, fastest at |k| = 1/(√2 ε) with rate 1/(4ε²), until interfaces of
    width √2 ε stand between the phases and creep. Mass ∫u is conserved, and the free
    energy ∫ ¼(1 - u²)² + ½ε²|∇u|² never grows. The start is a fixed sum of long waves;
    published studies start from noise on the nodes of a grid, which no other grid
    shares and which has no limit under refinement.

    Trap: the fourth derivative limits explicit steps to about h⁴/ε². Trap: small
    differences grow by e^(t/4ε²), a factor of 500 over the default time.
    """
    if not 0.1 <= width <= 1:
        raise OptionError(f"cahn_hilliard: width is {width}; it must lie in [0.1, 1].")
    t, x, y = coordinates("t x y")
    u = field_of("u", t, x, y)
    plane = (x, y)
    potential = u**3 - u - width**2 * laplacian(u, plane)
    start = sp.cos(3 * x) * sp.cos(2 * y) + sp.sin(2 * x + 3 * y) + sp.cos(x - 3 * y)
    return Problem(
        name="cahn_hilliard",
        fields=[u],
        equations=[D(u, t) - laplacian(potential, plane)],
        domain=Box((x, 0, 2 * sp.pi), (y, 0, 2 * sp.pi)),
        time=TimeInterval(t, 0, 1, num_outputs=41),
        conditions=[Initial(u, start / 10), Periodic(x), Periodic(y)],
        reference=Ladder("fourier", {"points": 64, "steps": 160}),
        invariants={"mass": u},
        source=(
            "J. W. Cahn, J. E. Hilliard, Free energy of a nonuniform system I, Journal "
            "of Chemical Physics 28 (1958) 258-267, doi:10.1063/1.1744102; spectral "
            "method: L. Zhu, L.-Q. Chen, J. Shen, V. Tikare, Physical Review E 60 "
            "(1999) 3564-3572, doi:10.1103/PhysRevE.60.3564"
        ),
        tags=["nonlinear", "interface", "fourth order", "periodic"],
    )
