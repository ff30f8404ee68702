"""Results on disk: records, fields and references, read without trust."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pinnsuite.errors import DataError
from pinnsuite.solution import hdf5
from pinnsuite.solution.record import Record
from pinnsuite.solution.solution import Solution


@dataclass(frozen=True)
class Run:
    """A record and where it lies."""

    record: Record
    folder: Path


@dataclass
class Results:
    """All that a folder of results holds.

    Attributes
    ----------
    root
        The folder.
    runs
        The last attempt of every task.
    faults
        Files that could not be read, with the reason.
    """

    root: Path
    runs: list[Run] = field(default_factory=list)
    faults: list[tuple[Path, str]] = field(default_factory=list)

    def fields(self, run: Run) -> Solution | None:
        """Return the run's values on the common points, None where there are none."""
        return self._load(run.folder / "fields.h5")

    def reference(self, run: Run) -> Solution | None:
        """Return the reference that the run was judged by, if it was kept.

        It is `reference.h5` beside the record, else `references/HASH.h5` in the run's
        folder or one above it, up to the root.
        """
        beside = run.folder / "reference.h5"
        if beside.exists():
            return self._load(beside)
        part = run.record.reference
        # The hash names a file, so it must not be a path.
        if part is None or re.fullmatch(r"[\w-]{1,128}", part.hash) is None:
            return None
        for folder in (run.folder, *run.folder.parents):
            found = folder / "references" / f"{part.hash}.h5"
            if found.exists():
                return self._load(found)
            if folder == self.root:
                break
        return None

    def _load(self, path: Path) -> Solution | None:
        if not path.exists():
            return None
        try:
            return hdf5.load(path)
        except DataError as error:
            fault = (path, str(error))
            if fault not in self.faults:
                self.faults.append(fault)
            return None


def read(root: Path) -> Results:
    """Read every `run.json` below `root`; damaged ones are listed, not fatal.

    Raises
    ------
    DataError
        If `root` is no folder.
    """
    root = root.resolve()
    if not root.is_dir():
        raise DataError(
            f"{root} is no folder of results; give the folder that `run` wrote."
        )
    results = Results(root)
    for path in _last_attempts(sorted(root.rglob("run.json"))):
        try:
            results.runs.append(Run(Record.load(path), path.parent))
        except DataError as error:
            results.faults.append((path, str(error)))
    return results


def _last_attempts(paths: Sequence[Path]) -> list[Path]:
    """Keep the attempt of the highest number of each task."""
    last: dict[Path, tuple[int, Path]] = {}
    for path in paths:
        match = re.fullmatch(r"attempt-(\d+)", path.parent.name)
        key = path.parent.parent if match else path.parent
        number = int(match[1]) if match else 0
        if key not in last or number > last[key][0]:
            last[key] = (number, path)
    return [path for _, path in last.values()]
