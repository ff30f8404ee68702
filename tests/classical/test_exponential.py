"""Exponential functions of scalars and matrices, and the schemes made of them."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnsuite.classical.exponential import SCHEMES, apply, compact, phi_functions


def by_augmented_exponential(z):
    """φ₀ … φ₃ from one exponential of a larger matrix (Sidje 1998)."""
    n = len(z)
    big = np.zeros((4 * n, 4 * n), dtype=complex)
    big[:n, :n] = z
    for k in range(3):
        big[k * n : (k + 1) * n, (k + 1) * n : (k + 2) * n] = np.eye(n)
    e = scipy.linalg.expm(big)
    return [e[:n, k * n : (k + 1) * n] for k in range(4)]


@pytest.mark.parametrize("size", [1e-8, 0.3, 5.0, 80.0])
def test_matrix_functions_are_those_of_an_augmented_exponential(size):
    rng = np.random.default_rng(3)
    z = rng.standard_normal((5, 3, 3)) + 1j * rng.standard_normal((5, 3, 3))
    z = size * (z - 6 * np.eye(3))
    half, whole = phi_functions(z)
    for mode in range(5):
        for found, at in ((half, z[mode] / 2), (whole, z[mode])):
            for k, true in enumerate(by_augmented_exponential(at)):
                np.testing.assert_allclose(found[k, mode], true, rtol=0, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.floats(-1e6, 0), st.floats(-1e3, 1e3))
def test_scalar_functions_meet_their_recurrence(real, imaginary):
    z = np.array([complex(real, imaginary)])
    for phi, at in zip(phi_functions(z), (z / 2, z), strict=True):
        for k, constant in enumerate((1, 1, 1 / 2)):
            # φ_k = z φ_{k+1} + 1/k!
            np.testing.assert_allclose(
                phi[k], at * phi[k + 1] + constant, rtol=1e-10, atol=1e-11
            )


def test_a_defective_matrix_is_no_trouble():
    _, phi = phi_functions(np.array([[[0.0, 1.0], [0.0, 0.0]]]))
    for k, (one, slope) in enumerate([(1, 1), (1, 1 / 2), (1 / 2, 1 / 6)]):
        np.testing.assert_allclose(phi[k, 0], [[one, slope], [0, one]], atol=1e-15)


def test_products_agree_for_full_and_diagonal_matrices():
    rng = np.random.default_rng(0)
    diagonal = rng.standard_normal((2, 7))
    full = np.zeros((2, 2, 7), dtype=complex)
    full[[0, 1], [0, 1]] = diagonal
    v = rng.standard_normal((2, 7)) + 1j
    np.testing.assert_allclose(apply(full, v), diagonal * v)
    np.testing.assert_array_equal(compact(full), diagonal)
    full[0, 1, 3] = 1e-3
    assert compact(full).shape == (2, 2, 7)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_has_its_order_on_a_stiff_rotation(name):
    # v' = L v + N with a known solution: N is what is left of it.
    linear = np.array([[[-40.0], [3.0]], [[-3.0], [-2.0]]])

    def exact(t):
        return np.array([[np.cos(2 * t)], [np.sin(t) + 1]])

    def forcing(t, v):
        rate = np.array([[-2 * np.sin(2 * t)], [np.cos(t)]])
        true = exact(t)
        return rate - apply(linear, true) + 0.5 * (v**2 - true**2)

    errors = []
    for steps in (40, 80):
        scheme = SCHEMES[name](linear, 1 / steps, 1, forcing)
        v = exact(0.0)
        for s in range(steps):
            v = scheme.step(s / steps, v)
        errors.append(np.abs(v - exact(1.0)).max())
    observed = np.log2(errors[0] / errors[1])
    assert observed == pytest.approx(SCHEMES[name].order, abs=0.35)


def test_exponential_differencing_is_the_better_one_where_the_linear_part_is_stiff():
    """At one step size ETDRK4 beats the integrating factor, that beats SBDF2."""
    linear = np.array([[-200.0]])

    def forcing(t, v):
        return 200 * np.cos(v) + np.sin(t)

    def solve(name, steps):
        scheme = SCHEMES[name](linear, 1 / steps, 1, forcing)
        v = np.array([[0.5]])
        for s in range(steps):
            v = scheme.step(s / steps, v)
        return v[0, 0]

    truth = solve("etdrk4", 20_000)
    etd, factor = (abs(solve(n, 400) - truth) for n in ("etdrk4", "if-rk4"))
    assert etd < factor / 5
