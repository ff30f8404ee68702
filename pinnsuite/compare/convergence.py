"""How the error falls under refinement, and what error bar that gives.

Refine a solver by a fixed ratio r and let `d_k = ‖u_{k+1} - u_k‖` be the differences of
successive solutions. Where the error behaves as `C hᵖ`, d falls by rᵖ a step, and the
finest solution's error is `d / (rᵖ - 1)`.

Source: P. J. Roache, Verification of codes and calculations, AIAA J. 36 (1998) 696-702,
doi:10.2514/2.457 (grid convergence index).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CREDIBLE = 0.3
"""How far an observed order may be from the declared one."""

SAFETY_CREDIBLE, SAFETY_OTHERWISE = 1.25, 3.0
"""Roache's factors: with three grids that show their order, and otherwise."""


@dataclass(frozen=True)
class Convergence:
    """What a ladder of refinements shows.

    Attributes
    ----------
    observed_order
        p from the last three solutions; None with two, or where the differences are
        rounding.
    error_estimate
        Of the finest solution, by Richardson's argument with the observed order, or
        the declared one where that is lower; infinite where the differences do not
        fall.
    gci
        The error estimate times its safety factor.
    safety
        The factor: 1.25 for a credible ladder of three grids, else 3.
    """

    observed_order: float | None
    error_estimate: float
    gci: float
    safety: float


def convergence(
    differences: Sequence[float],
    *,
    ratio: float = 2.0,
    expected_order: float | None = None,
    floor: float = 1e-14,
) -> Convergence:
    """Return order and error bar from the differences of successive solutions.

    With spectral accuracy the differences fall faster at each step, so that the last
    observed order bounds the next one and the estimate errs on the safe side.

    Parameters
    ----------
    differences
        `‖u_{k+1} - u_k‖` from coarse to fine, in the norm of the wanted error bar.
    ratio
        r > 1, by which mesh width (and step) shrink from one solution to the next.
    expected_order
        Declared order; used alone where two solutions are all there is.
    floor
        Differences at or below it are rounding.
    """
    if not differences or ratio <= 1.0:
        raise ValueError(
            f"convergence needs at least one difference and a ratio above 1; given "
            f"{len(differences)} and {ratio}."
        )
    last = float(differences[-1])
    if not np.isfinite(last):
        return Convergence(None, np.inf, np.inf, SAFETY_OTHERWISE)
    if last <= floor:
        return Convergence(None, floor, SAFETY_OTHERWISE * floor, SAFETY_OTHERWISE)
    order = None
    if len(differences) > 1 and np.isfinite(differences[-2]):
        order = float(np.log(differences[-2] / last) / np.log(ratio))
    # An order above the declared one is a coarse ladder's, and would not last.
    used = min((p for p in (order, expected_order) if p is not None), default=None)
    if used is None or used <= 0.0:
        return Convergence(order, np.inf, np.inf, SAFETY_OTHERWISE)
    credible = order is not None and (
        expected_order is None or abs(order - expected_order) <= CREDIBLE
    )
    safety = SAFETY_CREDIBLE if credible else SAFETY_OTHERWISE
    estimate = last / (ratio**used - 1.0)
    return Convergence(order, estimate, safety * estimate, safety)


def observed_orders(
    errors: Sequence[float] | np.ndarray, ratio: float = 2.0
) -> np.ndarray:
    """Return `log(e_k / e_{k+1}) / log r`, one less than there are errors."""
    orders: np.ndarray = -np.diff(np.log(np.asarray(errors, float))) / np.log(ratio)
    return orders
