"""What runs in a fresh process of its own: `python -m pinnsuite.suite.child ORDER`.

An order is a JSON file that says what to do: `expand` a suite, `prepare` the reference
of a problem, `audit` it or evaluate it at `points`, `verify` a solver's order on it,
or `run` a task. The answer is a JSON file too. Every error becomes an answer here, and
here alone; its traceback goes to the log.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import json
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinnsuite.errors import PinnsuiteError, TruthError, UnsupportedProblemError

if TYPE_CHECKING:
    from pinnsuite.problem.catalog import AnyProblem
    from pinnsuite.problem.family import Family
    from pinnsuite.solution.cost import Cost
    from pinnsuite.solution.points import PointTable
    from pinnsuite.solution.record import (
        AmortisedPart,
        ErrorPart,
        Record,
        ReferencePart,
        SolverPart,
    )
    from pinnsuite.solution.solution import Solution, Status
    from pinnsuite.solver import Batched
    from pinnsuite.suite.task import Task

REPEATS = 5
"""Timed runs of a classical solver, after a warm-up."""

REPEATED_BELOW = 2.0
"""Seconds of one solve above which it is not repeated: its warm-up is the run."""

PROGRESS_EVERY = 0.5
"""Seconds between two notes to the supervisor."""

DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of Linux."""

OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "cannot allocate memory")
"""How libraries that have no MemoryError say it."""


def main(path: Path) -> None:
    """Carry out the order in `path` and write the answer it asks for."""
    order = json.loads(path.read_text(encoding="utf-8"))
    _die_with(order["supervisor"])
    faulthandler.enable()
    # TERM ends the process, but first says where it was.
    faulthandler.register(signal.SIGTERM, chain=True)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    jobs = {
        "expand": _expand,
        "prepare": _prepare,
        "verify": _verify,
        "audit": _audit,
        "points": _points,
        "run": _run,
    }
    job = jobs[order["do"]]
    try:
        answer = job(order)
    except BaseException as error:  # noqa: BLE001
        traceback.print_exc()
        answer = _failure(order, error)
    out = Path(order["answer"])
    temporary = out.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(answer)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(out)


