"""DeepXDE for the length of a `with` block, after which the process is as before.

DeepXDE keeps its configuration in module globals and changes those of its neighbours.
Imported plainly it prints, writes `~/.deepxde/config.json`, may switch torch's default
device, and its seed and floating-point type are those of the whole process.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from pinnsuite.errors import OptionError
from pinnsuite.neural.as_found import generators_as_found

logger = logging.getLogger(__name__)

BACKEND = "pytorch"


@contextlib.contextmanager
def session(
    *, dtype: str = "float32", device: str = "cpu", seed: int = 0
) -> Iterator[Any]:
    """Yield the module `deepxde`, set up on its pytorch backend.

    Afterwards the environment, torch's default type and device, the three global
    generators (Python's, numpy's, torch's), the warning filters and DeepXDE's own
    configuration are what they were. Nothing is printed or written on import; inside,
    call DeepXDE with `verbose=0`.

    Parameters
    ----------
    dtype
        `float32` or `float64`: of the networks that are made inside.
    device
        Where tensors are made, as torch names it.
    seed
        Of DeepXDE's sampling and of torch's initialisation.

    Raises
    ------
    OptionError
        If `dtype` is another one, or DeepXDE is already loaded on another backend.
    """
    if dtype not in ("float32", "float64"):
        raise OptionError(
            f"dtype is {dtype!r}; DeepXDE runs in 'float32' or 'float64'."
        )
    with contextlib.ExitStack() as stack:
        stack.enter_context(_torch_as_found())
        stack.enter_context(generators_as_found())
        dde = stack.enter_context(_loaded())
        stack.enter_context(_configuration_as_found(dde))
        # Both say what they do on standard output.
        with contextlib.redirect_stdout(io.StringIO()):
            dde.config.set_default_float(dtype)
            dde.config.set_random_seed(seed)
        # A default device costs time in every call of torch, so cpu is left unnamed.
        torch.set_default_device(None if device == "cpu" else device)
        yield dde


@contextlib.contextmanager
def _torch_as_found() -> Iterator[None]:
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_default_device(None if device.type == "cpu" else device)


@contextlib.contextmanager
def _loaded() -> Iterator[Any]:
    before = os.environ.get("DDE_BACKEND")
    printed = io.StringIO()
    with warnings.catch_warnings():
        os.environ["DDE_BACKEND"] = BACKEND
        try:
            with (
                contextlib.redirect_stderr(printed),
                contextlib.redirect_stdout(printed),
            ):
                import deepxde as dde
        finally:
            if before is None:
                del os.environ["DDE_BACKEND"]
            else:
                os.environ["DDE_BACKEND"] = before
        if printed.getvalue():
            logger.debug("DeepXDE on import: %s", printed.getvalue().strip())
        if dde.backend.backend_name != BACKEND:
            raise OptionError(
                f"DeepXDE was imported before on its {dde.backend.backend_name!r} "
                f"backend, and pinnsuite needs {BACKEND!r}; set DDE_BACKEND={BACKEND} "
                "before the first import."
            )
        yield dde


@contextlib.contextmanager
def _configuration_as_found(dde: Any) -> Iterator[None]:
    config = dde.config
    names = ("mixed", "random_seed", "autodiff")
    values = {name: getattr(config, name) for name in names}
    precision = {16: "float16", 32: "float32", 64: "float64"}[config.real.precision]
    options = sys.modules["deepxde.optimizers.config"].LBFGS_options
    kept = copy.deepcopy(options)
    try:
        yield
    finally:
        for name, value in values.items():
            setattr(config, name, value)
        getattr(config.real, f"set_{precision}")()
        options.clear()
        options.update(kept)


__all__ = ["BACKEND", "session"]
