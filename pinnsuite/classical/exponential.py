"""Time stepping of `v_t = L v + N(t, v)`, one scalar or small matrix L a mode.

The states come first: v has shape (n, *modes), a matrix (m, n, *modes), or (n, *modes)
if it is diagonal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import numpy as np

_TERMS = 13
"""Terms of a Taylor series on |z| ≤ 1/2: the first one left out is below 1e-17."""

Nonlinear = Callable[[float, np.ndarray], np.ndarray]
"""N(t, v), shaped like v."""


@runtime_checkable
class Scheme(Protocol):
    """One formula of time stepping, set up for L and the step h."""

    def step(self, t: float, v: np.ndarray) -> np.ndarray:
        """Return v one step later."""


def apply(matrix: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the product of a matrix a mode and v.

    With a single state v may have one more axis, of members that share the matrix.
    """
    if matrix.ndim <= v.ndim:
        product: np.ndarray = matrix * v
        return product
    total: np.ndarray = matrix[:, 0] * v[0]
    for j in range(1, len(v)):
        total += matrix[:, j] * v[j]
    return total


def compact(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix (m, n, *modes) as real or diagonal if it is either."""
    if not matrix.imag.any():
        matrix = np.ascontiguousarray(matrix.real)
    m, n = matrix.shape[:2]
    is_off = ~np.eye(m, n, dtype=bool)
    if m == n and not matrix[is_off].any():
        return np.ascontiguousarray(matrix[np.arange(n), np.arange(n)])
    return matrix


def phi_functions(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `e^z, φ₁, φ₂, φ₃` at z/2 and at z, with `φ_k(z) = (φ_{k-1} - 1/(k-1)!)/z`.

    Taylor series at z/2^s with a norm of at most 1/2, then s times the formulas of
    doubling, so that nothing cancels. Each mode has an s of its own: halved too often,
    it would lose as many bits.
    Source: B. Skaflestad & W. M. Wright, The scaling and modified squaring method for
    matrix functions related to the exponential, Appl. Numer. Math. 59 (2009) 783,
    DOI 10.1016/j.apnum.2008.03.035.

    Parameters
    ----------
    z
        Shape (modes,) for scalars, (modes, n, n) for matrices.

    Returns
    -------
    Two arrays of shape (4, *z.shape).
    """
    is_matrix = z.ndim == 3
    product = np.matmul if is_matrix else np.multiply
    one = np.eye(z.shape[-1]) if is_matrix else np.ones(())
    norm = np.abs(z).sum(axis=-1).max(axis=-1) if is_matrix else np.abs(z)
    # At least once, since the values at z/2 are asked for as well.
    halvings = np.ceil(np.log2(np.maximum(2 * norm, 2.0))).astype(int)
    x = z / np.exp2(halvings).reshape(-1, *(1,) * (z.ndim - 1))
    third = np.zeros_like(x)
    for j in reversed(range(_TERMS)):
        third = product(x, third) + one / math.factorial(j + 3)
    second = product(x, third) + one / 2
    first = product(x, second) + one
    phi = np.stack([product(x, first) + one, first, second, third])
    half = np.empty_like(phi)
    for done in range(halvings.max(initial=0)):
        last = halvings == done + 1
        half[:, last] = phi[:, last]
        rest = halvings > done
        e, p1, p2, p3 = phi[:, rest]
        phi[:, rest] = np.stack(
            [
                product(e, e),
                (product(e, p1) + p1) / 2,
                (product(e, p2) + p1 + p2) / 4,
                (product(e, p3) + p1 / 2 + p2 + p3) / 8,
            ]
        )
    if not is_matrix:
        half[0], phi[0] = np.exp(z / 2), np.exp(z)
    return half, phi


def _flattened(linear: np.ndarray, axes: int) -> np.ndarray:
    """Return L, which has `axes` axes of modes, with a single one that comes first."""
    if linear.ndim == axes + 1:
        return linear.reshape(-1)
    n = len(linear)
    return np.moveaxis(linear.reshape(n, n, -1), -1, 0)


def _shaped(function: np.ndarray, linear: np.ndarray, axes: int) -> np.ndarray:
    """Return a function of the flattened L in the shape of L."""
    if linear.ndim == axes + 1:
        return function.reshape(linear.shape)
    return np.ascontiguousarray(np.moveaxis(function, 0, -1)).reshape(linear.shape)


class ETDRK4:
    """Exponential time differencing with a Runge-Kutta formula of order 4.

    Source: S. M. Cox & P. C. Matthews, Exponential time differencing for stiff systems,
    J. Comput. Phys. 176 (2002) 430, DOI 10.1006/jcph.2002.6995.
    """

    order = 4.0

    def __init__(
        self, linear: np.ndarray, h: float, axes: int, nonlinear: Nonlinear | None
    ) -> None:
        self.h, self.nonlinear = h, nonlinear
        half, whole = phi_functions(h * _flattened(linear, axes))
        e, p1, p2, p3 = whole
        weights = (
            e,
            half[0],
            h / 2 * half[1],
            h * (p1 - 3 * p2 + 4 * p3),
            2 * h * (p2 - 2 * p3),
            h * (4 * p3 - p2),
        )
        self.weights = [_shaped(w, linear, axes) for w in weights]

    def step(self, t: float, v: np.ndarray) -> np.ndarray:
        """Return v one step later."""
        full, half, q, f1, f2, f3 = self.weights
        n = self.nonlinear
        if n is None:
            return apply(full, v)
        middle = t + self.h / 2
        n0 = n(t, v)
        base = apply(half, v)
        a = base + apply(q, n0)
        na = n(middle, a)
        nb = n(middle, base + apply(q, na))
        nc = n(t + self.h, apply(half, a) + apply(q, 2 * nb - n0))
        result: np.ndarray = apply(full, v) + apply(f1, n0)
        result += apply(f2, na + nb)
        result += apply(f3, nc)
        return result


class IFRK4:
    """The classical Runge-Kutta formula for `e^{-tL} v`: integrating factor.

    Cheap and popular; its error constant is larger than that of exponential
    differencing, by the stiffness of what it integrates.
    Source: L. N. Trefethen, Spectral Methods in MATLAB, SIAM 2000, ch. 10,
    DOI 10.1137/1.9780898719598.
    """

    order = 4.0

    def __init__(
        self, linear: np.ndarray, h: float, axes: int, nonlinear: Nonlinear | None
    ) -> None:
        self.h, self.nonlinear = h, nonlinear
        half, whole = phi_functions(h * _flattened(linear, axes))
        self.half = _shaped(half[0], linear, axes)
        self.full = _shaped(whole[0], linear, axes)

    def step(self, t: float, v: np.ndarray) -> np.ndarray:
        """Return v one step later."""
        n, h = self.nonlinear, self.h
        if n is None:
            return apply(self.full, v)
        base = apply(self.half, v)
        n0 = n(t, v)
        na = n(t + h / 2, base + h / 2 * apply(self.half, n0))
        nb = n(t + h / 2, base + h / 2 * na)
        nc = n(t + h, apply(self.half, base + h * nb))
        result: np.ndarray = apply(self.full, v + h / 6 * n0) + h / 6 * nc
        result += h / 3 * apply(self.half, na + nb)
        return result


class SBDF2:
    """Backward differences of order 2 for L, extrapolation of N: semi-implicit.

    The popular choice for phase fields; the first step is an Euler step.
    Source: U. M. Ascher, S. J. Ruuth & B. T. R. Wetton, Implicit-explicit methods for
    time-dependent PDEs, SIAM J. Numer. Anal. 32 (1995) 797, DOI 10.1137/0732037.
    """

    order = 2.0

    def __init__(
        self, linear: np.ndarray, h: float, axes: int, nonlinear: Nonlinear | None
    ) -> None:
        self.h = h
        self.nonlinear = nonlinear or (lambda t, v: np.zeros_like(v))  # noqa: ARG005
        z = h * _flattened(linear, axes)

        def resolvent(shift: float) -> np.ndarray:
            if z.ndim == 1:
                return _shaped(1 / (shift - z), linear, axes)
            inverse = np.linalg.inv(shift * np.eye(z.shape[-1]) - z)
            return _shaped(inverse, linear, axes)

        self.start, self.inverse = resolvent(1.0), resolvent(1.5)
        self.before: tuple[np.ndarray, np.ndarray] | None = None

    def step(self, t: float, v: np.ndarray) -> np.ndarray:
        """Return v one step later; the steps must follow each other."""
        rate = self.nonlinear(t, v)
        if self.before is None:
            result = apply(self.start, v + self.h * rate)
        else:
            old, old_rate = self.before
            known = 2 * v - old / 2 + self.h * (2 * rate - old_rate)
            result = apply(self.inverse, known)
        self.before = (v, rate)
        return result


SCHEMES: Mapping[str, type[ETDRK4] | type[IFRK4] | type[SBDF2]] = {
    "etdrk4": ETDRK4,
    "if-rk4": IFRK4,
    "sbdf2": SBDF2,
}
"""The formulas by the names that options use."""
