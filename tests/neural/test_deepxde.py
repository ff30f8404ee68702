"""DeepXDE solves our problems, and leaves the process as it found it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pinnsuite.neural.deepxde import DeepXDE

ROOT = Path(__file__).parents[2]
SMALL = {"width": 10, "depth": 2, "points": 200, "boundary_points": 40}


def cases():
    """The problems of the PINN's tests, whose folder is no package."""
    import importlib.util

    path = Path(__file__).with_name("test_pinn.py")
    spec = importlib.util.spec_from_file_location("pinn_cases", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CASES = cases()


# Thresholds leave room above the errors measured with seed 0.
@pytest.mark.parametrize(
    ("name", "threshold"),
    [
        ("poisson", 0.1),
        pytest.param("disk", 0.1, marks=pytest.mark.slow),
        ("advection", 0.3),
        pytest.param("pendulum", 0.1, marks=pytest.mark.slow),
        ("decay", 0.1),
    ],
)
def test_a_short_training_comes_close(name, threshold):
    problem = getattr(CASES, name)()
    solver = DeepXDE(**SMALL, adam_steps=200, steps=300)
    solution = solver.solve(problem.without_answer()).require_ok()
    assert CASES.relative_l2(problem, solution) < threshold
    loss = solution.history["loss"]
    assert loss[-1] < loss[0]
    for k in solution.coefficients.values():
        assert k == pytest.approx(0.7, rel=0.05)


def test_the_budget_stops_adam_and_keeps_snapshots():
    solver = DeepXDE(**SMALL, adam_steps=10**6)
    solution = solver.solve(CASES.poisson(), budget=1.5)
    assert solution.details["stop_reason"] == "the budget"
    assert solution.cost.phases["train"].cpu_s < 4.0
    assert len(solution.snapshots) >= 2


def test_lbfgs_runs_as_many_steps_as_asked_for():
    solution = DeepXDE(**SMALL, adam_steps=10, steps=60).solve(CASES.poisson())
    assert 10 + 50 <= solution.details["steps"] <= 10 + 75


PROGRAM = """
import os, random, sys
import numpy as np, torch
sys.path.insert(0, {folder!r})
from test_pinn import poisson
from pinnsuite.neural.deepxde import DeepXDE

def state():
    return (
        random.getstate(), np.random.get_state()[1].tobytes(),
        torch.get_rng_state().numpy().tobytes(), torch.get_default_dtype(),
        torch.get_default_device(), dict(os.environ), os.getcwd(),
        torch.get_num_threads(),
    )

before = state()
DeepXDE(width=4, depth=1, points=20, adam_steps=3, steps=5).solve(poisson())
for old, new in zip(before, state(), strict=True):
    assert old == new, (old, new)
"""


def test_the_process_is_left_as_it_was(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "DDE_BACKEND"}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            PROGRAM.format(folder=str(ROOT / "tests/neural")),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert run.returncode == 0, run.stderr
    assert (run.stdout, run.stderr) == ("", "")
    written = [p for p in tmp_path.rglob("*") if p.is_file()]
    # DeepXDE imports matplotlib, which keeps a cache of fonts.
    assert [p for p in written if "matplotlib" not in p.parts] == []
