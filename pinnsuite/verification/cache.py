"""References on disk: found by the hash of what they answer, trusted by checksum."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pinnsuite.errors import DataError
from pinnsuite.solution import hdf5
from pinnsuite.solution.solution import Solution

logger = logging.getLogger(__name__)


def default_folder() -> Path:
    """Return where references are kept: `$PINNSUITE_CACHE` or the user's cache."""
    named = os.environ.get("PINNSUITE_CACHE")
    if named:
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "pinnsuite"


def key_of(content: Mapping[str, Any]) -> str:
    """Return the sha256 of canonical JSON."""
    text = json.dumps(content, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def store(folder: Path, key: str, solution: Solution, about: Mapping[str, Any]) -> None:
    """Write a reference: the fields, then what is known about them."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = folder / f"{key}.h5"
    hdf5.save(solution, fields)
    digest = hashlib.sha256(fields.read_bytes()).hexdigest()
    text = json.dumps({"sha256": digest, **about}, indent=1)
    temporary = folder / f".{key}.{os.getpid()}.json"
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(folder / f"{key}.json")


def fetch(folder: Path, key: str) -> tuple[Solution, dict[str, Any]] | None:
    """Return a stored reference, or None if there is none or it is damaged."""
    fields, about = folder / f"{key}.h5", folder / f"{key}.json"
    try:
        known = json.loads(about.read_text(encoding="utf-8"))
        if hashlib.sha256(fields.read_bytes()).hexdigest() != known.pop("sha256"):
            logger.warning("Reference %s does not match its checksum; redone.", fields)
            return None
        return hdf5.load(fields), known
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, DataError) as error:
        logger.warning("Reference %s cannot be read (%s); redone.", fields, error)
        return None
