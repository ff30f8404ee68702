"""The command line. Heavy modules are imported by the commands that need them."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pinnsuite.errors import OptionError, PinnsuiteError, unknown_name

if TYPE_CHECKING:
    from pinnsuite.problem.catalog import Entry
    from pinnsuite.solution.record import Record
    from pinnsuite.suite.runner import Event
    from pinnsuite.suite.task import Task
    from pinnsuite.verification.audit import Audit

OK, NOT_OK, BAD_INPUT, GATE_FAILED, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes."""

REFERENCE = "reference"
"""What stands for the reference where solvers are named, and its folder."""

LABEL_WIDTH, NOTE_WIDTH = 36, 24
"""Letters of a row of live progress; with bar and clock they fill 80 columns."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="State a differential equation once; solve it by classical and learned "
    "solvers, and compare them honestly.",
    epilog="Exit codes: 0 all ok, 1 some run is not ok, 2 bad input, 3 a check failed, "
    "130 interrupted.",
)


class Listed(StrEnum):
    """What can be listed."""

    problems = "problems"
    solvers = "solvers"
    suites = "suites"


class Format(StrEnum):
    """File formats for ParaView."""

    vtu = "vtu"
    xdmf = "xdmf"


Json = Annotated[
    bool, typer.Option("--json", help="Print JSON and nothing else on standard output.")
]
Problems = Annotated[
    Path | None,
    typer.Option("--problems", metavar="DIR", help="Folder of your own problems."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the problem."),
]


def main() -> None:
    """Run the command line; bad input ends with one clear message and status 2."""
    # TERM ends like Ctrl-C: what runs is recorded as interrupted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except PinnsuiteError as error:
        print(f"pinnsuite: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except BrokenPipeError:
        # Who read our output has left (`pinnsuite list | head`).
        sys.stderr.close()
        sys.exit(NOT_OK)


@app.command("list")
def list_(
    what: Annotated[Listed, typer.Argument()] = Listed.problems,
    group: Annotated[
        str | None, typer.Option(help="Only the problems of one group.")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="Only problems with this tag; may be given again."),
    ] = None,
    problems: Problems = None,
    as_json: Json = False,
) -> None:
    """List the problems, the solvers or the suites that there are."""
    if (group or tag) and what is not Listed.problems:
        raise OptionError("--group and --tag choose problems.")
    rows = {
        Listed.problems: lambda: _problem_rows(problems, group, tag or []),
        Listed.solvers: _solver_rows,
        Listed.suites: _suite_rows,
    }[what]()
    if as_json:
        _print_json(rows)
    else:
        _print_table({k: v for k, v in row.items() if k != "tags"} for row in rows)


def _problem_rows(
    folder: Path | None, group: str | None, tags: list[str]
) -> list[dict[str, Any]]:
    from pinnsuite.problem.catalog import entries

    found = entries(folder).values()
    groups, known = {e.group for e in found}, {t for e in found for t in e.tags}
    if group is not None and group not in groups:
        raise OptionError(unknown_name("group", group, groups))
    for tag in tags:
        if tag not in known:
            raise OptionError(unknown_name("tag", tag, known))
    return [
        {
            "group": e.group,
            "name": e.name,
            "kind": e.kind,
            "dimension": e.dimension,
            "reference": e.reference,
            "title": e.title,
            "tags": list(e.tags),
        }
        for e in found
        if group in (None, e.group) and set(tags) <= set(e.tags)
    ]


def _solver_rows() -> list[dict[str, Any]]:
    from pinnsuite.registry import SOLVERS

    return [
        {
            "name": name,
            "family": entry.family,
            "for": ", ".join(entry.kinds),
            "by": entry.package,
            "summary": entry.summary,
        }
        for name, entry in SOLVERS.items()
    ]


def _suite_rows() -> list[dict[str, Any]]:
    from pinnsuite.problem.catalog import problem_folder
    from pinnsuite.suite.suite import load_table

    tables = {
        path: load_table(path)
        for path in sorted((problem_folder() / "suites").glob("*.toml"))
    }
    return [
        {
            "name": path.stem,
            "cases": len(table.get("case", [])),
            "file": str(path),
            "title": table.get("title", ""),
        }
        for path, table in tables.items()
    ]


@app.command()
def show(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[PROBLEM]…", help="Names, or files.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every problem of the catalogue.")
    ] = False,
    parameters: Set = None,
    latex: Annotated[bool, typer.Option("--latex", help="Formulas in LaTeX.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw the domain into a .png, .svg or .pdf file, or write a .html "
            "page of all that is known.",
        ),
    ] = None,
    problems: Problems = None,
    as_json: Json = False,
) -> None:
    """Show problems as pages of a textbook: equations, conditions, source, traps."""
    from pinnsuite.report import catalogue

    if bool(names) == every:
        raise OptionError("Name the problems to show, or say --all.")
    given = _assignments(parameters)
    made = [(e, e.make(**given)) for e in _chosen(names, problems).values()]
    is_page = out is not None and out.suffix in (".html", ".htm")
    if out is not None and not is_page and len(made) > 1:
        raise OptionError(f"{out}: a picture holds one problem; a .html page many.")
    # Asking the solvers loads torch: a whole catalogue goes without.
    pages = [catalogue.describe(e, m, solvers=not every) for e, m in made]
    if as_json:
        _print_json([catalogue.as_json(p) for p in pages])
    elif not is_page:
        print("\n".join(catalogue.as_text(p, latex=latex) for p in pages), end="")
    if out is None:
        return
    if is_page:
        catalogue.write_catalogue(pages, out)
    else:
        catalogue.write_picture(made[0][1], out)
    _say(str(out))


@app.command()
def check(
    target: Annotated[str, typer.Argument(help="A problem's name or its file.")],
    parameters: Set = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the domain with its named boundaries."),
    ] = None,
    problems: Problems = None,
    as_json: Json = False,
) -> None:
    """Check a problem before anything is solved; put its known solution into it.

    Also whether a problem of the catalogue still states what the package vouches for.
    """
    from pinnsuite.verification.check import check as check_problem
    from pinnsuite.verification.pinned import pin_of

    entry = _entry(target, problems)
    problem = entry.make(**_assignments(parameters))
    report = check_problem(problem, pin=pin_of(entry, problem))
    if out is not None:
        from pinnsuite.report.catalogue import write_picture

        write_picture(problem, out)
    if as_json:
        _print_json(
            {
                "problem": report.problem,
                "ok": report.is_ok,
                "lines": list(report.lines),
                "faults": list(report.faults),
                "solvers": report.solvers,
            }
        )
    else:
        print(report.problem)
        for line in report.lines:
            print(f"  {line}")
        for name, reason in report.solvers.items():
            print(f"  {name}: {'takes it' if reason is None else f'no: {reason}'}")
        for fault in report.faults:
            print(f"FAULT {fault}")
        print("Nothing is wrong." if report.is_ok else "This must be mended first.")
    if not report.is_ok:
        raise typer.Exit(GATE_FAILED)


@app.command()
def run(
    target: Annotated[
        str, typer.Argument(help="A suite (.toml), a problem's name, or its file.")
    ],
    solver: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:KEY=VALUE,…]",
            help="A solver with its options; may be given again. "
            "Without it, all that suit the problem. With --points, "
            "'reference' stands for the reference alone.",
        ),
    ] = None,
    parameters: Set = None,
    points: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Evaluate every solution, and the reference, at these points.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="CPU time after which a solver stops, such as 60s."),
    ] = None,
    time_limit: Annotated[
        str | None,
        typer.Option(help="Wall-clock time after which a run is ended, such as 10m."),
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(help="Seed; may be given again.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Default: results/NAME.")
    ] = None,
    problems: Problems = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at the same time.")] = 1,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first run that is not ok.")
    ] = False,
    retry: Annotated[
        bool,
        typer.Option("--retry", help="Run again what failed, crashed or met a limit."),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="More than 1000 runs are meant.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run solvers on a problem, or a whole suite; run again to resume.

    The table of --points has a header that names the coordinates, in any order. Written
    are points.csv in each run's folder and DIR/reference/points.csv, with coordinates,
    fields and the table's other columns; of those that hold a field, the relative L2
    difference is shown.
    """
    from pinnsuite.suite.suite import load_table

    is_suite = target.endswith(".toml")
    if is_suite:
        if solver or parameters or points or budget or time_limit or seed:
            raise OptionError(
                f"{target} says itself which solvers run and how; --solver, --set, "
                "--points, --budget, --time-limit and --seed are for single problems."
            )
        table, base = load_table(Path(target)), Path(target).parent
        name = Path(target).stem
    else:
        entry = _entry(target, problems)
        solver = _without_reference(solver, points)
        table = _case(target, solver, parameters, points, budget, time_limit, seed)
        base, name = Path(), entry.name
    results = out or Path("results") / name
    tasks: list[Task] = []
    records: list[Record] = []
    is_interrupted = False
    truth = None
    try:
        if solver != []:
            tasks, records, is_interrupted = _run_all(
                table,
                results,
                base=base,
                folder=problems,
                source=target if is_suite else None,
                is_large_ok=yes,
                jobs=jobs,
                fail_fast=fail_fast,
                retry=retry,
            )
        if points is not None and not is_interrupted:
            truth = _reference_at(target, points, results, problems, parameters)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        found = [json.loads(r.to_json()) for r in records]
        _print_json(found if truth is None else {"runs": found, "reference": truth})
    else:
        if tasks:
            _print_results(tasks, records, results)
        if truth is not None:
            _print_points(records, truth, results)
    if is_interrupted:
        raise typer.Exit(INTERRUPTED)
    if any(r.status == "bad_reference" for r in records):
        raise typer.Exit(GATE_FAILED)
    if len(records) < len(tasks) or any(r.status != "ok" for r in records):
        raise typer.Exit(NOT_OK)


