"""Figures as inline SVG that takes its colours from the page, light or dark.

Every figure is drawn once with stand-in colours, which are then replaced by the page's
CSS variables; text stays text, so that it is read aloud, searched and scaled.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.tri import Triangulation

from pinnsuite.compare import wording
from pinnsuite.compare.metrics import FIELD_METRICS
from pinnsuite.compare.work_precision import Curve, Point
from pinnsuite.problem.conditions import Boundary, Periodic
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.domain import Box
from pinnsuite.problem.notation import condition_relation
from pinnsuite.solution.record import Record, Rung
from pinnsuite.solution.support import Grid, MeshNodes, Support

NUM_COLOURS = 8

COOL, WARM = (0, 2, 5, 7), (1, 3, 6, 4)
"""Series colours of classical and of learned solvers."""

DASHES = ("-", "--", "-.", ":")

LEGEND_WIDTH, LABEL_WIDTH = 66, 26
"""Characters of a legend's line, and of a name beside its bar."""

_INK, _MUTED, _RULE, _SHADE = "#010101", "#010102", "#010103", "#010104"
_SERIES = tuple(f"#0102{k:02x}" for k in range(1, NUM_COLOURS + 1))
_VARIABLES = {
    _INK: "var(--ink)",
    _MUTED: "var(--muted)",
    _RULE: "var(--rule)",
    _SHADE: "var(--shade)",
    **{c: f"var(--series-{k})" for k, c in enumerate(_SERIES, 1)},
}

_STYLE: Any = {
    # Names from records are shown as they are, dollar signs too.
    "text.parse_math": False,
    "svg.fonttype": "none",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.0,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _MUTED,
    "axes.titlecolor": _INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": _INK,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "grid.color": _RULE,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.labelcolor": _INK,
}

MARKERS = "osD^vPX*"

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

PHASE_COLOURS = {
    "symbolic": 7,
    "compile": 5,
    "data": 4,
    "tune": 3,
    "train": 1,
    "setup": 2,
    "solve": 0,
    "infer": 6,
}


@dataclass(frozen=True)
class Picture:
    """A drawn figure, on its own or as one of a column.

    Attributes
    ----------
    svg
        Ready for the page.
    alt
        What it shows, in words.
    caption
        Shown under it.
    """

    svg: Markup
    alt: str
    caption: str = ""


