"""Suites: which solvers run on which problems, read from TOML, expanded into tasks.

::

    title = "Burgers, two ways"

    [defaults]
    time_limit = "60s"      # ends the process; also memory_limit = "4GiB"
    budget = "40s"          # CPU time after which an iterative solver stops
    threads = 1
    seeds = [0]             # for solvers with a `seed` option

    [[case]]
    problem = "burgers"     # a name, or a file beside this one: "mine.py:function"
    parameters = { viscosity = 0.01 }

    [[case.solvers]]
    name = "lines"
    order = 4               # any option of the solver
    ladder = { points = [51, 101, 201] }    # one run an entry

    [[case.solvers]]
    name = "pinn"
    seeds = [0, 1, 2]

Values are plain data: nothing in a suite is evaluated.
"""

from __future__ import annotations

import inspect
import tomllib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinnsuite.errors import OptionError, PinnsuiteError, unknown_name
from pinnsuite.problem.catalog import Entry
from pinnsuite.problem.definition import Problem
from pinnsuite.registry import SOLVERS, fit, fit_options, has_seed, make_solver
from pinnsuite.solution.points import digest, read_points
from pinnsuite.suite.options import num_bytes, seconds
from pinnsuite.suite.task import (
    Task,
    effort_part,
    entry_of,
    precision_part,
    problem_part,
    solver_part,
    why_not,
)

if TYPE_CHECKING:
    from pinnsuite.problem.catalog import AnyProblem

MAX_RUNS = 1000
"""More runs than these must be asked for on purpose."""

TIME_LIMIT = 600.0
"""Seconds a run may take where neither a limit nor a budget is given."""

RUN_KEYS = ("time_limit", "memory_limit", "budget", "threads", "seeds")
"""How to run; an inner table overrides an outer one."""

SUITE_KEYS = ("title", "description", "defaults", "case")
CASE_KEYS = ("problem", "parameters", "solvers", "points", *RUN_KEYS)


