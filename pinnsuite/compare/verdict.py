"""Conclusions that are computed from records: a learned solver beside classical ones.

A verdict has exactly one code. It is about one problem, one error and one machine, and
says so. The error ε of the claim is the tightest that both sides reach: 80 % of the
seeds of the learned solver, and the best of the classical candidates, rounded up to 1,
2 or 5 times a power of ten. The classical solver is then judged by its cheapest run
that reaches ε, and the learned one by when each of its seeds got there to stay.
"""

from __future__ import annotations

import enum
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pinnsuite.compare import wording
from pinnsuite.compare.breakeven import breakeven
from pinnsuite.compare.convergence import CREDIBLE
from pinnsuite.compare.metrics import FIELD_METRICS
from pinnsuite.compare.statistics import ratio_interval
from pinnsuite.compare.work_precision import (
    configuration,
    error_at,
    is_learned,
    time_to_error,
    usable_error,
)
from pinnsuite.solution.record import Record
from pinnsuite.solution.solution import Status

SHARE = 0.8
"""Part of the seeds that must reach an error before a time to it is given."""

TIE_BAND = (0.8, 1.25)
"""Ratios inside it are no difference."""

VOID_BAND = (0.1, 10.0)
"""The band when the ratio is void (mixed hardware, load): only orders of magnitude."""

MIN_CANDIDATES = 3
"""Classical runs that a baseline is chosen from."""

OVER_RESOLVED = 5.0
"""A baseline whose error is this much below ε was run on too fine a grid for it, unless
a coarser run of the same solver misses ε."""

NOTABLE = 1.05
"""Error rates and code lengths that differ by this factor are worth a word."""

CEILING = 0.1
"""A relative L2 error above it is no solution, where some run does better."""

SEEDS_FOR_A_CLAIM = 5

SCOPE = "on this problem, at this error, on this machine"


Side = Literal["learned", "classical"]


class Code(enum.StrEnum):
    """The ten verdicts."""

    INCOMPLETE = "INCOMPLETE"
    REFERENCE_LIMITED = "REFERENCE-LIMITED"
    UNVERIFIED_BASELINE = "UNVERIFIED-BASELINE"
    WEAK_BASELINE = "WEAK-BASELINE"
    FASTER = "FASTER"
    MORE_ACCURATE = "MORE-ACCURATE"
    NOT_REACHED = "NOT-REACHED"
    AMORTISED = "AMORTISED"
    NEVER_PAYS = "NEVER-PAYS"
    TIE = "TIE"


@dataclass(frozen=True)
class Verdict:
    """One claim.

    Attributes
    ----------
    code
        What kind of claim.
    problem, learned, classical
        Names; `classical` is the candidate that the claim rests on, empty without one.
    sentence
        The claim in words, its scope included.
    error
        ε, where the claim has one.
    ratio
        Time of the learned over that of the classical solver with its 95 % interval;
        None where it is not computed or void.
    winner
        Which side the claim favours, None where it favours neither.
    caveats
        What a reader must know beside it.
    """

    code: Code
    problem: str
    learned: str
    classical: str
    sentence: str
    error: float | None = None
    ratio: tuple[float, float, float] | None = None
    winner: Side | None = None
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Claim:
    """Code and words before scope and caveats are added."""

    code: Code
    text: str
    error: float | None = None
    ratio: tuple[float, float, float] | None = None
    classical: str = ""
    winner: Side | None = None


def verdicts(records: Iterable[Record]) -> list[Verdict]:
    """Return one verdict for each problem and learned solver in `records`.

    Records of one problem (name, mathematics and task) are compared; those of one
    learned solver with equal options are its seeds, all others of the problem that are
    not learned are the classical candidates.
    """
    problems: dict[tuple[str, str, str], list[Record]] = {}
    for r in records:
        key = (r.problem.id, r.problem.definition_hash, r.problem.task)
        problems.setdefault(key, []).append(r)
    found = []
    for group in problems.values():
        classical = [r for r in group if not is_learned(r)]
        learned: dict[str, list[Record]] = {}
        for r in group:
            if is_learned(r):
                learned.setdefault(configuration(r), []).append(r)
        found += [verdict(seeds, classical) for seeds in learned.values()]
    return found


