"""Identifying linear systems: a subspace method, and least squares of the output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.linalg
from scipy.optimize import least_squares
from scipy.signal import dlsim, lfilter, ss2tf

from pinnsuite.errors import OptionError
from pinnsuite.problem.signal import SignalProblem, other_task
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solution.support import Grid
from pinnsuite.solver import Progress, require_supported, silent


@dataclass(frozen=True, eq=False)
class StateSpace:
    """The discrete system `x⁺ = A x + b u, y = c·x + d u`, at rest before t = 0.

    Attributes
    ----------
    a, b, c, d
        Shapes (n, n), (n,), (n,) and a number.
    singular_values
        Of the projection that it was taken from, the largest first.
    """

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    d: float
    singular_values: np.ndarray

    @property
    def order(self) -> int:
        """The number of states."""
        return len(self.a)

    @property
    def is_stable(self) -> bool:
        """All poles lie inside the unit circle."""
        return bool((np.abs(np.linalg.eigvals(self.a)) < 1).all())

    def simulate(self, u: np.ndarray) -> np.ndarray:
        """Return the output to input `u`, shape (n,), from rest."""
        system = (self.a, self.b[:, None], self.c[None], [[self.d]], 1.0)
        _, y, _ = dlsim(system, u)
        output: np.ndarray = y[:, 0]
        return output


def why_not_identify(problem: SignalProblem) -> str | None:
    """Say why a method for one input and one output cannot take `problem`."""
    reason = other_task(problem, "identify")
    if reason is None and problem.given["input_train"].ndim != 1:
        return "it has several inputs or outputs, and this takes one of each"
    return reason


def subspace_model(
    u: np.ndarray, y: np.ndarray, num_block_rows: int, order: int = 0
) -> StateSpace:
    """Return the system that explains output `y` to input `u`, both of shape (n,).

    The future outputs, projected obliquely on past inputs and outputs along the future
    inputs, are the extended observability matrix times a state sequence. Its column
    space gives (A, c) by shift invariance; (b, d) follow from least squares on the
    whole record, in which they are linear.

    Parameters
    ----------
    num_block_rows
        Past and future samples i in a column of the Hankel matrices; n > i.
    order
        Number of states; 0 takes those singular values that stand above the noise: over
        2.858 times their median, and 1e-9 of the largest. Source: M. Gavish and D. L.
        Donoho, IEEE Trans. Inf. Theory 60 (2014) 5040-5053,
        DOI 10.1109/TIT.2014.2323359.
    """
    i = num_block_rows
    past_u, future_u = np.split(_hankel(u, 2 * i), 2)
    past_y, future_y = np.split(_hankel(y, 2 * i), 2)
    past = np.vstack([past_u, past_y])
    # LQ of all rows: the oblique projection needs the small triangular factor only.
    rows = np.vstack([future_u, past, future_y])
    upper: np.ndarray = np.linalg.qr(rows.T, mode="r")  # type: ignore[assignment]
    triangle = upper.T
    from_past = triangle[3 * i :, i : 3 * i] @ np.linalg.pinv(
        triangle[i : 3 * i, i : 3 * i], rcond=1e-10
    )
    left, values, _ = np.linalg.svd(from_past @ triangle[i : 3 * i, : 3 * i])
    if order == 0:
        floor = max(2.858 * float(np.median(values)), 1e-9 * values[0])
        order = max(1, int((values > floor).sum()))
        order = min(order, i - 1)
    observability = left[:, :order] * np.sqrt(values[:order])
    c = observability[0]
    a = np.linalg.lstsq(observability[:-1], observability[1:], rcond=None)[0]
    b, d = _input_matrices(a, c, u, y)
    return StateSpace(a, b, c, d, values)


def _hankel(signal: np.ndarray, rows: int) -> np.ndarray:
    """Return the matrix with entries `signal[row + column]` over √columns."""
    columns = len(signal) - rows + 1
    hankel: np.ndarray = scipy.linalg.hankel(signal[:rows], signal[rows - 1 :])
    hankel /= np.sqrt(columns)
    return hankel


def _input_matrices(
    a: np.ndarray, c: np.ndarray, u: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return b and d by least squares of the simulated output, linear in them."""
    # The response to b = e_k is the k-th state of the transposed system driven by c.
    states = np.empty((len(u), len(a)))
    state = np.zeros(len(a))
    for k, value in enumerate(u):
        states[k] = state
        state = a.T @ state + c * value
    solution = np.linalg.lstsq(np.column_stack([states, u]), y, rcond=None)[0]
    return solution[:-1], float(solution[-1])


