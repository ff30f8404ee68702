"""Meshes: named closed boundaries, areas of second order, refinement on the curve."""

import dataclasses
import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pinnsuite.errors import MeshError
from pinnsuite.problem.domain import Box, Difference, Disk, Interval, Polygon
from pinnsuite.problem.mesh import Mesh, outer_facets, signed_volumes
from pinnsuite.problem.solid import Ball

x, y, z = sp.symbols("x y z", real=True)

SQUARE = Box((x, -0.5, 0.5), (y, -0.5, 0.5))
HOLED = Difference(
    SQUARE,
    *(Disk(x, y, (a, b), 0.1, "discs") for a in (-0.3, 0.3) for b in (-0.3, 0.3)),
)
L_SHAPE = Polygon(
    x,
    y,
    [(0, 0), (1, 0), (1, 0.5), (0.5, 0.5), (0.5, 1), (0, 1)],
    ["floor", "side", "step", "step", "top", "side"],
)
# Each with a size and the smallest angle that its mesh may have, in degrees.
PLANAR = {
    "box": (Box((x, 0, 2), (y, 0, 1)), 0.2, 38),
    "disk": (Disk(x, y, (1, 1), 0.5), 0.1, 28),
    "l_shape": (L_SHAPE, 0.07, 25),
    "square_minus_discs": (HOLED, 0.05, 20),
    "cylinder": (
        Box((x, 0, 2.2), (y, 0, 0.41)) - Disk(x, y, (0.2, 0.2), 0.05, "cylinder"),
        0.06,
        18,
    ),
    "two_disks": (Disk(x, y, (0, 0), 1) | Disk(x, y, (1, 0), 1, "other"), 0.15, 28),
    "three_quarters": (Disk(x, y, (0, 0), 1) - Box((x, 0, 2), (y, 0, 2)), 0.2, 25),
}
planar = pytest.mark.parametrize("key", PLANAR)


def length(mesh, facets):
    return np.linalg.norm(mesh.points[facets[:, 1]] - mesh.points[facets[:, 0]], axis=1)


@planar
def test_triangles_are_well_shaped_and_of_the_size_asked_for(key):
    domain, size, angle = PLANAR[key]
    mesh = domain.mesh(size)
    assert np.all(signed_volumes(mesh.points, mesh.cells) > 0.0)
    assert mesh.minimum_angle > angle
    assert mesh.mean_size < 1.25 * size
    assert mesh.size < 2.0 * size
    assert np.all(domain.contains(mesh.points, tolerance=1e-9))
    assert len(np.unique(mesh.cells)) == len(mesh.points)


@planar
def test_boundary_edges_are_named_closed_and_on_their_boundary(key):
    domain, size, _ = PLANAR[key]
    mesh = domain.mesh(size)
    assert set(mesh.boundaries) == set(domain.boundaries)
    for name, facets in mesh.boundaries.items():
        ends = mesh.points[facets].reshape(-1, 2)
        assert np.all(domain.on_boundary(name, ends, 1e-12))
        total = domain.boundary_measure(name)
        assert length(mesh, facets).sum() == pytest.approx(total, rel=0.06)
    facets = np.concatenate(list(mesh.boundaries.values()))
    # Every vertex of the boundary is entered as often as it is left.
    np.testing.assert_array_equal(np.sort(facets[:, 0]), np.sort(facets[:, 1]))


@planar
def test_meshes_satisfy_the_divergence_theorem(key):
    """∮ x·n ds = 2 area, with normals to the right of the facets."""
    domain, size, _ = PLANAR[key]
    mesh = domain.mesh(size)
    facets = np.concatenate(list(mesh.boundaries.values()))
    start, end = mesh.points[facets[:, 0]], mesh.points[facets[:, 1]]
    normal = np.stack([(end - start)[:, 1], (start - end)[:, 0]], axis=1)
    flux = np.sum(0.5 * (start + end) * normal)
    assert flux == pytest.approx(2 * mesh.measure, rel=1e-12)
    assert mesh.nodal_weights().sum() == pytest.approx(mesh.measure, rel=1e-12)


