import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pinnsuite.errors import DataError
from pinnsuite.problem.definition import coordinates
from pinnsuite.problem.domain import Disk
from pinnsuite.solution.cost import Cost, PhaseCost
from pinnsuite.solution.hdf5 import load, save
from pinnsuite.solution.solution import Solution, Status, failed
from pinnsuite.solution.support import Grid, MeshNodes, PointCloud


def grid_solution():
    t, x = np.linspace(0, 1, 5), np.linspace(-1, 1, 9)
    return Solution(
        Grid({"t": t, "x": x}),
        {"u": np.outer(np.exp(-t), np.sin(x)), "v": np.zeros((5, 9, 2))},
        Status.NOT_REACHED,
        "The budget of 3 s ended.",
        coefficients={"viscosity": 0.01},
        cost=Cost({"solve": PhaseCost(0.3, 0.2, 1000, 5, 0.25)}),
        history={"loss": np.array([1.0, np.nan, 0.1])},
        details={"dofs": np.int64(9), "stop_reason": "budget", "order": [1.9, 2.0]},
    )


def mesh_solution():
    x, y = coordinates("x y")
    mesh = Disk(x, y, radius=1.0, center=(0.0, 0.0)).mesh(0.5)
    support = MeshNodes(mesh, ("x", "y"), np.array([0.0, 1.0]), "tau")
    values = np.random.default_rng(0).normal(size=support.shape)
    return Solution(support, {"u": values})


def test_a_grid_solution_comes_back_as_it_was(tmp_path):
    before = grid_solution()
    save(before, tmp_path / "fields.h5")
    after = load(tmp_path / "fields.h5")
    assert list(after.support.axes) == ["t", "x"]
    for name, axis in before.support.axes.items():
        np.testing.assert_array_equal(after.support.axes[name], axis)
    assert set(after.fields) == {"u", "v"}
    for name, values in before.fields.items():
        np.testing.assert_array_equal(after.fields[name], values)
    np.testing.assert_array_equal(after.history["loss"], before.history["loss"])
    assert (after.status, after.message) == (before.status, before.message)
    assert after.coefficients == before.coefficients
    assert after.cost == before.cost
    assert after.details == {"dofs": 9, "stop_reason": "budget", "order": [1.9, 2.0]}


def test_a_mesh_solution_comes_back_with_its_names(tmp_path):
    before = mesh_solution()
    save(before, tmp_path / "fields.h5")
    after = load(tmp_path / "fields.h5")
    assert isinstance(after.support, MeshNodes)
    assert (after.support.time, after.support.space) == ("tau", ("x", "y"))
    mesh = before.support.mesh
    np.testing.assert_array_equal(after.support.mesh.cells, mesh.cells)
    assert set(after.support.mesh.boundaries) == set(mesh.boundaries)
    np.testing.assert_array_equal(after.support.weights, before.support.weights)
    np.testing.assert_array_equal(after.fields["u"], before.fields["u"])


def test_a_cloud_comes_back_with_its_measure(tmp_path):
    points = np.random.default_rng(0).random((7, 4))
    support = PointCloud(points, ("a", "b", "c", "d"), 2.5, np.array([0.0, 1.0, 3.0]))
    before = Solution(support, {"u": np.ones(support.shape)})
    assert support.weights.sum() == pytest.approx(2.5 * 3)
    assert support.points.shape == (21, 5)
    save(before, tmp_path / "fields.h5")
    after = load(tmp_path / "fields.h5")
    assert isinstance(after.support, PointCloud)
    assert (after.support.time, after.support.space) == ("t", support.space)
    np.testing.assert_array_equal(after.support.points, support.points)
    np.testing.assert_array_equal(after.support.weights, support.weights)
    np.testing.assert_array_equal(after.fields["u"], before.fields["u"])


def test_a_failed_solution_is_kept_with_its_sentence(tmp_path):
    save(failed(Status.DIVERGED, "Newton left the basin."), tmp_path / "f.h5")
    after = load(tmp_path / "f.h5")
    assert (after.status, after.sentence) == (
        Status.DIVERGED,
        "Newton left the basin.",
    )


@settings(deadline=None, max_examples=40)
@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=3)), st.text())
def test_every_array_and_message_survives(tmp_path_factory, values, message):
    path = tmp_path_factory.mktemp("any") / "f.h5"
    message = message.replace("\0", "").encode(errors="ignore").decode()
    axes = {f"x{k}": np.arange(float(n)) for k, n in enumerate(values.shape)}
    save(Solution(Grid(axes), {"u": values}, message=message), path)
    after = load(path)
    np.testing.assert_array_equal(after.fields["u"], values)
    assert after.message == message


