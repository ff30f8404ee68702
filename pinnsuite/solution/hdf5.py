"""Solutions in HDF5 files: written whole or not at all, read without trust.

Layout of a file::

    /                attributes: schema, kind (grid, mesh or cloud), status, message
    /axes/NAME       one increasing array a coordinate; a dimension scale on a grid
    /mesh/…          points, cells, boundaries/NAME, regions/NAME, curved_edges,
                     curved_midpoints (mesh nodes only)
    /cloud/points    one row a point (clouds only)
    /fields/NAME     the values; the first axes are the support's
    /history/NAME    series over the iterations
    /document        JSON: order of the axes, coefficients, cost, details
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pinnsuite.errors import DataError, MeshError
from pinnsuite.problem.mesh import Mesh
from pinnsuite.solution.cost import Cost, PhaseCost
from pinnsuite.solution.solution import Solution, Status
from pinnsuite.solution.support import Grid, MeshNodes, PointCloud, Support

SCHEMA = 1
"""Version of the layout; readers refuse a newer one."""

MAX_VALUES = 2**27
"""Numbers that one array may declare (1 GiB of float64); larger ones are not read."""

MAX_DOCUMENT = 2**24
"""Bytes of JSON that a file may hold."""

_COMPRESSED_FROM = 4096


def save(solution: Solution, path: Path) -> None:
    """Write a solution; a reader sees the old file or the new one, never a part.

    The evaluator and the snapshots are functions and are not kept.

    Raises
    ------
    DataError
        If a name holds a slash or is a dot, or `details` are no JSON values.
    """
    document = _document(solution)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(".tmp", f".{path.name}.", path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with h5py.File(temporary, "w") as file:
            _write(file, solution, document)
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        # mkstemp makes files that only their owner reads.
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(path: Path) -> Solution:
    """Read a solution; links to other files are refused, sizes checked before reading.

    Raises
    ------
    DataError
        If the file is missing, damaged, of a newer schema, declares too much, or
        points outside itself.
    """
    try:
        with h5py.File(path, "r") as file:
            return _read(file)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"{path} cannot be read as a solution: {error}. Run the case again."
        ) from error


def _document(solution: Solution) -> str:
    document: dict[str, Any] = {
        "axes": list(solution.support.axes),
        "coefficients": dict(solution.coefficients),
        "cost": {name: asdict(c) for name, c in solution.cost.phases.items()},
        "details": dict(solution.details),
    }
    if not isinstance(solution.support, Grid):
        document["space"] = list(solution.support.space)
        document["time"] = solution.support.time
    if isinstance(solution.support, PointCloud):
        document["measure"] = solution.support.measure

    def plain(value: Any) -> Any:
        if isinstance(value, np.generic | np.ndarray):
            return value.tolist()
        raise DataError(
            f"details hold {value!r} of type {type(value).__name__}; only numbers, "
            "words, lists and mappings of these can be saved."
        )

    return json.dumps(document, default=plain)


def _write(file: h5py.File, solution: Solution, document: str) -> None:
    support = solution.support
    file.attrs["schema"] = SCHEMA
    kinds = {Grid: "grid", MeshNodes: "mesh", PointCloud: "cloud"}
    file.attrs["kind"] = kinds[type(support)]
    file.attrs["status"] = solution.status.value
    file.attrs["message"] = solution.message
    file["document"] = document
    scales = _put(file.create_group("axes"), support.axes)
    for scale in scales.values():
        scale.make_scale(scale.name.rpartition("/")[2])
    if isinstance(support, MeshNodes):
        mesh, group = support.mesh, file.create_group("mesh")
        parts = ("points", "cells", "curved_edges", "curved_midpoints")
        _put(group, {name: getattr(mesh, name) for name in parts})
        _put(group.create_group("boundaries"), mesh.boundaries)
        _put(group.create_group("regions"), mesh.regions)
    if isinstance(support, PointCloud):
        _put(file.create_group("cloud"), {"points": support.cloud})
    for values in _put(file.create_group("fields"), solution.fields).values():
        for k, scale in enumerate(scales.values()):
            values.dims[k].attach_scale(scale)
    _put(file.create_group("history"), solution.history)


def _put(
    group: h5py.Group, arrays: Mapping[str, np.ndarray]
) -> dict[str, h5py.Dataset]:
    written = {}
    for name, values in arrays.items():
        if "/" in name or name in ("", ".", "..") or "\0" in name:
            raise DataError(f"{name!r} cannot name an array in a file; rename it.")
        array = np.asarray(values)
        packing: dict[str, Any] = (
            {"compression": "gzip", "shuffle": True}
            if array.size > _COMPRESSED_FROM
            else {}
        )
        written[name] = group.create_dataset(name, data=array, **packing)
    return written


def _read(file: h5py.File) -> Solution:
    schema = file.attrs.get("schema")
    if schema is None:
        raise DataError("the file has no attribute 'schema'; it holds no solution.")
    if int(schema) > SCHEMA:
        raise DataError(
            f"schema {int(schema)} is newer than this release's {SCHEMA}; upgrade "
            "pinnsuite to read it."
        )
    document = _read_document(file)
    axes = _arrays(file, "axes")
    if set(axes) != set(document["axes"]):
        raise DataError(
            f"the axes are {sorted(axes)}, but the document names {document['axes']}."
        )
    support: Support
    if file.attrs["kind"] == "grid":
        support = Grid({name: axes[name] for name in document["axes"]})
    else:
        times = next(iter(axes.values()), None)
        space, time = tuple(map(str, document["space"])), str(document["time"])
        if file.attrs["kind"] == "mesh":
            support = MeshNodes(_mesh(file), space, times, time)
        else:
            cloud = _array(_own(file, "cloud"), "points")
            measure = float(document["measure"])
            support = PointCloud(cloud, space, measure, times, time)
    fields = _arrays(file, "fields", support.shape)
    return Solution(
        support,
        fields,
        Status(file.attrs["status"]),
        str(file.attrs["message"]),
        coefficients={k: float(v) for k, v in document["coefficients"].items()},
        cost=Cost({k: PhaseCost(**v) for k, v in document["cost"].items()}),
        history=_arrays(file, "history"),
        details=document["details"],
    )


def _read_document(file: h5py.File) -> dict[str, Any]:
    dataset = _own(file, "document")
    if dataset.shape != () or h5py.check_string_dtype(dataset.dtype) is None:
        raise DataError("'document' must be one text of JSON.")
    text = dataset.asstr()[()]
    if len(text) > MAX_DOCUMENT:
        raise DataError(
            f"'document' holds {len(text)} bytes; at most {MAX_DOCUMENT} are read."
        )
    document = json.loads(text)
    needed = {"axes", "coefficients", "cost", "details"}
    if not isinstance(document, dict) or not needed <= set(document):
        raise DataError(f"'document' must hold {', '.join(sorted(needed))}.")
    return document


def _own(group: h5py.Group, name: str) -> Any:
    """Return a member that is stored in this very file."""
    link = group.get(name, getlink=True)
    if link is None:
        raise DataError(f"{group.name.rstrip('/')}/{name} is missing.")
    if not isinstance(link, h5py.HardLink):
        raise DataError(
            f"{group.name.rstrip('/')}/{name} is a link to somewhere else; links are "
            "not followed. Store the data itself."
        )
    return group[name]


def _arrays(
    group: h5py.Group, name: str, leading: tuple[int, ...] = ()
) -> dict[str, np.ndarray]:
    """Return all arrays of a group, each one's shape checked before it is read."""
    members = _own(group, name)
    if not isinstance(members, h5py.Group):
        raise DataError(f"{members.name} must be a group.")
    return {key: _array(members, key, leading) for key in members}


