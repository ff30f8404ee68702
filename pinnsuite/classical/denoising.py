"""Restoring a signal from white noise: wavelet shrinkage, local Wiener filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pywt
import scipy.signal

from pinnsuite.errors import OptionError
from pinnsuite.problem.signal import SignalProblem, other_task
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution
from pinnsuite.solution.support import Grid
from pinnsuite.solver import Progress, require_supported, silent

MAD_OF_NORMAL = 0.6744897501960817
"""Median of |n| for n ~ N(0, 1)."""


def why_not_restore(problem: SignalProblem) -> str | None:
    """Say why a method for evenly sampled signals in noise cannot take `problem`."""
    reason = other_task(problem, "restore")
    if reason is not None:
        return reason
    if problem.given["noisy"].ndim != 1:
        return "the noisy signal has more than one axis; give one record"
    steps = np.diff(problem.given["t"])
    if not np.allclose(steps, steps[0]):
        return "the samples are not evenly spaced; resample them"
    return None


def noise_level(noisy: np.ndarray, wavelet: str) -> float:
    """Return σ of white noise, the median of the finest details over 0.6745.

    A smooth signal has few large fine details, which the median does not see.
    Source: D. L. Donoho and I. M. Johnstone, Biometrika 81 (1994) 425-455,
    DOI 10.1093/biomet/81.3.425, section 4.2.
    """
    _, details = pywt.dwt(noisy, wavelet)
    return float(np.median(np.abs(details)) / MAD_OF_NORMAL)


@dataclass(frozen=True)
class WaveletShrinkage:
    """Set small wavelet coefficients to zero, averaged over shifts of the signal.

    With orthonormal details d_k of white noise σ, those below the universal threshold
    σ √(2 ln n) are set to zero and the others kept (hard thresholding). Averaging over
    `num_shifts` circular shifts removes the artefacts that come from where the record
    begins ("cycle spinning"). σ is estimated from the record.

    Source: R. R. Coifman and D. L. Donoho, Translation-invariant de-noising, in
    Wavelets and Statistics (1995) 125-150, DOI 10.1007/978-1-4612-2544-7_9.

    Attributes
    ----------
    wavelet
        An orthogonal wavelet of PyWavelets.
    num_shifts
        Shifts by 0, 1, … samples; 1 is plain shrinkage.
    """

    family: ClassVar[str] = "classical"

    wavelet: str = "sym4"
    num_shifts: int = 16

    def __post_init__(self) -> None:
        known = pywt.wavelist(kind="discrete")
        if self.wavelet not in known or not pywt.Wavelet(self.wavelet).orthogonal:
            raise OptionError(
                f"wavelet is {self.wavelet!r}; needed is an orthogonal wavelet of "
                "PyWavelets, such as 'sym4', 'db4' or 'coif2'."
            )
        if self.num_shifts < 1:
            raise OptionError(f"num_shifts is {self.num_shifts}; needed is at least 1.")

    def why_not(self, problem: SignalProblem) -> str | None:
        """Say why `problem` is no restoration of one evenly sampled record."""
        return why_not_restore(problem)

    def solve(
        self,
        problem: SignalProblem,
        *,
        progress: Progress = silent,
        budget: float | None = None,  # noqa: ARG002
    ) -> Solution:
        """Return the restored signal."""
        require_supported(self, problem)
        clock = Clock()
        noisy = problem.given["noisy"]
        with clock.phase("solve"):
            sigma = noise_level(noisy, self.wavelet)
            threshold = sigma * np.sqrt(2 * np.log(len(noisy)))
            total = np.zeros_like(noisy)
            for shift in range(self.num_shifts):
                coarse, *details = pywt.wavedec(
                    np.roll(noisy, shift), self.wavelet, "periodization"
                )
                kept = [np.where(np.abs(d) > threshold, d, 0.0) for d in details]
                restored = pywt.waverec([coarse, *kept], self.wavelet, "periodization")
                total += np.roll(restored[: len(noisy)], -shift)
        progress(1.0, f"sigma {sigma:.3g}")
        return Solution(
            Grid(problem.coordinates),
            {"signal": total / self.num_shifts},
            cost=clock.cost(),
            details={"noise_level": sigma, "threshold": float(threshold)},
        )


@dataclass(frozen=True)
class WienerFilter:
    """Shrink every sample to the local mean by the local share of noise.

        ŝ = m + max(v - σ², 0) / max(v, σ²) · (y - m)

    with mean m and variance v of y in a window around the sample, and σ² the mean of
    v over the record.

    Source: J. S. Lim, Two-Dimensional Signal and Image Processing (1990), equation
    9.44; `scipy.signal.wiener`.

    Attributes
    ----------
    window
        Samples in the window, odd.
    """

    family: ClassVar[str] = "classical"

    window: int = 9

    def __post_init__(self) -> None:
        if self.window < 3 or self.window % 2 == 0:
            raise OptionError(
                f"window is {self.window}; needed is an odd number of at least 3."
            )

    def why_not(self, problem: SignalProblem) -> str | None:
        """Say why `problem` is no restoration of one evenly sampled record."""
        return why_not_restore(problem)

    def solve(
        self,
        problem: SignalProblem,
        *,
        progress: Progress = silent,
        budget: float | None = None,  # noqa: ARG002
    ) -> Solution:
        """Return the restored signal."""
        require_supported(self, problem)
        clock = Clock()
        with clock.phase("solve"):
            restored = scipy.signal.wiener(problem.given["noisy"], self.window)
        progress(1.0, "filtered")
        return Solution(
            Grid(problem.coordinates), {"signal": restored}, cost=clock.cost()
        )
