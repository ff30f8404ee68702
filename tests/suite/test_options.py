import pytest

from pinnsuite.errors import OptionError
from pinnsuite.registry import SOLVERS, fit, make_solver, solver_class
from pinnsuite.suite.options import (
    num_bytes,
    parse_assignments,
    parse_solver,
    seconds,
)


@pytest.mark.parametrize("name", SOLVERS)
def test_every_name_leads_to_its_solver(name):
    solver = make_solver(name)
    assert solver.family == SOLVERS[name].family
    assert type(solver) is solver_class(name)


def test_an_unknown_solver_is_answered_with_the_nearest():
    with pytest.raises(OptionError, match="Did you mean 'wavelet'"):
        make_solver("wavelt")


def test_all_wrong_options_are_named_with_what_is_needed():
    with pytest.raises(OptionError) as caught:
        make_solver("wavelet", {"num_shift": 4, "num_shifts": "many", "wavelet": 3})
    message = str(caught.value)
    assert "'num_shift'. Did you mean 'num_shifts'?" in message
    assert (
        "Option 'num_shifts' of 'wavelet' is 'many'; needed is an integer." in message
    )
    assert "Option 'wavelet' of 'wavelet' is 3; needed is a word." in message


def test_a_missing_file_and_a_missing_class_are_named(tmp_path):
    with pytest.raises(OptionError, match="There is no file"):
        make_solver(f"{tmp_path}/none.py:Mine")
    (tmp_path / "mine.py").write_text("class Mine: ...\n")
    with pytest.raises(OptionError, match="no dataclass 'Mine'"):
        make_solver(f"{tmp_path}/mine.py:Mine")


@pytest.mark.parametrize(
    ("value", "hint", "result"),
    [
        (2, float, 2.0),
        (2, int | float, 2),
        (2, float | None, 2.0),
        (None, int | None, None),
        ([1, 2], tuple[int, ...], (1, 2)),
        ([1, 2], tuple[float, float], (1.0, 2.0)),
        ([[1], [2, 3]], tuple[tuple[int, ...], ...], ((1,), (2, 3))),
    ],
)
def test_values_are_taken_in_the_type_of_the_option(value, hint, result):
    fitted = fit(value, hint)
    assert fitted == result
    assert type(fitted) is type(result)


@pytest.mark.parametrize(
    ("value", "hint", "needed"),
    [
        (True, int, "an integer"),
        (True, float, "a number"),
        (1.5, int, "an integer"),
        ("1", float | None, "a number or none"),
        (1, bool, "true or false"),
        (3, tuple[int, ...], "a list"),
        ([1], tuple[int, int], "a list of 2"),
        (["a"], tuple[int, ...], "each entry an integer"),
    ],
)
def test_a_wrong_type_is_told_what_is_needed(value, hint, needed):
    with pytest.raises(TypeError, match=needed):
        fit(value, hint)


def test_a_command_line_gives_plain_values():
    text = "points=201,rtol=1e-6,stencil=chebyshev,sizes=[20, 30],exact=true"
    assert parse_assignments(text) == {
        "points": 201,
        "rtol": 1e-6,
        "stencil": "chebyshev",
        "sizes": [20, 30],
        "exact": True,
    }


def test_text_is_never_evaluated():
    code = "__import__('os').abort()"
    assert parse_assignments(f"initial={code}") == {"initial": code}


def test_a_solver_is_named_with_or_without_options():
    assert parse_solver("lines") == {"name": "lines"}
    assert parse_solver("lines:points=5") == {"name": "lines", "points": 5}
    assert parse_solver("a/b.py:Mine:points=5") == {"name": "a/b.py:Mine", "points": 5}
    with pytest.raises(OptionError, match="write key=value"):
        parse_solver("lines:points")


def test_durations_and_memory_have_units():
    assert [seconds(v) for v in (90, "90", "90s", "1.5m", "2h", "1e2s")] == [
        90,
        90,
        90,
        90,
        7200,
        100,
    ]
    assert num_bytes("4GiB") == 4 * 2**30


@pytest.mark.parametrize("value", ["soon", "-1s", "0", "1e999s", "10d", True, None])
def test_what_is_no_duration_is_refused(value):
    with pytest.raises(OptionError, match="no duration"):
        seconds(value)
