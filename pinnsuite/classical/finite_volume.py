"""Finite volumes for conservation laws: shocks, contacts and smooth waves."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import sympy as sp

from pinnsuite.classical.conservation_form import (
    ConservationForm,
    conservation_form,
    eigenvalues,
)
from pinnsuite.classical.ode import STEPPERS, Trajectory, march
from pinnsuite.classical.reconstruction import (
    LIMITERS,
    SMOOTH_EXTREMUM,
    Characteristics,
    muscl,
    stacked,
    weno5,
)
from pinnsuite.classical.stencils import Axis, LocalAxis, interpolant
from pinnsuite.errors import OptionError, UnsupportedProblemError, unknown_name
from pinnsuite.problem.conditions import (
    Boundary,
    Dirichlet,
    Neumann,
    Periodic,
    normal,
)
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.domain import Box
from pinnsuite.problem.jets import numpy_function
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solution.support import Grid
from pinnsuite.solver import Progress, require_supported, silent

RECONSTRUCTIONS = {"MUSCL": 2, "WENO5": 3}
"""Ghost cells that each needs."""

_SUBCELLS = 16
"""Points a cell and axis in the mean of an initial state that jumps."""

_ROWS = 1 << 14
"""Cells, about, whose fluxes are formed at a time: what fits into a cache."""

_COARSE = 32
"""Cells from which on WENO5 shortens its steps at open boundaries."""

_STIFF = 25.0
"""Ratio of diffusive to advective steps beyond which an implicit method is cheaper."""

_TOLERANCES = {"rtol": 1e-8, "atol": 1e-10}
"""Of that implicit method."""

# Rows of Runge-Kutta tableaus below the diagonal, then the weights.
_SSPRK3: tuple[tuple[float, ...], ...] = ((1.0,), (1 / 4, 1 / 4), (1 / 6, 1 / 6, 2 / 3))
_RK5: tuple[tuple[float, ...], ...] = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)


@dataclass(frozen=True)
class FiniteVolumes:
    """Finite volumes on intervals and rectangles, for conservation laws.

    `∂q_i/∂t + ∇·F_i(q, x, t) = S_i(q, x, t)`, taken from the equations with everything
    that stands under a derivative as a flux; fluxes may hold slopes, `-k(u) ∇u`. MUSCL
    limits linear slopes in the characteristic components and takes the HLL flux with
    its middle waves resolved; WENO5 is the conservative finite difference scheme with
    characteristic flux splitting. Where the problem's norm is L1, solutions jump: cells
    start from means, ghost cells copy, SSPRK3 steps, evaluation is linear between cell
    centres, and the L1 error falls as h (less at contacts: h^(2/3) with MUSCL). Where
    it is L2, the scheme is of order 2 or 5, ghost cells follow from polynomials through
    the boundary values, and WENO5 steps with the method of order 5 of Dormand & Prince.
    Slopes in a flux are central differences, order 2, with explicit steps or, in one
    dimension where these would be many, LSODA.

    On a boundary, Dirichlet values stand outside it; the flux takes from them what
    enters. Without a condition the state is extrapolated: all must leave. A reflecting
    wall is Dirichlet 0 for the normal momentum, which the other fields mirror.
    Source: B. van Leer, J. Comput. Phys. 32 (1979) 101, DOI
    10.1016/0021-9991(79)90145-1; S. Gottlieb, C.-W. Shu & E. Tadmor, SIAM Rev. 43
    (2001) 89, DOI 10.1137/S003614450036757X; R. J. LeVeque, Finite Volume Methods for
    Hyperbolic Problems, 2002, DOI 10.1017/CBO9780511791253.

    Attributes
    ----------
    cells
        Cells along each axis.
    reconstruction
        "MUSCL" or "WENO5".
    limiter
        Of MUSCL: "MC", "van Leer", "minmod", or "auto": minmod for a scalar law whose
        flux is neither convex nor concave (there steeper limiters converge to a weak
        solution that is not the right one: u³/3 between -1 and 1), else MC.
    courant
        Share of the time in which the fastest wave crosses a cell, for each step.
    """

    family: ClassVar[str] = "classical"

    cells: int = 200
    reconstruction: str = "MUSCL"
    limiter: str = "auto"
    courant: float = 0.6

    def __post_init__(self) -> None:
        for option, known in (
            ("reconstruction", RECONSTRUCTIONS),
            ("limiter", ("auto", *LIMITERS)),
        ):
            value = getattr(self, option)
            if value not in known:
                raise OptionError(
                    unknown_name(f"finite-volume option {option}", value, known)
                )
        if self.cells < 8:
            raise OptionError(
                f"finite-volume: cells is {self.cells}; at least 8 are needed."
            )
        if not 0 < self.courant <= 1:
            raise OptionError(
                f"finite-volume: courant is {self.courant}; it must lie in (0, 1]."
            )

    def why_not(self, problem: Problem) -> str | None:
        """Say which part of `problem` is out of reach, or None."""
        try:
            form = _analyse(problem)
            _check_waves(problem, form)
        except UnsupportedProblemError as error:
            return str(error)
        return None

    def refined(self) -> FiniteVolumes:
        """Return the solver with cells of half the width; steps follow."""
        return replace(self, cells=2 * self.cells)

    def expected_order(self, problem: Problem) -> float | None:
        """Return 1 where solutions jump (L1), else the order of the scheme."""
        if problem.norm == "L1":
            return 1.0
        if self.reconstruction == "MUSCL":
            return 2.0
        return 2.0 if conservation_form(problem).has_diffusion else 5.0

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
        clock = Clock()
        with clock.phase("symbolic"):
            form = _analyse(problem)
            scheme = _Scheme(self, problem, form)
        with clock.phase("setup"):
            start = scheme.start()
        outputs = problem.time.outputs
        with clock.phase("solve"), np.errstate(all="ignore"):
            is_stiff = scheme.is_stiff(start)
            run = _march_implicit if is_stiff else _march
            found = run(scheme, start, outputs, progress, budget)
        if found.values is None:
            return failed(found.status, found.message, cost=clock.cost())
        values = np.moveaxis(found.values, 1, -1)
        rebuild = interpolant([_between(outputs, scheme), *scheme.axes], values)
        names = problem.field_names

        def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
            return dict(zip(names, rebuild(points).T, strict=True))

        grid = {problem.time.coordinate.name: outputs}
        for x, axis in zip(problem.space, scheme.axes, strict=True):
            grid[x.name] = axis.nodes
        return Solution(
            Grid(grid),
            {n: values[..., i] for i, n in enumerate(names)},
            evaluator=evaluate,
            cost=clock.cost(),
            details={
                "dofs": int(start.size),
                "steps": found.steps,
                "integrator": "LSODA" if is_stiff else "explicit",
                "stop_reason": "the last time was reached",
            },
        )


@dataclass(frozen=True, eq=False)
class _Cells:
    """Cell centres; linear between them, constant beyond the first and the last."""

    nodes: np.ndarray
    period: float | None = None

    def interpolation(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n = len(self.nodes)
        nodes = self.nodes
        if self.period is not None:
            at = nodes[0] + np.mod(at - nodes[0], self.period)
            nodes = np.append(nodes, nodes[0] + self.period)
        right = np.clip(np.searchsorted(nodes, at, side="right"), 1, len(nodes) - 1)
        share = (at - nodes[right - 1]) / (nodes[right] - nodes[right - 1])
        share = np.clip(share, 0.0, 1.0)
        indices = np.stack([right - 1, right % n], axis=1)
        return indices, np.stack([1 - share, share], axis=1)


def _between(outputs: np.ndarray, scheme: _Scheme) -> Axis:
    return _Cells(outputs) if scheme.jumps else LocalAxis(outputs, 2)


def _analyse(problem: Problem) -> ConservationForm:
    """Return the form of `problem`; UnsupportedProblemError says why there is none."""
    if problem.domain is None:
        raise UnsupportedProblemError("it has no space coordinates; use 'ode'")
    if not problem.domain.is_box or problem.dimension > 2:
        raise UnsupportedProblemError(
            f"its domain, {problem.domain.describe()}, is no interval or rectangle"
        )
    if problem.unknowns:
        raise UnsupportedProblemError(
            "it has unknown coefficients, and only forward problems are solved"
        )
    for c in problem.conditions_of(Boundary):
        if not isinstance(c, Dirichlet | Neumann):
            raise UnsupportedProblemError(
                f"its condition {type(c).__name__}({c.field.func}) is none that ghost "
                "cells can hold; use Dirichlet, Neumann or Periodic"
            )
    return conservation_form(problem)


def _check_waves(problem: Problem, form: ConservationForm) -> None:
    """Refuse what is ill-posed in time, judged by the initial state.

    Raises
    ------
    UnsupportedProblemError
        If a flux Jacobian has complex eigenvalues, or diffusion is negative or turns.
    """
    assert problem.domain is not None
    assert problem.time is not None
    points = problem.domain.sample_interior(16, seed=0)
    arguments = [*form.coordinates, *form.states, *sum(form.slopes, ())]
    columns = [np.full(len(points), problem.time.start), *points.T]
    with np.errstate(all="ignore"):
        start = numpy_function(problem.space, form.initial)(*points.T)
        columns += [np.broadcast_to(v, len(points)) for v in start]
        columns += [np.zeros(len(points))] * (len(form.states) * problem.dimension)
        for k, x in enumerate(problem.space):
            slopes = [row[k] for row in form.slopes]
            for rows, by, what in (
                (form.flux[k], form.states, "waves"),
                (form.diffusion[k], slopes, "diffusion"),
            ):
                size = len(rows)
                entries = list(sp.Matrix(rows).jacobian(by))
                values = numpy_function(arguments, entries)(*columns)
                table = np.array(
                    [np.broadcast_to(np.asarray(v, float), len(points)) for v in values]
                )
                matrices = table.T.reshape(-1, size, size)
                matrices = matrices[np.isfinite(matrices).all(axis=(1, 2))]
                found = np.linalg.eigvals(matrices)
                scale = 1e-6 * max(1e-300, float(np.abs(found).max(initial=0.0)))
                if np.abs(found.imag).max(initial=0.0) > 1e3 * scale:
                    raise UnsupportedProblemError(
                        f"its {what} along {x} have complex speeds: the first-order "
                        "part is not hyperbolic"
                    )
                if what == "diffusion" and found.real.max(initial=0.0) > scale:
                    raise UnsupportedProblemError(
                        f"its diffusion along {x} is negative: the sign of a second "
                        "derivative is the wrong way round"
                    )


@dataclass(frozen=True, eq=False)
class _Side:
    """How ghost cells of one field follow from inner cells, `W inner + w value`.

    Attributes
    ----------
    inner
        Shape (ghosts, count): weights of the first `count` cells from the side.
    given
        Shape (ghosts,): weights of the value.
    value
        The condition's value at (t, other coordinates); None without a condition.
    """

    inner: np.ndarray
    given: np.ndarray
    value: Callable[..., list[Any]] | None


def _ghost_weights(
    kind: type | None, ghosts: int, count: int, width: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of the polynomial through a condition and `count` cells."""
    centres = np.arange(count) + 0.5
    size = count + (kind is not None)
    rows = centres[:, None] ** np.arange(size)
    if kind is Dirichlet:
        rows = np.vstack([rows, np.eye(size)[0]])
    elif kind is Neumann:
        rows = np.vstack([rows, -np.eye(size)[1] / width])
    outside = -(np.arange(ghosts) + 0.5)
    weights = np.linalg.solve(rows.T, (outside[:, None] ** np.arange(size)).T).T
    if kind is None:
        return weights, np.zeros(ghosts)
    return weights[:, :-1], weights[:, -1]


