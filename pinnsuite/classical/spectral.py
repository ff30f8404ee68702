"""Fourier series in space: periodic problems on boxes."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import scipy.fft

from pinnsuite.classical.exponential import SCHEMES, Scheme, apply, compact
from pinnsuite.classical.splitting import Splitting, split, symbol
from pinnsuite.classical.stencils import Axis, FourierAxis, LocalAxis, interpolant
from pinnsuite.errors import OptionError, UnsupportedProblemError, unknown_name
from pinnsuite.problem.conditions import Obstacle, Periodic
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.jets import Jet, numpy_function
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solution.support import Grid
from pinnsuite.solver import Progress, require_supported, silent

_FINE = {1: 1 << 16, 2: 1 << 10, 3: 1 << 7}
"""Points along each axis on which an initial state is sampled to be projected."""

_SINGULAR = 1e-12
"""Determinant, after scaling of the rows, below which a mode leaves a field free."""


@dataclass(frozen=True)
class FourierPseudospectral:
    """Fourier series in space and exponential time steps, on periodic boxes.

    `M s_t = L s + N(t, x, s, s_x, …)`: what is linear with constant coefficients is
    found symbolically and becomes, mode by mode, a small matrix; coupled fields, waves
    (`u_tt`), mixed derivatives (`u_txx`) and fields without a time derivative are
    covered by it. Streamfunctions, chemical potentials and the pressure of
    incompressible flow are so eliminated exactly (of a field that is fixed up to a
    constant, the mean is 0). The linear part is integrated exactly by "etdrk4" and
    "if-rk4", the rest pseudospectrally. The initial state is projected on the series,
    not sampled, so that kinks do not alias. For smooth solutions the error in space
    falls faster than any power of `points`, that in time as steps⁻⁴ (steps⁻² for
    "sbdf2"); `refined` changes both, and the order shows while time dominates.
    Source: A.-K. Kassam & L. N. Trefethen, Fourth-order time stepping for stiff PDEs,
    SIAM J. Sci. Comput. 26 (2005) 1214, DOI 10.1137/S1064827502410633; C. Canuto et
    al., Spectral Methods in Fluid Dynamics, 1988, DOI 10.1007/978-3-642-84108-8.

    Attributes
    ----------
    points
        Nodes along each axis, without the right end.
    steps
        Time steps over the whole interval, at least: every interval between two output
        times is split into 1, 2, 4, … equal ones, so that doubling halves the step.
    scheme
        "etdrk4", "if-rk4" or "sbdf2"; on stiff smooth problems the first one is the
        most accurate for the same time.
    dealias
        "2/3" removes the upper third of the modes from N, "none" keeps it.
    growth
        How many times as many points `refined` takes, for twice the steps: 1.5 does
        for smooth solutions; 2 keeps the steps stable where advection binds them.
    """

    family: ClassVar[str] = "classical"

    points: int = 128
    steps: int = 200
    scheme: str = "etdrk4"
    dealias: str = "2/3"
    growth: float = 1.5

    def __post_init__(self) -> None:
        if self.points < 4:
            raise OptionError(f"fourier: points is {self.points}; at least 4 needed.")
        if self.steps < 1:
            raise OptionError(f"fourier: steps is {self.steps}; at least 1 needed.")
        if not 1 < self.growth <= 4:
            raise OptionError(
                f"fourier: growth is {self.growth}; it must lie in (1, 4]."
            )
        for option, known in (
            ("scheme", tuple(SCHEMES)),
            ("dealias", ("2/3", "none")),
        ):
            if getattr(self, option) not in known:
                what = f"fourier option {option}"
                raise OptionError(unknown_name(what, getattr(self, option), known))

    def why_not(self, problem: Problem) -> str | None:
        """Say which part of `problem` is out of reach, or None."""
        try:
            _analyse(problem)
        except UnsupportedProblemError as error:
            return str(error)
        return None

    def refined(self) -> FourierPseudospectral:
        """Return the solver with half the step and `growth` times the points."""
        points = max(int(self.points * self.growth), self.points + 1)
        return replace(self, points=points, steps=self.steps * 2)

    def expected_order(self, problem: Problem) -> float | None:  # noqa: ARG002
        """Return the order in time."""
        return SCHEMES[self.scheme].order

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
            form = _Compiled.of(problem, _analyse(problem))
            initial = numpy_function(problem.space, form.splitting.initial)
        outputs = problem.time.outputs
        num_steps, h = self._steps(outputs)
        with clock.phase("setup"):
            modes = _Modes(self, problem, form)
            scheme = modes.scheme(h)
            v = modes.project(initial, problem.domain.bounds)
        history = [modes.values(outputs[0], v)]
        deadline = None if budget is None else time.process_time() + budget
        with clock.phase("solve"), np.errstate(all="ignore"):
            for k in range(1, len(outputs)):
                for s in range(num_steps):
                    t = outputs[k - 1] + s * h
                    v = scheme.step(t, v)
                    if deadline is not None and time.process_time() > deadline:
                        message = (
                            f"The budget of {budget:g} CPU s ended at t = {t:g} of "
                            f"{outputs[-1]:g}; raise it, or take fewer steps."
                        )
                        return failed(Status.NOT_REACHED, message, cost=clock.cost())
                history.append(modes.values(outputs[k], v))
                if not np.isfinite(history[-1]).all():
                    message = (
                        f"Values became NaN or infinite before t = {outputs[k]:g}; "
                        "take more steps or more points."
                    )
                    return failed(Status.NAN, message, cost=clock.cost())
                progress(k / (len(outputs) - 1), f"t = {outputs[k]:g}")
        values = np.moveaxis(np.array(history), 1, -1)
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
        form = _batch_form(problem)
        assert problem.time is not None
        start, end = problem.time.start, problem.time.end
        h = (end - start) / self.steps
        modes = _Modes(self, problem, form)
        scheme = modes.scheme(h)
        given = initial.shape[-1:]
        v = _resized(scipy.fft.rfft(initial)[None], given, modes.grid.shape)
        with np.errstate(all="ignore"):
            for s in range(self.steps):
                v = scheme.step(start + s * h, v)
        final = _resized(v, modes.grid.shape, given)[0]
        result: np.ndarray = scipy.fft.irfft(final, n=given[0])
        return result

    def _steps(self, outputs: np.ndarray) -> tuple[int, float]:
        """Return the steps between two output times, and their length."""
        intervals = len(outputs) - 1
        doublings = max(0, math.ceil(math.log2(self.steps / intervals)))
        length = float(outputs[-1] - outputs[0]) / intervals
        return 2**doublings, length / 2**doublings


def _analyse(problem: Problem) -> Splitting:
    """Return the parts; an UnsupportedProblemError says why there are none."""
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
    if problem.conditions_of(Obstacle):
        raise UnsupportedProblemError("it has an obstacle; use 'complementarity'")
    if problem.unknowns:
        names = ", ".join(u.name for u in problem.unknowns)
        raise UnsupportedProblemError(f"its coefficients {names} are unknown; fix them")
    return split(problem)


@dataclass(frozen=True, eq=False)
class _Remainders:
    """The remainders of some rows, as derivatives of compiled functions of jets.

    `rows` and `orders` say, for each function, where it belongs and how often it is
    differentiated.
    """

    rows: tuple[int, ...]
    orders: tuple[tuple[int, ...], ...]
    jets: tuple[Jet, ...]
    function: Callable[..., list[Any]]

    @classmethod
    def of(cls, problem: Problem, form: Splitting, rows: list[int]) -> _Remainders:
        assert problem.time is not None
        terms = form.terms(rows)
        jets = form.needed(t.expression for t in terms)
        arguments = [problem.time.coordinate, *problem.space, *jets]
        return cls(
            tuple(t.row for t in terms),
            tuple(t.orders for t in terms),
            tuple(jets.values()),
            numpy_function(arguments, [t.expression for t in terms]),
        )


@dataclass(frozen=True, eq=False)
class _Compiled:
    """A splitting with its remainders as functions.

    `early` are the remainders in the equations of the fields without a time derivative:
    they are functions of the states, and known before those in `late`.
    """

    splitting: Splitting
    early: _Remainders
    late: _Remainders

    @classmethod
    def of(cls, problem: Problem, form: Splitting) -> _Compiled:
        rows = [i for i, r in enumerate(form.rows) if r.remainder != 0]
        early = [i for i in rows if not form.rows[i].mass]
        late = [i for i in rows if form.rows[i].mass]
        return cls(
            form,
            _Remainders.of(problem, form, early),
            _Remainders.of(problem, form, late),
        )


class _Grid:
    """Nodes and modes of a solver on a box; the modes of arrays come last."""

    def __init__(self, solver: FourierPseudospectral, problem: Problem) -> None:
        assert problem.domain is not None
        n, d = solver.points, problem.dimension
        self.shape = (n,) * d
        self.over = tuple(range(-d, 0))
        bounds = [(float(a), float(b)) for a, b in problem.domain.bounds]
        nodes = [FourierAxis(a, b, n).nodes for a, b in bounds]
        self.nodes = np.meshgrid(*nodes, indexing="ij")
        numbers = [np.fft.fftfreq(n, 1 / n)] * (d - 1) + [np.arange(n // 2 + 1.0)]
        mesh = np.meshgrid(*numbers, indexing="ij")
        self.kept = np.ones(mesh[0].shape, dtype=bool)
        if solver.dealias == "2/3":
            for m in mesh:
                self.kept &= np.abs(m) < n / 3
        # In one dimension, cutting and padding cost more than they spare.
        self.columns = n // 2 + 1
        if d > 1:
            self.columns = int(self.kept.any(axis=self.over[:-1]).sum())
        self.waves = [
            2 * np.pi * m / (b - a) for m, (a, b) in zip(mesh, bounds, strict=True)
        ]
        self.odd = [
            np.where(np.abs(m) * 2 == n, 0.0, k)
            for m, k in zip(mesh, self.waves, strict=True)
        ]

    def symbols(self, orders: Sequence[tuple[int, ...]]) -> np.ndarray:
        """Return the factors of several derivatives, shape (len(orders), *modes)."""
        factors = [symbol(o, self.waves, self.odd) for o in orders]
        return np.array(factors).reshape(len(orders), *self.kept.shape)

    def to_values(self, v: np.ndarray) -> np.ndarray:
        """Return the values at the nodes; columns of modes that v lacks are 0."""
        if len(self.shape) > 1:
            v = scipy.fft.ifftn(v, axes=self.over[:-1])
        values: np.ndarray = scipy.fft.irfft(v, self.shape[-1])
        return values

    def to_modes(self, values: np.ndarray) -> np.ndarray:
        """Return the first `columns` columns of the coefficients."""
        v: np.ndarray = scipy.fft.rfft(values)[..., : self.columns]
        if len(self.shape) > 1:
            v = scipy.fft.fftn(v, axes=self.over[:-1])
        return v


class _Part:
    """Some remainders on a grid, and what they do to the unknowns.

    `inverse` is K⁺; its part for these remainders takes their coefficients to `rates`
    and `others`. All of them have the grid's first `columns` columns only.
    """

    def __init__(
        self, remainders: _Remainders, grid: _Grid, inverse: np.ndarray, states: int
    ) -> None:
        self.function = remainders.function
        self.grid = grid
        self.rows = remainders.rows
        self.place = [j.field for j in remainders.jets]
        factors = grid.symbols([j.orders for j in remainders.jets]) * grid.kept
        self.factors = factors[..., : grid.columns]
        response = inverse[:, list(self.rows)] * grid.symbols(remainders.orders)
        response = (response * grid.kept)[..., : grid.columns]
        self.rates, self.others = compact(response[:states]), response[states:]

    def coefficients(self, t: float, v: np.ndarray) -> np.ndarray:
        """Return those of the functions, shape (functions, …, columns)."""
        grid = self.grid
        cut = v[..., : grid.columns]
        jets: Iterable[np.ndarray] = ()
        if len(grid.shape) > 1:
            # One by one: together they would not stay in the processor's cache.
            pairs = zip(self.place, self.factors, strict=True)
            jets = [grid.to_values(cut[i] * factor) for i, factor in pairs]
        elif self.place:
            # A batch has one more axis, of members.
            wide = v.ndim > self.factors.ndim
            factors = self.factors[:, None] if wide else self.factors
            jets = grid.to_values(cut[self.place] * factors)
        found = self.function(t, *grid.nodes, *jets)
        values = np.empty((len(found), *v.shape[1 : -len(grid.shape)], *grid.shape))
        for i, value in enumerate(found):
            values[i] = value
        return grid.to_modes(values)


class _Modes:
    """The equations for Fourier coefficients v of the states, (states, *modes).

    With K and S of the splitting and the coefficients n of the remainders,
    `(v_t, others) = K⁺ (S v + n)`. The pseudo-inverse is the inverse, except where a
    mode of a field is free (the mean of a pressure): there it gives 0.
    """

    def __init__(
        self, solver: FourierPseudospectral, problem: Problem, form: _Compiled
    ) -> None:
        self.grid = grid = _Grid(solver, problem)
        self.scheme_class = SCHEMES[solver.scheme]
        splitting = form.splitting
        self.states = splitting.num_states
        self.fields = splitting.fields(len(problem.fields))
        left, right = splitting.matrices(grid.waves, grid.odd)
        inverse = _pseudo_inverse(left)
        linear = np.moveaxis(inverse @ right, (-2, -1), (0, 1))
        self.linear = compact(linear[: self.states])
        self.others = linear[self.states :]
        inverse = np.moveaxis(inverse, (-2, -1), (0, 1))
        self.early = _Part(form.early, grid, inverse, self.states)
        self.late = _Part(form.late, grid, inverse, self.states)
        self.late_needs_others = any(j.field >= self.states for j in form.late.jets)

    def scheme(self, h: float) -> Scheme:
        """Return the time stepping with step h."""
        nonlinear = self.rate if self.early.rows or self.late.rows else None
        return self.scheme_class(self.linear, h, len(self.grid.shape), nonlinear)

    def rate(self, t: float, v: np.ndarray) -> np.ndarray:
        """Return what the remainders contribute to v_t."""
        parts, early = [], None
        if self.early.rows:
            early = self.early.coefficients(t, v)
            parts.append(apply(self.early.rates, early))
        if self.late.rows:
            full = self._completed(v, early) if self.late_needs_others else v
            parts.append(apply(self.late.rates, self.late.coefficients(t, full)))
        rate = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        if rate.shape == v.shape:
            return rate
        padded = np.zeros_like(v)
        padded[..., : self.grid.columns] = rate
        return padded

    def _completed(self, v: np.ndarray, early: np.ndarray | None) -> np.ndarray:
        """Return the states, and the others as far as the states determine them."""
        others = apply(self.others, v)
        if early is not None:
            others[..., : self.grid.columns] += apply(self.early.others, early)
        return np.concatenate([v, others])

    def values(self, t: float, v: np.ndarray) -> np.ndarray:
        """Return the values of the fields at the nodes, shape (fields, *nodes)."""
        if len(self.others):
            early = self.early.coefficients(t, v) if self.early.rows else None
            v = self._completed(v, early)
            if self.late.rows and self.late.others.any():
                late = apply(self.late.others, self.late.coefficients(t, v))
                v[self.states :, ..., : self.grid.columns] += late
        return self.grid.to_values(v[self.fields])

    def project(
        self, initial: Callable[..., list[Any]], bounds: np.ndarray
    ) -> np.ndarray:
        """Return the coefficients of the truncated series of the initial states."""
        grid = self.grid
        d = len(grid.shape)
        fine = max(_FINE[d], 2 * grid.shape[0])
        axes = [FourierAxis(float(a), float(b), fine).nodes for a, b in bounds]
        sampled = initial(*np.meshgrid(*axes, indexing="ij"))
        values = np.stack([np.broadcast_to(v, (fine,) * d) for v in sampled])
        coefficients = scipy.fft.rfftn(values, axes=grid.over)
        return _resized(coefficients, (fine,) * d, grid.shape)


def _pseudo_inverse(matrices: np.ndarray) -> np.ndarray:
    """Return the inverse of each matrix (…, n, n), by least squares if it has none.

    Rows are scaled first: they are equations, of whatever size.
    """
    scale = np.abs(matrices).max(axis=-1, keepdims=True)
    scale[scale == 0] = 1.0
    scaled = matrices / scale
    singular = np.abs(np.linalg.det(scaled)) < _SINGULAR
    scaled[singular] = np.eye(matrices.shape[-1])
    result: np.ndarray = np.linalg.inv(scaled)
    result[singular] = np.linalg.pinv(matrices[singular] / scale[singular])
    result /= np.swapaxes(scale, -2, -1)
    return result


@functools.lru_cache(maxsize=4)
def _batch_form(problem: Problem) -> _Compiled:
    """Return the form of a problem for batches; symbolic work is done once for each.

    Many batches of one family share it, and at a coarse resolution it would take longer
    than they do.
    """
    require_supported(FourierPseudospectral(), problem)
    form = _analyse(problem)
    if problem.dimension != 1 or len(form.unknowns) != 1:
        raise UnsupportedProblemError(
            f"FourierPseudospectral cannot take {problem.name!r} in batches: it has "
            f"{len(form.unknowns)} unknowns and {problem.dimension} space "
            "coordinates, and one of each is supported."
        )
    return _Compiled.of(problem, form)


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
