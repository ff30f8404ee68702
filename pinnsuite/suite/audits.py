"""Audits of many references, each in a process of its own."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinnsuite.solution.record import Rung
from pinnsuite.suite.runner import REFERENCE_LIMIT, Child
from pinnsuite.verification.audit import Audit


@dataclass(frozen=True)
class AuditTask:
    """Which reference is audited, and how.

    Attributes
    ----------
    name, group
        For the row of one that dies.
    target, folder
        The problem: a name, or `path/to/file.py:function`, and where names are looked
        up; None for those of the package.
    parameters
        Arguments of the problem function.
    fresh, store
        See `verification.audit`.
    """

    name: str
    group: str
    target: str
    folder: str | None
    parameters: Mapping[str, Any]
    fresh: bool = False
    store: bool = False


def audit_all(
    tasks: Sequence[AuditTask],
    *,
    jobs: int = 1,
    started: Callable[[AuditTask], None],
    ended: Callable[[Audit], None],
    progress: Callable[[AuditTask, str], None],
) -> list[Audit]:
    """Audit every reference; return the rows in the order of the tasks.

    Parameters
    ----------
    jobs
        Audits at the same time.
    started, ended, progress
        Told about each audit, from several threads if `jobs` is above 1.

    Raises
    ------
    KeyboardInterrupt
        After the processes have been ended; what was computed is kept in the cache.
    """
    stop = threading.Event()

    def one(task: AuditTask) -> Audit | None:
        if stop.is_set():
            return None
        started(task)
        row = _audited(task, stop, lambda note: progress(task, note))
        if not stop.is_set():
            ended(row)
        return row

    with ThreadPoolExecutor(jobs) as pool:
        futures: list[Future[Audit | None]] = [pool.submit(one, t) for t in tasks]
        pending = set(futures)
        try:
            while pending:
                # With a timeout, so that Ctrl-C is heard.
                done, pending = wait(pending, 0.2, FIRST_COMPLETED)
                for future in done:
                    future.result()
        except BaseException:
            stop.set()
            raise
    return [row for f in futures if (row := f.result()) is not None]


def _audited(
    task: AuditTask, stop: threading.Event, tell: Callable[[str], None]
) -> Audit:
    order = {"do": "audit", "threads": 1, **vars(task)}
    with tempfile.TemporaryDirectory() as place:
        last = ""

        def look() -> bool:
            nonlocal last
            with contextlib.suppress(OSError):
                note = (Path(place) / "progress").read_text(encoding="utf-8")
                if note != last:
                    last = note
                    tell(note.partition(" ")[2])
            return bool(last)

        child = Child(order, Path(place), "answer.json", threads=1)
        child.wait(REFERENCE_LIMIT, stop=stop, look=look)
        answer = child.answer()
        if answer is None:
            how = child.how_it_ended()
            if child.ended_by == "time":
                how = f"took more than {REFERENCE_LIMIT:g} s"
            answer = {"error": f"the audit {how}: {child.last_words()}"}
    if "error" in answer:
        return Audit(task.name, task.group, faults=[answer["error"]])
    rungs = [Rung(**r) for r in answer.pop("rungs")]
    return Audit(**answer, rungs=rungs)
