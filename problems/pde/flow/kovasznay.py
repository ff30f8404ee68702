"""Laminar flow behind a grid, with its closed form."""

import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Problem,
    coordinates,
    field_of,
    laplacian,
)


def kovasznay(reynolds: float = 40.0) -> Problem:
    """Kovasznay flow: steady, incompressible, behind a two-dimensional grid.

    u u_x + v u_y + p_x - ∇²u/Re = 0, u v_x + v v_y + p_y - ∇²v/Re = 0, u_x + v_y = 0
    on [-1/2, 1] x [-1/2, 3/2], velocities given on the boundary by

        u = 1 - e^(λx) cos 2πy,  v = λ/(2π) e^(λx) sin 2πy,  p = (1 - e^(2λx))/2,
        λ = Re/2 - √(Re²/4 + 4π²).

    The nonlinear terms do not vanish, so that every term is tested. The pressure is
    fixed up to a constant: its mean is not judged.

    Trap: as Re grows λ tends to 0 and the flow to a uniform one with an error that
    looks small; keep Re moderate.
    """
    if reynolds <= 0:
        raise OptionError(f"kovasznay: reynolds is {reynolds!r}; it must be positive.")
    x, y = coordinates("x y")
    u, v, p = (field_of(name, x, y) for name in ("u", "v", "p"))
    re = sp.nsimplify(reynolds)
    decay = re / 2 - sp.sqrt(re**2 / 4 + 4 * sp.pi**2)
    exact = {
        u: 1 - sp.exp(decay * x) * sp.cos(2 * sp.pi * y),
        v: decay / (2 * sp.pi) * sp.exp(decay * x) * sp.sin(2 * sp.pi * y),
        p: (1 - sp.exp(2 * decay * x)) / 2,
    }
    return Problem(
        name="kovasznay",
        fields=[u, v, p],
        equations=[
            u * D(u, x) + v * D(u, y) + D(p, x) - laplacian(u, (x, y)) / re,
            u * D(v, x) + v * D(v, y) + D(p, y) - laplacian(v, (x, y)) / re,
            D(u, x) + D(v, y),
        ],
        domain=Box((x, -0.5, 1), (y, -0.5, 1.5)),
        conditions=[Dirichlet(u, exact[u]), Dirichlet(v, exact[v])],
        hints={"elements": {"u": "P2", "v": "P2", "p": "P1"}, "gauge": "p"},
        exact=exact,
        source=(
            "L. I. G. Kovasznay, Laminar flow behind a two-dimensional grid, "
            "Proceedings of the Cambridge Philosophical Society 44 (1948) 58-62, "
            "doi:10.1017/S0305004100023999"
        ),
        tags=["nonlinear", "incompressible flow"],
    )