def _die_with(supervisor: int) -> None:
    """Have the kernel end this process when its supervisor ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(1)


def _failure(order: dict[str, Any], error: BaseException) -> str:
    sentence = f"{type(error).__name__}: {error}"
    if order["do"] != "run":
        known = isinstance(error, PinnsuiteError)
        return json.dumps({"error": str(error) if known else sentence})
    from pinnsuite.solution.solution import Status

    text = str(error).lower()
    status = Status.FAILED
    if isinstance(error, UnsupportedProblemError):
        status, sentence = Status.UNSUPPORTED, str(error)
    elif isinstance(error, MemoryError) or any(w in text for w in OUT_OF_MEMORY):
        status = Status.OOM
    elif isinstance(error, FloatingPointError):
        status = Status.NAN
    return _record(order, status, sentence).to_json()


def _record(
    order: dict[str, Any], status: Status, sentence: str, **parts: Any
) -> Record:
    from pinnsuite.suite.environment import machine
    from pinnsuite.suite.task import Task, record_of

    task = Task(**order["task"])
    details = {"jobs": order["jobs"]} | parts.pop("details", {})
    return record_of(
        task,
        machine(task.threads, order["load_before"]),
        status,
        sentence,
        run_id=order["run_id"],
        command=order["command"],
        commit=order["commit"],
        details=details,
        reference=order["ready"].get("reference"),
        **parts,
    )


def _expand(order: dict[str, Any]) -> str:
    from pinnsuite.suite.environment import commit
    from pinnsuite.suite.suite import expand

    folder = order["folder"]
    tasks = expand(
        order["table"],
        base=Path(order["base"]),
        folder=None if folder is None else Path(folder),
        source=order["source"],
        is_large_ok=order["is_large_ok"],
    )
    return json.dumps({"tasks": [t.to_json() for t in tasks], "commit": commit()})


def _prepare(order: dict[str, Any]) -> str:
    """Check the problem and have its reference ready, so that no run pays for it.

    Nothing is said of a problem without a reference: its runs are kept, unjudged.
    """
    from pinnsuite.problem.definition import Problem
    from pinnsuite.solution import hdf5
    from pinnsuite.suite.task import Task, entry_of
    from pinnsuite.verification.check import check
    from pinnsuite.verification.pinned import pin_of

    task = Task(**order["task"])
    problem = task.make_problem()
    if isinstance(problem, Problem):
        pin = pin_of(entry_of(task.target, task.folder), problem)
        report = check(problem, solvers=False, pin=pin)
        if report.faults:
            return json.dumps({"faults": list(report.faults)})
    try:
        truth = _truth(problem)
    except TruthError as error:
        return json.dumps({"faults": [], "no_reference": str(error)})
    if truth.solution is not None:
        folder = Path(order["references"])
        hdf5.save(
            replace(truth.solution, evaluator=None, snapshots=()),
            folder / f"{truth.part.hash}.h5",
        )
    return json.dumps({"faults": [], "reference": truth.part.model_dump()})


def _verify(order: dict[str, Any]) -> str:
    """Observe the order of a classical solver on equations, by manufactured solutions.

    The study takes longer than many a run, so it is kept like a reference.
    """
    from pinnsuite.problem.definition import Problem
    from pinnsuite.solver import Refinable
    from pinnsuite.suite.task import Task
    from pinnsuite.verification import cache
    from pinnsuite.verification.order import SCHEME, verify_scheme

    task = Task(**order["task"])
    problem, solver = task.make_problem(), task.make_solver()
    if not (
        isinstance(problem, Problem)
        and isinstance(solver, Refinable)
        and solver.why_not(problem.without_answer()) is None
        and solver.expected_order(problem.without_answer()) is not None
    ):
        return json.dumps({})
    content = {
        "definition": problem.definition_hash,
        "solver": [task.solver, task.solver_part["version"]],
        "scheme": {k: getattr(solver, k) for k in SCHEME if hasattr(solver, k)},
    }
    folder = cache.default_folder()
    file = folder / f"order-{cache.key_of(content)}.json"
    with contextlib.suppress(OSError, ValueError):
        known = file.read_text(encoding="utf-8")
        json.loads(known)
        return known
    row = verify_scheme(problem, task.solver, solver)
    seen = None if row is None else row.observed_order
    answer = json.dumps({"observed_order": seen})
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(answer, encoding="utf-8")
    return answer


def _audit(order: dict[str, Any]) -> str:
    """Hold a reference against its claim."""
    from pinnsuite.suite.task import entry_of
    from pinnsuite.verification.audit import audit

    progress = _Progress(Path(order["answer"]).parent / "progress")
    progress.begin()
    row = audit(
        entry_of(order["target"], order["folder"]),
        order["parameters"],
        fresh=order["fresh"],
        store=order["store"],
        progress=progress,
    )
    content = vars(row) | {"rungs": [r.model_dump() for r in row.rungs]}
    return json.dumps(content, default=_plain)


def _points(order: dict[str, Any]) -> str:
    """Evaluate the reference of a problem at points, beside what was given there."""
    from pinnsuite.problem.definition import Problem
    from pinnsuite.solution.points import differences, read_points, with_fields
    from pinnsuite.solution.points import write_points as write
    from pinnsuite.suite.task import entry_of
    from pinnsuite.verification.reference import evaluate_at, reference

    entry = entry_of(order["target"], order["folder"])
    problem = entry.make(**order["parameters"])
    if not isinstance(problem, Problem):
        raise UnsupportedProblemError(
            f"{problem.name!r} holds data, no equations; points are for fields."
        )
    table = read_points(Path(order["points"]), problem)
    truth = reference(problem)
    fields = evaluate_at(problem, truth, table.points)
    write(Path(order["out"]), with_fields(table, fields))
    gauge = problem.hints.get("gauge")
    return json.dumps(
        {
            "reference": truth.part(problem.name).model_dump(),
            "points": order["out"],
            "differences": differences(table, fields, gauge),
        }
    )


@dataclass(frozen=True)
class _Truth:
    """What a run is judged by; data held back has no solution of its own."""

    part: ReferencePart
    solution: Solution | None
    reference: Any = None


def _truth(problem: AnyProblem) -> _Truth:
    from pinnsuite.problem.family import Family
    from pinnsuite.problem.signal import SignalProblem
    from pinnsuite.solution.solution import Solution
    from pinnsuite.solution.support import common_support
    from pinnsuite.verification.judge import signal_reference
    from pinnsuite.verification.reference import reference

    if isinstance(problem, Family):
        return _family_truth(problem)
    if isinstance(problem, SignalProblem):
        truth = dict(problem.truth or {})
        support = common_support(problem)
        # Labels are no field on the axes; only what has their shape can be drawn.
        held = all(
            v.shape[: len(support.shape)] == support.shape for v in truth.values()
        )
        solution = Solution(support, truth) if held else None
        return _Truth(signal_reference(problem), solution)
    made = reference(problem)
    return _Truth(made.part(problem.name), made.solution, made)


def _data_solver(family: Family) -> Batched:
    """Return the classical solver that makes a family's data, as the family states."""
    from pinnsuite.registry import make_solver

    stated = dict(family.generator)
    solver: Batched = make_solver(stated.pop("solver", "fourier"), stated)
    return solver


