"""Error against time: curves, the best of them, and how long each error takes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pinnsuite.compare.metrics import FIELD_METRICS
from pinnsuite.solution.record import Record
from pinnsuite.solution.solution import Status

LEARNED = ("pinn", "operator", "neural-de")
"""Families that are trained; the others are what they are compared with."""

LEVELS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""Errors of the time-to-error table."""

MOMENTS = (1.0, 10.0, 60.0, 600.0)
"""CPU seconds of the error-at-time table."""


@dataclass(frozen=True)
class Point:
    """An error and the CPU seconds it took."""

    error: float
    cpu_s: float
    label: str = ""


@dataclass(frozen=True)
class Curve:
    """What one solver offers: classical by resolution, learned by seed over time.

    Attributes
    ----------
    name
        The solver's, with the scheme in brackets, or the options that tell learned
        configurations apart, where it has several.
    solver
        The solver's alone.
    points
        Sorted by CPU seconds.
    seed
        None for a deterministic solver.
    """

    name: str
    solver: str
    family: str
    points: tuple[Point, ...]
    seed: int | None = None

    @property
    def is_learned(self) -> bool:
        """Whether it was trained."""
        return self.family in LEARNED


def is_learned(record: Record) -> bool:
    """Say whether the record's solver was trained."""
    return record.solver.family in LEARNED


def usable_error(record: Record) -> float:
    """Return the error that a run ended with, infinite unless it ended well.

    A run whose budget ended still has its error; one that failed has none.
    """
    done = record.status in (Status.OK, Status.NOT_REACHED)
    value = record.error.value
    return value if done and value is not None else math.inf


def configuration(record: Record) -> str:
    """Return what two runs share that differ in their seed alone."""
    options = {k: v for k, v in record.solver.options.items() if k != "seed"}
    return f"{record.solver.id}{sorted(options.items(), key=str)}"


def learned_names(records: Iterable[Record]) -> dict[str, str]:
    """Return a name for each learned configuration in `records`.

    It is the solver's alone where there is one configuration of it. Several are told
    apart by the options in which each differs from the value that is the commonest:
    where one option at a time was changed, the unchanged configuration has the plain
    name.
    """
    by_solver: dict[str, dict[str, Mapping[str, Any]]] = {}
    for r in records:
        if is_learned(r):
            options = {k: v for k, v in r.solver.options.items() if k != "seed"}
            by_solver.setdefault(r.solver.id, {})[configuration(r)] = options
    names = {}
    for solver, found in by_solver.items():
        common = _common([*found.values()])
        for key, chosen in found.items():
            words = [
                f"{k}={v}"
                for k, v in chosen.items()
                if len(found) > 1 and (k not in common or common[k] != v)
            ]
            names[key] = ", ".join([solver, *words])
    return names


