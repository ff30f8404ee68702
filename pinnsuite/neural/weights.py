"""Trained networks on disk: safetensors with a header of JSON, nothing executable."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from pinnsuite.errors import DataError
from pinnsuite.neural.residual import Magnitude
from pinnsuite.problem.definition import Problem

FORMAT = "pinnsuite pinn 2"


@dataclass(frozen=True, eq=False)
class Model:
    """A trained `PINN`: what cannot be derived again from the problem.

    Attributes
    ----------
    parameters
        One row a window of time: those of its network, then of the unknown
        coefficients.
    edges
        Times at which the windows begin, and the last one's end; None without time.
    frequencies
        Of Fourier features; None: none.
    magnitudes
        Centre and spread of each field.
    definition
        Hash of the problem that it was trained on.
    sizes, activation
        Of the network.
    options
        Those of the training, to read.
    """

    parameters: torch.Tensor
    edges: Sequence[float] | None
    frequencies: torch.Tensor | None
    magnitudes: Sequence[Magnitude]
    definition: str
    sizes: Sequence[int]
    activation: str
    options: Mapping[str, Any]

    def save(self, path: Path | str) -> None:
        """Write the model to `path`.

        A file that stands there is replaced at once, after the new one is complete: a
        process that ends half-way leaves the old one.
        """
        tensors = {"parameters": self.parameters}
        if self.frequencies is not None:
            tensors["frequencies"] = self.frequencies
        document = {
            "edges": None if self.edges is None else list(self.edges),
            "magnitudes": [asdict(m) for m in self.magnitudes],
            "definition": self.definition,
            "sizes": list(self.sizes),
            "activation": self.activation,
            "options": dict(self.options),
        }
        data = save(
            {name: t.detach().cpu().contiguous() for name, t in tensors.items()},
            {"format": FORMAT, "document": json.dumps(document)},
        )
        path = Path(path)
        number, name = tempfile.mkstemp(".part", path.name, path.parent)
        part = Path(name)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def require_trained_on(self, problem: Problem) -> None:
        """Raise DataError if `problem` is another one than that of the training."""
        theirs = problem.definition_hash
        if self.definition != theirs:
            raise DataError(
                f"The saved network was trained on another problem (definition "
                f"{self.definition[:12]}) than {problem.name!r} ({theirs[:12]}); make "
                "the problem with the same parameters, or train without `start`."
            )

    def require_network(self, sizes: Sequence[int], activation: str) -> None:
        """Raise DataError if a network of other sizes or activation is asked for."""
        mine = (list(self.sizes), self.activation)
        if mine != (list(sizes), activation):
            raise DataError(
                f"The saved network has layers of {list(self.sizes)} and activation "
                f"{self.activation!r}; the options ask for {list(sizes)} and "
                f"{activation!r}. Give those that it was trained with: "
                f"{dict(self.options)}."
            )


def load(path: Path | str) -> Model:
    """Return the model that `Model.save` wrote.

    Raises
    ------
    DataError
        If the file is missing, damaged, or something else.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path} cannot be read as a network: {error}.") from error
    if header.get("format") != FORMAT:
        raise DataError(
            f"{path} holds {header.get('format', 'no named format')!r}; needed is a "
            f"network that 'pinn' saved ({FORMAT!r})."
        )
    document = json.loads(header["document"])
    document["magnitudes"] = [Magnitude(**m) for m in document["magnitudes"]]
    return Model(
        parameters=tensors["parameters"],
        frequencies=tensors.get("frequencies"),
        **document,
    )
