"""Factors of patches and their traces are those of the whole matrix."""

from dataclasses import replace

import numpy as np
import pytest

from pinnsuite.neural.random_features.condensed import Condensed, condensed
from pinnsuite.neural.random_features.dissection import dissected
from pinnsuite.neural.random_features.elimination import Rows
from pinnsuite.neural.random_features.joints import Joint
from pinnsuite.neural.random_features.partition import Partition

FIELDS, SIZE = 2, 7


def torus(shape, rows=20, seed=0):
    """Return rows of patches of a torus, joined across all faces, and their order."""
    rng = np.random.default_rng(seed)
    edges = tuple(np.linspace(0.0, 1.0, n + 1) for n in shape)
    partition = Partition.grid(edges, periodic=tuple(range(len(shape))))
    patches = len(partition)
    joints = []
    for axis in range(len(shape)):
        those = [i for i in partition.interfaces if i.axis == axis]
        lower, upper = np.array([(i.lower, i.upper) for i in those]).T
        for field, count in enumerate((3, 2)):
            left, right = rng.normal(size=(2, count, SIZE))
            weights = rng.uniform(0.5, 2.0, len(those))
            joints.append(Joint(lower, upper, left, right, field, weights))
    matrix = rng.normal(size=(patches, rows, FIELDS * SIZE))
    target = rng.normal(size=(patches, rows))
    old = rng.normal(size=(patches, FIELDS, SIZE))
    return Rows(matrix, target, old, joints), partition.order


def whole(rows):
    """Return the same rows as one matrix, and what they are to equal."""
    patches, count, n = rows.matrix.shape
    parts, target = [], []
    for p in range(patches):
        wide = np.zeros((count, patches, n))
        wide[:, p] = rows.matrix[p]
        parts.append(wide.reshape(count, -1))
        target.append(rows.target[p])
    for j in rows.joints:
        for a, b, weight, jump in zip(
            j.lower, j.upper, j.weights, j.weighted(rows.old), strict=True
        ):
            wide = np.zeros((len(j.left), patches, FIELDS, SIZE))
            wide[:, a, j.field] += weight * j.left
            wide[:, b, j.field] -= weight * j.right
            parts.append(wide.reshape(len(j.left), patches * n))
            target.append(-jump)
    return np.concatenate(parts), np.concatenate(target)


@pytest.mark.parametrize("shape", [(1,), (2,), (6,), (1, 4), (4, 3), (2, 2, 3)])
def test_the_solution_is_that_of_the_whole_system(shape):
    rows, order = torus(shape)
    matrix, target = whole(rows)
    expected, *_ = np.linalg.lstsq(matrix, target, rcond=None)
    known = rows.squared(order, 0.0)
    # In space there are more traces than coefficients.
    assert isinstance(known, Condensed) == (len(shape) < 3)
    found = rows.solved(known)
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-11)
    again = rows.iterated(known, 1e-12)
    np.testing.assert_allclose(again.ravel(), expected, atol=1e-10)


def test_patches_of_several_sizes_are_solved_like_one_system():
    grid = Partition.grid((np.linspace(0.0, 1.0, 4), np.linspace(0.0, 1.0, 4)))
    partition = grid.refined([4]).refined([5])
    rng = np.random.default_rng(0)
    joints = []
    for i in partition.interfaces:
        left, right = rng.normal(size=(2, 3, SIZE))
        ends = np.array([i.lower]), np.array([i.upper])
        joints.append(Joint(*ends, left, right, 0, np.ones(1)))
    patches = len(partition)
    rows = Rows(
        rng.normal(size=(patches, 20, FIELDS * SIZE)),
        rng.normal(size=(patches, 20)),
        rng.normal(size=(patches, FIELDS, SIZE)),
        joints,
    )
    matrix, target = whole(rows)
    expected, *_ = np.linalg.lstsq(matrix, target, rcond=None)
    found = rows.solved(rows.squared(partition.order, 0.0))
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-11)


def test_the_matrices_are_transposes():
    rows, order = torus((3, 4))
    known = rows.squared(order, 0.0)
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=rows.old.size), rng.normal(size=known.size)
    assert known.size > rows.old.size
    assert np.vdot(known.solve(y), x) == pytest.approx(
        np.vdot(y, known.solve_transposed(x))
    )


@pytest.mark.parametrize("rows_left", [0, 3])
def test_joints_that_say_nothing_are_no_trouble(rows_left):
    # Without rows, or of rows of zeros, or of weight zero.
    rows, order = torus((2, 3))
    rng = np.random.default_rng(1)
    dumb = [
        Joint(j.lower, j.upper, *np.zeros((2, rows_left, SIZE)), 0, j.weights)
        for j in rows.joints[:1]
    ]
    light = replace(
        rows.joints[0], weights=1.0 * rng.integers(0, 2, len(rows.joints[0].lower))
    )
    rows = replace(rows, joints=[*rows.joints[1:], *dumb, light])
    matrix, target = whole(rows)
    expected, *_ = np.linalg.lstsq(matrix, target, rcond=None)
    found = rows.solved(rows.squared(order, 0.0))
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-11)


def test_an_indefinite_matrix_is_refused():
    rows, order = torus((2, 2))
    own = np.swapaxes(rows.matrix, 1, 2) @ rows.matrix
    assert np.linalg.eigvalsh(own - 100.0 * np.eye(own.shape[1])).min() < 0
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        condensed(own - 100.0 * np.eye(own.shape[1]), FIELDS, rows.joints, order, 0.0)


def test_rows_that_depend_on_each_other_are_damped_more():
    # One point twenty times over: of rank one, for twelve unknowns.
    table = np.random.default_rng(0).normal(size=12)
    matrix = np.repeat(table[None], 20, axis=0)[None]
    rows = Rows(matrix, np.full((1, 20), 3.0), np.zeros((1, 1, 12)), [])
    found = rows.solved(rows.squared(0, 1e-18))
    np.testing.assert_allclose(matrix[0] @ found[0, 0], 3.0, rtol=1e-4)


def test_rows_that_are_not_finite_have_no_finite_solution():
    matrix = np.full((1, 20, 12), np.nan)
    rows = Rows(matrix, np.zeros((1, 20)), np.zeros((1, 1, 12)), [])
    assert not np.isfinite(rows.solved(rows.squared(0, 1e-13))).any()


def test_halves_of_a_grid_are_cut_along_the_shorter_side():
    # Of 4 x 8 patches the first cut is across 4 faces, not 8.
    partition = Partition.grid((np.arange(5.0), np.arange(9.0)))
    _, y = partition.boxes.mean(2).T

    def patches(order):
        if isinstance(order, int):
            return {order}
        return patches(order.one) | patches(order.other)

    assert patches(partition.order) == set(range(32))
    assert patches(partition.order.one) == set(np.flatnonzero(y < 4.0).tolist())
    assert len(patches(partition.order.one.one)) == 8


def test_patches_that_touch_nowhere_are_in_the_order_too():
    centres = np.array([[0.0, 0.0], [0.0, 1.0], [5.0, 0.0]])
    order = dissected(centres, np.zeros((0, 2), dtype=int))
    rng = np.random.default_rng(0)
    rows = Rows(
        rng.normal(size=(3, 20, 6)), rng.normal(size=(3, 20)), np.zeros((3, 1, 6)), []
    )
    found = rows.solved(rows.squared(order, 0.0))
    for p in range(3):
        expected, *_ = np.linalg.lstsq(rows.matrix[p], rows.target[p], rcond=None)
        np.testing.assert_allclose(found[p, 0], expected, atol=1e-12)
