"""The page on all references: what each claims, and what holds it up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from pinnsuite.compare import wording
from pinnsuite.report import figures, pages
from pinnsuite.verification.audit import Audit

KINDS = {
    "exact": "closed form",
    "evaluated": "formula",
    "ladder": "refinement",
    "fit": "least-squares fit",
    "data": "data held back",
    "family": "family",
    "": "none",
}


def write_page(rows: Sequence[Audit], out: Path) -> Path:
    """Write the audits as one self-contained page and return its path."""
    path = out / "references.html" if out.is_dir() else out
    pages.write(path, page(rows))
    return path


def page(rows: Sequence[Audit]) -> str:
    """Return the page as HTML."""
    groups: dict[str, list[Audit]] = {}
    for row in rows:
        groups.setdefault(row.group.replace("_", " "), []).append(row)
    drawn = [(r, figures.convergence_plot(r.rungs, None, r.claim)) for r in rows]
    judged = [r for r in rows if r.claim is not None]
    faulty = [r for r in rows if not r.is_ok]
    return pages.render(
        "references.html.j2",
        groups=groups,
        ladders=[(r, picture) for r, picture in drawn if picture is not None],
        faulty=faulty,
        headline=_headline(len(judged), len(faulty)),
        kinds=KINDS,
        error=lambda v: "" if v is None else wording.error(v),
        seconds=lambda v: "" if v is None else wording.seconds(v),
        day=datetime.now(UTC).date().isoformat(),
        version=metadata.version("pinnsuite"),
        total=sum(r.cpu_s or 0.0 for r in rows),
    )


def _headline(judged: int, faulty: int) -> str:
    if faulty:
        return f"{faulty} of the problems below have a fault."
    noun = "reference keeps" if judged == 1 else "references keep"
    return f"{judged} {noun} what is claimed."
