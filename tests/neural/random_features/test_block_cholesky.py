"""Factors of few blocks are those of the whole matrix."""

import numpy as np
import pytest

from pinnsuite.neural.random_features.block_cholesky import cholesky

SIZE = 7
PAIRS = [(0, 1), (1, 2), (0, 3), (2, 4), (3, 4), (1, 4)]


def blocks(shift):
    rng = np.random.default_rng(0)
    squares = rng.normal(size=(5, SIZE, SIZE))
    own = squares @ np.swapaxes(squares, 1, 2) + shift * np.eye(SIZE)
    between = {pair: rng.normal(size=(SIZE, SIZE)) for pair in PAIRS}
    whole = np.zeros((5 * SIZE, 5 * SIZE))
    for p, block in enumerate(own):
        whole[p * SIZE : (p + 1) * SIZE, p * SIZE : (p + 1) * SIZE] = block
    for (a, b), block in between.items():
        whole[a * SIZE : (a + 1) * SIZE, b * SIZE : (b + 1) * SIZE] = block
        whole[b * SIZE : (b + 1) * SIZE, a * SIZE : (a + 1) * SIZE] = block.T
    return own, between, whole


def test_two_triangles_solve_the_whole_system():
    own, between, whole = blocks(30.0)
    factors = cholesky(own, between, 0.0)
    right = np.random.default_rng(1).normal(size=5 * SIZE)
    found = factors.solve(factors.solve_transposed(right))
    np.testing.assert_allclose(whole @ found, right, atol=1e-12)


def test_the_triangles_are_transposes():
    own, between, _ = blocks(30.0)
    factors = cholesky(own, between, 0.0)
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 5 * SIZE))
    one = np.vdot(factors.solve(x), y)
    other = np.vdot(x, factors.solve_transposed(y))
    assert one == pytest.approx(other)


def test_an_indefinite_matrix_is_refused():
    own, between, whole = blocks(-10.0)
    assert np.linalg.eigvalsh(whole)[0] < 0
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        cholesky(own, between, 0.0)


def test_on_a_torus_few_blocks_are_filled():
    # Those with the fewest neighbours, first come first served, fill 2793 there.
    m, n = 15, 16
    number = np.arange(m * n).reshape(m, n)
    pairs = {
        (min(a, b), max(a, b))
        for axis in (0, 1)
        for a, b in zip(
            number.ravel().tolist(),
            np.roll(number, 1, axis).ravel().tolist(),
            strict=True,
        )
    }
    between = {pair: -np.ones((1, 1)) for pair in pairs}
    factors = cholesky(np.full((m * n, 1, 1), 5.0), between, 0.0)
    assert sum(map(len, factors.neighbours)) < 2600
