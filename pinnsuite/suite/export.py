"""The fields of a finished run as files for ParaView, through meshio."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from pinnsuite.errors import DataError, OptionError, unknown_name
from pinnsuite.solution.hdf5 import load
from pinnsuite.solution.record import Record
from pinnsuite.solution.solution import Solution
from pinnsuite.solution.support import Grid, PointCloud

FORMATS = ("vtu", "xdmf")

CELLS = {1: "line", 2: "quad", 3: "hexahedron"}
"""Cells of a grid, by its space dimension."""

SIMPLICES = {1: "line", 2: "triangle", 3: "tetra"}


def export(run: Path, format: str) -> list[Path]:
    """Write the fields of a run directory beside its record; return the files.

    A field that changes in time becomes one XDMF series, or one VTU file a time with
    a .pvd file that names the times.

    Raises
    ------
    OptionError
        If the format is unknown.
    DataError
        If the run holds no fields, or these have no space coordinates to show.
    """
    if format not in FORMATS:
        raise OptionError(unknown_name("format", format, FORMATS))
    record = Record.load(run / "run.json")
    if not (run / "fields.h5").is_file():
        raise DataError(
            f"{run} holds no fields: its run ended {record.status.value}. "
            f"{record.sentence}"
        )
    solution = load(run / "fields.h5")
    points, cells, times, fields = _in_space(solution, record.details.get("time"))
    try:
        if format == "xdmf":
            return _write_xdmf(run, points, cells, times, fields)
        return _write_vtu(run, points, cells, times, fields)
    except (OSError, SystemExit) as error:  # meshio exits where it cannot write
        raise DataError(f"{run} cannot be exported as {format}: {error}.") from error


Cells = list[tuple[str, np.ndarray]]


def _in_space(
    solution: Solution, time: str | None
) -> tuple[np.ndarray, Cells, np.ndarray | None, dict[str, np.ndarray]]:
    """Return points (n, 3), cells, times or None, and fields (times, n)."""
    support = solution.support
    if isinstance(support, Grid):
        axes = {name: a for name, a in support.axes.items() if name != time}
        times = None if time is None else support.axes.get(time)
        points, cells = _grid(axes)
    elif isinstance(support, PointCloud):
        raise DataError(
            "The fields stand at scattered points, which have no cells to show. "
            "fields.h5 can be read by any HDF5 library."
        )
    else:
        times = support.times
        points = support.mesh.points
        cells = [(SIMPLICES[points.shape[1]], support.mesh.cells)]
    steps = 1 if times is None else len(times)
    fields = {
        name: values.reshape(steps, len(points))
        for name, values in solution.fields.items()
    }
    flat = np.zeros((len(points), 3))
    flat[:, : points.shape[1]] = points
    return flat, cells, times, fields


def _grid(axes: dict[str, np.ndarray]) -> tuple[np.ndarray, Cells]:
    """Return the points and cells of a tensor grid."""
    dimension = len(axes)
    if dimension not in CELLS:
        raise DataError(
            f"The fields have {dimension} space coordinates; ParaView shows 1, 2 or 3. "
            "fields.h5 can be read by any HDF5 library."
        )
    shape = tuple(len(a) for a in axes.values())
    numbers = np.arange(np.prod(shape)).reshape(shape)
    # Around each face in turn, as VTK numbers a quadrilateral and a hexahedron.
    corners: list[tuple[int, ...]] = [(0,), (1,)]
    if dimension > 1:
        corners = [(0, 0), (1, 0), (1, 1), (0, 1)]
    if dimension > 2:
        corners = [(*c, k) for k, c in itertools.product((0, 1), corners)]
    columns = [
        numbers[
            tuple(slice(c, n - 1 + c) for c, n in zip(corner, shape, strict=True))
        ].ravel()
        for corner in corners
    ]
    return Grid(axes).points, [(CELLS[dimension], np.stack(columns, axis=1))]


def _write_vtu(
    run: Path,
    points: np.ndarray,
    cells: Cells,
    times: np.ndarray | None,
    fields: dict[str, np.ndarray],
) -> list[Path]:
    import meshio

    def write(path: Path, step: int) -> Path:
        data = {name: values[step] for name, values in fields.items()}
        meshio.write(path, meshio.Mesh(points, cells, point_data=data))
        return path

    if times is None:
        return [write(run / "fields.vtu", 0)]
    files = [write(run / f"fields-{i:04d}.vtu", i) for i in range(len(times))]
    series = run / "fields.pvd"
    rows = [
        f'<DataSet timestep="{t!r}" file="{file.name}"/>'
        for t, file in zip(times.tolist(), files, strict=True)
    ]
    series.write_text(
        '<?xml version="1.0"?>\n<VTKFile type="Collection" version="0.1">\n'
        "<Collection>\n" + "\n".join(rows) + "\n</Collection>\n</VTKFile>\n",
        encoding="utf-8",
    )
    return [*files, series]


def _write_xdmf(
    run: Path,
    points: np.ndarray,
    cells: Cells,
    times: np.ndarray | None,
    fields: dict[str, np.ndarray],
) -> list[Path]:
    import meshio

    path = run / "fields.xdmf"
    if times is None:
        data: dict[str, Any] = {name: values[0] for name, values in fields.items()}
        mesh = meshio.Mesh(points, cells, point_data=data)
        meshio.write(path, mesh, data_format="XML")
        return [path]
    with meshio.xdmf.TimeSeriesWriter(path, data_format="XML") as writer:
        writer.write_points_cells(points, cells)
        for step, t in enumerate(times.tolist()):
            data = {name: values[step] for name, values in fields.items()}
            writer.write_data(t, point_data=data)
    return [path]
