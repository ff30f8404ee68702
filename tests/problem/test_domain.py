"""Domains: exact boundaries and measures, samples without starvation, clear errors."""

import json
import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pinnsuite.errors import DefinitionError, MeshError
from pinnsuite.problem.domain import (
    Box,
    Difference,
    Disk,
    Interval,
    Polygon,
    TimeInterval,
    Union,
)
from pinnsuite.problem.solid import Ball, PerforatedBox, directions

x, y, z, w, v = sp.symbols("x y z w v", real=True)

L_SHAPE = [(0, 0), (1, 0), (1, 0.5), (0.5, 0.5), (0.5, 1), (0, 1)]
SQUARE = Box((x, -0.5, 0.5), (y, -0.5, 0.5))
FOUR_DISCS = [
    Disk(x, y, (a, b), 0.1, name="discs") for a in (-0.3, 0.3) for b in (-0.3, 0.3)
]
# Of different sizes, one cut by a side, all clear of each other.
ELEVEN_DISCS = [
    Disk(x, y, (0.125 + 0.25 * (k % 4), 0.17 + 0.33 * (k // 4)), 0.05 + 0.006 * k, "d")
    for k in range(10)
] + [Disk(x, y, (1.0, 0.9), 0.09, "d")]

CUBE = Box((x, 0, 1), (y, 0, 1), (z, 0, 1))
SPHERES = [
    Ball((x, y, z), (0.4, 0.3, 0.6), 0.2, "first"),
    Ball((x, y, z), (0.6, 0.2, 0.3), 0.1, "second"),
]

# Each with its measure and the total measure of its boundary, by hand.
DOMAINS = {
    "interval": (Interval(x, -1, 2), 3.0, 2.0),
    "rectangle": (Box((x, 0, 2), (y, -1, 0)), 2.0, 6.0),
    "cuboid": (Box((x, 0, 1), (y, 0, 2), (z, 0, 3)), 6.0, 22.0),
    "five": (Box(*((s, 0, 2) for s in (x, y, z, w, v))), 32.0, 160.0),
    "disk": (Disk(x, y, (1, -2), 0.5), math.pi / 4, math.pi),
    "round": (Ball((x, y), (1, -2), 0.5), math.pi / 4, math.pi),
    "ball": (Ball((x, y, z), (1, -2, 0), 2), 32 * math.pi / 3, 16 * math.pi),
    "5-ball": (
        Ball((x, y, z, w, v), (0, 0, 0, 0, 0), 1),
        8 * math.pi**2 / 15,
        8 * math.pi**2 / 3,
    ),
    "cube_minus_balls": (
        CUBE - SPHERES[0] - SPHERES[1],
        1 - 4 * math.pi / 3 * 0.009,
        6 + 4 * math.pi * 0.05,
    ),
    "l_shape": (Polygon(x, y, L_SHAPE), 0.75, 4.0),
    "square_minus_discs": (
        Difference(SQUARE, *FOUR_DISCS),
        1 - 0.04 * math.pi,
        4 + 0.8 * math.pi,
    ),
    "disk_minus_quarter": (
        Disk(x, y, (0, 0), 1) - Box((x, 0, 2), (y, 0, 2)),
        0.75 * math.pi,
        1.5 * math.pi + 2,
    ),
    "two_disks": (
        Disk(x, y, (0, 0), 1) | Disk(x, y, (1, 0), 1, name="second"),
        2 * math.pi - (2 * math.pi / 3 - math.sqrt(3) / 2),
        8 * math.pi / 3,
    ),
    "boxes_with_a_seam": (
        Box((x, 0, 1), (y, 0, 2)) | Box((x, 1, 2), (y, 0, 1)),
        3.0,
        8.0,
    ),
    "frame": (Box((x, 0, 3), (y, 0, 3)) - Box((x, 1, 2), (y, 1, 2)), 8.0, 16.0),
    "notched": (Box((x, 0, 1), (y, 0, 1)) - Box((x, 0.5, 2), (y, 0.5, 2)), 0.75, 4.0),
    "half_moon_and_bar": (
        (Disk(x, y, (0, 0), 1) - Box((x, -2, 0), (y, -2, 2)))
        | Box((x, -1, 0), (y, -0.5, 0.5)),
        0.5 * math.pi + 1,
        math.pi + 1 + 2 + 1,
    ),
}
domains = pytest.mark.parametrize("key", DOMAINS)
planar = pytest.mark.parametrize(
    "key", [k for k, (d, _, _) in DOMAINS.items() if d.dimension == 2]
)
solid = pytest.mark.parametrize(
    "key", [k for k, (d, _, _) in DOMAINS.items() if d.dimension > 2]
)


@domains
def test_measures_are_exact(key):
    domain, measure, boundary = DOMAINS[key]
    assert domain.measure == pytest.approx(measure, rel=1e-12)
    total = sum(domain.boundary_measure(name) for name in domain.boundaries)
    assert total == pytest.approx(boundary, rel=1e-12)


@domains
def test_measure_agrees_with_counted_points(key):
    domain, measure, _ = DOMAINS[key]
    rng = np.random.default_rng(1)
    lower, upper = domain.bounds.T
    trials = 40_000
    points = rng.uniform(lower - 0.1, upper + 0.1, (trials, domain.dimension))
    box = np.prod(upper - lower + 0.2)
    share = domain.contains(points).mean()
    spread = box * math.sqrt(share * (1 - share) / trials)
    assert abs(share * box - measure) < 4 * spread


@domains
@settings(max_examples=8, deadline=None)
@given(n=st.integers(1, 300), seed=st.integers(0, 2**32))
def test_interior_samples_are_inside_nested_and_reproducible(key, n, seed):
    domain = DOMAINS[key][0]
    points = domain.sample_interior(n, seed)
    assert points.shape == (n, domain.dimension)
    assert np.all(domain.signed_distance(points) < 0.0)
    more = domain.sample_interior(n + 50, seed)
    np.testing.assert_array_equal(points, more[:n])


@domains
@settings(max_examples=8, deadline=None)
@given(n=st.integers(1, 200), seed=st.integers(0, 2**32))
def test_boundary_samples_lie_on_it_with_outward_normals(key, n, seed):
    domain = DOMAINS[key][0]
    for name in domain.boundaries:
        points, normals = domain.sample_boundary(name, n, seed)
        assert points.shape == normals.shape == (n, domain.dimension)
        assert np.all(np.abs(domain.signed_distance(points)) < 1e-12)
        assert np.all(domain.on_boundary(name, points, 1e-12))
        assert np.all(domain.contains(points))
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, rtol=1e-12)
        # A step may be longer than the way to a corner: it is small against 1/n.
        assert np.all(~domain.contains(points + 1e-8 * normals))
        again, _ = domain.sample_boundary(name, n + 30, seed)
        np.testing.assert_array_equal(points, again[:n])


@domains
def test_samples_satisfy_the_divergence_theorem(key):
    """∮ x·n ds = d · measure."""
    domain, measure, _ = DOMAINS[key]
    flux = 0.0
    for name in domain.boundaries:
        points, normals = domain.sample_boundary(name, 4096, seed=3)
        mean = np.sum(points * normals, axis=1).mean()
        flux += domain.boundary_measure(name) * mean
    assert flux == pytest.approx(domain.dimension * measure, rel=2e-3)


@planar
def test_signed_distance_is_the_distance_to_the_nearest_boundary_point(key):
    domain = DOMAINS[key][0]
    rng = np.random.default_rng(0)
    lower, upper = domain.bounds.T
    points = rng.uniform(lower - 0.3, upper + 0.3, (200, 2))
    outline = np.concatenate(
        [domain.sample_boundary(name, 8192, seed=0)[0] for name in domain.boundaries]
    )
    brute = np.min(np.linalg.norm(points[:, None] - outline, axis=2), axis=1)
    distance = domain.signed_distance(points)
    np.testing.assert_allclose(np.abs(distance), brute, atol=2e-3)
    feet = domain.project(points)
    np.testing.assert_allclose(
        np.linalg.norm(points - feet, axis=1), np.abs(distance), atol=1e-12
    )
    np.testing.assert_allclose(domain.signed_distance(feet), 0.0, atol=1e-12)


@solid
def test_distance_in_space_is_that_of_the_foot_on_the_boundary(key):
    domain = DOMAINS[key][0]
    lower, upper = domain.bounds.T
    points = np.random.default_rng(0).uniform(
        lower - 0.3, upper + 0.3, (500, domain.dimension)
    )
    distance, feet = domain.signed_distance(points), domain.project(points)
    np.testing.assert_allclose(
        np.linalg.norm(points - feet, axis=1), np.abs(distance), atol=1e-12
    )
    np.testing.assert_allclose(domain.signed_distance(feet), 0.0, atol=1e-12)
    # No boundary point is nearer than the foot.
    samples = np.concatenate(
        [domain.sample_boundary(name, 256, seed=0)[0] for name in domain.boundaries]
    )
    nearest = np.min(np.linalg.norm(points[:, None] - samples, axis=2), axis=1)
    assert np.all(np.abs(distance) <= nearest + 1e-12)


@pytest.mark.parametrize("dimension", [2, 3, 5, 8])
def test_directions_have_the_moments_of_the_sphere(dimension):
    """E xᵢ = 0, E xᵢ xⱼ = δᵢⱼ/d, E xᵢ⁴ = 3/(d (d + 2))."""
    ball = Ball(sp.symbols(f"q:{dimension}", real=True), (0,) * dimension, 1)
    points, _ = ball.sample_boundary("sphere", 8192, seed=0)
    np.testing.assert_allclose(points.mean(axis=0), 0.0, atol=3e-3)
    second = points.T @ points / len(points)
    np.testing.assert_allclose(second, np.eye(dimension) / dimension, atol=3e-3)
    fourth = 3 / (dimension * (dimension + 2))
    np.testing.assert_allclose((points**4).mean(axis=0), fourth, rtol=0.03)
    inside = ball.sample_interior(8192, seed=0)
    radii = np.linalg.norm(inside, axis=1)
    mean = dimension / (dimension + 1)
    assert radii.mean() == pytest.approx(mean, rel=1e-3)
    poles = directions(np.zeros((1, dimension - 1)))
    assert np.abs(poles).max() == pytest.approx(1.0)


def test_a_ball_in_the_plane_is_a_disk():
    ball = Ball((x, y), (0, 0), 0.2, "hole")
    holed = SQUARE - ball
    assert holed == SQUARE - Disk(x, y, (0, 0), 0.2, "hole")
    assert ball.mesh(0.05).measure == pytest.approx(ball.measure, rel=2e-2)


def test_holes_are_removed_one_by_one_or_together():
    together = PerforatedBox(CUBE, *SPHERES)
    assert together == CUBE - SPHERES[0] - SPHERES[1]
    assert together.boundaries == (*CUBE.boundaries, "first", "second")
    assert together.describe() == "[0, 1]³ minus 2 balls"
    assert (CUBE - SPHERES[1]).describe() == (
        "[0, 1]³ minus the 3-ball of radius 0.1 about (0.6, 0.2, 0.3)"
    )


def test_seams_between_parts_and_between_holes_are_no_boundary():
    seam = np.array([[1.0, 0.5]])
    assert DOMAINS["boxes_with_a_seam"][0].signed_distance(seam) == pytest.approx(-0.5)
    bar = Box((x, 0, 3), (y, 0, 3))
    holes = bar - Box((x, 1, 1.5), (y, 1, 2)) - Box((x, 1.5, 2), (y, 1, 2))
    assert holes.signed_distance(np.array([[1.5, 1.5]])) == pytest.approx(0.5)
    assert holes.measure == pytest.approx(8.0)


def test_no_boundary_starves_beside_eleven_discs():
    domain = Difference(Box((x, 0, 1), (y, 0, 1)), *ELEVEN_DISCS)
    assert domain.boundaries == ("bottom", "right", "top", "left", "d")
    for name in domain.boundaries:
        points, _ = domain.sample_boundary(name, 64, seed=0)
        assert len(points) == 64
        assert not any(
            np.any(hole.signed_distance(points) < -1e-12) for hole in ELEVEN_DISCS
        )
    # One of 1024 points stands for 1/1024 of the length: each disc gets its share.
    points, _ = domain.sample_boundary("d", 1024, seed=0)
    total = domain.boundary_measure("d")
    for hole in ELEVEN_DISCS[:10]:
        count = np.sum(np.abs(hole.signed_distance(points)) < 1e-9)
        assert count == pytest.approx(1024 * 2 * math.pi * hole.radius / total, abs=2)


def test_pieces_with_one_name_share_the_points_by_length():
    box = Box((x, 0, 3), (y, 0, 1), names={"left": "wall", "bottom": "wall"})
    assert box.boundaries == ("wall", "right", "top")
    points, _ = box.sample_boundary("wall", 400, seed=0)
    assert np.sum(points[:, 1] == 0.0) == pytest.approx(300, abs=2)


@settings(max_examples=25, deadline=None)
@given(
    center=st.tuples(st.floats(-1, 1), st.floats(-1, 1)), radius=st.floats(0.05, 0.9)
)
def test_a_set_and_its_complement_fill_the_square(center, radius):
    """|A \\ B| + |A ∩ B| = |A| and |A ∪ B| = |A \\ B| + |B|, wherever B lies."""
    square, disk = Box((x, -1, 1), (y, -1, 1)), Disk(x, y, center, radius)
    difference, union = square - disk, square | disk
    assert union.measure == pytest.approx(difference.measure + disk.measure, rel=1e-9)
    rest = square - difference
    assert rest.measure + difference.measure == pytest.approx(4.0, rel=1e-9)


INTEGER_BOXES = st.tuples(
    st.integers(0, 4), st.integers(0, 4), st.integers(1, 3), st.integers(1, 3)
)


@settings(max_examples=60, deadline=None)
@given(
    added=st.lists(INTEGER_BOXES, min_size=2, max_size=4),
    removed=st.lists(INTEGER_BOXES, max_size=3),
)
def test_boxes_with_common_sides_and_corners_combine_like_their_cells(added, removed):
    """Count unit cells, and the sides between a cell inside and one outside."""
    cells = np.zeros((9, 9), dtype=bool)
    boxes = []
    for kind, corners in ((True, added), (False, removed)):
        for a, b, width, height in corners:
            box = Box((x, a, a + width), (y, b, b + height))
            part = cells[a + 1 : a + width + 1, b + 1 : b + height + 1]
            assume(kind or part.any())
            if kind:
                part[:] = True
            boxes.append(box)
    domain = Union(*boxes[: len(added)])
    for (a, b, width, height), box in zip(removed, boxes[len(added) :], strict=True):
        cells[a + 1 : a + width + 1, b + 1 : b + height + 1] = False
        assume(cells.any())
        domain = domain - box
    sides = np.sum(cells[1:] != cells[:-1]) + np.sum(cells[:, 1:] != cells[:, :-1])
    assert domain.measure == pytest.approx(cells.sum(), rel=1e-12)
    total = sum(domain.boundary_measure(name) for name in domain.boundaries)
    assert total == pytest.approx(sides, rel=1e-12)
    centers = np.argwhere(np.ones_like(cells)) - 0.5
    np.testing.assert_array_equal(domain.contains(centers), cells.ravel())
    for name in domain.boundaries:
        points, normals = domain.sample_boundary(name, 20, seed=0)
        assert np.all(domain.contains(points - 1e-7 * normals))
        assert not np.any(domain.contains(points + 1e-7 * normals))


@settings(max_examples=20, deadline=None)
@given(angle=st.floats(0, 2 * math.pi), clockwise=st.booleans())
def test_a_polygon_does_not_depend_on_its_orientation(angle, clockwise):
    names = ["a", "b", "c", "d", "e", "f"]
    turn = np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    vertices = [tuple(turn @ corner) for corner in np.array(L_SHAPE)]
    if clockwise:
        vertices = [vertices[0], *vertices[:0:-1]]
        names.reverse()
    domain = Polygon(x, y, vertices, names)
    assert domain.measure == pytest.approx(0.75)
    middle = turn @ np.array([1.0, 0.25])
    assert domain.on_boundary("b", middle[None], 1e-12).all()
    _, normals = domain.sample_boundary("b", 4, seed=0)
    np.testing.assert_allclose(normals, np.tile(turn[:, 0], (4, 1)), atol=1e-12)


def test_sides_of_a_box_have_the_documented_names():
    box = Box(*((s, 0, 1) for s in (x, y, z, w)))
    assert box.boundaries == (
        *("left", "right", "bottom", "top", "back", "front"),
        *("w_low", "w_high"),
    )
    assert box.is_box
    assert Interval(x, 0, 1).is_box
    assert not Disk(x, y, (0, 0), 1).is_box
    assert Interval(x, 0, 1).boundaries == ("left", "right")
    assert box.sides(y) == ("bottom", "top")
    assert box.sides(w) == ("w_low", "w_high")


def test_domains_are_values():
    first, second = (Difference(SQUARE, *FOUR_DISCS) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
    assert first.canonical() == second.canonical()
    assert (
        first.canonical()
        == (
            SQUARE - FOUR_DISCS[0] - FOUR_DISCS[1] - FOUR_DISCS[2] - FOUR_DISCS[3]
        ).canonical()
    )


@domains
def test_canonical_form_is_plain_json_that_tells_domains_apart(key):
    canonical = DOMAINS[key][0].canonical()
    assert json.loads(json.dumps(canonical)) == canonical
    assert [d.canonical() for d, _, _ in DOMAINS.values()].count(canonical) == 1


def test_descriptions_are_mathematics():
    assert Interval(x, -1, 1).describe() == "x ∈ [-1, 1]"
    assert Box((x, 0, 1), (y, 0, 2)).describe() == "[0, 1] × [0, 2]"
    assert Difference(SQUARE, *FOUR_DISCS).describe() == "[-0.5, 0.5]² minus 4 discs"
    assert (
        Disk(x, y, (0, 0), 1) | Polygon(x, y, [(0, 0), (2, 0), (0, 2)])
    ).describe() == (
        "the disc of radius 1 about (0, 0) ∪ the polygon (0, 0), (2, 0), (0, 2)"
    )


def test_time_interval_defines_its_ends_but_not_its_outputs():
    t = sp.Symbol("t")
    time = TimeInterval(t, 0, 2, num_outputs=5)
    np.testing.assert_array_equal(time.outputs, [0, 0.5, 1, 1.5, 2])
    assert time.coordinate == t
    assert time.canonical() == TimeInterval(t, 0.0, 2.0).canonical()
    assert time.canonical() != TimeInterval(t, 0.0, 3.0).canonical()
    assert time.describe() == "t ∈ [0, 2]"


ERRORS = {
    "equal ends": (lambda: Interval(x, 1, 1), r"must be below the upper.*\[1.0, 1.0\]"),
    "infinite": (lambda: Interval(x, 0, math.inf), "upper end of x must be a finite"),
    "not a number": (lambda: Interval(x, "a", 1), "lower end of x.*not 'a'"),
    "no symbol": (lambda: Interval("x", 0, 1), "must be a sympy Symbol, not 'x'"),
    "side": (
        lambda: Box((x, 0, 1), (y, 0, 1), names={"botom": "floor"}),
        "Unknown side of the box: 'botom'. Did you mean 'bottom'",
    ),
    "name": (lambda: Box((x, 0, 1), names={"left": " "}), "non-empty string, not ' '"),
    "no axes": (lambda: Box(), "1 to 10 coordinates, not 0"),
    "short axis": (lambda: Box((x, 0)), r"\(symbol, lower, upper\)"),
    "same axis": (lambda: Box((x, 0, 1), (x, 0, 1)), "Coordinates must differ"),
    "radius": (lambda: Disk(x, y, (0, 0), 0), "radius of a disk must be positive"),
    "center": (lambda: Disk(x, y, 0, 1), "center of a disk must be two numbers"),
    "two corners": (lambda: Polygon(x, y, [(0, 0), (1, 0)]), "at least 3 vertices"),
    "crossing": (
        lambda: Polygon(x, y, [(0, 0), (1, 1), (1, 0), (0, 1)]),
        r"not simple: its edges 0 .* and 2 .* meet at \(0.5, 0.5\)",
    ),
    "spike": (
        lambda: Polygon(x, y, [(0, 0), (1, 0), (0.5, 0), (0.5, 1)]),
        "not simple: its edges 0",
    ),
    "touching": (
        lambda: Polygon(x, y, [(0, 0), (2, 0), (2, 1), (1, 0), (0, 1)]),
        r"meet at \(1, 0\)",
    ),
    "closed": (
        lambda: Polygon(x, y, [(0, 0), (1, 0), (0, 1), (0, 0)]),
        r"repeats the vertex \(0.0, 0.0\)",
    ),
    "edge names": (
        lambda: Polygon(x, y, [(0, 0), (1, 0), (0, 1)], ["a", "b"]),
        "3 vertices needs as many names.*got 2",
    ),
    "far hole": (
        lambda: SQUARE - Disk(x, y, (3, 0), 1),
        r"disc of radius 1 about \(3, 0\) does not overlap \[-0.5, 0.5\]²",
    ),
    "near hole": (lambda: SQUARE - Disk(x, y, (0.8, 0.8), 0.4), "does not overlap"),
    "hole beside": (
        lambda: SQUARE - Box((x, 0.5, 1), (y, -0.5, 0.5)),
        "does not overlap",
    ),
    "all gone": (lambda: SQUARE - Disk(x, y, (0, 0), 2), "Nothing is left"),
    "itself": (lambda: SQUARE - SQUARE, "Nothing is left"),
    "no hole": (lambda: Difference(SQUARE), "at least one hole"),
    "one part": (lambda: Union(SQUARE), "at least two parts, not 1"),
    "line": (lambda: Interval(x, 0, 2) - Interval(x, 1, 2), "has 1 dimension"),
    "ball": (lambda: Ball((x,), (0,), 1), "2 to 10 coordinates.*got 1 and 1"),
    "ball center": (lambda: Ball((x, y, z), (0, 0), 1), "got 3 and 2"),
    "ball radius": (lambda: Ball((x, y, z), (0, 0, 0), -1), "radius of a ball must"),
    "hole in the side": (
        lambda: CUBE - Ball((x, y, z), (0.9, 0.5, 0.5), 0.1),
        "reaches the sides",
    ),
    "holes meet": (
        lambda: CUBE - SPHERES[0] - Ball((x, y, z), (0.7, 0.3, 0.6), 0.1),
        "meet; move them apart",
    ),
    "no ball": (lambda: PerforatedBox(CUBE, CUBE), "only balls can be removed"),
    "ball in a ball": (
        lambda: Ball((x, y, z), (0, 0, 0), 1) - Ball((x, y, z), (0, 0, 0), 0.5),
        "only from a box",
    ),
    "other order": (lambda: CUBE - Ball((x, z, y), (0.5,) * 3, 0.1), "same order"),
    "other axes": (lambda: SQUARE | Disk(y, x, (0, 0), 1), "same coordinates"),
    "number": (lambda: Difference(SQUARE, 3), "A domain is needed, not 3"),
    "boundary": (
        lambda: SQUARE.sample_boundary("lefft", 3, seed=0),
        "Unknown boundary: 'lefft'. Did you mean 'left'",
    ),
    "points": (
        lambda: SQUARE.contains(np.zeros(2)),
        r"need the shape \(n, 2\), not \(2,\)",
    ),
    "outputs": (lambda: TimeInterval(x, 0, 1, num_outputs=1), "at least 2"),
    "backwards": (lambda: TimeInterval(x, 1, 0), "must be below the upper"),
}


@pytest.mark.parametrize("key", ERRORS)
def test_a_wrong_domain_is_answered_with_what_is_needed(key):
    make, message = ERRORS[key]
    with pytest.raises(DefinitionError, match=message):
        make()


def test_a_mesh_needs_a_positive_size_and_at_most_three_dimensions():
    with pytest.raises(MeshError, match="must be positive, not 0"):
        SQUARE.mesh(0.0)
    with pytest.raises(MeshError, match="no mesher for a box in 5 dimensions"):
        DOMAINS["five"][0].mesh(0.1)
    with pytest.raises(MeshError, match="no mesher for the 5-ball"):
        DOMAINS["5-ball"][0].mesh(0.1)
