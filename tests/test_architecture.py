"""The shape of the code, as tests."""

import ast
import graphlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pinnsuite"

# Lowest first. A module imports from the layers below its own and from its own folder;
# pinnsuite/__init__.py stands on top and may name any of them.
LAYERS = [
    {"errors"},
    {"problem"},
    {"solution"},
    {"solver"},
    {"registry"},
    {"classical", "neural", "compare"},
    {"verification"},
    {"suite", "report"},
    {"cli"},
    {"__main__"},
]
HEIGHT = {name: height for height, names in enumerate(LAYERS) for name in names}

# Third-party packages that only these files or folders may import.
KEPT_TO = {
    "torch": ["neural"],
    "deepxde": [
        "neural/deepxde.py",
        "neural/deepxde_session.py",
        "neural/operators/deeponet.py",
    ],
    "pina": ["neural/pina.py"],
    "skfem": ["classical/finite_element_space.py"],
    "matplotlib": ["report"],
    "jinja2": ["report"],
    "rich": ["cli.py"],
    "typer": ["cli.py"],
}
HEAVY = {"torch", "deepxde", "skfem", "matplotlib"}

IN_PROBLEM_FILES = {
    "collections",
    "csv",
    "dataclasses",
    "functools",
    "math",
    "numpy",
    "pathlib",
    "pinnsuite",
    "pydoc_data",
    "pywt",
    "scipy",
    "sklearn",
    "sympy",
}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(path):
    """Every module that a file imports, inside functions too, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            where = f"{path.relative_to(ROOT)}:{node.lineno}"
            assert node.level == 0, f"{where}: relative import; write it in full"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module, node.lineno


below_the_top = pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.relative_to(PACKAGE).as_posix())
        for name, path in MODULES.items()
        if name != "pinnsuite"
    ],
)


@below_the_top
def test_imports_point_down(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert own in HEIGHT, f"{own!r} stands in no layer; see LAYERS"
    for module, line in imports(path):
        top, _, rest = module.partition(".")
        other = rest.partition(".")[0]
        if top != "pinnsuite" or other == own:
            continue
        where = f"{path.relative_to(ROOT)}:{line}"
        assert other, f"{where} imports the package itself; name the module meant"
        assert HEIGHT[other] < HEIGHT[own], (
            f"{where} imports {module}: {own!r} stands at {HEIGHT[own]}, "
            f"{other!r} at {HEIGHT[other]}; see LAYERS"
        )


def test_imports_make_no_cycle():
    graph = {
        name: {module for module, _ in imports(path) if module in MODULES} - {name}
        for name, path in MODULES.items()
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, naming the cycle


@below_the_top
def test_heavy_packages_stay_where_they_belong(path):
    inside = path.relative_to(PACKAGE).as_posix()
    for module, line in imports(path):
        places = KEPT_TO.get(module.partition(".")[0])
        if places is not None:
            assert any(inside == p or inside.startswith(f"{p}/") for p in places), (
                f"{inside}:{line} imports {module}; keep it in {places}"
            )


@pytest.mark.parametrize(
    "path", sorted((ROOT / "problems").rglob("*.py")), ids=lambda path: path.stem
)
def test_problem_files_hold_mathematics_only(path):
    used = {module.partition(".")[0] for module, _ in imports(path)}
    assert used <= IN_PROBLEM_FILES


def run_alone(program, folder):
    """Run a program in a fresh interpreter whose home and working folder are empty."""
    environment = os.environ | {"HOME": str(folder), "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
    )
    assert run.returncode == 0, run.stderr
    return run


NAME_MODULES_AT_EXIT = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
"""

COMMAND = """
import sys
sys.argv = ["pinnsuite", "{}"]
from pinnsuite.cli import main
main()
"""


def test_importing_pinnsuite_is_light_silent_and_writes_nothing(tmp_path):
    run = run_alone(NAME_MODULES_AT_EXIT + "import pinnsuite", tmp_path)
    assert run.stdout == ""
    assert not HEAVY & set(run.stderr.split())
    assert not list(tmp_path.iterdir())


def test_listing_is_light_and_writes_nothing(tmp_path):
    run = run_alone(NAME_MODULES_AT_EXIT + COMMAND.format("list"), tmp_path)
    assert "burgers" in run.stdout
    assert not HEAVY & set(run.stderr.split())
    assert not list(tmp_path.iterdir())


def test_a_report_needs_no_solver(tmp_path):
    run = run_alone(NAME_MODULES_AT_EXIT + "import pinnsuite.report", tmp_path)
    assert not {"torch", "deepxde", "skfem"} & set(run.stderr.split())


def test_help_answers_at_once(tmp_path):
    def cpu_seconds():
        before = os.times()
        run_alone(COMMAND.format("--help"), tmp_path)
        after = os.times()
        return (
            after.children_user
            - before.children_user
            + after.children_system
            - before.children_system
        )

    assert min(cpu_seconds() for _ in range(3)) < 0.6


def test_the_wheel_carries_problems_and_data(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        check=True,
        capture_output=True,
        cwd=ROOT,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("problems", "data"):
        files = {
            path.relative_to(ROOT / folder).as_posix()
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
        assert files
        assert {f"pinnsuite/_{folder}/{file}" for file in files} <= names
    assert "pinnsuite/py.typed" in names
    assert not any(name.startswith("tests/") for name in names)
