"""DeepXDE's DeepONet, as its users run it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from pinnsuite.errors import OptionError
from pinnsuite.neural.deepxde_session import session
from pinnsuite.neural.operators.fitted import (
    FittedNetwork,
    Scaled,
    check_data,
    check_options,
    describe_map,
    read,
)
from pinnsuite.solution.cost import Clock
from pinnsuite.solution.support import Dataset
from pinnsuite.solver import Progress, silent

RECORDS = 100
"""How often, over a training, the loss is recorded and progress told."""


@dataclass(frozen=True)
class DeepONet:
    """DeepXDE's `DeepONetCartesianProd`, trained on `TripleCartesianProd` data.

    u(T, x) ≈ Σ_k b_k(u(0, x_1), …, u(0, x_n)) t_k(cos kx, sin kx) + b₀

    with a branch network of the start's values and a trunk network of the position,
    which enters by its first `harmonics` waves so that the field is periodic. Mean
    squared error, Adam with rate `rate` / (1 + iteration / `decay`), tanh, Glorot
    normal initialisation.

    Source: L. Lu et al., Learning nonlinear operators via DeepONet, Nature Machine
    Intelligence 3 (2021), doi:10.1038/s42256-021-00302-5; the periodic trunk and sizes
    from L. Lu et al., A comprehensive and fair comparison of two neural operators,
    CMAME 393 (2022) 114778, doi:10.1016/j.cma.2022.114778.

    Attributes
    ----------
    width, branch_layers, trunk_layers
        Units a layer, and layers of the two networks.
    harmonics
        Waves of the position that the trunk sees.
    iterations
        Steps of Adam.
    batch
        Members a step; 0 for all of them.
    rate, decay
        Of the schedule above.
    dtype, device, seed
        `float32` or `float64`; as torch names it; of initialisation and batches.
    """

    family: ClassVar[str] = "operator"
    tuned_on: ClassVar[tuple[str, ...]] = ("burgers_family",)

    width: int = 128
    branch_layers: int = 4
    trunk_layers: int = 3
    harmonics: int = 4
    iterations: int = 8_000
    batch: int = 50
    rate: float = 1e-3
    decay: int = 5_000
    dtype: str = "float32"
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        check_options(
            self,
            *("width", "branch_layers", "trunk_layers", "harmonics"),
            *("iterations", "decay"),
        )
        if self.batch < 0:
            raise OptionError(
                f"batch of DeepONet is {self.batch}; needed is >= 0, 0 for all members."
            )

    def fit(
        self,
        data: Dataset,
        *,
        progress: Progress = silent,
        budget: float | None = None,
    ) -> FittedNetwork:
        """Train on the pairs; scales come from the same pairs.

        Stops after `iterations`, or after the step in which `budget` CPU seconds are
        over.

        Raises
        ------
        DataError
            If the pairs cannot be learned from.
        """
        check_data(data)
        clock = Clock()
        with session(dtype=self.dtype, device=self.device, seed=self.seed) as dde:
            with clock.phase("setup"):
                network = self._network(dde, data.grid, data)
            with clock.phase("train"):
                losses, details = self._train(dde, network, data, progress, budget)
        details["dofs"] = sum(p.numel() for p in network.parameters())
        return FittedNetwork(
            self,
            network,
            data.grid,
            describe_map(data.problem),
            clock.cost(),
            {"loss": losses},
            details,
        )

    @classmethod
    def load(cls, path: Path | str, *, device: str | None = None) -> FittedNetwork:
        """Read what `FittedNetwork.save` wrote, onto `device` or the one it was on.

        Raises
        ------
        DataError
            If the file is missing, damaged, or holds another solver's operator.
        """
        saved = read(path, cls.__name__)
        options = cls(**saved.options)
        options = options if device is None else replace(options, device=device)
        with session(dtype=options.dtype, device=options.device) as dde:
            network = options._network(dde, saved.others["grid"], None)
        network.load_state_dict(saved.weights)
        return FittedNetwork(options, network, **saved.others)

    def _network(self, dde: Any, grid: np.ndarray, data: Dataset | None) -> Scaled:
        hidden = [self.width]
        network = dde.nn.DeepONetCartesianProd(
            [len(grid), *(hidden * self.branch_layers)],
            [2 * self.harmonics, *(hidden * self.trunk_layers)],
            "tanh",
            "Glorot normal",
        )
        factor = 2 * np.pi / (len(grid) * (grid[1] - grid[0]))

        def waves(points: torch.Tensor) -> torch.Tensor:
            phases = [k * factor * points for k in range(1, self.harmonics + 1)]
            return torch.cat([f(p) for p in phases for f in (torch.cos, torch.sin)], 1)

        network.apply_feature_transform(waves)
        dtype = getattr(torch, self.dtype)
        return Scaled(OnGrid(network, grid), data).to(self.device, dtype)

    def _train(
        self,
        dde: Any,
        network: Scaled,
        data: Dataset,
        progress: Progress,
        budget: float | None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        start = time.process_time()
        mean_in, std_in, mean_out, std_out = network.numbers.tolist()
        inputs = ((data.inputs - mean_in) / std_in).astype(self.dtype)
        outputs = ((data.outputs - mean_out) / std_out).astype(self.dtype)
        pairs = (inputs, data.grid[:, None].astype(self.dtype))
        # DeepXDE asks for test data too; only the training pairs are known here.
        model = dde.Model(
            dde.data.TripleCartesianProd(pairs, outputs, pairs, outputs),
            network.network.operator,
        )
        model.compile(
            "adam",
            lr=self.rate,
            decay=("inverse time", self.decay, 1.0),
            verbose=0,
        )
        every = max(1, self.iterations // RECORDS)

        class Watch(dde.callbacks.Callback):  # type: ignore[misc]
            """Tells the progress and keeps the budget."""

            reason = "iterations"

            def on_epoch_end(self) -> None:
                step = self.model.train_state.step
                if step % every == 0:
                    loss = float(np.sum(self.model.train_state.loss_train))
                    progress(step / iterations, f"mean squared error {loss:.2e}")
                if budget is not None and time.process_time() - start > budget:
                    self.reason = "budget"
                    self.model.stop_training = True

        iterations = self.iterations
        watch = Watch()
        history, state = model.train(
            iterations=iterations,
            batch_size=self.batch or None,
            display_every=every,
            callbacks=[watch],
            verbose=0,
        )
        losses = np.sum(history.loss_train, axis=1)
        return losses, {"iterations": state.step, "stop_reason": watch.reason}


class OnGrid(nn.Module):
    """DeepXDE's network at the points of one grid: (members, points) in and out."""

    points: torch.Tensor

    def __init__(self, operator: nn.Module, grid: np.ndarray) -> None:
        super().__init__()
        self.operator = operator
        self.register_buffer("points", torch.as_tensor(grid[:, None]))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the scaled fields at the last time."""
        out: torch.Tensor = self.operator((values, self.points))
        return out
