"""Finding problems: functions in files whose return annotation names what they make.

No registry and no decorator: a file in a folder is enough, and a user's own folder
works as the package's does.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pinnsuite.errors import (
    DefinitionError,
    OptionError,
    PinnsuiteError,
    unknown_name,
)

if TYPE_CHECKING:
    from pinnsuite.problem.definition import Problem
    from pinnsuite.problem.family import Family
    from pinnsuite.problem.signal import SignalProblem

    AnyProblem: TypeAlias = Problem | Family | SignalProblem

KINDS = ("Problem", "Family", "SignalProblem")


def _shipped(name: str) -> Path:
    """Return a folder that the wheel carries, or the checkout's where it is used."""
    package = Path(__file__).parents[1]
    inside = package / f"_{name}"
    return inside if inside.is_dir() else package.parent / name


def problem_folder() -> Path:
    """Return the folder of the problems that come with the package."""
    return _shipped("problems")


def reference_folder() -> Path:
    """Return the folder of the references that come with the package."""
    return _shipped("data") / "references"


def data_file(name: str) -> Path:
    """Return the path of a data file that comes with the package.

    Raises
    ------
    DefinitionError
        If there is no such file.
    """
    path = _shipped("data") / name
    if not path.is_file():
        raise DefinitionError(
            f"Data file {name!r} is not in {path.parent}; data/README.md lists what "
            "there is."
        )
    return path


@dataclass(frozen=True)
class Entry:
    """One problem function: where it stands and what its docstring says.

    Attributes
    ----------
    name
        The function's name, by which the command line knows it.
    returns
        `Problem`, `Family` or `SignalProblem`.
    path
        The file.
    statement
        The docstring.
    kind
        `pde`, `dynamics` or `signal`.
    dimension
        Space coordinates of equations, axes of a signal; None where the file's text
        does not show it.
    reference
        `exact`, `evaluated`, `ladder: SOLVER`, `data`, or `none` where none is named.
    tags
        Those that the text shows.
    """

    name: str
    returns: str
    path: Path
    statement: str
    kind: str
    dimension: int | None
    reference: str
    tags: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The first line of the statement."""
        return self.statement.partition("\n")[0]

    @property
    def is_shipped(self) -> bool:
        """It stands in the package's own catalogue."""
        return self.path.resolve().is_relative_to(problem_folder().resolve())

    @property
    def group(self) -> str:
        """The folder that it stands in, its subject."""
        return self.path.parent.name

    def defaults(self) -> dict[str, Any]:
        """Return the default arguments, as a problem made with them notes them."""
        return _plain(
            {
                name: parameter.default
                for name, parameter in inspect.signature(
                    self.function()
                ).parameters.items()
                if parameter.default is not parameter.empty
            }
        )

    def make(self, **parameters: Any) -> AnyProblem:
        """Call the function, check its arguments and note them in the problem.

        Raises
        ------
        OptionError
            If a parameter is unknown.
        DefinitionError
            If the problem is not well defined, or its code raises an error.
        """
        function = self.function()
        known = inspect.signature(function).parameters
        for name in parameters:
            if name not in known:
                what = f"parameter of {self.name!r}"
                raise OptionError(unknown_name(what, name, known))
        try:
            bound = inspect.signature(function).bind(**parameters)
            made = function(**parameters)
        except Exception as error:
            _blame(error, self.path)
            raise
        bound.apply_defaults()
        if type(made).__name__ not in KINDS:
            raise DefinitionError(
                f"{self.path}: {self.name}() returned {type(made).__name__}, not a "
                f"{self.returns}."
            )
        return replace(made, parameters=_plain(bound.arguments))

    def function(self) -> Callable[..., AnyProblem]:
        """Load the file and return the function."""
        function: Callable[..., AnyProblem] = getattr(load_file(self.path), self.name)
        return function


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        k: v if isinstance(v, int | float | str | bool) else str(v)
        for k, v in arguments.items()
    }


def load_file(path: Path) -> Any:
    """Run a Python file once and return its module.

    Raises
    ------
    DefinitionError
        If the file raises an error; the message gives its line.
    """
    # Named by path, so that two files of the same name do not meet.
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    name = f"pinnsuite_problem_{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        _blame(error, path)
        raise
    return module


def _blame(error: BaseException, path: Path) -> None:
    """Turn an error of the author's code into a `DefinitionError` with its line."""
    if isinstance(error, PinnsuiteError) or not isinstance(error, Exception):
        return
    frames = traceback.extract_tb(error.__traceback__)
    # The import system makes a relative path absolute.
    lines = [f.lineno for f in frames if Path(f.filename) == path.absolute()]
    where = f"{path}:{lines[-1]}" if lines else str(path)
    raise DefinitionError(f"{where}: {type(error).__name__}: {error}") from error