def _case(
    target: str,
    solvers: list[str] | None,
    parameters: list[str] | None,
    points: Path | None,
    budget: str | None,
    time_limit: str | None,
    seeds: list[int] | None,
) -> dict[str, Any]:
    """Return the suite that a command line stands for."""
    from pinnsuite.suite.options import parse_solver

    case: dict[str, Any] = {
        "problem": target,
        "parameters": _assignments(parameters),
        "points": None if points is None else str(points),
        "budget": budget,
        "time_limit": time_limit,
        "seeds": seeds,
        "solvers": [parse_solver(s) for s in solvers] if solvers else None,
    }
    return {"case": [{k: v for k, v in case.items() if v is not None}]}


def _without_reference(
    solvers: list[str] | None, points: Path | None
) -> list[str] | None:
    """Return the solvers but `reference`, which is no solver; empty for it alone."""
    if solvers is None or REFERENCE not in solvers:
        return solvers
    if points is None:
        raise OptionError(
            f"{REFERENCE!r} is no solver; with --points FILE.csv it stands for the "
            "reference at these points. `pinnsuite verify` looks at references."
        )
    return [s for s in solvers if s != REFERENCE]


def _reference_at(
    target: str,
    points: Path,
    results: Path,
    folder: Path | None,
    parameters: list[str] | None,
) -> dict[str, Any]:
    from pinnsuite.suite.runner import reference_at

    return reference_at(
        target,
        points,
        results / "reference" / "points.csv",
        folder=folder,
        parameters=_assignments(parameters),
    )


