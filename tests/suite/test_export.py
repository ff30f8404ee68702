import meshio
import numpy as np
import pytest

from pinnsuite import Polygon, coordinates
from pinnsuite.errors import DataError, OptionError
from pinnsuite.solution import hdf5
from pinnsuite.solution.record import MachinePart, ProblemPart, Record, SolverPart
from pinnsuite.solution.solution import Solution, Status
from pinnsuite.solution.support import Grid, MeshNodes
from pinnsuite.suite.export import export


def save(folder, solution, **details):
    record = Record(
        run_id="r",
        utc="2026-01-01T00:00:00+00:00",
        problem=ProblemPart(id="p", kind="pde", definition_hash="0"),
        solver=SolverPart(
            id="s", family="classical", version="1", options={}, repr="S()"
        ),
        machine=MachinePart(
            cpu="c", cores=1, threads=1, ram_gib=1, load_before=0, load_after=0
        ),
        details=details,
        status=Status.OK,
        sentence="",
    )
    (folder / "run.json").write_text(record.to_json())
    if solution is not None:
        hdf5.save(solution, folder / "fields.h5")


def volume(mesh):
    """The volume of all cells, from their corners: it sees a wrong numbering."""
    (block,) = mesh.cells
    corners = mesh.points[block.data]
    if block.type == "line":
        return np.abs(corners[:, 1, 0] - corners[:, 0, 0]).sum()
    if block.type == "hexahedron":
        edges = corners[:, [1, 3, 4]] - corners[:, :1]
        return np.linalg.det(edges).sum()
    x, y = corners[..., 0], corners[..., 1]
    return (x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum() / 2


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_a_grid_keeps_its_volume_and_its_values(dimension, tmp_path):
    axes = {n: np.linspace(0, k + 2, 4 + k) for k, n in enumerate("xyz"[:dimension])}
    grid = Grid(axes)
    save(tmp_path, Solution(grid, {"u": grid.points.sum(axis=1).reshape(grid.shape)}))
    (path,) = export(tmp_path, "vtu")
    mesh = meshio.read(path)
    assert volume(mesh) == pytest.approx([2, 6, 24][dimension - 1])
    assert np.allclose(mesh.point_data["u"], mesh.points.sum(axis=1))


def test_a_field_in_time_becomes_numbered_files_with_their_times(tmp_path):
    grid = Grid({"t": np.array([0.0, 0.25, 1.0]), "x": np.linspace(0, 1, 5)})
    values = np.multiply.outer(grid.axes["t"], grid.axes["x"])
    save(tmp_path, Solution(grid, {"u": values}), time="t")
    *files, series = export(tmp_path, "vtu")
    for k, path in enumerate(files):
        assert np.allclose(meshio.read(path).point_data["u"], values[k])
    assert series.suffix == ".pvd"
    for t, path in zip((0.0, 0.25, 1.0), files, strict=True):
        assert f'timestep="{t}" file="{path.name}"' in series.read_text()


def test_mesh_nodes_become_one_xdmf_series(tmp_path):
    x, y = coordinates("x y")
    mesh = Polygon(x, y, [(0, 0), (2, 0), (2, 1), (0, 1)]).mesh(0.4)
    support = MeshNodes(mesh, ("x", "y"), np.array([0.0, 0.5]))
    values = np.stack([mesh.points[:, 0], mesh.points[:, 1]])
    save(tmp_path, Solution(support, {"u": values}), time="t")
    (path,) = export(tmp_path, "xdmf")
    with meshio.xdmf.TimeSeriesReader(path) as reader:
        points, cells = reader.read_points_cells()
        assert volume(meshio.Mesh(points, cells)) == pytest.approx(2.0)
        steps = [reader.read_data(k) for k in range(reader.num_steps)]
    assert [t for t, _, _ in steps] == [0.0, 0.5]
    assert np.allclose([data["u"] for _, data, _ in steps], values)


def test_what_cannot_be_shown_is_said(tmp_path):
    save(tmp_path, None)
    with pytest.raises(DataError, match="holds no fields"):
        export(tmp_path, "vtu")
    with pytest.raises(OptionError, match="Did you mean 'vtu'"):
        export(tmp_path, "vtk")
    times = np.linspace(0, 1, 3)
    save(tmp_path, Solution(Grid({"t": times}), {"u": times}), time="t")
    with pytest.raises(DataError, match="0 space coordinates"):
        export(tmp_path, "vtu")