def entries_of(path: Path) -> list[Entry]:
    """Return the problem functions of one file, without running it.

    Raises
    ------
    DefinitionError
        If the file cannot be read as Python; the message gives line and column.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except SyntaxError as error:
        raise DefinitionError(
            f"{path}:{error.lineno}:{error.offset}: {error.msg}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{path} cannot be read: {error}.") from error
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.returns is not None:
            returns = ast.unparse(node.returns).strip("'\"").rpartition(".")[2]
            if returns in KINDS and not node.name.startswith("_"):
                found.append(_entry(node, returns, path, tree))
    return found


def _entry(
    node: ast.FunctionDef, returns: str, path: Path, module: ast.Module
) -> Entry:
    """Read off the text what a list shows, so that listing runs and loads nothing."""
    keywords = _keywords(node, returns)
    kind, reference = "pde", _reference(keywords)
    dimension: int | None = None
    if returns == "SignalProblem":
        kind, reference = "signal", "data"
        axes = keywords.get("coordinates")
        dimension = len(axes.keys) if isinstance(axes, ast.Dict) else None
    elif returns == "Family":
        make = keywords.get("make", ast.Constant(None))
        makers = {n.id for n in ast.walk(make) if isinstance(n, ast.Name)}
        for other in module.body:
            if isinstance(other, ast.FunctionDef) and other.name in makers:
                inner = _entry(other, "Problem", path, module)
                dimension, reference = inner.dimension, inner.reference
    elif "domain" not in keywords:
        kind, dimension = "dynamics", 0
    else:
        count = _num_coordinates(node) or _num_coordinates(module)
        dimension = count - ("time" in keywords) if count else None
    statement = ast.get_docstring(node) or ""
    named = keywords.get("tags")
    words = named.elts if isinstance(named, ast.List | ast.Tuple) else []
    tags = tuple(str(w.value) for w in words if isinstance(w, ast.Constant))
    return Entry(node.name, returns, path, statement, kind, dimension, reference, tags)


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _keywords(node: ast.FunctionDef, name: str) -> dict[str | None, ast.expr]:
    """Return the keyword arguments with which the function calls `name`."""
    found: dict[str | None, ast.expr] = {}
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and _called(call) == name:
            found |= {k.arg: k.value for k in call.keywords}
    return found


def _num_coordinates(node: ast.AST) -> int:
    """Return how many arguments the fields below `node` have, 0 if it does not show.

    From `field_of("u", t, x)`; else from the names in `coordinates("t x")`, which may
    hold unknown coefficients too.
    """
    calls = [c for c in ast.walk(node) if isinstance(c, ast.Call) and c.args]
    for call in calls:
        is_plain = not any(isinstance(a, ast.Starred) for a in call.args)
        if _called(call) == "field_of" and is_plain:
            return len(call.args) - 1
    for call in calls:
        text = call.args[0]
        if (
            _called(call) == "coordinates"
            and isinstance(text, ast.Constant)
            and isinstance(text.value, str)
        ):
            return len(text.value.replace(",", " ").split())
    return 0


def _reference(keywords: Mapping[str | None, ast.expr]) -> str:
    if "exact" in keywords:
        return "exact"
    named = keywords.get("reference")
    if not isinstance(named, ast.Call):
        return "none"
    first = named.args[0] if named.args else None
    if _called(named) == "Ladder" and isinstance(first, ast.Constant):
        return f"ladder: {first.value!s}"
    return _called(named).lower()


def entries(folder: Path | None = None) -> Mapping[str, Entry]:
    """Return every problem function below `folder` by name, sorted by file.

    Raises
    ------
    DefinitionError
        If two functions have the same name.
    OptionError
        If there is no such folder.
    """
    root = problem_folder() if folder is None else folder
    if not root.is_dir():
        raise OptionError(f"There is no folder {root} to look for problems in.")
    found: dict[str, Entry] = {}
    for entry in _walk(root):
        if entry.name in found:
            raise DefinitionError(
                f"Two problems are called {entry.name!r}: in {found[entry.name].path} "
                f"and in {entry.path}; rename one."
            )
        found[entry.name] = entry
    return found


def _walk(root: Path) -> Iterator[Entry]:
    for path in sorted(root.rglob("*.py")):
        yield from entries_of(path)


def find(target: str, folder: Path | None = None) -> Entry:
    """Return the entry for a name, a file, or `file.py:function`.

    Raises
    ------
    OptionError
        If there is no such problem, file or function, or a file holds several and none
        is named.
    """
    file, _, function = target.partition(":")
    if file.endswith(".py"):
        return _in_file(Path(file), function)
    known = entries(folder)
    if target not in known:
        raise OptionError(
            unknown_name("problem", target, known)
            + " A file of your own is given as path/to/file.py."
        )
    return known[target]


def _in_file(path: Path, function: str) -> Entry:
    if not path.is_file():
        raise OptionError(f"There is no file {path}.")
    found = {e.name: e for e in entries_of(path)}
    if not found:
        raise OptionError(
            f"{path} holds no problem: a problem is a function annotated "
            "`-> Problem` (or Family, SignalProblem)."
        )
    if function:
        if function not in found:
            raise OptionError(unknown_name(f"problem in {path}", function, found))
        return found[function]
    if len(found) > 1:
        raise OptionError(
            f"{path} holds {len(found)} problems; choose one: "
            + ", ".join(f"{path}:{name}" for name in found)
        )
    return next(iter(found.values()))


def load(target: str, **parameters: Any) -> AnyProblem:
    """Return a problem by name, or from a file of your own.

    `load("burgers", viscosity=0.02)`, `load("fisher.py")`, `load("mine.py:second")`.

    Raises
    ------
    OptionError
        If there is no such problem or parameter.
    DefinitionError
        If the problem is not well defined.
    """
    return find(target).make(**parameters)
