"""Bands about unknown coefficient functions, from the Gauss-Newton Hessian.

As for numbers (`interval`), each term of the loss has a variance σ_g² of its own, and a
step from the trained parameters w is the minimiser δ of the linearised sum

    Σ_g κ_g⁻¹ |r_g + J_g δ|² / σ_g² + λ Σ_f mean |∇a_f + ∇G_f δ|² / mean a_f² + ρ |δ|²

with G_f = ∂a_f/∂w. Its inverse Hessian C gives the pointwise variances of `a_f + G_f δ`
as `G C Gᵀ`: those of the posterior, where the prior is one of smoothness, as `adjoint`
has it. A prior on the weights would be one on what they happen to parametrise; ρ only
bounds what changes nothing. λ is the minimiser of the generalised cross-validation of
the measurements, so neither their noise nor the size of the slopes has to be known.
Averaged over the points, such bands cover as often as they say.

Residuals that a training leaves are smooth functions, not noise: n of them tell as much
as n/κ independent ones, and n taken as they are would hold the fields where they happen
to be. κ is the sum of the residuals' correlations over near points. What the step
leaves of the measurements' misfit has one, too, if the fields cannot follow them; the
variances are multiplied by it.

Source: G. Wahba, J. R. Statist. Soc. B 45 (1983) 133-150, DOI
10.1111/j.2517-6161.1983.tb01239.x; D. Nychka, J. Am. Statist. Assoc. 83 (1988)
1134-1143, DOI 10.1080/01621459.1988.10478711 (coverage); H. J. Thiébaux, F. W. Zwiers,
J. Climate Appl. Meteor. 23 (1984) 800-811, DOI
10.1175/1520-0450(1984)023<0800:TIAEOE>2.0.CO;2 (effective sample size); E. Daxberger et
al., Laplace Redux, NeurIPS 2021, arXiv:2106.14806 (networks).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.spatial
import scipy.stats
import torch

from pinnsuite.neural.interval import LEAST_FREE, LEVEL, MOST_PARAMETERS, RIDGE
from pinnsuite.neural.objective import BLOCK, CollocationObjective
from pinnsuite.neural.sampling import interior
from pinnsuite.neural.taylor import channels
from pinnsuite.neural.trial import CarriedBack, Trial
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.jets import Jet
from pinnsuite.solution.solution import Evaluator

ROUNDS = 3
"""Iterations of the measurements' variance and of λ."""

CAUTION = 1.4
"""What each degree of freedom costs in the cross-validation: Y.-J. Kim, C. Gu,
J. R. Statist. Soc. B 66 (2004) 337, DOI 10.1046/j.1369-7412.2003.05316.x."""

MOST_RESIDUAL = 0.1
"""Relative residual at fresh points beyond which there is no band: the equations'
linearisation says little of a solution that is far away."""

WEIGHTS = (-8, 8, 65)
"""Decades and number of the λ that are tried, 1 where it outweighs all else in some
direction."""

SLOPES = 128
"""Points where slopes count, for each coordinate of a function."""

NEAREST = (2, 4, 8, 16, 32, 64)
"""Numbers of near points among which correlations are summed; the worst one counts."""


@dataclass(frozen=True)
class Band:
    """How well a coefficient function is known.

    Attributes
    ----------
    standard_error, training_error, half_width
        Relative L2 norms of what the measurements' noise makes wrong, of the step's
        change, which is what an unfinished training makes wrong, and of half of the
        band of probability `LEVEL`.
    half_widths
        At the distinct points in the function's own coordinates: Student's t times the
        deviation, plus the change. The step is not taken for exact: where it is long,
        what is left is a good part of it.
    """

    standard_error: float
    training_error: float
    half_width: float
    half_widths: np.ndarray