def _wrapped(names: Sequence[str]) -> tuple[list[str], int]:
    """Return names in lines that leave room beside them, and the most lines of one."""
    labels = [textwrap.fill(name, LABEL_WIDTH) for name in names]
    return labels, 1 + max(label.count("\n") for label in labels)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _picture(figure: Figure, alt: str, caption: str = "") -> Picture:
    """Write a figure as SVG that may stand in a page beside others."""
    out = io.StringIO()
    figure.savefig(out, format="svg", dpi=130, metadata={"Date": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    text = text.replace("DejaVu Sans", "inherit").replace("'inherit'", "inherit")
    # A presentation attribute cannot hold var(); a style can.
    text = re.sub(r'(fill|stroke)="(var\([^"]*\))"', r'style="\1: \2"', text)
    # Names are made unique on the page; several figures may share a marker.
    prefix = "f" + hashlib.sha256(f"{alt}{text}".encode()).hexdigest()[:10]
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'href="#', f'href="#{prefix}-', text)
    text = re.sub(r"url\(#", f"url(#{prefix}-", text)
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None
    # A little wider than drawn at most, so that words stay near the page's size.
    width = figure.get_figwidth() * 96 * 1.15
    head = (
        f'<svg class="figure" role="img" aria-label="{escape(alt)}" {box[0]} '
        f'style="max-width: {width:.0f}px">'
    )
    body = text[text.index(">") + 1 :]
    return Picture(Markup(head + body), alt, caption)


@FuncFormatter
def _power_of_ten(value: float, _: int | None = None) -> str:
    """Write 0.001 as 10⁻³ and 2e-5 as 2·10⁻⁵."""
    if value <= 0:
        return "0"
    power = math.floor(math.log10(value) + 1e-9)
    factor = value / 10.0**power
    head = "" if abs(factor - 1) < 1e-6 else f"{factor:.2g}·"
    return f"{head}10{str(power).translate(_SUPERSCRIPT)}"


def _scale(ax: Axes, values: Sequence[float], axis: str) -> None:
    """Use a logarithmic axis where the values allow it and span enough."""
    if values and min(values) > 0 and max(values) > 3 * min(values):
        getattr(ax, f"set_{axis}scale")("log")
        which = ax.xaxis if axis == "x" else ax.yaxis
        is_short = max(values) < 40 * min(values)
        subs = (1.0, 2.0, 5.0) if is_short else (1.0,)
        which.set_major_locator(LogLocator(subs=subs, numticks=7))
        which.set_major_formatter(_power_of_ten)
        which.set_minor_formatter(NullFormatter())
        which.set_minor_locator(LogLocator(subs="auto", numticks=60))
        ax.tick_params(which="minor", length=2, width=0.5)


def work_precision(
    curves: Sequence[Curve],
    front: Sequence[Point],
    colours: Mapping[str, int],
    *,
    reference_error: float | None,
    metric: str,
) -> Picture:
    """Draw error against CPU seconds; grey where the reference cannot tell."""
    with mpl.rc_context(_STYLE):
        names = list(dict.fromkeys(c.name for c in curves))
        columns = max(1, min(3, LEGEND_WIDTH // (6 + max(map(len, names)))))
        figure, ax = _figure(4.7, 3.6 + 0.18 * math.ceil((len(names) + 1) / columns))
        points = [p for c in curves for p in c.points]
        labelled = set()
        learned = list(dict.fromkeys(c.name for c in curves if c.is_learned))
        for curve in curves:
            k = colours[curve.name if curve.is_learned else curve.solver]
            scheme = sum(c.name < curve.name for c in curves if not c.is_learned)
            label = None if curve.name in labelled else curve.name
            labelled.add(curve.name)
            x = [p.error for p in curve.points]
            y = [p.cpu_s for p in curve.points]
            if curve.is_learned:
                # Colours repeat where there are more names than colours.
                dashes = DASHES[learned.index(curve.name) // len(WARM) % len(DASHES)]
                ax.plot(x, y, dashes, color=_SERIES[k], lw=1.3, alpha=0.85)
                ax.plot(
                    x[-1:], y[-1:], "*", ms=10, color=_SERIES[k], label=label, mew=0
                )
            else:
                style = f"{MARKERS[scheme % len(MARKERS)]}-"
                ax.plot(x, y, style, color=_SERIES[k], label=label, mew=0)
        if len(front) > 1:
            ax.plot(
                [p.error for p in front],
                [p.cpu_s for p in front],
                lw=7,
                alpha=0.25,
                solid_capstyle="round",
                color=_MUTED,
                label="best of all (Pareto front)",
                zorder=1,
            )
        _scale(ax, [p.error for p in points], "x")
        _scale(ax, [p.cpu_s for p in points], "y")
        ax.margins(0.08)
        low, high = ax.get_xlim()
        if reference_error and 10 * reference_error > low:
            edge = min(10 * reference_error, high)
            ax.axvspan(low, edge, color=_SHADE, lw=0, zorder=0)
            ax.set_xlim(low, high)
            ax.annotate(
                "◂ the reference cannot tell",
                (edge, 1),
                xycoords=("data", "axes fraction"),
                xytext=(4, -3),
                textcoords="offset points",
                ha="left",
                va="top",
                fontsize=8,
                color=_MUTED,
            )
        ax.grid(True)
        ax.set_xlabel(f"error ({metric.replace('_', ' ')})")
        ax.set_ylabel("CPU seconds")
        figure.legend(loc="outside lower center", ncols=columns)
        return _picture(
            figure,
            f"Work-precision diagram of {', '.join(names)}: error on the horizontal "
            "axis, CPU seconds on the vertical; lower left is better.",
            "Lower left is better. Classical solvers: a marker a resolution. Learned "
            "solvers: the error over the training time, a line a seed, the star its "
            "end.",
        )


def convergence_plot(
    rungs: Sequence[Rung], expected: float | None, claim: float | None = None
) -> Picture | None:
    """Draw how the reference's own error falls with its unknowns, if that is known.

    `claim` is the error that it promises to stay below.
    """
    known = [(r.dofs, r.error) for r in rungs if r.error is not None and r.error > 0]
    if len(known) < 2:
        return None
    by_dofs = all(n > 0 for n, _ in known) and len({n for n, _ in known}) == len(known)
    x = [float(n) if by_dofs else k + 1.0 for k, (n, _) in enumerate(known)]
    with mpl.rc_context(_STYLE):
        figure, ax = _figure(4.7, 3.4)
        ax.plot(x, [e for _, e in known], "o-", color=_SERIES[0], mew=0)
        levels = [e for _, e in known] + ([] if claim is None else [claim])
        _scale(ax, levels, "y")
        if by_dofs:
            ax.set_xscale("log")
        ax.set_xticks(x, [f"{v:,.0f}" for v in x])
        ax.set_xticks([], minor=True)
        ax.margins(0.1)
        ax.grid(True)
        if claim is not None:
            ax.axhline(claim, color=_MUTED, ls="--", lw=1.0)
            where = ("axes fraction", "data")
            ax.annotate(
                "claim",
                (1, claim),
                xycoords=where,
                xytext=(-2, 3),
                textcoords="offset points",
                ha="right",
                fontsize=8,
                color=_MUTED,
            )
        ax.set_xlabel("unknowns" if by_dofs else "refinement")
        ax.set_ylabel("change to the next rung" if claim is None else "error estimate")
        declared = "" if expected is None else f"; declared order {expected:g}"
        return _picture(
            figure,
            "Convergence of the reference: its error falls from "
            f"{known[0][1]:.1e} to {known[-1][1]:.1e} over {len(known)} rungs.",
            f"Convergence of the reference{declared}.",
        )


LIGHT = {
    _INK: "#1d2126",
    _MUTED: "#626a73",
    _RULE: "#e3e0d8",
    _SHADE: "#ece9e1",
    **dict(
        zip(
            _SERIES,
            [
                "#1f6fb5",
                "#d1600f",
                "#12876f",
                "#a3367f",
                "#947100",
                "#6355c7",
                "#b3322a",
                "#7b858f",
            ],
            strict=True,
        )
    ),
}
"""The page's colours on white, for figures in files of their own."""

MAX_LEGEND = 64
"""Letters of a boundary's conditions in a legend."""


def domain_picture(problem: Problem) -> Picture | None:
    """Draw where a problem is stated, with its named boundaries; None from 4-D on."""
    with mpl.rc_context(_STYLE):
        figure = _domain(problem, {})
        if figure is None:
            return None
        assert problem.domain is not None
        names = ", ".join(problem.domain.boundaries)
        return _picture(figure, f"The domain of {problem.name} with {names}.")


def write_domain(problem: Problem, path: Path) -> bool:
    """Write the picture of `domain_picture` into a PNG, SVG or PDF file."""
    style = {k: LIGHT.get(v, v) if isinstance(v, str) else v for k, v in _STYLE.items()}
    with mpl.rc_context(style):
        figure = _domain(problem, LIGHT)
        if figure is None:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=160, facecolor="white")
    return True


def _domain(problem: Problem, colours: Mapping[str, str]) -> Figure | None:
    domain = problem.domain
    if domain is None or problem.dimension > 3:
        return None
    boundaries = {
        name: colours.get(_SERIES[k % NUM_COLOURS], _SERIES[k % NUM_COLOURS])
        for k, name in enumerate(domain.boundaries)
    }
    ink, muted = (colours.get(c, c) for c in (_INK, _MUTED))
    labels = {name: _held(problem, name) for name in boundaries}
    if problem.dimension == 1:
        figure, ax = _figure(3.8, 2.9)
        _draw_interval(ax, problem, boundaries, labels, ink, muted)
    elif problem.dimension == 2:
        figure, ax = _figure(3.8, 3.6)
        _draw_plane(ax, problem, boundaries, labels, muted)
    else:
        figure = Figure(figsize=(3.8, 3.8), layout="constrained")
        space: Any = figure.add_subplot(projection="3d")
        for name, colour in boundaries.items():
            points, _ = domain.sample_boundary(name, 400, seed=0)
            space.scatter(*points.T, s=3, color=colour, label=labels[name])
        names = (str(x) for x in problem.space)
        for axis, name in zip("xyz", names, strict=True):
            getattr(space, f"set_{axis}label")(name)
        space.set_box_aspect(np.ptp(domain.bounds, axis=1))
    figure.legend(loc="outside lower center", ncols=1)
    return figure


def _held(problem: Problem, name: str) -> str:
    """Return a boundary's name with what holds there."""
    found = []
    for c in problem.conditions:
        relation = condition_relation(c, problem)
        if isinstance(c, Boundary) and name in problem.boundaries_of(c):
            found.append(relation.unicode(problem.space).partition("  ")[0])
        elif isinstance(c, Periodic):
            assert isinstance(problem.domain, Box)
            if name in problem.domain.sides(c.along):
                found.append(f"periodic in {c.along}")
    words = f"{name}: {', '.join(found) or 'nothing'}"
    return words if len(words) <= MAX_LEGEND else words[: MAX_LEGEND - 1] + "…"


def _draw_interval(
    ax: Axes,
    problem: Problem,
    boundaries: Mapping[str, str],
    labels: Mapping[str, str],
    ink: str,
    muted: str,
) -> None:
    assert problem.domain is not None
    ((low, high),) = problem.domain.bounds
    if problem.time is not None:
        start, end = problem.time.start, problem.time.end
        ax.fill_between([low, high], start, end, color=muted, alpha=0.12, lw=0)
        ax.plot([low, high], [start, start], color=ink, lw=3, label="the start")
        ax.set_ylabel(str(problem.time.coordinate))
    else:
        ax.plot([low, high], [0, 0], color=muted, lw=2)
        ax.set_yticks([])
    span = [start, end] if problem.time is not None else [0.0]
    for name, colour in boundaries.items():
        # Both ends, where they share the name.
        points, _ = problem.domain.sample_boundary(name, 16, seed=0)
        for k, at in enumerate(np.unique(points)):
            label = labels[name] if k == 0 else None
            style = "-" if len(span) > 1 else "o"
            ax.plot([at] * len(span), span, style, color=colour, lw=3, label=label)
    ax.set_xlabel(str(problem.space[0]))
    ax.margins(0.08)


def _draw_plane(
    ax: Axes,
    problem: Problem,
    boundaries: Mapping[str, str],
    labels: Mapping[str, str],
    muted: str,
) -> None:
    assert problem.domain is not None
    mesh = problem.domain.mesh(problem.domain.extent / 24)
    x, y = mesh.points.T
    ax.triplot(Triangulation(x, y, mesh.cells), lw=0.3, color=muted, alpha=0.6)
    for name, colour in boundaries.items():
        lines = LineCollection(
            list(mesh.points[mesh.boundaries[name]]),
            colors=colour,
            linewidths=2.6,
            label=labels[name],
            capstyle="round",
        )
        ax.add_collection(lines)
    spans = np.ptp(problem.domain.bounds, axis=1)
    if 0.1 < spans[0] / spans[1] < 10:
        ax.set_aspect("equal")
    ax.set_xlabel(str(problem.space[0]))
    ax.set_ylabel(str(problem.space[1]))


def cost_bars(rows: Sequence[tuple[str, Mapping[str, float]]]) -> Picture | None:
    """Draw the share of each phase in the CPU seconds, one bar a solver."""
    rows = [(name, cost) for name, cost in rows if sum(cost.values()) > 0]
    if not rows:
        return None
    with mpl.rc_context(_STYLE):
        labels, lines = _wrapped([name for name, _ in rows])
        figure, ax = _figure(4.7, 0.75 + (0.18 + 0.14 * lines) * len(rows))
        used: list[str] = []
        for k, (_, cost) in enumerate(rows):
            total, left = sum(cost.values()), 0.0
            for phase, colour in PHASE_COLOURS.items():
                share = cost.get(phase, 0.0) / total
                if share <= 0:
                    continue
                ax.barh(
                    k,
                    share,
                    left=left,
                    height=0.62,
                    color=_SERIES[colour],
                    label=None if phase in used else phase,
                    lw=0,
                )
                used.append(phase)
                left += share
            ax.text(1.015, k, wording.seconds(total), va="center", fontsize=8.5)
        ax.set_yticks(range(len(rows)), labels)
        ax.tick_params(axis="y", length=0, labelcolor=_INK)
        ax.invert_yaxis()
        ax.set_xlim(0, 1)
        ax.set_xticks([])
        ax.spines[:].set_visible(False)
        figure.legend(
            loc="outside lower center", ncols=5, handlelength=1, columnspacing=1.2
        )
        words = "; ".join(
            f"{name} {wording.seconds(sum(cost.values()))}" for name, cost in rows
        )
        return _picture(
            figure,
            f"CPU seconds by phase: {words}.",
            "Where the CPU seconds went, and how many there were (one run each).",
        )


def breakeven_chart(
    learned: Sequence[tuple[str, float, float]],
    classical: Sequence[tuple[str, float, float]],
    colours: Mapping[str, int],
) -> Picture:
    """Draw total CPU seconds over the number of solves.

    Parameters
    ----------
    learned
        Name, seconds spent once, seconds of one inference.
    classical
        Name, error and seconds of one solve at that error.
    """
    with mpl.rc_context(_STYLE):
        figure, ax = _figure(4.7, 3.9)
        slowest = min([s for _, _, s in classical], default=1.0)
        most = max([once / slowest for _, once, _ in learned], default=1.0)
        n = np.logspace(0, math.ceil(math.log10(max(most, 10))) + 1, 200)
        totals = []
        for name, once, each in learned:
            totals.append(once + n * each)
            ax.plot(n, totals[-1], color=_SERIES[colours[name]], label=name)
        for k, (name, error, each) in enumerate(classical):
            totals.append(n * each)
            style = ("--", ":", "-.")[k % 3]
            label = f"{name} at {wording.error(error)}"
            ax.plot(n, totals[-1], style, color=_SERIES[colours[name]], label=label)
        _scale(ax, list(n), "x")
        _scale(ax, list(np.concatenate(totals)), "y")
        ax.grid(True)
        ax.set_xlabel("number of solves")
        ax.set_ylabel("CPU seconds in all")
        figure.legend(loc="outside lower center", ncols=2)
        return _picture(
            figure,
            "Break-even chart: total CPU seconds over the number of solves, learned "
            "with data and training, classical at the same error.",
            "Where a solid line falls below the classical one at its error, training "
            "has paid off.",
        )


def seed_strip(
    rows: Sequence[tuple[str, Sequence[float]]], colours: Mapping[str, int], metric: str
) -> Picture | None:
    """Draw the error of every seed, where a learned solver has several."""
    rows = [(name, errors) for name, errors in rows if len(errors) > 1]
    if not rows:
        return None
    with mpl.rc_context(_STYLE):
        labels, lines = _wrapped([name for name, _ in rows])
        figure, ax = _figure(4.7, 0.8 + (0.26 + 0.14 * lines) * len(rows))
        for k, (name, errors) in enumerate(rows):
            ax.plot(errors, [k] * len(errors), "o", color=_SERIES[colours[name]], mew=0)
            middle = float(np.median(errors))
            ax.plot([middle] * 2, [k - 0.25, k + 0.25], color=_INK, lw=1.5)
        _scale(ax, [e for _, errors in rows for e in errors], "x")
        ax.set_yticks(range(len(rows)), labels)
        ax.tick_params(axis="y", length=0, labelcolor=_INK)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.grid(True, axis="x")
        ax.set_xlabel(f"error ({metric.replace('_', ' ')})")
        return _picture(
            figure,
            "Error of each seed: "
            + "; ".join(f"{name} {len(errors)} seeds" for name, errors in rows)
            + ".",
            "Every seed; the bar is the median.",
        )


@dataclass(frozen=True, eq=False)
class Shown:
    """One solver's values of one field, beside the reference's on the same support."""

    name: str
    values: np.ndarray
    reference: np.ndarray | None


def field_pictures(
    field: str,
    support: Support,
    reference: np.ndarray | None,
    shown: Sequence[Shown],
    colours: Mapping[str, int],
    record: Record,
) -> list[tuple[Picture, ...]]:
    """Draw a field and its error for every solver, in the way its support asks for.

    Pictures that belong under each other come as one tuple.
    """
    with mpl.rc_context(_STYLE):
        metric = record.error.metric
        if metric == "error_rate":
            return [(p,) for p in _confusions(reference, shown)]
        if metric not in FIELD_METRICS:
            return []
        if isinstance(support, Grid):
            curves = _as_curves(support, reference, shown, record)
            if curves is not None:
                return [(p,) for p in _curves(field, curves, colours)]
        return _maps(field, support, reference, shown, record)


@dataclass(frozen=True, eq=False)
class _Panel:
    title: str
    label: str
    x: np.ndarray
    reference: np.ndarray | None
    values: Mapping[str, np.ndarray]


def _as_curves(
    grid: Grid, reference: np.ndarray | None, shown: Sequence[Shown], record: Record
) -> list[_Panel] | None:
    """Return panels of curves where one axis is enough to show the values."""
    names = list(grid.axes)
    picks: list[tuple[str, tuple[Any, ...]]]
    if len(names) == 1:
        line = names[0]
        picks = [("", (slice(None),))]
    elif names[0] == "member":
        line = names[1]
        errors = _member_errors(reference, shown)
        order = np.argsort(errors)
        chosen = {
            "best member": order[0],
            "median member": order[len(order) // 2],
            "worst member": order[-1],
        }
        picks = [(title, (int(k),)) for title, k in chosen.items()]
    elif record.problem.kind == "signal" and "t" in names:
        line, at = "t", names.index("t")
        last = names[-1]
        picks = []
        for k in range(min(len(grid.axes[last]), 3)) if last != "t" else [0]:
            index: list[Any] = [0] * len(names)
            index[at] = slice(None)
            if last != "t":
                index[-1] = k
            picks.append((f"{last} {k + 1}" if last != "t" else "", tuple(index)))
    else:
        return None
    return [
        _Panel(
            title,
            line,
            grid.axes[line],
            None if reference is None else reference[index],
            {s.name: s.values[index] for s in shown},
        )
        for title, index in picks
    ]


def _member_errors(reference: np.ndarray | None, shown: Sequence[Shown]) -> np.ndarray:
    """Return the last solver's error of each member, to choose which to show."""
    values = shown[-1].values
    if reference is None:
        return np.arange(float(len(values)))
    scale = np.linalg.norm(reference, axis=1)
    error: np.ndarray = np.linalg.norm(values - reference, axis=1) / scale
    return error


def _curves(
    field: str, panels: Sequence[_Panel], colours: Mapping[str, int]
) -> list[Picture]:
    pictures = []
    for panel in panels:
        figure = Figure(figsize=(4.7, 3.8), layout="constrained")
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
        if panel.reference is not None:
            top.plot(
                panel.x, panel.reference, color=_INK, lw=2.6, alpha=0.35, label="truth"
            )
        for k, (name, values) in enumerate(panel.values.items()):
            colour = _SERIES[colours[name]]
            style = ("-", "--", "-.", ":")[k % 4]
            top.plot(panel.x, values, style, color=colour, lw=1.3, label=name)
            if panel.reference is not None:
                error = np.abs(values - panel.reference)
                error[error <= 0] = np.nan
                bottom.plot(panel.x, error, style, color=colour, lw=1.0)
        _scale(bottom, [1.0, 1e6], "y")
        bottom.set_ylabel("|error|")
        bottom.set_xlabel(panel.label)
        bottom.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        bottom.yaxis.set_major_locator(LogLocator(numticks=4))
        for ax in (top, bottom):
            ax.grid(True)
        heading = f"{field} {panel.title}".strip()
        top.set_title(heading, loc="left")
        figure.legend(loc="outside lower center", ncols=4)
        pictures.append(
            _picture(
                figure,
                f"{heading} over {panel.label}: reference and "
                f"{', '.join(panel.values)}, with absolute errors below.",
            )
        )
    return pictures


def _confusions(reference: np.ndarray | None, shown: Sequence[Shown]) -> list[Picture]:
    pictures: list[Picture] = []
    if reference is None:
        return pictures
    truth = reference.argmax(axis=1) if reference.ndim == 2 else reference.astype(int)
    for s in shown:
        count = s.values.shape[1]
        if count > 20:
            continue
        table = np.zeros((count, count), dtype=int)
        np.add.at(table, (truth, s.values.argmax(axis=1)), 1)
        figure, ax = _figure(3.1, 3.1)
        wrong = table.astype(float)
        np.fill_diagonal(wrong, 0.0)
        faults = np.ma.masked_equal(wrong, 0)
        ax.imshow(faults, cmap="Oranges", vmin=0, vmax=max(wrong.max(), 1) * 1.6)
        for i, j in zip(*np.nonzero(table), strict=True):
            inside = wrong[i, j] > 0
            ax.text(
                j,
                i,
                str(table[i, j]),
                ha="center",
                va="center",
                fontsize=7,
                color="#402000" if inside else _MUTED,
            )
        ax.set_xticks(range(count))
        ax.set_yticks(range(count))
        ax.tick_params(length=0)
        ax.spines[:].set_visible(True)
        ax.set_xlabel("answer")
        ax.set_ylabel("truth")
        ax.set_title(s.name, loc="left")
        off = int(wrong.sum())
        pictures.append(
            _picture(
                figure,
                f"Confusion matrix of {s.name}: {off} of {table.sum()} samples wrong.",
            )
        )
    return pictures


def _maps(
    field: str,
    support: Support,
    reference: np.ndarray | None,
    shown: Sequence[Shown],
    record: Record,
) -> list[tuple[Picture, ...]]:
    slices = _slice(support, record)
    if slices is None:
        return []
    index, when = slices
    fields = [s.values[index] for s in shown]
    truth = None if reference is None else reference[index]
    errors = [
        None if s.reference is None else np.abs(s.values - s.reference)[index]
        for s in shown
    ]
    norm = _field_norm(np.concatenate(fields) if truth is None else truth)
    plane = record.problem.dimension == 2
    error_norm = _error_norm([e for e in errors if e is not None])
    columns: list[tuple[Picture, ...]] = []
    if truth is not None:
        title = f"{field}, reference{when}"
        columns.append((_map(support, truth, norm, title, mesh=True, is_plane=plane),))
    for s, values, error in zip(shown, fields, errors, strict=True):
        title = f"{field}, {s.name}{when}"
        column = [_map(support, values, norm, title, is_plane=plane)]
        if error is not None and error_norm is not None:
            title = f"|error|, {s.name}"
            column.append(
                _map(support, error, error_norm, title, colours="magma", is_plane=plane)
            )
        columns.append(tuple(column))
    return columns


def _slice(support: Support, record: Record) -> tuple[Any, str] | None:
    """Return which part of the values to draw and the words for it."""
    if isinstance(support, MeshNodes):
        if support.mesh.dimension != 2:
            return None
        if support.times is None:
            return ..., ""
        return -1, f", {support.time} = {support.times[-1]:g}"
    if len(support.axes) == 2:
        return ..., ""
    if len(support.axes) == 3 and record.problem.dimension == 2:
        name, axis = next(iter(support.axes.items()))
        return -1, f", {name} = {axis[-1]:g}"
    return None


def _field_norm(values: np.ndarray) -> Normalize:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if low < 0 < high and min(-low, high) > 0.2 * max(-low, high):
        low, high = -max(-low, high), max(-low, high)
    return Normalize(low, high if high > low else low + 1)


def _error_norm(errors: Sequence[np.ndarray]) -> LogNorm | None:
    """Return one scale for all solvers: six decades below the largest error."""
    if not errors:
        return None
    every = np.concatenate([e[np.isfinite(e)].ravel() for e in errors])
    high = float(every.max(initial=0.0))
    if high <= 0:
        return None
    low = max(float(np.quantile(every[every > 0], 0.02)), high * 1e-6)
    return LogNorm(min(low, high / 10), high)


def _map(
    support: Support,
    values: np.ndarray,
    norm: Normalize,
    title: str,
    *,
    colours: str | None = None,
    mesh: bool = False,
    is_plane: bool = False,
) -> Picture:
    if colours is None:
        is_signed = norm.vmin is not None and norm.vmin == -(norm.vmax or 0)
        colours = "RdBu_r" if is_signed else "viridis"
    figure, ax = _figure(3.0, 2.3)
    if isinstance(norm, LogNorm):
        values = np.clip(values, norm.vmin, None)
    drawn: Any
    if isinstance(support, MeshNodes):
        x, y = support.mesh.points.T
        triangles = Triangulation(x, y, support.mesh.cells)
        drawn = ax.tripcolor(
            triangles, values, norm=norm, cmap=colours, shading="gouraud"
        )
        if mesh:
            lines = ax.triplot(triangles, lw=0.25, color="black", alpha=0.35)
            for line in lines:
                line.set_rasterized(True)
        labels = support.space
    else:
        (first, a), (second, b) = list(support.axes.items())[-2:]
        # Time runs to the right, and in the plane x does.
        drawn = ax.pcolormesh(
            a, b, values.T, norm=norm, cmap=colours, shading="gouraud"
        )
        labels = (first, second)
        spans = [float(np.ptp(axis)) for axis in (a, b)]
        if is_plane and 0.4 < spans[0] / spans[1] < 2.5:
            ax.set_aspect("equal")
    drawn.set_rasterized(True)
    if isinstance(support, MeshNodes):
        ax.set_aspect("equal")
    ax.set_xlabel(labels[0])
    ax.set_ylabel(labels[1])
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.set_title(title, loc="left")
    bar: Any = figure.colorbar(drawn, ax=ax, pad=0.02, aspect=25)
    bar.outline.set_visible(False)
    bar.solids.set_rasterized(True)
    if isinstance(norm, LogNorm):
        bar.formatter = _power_of_ten
        bar.update_ticks()
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
    finite = values[np.isfinite(values)]
    return _picture(
        figure,
        f"Map of {title} over {labels[0]} and {labels[1]}, from {finite.min():.3g} to "
        f"{finite.max():.3g}.",
    )
