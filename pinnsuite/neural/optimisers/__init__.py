"""Minimisers of a smooth function of one flat vector of parameters."""

from pinnsuite.neural.optimisers.by_name import OPTIMISERS as OPTIMISERS
from pinnsuite.neural.optimisers.by_name import make_optimiser as make_optimiser
from pinnsuite.neural.optimisers.objective import LeastSquares as LeastSquares
from pinnsuite.neural.optimisers.objective import Objective as Objective
from pinnsuite.neural.optimisers.optimiser import Optimiser as Optimiser
from pinnsuite.neural.optimisers.torch_optimiser import TorchOptimiser as TorchOptimiser
