"""A hidden layer drawn once: features of local coordinates, with all derivatives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

SINE, TANH = "sine", "tanh"
RANK = 1e-10
"""Share of the largest singular value below which directions are left out."""
FINE = 2.5
"""Points along an axis of the grid of orthogonality, for the root of a size."""
KEPT_SIZE, MAX_KEPT = 1500, 100
"""Tables of at most so many numbers of local coordinates are kept, at most so many."""


@runtime_checkable
class Functions(Protocol):
    """Functions of local coordinates, with all derivatives."""

    @property
    def size(self) -> int:
        """The number of functions."""
        ...

    def tables(
        self, local: np.ndarray, orders: Sequence[tuple[int, ...]]
    ) -> dict[tuple[int, ...], np.ndarray]:
        """Return derivatives at local coordinates (…, d): (…, size) for each order."""
        ...


@dataclass(frozen=True, eq=False)
class Basis:
    """Random features `φ_j(ξ) = σ(w_j·ξ + b_j)` of local coordinates ξ in [-1, 1]ᵈ.

    The components of w_j are uniform in [-s_k, s_k], s_k the scale along coordinate k.
    A constant and the coordinates themselves stand beside them (direct links), so that
    affine functions are represented exactly.

    Sources: Y.-H. Pao, G.-H. Park, D. J. Sobajic, Neurocomputing 6 (1994) 163-180, DOI
    10.1016/0925-2312(94)90053-1 (random hidden layer with direct links); S. Dong, Z.
    Li, Computer Methods in Applied Mechanics and Engineering 387 (2021) 114129, DOI
    10.1016/j.cma.2021.114129; J. Chen, X. Chi, W. E, Z. Yang, Journal of Machine
    Learning 1 (2022) 268-298, DOI 10.4208/jml.220726.

    Attributes
    ----------
    weights, biases
        Shapes (features, d) and (features,).
    activation
        `sine` or `tanh`.
    """

    weights: np.ndarray
    biases: np.ndarray
    activation: str
    _known: dict[tuple[object, ...], np.ndarray] = field(
        default_factory=dict, init=False, repr=False
    )

    @property
    def size(self) -> int:
        """The number of functions, direct links included."""
        number, d = self.weights.shape
        return int(number + 1 + d)

    def tables(
        self, local: np.ndarray, orders: Sequence[tuple[int, ...]]
    ) -> dict[tuple[int, ...], np.ndarray]:
        """Return derivatives by the local coordinates.

        Parameters
        ----------
        local
            Shape (…, d).
        orders
            Which derivatives.

        Returns
        -------
        For each of `orders`, shape (…, size); read-only. Those of few points are kept:
        all windows of a march share them.
        """
        if local.size > KEPT_SIZE:
            return self._tables(local, orders)
        where = local.shape, local.tobytes()
        missing = [a for a in orders if (where, a) not in self._known]
        if missing:
            if len(self._known) > MAX_KEPT:
                self._known.clear()
                missing = list(orders)
            for a, table in self._tables(local, missing).items():
                self._known[where, a] = table
        return {a: self._known[where, a] for a in orders}

    def _tables(
        self, local: np.ndarray, orders: Sequence[tuple[int, ...]]
    ) -> dict[tuple[int, ...], np.ndarray]:
        slopes = _slopes(
            self.activation,
            local @ self.weights.T + self.biases,
            max((sum(a) for a in orders), default=0),
        )
        found = {}
        for a in orders:
            table = np.zeros((*local.shape[:-1], self.size))
            number = len(self.biases)
            powers = np.prod(self.weights ** np.array(a), axis=1)
            table[..., :number] = slopes[sum(a)] * powers
            if sum(a) == 0:
                table[..., number] = 1.0
                table[..., number + 1 :] = local
            elif sum(a) == 1:
                table[..., number + 1 + a.index(1)] = 1.0
            table.setflags(write=False)
            found[a] = table
        return found


def _slopes(activation: str, z: np.ndarray, highest: int) -> list[np.ndarray]:
    """Return σ(z), σ'(z), … up to the derivative of order `highest`."""
    if activation == SINE:
        sine = np.sin(z)
        found = [sine]
        if highest:
            cosine = np.cos(z)
            cycle = [sine, cosine, -sine, -cosine]
            found = [cycle[k % 4] for k in range(highest + 1)]
        return found
    y = np.tanh(z)
    # Derivatives of tanh are polynomials in y: P' = dP/dy (1 - y²).
    polynomial = np.polynomial.Polynomial([0.0, 1.0])
    rate = np.polynomial.Polynomial([1.0, 0.0, -1.0])
    found = []
    for _ in range(highest + 1):
        found.append(polynomial(y))
        polynomial = polynomial.deriv() * rate
    return found


