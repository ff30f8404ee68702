"""What the package vouches for: the statements of its problems, pinned in numbers.

A reference that comes from the equations by refinement cannot reveal a wrong sign in
them. So every problem of the catalogue has a file `data/references/NAME.json` with the
values that its equations, conditions and known solution take at a few points, with
numbers made from their names in place of the derivatives. The values do not depend on
how sympy writes an expression; the last digits, which depend on the machine, are left
out of the comparison.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef

from pinnsuite.errors import DataError, DefinitionError
from pinnsuite.problem.catalog import Entry, reference_folder
from pinnsuite.problem.conditions import Boundary, Condition, normal
from pinnsuite.problem.definition import Evaluate, Evaluated, Problem
from pinnsuite.problem.family import Family
from pinnsuite.problem.jets import lower, numpy_function
from pinnsuite.problem.notation import (
    condition_relation,
    equation_relation,
    unicode_text,
)
from pinnsuite.problem.signal import SignalProblem
from pinnsuite.problem.tables import Tabulated
from pinnsuite.verification.reference import exact_evaluator

if TYPE_CHECKING:
    from pinnsuite.problem.catalog import AnyProblem

SCHEMA = 1

NUM_POINTS = 64
"""Points of the problem at which values are taken: enough to meet a pulse."""

TOLERANCE = 1e-8
"""Relative difference that libraries and machines may make."""

MAX_TEXT = 400
"""Letters of a line that are kept for the reader."""


@dataclass(frozen=True)
class Line:
    """One line of a statement.

    Attributes
    ----------
    text
        For the reader.
    fixed
        Words and numbers that say it all beside the expressions.
    values
        What the expressions are at the points; None stands for NaN.
    tolerance
        Relative difference of the values that means nothing.
    """

    text: str
    fixed: Any = None
    values: Sequence[float | None] = ()
    tolerance: float = TOLERANCE

    def is_same(self, other: Line) -> bool:
        """Say whether two lines state the same."""
        return _close(self.fixed, other.fixed, TOLERANCE) and _close_values(
            self.values, other.values, max(self.tolerance, other.tolerance)
        )


@dataclass(frozen=True)
class Pin:
    """A problem's statement as the package vouches for it.

    Attributes
    ----------
    name
        The problem.
    points
        Where values are taken, columns in the order of the problem's coordinates.
    lines
        By label: `equation 1`, `Dirichlet(u) 2`, `domain`, `solution u`, …
    references
        Stored references of the problem, by key; see `verification.cache`.
    python
        Version under which data from installed packages was read.
    """

    name: str
    points: Sequence[Sequence[float]]
    lines: Mapping[str, Line]
    references: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    python: str = ""

    def faults(self, made: AnyProblem) -> list[str]:
        """Return a sentence for every line in which `made` differs."""
        try:
            lines = statement(made, self.points)
        except (DefinitionError, ValueError, TypeError) as error:
            lines = {}
            reason = f"cannot be stated at the pinned points: {error}"
        else:
            reason = ""
        faults = [reason] if reason else []
        is_data = isinstance(made, SignalProblem)
        for label in dict.fromkeys([*self.lines, *lines]):
            mine, pinned = lines.get(label), self.lines.get(label)
            if is_data and self.python != _python():
                continue  # data of installed packages changes with their version
            if mine is None or pinned is None or not mine.is_same(pinned):
                faults.append(_difference(label, mine, pinned))
        if faults:
            faults.append(
                "accept what is stated now by `pinnsuite verify "
                f"{self.name} --store`, once it is known to be right"
            )
        return faults

    def to_json(self) -> str:
        """Return the file's text."""
        content = {
            "schema": SCHEMA,
            "name": self.name,
            "python": self.python,
            "points": self.points,
            "lines": {k: vars(line) for k, line in self.lines.items()},
            "references": self.references,
        }
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        # A line for each row of numbers.
        numbers = r"\[[-+.\deE,\s]*(?:null[-+.\deE,\s]*)*\]"
        return re.sub(numbers, lambda m: " ".join(m[0].split()), text) + "\n"


def _difference(label: str, mine: Line | None, pinned: Line | None) -> str:
    if pinned is None:
        assert mine is not None
        return f"{label} is new: {mine.text}"
    if mine is None:
        return f"{label} is gone; it was: {pinned.text}"
    if mine.text != pinned.text:
        return f"{label} is now: {mine.text}; it was: {pinned.text}"
    return f"{label} has other values than it had: {mine.text}"


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def pin_file(name: str) -> Path:
    """Return where the statement of a shipped problem is pinned."""
    return reference_folder() / f"{name}.json"


def load_pin(name: str) -> Pin | None:
    """Return the pinned statement of a problem, None if there is none.

    Raises
    ------
    DataError
        If the file is damaged or of a newer schema.
    """
    path = pin_file(name)
    if not name.isidentifier() or not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] > SCHEMA:
            raise DataError(
                f"{path} has schema {content['schema']}, newer than this release's "
                f"{SCHEMA}; upgrade pinnsuite."
            )
        return Pin(
            content["name"],
            content["points"],
            {k: Line(**line) for k, line in content["lines"].items()},
            content["references"],
            content["python"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} cannot be read: {error}. Write it again by `pinnsuite verify "
            f"{name} --store`."
        ) from error