def verdict(
    learned: Sequence[Record],
    classical: Sequence[Record],
    *,
    target: float | None = None,
) -> Verdict:
    """Return the verdict on one learned solver.

    Parameters
    ----------
    learned
        Its seeds on one problem, the failed ones too; at least one.
    classical
        Every classical run on the same problem; unsupported ones are left out.
    target
        ε; without it the tightest error that both sides reach.
    """
    first = learned[0]
    # What does not take the problem has neither failed on it nor is it a baseline.
    classical = [r for r in classical if r.status is not Status.UNSUPPORTED]
    claim = (
        _incomplete(learned, classical)
        or _unverified(classical)
        or _compared(learned, classical, target)
    )
    return Verdict(
        claim.code,
        first.problem.id,
        first.solver.id,
        claim.classical,
        f"{claim.text}, {SCOPE}.",
        claim.error,
        claim.ratio,
        claim.winner,
        _caveats(learned, classical),
    )


def reference_error(record: Record) -> float | None:
    """Return the reference's own error, in the metric of the record.

    Closed forms and held-out measurements have none, unless they state one.
    """
    if record.reference is None:
        return None
    stated = record.reference.error_estimate
    if stated:
        return stated.get(record.error.metric, max(stated.values()))
    return 0.0 if record.reference.kind in ("exact", "data") else None


def _incomplete(
    learned: Sequence[Record], classical: Sequence[Record]
) -> _Claim | None:
    missing = []
    if not classical:
        missing.append("a classical run")
    everyone = [*learned, *classical]
    if any(r.reference is None for r in everyone):
        missing.append("the reference")
    elif any(reference_error(r) is None for r in everyone):
        missing.append("the reference's own error")
    if len({r.reference.hash for r in everyone if r.reference}) > 1:
        missing.append("one reference for all runs")
    finished = [r for r in everyone if r.status == "ok"]
    if any(r.error.value is None for r in finished):
        missing.append("the error of a finished run")
    if any(not r.cost for r in finished):
        missing.append("the cost of a finished run")
    if not missing:
        return None
    return _Claim(Code.INCOMPLETE, f"No verdict: missing is {' and '.join(missing)}")


def _unverified(classical: Sequence[Record]) -> _Claim | None:
    """Set a solver aside unless its order was seen; spectral ones declare none."""
    if any(map(_is_verified, classical)):
        return None
    r = classical[0].solver
    seen = (
        "its order was never measured"
        if r.observed_order is None
        else f"its observed order is {r.observed_order:.2f}"
    )
    return _Claim(
        Code.UNVERIFIED_BASELINE,
        f"No verdict: {r.id} declares order {r.expected_order:g} and {seen}",
        classical=r.id,
    )


def _is_verified(record: Record) -> bool:
    expected, seen = record.solver.expected_order, record.solver.observed_order
    if expected is None:
        return True
    return seen is not None and abs(seen - expected) <= CREDIBLE


def _compared(
    learned: Sequence[Record], classical: Sequence[Record], target: float | None
) -> _Claim:
    candidates = [r for r in classical if _is_verified(r)]
    metric = learned[0].error.metric
    error = target or _common_error(learned, candidates)
    limit = reference_error(learned[0])
    assert limit is not None  # _incomplete has seen to it
    if limit > 0.1 * error:
        return _Claim(
            Code.REFERENCE_LIMITED,
            f"The reference is known to {wording.error(limit, metric)} only, which is "
            f"not ten times below {wording.error(error, metric)}: both solvers are at "
            "or below its accuracy and the ranking is withheld",
            error,
        )
    claim = _not_reached(learned, candidates, error)
    if claim is not None:
        return claim
    baseline = min(
        (r for r in candidates if usable_error(r) <= error), key=lambda r: r.compared_s
    )
    if learned[0].amortised is not None:
        claim = _amortised(learned, candidates, baseline)
    else:
        claim = _timed(learned, candidates, baseline, error)
    weakness = _weakness(candidates, baseline, error)
    if weakness and claim.code is not Code.INCOMPLETE:
        text = f"Weak baseline ({weakness}): {claim.text}"
        return replace(claim, code=Code.WEAK_BASELINE, text=text)
    return claim