def _array(group: h5py.Group, name: str, leading: tuple[int, ...] = ()) -> np.ndarray:
    dataset = _own(group, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiub":
        raise DataError(f"{dataset.name} must be an array of numbers.")
    if dataset.external or dataset.is_virtual:
        raise DataError(f"{dataset.name} is stored in another file; copy it in.")
    shape = dataset.shape or ()
    if math.prod(shape) > MAX_VALUES:
        raise DataError(
            f"{dataset.name} declares shape {shape}, more than {MAX_VALUES} numbers; "
            "it is not read."
        )
    if shape[: len(leading)] != leading:
        raise DataError(
            f"{dataset.name} has shape {shape}, but its support has {leading}."
        )
    values: np.ndarray = dataset[()]
    return np.asarray(values, dtype=float) if values.dtype.kind == "f" else values


def _mesh(file: h5py.File) -> Mesh:
    group = _own(file, "mesh")
    points, cells = _array(group, "points"), _array(group, "cells")
    with _mesh_faults():
        return Mesh(
            points,
            cells,
            _arrays(group, "boundaries"),
            _arrays(group, "regions"),
            _array(group, "curved_edges"),
            _array(group, "curved_midpoints"),
        )


@contextlib.contextmanager
def _mesh_faults() -> Iterator[None]:
    try:
        yield
    except (MeshError, IndexError, np.linalg.LinAlgError) as error:
        raise DataError(f"/mesh is no valid mesh: {error}") from error
