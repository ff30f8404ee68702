"""Minimisers of a smooth function of one flat vector of parameters."""

from pinnsuite.neural.optimisers.limited_memory import LimitedMemory as LimitedMemory
from pinnsuite.neural.optimisers.quasi_newton import QuasiNewton as QuasiNewton
from pinnsuite.neural.optimisers.self_scaled_broyden import (
    SelfScaledBroyden as SelfScaledBroyden,
)
