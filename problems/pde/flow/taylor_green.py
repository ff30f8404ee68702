"""The decaying vortices of Taylor and Green."""

import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    D,
    Initial,
    Periodic,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
    laplacian,
)


def taylor_green(viscosity: float = 0.05, drift: float = 1.0) -> Problem:
    """Taylor-Green vortices in the plane, carried along, incompressible.

    u_t + u u_x + v u_y + p_x = ν ∇²u, v_t + u v_x + v v_y + p_y = ν ∇²v,
    u_x + v_y = 0 on (0, 2π)², 0 < t ≤ 5, periodic; u(x, y, 0) = U - cos x sin y,
    v(x, y, 0) = U/2 + sin x cos y.

    Exact: the pattern decays and moves with the mean flow (U, U/2):
    u = U - cos ξ sin η e^(-2νt), v = U/2 + sin ξ cos η e^(-2νt),
    p = -¼ (cos 2ξ + cos 2η) e^(-4νt) with ξ = x - Ut, η = y - Ut/2. The pressure is
    fixed up to a constant; its mean is taken as 0.

    Trap: with U = 0, the textbook's case, advection and pressure cancel and only the
    decay remains, so that a method may be right with both of them wrong; a spectral
    method is then exact and shows no order. The drift is here to prevent it.
    """
    if not 0 < viscosity <= 1 or not 0 <= drift <= 10:
        raise OptionError(
            f"taylor_green: viscosity is {viscosity}, drift is {drift}; needed is "
            "0 < viscosity <= 1 and 0 <= drift <= 10."
        )
    t, x, y = coordinates("t x y")
    u, v, p = (field_of(name, t, x, y) for name in ("u", "v", "p"))
    ν, mean = sp.nsimplify(viscosity), sp.nsimplify(drift)
    ξ, η = x - mean * t, y - mean * t / 2
    decay = sp.exp(-2 * ν * t)
    exact = {
        u: mean - sp.cos(ξ) * sp.sin(η) * decay,
        v: mean / 2 + sp.sin(ξ) * sp.cos(η) * decay,
        p: -(sp.cos(2 * ξ) + sp.cos(2 * η)) * decay**2 / 4,
    }
    return Problem(
        name="taylor_green",
        fields=[u, v, p],
        equations=[
            D(u, t) + u * D(u, x) + v * D(u, y) + D(p, x) - ν * laplacian(u, (x, y)),
            D(v, t) + u * D(v, x) + v * D(v, y) + D(p, y) - ν * laplacian(v, (x, y)),
            D(u, x) + D(v, y),
        ],
        domain=Box((x, 0, 2 * sp.pi), (y, 0, 2 * sp.pi)),
        time=TimeInterval(t, 0, 5, num_outputs=41),
        conditions=[
            Initial(u, exact[u].subs(t, 0)),
            Initial(v, exact[v].subs(t, 0)),
            Periodic(x),
            Periodic(y),
        ],
        exact=exact,
        hints={"gauge": "p"},
        source=(
            "G. I. Taylor, A. E. Green, Mechanism of the production of small eddies "
            "from large ones, Proceedings of the Royal Society A 158 (1937) 499-521, "
            "doi:10.1098/rspa.1937.0036; in the plane: G. I. Taylor, On the decay of "
            "vortices in a viscous fluid, Philosophical Magazine 46 (1923) 671-674, "
            "doi:10.1080/14786442308634295"
        ),
        tags=["nonlinear", "incompressible", "periodic", "system"],
    )