def test_other_programs_see_dimension_scales(tmp_path):
    save(grid_solution(), tmp_path / "f.h5")
    with h5py.File(tmp_path / "f.h5") as file:
        dims = file["fields/u"].dims
        assert [d[0].name for d in dims] == ["/axes/t", "/axes/x"]


def test_what_cannot_be_saved_is_named_and_leaves_no_file(tmp_path):
    axes = Grid({"t": np.arange(3.0)})
    with pytest.raises(DataError, match=r"details hold <object .* of type object"):
        save(Solution(axes, {}, details={"net": object()}), tmp_path / "f.h5")
    with pytest.raises(DataError, match="'a/b' cannot name an array"):
        save(Solution(axes, {"a/b": np.zeros(3)}), tmp_path / "f.h5")
    assert not list(tmp_path.iterdir())


def damaged(path, damage):
    save(grid_solution(), path)
    with h5py.File(path, "r+") as file:
        damage(file)
    return path


def newer(file):
    file.attrs["schema"] = 99


def foreign(file):
    del file.attrs["schema"]


def external_link(file):
    del file["fields/u"]
    file["fields/u"] = h5py.ExternalLink("other.h5", "/secret")


def soft_link(file):
    del file["fields/u"]
    file["fields/u"] = h5py.SoftLink("/axes/x")


def external_storage(file):
    del file["fields/u"]
    file["fields"].create_dataset(
        "u", (5, 9), "f8", external=[("/etc/hostname", 0, 360)]
    )


def huge(file):
    del file["axes/x"]
    file["axes"].create_dataset("x", (2**40,), "f8", chunks=(2**10,))


def wrong_shape(file):
    del file["fields/u"]
    file["fields/u"] = np.zeros((5, 8))


def words(file):
    del file["fields/u"]
    file["fields/u"] = ["a"] * 5


def no_fields(file):
    del file["fields"]


def other_axes(file):
    file["axes/z"] = np.zeros(3)


def bad_document(file):
    del file["document"]
    file["document"] = "[]"


def bad_json(file):
    del file["document"]
    file["document"] = "{"


def bad_status(file):
    file.attrs["status"] = "splendid"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (newer, "schema 99 is newer than this release's 1; upgrade pinnsuite"),
        (foreign, "no attribute 'schema'"),
        (external_link, "/fields/u is a link to somewhere else"),
        (soft_link, "/fields/u is a link to somewhere else"),
        (external_storage, "/fields/u is stored in another file"),
        (huge, r"/axes/x declares shape \(1099511627776,\)"),
        (wrong_shape, r"/fields/u has shape \(5, 8\), but its support has \(5, 9\)"),
        (words, "/fields/u must be an array of numbers"),
        (no_fields, "/fields is missing"),
        (other_axes, r"the axes are \['t', 'x', 'z'\]"),
        (bad_document, "'document' must hold axes"),
        (bad_json, "cannot be read as a solution"),
        (bad_status, "'splendid' is not a valid Status"),
    ],
)
def test_damage_is_refused_with_path_and_reason(tmp_path, damage, message):
    path = damaged(tmp_path / "fields.h5", damage)
    with pytest.raises(DataError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_mesh_with_foreign_vertices_is_refused(tmp_path):
    path = tmp_path / "fields.h5"
    save(mesh_solution(), path)
    with h5py.File(path, "r+") as file:
        file["mesh/cells"][0, 0] = 10**6
    with pytest.raises(DataError, match="no valid mesh"):
        load(path)


def test_truncated_and_missing_files_are_refused(tmp_path):
    path = tmp_path / "fields.h5"
    save(grid_solution(), path)
    content = path.read_bytes()
    for size in range(0, len(content), len(content) // 20):
        path.write_bytes(content[:size])
        with pytest.raises(DataError, match=r"fields\.h5"):
            load(path)
    with pytest.raises(DataError, match=r"nothing\.h5"):
        load(tmp_path / "nothing.h5")


WRITER = """
import sys
from pathlib import Path
import numpy as np
from pinnsuite.solution.hdf5 import save
from pinnsuite.solution.solution import Solution
from pinnsuite.solution.support import Grid
x = np.linspace(0, 1, 20_000)
print("ready", flush=True)
k = 0.0
while True:
    save(Solution(Grid({"x": x}), {"u": x + k}), Path(sys.argv[1]))
    k += 1
"""


def test_a_killed_writer_never_leaves_half_a_file(tmp_path):
    path = tmp_path / "fields.h5"
    generator = np.random.default_rng(0)
    for _ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        while not path.exists():
            time.sleep(0.01)
        time.sleep(generator.uniform(0.0, 0.1))
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert len(load(path).fields["u"]) == 20_000