def pin_of(entry: Entry, made: AnyProblem) -> Pin | None:
    """Return the pin that holds for `made`: of the catalogue, at default parameters."""
    if not entry.is_shipped or dict(made.parameters) != entry.defaults():
        return None
    return load_pin(entry.name)


def make_pin(
    made: AnyProblem, references: Mapping[str, Mapping[str, Any]] | None = None
) -> Pin:
    """Return the pin of a problem as it is stated now."""
    points = sample(made)
    return Pin(made.name, points, statement(made, points), references or {}, _python())


def write_pin(pin: Pin) -> Path:
    """Write a pin into the catalogue's data."""
    path = pin_file(pin.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(pin.to_json(), encoding="utf-8")
    temporary.replace(path)
    return path


def sample(made: AnyProblem) -> list[list[float]]:
    """Return points inside the problem, seven digits each."""
    if isinstance(made, SignalProblem):
        return []
    problem = made.member(0) if isinstance(made, Family) else made
    columns = []
    if problem.time is not None:
        share = (np.arange(NUM_POINTS) * 0.618034 + 0.31) % 1
        length = problem.time.end - problem.time.start
        columns.append((problem.time.start + length * share)[:, None])
    if problem.domain is not None:
        columns.append(problem.domain.sample_interior(NUM_POINTS, seed=5))
    return [[float(f"{v:.7g}") for v in row] for row in np.hstack(columns).tolist()]


def statement(made: AnyProblem, points: Sequence[Sequence[float]]) -> dict[str, Line]:
    """Return all that a problem states, line by line."""
    if isinstance(made, SignalProblem):
        return _data_lines(made)
    if isinstance(made, Family):
        lines = _problem_lines(made.member(0), np.array(points))
        lines["distributions"] = Line(
            ", ".join(made.distributions),
            {k: d.canonical() for k, d in sorted(made.distributions.items())},
        )
        sizes = [made.num_train, made.num_test, made.num_points, made.seed]
        lines["sizes"] = Line(", ".join(map(str, sizes)), sizes)
        return lines
    return _problem_lines(made, np.array(points))


def _problem_lines(problem: Problem, points: np.ndarray) -> dict[str, Line]:
    space = problem.space
    fixed: dict[str, tuple[str, Any, list[sp.Expr]]] = {}
    for i, e in enumerate(problem.equations, 1):
        fixed[f"equation {i}"] = (equation_relation(e).unicode(space), None, [e])
    for i, c in enumerate(problem.conditions, 1):
        text = condition_relation(c, problem).unicode(space)
        fixed[f"condition {i}"] = (text, *_condition(c, problem))
    for name, density in problem.invariants.items():
        fixed[f"invariant {name}"] = (
            unicode_text(density, space),
            None,
            [sp.sympify(density)],
        )
    values = _values([e for _, _, es in fixed.values() for e in es], problem, points)
    lines = {
        label: Line(
            text, [rest, _tables(es)], [next(values) for _ in es for _ in points]
        )
        for label, (text, rest, es) in fixed.items()
    }
    lines["fields"] = Line(", ".join(map(str, problem.fields)), problem.field_names)
    if problem.domain is not None:
        lines["domain"] = Line(problem.domain.describe(), problem.domain.canonical())
    if problem.time is not None:
        lines["time"] = Line(problem.time.describe(), problem.time.canonical())
    for u in problem.unknowns:
        symbol, *numbers = vars(u).values()
        text = f"{symbol}: {', '.join(map(str, numbers))}"
        lines[f"unknown {symbol}"] = Line(text, [str(symbol), *numbers])
    judged = [problem.judged_names, problem.norm, problem.valid_until]
    lines["judged"] = Line(", ".join(map(str, judged)), judged)
    known = _known_solution(problem)
    if known is not None:
        evaluate, tolerance, words = known
        for name, solution in evaluate(points).items():
            numbers = [_finite(v) for v in np.asarray(solution, dtype=float)]
            lines[f"solution {name}"] = Line(words, None, numbers, tolerance)
    # Sequences become lists, as they are in the file.
    return {
        k: Line(
            line.text[:MAX_TEXT],
            json.loads(json.dumps(line.fixed)),
            line.values,
            line.tolerance,
        )
        for k, line in lines.items()
    }


def _tables(expressions: Sequence[sp.Expr]) -> list[Any]:
    """Return what tells the tables in expressions apart."""
    found = set().union(*(e.atoms(Tabulated) for e in expressions))
    return [
        [f.label, list(f.methods), [_projections(a) for a in (*f.axes, f.values)]]
        for f in sorted({f.func for f in found}, key=lambda f: str(f.label))
    ]


def _condition(c: Condition, problem: Problem) -> tuple[Any, list[sp.Expr]]:
    """Return what a condition holds beside expressions, and its expressions."""
    rest: list[Any] = [type(c).__name__]
    expressions: list[sp.Expr] = []
    for name, value in vars(c).items():
        if isinstance(value, np.ndarray):
            rest.append([name, list(value.shape), _projections(value)])
        elif isinstance(value, sp.Basic):
            expressions.append(value)
        elif isinstance(value, tuple) and all(isinstance(v, sp.Basic) for v in value):
            expressions += value
        else:
            rest.append([name, list(value) if isinstance(value, tuple) else value])
    if isinstance(c, Boundary):
        expressions.append(c.operator(problem.space))
        rest.append(["rules", list(problem.boundaries_of(c))])
    return rest, expressions


def _values(
    expressions: Sequence[sp.Expr], problem: Problem, points: np.ndarray
) -> Iterator[Any]:
    """Give the values of the expressions at the points, one expression after another.

    A derivative, a component of the normal or an unknown coefficient gets a number
    between 0.6 and 1.4 made from its name.
    """
    coordinates = problem.coordinates
    others = {normal(x) for x in problem.space}
    others |= set().union(*(e.free_symbols for e in expressions)) - set(coordinates)
    symbols = sorted(others, key=str)
    functions = set().union(*(e.atoms(AppliedUndef) for e in expressions))
    fields = [
        *problem.fields,
        *sorted(functions - set(problem.fields), key=str),
    ]
    for expression in expressions:
        lowered = lower([expression], fields, coordinates)
        function = numpy_function(
            [*coordinates, *symbols, *lowered.symbols], lowered.algebra
        )
        numbers = [_number(s.name) for s in (*symbols, *lowered.symbols)]
        (value,) = function(*points.T, *numbers)
        # A real function may be written with complex exponentials.
        found = np.real(np.broadcast_to(np.asarray(value), len(points))).astype(float)
        yield from map(_finite, found.tolist())


def _number(name: str) -> float:
    digest = hashlib.sha256(name.encode()).digest()
    return 0.6 + 0.8 * int.from_bytes(digest[:4], "big") / 2**32


def _finite(value: float) -> float | None:
    """Return ten digits of a number, None for NaN and infinity."""
    return float(f"{value:.9e}") if math.isfinite(value) else None


def _known_solution(problem: Problem) -> tuple[Evaluate, float, str] | None:
    if problem.exact is not None:
        texts = [unicode_text(problem.exact[f]) for f in problem.fields]
        return exact_evaluator(problem), TOLERANCE, "; ".join(texts)
    if isinstance(problem.reference, Evaluated):
        known = problem.reference
        tolerance = max(TOLERANCE, 10 * known.error_estimate)
        return known.evaluate, tolerance, known.description
    return None


def _projections(values: np.ndarray) -> list[float]:
    """Return two numbers that change when any value does, and the values' size."""
    flat = np.asarray(values, dtype=float).ravel()
    flat = np.where(np.isfinite(flat), flat, -1.0)
    angles = np.arange(len(flat)) * 0.7548777
    size = float(np.abs(flat).sum())
    return [
        float(flat @ np.cos(angles)) + 2 * size,
        float(flat @ np.sin(2 * angles)) + 2 * size,
        size,
    ]


def _data_lines(made: SignalProblem) -> dict[str, Line]:
    arrays = {
        **{f"given {k}": v for k, v in made.given.items()},
        **{f"truth {k}": v for k, v in (made.truth or {}).items()},
        **{f"axis {k}": v for k, v in made.coordinates.items()},
    }
    lines = {
        label: Line(
            f"array of shape {v.shape}", list(v.shape), _projections(np.asarray(v))
        )
        for label, v in arrays.items()
    }
    lines["task"] = Line(f"{made.task}, {made.metric}", [made.task, made.metric])
    return lines


def _close(a: Any, b: Any, tolerance: float) -> bool:
    """Compare JSON values, numbers (and words that are numbers) up to a tolerance."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_close(a[k], b[k], tolerance) for k in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(
            _close(x, y, tolerance) for x, y in zip(a, b, strict=True)
        )
    if a == b:
        return True
    try:
        return math.isclose(float(a), float(b), rel_tol=tolerance, abs_tol=1e-14)
    except (TypeError, ValueError):
        return False


def _close_values(
    a: Sequence[float | None], b: Sequence[float | None], tolerance: float
) -> bool:
    """Compare values relative to the largest of them; NaN is NaN's equal."""
    if [v is None for v in a] != [v is None for v in b]:
        return False
    mine, pinned = (np.array([v for v in vs if v is not None]) for vs in (a, b))
    scale = float(np.abs(pinned).max(initial=0.0))
    return bool(np.all(np.abs(mine - pinned) <= tolerance * max(scale, 1e-14)))


__all__ = ["Line", "Pin", "load_pin", "make_pin", "pin_of", "statement", "write_pin"]
