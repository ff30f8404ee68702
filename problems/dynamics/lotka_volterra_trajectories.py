import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

from pinnsuite import (
    D,
    Initial,
    Observed,
    Problem,
    SignalProblem,
    TimeInterval,
    Unknown,
    coordinates,
    field_of,
)

COEFFICIENTS = {"α": 1.5, "β": 1.0, "γ": 3.0, "δ": 1.0}


def lotka_volterra_trajectories(
    noise: float = 0.03,
    num_train: int = 16,
    num_test: int = 8,
    horizon: float = 5.0,
    forecast: float = 10.0,
    seed: int = 0,
) -> SignalProblem:
    """Forecast predator and prey from new starts, having seen noisy trajectories.

        x' = α x - β x y,    y' = δ x y - γ y,    α, β, γ, δ = 3/2, 1, 3, 1

    `num_train` starts drawn uniformly from [0.5, 2.5]² are followed to t = `horizon`
    (101 samples) with Gaussian noise of standard deviation `noise`. From `num_test`
    other starts of the same law, given without noise, the states up to t = `forecast`
    are wanted: an extrapolation in time and to orbits not seen. Every orbit is closed,
    V = δ x - γ ln x + β y - α ln y being constant.

    The physics has the four coefficients unknown, and the first training trajectory
    as its observations; a solver that knows the equations may fit all of them.

    Source: A. J. Lotka, Elements of Physical Biology (1925), chapter VIII; V. Volterra,
    Nature 118 (1926) 558-560, DOI 10.1038/118558a0. The truth is integrated by DOP853
    at relative tolerance 1e-12.
    """
    generator = np.random.default_rng(seed)
    starts = generator.uniform(0.5, 2.5, (num_train + num_test, 2))
    t_train = np.linspace(0.0, horizon, 101)
    t_test = np.linspace(0.0, forecast, 101)
    clean = np.stack([_orbit(s, t_train) for s in starts[:num_train]])
    states_train = clean + noise * generator.standard_normal(clean.shape)
    return SignalProblem(
        name="lotka_volterra_trajectories",
        task="forecast",
        given={
            "t_train": t_train,
            "states_train": states_train,
            "t_test": t_test,
            "initial_test": starts[num_train:],
        },
        truth={"states": np.stack([_orbit(s, t_test) for s in starts[num_train:]])},
        coordinates={
            "trajectory": np.arange(num_test, dtype=float),
            "t": t_test,
            "state": np.arange(2.0),
        },
        noise=f"Gaussian, standard deviation {noise:g}, on the training states, seed "
        f"{seed}",
        split=f"{num_train} trajectories on [0, {horizon:g}] for training, {num_test} "
        f"from other starts on [0, {forecast:g}] for judging",
        units="nondimensional",
        physics=_physics(t_train, states_train[0]),
        source="Lotka (1925), chapter VIII; Volterra (1926), DOI 10.1038/118558a0",
        tags=("synthetic", "forecast", "dynamics"),
    )


def _orbit(start: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return prey and predator at `times`, shape (times, 2)."""
    a, b, c, d = COEFFICIENTS.values()

    def rates(_: float, s: np.ndarray) -> list[float]:
        return [a * s[0] - b * s[0] * s[1], d * s[0] * s[1] - c * s[1]]

    solved = solve_ivp(
        rates,
        (times[0], times[-1]),
        start,
        method="DOP853",
        t_eval=times,
        rtol=1e-12,
        atol=1e-12,
    )
    orbit: np.ndarray = solved.y.T
    return orbit


def _physics(times: np.ndarray, states: np.ndarray) -> Problem:
    (t,) = coordinates("t")
    x, y = field_of("x", t), field_of("y", t)
    a, b, c, d = (sp.Symbol(name, positive=True) for name in COEFFICIENTS)
    return Problem(
        name="lotka_volterra",
        fields=[x, y],
        equations=[D(x, t) - a * x + b * x * y, D(y, t) - d * x * y + c * y],
        conditions=[
            Initial(x, states[0, 0]),
            Initial(y, states[0, 1]),
            Observed(x, times[:, None], states[:, 0]),
            Observed(y, times[:, None], states[:, 1]),
        ],
        time=TimeInterval(t, times[0], times[-1], len(times)),
        unknowns=[Unknown(s, 0.01, 10.0, 1.0) for s in (a, b, c, d)],
    )
