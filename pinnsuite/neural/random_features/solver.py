"""Random features: a network with a frozen hidden layer, fitted by least squares."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from pinnsuite.errors import DefinitionError, OptionError, UnsupportedProblemError
from pinnsuite.neural.random_features import basis as functions
from pinnsuite.neural.random_features.corners import disputed
from pinnsuite.neural.random_features.equations import Equations
from pinnsuite.neural.random_features.marching import OUT_OF_TIME, March, march
from pinnsuite.neural.random_features.piece import Piece, StepPiece
from pinnsuite.neural.random_features.splitting import split
from pinnsuite.neural.random_features.stepping import step_through
from pinnsuite.neural.random_features.whole import (
    FEW_COORDINATES,
    Level,
    layers,
    many_patches,
    one_patch,
)
from pinnsuite.neural.sampling import interior
from pinnsuite.neural.snapshot import Stopwatch
from pinnsuite.problem.conditions import Initial, Observed
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.form import require_equations
from pinnsuite.problem.jets import Jet
from pinnsuite.problem.jumps import curved_jumps, jump_planes
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Evaluator, Snapshot, Solution, Status, failed
from pinnsuite.solution.support import common_support
from pinnsuite.solver import Progress, require_supported, silent

ACTIVATIONS = (functions.SINE, functions.TANH)
PATCH_FEATURES = {1: 24, 2: 80, 3: 160}
"""Features of a patch, by the number of coordinates, time included."""
WINDOW_SCALE = 1.0
"""Scale of the features in time, in a window of a march: windows are short instead."""
PATCH_SCALE = 3.0
"""Scale in space, and in time for ordinary equations."""
FIRST_PATCHES = {1: 8, 2: 4}
"""Patches along each axis when a march begins, by the dimension of space."""
BEYOND = 1e-2
"""Share of the last tolerance that one patch goes on to: with the scales found, more
features are cheap."""
MAX_PATCHES = 400
HIGH_ORDER = 2
"""In space on a line, above which harmonics are stepped where it is periodic."""
FIRST_FREQUENCIES = 16
TOLERANCES = (1e-3, 1e-5, 1e-7)
WIDE_TOLERANCES = (1e-1, 1e-2, 1e-3, 1e-5)
"""Of evolution in the plane and in space."""
ORDINARY_TOLERANCES = (1e-5, 1e-7, 1e-9)
"""Of ordinary equations: a march to a small tolerance costs as much as to a large one.
"""
LEAST_FACTOR = 3.0
"""Where a tolerance cannot be reached, the geometric mean with the last is tried, so
long as that is at least so many times smaller than the last."""
ONE_PATCH_SHARE = 0.3
"""Share of the first part of a budget for one patch, where many may follow."""
IN_SIGHT = 10.0
"""Times the acceptance: a solution that close is worth the rest of a budget."""
PROJECTED, HOPELESS = 0.1, 2.0
"""Share of a march from which its end is foreseen, and how many times what is left of
the budget it may seem to need before it is given up, where there is a solution."""
UNCONFIRMED = 30.0
"""Amplification of a march that there is no other one to compare with: that of chaos
ended within its tolerance of 1e-3, off by 0.29."""
SATURATED, STRONG, UNSEEN = 0.1, 10.0, 10.0
"""An error that grew to such a share of the solution, and by so many times, would have
grown further: its amplification counts so many times more."""
BETTER = 0.9
"""A solution replaces the last one below this share of its indicator: where that stayed
at 2.6e-3, on more patches towards a jump, the error rose from 1.7e-4 to 2.0e-3."""
COMPARED_POINTS = 1000
GAUGE_POINTS = 1 << 14


@dataclass(frozen=True)
class RandomFeatures:
    """A network whose hidden layer is random and fixed: a spectral collocation method.

    Only the last layer is fitted, so that a linear problem is one linear least-squares
    problem, solved by orthogonal factorisation, and a nonlinear one a few Gauss-Newton
    steps. Stationary and linear problems are tried on one patch: the features' scales
    are chosen by the residual at fresh points, then their number grows; where that does
    not reach the tolerance, the domain is cut into patches with continuity conditions
    between them, halved one by one where the residual is large, several times at once
    towards corners where that hardly lessens it. Evolution is marched through time
    in windows whose length follows the residual, on patches that follow the solution;
    in the plane and in space the coefficients of features of space follow an implicit
    Runge-Kutta method, or one that is implicit in the linear part alone; and so do
    those of a Fourier basis, of which nothing is random, on a period if the equations
    are of third or higher order in space.
    Where a coefficient under a derivative jumps, patches end, and its flux is
    continuous between them in place of the slope; so the jumps must lie on planes
    across one coordinate, and not on too many. Nothing is tuned by hand, and no
    reference is seen.

    The error falls exponentially with the number of features where the solution is
    analytic in a patch, and slowly at corners and jumps. It is a classical method in
    all but its random basis, and its costs should be compared with those.

    Sources: J. Chen, X. Chi, W. E, Z. Yang, Journal of Machine Learning 1 (2022)
    268-298, DOI 10.4208/jml.220726; S. Dong, Z. Li, Computer Methods in Applied
    Mechanics and Engineering 387 (2021) 114129, DOI 10.1016/j.cma.2021.114129 (local
    networks with continuity conditions, block time marching, nonlinear least squares).

    Attributes
    ----------
    tolerances
        Decreasing shares of error (see `System.indicators`) to reach one after the
        other; each that is reached is a snapshot, so that a budget may end between.
        None: 1e-3, 1e-5, 1e-7; for ordinary equations a hundred times less, for
        evolution in the plane and in space from 1e-1 to 1e-5.
    acceptance
        The largest share of error that counts as solved: the indicator at fresh points,
        times by how much more than its own indicator the solution before was off.
    first_share
        Share of a budget after which it ends if nothing is accepted or in sight yet.
    activation
        `sine` or `tanh`.
    features
        In each patch of several; None chooses by the number of coordinates.
    max_unknowns
        Coefficients at most, in all patches, of fields that are solved for together.
    seed
        Of the hidden layer.
    """

    family: ClassVar[str] = "pinn"
    tuned_on: ClassVar[tuple[str, ...]] = (
        "allen_cahn",
        "backward_facing_step",
        "burgers",
        "burgers_2d",
        "cahn_hilliard",
        "channel_pulsating",
        "fitzhugh_nagumo",
        "gray_scott",
        "heat_l_shape",
        "heat_long_time",
        "heat_multiscale",
        "heat_pipes",
        "helmholtz",
        "kdv",
        "kovasznay",
        "kuramoto_sivashinsky",
        "l_shape_laplace",
        "layered_aquifer",
        "lid_driven_cavity",
        "nonlinear_schroedinger",
        "poisson_discs",
        "poisson_patchwork",
        "poisson_spheres",
        "sine_gordon",
        "taylor_green",
        "van_der_pol",
        "wave_2d_long_time",
    )

    tolerances: tuple[float, ...] | None = None
    acceptance: float = 1e-2
    first_share: float = 1.0
    activation: str = "sine"
    features: int | None = None
    max_unknowns: int = 60_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.tolerances is not None and (
            not self.tolerances
            or not all(0 < b < a for a, b in pairwise((1.0, *self.tolerances)))
        ):
            raise OptionError(
                f"Option 'tolerances' of RandomFeatures is {self.tolerances!r}; needed "
                "are decreasing numbers between 0 and 1."
            )
        if not 0 < self.acceptance < 1:
            raise OptionError(
                f"Option 'acceptance' of RandomFeatures is {self.acceptance!r}; needed "
                "is a number between 0 and 1."
            )
        if not 0 < self.first_share <= 1:
            raise OptionError(
                f"Option 'first_share' of RandomFeatures is {self.first_share!r}; "
                "needed is a number above 0, at most 1."
            )
        if self.activation not in ACTIVATIONS:
            raise OptionError(
                f"Option 'activation' of RandomFeatures is {self.activation!r}; known: "
                f"{', '.join(ACTIVATIONS)}."
            )
        for name, least in (("features", 4), ("max_unknowns", 10), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise OptionError(
                    f"Option {name!r} of RandomFeatures is {value!r}; at least {least} "
                    "is needed."
                )

    def why_not(self, problem: Any) -> str | None:
        """Say which part of `problem` is out of reach, or None."""
        if not isinstance(problem, Problem):
            return f"it is a {type(problem).__name__}; it solves differential equations"
        if problem.unknowns or problem.conditions_of(Observed):
            return "it has unknown coefficients or measurements; use 'pinn'"
        try:
            require_equations(problem)
        except UnsupportedProblemError as error:
            return str(error)
        if problem.norm == "L1":
            return "its solution jumps, and the features do not; use 'finite-volume'"
        for jump in curved_jumps(problem):
            return (
                f"{jump} jumps under a derivative, and not on planes across one "
                "coordinate, where patches could end; use 'finite-element'"
            )
        try:
            self._require_few_layers(Equations.of(problem))
        except UnsupportedProblemError as error:
            return str(error)
        except DefinitionError as error:
            return f"its equations cannot be expanded: {str(error).rstrip('.')}"
        return None

    def _require_few_layers(self, equations: Equations) -> None:
        """Raise UnsupportedProblemError where patches between jumps are too many."""
        if not equations.fluxes:
            return
        problem = equations.problem
        features = self.features or PATCH_FEATURES[len(problem.coordinates)]
        cells = math.prod(len(jump_planes(problem, x)) + 1 for x in problem.space)
        unknowns = cells * features * len(problem.fields)
        if unknowns > self.max_unknowns:
            raise UnsupportedProblemError(
                f"its coefficients jump between {cells} boxes, whose features are "
                f"{unknowns} unknowns, more than {self.max_unknowns}; "
                "use 'cell-centred' or 'finite-element'"
            )

    def solve(
        self,
        problem: Problem,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> Solution:
        """Solve `problem`; a budget in CPU seconds ends it at its best so far.

        Raises
        ------
        UnsupportedProblemError
            If `why_not` speaks.
        """
        require_supported(self, problem)
        clock = Clock()
        with clock.phase("symbolic"):
            equations = Equations.of(problem)
        run = _Run(self, equations, progress, budget)
        with clock.phase("train"), np.errstate(all="ignore"):
            run.go()
        details = {
            "dofs": run.num_unknowns,
            "stop_reason": run.stop_reason,
            "fresh_residual": run.share,
            "amplification": run.amplification,
            "method": run.note,
        }
        if not run.pieces:
            return failed(
                Status.NOT_REACHED,
                f"no solution within the budget: {run.stop_reason}",
                cost=clock.cost(),
                details=details,
            )
        evaluate = run.evaluator(run.pieces)
        support = common_support(problem)
        with clock.phase("infer"):
            values = evaluate(support.points)
        message = (
            f"{run.note}; share of error {run.share:.1e} at fresh points; stopped "
            f"by {run.stop_reason}"
        )
        is_solved = run.share <= self.acceptance
        return Solution(
            support,
            {n: v.reshape(support.shape) for n, v in values.items()},
            Status.OK if is_solved else Status.NOT_REACHED,
            message if is_solved else f"not below {self.acceptance:g}: {message}",
            evaluator=evaluate,
            cost=clock.cost(),
            history={"indicator": np.array(run.indicators)},
            snapshots=run.snapshots,
            details=details,
        )


class _Run:
    """One solve: its best solution so far, and its snapshots."""

    def __init__(
        self,
        options: RandomFeatures,
        equations: Equations,
        progress: Progress,
        budget: float | None,
    ) -> None:
        self._options, self._equations = options, equations
        self._progress, self._budget = progress, budget
        self._tolerances = options.tolerances or _tolerances(equations.problem)
        self._watch = Stopwatch()
        self.pieces: Sequence[Piece | StepPiece] = ()
        self.indicator = math.inf
        self.amplification = 1.0
        self.indicators: list[float] = []
        self.note, self.stop_reason = "", "the last tolerance"
        self.snapshots: list[Snapshot] = []
        self._known = disputed(equations.problem)

    def evaluator(self, pieces: Sequence[Piece | StepPiece]) -> Evaluator:
        """Return the function from points to fields by name, see `evaluator`."""
        return evaluator(self._equations.problem, pieces, self._known)

    @property
    def num_unknowns(self) -> int:
        """Coefficients of the largest piece."""
        return max((p.coefficients.size for p in self.pieces), default=0)

    @property
    def share(self) -> float:
        """The indicator of the best solution, times the amplification."""
        return self.indicator * self.amplification

    def go(self) -> None:
        """Try one patch, then many, or march; whichever applies."""
        o, equations = self._options, self._equations
        problem = equations.problem
        is_evolution = bool(problem.conditions_of(Initial))
        last = self._tolerances[-1]
        d = len(problem.coordinates)
        if (equations.is_linear or not is_evolution) and problem.domain is not None:
            limit = min(o.max_unknowns, 3000)
            self._climb(
                one_patch(equations, o.activation, o.seed, limit, self._in_one_patch),
                BEYOND,
            )
            if self.share <= last or d > FEW_COORDINATES:
                if self.share > last and not self._is_over():
                    self.stop_reason = "the number of features"
                return
        if is_evolution:
            self._march()
        else:
            features = o.features or PATCH_FEATURES[d]
            self._climb(
                many_patches(
                    equations,
                    o.activation,
                    o.seed,
                    features,
                    o.max_unknowns,
                    self._remaining,
                )
            )
            if self.share > last:
                self.stop_reason = (
                    "the number of unknowns"
                    if self._budget is None
                    else "the budget, or the number of unknowns"
                )

    def _remaining(self, share: float | None = None) -> float:
        """Return what is left of a share of the budget, by default of the one due.

        The whole of it is, once an accepted solution is in sight.
        """
        if self._budget is None:
            return math.inf
        if share is None:
            in_sight = self.share <= IN_SIGHT * self._options.acceptance
            share = 1.0 if in_sight else self._options.first_share
        return share * self._budget - self._watch.cpu_s

    def _in_one_patch(self) -> float:
        """Return what is left for one patch: a part of it, if patches may follow."""
        d = len(self._equations.problem.coordinates)
        if d > FEW_COORDINATES or self.share <= self._options.acceptance:
            return self._remaining()
        return self._remaining(ONE_PATCH_SHARE * self._options.first_share)

    def _is_over(self) -> bool:
        over = self._remaining() <= 0
        if over:
            self.stop_reason = "the budget"
        return over

    def _climb(self, levels: Iterator[Level], beyond: float = 1.0) -> None:
        last = beyond * self._tolerances[-1]
        for found in levels:
            self._keep([found.piece], found.indicator, found.note)
            share = math.log(max(found.indicator, last)) / math.log(last)
            self._progress(
                min(max(share, 0.0), 1.0), f"{found.note}: {found.indicator:.1e}"
            )
            if self.share <= last:
                return

    def _keep(
        self, pieces: Sequence[Piece | StepPiece], indicator: float, note: str
    ) -> None:
        self.indicators.append(indicator)
        if not indicator < BETTER * self.indicator:
            return
        evaluate = self.evaluator(pieces)
        if self.snapshots:
            self.amplification = self._amplified(evaluate)
        self.pieces, self.indicator, self.note = list(pieces), indicator, note
        self.snapshots.append(
            Snapshot(self._watch.cpu_s, self._watch.wall_s, indicator, evaluate)
        )

    def _amplified(self, evaluate: Evaluator) -> float:
        """Return how many times its indicator the last solution was off, at least 1.

        By the distance to a better one. Where viscosity is small, or a parameter near
        an eigenvalue, a small residual makes a large error.
        """
        points = interior(self._equations.problem, COMPARED_POINTS, seed=3)
        now, before = evaluate(points), self.snapshots[-1].evaluate(points)
        apart = 0.0
        for name, values in now.items():
            size = float(np.linalg.norm(values))
            if size:
                gap = float(np.linalg.norm(values - before[name])) / size
                apart = max(apart, gap)
        amplification = apart / self.indicator
        if apart > SATURATED and amplification > STRONG:
            amplification *= UNSEEN
        return max(1.0, amplification)

    def _march(self) -> None:
        ways = self._ways()
        advance = next(ways)
        ahead = list(self._tolerances)
        reached = 1.0
        while ahead:
            tolerance = ahead.pop(0)
            if self.indicator <= tolerance:
                reached = tolerance
                if self.amplification != UNCONFIRMED:
                    continue
                # Another march is to confirm the first one.
                tolerance = self.indicator / LEAST_FACTOR
            done = len(self._tolerances) - len(ahead) - 1
            result, trouble = advance(
                tolerance,
                self._report(tolerance, done / len(self._tolerances)),
                lambda: self._remaining(1.0) <= 0,
            )
            if not trouble:
                reached = tolerance
                is_first = not self.snapshots
                self._keep(result.pieces, result.worst * tolerance, _told(result))
                if is_first:
                    self.amplification = UNCONFIRMED
                continue
            if not self.pieces:
                self.pieces = result.pieces
                self.note = "windows up to where it stopped; frozen from there"
            if trouble == OUT_OF_TIME:
                return
            other = next(ways, None)
            if other is not None:
                advance, ahead = other, [tolerance, *ahead]
                continue
            self.stop_reason = trouble
            between = math.sqrt(reached * tolerance)
            if math.isinf(self.indicator) or between * LEAST_FACTOR > reached:
                return
            ahead = [between]

    def _ways(self) -> Iterator[Callable[..., tuple[March, str]]]:
        """Yield how to march, one after another that failed.

        Windows in the plane would need features of three coordinates, and many more. On
        a line, windows are better than steps as long as no more than values and slopes
        have to be continuous between patches.
        """
        o, equations = self._options, self._equations
        problem = equations.problem
        whole = layers(equations)
        is_stepped = problem.dimension > 1 and not equations.fluxes
        scales = (PATCH_SCALE,) * (problem.dimension or 1)
        if problem.dimension and not is_stepped:
            scales = (WINDOW_SCALE, *scales)
        basis = functions.draw(
            o.features or PATCH_FEATURES[len(scales)], scales, o.activation, o.seed
        )
        parts = split(equations) if is_stepped else None
        together = len(problem.fields)
        if parts is not None:
            # The others have factors of their own.
            together = max(len(group.fields) for group in parts.groups)
        limit = min(MAX_PATCHES, o.max_unknowns // (basis.size * together))
        is_smooth = problem.dimension == 1 and max(equations.orders[1]) > HIGH_ORDER
        if is_smooth and equations.periodic and len(whole) == 1:
            # Not split: one patch has factors that are cheap.
            waves = functions.Harmonics(FIRST_FREQUENCIES)
            yield functools.partial(step_through, equations, waves, whole, limit)
        partition = whole
        for axis in range(partition.dimension):
            count = FIRST_PATCHES.get(problem.dimension, 2)
            while 2 * len(partition.edges[axis]) - 1 <= count + 1:
                along = np.arange(partition.dimension) == axis
                every = np.tile(along, (len(partition), 1))
                partition = partition.refined(range(len(partition)), every)
        if is_stepped:
            stable = functions.Orthonormal.of(basis)
            yield functools.partial(
                step_through, equations, stable, partition, limit, parts=parts
            )
        else:
            yield functools.partial(march, equations, basis, partition, limit)

    def _report(self, tolerance: float, before: float) -> Callable[[float, str], bool]:
        """Return what a march to a tolerance reports to: True where it has to end."""
        began = self._watch.cpu_s

        def report(done: float, note: str) -> bool:
            share = before + done / len(self._tolerances)
            self._progress(min(share, 1.0), f"tolerance {tolerance:.0e}: {note}")
            spent = self._watch.cpu_s - began
            needed = spent / done * (1 - done) if done > PROJECTED else math.nan
            is_accepted = self.share <= self._options.acceptance
            if not is_accepted and needed <= self._remaining(1.0):
                return False
            if is_accepted and needed > HOPELESS * self._remaining():
                self.stop_reason = "the budget, which would not do"
                return True
            return self._is_over()

        return report


def _told(found: March) -> str:
    pieces = found.pieces
    kind = "steps" if isinstance(pieces[-1], StepPiece) else "windows"
    return (
        f"{len(pieces)} {kind} on up to {max(len(p.partition) for p in pieces)} "
        f"patches with {max(p.basis.size for p in pieces)} features"
    )


def _tolerances(problem: Problem) -> tuple[float, ...]:
    if problem.domain is None:
        return ORDINARY_TOLERANCES
    is_wide = problem.time is not None and len(problem.coordinates) > 2
    return WIDE_TOLERANCES if is_wide else TOLERANCES


def evaluator(
    problem: Problem,
    pieces: Sequence[Piece | StepPiece],
    known: Sequence[tuple[int, np.ndarray, float]] = (),
) -> Evaluator:
    """Return the function from points to fields by name.

    A field that is fixed up to a constant (the hint `gauge`) gets the mean zero. After
    the last window the fields stay what they are at its end. Stationary fields are what
    is `known` of them in corners, see `disputed`.
    """
    names = problem.field_names
    zero = (0,) * len(problem.coordinates)
    jets = [Jet(i, zero) for i in range(len(names))]
    ends = np.array([p.times[1] for p in pieces if p.times is not None])

    def at(points: np.ndarray) -> list[np.ndarray]:
        if not len(ends):
            found = pieces[0].jets(points, jets)
            for field, corner, value in known:
                found[field][np.isclose(points, corner).all(1)] = value
            return found
        points = points.copy()
        points[:, 0] = np.minimum(points[:, 0], ends[-1])
        owner = np.minimum(np.searchsorted(ends, points[:, 0]), len(ends) - 1)
        found = [np.empty(len(points)) for _ in jets]
        for k in np.unique(owner):
            mine = owner == k
            for whole_row, part in zip(
                found, pieces[k].jets(points[mine], jets), strict=True
            ):
                whole_row[mine] = part
        return found

    gauge = problem.hints.get("gauge")
    offsets: dict[str, Any] = {}

    def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
        if gauge is not None and not offsets:
            values = at(interior(problem, GAUGE_POINTS, 0))[names.index(gauge)]
            offsets[gauge] = values.mean()
        return {
            name: values - offsets.get(name, 0.0)
            for name, values in zip(names, at(points), strict=True)
        }

    return evaluate
