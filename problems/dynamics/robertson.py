"""Robertson's chemical reaction: rates from 0.04 to 3e7 in one system."""

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    D,
    Initial,
    Ladder,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)


def robertson(end: float = 1e4) -> Problem:
    """Robertson's autocatalytic reaction.

    a' = -0.04 a + 10⁴ b c, b' = 0.04 a - 10⁴ b c - 3·10⁷ b², c' = 3·10⁷ b²,
    from (1, 0, 0), 0 ≤ t ≤ 10⁴; a + b + c = 1 throughout.

    A → B slowly, B + B → C + B very fast, B + C → A + C fast: b rises to 3.6e-5 within
    5 ms and then falls for ever. The eigenvalues reach from 0 to about -10⁴.

    Trap: b is 2e-5 of a, so an absolute tolerance of 1e-6 leaves it to chance, and a
    loss that adds the squares of all three residuals does not see it. Trap: explicit
    methods take 10⁸ steps. Trap: a little below b = 0 the system is unstable.
    """
    if not 0.1 <= end <= 1e6:
        raise OptionError(f"robertson: end is {end}; it must lie between 0.1 and 1e6.")
    (t,) = coordinates("t")
    a, b, c = (field_of(name, t) for name in "abc")
    slow, back, fast = 0.04 * a, 1e4 * b * c, 3e7 * b**2
    return Problem(
        name="robertson",
        fields=[a, b, c],
        equations=[
            D(a, t) + slow - back,
            D(b, t) - slow + back + fast,
            D(c, t) - fast,
        ],
        time=TimeInterval(t, 0, end, num_outputs=201),
        conditions=[Initial(a, 1), Initial(b, 0), Initial(c, 0)],
        reference=Ladder("ode", {"method": "Radau", "rtol": 1e-9, "atol": 1e-14}),
        source=(
            "H. H. Robertson, The solution of a set of reaction rate equations, in "
            "J. Walsh (ed.), Numerical Analysis, an Introduction, Academic Press 1966; "
            "E. Hairer & G. Wanner, doi:10.1007/978-3-642-05221-7, section IV.1"
        ),
        tags=["nonlinear", "stiff", "chemistry", "ordinary"],
    )
