"""What a supervisor makes of children that end in every way there is."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from pinnsuite.errors import DataError, OptionError
from pinnsuite.solution import hdf5
from pinnsuite.solution.record import Record
from pinnsuite.suite import runner
from pinnsuite.suite.suite import expand

HERE = Path(__file__).parent
ENDS = {
    "answer": "ok",
    "fail": "failed",
    "segfault": "crashed",
    "leave": "failed",
    "leave_politely": "failed",
    "nan": "nan",
    "refuse": "unsupported",
    "starve": "oom",
}


def tasks_of(*solvers, problem="problems.py:tiny", **case):
    table = {"case": [{"problem": problem, "solvers": list(solvers), **case}]}
    return expand(table, base=HERE)


def fake(how, **options):
    return {"name": "solvers.py:Fake", "how": how, **options}


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PINNSUITE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    tasks = tasks_of(*(fake(how) for how in ENDS), {"name": "solvers.py:Classical"})
    return tasks, out, runner.run(tasks, out)


def test_every_end_becomes_a_record(suite):
    _, _, outcome = suite
    seen = {r.solver.options["how"]: r.status for r in outcome.records[:-1]}
    assert seen == ENDS
    assert not outcome.is_ok
    words = {r.solver.options["how"]: r.sentence for r in outcome.records[:-1]}
    assert "SIGSEGV" in words["segfault"]
    assert "exit status 3" in words["leave"]
    assert words["fail"] == "ValueError: no luck"
    assert words["refuse"] == "it is shy"
    assert "signal" in words["nan"]


def test_the_log_holds_the_traceback(suite):
    tasks, out, _ = suite
    logs = {t.options["how"]: read_log(out, t) for t in tasks[:-1]}
    assert 'raise ValueError("no luck")' in logs["fail"]
    assert "Segmentation fault" in logs["segfault"]


def read_log(out, task):
    return (out / task.directory / "attempt-1/log.txt").read_text()


def test_a_record_says_what_ran_where_and_how_well(suite):
    tasks, out, outcome = suite
    record = outcome.records[0]
    file = out / tasks[0].directory / "attempt-1" / "run.json"
    assert Record.load(file) == record
    assert record.reference.kind == "data"
    assert record.error.value == record.error.relative_l2 > 0
    assert record.seed.init == 0
    assert record.solver.dofs == 7
    assert record.machine.threads == 1
    assert record.machine.ram_gib > 0
    assert record.cost["solve"].repeats == 1
    solution = hdf5.load(file.with_name("fields.h5"))
    assert solution.fields["signal"].shape == (16,)


def test_a_run_that_failed_keeps_its_reference(suite):
    _, _, outcome = suite
    hashes = {r.reference.hash for r in outcome.records}
    assert len(hashes) == 1
    assert {r.error.value for r in outcome.records[1:-1]} == {None}


def test_a_classical_solver_is_timed_several_times(suite):
    _, _, outcome = suite
    cost = outcome.records[-1].cost["solve"]
    assert cost.repeats == 5
    assert cost.min <= cost.median


def test_the_reference_is_kept_beside_the_runs(suite):
    _, out, outcome = suite
    file = out / "references" / f"{outcome.records[0].reference.hash}.h5"
    assert hdf5.load(file).fields["signal"].shape == (16,)


def test_what_is_finished_is_skipped(suite):
    tasks, out, before = suite
    events = []
    after = runner.run(tasks, out, tell=events.append)
    assert {e.what for e in events} == {"skip"}
    assert after.records == before.records


def test_a_damaged_record_is_run_again(suite, tmp_path):
    tasks, out, _ = suite
    tasks = tasks[:1]
    home = tmp_path / tasks[0].directory
    shutil.copytree(out / tasks[0].directory, home)
    (home / "attempt-1/run.json").write_text('{"schema": 1, "ru')
    runner.run(tasks, tmp_path)
    assert [a.name for a in runner.attempts(home)] == ["attempt-1", "attempt-2"]
    assert Record.load(home / "attempt-2/run.json").status == "ok"


def test_failures_are_run_again_on_request_only(suite):
    tasks, out, _ = suite
    failing = [t for t in tasks[:-1] if t.options["how"] == "fail"]
    runner.run(failing, out, retry=True)
    assert len(runner.attempts(out / failing[0].directory)) == 2


def test_a_limit_of_time_ends_a_process_that_does_not_listen(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "GRACE", 2.0)
    tasks = tasks_of(fake("sleep_deaf"), fake("sleep"), time_limit=2)
    outcome = runner.run(tasks, tmp_path)
    assert [r.status for r in outcome.records] == ["timeout", "timeout"]
    assert all("2 s" in r.sentence for r in outcome.records)
    for task in tasks:
        assert f"in {task.options['how']}" in read_log(tmp_path, task)


def test_a_limit_of_memory_ends_a_process_that_eats(tmp_path):
    (record,) = runner.run(
        tasks_of(fake("eat"), memory_limit="400MiB", time_limit=60), tmp_path
    ).records
    assert record.status == "oom"
    assert "400 MiB" in record.sentence


def test_a_known_solution_that_contradicts_the_equations_stops_its_runs(tmp_path):
    tasks = tasks_of("ode", problem="problems.py:decay", parameters={"claimed": -1.0})
    (record,) = runner.run(tasks, tmp_path).records
    assert record.status == "bad_reference"
    assert "residual" in record.sentence
    assert not record.cost
    # Mending the solution does not change the mathematics: the run is made again.
    (mended,) = runner.run(
        tasks_of("ode", problem="problems.py:decay"), tmp_path
    ).records
    assert mended.problem.definition_hash == record.problem.definition_hash
    assert mended.status == "ok"
    assert mended.error.relative_l2 < 1e-7
    assert mended.reference.kind == "exact"


def test_jobs_run_side_by_side(tmp_path):
    tasks = tasks_of(fake("sleep", seconds=2.0, seeds=[0, 1]))
    running, most = 0, 0

    def tell(event):
        nonlocal running, most
        running += {"start": 1, "end": -1}.get(event.what, 0)
        most = max(most, running)

    outcome = runner.run(tasks, tmp_path, jobs=2, tell=tell)
    assert outcome.is_ok
    assert most == 2
    assert {r.details["jobs"] for r in outcome.records} == {2}


def test_fail_fast_starts_no_more(tmp_path):
    tasks = tasks_of(fake("fail"), fake("answer"))
    outcome = runner.run(tasks, tmp_path, fail_fast=True)
    assert [r.status for r in outcome.records] == ["failed"]


def test_two_supervisors_run_no_task_twice(tmp_path):
    tasks = tasks_of(*(fake("answer", seed=s) for s in range(3)))
    outcomes = []
    both = [
        threading.Thread(target=lambda: outcomes.append(runner.run(tasks, tmp_path)))
        for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert [len(o.records) for o in outcomes] == [3, 3]
    assert [len(runner.attempts(tmp_path / t.directory)) for t in tasks] == [1, 1, 1]


COMMAND = """
import json, sys
from pathlib import Path
from pinnsuite.suite import runner
from pinnsuite.suite.task import Task
tasks = [Task(**t) for t in json.loads(sys.argv[1])]
def tell(event):
    print(event.what, flush=True)
