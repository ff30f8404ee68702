"""Where values live: tensor grids and mesh nodes, with quadrature weights."""

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

MESH_DIVISIONS = 48
"""Edges of a comparison mesh along the longest side of a domain that is no box."""

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


@dataclass(frozen=True, eq=False)
class MeshNodes:
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
    def shape(self) -> tuple[int, ...]:
        """The shape of a field on this support."""
        nodes = (len(self.mesh.points),)
        return nodes if self.times is None else (len(self.times), *nodes)

    @property
    def points(self) -> np.ndarray:
        """All points as rows, time first, nodes fastest."""
        nodes = self.mesh.points
        if self.times is None:
            return nodes
        t = np.repeat(self.times, len(nodes))[:, None]
        return np.hstack([t, np.tile(nodes, (len(self.times), 1))])

    @property
    def weights(self) -> np.ndarray:
        """Lumped mass of the nodes (times trapezoidal weights in time)."""
        nodal = self.mesh.nodal_weights()
        if self.times is None:
            return nodal
        weights: np.ndarray = np.multiply.outer(_trapezoid(self.times), nodal)
        return weights.ravel()

    @property
    def axes(self) -> Mapping[str, np.ndarray]:
        """The time axis, if any; nodes are no axis."""
        return {} if self.times is None else {self.time: self.times}


Support = Grid | MeshNodes


def common_support(problem: Problem | SignalProblem) -> Support:
    """Return the points on which every solution of `problem` is compared.

    Boxes get a uniform grid, other domains the nodes of a mesh; times are the
    problem's output times, thinned to at most `MAX_TIMES`.
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
    if problem.domain.is_box:
        n = POINTS_PER_AXIS[problem.dimension]
        for x, (low, high) in zip(problem.space, problem.domain.bounds, strict=True):
            axes[x.name] = np.linspace(low, high, n)
        return Grid(axes)
    bounds = problem.domain.bounds
    size = problem.hints.get(
        "mesh_size", float((bounds[:, 1] - bounds[:, 0]).max()) / MESH_DIVISIONS
    )
    name = "t" if problem.time is None else problem.time.coordinate.name
    space = tuple(x.name for x in problem.space)
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
