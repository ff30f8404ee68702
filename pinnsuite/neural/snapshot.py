"""Snapshots of a training: when they are due, and fields as functions of points."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from pinnsuite.neural.sampling import interior
from pinnsuite.problem.definition import Problem
from pinnsuite.solution.solution import Evaluator, Snapshot

FIRST_SNAPSHOT, SNAPSHOT_RATIO = 0.25, 1.25
BATCH = 1 << 14


class Stopwatch:
    """CPU and wall seconds since it was made."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    @property
    def cpu_s(self) -> float:
        """CPU seconds of this process."""
        return time.process_time() - self._cpu

    @property
    def wall_s(self) -> float:
        """Wall seconds."""
        return time.perf_counter() - self._wall


class Course:
    """The snapshots of a run, at geometrically spaced CPU seconds.

    Attributes
    ----------
    watch
        Of the run.
    snapshots
        Those taken.
    """

    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch
        self.snapshots: list[Snapshot] = []
        self._next = FIRST_SNAPSHOT

    def note(self, loss: float, fields: Callable[[], Evaluator]) -> None:
        """Take a snapshot of `fields` if one is due."""
        spent = self.watch.cpu_s
        if spent < self._next:
            return
        self.snapshots.append(Snapshot(spent, self.watch.wall_s, loss, fields()))
        while self._next <= spent:
            self._next *= SNAPSHOT_RATIO


def evaluator(
    problem: Problem,
    fields: Callable[[torch.Tensor], torch.Tensor],
    dtype: torch.dtype,
    device: torch.device,
) -> Evaluator:
    """Return the function from numpy points to fields by name, in batches.

    A field that is fixed up to a constant (the hint `gauge`) gets the mean zero. Fluxes
    that were made fields to solve the problem (the hint `fluxes`) are left out.
    """
    names = problem.field_names

    def at(points: np.ndarray) -> np.ndarray:
        parts = np.array_split(points, max(1, -(-len(points) // BATCH)))
        with torch.no_grad():
            values = [
                fields(torch.tensor(x, dtype=dtype, device=device)).cpu().numpy()
                for x in parts
            ]
        return np.concatenate(values).astype(float)

    gauge = problem.hints.get("gauge")
    fluxes = problem.hints.get("fluxes", ())
    offsets = np.zeros(len(names))

    def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
        if gauge is not None and not offsets.any():
            column = names.index(gauge)
            offsets[column] = at(interior(problem, BATCH, 0))[:, column].mean()
        columns = zip(names, (at(points) - offsets).T, strict=True)
        return {name: values for name, values in columns if name not in fluxes}

    return evaluate
