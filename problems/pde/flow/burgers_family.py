"""Viscous Burgers on a periodic interval: one problem, and a family to learn."""

import functools

import sympy as sp

from pinnsuite.problem import (
    D,
    Family,
    GaussianRandomField,
    Initial,
    Interval,
    Ladder,
    Periodic,
    Problem,
    TimeInterval,
    coordinates,
    field_of,
)

t, x = coordinates("t x")
SINE = sp.sin(2 * sp.pi * x)


def periodic_burgers(viscosity: float = 0.01, initial: sp.Expr = SINE) -> Problem:
    """Viscous Burgers equation on a periodic interval.

    u_t + u u_x = ν u_xx on [0, 1], 0 ≤ t ≤ 1, period 1, u(0, x) = `initial`.
    Nondimensional. sin 2πx, the default, steepens to a front of a width of order ν at
    about t = 1/(2π); the mean is conserved.

    Reference: Fourier ETDRK4, refined until its error bar is small.
    Source: G. B. Whitham, Linear and Nonlinear Waves (1974), ch. 4,
    doi:10.1002/9781118032954.
    """
    u = field_of("u", t, x)
    return Problem(
        name="periodic_burgers",
        fields=[u],
        equations=[D(u, t) + D(u**2 / 2, x) - viscosity * D(u, x, 2)],
        conditions=[Initial(u, initial), Periodic(x)],
        domain=Interval(x, 0, 1),
        time=TimeInterval(t, 0, 1),
        reference=Ladder("fourier", {"points": 256, "steps": 400}),
        invariants={"momentum": u},
        source="Whitham (1974), ch. 4, doi:10.1002/9781118032954",
        tags=["nonlinear", "parabolic", "periodic"],
    )


def burgers_family(
    viscosity: float = 0.01,
    num_train: int = 400,
    num_test: int = 100,
    num_points: int = 128,
    seed: int = 0,
) -> Family:
    """Periodic Burgers from random initial states: u(0, ·) ↦ u(1, ·).

    Each member is `periodic_burgers` with u(0, ·) ~ N(0, 49² (-d²/dx² + 7²)^(-5/2)) of
    zero mean, cut after 16 modes, as in the generating script of the Fourier neural
    operator (the paper states another field and ν = 0.1, where next to nothing is left
    at t = 1). Learned is the map from `num_points` values of the start to as many at
    t = 1, x_j = j / `num_points`.

    Source: Z. Li et al., Fourier neural operator for parametric partial differential
    equations, ICLR 2021, section 5.1 and A.3.1, arXiv:2010.08895.
    """
    return Family(
        name="burgers_family",
        make=functools.partial(periodic_burgers, viscosity),
        distributions={
            "initial": GaussianRandomField(x, 0, 1, sigma=49, tau=7, gamma=2.5)
        },
        num_train=num_train,
        num_test=num_test,
        num_points=num_points,
        seed=seed,
        generator={"solver": "fourier", "points": 128, "steps": 50},
        source="Li et al. (2021), arXiv:2010.08895",
        tags=["nonlinear", "parabolic", "periodic", "operator"],
    )
