import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnsuite.compare import wording


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0 s"),
        (3.4e-8, "34 ns"),
        (5.2e-5, "52 µs"),
        (0.0123, "12 ms"),
        (1.0, "1 s"),
        (72.0, "72 s"),
        (150.0, "2.5 min"),
        (7200.0, "2 h"),
        (math.inf, "–"),
    ],
)
def test_seconds_come_in_the_unit_that_suits_them(value, words):
    assert wording.seconds(value) == words


@pytest.mark.parametrize(
    ("value", "metric", "words"),
    [
        (1e-3, "relative_l2", "1e-3"),
        (1.26e-5, "relative_l2", "1.3e-5"),
        (2.39, "relative_l2", "2.4"),
        (0.0, "relative_l2", "0"),
        (math.nan, "relative_l2", "–"),
        (0.0194, "error_rate", "1.9 %"),
        (2.2361, "bits_per_character", "2.24 bits"),
    ],
)
def test_errors_come_as_their_metric_is_spoken_of(value, metric, words):
    assert wording.error(value, metric) == words


@given(st.floats(1e-12, 1e8))
def test_two_digits_are_kept_whatever_the_size(value):
    units = {"h": 3600, "min": 60, "s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
    number, unit = wording.seconds(value).split(" ")
    shown = float(number.replace(",", "")) * units[unit]
    assert shown == pytest.approx(value, rel=0.051)
    assert float(wording.error(value).replace(",", "")) == pytest.approx(
        value, rel=0.051
    )
    ratio = wording.times(value).replace(",", "")
    assert float(ratio) == pytest.approx(value, rel=0.051)
