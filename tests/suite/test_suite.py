from pathlib import Path

import pytest

from pinnsuite.errors import OptionError
from pinnsuite.problem.notation import equation_text
from pinnsuite.registry import SOLVERS
from pinnsuite.suite.suite import expand, load_table, suitable
from pinnsuite.suite.task import Task, entry_of

HERE = Path(__file__).parent
FAKE = "solvers.py:Fake"
TINY = "problems.py:tiny"
LADDER = 'ladder = { num_shifts = [1, 2], wavelet = ["db2", "db4"] }'
UNEVEN = 'ladder = { num_shifts = [1, 2], wavelet = ["db2"] }'


def read(text, tmp_path, **more):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return expand(load_table(path), base=HERE, source=path.name, **more)


def test_ladders_and_seeds_become_runs(tmp_path):
    tasks = read(
        f"""
        title = "Two"
        [defaults]
        budget = "30s"
        seeds = [0, 1]
        [[case]]
        problem = "{TINY}"
        parameters = {{ num_points = 8 }}
        solvers = [
            {{ name = "{FAKE}", seconds = 2 }},
            {{ name = "wavelet", {LADDER} }},
            "wiener",
        ]
        """,
        tmp_path,
    )
    runs = [(t.solver.rpartition(":")[2], t.options) for t in tasks]
    assert runs == [
        ("Fake", {"seconds": 2.0, "seed": 0}),
        ("Fake", {"seconds": 2.0, "seed": 1}),
        ("wavelet", {"num_shifts": 1, "wavelet": "db2"}),
        ("wavelet", {"num_shifts": 2, "wavelet": "db4"}),
        ("wiener", {}),
    ]
    assert {t.budget for t in tasks} == {30.0}
    assert tasks[0].problem_part["parameters"] == {"noise": 0.1, "num_points": 8}
    assert tasks[1].seed == 1
    assert tasks[4].seed is None


def test_all_mistakes_are_reported_at_once_with_their_keys(tmp_path):
    with pytest.raises(OptionError) as caught:
        read(
            f"""
            titel = "x"
            [defaults]
            time_limit = "soon"
            [[case]]
            problem = "burgrs"
            solvers = ["linez"]
            [[case]]
            problem = "{TINY}"
            parameters = {{ noize = 1.0, num_points = "many" }}
            solvers = [
                {{ name = "wavelet", num_shift = 1, wavelet = 7 }},
                {{ name = "wavelet", seeds = [1], {UNEVEN} }},
                {{ nam = "wiener" }},
                {{ name = "wiener", window = 4 }},
            ]
            """,
            tmp_path,
        )
    lines = str(caught.value).splitlines()
    keys = [
        ("titel", "Did you mean 'title'"),
        ("defaults.time_limit", "no duration"),
        ("case[0].problem", "Did you mean 'burgers'"),
        ("case[0].solvers[0].name", "Did you mean 'lines'"),
        ("case[1].parameters.noize", "Did you mean 'noise'"),
        ("case[1].parameters.num_points", "needed is an integer"),
        ("case[1].solvers[0].num_shift", "Did you mean 'num_shifts'"),
        ("case[1].solvers[0].wavelet", "needed is a word"),
        ("case[1].solvers[1].seeds", "no option 'seed'"),
        ("case[1].solvers[1].ladder", "differ in length: num_shifts 2, wavelet 1"),
        ("case[1].solvers[2].name", "needs the solver's name"),
        ("case[1].solvers[3]", "window"),
    ]
    assert len(lines) == len(keys)
    for line, (key, message) in zip(lines, keys, strict=True):
        assert line.startswith(f"mine.toml: {key}: ")
        assert message in line


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('title = "x\n', "1:"),
        ("[defaults]\nbudget == 3\n", "2:9: "),
        ("a = [", "1:6: "),
    ],
)
def test_a_syntax_error_has_file_line_and_column(text, place, tmp_path):
    with pytest.raises(OptionError, match=rf"mine\.toml:{place}"):
        read(text, tmp_path)


def test_a_great_many_runs_must_be_meant(tmp_path):
    text = f"""
        [[case]]
        problem = "{TINY}"
        solvers = [{{ name = "{FAKE}", seeds = {list(range(1001))} }}]
        """
    with pytest.raises(OptionError, match=r"1001 runs.*--yes"):
        read(text, tmp_path)
    assert len(read(text, tmp_path, is_large_ok=True)) == 1001


def test_an_error_in_the_authors_code_has_its_line(tmp_path):
    text = '[[case]]\nproblem = "problems.py:broken"\nsolvers = ["ode"]'
    with pytest.raises(OptionError, match=r"problems\.py:\d+: ZeroDivisionError"):
        read(text, tmp_path)


def tasks_of(**solver):
    case = {"problem": TINY, "solvers": [{"name": FAKE, **solver}]}
    return expand({"case": [case]}, base=HERE)


def test_the_key_depends_on_what_decides_the_result_and_on_nothing_else():
    (base,) = tasks_of()
    same = [tasks_of(how="answer"), tasks_of(seed=0), tasks_of(time_limit=5, threads=2)]
    assert {t.key for (t,) in same} == {base.key}
    others = [tasks_of(seed=1), tasks_of(how="fail"), tasks_of(budget=5)]
    assert len({base.key, *(t.key for (t,) in others)}) == 4
    # A key of another process: nothing in it is salted.
    assert base.directory == f"tiny-Fake-seed0-{base.key[:12]}"
    assert Task(**base.to_json()) == base


def test_a_directory_name_cannot_leave_its_folder():
    (task,) = tasks_of()
    part = task.problem_part | {"id": "../../etc/<script>"}
    name = Task(**(task.to_json() | {"problem_part": part})).directory
    assert "/" not in name
    assert "." not in name
    assert "<" not in name


def test_without_names_every_suitable_solver_runs():
    signal, decay = (
        entry_of(f"{HERE}/problems.py:{name}", None).make()
        for name in ("tiny", "decay")
    )
    restoring = [n for n, e in SOLVERS.items() if "restore" in e.kinds]
    assert {"wavelet", "wiener"} <= set(restoring)
    assert suitable(signal) == restoring
    # Of two networks for the same equations one is enough.
    assert suitable(decay) == ["ode", "pinn"]


def test_equations_are_written_as_in_a_book():
    from pinnsuite import D, coordinates, field_of

    t, x = coordinates("t x")
    u = field_of("u", t, x)
    assert equation_text(D(u, t) + u * D(u, x)) == "u*u_x + u_t"
    assert equation_text(D(x * D(u, x), x)) == "(x*u_x)_x"
    assert equation_text(D(u, x, 2)) == "u_xx"
