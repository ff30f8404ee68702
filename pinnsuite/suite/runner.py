"""The supervisor: starts a process for each task, watches it, keeps what it gives.

Results lie in `OUT/<task>/attempt-<n>/` as run.json, fields.h5 and log.txt; references
in `OUT/references/<hash>.h5`. A run directory is written beside its place and moved
there when it is whole. Running again skips what is finished.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pinnsuite.errors import DataError, OptionError
from pinnsuite.solution.record import Record
from pinnsuite.solution.solution import Status
from pinnsuite.suite import environment
from pinnsuite.suite.task import Task, record_of
from pinnsuite.verification.order import SCHEME

GRACE = 10.0
"""Seconds between asking a process to end and ending it."""

POLL = 0.05
"""Seconds between two looks at a process."""

STARTUP_LIMIT = 120.0
"""Seconds that a process may take to import its libraries and build its task."""

REFERENCE_LIMIT = 1800.0
"""Seconds in which a problem must be checked and its reference be ready."""

EXPAND_LIMIT = 600.0
"""Seconds in which all problems and solvers of a suite must be built."""

AGAIN = (Status.INTERRUPTED, Status.BAD_REFERENCE)
"""What is always run again: neither says anything of the solver."""

RETRIED = (Status.FAILED, Status.CRASHED, Status.OOM, Status.TIMEOUT)
"""What is run again on request: with other limits or software it may end well."""


@dataclass(frozen=True)
class Event:
    """Something that a user may want to see.

    Attributes
    ----------
    what
        `check`, `start`, `progress`, `end` or `skip` (finished earlier).
    task
        About which task.
    fraction, note
        Of `progress`, as the solver tells them.
    record
        Of `end` and `skip`.
    """

    what: str
    task: Task
    fraction: float = 0.0
    note: str = ""
    record: Record | None = None


@dataclass
class Outcome:
    """What a run of many tasks gave: records in the order of the tasks."""

    records: list[Record] = field(default_factory=list)
    is_interrupted: bool = False

    @property
    def is_ok(self) -> bool:
        """Every task ended well."""
        return not self.is_interrupted and all(
            r.status is Status.OK for r in self.records
        )


def expand_apart(
    table: Mapping[str, Any],
    *,
    base: Path,
    folder: Path | None = None,
    source: str | None = None,
    is_large_ok: bool = False,
) -> tuple[list[Task], str]:
    """Expand a suite in a process of its own; return the tasks and the commit.

    Checking options loads the solvers, and the supervisor shall not hold torch.
    Parameters are those of `suite.expand`.

    Raises
    ------
    OptionError
        If anything is wrong with the suite, its problems or its solvers.
    """
    order = {
        "do": "expand",
        "table": table,
        "base": str(base),
        "folder": None if folder is None else str(folder),
        "source": source,
        "is_large_ok": is_large_ok,
    }
    with tempfile.TemporaryDirectory() as place:
        child = Child(order, Path(place), "tasks.json", threads=1)
        child.wait(EXPAND_LIMIT)
        answer = child.answer()
        if answer is None:
            raise OptionError(
                f"Reading the suite's problems and solvers {child.how_it_ended()}:\n"
                + child.last_words()
            )
    if "error" in answer:
        raise OptionError(answer["error"])
    return [Task(**t) for t in answer["tasks"]], answer["commit"]


def reference_at(
    target: str,
    points: Path,
    out: Path,
    *,
    folder: Path | None = None,
    parameters: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the reference of a problem at the points of a table to `out`.

    Returns
    -------
    What a record says of the `reference`, and the relative L2 `differences` from the
    columns of the table that hold fields.

    Raises
    ------
    OptionError
        If the problem, its reference or the table is no good.
    """
    order = {
        "do": "points",
        "target": target,
        "folder": None if folder is None else str(folder.resolve()),
        "parameters": dict(parameters),
        "points": str(points.resolve()),
        "out": str(out.resolve()),
    }
    with tempfile.TemporaryDirectory() as place:
        child = Child(order, Path(place), "answer.json", threads=1)
        child.wait(REFERENCE_LIMIT)
        answer: dict[str, Any] | None = child.answer()
        if answer is None:
            raise OptionError(
                f"Making the reference {child.how_it_ended()}:\n{child.last_words()}"
            )
    if "error" in answer:
        raise OptionError(answer["error"])
    return answer