def _print_points(
    records: Sequence[Record], truth: dict[str, Any], results: Path
) -> None:
    """Print what stands at the points: files, and differences from given fields."""
    estimate = max(truth["reference"]["error_estimate"].values(), default=None)
    found = [
        (r.solver.id, r.details["points"]["differences"], results / r.run_id)
        for r in records
        if "points" in r.details
    ]
    found.append((REFERENCE, truth["differences"], results / REFERENCE))
    print("At the points:")
    _print_table(
        [
            {
                "solver": name,
                **{f"{k} - given": f"{v:.2e}" for k, v in differences.items()},
                "file": str(folder / "points.csv"),
            }
            for name, differences, folder in found
        ]
    )
    if estimate is not None:
        print(f"Error estimate of the reference: {estimate:.1e}")


def _run_all(
    table: dict[str, Any],
    results: Path,
    *,
    base: Path,
    folder: Path | None,
    source: str | None,
    is_large_ok: bool,
    **how: Any,
) -> tuple[list[Task], list[Record], bool]:
    from pinnsuite.suite import runner

    with _watching() as (say, tell):
        say("Building problems and solvers …")
        tasks, commit = runner.expand_apart(
            table, base=base, folder=folder, source=source, is_large_ok=is_large_ok
        )
        say(f"{len(tasks)} runs, results in {results}")
        outcome = runner.run(
            tasks,
            results,
            command=" ".join(["pinnsuite", *sys.argv[1:]]),
            commit=commit,
            tell=tell(len(tasks)),
            **how,
        )
    return tasks, outcome.records, outcome.is_interrupted


