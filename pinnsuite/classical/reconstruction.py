"""Fluxes between cells for hyperbolic systems, along the last axis of arrays.

A state has shape (m, rows, n): m components, n cells in the direction of the flux. The
characteristic components of a vector v are its projections P_k v on the eigenspaces of
the flux Jacobian A, which come from its eigenvalues alone,

    P_k = Π_{j≠k} (A - λ_j) / (λ_k - λ_j),   Σ_k P_k = 1,

so that no eigenvector has to be named, and none degenerates where a component of it
vanishes. Limiters act on each component of each projection; where an eigenvalue is
simple these are multiples of one number, and the result is that of limiting the number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SMOOTH_EXTREMUM = 50.0
"""Slopes below this share of the field's range times (h/L)² are not limited.

It is the TVB constant of C.-W. Shu, Math. Comp. 49 (1987) 105, DOI
10.1090/S0025-5718-1987-0890256-5: a sine wave over the length has 2π² at its crests.
"""

TINY = 1e-40

State = np.ndarray


@dataclass(frozen=True, eq=False)
class Characteristics:
    """What one direction of a system knows about its waves, at one time.

    The three functions take (time, *coordinates, *components) and return a list of
    arrays and numbers.

    Attributes
    ----------
    fluxes
        F(q), m expressions.
    entries
        The Jacobian A(q), m² expressions, row by row.
    eigenvalues
        λ_k(q), the distinct ones; None where there is no closed form.
    middle
        Indices of the eigenvalues that are neither the smallest nor the largest one.
    time
        The time.
    before, after
        The other coordinates, shape (rows, 1), as they stand around this direction's.
    """

    fluxes: Callable[..., list[Any]]
    entries: Callable[..., list[Any]]
    eigenvalues: Callable[..., list[Any]] | None
    middle: tuple[int, ...] = ()
    time: float = 0.0
    before: tuple[np.ndarray, ...] = ()
    after: tuple[np.ndarray, ...] = ()

    def flux(self, x: np.ndarray, q: State) -> np.ndarray:
        """Return F at coordinates x, shape (n,), and states q, shape (m, …, n)."""
        return stacked(self._values(self.fluxes, x, q), q.shape[1:])

    def jacobian(self, x: np.ndarray, q: State) -> np.ndarray:
        """Return A, shape (m, m, …)."""
        entries = stacked(self._values(self.entries, x, q), q.shape[1:])
        return entries.reshape(len(q), *q.shape)

    def speeds(self, x: np.ndarray, q: State) -> np.ndarray:
        """Return all distinct λ_k, shape (K, …)."""
        if self.eigenvalues is not None:
            return stacked(self._values(self.eigenvalues, x, q), q.shape[1:])
        matrices = np.moveaxis(self.jacobian(x, q), (0, 1), (-2, -1))
        return np.moveaxis(np.sort(np.linalg.eigvals(matrices).real), -1, 0)

    def _values(
        self, function: Callable[..., list[Any]], x: np.ndarray, q: State
    ) -> list[Any]:
        return function(self.time, *self.before, x, *self.after, *q)

    def projections(
        self, x: np.ndarray, state: State, vectors: np.ndarray
    ) -> list[np.ndarray]:
        """Return P_k v for each k, A being taken at `state`.

        Parameters
        ----------
        x, state
            Shapes (n,) and (m, rows, n).
        vectors
            Shape (m, s, rows, n): s vectors a cell.
        """
        if self.eigenvalues is None or len(vectors) == 1:
            return [vectors]
        matrix = self.jacobian(x, state)
        speeds = self.speeds(x, state)
        parts = [
            _projection(matrix, speeds, k, vectors) for k in range(len(speeds) - 1)
        ]
        return [*parts, vectors - sum(parts)]


def _projection(
    matrix: np.ndarray, speeds: np.ndarray, k: int, vectors: np.ndarray
) -> np.ndarray:
    for j, speed in enumerate(speeds):
        if j != k:
            gap = speeds[k] - speed
            gap[gap == 0] = np.inf
            product = np.einsum("ijrn,jsrn->isrn", matrix, vectors)
            product -= speed * vectors
            product /= gap
            vectors = product
    return vectors


def stacked(values: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
    """Return the values of expressions as one array; constants are spread out."""
    result = np.empty((len(values), *shape))
    for row, value in zip(result, values, strict=True):
        row[...] = value
    return result


def minmod(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the smaller one in size where the signs agree, else 0."""
    sign = (np.sign(a) + np.sign(b)) / 2
    slope: np.ndarray = sign * np.minimum(np.abs(a), np.abs(b))
    return slope