def _common_error(learned: Sequence[Record], candidates: Sequence[Record]) -> float:
    metric = learned[0].error.metric
    errors = sorted(usable_error(r) for r in learned)
    by_learned = errors[math.ceil(SHARE * len(errors)) - 1]
    by_classical = min(usable_error(r) for r in candidates)
    if not math.isfinite(by_learned):
        by_learned = max(filter(math.isfinite, errors), default=CEILING)
    sides = [e for e in (by_learned, by_classical) if math.isfinite(e)]
    error = _round_up(max(sides), metric)
    if metric in FIELD_METRICS and min([*sides, *errors]) <= CEILING:
        return min(error, CEILING)
    return error


def _round_up(error: float, metric: str) -> float:
    """Return the next of 1, 2, 5 times a power of ten; other metrics stay."""
    if metric not in FIELD_METRICS or error <= 0:
        return error
    power = 10.0 ** math.floor(math.log10(error))
    steps = (f * power for f in (1, 2, 5, 10))
    return next(float(f"{s:.0e}") for s in steps if error <= s * (1 + 1e-12))


def _not_reached(
    learned: Sequence[Record], candidates: Sequence[Record], error: float
) -> _Claim | None:
    metric = learned[0].error.metric
    shown = wording.error(error, metric)
    reached = [r for r in learned if usable_error(r) <= error]
    if len(reached) < SHARE * len(learned):
        by_classical = any(usable_error(r) <= error for r in candidates)
        return _Claim(
            Code.NOT_REACHED,
            f"{learned[0].solver.id} does not reach {shown}: "
            f"{_shortfall(learned, error)}; {_classical_side(candidates, error)}",
            error,
            winner="classical" if by_classical else None,
        )
    if all(usable_error(r) > error for r in candidates):
        best = min(candidates, key=usable_error)
        least = usable_error(best)
        return _Claim(
            Code.NOT_REACHED,
            f"{learned[0].solver.id} reaches {shown} and no classical candidate does; "
            + (
                f"the best, {best.solver.id}, ends at {wording.error(least, metric)}"
                if math.isfinite(least)
                else f"all {len(candidates)} failed"
            ),
            error,
            classical=best.solver.id,
            winner="learned",
        )
    return None


def _shortfall(learned: Sequence[Record], error: float) -> str:
    """Say how far the seeds came that do not reach `error`."""
    metric = learned[0].error.metric
    errors = sorted(usable_error(r) for r in learned)
    if len(errors) == 1:
        if math.isfinite(errors[0]):
            return f"its error is {wording.error(errors[0], metric)}"
        return f"its run ended as {learned[0].status.value}"
    reached = sum(e <= error for e in errors)
    words = f"{reached} of {len(errors)} seeds do"
    middle = statistics.median_low(errors)
    if math.isfinite(middle):
        return f"{words}, their median error is {wording.error(middle, metric)}"
    return f"{words}, {sum(not math.isfinite(e) for e in errors)} failed"


def _classical_side(candidates: Sequence[Record], error: float) -> str:
    able = [r for r in candidates if usable_error(r) <= error]
    if not able:
        return "no classical candidate does either"
    best = min(able, key=lambda r: r.compared_s)
    return f"{best.solver.id} does in {wording.seconds(best.compared_s)}"


