"""The weighted sum of squares of the residuals, as every optimiser sees it.

Value and gradient for descent methods, residuals and their Jacobian for Gauss-Newton
methods, all by passes written out by hand and over blocks of points that stay in cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from pinnsuite.neural.propagation import Propagation
from pinnsuite.neural.residual import Linearised, Place, Residual, to_unknown
from pinnsuite.neural.taylor import Carried, Channels, channels
from pinnsuite.neural.trial import CarriedBack, Prepared, Trial
from pinnsuite.problem.conditions import Unknown
from pinnsuite.problem.jets import Jet

BLOCK = 1000
"""Points that are worked on at once, so that a layer's arrays stay in cache."""


@dataclass(frozen=True, eq=False)
class Term:
    """One residual in the sum.

    Attributes
    ----------
    residual
        Whose values.
    scale
        Its natural size; it is divided by it.
    weight
        Of its mean square.
    """

    residual: Residual
    scale: float
    weight: float


@dataclass(frozen=True, eq=False)
class _Block:
    """Points of one place that are worked on at once.

    Attributes
    ----------
    arrays
        To compute with, shared by blocks of as many points.
    """

    terms: Sequence[Term]
    points: torch.Tensor
    data: torch.Tensor
    prepared: Prepared
    arrays: Propagation
    is_periodic: bool

    @property
    def num_rows(self) -> int:
        """The number of each term's residuals."""
        return len(self.points) // (2 if self.is_periodic else 1)

    def carried(self, weights: torch.Tensor) -> CarriedBack:
        """Return the derivatives of the fields at the points."""
        return self.prepared(weights, self.arrays)


