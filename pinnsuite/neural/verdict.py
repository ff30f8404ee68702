"""How well equations and conditions hold, at points that were not trained on.

A small training loss proves nothing: strong optimisers reach 1e-10 on solutions that
are wrong between the points.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch

from pinnsuite.neural.objective import CollocationObjective
from pinnsuite.neural.residual import Place, Residual

QUIET = 0.1
"""Where an equation's terms are smaller than this share of their root mean square, the
share stands for them: nothing happens there that a relative residual could measure."""

SLABS = 16
"""Parts that each coordinate's range is cut into, to look for the worst one."""

CONDITIONS = ("initial", "boundary", "periodic")


@dataclass(frozen=True)
class Verdict:
    """Root mean squares of residuals in units of their natural size.

    Attributes
    ----------
    training_residual, fresh_residual
        Of the equations, at the collocation points and at fresh ones.
    fresh_imbalance
        Of the equations at fresh points, in units of the size of their terms there, in
        the worst slab across the domain: between 0 and 1. The natural size is known
        before the solution is; where the solution makes the terms smaller, a residual
        of a tenth of it may be all there is. And a network may pass from one solution
        to another, say to rest, within a slab that a mean over the domain hides.
    fresh_conditions
        Of the conditions that are left to the loss, at fresh points.
    data_misfit
        Of the measurements.
    """

    training_residual: float
    fresh_residual: float
    fresh_imbalance: float
    fresh_conditions: float
    data_misfit: float

    @property
    def worst(self) -> float:
        """The largest of those that tell a solution from something else."""
        return max(self.fresh_residual, self.fresh_imbalance, self.fresh_conditions)


def verdict(
    objective: CollocationObjective,
    fresh: Mapping[Place, tuple[torch.Tensor, torch.Tensor]],
    parameters: torch.Tensor,
) -> Verdict:
    """Return how well everything holds.

    Parameters
    ----------
    fresh
        Points of each place, and their data.
    """

    def rms(kinds: Collection[str], *, is_fresh: bool) -> float:
        squares = [
            float(values.square().mean())
            for place in objective.terms
            if place.kind in kinds
            for values in objective.at(
                place,
                *(fresh[place] if is_fresh else objective.points(place)),
                parameters,
            ).values()
        ]
        return math.sqrt(sum(squares) / len(squares)) if squares else 0.0

    return Verdict(
        training_residual=rms(["interior"], is_fresh=False),
        fresh_residual=rms(["interior"], is_fresh=True),
        fresh_imbalance=_imbalance(objective, fresh, parameters),
        fresh_conditions=rms(CONDITIONS, is_fresh=True),
        data_misfit=rms(["observed"], is_fresh=False),
    )


def _imbalance(
    objective: CollocationObjective,
    fresh: Mapping[Place, tuple[torch.Tensor, torch.Tensor]],
    parameters: torch.Tensor,
) -> float:
    """Return the worst root mean square of `r / Σ |terms|`, by equation and slab."""
    found = [0.0]
    for place in objective.terms:
        if place.kind != "interior":
            continue
        points, _ = fresh[place]
        values = objective.at(place, *fresh[place], parameters)
        sizes = objective.at(place, *fresh[place], parameters, Residual.magnitude)
        for term in objective.terms[place]:
            r = term.residual
            if r.num_terms < 2:
                continue
            size = sizes[r]
            floor = QUIET * size.square().mean().sqrt()
            if floor > 0:
                ratio = values[r] / torch.maximum(size, floor)
                found += [_worst_slab(ratio, x) for x in points.unbind(1)]
    return max(found)


def _worst_slab(ratio: torch.Tensor, along: torch.Tensor) -> float:
    """Return the largest root mean square among slabs of one coordinate."""
    low, high = along.min(), along.max()
    if not high > low:
        return float(ratio.square().mean().sqrt())
    slab = ((along - low) / (high - low) * SLABS).long().clamp(max=SLABS - 1)
    sums = torch.bincount(slab, ratio.square(), SLABS)
    return float(
        (sums / torch.bincount(slab, minlength=SLABS).clamp(min=1)).max().sqrt()
    )
