"""One polynomial for the whole domain, fitted to equations and conditions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import scipy.linalg
import sympy as sp

from pinnsuite.errors import DefinitionError, OptionError, UnsupportedProblemError
from pinnsuite.problem.conditions import (
    Boundary,
    Initial,
    Observed,
    Periodic,
    normal,
)
from pinnsuite.problem.definition import Problem, derivative_orders
from pinnsuite.problem.domain import Box
from pinnsuite.problem.form import lost_jumps, require_equations
from pinnsuite.problem.jets import (
    Jet,
    Lowered,
    is_linear,
    jacobian,
    lower,
    numpy_function,
)
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solution.support import common_support
from pinnsuite.solver import Progress, require_supported, silent

DEGREES = {1: 24, 2: 16, 3: 10, 4: 8, 5: 7, 6: 6}
"""Total degree by default, by the number of coordinates."""

LOW_DEGREE = 4
"""The same for more coordinates than `DEGREES` names."""

MAX_UNKNOWNS = 5000
"""Coefficients at most: their matrix is full."""

RANK = 1e-13
"""Share of the largest pivot below which directions are left out."""

RESIDUAL = 1e-2
"""Residual, as a share of the data, above which a fit is not called a solution."""

_CHUNK = 1 << 22
"""Numbers that an evaluation forms at a time."""


@dataclass(frozen=True)
class Collocation:
    """Polynomials of one total degree in all coordinates, time among them.

    The basis are products of Chebyshev polynomials on the box around the domain; the
    coefficients are the least-squares solution of all equations and conditions at
    scattered points, by a pivoted orthogonal factorisation (Gauss-Newton steps where
    they are not linear). No mesh is needed, so that any domain of any dimension is
    taken, and the degrees of freedom grow with the dimension d as `pᵈ/d!` only. The
    error falls exponentially with the degree where the solution is analytic on the box,
    and slowly where it is not: corners, layers and jumps belong to other methods.
    Sources: J. P. Boyd, Chebyshev and Fourier Spectral Methods, 2001, ch. 3; B. Adcock
    & D. Huybrechs, Frames and numerical approximation, SIAM Rev. 61 (2019) 443, DOI
    10.1137/17M1114697 (least squares on a box around the domain); G. Migliorati et al.,
    DOI 10.1007/s10208-013-9186-4 (how many points).

    Attributes
    ----------
    degree
        Total degree; None chooses by the number of coordinates.
    refinements
        How often a quarter of the degree is added to it.
    oversampling
        Points inside for each coefficient, and half as many on each boundary for each
        coefficient of a polynomial there.
    newton_tolerance
        Gauss-Newton ends when its step is below this share of the solution.
    max_newton
        Its iterations at most.
    """

    family: ClassVar[str] = "classical"

    degree: int | None = None
    refinements: int = 0
    oversampling: float = 2.0
    newton_tolerance: float = 1e-10
    max_newton: int = 25

    def __post_init__(self) -> None:
        if self.degree is not None and self.degree < 2:
            raise OptionError(
                f"collocation: degree is {self.degree}; at least 2 is needed, or None "
                "to choose by the dimension."
            )
        for name, least in (("refinements", 0), ("max_newton", 1), ("oversampling", 1)):
            if getattr(self, name) < least:
                raise OptionError(
                    f"collocation: {name} is {getattr(self, name)}; at least {least} "
                    "is needed."
                )
        if not 0 < self.newton_tolerance < 1:
            raise OptionError(
                f"collocation: newton_tolerance is {self.newton_tolerance}; a number "
                "between 0 and 1 is needed."
            )

    def why_not(self, problem: Problem) -> str | None:
        """Say which part of `problem` is out of reach, or None."""
        if problem.domain is None:
            return "it has no space coordinates; use 'ode'"
        if problem.unknowns or problem.conditions_of(Observed):
            return "it has unknown coefficients or measurements; use 'least-squares'"
        try:
            require_equations(problem)
        except UnsupportedProblemError as error:
            return str(error)
        if problem.norm == "L1":
            return "its solution jumps, and a polynomial does not; use 'finite-volume'"
        for derivative in lost_jumps(problem):
            return (
                f"{derivative} differentiates a coefficient that jumps, and a "
                "polynomial has no kinks; use 'cell-centred' or 'finite-element'"
            )
        count = len(problem.fields) * self._basis(problem).size
        if count > MAX_UNKNOWNS:
            return (
                f"{len(problem.fields)} polynomials of degree {self._degree(problem)} "
                f"in {len(problem.coordinates)} coordinates have {count} coefficients, "
                f"and {MAX_UNKNOWNS} are the most; lower degree"
            )
        try:
            lower(problem.equations, problem.fields, problem.coordinates)
        except DefinitionError as error:
            return f"its equations cannot be expanded: {str(error).rstrip('.')}"
        return None

    def refined(self) -> Collocation:
        """Return the solver with a higher degree."""
        return replace(self, refinements=self.refinements + 1)

    def expected_order(self, problem: Problem) -> None:  # noqa: ARG002
        """Return None: the error falls exponentially, or as the solution is rough."""
        return

    def solve(
        self,
        problem: Problem,
        *,
        progress: Progress = silent,
        budget: float | None = None,  # noqa: ARG002
    ) -> Solution:
        """Solve `problem`; it runs to its end whatever the budget."""
        require_supported(self, problem)
        clock = Clock()
        with clock.phase("symbolic"):
            blocks = list(_blocks(problem, self._count))
        basis = self._basis(problem)
        names = problem.field_names
        with clock.phase("solve"), np.errstate(all="ignore"):
            values, details, message = self._fitted(blocks, basis, len(names), progress)
        if not np.isfinite(values).all():
            return failed(
                Status.NAN,
                "The residuals became infinite or NaN: a coefficient has no value at a "
                "point or state that was met (a division by 0?).",
                cost=clock.cost(),
            )

        def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
            return dict(zip(names, basis.values(values, points), strict=True))

        with clock.phase("evaluate"):
            support = common_support(problem)
            fields = evaluate(support.points)
        return Solution(
            support,
            {n: v.reshape(support.shape) for n, v in fields.items()},
            Status.NOT_REACHED if message else Status.OK,
            message,
            evaluator=evaluate,
            cost=clock.cost(),
            details={"dofs": values.size, "degree": basis.degree, **details},
        )

    def _degree(self, problem: Problem) -> int:
        start = self.degree or DEGREES.get(len(problem.coordinates), LOW_DEGREE)
        return start + self.refinements * max(1, start // 4)

    def _basis(self, problem: Problem) -> _Basis:
        assert problem.domain is not None
        bounds = problem.domain.bounds
        if problem.time is not None:
            ends = [[problem.time.start, problem.time.end]]
            bounds = np.concatenate([ends, bounds])
        return _Basis(bounds, self._degree(problem))

    def _count(self, problem: Problem, is_inside: bool) -> int:
        """Return how many points to take inside, or on one boundary."""
        degree, d = self._degree(problem), len(problem.coordinates)
        if is_inside:
            return math.ceil(self.oversampling * math.comb(d + degree, d))
        return math.ceil(self.oversampling / 2 * math.comb(d - 1 + degree, d - 1) + 4)

    def _fitted(
        self, blocks: list[_Block], basis: _Basis, fields: int, progress: Progress
    ) -> tuple[np.ndarray, dict[str, Any], str]:
        """Return the coefficients (fields, size), details, and what went wrong."""
        linear = all(is_linear(b.lowered) for b in blocks)
        values = np.zeros((fields, basis.size))
        tables = [b.tables(basis) for b in blocks] if not linear else None
        last, size_of_data = math.inf, 0.0
        for iteration in range(1, self.max_newton + 1):
            rows, right = [], []
            for k, block in enumerate(blocks):
                table = block.tables(basis) if tables is None else tables[k]
                matrix, residual = block.linearised(table, values)
                # Rows of one size: second derivatives would drown the conditions.
                scale = math.sqrt(np.mean(matrix**2) * len(residual)) or 1.0
                rows.append(matrix / scale)
                right.append(-residual / scale)
            matrix, target = np.concatenate(rows), np.concatenate(right)
            if not (np.isfinite(matrix).all() and np.isfinite(target).all()):
                return np.full_like(values, np.nan), {}, ""
            step, rank = _least_squares(matrix, target)
            left = float(np.linalg.norm(matrix @ step - target))
            size_of_data = size_of_data or float(np.linalg.norm(target)) or 1.0
            values = values + step.reshape(values.shape)
            size = float(np.linalg.norm(step) / (np.linalg.norm(values) or 1.0))
            progress(min(1.0, iteration / 8), f"Gauss-Newton step of {size:.1e}")
            details = {
                "points": len(target),
                "rank": rank,
                "newton_iterations": iteration,
                "relative_residual": left / size_of_data,
                "stop_reason": "direct" if linear else "newton converged",
            }
            if linear or size <= self.newton_tolerance:
                return values, details, _complaint(details["relative_residual"])
            if iteration > 5 and size > last and size < 1e-6:
                # The step is at the level of the residual that no polynomial removes.
                details["stop_reason"] = "residual at its least"
                return values, details, _complaint(details["relative_residual"])
            last = size
        message = (
            f"Gauss-Newton has not converged in {self.max_newton} iterations (last "
            f"step {size:.1e} of the solution); raise max_newton, or degree."
        )
        return values, details | {"stop_reason": "max_newton"}, message


def _complaint(residual: Any) -> str:
    """Return what to say of a residual that is left; empty where it is small."""
    if residual <= RESIDUAL:
        return ""
    return (
        f"The polynomials leave {residual:.1g} of the data as residual ({RESIDUAL:g} "
        "is allowed): the solution is not smooth at this degree. Raise degree, or use "
        "another method."
    )


def _least_squares(matrix: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the solution of smallest norm and the rank.

    A triangular factor first, without pivoting: the pivoted factorisation, which is
    slower by far, then has a square matrix to work on.
    """
    rows, columns = matrix.shape
    if rows > columns:
        both = np.concatenate([matrix, right[:, None]], axis=1)
        (factor,) = scipy.linalg.qr(
            both, mode="r", overwrite_a=True, check_finite=False
        )
        matrix, right = factor[:columns, :columns], factor[:columns, columns]
    solution, _, rank, _ = scipy.linalg.lstsq(
        matrix, right, cond=RANK, lapack_driver="gelsy", check_finite=False
    )
    return solution, int(rank)


