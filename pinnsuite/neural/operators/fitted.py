"""A trained operator: a network for the map, and a solver for every member."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from pinnsuite.errors import DataError, OptionError
from pinnsuite.problem.conditions import Initial
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.jets import numpy_function
from pinnsuite.solution.cost import Clock, Cost, PhaseCost
from pinnsuite.solution.solution import Evaluator, Solution
from pinnsuite.solution.support import Dataset, Grid
from pinnsuite.solver import Progress, require_supported, silent

FORMAT = "pinnsuite operator 1"


class Scaled(torch.nn.Module):
    """A network between physical values, each side shifted and scaled by one number.

    The numbers are the mean and the standard deviation over all values of the training
    inputs and of the training outputs; one number a side keeps the map free of the
    grid. Shape (members, points) in and out.
    """

    numbers: torch.Tensor

    def __init__(self, network: torch.nn.Module, data: Dataset | None = None) -> None:
        super().__init__()
        self.network = network
        numbers = torch.tensor([0.0, 1.0, 0.0, 1.0])
        if data is not None:
            sides = [
                f(v) for v in (data.inputs, data.outputs) for f in (np.mean, np.std)
            ]
            numbers = torch.tensor(sides)
        self.register_buffer("numbers", numbers)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the fields at the last time."""
        mean_in, std_in, mean_out, std_out = self.numbers
        scaled = self.network((values - mean_in) / std_in)
        physical: torch.Tensor = mean_out + std_out * scaled
        return physical


@dataclass(frozen=True, eq=False)
class FittedNetwork:
    """What `fit` returns; itself a solver for members of the family it was fitted to.

    Attributes
    ----------
    options
        The solver whose `fit` made it.
    network
        Takes and gives physical values, shape (members, points).
    grid
        The periodic points, without the right end.
    map
        What the members share, in words: equations, domain, time, conditions.
    cost
        Of the training; the data's cost is in its data set.
    history
        The training loss over the epochs or iterations.
    details
        Number of parameters, steps, and why the training stopped.
    """

    family: ClassVar[str] = "operator"

    options: Any
    network: torch.nn.Module = field(repr=False)
    grid: np.ndarray = field(repr=False)
    map: Mapping[str, str] = field(repr=False)
    cost: Cost = field(default_factory=Cost, repr=False)
    history: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    details: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the fields at the last time.

        Parameters
        ----------
        inputs
            Shape (members, points): initial states on `grid`.

        Returns
        -------
        float64, same shape.

        Raises
        ------
        OptionError
            If the inputs are not on `grid`.
        """
        if inputs.ndim != 2 or inputs.shape[1] != len(self.grid):
            raise OptionError(
                f"The inputs have shape {inputs.shape}; this operator was fitted on "
                f"{len(self.grid)} points: needed is (members, {len(self.grid)})."
            )
        options = self.options
        values = torch.tensor(
            inputs, dtype=getattr(torch, options.dtype), device=options.device
        )
        with torch.no_grad():
            outputs: np.ndarray = self.network(values).cpu().numpy()
        return outputs.astype(float)

    def why_not(self, problem: Problem) -> str | None:
        """Say in what the problem differs from the family's members, if it does."""
        theirs = describe_map(problem)
        for part, mine in self.map.items():
            if theirs[part] != mine:
                return (
                    f"its {part} are [{theirs[part]}], and this operator was fitted "
                    f"for [{mine}]; fit one to a family of this problem"
                )
        return None

    def solve(
        self,
        problem: Problem,
        *,
        progress: Progress = silent,
        budget: float | None = None,  # noqa: ARG002
    ) -> Solution:
        """Return the field at the last time, from the start that `problem` gives.

        The evaluator is the Fourier interpolant in space; at other times than the last
        the operator knows nothing, and the values are NaN.

        Raises
        ------
        UnsupportedProblemError
            If `why_not` speaks.
        """
        require_supported(self, problem)
        assert problem.time is not None
        (initial,) = problem.conditions_of(Initial)
        clock = Clock()
        with clock.phase("symbolic"):
            start = numpy_function(problem.space, [initial.value])
        with clock.phase("infer"):
            (values,) = start(self.grid)
            state = np.broadcast_to(values, self.grid.shape)[None]
            outputs = self.predict(state)
        progress(1.0, "inferred")
        t, x = (c.name for c in problem.coordinates)
        (name,) = problem.field_names
        end = problem.time.end
        return Solution(
            Grid({t: np.array([end]), x: self.grid}),
            {name: outputs},
            evaluator=_fourier(name, self.grid, outputs[0], end),
            cost=clock.cost(),
            history=self.history,
            details=self.details,
        )

    def save(self, path: Path | str) -> None:
        """Write weights, grid and history as plain tensors, and the rest as JSON.

        One safetensors file, whose header holds the JSON; nothing in it is executed
        when it is read.
        """
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors["grid"] = torch.as_tensor(self.grid)
        for name, series in self.history.items():
            tensors[f"history.{name}"] = torch.as_tensor(series)
        document = {
            "options": dataclasses.asdict(self.options),
            "map": dict(self.map),
            "cost": {k: dataclasses.asdict(v) for k, v in self.cost.phases.items()},
            "details": dict(self.details),
        }
        save_file(
            {k: v.contiguous().cpu() for k, v in tensors.items()},
            str(path),
            {
                "format": FORMAT,
                "solver": type(self.options).__name__,
                "document": json.dumps(document),
            },
        )


