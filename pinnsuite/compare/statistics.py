"""What several seeds say: robust middles and the spread that goes with them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 10_000
"""Bootstrap resamples; the 95 % ends are then stable to about a per cent."""


def interquartile_mean_log10(errors: Sequence[float] | np.ndarray) -> float:
    """Return 10 to the mean of the middle half of log10(error).

    A quarter of the sorted values is left off at each end, fractionally for counts that
    four does not divide, so that every n ≥ 1 has an answer.

    Source: R. Agarwal et al., NeurIPS 2021 (arXiv:2108.13264), section 4.3.
    """
    logs = np.sort(np.log10(np.asarray(errors, float)))
    n = len(logs)
    # Value k covers [k, k + 1] of a length n; its share is the overlap with the middle.
    edges = np.arange(n)
    share = np.clip(np.minimum(edges + 1, 0.75 * n) - np.maximum(edges, n / 4), 0, 1)
    return float(10 ** np.average(logs[share > 0], weights=share[share > 0]))


def ratio_interval(
    numerator: Sequence[float] | np.ndarray,
    denominator: Sequence[float] | np.ndarray,
    *,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """Return the ratio of medians and its bootstrap interval (percentile method).

    Both sides are resampled on their own. One value a side gives an interval of no
    width, which says that nothing is known about the spread, not that there is none.

    Returns
    -------
    ratio, lower end, upper end
    """
    generator = np.random.default_rng(seed)

    def medians(values: np.ndarray) -> np.ndarray:
        drawn = generator.integers(len(values), size=(RESAMPLES, len(values)))
        result: np.ndarray = np.median(values[drawn], axis=1)
        return result

    top, bottom = np.asarray(numerator, float), np.asarray(denominator, float)
    ratios = medians(top) / medians(bottom)
    tail = (1 - level) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return float(np.median(top) / np.median(bottom)), float(low), float(high)
