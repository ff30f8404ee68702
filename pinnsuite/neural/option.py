"""Checks of solvers' options, and words that several of them know."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from pinnsuite.errors import OptionError, unknown_name

DTYPES = {"float64": torch.float64, "float32": torch.float32}


def at_least(options: object, name: str, least: int) -> None:
    """Check a whole-number option; None passes."""
    value = getattr(options, name)
    if value is not None and (not isinstance(value, int) or value < least):
        raise OptionError(
            f"Option {name!r} of {type(options).__name__} is {value!r}; needed is a "
            f"whole number of at least {least}."
        )


def positive(options: object, name: str) -> None:
    """Check an option that must be a positive number."""
    value = getattr(options, name)
    if not (isinstance(value, int | float) and 0 < value < math.inf):
        raise OptionError(
            f"Option {name!r} of {type(options).__name__} is {value!r}; needed is a "
            "positive number."
        )


def choice(
    options: object, name: str, known: Sequence[str] | Mapping[str, object]
) -> None:
    """Check an option that must be one of several words."""
    value = getattr(options, name)
    if value not in known:
        raise OptionError(
            unknown_name(f"{name} of {type(options).__name__}", value, known)
        )
