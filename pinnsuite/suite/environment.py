"""The machine: what a child process gets, what a record says of it, what is amiss."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pinnsuite.registry import SOLVERS
from pinnsuite.solution.record import MachinePart

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""What numerical libraries read when they are imported, torch among them."""

MIN_FREE_GIB = 1.0
"""Disk and memory below which `doctor` warns."""


def child_variables(threads: int) -> dict[str, str]:
    """Return the environment of a child process with its number of threads pinned."""
    pinned = dict.fromkeys(THREAD_VARIABLES, str(threads))
    # The order of sets moves the last digits of symbolic work: fix it.
    return {**os.environ, **pinned, "PYTHONHASHSEED": "0"}


def cores() -> list[int]:
    """Return the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def load() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


def machine(threads: int, load_before: float) -> MachinePart:
    """Describe the machine for a record."""
    return MachinePart(
        cpu=_cpu(),
        cores=len(cores()),
        threads=threads,
        gpu=_gpu(),
        ram_gib=round(_ram_bytes() / 2**30, 1),
        load_before=round(load_before, 2),
        load_after=round(load(), 2),
        versions=versions(),
    )


def versions() -> dict[str, str]:
    """Return the versions of Python, pinnsuite and every package that does the work."""
    known = {"python": platform.python_version()}
    for package in ("pinnsuite", "numpy", *(e.package for e in SOLVERS.values())):
        known.setdefault(package, version_of(package) or "missing")
    return known


def version_of(package: str) -> str | None:
    """Return the version of an installed distribution, None if it is missing."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def commit() -> str:
    """Return the commit of a checkout, with `+` if files differ; empty in a wheel."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists() or shutil.which("git") is None:
        return ""
    head = _output(["git", "-C", str(root), "rev-parse", "HEAD"])
    changed = _output(["git", "-C", str(root), "status", "--porcelain", "-uno"])
    return f"{head}+" if head and changed else head


def _output(command: list[str]) -> str:
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return run.stdout.strip()


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpu() -> str | None:
    # nvidia-smi and not torch, which only the learned solvers load.
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return _output(query).replace("\n", ", ") or None


def _ram_bytes() -> int:
    import psutil

    return int(psutil.virtual_memory().total)


@dataclass(frozen=True)
class Finding:
    """One thing that `doctor` looked at.

    Attributes
    ----------
    what, seen
        What was looked at, and what is there.
    cure
        Empty if all is well, else what to do.
    """

    what: str
    seen: str
    cure: str = ""

    @property
    def is_ok(self) -> bool:
        """Nothing is to be done."""
        return not self.cure


def diagnose(folder: Path) -> list[Finding]:
    """Look at versions, threads, GPU, memory, disk and write access to `folder`."""
    import psutil

    found = [Finding(name, version) for name, version in versions().items()]
    found = [
        Finding(f.what, f.seen, f"pip install {f.what}") if f.seen == "missing" else f
        for f in found
    ]
    count = len(cores())
    found.append(Finding("cores", f"{count}, {_cpu()}"))
    pinned = {n: os.environ[n] for n in THREAD_VARIABLES if n in os.environ}
    words = ", ".join(f"{k}={v}" for k, v in pinned.items())
    found.append(Finding("threads", words or "not pinned; every run pins its own"))
    busy = load() > count
    found.append(
        Finding(
            "load",
            f"{load():.2f}",
            "end other programs: wall-clock times will not count" if busy else "",
        )
    )
    found.append(Finding("GPU", _gpu() or "none; everything runs on the CPU"))
    free = psutil.virtual_memory().available / 2**30
    low = "end other programs or lower resolutions" if free < MIN_FREE_GIB else ""
    found.append(Finding("free memory", f"{free:.1f} GiB", low))
    disk = shutil.disk_usage(folder).free / 2**30
    low = "delete old results or choose --out elsewhere" if disk < MIN_FREE_GIB else ""
    found.append(Finding("free disk", f"{disk:.1f} GiB", low))
    return [*found, _write_access(folder)]


def _write_access(folder: Path) -> Finding:
    try:
        with tempfile.TemporaryDirectory(dir=folder):
            return Finding("write access", str(folder))
    except OSError as error:
        cure = "change to a folder of your own, or choose one with --out"
        return Finding("write access", f"{folder}: {error.strerror}", cure)
