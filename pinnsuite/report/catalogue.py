"""A problem as a page of a textbook: for the terminal, and as HTML with formulas."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from pinnsuite.errors import OptionError, TruthError
from pinnsuite.problem.catalog import Entry
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.family import Family
from pinnsuite.problem.notation import (
    Relation,
    condition_relation,
    equation_relation,
)
from pinnsuite.problem.signal import SignalProblem
from pinnsuite.report import figures, pages
from pinnsuite.verification.check import signal_lines, takers_of
from pinnsuite.verification.reference import stored_reference

if TYPE_CHECKING:
    from pinnsuite.problem.catalog import AnyProblem

TRAP = "Trap:"
"""How a paragraph on what goes wrong begins."""

WIDTH = 88


@dataclass(frozen=True, eq=False)
class Page:
    """What there is to say of one problem.

    Attributes
    ----------
    entry, made
        The function's place, and what it made.
    statement, traps
        Paragraphs of the docstring, those on traps apart.
    parameters
        Name, value, and what the docstring says of it.
    problem
        The equations: of the problem, or of the first member of a family.
    facts
        Lines on what is no equation: data of a signal, distributions of a family.
    reference
        How the truth is known and how well.
    solvers
        See `check.takers_of`; empty if they were not asked.
    """

    entry: Entry
    made: AnyProblem
    statement: Sequence[str]
    traps: Sequence[str]
    parameters: Sequence[tuple[str, Any, str]]
    problem: Problem | None
    facts: Sequence[str] = ()
    reference: str = ""
    solvers: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def equations(self) -> list[Relation]:
        """The equations as they are read."""
        if self.problem is None:
            return []
        return [equation_relation(e) for e in self.problem.equations]

    @property
    def conditions(self) -> list[Relation]:
        """The conditions as they are read."""
        if self.problem is None:
            return []
        return [condition_relation(c, self.problem) for c in self.problem.conditions]

    @property
    def places(self) -> list[str]:
        """Where and when: domain, named boundaries, time."""
        problem, found = self.problem, []
        if problem is None:
            return []
        if problem.domain is not None:
            found.append(problem.domain.describe())
            sizes = {b: problem.domain.boundary_measure(b) for b in _names(problem)}
            words = ", ".join(f"{b} ({size:.4g})" for b, size in sizes.items())
            found.append(f"boundaries, with their measure: {words}")
        if problem.time is not None:
            found.append(problem.time.describe())
        found += [
            f"unknown {u.name} in [{u.lower:g}, {u.upper:g}]" for u in problem.unknowns
        ]
        return found

    @property
    def paragraphs(self) -> list[list[str]]:
        """The statement without its title, each item of a list on a line of its own."""
        return [
            [" ".join(line.split()) for line in re.split(r"\n(?=- )", p)]
            for p in self.statement[1:]
        ]


def _names(problem: Problem) -> tuple[str, ...]:
    return () if problem.domain is None else problem.domain.boundaries


def describe(entry: Entry, made: AnyProblem, *, solvers: bool = False) -> Page:
    """Return the page of a problem.

    Parameters
    ----------
    entry, made
        The function's place, and what it made.
    solvers
        Whether to ask the solvers if they take it; this loads them all.
    """
    # Traps may follow each other without an empty line.
    parts = re.split(rf"\n\n|\n(?={TRAP})", entry.statement)
    paragraphs = [p.strip() for p in parts if p.strip()]
    documented, paragraphs = _documented(paragraphs)
    problem: Problem | None = None
    facts: list[str] = []
    if isinstance(made, Problem):
        problem = made
    elif isinstance(made, Family):
        problem = made.member(0)
        facts = [f"{k} ~ {d!r}" for k, d in made.distributions.items()]
        facts.append(
            f"{made.num_train} members to learn from, {made.num_test} to judge by, "
            f"{made.num_points} points along each coordinate; below is member 0"
        )
    elif isinstance(made, SignalProblem):
        facts = signal_lines(made)
    return Page(
        entry,
        made,
        [p for p in paragraphs if not p.startswith(TRAP)],
        [p for p in paragraphs if p.startswith(TRAP)],
        [(k, v, documented.get(k, "")) for k, v in made.parameters.items()],
        problem,
        facts,
        _reference_words(entry, made),
        takers_of(made) if solvers and problem is not None else {},
    )


def _documented(paragraphs: list[str]) -> tuple[dict[str, str], list[str]]:
    """Take the section on parameters out of a docstring, if it has one."""
    kept, found = [], {}
    for paragraph in paragraphs:
        head, _, body = paragraph.partition("\n")
        if head.strip() != "Parameters" or not body.startswith("---"):
            kept.append(paragraph)
            continue
        _, _, rows = body.partition("\n")
        # A name, and the indented lines below it.
        for match in re.finditer(r"(?m)^(\w[^\n]*)\n((?:[ \t]+[^\n]*\n?)+)", rows):
            words = " ".join(match[2].split())
            for name in match[1].split(","):
                found[name.partition(":")[0].strip()] = words
    return found, kept


def _reference_words(entry: Entry, made: AnyProblem) -> str:
    if isinstance(made, SignalProblem):
        return "data held back"
    if isinstance(made, Family):
        return "every test member solved ever finer, until two solutions agree"
    claim = f"; claimed is a relative {made.norm} error below {made.claim:.0e}"
    try:
        truth = stored_reference(made)
    except (TruthError, OptionError) as error:
        return str(error)
    if truth is None:
        return f"{entry.reference}{claim}; not computed yet: `pinnsuite verify`"
    words = f"{truth.kind}: {truth.description}"
    worst = max(truth.error_estimate.values())
    words += f"; estimated error {worst:.1e}{claim}"
    if truth.observed_order is not None and truth.expected_order is not None:
        words += f"; order {truth.observed_order:.2f} (declared "
        words += f"{truth.expected_order:g})"
    return words


def as_text(page: Page, *, latex: bool = False) -> str:
    """Return a page for the terminal."""
    space = () if page.problem is None else page.problem.space

    def lines(relations: Sequence[Relation]) -> list[str]:
        if latex:
            return [r.latex(space) for r in relations]
        return [r.unicode(space) for r in relations]

    made = page.made
    out = [f"{made.name}  ({page.entry.group}, {page.entry.path})", ""]
    out += [p + "\n" for p in page.statement]
    out += _section("Data" if page.problem is None else "Members", page.facts)
    out += _section("Equations", lines(page.equations), wrap=False)
    out += _section("Conditions", lines(page.conditions), wrap=False)
    out += _section("Domain", page.places)
    if isinstance(made, Problem) and made.exact is not None:
        known = [Relation(f, e) for f, e in made.exact.items()]
        out += _section("Solution", lines(known), wrap=False)
    rows = [f"{n} = {v}" + (f": {doc}" if doc else "") for n, v, doc in page.parameters]
    out += _section("Parameters", rows)
    out += _section("Traps", [" ".join(t[len(TRAP) :].split()) for t in page.traps])
    out += _section("Reference", [page.reference])
    takers = [n for n, reason in page.solvers.items() if reason is None]
    out += _section("Solvers that take it", [", ".join(takers)] if takers else [])
    out += _section("Source", [made.source] if made.source else [])
    out += _section("Tags", [", ".join(made.tags)] if made.tags else [])
    return "\n".join(out).rstrip() + "\n"


def _section(title: str, rows: Sequence[str], *, wrap: bool = True) -> list[str]:
    if not rows:
        return []
    return [title, *(_wrapped(r, "  ") if wrap else f"  {r}" for r in rows), ""]


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(
        " ".join(text.split()),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + ("  " if indent else ""),
        break_long_words=False,
        break_on_hyphens=False,
    )


def as_json(page: Page) -> dict[str, Any]:
    """Return a page as plain values, formulas in LaTeX."""
    space = () if page.problem is None else page.problem.space
    return {
        "name": page.made.name,
        "group": page.entry.group,
        "statement": list(page.statement),
        "equations": [r.latex(space) for r in page.equations],
        "conditions": [r.latex(space) for r in page.conditions],
        "domain": page.places,
        "facts": list(page.facts),
        "parameters": {n: v for n, v, _ in page.parameters},
        "traps": list(page.traps),
        "reference": page.reference,
        "solvers": dict(page.solvers),
        "source": page.made.source,
        "tags": list(page.made.tags),
    }


def write_catalogue(found: Sequence[Page], out: Path) -> Path:
    """Write problems as one self-contained HTML page, formulas as MathML."""
    path = out / "catalogue.html" if out.is_dir() else out
    groups: dict[str, list[_Section]] = {}
    for page in found:
        groups.setdefault(page.entry.group.replace("_", " "), []).append(_drawn(page))
    pages.write(
        path, pages.render("catalogue.html.j2", groups=groups, count=len(found))
    )
    return path


@dataclass(frozen=True, eq=False)
class _Section:
    page: Page
    equations: Sequence[Markup]
    conditions: Sequence[tuple[Markup, str]]
    solution: Sequence[Markup]
    picture: figures.Picture | None


def _drawn(page: Page) -> _Section:
    space = () if page.problem is None else page.problem.space
    known: Mapping[Any, Any] = {}
    if isinstance(page.made, Problem) and page.made.exact is not None:
        known = page.made.exact
    return _Section(
        page,
        [_mathml(r, space) for r in page.equations],
        [(_mathml(r, space), r.where) for r in page.conditions],
        [_mathml(Relation(f, e), space) for f, e in known.items()],
        None if page.problem is None else figures.domain_picture(page.problem),
    )


def _mathml(relation: Relation, space: Sequence[Any]) -> Markup:
    if relation.left is None:
        return Markup("")
    # Made by a printer that escapes names; words of the author are not in it.
    return Markup(f"<math>{relation.mathml(space)}</math>")


def write_picture(made: AnyProblem, out: Path) -> None:
    """Draw the domain with its named boundaries into a file.

    Raises
    ------
    OptionError
        If there is nothing to draw, or the file's ending is unknown.
    """
    if out.suffix not in (".png", ".svg", ".pdf"):
        raise OptionError(f"{out}: pictures end in .png, .svg or .pdf.")
    problem = made.member(0) if isinstance(made, Family) else made
    if not isinstance(problem, Problem) or not figures.write_domain(problem, out):
        raise OptionError(
            f"{made.name!r} has no domain of one to three dimensions to draw; "
            "`pinnsuite show` describes it in words."
        )


__all__ = [
    "Page",
    "as_json",
    "as_text",
    "describe",
    "write_catalogue",
    "write_picture",
]
