"""Measures of error; the formula of each is stored beside every number.

Names are not enough: nRMSE, VRMSE and relative L2 differ, and so do their weights.
"""

from __future__ import annotations

import numpy as np

from pinnsuite.errors import DataError

FORMULAS = {
    "relative_l2": "‖u − v‖ / ‖v‖ with ‖w‖² = Σ ωᵢ wᵢ², ω the quadrature weights of "
    "the common points; v the reference. Where v = 0: ‖u‖ / ‖1‖",
    "relative_l1": "Σ ωᵢ |uᵢ − vᵢ| / Σ ωᵢ |vᵢ|, ω the quadrature weights of the common "
    "points; v the reference. Where v = 0: Σ ωᵢ |uᵢ| / Σ ωᵢ",
    "relative_l2 modulo constant": "‖(u − ū) − (v − v̄)‖ / ‖v − v̄‖, the bar being the "
    "weighted mean, with ‖w‖² = Σ ωᵢ wᵢ²",
    "relative_l2 of members": "mean over the test members of ‖u − v‖₂ / ‖v‖₂, sums "
    "over the grid points of a member",
    "relative_l2 of samples": "‖u − v‖₂ / ‖v‖₂, sums over all samples, equal weights",
    "max": "max |uᵢ − vᵢ| over the common points",
    "error_rate": "share of samples whose largest score is not at the true class",
    "bits_per_character": "−(1/n) Σ log₂ p(cᵢ), p the probability given to the true "
    "character; Σ p = 1 was checked for each i",
}
"""What is computed, by the name of the metric and its variant."""

FIELD_METRICS = ("relative_l2", "relative_l1")
"""Those that measure fields, relative to the reference."""


def norm(values: np.ndarray, weights: np.ndarray) -> float:
    """Return `(Σ ω w²)^½`; NaN or infinite values give infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        square = float(np.sum(weights * values**2))
    return float(np.sqrt(square)) if np.isfinite(square) else np.inf


def relative_l2(
    values: np.ndarray, reference: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Return `‖u - v‖ / ‖v‖` with `‖w‖² = Σ ωᵢ wᵢ²`.

    Without weights all points count alike. A field with NaN or infinity is infinitely
    wrong. Where the reference vanishes, the root mean square of `u` is returned.

    Parameters
    ----------
    values, reference, weights
        Arrays of one shape.
    """
    weights = np.ones(reference.shape) if weights is None else weights
    scale = norm(reference, weights) or float(np.sqrt(weights.sum()))
    with np.errstate(invalid="ignore"):
        difference = values - reference
    return norm(difference, weights) / scale


def relative_l1(
    values: np.ndarray, reference: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Return `Σ ωᵢ |uᵢ - vᵢ| / Σ ωᵢ |vᵢ|`, for fields that jump.

    Weights, NaN and a vanishing reference are treated as in `relative_l2`.

    Parameters
    ----------
    values, reference, weights
        Arrays of one shape.
    """
    weights = np.ones(reference.shape) if weights is None else weights
    scale = float(np.sum(weights * np.abs(reference))) or float(weights.sum())
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(np.sum(weights * np.abs(values - reference)))
    return total / scale if np.isfinite(total) else np.inf


def relative_l2_modulo_constant(
    values: np.ndarray, reference: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Return the relative L2 error after both weighted means are taken off.

    It is the error of a field that the equations fix up to a constant, such as the
    pressure of an incompressible flow.
    """
    weights = np.ones(reference.shape) if weights is None else weights
    with np.errstate(invalid="ignore"):
        centred = values - np.average(values, weights=weights)
    mean = np.average(reference, weights=weights)
    return relative_l2(centred, reference - mean, weights)


def mean_relative_l2(values: np.ndarray, reference: np.ndarray) -> float:
    """Return the mean over the first axis of each member's `‖u - v‖₂ / ‖v‖₂`."""
    return float(
        np.mean([relative_l2(u, v) for u, v in zip(values, reference, strict=True)])
    )


def max_error(values: np.ndarray, reference: np.ndarray) -> float:
    """Return `max |u - v|`, infinite where a value is NaN."""
    with np.errstate(invalid="ignore"):
        difference = np.abs(values - reference)
    return float(difference.max()) if np.isfinite(difference).all() else np.inf


def error_rate(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of rows of `scores` whose largest entry is at the wrong class.

    Parameters
    ----------
    scores
        Shape (n, classes).
    truth
        Labels, shape (n,), or one-hot rows, shape (n, classes).

    Raises
    ------
    DataError
        If a score is NaN: it would silently count as the largest one.
    """
    if np.isnan(scores).any():
        raise DataError(
            f"scores hold NaN in {int(np.isnan(scores).any(axis=1).sum())} of "
            f"{len(scores)} rows; every sample needs a number for each class."
        )
    return float(np.mean(scores.argmax(axis=1) != _labels(truth)))


def bits_per_character(
    log2_probability: np.ndarray, truth: np.ndarray, tolerance: float = 1e-5
) -> float:
    """Return the mean code length `-(1/n) Σ log₂ p(cᵢ)` of the true characters.

    Parameters
    ----------
    log2_probability
        Shape (n, codes): one distribution a row.
    truth
        Codes, shape (n,), or one-hot rows, shape (n, codes).
    tolerance
        How far a row's probabilities may sum from 1.

    Raises
    ------
    DataError
        If a row is no probability distribution: the number would mean nothing.
    """
    total = np.exp2(log2_probability).sum(axis=1)
    wrong = ~(np.abs(total - 1.0) <= tolerance)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"log2_probability: the probabilities of row {row} sum to {total[row]:.6g} "
            f"({int(wrong.sum())} of {len(total)} rows are off); each row must sum to "
            "1. Normalise with a log-softmax."
        )
    codes = _labels(truth)
    return float(-log2_probability[np.arange(len(codes)), codes].mean())


def _labels(truth: np.ndarray) -> np.ndarray:
    """Return labels, from labels or from one-hot rows."""
    labels: np.ndarray = truth.argmax(axis=1) if truth.ndim == 2 else truth.astype(int)
    return labels
