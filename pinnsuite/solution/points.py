"""Tables of points from a user, checked against a problem, and written back."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pinnsuite.errors import DataError, OptionError
from pinnsuite.problem.conditions import Periodic
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.domain import TimeInterval

SLACK = 1e-5
"""Share of the extent by which a point may lie outside: tables round coordinates."""

MAX_OUTPUTS = 2001
"""Times at which a solver is asked to report at most."""


@dataclass(frozen=True, eq=False)
class PointTable:
    """Points to evaluate at, with columns that come along.

    Attributes
    ----------
    points
        Shape (n, coordinates), columns in the order of the problem's coordinates; those
        beyond the ends of a periodic coordinate are folded back.
    given
        The same as they were written.
    names
        The coordinates' names.
    extra
        The other columns, as they were written.
    known
        Those of them that hold a field's values, as numbers.
    """

    points: np.ndarray
    given: np.ndarray
    names: Sequence[str]
    extra: Mapping[str, Sequence[str]]
    known: Mapping[str, np.ndarray]


def digest(path: Path) -> str:
    """Return the sha256 of a file.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"Points {path} cannot be read: {error}.") from error


def read_points(path: Path, problem: Problem) -> PointTable:
    """Read a CSV table whose header names every coordinate, in any order.

    Raises
    ------
    DataError
        If the file cannot be read, is empty, lacks a coordinate, or holds a value that
        is no finite number or a point outside; the message gives the line.
    """
    header, rows = _table(path)
    names = [c.name for c in problem.coordinates]
    missing = [n for n in names if n not in header]
    if missing:
        raise DataError(
            f"{path}: the header {', '.join(header)} lacks {', '.join(missing)}; "
            f"{problem.name!r} has the coordinates {', '.join(names)}."
        )
    columns = {n: [row[i] for _, row in rows] for i, n in enumerate(header)}
    lines = [line for line, _ in rows]
    numeric = {
        n: _numbers(path, n, columns[n], lines)
        for n in header
        if n in names or n in problem.field_names
    }
    given = np.stack([numeric[n] for n in names], axis=1)
    points = _folded(problem, given)
    _check_inside(path, problem, points, lines)
    extra = {n: c for n, c in columns.items() if n not in names}
    known = {n: v for n, v in numeric.items() if n not in names}
    return PointTable(points, given, names, extra, known)


def _folded(problem: Problem, points: np.ndarray) -> np.ndarray:
    """Return the points with periodic coordinates between their ends."""
    folded = points.copy()
    for c in problem.conditions_of(Periodic):
        assert problem.domain is not None
        low, high = problem.domain.bounds[problem.space.index(c.along)]
        column = folded[:, problem.coordinates.index(c.along)]
        beyond = (column < low) | (column > high)
        column[beyond] = low + (column[beyond] - low) % (high - low)
    return folded


def _table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header and the rows with the numbers of their lines."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Points {path} cannot be read: {error}.") from error
    reader = csv.reader(io.StringIO(text), skipinitialspace=True)
    found = [(reader.line_num, row) for row in reader if any(c.strip() for c in row)]
    if not found:
        raise DataError(f"{path} is empty; needed is a header with coordinates.")
    (_, head), *rows = found
    header = [name.strip() for name in head]
    if len(set(header)) != len(header):
        raise DataError(f"{path}: the header {', '.join(header)} names a column twice.")
    if not rows:
        raise DataError(f"{path} holds a header and no points.")
    for line, row in rows:
        if len(row) != len(header):
            raise DataError(
                f"{path}:{line}: {len(row)} cells where the header has {len(header)}."
            )
    return header, rows


def _numbers(
    path: Path, name: str, cells: Sequence[str], lines: Sequence[int]
) -> np.ndarray:
    values = np.empty(len(cells))
    for i, (line, cell) in enumerate(zip(lines, cells, strict=True)):
        try:
            values[i] = float(cell)
        except ValueError:
            raise DataError(
                f"{path}:{line}: {name} is {cell!r}, which is no number."
            ) from None
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise DataError(
            f"{path}:{lines[bad[0]]}: {name} is {cells[bad[0]]}; needed are finite "
            "numbers. Drop the row."
        )
    return values


def _check_inside(
    path: Path, problem: Problem, points: np.ndarray, lines: Sequence[int]
) -> None:
    space = points
    if problem.time is not None:
        times, space = points[:, 0], points[:, 1:]
        start, end = problem.time.start, problem.time.end
        slack = SLACK * (end - start)
        bad = np.flatnonzero((times < start - slack) | (times > end + slack))
        if len(bad):
            raise DataError(
                f"{path}:{lines[bad[0]]}: the time {times[bad[0]]:g} is outside "
                f"{problem.time.describe()} ({len(bad)} of {len(points)} rows are)."
            )
        np.clip(times, start, end, out=times)
    if problem.domain is None:
        return
    outside = ~problem.domain.contains(space, SLACK * problem.domain.extent)
    bad = np.flatnonzero(outside)
    if len(bad):
        where = ", ".join(f"{v:g}" for v in space[bad[0]])
        raise DataError(
            f"{path}:{lines[bad[0]]}: the point ({where}) is outside the domain "
            f"{problem.domain.describe()} ({len(bad)} of {len(points)} rows are)."
        )


def reporting(problem: Problem, points: np.ndarray) -> Problem:
    """Return the problem with output times that hit those of `points`, if some do.

    Between output times solutions are interpolated. The problem's own output times are
    kept, so that what is compared elsewhere does not change.
    """
    if problem.time is None:
        return problem
    time = problem.time
    share = (np.unique(points[:, 0]) - time.start) / (time.end - time.start)
    steps = time.num_outputs - 1
    for count in range(steps, MAX_OUTPUTS, steps):
        at = share * count
        if np.abs(at - at.round()).max() <= 1e-6:
            if count == steps:
                return problem
            finer = TimeInterval(time.coordinate, time.start, time.end, count + 1)
            return replace(problem, time=finer)
    return problem


def with_fields(
    table: PointTable, fields: Mapping[str, np.ndarray]
) -> dict[str, Sequence[object]]:
    """Return the columns to write: coordinates, fields, then what came along.

    A column that came with a field's name is kept as `given NAME`.
    """
    columns: dict[str, Sequence[object]] = {
        n: table.given[:, i].tolist() for i, n in enumerate(table.names)
    }
    columns |= {n: np.asarray(v, dtype=float).tolist() for n, v in fields.items()}
    for name, cells in table.extra.items():
        columns[f"given {name}" if name in columns else name] = cells
    return columns


def write_points(path: Path, columns: Mapping[str, Sequence[object]]) -> None:
    """Write a CSV table, whole or not at all; numbers keep all their digits."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(out.getvalue(), encoding="utf-8")
    temporary.replace(path)


def differences(
    table: PointTable, fields: Mapping[str, np.ndarray], gauge: str | None
) -> dict[str, float]:
    """Return `‖field - known‖₂ / ‖known‖₂` over the points, by field.

    Unweighted; a field that is fixed up to a constant is shifted to the known mean.
    """
    found = {}
    for name, known in table.known.items():
        if name not in fields:
            raise OptionError(f"The solution has no field {name!r} to compare with.")
        difference = np.asarray(fields[name], dtype=float) - known
        if name == gauge:
            difference = difference - difference.mean()
        size = float(np.linalg.norm(known))
        found[name] = float(np.linalg.norm(difference)) / (size if size > 0 else 1.0)
    return found


__all__ = [
    "PointTable",
    "differences",
    "digest",
    "read_points",
    "reporting",
    "with_fields",
    "write_points",
]