def draw(number: int, scales: Sequence[float], activation: str, seed: int) -> Basis:
    """Return `number` random features of scales `s_k`.

    A hyperplane `w·ξ + b = 0` of a tanh feature crosses the box; the phase of a sine is
    uniform.
    """
    generator = np.random.default_rng(seed)
    d = len(scales)
    weights = generator.uniform(-1.0, 1.0, (number, d)) * np.asarray(scales)
    if activation == SINE:
        biases = generator.uniform(0.0, 2 * math.pi, number)
    else:
        centres = generator.uniform(-1.1, 1.1, (number, d))
        biases = -(weights * centres).sum(1)
    return Basis(weights, biases, activation)


@dataclass(frozen=True, eq=False)
class Orthonormal:
    """The span of random features in functions of which no two are nearly alike.

    The functions `ψ = Tᵀ φ` are orthonormal on a grid of Chebyshev points in the box,
    by a singular value decomposition; directions below `RANK` are left out. Features
    are close to linearly dependent, these are not: normal equations can be used.
    """

    features: Basis
    mixing: np.ndarray

    @classmethod
    def of(cls, features: Basis) -> Orthonormal:
        """Return the orthonormal functions of features."""
        d = features.weights.shape[1]
        n = math.ceil(FINE * features.size ** (1 / d)) + 2
        axis = np.cos(math.pi * (np.arange(n) + 0.5) / n)
        grid = np.stack(np.meshgrid(*[axis] * d, indexing="ij"), -1).reshape(-1, d)
        zero = (0,) * d
        table = features.tables(grid, [zero])[zero]
        _, singular, right = np.linalg.svd(table / math.sqrt(len(table)), False)
        kept = singular > RANK * singular[0]
        return cls(features, right[kept].T / singular[kept])

    @property
    def size(self) -> int:
        """The number of functions."""
        return int(self.mixing.shape[1])

    def tables(
        self, local: np.ndarray, orders: Sequence[tuple[int, ...]]
    ) -> dict[tuple[int, ...], np.ndarray]:
        """Return derivatives by the local coordinates, as `Basis.tables` does."""
        tables = self.features.tables(local, orders)
        return {a: t @ self.mixing for a, t in tables.items()}


@dataclass(frozen=True, eq=False)
class Harmonics:
    """Sines and cosines of a period, `ξ` in [-1, 1]: a Fourier basis, nothing random.

    `1`, `√2 sin(kπξ)` and `√2 cos(kπξ)`, k = 1 … K: orthonormal, and the only features
    of one coordinate that satisfy a periodic condition exactly.

    Attributes
    ----------
    highest
        The number K of frequencies.
    """

    highest: int

    @property
    def size(self) -> int:
        """The number of functions."""
        return 2 * self.highest + 1

    def finer(self) -> Harmonics:
        """Return those of half as many frequencies more."""
        return Harmonics(self.highest + math.ceil(self.highest / 2))

    def tables(
        self, local: np.ndarray, orders: Sequence[tuple[int, ...]]
    ) -> dict[tuple[int, ...], np.ndarray]:
        """Return derivatives by the local coordinate, as `Basis.tables` does."""
        frequencies = math.pi * np.arange(1, self.highest + 1)
        phases = local * frequencies
        highest = max((sum(a) for a in orders), default=0)
        sines = _slopes(SINE, phases, highest + 1)
        found: dict[tuple[int, ...], np.ndarray] = {}
        for (order,) in orders:
            table = np.zeros((*local.shape[:-1], self.size))
            table[..., 0] = order == 0
            factors = math.sqrt(2.0) * frequencies**order
            table[..., 1::2] = factors * sines[order]
            table[..., 2::2] = factors * sines[order + 1]
            found[(order,)] = table
        return found
