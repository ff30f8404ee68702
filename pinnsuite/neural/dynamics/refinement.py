"""Is a trained network a differential equation? Its answer under refined steps.

A network that solves x' = f(x, t) by steps of size h has an answer also at h/2, h/4, …
If these converge at the order of the scheme, and the answer at the trained step is near
the limit, then the network is that equation; if the answer at the trained step is far
from the limit, the network lives off its own discretisation error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np


def step_refinement(
    features: Callable[[int], np.ndarray],
    counts: Sequence[int],
    *,
    trained: int,
    expected_order: int,
    scores: Callable[[np.ndarray], dict[str, float]] | None = None,
) -> dict[str, Any]:
    """Return how the answer of a trained network depends on its number of steps.

    Parameters
    ----------
    features
        The network's state at the last time, computed with this number of steps.
    counts
        Numbers of steps, each twice the one before.
    trained
        The number of steps in training, one of `counts`.
    expected_order
        Of the scheme.
    scores
        Further numbers about features, each a column of the table.

    Returns
    -------
    Columns of equal length, as plain numbers: `steps`; `distance`, the relative L2
    distance to the finest answer (0 there); `observed_order`,
    log₂(‖x_{n/2} - x_n‖ / ‖x_n - x_{2n}‖), None where a neighbour is missing or the
    differences are rounding; and those of `scores`. Beside them `trained_steps`,
    `expected_order` and `trained_distance`.
    """
    answers = [features(n) for n in counts]
    size = float(np.linalg.norm(answers[-1]))
    distance = [float(np.linalg.norm(a - answers[-1])) / size for a in answers]
    change = [float(np.linalg.norm(b - a)) / size for a, b in pairwise(answers)]
    rounding = 100 * float(np.finfo(answers[-1].dtype).eps)
    order: list[float | None] = [None] * len(counts)
    for i, (coarse, fine) in enumerate(pairwise(change), 1):
        if math.isfinite(coarse) and fine > rounding:
            order[i] = math.log2(coarse / fine)
    table: dict[str, Any] = {
        "steps": list(counts),
        "distance": distance,
        "observed_order": order,
        "expected_order": expected_order,
        "trained_steps": trained,
        "trained_distance": distance[list(counts).index(trained)],
    }
    rows = [scores(a) for a in answers] if scores is not None else []
    for name in rows[0] if rows else ():
        table[name] = [row[name] for row in rows]
    return table