@contextlib.contextmanager
def _watching() -> Iterator[
    tuple[Callable[[str], None], Callable[[int], Callable[[Event], None]]]
]:
    """Show progress on standard error: live on a terminal, else a line an event."""
    if not sys.stderr.isatty():
        yield _say, _line_by_line
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(20),
        TextColumn("{task.fields[note]}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )

    def tell(total: int) -> Callable[[Event], None]:
        suite = bars.add_task("all", total=total, note="")
        rows: dict[str, Any] = {}

        def take(event: Event) -> None:
            key, label = event.task.key, event.task.label[:LABEL_WIDTH]
            if key not in rows:
                rows[key] = bars.add_task(label, total=1.0, note="")
            if event.what in ("end", "skip"):
                bars.remove_task(rows.pop(key))
                bars.advance(suite)
                bars.console.print(_ended(event), markup=False, highlight=False)
            else:
                note = (event.note or event.what)[:NOTE_WIDTH]
                bars.update(rows[key], completed=event.fraction, note=note)

        return take

    with bars:
        yield bars.console.print, tell


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _line_by_line(total: int) -> Callable[[Event], None]:
    done = 0

    def take(event: Event) -> None:
        nonlocal done
        if event.what in ("end", "skip"):
            done += 1
            _say(f"[{done}/{total}] {_ended(event)}")
        elif event.what == "check":
            _say(f"[{done}/{total}] {event.task.label}: check and reference …")
        elif event.what == "start":
            _say(f"[{done}/{total}] {event.task.label} …")

    return take


def _ended(event: Event) -> str:
    record = event.record
    assert record is not None
    words = [f"{event.task.label}: {record.status.value}"]
    if record.error.value is not None:
        words.append(f"{record.error.metric} {record.error.value:.2e}")
    if record.cost:
        words.append(f"{record.compared_s:.3g} CPU-s")
    if event.what == "skip":
        words.append("finished earlier")
    elif record.status != "ok":
        words.append(record.sentence)
    return ", ".join(words)


def _print_results(
    tasks: Sequence[Task], records: Sequence[Record], results: Path
) -> None:
    from pinnsuite.compare.verdict import verdicts

    given = {t.directory: t.options for t in tasks}
    rows = []
    for r in records:
        options = given.get(r.run_id.partition("/")[0], {})
        rows.append(
            {
                "problem": r.problem.id,
                "solver": r.solver.id.rpartition(":")[2],
                "options": ",".join(f"{k}={v}" for k, v in options.items()),
                "status": r.status.value,
                "error": "" if r.error.value is None else f"{r.error.value:.2e}",
                "metric": r.error.metric,
                "CPU-s": f"{r.compared_s:.3g}" if r.cost else "",
            }
        )
    _print_table(rows)
    for r in records:
        if r.status != "ok":
            print(f"{r.problem.id}, {r.solver.id}: {r.status.value}: {r.sentence}")
    for v in verdicts(records):
        print(f"{v.code.value} {v.problem}, {v.learned}: {v.sentence}")
        for caveat in v.caveats:
            print(f"  ({caveat})")
    missing = len(tasks) - len(records)
    if missing:
        print(f"{missing} runs were not started; run again to resume.")
    print(f"Results: {results}    Report: pinnsuite report {results}")


@app.command()
def report(
    results: Annotated[Path, typer.Argument(help="Folder of the results.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Default: DIR/report.html.")
    ] = None,
    markdown: Annotated[
        bool,
        typer.Option("--markdown", help="Print the table of distances instead."),
    ] = False,
    beside: Annotated[
        str | None,
        typer.Option(
            metavar="SOLVER",
            help="With --markdown: times of the others to the errors it ended with.",
        ),
    ] = None,
) -> None:
    """Write one self-contained HTML page on all results in a folder."""
    from pinnsuite.report.html import markdown as report_markdown
    from pinnsuite.report.html import write_report

    if markdown:
        print(report_markdown(results, beside), end="")
        return
    print(write_report(results, out or results / "report.html"))


@app.command()
def export(
    run_directory: Annotated[
        Path, typer.Argument(metavar="RUNDIR", help="results/…/attempt-1")
    ],
    format: Annotated[Format, typer.Option(help="File format.")] = Format.vtu,
) -> None:
    """Write the fields of a run for ParaView."""
    from pinnsuite.suite.export import export as export_run

    for path in export_run(run_directory, format.value):
        print(path)


@app.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PROBLEM]…", help="Names, or files of your own."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every problem of the catalogue.")
    ] = False,
    orders: Annotated[
        bool,
        typer.Option(
            "--orders",
            help="Measure the orders of classical solvers on manufactured solutions "
            "instead.",
        ),
    ] = False,
    solver: Annotated[
        list[str] | None,
        typer.Option(help="With --orders; may be given again. Default: all."),
    ] = None,
    parameters: Set = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Compute anew what is stored.")
    ] = False,
    store: Annotated[
        bool,
        typer.Option(
            "--store",
            help="Accept statement and reference into data/references of the package.",
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write an HTML page, too.")
    ] = None,
    problems: Problems = None,
    jobs: Annotated[int, typer.Option(min=1, help="Audits at the same time.")] = 1,
    as_json: Json = False,
) -> None:
    """Hold references against what they claim; exit with 3 if one misses it.

    A row for each problem: how the reference is got, its observed and declared order,
    its error estimate, what a second solver and the values of others say of it. What
    was computed is stored, so that the next call is quick and an interrupted one goes
    on.
    """
    if not names and not every:
        raise OptionError("Name the problems to verify, or say --all.")
    if names and every:
        raise OptionError("Name problems or say --all, not both.")
    if solver and not orders:
        raise OptionError("--solver goes with --orders: it says whose orders.")
    chosen = _chosen(names, problems)
    if orders:
        ok = _verify_orders(chosen, solver, as_json)
    else:
        ok = _verify_references(
            chosen, problems, parameters, fresh, store, out, jobs, as_json
        )
    if not ok:
        raise typer.Exit(GATE_FAILED)


