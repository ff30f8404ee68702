"""Tables of a report: words in cells, made from records."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pinnsuite.compare import wording
from pinnsuite.compare.distance import Distance, distances
from pinnsuite.compare.metrics import FIELD_METRICS
from pinnsuite.compare.statistics import interquartile_mean_log10
from pinnsuite.compare.work_precision import (
    LEVELS,
    MOMENTS,
    by_name,
    error_at,
    is_learned,
    reach,
    time_to_error_table,
    usable_error,
)
from pinnsuite.solution.record import Record


@dataclass(frozen=True)
class Table:
    """Rows of words under a heading.

    Attributes
    ----------
    caption
        What it shows.
    head
        Names of the columns; the first one holds names, the others numbers.
    rows
        As many cells each as there are columns.
    note
        Shown below.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    words: frozenset[int] = field(default_factory=frozenset)


def _number(value: float | None, metric: str = "relative_l2") -> str:
    return "–" if value is None else wording.error(value, metric)


def label(record: Record) -> str:
    """Return the solver's name with the seed or the unknowns that tell runs apart."""
    solver = record.solver
    if record.seed.init is not None and is_learned(record):
        return f"{solver.id}, seed {record.seed.init}"
    return solver.id if solver.dofs is None else f"{solver.id}, {solver.dofs:,}"


def errors(groups: Mapping[str, Sequence[Record]], metric: str) -> Table:
    """Return errors by solver configuration, the seeds of each summed up."""
    fields = list(
        dict.fromkeys(f for g in groups.values() for r in g for f in r.error.per_field)
    )
    split = len(fields) > 1
    head = ["solver", metric.replace("_", " "), "IQM", "runs"]
    head += [f"{metric[-2:].upper()} {f}" for f in fields] if split else []
    head += [f"max {f}" for f in fields]
    violation = any(
        r.error.boundary_violation is not None for g in groups.values() for r in g
    )
    drifts = list(
        dict.fromkeys(
            d for g in groups.values() for r in g for d in r.error.invariant_drift
        )
    )
    head += ["boundary"] if violation else []
    head += [f"drift of {d}" for d in drifts]
    rows = []
    for name, group in groups.items():
        good = [r for r in group if math.isfinite(usable_error(r))]
        if not good:
            continue
        shown = median_run(good)
        values = [usable_error(r) for r in good]
        iqm = (
            wording.error(interquartile_mean_log10(values), metric)
            if len(values) > 1 and min(values) > 0
            else "–"
        )
        cells = [name, wording.error(statistics.median(values), metric), iqm]
        cells.append(f"{len(good)} of {len(group)}")
        parts = shown.error.per_field
        if split:
            cells += [
                _number(getattr(parts[f], metric) if f in parts else None)
                for f in fields
            ]
        cells += [_number(parts[f].max if f in parts else None) for f in fields]
        if violation:
            cells.append(_number(shown.error.boundary_violation))
        cells += [_number(shown.error.invariant_drift.get(d)) for d in drifts]
        rows.append(cells)
    formula = next((r.error.formula for g in groups.values() for r in g), "")
    note = "The first error is the median over the runs; IQM is the interquartile mean "
    note += "of log₁₀ error; the other columns are those of the median run."
    return Table(
        "Errors", head, rows, f"{note} Formula: {formula}." if formula else note
    )


