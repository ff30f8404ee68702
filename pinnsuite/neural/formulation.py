"""A problem as another library's networks get it: points, terms of the loss, fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import sympy as sp
import torch

from pinnsuite.neural.networks import ACTIVATIONS, Features
from pinnsuite.neural.option import DTYPES, at_least, choice, positive
from pinnsuite.neural.residual import (
    INTERIOR,
    Magnitude,
    Place,
    Residual,
    from_unknown,
    natural_scale,
    to_unknown,
    values_known,
)
from pinnsuite.neural.sampling import counts, limits, sample
from pinnsuite.neural.trial import Exact, Trial, exact_conditions, trial
from pinnsuite.problem.conditions import Periodic
from pinnsuite.problem.definition import Problem


@dataclass(frozen=True)
class FormulationOptions:
    """The options that libraries of physics-informed networks have in common here.

    Where coefficients jump, the libraries get the first-order system that `PINN` solves
    (`mixed`): the flux is one more output.

    Attributes
    ----------
    width, depth
        Neurons a hidden layer, and hidden layers.
    activation
        `tanh` or `sine`.
    points, boundary_points, initial_points
        Inside, on all boundaries together, and at the start (None: as many as on the
        boundaries).
    adam_steps, adam_rate
        Steps and step size of Adam.
    steps
        Largest number of iterations of the optimiser after it.
    scaling
        `auto` scales inputs to [-1, 1], and outputs and terms of the loss by their
        natural sizes. `off` leaves them as they are: raw coordinates, raw outputs,
        unknown coefficients that are the trained variables themselves, whose limits are
        not imposed.
    hard_conditions
        `auto` builds Dirichlet values and initial values in where
        they fit, as `PINN` does, and with scaled inputs periodicity; unscaled, the
        factor is the bare product of the distances to the sides, x (1 - x). `off`
        leaves all to the loss.
    boundary_weight
        Weight of the conditions and measurements in the loss.
    dtype, device
        `float64` or `float32`, and where to compute, as torch names it.
    seed
        Of the initial weights and of all points.
    """

    family: ClassVar[str] = "pinn"

    width: int = 20
    depth: int = 3
    activation: str = "tanh"
    points: int = 2000
    boundary_points: int = 400
    initial_points: int | None = None
    adam_steps: int = 5000
    adam_rate: float = 1e-3
    steps: int = 5000
    scaling: str = "auto"
    hard_conditions: str = "off"
    boundary_weight: float = 1.0
    dtype: str = "float64"
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("width", "depth", "points", "boundary_points", "initial_points"):
            at_least(self, name, 1)
        for name in ("adam_steps", "steps", "seed"):
            at_least(self, name, 0)
        for name in ("adam_rate", "boundary_weight"):
            positive(self, name)
        choice(self, "activation", ACTIVATIONS)
        choice(self, "scaling", ("auto", "off"))
        choice(self, "hard_conditions", ("auto", "off"))
        choice(self, "dtype", DTYPES)


@dataclass(frozen=True)
class Raw:
    """Features that are the coordinates as they are.

    Attributes
    ----------
    size
        The number of coordinates.
    """

    size: int
    periodic: tuple[int, ...] = ()

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        """Return the points."""
        return points


@dataclass(frozen=True, eq=False)
class Formulation:
    """Points, terms of the loss and the way from raw outputs to fields.

    Attributes
    ----------
    problem
        What is solved.
    samples
        Points and data of each place, see `sampling.sample`.
    residuals, weights
        The terms of the loss, the equations first, and the weights of their mean
        squares.
    exact_names
        Of the conditions that hold by construction.
    features
        What the network gets of the points.
    trial
        From its outputs to fields; the network in it is left aside.
    guesses
        First values of the trained variables that unknown coefficients stand for.
    """

    problem: Problem
    samples: Mapping[Place, tuple[np.ndarray, np.ndarray]]
    residuals: Sequence[Residual]
    weights: Sequence[float]
    exact_names: Sequence[str]
    features: Features | Raw
    trial: Trial
    guesses: Sequence[float]
    is_scaled: bool

    def unknowns(self, variables: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return the unknown coefficients that trained variables stand for."""
        if not self.is_scaled:
            return list(variables)
        unknowns = self.problem.unknown_scalars
        return [to_unknown(u, v) for u, v in zip(unknowns, variables, strict=True)]


def formulate(
    problem: Problem, found: Sequence[Residual], options: FormulationOptions
) -> Formulation:
    """Return the formulation of `problem`, whose residuals are `found`."""
    o = options
    seeds = np.random.default_rng(o.seed)
    number = counts(
        problem,
        dict.fromkeys(r.place for r in found),
        o.points,
        o.boundary_points,
        o.initial_points or o.boundary_points,
    )
    samples = {
        p: sample(problem, p, n, int(seeds.integers(1 << 31)))
        for p, n in number.items()
    }
    is_scaled = o.scaling == "auto"
    magnitudes = [Magnitude()] * len(problem.fields)
    if is_scaled:
        magnitudes = values_known(problem, samples, found)
    exact = exact_conditions(problem) if o.hard_conditions == "auto" else None
    if exact is not None and not is_scaled:
        exact = [_with_bare_factor(e, problem) for e in exact]
    ends = limits(problem)
    fields = trial(problem, ends, magnitudes, exact, [o.width] * o.depth, o.activation)
    features = fields.features if is_scaled else Raw(len(ends))
    held = [
        r
        for r in found
        if any(e.holds(r) for e in fields.exact)
        or (features.periodic and isinstance(r.condition, Periodic))
    ]
    left = [r for r in found if r not in held]
    weights = [1.0 if r.place == INTERIOR else o.boundary_weight for r in left]
    if is_scaled:
        scales = _scales(problem, left, samples, magnitudes, ends, o)
        weights = [w / s**2 for w, s in zip(weights, scales, strict=True)]
    return Formulation(
        problem=problem,
        samples=samples,
        residuals=left,
        weights=weights,
        exact_names=[r.name for r in held],
        features=features,
        trial=fields,
        guesses=[
            from_unknown(u) if is_scaled else u.guess for u in problem.unknown_scalars
        ],
        is_scaled=is_scaled,
    )


def _with_bare_factor(exact: Exact, problem: Problem) -> Exact:
    """Return `exact` with the product of the distances to the sides as its factor.

    On other boundaries, with the bare factor of `transfinite`.
    """
    leading = sp.LC(sp.expand(exact.factor), *problem.coordinates)
    bare = replace(exact, factor=exact.factor / abs(leading))
    if bare.interpolation is None:
        return bare
    return replace(bare, interpolation=replace(bare.interpolation, largest=1.0))


def _scales(
    problem: Problem,
    residuals: Sequence[Residual],
    samples: Mapping[Place, tuple[np.ndarray, np.ndarray]],
    magnitudes: Sequence[Magnitude],
    ends: np.ndarray,
    options: FormulationOptions,
) -> list[float]:
    """Return the natural sizes of residuals."""

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.tensor(array, dtype=DTYPES[options.dtype], device=options.device)

    guesses = [tensor(np.array(u.guess)) for u in problem.unknown_scalars]
    generator = torch.Generator().manual_seed(options.seed)
    lengths = (ends[:, 1] - ends[:, 0]) / 2
    tensors = {
        p: (tensor(points), tensor(data)) for p, (points, data) in samples.items()
    }
    return [
        natural_scale(r, *tensors[r.place], guesses, magnitudes, lengths, generator)
        for r in residuals
    ]
