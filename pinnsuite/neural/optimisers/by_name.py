"""The optimisers by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from pinnsuite.errors import OptionError, unknown_name
from pinnsuite.neural.optimisers.adam import Adam
from pinnsuite.neural.optimisers.broyden_family import BFGS, SSBFGS, SSBroyden
from pinnsuite.neural.optimisers.levenberg_marquardt import LevenbergMarquardt
from pinnsuite.neural.optimisers.limited_memory import LBFGS
from pinnsuite.neural.optimisers.objective import Objective
from pinnsuite.neural.optimisers.optimiser import Optimiser
from pinnsuite.neural.optimisers.soap import SOAP
from pinnsuite.neural.optimisers.spring import SPRING

OPTIMISERS: Mapping[str, type[Optimiser]] = {
    "adam": Adam,
    "soap": SOAP,
    "lbfgs": LBFGS,
    "bfgs": BFGS,
    "ssbfgs": SSBFGS,
    "ssbroyden": SSBroyden,
    "levenberg-marquardt": LevenbergMarquardt,
    "spring": SPRING,
}


def make_optimiser(
    name: str, objective: Objective, parameters: torch.Tensor, **options: Any
) -> Optimiser:
    """Build the optimiser `name` for an objective, from a vector of parameters.

    Raises
    ------
    OptionError
        If the name or an option is unknown, or one that is needed is missing.
    """
    if name not in OPTIMISERS:
        raise OptionError(unknown_name("optimiser", name, OPTIMISERS))
    cls = OPTIMISERS[name]
    known = {
        p.name: p.default is p.empty
        for p in inspect.signature(cls).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    }
    for option in options:
        if option not in known:
            raise OptionError(unknown_name(f"option of {name!r}", option, known))
    for option, is_needed in known.items():
        if is_needed and option not in options:
            raise OptionError(f"Optimiser {name!r} needs the option {option!r}.")
    return cls(objective, parameters, **options)