@dataclass
class _Mistakes:
    """Everything that is wrong, by key path."""

    found: list[tuple[str, str]] = field(default_factory=list)

    def add(self, path: str, message: object) -> None:
        self.found += [(path, line) for line in str(message).splitlines()]

    def keys(self, path: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                self.add(_join(path, key), unknown_name("key", key, known))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def load_table(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    OptionError
        If it cannot be read; a syntax error comes with file, line and column.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"Suite {path} cannot be read: {error}.") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise OptionError(f"{path}:{_place(str(error), text)}") from error


def _place(message: str, text: str) -> str:
    """Return `line:column: what` for what tomllib says."""
    what, _, place = message.partition(" (at ")
    words = place.rstrip(")").replace(",", "").split()
    if len(words) == 4:  # line 3 column 7
        return f"{words[1]}:{words[3]}: {what}."
    lines = text.splitlines() or [""]
    return f"{len(lines)}:{len(lines[-1]) + 1}: {what}."


def expand(
    table: Mapping[str, Any],
    *,
    base: Path,
    folder: Path | None = None,
    source: str | None = None,
    is_large_ok: bool = False,
) -> list[Task]:
    """Return the tasks of a suite; every problem and solver is built once to check it.

    Parameters
    ----------
    table
        As `load_table` returns it, or built from a command line.
    base
        The folder that paths of problem and solver files start from.
    folder
        Where names of problems are looked up; None for the package's own.
    source
        The file's name, to begin every complaint; None where there is no file, and
        complaints have no key paths then.
    is_large_ok
        Whether more than `MAX_RUNS` runs are meant.

    Raises
    ------
    OptionError
        If anything is wrong; the message has a line for every mistake.
    """
    reader = _Reader(base, None if folder is None else str(folder.resolve()))
    tasks = reader.read(table, is_large_ok)
    if reader.mistakes.found:
        lines = [
            message if source is None else f"{source}: {path}: {message}"
            for path, message in reader.mistakes.found
        ]
        raise OptionError("\n".join(dict.fromkeys(lines)))
    return list({t.key: t for t in tasks}.values())


class _Reader:
    """Walks a suite's tables, collecting tasks and mistakes."""

    def __init__(self, base: Path, folder: str | None) -> None:
        self.base = base
        self.folder = folder
        self.mistakes = _Mistakes()
        self.problems: dict[str, tuple[AnyProblem, dict[str, Any]]] = {}

    def read(self, table: Mapping[str, Any], is_large_ok: bool) -> list[Task]:
        self.mistakes.keys("", table, SUITE_KEYS)
        for key in ("title", "description"):
            if not isinstance(table.get(key, ""), str):
                self.mistakes.add(key, f"{table[key]!r} is no text.")
        defaults = self._table("defaults", table.get("defaults", {}))
        self.mistakes.keys("defaults", defaults, RUN_KEYS)
        run = self._run_keys("defaults", defaults, {})
        cases = table.get("case", [])
        if not isinstance(cases, list) or not cases:
            self.mistakes.add("case", "A suite needs at least one [[case]] table.")
            return []
        count = _count(cases, len(run.get("seeds", [0])))
        if count > MAX_RUNS and not is_large_ok:
            self.mistakes.add(
                "case", f"{count} runs; above {MAX_RUNS} say --yes if they are meant."
            )
            return []
        return [
            task
            for i, case in enumerate(cases)
            for task in self._case(f"case[{i}]", self._table(f"case[{i}]", case), run)
        ]

    def _table(self, path: str, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self.mistakes.add(path, f"{value!r} is no table.")
        return {}

    def _run_keys(
        self, path: str, table: Mapping[str, Any], outer: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return how to run, of this table and what it inherits, as numbers."""
        readers = {
            "time_limit": seconds,
            "budget": seconds,
            "memory_limit": num_bytes,
            "threads": _threads,
            "seeds": _seeds,
        }
        run = dict(outer)
        for key in RUN_KEYS:
            if key in table:
                try:
                    run[key] = readers[key](table[key])
                except OptionError as error:
                    self.mistakes.add(_join(path, key), error)
        return run

    def _case(
        self, path: str, case: Mapping[str, Any], outer: Mapping[str, Any]
    ) -> Iterator[Task]:
        self.mistakes.keys(path, case, CASE_KEYS)
        run = self._run_keys(path, case, outer)
        made, target = None, ""
        if isinstance(case.get("problem"), str):
            target = self._located(case["problem"])
            parameters = self._table(f"{path}.parameters", case.get("parameters", {}))
            made = self._problem(path, target, parameters)
        else:
            self.mistakes.add(f"{path}.problem", "A case needs the name of a problem.")
        points = None
        if "points" in case and made is not None:
            points = self._points(f"{path}.points", case["points"], made[0])
        solvers = case.get("solvers")
        if solvers is None and made is not None:
            solvers = suitable(made[0])
        if not isinstance(solvers, list):
            if made is not None:
                self.mistakes.add(f"{path}.solvers", f"{solvers!r} is no list.")
            return
        for j, solver in enumerate(solvers):
            where = f"{path}.solvers[{j}]"
            solver = {"name": solver} if isinstance(solver, str) else solver
            options = self._table(where, solver)
            for name, values, how in self._solver(where, options, run):
                if made is not None:
                    yield self._task(target, made, (name, values), how, points)

    def _located(self, name: str) -> str:
        """Return a path to a file with the base put before it, a name unchanged."""
        file, colon, inside = name.partition(":")
        return f"{self.base / file}{colon}{inside}" if file.endswith(".py") else name

    def _problem(
        self, path: str, target: str, parameters: Mapping[str, Any]
    ) -> tuple[AnyProblem, dict[str, Any], dict[str, Any]] | None:
        try:
            entry = entry_of(target, self.folder)
            signature = _parameter_types(entry)
        except PinnsuiteError as error:
            self.mistakes.add(f"{path}.problem", error)
            return None
        fitted = {}
        for name, value in parameters.items():
            where = f"{path}.parameters.{name}"
            if name not in signature:
                what = f"parameter of {entry.name!r}"
                self.mistakes.add(where, unknown_name(what, name, signature))
                continue
            try:
                fitted[name] = fit(value, signature[name])
            except TypeError as error:
                self.mistakes.add(
                    where,
                    f"Parameter {name!r} of {entry.name!r} is {value!r}; needed is "
                    f"{error}.",
                )
        if len(fitted) < len(parameters):
            return None
        key = f"{target}{sorted(fitted.items())}"
        try:
            if key not in self.problems:
                problem = entry.make(**fitted)
                part = problem_part(problem, entry.statement).model_dump()
                self.problems[key] = problem, part
        except PinnsuiteError as error:
            self.mistakes.add(f"{path}.problem", error)
            return None
        return (*self.problems[key], fitted)

    def _points(
        self, path: str, name: Any, problem: AnyProblem
    ) -> tuple[str, str] | None:
        """Return the path of a table of points and its hash, once it is found good."""
        try:
            if not isinstance(name, str):
                raise OptionError(f"{name!r} is no name of a file.")
            if not isinstance(problem, Problem):
                raise OptionError(
                    f"{problem.name!r} holds data, no equations; points are for fields."
                )
            file = (self.base / name).resolve()
            read_points(file, problem)
            return str(file), digest(file)
        except PinnsuiteError as error:
            self.mistakes.add(path, error)
            return None

    def _solver(
        self, path: str, table: Mapping[str, Any], outer: Mapping[str, Any]
    ) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
        """Give name, options and how to run for each rung of the ladder and seed."""
        run = self._run_keys(path, table, outer)
        name = table.get("name")
        if not isinstance(name, str):
            self.mistakes.add(f"{path}.name", "A solver table needs the solver's name.")
            return
        name = self._located(name)
        apart = ("name", "ladder", *RUN_KEYS)
        given = {k: v for k, v in table.items() if k not in apart}
        try:
            is_seeded = has_seed(name)
        except PinnsuiteError as error:
            self.mistakes.add(f"{path}.name", error)
            return
        if "seeds" in table and not is_seeded:
            self.mistakes.add(f"{path}.seeds", f"Solver {name!r} has no option 'seed'.")
        # A seed given as an option is the only one.
        seeds = run.pop("seeds", [0])
        seeded: list[dict[str, Any]] = [{}]
        if is_seeded and "seed" not in given:
            seeded = [{"seed": s} for s in seeds]
        for rung in self._rungs(f"{path}.ladder", table.get("ladder", {})):
            fitted, wrong = fit_options(name, given | rung)
            for option, message in wrong.items():
                where = f"{path}.ladder" if option in rung else path
                self.mistakes.add(f"{where}.{option}", message)
            if wrong:
                continue
            try:
                make_solver(name, fitted)
            except PinnsuiteError as error:
                self.mistakes.add(path, error)
                continue
            for seed in seeded:
                yield name, fitted | seed, run

    def _rungs(self, path: str, ladder: Any) -> list[dict[str, Any]]:
        """Return the options of each rung: the lists of the ladder side by side."""
        table = self._table(path, ladder)
        if not table:
            return [{}]
        if not all(isinstance(v, list) and v for v in table.values()):
            self.mistakes.add(path, "Each option of a ladder needs a list of values.")
            return []
        lengths = {k: len(v) for k, v in table.items()}
        if len(set(lengths.values())) > 1:
            words = ", ".join(f"{k} {n}" for k, n in lengths.items())
            self.mistakes.add(path, f"The lists differ in length: {words}.")
            return []
        rows = zip(*table.values(), strict=True)
        return [dict(zip(table, row, strict=True)) for row in rows]

    def _task(
        self,
        target: str,
        made: tuple[AnyProblem, dict[str, Any], dict[str, Any]],
        solver: tuple[str, dict[str, Any]],
        run: Mapping[str, Any],
        points: tuple[str, str] | None,
    ) -> Task:
        _, part, parameters = made
        name, options = solver
        built = make_solver(name, options)
        budget = run.get("budget")
        # CPU seconds stretch on a busy machine; imports and judging come on top.
        limit = TIME_LIMIT if budget is None else 4 * budget + 120
        return Task(
            target=target,
            folder=self.folder,
            parameters=parameters,
            solver=name,
            options=options,
            budget=budget,
            time_limit=run.get("time_limit", limit),
            memory_limit=run.get("memory_limit"),
            threads=run.get("threads", 1),
            points=None if points is None else points[0],
            points_hash=None if points is None else points[1],
            problem_part=part,
            solver_part=solver_part(name, built).model_dump(),
            precision_part=precision_part(built).model_dump(),
            effort_part=effort_part(built, part["id"]).model_dump(),
        )


def suitable(problem: AnyProblem) -> list[str]:
    """Return the solvers to run where none is named.

    Every one that takes the problem, but of several networks for the same equations
    only `pinn`.
    """
    names = []
    for name, entry in SOLVERS.items():
        if entry.family == "pinn" and name != "pinn":
            continue
        try:
            solver = make_solver(name)
            if why_not(name, solver, problem) is None:
                names.append(name)
        except OptionError:
            continue  # what cannot be loaded is not suitable; `doctor` says why
    return names


def _parameter_types(entry: Entry) -> dict[str, Any]:
    """Return the types of a problem function's parameters."""
    function = entry.function()
    hints = typing.get_type_hints(function)
    return {
        name: hints.get(name, Any) for name in inspect.signature(function).parameters
    }


def _count(cases: list[Any], num_seeds: int) -> int:
    """Return the number of runs at most, without looking anything up."""
    total = 0
    for case in cases:
        solvers = case.get("solvers") if isinstance(case, dict) else None
        for solver in solvers if isinstance(solvers, list) else []:
            table = solver if isinstance(solver, dict) else {}
            ladder = table.get("ladder", {})
            lists = ladder.values() if isinstance(ladder, dict) else []
            rungs = max((len(v) for v in lists if isinstance(v, list)), default=1)
            seeds = table.get("seeds", case.get("seeds"))
            total += rungs * (len(seeds) if isinstance(seeds, list) else num_seeds)
    return total


def _threads(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise OptionError(f"{value!r} is no number of threads; needed is 1 or more.")
    return value


def _seeds(value: Any) -> list[int]:
    if (
        not isinstance(value, list)
        or not value
        or any(type(v) is not int for v in value)
    ):
        raise OptionError(f"{value!r} is no list of seeds; write seeds = [0, 1, 2].")
    return value
