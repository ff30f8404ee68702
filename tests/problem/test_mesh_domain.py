"""Domains from mesh files: groups become names, and each fault is named."""

import logging
import math
from pathlib import Path

import meshio
import numpy as np
import pytest
import sympy as sp

from pinnsuite.errors import DefinitionError, MeshError
from pinnsuite.problem.domain import Disk
from pinnsuite.problem.mesh_domain import MeshDomain

x, y = sp.symbols("x y", real=True)

L_SHAPE = Path(__file__).parents[2] / "data" / "meshes" / "l_shape.msh"
CORNERS = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
TRIANGLES = [[0, 1, 2], [0, 2, 3]]
SIDES = [[0, 1], [1, 2], [2, 3], [3, 0]]


def write(
    path,
    points=CORNERS,
    triangles=TRIANGLES,
    sides=SIDES,
    tags=(1, 2, 2, 2),
    kinds=("line", "triangle"),
    file_format="gmsh22",
):
    groups = [np.array(tags), np.array([1, 2])[: len(triangles)] + 2]
    mesh = meshio.Mesh(
        np.array(points, dtype=float),
        [(kinds[0], np.array(sides)), (kinds[1], np.array(triangles))],
        cell_data={"gmsh:physical": groups, "gmsh:geometrical": groups},
        field_data={
            "floor": np.array([1, 1]),
            "walls": np.array([2, 1]),
            "lower": np.array([3, 2]),
            "upper": np.array([4, 2]),
        },
    )
    mesh.write(path, file_format=file_format)
    return path


def read(path):
    return MeshDomain.from_file(path, (x, y))


def test_groups_of_the_l_shaped_plate_are_boundaries_and_a_region():
    plate = read(L_SHAPE)
    assert set(plate.boundaries) == {"hot", "cooled", "insulated"}
    assert plate.regions == ("plate",)
    assert plate.measure == pytest.approx(3.0)
    assert plate.boundary_measure("hot") == pytest.approx(2.0)
    assert plate.boundary_measure("cooled") == pytest.approx(2.0)
    assert plate.boundary_measure("insulated") == pytest.approx(4.0)
    np.testing.assert_array_equal(plate.bounds, [[-1, 1], [-1, 1]])
    assert len(plate.triangles.regions["plate"]) == len(plate.triangles.cells)
    assert "l_shape.msh" in plate.describe()


def test_samples_of_a_mesh_domain_obey_its_outline():
    plate = read(L_SHAPE)
    inside = plate.sample_interior(500, seed=0)
    assert not np.any((inside[:, 0] > 0) & (inside[:, 1] < 0))
    points, normals = plate.sample_boundary("hot", 100, seed=0)
    np.testing.assert_allclose(points[:, 0], -1.0)
    np.testing.assert_allclose(normals, np.tile([-1.0, 0.0], (100, 1)), atol=1e-12)
    flux = 0.0
    for name in plate.boundaries:
        points, normals = plate.sample_boundary(name, 2048, seed=0)
        mean = np.sum(points * normals, axis=1).mean()
        flux += plate.boundary_measure(name) * mean
    assert flux == pytest.approx(6.0, rel=2e-3)


def test_the_mesh_of_the_file_is_refined_until_fine_enough():
    plate = read(L_SHAPE)
    assert plate.mesh(1.0) is plate.triangles
    fine = plate.mesh(0.6 * plate.triangles.mean_size)
    assert len(fine.cells) == 4 * len(plate.triangles.cells)
    assert set(fine.boundaries) == set(plate.boundaries)
    assert len(fine.regions["plate"]) == len(fine.cells)


def test_a_mesh_domain_can_be_combined():
    holed = read(L_SHAPE) - Disk(x, y, (-0.5, 0.5), 0.2, name="hole")
    assert holed.measure == pytest.approx(3.0 - 0.04 * math.pi)
    assert set(holed.boundaries) == {"hot", "cooled", "insulated", "hole"}


def test_canonical_form_is_a_checksum_of_the_content(tmp_path):
    first, second = read(L_SHAPE).canonical(), read(L_SHAPE).canonical()
    assert first == second
    square = read(write(tmp_path / "a.msh")).canonical()
    other = read(write(tmp_path / "b.msh", tags=(2, 2, 2, 1))).canonical()
    assert len({first["sha256"], square["sha256"], other["sha256"]}) == 3


@pytest.mark.parametrize("file_format", ["gmsh22", "gmsh"])
def test_names_do_not_depend_on_the_version_of_the_format(tmp_path, file_format):
    path = tmp_path / "square.msh"
    if file_format == "gmsh":
        path.write_bytes(L_SHAPE.read_bytes())
        expected = {"hot", "cooled", "insulated"}, {"plate"}
    else:
        write(path)
        expected = {"floor", "walls"}, {"lower", "upper"}
    domain = read(path)
    assert (set(domain.boundaries), set(domain.regions)) == expected


def test_cell_sets_of_other_formats_are_groups(tmp_path):
    path = tmp_path / "square.inp"
    meshio.Mesh(
        np.array(CORNERS, dtype=float),
        [("line", np.array(SIDES)), ("triangle", np.array(TRIANGLES))],
        cell_sets={
            "floor": [np.array([0]), np.array([], dtype=int)],
            "walls": [np.array([1, 2, 3]), np.array([], dtype=int)],
        },
    ).write(path)
    domain = read(path)
    assert domain.boundary_measure("floor") == 1.0
    assert domain.boundary_measure("walls") == 3.0


