"""Values that others computed, and how far our references are from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pinnsuite.compare.metrics import relative_l2
from pinnsuite.problem.catalog import data_file
from pinnsuite.problem.definition import Problem
from pinnsuite.verification.reference import Reference, evaluate_at

MAX_POINTS = 20_000
"""Values of a file that are compared, spread evenly over it."""


@dataclass(frozen=True)
class External:
    """A file of values under `data/external`.

    Arrays named like the coordinates and the fields: of one length for scattered
    points, or one axis each for values on a tensor grid, in the order of the file.

    Attributes
    ----------
    file
        Name of the npz file.
    axes
        Coordinates in the order that indexes the values; empty for scattered points.
    error
        Relative L2 error of the file itself, as far as it is known.
    """

    file: str
    axes: tuple[str, ...]
    error: float


EXTERNAL: Mapping[str, External] = {
    "burgers": External("burgers1d.npz", ("x", "t"), 1.33e-2),
    "kuramoto_sivashinsky": External("kuramoto_sivashinsky.npz", ("x", "t"), 5e-9),
    "poisson_discs": External("poisson_classic.npz", (), 1.4e-4),
}
"""By problem, at its default parameters."""


def read_external(
    problem: Problem, external: External
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the points, columns in the problem's order, and the values by field."""
    with np.load(data_file(f"external/{external.file}")) as data:
        arrays = {k: data[k] for k in data.files}
    columns = {c.name: arrays[c.name].ravel() for c in problem.coordinates}
    fields = {k: arrays[k].ravel() for k in problem.field_names if k in arrays}
    if external.axes:
        grids = np.meshgrid(*(columns[a] for a in external.axes), indexing="ij")
        columns = {a: g.ravel() for a, g in zip(external.axes, grids, strict=True)}
    points = np.stack([columns[c.name] for c in problem.coordinates], axis=1)
    count = min(len(points), MAX_POINTS)
    chosen = np.linspace(0, len(points) - 1, count).round().astype(int)
    return points[chosen], {k: v[chosen] for k, v in fields.items()}


def external_difference(
    problem: Problem, reference: Reference, external: External
) -> dict[str, float]:
    """Return the relative L2 difference of our reference from a file, by field."""
    points, theirs = read_external(problem, external)
    ours = evaluate_at(problem, reference, points)
    gauge = problem.hints.get("gauge")
    found = {}
    for name, values in theirs.items():
        mine = np.asarray(ours[name])
        shift = (values - mine).mean() if name == gauge else 0.0
        found[name] = relative_l2(mine + shift, values)
    return found
