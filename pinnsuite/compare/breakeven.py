"""After how many solves a learned operator has paid back its data and its training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pinnsuite.compare.wording import error as write
from pinnsuite.compare.wording import seconds, times
from pinnsuite.errors import DataError

MIN_RUNGS = 4
"""Resolutions that a work-precision curve needs before it may be interpolated."""

Code = Literal["AMORTISED", "NEVER-PAYS", "INCOMPLETE"]


@dataclass(frozen=True)
class Breakeven:
    """The break-even count, or why there is none.

    Attributes
    ----------
    code
        `AMORTISED`, `NEVER-PAYS`, or `INCOMPLETE` where no count can be computed.
    count
        Solves after which the learned operator was cheaper in all; None without one.
    speedup
        Marginal: cost of one classical solve over one inference, at equal error; None
        when INCOMPLETE.
    classical_s
        CPU seconds of one classical solve at the operator's error.
    sentence
        All of this for a person.
    """

    code: Code
    count: float | None
    speedup: float | None
    classical_s: float | None
    sentence: str


def breakeven(
    *,
    once_s: float,
    infer_s: float,
    error: float,
    classical_errors: np.ndarray,
    classical_s: np.ndarray,
) -> Breakeven:
    """Return `N* = (C_data + C_tune + C_train) / (c_classical(ε) - c_infer)`.

    ε is the operator's own error, and `c_classical(ε)` is read off the classical
    solver's work-precision curve, see `classical_cost`.

    Parameters
    ----------
    once_s
        CPU seconds spent once: data, tuning and training.
    infer_s
        CPU seconds of one inference, from a batch as large as the classical one.
    error
        ε.
    classical_errors, classical_s
        Shape (rungs,): errors, and CPU seconds of one member, at `MIN_RUNGS`
        resolutions or more.

    Raises
    ------
    DataError
        If a cost or an error is negative or not finite, or the rungs do not match.
    """
    errors = np.asarray(classical_errors, dtype=float)
    costs = np.asarray(classical_s, dtype=float)
    _check(once_s, infer_s, error, errors, costs)
    if len(errors) < MIN_RUNGS:
        return _incomplete(
            f"the classical work-precision curve has {len(errors)} resolutions, and "
            f"{MIN_RUNGS} are needed"
        )
    cost = classical_cost(error, errors, costs)
    if cost is None:
        return _incomplete(
            f"the classical solver was run to {write(float(errors.min()))} only, and "
            f"the operator's error is {write(error)}; add finer resolutions"
        )
    speedup = cost / infer_s
    at = (
        f"at error {write(error)}: one classical solve costs {seconds(cost)}, one "
        f"inference {seconds(infer_s)} (marginal speed-up {times(speedup)})"
    )
    if infer_s >= cost:
        return Breakeven("NEVER-PAYS", None, speedup, cost, f"Never pays off {at}.")
    count = once_s / (cost - infer_s)
    solves = times(float(math.ceil(count)))
    sentence = f"Pays off after {solves} solves {at}, {seconds(once_s)} spent once."
    return Breakeven("AMORTISED", count, speedup, cost, sentence)


def classical_cost(
    error: float, classical_errors: np.ndarray, classical_s: np.ndarray
) -> float | None:
    """Return the cost at which the classical solver reaches `error`.

    Interpolated log-log between the rungs that no other rung beats in both error and
    cost. Above the largest error of these it is the cost of that rung, the cheapest
    that was run; below the smallest it is None: that error was not reached.
    """
    errors = np.asarray(classical_errors, dtype=float)
    costs = np.asarray(classical_s, dtype=float)
    order = np.lexsort((costs, errors))  # smallest error first, so costs must fall
    front: list[int] = []
    for i in order:
        if not front or costs[i] < costs[front[-1]]:
            front.append(int(i))
    if error < errors[front[0]]:
        return None
    # An exact rung has no logarithm; as an error, the smallest number will do.
    tiny = np.finfo(float).tiny
    at = np.log(np.maximum(errors[front], tiny))
    cost = np.interp(math.log(max(error, tiny)), at, np.log(costs[front]))
    return float(np.exp(cost))


def _check(
    once_s: float, infer_s: float, error: float, errors: np.ndarray, costs: np.ndarray
) -> None:
    if errors.ndim != 1 or errors.shape != costs.shape:
        raise DataError(
            f"The work-precision curve has errors of shape {errors.shape} and costs of "
            f"shape {costs.shape}; needed is one of each a rung."
        )
    for name, value, lowest in (
        ("once_s", once_s, 0.0),
        ("error", error, 0.0),
        ("infer_s", infer_s, np.nextafter(0.0, 1.0)),
    ):
        if not (math.isfinite(value) and value >= lowest):
            raise DataError(
                f"{name} is {value!r}; needed is a finite number "
                f"{'>= 0' if lowest == 0.0 else '> 0'}."
            )
    if not (np.isfinite(errors).all() and (errors >= 0).all()):
        raise DataError(
            f"Classical errors must be finite and not negative; given {errors}."
        )
    if not (np.isfinite(costs).all() and (costs > 0).all()):
        raise DataError(f"Classical costs must be finite and positive; given {costs}.")


def _incomplete(reason: str) -> Breakeven:
    return Breakeven("INCOMPLETE", None, None, None, f"No break-even count: {reason}.")


__all__ = ["MIN_RUNGS", "Breakeven", "breakeven", "classical_cost"]
