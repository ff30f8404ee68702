"""Problems: fields, equations, domains, conditions, data, and what follows."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pinnsuite.problem.catalog import data_file as data_file
    from pinnsuite.problem.catalog import load as load
    from pinnsuite.problem.conditions import Dirichlet as Dirichlet
    from pinnsuite.problem.conditions import Flux as Flux
    from pinnsuite.problem.conditions import Initial as Initial
    from pinnsuite.problem.conditions import Neumann as Neumann
    from pinnsuite.problem.conditions import Observed as Observed
    from pinnsuite.problem.conditions import Obstacle as Obstacle
    from pinnsuite.problem.conditions import Periodic as Periodic
    from pinnsuite.problem.conditions import Robin as Robin
    from pinnsuite.problem.conditions import Unknown as Unknown
    from pinnsuite.problem.conditions import UnknownField as UnknownField
    from pinnsuite.problem.conditions import normal as normal
    from pinnsuite.problem.definition import D as D
    from pinnsuite.problem.definition import Evaluated as Evaluated
    from pinnsuite.problem.definition import Ladder as Ladder
    from pinnsuite.problem.definition import Problem as Problem
    from pinnsuite.problem.definition import coordinates as coordinates
    from pinnsuite.problem.definition import div as div
    from pinnsuite.problem.definition import field_of as field_of
    from pinnsuite.problem.definition import grad as grad
    from pinnsuite.problem.definition import laplacian as laplacian
    from pinnsuite.problem.domain import Box as Box
    from pinnsuite.problem.domain import Difference as Difference
    from pinnsuite.problem.domain import Disk as Disk
    from pinnsuite.problem.domain import Interval as Interval
    from pinnsuite.problem.domain import Polygon as Polygon
    from pinnsuite.problem.domain import TimeInterval as TimeInterval
    from pinnsuite.problem.domain import Union as Union
    from pinnsuite.problem.family import Family as Family
    from pinnsuite.problem.family import GaussianRandomField as GaussianRandomField
    from pinnsuite.problem.family import Uniform as Uniform
    from pinnsuite.problem.manufactured import manufacture as manufacture
    from pinnsuite.problem.mesh_domain import MeshDomain as MeshDomain
    from pinnsuite.problem.signal import SignalProblem as SignalProblem
    from pinnsuite.problem.solid import Ball as Ball
    from pinnsuite.problem.solid import PerforatedBox as PerforatedBox
    from pinnsuite.problem.tables import tabulated as tabulated

_PLACES = {
    "catalog": (
        "data_file",
        "load",
    ),
    "conditions": (
        "Dirichlet",
        "Flux",
        "Initial",
        "Neumann",
        "Observed",
        "Obstacle",
        "Periodic",
        "Robin",
        "Unknown",
        "UnknownField",
        "normal",
    ),
    "definition": (
        "D",
        "Evaluated",
        "Ladder",
        "Problem",
        "coordinates",
        "div",
        "field_of",
        "grad",
        "laplacian",
    ),
    "domain": (
        "Box",
        "Difference",
        "Disk",
        "Interval",
        "Polygon",
        "TimeInterval",
        "Union",
    ),
    "family": (
        "Family",
        "GaussianRandomField",
        "Uniform",
    ),
    "manufactured": ("manufacture",),
    "mesh_domain": ("MeshDomain",),
    "signal": ("SignalProblem",),
    "solid": ("Ball", "PerforatedBox"),
    "tables": ("tabulated",),
}
"""Which module defines which name; loaded when a name is first used."""

__all__ = [name for names in _PLACES.values() for name in names]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: listing problems needs no sympy."""
    for module, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
