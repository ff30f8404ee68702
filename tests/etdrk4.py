"""A second route to periodic Burgers, independent of the package's own solvers."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class BurgersETDRK4:
    """Kassam and Trefethen's ETDRK4 for u_t + (u²/2)_x = ν u_xx on [0, 1], 0 ≤ t ≤ 1.

    doi:10.1137/S1064827502410633; coefficients by contour means, 2/3 dealiasing.
    """

    family: ClassVar[str] = "classical"

    viscosity: float = 0.01
    points: int = 128
    steps: int = 50

    def why_not(self, problem):
        return None if problem.name == "periodic_burgers" else "it is not Burgers"

    def refined(self):
        return replace(self, points=2 * self.points, steps=2 * self.steps)

    def expected_order(self, problem):
        return None

    def solve(self, problem, *, progress=None, budget=None):
        raise NotImplementedError("the tests use batches only")

    def solve_batch(self, problem, initial):
        given = initial.shape[1]
        n, h = self.points, 1 / self.steps
        k = np.arange(n // 2 + 1)
        linear = -self.viscosity * (2 * np.pi * k) ** 2 * h
        radii = np.exp(1j * np.pi * (np.arange(1, 33) - 0.5) / 32)
        z = linear[:, None] + radii
        e, e2 = np.exp(linear), np.exp(linear / 2)
        q = h * ((np.exp(z / 2) - 1) / z).mean(1).real
        f1 = h * ((-4 - z + np.exp(z) * (4 - 3 * z + z**2)) / z**3).mean(1).real
        f2 = h * ((2 + z + np.exp(z) * (-2 + z)) / z**3).mean(1).real
        f3 = h * ((-4 - 3 * z - z**2 + np.exp(z) * (4 - z)) / z**3).mean(1).real
        factor = -1j * np.pi * k * (k <= n // 3)

        def flux(v):
            return factor * np.fft.rfft(np.fft.irfft(v, n) ** 2)

        v = resampled(np.fft.rfft(initial), given, n)
        for _ in range(self.steps):
            a0 = flux(v)
            a = e2 * v + q * a0
            a1 = flux(a)
            b = e2 * v + q * a1
            a2 = flux(b)
            c = e2 * a + q * (2 * a2 - a0)
            v = e * v + f1 * a0 + 2 * f2 * (a1 + a2) + f3 * flux(c)
        return np.fft.irfft(resampled(v, n, given), given)


def resampled(waves, old, new):
    """Return the waves of the same function on `new` points."""
    count = min(old, new) // 2
    result = np.zeros((len(waves), new // 2 + 1), dtype=complex)
    result[:, :count] = waves[:, :count] * (new / old)
    return result
