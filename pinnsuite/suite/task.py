"""One solver on one problem with one seed: what a child process runs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinnsuite.problem.catalog import Entry, find
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.family import Family
from pinnsuite.problem.notation import equation_text
from pinnsuite.problem.signal import SignalProblem
from pinnsuite.registry import find_solver, make_solver
from pinnsuite.solution.record import (
    EffortPart,
    MachinePart,
    PrecisionPart,
    ProblemPart,
    Record,
    SeedPart,
    SolverPart,
)
from pinnsuite.solution.solution import Status
from pinnsuite.solver import Operator
from pinnsuite.suite.environment import version_of

if TYPE_CHECKING:
    from pinnsuite.problem.catalog import AnyProblem


@dataclass(frozen=True)
class Task:
    """All that a child process needs, as plain JSON values.

    Attributes
    ----------
    target
        The problem: a name, or `path/to/file.py:function`.
    folder
        Where names of problems are looked up; None for those of the package.
    parameters
        Arguments of the problem function.
    solver, options
        The solver's name and the options that were given; `seed` is one of them.
    budget
        CPU seconds after which an iterative solver returns its best so far.
    time_limit
        Wall-clock seconds after which the process is ended.
    memory_limit
        Bytes of resident memory at which the process is ended.
    threads
        Threads of the numerical libraries.
    points, points_hash
        A CSV file of points at which the solution is wanted, and its sha256.
    problem_part, solver_part, precision_part, effort_part
        What the record says of them, all options with their values included.
    """

    target: str
    folder: str | None
    parameters: dict[str, Any]
    solver: str
    options: dict[str, Any]
    budget: float | None
    time_limit: float
    memory_limit: int | None
    threads: int
    points: str | None
    points_hash: str | None
    problem_part: dict[str, Any]
    solver_part: dict[str, Any]
    precision_part: dict[str, Any]
    effort_part: dict[str, Any]

    @property
    def problem(self) -> str:
        """The problem's name."""
        return str(self.problem_part["id"])

    @property
    def family(self) -> str:
        """The solver's family."""
        return str(self.solver_part["family"])

    @property
    def seed(self) -> int | None:
        """The seed, None for a deterministic solver."""
        seed = self.solver_part["options"].get("seed")
        return None if seed is None else int(seed)

    @property
    def key(self) -> str:
        """The sha256 of what decides the result; limits and the machine do not."""
        content = {
            "definition": self.problem_part["definition_hash"],
            "task": self.problem_part["task"],
            "solver": {k: self.solver_part[k] for k in ("id", "version", "options")},
            "precision": self.precision_part,
            "budget": self.budget,
        }
        if self.points_hash is not None:
            content["points"] = self.points_hash
        text = json.dumps(content, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def directory(self) -> str:
        """A name for its folder: readable, with the start of the key."""
        words = [self.problem, self.solver_part["id"].rpartition(":")[2]]
        words += [] if self.seed is None else [f"seed{self.seed}"]
        readable = "-".join(re.sub(r"[^A-Za-z0-9_]+", "_", w)[:40] for w in words)
        return f"{readable}-{self.key[:12]}"

    @property
    def label(self) -> str:
        """Problem, solver and given options, for a person."""
        options = ",".join(f"{k}={v}" for k, v in self.options.items())
        solver = self.solver.rpartition(":")[2]
        return f"{self.problem}: {solver}" + (f" ({options})" if options else "")

    def make_problem(self) -> AnyProblem:
        """Build the problem."""
        return entry_of(self.target, self.folder).make(**self.parameters)

    def make_solver(self) -> Any:
        """Build the solver."""
        return make_solver(self.solver, self.options)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


def entry_of(target: str, folder: str | None) -> Entry:
    """Return the catalogue's entry for a problem."""
    return find(target, None if folder is None else Path(folder))


def kind_of(problem: AnyProblem) -> str:
    """Return the word by which `SolverEntry.kinds` knows a problem."""
    if isinstance(problem, Family):
        return "family"
    if isinstance(problem, SignalProblem):
        return problem.task
    return "inverse" if problem.unknowns else problem.kind


def why_not(name: str, solver: Any, problem: AnyProblem) -> str | None:
    """Say why the solver cannot take the problem, None if it can."""
    kinds = find_solver(name).kinds
    kind = kind_of(problem)
    if kinds and kind not in kinds:
        return f"{problem.name!r} is of kind {kind!r}; {name!r} takes {_or(kinds)}"
    if isinstance(problem, Family):
        # An operator learns from pairs and asks nothing of the equations.
        if isinstance(solver, Operator):
            return None
        asked: Any = problem.member(0).without_answer()
    else:
        asked = problem.without_answer()
    reason: str | None = solver.why_not(asked)
    return reason


def _or(words: tuple[str, ...]) -> str:
    return " or ".join(map(repr, words))


def problem_part(problem: AnyProblem, statement: str) -> ProblemPart:
    """Return what a record says of a problem."""
    kind = kind_of(problem)
    task = {"pde": "forward", "dynamics": "forward", "family": "operator"}
    member = problem.member(0) if isinstance(problem, Family) else problem
    equations = member.equations if isinstance(member, Problem) else ()
    return ProblemPart(
        id=problem.name,
        kind=problem.kind,  # type: ignore[arg-type]
        definition_hash=problem.definition_hash,
        parameters=dict(problem.parameters),
        task=task.get(kind, kind),
        dimension=problem.dimension,
        statement=statement,
        equations=[f"{equation_text(e)} = 0" for e in equations],
        source=problem.source,
        tags=list(problem.tags),
    )


def solver_part(name: str, solver: Any) -> SolverPart:
    """Return what a record says of a solver before it ran."""
    entry = find_solver(name)
    versions = {
        p: version_of(p) or "missing" for p in ("pinnsuite", entry.package) if p
    }
    file = Path(entry.place.rpartition(":")[0])
    if file.suffix == ".py":
        versions[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    return SolverPart(
        id=name,
        family=solver.family,
        version=", ".join(f"{p} {v}" for p, v in versions.items()),
        options=_plain(vars(solver)),
        repr=repr(solver),
    )


def precision_part(solver: Any) -> PrecisionPart:
    """Return the number formats: of the option `dtype`, else double precision."""
    dtype = str(getattr(solver, "dtype", "float64"))
    return PrecisionPart(parameters=dtype, compute=dtype)


def effort_part(solver: Any, problem: str) -> EffortPart:
    """Return the tuning that the solver declares for `problem`, if any.

    A class whose default options were chosen while errors against a reference could be
    seen names those problems in `tuned_on`.
    """
    if problem not in getattr(solver, "tuned_on", ()):
        return EffortPart()
    return EffortPart(
        space="default options",
        selector="error against the reference",
        selector_used_reference=True,
    )


def record_of(
    task: Task,
    machine: MachinePart,
    status: Status,
    sentence: str,
    **parts: Any,
) -> Record:
    """Return the record of a run of `task`."""
    seed = task.seed
    if "solver" not in parts:
        parts["solver"] = SolverPart(**task.solver_part)
    return Record(
        utc=datetime.now(UTC).isoformat(timespec="seconds"),
        problem=ProblemPart(**task.problem_part),
        precision=PrecisionPart(**task.precision_part),
        effort=EffortPart(**task.effort_part),
        seed=SeedPart(init=seed, sampling=seed, data=seed),
        machine=machine,
        status=status,
        sentence=sentence,
        **parts,
    )


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [plain(v) for v in value]
        if value is None or isinstance(value, bool | int | float | str):
            return value
        return repr(value)

    return {k: plain(v) for k, v in options.items() if not k.startswith("_")}