def median_run(records: Sequence[Record]) -> Record:
    """Return the run of the median error (the lower one of two)."""
    return sorted(records, key=usable_error)[(len(records) - 1) // 2]


def coefficients(groups: Mapping[str, Sequence[Record]]) -> Table | None:
    """Return identified coefficients beside the true ones."""
    rows = []
    for name, group in groups.items():
        good = [r for r in group if math.isfinite(usable_error(r))]
        if not good:
            continue
        for c, entry in median_run(good).error.coefficients.items():
            value, true = entry.get("value"), entry.get("reference")
            rows.append(
                [
                    name,
                    c,
                    "–" if value is None else f"{value:.5g}",
                    "–" if true is None else f"{true:.5g}",
                    _number(entry.get("relative_error")),
                ]
            )
    if not rows:
        return None
    head = ["solver", "coefficient", "found", "reference", "relative error"]
    return Table("Identified coefficients", head, rows, words=frozenset({1}))


def quantities(groups: Mapping[str, Sequence[Record]]) -> Table | None:
    """Return quantities of interest by solver."""
    names = list(
        dict.fromkeys(q for g in groups.values() for r in g for q in r.error.quantities)
    )
    if not names:
        return None
    rows = []
    for name, group in groups.items():
        good = [r for r in group if math.isfinite(usable_error(r))]
        if good:
            found = median_run(good).error.quantities
            cells = [found.get(q) for q in names]
            rows.append([name, *("–" if c is None else f"{c:.5g}" for c in cells)])
    return Table("Quantities of interest", ["solver", *names], rows)


def time_to_error(records: Sequence[Record]) -> Table | None:
    """Return CPU seconds to each error with the share of seeds that get there."""
    if records[0].error.metric not in FIELD_METRICS:
        return None
    rows = []
    for name, reaches in time_to_error_table(records).items():
        cells = []
        for r in reaches:
            text = "–" if r.cpu_s is None else wording.seconds(r.cpu_s)
            cells.append(text if r.share in (0.0, 1.0) else f"{text} ({r.share:.0%})")
        rows.append([name, *cells])
    head = ["solver", *(wording.error(level) for level in LEVELS)]
    note = "CPU seconds of the cheapest classical run, or the median seed, that ends "
    note += "at or below the error; in brackets the share of seeds, where not all do."
    return Table("Time to error", head, rows, note)


def distance(found: Sequence[Distance]) -> Table:
    """Return how far learned solvers are from the classical ones, at their errors."""
    rows = []
    for d in found:
        low, high = d.errors[0], d.errors[-1]
        spread = f"{wording.error(low)} – {wording.error(high)}"
        ratio = "–" if d.ratio is None else wording.times(d.ratio)
        rows.append(
            [
                d.problem,
                d.learned,
                wording.error(d.errors[(len(d.errors) - 1) // 2]),
                spread if len(d.errors) > 1 else "–",
                f"{len(d.errors)} of {d.num_runs}",
                "–" if d.learned_s is None else wording.seconds(d.learned_s),
                d.classical or "none reaches it",
                "–" if d.classical_s is None else wording.seconds(d.classical_s),
                f"> {ratio}" if d.is_coarsest and d.ratio is not None else ratio,
            ]
        )
    head = ["problem", "learned", "error", "all seeds", "runs", "CPU time"]
    head += ["classical", "CPU time there", "distance"]
    note = (
        "The error is the median seed's, the CPU time the median until the seeds stay "
    )
    note += (
        "there. Beside it the cheapest classical solver at that error, interpolated "
    )
    note += (
        "between its runs, and the factor in CPU time; > where its coarsest run was "
    )
    note += "already better. Errors below ten times the reference's are compared there."
    return Table(
        "Distance to the classical solver at equal error",
        head,
        rows,
        note,
        words=frozenset({1, 6}),
    )


def beside(problems: Sequence[Sequence[Record]], peer: str) -> Table:
    """Return CPU times in which others reach the error that `peer` ended with.

    Parameters
    ----------
    problems
        Records, problem by problem.
    peer
        A learned solver's name, as `by_name` has it.
    """
    rows, others = [], dict[str, None]()
    for records in problems:
        groups = by_name(records)
        found = [d for d in distances(records) if d.learned == peer]
        if not found:
            continue
        (d,) = found
        row = {
            name: reached
            for name, group in groups.items()
            if name != peer and is_learned(group[0])
            if (reached := reach(group, d.level)).cpu_s is not None
        }
        others |= dict.fromkeys(
            n for n, g in groups.items() if n != peer and is_learned(g[0])
        )
        rows.append((d, row))
    cells = []
    for d, row in rows:
        assert d.learned_s is not None
        line = [d.problem, wording.error(d.level), wording.seconds(d.learned_s)]
        for name in others:
            r = row.get(name)
            if r is None or r.cpu_s is None:
                line.append("–")
                continue
            share = "" if r.share == 1.0 else f", {r.share:.0%} of seeds"
            factor = wording.times(d.learned_s / r.cpu_s)
            line.append(f"{wording.seconds(r.cpu_s)} ({factor} x{share})")
        classical = "–"
        if d.classical_s is not None:
            factor = wording.times(d.learned_s / d.classical_s)
            classical = f"{d.classical} {wording.seconds(d.classical_s)} ({factor} x)"
        cells.append([*line, classical])
    return Table(
        f"CPU time to the error that {peer} ended with",
        ["problem", f"error of {peer}", peer, *others, "classical"],
        cells,
        "In brackets how many times less than it took; – where it was not reached.",
    )


def ablation(records: Sequence[Record]) -> list[Table]:
    """Return what single options buy, where a solver ran with one changed at a time."""
    groups = by_name(records)
    tables = []
    for base, group in groups.items():
        if not is_learned(group[0]) or base != group[0].solver.id:
            continue
        changed = {
            name.removeprefix(f"{base}, "): g
            for name, g in groups.items()
            if is_learned(g[0]) and g[0].solver.id == base and g is not group
        }
        if len(changed) < 2:
            continue
        standard = _middle(group)
        rows = []
        for words, g in {"as it comes": group, **changed}.items():
            middle = _middle(g)
            errors = [e for r in g if math.isfinite(e := usable_error(r))]
            at = reach(g, standard).cpu_s
            rows.append(
                [
                    words,
                    wording.error(middle, g[0].error.metric),
                    wording.times(middle / standard) if math.isfinite(middle) else "–",
                    f"{wording.error(min(errors))} – {wording.error(max(errors))}"
                    if len(errors) > 1
                    else "–",
                    f"{len(errors)} of {len(g)}",
                    "–" if at is None else wording.seconds(at),
                ]
            )
        head = ["changed", "error", "times the first", "all seeds", "runs"]
        head.append(f"CPU time to {wording.error(standard)}")
        note = (
            "Medians over the seeds, a failed one counting as infinite. One thing at a "
        )
        note += "time says nothing of pairs."
        tables.append(Table(f"What each option of {base} buys", head, rows, note))
    return tables


def _middle(group: Sequence[Record]) -> float:
    return usable_error(median_run(group))


def to_markdown(table: Table) -> str:
    """Return the table as GitHub's Markdown, caption and note around it."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"

    rule = ["---" if k in {0, *table.words} else "---:" for k in range(len(table.head))]
    lines = [f"**{table.caption}**", "", line(table.head), line(rule)]
    lines += [line(row) for row in table.rows]
    return "\n".join([*lines, "", table.note]).rstrip() + "\n"


def error_at_time(records: Sequence[Record]) -> Table | None:
    """Return the smallest (classical) or median (learned) error at fixed moments."""
    metric = records[0].error.metric
    rows = []
    for name, group in by_name(records).items():
        cells = []
        for moment in MOMENTS:
            found = [error_at(r, moment) for r in group]
            middle = statistics.median(found) if is_learned(group[0]) else min(found)
            cells.append(wording.error(middle, metric))
        rows.append([name, *cells])
    if all(cell == "–" for row in rows for cell in row[1:]):
        return None
    head = ["solver", *(wording.seconds(m) for m in MOMENTS)]
    return Table("Error after so much CPU time", head, rows)


def step_refinement(record: Record) -> Table | None:
    """Return the table of a trained network under refined steps, if there is one."""
    found = record.details.get("step_refinement")
    if not isinstance(found, dict) or not isinstance(found.get("steps"), list):
        return None
    count = len(found["steps"])
    columns = {
        k: v for k, v in found.items() if isinstance(v, list) and len(v) == count
    }
    trained = found.get("trained_steps")

    def cell(name: str, value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.2f}" if "order" in name else f"{value:.3g}"
        return "–" if value is None else str(value)

    rows = [
        [
            cell(k, v[i]) + (" (trained)" if k == "steps" and v[i] == trained else "")
            for k, v in columns.items()
        ]
        for i in range(count)
    ]
    order = found.get("expected_order")
    note = "A network that is a differential equation converges at the scheme's order"
    note += f" ({order})." if order is not None else "."
    return Table(
        f"Refined steps of {label(record)}",
        [k.replace("_", " ") for k in columns],
        rows,
        note,
    )


def runs(records: Sequence[Record]) -> Table:
    """Return every run with its status, for the page and for a spreadsheet."""
    head = [
        "problem",
        "solver",
        "status",
        "error",
        "metric",
        "CPU s",
        "wall s",
        "options",
    ]
    rows = []
    for r in records:
        value = usable_error(r)
        rows.append(
            [
                r.problem.id,
                label(r),
                r.status.value,
                wording.error(value, r.error.metric),
                r.error.metric,
                f"{r.compared_s:.3g}",
                f"{sum(c.wall_s for c in r.cost.values()):.3g}",
                ", ".join(f"{k}={v}" for k, v in r.solver.options.items()),
            ]
        )
    return Table("All runs", head, rows, words=frozenset({1, 2, 4, 7}))


def to_csv(table: Table) -> str:
    """Return the table as CSV; cells that a spreadsheet would compute are quoted."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in [table.head, *table.rows]:
        writer.writerow([f"'{c}" if c.startswith(_FORMULA) else c for c in row])
    return out.getvalue()


_FORMULA = ("=", "+", "-", "@", "\t", "\r")
