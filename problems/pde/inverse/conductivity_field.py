"""The conductivity along a rod, identified from a few thermometers."""

from collections.abc import Callable

import numpy as np
import scipy.fft
import scipy.linalg
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    D,
    Dirichlet,
    Evaluated,
    Initial,
    Interval,
    Observed,
    Problem,
    TimeInterval,
    UnknownField,
    coordinates,
    field_of,
)

MODES = 96
"""Sines that carry the temperature; twice as many give the same to 1e-12."""

WAVES = 4
"""Cosines in the logarithm of the conductivity."""


def conductivity_field(
    sensors: int = 7, noise: float = 0.01, roughness: float = 1.0, seed: int = 0
) -> Problem:
    """Conductivity along a rod from sparse temperatures.

    u_t = (a(x) u_x)_x on (0, 1), 0 < t ≤ 1; u(0, t) = 1, u(1, t) = 0;
    u(x, 0) = 1 - x + sin 2πx. The conductivity a(x) is unknown everywhere, the ends
    included; `sensors` evenly spaced thermometers inside are read at 40 times each,
    with errors of normal distribution, standard deviation `noise`.

    The truth is a = 0.2 exp(r Σₖ ξₖ cos(kπx)/k), k = 1…4, r = `roughness`, with ξₖ
    standard normal numbers drawn with `seed`. Continued evenly, a is smooth, so
    u - u_∞ is a series of sines that converges faster than any power: its coefficients
    follow a linear system that is solved by eigenvectors, exactly in time, and
    u_∞ = 1 - ∫₀ˣ ds/a / ∫₀¹ ds/a. The measurements are this series and noise, so no
    discretisation of a solver has part in them (no "inverse crime").

    Noise floor: with the defaults the regularised fit by `adjoint` is 1.5e-2 from the
    known a and estimates its own error, from the data alone, at 2.5e-2 (relative L2).

    Trap: the late, steady profile determines a only up to a factor (a u_x is constant
    in space); the factor is in the transient.
    Trap: near an end there is no thermometer beyond, and the error is largest there.
    """
    if not 1 <= sensors <= 100:
        raise OptionError(
            f"conductivity_field: sensors is {sensors}; it must be in 1 … 100."
        )
    if not noise >= 0:
        raise OptionError(
            f"conductivity_field: noise is {noise}; it must be at least 0."
        )
    if not 0 <= roughness <= 1:
        raise OptionError(
            f"conductivity_field: roughness is {roughness}; it must be in [0, 1]."
        )
    if seed < 0:
        raise OptionError(f"conductivity_field: seed is {seed}; use 0, 1, 2, ….")
    t, x = coordinates("t x")
    u, a = field_of("u", t, x), field_of("a", x)
    generator = np.random.default_rng(seed)
    weights = roughness * generator.standard_normal(WAVES) / np.arange(1, WAVES + 1)
    evaluate = _solution(weights)
    places = np.arange(1, sensors + 1) / (sensors + 1)
    times = np.arange(1, 41) / 40
    mesh = np.meshgrid(times, places, indexing="ij")
    points = np.stack(mesh, axis=-1).reshape(-1, 2)
    errors = noise * generator.standard_normal(len(points))
    return Problem(
        name="conductivity_field",
        fields=[u, a],
        equations=[D(u, t) - D(a * D(u, x), x)],
        domain=Interval(x, 0, 1),
        time=TimeInterval(t, 0, 1),
        conditions=[
            Initial(u, 1 - x + sp.sin(2 * sp.pi * x)),
            Dirichlet(u, 1, on="left"),
            Dirichlet(u, 0, on="right"),
            Observed(u, points, evaluate(points)["u"] + errors),
        ],
        unknowns=[UnknownField(a, 0.002, 20.0, 0.2)],
        reference=Evaluated(
            evaluate,
            error_estimate=1e-11,
            description="sine series, exact in time, 96 terms",
        ),
        source=(
            "J. V. Beck, B. Blackwell, C. R. St. Clair, Inverse Heat Conduction, 1985, "
            "ch. 1; C. R. Vogel, Computational Methods for Inverse Problems, 2002, "
            "doi:10.1137/1.9780898717570, ch. 6 (identification of a diffusion "
            "coefficient); this rod is ours"
        ),
        tags=["inverse", "coefficient field", "diffusion", "synthetic", "application"],
    )


def _solution(weights: np.ndarray) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Return temperature and conductivity as functions of points (t, x)."""
    count = 4 * MODES
    nodes = (np.arange(count) + 0.5) / count
    waves = np.arange(1, MODES + 1)

    def conductivity(x: np.ndarray) -> np.ndarray:
        angles = np.pi * np.multiply.outer(x, np.arange(1, len(weights) + 1))
        found: np.ndarray = 0.2 * np.exp(np.cos(angles) @ weights)
        return found

    def cosines(values: np.ndarray) -> np.ndarray:
        """Return c of `c₀ + Σ cₖ cos kπx` through values at the nodes."""
        found: np.ndarray = scipy.fft.dct(values) / count
        found[0] /= 2
        return found[: 2 * MODES + 1]

    # ∫ a (sin iπx)' (sin jπx)' = ijπ²/4 (c_|i-j| + c_i+j), where c₀ counts twice.
    c = cosines(conductivity(nodes))
    c[0] *= 2
    stiffness = c[abs(waves[:, None] - waves)] + c[waves[:, None] + waves]
    stiffness *= np.pi**2 / 4 * waves[:, None] * waves
    rates, modes = scipy.linalg.eigh(2 * stiffness)
    resistance = cosines(1 / conductivity(nodes))
    tail = resistance[1 : MODES + 1] / (waves * np.pi * resistance[0])
    # 1 - x + sin 2πx - u_∞ = Σ (tail + e₂) sin kπx.
    start = tail.copy()
    start[1] += 1.0
    amplitudes = modes * (modes.T @ start)

    def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
        t, x = points.T
        sines = np.sin(np.pi * np.multiply.outer(x, waves))
        decaying = np.exp(np.multiply.outer(-t, rates))
        change = np.einsum("nk,kj,nj->n", sines, amplitudes, decaying, optimize=True)
        return {"u": 1 - x - sines @ tail + change, "a": conductivity(x)}

    return evaluate
