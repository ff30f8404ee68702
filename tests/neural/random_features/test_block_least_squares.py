"""Eliminating block by block solves the same least-squares problem as one matrix."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnsuite.neural.random_features.block_least_squares import (
    Coupling,
    solve,
    triangular,
)


def chain(sizes, surplus, rows, seed):
    """Return own rows and couplings, and the same system as one matrix."""
    rng = np.random.default_rng(seed)
    own = [
        (rng.normal(size=(n + surplus, n)), rng.normal(size=n + surplus)) for n in sizes
    ]
    couplings = [
        Coupling(
            (k, k + 1),
            rng.normal(size=(rows, a)),
            rng.normal(size=(rows, b)),
            rng.normal(size=rows),
        )
        for k, (a, b) in enumerate(itertools.pairwise(sizes))
    ]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    parts, target = [], []
    for k, (matrix, right) in enumerate(own):
        wide = np.zeros((len(matrix), starts[-1]))
        wide[:, starts[k] : starts[k + 1]] = matrix
        parts.append(wide)
        target.append(right)
    for k, c in enumerate(couplings):
        wide = np.zeros((rows, starts[-1]))
        wide[:, starts[k] : starts[k + 1]] = c.left
        wide[:, starts[k + 1] : starts[k + 2]] = c.right
        parts.append(wide)
        target.append(c.target)
    return own, couplings, np.concatenate(parts), np.concatenate(target)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=6),
    surplus=st.integers(2, 6),
    rows=st.integers(0, 5),
    seed=st.integers(0, 1000),
)
def test_a_chain_of_blocks_is_solved_like_one_matrix(sizes, surplus, rows, seed):
    own, couplings, matrix, target = chain(sizes, surplus, rows, seed)
    expected, *_ = np.linalg.lstsq(matrix, target, rcond=None)
    found, _ = solve(own, couplings)
    size = np.linalg.cond(matrix) * np.linalg.norm(target)
    assert np.linalg.norm(found - expected) < 1e-12 * size


def test_couplings_determine_a_block_that_has_too_few_rows_of_its_own():
    rng = np.random.default_rng(0)
    own = [
        (rng.normal(size=(6, 4)), rng.normal(size=6)),
        (np.zeros((0, 3)), np.zeros(0)),
        (rng.normal(size=(6, 4)), rng.normal(size=6)),
    ]
    couplings = [
        Coupling(
            (0, 1), rng.normal(size=(3, 4)), rng.normal(size=(3, 3)), rng.normal(size=3)
        ),
        Coupling(
            (1, 2), rng.normal(size=(3, 3)), rng.normal(size=(3, 4)), rng.normal(size=3)
        ),
    ]
    matrix = np.zeros((18, 11))
    matrix[:6, :4], matrix[6:12, 7:] = own[0][0], own[2][0]
    matrix[12:15, :4], matrix[12:15, 4:7] = couplings[0].left, couplings[0].right
    matrix[15:, 4:7], matrix[15:, 7:] = couplings[1].left, couplings[1].right
    target = np.concatenate([own[0][1], own[2][1], *(c.target for c in couplings)])
    expected, *_ = np.linalg.lstsq(matrix, target, rcond=None)
    assert solve(own, couplings)[0] == pytest.approx(expected, rel=1e-9)


def test_nearly_dependent_columns_still_fit_their_data_to_round_off():
    """Normal equations would lose half of the digits here."""
    x = np.linspace(-1, 1, 60)
    matrix = np.stack([np.exp(k / 20 * x) for k in range(12)], 1)
    target = np.exp(0.27 * x)
    found, _ = solve([(matrix, target)], [])
    assert np.abs(matrix @ found - target).max() < 1e-12


def test_blocks_without_any_rows_are_zero_and_not_an_error():
    found, _ = solve([(np.zeros((0, 3)), np.zeros(0))], [])
    assert np.array_equal(found, np.zeros(3))


@pytest.mark.parametrize("shape", [(9, 4), (4, 4), (3, 5)])
def test_the_triangular_factor_has_the_gram_matrix_of_the_whole(shape):
    matrix = np.random.default_rng(1).normal(size=shape)
    factor = triangular(matrix.copy())
    assert np.allclose(np.tril(factor, -1), 0, atol=0)
    assert np.allclose(factor.T @ factor, matrix.T @ matrix, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    rows=st.integers(0, 4),
    seed=st.integers(0, 1000),
)
def test_the_factors_of_a_chain_are_those_of_the_whole_matrix(sizes, rows, seed):
    own, couplings, matrix, _ = chain(sizes, 3, rows, seed)
    _, factors = solve(own, couplings)
    gram = matrix.T @ matrix
    right = np.random.default_rng(seed).normal(size=len(gram))
    found = factors.solve(factors.solve_transposed(right))
    assert np.allclose(gram @ found, right, atol=1e-9 * np.linalg.cond(gram))


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=7),
    seed=st.integers(0, 1000),
)
def test_a_network_of_blocks_is_solved_like_one_matrix(sizes, seed):
    rng = np.random.default_rng(seed)
    own = [(rng.normal(size=(n + 1, n)), rng.normal(size=n + 1)) for n in sizes]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    couplings, parts, target = [], [], []
    for k, (matrix, right) in enumerate(own):
        wide = np.zeros((len(matrix), starts[-1]))
        wide[:, starts[k] : starts[k + 1]] = matrix
        parts.append(wide)
        target.append(right)
    for a, b in itertools.permutations(range(len(sizes)), 2):
        if rng.random() < 0.4:
            left, right = (rng.normal(size=(2, sizes[k])) for k in (a, b))
            couplings.append(Coupling((a, b), left, right, rng.normal(size=2)))
            wide = np.zeros((2, starts[-1]))
            wide[:, starts[a] : starts[a + 1]] = left
            wide[:, starts[b] : starts[b + 1]] = right
            parts.append(wide)
            target.append(couplings[-1].target)
    matrix, right = np.concatenate(parts), np.concatenate(target)
    expected, *_ = np.linalg.lstsq(matrix, right, rcond=None)
    found, factors = solve(own, couplings)
    size = np.linalg.cond(matrix) ** 2 * np.linalg.norm(right)
    assert np.linalg.norm(found - expected) < 1e-12 * size
    gram = matrix.T @ matrix
    x = factors.solve(factors.solve_transposed(right[: len(gram)]))
    assert np.allclose(gram @ x, right[: len(gram)], atol=1e-9 * np.linalg.cond(gram))
