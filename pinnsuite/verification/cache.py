"""References on disk: found by the hash of what they answer, trusted by checksum."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pinnsuite.problem.catalog import reference_folder
from pinnsuite.solution import hdf5
from pinnsuite.solution.solution import Solution

logger = logging.getLogger(__name__)

SHARE = 1e-3
"""Rounding of shipped values, as a share of their error estimate."""


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
    """Write a reference: the fields with what is known about them, and a checksum."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = _write(folder / f"{key}.h5", solution, about)
    temporary = folder / f".{key}.{os.getpid()}.json"
    temporary.write_text(json.dumps({"sha256": digest}), encoding="utf-8")
    temporary.replace(folder / f"{key}.json")


def fetch(folder: Path, key: str) -> tuple[Solution, dict[str, Any]] | None:
    """Return a stored reference, or None if there is none or it is damaged."""
    try:
        known = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
        return _read(folder / f"{key}.h5", known["sha256"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        logger.warning("Reference %s in %s cannot be read (%s).", key, folder, error)
        return None


def ship(
    name: str,
    key: str,
    solution: Solution,
    error_estimate: Mapping[str, float],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Write a reference into the catalogue's data; return the entry that names it.

    The values are rounded to a thousandth of their error, which halves the file.
    """
    path = reference_folder() / f"{name}-{key[:12]}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {
        k: rounded(v, SHARE * error_estimate.get(k, 0.0))
        for k, v in solution.fields.items()
    }
    digest = _write(path, replace(solution, fields=fields, history={}), about)
    return {"file": path.name, "sha256": digest}


def fetch_shipped(name: str, key: str) -> tuple[Solution, dict[str, Any]] | None:
    """Return a reference that comes with the package, None if there is none."""
    if not name.isidentifier():
        return None
    folder = reference_folder()
    try:
        pin = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        entry = pin["references"].get(key)
        if entry is None:
            return None
        return _read(folder / Path(entry["file"]).name, entry["sha256"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        logger.warning("References of %s cannot be read (%s).", name, error)
        return None


def drop_shipped(file: str) -> None:
    """Remove a reference that came with the package and is replaced."""
    (reference_folder() / Path(file).name).unlink(missing_ok=True)


def rounded(values: np.ndarray, relative: float) -> np.ndarray:
    """Return values rounded to a power of two below `relative` of their size."""
    size = float(np.sqrt(np.mean(np.square(values))))
    if not relative * size > np.finfo(float).tiny:
        return values
    quantum = 2.0 ** np.floor(np.log2(relative * size))
    result: np.ndarray = np.round(values / quantum) * quantum
    return result


def _write(path: Path, solution: Solution, about: Mapping[str, Any]) -> str:
    """Write the file and return its checksum."""
    details = {**solution.details, "reference": dict(about)}
    hdf5.save(replace(solution, details=details), path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read(path: Path, sha256: str) -> tuple[Solution, dict[str, Any]] | None:
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        logger.warning("Reference %s does not match its checksum; redone.", path)
        return None
    solution = hdf5.load(path)
    details = dict(solution.details)
    about: dict[str, Any] = details.pop("reference")
    return replace(solution, details=details), about
