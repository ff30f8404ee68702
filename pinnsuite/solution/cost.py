"""What a run cost: wall and CPU seconds and peak memory, phase by phase."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PHASES = (
    "symbolic",
    "compile",
    "data",
    "tune",
    "train",
    "setup",
    "solve",
    "infer",
    "evaluate",
)
"""The phases that may be timed. `evaluate` is the judge's work, never a solver's."""

REUSABLE = ("symbolic", "compile")
"""Phases outside the compared time: they depend on the equations, not on the data."""


@dataclass(frozen=True)
class PhaseCost:
    """Seconds and peak memory of one phase.

    Attributes
    ----------
    wall_s, cpu_s
        Of the fastest repeat by CPU time.
    peak_rss
        Largest resident set in bytes while the phase ran; 0 where it is unknown.
    repeats
        How often the phase was run.
    median_s
        Median CPU seconds over the repeats; `cpu_s` is the minimum.
    """

    wall_s: float
    cpu_s: float
    peak_rss: int = 0
    repeats: int = 1
    median_s: float = 0.0


@dataclass
class Clock:
    """Measures phases: `with clock.phase("solve"): …`; a phase may come again."""

    phases: dict[str, PhaseCost] = field(default_factory=dict)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time of the block to phase `name`."""
        if name not in PHASES:
            raise ValueError(f"Unknown phase {name!r}; known: {', '.join(PHASES)}.")
        _reset_peak_rss()
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            cpu = time.process_time() - cpu
            wall = time.perf_counter() - wall
            self._add(name, wall, cpu, peak_rss())

    def add(self, cost: Cost) -> None:
        """Add the phases of another run: of a solver that this one called."""
        for name, phase in cost.phases.items():
            self._add(name, phase.wall_s, phase.cpu_s, phase.peak_rss)

    def _add(self, name: str, wall: float, cpu: float, peak: int) -> None:
        before = self.phases.get(name, PhaseCost(0.0, 0.0))
        total = before.cpu_s + cpu
        self.phases[name] = PhaseCost(
            before.wall_s + wall, total, max(before.peak_rss, peak), 1, total
        )

    def cost(self) -> Cost:
        """Return what was measured so far."""
        return Cost(dict(self.phases))


@dataclass(frozen=True)
class Cost:
    """The cost of a run by phase."""

    phases: Mapping[str, PhaseCost] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """CPU seconds that count when solvers are compared.

        All phases but the reusable ones (symbolic work, compilation) and the judge's.
        """
        apart = (*REUSABLE, "evaluate")
        return sum((c.cpu_s for n, c in self.phases.items() if n not in apart), 0.0)


def fastest(costs: Sequence[Cost]) -> Cost:
    """Return, phase by phase, the fastest of several runs, with their median."""
    phases = {}
    for name in costs[0].phases:
        runs = [c.phases[name] for c in costs if name in c.phases]
        best = min(runs, key=lambda r: r.cpu_s)
        phases[name] = PhaseCost(
            best.wall_s,
            best.cpu_s,
            max(r.peak_rss for r in runs),
            len(runs),
            statistics.median(r.cpu_s for r in runs),
        )
    return Cost(phases)


def _reset_peak_rss() -> None:
    """Set the kernel's high-water mark back; where it is not allowed, it just stays."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_rss() -> int:
    """Return the high-water mark of resident memory in bytes, 0 if unknown.

    `VmHWM` of /proc, not `ru_maxrss`: that one is inherited from the parent process.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
