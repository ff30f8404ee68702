"""A partition knows its patches, who touches whom, and where a point lies."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnsuite.neural.random_features.partition import Partition
from pinnsuite.problem import Box, Disk, Polygon, coordinates

x, y = coordinates("x y")


def grid(*counts, periodic=()):
    edges = tuple(np.linspace(0.0, k + 1.0, n + 1) for k, n in enumerate(counts))
    return Partition.grid(edges, None, periodic)


def holed():
    """A square without a disc that covers the middle cells."""
    domain = Box((x, 0, 4), (y, 0, 4)) - Disk(x, y, (2, 2), 1.5)
    return Partition.grid((np.linspace(0, 4, 9), np.linspace(0, 4, 9)), domain)


COUNTS = st.lists(st.integers(1, 6), min_size=1, max_size=3)
PERIODIC = st.sets(st.integers(0, 2))


def of(counts, periodic):
    return grid(*counts, periodic=tuple(k for k in periodic if k < len(counts)))


@settings(max_examples=60, deadline=None)
@given(COUNTS, PERIODIC)
def test_faces_of_touching_patches_coincide_up_to_the_period(counts, periodic):
    partition = of(counts, periodic)
    d = len(partition.edges)
    for i in partition.interfaces:
        below, above = partition.boxes[i.lower], partition.boxes[i.upper]
        gap = below[i.axis, 1] - above[i.axis, 0]
        period = np.ptp(partition.edges[i.axis]) if i.is_wrapped else 0.0
        assert abs(gap - period) < 1e-12
        others = [k for k in range(d) if k != i.axis]
        assert np.array_equal(below[others], above[others])


@settings(max_examples=40, deadline=None)
@given(COUNTS, PERIODIC, st.integers(0, 99))
def test_a_point_is_in_the_box_of_the_patch_that_is_located(counts, periodic, seed):
    partition = of(counts, periodic)
    ends = np.array([[e[0], e[-1]] for e in partition.edges])
    unit = np.random.default_rng(seed).uniform(size=(20, len(ends)))
    points = ends[:, 0] + unit * np.ptp(ends, axis=1)
    boxes = partition.boxes[partition.locate(points)]
    assert (boxes[..., 0] <= points).all()
    assert (points <= boxes[..., 1]).all()


@settings(max_examples=40, deadline=None)
@given(COUNTS, PERIODIC, st.data())
def test_refining_keeps_planes_and_halves_the_chosen_cells(counts, periodic, data):
    partition = of(counts, periodic)
    patch = data.draw(st.integers(0, len(partition) - 1))
    finer = partition.refined([patch])
    for before, after in zip(partition.edges, finer.edges, strict=True):
        assert np.isin(before, after).all()
        assert len(after) == len(before) + 1
    centre = partition.boxes[patch].mean(1)[None]
    half = np.ptp(finer.boxes[finer.locate(centre)[0]], axis=1)
    assert np.allclose(half, np.ptp(partition.boxes[patch], axis=1) / 2)
    assert finer.periodic == partition.periodic


def test_joining_two_halves_undoes_halving():
    partition = grid(5)
    finer = partition.refined([2])
    assert np.array_equal(finer.coarsened([2, 3]).edges[0], partition.edges[0])


def test_patches_are_not_joined_across_a_plane_that_stays():
    edges = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    planes = (np.array([0.0, 1.0, 4.0]),)
    joined = Partition.grid((edges,), planes=planes).coarsened([0, 1, 2, 3])
    np.testing.assert_array_equal(joined.edges[0], [0.0, 1.0, 3.0, 4.0])


def test_a_single_chosen_patch_is_not_joined_with_another():
    partition = grid(5)
    assert np.array_equal(partition.coarsened([1, 3]).edges[0], partition.edges[0])
    assert len(partition.coarsened([0, 1, 2])) == 4


def test_periodic_ends_touch():
    partition = grid(5, periodic=(0,))
    assert [(i.lower, i.upper) for i in partition.interfaces if i.is_wrapped] == [
        (4, 0)
    ]


def test_one_periodic_patch_touches_itself():
    (i,) = grid(1, periodic=(0,)).interfaces
    assert (i.lower, i.upper, i.is_wrapped) == (0, 0, True)


def test_cells_inside_a_hole_are_left_out_and_cells_it_cuts_are_kept():
    partition = holed()
    radius = np.linalg.norm(np.abs(partition.boxes - 2.0).max(2), axis=1)
    assert len(partition) < 64
    assert (radius > 1.5).all()
    # Fully outside of the hole: the corners and what is near them.
    far = partition.numbers[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert (far >= 0).all()
    assert partition.numbers[4, 4] == -1


def test_a_point_in_a_cell_left_out_belongs_to_the_nearest_patch():
    partition = holed()
    point = np.array([2.05, 2.3])
    low, high = partition.boxes[..., 0], partition.boxes[..., 1]
    away = np.linalg.norm(np.clip(point, low, high) - point, axis=1)
    assert away[partition.locate(point[None])[0]] == away.min()


def test_a_point_on_the_boundary_beside_a_cell_left_out_belongs_to_a_patch_it_touches():
    corners = [(0, 0), (1, 0), (1, 1), (-1, 1), (-1, -1), (0, -1)]
    l_shape = Polygon(x, y, corners, ["wall"] * 6)
    edges = np.array([-1.0, -0.5, 0.0, 1.0]), np.array([-1.0, 0.0, 0.5, 1.0])
    partition = Partition.grid(edges, l_shape)
    side = np.column_stack([np.zeros(9), np.linspace(-0.9, -0.1, 9)])
    low, high = partition.boxes[partition.locate(side)].transpose(2, 0, 1)
    assert ((low <= side) & (side <= high)).all()


def test_ordinary_equations_have_one_patch_without_space():
    partition = Partition.grid(())
    assert len(partition) == 1
    assert np.array_equal(partition.locate(np.zeros((3, 0))), [0, 0, 0])


def test_patches_are_halved_along_the_axes_that_ask_for_it():
    square = Partition.grid((np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0])))
    finer = square.refined([1], np.array([[True, False]]))
    assert np.array_equal(finer.edges[0], [0, 1, 1.5, 2])
    assert np.array_equal(finer.edges[1], [0, 1])
    assert square.refined([1], np.array([[False, False]])) is square


def halved_at_random(counts, periodic, seed):
    """Return a grid of which patches were halved here and there."""
    rng = np.random.default_rng(seed)
    partition = of(counts, periodic)
    for _ in range(4):
        along = rng.random((1, len(counts))) < 0.7
        partition = partition.refined(rng.integers(len(partition), size=1), along)
    return partition


FEW = st.lists(st.integers(1, 3), min_size=2, max_size=3)


@settings(max_examples=40, deadline=None)
@given(FEW, PERIODIC, st.integers(0, 999))
def test_a_patch_is_at_most_twice_as_wide_as_one_beside_it(counts, periodic, seed):
    partition = halved_at_random(counts, periodic, seed)
    widths = np.ptp(partition.boxes, axis=2)
    for i in partition.interfaces:
        one, other = np.delete(widths[[i.lower, i.upper]], i.axis, axis=1)
        assert (one <= 2 * other + 1e-12).all()
        assert (other <= 2 * one + 1e-12).all()


@settings(max_examples=40, deadline=None)
@given(FEW, PERIODIC, st.integers(0, 999))
def test_both_patches_see_the_same_part_of_a_face(counts, periodic, seed):
    partition = halved_at_random(counts, periodic, seed)
    half = np.ptp(partition.boxes, axis=2, keepdims=True) / 2
    centre = partition.boxes.mean(2, keepdims=True)
    for i in partition.interfaces:
        below, above = (
            np.delete(centre[p] + half[p] * span, i.axis, axis=0)
            for p, span in zip((i.lower, i.upper), i.spans, strict=True)
        )
        np.testing.assert_allclose(below, above, atol=1e-12)
        assert (np.abs(i.spans) <= 1.0).all()
        assert (i.spans[0, i.axis] == 1.0).all()
        assert (i.spans[1, i.axis] == -1.0).all()


@settings(max_examples=40, deadline=None)
@given(FEW, PERIODIC, st.integers(0, 999))
def test_shared_parts_make_up_the_faces(counts, periodic, seed):
    partition = halved_at_random(counts, periodic, seed)
    widths = np.ptp(partition.boxes, axis=2)
    volume = np.prod([np.ptp(e) for e in partition.edges])
    assert np.isclose(np.prod(widths, axis=1).sum(), volume)
    covered = np.zeros((len(partition), len(counts), 2))
    for i in partition.interfaces:
        for end, p in ((1, i.lower), (0, i.upper)):
            part = np.ptp(i.spans[1 - end], axis=1) / 2
            part[i.axis] = 1.0
            covered[p, i.axis, end] += np.prod(part)
    for axis, e in enumerate(partition.edges):
        is_outer = partition.boxes[:, axis] == e[[0, -1]]
        is_free = is_outer & (axis not in partition.periodic)
        np.testing.assert_allclose(covered[:, axis], np.where(is_free, 0.0, 1.0))


@settings(max_examples=40, deadline=None)
@given(FEW, st.integers(0, 999))
def test_points_are_located_among_patches_of_different_sizes(counts, seed):
    partition = halved_at_random(counts, (), seed)
    centres = partition.boxes.mean(2)
    assert np.array_equal(partition.locate(centres), np.arange(len(partition)))
    corners = partition.boxes[..., 0]
    assert np.array_equal(partition.locate(corners), np.arange(len(partition)))


def test_halving_towards_a_corner_leaves_the_other_end_alone():
    partition = grid(2, 2)
    for _ in range(6):
        partition = partition.refined(partition.around(np.zeros(2)))
    # Three more each time, and those that the balance asks for.
    assert len(partition) <= 4 + 6 * 6
    far = partition.around(np.array([1.0, 2.0]))
    assert np.ptp(partition.boxes[far], axis=2).max() == 1.0