@dataclass(frozen=True, eq=False)
class Posterior:
    """What measurements and equations say of the unknown coefficient functions.

    Attributes
    ----------
    trial, weights
        The fields, and the network's trained parameters.
    unknowns
        Number of the field and its coordinates' columns, by the function's name.
    step
        The Gauss-Newton step of the network's parameters.
    triangle
        R of `C = (RᵀR)⁻¹`, of all parameters.
    spread, quantile
        What √C is to be multiplied by, and Student's t of `LEVEL`.
    """

    trial: Trial
    weights: torch.Tensor
    unknowns: Mapping[str, tuple[int, list[int]]]
    step: torch.Tensor
    triangle: torch.Tensor
    spread: float
    quantile: float

    def evaluator(self, trained: Evaluator) -> Evaluator:
        """Return the fields as functions of points, the unknown ones after the step."""

        def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
            fields = dict(trained(points))
            for name, (number, _) in self.unknowns.items():
                fields[name] = fields[name] + self._change(number, points)
            return fields

        return evaluate

    def bands(self, trained: Evaluator, points: np.ndarray) -> dict[str, Band]:
        """Return the bands about the unknown functions at `points`."""
        bands = {}
        for name, (number, columns) in self.unknowns.items():
            _, first = np.unique(points[:, columns], axis=0, return_index=True)
            at = points[first]
            change = self._change(number, at)
            deviation = self.spread * self._deviation(number, at)
            half = self.quantile * deviation + np.abs(change)
            size = max(_size(trained(at)[name] + change), np.finfo(float).tiny)
            bands[name] = Band(
                _size(deviation) / size, _size(change) / size, _size(half) / size, half
            )
        return bands

    def _change(self, number: int, points: np.ndarray) -> np.ndarray:
        """Return what the step changes of a field."""
        parts = [rows @ self.step for rows in self._tangents(number, points)]
        return torch.cat(parts).cpu().numpy()

    def _deviation(self, number: int, points: np.ndarray) -> np.ndarray:
        """Return the root of the diagonal of `G C Gᵀ`."""
        parts = []
        for rows in self._tangents(number, points):
            wide = rows.new_zeros(len(rows), len(self.triangle))
            wide[:, : rows.shape[1]] = rows
            parts.append(_over(wide, self.triangle).square().sum(1).sqrt())
        return torch.cat(parts).cpu().numpy()

    def _tangents(self, number: int, points: np.ndarray) -> Iterator[torch.Tensor]:
        """Give the derivatives of a field by the network's parameters, by blocks."""
        value = Jet(number, (0,) * points.shape[1])
        for start in range(0, len(points), BLOCK):
            at = self.weights.new_tensor(points[start : start + BLOCK])
            carried = self.trial.at(at, channels([value], points.shape[1]))(
                self.weights
            )
            yield _tangents(carried, value, len(at), self.weights).double()


def posterior(
    objective: CollocationObjective,
    trial: Trial,
    problem: Problem,
    parameters: torch.Tensor,
) -> Posterior | None:
    """Return what is known of the unknown coefficient functions after a training.

    None if there are none or no measurements, more than `MOST_PARAMETERS` parameters,
    or values that are not finite.
    """
    fields = problem.unknown_fields
    if not fields or len(parameters) > MOST_PARAMETERS:
        return None
    r, jacobian = (a.double() for a in objective.jacobian(parameters))
    if not (r.isfinite().all() and jacobian.isfinite().all()):
        return None
    terms = _terms(objective, r, jacobian)
    if not any(t.is_data for t in terms):
        return None
    columns = {
        u.name: (
            problem.fields.index(u.field),
            [k for k, x in enumerate(problem.coordinates) if x in u.field.args],
        )
        for u in fields
    }
    weights = parameters[: trial.network.num_parameters]
    slopes = _slopes(trial, problem, columns, weights, len(parameters))
    spreads = [t.spread for t in terms]
    for _ in range(ROUNDS):
        step, triangle, used = _step(terms, spreads, slopes)
        for k, t in enumerate(terms):
            if t.is_data:
                left = max(t.number - used[k], LEAST_FREE * t.number)
                spreads[k] = _norm(t.after(step)) / math.sqrt(left)
    seen = [t for t in terms if t.is_data]
    spread = math.sqrt(max(correlation(t.points, t.left(step)) for t in seen))
    freedom = sum(t.number - n for t, n in zip(terms, used, strict=True) if t.is_data)
    quantile = float(scipy.stats.t.ppf((1 + LEVEL) / 2, max(freedom, 1.0)))
    step = step[: len(weights)]
    return Posterior(trial, weights, columns, step, triangle, spread, quantile)