def van_leer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the harmonic mean where the signs agree, else 0."""
    product = a * b
    return np.where(product > 0, 2 * product / (a + b + TINY), 0.0)


def monotonised_central(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the mean, bounded by twice either slope, where the signs agree, else 0."""
    sign = (np.sign(a) + np.sign(b)) / 2
    bound = 2 * np.minimum(np.abs(a), np.abs(b))
    slope: np.ndarray = sign * np.minimum(bound, np.abs(a + b) / 2)
    return slope


LIMITERS = {"MC": monotonised_central, "van Leer": van_leer, "minmod": minmod}
"""Limited slopes from the two one-sided ones, by name."""


def muscl(
    waves: Characteristics,
    x: np.ndarray,
    cells: State,
    limiter: str,
    threshold: np.ndarray,
) -> np.ndarray:
    """Return the fluxes of piecewise linear states, shape (m, rows, n - 3).

    Parameters
    ----------
    waves
        Of the direction.
    x, cells
        Centres and means, shapes (n,) and (m, rows, n), two ghost cells at either end.
    limiter
        One of `LIMITERS`.
    threshold
        Shape (m, 1, 1): slopes up to this size are central.
    """
    steps = np.diff(cells)
    inner = cells[..., 1:-1]
    limit = LIMITERS[limiter]
    pairs = np.stack([steps[..., :-1], steps[..., 1:]], axis=1)
    slope = np.zeros_like(inner)
    for part in waves.projections(x[1:-1], inner, pairs):
        before, after = part[:, 0], part[:, 1]
        central = (before + after) / 2
        limited = limit(before, after)
        slope += np.where(np.abs(central) <= threshold, central, limited)
    left, right = inner + slope / 2, inner - slope / 2
    faces = (x[1:-2] + x[2:-1]) / 2
    return riemann_flux(waves, faces, left[..., :-1], right[..., 1:])