def _chosen(names: list[str] | None, folder: Path | None) -> dict[str, Entry]:
    """Return entries by what they are called on the command line."""
    from pinnsuite.problem.catalog import entries

    if names:
        return {n: _entry(n, folder) for n in names}
    return dict(entries(folder))


def _verify_orders(
    chosen: dict[str, Entry], solvers: list[str] | None, as_json: bool
) -> bool:
    from dataclasses import asdict

    from pinnsuite.problem.definition import Problem
    from pinnsuite.registry import find_solver
    from pinnsuite.verification.order import verify as verify_orders

    for name in solvers or []:
        find_solver(name)
    made = [e.make() for e in chosen.values() if e.returns == "Problem"]

    def progress(fraction: float, note: str) -> None:
        _say(f"{fraction:4.0%} {note}")

    equations = [p for p in made if isinstance(p, Problem)]
    found = verify_orders(equations, solvers, progress=progress)
    rows = [_finite(asdict(row)) for row in found]
    if as_json:
        _print_json(rows)
    else:
        _print_table(rows)
    return all(row.is_ok for row in found)


def _verify_references(
    chosen: dict[str, Entry],
    folder: Path | None,
    parameters: list[str] | None,
    fresh: bool,
    store: bool,
    out: Path | None,
    jobs: int,
    as_json: bool,
) -> bool:
    from pinnsuite.suite.audits import AuditTask, audit_all
    from pinnsuite.verification.audit import require_shipped

    given = _assignments(parameters)
    for entry in chosen.values():
        if store:
            require_shipped(entry)
        if given:
            entry.make(**given)
    where = None if folder is None else str(folder)
    tasks = [
        AuditTask(e.name, e.group, target, where, given, fresh, store)
        for target, e in chosen.items()
    ]
    done = 0

    def ended(row: Audit) -> None:
        nonlocal done
        done += 1
        words = row.kind or "no reference"
        if row.worst is not None:
            words += f", error {row.worst:.1e} (claim {row.claim:.0e})"
        faults = "".join(f"\n  FAULT {f}" for f in row.faults)
        _say(f"[{done}/{len(tasks)}] {row.problem}: {words}{faults}")

    try:
        rows = audit_all(
            tasks,
            jobs=jobs,
            started=lambda task: _say(f"{task.name} …"),
            ended=ended,
            progress=lambda task, note: _say(f"{task.name}: {note}"),
        )
    except KeyboardInterrupt:
        _say("Interrupted; what was computed is kept, the next call goes on.")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        _print_json(
            [
                _finite(vars(r) | {"rungs": [g.model_dump() for g in r.rungs]})
                for r in rows
            ]
        )
    else:
        _print_table([_audit_row(r) for r in rows])
        for r in rows:
            for fault in r.faults:
                print(f"FAULT {r.problem}: {fault}")
    if out is not None:
        from pinnsuite.report.references import write_page

        _say(str(write_page(rows, out)))
    return all(r.is_ok for r in rows)


