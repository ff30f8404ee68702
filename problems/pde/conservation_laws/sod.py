"""The shock tube: gas at two pressures behind a membrane that breaks."""

import math
from functools import lru_cache

import numpy as np
import sympy as sp
from scipy.optimize import brentq

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    D,
    Dirichlet,
    Evaluated,
    Initial,
    Interval,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)

Primitive = tuple[float, float, float]


def sod(
    left: Primitive = (1.0, 0.0, 1.0),
    right: Primitive = (0.125, 0.0, 0.1),
    gamma: float = 1.4,
    end: float = 0.2,
) -> Problem:
    """Sod's shock tube, or any Riemann problem of an ideal gas.

    ρ_t + m_x = 0, m_t + (m²/ρ + p)_x = 0, E_t + ((E + p) m/ρ)_x = 0 on (0, 1),
    p = (γ - 1) (E - m²/(2ρ)), 0 < t ≤ 0.2;
    (ρ, u, p) = (1, 0, 1) for x < 1/2 and (0.125, 0, 0.1) for x > 1/2.

    A shock and, behind it, a contact run to the right and a fan to the left, before any
    of them reaches an end, where the states are held. The exact solution depends on
    (x - 1/2)/t alone: one equation for the pressure between the waves (Toro).

    Trap: a contact spreads with time, so first-order methods never catch up; errors
    fall like h in L1 at best, like h^(1/2) in L2, so that an L2 error says little about
    a method's order. Trap: PDEBench's networks for these equations were trained on a
    residual with the wrong sign of p_x in the momentum equation.
    """
    if not gamma > 1 or min(left[0], left[2], right[0], right[2]) <= 0 or end <= 0:
        raise OptionError(
            f"sod: left is {left}, right is {right}, gamma is {gamma}, end is {end}; "
            "needed are positive densities (first) and pressures (last), gamma > 1 and "
            "end > 0."
        )
    sound = [math.sqrt(gamma * s[2] / s[0]) for s in (left, right)]
    if right[1] - left[1] >= 2 * sum(sound) / (gamma - 1):
        raise OptionError(
            f"sod: left is {left} and right is {right}: they part so fast that a "
            "vacuum opens between them; bring their velocities nearer."
        )
    slowest, fastest = _span(left, right, gamma)
    if max(-slowest, fastest) * end >= 0.5:
        raise OptionError(
            f"sod: waves of speed {slowest:.3g} and {fastest:.3g} reach an end before "
            f"t = {end}; take end < {0.5 / max(-slowest, fastest):.3g}."
        )
    t, x = coordinates("t x")
    rho, m, energy = (field_of(name, t, x) for name in ("rho", "m", "E"))
    fields = (rho, m, energy)
    pressure = (gamma - 1) * (energy - m**2 / rho / 2)
    states = [_conserved(s, gamma) for s in (left, right)]
    initial = [
        Initial(f, sp.Piecewise((a, x < sp.Rational(1, 2)), (b, True)))
        for f, a, b in zip(fields, *states, strict=True)
    ]
    held = [
        Dirichlet(f, v, on=side)
        for side, state in zip(("left", "right"), states, strict=True)
        for f, v in zip(fields, state, strict=True)
    ]
    return Problem(
        name="sod",
        fields=fields,
        equations=[
            D(rho, t) + D(m, x),
            D(m, t) + D(m**2 / rho + pressure, x),
            D(energy, t) + D((energy + pressure) * m / rho, x),
        ],
        domain=Interval(x, 0, 1),
        time=TimeInterval(t, 0, end, num_outputs=21),
        conditions=[*initial, *held],
        norm="L1",
        reference=Evaluated(
            lambda points: _exact(points, left, right, gamma),
            error_estimate=1e-12,
            description="exact solution of the Riemann problem",
        ),
        source=(
            "G. A. Sod, Journal of Computational Physics 27 (1978) 1-31, "
            "doi:10.1016/0021-9991(78)90023-2; E. F. Toro, Riemann Solvers and "
            "Numerical Methods for Fluid Dynamics, 2009, chapter 4, doi:10.1007/b79761"
        ),
        tags=[
            "nonlinear",
            "hyperbolic",
            "gas dynamics",
            "shock",
            "contact",
            "pdebench",
        ],
    )


