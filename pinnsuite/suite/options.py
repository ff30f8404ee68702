"""Options as a person writes them on a command line or in a suite."""

from __future__ import annotations

import math
import re
import tomllib
from typing import Any

from pinnsuite.errors import OptionError

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_BYTES = {"MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}


def parse_assignments(text: str) -> dict[str, Any]:
    """Return the options in `key=value,key=value`; lists are written `[1, 2]`.

    A value is read as TOML (numbers, true, false, lists, quoted text); any other text
    stands for itself. Nothing is evaluated.

    Raises
    ------
    OptionError
        If a part has no `=` or no key.
    """
    options = {}
    for part in re.split(r",(?![^\[]*\])", text):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise OptionError(f"{part!r} is no option; write key=value.")
        options[key.strip()] = _parse_value(value.strip())
    return options


def _parse_value(text: str) -> Any:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text
    return value if isinstance(value, int | float | str | list) else text


def parse_solver(text: str) -> dict[str, Any]:
    """Return the table that `NAME` or `NAME:key=value,key=value` stands for.

    Raises
    ------
    OptionError
        If an option is not written as `key=value`.
    """
    name, colon, options = text.partition(":")
    if name.endswith(".py"):
        cls, colon, options = options.partition(":")
        name = f"{name}:{cls}"
    return {"name": name} | (parse_assignments(options) if colon else {})


def seconds(value: Any) -> float:
    """Return the seconds in `90`, `"90s"`, `"1.5m"` or `"2h"`.

    Raises
    ------
    OptionError
        If it is no positive duration.
    """
    number = _quantity(value, _SECONDS)
    if number is None:
        raise OptionError(
            f"{value!r} is no duration; needed is a positive number of seconds or "
            'one with a unit: "90s", "1.5m", "2h".'
        )
    return number


def num_bytes(value: Any) -> int:
    """Return the bytes in `"500MiB"` or `"4GiB"`.

    Raises
    ------
    OptionError
        If it is no positive amount of memory.
    """
    number = _quantity(value, _BYTES)
    if number is None:
        raise OptionError(
            f'{value!r} is no amount of memory; needed is one with a unit: "500MiB", '
            '"4GiB".'
        )
    return int(number)


def _quantity(value: Any, units: dict[str, Any]) -> float | None:
    match = re.fullmatch(r"\s*([0-9.eE+-]+?)\s*([A-Za-z]*)\s*", str(value))
    if match is None or match[2] not in units or isinstance(value, bool):
        return None
    try:
        number = float(match[1]) * units[match[2]]
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None
