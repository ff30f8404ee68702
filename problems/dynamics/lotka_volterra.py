"""Predator and prey, identified from the fur trade's pelts of hare and lynx."""

import numpy as np

from pinnsuite.problem import (
    D,
    Initial,
    Ladder,
    Observed,
    Problem,
    TimeInterval,
    Unknown,
    coordinates,
    data_file,
    field_of,
)


def lotka_volterra() -> Problem:
    """Lotka-Volterra identified from Hudson Bay pelts.

    H' = α H - β H L, L' = -γ L + δ H L; hare H and lynx L in thousands of pelts, t in
    years since 1900.

    The four rates and the two initial values are unknown; 21 yearly counts of each
    species (1900-1920) are given, with multiplicative errors, so misfits are of
    logarithms. The reference is the converged least-squares fit: the maximum-likelihood
    answer under log-normal noise, not the truth about the animals.
    """
    (t,) = coordinates("t")
    hare, lynx = field_of("hare", t), field_of("lynx", t)
    alpha, beta, gamma, delta, hare0, lynx0 = coordinates(
        "alpha beta gamma delta hare0 lynx0"
    )
    table = np.loadtxt(
        data_file("measured/hudson_bay_pelts.csv"), delimiter=",", skiprows=1
    )
    years = table[:, :1] - 1900.0
    return Problem(
        name="lotka_volterra",
        fields=[hare, lynx],
        equations=[
            D(hare, t) - alpha * hare + beta * hare * lynx,
            D(lynx, t) + gamma * lynx - delta * hare * lynx,
        ],
        time=TimeInterval(t, 0, 20, num_outputs=201),
        conditions=[
            Initial(hare, hare0),
            Initial(lynx, lynx0),
            Observed(hare, years, table[:, 1], scale="log"),
            Observed(lynx, years, table[:, 2], scale="log"),
        ],
        unknowns=[
            Unknown(alpha, 0.1, 2.0, 0.5),
            Unknown(beta, 0.005, 0.2, 0.02),
            Unknown(gamma, 0.1, 2.0, 0.5),
            Unknown(delta, 0.005, 0.2, 0.02),
            Unknown(hare0, 5.0, 100.0, 30.0),
            Unknown(lynx0, 1.0, 30.0, 4.0),
        ],
        reference=Ladder("least-squares", {}),
        source=(
            "C. Elton, M. Nicholson, The ten-year cycle in numbers of the lynx in "
            "Canada, Journal of Animal Ecology 11 (1942) 215-244, doi:10.2307/1358"
        ),
        tags=["nonlinear", "inverse", "real data", "ordinary"],
    )