def _family_truth(family: Family) -> _Truth:
    from pinnsuite.solution.record import ReferencePart, Rung
    from pinnsuite.solution.solution import Solution
    from pinnsuite.solution.support import family_support
    from pinnsuite.verification import cache
    from pinnsuite.verification.dataset import family_reference

    solver = _data_solver(family)
    (name,) = family.member(0).field_names
    key = cache.key_of({"family": family.definition_hash, "solver": repr(solver)})
    found = cache.fetch(cache.default_folder(), key)
    if found is not None:
        solution, about = found
        return _Truth(ReferencePart(**about["part"]), solution)
    made = family_reference(family, solver)
    part = ReferencePart(
        id=family.name,
        kind="ladder",
        hash=key,
        error_estimate={name: made.error_estimate},
        cost=made.info["cpu_s"],
        description=f"{made.info['solver']}, refined until two rungs agree",
        rungs=[
            Rung(label=f"rung {i}", dofs=0, error=e, cpu_s=0.0)
            for i, e in enumerate(made.info["rungs"])
        ],
    )
    solution = Solution(family_support(family), {name: made.outputs})
    cache.store(cache.default_folder(), key, solution, {"part": part.model_dump()})
    return _Truth(part, solution)


class _Progress:
    """Tells the supervisor by a small file, twice a second at most."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last = 0.0

    def begin(self) -> None:
        """Say that imports are over and the work begins."""
        self.path.write_text("0 started", encoding="utf-8")

    def __call__(self, fraction: float, note: str) -> None:
        now = time.monotonic()
        if now - self.last >= PROGRESS_EVERY:
            self.last = now
            self.path.write_text(f"{fraction:.4f} {note}", encoding="utf-8")


def _run(order: dict[str, Any]) -> str:
    from pinnsuite.solution import hdf5
    from pinnsuite.solution.cost import Clock, Cost
    from pinnsuite.solution.solution import Status
    from pinnsuite.suite.task import Task

    task = Task(**order["task"])
    if order["cores"] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, order["cores"])
    problem = task.make_problem()
    solver = task.make_solver()
    out = Path(order["answer"]).parent
    progress = _Progress(out / "progress")
    # The time limit counts from here. For a process that TERM does not end: leave a
    # trace before KILL does.
    faulthandler.dump_traceback_later(task.time_limit + 1.0)
    progress.begin()
    table = _point_table(task, problem)
    solution, amortised = _solved(task, problem, solver, progress, table)
    clock = Clock()
    status, sentence = solution.status, solution.sentence
    parts: dict[str, Any] = {}
    with clock.phase("evaluate"):
        bad = _not_finite(solution)
        if bad and status in (Status.OK, Status.NOT_REACHED):
            status = Status.NAN
            sentence = f"{bad} holds NaN or infinity. {Status.NAN.sentence}"
        usable = bool(solution.fields) and not bad
        asked = {}
        if usable and table is not None:
            asked = {"points": _at_points(problem, solution, table, out)}
        if "no_reference" in order["ready"]:
            parts["details"] = {"no_reference": order["ready"]["no_reference"]}
        elif usable:
            parts, solution = _judged(problem, solution)
    cost = Cost({**solution.cost.phases, **clock.cost().phases})
    if solution.fields:
        hdf5.save(replace(solution, cost=cost, snapshots=()), out / "fields.h5")
    if solution.model is not None:
        solution.model.save(out / "model.safetensors")
    details = {**parts.pop("details", {}), **_time_axis(problem), **asked}
    details |= solution.details
    record = _record(
        order,
        status,
        sentence,
        solver=_solver_part(order, problem, solver, solution),
        cost=_cost_parts(cost),
        amortised=amortised,
        details=json.loads(json.dumps(details, default=_plain)),
        **parts,
    )
    (out / "progress").unlink(missing_ok=True)
    return record.to_json()


def _point_table(task: Task, problem: AnyProblem) -> PointTable | None:
    from pinnsuite.problem.definition import Problem
    from pinnsuite.solution.points import read_points

    if task.points is None or not isinstance(problem, Problem):
        return None
    return read_points(Path(task.points), problem)


def _at_points(
    problem: AnyProblem, solution: Solution, table: PointTable, out: Path
) -> dict[str, Any]:
    """Write the solution at the points asked for; return what a record says of it."""
    from pinnsuite.problem.definition import Problem
    from pinnsuite.solution.points import differences, with_fields, write_points

    assert isinstance(problem, Problem)
    fields = solution.at(table.points)
    write_points(out / "points.csv", with_fields(table, fields))
    gauge = problem.hints.get("gauge")
    return {
        "file": "points.csv",
        "count": len(table.points),
        "differences": differences(table, fields, gauge),
    }


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else repr(value)


def _solved(
    task: Task,
    problem: AnyProblem,
    solver: Any,
    progress: _Progress,
    table: PointTable | None,
) -> tuple[Solution, AmortisedPart | None]:
    from pinnsuite.problem.family import Family
    from pinnsuite.solution.points import reporting
    from pinnsuite.suite.task import why_not

    reason = why_not(task.solver, solver, problem)
    if reason is not None:
        raise UnsupportedProblemError(reason)
    if isinstance(problem, Family):
        return _solve_family(task, problem, solver, progress)
    asked: Any = problem.without_answer()
    if table is not None:
        asked = reporting(asked, table.points)

    def solve() -> Solution:
        solution: Solution = solver.solve(asked, progress=progress, budget=task.budget)
        return solution

    if solver.family != "classical":
        return solve(), None
    return _repeated(solve, task.time_limit), None


def _repeated(solve: Callable[[], Solution], time_limit: float) -> Solution:
    """Return a solution with the fastest of several costs, after a warm-up."""
    from pinnsuite.solution.cost import fastest
    from pinnsuite.solution.solution import Status

    start = time.monotonic()
    solution = solve()
    taken = time.monotonic() - start
    # Repeats must leave time for judging before the limit.
    if (
        solution.status is not Status.OK
        or taken > REPEATED_BELOW
        or taken * (REPEATS + 1) > time_limit / 2
    ):
        return solution
    runs = [solve() for _ in range(REPEATS)]
    return replace(runs[-1], cost=fastest([run.cost for run in runs]))


def _solve_family(
    task: Task, family: Family, solver: Any, progress: _Progress
) -> tuple[Solution, AmortisedPart]:
    """Learn from the training members and answer the test members, or solve them."""
    from pinnsuite.solution.cost import Cost, PhaseCost
    from pinnsuite.solution.record import AmortisedPart
    from pinnsuite.solution.solution import Solution
    from pinnsuite.solution.support import family_support
    from pinnsuite.solver import Operator
    from pinnsuite.verification.dataset import dataset, initial_states

    members = [family.member(i) for i in family.test]
    member = members[0]
    (name,) = member.field_names
    support = family_support(family)
    grid = support.axes[member.space[0].name]
    inputs = initial_states(members, grid)
    phases: dict[str, PhaseCost] = {}
    data_s = train_s = 0.0
    details: dict[str, Any] = {}
    if isinstance(solver, Operator):
        data = dataset(family, family.train, _data_solver(family))
        fitted = solver.fit(data, progress=progress, budget=task.budget)
        data_s, train_s = data.cost, fitted.cost.total
        phases["data"] = PhaseCost(data_s, data_s, median_s=data_s)
        phases |= dict(fitted.cost.phases)
        details = dict(getattr(fitted, "details", {}))
        outputs, answered = _timed(lambda: fitted.predict(inputs), "infer")
    else:
        asked = member.without_answer()
        outputs, answered = _timed(lambda: solver.solve_batch(asked, inputs), "solve")
    phases |= dict(answered.phases)
    infer_s = answered.total / len(inputs)
    amortised = AmortisedPart(
        data_s=data_s, train_s=train_s, infer_s=infer_s, members=len(inputs)
    )
    details["inputs_per_batch"] = len(inputs)
    solution = Solution(support, {name: outputs}, cost=Cost(phases), details=details)
    return solution, amortised


def _timed(answer: Callable[[], Any], phase: str) -> tuple[Any, Cost]:
    """Return an answer and what the fastest of several costs, after a warm-up."""
    from pinnsuite.solution.cost import Clock, fastest

    costs = []
    for _ in range(REPEATS + 1):
        clock = Clock()
        with clock.phase(phase):
            values = answer()
        costs.append(clock.cost())
        if costs[0].phases[phase].wall_s > REPEATED_BELOW:
            return values, costs[0]
    return values, fastest(costs[1:])


def _not_finite(solution: Solution) -> str:
    """Return the name of a field that holds NaN or infinity, empty if none does."""
    import numpy as np

    for name, values in solution.fields.items():
        # A probability of zero has the logarithm -inf, rightly.
        bad = np.isnan(values) if name == "log2_probability" else ~np.isfinite(values)
        if bad.any():
            return name
    return ""


def _judged(problem: AnyProblem, solution: Solution) -> tuple[dict[str, Any], Solution]:
    """Return the record's parts on the error, and the values on the common points."""
    from pinnsuite.compare.comparison import compare
    from pinnsuite.problem.definition import Problem
    from pinnsuite.problem.family import Family
    from pinnsuite.verification.judge import judge, judge_signal

    truth = _truth(problem)
    if isinstance(problem, Family):
        assert truth.solution is not None
        error: ErrorPart = compare(
            solution, truth.solution.fields, solution.support, problem=problem
        ).part()
        return {"error": error}, solution
    if isinstance(problem, Problem):
        judged = judge(problem, solution, truth.reference)
    else:
        judged = judge_signal(problem, solution)
    return {
        "error": judged.error,
        "residual": judged.residual,
        "trace": judged.trace,
    }, judged.solution