class Child:
    """A process in a group of its own, with an order and an answer."""

    def __init__(
        self, order: dict[str, Any], place: Path, answer: str, threads: int
    ) -> None:
        self.answer_file = place / answer
        self.log = place / "log.txt"
        self.started = time.monotonic()
        self.ended_by = ""
        self.peak_rss = 0
        file = place / "order.json"
        order = order | {"supervisor": os.getpid(), "answer": str(self.answer_file)}
        file.write_text(json.dumps(order), encoding="utf-8")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pinnsuite.suite.child", str(file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment.child_variables(threads),
                start_new_session=True,
            )

    def wait(
        self,
        time_limit: float,
        memory_limit: int | None = None,
        stop: threading.Event | None = None,
        kill: threading.Event | None = None,
        look: Callable[[], bool] | None = None,
    ) -> None:
        """Wait for the end; end the group at a limit, or when asked to.

        The limit counts from when `look` says that the work has begun: importing the
        libraries takes seconds, and many on a busy machine.
        """
        asked_at = None
        if look is not None:
            self.started += STARTUP_LIMIT
        pause = 0.002
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(pause)
                break
            pause = min(2 * pause, POLL)
            now = time.monotonic()
            if not self.ended_by:
                if stop is not None and stop.is_set():
                    self.ended_by = "interrupt"
                elif now - self.started > time_limit:
                    self.ended_by = "time"
                elif memory_limit is not None and self._resident() > memory_limit:
                    self.ended_by = "memory"
                    self._signal(signal.SIGKILL)
            elif asked_at is None:
                asked_at = now
                self._signal(signal.SIGTERM)
            elif now - asked_at > GRACE or (kill is not None and kill.is_set()):
                self._signal(signal.SIGKILL)
            if look is not None and look():
                self.started = min(self.started, now)
        # What the process started itself ends with it.
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def _resident(self) -> int:
        """Return the resident bytes; 0 where they are not known."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
            resident = int(pages) * os.sysconf("SC_PAGE_SIZE")
            self.peak_rss = max(self.peak_rss, resident)
            return resident
        return 0

    def answer(self) -> Any:
        """Return what the process wrote, None if it did not get so far."""
        try:
            return json.loads(self.answer_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def how_it_ended(self) -> str:
        """Say it: `crashed(SIGSEGV)` or `ended with exit status 3`."""
        code = self.process.returncode
        if code < 0:
            return f"crashed({signal.Signals(-code).name})"
        return f"ended with exit status {code}"

    def last_words(self) -> str:
        """Return the end of the log."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-5:])


def run(
    tasks: Sequence[Task],
    out: Path,
    *,
    jobs: int = 1,
    fail_fast: bool = False,
    retry: bool = False,
    command: str = "",
    commit: str = "",
    tell: Callable[[Event], None] | None = None,
) -> Outcome:
    """Run what is not finished yet; return the records of all tasks.

    Parameters
    ----------
    tasks
        From `expand_apart`.
    out
        Folder of the results; made if it is missing.
    jobs
        Tasks at the same time; their cores are kept apart.
    fail_fast
        Whether the first run that is not ok ends it all.
    retry
        Whether runs that failed, crashed or met a limit are run again.
    command, commit
        For the records.
    tell
        Called on every event, from several threads if `jobs` is above 1.

    Raises
    ------
    DataError
        If results cannot be written.
    """
    supervisor = _Supervisor(
        Path(out), jobs, fail_fast, retry, command, commit, tell or _silent
    )
    try:
        supervisor.out.mkdir(parents=True, exist_ok=True)
        return supervisor.run(tasks)
    except OSError as error:
        raise DataError(
            f"Results cannot be written to {out}: {error}. Free some space or choose "
            "another folder with --out, and run again: what is finished is kept."
        ) from error


def _silent(event: Event) -> None:
    """Tell nobody."""


