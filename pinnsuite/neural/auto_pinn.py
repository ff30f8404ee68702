"""The learned method that fits the problem, chosen by what its definition says."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from pinnsuite.errors import DefinitionError
from pinnsuite.neural.identification import Identification, misfits, variations
from pinnsuite.neural.option import DTYPES, at_least, choice, positive
from pinnsuite.neural.pinn import PINN
from pinnsuite.neural.random_features.solver import RandomFeatures
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
FIT_SHARE = 0.8
"""Share of what is left for the first Gauss-Newton steps: they end early if stuck."""
FEW_STEPS = 150
"""Of the network whose coefficients are where Gauss-Newton steps begin first."""
EXPLAINED, MOST_UNEXPLAINED = 0.2, 0.5
"""Share of the variation of measurements that a fit may leave to their noise: with
more, it may be another minimum, and the network is trained for longer. And the share
with which two fits that ended at the same place are accepted."""
WORSE_FIT = 3.0
"""Times the misfit of the network, above which exact equations fit another minimum."""
NOISE_ALLOWANCE = 0.1
"""Acceptance with measurements: their noise leaves a residual that no fit removes."""
NAMES = {
    RandomFeatures: "random-features",
    PINN: "pinn",
    Identification: "gauss-newton",
}


@dataclass(frozen=True)
class AutoPINN:
    """A choice between random features and networks, by the form of the problem.

    What is tried, in this order, until the residual at fresh points accepts it:

    - forward problems: `random-features`, which solves linear problems at once,
      ordinary systems and evolution in windows, and smooth stationary ones by
      Gauss-Newton; then
    - in many dimensions, a network in batches with SOAP in float32;
    - with unknown coefficients in ordinary equations, a small network that follows the
      measurements closely; everything else, `pinn` as it is;
    - where the unknowns are numbers, Gauss-Newton steps over forward solutions by
      `random-features`, from what the network finds: soon, and once more when it has
      been trained if they leave the measurements unexplained.

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
        sorted(
            {
                *PINN.tuned_on,
                *RandomFeatures.tuned_on,
                "burgers_viscosity",
                "lorenz_inverse",
            }
        )
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
        with clock.phase("symbolic"):
            forward = self._forward(problem)
        parts = len(list(self._attempts(problem, forward, [])))
        for solver, share in self._attempts(problem, forward, tried):
            spent = clock.cost().total
            left = None if budget is None else share * (budget - spent)
            if left is not None and left <= 0:
                break
            name = NAMES[type(solver)]
            found = solver.solve(
                problem,
                progress=_part(progress, len(tried), parts, name),
                budget=left,
            )
            wall = sum(p.wall_s for p in clock.phases.values())
            clock.add(found.cost)
            snapshots += [
                replace(s, cpu_s=s.cpu_s + spent, wall_s=s.wall_s + wall)
                for s in found.snapshots
            ]
            tried.append((name, found))
            if found.status is Status.OK and (
                forward is None or _unexplained(found) <= EXPLAINED
            ):
                break
        if not tried:
            return failed(Status.NOT_REACHED, f"no time within {budget} CPU s")
        best = _best(problem, [found for _, found in tried])
        steps = [f"{name}: {found.status}, {found.sentence}" for name, found in tried]
        return replace(
            best,
            message=" Then ".join(steps),
            cost=clock.cost(),
            snapshots=snapshots,
            details={**best.details, "tried": steps},
        )

    def _attempts(
        self,
        problem: Problem,
        forward: RandomFeatures | None,
        tried: Sequence[tuple[str, Solution]],
    ) -> Iterator[tuple[RandomFeatures | PINN | Identification, float]]:
        """Yield solvers, and their shares of what is left of the budget.

        Numbers are identified twice if need be: from a network that was trained for a
        little while, and from one that had the time it takes.
        """
        for solver in self.candidates(problem):
            if forward is None or not isinstance(solver, PINN):
                yield solver, 1.0
                continue
            for network in (replace(solver, steps=FEW_STEPS), solver):
                yield network, FIRST_SHARE
                start = tried[-1][1].coefficients if tried else {}
                share = FIT_SHARE if network is not solver else 1.0
                yield Identification(forward, start), share

    def _forward(self, problem: Problem) -> RandomFeatures | None:
        """Return what solves it with known coefficients, where they are numbers."""
        if not problem.unknowns or problem.unknown_fields:
            return None
        guesses = {u.name: u.guess for u in problem.unknown_scalars}
        features = RandomFeatures(acceptance=self.acceptance, seed=self.seed)
        try:
            known = with_coefficients(problem, guesses)
        except DefinitionError:
            return None
        return features if features.why_not(known) is None else None


def _best(problem: Problem, found: Sequence[Solution]) -> Solution:
    """Return the best of what was tried.

    A fit with exact equations, if it explains the measurements, if it ended where
    another one did, or if it fits about as well as an accepted network.
    """
    best = min(found, key=_rank)
    fits = [s for s in found if s.status is Status.OK and "unexplained" in s.details]
    networks = [
        s for s in found if s.status is Status.OK and "unexplained" not in s.details
    ]
    if not fits:
        return best
    exact = min(fits, key=_unexplained)
    is_met = len(fits) > 1 and _meet(*fits) and _unexplained(exact) <= MOST_UNEXPLAINED
    if networks and not any(_fits(problem, exact, other) for other in networks):
        return min(networks, key=_rank)
    if networks or is_met or _unexplained(exact) <= EXPLAINED:
        return exact
    return replace(
        exact,
        status=Status.NOT_REACHED,
        message=f"another minimum may be the right one: {exact.sentence}",
    )


def _unexplained(found: Solution) -> float:
    """Return how much of the measurements a fit does not explain."""
    return float(found.details.get("unexplained", math.inf))


def _meet(one: Solution, other: Solution) -> bool:
    """Say whether each fit's coefficients lie in the intervals of the other."""
    return all(
        low <= b.coefficients[name] <= high
        for a, b in ((one, other), (other, one))
        for name, (low, high) in a.details["intervals"].items()
    )


def _fits(problem: Problem, found: Solution, other: Solution) -> bool:
    """Say whether a solution fits the measurements about as well as another one.

    That has more freedom: its equations do not hold exactly.
    """
    sizes = [
        math.hypot(
            *(
                float(np.linalg.norm(r)) / unit
                for r, unit in zip(
                    misfits(problem, s.evaluator), variations(problem), strict=True
                )
            )
        )
        for s in (found, other)
        if s.evaluator is not None
    ]
    return len(sizes) == 2 and sizes[0] <= WORSE_FIT * sizes[1]


def _part(progress: Progress, k: int, parts: int, name: str) -> Progress:
    """Return the progress of part k of several."""

    def report(fraction: float, note: str) -> None:
        progress((k + fraction) / parts, f"{name}: {note}")

    return report


def _rank(found: Solution) -> tuple[bool, bool, float]:
    """Return what the better of two solutions has less of."""
    shares = [
        float(found.details[name])
        for name in (
            "fresh_residual",
            "fresh_imbalance",
            "fresh_conditions",
            "unexplained",
        )
        if name in found.details
    ]
    return (
        found.status is not Status.OK,
        not found.fields,
        max(shares, default=math.inf),
    )
