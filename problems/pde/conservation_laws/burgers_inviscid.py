"""Burgers' equation without viscosity: a sine wave becomes a sawtooth."""

import math

import numpy as np
import sympy as sp

from pinnsuite.errors import OptionError
from pinnsuite.problem import (
    D,
    Evaluated,
    Initial,
    Interval,
    Periodic,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)


def burgers_inviscid(mean: float = 0.25, end: float = 1.0) -> Problem:
    """Inviscid Burgers' equation from a sine wave.

    u_t + (u²/2)_x = 0 on (0, 2), periodic, 0 < t ≤ 1; u(x, 0) = c + sin πx.

    The wave steepens until at t = 1/π a shock appears where u = c on the falling side,
    x = 1 + ct, and then loses energy through it. Characteristics give the solution:
    with ξ = x - ct it is c + sin πξ₀ where ξ₀ + t sin πξ₀ = ξ, ξ₀ being the foot that
    has not run into the shock.

    Trap: u u_x has the same smooth solutions and another meaning at a shock. Trap: the
    loss of energy is part of the solution; schemes that conserve it oscillate.
    """
    if end <= 0:
        raise OptionError(f"burgers_inviscid: end is {end}; it must be positive.")
    t, x = coordinates("t x")
    u = field_of("u", t, x)
    return Problem(
        name="burgers_inviscid",
        fields=[u],
        equations=[D(u, t) + D(u**2 / 2, x)],
        domain=Interval(x, 0, 2),
        time=TimeInterval(t, 0, end),
        conditions=[Initial(u, mean + sp.sin(sp.pi * x)), Periodic(x)],
        norm="L1",
        reference=Evaluated(
            lambda points: {"u": sawtooth(points[:, 0], points[:, 1], mean)},
            error_estimate=1e-13,
            description="characteristics, their feet by bisection",
        ),
        invariants={"mass": u},
        source=(
            "R. J. LeVeque, Finite Volume Methods for Hyperbolic Problems, 2002, "
            "chapter 11, doi:10.1017/CBO9780511791253"
        ),
        tags=["nonlinear", "hyperbolic", "shock", "periodic", "pdebench"],
    )


def sawtooth(t: np.ndarray, x: np.ndarray, mean: float) -> np.ndarray:
    """Return the solution of `burgers_inviscid` at points, arrays of shape (n,)."""
    place = np.mod(x - mean * t, 2.0)
    # Odd about the shock at 1: the right half is the mirrored left one.
    side = np.where(place <= 1, 1.0, -1.0)
    place = np.minimum(place, 2 - place)
    low = np.zeros_like(place)
    # Feet beyond this one, where characteristics touch, have been swallowed.
    slope = np.divide(-1, math.pi * t, out=np.full_like(t, -1.0), where=t * math.pi > 1)
    high = np.arccos(np.clip(slope, -1.0, 1.0)) / math.pi
    for _ in range(60):
        middle = (low + high) / 2
        is_short = middle + t * np.sin(math.pi * middle) < place
        low, high = np.where(is_short, middle, low), np.where(is_short, high, middle)
    found: np.ndarray = mean + side * np.sin(math.pi * (low + high) / 2)
    return found
