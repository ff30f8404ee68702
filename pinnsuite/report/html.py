"""The report: one page that needs no network and no scripts, from files alone."""

from __future__ import annotations

import base64
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from pinnsuite.compare import wording
from pinnsuite.compare.breakeven import classical_cost
from pinnsuite.compare.distance import distances
from pinnsuite.compare.verdict import Code, Verdict, reference_error, verdicts
from pinnsuite.compare.work_precision import (
    by_name,
    configuration,
    curves,
    is_learned,
    learned_names,
    pareto_front,
    usable_error,
)
from pinnsuite.errors import DataError
from pinnsuite.report import figures, pages, tables
from pinnsuite.report.results import Results, Run, read
from pinnsuite.report.tables import Table
from pinnsuite.solution.record import Record
from pinnsuite.solution.solution import Solution, Status
from pinnsuite.solution.support import Grid, MeshNodes, Support

MAX_SHOWN = 6
"""Solvers whose fields are drawn, the best of each name."""


@dataclass(frozen=True)
class Section:
    """What the page says of one problem."""

    anchor: str
    title: str
    first: Record
    equations: Sequence[Markup]
    reference: Sequence[str]
    verdicts: Sequence[Verdict]
    charts: Sequence[figures.Picture]
    fields: Sequence[tuple[figures.Picture, ...]]
    is_wide: bool
    tables: Sequence[Table]
    failed: Sequence[Record]


def write_report(results_dir: Path, out: Path) -> Path:
    """Write the report on a folder of results and return its path.

    Only `run.json`, `fields.h5` and the references are read: no problem, no solver.

    Parameters
    ----------
    results_dir
        Searched for `run.json` at any depth.
    out
        The page, or a folder that gets `report.html`.

    Raises
    ------
    DataError
        If `results_dir` is no folder, or holds no record that can be read.
    """
    results = _read(results_dir)
    path = out / "report.html" if out.is_dir() else out
    pages.write(path, page(results))
    return path


def _read(results_dir: Path) -> Results:
    results = read(results_dir)
    if not results.runs:
        raise DataError(
            f"{results_dir} holds no record that can be read; `pinnsuite run` writes "
            "run.json files there."
            + "".join(f"\n{path}: {why}" for path, why in results.faults)
        )
    return results


def markdown(results_dir: Path, peer: str | None = None) -> str:
    """Return the table of distances, for a README, with machine and date.

    Parameters
    ----------
    results_dir
        As for `write_report`.
    peer
        A learned solver's name; adds the table of times to the errors it ended with.

    Raises
    ------
    DataError
        If `results_dir` is no folder, or holds no record that can be read.
    """
    results = _read(results_dir)
    records = [run.record for run in results.runs]
    problems = [[run.record for run in runs] for runs in _problems(results)]
    parts = [tables.distance([d for rs in problems for d in distances(rs)])]
    if peer is not None:
        parts.append(tables.beside(problems, peer))
    machines = dict.fromkeys(
        f"{m.cpu}, {m.cores} cores, threads: {m.threads}"
        for m in (r.machine for r in records)
    )
    made_on = "; ".join([*machines, _span(records)])
    return "\n".join([*map(tables.to_markdown, parts), f"({made_on}.)\n"])


def _problems(results: Results) -> list[list[Run]]:
    """Return the runs, problem by problem."""
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in results.runs:
        p = run.record.problem
        groups.setdefault((p.id, p.definition_hash, p.task), []).append(run)
    return list(groups.values())


def page(results: Results) -> str:
    """Return the page as HTML."""
    records = [run.record for run in results.runs]
    problems = _problems(results)
    sections = [
        _section(f"p{k}", group, results) for k, group in enumerate(problems, 1)
    ]
    apart = [d for runs in problems for d in distances([run.record for run in runs])]
    overview = tables.runs(records)
    return pages.render(
        "template.html.j2",
        title=results.root.name,
        sections=sections,
        machines=_machines(records),
        span=_span(records),
        headline=_headline([v for s in sections for v in s.verdicts]),
        counts=_counts(records),
        sentences={status.value: status.sentence for status in Status},
        distance=tables.distance(apart) if apart else None,
        runs=overview,
        csv=base64.b64encode(tables.to_csv(overview).encode()).decode(),
        faults=_faults(results),
        codes=CODES,
        num_runs=len(records),
    )


