import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pinnsuite import cli
from pinnsuite.registry import SOLVERS
from pinnsuite.solution.record import Record

FILES = Path(__file__).parent / "suite"
DECAY = f"{FILES}/problems.py:decay"
TINY = f"{FILES}/problems.py:tiny"
FAKE = f"{FILES}/solvers.py:Fake"


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PINNSUITE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def command(monkeypatch, capsys):
    """The command line: returns exit code, standard output, standard error."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["pinnsuite", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    before = signal.getsignal(signal.SIGTERM)
    yield call
    signal.signal(signal.SIGTERM, before)


def test_problems_are_listed_with_what_they_are(command):
    code, out, _ = command("list", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["burgers"]["kind"] == "pde"
    assert rows["burgers"]["dimension"] == 1
    assert rows["lorenz"]["kind"] == "dynamics"
    assert rows["ecg"]["kind"] == "signal"
    assert all(row["title"] and row["reference"] for row in rows.values())


def test_problems_are_chosen_by_group_and_tag(command):
    _, out, _ = command("list", "--group", "flow", "--tag", "pinnacle", "--json")
    rows = json.loads(out)
    assert "burgers" in {row["name"] for row in rows}
    assert all(row["group"] == "flow" for row in rows)
    assert all("pinnacle" in row["tags"] for row in rows)


def test_a_problem_is_shown_and_drawn(command, tmp_path):
    code, out, _ = command("show", "burgers", "--out", tmp_path / "domain.svg")
    assert code == 0
    assert "u_t + u u_x − 0.0031831 u_xx = 0" in out
    assert "lines" in out
    assert (tmp_path / "domain.svg").stat().st_size > 1000
    code, out, _ = command("show", "burgers", DECAY, "--out", tmp_path / "page.html")
    assert (code, out) == (0, "")
    assert "<math>" in (tmp_path / "page.html").read_text()


def test_the_problems_of_a_folder_of_ones_own_are_listed(command):
    _, out, _ = command("list", "--problems", FILES, "--json")
    assert [row["name"] for row in json.loads(out)] == [
        "tiny",
        "logistic",
        "decay",
        "broken",
    ]


def test_solvers_and_suites_are_listed(command):
    _, out, _ = command("list", "solvers", "--json")
    assert [row["name"] for row in json.loads(out)] == list(SOLVERS)
    code, _, _ = command("list", "suites")
    assert code == 0


def test_a_sound_problem_passes_the_check(command):
    code, out, _ = command("check", DECAY, "--json")
    assert code == 0
    report = json.loads(out)
    assert report["ok"]
    assert report["solvers"]["ode"] is None


def test_a_signal_is_checked_for_what_it_holds(command):
    code, out, _ = command("check", TINY)
    assert code == 0
    assert "task 'restore'" in out


def test_a_wrong_sign_fails_the_check(command):
    code, out, _ = command("check", DECAY, "--set", "rate=-1.0")
    assert code == 3
    assert "FAULT" in out
    assert "residual" in out


def test_records_are_printed_as_json_and_kept(command, tmp_path):
    words = ("run", DECAY, "--solver", "ode:rtol=1e-9", "--out", tmp_path, "--json")
    code, out, err = command(*words)
    (record,) = json.loads(out)
    assert code == 0
    assert record["status"] == "ok"
    assert record["solver"]["options"]["rtol"] == 1e-9
    assert record["error"]["relative_l2"] < 1e-8
    assert record["cost"]["solve"]["cpu_s"] > 0
    assert record["reference"]["kind"] == "exact"
    assert record["problem"]["equations"] == ["1.0*u + u_t = 0"]
    assert "decay: ode" in err
    (file,) = tmp_path.glob("*/attempt-1/run.json")
    assert json.loads(file.read_text()) == record
    # Once more: nothing is run.
    code, out, err = command(*words)
    assert json.loads(out) == [record]
    assert "finished earlier" in err


def test_a_table_names_what_failed_and_the_status_says_so(command, tmp_path):
    words = ("--solver", "wiener", "--solver", f"{FAKE}:how=fail", "--out", tmp_path)
    code, out, _ = command("run", TINY, *words)
    assert code == 1
    assert "ValueError: no luck" in out
    assert "INCOMPLETE" not in out
    assert f"pinnsuite report {tmp_path}" in out
    code, out, _ = command("report", tmp_path)
    assert code == 0
    assert "wiener" in Path(out.strip()).read_text()


def test_solutions_and_the_reference_are_written_at_given_points(command, tmp_path):
    table = tmp_path / "points.csv"
    table.write_text(f"u,t\n{math.exp(-0.25)!r},0.25\n1.0,0.0\n")
    words = ("run", DECAY, "--points", table, "--out", tmp_path / "out", "--json")
    code, out, _ = command(*words, "--solver", "ode:rtol=1e-10,atol=1e-12")
    said = json.loads(out)
    assert code == 0
    (record,) = said["runs"]
    assert record["details"]["points"]["differences"]["u"] < 1e-8
    assert said["reference"]["differences"]["u"] < 1e-15
    runs = tmp_path / "out" / record["run_id"] / "points.csv"
    for path in (runs, tmp_path / "out" / "reference" / "points.csv"):
        rows = path.read_text().splitlines()
        assert rows[0] == "t,u,given u"
        assert float(rows[1].split(",")[1]) == pytest.approx(math.exp(-0.25), abs=1e-8)
    # Other points are another run; the same ones are not run again.
    _, _, err = command(*words, "--solver", "ode:rtol=1e-10,atol=1e-12")
    assert "finished earlier" in err
    table.write_text("t\n0.5\n")
    code, out, err = command(*words, "--solver", "ode:rtol=1e-10,atol=1e-12")
    assert "finished earlier" not in err
    assert len(list((tmp_path / "out").glob("*/attempt-1/points.csv"))) == 2
    # The reference alone runs nothing.
    code, out, _ = command(*words, "--solver", "reference")
    assert json.loads(out)["runs"] == []


def test_a_suite_is_run_and_a_contradicted_reference_fails_the_gate(command, tmp_path):
    suite = tmp_path / "wrong.toml"
    suite.write_text(
        f'[[case]]\nproblem = "{DECAY}"\nparameters = {{ rate = 2.0 }}\n'
        'solvers = ["ode"]\n'
    )
    code, out, _ = command("run", suite, "--out", tmp_path / "results")
    assert code == 3
    assert "bad_reference" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "burgrs"], "Did you mean 'burgers'"),
        (["run", "no/such.py"], "There is no file"),
        (["run", "no/such.toml"], "cannot be read"),
        (["run", DECAY, "--solver", "ode:rtoll=1"], "Did you mean 'rtol'"),
        (["run", DECAY, "--solver", "ode", "--set", "rat=1"], "Did you mean 'rate'"),
        (["run", DECAY, "--solver", "ode", "--budget", "soon"], "no duration"),
        (["run", f"{FILES}/problems.py:broken"], "ZeroDivisionError"),
        (["list", "--group", "flows"], "Did you mean 'flow'"),
        (["list", "--tag", "pinacle"], "Did you mean 'pinnacle'"),
        (["list", "solvers", "--tag", "pinnacle"], "choose problems"),
        (["show"], "or say --all"),
        (["show", "burgers", "lorenz", "--out", "x.png"], "holds one problem"),
        (["verify"], "or say --all"),
        (["verify", "wave", "--all"], "not both"),
        (["verify", "wave", "--solver", "lines"], "--solver goes with --orders"),
        (["verify", DECAY, "--store"], "not in the package's catalogue"),
        (["run", DECAY, "--solver", "reference"], "is no solver; with --points"),
        (["run", DECAY, "--solver", "ode", "--points", "no.csv"], "cannot be read"),
        (["check", "burgers", "--set", "viscosity"], "write key=value"),
        (["verify", "wave", "--orders", "--solver", "linez"], "Did you mean 'lines'"),
        (["export", "nowhere"], "cannot be read"),
        (["list", "problems", "--problems", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_clear_message_and_status_2(command, words, message):
    code, out, err = command(*words)
    assert code == 2
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    said = [e for e in err.splitlines() if not e.startswith("Building")]
    assert len(said) == 1


def test_orders_are_verified(command):
    code, out, _ = command("verify", "wave", "--orders", "--solver", "lines", "--json")
    assert code == 0
    for row in json.loads(out):
        assert row["problem"] == "wave"
        assert row["solver"].startswith("lines")
        assert {"expected_order", "observed_order", "error_estimate"} <= set(row)
        if row["expected_order"] is not None:
            assert abs(row["observed_order"] - row["expected_order"]) < 0.1


def test_references_are_held_against_their_claims(command, tmp_path):
    page = tmp_path / "page.html"
    logistic = f"{FILES}/problems.py:logistic"
    code, out, _ = command("verify", logistic, DECAY, "--out", page, "--json")
    assert code == 0
    ladder, exact = json.loads(out)
    assert ladder["kind"] == "ladder"
    assert 0 < ladder["error_estimate"]["u"] <= ladder["claim"] == 1e-5
    assert ladder["second_difference"] < 1e-5
    assert exact["kind"] == "exact"
    assert not any("FAULT" in line for line in page.read_text().splitlines())
    # The same with a claim that the ladder misses, red on the page.
    code, out, _ = command("verify", logistic, "--out", page, "--set", "accuracy=1e-15")
    assert code == 3
    assert "above the claim" in out
    assert "FAULT" in page.read_text()


def test_the_doctor_names_versions_and_faults(command, monkeypatch):
    code, out, _ = command("doctor", "--json")
    findings = {f["what"]: f for f in json.loads(out)}
    assert findings["numpy"]["ok"]
    assert "threads" in findings
    assert code == (0 if all(f["ok"] for f in findings.values()) else 1)
    monkeypatch.setattr("os.getloadavg", lambda: (1e3, 1e3, 1e3))
    code, out, _ = command("doctor")
    assert code == 1
    assert "end other programs" in out


def test_an_interrupted_run_ends_with_130(tmp_path):
    out = tmp_path / "results"
    words = ["run", TINY, "--solver", f"{FAKE}:how=sleep", "--out", str(out), "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "pinnsuite", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stderr:
            if line.rstrip().endswith("…") and "Fake" in line:
                break
        time.sleep(0.2)
        os.kill(process.pid, signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert [r["status"] for r in json.loads(said)] == ["interrupted"]
    (file,) = out.glob("*/attempt-1/run.json")
    assert Record.load(file).status == "interrupted"
