"""DeepXDE leaves the process as it found it."""

# ruff: noqa: NPY002 - the legacy generator is the one that DeepXDE draws from

import os
import random
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from pinnsuite.errors import OptionError
from pinnsuite.neural.deepxde_session import session


def state():
    return {
        "environment": dict(os.environ),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),
        "torch": torch.get_rng_state().tolist(),
        "filters": list(warnings.filters),
    }


def _fail_inside():
    with session(dtype="float64", seed=3):
        assert torch.get_default_dtype() is torch.float64
        random.random(), np.random.rand(), torch.rand(1)
        os.environ["PINNSUITE_TEST"] = "kept"
        raise RuntimeError("inside")


def test_the_process_is_as_before():
    with session():
        pass  # the first import is not what is measured here
    torch.set_default_dtype(torch.float32)
    before = state()
    with pytest.raises(RuntimeError, match="inside"):
        _fail_inside()
    assert os.environ.pop("PINNSUITE_TEST") == "kept"  # the caller's own change stays
    assert state() == before


def test_configuration_of_deepxde_is_as_before():
    with session() as dde:
        pass
    with session(dtype="float64") as dde:
        dde.optimizers.set_LBFGS_options(maxiter=7)
        dde.config.autodiff = "forward"
    assert dde.config.default_float() == "float32"
    assert dde.config.autodiff == "reverse"
    assert dde.optimizers.config.LBFGS_options["maxiter"] == 15000


def test_a_seed_decides_the_draws():
    def draws(seed):
        with session(seed=seed):
            return torch.rand(3).tolist(), np.random.rand(3).tolist()

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)


def test_an_unknown_dtype_is_refused():
    with pytest.raises(OptionError, match="float16"), session(dtype="float16"):
        pass


def test_importing_prints_and_writes_nothing(tmp_path):
    program = (
        "import os, random, numpy, torch\n"
        "from pinnsuite.neural.deepxde_session import session\n"
        "before = random.getstate(), torch.get_rng_state(), dict(os.environ)\n"
        "with session() as dde: assert dde.backend.backend_name == 'pytorch'\n"
        "assert random.getstate() == before[0]\n"
        "assert torch.equal(torch.get_rng_state(), before[1])\n"
        "assert dict(os.environ) == before[2]\n"
        "assert torch.get_default_device().type == 'cpu'\n"
    )
    environment = os.environ | {
        "HOME": str(tmp_path),
        # Where matplotlib keeps its font list; it is its own business.
        "MPLCONFIGDIR": str(tmp_path / "matplotlib"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    environment.pop("DDE_BACKEND", None)
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == ""
    assert run.stderr == ""
    assert {path.name for path in tmp_path.iterdir()} <= {"matplotlib"}
