"""State a problem once; solve it by networks and by numerics; compare them honestly.

Problem  ->  Solver  ->  Solution  ->  Comparison  ->  Record  ->  Report
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pinnsuite.problem import Ball as Ball
    from pinnsuite.problem import Box as Box
    from pinnsuite.problem import D as D
    from pinnsuite.problem import Difference as Difference
    from pinnsuite.problem import Dirichlet as Dirichlet
    from pinnsuite.problem import Disk as Disk
    from pinnsuite.problem import Evaluated as Evaluated
    from pinnsuite.problem import Family as Family
    from pinnsuite.problem import Flux as Flux
    from pinnsuite.problem import GaussianRandomField as GaussianRandomField
    from pinnsuite.problem import Initial as Initial
    from pinnsuite.problem import Interval as Interval
    from pinnsuite.problem import Ladder as Ladder
    from pinnsuite.problem import MeshDomain as MeshDomain
    from pinnsuite.problem import Neumann as Neumann
    from pinnsuite.problem import Observed as Observed
    from pinnsuite.problem import Periodic as Periodic
    from pinnsuite.problem import Polygon as Polygon
    from pinnsuite.problem import Problem as Problem
    from pinnsuite.problem import Robin as Robin
    from pinnsuite.problem import SignalProblem as SignalProblem
    from pinnsuite.problem import TimeInterval as TimeInterval
    from pinnsuite.problem import Uniform as Uniform
    from pinnsuite.problem import Union as Union
    from pinnsuite.problem import Unknown as Unknown
    from pinnsuite.problem import coordinates as coordinates
    from pinnsuite.problem import data_file as data_file
    from pinnsuite.problem import div as div
    from pinnsuite.problem import field_of as field_of
    from pinnsuite.problem import grad as grad
    from pinnsuite.problem import laplacian as laplacian
    from pinnsuite.problem import load as load
    from pinnsuite.problem import manufacture as manufacture
    from pinnsuite.problem import normal as normal
    from pinnsuite.solution import Solution as Solution
    from pinnsuite.solution import Status as Status
    from pinnsuite.verification import check as check
    from pinnsuite.verification import judge as judge
    from pinnsuite.verification import reference as reference

__version__ = "0.1.0"

_PLACES = {
    "problem": (
        "Ball",
        "Box",
        "D",
        "Difference",
        "Dirichlet",
        "Disk",
        "Evaluated",
        "Family",
        "Flux",
        "GaussianRandomField",
        "Initial",
        "Interval",
        "Ladder",
        "MeshDomain",
        "Neumann",
        "Observed",
        "Periodic",
        "Polygon",
        "Problem",
        "Robin",
        "SignalProblem",
        "TimeInterval",
        "Uniform",
        "Union",
        "Unknown",
        "coordinates",
        "data_file",
        "div",
        "field_of",
        "grad",
        "laplacian",
        "load",
        "manufacture",
        "normal",
    ),
    "solution": (
        "Solution",
        "Status",
    ),
    "verification": (
        "check",
        "judge",
        "reference",
    ),
}
"""Which folder defines which name; loaded when a name is first used."""

__all__ = [name for names in _PLACES.values() for name in names]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that `--help` answers at once."""
    for place, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{place}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