def _audit_row(row: Audit) -> dict[str, Any]:
    def number(value: float | None, digits: str = ".1e") -> str:
        return "" if value is None else format(value, digits)

    def pair(value: float | None, other: float | None, digits: str) -> str:
        words = number(value, digits)
        return f"{words} ({number(other, digits)})" if words and other else words

    observed = pair(row.observed_order, row.expected_order, ".3g")
    return {
        "": "ok" if row.is_ok else "FAULT",
        "problem": row.problem,
        "reference": row.kind,
        "order (declared)": observed,
        "error": number(row.worst),
        "claim": number(row.claim, ".0e"),
        "norm": row.norm if row.kind not in ("data", "family") else "",
        "CPU-s": number(row.cpu_s, ".3g") + (" stored" if row.is_stored else ""),
        "second code (its error)": pair(
            row.second_difference, row.second_estimate, ".1e"
        ),
        "others (their error)": pair(
            row.external_difference, row.external_error, ".1e"
        ),
    }


@app.command()
def doctor(as_json: Json = False) -> None:
    """Look at versions, threads, GPU, memory, disk; name the cure of each fault."""
    from pinnsuite.suite.environment import diagnose

    findings = diagnose(Path.cwd())
    if as_json:
        _print_json(
            [
                {"what": f.what, "seen": f.seen, "ok": f.is_ok, "cure": f.cure}
                for f in findings
            ]
        )
    else:
        _print_table(
            [
                {
                    "": "ok" if f.is_ok else "FAULT",
                    "what": f.what,
                    "seen": f.seen,
                    "cure": f.cure,
                }
                for f in findings
            ]
        )
    if not all(f.is_ok for f in findings):
        raise typer.Exit(NOT_OK)


def _entry(target: str, folder: Path | None) -> Entry:
    from pinnsuite.problem.catalog import find

    return find(target, folder)


def _assignments(texts: list[str] | None) -> dict[str, Any]:
    from pinnsuite.suite.options import parse_assignments

    return {k: v for text in texts or [] for k, v in parse_assignments(text).items()}


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with None for NaN and infinity, which JSON does not have."""
    import math

    return {
        k: None if isinstance(v, float) and not math.isfinite(v) else v
        for k, v in row.items()
    }


def _print_json(content: Any) -> None:
    print(json.dumps(content, indent=1, allow_nan=False))


def _print_table(rows: Iterable[dict[str, Any]]) -> None:
    """Print rows of equal keys in columns; numbers in four digits."""
    cells = [{k: _cell(v) for k, v in row.items()} for row in rows]
    if not cells:
        print("Nothing.")
        return
    keys = list(cells[0])
    widths = [max(len(k), *(len(row[k]) for row in cells)) for k in keys]
    for row in ({k: k for k in keys}, *cells):
        line = "  ".join(row[k].ljust(w) for k, w in zip(keys, widths, strict=True))
        print(line.rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)
