"""The suites that are handed out can be run as they stand."""

from pathlib import Path

import pytest

from pinnsuite.suite.suite import expand, load_table

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["learned", "deepxde_documented", "deepxde_tuned", "ablation", "pinnacle"]
)
def test_every_solver_takes_its_problem(name):
    path = FOLDER / f"{name}.toml"
    tasks = expand(load_table(path), base=FOLDER, source=path.name)
    assert len({t.key for t in tasks}) == len(tasks)
    for task in {(t.problem, t.solver): t for t in tasks}.values():
        reason = task.make_solver().why_not(task.make_problem().without_answer())
        assert reason is None, f"{task.label}: {reason}"
