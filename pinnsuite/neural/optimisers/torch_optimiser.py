"""Our optimisers as PyTorch's, for code that hands over a closure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from pinnsuite.neural.optimisers.by_name import make_optimiser
from pinnsuite.neural.optimisers.optimiser import Optimiser

STEPS_PER_CALL = 20
"""As torch.optim.LBFGS has it."""


class TorchOptimiser(torch.optim.Optimizer):
    """An optimiser by its name, behind the interface of `torch.optim`.

    `step(closure)` takes several steps, since the loss may have changed before the call
    and is first taken anew: one evaluation a call. Methods for sums of squares need
    residuals, which a closure does not give. Curvature and moments are not part of
    `state_dict`; after loading they are learned again.

    Parameters
    ----------
    params
        The tensors to train; parameter groups are not told apart.
    name, options
        See `make_optimiser`. `soap` gets the shapes of the tensors.
    steps_per_call
        Steps in one call of `step`.

    Attributes
    ----------
    stop_reason
        Why no further step is possible; then calls do nothing. None until then.
    """

    def __init__(
        self,
        params: Iterable[torch.Tensor],
        name: str = "ssbroyden",
        steps_per_call: int = STEPS_PER_CALL,
        **options: Any,
    ) -> None:
        super().__init__(params, {})
        self._tensors: list[torch.Tensor] = [
            tensor for group in self.param_groups for tensor in group["params"]
        ]
        if name == "soap":
            options = {"shapes": [t.shape for t in self._tensors], **options}
        self._name, self._options = name, options
        self._steps_per_call = steps_per_call
        self._optimiser: Optimiser | None = None
        self.stop_reason: str | None = None

    def step(self, closure: Callable[[], Any]) -> float:  # type: ignore[override]
        """Take steps on the loss that `closure` returns, after its `backward`.

        Returns
        -------
        The loss at the end.
        """
        self._closure = closure
        if self._optimiser is None:
            start = torch.cat([t.detach().reshape(-1) for t in self._tensors])
            self._optimiser = make_optimiser(
                self._name, self._objective, start, **self._options
            )
        elif self.stop_reason is None:
            self._optimiser.evaluate()
        for _ in range(self._steps_per_call):
            if self.stop_reason is not None:
                break
            self.stop_reason = self._optimiser.step()
        self._write(self._optimiser.parameters)
        return self._optimiser.value

    def _objective(self, parameters: torch.Tensor) -> tuple[float, torch.Tensor]:
        self._write(parameters)
        with torch.enable_grad():
            value = float(torch.as_tensor(self._closure()).detach())
        gradients = [
            torch.zeros_like(t) if t.grad is None else t.grad for t in self._tensors
        ]
        return value, torch.cat([g.detach().reshape(-1) for g in gradients])

    @torch.no_grad()
    def _write(self, parameters: torch.Tensor) -> None:
        start = 0
        for tensor in self._tensors:
            end = start + tensor.numel()
            tensor.copy_(parameters[start:end].view_as(tensor))
            start = end