def _timed(
    learned: Sequence[Record],
    candidates: Sequence[Record],
    baseline: Record,
    error: float,
) -> _Claim:
    metric = learned[0].error.metric
    name, other = learned[0].solver.id, baseline.solver.id
    times = [time_to_error(r, error) for r in learned]
    times = [t for t in times if math.isfinite(t)]
    here = [r.compared_s for r in candidates if _same_run(r, baseline)]
    ratio = ratio_interval(times, here)
    void = bool(_void_reasons([*learned, baseline]))
    low, high = VOID_BAND if void else TIE_BAND
    seeds = f"{len(times)} {_seeds(len(times))}"
    shown = wording.error(error, metric)
    mine, theirs = statistics.median(times), statistics.median(here)
    if ratio[1] > high or ratio[2] < low:
        quick, slow = (name, mine), (other, theirs)
        shown_ratio = (1 / ratio[0], 1 / ratio[2], 1 / ratio[1])
        if ratio[0] > 1:
            quick, slow, shown_ratio = slow, quick, ratio
        words = [wording.times(r) for r in shown_ratio]
        number = f"ratio {words[0]}"
        if void:
            number = "ratio withheld"
        elif ratio[1] < ratio[2]:
            number += f" [{words[1]}, {words[2]}]"
        return _Claim(
            Code.FASTER,
            f"{quick[0]} reaches {shown} in {wording.seconds(quick[1])}, {slow[0]} in "
            f"{wording.seconds(slow[1])} ({number}, {seeds})"
            f"{_beyond(learned, candidates, error)}",
            error,
            None if void else ratio,
            other,
            "classical" if ratio[0] > 1 else "learned",
        )
    return _at_equal_time(learned, candidates, baseline, error, max(mine, theirs))


def _beyond(
    learned: Sequence[Record], candidates: Sequence[Record], error: float
) -> str:
    """Say which side alone goes on to much smaller errors, so that ε is not all."""
    metric = learned[0].error.metric
    mine = statistics.median(usable_error(r) for r in learned)
    best = min(candidates, key=usable_error)
    sides = ((learned[0].solver.id, mine), (best.solver.id, usable_error(best)))
    (name, least), (_, most) = sorted(sides, key=lambda s: s[1])
    factor = OVER_RESOLVED if metric in FIELD_METRICS else NOTABLE
    if least * factor < min(error, most):
        return f"; {name} goes on to {wording.error(least, metric)}"
    return ""


def _at_equal_time(
    learned: Sequence[Record],
    candidates: Sequence[Record],
    baseline: Record,
    error: float,
    moment: float,
) -> _Claim:
    metric = learned[0].error.metric
    name, seeds = learned[0].solver.id, f"{len(learned)} {_seeds(len(learned))}"
    mine = [e for e in (error_at(r, moment) for r in learned) if math.isfinite(e)]
    able = [r for r in candidates if r.compared_s <= moment]
    best = min(able, key=usable_error, default=baseline)
    theirs = usable_error(best)
    if mine and min(mine) > 0 and theirs > 0 and len(mine) >= SHARE * len(learned):
        _, low, high = ratio_interval(mine, [theirs])
        if high < TIE_BAND[0] or low > TIE_BAND[1]:
            sides = [(name, statistics.median(mine)), (best.solver.id, theirs)]
            sides.sort(key=lambda s: s[1])
            is_better = high < TIE_BAND[0]
            return _Claim(
                Code.MORE_ACCURATE,
                f"After {wording.seconds(moment)} {sides[0][0]} is at "
                f"{wording.error(sides[0][1], metric)} and {sides[1][0]} at "
                f"{wording.error(sides[1][1], metric)} ({seeds})",
                error,
                classical=best.solver.id,
                winner="learned" if is_better else "classical",
            )
    middle = statistics.median(usable_error(r) for r in learned)
    return _Claim(
        Code.TIE,
        f"No difference shown with {seeds} between {name} "
        f"({wording.error(middle, metric)}) "
        f"and {baseline.solver.id} ({wording.error(usable_error(baseline), metric)})",
        error,
        classical=baseline.solver.id,
    )


