"""Where values live: grids, mesh nodes and clouds of points, with their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pinnsuite.problem.definition import Problem
from pinnsuite.problem.family import Family
from pinnsuite.problem.mesh import Mesh
from pinnsuite.problem.signal import SignalProblem

POINTS_PER_AXIS = {1: 257, 2: 65, 3: 17, 4: 9, 5: 7}
"""Comparison points along each axis of a box, by its dimension."""

MESH_DIVISIONS = {2: 48, 3: 20}
"""Edges of a comparison mesh along the longest side of a domain that is no box."""

CLOUD_POINTS = 4096
"""Points of a cloud, where there is neither a grid of moderate size nor a mesh."""

MAX_TIMES = 41
"""Comparison times at most; they are a subset of the problem's output times."""


def _trapezoid(axis: np.ndarray) -> np.ndarray:
    if len(axis) == 1:
        return np.ones(1)
    steps = np.diff(axis)
    weights: np.ndarray = (np.append(steps, 0.0) + np.append(0.0, steps)) / 2
    return weights


@dataclass(frozen=True, eq=False)
class Grid:
    """A tensor grid.

    Attributes
    ----------
    axes
        One increasing array a coordinate, in the order that indexes the fields.
    """

    axes: Mapping[str, np.ndarray]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a field on this grid."""
        return tuple(len(a) for a in self.axes.values())

    @property
    def points(self) -> np.ndarray:
        """All points as rows, shape (n, coordinates), last axis fastest."""
        mesh = np.meshgrid(*self.axes.values(), indexing="ij")
        return np.stack([m.ravel() for m in mesh], axis=1)

    @property
    def weights(self) -> np.ndarray:
        """Trapezoidal weights, one a point of `points`; they sum to the volume."""
        weights = np.ones(1)
        for axis in self.axes.values():
            weights = np.multiply.outer(weights, _trapezoid(axis)).ravel()
        return weights


class _Nodes:
    """Points without order in space, at one or several times."""

    times: np.ndarray | None
    time: str

    @property
    def nodes(self) -> np.ndarray:
        """The points in space, shape (nodes, d)."""
        raise NotImplementedError

    @property
    def space_weights(self) -> np.ndarray:
        """Quadrature weights in space, one a node."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a field on this support."""
        nodes = (len(self.nodes),)
        return nodes if self.times is None else (len(self.times), *nodes)

    @property
    def points(self) -> np.ndarray:
        """All points as rows, time first, nodes fastest."""
        nodes = self.nodes
        if self.times is None:
            return nodes
        t = np.repeat(self.times, len(nodes))[:, None]
        return np.hstack([t, np.tile(nodes, (len(self.times), 1))])

    @property
    def weights(self) -> np.ndarray:
        """The weights in space, times trapezoidal weights in time."""
        if self.times is None:
            return self.space_weights
        weights: np.ndarray = np.multiply.outer(
            _trapezoid(self.times), self.space_weights
        )
        return weights.ravel()

    @property
    def axes(self) -> Mapping[str, np.ndarray]:
        """The time axis, if any; nodes are no axis."""
        return {} if self.times is None else {self.time: self.times}


@dataclass(frozen=True, eq=False)
class MeshNodes(_Nodes):
    """The nodes of a mesh, at one or several times.

    Attributes
    ----------
    mesh
        Nodes and cells; a field has one value a node.
    space
        Names of the space coordinates.
    times
        None for a stationary field (shape (nodes,)), else the times (shape
        (times, nodes)).
    time
        Name of the time coordinate.
    """

    mesh: Mesh
    space: tuple[str, ...]
    times: np.ndarray | None = None
    time: str = "t"

    @property
    def nodes(self) -> np.ndarray:
        """The vertices of the mesh, shape (nodes, d)."""
        return self.mesh.points

    @property
    def space_weights(self) -> np.ndarray:
        """The lumped mass of the nodes."""
        return self.mesh.nodal_weights()


@dataclass(frozen=True, eq=False)
class PointCloud(_Nodes):
    """Points that fill a domain evenly, all of the same weight.

    For domains of many dimensions, where there is neither a grid nor a mesh.

    Attributes
    ----------
    cloud
        Shape (points, d).
    space
        Names of the space coordinates.
    measure
        The volume that the points stand for.
    times
        None for a stationary field (shape (points,)), else the times (shape
        (times, points)).
    time
        Name of the time coordinate.
    """

    cloud: np.ndarray
    space: tuple[str, ...]
    measure: float
    times: np.ndarray | None = None
    time: str = "t"

    @property
    def nodes(self) -> np.ndarray:
        """The points, shape (points, d)."""
        return self.cloud

    @property
    def space_weights(self) -> np.ndarray:
        """Equal weights, which sum to the measure."""
        return np.full(len(self.cloud), self.measure / len(self.cloud))


Support = Grid | MeshNodes | PointCloud


def common_support(problem: Problem | SignalProblem) -> Support:
    """Return the points on which every solution of `problem` is compared.

    Boxes get a uniform grid, other domains the nodes of a mesh, and where dimensions
    are too many for either, points of a Sobol sequence; times are the problem's output
    times, thinned to at most `MAX_TIMES`.
    """
    if isinstance(problem, SignalProblem):
        return Grid(dict(problem.coordinates))
    times = None
    if problem.time is not None:
        times = problem.time.outputs
        if problem.valid_until is not None:
            times = times[times <= problem.valid_until * (1 + 1e-12)]
        # An ODE has no other axis, so every output counts.
        if problem.domain is not None:
            count = min(len(times), MAX_TIMES)
            times = times[np.linspace(0, len(times) - 1, count).round().astype(int)]
    axes: dict[str, np.ndarray] = {}
    if times is not None and problem.time is not None:
        axes[problem.time.coordinate.name] = times
    if problem.domain is None:
        return Grid(axes)
    if problem.domain.is_box and problem.dimension in POINTS_PER_AXIS:
        n = POINTS_PER_AXIS[problem.dimension]
        for x, (low, high) in zip(problem.space, problem.domain.bounds, strict=True):
            axes[x.name] = np.linspace(low, high, n)
        return Grid(axes)
    name = "t" if problem.time is None else problem.time.coordinate.name
    space = tuple(x.name for x in problem.space)
    if problem.dimension not in MESH_DIVISIONS:
        cloud = problem.domain.sample_interior(CLOUD_POINTS, seed=0)
        return PointCloud(cloud, space, problem.domain.measure, times, name)
    divisions = MESH_DIVISIONS[problem.dimension]
    size = problem.hints.get("mesh_size", problem.domain.extent / divisions)
    return MeshNodes(problem.domain.mesh(size), space, times, name)


def family_support(family: Family) -> Grid:
    """Return the grid of a family's outputs: test members by periodic space points."""
    member = family.member(0)
    axes = {"member": np.array(family.test, dtype=float)}
    assert member.domain is not None
    for x, (low, high) in zip(member.space, member.domain.bounds, strict=True):
        axes[x.name] = low + (high - low) * np.arange(family.num_points) / (
            family.num_points
        )
    return Grid(axes)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Input-output pairs of a family, one member a row.

    Attributes
    ----------
    grid
        The points along the periodic coordinate, without the right end.
    inputs, outputs
        Shape (members, points): initial states and fields at the last time.
    indices
        The members' numbers in their family.
    problem
        One of the members: equations, domain, time and boundary conditions are the
        same for all.
    cost
        CPU seconds that making the outputs took.
    """

    grid: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray
    indices: np.ndarray
    problem: Problem
    cost: float = field(default=0.0)
