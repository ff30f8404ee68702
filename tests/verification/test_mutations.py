"""One wrong sign in any file of the catalogue makes the check fail.

Every `+` and `-` of a file is flipped, one at a time. A flip that changes no
mathematics (a quantity of interest, a hint, the placing of a resolution) is left out by
comparing what the problems state, not by a list.
"""

import ast
import contextlib
import copy
import random
import signal
import time
import types
import warnings
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from pinnsuite.errors import PinnsuiteError
from pinnsuite.problem import Evaluated, Family, Problem, SignalProblem
from pinnsuite.problem.catalog import entries
from pinnsuite.verification import check
from pinnsuite.verification.pinned import load_pin, make_pin, statement

ENTRIES = entries()
FILES = sorted({e.path for e in ENTRIES.values()})
FLIPS = {ast.Add: ast.Sub, ast.Sub: ast.Add}
PER_FILE = 1

MANY = 512
"""Points at which two problems are compared that state themselves differently."""

LIMIT = 5.0
"""CPU seconds that a mutant may take beyond three times those of the unchanged file."""

# What is raised where nothing can catch it, as in a callback of the garbage collector,
# is lost but for a warning; `limited` raises again.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


def flippable(tree):
    """The places where a sign stands, in the order of the text."""
    return [
        node
        for node in ast.walk(tree)
        if (isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in FLIPS)
        or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub))
    ]


def mutants(path):
    """Every file with one sign flipped: (line, module), made when asked for."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    for k, original in enumerate(flippable(tree)):
        changed = copy.deepcopy(tree)
        node = flippable(changed)[k]
        node.op = (
            ast.UAdd() if isinstance(node, ast.UnaryOp) else FLIPS[type(node.op)]()
        )
        yield original.lineno, changed


def problems_of(tree, path):
    """Make the problems of a file from its syntax tree, at their default arguments."""
    module = types.ModuleType("mutant")
    module.__file__ = str(path)
    exec(compile(ast.fix_missing_locations(tree), str(path), "exec"), vars(module))
    names = [e.name for e in ENTRIES.values() if e.path == path]
    return {name: getattr(module, name)() for name in names}


def same_mathematics(a, b):
    """Two problems state the same, and know the same solution."""
    same = a.definition_hash == b.definition_hash or same_values(a, b)
    return same and (not isinstance(a, Problem) or same_solution(a, b))


def same_values(a, b):
    """Two ways to write the same, as |sin(x + 5π)| and |sin(x - 5π)|."""
    if isinstance(a, SignalProblem):
        return False
    problem = a.member(0) if isinstance(a, Family) else a
    points = []
    if problem.time is not None:
        start, end = problem.time.start, problem.time.end
        points.append(np.linspace(start, end, MANY)[:, None])
    if problem.domain is not None:
        points.append(problem.domain.sample_interior(MANY, seed=77))
    points = np.hstack(points).tolist()
    one, two = statement(a, points), statement(b, points)
    return all(one[k].is_same(two[k]) for k in one if not k.startswith("solution"))


def same_solution(a, b):
    if a.exact is not None:
        return b.exact is not None and sp.srepr(a.exact) == sp.srepr(b.exact)
    if not isinstance(a.reference, Evaluated):
        return True
    points = np.array(make_pin(a).points) * 0.999
    one, two = a.reference.evaluate(points), b.reference.evaluate(points)
    tolerance = 100 * max(a.reference.error_estimate, 1e-8)
    return all(
        np.abs(one[k] - two[k]).max() <= tolerance * np.abs(one[k]).max() for k in one
    )


def survivors(path, choose=list):
    """Lines of flips that change the mathematics and that no check notices."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.process_time()
        originals = problems_of(tree, path)
        pins = {k: load_pin(k) or make_pin(p) for k, p in originals.items()}
        assert not noticed(originals, pins)
        limit = LIMIT + 3 * (time.process_time() - began)
        return [
            line
            for line, changed in choose(mutants(path))
            if survives(changed, path, originals, pins, limit)
        ]


@contextlib.contextmanager
def limited(seconds):
    """A wrong sign may let a problem's own integration grow without end."""

    def stop(*_):
        raise TimeoutError

    # Time in the kernel counts too, where growing memory is spent; and again a second
    # later, should the first have been lost.
    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def survives(changed, path, originals, pins, limit):
    try:
        with limited(limit):
            made = problems_of(changed, path)
            if noticed(made, pins):
                return False
            return not all(same_mathematics(originals[k], made[k]) for k in made)
    except (PinnsuiteError, ArithmeticError, ValueError, TypeError, LookupError):
        return False  # an error with the line of the file: the check fails
    except TimeoutError:
        return False


def noticed(made, pins):
    return (
        any(restated(made[k], pins[k]) for k in made)
        or any(pins[k].faults(made[k]) for k in made)
        or any(check(p, solvers=False).faults for p in made.values())
    )


def restated(made, pin):
    """Something beside the known solution, which may take seconds, is another."""
    if not isinstance(made, Problem):
        return False
    lines = {k: v for k, v in pin.lines.items() if not k.startswith("solution")}
    unsolved = replace(made, exact=None, reference=None)
    return bool(replace(pin, lines=lines).faults(unsolved))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_flipped_sign_is_noticed(path):
    def few(found):
        found = list(found)
        return random.Random(path.stem).sample(found, min(PER_FILE, len(found)))

    assert survivors(path, few) == []


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_flipped_sign_is_noticed(path):
    assert survivors(path) == []