def in_details(
    bands: Mapping[str, Band], standard_errors: Mapping[str, float]
) -> dict[str, Any]:
    """Return what a solution's details say of bands, by function.

    Parameters
    ----------
    standard_errors
        Those of numbers, to which the functions' are added.
    """
    if not bands:
        return {}
    errors = {name: b.standard_error for name, b in bands.items()}
    return {
        "standard_errors": {**standard_errors, **errors},
        "training_errors": {name: b.training_error for name, b in bands.items()},
        "relative_half_bands": {name: b.half_width for name, b in bands.items()},
        "half_bands": {
            name: [float(f"{h:.4g}") for h in b.half_widths]
            for name, b in bands.items()
        },
    }


def correlation(points: np.ndarray, residuals: torch.Tensor) -> float:
    """Return how many residuals tell as much as one that is independent, at least 1."""
    extent = np.ptp(points, axis=0)
    scaled = points / np.where(extent > 0, extent, 1.0)
    most = min(NEAREST[-1] + 1, len(points))
    _, near = scipy.spatial.cKDTree(scaled).query(scaled, np.arange(1, most + 1))
    r = residuals.cpu().numpy()
    square = float(r @ r)
    if not square > 0:
        return 1.0
    others = near != np.arange(len(r))[:, None]
    sums = np.cumsum(r @ (r[near] * others)) / square
    return max([1.0, *(1.0 + float(sums[m]) for m in NEAREST if m < most)])


@dataclass(frozen=True, eq=False)
class _Term:
    """One term of the loss, its rows and their triangular factor `[R, Qᵀr]`."""

    is_data: bool
    points: np.ndarray
    residuals: torch.Tensor
    jacobian: torch.Tensor
    factor: torch.Tensor

    @property
    def number(self) -> int:
        return len(self.residuals)

    @property
    def spread(self) -> float:
        """Deviation at the trained parameters, times √κ where it is no noise."""
        count = 1.0 if self.is_data else correlation(self.points, self.residuals)
        rms = _norm(self.residuals) / math.sqrt(self.number)
        return max(rms * math.sqrt(count), torch.finfo(self.residuals.dtype).tiny)

    def left(self, step: torch.Tensor) -> torch.Tensor:
        """Return the linearised residuals after a step."""
        return self.residuals + self.jacobian @ step

    def after(self, step: torch.Tensor) -> torch.Tensor:
        """Return a vector as long as they are then."""
        return self.factor[:, -1] + self.factor[:, :-1] @ step


def _terms(
    objective: CollocationObjective, r: torch.Tensor, jacobian: torch.Tensor
) -> list[_Term]:
    rows: dict[Any, list[slice]] = {}
    start = 0
    for term, number, _ in objective.parts():
        rows.setdefault(term, []).append(slice(start, start + number))
        start += number
    terms = []
    for term, parts in rows.items():
        place = term.residual.place
        own, tangents = (torch.cat([a[s] for s in parts]) for a in (r, jacobian))
        points, _ = objective.points(place)
        stacked = torch.cat([tangents, own.unsqueeze(1)], 1)
        terms.append(
            _Term(
                place.kind == "observed",
                points[: len(own)].double().cpu().numpy(),
                own,
                tangents,
                torch.linalg.qr(stacked, mode="r")[1],
            )
        )
    return terms


