"""What all pages share: their templates, and writing them whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

import jinja2


def render(template: str, **content: Any) -> str:
    """Return a page from its template in this folder."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = _unbroken
    environment.filters["short"] = _short
    return environment.get_template(template).render(**content)


def _short(value: object) -> str:
    """Write a parameter, a number with six digits at most."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _unbroken(text: str) -> str:
    """Keep numbers such as 2e-6 and their units on one line."""
    text = re.sub(r"(\de)-(\d)", "\\1\u2011\\2", text)
    return re.sub(r"(\d) (ns|µs|ms|s|min|h|%|seeds?)\b", "\\1\u00a0\\2", text)


def write(path: Path, text: str) -> None:
    """Write a page; a reader sees the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(".tmp", f".{path.name}.", path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