def _solver_part(
    order: dict[str, Any], problem: AnyProblem, solver: Any, solution: Solution
) -> SolverPart:
    from pinnsuite.problem.definition import Problem
    from pinnsuite.solution.record import SolverPart
    from pinnsuite.solver import Refinable

    part = SolverPart(**order["task"]["solver_part"])
    part.observed_order = order["ready"].get("observed_order")
    dofs = solution.details.get("dofs")
    part.dofs = None if dofs is None else int(dofs)
    if isinstance(problem, Problem) and isinstance(solver, Refinable):
        part.expected_order = solver.expected_order(problem.without_answer())
    return part


def _time_axis(problem: AnyProblem) -> dict[str, str]:
    """Return the name of the time coordinate, for who reads the fields later."""
    from pinnsuite.problem.definition import Problem

    if isinstance(problem, Problem) and problem.time is not None:
        return {"time": problem.time.coordinate.name}
    return {}


def _cost_parts(cost: Cost) -> dict[str, Any]:
    from pinnsuite.solution.record import CostPart

    return {
        name: CostPart(
            **{k: v for k, v in asdict(c).items() if k != "median_s"},
            min=c.cpu_s,
            median=c.median_s or c.cpu_s,
        )
        for name, c in cost.phases.items()
    }


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(Path(sys.argv[1]))