class CollocationObjective:
    """`Σ_terms w/n Σ_points (r/s)²`, a function of one flat vector of parameters.

    The vector holds the network's parameters, then the free parameters of the unknown
    coefficients.

    Parameters
    ----------
    trial
        The fields.
    unknowns
        Coefficients to be found.
    terms
        By the place where they are taken.
    batch
        Points of each place that `draw` chooses; None: no choice.
    """

    def __init__(
        self,
        trial: Trial,
        unknowns: Sequence[Unknown],
        terms: Mapping[Place, Sequence[Term]],
        batch: int | None = None,
    ) -> None:
        self._trial, self._unknowns, self.terms = trial, unknowns, terms
        self._size = batch or BLOCK
        self._kept: dict[Place, Channels] = {
            place: channels(
                [jet for t in here for jet in t.residual.lowered.jets.values()],
                len(trial.coordinates),
            )
            for place, here in terms.items()
        }
        self._sets: dict[Place, tuple[torch.Tensor, torch.Tensor]] = {}
        self._blocks: dict[Place, list[_Block]] = {}
        self._chosen: dict[Place, list[_Block]] = {}
        self._arrays: dict[tuple[Channels, int, torch.dtype], Propagation] = {}
        self._jacobian: torch.Tensor | None = None

    def put(self, place: Place, points: torch.Tensor, data: torch.Tensor) -> None:
        """Take the residuals of a place at these points from now on."""
        self._sets[place] = points, data
        self._blocks[place] = list(self._cut(place, points, data))
        self._chosen[place] = self._blocks[place]

    def draw(self, generator: torch.Generator | None) -> None:
        """Choose a batch of each place's points, or all of them again.

        The points of a batch follow each other, in an order without meaning: that of a
        Sobol sequence or of a random draw.
        """
        for place, blocks in self._blocks.items():
            if generator is None:
                self._chosen[place] = blocks
            else:
                k = int(torch.randint(len(blocks), (), generator=generator))
                self._chosen[place] = blocks[k : k + 1]

    def points(self, place: Place) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the points of a place and their data, as they were put."""
        return self._sets[place]

    def _cut(
        self, place: Place, points: torch.Tensor, data: torch.Tensor
    ) -> Iterator[_Block]:
        is_periodic = place.kind == "periodic"
        n = len(points) // (2 if is_periodic else 1)
        for start in range(0, n, self._size):
            rows = torch.arange(start, min(start + self._size, n))
            if is_periodic:
                rows = torch.cat([rows, rows + n])
            x, kept = points[rows], self._kept[place]
            prepared = self._trial.at(x, kept)
            key = kept, len(rows), x.dtype
            if key not in self._arrays:
                self._arrays[key] = prepared.propagation()
            yield _Block(
                self.terms[place],
                x,
                data[rows],
                prepared,
                self._arrays[key],
                is_periodic,
            )

    def __call__(self, parameters: torch.Tensor) -> tuple[float, torch.Tensor]:
        """Return the value and its gradient."""
        value, gradient = 0.0, torch.zeros_like(parameters)
        weights, _, known, slopes = self._split(parameters)
        by_weights, by_unknowns = gradient.tensor_split([len(weights)])
        with torch.no_grad():
            for block, share in self._all():
                carried = block.carried(weights)
                cotangents: dict[Jet, torch.Tensor] = {}
                for term, at in _linearised(block, known, carried):
                    row, factor = _row(block, share, term, at)
                    value += float(row @ row)
                    seed = (2.0 * factor) * row
                    if block.is_periodic:
                        seed = torch.cat([seed, -seed])
                    for jet, partial in at.by_jet.items():
                        g = seed * partial
                        if jet in cotangents:
                            g += cotangents[jet]
                        cotangents[jet] = g
                    for k, partial in enumerate(at.by_unknown):
                        by_unknowns[k] += slopes[k] * (seed * partial).sum()
                carried.add_gradient(cotangents, by_weights)
        return value, gradient

    def residuals(self, parameters: torch.Tensor) -> torch.Tensor:
        """Return the weighted residuals r: the value is `r · r`."""
        weights, _, known, _ = self._split(parameters)
        rows = []
        with torch.no_grad():
            for block, share in self._all():
                carried = block.carried(weights)
                for term in block.terms:
                    r = term.residual(block.points, block.data, known, carried)
                    rows.append(_factor(share, term) * r)
        return torch.cat(rows)

    def jacobian(self, parameters: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the weighted residuals and their derivatives: (m,), (m, n).

        The next call writes the derivatives into the same array: a new one, of tens of
        megabytes, took as long as filling it.
        """
        weights, _, known, slopes = self._split(parameters)
        number = sum(len(b.terms) * b.num_rows for b, _ in self._all())
        r = parameters.new_empty(number)
        if self._jacobian is None or len(self._jacobian) != number:
            self._jacobian = parameters.new_empty(number, len(parameters))
        jacobian = self._jacobian
        start = 0
        with torch.no_grad():
            for block, share in self._all():
                carried = block.carried(weights)
                for term, at in _linearised(block, known, carried):
                    end = start + block.num_rows
                    row, factor = _row(block, share, term, at)
                    r[start:end] = row
                    seed = row.new_full((len(block.points),), factor)
                    into = whole = jacobian[start:end]
                    if block.is_periodic:
                        seed[block.num_rows :].neg_()
                        whole = into.new_empty(len(seed), into.shape[1])
                    cotangents = {j: seed * partial for j, partial in at.by_jet.items()}
                    carried.jacobian(cotangents, whole[:, : len(weights)])
                    for k, partial in enumerate(at.by_unknown):
                        whole[:, len(weights) + k] = slopes[k] * seed * partial
                    if block.is_periodic:
                        torch.add(*whole.chunk(2), out=into)
                    start = end
        return r, jacobian

    def parts(self) -> list[tuple[Term, int, float]]:
        """Return whose the weighted residuals are: term, how many, weight of each."""
        return [
            (term, block.num_rows, _factor(share, term))
            for block, share in self._all()
            for term in block.terms
        ]

    def at(
        self,
        place: Place,
        points: torch.Tensor,
        data: torch.Tensor,
        parameters: torch.Tensor,
        quantity: Callable[..., torch.Tensor] = Residual.__call__,
    ) -> dict[Residual, torch.Tensor]:
        """Return the residuals of a place in units of their scale, at any points.

        Or another `quantity` of theirs, as `Residual.magnitude`.
        """
        weights, _, known, _ = self._split(parameters)
        parts: list[list[torch.Tensor]] = [[] for _ in self.terms[place]]
        with torch.no_grad():
            for block in self._cut(place, points, data):
                carried = block.carried(weights)
                for term, values in zip(block.terms, parts, strict=True):
                    r = quantity(
                        term.residual, block.points, block.data, known, carried
                    )
                    values.append(r / term.scale)
        return {
            term.residual: torch.cat(values)
            for term, values in zip(self.terms[place], parts, strict=True)
        }

    def broken(self, parameters: torch.Tensor) -> list[str]:
        """Return the names of the residuals that are not finite everywhere."""
        weights, _, known, _ = self._split(parameters)
        with torch.no_grad():
            found = {
                term.residual.name: None
                for block, _ in self._all()
                for term in block.terms
                if not term.residual(
                    block.points, block.data, known, block.carried(weights)
                )
                .isfinite()
                .all()
            }
        return list(found)

    def coefficients(self, parameters: torch.Tensor) -> dict[str, float]:
        """Return the unknown coefficients by name."""
        _, _, known, _ = self._split(parameters)
        return {
            u.symbol.name: float(v) for u, v in zip(self._unknowns, known, strict=True)
        }

    def _all(self) -> Iterator[tuple[_Block, float]]:
        """Give the chosen blocks and one over the number of rows of their place."""
        for blocks in self._chosen.values():
            share = 1.0 / sum(b.num_rows for b in blocks)
            for block in blocks:
                yield block, share

    def _split(
        self, parameters: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        """Return weights, free parameters, unknown coefficients and their slopes."""
        number = self._trial.network.num_parameters
        weights, free = parameters.detach().tensor_split([number])
        known, slopes = [], []
        for u, p in zip(self._unknowns, free.unbind(), strict=True):
            leaf = p.clone().requires_grad_()
            value = to_unknown(u, leaf)
            slopes.append(torch.autograd.grad(value, leaf)[0])
            known.append(value.detach())
        return weights, free, known, slopes


def _factor(share: float, term: Term) -> float:
    return math.sqrt(term.weight * share) / term.scale


def _row(
    block: _Block, share: float, term: Term, at: Linearised
) -> tuple[torch.Tensor, float]:
    """Return the weighted residuals of a term and the factor that weighs them."""
    factor, values = _factor(share, term), at.values
    if block.is_periodic:
        low, high = values.chunk(2)
        values = low - high
    return factor * values, factor


def _linearised(
    block: _Block, known: Sequence[torch.Tensor], carried: Carried
) -> Iterator[tuple[Term, Linearised]]:
    for term in block.terms:
        yield term, term.residual.linearised(block.points, block.data, known, carried)
