"""What can go wrong, in the order in which a run meets it."""

import difflib
from collections.abc import Iterable


class PinnsuiteError(Exception):
    """The root of every error that the package raises on purpose."""


class DefinitionError(PinnsuiteError, ValueError):
    """A problem, domain or family is not well defined; the message says where."""


class MeshError(DefinitionError):
    """A mesh cannot be read, made or used; the message says what is needed."""


class OptionError(PinnsuiteError, ValueError):
    """An option, a name or a suite file is wrong; the message gives the way out."""


class DataError(PinnsuiteError, ValueError):
    """A file of results, references or measurements is missing or damaged."""


class UnsupportedProblemError(PinnsuiteError, ValueError):
    """The solver cannot express this problem; the message says which part."""


class SolveError(PinnsuiteError, RuntimeError):
    """The solver ran and failed; raised by `Solution.require_ok`."""


class TruthError(PinnsuiteError, RuntimeError):
    """No reference can be given, or the one given contradicts the problem."""


def unknown_name(what: str, name: str, known: Iterable[str]) -> str:
    """Return the sentence for a name that nobody knows, with the nearest known one."""
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown {what}: {name!r}.{hint} Known: {', '.join(choices)}."