def test_inverted_triangles_are_turned_over_and_noted(tmp_path, caplog):
    path = write(tmp_path / "square.msh", triangles=[[0, 2, 1], [0, 2, 3]])
    with caplog.at_level(logging.WARNING):
        domain = read(path)
    assert domain.triangles.measure == pytest.approx(1.0)
    assert "turned over 1 inverted triangles" in caplog.text


def test_points_of_no_triangle_are_dropped(tmp_path):
    domain = read(write(tmp_path / "square.msh", points=[*CORNERS, [9, 9, 0]]))
    assert len(domain.triangles.points) == 4
    np.testing.assert_array_equal(domain.bounds, [[0, 1], [0, 1]])


def test_quadratic_triangles_keep_their_curved_edges(tmp_path):
    disk = Disk(x, y, (0, 0), 1)
    mesh = disk.mesh(0.4)
    edges = {tuple(e): i for i, e in enumerate(mesh.edges.tolist())}
    middles = mesh.points[mesh.edges].mean(axis=1)
    for edge, middle in zip(mesh.curved_edges, mesh.curved_midpoints, strict=True):
        middles[edges[tuple(sorted(edge))]] = middle
    count = len(mesh.points)

    def middle_of(pairs):
        return [count + edges[tuple(sorted(pair))] for pair in pairs.tolist()]

    columns = [middle_of(mesh.cells[:, pair]) for pair in ([0, 1], [1, 2], [2, 0])]
    circle = mesh.boundaries["circle"]
    points = np.concatenate([mesh.points, middles])
    path = tmp_path / "disk.msh"
    meshio.Mesh(
        np.column_stack([points, np.zeros(len(points))]),
        [
            ("line3", np.column_stack([circle, middle_of(circle)])),
            ("triangle6", np.column_stack([mesh.cells, *columns])),
        ],
        cell_data={
            "gmsh:physical": [np.full(len(circle), 7), np.full(len(mesh.cells), 8)],
            "gmsh:geometrical": [np.full(len(circle), 1), np.full(len(mesh.cells), 1)],
        },
        field_data={"circle": np.array([7, 1])},
    ).write(path, file_format="gmsh22")
    domain = read(path)
    assert domain.regions == ("8",)  # a group without a name goes by its number
    assert len(domain.triangles.curved_edges) == len(circle)
    assert abs(domain.triangles.measure - math.pi) > 0.05
    assert domain.measure == pytest.approx(math.pi, abs=2e-3)
    assert domain.boundary_measure("circle") == pytest.approx(2 * math.pi, abs=2e-3)
    points, normals = domain.sample_boundary("circle", 200, seed=0)
    np.testing.assert_allclose(normals, points, atol=0.05)


@pytest.mark.parametrize("tags", [(1, 0, 2, 0), (0, 1, 2, 0)])
def test_bare_boundary_edges_are_counted(tmp_path, tags):
    path = write(tmp_path / "square.msh", tags=tags)
    with pytest.raises(MeshError, match=r"2 of 4 boundary edges .* are left bare"):
        read(path)


def test_a_group_that_only_has_inner_edges_is_noted(tmp_path, caplog):
    path = write(tmp_path / "a.msh", sides=[*SIDES, [0, 2]], tags=(2, 2, 2, 2, 1))
    with caplog.at_level(logging.WARNING):
        assert read(path).boundaries == ("walls",)
    assert "'floor' has no edge on the boundary" in caplog.text


def test_missing_unknown_and_damaged_files_are_errors(tmp_path, capfd):
    with pytest.raises(MeshError, match="There is no mesh file"):
        read(tmp_path / "none.msh")
    for name in ("damaged.msh", "damaged.vtu", "unknown.mesch"):
        path = tmp_path / name
        path.write_text("hello")
        with pytest.raises(MeshError, match=r"cannot be read: .*Known endings: .*msh"):
            read(path)
    assert capfd.readouterr() == ("", "")


def test_text_that_meshio_writes_wrongly_is_an_error_and_not_a_wrong_mesh(tmp_path):
    """With numpy 2 meshio 5.3.5 writes values as `np.float64(…)` into MSH 2.2."""
    path = tmp_path / "square.msh"
    ones = np.ones(len(TRIANGLES), dtype=int)
    mesh = meshio.Mesh(
        np.array(CORNERS, float),
        [("triangle", np.array(TRIANGLES))],
        cell_data={
            "gmsh:physical": [ones],
            "gmsh:geometrical": [ones],
            "values": [np.ones(len(TRIANGLES))],
        },
    )
    meshio.gmsh.write(path, mesh, "2.2", binary=False)
    assert "np.float64" in path.read_text()
    with pytest.raises(MeshError, match="cannot be read"):
        read(path)


def test_other_cells_are_refused_by_name(tmp_path):
    path = write(tmp_path / "q.msh", triangles=[[0, 1, 2, 3]], kinds=("line", "quad"))
    with pytest.raises(MeshError, match="triangles only; it has line, quad"):
        read(path)


def test_a_bent_surface_is_refused(tmp_path):
    path = write(tmp_path / "bent.msh", points=[*CORNERS[:3], [0, 1, 0.5]])
    with pytest.raises(MeshError, match=r"not planar: z runs from 0 to 0.5"):
        read(path)


def test_coordinates_are_checked():
    with pytest.raises(DefinitionError, match="Coordinates must differ"):
        MeshDomain.from_file(L_SHAPE, (x, x))
