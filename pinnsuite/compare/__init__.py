"""Judging solutions: errors, orders, work against precision, verdicts."""

from pinnsuite.compare.comparison import Comparison as Comparison
from pinnsuite.compare.comparison import compare as compare