class _Supervisor:
    """Shares the tasks among threads that each watch one process."""

    def __init__(
        self,
        out: Path,
        jobs: int,
        fail_fast: bool,
        retry: bool,
        command: str,
        commit: str,
        tell: Callable[[Event], None],
    ) -> None:
        self.out = out
        self.jobs = jobs
        self.fail_fast = fail_fast
        self.retry = retry
        self.command = command
        self.commit = commit
        self.tell = tell
        self.started = time.time()
        self.stop = threading.Event()
        self.kill = threading.Event()
        self.slots = list(range(jobs))
        self.answers: dict[str, Future[dict[str, Any]]] = {}
        self.lock = threading.Lock()

    def run(self, tasks: Sequence[Task]) -> Outcome:
        with ThreadPoolExecutor(self.jobs) as pool:
            futures = [pool.submit(self._one, task) for task in tasks]
            pending = set(futures)
            is_interrupted = False
            while pending:
                try:
                    # With a timeout, so that Ctrl-C is heard.
                    done, pending = wait(pending, 0.2, FIRST_COMPLETED)
                    for future in done:
                        future.result()
                except KeyboardInterrupt:
                    if is_interrupted:
                        self.kill.set()
                    is_interrupted = True
                    self.stop.set()
                except BaseException:
                    self.stop.set()
                    raise
            records = [r for f in futures if (r := f.result()) is not None]
        return Outcome(records, is_interrupted)

    def _one(self, task: Task) -> Record | None:
        if self.stop.is_set():
            return None
        home = self.out / task.directory
        home.mkdir(exist_ok=True)
        with _locked(home, self.stop) as is_mine:
            if not is_mine:
                return None
            earlier = self._finished(home)
            if earlier is not None:
                self.tell(Event("skip", task, record=earlier))
                return earlier
            for leftover in home.glob(".attempt-*"):
                shutil.rmtree(leftover)
            record = self._attempt(task, home)
        if self.fail_fast and record.status is not Status.OK:
            self.stop.set()
        self.tell(Event("end", task, record=record))
        return record

    def _finished(self, home: Path) -> Record | None:
        """Return the record that makes another run needless, if there is one."""
        for attempt in reversed(attempts(home)):
            file = attempt / "run.json"
            try:
                record = Record.load(file)
            except DataError:
                continue  # damaged: run again
            if file.stat().st_mtime >= self.started:
                return record  # by another supervisor, just now
            again = AGAIN + (RETRIED if self.retry else ())
            return None if record.status in again else record
        return None

    def _attempt(self, task: Task, home: Path) -> Record:
        number = max((_number(a) for a in attempts(home)), default=0) + 1
        place = home / f".attempt-{number}"
        place.mkdir()
        run_id = f"{task.directory}/attempt-{number}"
        self.tell(Event("check", task))
        load = environment.load()
        try:
            ready = self._prepared(task)
            end = _hindrance(ready, self.stop)
            if end is None:
                self.tell(Event("start", task))
                record = self._watched(task, run_id, place, load, ready)
            else:
                record = self._record(task, run_id, load, ready, *end)
            _write(place / "run.json", record.to_json())
            _settle(place, home / f"attempt-{number}")
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        return record

    def _prepared(self, task: Task) -> dict[str, Any]:
        """Check the problem, have its reference ready, verify the classical solver.

        Each is done once for all tasks that need it.
        """
        problem = f"{task.target} {task.problem_part['definition_hash']}"
        ready = self._once(problem, lambda: self._asked("prepare", task))
        is_sound = "error" not in ready and not ready["faults"]
        has_order = (
            task.family == "classical" and task.problem_part["task"] == "forward"
        )
        if not is_sound or not has_order or self.stop.is_set():
            return ready
        known = {k: v for k, v in task.solver_part["options"].items() if k in SCHEME}
        scheme = f"{problem} {task.solver} {known}"
        order = self._once(scheme, lambda: self._asked("verify", task))
        # A study that fails leaves the order unobserved, and the report says so.
        return ready | {"observed_order": order.get("observed_order")}

    def _once(self, key: str, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return an answer that several threads may want, asking for it once."""
        with self.lock:
            is_known = key in self.answers
            future = self.answers.setdefault(key, Future())
        if not is_known:
            try:
                future.set_result(ask())
            except BaseException as error:
                future.set_exception(error)
                raise
        return future.result()

    def _asked(self, what: str, task: Task) -> dict[str, Any]:
        """Return the answer of a process, or `error` with what became of it."""
        order = {
            "do": what,
            "task": task.to_json(),
            "references": str(self.out / "references"),
        }
        with tempfile.TemporaryDirectory() as place:
            child = Child(order, Path(place), "answer.json", task.threads)
            child.wait(REFERENCE_LIMIT, stop=self.stop, kill=self.kill)
            answer: dict[str, Any] | None = child.answer()
            if answer is not None:
                return answer
            how = child.how_it_ended()
            if child.ended_by == "time":
                how = f"took more than {REFERENCE_LIMIT:g} s"
            return {"error": f"Making the reference {how}: {child.last_words()}"}

    def _watched(
        self,
        task: Task,
        run_id: str,
        place: Path,
        load: float,
        ready: Mapping[str, Any],
    ) -> Record:
        with self.lock:
            slot = self.slots.pop()
        order = {
            "do": "run",
            "task": task.to_json(),
            "run_id": run_id,
            "command": self.command,
            "commit": self.commit,
            "load_before": load,
            "jobs": self.jobs,
            "cores": self._cores(slot),
            "ready": ready,
        }
        look = _Look(place / "progress", task, self.tell)
        try:
            child = Child(order, place, "run.json", task.threads)
            child.wait(task.time_limit, task.memory_limit, self.stop, self.kill, look)
        finally:
            with self.lock:
                self.slots.append(slot)
        for name in ("order.json", "progress", "run.tmp"):
            (place / name).unlink(missing_ok=True)
        with contextlib.suppress(DataError):
            return Record.load(place / "run.json")
        return self._record(task, run_id, load, ready, *_end(child, task))

    def _cores(self, slot: int) -> list[int]:
        """Return the cores of one of several tasks; empty for all of them."""
        cores = environment.cores()
        return cores[slot :: self.jobs] if 1 < self.jobs <= len(cores) else []

    def _record(
        self,
        task: Task,
        run_id: str,
        load: float,
        ready: Mapping[str, Any],
        status: Status,
        sentence: str,
    ) -> Record:
        return record_of(
            task,
            environment.machine(task.threads, load),
            status,
            sentence,
            run_id=run_id,
            command=self.command,
            commit=self.commit,
            details={"jobs": self.jobs},
            reference=ready.get("reference"),
        )


class _Look:
    """Passes on what the process tells of its progress, when it changes."""

    def __init__(self, path: Path, task: Task, tell: Callable[[Event], None]) -> None:
        self.path = path
        self.task = task
        self.tell = tell
        self.last = ""

    def __call__(self) -> bool:
        """Return whether the work has begun."""
        with contextlib.suppress(OSError, ValueError):
            text = self.path.read_text(encoding="utf-8")
            if text and text != self.last:
                self.last = text
                fraction, _, note = text.partition(" ")
                self.tell(Event("progress", self.task, float(fraction), note))
        return bool(self.last)


def _hindrance(
    ready: Mapping[str, Any], stop: threading.Event
) -> tuple[Status, str] | None:
    """Say what keeps a task from being started, if anything does."""
    if stop.is_set():
        return Status.INTERRUPTED, Status.INTERRUPTED.sentence
    if "error" in ready:
        return Status.FAILED, ready["error"]
    if ready["faults"]:
        return Status.BAD_REFERENCE, "; ".join(ready["faults"])
    return None


def _end(child: Child, task: Task) -> tuple[Status, str]:
    """Say how a process ended that wrote no record."""
    if child.ended_by == "interrupt":
        return Status.INTERRUPTED, Status.INTERRUPTED.sentence
    if child.ended_by == "time":
        return Status.TIMEOUT, (
            f"Ended after {task.time_limit:g} s. {Status.TIMEOUT.sentence}"
        )
    if child.ended_by == "memory":
        assert task.memory_limit is not None
        return Status.OOM, (
            f"Used {child.peak_rss / 2**20:.0f} MiB of {task.memory_limit / 2**20:.0f} "
            f"MiB allowed. {Status.OOM.sentence}"
        )
    how = child.how_it_ended()
    if child.process.returncode < 0:
        if child.process.returncode == -signal.SIGKILL:
            how += ", perhaps by the system because memory ran out"
        return Status.CRASHED, f"{how}. {Status.CRASHED.sentence}"
    return Status.FAILED, f"The process {how} before its record was written."


@contextlib.contextmanager
def _locked(home: Path, stop: threading.Event) -> Iterator[bool]:
    """Hold the lock of a task; false if the wait for it was stopped.

    The kernel frees the lock of a process that dies, so that none is ever stale.
    """
    with (home / "lock").open("a") as file:
        while not stop.is_set():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(POLL)
            else:
                yield True
                return
        yield False


def attempts(home: Path) -> list[Path]:
    """Return the run directories of a task, the latest last."""
    found = [p for p in home.glob("attempt-*") if p.name[8:].isdigit()]
    return sorted(found, key=_number)


def _number(attempt: Path) -> int:
    return int(attempt.name.rpartition("-")[2])


def _write(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _settle(place: Path, final: Path) -> None:
    """Move a run directory to its place once all of it is on the disk."""
    for path in (*place.iterdir(), place):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    place.replace(final)
