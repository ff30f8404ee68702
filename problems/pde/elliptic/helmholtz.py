"""Helmholtz's equation in a square, with its closed form."""

import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    Box,
    Dirichlet,
    Problem,
    coordinates,
    field_of,
    laplacian,
)


def helmholtz(
    k: float = 1.0, a_1: float = 4.0, a_2: float = 4.0, low: float = -1.0
) -> Problem:
    """Helmholtz's equation with a source whose solution is a product of sines.

    ∇²u + k² u = (k² - π² (a₁² + a₂²)) sin a₁πx sin a₂πy on [l, 1]², l = `low` = -1, u
    given on the boundary by

        u = sin a₁πx sin a₂πy.

    PINNacle's "Helmholtz 2D" with k = 1 and a = (4, 4) (in its code, not among its 22
    cases); there the operator is close to the Laplacian. The example "Helmholtz
    equation over a 2D square domain" of DeepXDE with k = 4π, a = (4, 4), l = 0.

    Trap: for k² between eigenvalues of -∇², π² (m² + n²)/(1 - l)², the operator is
    indefinite: conjugate gradients and multigrid fail, and the error of elements of low
    degree grows like k³ h² (pollution), so that ten points a wave are not enough when
    there are many waves. At an eigenvalue there is no unique solution. Try k = 20.
    """
    if not low < 1:
        raise OptionError(f"helmholtz: low is {low!r}; it must be less than 1.")
    x, y = coordinates("x y")
    shares = {m * m + n * n for m in range(1, 200) for n in range(1, 200)}
    side = 1 - low
    nearest = min(abs(k**2 - float(sp.pi) ** 2 * s / side**2) for s in shares)
    if k < 0 or nearest < 1e-3 * max(k, 1.0):
        raise OptionError(
            f"helmholtz: k is {k!r}; it must be 0 or more, and k² no eigenvalue π² (m² "
            f"+ n²)/{side:g}² of the square, where the solution is not unique."
        )
    u = field_of("u", x, y)
    k, a_1, a_2 = (sp.nsimplify(value) for value in (k, a_1, a_2))
    exact = sp.sin(a_1 * sp.pi * x) * sp.sin(a_2 * sp.pi * y)
    source = (k**2 - sp.pi**2 * (a_1**2 + a_2**2)) * exact
    return Problem(
        name="helmholtz",
        fields=[u],
        equations=[laplacian(u, (x, y)) + k**2 * u - source],
        domain=Box((x, low, 1), (y, low, 1)),
        conditions=[Dirichlet(u, exact)],
        exact={u: exact},
        source=(
            "F. Ihlenburg, I. Babuška, Finite element solution of the Helmholtz "
            "equation with high wave number, Computers & Mathematics with Applications "
            "30 (1995) 9-37, doi:10.1016/0898-1221(95)00144-N (pollution); L. Lu et "
            "al., DeepXDE, SIAM Review 63 (2021) 208-228, doi:10.1137/19M1274067"
        ),
        tags=["linear", "elliptic", "waves", "pinnacle"],
    )