def _slopes(
    trial: Trial,
    problem: Problem,
    unknowns: Mapping[str, tuple[int, list[int]]],
    weights: torch.Tensor,
    num_parameters: int,
) -> torch.Tensor:
    """Return the functions' slopes and their derivatives, `[∂∇a/∂(w, p), ∇a]`.

    Divided by the size of each function and the root of the number of points.
    """
    dimension = len(problem.coordinates)
    parts = []
    for number, columns in unknowns.values():
        at = weights.new_tensor(interior(problem, SLOPES * len(columns), seed=0))
        value = Jet(number, (0,) * dimension)
        slopes = [
            Jet(number, tuple(np.eye(dimension, dtype=int)[k].tolist()))
            for k in columns
        ]
        carried = trial.at(at, channels([value, *slopes], dimension))(weights)
        size = max(_norm(carried[value]), torch.finfo(weights.dtype).tiny)
        for jet in slopes:
            rows = weights.new_zeros(len(at), num_parameters + 1)
            rows[:, -1] = carried[jet]
            rows[:, : len(weights)] = _tangents(carried, jet, len(at), weights)
            parts.append(rows.double() / size)
    return torch.cat(parts)


def _step(
    terms: list[_Term], spreads: list[float], slopes: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, list[float]]:
    """Return δ, the triangle R of the Hessian, and how many data each term uses up.

    With E = ∇G R⁻¹ = U S Vᵀ, R for λ = 0, the step is `R⁻¹ V`-times a function of each
    singular value: all λ are tried at once.
    """
    n = slopes.shape[1] - 1
    rows = torch.cat([t.factor / s for t, s in zip(terms, spreads, strict=True)])
    ridge = RIDGE * float(rows[:, :-1].square().sum(0).max().sqrt())
    bound = ridge * torch.eye(n + 1).to(rows)[:-1]
    plain = torch.linalg.qr(torch.cat([rows, bound]), mode="r")[1]
    triangle, turned = plain[:n, :n], plain[:n, n]
    u, s, v = torch.linalg.svd(_over(slopes[:, :-1], triangle), full_matrices=False)
    weights = torch.logspace(*WEIGHTS).to(s) / s[0] ** 2
    damped = weights.unsqueeze(1) * s / (1 + weights.unsqueeze(1) * s**2)
    moved = damped * (s * (v @ turned) - u.T @ slopes[:, -1])
    misfit, freedom, number = torch.zeros_like(weights), torch.zeros_like(weights), 0
    for t, spread in zip(terms, spreads, strict=True):
        if t.is_data:
            white = _over(t.factor[:, :-1], triangle) / spread
            along = white @ v.T
            start = t.factor[:, -1] / spread - white @ turned
            misfit += (start.unsqueeze(1) + along @ moved.T).square().sum(0)
            kept = along.square().sum(0)
            freedom += white.square().sum() - (damped * s) @ kept
            number += t.number
    allowed = (number - CAUTION * freedom).clamp(min=LEAST_FREE * number)
    weight = weights[(misfit / allowed**2).argmin()]
    whole = torch.linalg.qr(torch.cat([plain[:n], weight.sqrt() * slopes]), mode="r")[1]
    triangle = whole[:n, :n]
    step = torch.linalg.solve_triangular(triangle, -whole[:n, n:], upper=True)[:, 0]
    used = [
        float((_over(t.factor[:, :-1], triangle) / s).square().sum())
        for t, s in zip(terms, spreads, strict=True)
    ]
    return step, triangle, used


def _over(rows: torch.Tensor, triangle: torch.Tensor) -> torch.Tensor:
    """Return `rows R⁻¹`."""
    found: torch.Tensor = torch.linalg.solve_triangular(
        triangle, rows, upper=True, left=False
    )
    return found


def _tangents(
    carried: CarriedBack, jet: Jet, number: int, weights: torch.Tensor
) -> torch.Tensor:
    """Return a derivative's own derivatives by the weights: (number, weights)."""
    rows = weights.new_empty(number, len(weights))
    carried.jacobian({jet: weights.new_ones(number)}, rows)
    return rows


def _norm(values: torch.Tensor) -> float:
    return float(values.square().sum().sqrt())


def _size(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
