"""Levenberg-Marquardt: Gauss-Newton steps, damped as far as needed."""

from __future__ import annotations

import math

import torch

from pinnsuite.errors import OptionError, unknown_name
from pinnsuite.neural.optimisers.gauss_newton import GaussNewton
from pinnsuite.neural.optimisers.objective import Objective
from pinnsuite.neural.optimisers.optimiser import (
    GRADIENT_NOT_FINITE,
    GRADIENT_VANISHES,
    NO_DESCENT,
    NOT_FINITE,
)

DAMPING_RULES = ("nielsen", "marquardt")
MAX_TRIALS = 30
LEAST_DAMPING = 1e-18
"""Below round-off of JᵀJ; keeps the damping from becoming a denormal number."""


class LevenbergMarquardt(GaussNewton):
    """Minimise `r·r` by steps `d` with `(JᵀJ + μ) d = -Jᵀ r`.

    A step that does not lower the objective is tried again with more damping, at the
    price of one factorisation; J and JᵀJ stay. The damping μ is relative to the mean
    of the diagonal of JᵀJ. After success,

        nielsen:    μ ← μ max(1/5, 1 - (2 g - 1)³),   g = actual / predicted decrease
        marquardt:  μ ← μ / 10

    and after failure `μ ← μ ν, ν ← 2 ν` from ν = 2, or `μ ← 10 μ`.

    Source: K. Levenberg, Quarterly of Applied Mathematics 2 (1944) 164-168,
    DOI 10.1090/qam/10666; D. W. Marquardt, Journal of the Society for Industrial and
    Applied Mathematics 11 (1963) 431-441, DOI 10.1137/0111030; H. B. Nielsen, Damping
    parameter in Marquardt's method, IMM-REP-1999-05, Technical University of Denmark
    (there with 1/3).

    Parameters
    ----------
    objective, parameters, linear_solver
        See `GaussNewton`.
    damping
        μ of the first step; 0 for the Gauss-Newton method as long as it descends.
        1e-4 halved the time to 1e-4 on Poisson's equation from that of 1e-2; 1e-6 was
        no faster, and slower on Helmholtz's.
    damping_rule
        `nielsen` or `marquardt`.
    """

    def __init__(
        self,
        objective: Objective,
        parameters: torch.Tensor,
        *,
        linear_solver: str = "auto",
        damping: float = 1e-4,
        damping_rule: str = "nielsen",
    ) -> None:
        if damping_rule not in DAMPING_RULES:
            what = "damping_rule of LevenbergMarquardt"
            raise OptionError(unknown_name(what, damping_rule, DAMPING_RULES))
        super().__init__(objective, parameters, linear_solver)
        self._damping = damping
        self._is_nielsen = damping_rule == "nielsen"

    def step(self) -> str | None:
        """Take one step; return why no further one is possible, or None."""
        if not math.isfinite(self.value):
            return NOT_FINITE
        model = self._model()
        if not math.isfinite(model.size):
            return GRADIENT_NOT_FINITE
        if not model.gradient.any():
            return GRADIENT_VANISHES
        growth = 2.0 if self._is_nielsen else 10.0
        for _ in range(MAX_TRIALS):
            step = model.solve(-model.residuals, self._damping)
            if step is not None:
                moved = self.parameters + step
                value = self._value_at(moved)
                if value < self.value:
                    damping = self._damping * model.size
                    # |r|² - |r + J d|², by the equation that d fulfils.
                    predicted = float(step @ (damping * step - model.gradient))
                    self._relax((self.value - value) / predicted)
                    self._move(moved, value)
                    return None
            self._damping = max(self._damping * growth, LEAST_DAMPING)
            if self._is_nielsen:
                growth *= 2.0
        return NO_DESCENT

    def _relax(self, gain: float) -> None:
        factor = 0.1
        if self._is_nielsen:
            factor = max(0.2, 1.0 - (2.0 * gain - 1.0) ** 3)
        self._damping *= factor
