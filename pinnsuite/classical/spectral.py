"""Fourier in space, exponential time differencing: periodic problems on boxes."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import scipy.fft
import sympy as sp

from pinnsuite.classical.ode import system_fields
from pinnsuite.classical.stencils import Axis, FourierAxis, LocalAxis, interpolant
from pinnsuite.errors import OptionError, UnsupportedProblemError, unknown_name
from pinnsuite.problem.conditions import Periodic
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.form import Evolution, evolution
from pinnsuite.problem.jets import Jet, numpy_function
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solution.support import Grid
from pinnsuite.solver import Progress, require_supported, silent

_FINE = {1: 1 << 16, 2: 1 << 10, 3: 1 << 7}
"""Points along each axis on which an initial state is sampled to be projected."""

_CONTOUR = 32
"""Points on the contour of the coefficients."""


@dataclass(frozen=True)
class FourierETDRK4:
    """Fourier series in space and ETDRK4 in time, for periodic intervals and boxes.

    `u_t = L u + N(t, x, u, u_x, …)`: the part L that is linear in the same field with
    constant coefficients is found symbolically and integrated exactly, the rest by the
    fourth-order Runge-Kutta formula of Cox and Matthews. The initial state is projected
    on the series, not sampled, so that kinks do not alias. For smooth solutions the
    error in space falls faster than any power of `points`, that in time as steps⁻⁴;
    `refined` changes both, and the order 4 shows while time dominates.
    Source: A.-K. Kassam & L. N. Trefethen, Fourth-order time stepping for stiff PDEs,
    SIAM J. Sci. Comput. 26 (2005) 1214, DOI 10.1137/S1064827502410633.

    Attributes
    ----------
    points
        Nodes along each axis, without the right end.
    steps
        Time steps over the whole interval, at least: every interval between two output
        times is split into 1, 2, 4, … equal ones, so that doubling halves the step.
    dealias
        "2/3" removes the upper third of the modes from N, "none" keeps it.
    """

    family: ClassVar[str] = "classical"

    points: int = 128
    steps: int = 200
    dealias: str = "2/3"

    def __post_init__(self) -> None:
        if self.points < 4:
            raise OptionError(f"fourier: points is {self.points}; at least 4 needed.")
        if self.steps < 1:
            raise OptionError(f"fourier: steps is {self.steps}; at least 1 needed.")
        known = ("2/3", "none")
        if self.dealias not in known:
            raise OptionError(
                unknown_name("fourier option dealias", self.dealias, known)
            )

    def why_not(self, problem: Problem) -> str | None:
        """Say which part of `problem` is out of reach, or None."""
        try:
            _split(problem)
        except UnsupportedProblemError as error:
            return str(error)
        return None

    def refined(self) -> FourierETDRK4:
        """Return the solver with half the step and half as many points again."""
        return replace(self, points=self.points * 3 // 2, steps=self.steps * 2)

    def expected_order(self, problem: Problem) -> float | None:  # noqa: ARG002
        """Return 4, the order in time."""
        return 4.0

    def solve(
        self,
        problem: Problem,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> Solution:
        """Solve `problem` from its first to its last time."""
        require_supported(self, problem)
        assert problem.time is not None
        assert problem.domain is not None
        clock = Clock()
        with clock.phase("symbolic"):
            form = _split(problem)
            remainder = _Remainder.of(problem, form)
            initial = numpy_function(problem.space, form.system.initial)
        outputs = problem.time.outputs
        num_steps, h = self._steps(outputs)
        with clock.phase("setup"):
            scheme = _Scheme(self, problem, form, remainder, h)
            coefficients = scheme.project(initial, problem.domain.bounds)
        history = [scheme.to_values(coefficients)]
        deadline = None if budget is None else time.process_time() + budget
        with clock.phase("solve"), np.errstate(all="ignore"):
            for k in range(1, len(outputs)):
                for s in range(num_steps):
                    t = outputs[k - 1] + s * h
                    coefficients = scheme.step(t, coefficients)
                    if deadline is not None and time.process_time() > deadline:
                        message = (
                            f"The budget of {budget:g} CPU s ended at t = {t:g} of "
                            f"{outputs[-1]:g}; raise it, or take fewer steps."
                        )
                        return failed(Status.NOT_REACHED, message, cost=clock.cost())
                history.append(scheme.to_values(coefficients))
                if not np.isfinite(history[-1]).all():
                    message = (
                        f"Values became NaN or infinite before t = {outputs[k]:g}; "
                        "take more steps or more points."
                    )
                    return failed(Status.NAN, message, cost=clock.cost())
                progress(k / (len(outputs) - 1), f"t = {outputs[k]:g}")
        primaries = list(system_fields(problem, form.system).values())
        values = np.moveaxis(np.array(history)[:, primaries], 1, -1)
        return self._solution(problem, values, clock, num_steps * (len(outputs) - 1))

    def _solution(
        self, problem: Problem, values: np.ndarray, clock: Clock, steps: int
    ) -> Solution:
        """Return the solution with `values` of shape (times, *grid, fields)."""
        assert problem.time is not None
        assert problem.domain is not None
        names = problem.field_names
        axes: list[Axis] = [LocalAxis(problem.time.outputs, 2)]
        grid = {problem.time.coordinate.name: problem.time.outputs}
        table = values
        for k, (x, (low, high)) in enumerate(
            zip(problem.space, problem.domain.bounds, strict=True), 1
        ):
            axes.append(FourierAxis(float(low), float(high), self.points))
            grid[x.name] = np.append(axes[-1].nodes, high)
            table = np.concatenate([table, np.take(table, [0], axis=k)], axis=k)
        rebuild = interpolant(axes, values)

        def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
            return dict(zip(names, rebuild(points).T, strict=True))

        return Solution(
            Grid(grid),
            {n: table[..., i] for i, n in enumerate(names)},
            evaluator=evaluate,
            cost=clock.cost(),
            details={
                "dofs": values[0].size,
                "steps": steps,
                "stop_reason": "the last time was reached",
            },
        )

    def solve_batch(self, problem: Problem, initial: np.ndarray) -> np.ndarray:
        """Return the field at the last time for each initial state.

        Parameters
        ----------
        problem
            One field of one space coordinate; its own initial state is not used.
        initial
            Shape (members, n): values at n uniform nodes, without the right end. They
            are resampled by Fourier series to and from `points` nodes.

        Raises
        ------
        UnsupportedProblemError
            If `why_not` speaks, or there are several fields or space coordinates.
        """
        form, remainder = _batch_form(problem)
        assert problem.time is not None
        start, end = problem.time.start, problem.time.end
        h = (end - start) / self.steps
        scheme = _Scheme(self, problem, form, remainder, h)
        given = initial.shape[-1:]
        coefficients = scipy.fft.rfft(initial)[:, None]
        coefficients = _resized(coefficients, given, scheme.shape)
        with np.errstate(all="ignore"):
            for s in range(self.steps):
                coefficients = scheme.step(start + s * h, coefficients)
        final = _resized(coefficients, scheme.shape, given)[:, 0]
        result: np.ndarray = scipy.fft.irfft(final, n=given[0])
        return result

    def _steps(self, outputs: np.ndarray) -> tuple[int, float]:
        """Return the steps between two output times, and their length."""
        intervals = len(outputs) - 1
        doublings = max(0, math.ceil(math.log2(self.steps / intervals)))
        length = float(outputs[-1] - outputs[0]) / intervals
        return 2**doublings, length / 2**doublings


@dataclass(frozen=True, eq=False)
class _Split:
    """An evolution as `s_t = L s + N`.

    Attributes
    ----------
    linear
        For each state, the constant coefficients of its own derivatives in L.
    remainder
        For each state, the expression N.
    """

    system: Evolution
    linear: tuple[dict[Jet, float], ...]
    remainder: tuple[sp.Expr, ...]


def _split(problem: Problem) -> _Split:
    """Return the two parts; an UnsupportedProblemError says why there are none."""
    if problem.domain is None:
        raise UnsupportedProblemError("it has no space coordinates; use 'ode'")
    if not problem.domain.is_box or problem.dimension > max(_FINE):
        raise UnsupportedProblemError(
            f"its domain, {problem.domain.describe()}, is no box of at most "
            f"{max(_FINE)} dimensions; use 'finite-element'"
        )
    periodic = {c.along for c in problem.conditions_of(Periodic)}
    open_ended = [str(x) for x in problem.space if x not in periodic]
    if open_ended:
        raise UnsupportedProblemError(
            f"it is not periodic in {', '.join(open_ended)}; add Periodic, or use "
            "'lines'"
        )
    if problem.unknowns:
        names = ", ".join(str(u.symbol) for u in problem.unknowns)
        raise UnsupportedProblemError(f"its coefficients {names} are unknown; fix them")
    system = evolution(problem)
    second = [problem.field_names[s.field] for s in system.states if s.order]
    if second:
        raise UnsupportedProblemError(
            f"its field {second[0]!r} is of second order in time, where this splitting "
            "is not exact; use 'lines'"
        )
    linear, remainder = [], []
    jets = system.rates.jets
    for state, rate in enumerate(system.rates.algebra):
        expanded = sp.expand(rate)
        mine: dict[Jet, float] = {}
        for symbol, jet in jets.items():
            factor = expanded.coeff(symbol, 1)
            constant = sp.Add(
                *(a for a in sp.Add.make_args(factor) if not a.free_symbols)
            )
            if jet.field == state and constant != 0:
                mine[jet] = float(constant)
                expanded -= constant * symbol
        linear.append(mine)
        remainder.append(sp.expand(expanded))
    return _Split(system, tuple(linear), tuple(remainder))


@dataclass(frozen=True, eq=False)
class _Remainder:
    """The compiled N of those states that have one, and the jets that it needs."""

    states: tuple[int, ...]
    jets: tuple[Jet, ...]
    function: Callable[..., list[Any]]

    @classmethod
    def of(cls, problem: Problem, form: _Split) -> _Remainder:
        assert problem.time is not None
        states = tuple(i for i, e in enumerate(form.remainder) if e != 0)
        expressions = [form.remainder[i] for i in states]
        used = set().union(*(e.free_symbols for e in expressions))
        jets = {s: j for s, j in form.system.rates.jets.items() if s in used}
        arguments = [problem.time.coordinate, *problem.space, *jets]
        return cls(states, tuple(jets.values()), numpy_function(arguments, expressions))


class _Scheme:
    """One ETDRK4 step on Fourier coefficients, shape (…, states, *modes)."""

    def __init__(
        self,
        solver: FourierETDRK4,
        problem: Problem,
        form: _Split,
        remainder: _Remainder,
        h: float,
    ) -> None:
        assert problem.domain is not None
        n, d = solver.points, problem.dimension
        self.shape = (n,) * d
        self.over = tuple(range(-d, 0))
        self.h = h
        self.remainder = remainder
        bounds = problem.domain.bounds
        nodes = [FourierAxis(float(a), float(b), n).nodes for a, b in bounds]
        self.where = np.meshgrid(*nodes, indexing="ij")
        numbers = [np.fft.fftfreq(n, 1 / n)] * (d - 1) + [np.arange(n // 2 + 1.0)]
        self.kept = np.ones([len(m) for m in numbers], dtype=bool)
        if solver.dealias == "2/3":
            for m in np.meshgrid(*numbers, indexing="ij"):
                self.kept &= np.abs(m) < n / 3
        waves = [
            2 * np.pi * m / float(b - a)
            for m, (a, b) in zip(numbers, bounds, strict=True)
        ]
        self.numbers, self.waves = numbers, waves
        self.jet_states = [j.field for j in remainder.jets]
        self.jet_factors = np.array([self._symbol(j) for j in remainder.jets])
        linear = np.zeros((len(form.linear), *self.kept.shape), dtype=complex)
        for row, terms in zip(linear, form.linear, strict=True):
            for jet, factor in terms.items():
                row += factor * self._symbol(jet)
        if not linear.imag.any():
            linear = linear.real
        self.weights = _etd_weights(linear, h)

    def _symbol(self, jet: Jet) -> np.ndarray:
        """Return `Π (i k)^order`; odd derivatives of the highest even mode are 0."""
        n = self.shape[0]
        result = np.ones(self.kept.shape, dtype=complex)
        for axis, (order, k, m) in enumerate(
            zip(jet.orders, self.waves, self.numbers, strict=True)
        ):
            factor = (1j * k) ** order
            if order % 2:
                factor[np.abs(m) * 2 == n] = 0.0
            shape = [-1 if a == axis else 1 for a in range(len(self.shape))]
            result = result * factor.reshape(shape)
        return result

    def to_values(self, coefficients: np.ndarray) -> np.ndarray:
        """Return the values at the nodes."""
        values: np.ndarray = scipy.fft.irfftn(coefficients, self.shape, self.over)
        return values

    def project(
        self, initial: Callable[..., list[Any]], bounds: np.ndarray
    ) -> np.ndarray:
        """Return the coefficients of the truncated series of the initial states."""
        d = len(self.shape)
        fine = max(_FINE[d], 2 * self.shape[0])
        axes = [FourierAxis(float(a), float(b), fine).nodes for a, b in bounds]
        sampled = initial(*np.meshgrid(*axes, indexing="ij"))
        values = np.stack([np.broadcast_to(v, (fine,) * d) for v in sampled])
        coefficients = scipy.fft.rfftn(values, axes=self.over)
        return _resized(coefficients, (fine,) * d, self.shape)

    def _nonlinear(self, t: float, v: np.ndarray) -> np.ndarray:
        batch = v.shape[: -1 - len(self.shape)]
        modes: tuple[Any, ...] = (slice(None),) * len(self.shape)
        jets = v[..., self.jet_states, *modes] * self.jet_factors
        values = scipy.fft.irfftn(jets, self.shape, self.over)
        rows = np.moveaxis(values, len(batch), 0)
        found = self.remainder.function(t, *self.where, *rows)
        stacked = np.empty((*batch, len(found), *self.shape))
        for i, value in enumerate(found):
            stacked[..., i, *modes] = value
        spectrum: np.ndarray = scipy.fft.rfftn(stacked, axes=self.over) * self.kept
        if len(found) == v.shape[len(batch)]:
            return spectrum
        result = np.zeros_like(v)
        result[..., list(self.remainder.states), *modes] = spectrum
        return result

    def step(self, t: float, v: np.ndarray) -> np.ndarray:
        """Return the coefficients one step later."""
        full, half, q, f1, f2, f3 = self.weights
        if not self.remainder.states:
            linear: np.ndarray = full * v
            return linear
        middle = t + self.h / 2
        n0 = self._nonlinear(t, v)
        a = half * v + q * n0
        na = self._nonlinear(middle, a)
        nb = self._nonlinear(middle, half * v + q * na)
        nc = self._nonlinear(t + self.h, half * a + q * (2 * nb - n0))
        result: np.ndarray = full * v + f1 * n0 + f2 * (na + nb) + f3 * nc
        return result


@functools.lru_cache(maxsize=4)
def _batch_form(problem: Problem) -> tuple[_Split, _Remainder]:
    """Return the split of a problem for batches; symbolic work is done once for each.

    Many batches of one family share it, and at a coarse resolution it would take longer
    than they do.
    """
    require_supported(FourierETDRK4(), problem)
    if problem.dimension != 1 or len(problem.fields) != 1:
        raise UnsupportedProblemError(
            f"FourierETDRK4 cannot take {problem.name!r} in batches: it has "
            f"{len(problem.fields)} fields and {problem.dimension} space "
            "coordinates, and one of each is supported."
        )
    form = _split(problem)
    return form, _Remainder.of(problem, form)


def _etd_weights(linear: np.ndarray, h: float) -> tuple[np.ndarray, ...]:
    """Return `e^{hL}, e^{hL/2}` and the weights Q, f₁, 2f₂, f₃ of the four stages.

    The cancellation of the formulas near hL = 0 is avoided by Cauchy's mean over a
    circle around each hL.
    """
    z = h * linear
    mean = [np.zeros_like(z) for _ in range(4)]
    for k in range(_CONTOUR):
        r = z + np.exp(2j * np.pi * (k + 0.5) / _CONTOUR)
        e = np.exp(r)
        terms = (
            (np.exp(r / 2) - 1) / r,
            (-4 - r + e * (4 - 3 * r + r**2)) / r**3,
            2 * (2 + r + e * (r - 2)) / r**3,
            (-4 - 3 * r - r**2 + e * (4 - r)) / r**3,
        )
        for m, term in zip(mean, terms, strict=True):
            m += (term if np.iscomplexobj(m) else term.real) * (h / _CONTOUR)
    return np.exp(z), np.exp(z / 2), *mean


def _resized(
    coefficients: np.ndarray, old: Sequence[int], new: Sequence[int]
) -> np.ndarray:
    """Return rfftn coefficients for another number of nodes along each axis.

    Modes that both grids hold are kept; the highest mode of an even grid is set to 0,
    since its sine is invisible there.
    """
    for k, (n, m) in enumerate(zip(old, new, strict=True)):
        axis = k - len(old)
        keep = (min(n, m) - 1) // 2
        last = axis == -1
        shape = list(coefficients.shape)
        shape[axis] = m // 2 + 1 if last else m
        result = np.zeros(shape, dtype=complex)
        source = np.moveaxis(coefficients, axis, 0)
        target = np.moveaxis(result, axis, 0)
        target[: keep + 1] = source[: keep + 1] * (m / n)
        if not last and keep:
            target[-keep:] = source[-keep:] * (m / n)
        coefficients = result
    return coefficients