def _amortised(
    learned: Sequence[Record], candidates: Sequence[Record], baseline: Record
) -> _Claim:
    """Return the break-even count, at the median seed's own error."""
    name = learned[0].solver.id
    able = [r for r in learned if math.isfinite(usable_error(r)) and r.amortised]
    middle = sorted(able, key=usable_error)[(len(able) - 1) // 2]
    cost, error = middle.amortised, usable_error(middle)
    assert cost is not None  # chosen among those that have it
    rungs = [
        (usable_error(r), r.amortised.infer_s)
        for r in candidates
        if r.amortised is not None
        and r.solver.id == baseline.solver.id
        and math.isfinite(usable_error(r))
    ]
    tuned = sum(r.cost["tune"].cpu_s for r in [middle] if "tune" in r.cost)
    result = breakeven(
        once_s=cost.data_s + tuned + cost.train_s,
        infer_s=cost.infer_s,
        error=error,
        classical_errors=_array(e for e, _ in rungs),
        classical_s=_array(s for _, s in rungs),
    )
    text = result.sentence.rstrip(".")
    sides: dict[str, Side] = {"AMORTISED": "learned", "NEVER-PAYS": "classical"}
    return _Claim(
        Code(result.code),
        f"{name} beside {baseline.solver.id}: {text[0].lower()}{text[1:]}",
        error,
        classical=baseline.solver.id,
        winner=sides.get(result.code),
    )


def _weakness(
    candidates: Sequence[Record], baseline: Record, error: float
) -> str | None:
    able = {configuration(r) for r in candidates if math.isfinite(usable_error(r))}
    if len(able) < MIN_CANDIDATES:
        one = len(able) == 1
        return f"{len(able)} classical candidate{'' if one else 's'}, 3 are needed"
    if baseline.error.metric not in FIELD_METRICS:
        return None
    found = usable_error(baseline)
    # A coarser run that misses ε shows that this one is the coarsest that meets it.
    is_bracketed = any(
        error < usable_error(r) < math.inf
        and r.solver.id == baseline.solver.id
        and r.compared_s <= baseline.compared_s
        for r in candidates
    )
    if found < error / OVER_RESOLVED and not is_bracketed:
        return (
            f"{baseline.solver.id} is over-resolved: its cheapest run has error "
            f"{wording.error(found)}"
        )
    return None


def _same_run(one: Record, other: Record) -> bool:
    return configuration(one) == configuration(other)


def _void_reasons(records: Sequence[Record]) -> list[str]:
    """Return what makes a ratio of times mean nothing."""
    reasons = []
    machines = {(r.machine.cpu, r.machine.threads, r.machine.gpu) for r in records}
    if len(machines) > 1:
        reasons.append("mixed hardware")
    if len({(r.precision.parameters, r.precision.compute) for r in records}) > 1:
        reasons.append("mixed precision")
    load = max(max(r.machine.load_before, r.machine.load_after) for r in records)
    if load > min(r.machine.cores for r in records):
        reasons.append(f"load above the cores ({load:.1f})")
    return reasons


def _caveats(learned: Sequence[Record], classical: Sequence[Record]) -> tuple[str, ...]:
    everyone = [*learned, *classical]
    found = [f"{reason}: ratio void" for reason in _void_reasons(everyone)]
    if any(r.effort.selector_used_reference for r in everyone):
        found.append("tuned on the reference")
    if len(learned) == 1:
        found.append("single seed")
    elif len(learned) < SEEDS_FOR_A_CLAIM:
        found.append(f"{len(learned)} seeds, {SEEDS_FOR_A_CLAIM} needed for a claim")
    return tuple(found)


def _seeds(count: int) -> str:
    return "seed" if count == 1 else "seeds"


def _array(values: Iterable[float]) -> np.ndarray:
    return np.fromiter(values, float)
