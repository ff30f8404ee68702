"""What a reference is worth: its claim, its estimate, and what others say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pinnsuite.errors import OptionError, TruthError
from pinnsuite.problem.catalog import Entry
from pinnsuite.problem.definition import Problem
from pinnsuite.solution.record import Rung
from pinnsuite.solver import Progress, silent
from pinnsuite.verification import cache
from pinnsuite.verification.check import check
from pinnsuite.verification.cross_check import cross_check
from pinnsuite.verification.external import EXTERNAL, external_difference
from pinnsuite.verification.pinned import load_pin, make_pin, pin_of, write_pin
from pinnsuite.verification.reference import Reference, keep, reference, ship

if TYPE_CHECKING:
    from pinnsuite.problem.catalog import AnyProblem

DEAR = 1.0
"""CPU seconds of a reference and its checks from which on it is stored."""

EXTERNAL_FACTOR = 2.0
"""A difference may be this many times the error that the others' values have."""


@dataclass(frozen=True)
class Audit:
    """One row of `pinnsuite verify`.

    Attributes
    ----------
    problem, group
        Its name and the folder that it stands in.
    parameters
        The arguments that made it.
    kind
        `exact`, `evaluated`, `ladder` or `fit`; `data` for what has no equations, and
        `family`; empty where no reference could be made.
    description
        How the reference was got.
    norm, claim
        Which relative error the reference claims to stay below, and how small.
    error_estimate
        By judged field.
    observed_order, expected_order
        Of a ladder.
    rungs
        The convergence study.
    cpu_s
        CPU seconds of the whole study, when it was made.
    is_stored
        It was read, not computed.
    second, second_difference, second_estimate
        The second solver, its largest difference from the reference, and its own error
        estimate for that field; None where there is none.
    external, external_difference, external_error
        The file of others' values, the largest difference from them, and their error.
    faults
        What is wrong; empty if nothing is.
    """

    problem: str
    group: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    kind: str = ""
    description: str = ""
    norm: str = "L2"
    claim: float | None = None
    error_estimate: Mapping[str, float] = field(default_factory=dict)
    observed_order: float | None = None
    expected_order: float | None = None
    rungs: Sequence[Rung] = ()
    cpu_s: float | None = None
    is_stored: bool = False
    second: str = ""
    second_difference: float | None = None
    second_estimate: float | None = None
    external: str = ""
    external_difference: float | None = None
    external_error: float | None = None
    faults: Sequence[str] = ()

    @property
    def is_ok(self) -> bool:
        """Nothing is wrong."""
        return not self.faults

    @property
    def worst(self) -> float | None:
        """The largest error estimate over the fields."""
        return max(self.error_estimate.values(), default=None)


def audit(
    entry: Entry,
    parameters: Mapping[str, Any] | None = None,
    *,
    fresh: bool = False,
    store: bool = False,
    progress: Progress = silent,
) -> Audit:
    """Check a problem, have its reference, and hold it against its claim.

    Parameters
    ----------
    entry, parameters
        Which problem.
    fresh
        Whether to compute the reference and its cross-checks anew.
    store
        Whether to accept the statement and the reference into the catalogue's data.
    progress
        Told about each rung.

    Raises
    ------
    OptionError
        If a problem that is not of the catalogue shall be stored.
    """
    if store:
        require_shipped(entry)
    made = entry.make(**(parameters or {}))
    row = Audit(entry.name, entry.group, dict(made.parameters))
    pin = None if store else pin_of(entry, made)
    faults = [*check(made, solvers=False, pin=pin).faults]
    if not isinstance(made, Problem):
        kind = "family" if entry.returns == "Family" else "data"
        if store and not faults:
            _accept(entry, made, {})
        return replace(row, kind=kind, faults=faults)
    try:
        truth = reference(made, fresh=fresh, progress=progress)
        truth = _audited(entry, made, truth)
    except TruthError as error:
        return replace(row, claim=made.claim, faults=[*faults, str(error)])
    row = _filled(row, made, truth, faults)
    if store and not faults:
        seconds = truth.study_s
        seconds += truth.cross_check.cpu_s if truth.cross_check else 0.0
        shipped = {}
        if seconds >= DEAR and row.is_ok:
            written = {**ship(made, truth), "parameters": dict(made.parameters)}
            shipped = {truth.hash: written}
        _accept(entry, made, shipped)
    return row


def require_shipped(entry: Entry) -> None:
    """Raise `OptionError` for a problem that is not of the package's catalogue."""
    if not entry.is_shipped:
        raise OptionError(
            f"{entry.path} is not in the package's catalogue; --store writes into the "
            "data of the package. Its reference is kept in the cache anyway."
        )


def _audited(entry: Entry, problem: Problem, truth: Reference) -> Reference:
    """Return the reference with what a second code and others say of it."""
    if truth.is_audited:
        return truth
    if truth.cross_check is None and truth.kind in ("evaluated", "ladder"):
        truth = replace(truth, cross_check=cross_check(problem, truth))
    others = EXTERNAL.get(problem.name)
    is_standard = dict(problem.parameters) == entry.defaults()
    if others is not None and entry.is_shipped and is_standard:
        found = external_difference(problem, truth, others)
        truth = replace(truth, external=found)
    truth = replace(truth, is_audited=True)
    keep(truth)
    return truth


def _filled(row: Audit, problem: Problem, truth: Reference, faults: list[str]) -> Audit:
    row = replace(
        row,
        kind=truth.kind,
        description=truth.description,
        norm=problem.norm,
        claim=problem.claim,
        error_estimate=dict(truth.error_estimate),
        observed_order=truth.observed_order,
        expected_order=truth.expected_order,
        rungs=truth.rungs,
        cpu_s=truth.study_s,
        is_stored=truth.is_stored,
    )
    found = list(faults)
    for name, estimate in truth.error_estimate.items():
        if not estimate <= problem.claim:
            found.append(
                f"the error estimate of {name} is {estimate:.1e}, above the claim of "
                f"{problem.claim:.0e}"
            )
    second = truth.cross_check
    if second is not None:
        name = max(second.difference, key=lambda k: second.difference[k])
        row = replace(
            row,
            second=second.solver,
            second_difference=second.difference[name],
            second_estimate=second.error_estimate[name],
        )
        if not second.agrees:
            found.append(
                f"{second.solver} is {second.difference[name]:.1e} away in {name}, and "
                f"expects an error of {second.error_estimate[name]:.1e} itself"
            )
    others = EXTERNAL.get(problem.name)
    if others is not None and truth.external:
        worst = max(truth.external.values())
        row = replace(
            row,
            external=others.file,
            external_difference=worst,
            external_error=others.error,
        )
        if worst > EXTERNAL_FACTOR * (others.error + problem.claim):
            found.append(
                f"{others.file} is {worst:.1e} away, and its error is "
                f"{others.error:.1e}"
            )
    return replace(row, faults=found)


def _accept(
    entry: Entry, made: AnyProblem, references: Mapping[str, Mapping[str, Any]]
) -> None:
    """Pin what is stated, and the references; drop those that these replace."""
    standard = entry.make()
    old = load_pin(entry.name)
    kept: dict[str, Mapping[str, Any]] = {}
    if old is not None:
        is_same = not old.faults(standard)
        for key, known in old.references.items():
            if is_same and known["parameters"] != dict(made.parameters):
                kept[key] = known
            elif key not in references:
                cache.drop_shipped(known["file"])
    write_pin(make_pin(standard, {**kept, **references}))


__all__ = ["Audit", "audit"]
