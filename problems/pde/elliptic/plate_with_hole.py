"""A stretched plate with a round hole: linear elasticity."""

import numpy as np
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    Difference,
    Dirichlet,
    Disk,
    Flux,
    Problem,
    coordinates,
    div,
    field_of,
    normal,
)
from pinnsuite.problem.definition import Evaluate


def plate_with_hole(poisson_ratio: float = 0.3, side: float = 4.0) -> Problem:
    """Plane stress in an infinite plate with a round hole, stretched along x.

    ∇·σ = 0,  σ_xx = (u_x + ν v_y)/(1 - ν²),  σ_yy = (v_y + ν u_x)/(1 - ν²),
    σ_xy = (u_y + v_x)/(2 + 2ν)

    for the displacements (u, v), in units of the hole's radius, of the tension far away
    and of Young's modulus, on a quarter of the plate, [0, L]² without the unit disc
    around (0, 0), L = 4; on its sides

    - "left" (x = 0), "bottom" (y = 0):   symmetry, u = 0 or v = 0 and no shear
    - "hole":                              σ·n = 0
    - "right", "top":                      σ·n of the infinite plate

    so that Kirsch's solution of the infinite plate is exact in the finite domain.

    Known: at the top of the hole, (0, 1), the stress σ_xx is three times the tension.

    Trap: the stress concentration is a derivative at a curved boundary. With straight
    edges it does not converge to 3 at the element's order.
    """
    if not -1 < poisson_ratio <= 0.5 or side <= 1:
        raise OptionError(
            f"plate_with_hole: poisson_ratio is {poisson_ratio!r} and side {side!r}; "
            "needed are a ratio above -1 and at most 0.5, and a side above 1."
        )
    x, y = coordinates("x y")
    u, v = field_of("u", x, y), field_of("v", x, y)
    nu = sp.nsimplify(poisson_ratio)

    def stress(
        a: sp.Expr, b: sp.Expr, *, evaluate: bool
    ) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
        """Return σ_xx, σ_yy, σ_xy of the displacements (a, b)."""
        a_x, a_y, b_x, b_y = (
            sp.Derivative(f, s, evaluate=evaluate) for f in (a, b) for s in (x, y)
        )
        return (
            (a_x + nu * b_y) / (1 - nu**2),
            (b_y + nu * a_x) / (1 - nu**2),
            (a_y + b_x) / (2 + 2 * nu),
        )

    exact_u, exact_v = _kirsch(x, y, nu)
    xx, yy, xy = stress(u, v, evaluate=False)
    pull_xx, pull_yy, pull_xy = stress(exact_u, exact_v, evaluate=True)
    n_x, n_y = normal(x), normal(y)
    outer = ("right", "top")
    return Problem(
        name="plate_with_hole",
        fields=[u, v],
        equations=[div([xx, xy], (x, y)), div([xy, yy], (x, y))],
        domain=Difference(
            Box((x, 0, side), (y, 0, side)), Disk(x, y, (0, 0), 1, name="hole")
        ),
        conditions=[
            Dirichlet(u, 0, on="left"),
            Flux(v, 0, on="left", flux=(xy, yy)),
            Dirichlet(v, 0, on="bottom"),
            Flux(u, 0, on="bottom", flux=(xx, xy)),
            Flux(u, 0, on="hole", flux=(xx, xy)),
            Flux(v, 0, on="hole", flux=(xy, yy)),
            Flux(u, n_x * pull_xx + n_y * pull_xy, on=outer, flux=(xx, xy)),
            Flux(v, n_x * pull_xy + n_y * pull_yy, on=outer, flux=(xy, yy)),
        ],
        exact={u: exact_u, v: exact_v},
        quantities={"stress concentration": _stress_concentration},
        source=(
            "G. Kirsch, Zeitschrift des Vereines deutscher Ingenieure 42 (1898) "
            "797-807; S. Timoshenko, J. N. Goodier, Theory of Elasticity, 3rd ed., "
            "McGraw-Hill 1970, section 35"
        ),
        tags=["linear", "elasticity", "stress concentration", "holes"],
    )


def _kirsch(x: sp.Symbol, y: sp.Symbol, nu: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Return the displacements, with E = 1, radius 1 and tension 1 along x."""
    r2 = x**2 + y**2
    # r cos θ / r² and so on: harmonics of degree -1 and -3.
    cos_1, sin_1 = x / r2, y / r2
    cos_3, sin_3 = (x**3 - 3 * x * y**2) / r2**3, (3 * x**2 * y - y**3) / r2**3
    kappa = (3 - nu) / (1 + nu)
    scale = (1 + nu) / 4
    return (
        scale * (x * (kappa + 1) + 2 * (1 + kappa) * cos_1 + 2 * (r2 - 1) * cos_3),
        scale * (y * (kappa - 3) + 2 * (1 - kappa) * sin_1 + 2 * (r2 - 1) * sin_3),
    )


def _stress_concentration(at: Evaluate) -> float:
    """Return σ_xx = u_x at (0, 1), where σ_yy = 0; u is odd in x."""
    step = 1e-3
    one, two = at(np.array([[step, 1.0], [2 * step, 1.0]]))["u"]
    return float((8 * one - two) / (6 * step))