def _simulated(
    problem: SignalProblem, model: StateSpace, clock: Clock, details: dict[str, object]
) -> Solution:
    with clock.phase("infer"):
        output = model.simulate(problem.given["input_test"])
    if not np.isfinite(output).all():
        return failed(
            Status.DIVERGED,
            "The identified system is unstable; lower the order.",
            cost=clock.cost(),
            details=details,
        )
    return Solution(
        Grid(problem.coordinates),
        {"output": output},
        cost=clock.cost(),
        details=details,
    )


@dataclass(frozen=True)
class N4SID:
    """Numerical algorithm for subspace state-space system identification.

    No iteration and no start: projections, a singular value decomposition and least
    squares. Exact for a record without noise.

    Source: P. Van Overschee and B. De Moor, Automatica 30 (1994) 75-93,
    DOI 10.1016/0005-1098(94)90230-5; see `subspace_model`.

    Attributes
    ----------
    order
        Number of states; 0 chooses it from the singular values.
    num_block_rows
        Past and future samples in a column; larger than the order.
    """

    family: ClassVar[str] = "classical"

    order: int = 0
    num_block_rows: int = 20

    def __post_init__(self) -> None:
        _check_sizes(self.order, self.num_block_rows)

    def why_not(self, problem: SignalProblem) -> str | None:
        """Say why `problem` is no identification of one input and one output."""
        return why_not_identify(problem) or _too_short(problem, self.num_block_rows)

    def solve(
        self,
        problem: SignalProblem,
        *,
        progress: Progress = silent,
        budget: float | None = None,  # noqa: ARG002
    ) -> Solution:
        """Return the response of the identified system to the test input."""
        require_supported(self, problem)
        clock = Clock()
        with clock.phase("train"):
            model = subspace_model(
                problem.given["input_train"],
                problem.given["output_train"],
                self.num_block_rows,
                self.order,
            )
        progress(1.0, f"order {model.order}")
        details = {
            "dofs": 2 * model.order + 1,
            "order": model.order,
            "is_stable": model.is_stable,
            "singular_values": model.singular_values.tolist(),
        }
        return _simulated(problem, model, clock, details)


@dataclass(frozen=True)
class OutputError:
    """Least squares of the simulated output over the coefficients of the system.

    Minimised is Σ (y - B(q⁻¹)/A(q⁻¹) u)² by the Levenberg-Marquardt method with exact
    derivatives, from where `N4SID` ends. With white noise on the output it is maximum
    likelihood, with the smallest variance that an unbiased method can have.

    Source: L. Ljung, System Identification, 2nd ed. (1999), sections 4.2, 10.2, 16.4.

    Attributes
    ----------
    order
        Degree of A and B; 0 takes N4SID's choice and raises it while Schwarz's
        criterion falls.
    num_block_rows
        Of the start.
    """

    family: ClassVar[str] = "classical"

    order: int = 0
    num_block_rows: int = 20

    def __post_init__(self) -> None:
        _check_sizes(self.order, self.num_block_rows)

    def why_not(self, problem: SignalProblem) -> str | None:
        """Say why `problem` is no identification of one input and one output."""
        return why_not_identify(problem) or _too_short(problem, self.num_block_rows)

    def solve(
        self,
        problem: SignalProblem,
        *,
        progress: Progress = silent,
        budget: float | None = None,  # noqa: ARG002
    ) -> Solution:
        """Return the response of the identified system to the test input."""
        require_supported(self, problem)
        clock = Clock()
        u, y = problem.given["input_train"], problem.given["output_train"]
        with clock.phase("train"):
            model = subspace_model(u, y, self.num_block_rows, self.order)
            fit = _fit(model, u, y)
            while self.order == 0 and model.order < self.num_block_rows - 1:
                larger = subspace_model(u, y, self.num_block_rows, model.order + 1)
                trial = _fit(larger, u, y)
                if _criterion(trial, y) >= _criterion(fit, y):
                    break
                model, fit = larger, trial
        n = model.order
        with clock.phase("infer"):
            output = _output(fit.x, n, problem.given["input_test"])
        progress(1.0, f"cost {fit.cost:.3g} after {fit.nfev} evaluations")
        return Solution(
            Grid(problem.coordinates),
            {"output": output},
            Status.OK if fit.success else Status.NOT_REACHED,
            cost=clock.cost(),
            details={
                "dofs": 2 * n + 1,
                "order": n,
                "is_stable": bool((np.abs(np.roots([1.0, *fit.x[:n]])) < 1).all()),
                "steps": int(fit.nfev),
                "stop_reason": str(fit.message),
            },
        )


