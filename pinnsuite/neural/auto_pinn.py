"""The learned method that fits the problem, chosen by what its definition says."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from pinnsuite.neural.identification import identified, misfits
from pinnsuite.neural.option import DTYPES, at_least, choice, positive
from pinnsuite.neural.pinn import PINN
from pinnsuite.neural.random_features.solver import RandomFeatures
from pinnsuite.neural.snapshot import Stopwatch
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.form import classify
from pinnsuite.problem.mixed import mixed
from pinnsuite.problem.replaced import with_coefficients
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.solution import Snapshot, Solution, Status, failed
from pinnsuite.solver import Progress, require_supported, silent

MANY_COORDINATES = 4
"""Coordinates from which a network is trained in batches, by SOAP in float32."""
FIRST_SHARE = 0.5
"""Share of a budget after which another method follows if none has been accepted."""
WORSE_FIT = 3.0
"""Times the misfit of the network, above which exact equations fit another minimum."""
NOISE_ALLOWANCE = 0.1
"""Acceptance with measurements: their noise leaves a residual that no fit removes."""


@dataclass(frozen=True)
class AutoPINN:
    """A choice between random features and networks, by the form of the problem.

    What is tried, in this order, until the residual at fresh points accepts it:

    - forward problems: `random-features`, which solves linear problems at once,
      ordinary systems and evolution in windows, and smooth stationary ones by
      Gauss-Newton; then
    - in many dimensions, a network in batches with SOAP in float32;
    - with unknown coefficients in ordinary equations, a small network that follows the
      measurements closely; everything else, `pinn` as it is. Where the unknowns are
      numbers, what the network finds is where Gauss-Newton steps over forward solutions
      by `random-features` begin, in the other half of the budget.

    A result is accepted by its residual at fresh points, of random features times the
    error that such a residual was seen to make, and never by a training loss:
    where none is accepted, the best of them is returned as not reached. There is no
    tuning per problem. The record names each step and why the next one came.

    Attributes
    ----------
    acceptance
        Largest share of error at fresh points that counts as solved.
    dtype, device
        Of networks: `float64` or `float32`, and where to compute.
    seed
        Of all weights and points.
    """

    family: ClassVar[str] = "pinn"
    tuned_on: ClassVar[tuple[str, ...]] = tuple(
        sorted({*PINN.tuned_on, *RandomFeatures.tuned_on, "lorenz_inverse"})
    )

    acceptance: float = 1e-2
    dtype: str = "float64"
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        positive(self, "acceptance")
        at_least(self, "seed", 0)
        choice(self, "dtype", DTYPES)

    def why_not(self, problem: Any) -> str | None:
        """Say which part of `problem` is out of reach, or None."""
        reasons = [s.why_not(problem) for s in (RandomFeatures(), PINN())]
        return None if None in reasons else reasons[-1]

    def candidates(self, problem: Problem) -> Iterator[RandomFeatures | PINN]:
        """Yield the solvers in the order in which they are tried."""
        features = RandomFeatures(
            acceptance=self.acceptance, first_share=FIRST_SHARE, seed=self.seed
        )
        if features.why_not(problem) is None:
            yield features
        network = PINN(
            tolerance=self.acceptance,
            dtype=self.dtype,
            device=self.device,
            seed=self.seed,
        )
        if network.why_not(problem) is not None:
            return
        form = classify(mixed(problem))
        if problem.unknowns and form.is_ordinary:
            # The fit to data finds the way, and its last Gauss-Newton step undoes what
            # their large weight does under noise. With 0.1 and Levenberg-Marquardt the
            # Lorenz system's coefficients were still 15 % off after 5 CPU s.
            network = replace(
                network,
                depth=2,
                points=300,
                steps=1000,
                data_weight=10.0,
                tolerance=max(self.acceptance, NOISE_ALLOWANCE),
            )
        elif problem.unknowns:
            network = replace(network, tolerance=max(self.acceptance, NOISE_ALLOWANCE))
        elif len(problem.coordinates) >= MANY_COORDINATES:
            network = replace(
                network,
                width=64,
                optimiser="soap",
                batch=500,
                points=8000,
                steps=20_000,
                dtype="float32",
            )
        yield network

    def solve(
        self,
        problem: Problem,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> Solution:
        """Solve `problem`; a budget in CPU seconds is shared by what is tried.

        Raises
        ------
        UnsupportedProblemError
            If `why_not` speaks.
        """
        require_supported(self, problem)
        clock = Clock()
        tried: list[tuple[str, Solution]] = []
        snapshots: list[Snapshot] = []
        candidates = list(self.candidates(problem))
        parts = len(candidates)
        share = 1.0
        if problem.unknowns and self._forward(problem) is not None:
            parts, share = parts + 1, FIRST_SHARE

        def run(name: str, solve: Callable[[Progress, float | None], Solution]) -> None:
            spent = clock.cost().total
            left = None if budget is None else share * budget - spent
            if left is not None and left <= 0:
                return
            found = solve(_part(progress, len(tried), parts, name), left)
            wall = sum(p.wall_s for p in clock.phases.values())
            clock.add(found.cost)
            snapshots.extend(
                replace(s, cpu_s=s.cpu_s + spent, wall_s=s.wall_s + wall)
                for s in found.snapshots
            )
            tried.append((name, found))

        for solver in candidates:
            name = "random-features" if isinstance(solver, RandomFeatures) else "pinn"
            run(name, functools.partial(_solved, solver, problem))
            if tried and tried[-1][1].status is Status.OK:
                break
        best = min((f for _, f in tried), key=_rank)
        if share < 1.0 and best.coefficients:
            share = 1.0
            run("gauss-newton", functools.partial(self._identify, problem, best))
            last = tried[-1][1]
            if last.status is Status.OK and (
                best.status is not Status.OK or _fits(problem, last, best)
            ):
                best = last
        steps = [f"{name}: {found.status}, {found.sentence}" for name, found in tried]
        return replace(
            best,
            message=" Then ".join(steps),
            cost=clock.cost(),
            snapshots=snapshots,
            details={**best.details, "tried": steps},
        )

    def _forward(self, problem: Problem) -> RandomFeatures | None:
        """Return what solves `problem` with known coefficients, if they are numbers."""
        if problem.unknown_fields:
            return None
        guesses = {u.name: u.guess for u in problem.unknown_scalars}
        features = RandomFeatures(acceptance=self.acceptance, seed=self.seed)
        known = with_coefficients(problem, guesses)
        return features if features.why_not(known) is None else None

    def _identify(
        self,
        problem: Problem,
        start: Solution,
        progress: Progress,
        budget: float | None,
    ) -> Solution:
        """Return the fit by Gauss-Newton steps from the coefficients of `start`."""
        features = self._forward(problem)
        assert features is not None
        watch, clock = Stopwatch(), Clock()

        def forward(known: Problem) -> Solution:
            left = None if budget is None else budget - watch.cpu_s
            return features.solve(known, budget=left)

        def is_over() -> bool:
            share = 0.0 if budget is None else watch.cpu_s / budget
            progress(min(share, 1.0), "forward solutions")
            return share >= 1.0

        with clock.phase("train"):
            found = identified(problem, start.coefficients, forward, is_over)
        if found is None or found.evaluator is None:
            return failed(
                Status.NOT_REACHED,
                "no forward solution near the coefficients within the budget",
                cost=clock.cost(),
            )
        misfit = float(found.details["misfit"])
        last = Snapshot(watch.cpu_s, watch.wall_s, misfit, found.evaluator)
        return replace(found, cost=clock.cost(), snapshots=[last])


def _solved(
    solver: RandomFeatures | PINN,
    problem: Problem,
    progress: Progress,
    budget: float | None,
) -> Solution:
    return solver.solve(problem, progress=progress, budget=budget)


def _fits(problem: Problem, found: Solution, other: Solution) -> bool:
    """Say whether a solution fits the measurements about as well as another one.

    That has more freedom: its equations do not hold exactly.
    """
    sizes = [
        np.linalg.norm(misfits(problem, s.evaluator))
        for s in (found, other)
        if s.evaluator is not None
    ]
    return len(sizes) == 2 and bool(sizes[0] <= WORSE_FIT * sizes[1])


def _part(progress: Progress, k: int, parts: int, name: str) -> Progress:
    """Return the progress of part k of several."""

    def report(fraction: float, note: str) -> None:
        progress((k + fraction) / parts, f"{name}: {note}")

    return report


def _rank(found: Solution) -> tuple[bool, bool, float]:
    """Return what the better of two solutions has less of."""
    shares = [
        float(found.details[name])
        for name in ("fresh_residual", "fresh_imbalance", "fresh_conditions")
        if name in found.details
    ]
    return (
        found.status is not Status.OK,
        not found.fields,
        max(shares, default=math.inf),
    )