outcome = runner.run(tasks, Path(sys.argv[2]), tell=tell)
print(outcome.is_interrupted, [str(r.status) for r in outcome.records])
print([m for m in sys.modules if m in ("torch", "skfem", "matplotlib")])
"""


@contextlib.contextmanager
def supervisor(tasks, out):
    """A supervisor in a process of its own, whose first task has been started."""
    text = json.dumps([t.to_json() for t in tasks])
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, text, str(out)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout:
            if line.strip() == "start":
                break
        yield process


def wait_for_child(process):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for child in psutil.Process(process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.cpu_times().user > 0.3:
                    return child
        time.sleep(0.05)
    raise AssertionError("no child was seen")


def test_an_interrupt_is_recorded_and_resumed(tmp_path):
    tasks = tasks_of(fake("sleep", seconds=3.0), fake("answer"))
    with supervisor(tasks, tmp_path) as process:
        wait_for_child(process)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert "True ['interrupted']" in said
    assert said.splitlines()[-1] == "[]"  # and the supervisor loaded nothing heavy
    outcome = runner.run(tasks, tmp_path)
    assert outcome.is_ok
    assert [len(runner.attempts(tmp_path / t.directory)) for t in tasks] == [2, 1]


def test_a_killed_supervisor_takes_its_child_along_and_leaves_nothing_half(tmp_path):
    tasks = tasks_of(fake("sleep", seconds=3.0))
    with supervisor(tasks, tmp_path) as process:
        child = wait_for_child(process)
        process.kill()
        process.wait()
        assert psutil.wait_procs([child], timeout=5)[1] == []
    home = tmp_path / tasks[0].directory
    assert runner.attempts(home) == []
    assert runner.run(tasks, tmp_path).is_ok
    assert sorted(p.name for p in home.iterdir()) == ["attempt-1", "lock"]


def test_killed_children_leave_no_half_file_under_a_final_name(tmp_path):
    tasks = tasks_of(fake("answer"))
    home = tmp_path / tasks[0].directory
    killed = threading.Event()

    def kill():
        # At a moment that differs from one kill to the next.
        for wait in (0.2, 0.5, 0.9, 1.3):
            time.sleep(wait)
            for child in psutil.Process().children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        killed.set()

    thread = threading.Thread(target=kill)
    thread.start()
    while not killed.is_set():
        runner.run(tasks, tmp_path, retry=True)
    thread.join()
    assert runner.run(tasks, tmp_path, retry=True).is_ok
    for attempt in runner.attempts(home):
        record = Record.load(attempt / "run.json")
        if (attempt / "fields.h5").exists() and record.status == "ok":
            hdf5.load(attempt / "fields.h5")
    assert not list(home.glob(".attempt-*"))


def test_a_folder_that_cannot_be_written_is_one_clear_message(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        runner.run(tasks_of(fake("answer")), tmp_path / "file" / "results")


def test_problem_code_that_dies_is_bad_input(tmp_path):
    (tmp_path / "bad.py").write_text(
        "import os\nfrom pinnsuite import Problem\n"
        "def bad() -> Problem:\n    '''Bad.'''\n    os._exit(7)\n"
    )
    with pytest.raises(OptionError, match="ended with exit status 7"):
        runner.expand_apart({"case": [{"problem": "bad.py"}]}, base=tmp_path)


def test_a_child_without_its_supervisor_ends_at_once(tmp_path):
    order = tmp_path / "order.json"
    order.write_text(json.dumps({"supervisor": os.getpid() + 10**6, "do": "run"}))
    ended = subprocess.run([sys.executable, "-m", "pinnsuite.suite.child", str(order)])
    assert ended.returncode == 1