class _Basis:
    """Products of Chebyshev polynomials of a total degree on a box."""

    def __init__(self, bounds: np.ndarray, degree: int) -> None:
        self.bounds, self.degree = bounds, degree
        # By coordinate: which product of the coordinates before, and which factor.
        self._parents: list[np.ndarray] = []
        self._factors: list[np.ndarray] = []
        left = np.array([degree])
        for _ in bounds:
            self._parents.append(np.repeat(np.arange(len(left)), left + 1))
            starts = np.cumsum(left + 1) - (left + 1)
            self._factors.append(
                np.arange((left + 1).sum()) - np.repeat(starts, left + 1)
            )
            left = left[self._parents[-1]] - self._factors[-1]
        self.size = len(left)

    def _factor(self, k: int, points: np.ndarray, order: int) -> np.ndarray:
        """Return `dᵒ/dx_kᵒ` of the polynomials of one coordinate: (n, degree + 1)."""
        low, high = self.bounds[k]
        unit = (2 * points[:, k] - low - high) / (high - low)
        table = np.polynomial.chebyshev.chebvander(unit, self.degree)
        if order:
            slopes = np.zeros((self.degree + 1, self.degree + 1))
            lowered = np.polynomial.chebyshev.chebder(np.eye(self.degree + 1), order)
            slopes[: len(lowered)] = lowered * (2 / (high - low)) ** order
            table = table @ slopes
        return table

    def table(self, points: np.ndarray, orders: Sequence[int]) -> np.ndarray:
        """Return a derivative of all products at points: (n, size)."""
        table = np.ones((len(points), 1))
        for k, order in enumerate(orders):
            factor = self._factor(k, points, order)
            table = table[:, self._parents[k]] * factor[:, self._factors[k]]
        return table

    def values(self, coefficients: np.ndarray, points: np.ndarray) -> list[np.ndarray]:
        """Return each polynomial of `coefficients` (m, size) at points (n, d)."""
        parts = [np.empty((len(coefficients), 0))]
        step = max(1, _CHUNK // self.size)
        for start in range(0, len(points), step):
            part = points[start : start + step]
            factors = [self._factor(k, part, 0) for k in range(part.shape[1])]
            found = []
            for row in coefficients:
                table = row[None]
                # The last coordinate is summed first, which leaves fewer each time.
                for k in range(part.shape[1] - 1, -1, -1):
                    table = table * factors[k][:, self._factors[k]]
                    first = np.flatnonzero(self._factors[k] == 0)
                    table = np.add.reduceat(table, first, axis=1)
                found.append(table[:, 0])
            parts.append(np.stack(found))
        return list(np.concatenate(parts, axis=1))


@dataclass(frozen=True, eq=False)
class _Block:
    """Expressions that should vanish at points.

    Attributes
    ----------
    lowered
        The expressions, and their jets over all coordinates.
    points
        Shape (n, coordinates).
    shifted
        None, or points whose jets are taken off those at `points` (periodic sides).
    normals
        Symbols of the normal and their values.
    """

    lowered: Lowered
    points: np.ndarray
    shifted: np.ndarray | None
    normals: dict[sp.Symbol, np.ndarray]
    residuals: Callable[..., list[Any]]
    slopes: Callable[..., list[Any]]

    @classmethod
    def of(
        cls,
        problem: Problem,
        expressions: Sequence[sp.Expr],
        points: np.ndarray,
        shifted: np.ndarray | None = None,
        normals: dict[sp.Symbol, np.ndarray] | None = None,
    ) -> _Block:
        """Lower and compile the expressions."""
        lowered = lower(expressions, problem.fields, problem.coordinates)
        normals = normals or {}
        arguments = [*problem.coordinates, *normals, *lowered.symbols]
        return cls(
            lowered,
            points,
            shifted,
            normals,
            numpy_function(arguments, lowered.algebra),
            numpy_function(arguments, [e for row in jacobian(lowered) for e in row]),
        )

    def tables(self, basis: _Basis) -> list[np.ndarray]:
        """Return the jets of all products at the points, one table (n, size) a jet."""
        jets: list[Jet] = list(self.lowered.jets.values())
        found = [basis.table(self.points, jet.orders) for jet in jets]
        if self.shifted is not None:
            found = [
                t - basis.table(self.shifted, jet.orders)
                for t, jet in zip(found, jets, strict=True)
            ]
        return found

    def linearised(
        self, tables: list[np.ndarray], values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the residuals' slopes (rows, fields * size), and the residuals."""
        jets = list(self.lowered.jets.values())
        state = [t @ values[j.field] for t, j in zip(tables, jets, strict=True)]
        arguments = [*self.points.T, *self.normals.values(), *state]
        slopes = iter(self.slopes(*arguments))
        fields, size = values.shape
        rows, residuals = [], []
        for residual in self.residuals(*arguments):
            matrix = np.zeros((len(self.points), fields, size))
            for table, jet in zip(tables, jets, strict=True):
                slope = next(slopes)
                if np.any(slope):
                    matrix[:, jet.field] += np.reshape(slope, (-1, 1)) * table
            rows.append(matrix.reshape(len(matrix), -1))
            residuals.append(np.broadcast_to(residual, len(matrix)))
        return np.concatenate(rows), np.concatenate(residuals).astype(float)


def _blocks(
    problem: Problem, count: Callable[[Problem, bool], int]
) -> Iterator[_Block]:
    """Yield the equations and conditions, each with its points."""
    domain, time = problem.domain, problem.time
    assert domain is not None
    inside = count(problem, True)
    points = _clustered(problem, domain.sample_interior(inside, seed=0))
    yield _Block.of(problem, problem.equations, _in_time(problem, points))
    many = count(problem, False)
    for c in problem.conditions:
        if isinstance(c, Initial):
            assert time is not None
            points = _clustered(problem, domain.sample_interior(many, seed=1))
            at_start = np.insert(points, 0, time.start, axis=1)
            left = sp.Derivative(c.field, (time.coordinate, c.order))
            residual = (left if c.order else c.field) - c.value
            yield _Block.of(problem, [residual], at_start)
        elif isinstance(c, Boundary):
            for name in problem.boundaries_of(c):
                points, normals = domain.sample_boundary(name, many, seed=2)
                points = _in_time(problem, _clustered(problem, points))
                vector = {normal(x): normals[:, k] for k, x in enumerate(problem.space)}
                residual = c.operator(problem.space) - c.value
                yield _Block.of(problem, [residual], points, normals=vector)
        elif isinstance(c, Periodic):
            assert isinstance(domain, Box)
            points, _ = domain.sample_boundary(domain.sides(c.along)[0], many, seed=2)
            points = _in_time(problem, _clustered(problem, points))
            column = problem.coordinates.index(c.along)
            shifted = points.copy()
            shifted[:, column] = domain.bounds[problem.space.index(c.along), 1]
            orders = derivative_orders(problem.equations, problem.fields, c.along)
            jets = [
                sp.Derivative(f, (c.along, k)) if k else f
                for f, order in zip(problem.fields, orders, strict=True)
                for k in range(max(order, 1))
            ]
            yield _Block.of(problem, jets, points, shifted)


def _clustered(problem: Problem, points: np.ndarray) -> np.ndarray:
    """Move points of a box towards its sides, as Chebyshev points are.

    High degrees then need few points for each coefficient.
    """
    assert problem.domain is not None
    if not problem.domain.is_box:
        return points
    low, high = problem.domain.bounds.T
    unit = (1 - np.cos(np.pi * (points - low) / (high - low))) / 2
    clustered: np.ndarray = low + (high - low) * unit
    return clustered


def _in_time(problem: Problem, points: np.ndarray) -> np.ndarray:
    """Put times before points in space, towards both ends more often."""
    if problem.time is None:
        return points
    start, end = problem.time.start, problem.time.end
    strata = (np.random.default_rng(0).permutation(len(points)) + 0.5) / len(points)
    times = start + (end - start) * (1 - np.cos(np.pi * strata)) / 2
    return np.insert(points, 0, times, axis=1)
