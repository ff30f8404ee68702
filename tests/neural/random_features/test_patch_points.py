"""Collocation points lie where the conditions hold."""

import numpy as np
import pytest
import sympy as sp

from pinnsuite.neural.random_features.partition import Partition
from pinnsuite.neural.random_features.patch_points import PatchPoints
from pinnsuite.problem import (
    Box,
    D,
    Dirichlet,
    Polygon,
    Problem,
    coordinates,
    field_of,
    laplacian,
)


def _cavity() -> Problem:
    x, y = coordinates("x y")
    u = field_of("u", x, y)
    walls = dict.fromkeys(("left", "right", "bottom"), "wall")
    return Problem(
        name="one wall of three sides",
        fields=[u],
        equations=[laplacian(u, (x, y)) + D(u, x)],
        domain=Box((x, 0, 1), (y, 0, 2), names={**walls, "top": "lid"}),
        conditions=[Dirichlet(u, 0, on="wall"), Dirichlet(u, sp.Integer(1), on="lid")],
    )


@pytest.mark.parametrize("cuts", [0, 1])
def test_sides_of_one_name_all_have_points_with_outward_normals(cuts):
    edges = np.linspace(0, 1, 2 + cuts), np.linspace(0, 2, 2 + cuts)
    problem = _cavity()
    points = PatchPoints(
        problem, Partition.grid(edges, problem.domain), None, 50, seed=0
    )
    count = points.face_count()
    sides = {(-1, 0): (0, 0.0), (1, 0): (0, 1.0), (0, -1): (1, 0.0)}
    found, normals = points.boundary("wall", count)
    assert len(found) == 3 * (1 + cuts) * count
    for normal, (axis, where) in sides.items():
        mine = (normals == normal).all(1)
        assert mine.sum() == (1 + cuts) * count
        assert np.allclose(found[mine, axis], where, atol=1e-14)
    lid, outward = points.boundary("lid", count)
    assert np.allclose(lid[:, 1], 2.0)
    assert (outward == (0, 1)).all()


def test_small_patches_at_a_corner_have_as_many_points_of_the_boundary():
    x, y = coordinates("x y")
    u = field_of("u", x, y)
    corners = [(0, 0), (1, 0), (1, 1), (-1, 1), (-1, -1), (0, -1)]
    problem = Problem(
        name="an L",
        fields=[u],
        equations=[laplacian(u, (x, y))],
        domain=Polygon(x, y, corners, "wall"),
        conditions=[Dirichlet(u, 0, on="wall")],
    )
    unit = np.array([-1.0, 0.0, 1.0])
    partition = Partition.grid((unit, unit), problem.domain)
    for _ in range(8):
        partition = partition.refined(partition.around(np.zeros(2)))
    points = PatchPoints(problem, partition, None, 50, seed=0)
    count = points.face_count()
    found, normals = points.boundary("wall", count)
    owner = partition.locate(points.inwards(found, normals))
    smallest = partition.around(np.zeros(2))
    assert len(smallest) == 3
    # Two of them have a side on the boundary, the third one its corner only.
    assert sorted(np.bincount(owner)[smallest])[1:] == [count, count]
