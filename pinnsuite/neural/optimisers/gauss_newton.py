"""What the methods for sums of squares share: residuals, linearised where needed."""

from __future__ import annotations

import torch

from pinnsuite.errors import OptionError, unknown_name
from pinnsuite.neural.optimisers.damped_least_squares import (
    LINEAR_SOLVERS,
    DampedLeastSquares,
)
from pinnsuite.neural.optimisers.objective import LeastSquares, Objective
from pinnsuite.neural.optimisers.optimiser import Optimiser


class Linearised:
    """The linear model `r + J d` of the residuals at one point.

    Attributes
    ----------
    residuals, jacobian
        r (m,) and J (m, n).
    gradient
        `Jᵀ r`, half of that of `r·r`.
    size
        The mean of the diagonal of JᵀJ, which dampings are relative to.
    """

    def __init__(
        self, residuals: torch.Tensor, jacobian: torch.Tensor, linear_solver: str
    ) -> None:
        self.residuals = residuals
        self.jacobian = jacobian
        self.gradient = jacobian.T @ residuals
        self.size = float(jacobian.square().sum()) / jacobian.shape[1]
        self._linear_solver = linear_solver
        self._damped: DampedLeastSquares | None = None

    def solve(self, right: torch.Tensor, damping: float) -> torch.Tensor | None:
        """Minimise `|J x - b|² + damping size |x|²`; None if it is singular."""
        if self._damped is None:
            name = self._linear_solver
            if name == "auto":
                m, n = self.jacobian.shape
                name = "woodbury" if n > m else "cholesky"
            self._damped = LINEAR_SOLVERS[name](self.jacobian)
        return self._damped.solve(right, damping * self.size)


class GaussNewton(Optimiser):
    """Minimise a sum of squares by its linearised residuals.

    Parameters
    ----------
    objective
        A sum of squares: `LeastSquares`.
    parameters
        See `Optimiser`.
    linear_solver
        `cholesky` (fastest), `qr` (most accurate), `woodbury` (fewer residuals than
        parameters), or `auto` for the cheaper of the first and the last.

    Raises
    ------
    OptionError
        If the objective has no residuals, or the linear solver is unknown.
    """

    objective: LeastSquares

    def __init__(
        self, objective: Objective, parameters: torch.Tensor, linear_solver: str
    ) -> None:
        name = type(self).__name__
        if not isinstance(objective, LeastSquares):
            raise OptionError(
                f"{name} needs an objective with `residuals` and `jacobian`, a sum of "
                f"squares; {type(objective).__name__} has none. Take `ssbroyden`."
            )
        if linear_solver not in ("auto", *LINEAR_SOLVERS):
            what = f"linear_solver of {name}"
            raise OptionError(
                unknown_name(what, linear_solver, ("auto", *LINEAR_SOLVERS))
            )
        super().__init__(objective, parameters)
        self._linear_solver = linear_solver
        self.evaluate()

    @property
    def value(self) -> float:
        """The objective at `parameters`."""
        return self._value

    def evaluate(self) -> None:
        """Take residuals and Jacobian anew, after the objective has changed."""
        self._linearised: Linearised | None = None
        self._value = self._model().residuals.square().sum().item()

    def _model(self) -> Linearised:
        """Return the linear model at `parameters`."""
        if self._linearised is None:
            self._linearised = Linearised(
                *self.objective.jacobian(self.parameters), self._linear_solver
            )
        return self._linearised

    def _move(self, parameters: torch.Tensor, value: float) -> None:
        # The Jacobian waits for the next step: the objective may change before.
        self.parameters, self._value = parameters, value
        self._linearised = None

    def _value_at(self, parameters: torch.Tensor) -> float:
        return self.objective.residuals(parameters).square().sum().item()
