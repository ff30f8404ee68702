"""Confidence intervals of unknown coefficients, from the Gauss-Newton Hessian.

Let w be the network's parameters and p the free parameters of the coefficients. The
residuals of each term g of the loss, measurements and equations alike, are taken as
normal with a variance σ_g² of their own. Then the covariance of (w, p) is, to first
order about the trained values, the inverse of the Gauss-Newton Hessian

    H = Σ_g J_gᵀ J_g / σ_g² + ρ I_w.

What is wanted is the block `C = [H⁻¹]_pp`: all changes of the network are allowed for.
Equations hold far better than noisy measurements do, so their rows act as constraints,
and C is the covariance that the constrained fit `min Σ r_data²` has; they are not made
exact, because the network's tangents do not contain `∂u/∂p` exactly, and infinite
weights would count that defect as knowledge of p. The ridge ρ only bounds directions of
w that change nothing.

The variances are those that agree with the residuals (Helmert's variance components):

    σ_g² = Σ_g r² / (n_g - tr J_g H⁻¹ J_gᵀ / σ_g²),

by iteration; the denominator is what is left of n_g residuals after the fit.

Source: G. A. F. Seber, C. J. Wild, Nonlinear Regression, 2003, sections 2.1 and 5.1,
DOI 10.1002/0471725315 (linearised intervals); P. J. G. Teunissen, A. R.
Amiri-Simkooei, Journal of Geodesy 82 (2008) 65-82, DOI 10.1007/s00190-007-0157-x
(variance components). Linearised intervals are wrong where measurements hardly
determine a coefficient; a profile of the likelihood shows it: A. Raue et al.,
Bioinformatics 25 (2009) 1923-1929, DOI 10.1093/bioinformatics/btp358.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import scipy.stats
import torch

from pinnsuite.neural.objective import CollocationObjective
from pinnsuite.neural.residual import to_unknown
from pinnsuite.problem.conditions import Unknown

LEVEL = 0.95
"""Probability that an interval covers the coefficient."""

MOST_PARAMETERS = 3000
"""Beyond, the factorisations of the Jacobian take longer than many a training."""

ROUNDS = 3
"""Iterations of the variances."""

RIDGE = 1e-8
"""√ρ, as a share of the largest column of the weighted Jacobian."""

LEAST_FREE = 1e-3
"""Share of a term's residuals that counts as left after the fit, at least."""


@dataclass(frozen=True)
class Inference:
    """What a fit says of its unknown coefficients besides their values.

    Attributes
    ----------
    one_step_estimates
        Coefficients after one Gauss-Newton step of the loss weighted by 1/σ_g²; without
        the step where a free parameter's deviation is larger than 1 and itself: it may
        then lead anywhere.
    standard_errors
        By the delta method from the free parameters to the coefficients.
    intervals
        Of probability `LEVEL`: Student's t in the free parameters, about the trained
        value and the one-step estimate. The step is what an unfinished training, or its
        weights, may be wrong by. The ends are mapped, so that they stay within the
        coefficients' limits.
    noise
        Standard deviation of the measurements' errors, by residual; of their
        logarithms where they are measured so.
    """

    one_step_estimates: dict[str, float]
    standard_errors: dict[str, float]
    intervals: dict[str, list[float]]
    noise: dict[str, float]


def infer(
    objective: CollocationObjective,
    unknowns: Sequence[Unknown],
    parameters: torch.Tensor,
) -> Inference | None:
    """Return intervals of the unknown coefficients at trained `parameters`.

    None if there are no coefficients, more than `MOST_PARAMETERS` parameters, or
    values that are not finite.
    """
    if not unknowns or len(parameters) > MOST_PARAMETERS:
        return None
    r, jacobian = (a.double() for a in objective.jacobian(parameters))
    if not (r.isfinite().all() and jacobian.isfinite().all()):
        return None
    parts = objective.parts()
    terms = list(dict.fromkeys(term for term, _, _ in parts))
    group = torch.cat([torch.full((n,), terms.index(term)) for term, n, _ in parts]).to(
        r.device
    )
    number = _sums(torch.ones_like(r), group, len(terms))
    squares = _sums(r.square(), group, len(terms))
    left = number
    for _ in range(ROUNDS):
        spread = (squares / left).sqrt().clamp(min=torch.finfo(r.dtype).tiny)
        weighted = jacobian / spread[group].unsqueeze(1)
        triangle, turned = _triangle(weighted, r / spread[group], len(unknowns))
        whitened = torch.linalg.solve_triangular(
            triangle, weighted, upper=True, left=False
        )
        used = _sums(whitened.square().sum(1), group, len(terms))
        left = torch.maximum(number - used, LEAST_FREE * number)
    spread = (squares / left).sqrt()
    root = torch.linalg.inv(triangle[-len(unknowns) :, -len(unknowns) :])
    deviations = root.square().sum(1).sqrt().tolist()
    is_data = [term.residual.place.kind == "observed" for term in terms]
    freedom = sum(n for n, here in zip(left.tolist(), is_data, strict=True) if here)
    quantile = float(scipy.stats.t.ppf((1 + LEVEL) / 2, max(freedom, 1.0)))
    factors = {term: factor for term, _, factor in parts}
    noise = {
        term.residual.name: s / factors[term]
        for term, s, here in zip(terms, spread.tolist(), is_data, strict=True)
        if here
    }
    free = parameters[-len(unknowns) :].double().cpu()
    steps = (-root @ turned[-len(unknowns) :]).tolist()
    if any(
        d > max(1.0, abs(p)) for d, p in zip(deviations, free.tolist(), strict=True)
    ):
        steps = [0.0] * len(unknowns)
    estimates, errors, intervals = {}, {}, {}
    for u, p, deviation, step in zip(unknowns, free, deviations, steps, strict=True):
        leaf = p.clone().requires_grad_()
        (slope,) = torch.autograd.grad(to_unknown(u, leaf), leaf)
        errors[u.symbol.name] = abs(float(slope)) * deviation
        estimates[u.symbol.name] = float(to_unknown(u, p + step))
        half = quantile * deviation
        ends = p + p.new_tensor([min(step, 0.0) - half, max(step, 0.0) + half])
        intervals[u.symbol.name] = sorted(to_unknown(u, ends).tolist())
    return Inference(estimates, errors, intervals, noise)


def _sums(values: torch.Tensor, group: torch.Tensor, number: int) -> torch.Tensor:
    """Return the sums of `values` over each group."""
    return values.new_zeros(number).index_add_(0, group, values)


def _triangle(
    weighted: torch.Tensor, r: torch.Tensor, num_unknowns: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return R and `Qᵀr` of the QR factors of J on top of `√ρ I_w`."""
    n = weighted.shape[1]
    ridge = RIDGE * float(weighted.square().sum(0).max().sqrt())
    rows = weighted.new_zeros(n - num_unknowns, n + 1)
    rows.diagonal().fill_(ridge)
    stacked = torch.cat([torch.cat([weighted, r.unsqueeze(1)], 1), rows])
    triangle = torch.linalg.qr(stacked, mode="r")[1]
    return triangle[:n, :n], triangle[:n, n]
