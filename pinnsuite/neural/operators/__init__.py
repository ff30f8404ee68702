"""Maps between functions, learned from pairs."""

from pinnsuite.neural.operators.deeponet import DeepONet as DeepONet
from pinnsuite.neural.operators.fitted import FittedNetwork as FittedNetwork
from pinnsuite.neural.operators.fno import FNO as FNO