@planar
def test_refinement_converges_to_the_area_with_second_order(key):
    domain, size, angle = PLANAR[key]
    meshes = [domain.mesh(size)]
    for _ in range(2):
        meshes.append(meshes[-1].refine())
    errors = [abs(mesh.measure - domain.measure) for mesh in meshes]
    assert [len(mesh.cells) for mesh in meshes] == [
        4**k * len(meshes[0].cells) for k in range(3)
    ]
    if len(meshes[0].curved_edges):
        orders = np.log2(np.array(errors[:-1]) / errors[1:])
        np.testing.assert_allclose(orders, 2.0, atol=0.05)
        midpoints = meshes[2].curved_midpoints
        assert np.max(np.abs(domain.signed_distance(midpoints))) < 1e-12
        assert len(meshes[2].curved_edges) == 4 * len(meshes[0].curved_edges)
    else:
        assert max(errors) < 1e-12
    fine = meshes[2]
    for name, facets in fine.boundaries.items():
        assert np.all(
            domain.on_boundary(name, fine.points[facets].reshape(-1, 2), 1e-12)
        )
    # Where the curve bends a side of a triangle, its angles change, but not for ever.
    assert fine.minimum_angle > 0.75 * angle


def test_the_area_between_parabolas_is_of_fourth_order():
    """The curved midpoints carry the isoparametric geometry: ⅔ of edge × sagitta."""
    domain = Disk(x, y, (0, 0), 1)
    mesh, errors = domain.mesh(0.4), []
    for _ in range(3):
        start, end = mesh.points[mesh.curved_edges.T]
        bulge = mesh.curved_midpoints - 0.5 * (start + end)
        length_and_sagitta = np.hypot(*(end - start).T) * np.hypot(*bulge.T)
        errors.append(math.pi - mesh.measure - 2 / 3 * length_and_sagitta.sum())
        mesh = mesh.refine()
    orders = np.log2(np.abs(np.array(errors[:-1]) / errors[1:]))
    np.testing.assert_allclose(orders, 4.0, atol=0.05)


def test_refined_parabolas_stay_on_them_without_a_known_curve():
    known = Disk(x, y, (0, 0), 1).mesh(0.5)
    mesh = Mesh(
        known.points,
        known.cells,
        known.boundaries,
        curved_edges=known.curved_edges,
        curved_midpoints=known.curved_midpoints,
    )
    # The union of the two half parabolas is the parabola: the curved area is kept.
    areas = []
    for _ in range(3):
        start, end = mesh.points[mesh.curved_edges.T]
        bulge = mesh.curved_midpoints - 0.5 * (start + end)
        chord = end - start
        cross = chord[:, 0] * bulge[:, 1] - chord[:, 1] * bulge[:, 0]
        areas.append(mesh.measure + 2 / 3 * np.abs(cross).sum())
        mesh = mesh.refine()
    np.testing.assert_allclose(areas, areas[0], rtol=1e-12)


def test_meshing_is_deterministic_and_shared():
    first = Difference(HOLED.outer, *HOLED.holes).mesh(0.08)
    assert HOLED.mesh(0.08) is first
    fresh = Difference(HOLED.outer, *HOLED.holes[::-1]).mesh(0.08)
    assert len(fresh.cells) == pytest.approx(len(first.cells), rel=0.05)
    with pytest.raises(ValueError, match="read-only"):
        first.points[0] = 0.0


def test_a_narrow_gap_is_resolved():
    """Edges shrink to the width of a gap forty times narrower than the size."""
    domain = SQUARE - Disk(x, y, (0, 0), 0.495)
    mesh = domain.mesh(0.2)
    assert mesh.minimum_angle > 5
    assert set(mesh.boundaries) == {"left", "right", "bottom", "top", "circle"}