CODES = {
    Code.FASTER: "both reach the error, and the times differ by more than chance",
    Code.MORE_ACCURATE: "in the same time one is more accurate",
    Code.NOT_REACHED: "fewer than 80 % of the seeds reach the error; no ratio is given",
    Code.AMORTISED: "training pays off after a stated number of solves",
    Code.NEVER_PAYS: "one inference costs no less than one classical solve",
    Code.TIE: "no difference shown",
    Code.WEAK_BASELINE: "the claim stands on too few or too fine classical runs",
    Code.UNVERIFIED_BASELINE: "the classical solver has not shown its order",
    Code.REFERENCE_LIMITED: "the reference is not ten times better than the error",
    Code.INCOMPLETE: "something that a verdict needs is missing",
}
"""The verdicts, for the legend."""


def _section(anchor: str, runs: Sequence[Run], results: Results) -> Section:
    records = [run.record for run in runs]
    colours = _colours(records)
    first = next((r for r in records if r.reference is not None), records[0])
    groups = _configurations(records)
    made = [
        tables.errors(groups, first.error.metric),
        *tables.ablation(records),
        tables.coefficients(groups),
        tables.quantities(groups),
        tables.time_to_error(records),
        tables.error_at_time(records),
        *(tables.step_refinement(r) for r in records),
    ]
    fields = _fields(runs, results, colours)
    return Section(
        anchor,
        first.problem.id.replace("_", " "),
        first,
        [_equation(e) for e in first.problem.equations],
        _reference_words(first),
        verdicts(records),
        _charts(records, groups, colours),
        fields,
        all(len(column) == 1 for column in fields),
        [t for t in made if t is not None and t.rows],
        [r for r in records if r.status is not Status.OK],
    )


def _colours(records: Sequence[Record]) -> dict[str, int]:
    """Give classical solvers the cool colours and learned ones the warm.

    A learned solver of several configurations has the first one's.
    """
    groups = by_name(records)
    colours: dict[str, int] = {}
    for learned, palette in ((False, figures.COOL), (True, figures.WARM)):
        names = [n for n, g in groups.items() if is_learned(g[0]) is learned]
        colours |= {name: palette[k % len(palette)] for k, name in enumerate(names)}
    for name, group in groups.items():
        colours.setdefault(group[0].solver.id, colours[name])
    return colours