def _jumping_weights(
    kind: type | None, ghosts: int, width: float, is_wall: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights that create no new values: copies and mirrors."""
    mirror = np.eye(ghosts)
    if kind is Dirichlet:
        return (
            (-mirror, np.full(ghosts, 2.0))
            if is_wall
            else (
                np.zeros((ghosts, ghosts)),
                np.ones(ghosts),
            )
        )
    if kind is Neumann:
        return mirror, width * (2 * np.arange(ghosts) + 1)
    copy = np.zeros((ghosts, ghosts))
    copy[:, 0] = 1
    return (mirror if is_wall else copy), np.zeros(ghosts)


class _Scheme:
    """The semi-discrete equations dq/dt = rate(t, q), q of shape (m, *cells)."""

    def __init__(
        self, solver: FiniteVolumes, problem: Problem, form: ConservationForm
    ) -> None:
        assert isinstance(problem.domain, Box)
        self.solver = solver
        self.problem = problem
        self.form = form
        self.limiter = "MC" if solver.limiter == "auto" else solver.limiter
        self.jumps = problem.norm == "L1"
        self.ghosts = RECONSTRUCTIONS[solver.reconstruction]
        self.size = len(form.states)
        self.is_fifth_order = solver.reconstruction == "WENO5" and not self.jumps
        self.bounds = problem.domain.bounds
        self.widths = (self.bounds[:, 1] - self.bounds[:, 0]) / solver.cells
        self.centres = [
            low + h * (np.arange(solver.cells) + 0.5)
            for (low, _), h in zip(self.bounds, self.widths, strict=True)
        ]
        periodic = {c.along for c in problem.conditions_of(Periodic)}
        self.periodic = [x in periodic for x in problem.space]
        order = 2 if solver.reconstruction == "MUSCL" else 4
        self.axes: list[Axis] = []
        for nodes, (low, high), wraps in zip(
            self.centres, self.bounds, self.periodic, strict=True
        ):
            period = float(high - low) if wraps else None
            self.axes.append(
                _Cells(nodes, period) if self.jumps else LocalAxis(nodes, order, period)
            )
        self.directions = [_Direction(form, k) for k in range(problem.dimension)]
        arguments = [*form.coordinates, *form.states]
        self._source = (
            numpy_function(arguments, form.source) if any(form.source) else None
        )
        entries = list(sp.Matrix(form.source).jacobian(form.states))
        self._stiffness = numpy_function(arguments, entries) if any(entries) else None
        self.sides = {
            (k, is_upper): self._sides(k, is_upper)
            for k in range(problem.dimension)
            if not self.periodic[k]
            for is_upper in (False, True)
        }

    def _sides(self, k: int, is_upper: bool) -> list[_Side]:
        problem = self.problem
        assert isinstance(problem.domain, Box)
        x = problem.space[k]
        name = problem.domain.sides(x)[is_upper]
        held: dict[int, Boundary] = {}
        for c in problem.conditions_of(Boundary):
            if name in problem.boundaries_of(c):
                held.setdefault(problem.fields.index(c.field), c)
        values = sum(isinstance(c, Dirichlet) for c in held.values())
        is_wall = 0 < values < len(problem.fields)
        width = float(self.widths[k])
        sides = []
        for i in range(self.size):
            c = held.get(i)
            kind = None if c is None else type(c)
            if self.jumps:
                inner, given = _jumping_weights(kind, self.ghosts, width, is_wall)
            else:
                count = 2 if self.ghosts == 2 else 4
                count += kind is None
                inner, given = _ghost_weights(kind, self.ghosts, count, width)
            sides.append(_Side(inner, given, self._value(c, k, is_upper)))
        return sides

    def _value(
        self, c: Boundary | None, k: int, is_upper: bool
    ) -> Callable[..., list[Any]] | None:
        if c is None:
            return None
        known = {normal(x): 0 for x in self.problem.space}
        known[normal(self.problem.space[k])] = 1 if is_upper else -1
        return numpy_function(self.problem.coordinates, [c.value.subs(known)])

    def start(self) -> np.ndarray:
        """Return the initial state: point values, or means where it jumps."""
        function = numpy_function(self.problem.space, self.form.initial)
        parts = _SUBCELLS if self.jumps else 1
        offsets = (np.arange(parts) + 0.5) / parts - 0.5
        axes = [
            (c[:, None] + h * offsets).ravel()
            for c, h in zip(self.centres, self.widths, strict=True)
        ]
        mesh = np.meshgrid(*axes, indexing="ij")
        fine = stacked(function(*mesh), mesh[0].shape)
        split = [n for a in axes for n in (len(a) // parts, parts)]
        means: np.ndarray = fine.reshape(self.size, *split).mean(
            axis=tuple(range(2, 2 * len(axes) + 1, 2))
        )
        assert self.problem.time is not None
        mesh = np.broadcast_arrays(*self._mesh())
        columns = [*(c.ravel() for c in mesh), *means.reshape(self.size, -1)]
        for direction in self.directions:
            direction.order_waves(self.problem.time.start, *columns)
        if self.solver.limiter == "auto" and not self._is_convex(means):
            self.limiter = "minmod"
        return means

    def _is_convex(self, q: np.ndarray) -> bool:
        """Say whether fluxes of a scalar law curve one way over the range of q."""
        if self.size > 1:
            return True
        assert self.problem.time is not None
        state = np.linspace(q.min(), q.max(), 201)[None, None]
        for k, direction in enumerate(self.directions):
            waves = direction.waves.at(
                self.problem.time.start,
                *self._across(k, slice(1)),
            )
            flux = waves.flux(np.full(201, self.centres[k][0]), state)[0, 0]
            bend = np.diff(flux, 2)
            noise = 1e-9 * np.ptp(flux)
            if bend.min() < -noise and bend.max() > noise:
                return False
        return True

    def rate(self, t: float, q: np.ndarray) -> np.ndarray:
        """Return dq/dt."""
        if self._source is None:
            total = np.zeros_like(q)
        else:
            total = stacked(self._source(t, *self._mesh(), *q), q.shape[1:])
        scale = q.reshape(self.size, -1)
        threshold = SMOOTH_EXTREMUM * np.ptp(scale, axis=1) / self.solver.cells**2
        for k in range(len(self.centres)):
            padded = self._padded(t, q, k)
            flux = self._fluxes(t, padded, k, threshold[:, None, None])
            if self.directions[k].diffusion is not None:
                flux = flux + self._diffusive(t, padded, k)
            change = np.diff(flux) / self.widths[k]
            total -= np.moveaxis(
                change.reshape(self.size, *np.moveaxis(q, k + 1, -1).shape[1:]),
                -1,
                k + 1,
            )
        return total

    def _mesh(self) -> list[np.ndarray]:
        """Return the cell centres, one array an axis, ready to be broadcast."""
        if len(self.centres) == 1:
            return self.centres
        return [self.centres[0][:, None], self.centres[1]]

    def _padded(self, t: float, q: np.ndarray, k: int) -> np.ndarray:
        """Return the states along axis k with ghost cells, shape (m, rows, n + 2 g)."""
        g = self.ghosts
        lines = np.moveaxis(q, k + 1, -1)
        lines = lines.reshape(self.size, -1, lines.shape[-1])
        if self.periodic[k]:
            return np.concatenate([lines[..., -g:], lines, lines[..., :g]], axis=-1)
        low = self._ghost(t, lines, k, is_upper=False)[..., ::-1]
        high = self._ghost(t, lines[..., ::-1], k, is_upper=True)
        return np.concatenate([low, lines, high], axis=-1)

    def _ghost(
        self, t: float, lines: np.ndarray, k: int, *, is_upper: bool
    ) -> np.ndarray:
        where: list[Any] = [np.asarray(c) for j, c in enumerate(self.centres) if j != k]
        where.insert(k, float(self.bounds[k][int(is_upper)]))
        found = np.empty((self.size, lines.shape[1], self.ghosts))
        for i, side in enumerate(self.sides[k, is_upper]):
            found[i] = lines[i, :, : side.inner.shape[1]] @ side.inner.T
            if side.value is not None:
                (value,) = side.value(t, *where)
                found[i] += np.multiply.outer(
                    np.broadcast_to(np.asarray(value, float), lines.shape[1]),
                    side.given,
                )
        return found

    def _fluxes(
        self, t: float, padded: np.ndarray, k: int, threshold: np.ndarray
    ) -> np.ndarray:
        """Return the fluxes through the n + 1 faces of each row along axis k."""
        rows, length = padded.shape[1:]
        faces = length - 2 * self.ghosts + 1
        direction = self.directions[k]
        if not direction.is_advective:
            return np.zeros((self.size, rows, faces))
        step = max(1, _ROWS // length)
        x = self._along(k, self.ghosts)
        parts = []
        for first in range(0, rows, step):
            part = slice(first, first + step)
            waves = direction.waves.at(t, *self._across(k, part))
            if self.solver.reconstruction == "WENO5":
                parts.append(weno5(waves, x, padded[:, part]))
            else:
                limiter = self.limiter
                parts.append(muscl(waves, x, padded[:, part], limiter, threshold))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _along(self, k: int, ghosts: int) -> np.ndarray:
        """Return the cell centres along axis k, ghost cells included."""
        index = np.arange(-ghosts, self.solver.cells + ghosts) + 0.5
        centres: np.ndarray = self.bounds[k][0] + self.widths[k] * index
        return centres

    def _across(
        self, k: int, part: slice
    ) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """Return the coordinates before and after axis k, shape (rows, 1) each."""
        before, after = self.centres[:k], self.centres[k + 1 :]
        return tuple(c[part, None] for c in before), tuple(c[part, None] for c in after)

    def _diffusive(self, t: float, padded: np.ndarray, k: int) -> np.ndarray:
        """Return the part of the fluxes that holds slopes, by central differences."""
        function = self.directions[k].diffusion
        assert function is not None
        g = self.ghosts
        near = padded[..., g - 1 : padded.shape[-1] - g + 1]
        slope = np.diff(near) / self.widths[k]
        mean = (near[..., 1:] + near[..., :-1]) / 2
        x = self._along(k, 1)
        before, after = self._across(k, slice(None))
        where = (*before, (x[1:] + x[:-1]) / 2, *after)
        return stacked(function(t, *where, *mean, *slope), mean.shape[1:])

    def _paces(self, t: float, q: np.ndarray) -> tuple[float, float]:
        """Return the rates 1/Δt that waves and sources, and diffusion, ask for."""
        advective = diffusive = 0.0
        for k, direction in enumerate(self.directions):
            lines = np.moveaxis(q, k + 1, -1)
            lines = lines.reshape(self.size, -1, lines.shape[-1])
            before, after = self._across(k, slice(None))
            x, h = self.centres[k], float(self.widths[k])
            if direction.is_advective:
                speeds = direction.waves.at(t, before, after).speeds(x, lines)
                advective += float(np.abs(speeds).max()) / (h * self.solver.courant)
            if direction.diffusivity is not None:
                slopes = np.gradient(lines, h, axis=-1)
                entries = direction.diffusivity(t, *before, x, *after, *lines, *slopes)
                # Stable while 4ν/h² Δt < 2.5.
                diffusive += 2 * _row_sums(entries, self.size) / h**2
        if self._stiffness is not None:
            entries = self._stiffness(t, *self._mesh(), *q)
            advective += _row_sums(entries, self.size) / 2
        return advective, diffusive

    def step(self, t: float, q: np.ndarray) -> float:
        """Return the longest stable time step."""
        step = 1 / max(sum(self._paces(t, q)), 1e-300)
        if self.is_fifth_order and not all(self.periodic):
            # Boundary values at the stages leave the third order in time.
            step *= (_COARSE / max(self.solver.cells, _COARSE)) ** (2 / 3)
        return step

    def is_stiff(self, q: np.ndarray) -> bool:
        """Say whether an implicit method takes far fewer steps, and can be used."""
        assert self.problem.time is not None
        if len(self.centres) > 1 or self.periodic[0]:
            return False
        start = self.problem.time.start
        advective, diffusive = self._paces(start, q)
        length = self.problem.time.end - start
        return diffusive * length > _STIFF * max(advective * length, 100.0)


class _Direction:
    """The functions of the fluxes along one axis."""

    def __init__(self, form: ConservationForm, k: int) -> None:
        arguments = [*form.coordinates, *form.states]
        slopes = [row[k] for row in form.slopes]
        matrix = sp.Matrix(form.flux[k]).jacobian(form.states)
        closed = eigenvalues(matrix)
        self.is_advective = any(form.flux[k])
        self._size = len(form.states)
        self.waves = Characteristics(
            numpy_function(arguments, form.flux[k]),
            numpy_function(arguments, list(matrix)),
            None if closed is None else numpy_function(arguments, closed),
        )
        self.diffusion = self.diffusivity = None
        if any(form.diffusion[k]):
            entries = list(sp.Matrix(form.diffusion[k]).jacobian(slopes))
            self.diffusion = numpy_function([*arguments, *slopes], form.diffusion[k])
            self.diffusivity = numpy_function([*arguments, *slopes], entries)

    def order_waves(self, t: float, *columns: np.ndarray) -> None:
        """Find which waves run between the others, at the states in `columns`."""
        waves = self.waves
        if waves.eigenvalues is None or self._size == 1:
            return
        speeds = stacked(waves.eigenvalues(t, *columns), columns[-1].shape)
        gaps = np.diff(np.sort(speeds, axis=0), axis=0).min(axis=0, initial=np.inf)
        index = int(np.nanargmax(gaps))
        here = speeds[:, index]
        entries = waves.entries(t, *(float(c[index]) for c in columns))
        matrix = np.array(entries, dtype=float).reshape(self._size, self._size)
        found = np.linalg.eigvals(matrix)
        nearest = np.abs(found[:, None] - here).argmin(axis=1)
        waves.middle = tuple(int(k) for k in np.argsort(here)[1:-1])
        waves.multiplicities = tuple(
            int((nearest == k).sum()) for k in range(len(here))
        )


def _row_sums(entries: Sequence[Any], size: int) -> float:
    """Return the largest row sum of absolute values, over all cells."""
    rows = [
        sum(np.abs(e) for e in entries[i : i + size])
        for i in range(0, size * size, size)
    ]
    return float(max(np.max(row) for row in rows))


def _march(
    scheme: _Scheme,
    start: np.ndarray,
    outputs: np.ndarray,
    progress: Progress,
    budget: float | None,
) -> Trajectory:
    """Step explicitly, each output time being met."""
    deadline = None if budget is None else time.process_time() + budget
    tableau = _RK5 if scheme.is_fifth_order else _SSPRK3
    values = np.empty((len(outputs), *start.shape))
    values[0] = q = start
    t, end = float(outputs[0]), float(outputs[-1])
    span, steps = end - t, 0

    def stop(status: Status, message: str) -> Trajectory:
        return Trajectory(None, status, message, steps, steps * len(tableau))

    for i, target in enumerate(outputs[1:], 1):
        while t < target:
            if deadline is not None and time.process_time() > deadline:
                return stop(
                    Status.NOT_REACHED,
                    f"The budget of {budget:g} CPU s ended at t = {t:g} of {end:g} "
                    f"after {steps} steps; raise it, or take fewer cells.",
                )
            step = scheme.step(t, q)
            if not np.isfinite(step) or not np.isfinite(q.sum()):
                return stop(
                    Status.NAN,
                    f"Values became NaN or infinite at t = {t:g}; the state may have "
                    "left its range (a negative density), or the solution blows up.",
                )
            if step < 1e-12 * span:
                return stop(
                    Status.DIVERGED,
                    f"Steps became shorter than {1e-12 * span:g} at t = {t:g} of "
                    f"{end:g}; the solution may blow up there.",
                )
            whole = target - t
            # Equal steps to the output, so that none is left over.
            step = whole / np.ceil(whole / step * (1 - 1e-12))
            last = step >= whole * (1 - 1e-9)
            q = _advanced(scheme, t, q, step, tableau)
            t = float(target) if last else t + step
            steps += 1
            progress((t - float(outputs[0])) / span, f"t = {t:g}")
        values[i] = q
    if not np.isfinite(values).all():
        return stop(Status.NAN, f"Values became NaN or infinite before t = {end:g}.")
    return Trajectory(values, Status.OK, "", steps, steps * len(tableau))


def _advanced(
    scheme: _Scheme,
    t: float,
    q: np.ndarray,
    step: float,
    tableau: tuple[tuple[float, ...], ...],
) -> np.ndarray:
    """Return the state after one explicit Runge-Kutta step."""
    stage, share, rates = q, 0.0, []
    for row in tableau:
        rates.append(scheme.rate(t + share * step, stage))
        share = sum(row)
        stage = q + sum((step * w) * r for w, r in zip(row, rates, strict=True) if w)
    return stage


def _march_implicit(
    scheme: _Scheme,
    start: np.ndarray,
    outputs: np.ndarray,
    progress: Progress,
    budget: float | None,
) -> Trajectory:
    """Step by LSODA with a banded Jacobian; the fields of a cell are neighbours."""
    size, cells = start.shape
    reach = max(scheme.ghosts, 5 if scheme.ghosts == 3 else 3)
    band = (reach + 1) * size - 1

    def rate(t: float, y: np.ndarray) -> np.ndarray:
        return scheme.rate(t, y.reshape(cells, size).T).T.ravel()

    def stepper() -> Any:
        return STEPPERS["LSODA"](
            rate,
            float(outputs[0]),
            start.T.ravel(),
            float(outputs[-1]),
            lband=band,
            uband=band,
            **_TOLERANCES,
        )

    found = march(stepper, outputs, progress=progress, budget=budget)
    if found.values is None:
        return found
    shaped = found.values.reshape(len(outputs), cells, size).transpose(0, 2, 1)
    return replace(found, values=shaped)