@settings(max_examples=15, deadline=None)
@given(
    centers=st.lists(
        st.tuples(st.floats(0.1, 0.9), st.floats(0.1, 0.9)), min_size=1, max_size=4
    ),
    radius=st.floats(0.03, 0.09),
    size=st.floats(0.06, 0.3),
)
def test_any_square_with_clear_discs_is_meshed(centers, radius, size):
    gaps = [
        math.dist(a, b) - 2 * radius for i, a in enumerate(centers) for b in centers[:i]
    ]
    gaps += [min(a, b, 1 - a, 1 - b) - radius for a, b in centers]
    assume(min(gaps) > 0.01)
    square = Box((x, 0, 1), (y, 0, 1))
    domain = Difference(square, *(Disk(x, y, c, radius) for c in centers))
    mesh = domain.mesh(size)
    # Edges several times longer than the holes are wide meet them at sharp angles.
    assert mesh.minimum_angle > (8 if size <= 2 * radius else 2)
    assert mesh.measure == pytest.approx(domain.measure, rel=0.02)


def test_intervals_have_equal_segments_no_longer_than_asked():
    mesh = Interval(x, -1, 2).mesh(0.4)
    np.testing.assert_allclose(np.diff(mesh.points[:, 0]), 0.375)
    assert mesh.points[mesh.boundaries["left"]].ravel() == pytest.approx([-1.0])
    assert mesh.points[mesh.boundaries["right"]].ravel() == pytest.approx([2.0])
    fine = mesh.refine()
    np.testing.assert_allclose(np.sort(fine.points[:, 0]), np.linspace(-1, 2, 17))
    assert fine.measure == pytest.approx(3.0)
    assert mesh.nodal_weights().sum() == pytest.approx(3.0)


def test_no_triangle_of_a_box_has_two_edges_on_the_boundary():
    mesh = Box((x, 0, 3), (y, 0, 1)).mesh(0.4)
    facets = {tuple(f) for f in np.sort(outer_facets(mesh.cells), axis=1).tolist()}
    for cell in np.sort(mesh.cells, axis=1).tolist():
        edges = [(cell[0], cell[1]), (cell[0], cell[2]), (cell[1], cell[2])]
        assert sum(edge in facets for edge in edges) <= 1


def test_regions_keep_their_area_when_refined():
    mesh = SQUARE.mesh(0.25)
    right = np.flatnonzero(mesh.points[mesh.cells].mean(axis=1)[:, 0] > 0)
    tagged = Mesh(mesh.points, mesh.cells, mesh.boundaries, regions={"right": right})
    fine = tagged.refine()
    cells = fine.cells[fine.regions["right"]]
    assert signed_volumes(fine.points, cells).sum() == pytest.approx(0.5)
    assert np.all(fine.points[cells][..., 0] >= 0.0)


def test_nodal_weights_integrate_linear_functions_exactly():
    mesh = L_SHAPE.mesh(0.2)
    moment = mesh.nodal_weights() @ mesh.points
    # Two rectangles: 1 × ½ about (½, ¼) and ½ × ½ about (¼, ¾).
    np.testing.assert_allclose(moment, [0.5 * 0.5 + 0.25 * 0.25, 0.125 + 0.1875])


CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])


def test_a_mesh_with_inverted_cells_or_bare_facets_is_refused():
    facets = np.array([[0, 1], [1, 2], [2, 0]])
    with pytest.raises(MeshError, match="1 of 1 cells are empty or inverted"):
        Mesh(CORNERS, np.array([[0, 2, 1]]), {"all": facets})
    with pytest.raises(MeshError, match="hold 2 facets, but the mesh has 3"):
        Mesh(CORNERS, np.array([[0, 1, 2]]), {"some": facets[:2]})


def test_a_tetrahedron_is_divided_into_eight_of_the_same_volume():
    points = np.vstack([np.zeros(3), np.eye(3)])
    cells = np.array([[0, 1, 2, 3]])
    mesh = Mesh(points, cells, {"all": outer_facets(cells)}, {"part": np.array([0])})
    assert mesh.measure == pytest.approx(1 / 6)
    finer = mesh.refine()
    np.testing.assert_allclose(signed_volumes(finer.points, finer.cells), 1 / 48)
    assert len(finer.boundaries["all"]) == 16
    np.testing.assert_array_equal(finer.regions["part"], np.arange(8))
    with pytest.raises(MeshError, match="no angles"):
        _ = mesh.minimum_angle