@dataclass(frozen=True)
class Saved:
    """What a file of `FittedNetwork.save` holds."""

    options: Mapping[str, Any]
    weights: Mapping[str, torch.Tensor]
    others: Mapping[str, Any]


def read(path: Path | str, solver: str) -> Saved:
    """Read a file that `FittedNetwork.save` wrote.

    Parameters
    ----------
    solver
        Name of the class that is expected to have written it.

    Raises
    ------
    DataError
        If the file is missing, damaged, or of another solver.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path} cannot be read as an operator: {error}.") from error
    found = (header.get("format"), header.get("solver"))
    if found != (FORMAT, solver):
        raise DataError(
            f"{path} holds {found[1] or 'something else'} ({found[0] or 'no format'}); "
            f"needed is {solver} ({FORMAT})."
        )
    document = json.loads(header["document"])

    def part(prefix: str) -> dict[str, torch.Tensor]:
        start = f"{prefix}."
        return {
            k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)
        }

    others = {
        "grid": tensors["grid"].numpy(),
        "map": document["map"],
        "cost": Cost({k: PhaseCost(**v) for k, v in document["cost"].items()}),
        "history": {k: v.numpy() for k, v in part("history").items()},
        "details": document["details"],
    }
    return Saved(document["options"], part("network"), others)


def describe_map(problem: Problem) -> dict[str, str]:
    """Return what members of a family share: everything but their start."""
    conditions = [c for c in problem.conditions if not isinstance(c, Initial)]
    domain, interval = problem.domain, problem.time
    return {
        "equations": "; ".join(f"{e} = 0" for e in problem.equations),
        "domain": "none" if domain is None else json.dumps(domain.canonical()),
        "time": "none" if interval is None else json.dumps(interval.canonical()),
        "boundary conditions": "; ".join(str(c) for c in conditions),
    }


def check_data(data: Dataset) -> None:
    """Refuse a data set that no network can learn from.

    Raises
    ------
    DataError
        If shapes do not match, values are not finite, or a side is constant.
    """
    shape = (len(data.indices), len(data.grid))
    for name in ("inputs", "outputs"):
        values = getattr(data, name)
        if values.shape != shape:
            raise DataError(
                f"The data set's {name} have shape {values.shape}; needed is (members, "
                f"points) = {shape}."
            )
        if not np.isfinite(values).all():
            raise DataError(f"The data set's {name} hold NaN or infinite values.")
        if not values.std() > 0:
            raise DataError(f"The data set's {name} are all {values.flat[0]}.")


def check_options(options: Any, *counts: str) -> None:
    """Refuse counts below one, a rate that is not positive, and unknown dtypes.

    Raises
    ------
    OptionError
        Naming the option, its value and what is needed.
    """
    name = type(options).__name__
    for option in counts:
        value = getattr(options, option)
        if value < 1:
            raise OptionError(f"{option} of {name} is {value}; needed is >= 1.")
    rate = getattr(options, "rate", 1.0)
    if not (rate > 0 and math.isfinite(rate)):
        raise OptionError(f"rate of {name} is {rate}; needed is > 0.")
    if options.dtype not in ("float32", "float64"):
        raise OptionError(
            f"dtype of {name} is {options.dtype!r}; use 'float32' or 'float64'."
        )


def _fourier(name: str, grid: np.ndarray, values: np.ndarray, end: float) -> Evaluator:
    """Return the trigonometric interpolant of periodic values, at time `end` only."""
    n = len(grid)
    waves = np.fft.rfft(values) / n
    waves[1:] *= 2
    if n % 2 == 0:
        waves[-1] /= 2  # the highest wave of an even grid stands once, not in a pair
    factor = 2 * np.pi / (n * (grid[1] - grid[0]))

    def evaluate(points: np.ndarray) -> Mapping[str, np.ndarray]:
        phase = factor * np.outer(points[:, 1] - grid[0], np.arange(len(waves)))
        u = np.cos(phase) @ waves.real - np.sin(phase) @ waves.imag
        return {name: np.where(np.isclose(points[:, 0], end), u, np.nan)}

    return evaluate