def _fit(start: StateSpace, u: np.ndarray, y: np.ndarray) -> Any:
    """Return scipy's result of the least-squares fit from `start`."""
    numerator, denominator = ss2tf(
        start.a, start.b[:, None], start.c[None], [[start.d]]
    )
    return least_squares(
        lambda p: _output(p, start.order, u) - y,
        np.concatenate([denominator[1:], numerator[0]]),
        jac=lambda p: _sensitivity(p, start.order, u),
        method="lm",
    )


def _criterion(fit: Any, y: np.ndarray) -> float:
    """Return Schwarz's criterion, n log(Σ r²) + (number of parameters) log n.

    Residuals below 1e-10 of the output are rounding, not a reason for a higher order.
    """
    squares = 2 * fit.cost + 1e-20 * y @ y
    return float(len(y) * np.log(squares) + len(fit.x) * np.log(len(y)))


HUGE = 1e6
"""Outputs are cut here: an unstable trial step must cost much, not overflow."""


def _output(parameters: np.ndarray, n: int, u: np.ndarray) -> np.ndarray:
    """Return B/A u for parameters (a₁ … a_n, b₀ … b_n)."""
    with np.errstate(over="ignore", invalid="ignore"):
        y = lfilter(parameters[n:], [1.0, *parameters[:n]], u)
    return _bounded(y)


def _bounded(signal: np.ndarray) -> np.ndarray:
    bounded: np.ndarray = np.nan_to_num(signal, nan=HUGE).clip(-HUGE, HUGE)
    return bounded


def _sensitivity(parameters: np.ndarray, n: int, u: np.ndarray) -> np.ndarray:
    """Return the derivatives -q⁻ᵏ y / A and q⁻ᵏ u / A of the output."""
    one = np.array([1.0])
    denominator = np.concatenate([one, parameters[:n]])
    y = _output(parameters, n, u)

    def delayed(signal: np.ndarray, k: int) -> np.ndarray:
        shifted = np.concatenate([np.zeros(k), signal[: len(signal) - k]])
        with np.errstate(over="ignore", invalid="ignore"):
            filtered = lfilter(one, denominator, shifted)
        return _bounded(filtered)

    columns = [-delayed(y, k) for k in range(1, n + 1)]
    columns += [delayed(u, k) for k in range(n + 1)]
    return np.column_stack(columns)


def _check_sizes(order: int, num_block_rows: int) -> None:
    if order < 0:
        raise OptionError(f"order is {order}; needed is at least 1, or 0 to choose it.")
    if num_block_rows <= max(order, 1):
        raise OptionError(
            f"num_block_rows is {num_block_rows}; needed is more than the order and "
            f"than 1; order is {order}."
        )


def _too_short(problem: SignalProblem, num_block_rows: int) -> str | None:
    length, needed = len(problem.given["input_train"]), 8 * num_block_rows
    if length < needed:
        return (
            f"it has {length} training samples and {num_block_rows} block rows need "
            f"{needed}; lower num_block_rows"
        )
    return None