CUBE = Box((x, 0, 1), (y, 0, 1), (z, 0, 1))
SOLIDS = {
    "cube": (CUBE, 0.25),
    "ball": (Ball((x, y, z), (1, 0, 0), 1), 0.4),
    "holes": (
        CUBE
        - Ball((x, y, z), (0.4, 0.3, 0.6), 0.2, "large")
        - Ball((x, y, z), (0.7, 0.75, 0.3), 0.18, "small"),
        0.1,
    ),
}


def dihedral_angles(mesh):
    """In degrees, (m, 6)."""
    corners = mesh.points[mesh.cells]
    normals = []
    for face in ([1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]):
        a, b, c = corners[:, face].transpose(1, 0, 2)
        across = np.cross(b - a, c - a)
        normals.append(across / np.linalg.norm(across, axis=1)[:, None])
    cosines = [
        -np.sum(normals[i] * normals[j], axis=1) for i in range(4) for j in range(i)
    ]
    return np.degrees(np.arccos(np.clip(cosines, -1, 1))).T


@pytest.mark.parametrize("key", SOLIDS)
def test_solids_are_meshed_with_names_and_good_angles(key):
    domain, size = SOLIDS[key]
    mesh = domain.mesh(size)
    assert set(mesh.boundaries) == set(domain.boundaries)
    assert mesh.measure == pytest.approx(domain.measure, rel=4 * size**2)
    assert mesh.mean_size < 1.1 * size
    angles = dihedral_angles(mesh)
    assert angles.min() > 9
    assert angles.max() < 165
    for name, facets in mesh.boundaries.items():
        assert domain.on_boundary(name, mesh.points[np.unique(facets)], 1e-10).all()
    curved = mesh.curved_midpoints
    assert np.abs(domain.signed_distance(curved)).max(initial=0.0) < 1e-10


@pytest.mark.parametrize("key", SOLIDS)
def test_refined_solids_keep_to_the_surface(key):
    domain, size = SOLIDS[key]
    mesh = domain.mesh(size)
    finer = mesh.refine()
    assert len(finer.cells) == 8 * len(mesh.cells)
    for name, facets in finer.boundaries.items():
        assert len(facets) == 4 * len(mesh.boundaries[name])
        assert domain.on_boundary(name, finer.points[np.unique(facets)], 1e-10).all()
    coarse, fine = (abs(m.measure - domain.measure) for m in (mesh, finer))
    assert fine <= 0.3 * coarse + 1e-12
    # Every side of a curved facet is curved, also those that refinement made.
    assert len(finer.curved_edges) == 4 * len(mesh.curved_edges)
    assert np.abs(domain.signed_distance(finer.curved_midpoints)).max(initial=0) < 1e-10
    # Without the surface the new points lie on quadratic triangles near it.
    loose = dataclasses.replace(mesh, project=None).refine()
    gaps = domain.signed_distance(loose.curved_midpoints)
    # Their error is of third order in the size over the radius.
    assert np.abs(gaps).max(initial=0.0) < 10 * size**3
    np.testing.assert_array_equal(loose.curved_edges, finer.curved_edges)


def test_a_gap_that_the_mesh_does_not_resolve_is_refused():
    near = (
        CUBE
        - Ball((x, y, z), (0.3, 0.5, 0.5), 0.13)
        - Ball((x, y, z), (0.7, 0.5, 0.5), 0.2)
    )
    with pytest.raises(MeshError, match="give a smaller size"):
        near.mesh(0.15)
    with pytest.raises(MeshError, match="fold where they are bent"):
        (CUBE - Ball((x, y, z), (0.4, 0.5, 0.5), 0.25)).mesh(0.2)
    assert near.mesh(0.05).measure == pytest.approx(near.measure, rel=2e-2)


def test_a_cusp_is_refused_with_the_way_out():
    touching = Disk(x, y, (0, 0), 1) - Disk(x, y, (0.5, 0), 0.5, "inner")
    with pytest.raises(MeshError, match=r"too sharp an angle\. Give a smaller size"):
        touching.mesh(0.2)