def _conserved(state: Primitive, gamma: float) -> Primitive:
    rho, u, p = state
    return rho, rho * u, p / (gamma - 1) + rho * u * u / 2


def _speed_change(p: float, state: Primitive, gamma: float) -> float:
    """Return by how much the wave next to `state` changes u when p is behind it."""
    rho, _, before = state
    if p > before:
        a, b = 2 / ((gamma + 1) * rho), (gamma - 1) / (gamma + 1) * before
        return (p - before) * math.sqrt(a / (p + b))
    sound = math.sqrt(gamma * before / rho)
    power = (gamma - 1) / (2 * gamma)
    return 2 * sound / (gamma - 1) * float((p / before) ** power - 1)


@lru_cache(maxsize=8)
def _between(left: Primitive, right: Primitive, gamma: float) -> tuple[float, float]:
    """Return pressure and velocity between the two outer waves."""

    def mismatch(p: float) -> float:
        change = _speed_change(p, left, gamma) + _speed_change(p, right, gamma)
        return change + right[1] - left[1]

    upper = max(left[2], right[2])
    while mismatch(upper) < 0:
        upper *= 2
    p = float(brentq(mismatch, 1e-14 * upper, upper, xtol=1e-300, rtol=1e-15))
    change = _speed_change(p, right, gamma) - _speed_change(p, left, gamma)
    return p, (left[1] + right[1] + change) / 2


def _span(left: Primitive, right: Primitive, gamma: float) -> tuple[float, float]:
    """Return the speeds of the outermost waves."""
    p, _ = _between(left, right, gamma)
    speeds = []
    for side, (rho, u, before) in ((-1, left), (1, right)):
        sound = math.sqrt(gamma * before / rho)
        ratio = (gamma + 1) / (2 * gamma) * (p / before - 1)
        speeds.append(u + side * sound * math.sqrt(1 + max(ratio, 0.0)))
    return speeds[0], speeds[1]


def riemann(
    ratio: np.ndarray, left: Primitive, right: Primitive, gamma: float
) -> np.ndarray:
    """Return ρ, u, p of the exact Riemann solution at `ratio` = x/t, shape (3, n)."""
    p, u = _between(left, right, gamma)
    found = np.empty((3, len(ratio)))
    k = (gamma - 1) / (gamma + 1)
    for side, state in ((-1.0, left), (1.0, right)):
        # Mirrored, so that the state lies at large positive s.
        mine = ratio <= u if side < 0 else ratio > u
        s, speed = side * ratio[mine], side * u
        rho, before, outer = state[0], side * state[1], state[2]
        sound = math.sqrt(gamma * outer / rho)
        if p > outer:
            front = before + sound * math.sqrt(
                (gamma + 1) / (2 * gamma) * p / outer + (gamma - 1) / (2 * gamma)
            )
            behind = rho * (p / outer + k) / (k * p / outer + 1)
            outside = s > front
            values = [
                np.where(outside, rho, behind),
                np.where(outside, before, speed),
                np.where(outside, outer, p),
            ]
        else:
            behind = rho * (p / outer) ** (1 / gamma)
            tail = speed + math.sqrt(gamma * p / behind)
            inside = np.clip(s, tail, before + sound)
            # In the fan u + c = s, and u - 2c/(γ - 1) is that of the outer state.
            c = k * (inside - before) + 2 * sound / (gamma + 1)
            density = rho * (c / sound) ** (2 / (gamma - 1))
            values = [
                density,
                inside - c,
                outer * (c / sound) ** (2 * gamma / (gamma - 1)),
            ]
        found[0, mine], found[1, mine], found[2, mine] = (
            values[0],
            side * values[1],
            values[2],
        )
    return found


def _exact(
    points: np.ndarray, left: Primitive, right: Primitive, gamma: float
) -> dict[str, np.ndarray]:
    t, x = points[:, 0], points[:, 1] - 0.5
    ratio = np.divide(x, t, out=np.where(x < 0, -np.inf, np.inf), where=t > 0)
    rho, u, p = riemann(np.clip(ratio, -1e9, 1e9), left, right, gamma)
    return {"rho": rho, "m": rho * u, "E": p / (gamma - 1) + rho * u**2 / 2}
