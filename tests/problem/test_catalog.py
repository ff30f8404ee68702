import pytest

from pinnsuite.errors import DefinitionError, OptionError
from pinnsuite.problem.catalog import data_file, entries, entries_of, find

SOURCE = '''
from pinnsuite.problem import *

def growth(rate: float = 2.0) -> Problem:
    """Exponential growth."""
    (t,) = coordinates("t")
    u = field_of("u", t)
    return Problem("growth", [u], [D(u, t) - rate * u], [Initial(u, 1)],
                   time=TimeInterval(t, 0, 1))

def helper(x: int) -> int:
    return x
'''


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def test_a_file_of_ones_own_is_found_and_parameters_are_noted(file):
    problem = find(str(file)).make(rate=3.0)
    assert problem.name == "growth"
    assert problem.parameters == {"rate": 3.0}


def test_an_unknown_parameter_is_named(file):
    with pytest.raises(OptionError, match=r"'rat'.*Did you mean 'rate'"):
        find(str(file)).make(rat=1.0)


def test_an_unknown_problem_is_named():
    with pytest.raises(OptionError, match=r"'burgerz'.*Did you mean 'burgers'"):
        find("burgerz")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OptionError, match=r"no file"):
        find(str(tmp_path / "nothing.py"))


def test_a_file_without_a_problem_says_what_one_is(tmp_path):
    path = tmp_path / "empty.py"
    path.write_text("x = 1")
    with pytest.raises(OptionError, match=r"-> Problem"):
        find(str(path))


def test_several_problems_in_a_file_must_be_chosen_from(file):
    file.write_text(SOURCE + SOURCE.replace("growth", "decay"))
    with pytest.raises(OptionError, match=r"mine.py:decay"):
        find(str(file))
    assert find(f"{file}:decay").name == "decay"


def test_a_syntax_error_has_line_and_column(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("def f() -> Problem:\n    return (\n")
    with pytest.raises(DefinitionError, match=r"broken.py:2:\d+"):
        entries_of(path)


def test_two_problems_of_one_name_are_refused(tmp_path, file):
    (tmp_path / "other.py").write_text(SOURCE)
    with pytest.raises(DefinitionError, match=r"Two problems are called 'growth'"):
        entries(tmp_path)


def test_reading_the_names_does_not_run_the_file(tmp_path):
    path = tmp_path / "loud.py"
    path.write_text("raise SystemExit(1)\ndef f() -> Problem: ...\n")
    assert [e.name for e in entries_of(path)] == ["f"]


def test_a_missing_data_file_is_named():
    with pytest.raises(DefinitionError, match=r"data/README"):
        data_file("measured/nothing.csv")


@pytest.mark.parametrize(
    "name", ["burgers", "heat_l_shape", "lorenz", "burgers_family"]
)
def test_what_a_list_shows_is_what_the_problem_is(name):
    entry = entries()[name]
    made = entry.make()
    assert entry.kind == made.kind
    assert entry.dimension == made.dimension


@pytest.mark.parametrize("folder", ["", "{tmp_path}/"])
def test_an_error_in_the_authors_code_has_its_line(folder, file, monkeypatch):
    monkeypatch.chdir(file.parent)
    file.write_text(SOURCE.replace("rate * u", "rate * undefined"))
    path = folder.format(tmp_path=file.parent) + file.name
    with pytest.raises(DefinitionError, match=r"mine.py:8: NameError"):
        find(path).make()