def riemann_flux(
    waves: Characteristics, x: np.ndarray, left: State, right: State
) -> np.ndarray:
    """Return the flux of Harten, Lax and van Leer, with the middle waves resolved.

    The smallest and the largest speed of the left, the mean and the right state (and
    two states between for a scalar law, whose flux may be nonconvex) bound the fan;
    the waves between, such as contacts, are put back by the antidiffusion of HLLEM.
    Source: B. Einfeldt, C. D. Munz, P. L. Roe & B. Sjögreen, J. Comput. Phys. 92 (1991)
    273, DOI 10.1016/0021-9991(91)90211-3; M. Dumbser & D. S. Balsara, J. Comput. Phys.
    304 (2016) 275, DOI 10.1016/j.jcp.2015.10.014.
    """
    jump = right - left
    shares = (0.0, 0.25, 0.5, 0.75, 1.0) if len(left) == 1 else (0.0, 0.5, 1.0)
    found = waves.speeds(x, np.stack([left + s * jump for s in shares], axis=1))
    lowest = found.min(axis=(0, 1), initial=0.0)
    highest = found.max(axis=(0, 1), initial=0.0)
    width = highest - lowest
    width = np.where(width == 0, 1.0, width)
    viscosity = lowest * highest / width
    both = waves.flux(x, np.stack([left, right], axis=1))
    at_left, at_right = both[:, 0], both[:, 1]
    flux: np.ndarray = (
        highest * at_left - lowest * at_right
    ) / width + viscosity * jump
    still = (highest == 0) & (lowest == 0)
    if still.any():
        flux = np.where(still, at_left, flux)
    if waves.middle:
        mean = (left + right) / 2
        matrix, speeds = waves.jacobian(x, mean), found[:, len(shares) // 2]
        low = np.where(lowest == 0, -np.inf, lowest)
        high = np.where(highest == 0, np.inf, highest)
        for k in waves.middle:
            share = 1 - np.minimum(speeds[k], 0) / low - np.maximum(speeds[k], 0) / high
            wave = _projection(matrix, speeds, k, jump[:, None])[:, 0]
            flux -= viscosity * np.maximum(share, 0) * wave
    return flux


def weno5(waves: Characteristics, x: np.ndarray, cells: State) -> np.ndarray:
    """Return fluxes of fifth order for point values, shape (m, rows, n - 5).

    Conservative finite differences: the Lax-Friedrichs halves (F_k ± α_k q_k)/2 of each
    characteristic component are interpolated from either side with the weights WENO-Z;
    α_k is the largest |λ_k| on the stencil.
    Source: C.-W. Shu & S. Osher, J. Comput. Phys. 77 (1988) 439, DOI
    10.1016/0021-9991(88)90177-5; G.-S. Jiang & C.-W. Shu, J. Comput. Phys. 126 (1996)
    202, DOI 10.1006/jcph.1996.0130; R. Borges et al., J. Comput. Phys. 227 (2008) 3191,
    DOI 10.1016/j.jcp.2007.11.038.

    Parameters
    ----------
    waves
        Of the direction.
    x, cells
        Points and values there, shapes (n,) and (m, rows, n), three ghosts at either
        end.
    """
    count = cells.shape[-1] - 5
    flux = waves.flux(x, cells)
    speeds = np.abs(waves.speeds(x, cells))
    if waves.eigenvalues is None:
        speeds = speeds.max(axis=0, keepdims=True)
    windows = [slice(s, s + count) for s in range(6)]
    bound = np.max([speeds[..., w] for w in windows], axis=0)
    vectors = np.stack(
        [flux[..., w] for w in windows] + [cells[..., w] for w in windows], axis=1
    )
    mean = (cells[..., windows[2]] + cells[..., windows[3]]) / 2
    ranges = np.ptp(flux, axis=(1, 2)) + bound.max() * np.ptp(cells, axis=(1, 2))
    floor = (SMOOTH_EXTREMUM * ranges / count**2)[:, None, None] ** 2 + TINY
    result: np.ndarray = np.zeros_like(mean)
    faces = (x[2:-3] + x[3:-2]) / 2
    for k, part in enumerate(waves.projections(faces, mean, vectors)):
        carried, moved = part[:, :6], bound[k] * part[:, 6:]
        result += _weno(carried[:, :5] + moved[:, :5], floor)
        result += _weno((carried - moved)[:, :0:-1], floor)
    return result / 2


def _weno(v: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Return the value at the right end of the third of five cells, (m, 5, …)."""
    a, b, c, d, e = (v[:, s] for s in range(5))
    second = a - 2 * b + c, b - 2 * c + d, c - 2 * d + e
    first = a - 4 * b + 3 * c, b - d, 3 * c - 4 * d + e
    rough = [13 / 12 * s * s + f * f / 4 for s, f in zip(second, first, strict=True)]
    whole = np.abs(rough[0] - rough[2])
    weights = [
        ideal * (1 + (whole / (r + floor)) ** 2)
        for ideal, r in zip((0.1, 0.6, 0.3), rough, strict=True)
    ]
    value = (
        weights[0] * (2 * a - 7 * b + 11 * c)
        + weights[1] * (-b + 5 * c + 2 * d)
        + weights[2] * (2 * c + 5 * d - e)
    )
    result: np.ndarray = value / (6 * (weights[0] + weights[1] + weights[2]))
    return result
