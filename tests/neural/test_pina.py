"""PINA solves our problems where it is installed, and leaves the process as it was."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pinnsuite.neural.pina import PINA
from tests.neural import test_pinn as CASES

ROOT = Path(__file__).parents[2]
SMALL = {"width": 10, "depth": 2, "points": 200, "boundary_points": 40}
INSTALLED = importlib.util.find_spec("pina") is not None
needs_pina = pytest.mark.skipif(not INSTALLED, reason="PINA is not installed")


@pytest.mark.skipif(INSTALLED, reason="PINA is installed")
def test_a_missing_pina_is_named_with_the_way_to_get_it():
    assert "pip install 'pinnsuite[pina]'" in PINA().why_not(CASES.poisson())


@needs_pina
@pytest.mark.slow
# Thresholds leave room above the errors measured with seed 0.
@pytest.mark.parametrize(
    ("name", "threshold"),
    [("poisson", 0.1), ("disk", 0.1), ("pendulum", 0.1), ("decay", 0.1)],
)
def test_a_short_training_comes_close(name, threshold):
    problem = getattr(CASES, name)()
    solver = PINA(**SMALL, adam_steps=200, steps=300)
    solution = solver.solve(problem.without_answer()).require_ok()
    assert CASES.relative_l2(problem, solution) < threshold
    loss = solution.history["loss"]
    assert loss[-1] < loss[0]
    for k in solution.coefficients.values():
        assert k == pytest.approx(0.7, rel=0.05)


@needs_pina
def test_the_budget_stops_adam_and_keeps_snapshots():
    solution = PINA(**SMALL, adam_steps=10**6).solve(CASES.poisson(), budget=1.5)
    assert solution.details["stop_reason"] == "the budget"
    assert solution.cost.phases["train"].cpu_s < 4.0
    assert len(solution.snapshots) >= 2


@needs_pina
def test_the_same_seed_gives_the_same_losses():
    first, second = (
        PINA(**SMALL, adam_steps=3, steps=0).solve(CASES.poisson()) for _ in range(2)
    )
    assert first.history["loss"].tolist() == second.history["loss"].tolist()


PROGRAM = """
import os, random, sys, warnings
import numpy as np, torch
sys.path.insert(0, {folder!r})
from test_pinn import poisson
from pinnsuite.neural.pina import PINA

def state():
    return (
        random.getstate(), np.random.get_state()[1].tobytes(),
        torch.get_rng_state().numpy().tobytes(), torch.get_default_dtype(),
        dict(os.environ), os.getcwd(), torch.get_num_threads(),
        warnings.formatwarning, list(warnings.filters),
    )

before = state()
PINA(width=4, depth=1, points=20, adam_steps=3, steps=20).solve(poisson())
for old, new in zip(before, state(), strict=True):
    assert old == new, (old, new)
"""


@needs_pina
def test_the_process_is_left_as_it_was(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(folder=str(ROOT / "tests/neural"))],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert run.returncode == 0, run.stderr
    assert (run.stdout, run.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []
