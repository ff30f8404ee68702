"""Fluxes between cells for hyperbolic systems, along the last axis of arrays.

A state has shape (m, rows, n): m components, n cells in the direction of the flux. The
projections on the eigenspaces of the flux Jacobian A follow from its eigenvalues alone,

    P_k = Π_{j≠k} (A - λ_j) / (λ_k - λ_j),   Σ_k P_k = 1.

Where λ_k is simple, P_k = r l with r a column and l a row of it, through the largest
entry of its diagonal: that is at least 1/m since the trace is 1, so no eigenvector has
to be named, and none degenerates. Else all rows of P_k are taken.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

SMOOTH_EXTREMUM = 50.0
"""Slopes below this share of the field's range times (h/L)² are not limited.

It is the TVB constant of C.-W. Shu, Math. Comp. 49 (1987) 105, DOI
10.1090/S0025-5718-1987-0890256-5: a sine wave over the length has 2π² at its crests.
"""

TINY = 1e-40

State = np.ndarray


class Characteristics:
    """What one direction of a system knows about its waves.

    The three functions take (time, *coordinates, *components) and return a list of
    arrays and numbers.

    Parameters
    ----------
    fluxes
        F(q), m expressions.
    entries
        The Jacobian A(q), m² expressions, row by row.
    eigenvalues
        λ_k(q), the distinct ones; None where there is no closed form.

    Attributes
    ----------
    middle
        Indices of the eigenvalues that are neither the smallest nor the largest one.
    multiplicities
        Of each eigenvalue; empty where characteristic components are not used.
    """

    def __init__(
        self,
        fluxes: Callable[..., list[Any]],
        entries: Callable[..., list[Any]],
        eigenvalues: Callable[..., list[Any]] | None,
    ) -> None:
        self.fluxes = fluxes
        self.entries = entries
        self.eigenvalues = eigenvalues
        self.middle: tuple[int, ...] = ()
        self.multiplicities: tuple[int, ...] = ()
        self._place: tuple[Any, Any] = ((0.0,), ())

    def at(
        self, t: float, before: Sequence[np.ndarray], after: Sequence[np.ndarray]
    ) -> Characteristics:
        """Return the waves at one time and place.

        Parameters
        ----------
        t
            The time.
        before, after
            The other coordinates, shape (rows, 1), as they stand around this one's.
        """
        moved = copy.copy(self)
        moved._place = ((t, *before), tuple(after))
        return moved

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
        before, after = self._place
        return function(*before, x, *after, *q)

    def basis(
        self, x: np.ndarray, state: State
    ) -> tuple[np.ndarray, np.ndarray, list[int]]:
        """Return rows l, columns r with `Σ r (l v) = v`, and the λ_k each belongs to.

        Shapes (c, m, rows, n) and (m, c, rows, n), c characteristic components.
        """
        matrix, speeds = self.jacobian(x, state), self.speeds(x, state)
        unit = np.eye(len(state))[..., None, None]
        left, right, owners = [], [], []
        for k, count in enumerate(self.multiplicities):
            projection = _projection(matrix, speeds, k, unit)
            if count == 1:
                diagonal = np.einsum("iirn->irn", projection)
                place = np.argmax(diagonal, axis=0)[None, None]
                column = np.take_along_axis(projection, place, axis=1)
                row = np.take_along_axis(projection, place.swapaxes(0, 1), axis=0)
                left.append(row)
                right.append(column / diagonal.max(axis=0))
            else:
                left.append(projection)
                right.append(np.broadcast_to(unit, projection.shape))
            owners += [k] * left[-1].shape[0]
        return np.concatenate(left), np.concatenate(right, axis=1), owners

    @property
    def is_coupled(self) -> bool:
        """There are several components, and closed forms of their waves."""
        return bool(self.multiplicities)


def _projection(
    matrix: np.ndarray, speeds: np.ndarray, k: int, vectors: np.ndarray
) -> np.ndarray:
    """Return P_k times vectors of shape (m, s, …)."""
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
    pairs = np.stack([steps[..., :-1], steps[..., 1:]], axis=1)
    if waves.is_coupled:
        rows, columns, _ = waves.basis(x[1:-1], inner)
        pairs = np.einsum("cirn,isrn->csrn", rows, pairs)
        threshold = np.einsum("cirn,iyz->crn", np.abs(rows), threshold)
    before, after = pairs[:, 0], pairs[:, 1]
    central = (before + after) / 2
    limited = LIMITERS[limiter](before, after)
    slope = np.where(np.abs(central) <= threshold, central, limited)
    if waves.is_coupled:
        slope = np.einsum("icrn,crn->irn", columns, slope)
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
    windows = [slice(s, s + count) for s in range(6)]
    bound = np.max([speeds[..., w] for w in windows], axis=0)
    vectors = np.stack(
        [flux[..., w] for w in windows] + [cells[..., w] for w in windows], axis=1
    )
    ranges = np.stack([np.ptp(flux, axis=(1, 2)), np.ptp(cells, axis=(1, 2))], axis=1)
    ranges = (SMOOTH_EXTREMUM / count**2) * ranges[..., None, None]
    if waves.is_coupled:
        mean = (cells[..., windows[2]] + cells[..., windows[3]]) / 2
        rows, columns, owners = waves.basis((x[2:-3] + x[3:-2]) / 2, mean)
        vectors = np.einsum("cirn,isrn->csrn", rows, vectors)
        ranges = np.einsum("cirn,isyz->csrn", np.abs(rows), ranges)
        bound = bound[owners]
    else:
        bound = bound.max(axis=0, keepdims=True)
    moved = bound[:, None] * vectors[:, 6:]
    carried = vectors[:, :6]
    halves = np.stack([(carried + moved)[:, :5], (carried - moved)[:, :0:-1]])
    floor = (ranges[:, 0] + bound * ranges[:, 1]) ** 2 + TINY
    result: np.ndarray = _weno(np.moveaxis(halves, 2, 0), floor).sum(axis=0) / 2
    if waves.is_coupled:
        result = np.einsum("icrn,crn->irn", columns, result)
    return result


def _weno(v: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Return values at the right ends of the third of five cells, shape (5, …)."""
    a, b, c, d, e = v
    second = a - 2 * b + c, b - 2 * c + d, c - 2 * d + e
    first = a - 4 * b + 3 * c, b - d, 3 * c - 4 * d + e
    rough = [13 / 12 * s * s + f * f / 4 for s, f in zip(second, first, strict=True)]
    whole = np.abs(rough[0] - rough[2])
    one, two, three = (
        ideal * (1 + (whole / (r + floor)) ** 2)
        for ideal, r in zip((0.1, 0.6, 0.3), rough, strict=True)
    )
    value = one * (2 * a - 7 * b + 11 * c)
    value += two * (5 * c - b + 2 * d)
    value += three * (2 * c + 5 * d - e)
    result: np.ndarray = value / (6 * (one + two + three))
    return result