def _configurations(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Group the runs that differ in their seed alone, under the shortest clear name."""
    groups: dict[str, list[Record]] = {}
    for r in sorted(records, key=lambda r: (is_learned(r), r.solver.id)):
        groups.setdefault(configuration(r), []).append(r)
    same: dict[str, list[list[Record]]] = {}
    for group in groups.values():
        same.setdefault(group[0].solver.id, []).append(group)
    named: dict[str, list[Record]] = {}
    learned = learned_names(records)
    for name, members in same.items():
        dofs = [g[0].solver.dofs for g in members]
        told_apart = len(set(dofs)) == len(dofs) and None not in dofs
        for group in sorted(members, key=lambda g: g[0].compared_s):
            key = name
            if is_learned(group[0]):
                key = learned[configuration(group[0])]
            elif len(members) > 1 and told_apart:
                key = f"{name}, {group[0].solver.dofs:,} unknowns"
            elif len(members) > 1:
                key = f"{name}, {_differing(group[0], [g[0] for g in members])}"
            while key in named:
                key += "′"
            named[key] = group
    return named


def _differing(record: Record, others: Sequence[Record]) -> str:
    return ", ".join(
        f"{k}={v}"
        for k, v in record.solver.options.items()
        if k != "seed" and any(o.solver.options.get(k) != v for o in others)
    )


def _charts(
    records: Sequence[Record],
    groups: Mapping[str, Sequence[Record]],
    colours: Mapping[str, int],
) -> list[figures.Picture]:
    metric = records[0].error.metric
    found: list[figures.Picture | None] = []
    lines = curves(records)
    # A single point compares nothing.
    if sum(len(c.points) for c in lines) > 1:
        found.append(
            figures.work_precision(
                lines,
                pareto_front(p for c in lines for p in c.points),
                colours,
                reference_error=next(map(reference_error, records)),
                metric=metric,
            )
        )
    part = next((r.reference for r in records if r.reference is not None), None)
    if part is not None:
        found.append(figures.convergence_plot(part.rungs, part.expected_order))
    found.append(_breakeven(records, colours))
    middle = {name: tables.median_run(group) for name, group in groups.items()}
    bars = [
        (name, {k: c.cpu_s for k, c in r.cost.items() if k != "evaluate"})
        for name, r in middle.items()
    ]
    found.append(figures.cost_bars(bars))
    seeds = [
        (name, [usable_error(r) for r in group])
        for name, group in groups.items()
        if is_learned(group[0])
    ]
    finite = [(name, [e for e in es if math.isfinite(e)]) for name, es in seeds]
    found.append(figures.seed_strip(finite, colours, metric))
    return [picture for picture in found if picture is not None]


def _breakeven(
    records: Sequence[Record], colours: Mapping[str, int]
) -> figures.Picture | None:
    learned, errors = [], []
    curve: dict[str, list[tuple[float, float]]] = {}
    for r in records:
        a, e = r.amortised, usable_error(r)
        if a is None or not math.isfinite(e):
            continue
        if is_learned(r):
            learned.append((r.solver.id, a.data_s + a.train_s, a.infer_s))
            errors.append(e)
        elif a.infer_s > 0:
            curve.setdefault(r.solver.id, []).append((e, a.infer_s))
    if not learned:
        return None
    classical = []
    for name, rungs in curve.items():
        at, seconds = np.array(rungs).T
        for error in sorted(errors):
            cost = classical_cost(error, at, seconds)
            if cost is not None:
                classical.append((name, error, cost))
    return figures.breakeven_chart(learned, classical, colours)


def _fields(
    runs: Sequence[Run], results: Results, colours: Mapping[str, int]
) -> list[tuple[figures.Picture, ...]]:
    """Draw the best run of each solver beside the reference."""
    by_solver: dict[str, list[Run]] = {}
    for run in runs:
        if math.isfinite(usable_error(run.record)):
            by_solver.setdefault(run.record.solver.id, []).append(run)
    chosen = []
    for group in by_solver.values():
        best = _shown(group)
        solution = results.fields(best)
        if solution is not None:
            chosen.append((best.record, solution))
    chosen = sorted(chosen, key=lambda c: (is_learned(c[0]), c[0].solver.id))[
        :MAX_SHOWN
    ]
    if not chosen:
        return []
    support = chosen[0][1].support
    reference = results.reference(runs[0])
    pictures: list[tuple[figures.Picture, ...]] = []
    for field in chosen[0][1].fields:
        truth = _on(reference, field, support)
        shown = [
            figures.Shown(record.solver.id, values, truth)
            for record, solution in chosen
            if (values := _on(solution, field, support)) is not None
            and np.isfinite(values).all()
        ]
        if not shown:
            continue
        pictures += figures.field_pictures(
            field, support, truth, shown, colours, chosen[0][0]
        )
    return pictures


def _shown(group: Sequence[Run]) -> Run:
    """Return the finest run of a classical solver, the median seed of a learned one."""
    ranked = sorted(group, key=lambda run: usable_error(run.record))
    return ranked[(len(ranked) - 1) // 2 if is_learned(ranked[0].record) else 0]


def _on(solution: Solution | None, field: str, support: Support) -> np.ndarray | None:
    """Return a field on `support`, None where it is not known there."""
    if solution is None or field not in solution.fields:
        return None
    own = solution.support
    if isinstance(own, Grid) and isinstance(support, Grid):
        same = list(own.axes) == list(support.axes)
        if same and all(np.array_equal(own.axes[k], support.axes[k]) for k in own.axes):
            return solution.fields[field]
        if same and solution.fields[field].ndim == len(own.axes):
            return solution.at(support.points)[field].reshape(support.shape)
        return None
    if isinstance(own, MeshNodes) and isinstance(support, MeshNodes):
        same = np.array_equal(own.mesh.points, support.mesh.points)
        return solution.fields[field] if same and own.shape == support.shape else None
    return None


_TOKEN = re.compile(r"(?P<name>[^\W\d]\w*)|\*\*\(?(?P<power>-?\d+)\)?|(?P<other>.)")
_UPRIGHT = re.compile(r"a?(sin|cos|tan)h?|exp|log|sqrt|Abs|sign|Max|Min|Heaviside")
_SIGNS = {"*": "\u202f", "-": "−", "\n": " "}


def _equation(text: str) -> Markup:
    """Write `u*u_x - 0.01*u_xx**2` with italics, subscripts, powers, minus signs."""
    out = Markup("")
    for token in _TOKEN.finditer(text):
        name, power, other = token["name"], token["power"], token["other"]
        if power is not None:
            out += Markup("<sup>{}</sup>").format(power.replace("-", "−"))
        elif name is None:
            out += _SIGNS.get(other, other)
        elif _UPRIGHT.fullmatch(name):
            out += name
        else:
            stem, _, index = name.partition("_")
            out += Markup("<i>{}</i>").format("π" if stem == "pi" else stem)
            out += Markup("<sub>{}</sub>").format(index) if index else ""
    return out


def _reference_words(record: Record) -> list[str]:
    part = record.reference
    if part is None:
        return ["No reference was given."]
    kinds = {
        "exact": "Closed form",
        "evaluated": "Evaluated formula",
        "ladder": "Converged numerical solution",
        "data": "Data held back",
        "fit": "Converged least-squares fit",
    }
    words = [kinds[part.kind] + (f": {part.description}." if part.description else ".")]
    words[0] = words[0].replace("..", ".")
    error = reference_error(record)
    if error:
        words.append(f"Its own error is about {wording.error(error)}.")
    elif part.kind == "exact":
        words.append("Its own error is rounding.")
    if part.observed_order is not None:
        declared = (
            "" if part.expected_order is None else f", declared {part.expected_order:g}"
        )
        words.append(f"Observed order {part.observed_order:.2f}{declared}.")
    if part.gci is not None:
        words.append(f"Grid convergence index {wording.error(part.gci)}.")
    return words


def _machines(records: Sequence[Record]) -> list[str]:
    lines: dict[str, None] = {}
    for r in records:
        m = r.machine
        words = [m.cpu, f"{m.cores} cores", f"threads: {m.threads}"]
        words.append(f"{m.ram_gib:.0f} GiB")
        if m.gpu:
            words.append(m.gpu)
        words += [f"{k} {v}" for k, v in m.versions.items()]
        lines[" · ".join(words)] = None
    return list(lines)


def _span(records: Sequence[Record]) -> str:
    days = sorted({r.utc[:10] for r in records})
    return " to ".join(dict.fromkeys([*days[:1], *days[-1:]]))


def _headline(found: Sequence[Verdict]) -> str:
    """Return what the verdicts say in all, in a sentence."""
    if not found:
        return "No learned solver was run beside a classical one."
    ahead = {
        side: sum(v.winner == side for v in found) for side in ("classical", "learned")
    }
    open_ = len(found) - sum(ahead.values())
    if len(found) == 1:
        side = found[0].winner
        ahead_is = "nobody is" if side is None else f"the {side} solver is"
        return f"In the one comparison {ahead_is} ahead."
    words = f"In {len(found)} comparisons the classical solver is ahead in "
    words += f"{ahead['classical']}, the learned one in {ahead['learned']}"
    stay = "stays" if open_ == 1 else "stay"
    return words + (f"; {open_} {stay} open." if open_ else ".")


def _counts(records: Sequence[Record]) -> list[tuple[str, int]]:
    return [
        (s.value, n) for s in Status if (n := sum(r.status is s for r in records)) > 0
    ]


def _faults(results: Results) -> list[tuple[str, str]]:
    """Return damaged files and reasons, with paths below the folder of results."""
    above = f"{results.root}{os.sep}"
    return [
        (str(path).removeprefix(above), why.replace(above, ""))
        for path, why in results.faults
    ]


__all__ = ["Section", "page", "write_report"]
