"""A sound pulse in three layers."""

import math

import numpy as np
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    D,
    Dirichlet,
    Evaluated,
    Initial,
    Interval,
    Neumann,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)

EDGES = (0.0, 0.5, 0.75, 1.25)
"""Ends of the layers."""

PULSE, WIDTH = 0.25, 0.03
"""Centre and standard deviation of the initial pressure."""

NEGLIGIBLE = 1e-12
"""Amplitudes below this share of the pulse are not followed."""


def layered_acoustics(density: float = 4.0, speed: float = 2.0) -> Problem:
    """Sound in a layered medium, from a pressure pulse.

    p_tt / (ρ c²) = (p_x / ρ)_x on (0, 1.25), 0 < t ≤ 2, with ρ = 1, c = 1 but in the
    layer 0.5 < x < 0.75, where ρ = `density` and c = `speed`. At the start
    p = exp(-((x - 1/4)/0.03)²/2) and p_t = 0; p_x = 0 at x = 0 (rigid wall), p = 0 at
    x = 1.25 (free surface). Nondimensional. On interfaces p and p_x / ρ (the
    acceleration) are continuous.

    Known solution: a wave that meets an interface from impedance Z₁ = ρ₁c₁ is
    reflected with R = (Z₂ - Z₁)/(Z₂ + Z₁) and transmitted with 1 + R; the wall reflects
    with 1, the surface with -1. Summed over all paths up to t = 2.

    Trap: written as p_tt = c² p_xx the density drops out, and with it the reflection by
    a layer of equal speed.
    Trap: a grid whose faces miss the interfaces moves them, an error of first order.
    """
    if not (0.1 <= density <= 100 and 0.2 <= speed <= 10):
        raise OptionError(
            f"layered_acoustics: density is {density} and speed {speed}; needed are "
            "[0.1, 100] and [0.2, 10]."
        )
    t, x = coordinates("t x")
    p = field_of("p", t, x)
    inside = (x > EDGES[1]) & (x < EDGES[2])
    ρ = sp.Piecewise((density, inside), (1, True))
    bulk = sp.Piecewise((density * speed**2, inside), (1, True))
    start = sp.exp(-(((x - PULSE) / WIDTH) ** 2) / 2)
    end = 2.0
    waves = _waves((1.0, density, 1.0), (1.0, speed, 1.0), end)

    def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
        times, places = points.T
        layer = np.clip(np.searchsorted(EDGES, places, side="right") - 1, 0, 2)
        total = np.zeros(len(points))
        for where, velocity, amplitude, origin in waves:
            mine = layer == where
            # The pulse as a function of time at the wave's reference point x = 0.
            phase = times[mine] - places[mine] / velocity - origin
            total[mine] += amplitude * np.exp(-((phase / WIDTH) ** 2) / 2)
        return {"p": total}

    return Problem(
        name="layered_acoustics",
        fields=[p],
        equations=[D(p, t, 2) / bulk - D(D(p, x) / ρ, x)],
        domain=Interval(x, EDGES[0], EDGES[-1]),
        time=TimeInterval(t, 0, end),
        conditions=[
            Initial(p, start),
            Initial(p, 0, order=1),
            Neumann(p, 0, on="left"),
            Dirichlet(p, 0, on="right"),
        ],
        reference=Evaluated(
            evaluate,
            1e-10,
            "sum over all reflected and transmitted pulses, amplitudes down to 1e-12",
        ),
        source=(
            "L. M. Brekhovskikh, O. A. Godin, Acoustics of Layered Media I, Springer "
            "1990, doi:10.1007/978-3-642-52369-4, chapter 2"
        ),
        tags=["linear", "hyperbolic", "discontinuous coefficient", "acoustics"],
    )


def _waves(
    densities: tuple[float, ...], speeds: tuple[float, ...], end: float
) -> list[tuple[int, float, float, float]]:
    """Return layer, velocity, amplitude and origin of every wave.

    A wave is `amplitude · pulse(t - x/velocity - origin)` in its layer. The pulse
    starts in layer 0, whose speed is 1, so that its width in time is that in space.
    """
    impedances = [ρ * c for ρ, c in zip(densities, speeds, strict=True)]
    last = len(speeds) - 1
    waves = []
    todo = [(0, 1.0, 0.5, -PULSE), (0, -1.0, 0.5, PULSE)]
    while todo:
        layer, velocity, amplitude, origin = todo.pop()
        waves.append((layer, velocity, amplitude, origin))
        ahead = layer + (1 if velocity > 0 else -1)
        edge = EDGES[max(layer, ahead)]
        arrival = origin + edge / velocity
        if arrival - 10 * WIDTH > end or abs(amplitude) < NEGLIGIBLE:
            continue
        if ahead < 0:
            reflection = 1.0
        elif ahead > last:
            reflection = -1.0
        else:
            mine, other = impedances[layer], impedances[ahead]
            reflection = (other - mine) / (other + mine)
            onwards = math.copysign(speeds[ahead], velocity)
            transmitted = amplitude * (1 + reflection)
            todo.append((ahead, onwards, transmitted, arrival - edge / onwards))
        todo.append(
            (layer, -velocity, amplitude * reflection, arrival + edge / velocity)
        )
    return waves
