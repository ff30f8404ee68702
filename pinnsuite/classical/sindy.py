"""Sparse identification of nonlinear dynamics."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import ClassVar

import numpy as np
from scipy.signal import savgol_filter

from pinnsuite.classical.trajectory import forecast
from pinnsuite.errors import OptionError
from pinnsuite.problem.signal import SignalProblem, other_task
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution
from pinnsuite.solver import Progress, require_supported, silent

MAX_SWEEPS = 20
"""Sweeps of thresholding; it converges in a few (the support can only shrink)."""


@dataclass(frozen=True)
class SINDy:
    """Regress the measured rates on monomials of the states, few of them.

    x' = Θ(x) Ξ with Θ all monomials up to `degree`. States and rates come from local
    polynomials of degree 4 through `window` samples (Savitzky and Golay), whose error
    is O(Δt⁴) without noise. Least squares, with coefficients below `threshold` set to
    zero and the others fitted again until none falls below (sequentially thresholded
    least squares). No knowledge of the equations is used.

    Source: S. L. Brunton, J. L. Proctor and J. N. Kutz, PNAS 113 (2016) 3932-3937,
    DOI 10.1073/pnas.1517384113.

    Attributes
    ----------
    degree
        Highest total degree of the monomials.
    threshold
        Smallest coefficient that is kept, in units of state over time.
    window
        Samples of the smoothing, odd and at least 5; 5 interpolates.
    """

    family: ClassVar[str] = "classical"
    tuned_on: ClassVar[tuple[str, ...]] = ("lotka_volterra_trajectories",)

    degree: int = 2
    threshold: float = 0.3
    window: int = 7

    def __post_init__(self) -> None:
        if self.degree < 1:
            raise OptionError(f"degree is {self.degree}; needed is at least 1.")
        if not self.threshold >= 0:
            raise OptionError(f"threshold is {self.threshold}; needed is at least 0.")
        if self.window < 5 or self.window % 2 == 0:
            raise OptionError(
                f"window is {self.window}; needed is an odd number of at least 5."
            )

    def why_not(self, problem: SignalProblem) -> str | None:
        """Say why `problem` is no forecast from enough evenly spaced samples."""
        reason = other_task(problem, "forecast")
        if reason is not None:
            return reason
        times = problem.given["t_train"]
        if len(times) <= self.window:
            return f"{len(times)} training times do not fill the window {self.window}"
        if not np.allclose(np.diff(times), times[1] - times[0]):
            return "the training times are not evenly spaced; resample the states"
        return None

    def solve(
        self,
        problem: SignalProblem,
        *,
        progress: Progress = silent,
        budget: float | None = None,  # noqa: ARG002
    ) -> Solution:
        """Return the forecast of the identified system, integrated to 1e-9."""
        require_supported(self, problem)
        clock = Clock()
        times, states = problem.given["t_train"], problem.given["states_train"]
        num_states = states.shape[2]
        with clock.phase("train"):
            powers = _powers(num_states, self.degree)
            smooth, rates = (self._local_polynomial(states, times, k) for k in (0, 1))
            coefficients = thresholded_least_squares(
                _monomials(smooth, powers), rates, self.threshold
            )
        progress(1.0, f"{np.count_nonzero(coefficients)} terms")
        details = {
            "dofs": int(np.count_nonzero(coefficients)),
            "equations": [_equation(c, powers) for c in coefficients.T],
        }
        return forecast(
            problem,
            lambda s: _monomials(s, powers) @ coefficients,
            clock,
            details,
            coefficients={},
        )

    def _local_polynomial(
        self, states: np.ndarray, times: np.ndarray, derivative: int
    ) -> np.ndarray:
        """Return states or rates where the window is whole, shape (samples, states)."""
        half = self.window // 2
        step = float(times[1] - times[0])
        values = savgol_filter(states, self.window, 4, derivative, step, axis=1)
        inner: np.ndarray = values[:, half:-half].reshape(-1, states.shape[2])
        return inner


def thresholded_least_squares(
    features: np.ndarray, targets: np.ndarray, threshold: float
) -> np.ndarray:
    """Return Ξ with `features @ Ξ ≈ targets` and no entry in (0, threshold).

    Shapes (samples, features), (samples, targets) -> (features, targets).
    """
    support = np.ones((features.shape[1], targets.shape[1]), dtype=bool)
    coefficients = np.zeros(support.shape)
    for _ in range(MAX_SWEEPS):
        coefficients[:] = 0.0
        for j, kept in enumerate(support.T):
            fit = np.linalg.lstsq(features[:, kept], targets[:, j], rcond=None)
            coefficients[kept, j] = fit[0]
        large = np.abs(coefficients) >= threshold
        if (large == support).all():
            break
        support = large
    return coefficients


def _powers(num_states: int, degree: int) -> np.ndarray:
    """Return the exponents of the monomials, shape (features, states)."""
    chosen = [
        factors
        for d in range(degree + 1)
        for factors in combinations_with_replacement(range(num_states), d)
    ]
    return np.array([[f.count(i) for i in range(num_states)] for f in chosen])


def _monomials(states: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """Return the monomials, shape (samples, features)."""
    values: np.ndarray = np.prod(states[:, None, :] ** powers, axis=2)
    return values


def _equation(coefficients: np.ndarray, powers: np.ndarray) -> str:
    """Return a right-hand side in words, such as `1.5 x0 - 1 x0 x1`."""
    terms = []
    for value, exponents in zip(coefficients, powers, strict=True):
        if value:
            factors = [
                f"x{i}" if n == 1 else f"x{i}^{n}" for i, n in enumerate(exponents) if n
            ]
            terms.append(" ".join([f"{value:.4g}", *factors]))
    return " + ".join(terms).replace("+ -", "- ") or "0"
