"""Numbers as a reader wants them: few digits, fitting units."""

from __future__ import annotations

import math


def seconds(value: float) -> str:
    """Write seconds with two digits, in the unit that suits them."""
    if not math.isfinite(value):
        return "–"
    for unit, scale in (("h", 3600.0), ("min", 60.0)):
        if value >= 2 * scale:
            return f"{value / scale:.2g} {unit}" if value < 99 * scale else _long(value)
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= scale:
            return f"{_digits(value / scale)} {unit}"
    return "0 s" if value == 0 else f"{_digits(value / 1e-9)} ns"


def _long(value: float) -> str:
    return f"{value / 3600:.0f} h"


def error(value: float, metric: str = "relative_l2") -> str:
    """Write an error: a per cent for a rate, bits for a code length, else 1.2e-3."""
    if not math.isfinite(value):
        return "–"
    if metric == "error_rate":
        return f"{100 * value:.2g} %"
    if metric == "bits_per_character":
        return f"{value:.3g} bits"
    if value == 0 or value >= 1:
        return _digits(value) if value else "0"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def times(value: float) -> str:
    """Write a ratio with two digits and without an exponent while it is readable."""
    return f"{value:.1e}" if value >= 1e6 or value < 1e-3 else _digits(value)


def _digits(value: float) -> str:
    """Write two significant digits, grouped by thousands."""
    if value >= 100:
        digits = math.floor(math.log10(value)) - 1
        return f"{round(value, -digits):,.0f}"
    return f"{value:.2g}"
