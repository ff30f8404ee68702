"""A problem function plus distributions over its arguments: what an operator learns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import sympy as sp

from pinnsuite.errors import DefinitionError
from pinnsuite.problem.conditions import Initial
from pinnsuite.problem.definition import Problem


class Distribution(Protocol):
    """Something that can be drawn from; one draw a generator state."""

    def draw(self, generator: np.random.Generator) -> Any:
        """Return one value for an argument of the problem function."""

    def canonical(self) -> dict[str, Any]:
        """Return what defines the distribution, as plain JSON values."""


@dataclass(frozen=True)
class Uniform:
    """A number between `lower` and `upper`."""

    lower: float
    upper: float

    def draw(self, generator: np.random.Generator) -> float:
        """Return one number."""
        return float(generator.uniform(self.lower, self.upper))

    def canonical(self) -> dict[str, Any]:
        """Return the bounds."""
        return {"type": "Uniform", "bounds": [repr(self.lower), repr(self.upper)]}


@dataclass(frozen=True)
class GaussianRandomField:
    """Periodic random functions `N(0, σ² (-d²/dx² + τ²)^(-γ))` with zero mean.

    Karhunen-Loève expansion on a period of length L, k = 2πj/L, j = 1 … `num_modes`:
    `Σ_j s_j (a_j cos kx + b_j sin kx)`, `s_j = σ √(2/L) (k² + τ²)^(-γ/2)`, with a and
    b ~ N(0, 1).
    Source: Z. Li et al., Fourier neural operator, ICLR 2021 (arXiv:2010.08895), A.3.1.

    Attributes
    ----------
    coordinate, lower, upper
        The periodic coordinate and its ends.
    """

    coordinate: sp.Symbol
    lower: float
    upper: float
    sigma: float
    tau: float
    gamma: float
    num_modes: int = 16

    def __post_init__(self) -> None:
        if not self.lower < self.upper or self.num_modes < 1:
            raise DefinitionError(
                f"GaussianRandomField: needed are lower < upper and num_modes >= 1, "
                f"given [{self.lower}, {self.upper}] and {self.num_modes}."
            )

    def draw(self, generator: np.random.Generator) -> sp.Expr:
        """Return one random function, as an expression of the coordinate."""
        length = self.upper - self.lower
        terms = []
        for j in range(1, self.num_modes + 1):
            k = 2 * np.pi * j / length
            scale = (
                self.sigma
                * np.sqrt(2 / length)
                * (k**2 + self.tau**2) ** (-self.gamma / 2)
            )
            a, b = scale * generator.standard_normal(2)
            angle = 2 * sp.pi * j * (self.coordinate - self.lower) / length
            terms += [float(a) * sp.cos(angle), float(b) * sp.sin(angle)]
        return sp.Add(*terms)

    def canonical(self) -> dict[str, Any]:
        """Return the parameters of the covariance."""
        numbers = [self.lower, self.upper, self.sigma, self.tau, self.gamma]
        return {
            "type": "GaussianRandomField",
            "coordinate": self.coordinate.name,
            "numbers": [repr(v) for v in numbers],
            "num_modes": self.num_modes,
        }


@dataclass(frozen=True, eq=False)
class Family:
    """Problems that differ in the arguments of one problem function.

    The map to learn takes the initial state on a grid to the field at the last time.

    Attributes
    ----------
    name
        What it is called on the command line.
    make
        The problem function, with every member an ordinary `Problem`.
    distributions
        What each argument is drawn from.
    num_train, num_test
        Members for fitting and for judging; they share no draw.
    num_points
        Grid points of inputs and outputs along each space coordinate.
    seed
        Member i is drawn by a generator seeded with (seed, i), so that no member
        depends on how many others were drawn.
    """

    name: str
    make: Callable[..., Problem]
    distributions: Mapping[str, Distribution]
    num_train: int
    num_test: int
    num_points: int
    seed: int = 0
    source: str = ""
    tags: Sequence[str] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    generator: Mapping[str, Any] = field(default_factory=dict)

    kind = "pde"

    def __post_init__(self) -> None:
        if min(self.num_train, self.num_test, self.num_points) < 1:
            raise DefinitionError(
                f"Family {self.name!r}: num_train, num_test and num_points must be at "
                f"least 1; given {self.num_train}, {self.num_test}, {self.num_points}."
            )

    def member(self, index: int) -> Problem:
        """Return member number `index`; train first, then test."""
        arguments = {}
        for k, (name, distribution) in enumerate(sorted(self.distributions.items())):
            seeds = np.random.SeedSequence([self.seed, index, k])
            arguments[name] = distribution.draw(np.random.default_rng(seeds))
        return self.make(**arguments)

    @property
    def train(self) -> range:
        """Indices of the members for fitting."""
        return range(self.num_train)

    @property
    def test(self) -> range:
        """Indices of the members for judging."""
        return range(self.num_train, self.num_train + self.num_test)

    def initial_state(self, index: int) -> sp.Expr:
        """Return the initial state of a member, an expression of the coordinate."""
        (initial,) = self.member(index).conditions_of(Initial)
        value: sp.Expr = initial.value
        return value

    @property
    def dimension(self) -> int:
        """The number of space coordinates."""
        return self.member(0).dimension

    @property
    def definition_hash(self) -> str:
        """The sha256 of the mathematics: one member, the distributions, the sizes."""
        content = {
            "member": self.member(0).definition_hash,
            "distributions": {k: d.canonical() for k, d in self.distributions.items()},
            "sizes": [self.num_train, self.num_test, self.num_points, self.seed],
        }
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