def _common(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the value of each option that occurs more often than any other."""
    common = {}
    for name in dict.fromkeys(k for options in found for k in options):
        values = [options.get(name) for options in found]
        counts = sorted(((values.count(v), i) for i, v in enumerate(values)))
        most, index = counts[-1]
        if all(n < most for n, i in counts if values[i] != values[index]):
            common[name] = values[index]
    return common


def by_name(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Group records of one problem: classical solvers, then learned configurations."""
    names = learned_names(records)
    groups: dict[str, list[Record]] = {}
    for r in records:
        groups.setdefault(names.get(configuration(r), r.solver.id), []).append(r)
    return dict(
        sorted(groups.items(), key=lambda item: (is_learned(item[1][0]), item[0]))
    )


def anytime(record: Record) -> tuple[Point, ...]:
    """Return what a run had reached when: its trace, then its end.

    Traces hold errors of fields; for a metric of another kind only the end counts.
    """
    points = []
    if record.error.metric in FIELD_METRICS:
        points = [
            Point(e, cpu) for cpu, _, _, e in record.trace if e is not None and cpu > 0
        ]
    end = usable_error(record)
    if math.isfinite(end):
        last = max([record.compared_s, *(p.cpu_s for p in points)])
        points.append(Point(end, last))
    return tuple(sorted(points, key=lambda p: p.cpu_s))


def time_to_error(record: Record, level: float) -> float:
    """Return the CPU seconds after which a run stays at or below `level`.

    It is infinite for a run that ended above: a solver cannot know that it was better
    before. Between two entries of the trace the later one counts.
    """
    if usable_error(record) > level:
        return math.inf
    reached = math.inf
    for point in reversed(anytime(record)):
        if point.error > level:
            break
        reached = point.cpu_s
    return reached


def error_at(record: Record, cpu_s: float) -> float:
    """Return the error that a run had after `cpu_s`, infinite before its first one."""
    before = [p.error for p in anytime(record) if p.cpu_s <= cpu_s]
    return before[-1] if before else math.inf


def _resolution_label(record: Record) -> str:
    dofs = record.solver.dofs
    return "" if dofs is None else f"{dofs:,} unknowns"


def curves(records: Iterable[Record]) -> list[Curve]:
    """Return the work-precision curves of one problem's records.

    Classical runs of one solver are joined, one point a resolution; those whose words
    or order differ (another scheme) make a curve of their own. Every seed of a learned
    configuration makes a curve, see `learned_names`. Runs without an error make none.
    """
    records = list(records)
    names = learned_names(records)
    joined: dict[tuple[str, str], list[Record]] = {}
    found = []
    for record in records:
        if is_learned(record):
            points = anytime(record)
            if points:
                name, solver = names[configuration(record)], record.solver
                seed = record.seed.init
                found.append(Curve(name, solver.id, solver.family, points, seed))
        elif math.isfinite(usable_error(record)):
            joined.setdefault((record.solver.id, _scheme(record)), []).append(record)
    schemes: dict[str, int] = {}
    for solver_id, _ in joined:
        schemes[solver_id] = schemes.get(solver_id, 0) + 1
    for (solver_id, scheme), group in joined.items():
        name = f"{solver_id} ({scheme})" if schemes[solver_id] > 1 else solver_id
        points = tuple(
            sorted(
                (
                    Point(usable_error(r), r.compared_s, _resolution_label(r))
                    for r in group
                ),
                key=lambda p: p.cpu_s,
            )
        )
        found.append(Curve(name, solver_id, group[0].solver.family, points))
    return sorted(found, key=lambda c: (c.is_learned, c.name, c.seed or 0))


def _scheme(record: Record) -> str:
    """Return the options that are choices rather than resolutions, as words."""
    return ", ".join(
        f"{v}" if isinstance(v, str) else f"{k} {v}"
        for k, v in sorted(record.solver.options.items())
        if isinstance(v, str) or k in ("order", "degree")
    )


def pareto_front(points: Iterable[Point]) -> list[Point]:
    """Return the points that no other beats in both error and time, fastest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.cpu_s, p.error)):
        if not front or point.error < front[-1].error:
            front.append(point)
    return front


@dataclass(frozen=True)
class Reach:
    """How one solver reaches one error.

    Attributes
    ----------
    cpu_s
        Median CPU seconds of the runs that reach it; of a classical solver, those of
        its cheapest run. None where none does.
    share
        Of the seeds (learned) that reach it; 1 or 0 for a classical solver.
    """

    cpu_s: float | None
    share: float


def time_to_error_table(
    records: Sequence[Record], levels: Sequence[float] = LEVELS
) -> dict[str, list[Reach]]:
    """Return how each of `by_name` reaches each level, records of one problem given.

    Every run of a learned solver counts in the share, the failed ones too.
    """
    return {
        name: [reach(group, level) for level in levels]
        for name, group in by_name(records).items()
    }


def reach(group: Sequence[Record], level: float) -> Reach:
    """Return how the runs of one solver, or seeds of a learned one, reach `level`."""
    seconds = [time_to_error(r, level) for r in group]
    finite = [s for s in seconds if math.isfinite(s)]
    if not finite:
        return Reach(None, 0.0)
    if is_learned(group[0]):
        return Reach(statistics.median(finite), len(finite) / len(seconds))
    return Reach(min(finite), 1.0)
