"""What is solved: fields, equations, domain and conditions, checked when made."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef

from pinnsuite.errors import DefinitionError, unknown_name
from pinnsuite.problem.conditions import (
    EVERYWHERE,
    Boundary,
    Condition,
    Flux,
    Initial,
    Observed,
    Obstacle,
    Periodic,
    Unknown,
    UnknownField,
    normal,
)
from pinnsuite.problem.domain import Box, Domain, TimeInterval

logger = logging.getLogger(__name__)

HINTS = {
    "elements": "finite element of each field by name, such as {'u': 'P2', 'p': 'P1'}",
    "fluxes": "names of fields that are no part of the answer, see `mixed`",
    "gauge": "name of the field that is fixed up to a constant: its mean is set to 0",
    "mesh_size": "edge length of the meshes that solvers and pictures start from",
}
"""What an author may tell a solver beside the mathematics."""

NORMS = ("L2", "L1")
"""What errors may be measured in, see `Problem.norm`."""

Evaluate = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""Fields at points: array (n, coordinates) -> {field name: array (n,)}."""


def coordinates(names: str) -> tuple[sp.Symbol, ...]:
    """Return real symbols for space and time, `coordinates("t x y")`."""
    return tuple(sp.Symbol(name, real=True) for name in names.replace(",", " ").split())


def field_of(name: str, *where: sp.Symbol) -> AppliedUndef:
    """Return the unknown field `name(*where)`, time first."""
    applied: AppliedUndef = sp.Function(name, real=True)(*where)
    return applied


def D(expression: sp.Expr, *variables: Any) -> sp.Derivative:
    """Return an unevaluated derivative: `D(u, x)`, `D(u, x, 2)`, `D(k * D(u, x), x)`.

    It stays unevaluated, so that `D(k * D(u, x), x)` keeps its flux `k u_x`.
    """
    counts: list[Any] = []
    for variable in variables:
        if isinstance(variable, int):
            counts[-1] = (counts[-1], variable)
        else:
            counts.append(variable)
    return sp.Derivative(expression, *counts, evaluate=False)


def grad(expression: sp.Expr, space: Sequence[sp.Symbol]) -> tuple[sp.Expr, ...]:
    """Return the gradient's components, unevaluated."""
    return tuple(D(expression, x) for x in space)


def div(flux: Sequence[sp.Expr], space: Sequence[sp.Symbol]) -> sp.Expr:
    """Return `∇·F`, unevaluated: the flux F is kept."""
    return sp.Add(*(D(f, x) for f, x in zip(flux, space, strict=True)))


def laplacian(expression: sp.Expr, space: Sequence[sp.Symbol]) -> sp.Expr:
    """Return `∇²u`, one second derivative a coordinate."""
    return sp.Add(*(D(expression, x, 2) for x in space))


@dataclass(frozen=True)
class Evaluated:
    """A known solution that is evaluated by a formula, an integral or a series.

    Attributes
    ----------
    evaluate
        Fields at points, columns in the order of the problem's coordinates.
    error_estimate
        Relative L2 error of the evaluation itself.
    description
        How it is computed, with its source.
    """

    evaluate: Evaluate
    error_estimate: float
    description: str


@dataclass(frozen=True)
class Ladder:
    """Which classical solver gives the reference, by name and options of its start.

    The solver is refined step by step; the error bar comes from the observed order.
    """

    solver: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Problem:
    """Equations on a domain with conditions; a page of a textbook.

    Attributes
    ----------
    name
        What it is called on the command line.
    fields
        `field_of("u", t, x)` and so on; equation i is paired with field i. Behind them
        come the coefficient functions that are unknown.
    equations
        Residuals, each equal to zero. Flux form is kept: write `div(k*grad(u))`.
    conditions
        Their order is their precedence where boundaries meet: the first one wins.
    domain
        Where, in space; None for a system of ordinary differential equations.
    time
        When; None for a stationary problem.
    unknowns
        Coefficients to be identified from `Observed` conditions: numbers (`Unknown`)
        and functions (`UnknownField`).
    exact
        A closed-form solution, one expression a field.
    reference
        A computed solution (`Evaluated`) or the solver for one (`Ladder`).
    judged
        The fields that solutions are compared by; all of them if empty. A pressure that
        is singular in a corner cannot be one.
    accuracy
        Relative error, per judged field, that the reference claims to stay below; see
        `claim`. Weaker than the rule only for a reason that the docstring states.
    norm
        What errors are measured in, relative to the reference: "L2", or "L1" where
        solutions jump. A jump that is off by a share of a cell costs L1 that share, but
        L2 its square root, so there relative L2 falls only like h^(1/2).
    valid_until
        Chaos: the last time at which pointwise comparison means something.
    invariants
        Densities whose integral over space does not change in time, by name.
    quantities
        Numbers of interest, by name, each a function of `at(points) -> fields`.
    hints
        What a solver may use; see `HINTS`.
    parameters
        The arguments that made the problem, set by the catalogue.
    source
        Where it is from: book or paper with DOI, section, equation.
    tags
        Words to find it by.
    """

    name: str
    fields: Sequence[AppliedUndef]
    equations: Sequence[sp.Expr]
    conditions: Sequence[Condition]
    domain: Domain | None = None
    time: TimeInterval | None = None
    unknowns: Sequence[Unknown | UnknownField] = ()
    exact: Mapping[AppliedUndef, sp.Expr] | None = None
    reference: Evaluated | Ladder | None = None
    judged: Sequence[AppliedUndef] = ()
    norm: str = "L2"
    accuracy: float | None = None
    valid_until: float | None = None
    invariants: Mapping[str, sp.Expr] = field(default_factory=dict)
    quantities: Mapping[str, Callable[[Evaluate], float]] = field(default_factory=dict)
    hints: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    tags: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("fields", "conditions", "unknowns", "judged", "tags"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(
            self, "equations", tuple(sp.sympify(e) for e in self.equations)
        )
        if self.exact is not None:
            exact = {f: sp.sympify(e) for f, e in self.exact.items()}
            object.__setattr__(self, "exact", exact)
        _check(self)

    @property
    def space(self) -> tuple[sp.Symbol, ...]:
        """The space coordinates."""
        return () if self.domain is None else self.domain.coordinates

    @property
    def coordinates(self) -> tuple[sp.Symbol, ...]:
        """Time first, then space: the order of columns in every array of points."""
        return (() if self.time is None else (self.time.coordinate,)) + self.space

    @property
    def unknown_scalars(self) -> tuple[Unknown, ...]:
        """The unknown coefficients that are numbers."""
        return tuple(u for u in self.unknowns if isinstance(u, Unknown))

    @property
    def unknown_fields(self) -> tuple[UnknownField, ...]:
        """The unknown coefficients that are functions."""
        return tuple(u for u in self.unknowns if isinstance(u, UnknownField))

    @property
    def states(self) -> tuple[AppliedUndef, ...]:
        """The fields that the equations determine: all but the unknown coefficients."""
        return tuple(self.fields[: len(self.fields) - len(self.unknown_fields)])

    @property
    def field_names(self) -> tuple[str, ...]:
        """The names of the fields, in their order."""
        return tuple(f.func.__name__ for f in self.fields)

    @property
    def judged_names(self) -> tuple[str, ...]:
        """The names of the fields that solutions are compared by."""
        return tuple(f.func.__name__ for f in self.judged or self.fields)

    @property
    def kind(self) -> str:
        """`pde` with space coordinates, else `dynamics`."""
        return "pde" if self.domain is not None else "dynamics"

    @property
    def dimension(self) -> int:
        """The number of space coordinates."""
        return len(self.space)

    @property
    def claim(self) -> float:
        """The relative error that the reference claims to stay below.

        `accuracy` where it is given, else 1e-5, and 1e-3 for shocks (the norm "L1") and
        in three and more dimensions.
        """
        if self.accuracy is not None:
            return self.accuracy
        is_hard = self.dimension > 2 or self.norm == "L1"
        return 1e-3 if is_hard else 1e-5

    def conditions_of(self, cls: type[Any]) -> tuple[Any, ...]:
        """Return the conditions of one class, in their order."""
        return tuple(c for c in self.conditions if isinstance(c, cls))

    def boundaries_of(self, condition: Boundary) -> tuple[str, ...]:
        """Return the domain's boundary names that `condition` rules.

        An equation of order 2m in a field takes m conditions a boundary. One that holds
        on "boundary", everywhere, leaves out the sides that earlier conditions have
        taken, and periodic sides; one that names its sides holds there.
        """
        if self.domain is None:
            return ()
        if EVERYWHERE not in condition.on:
            return tuple(condition.on)
        i = self.fields.index(condition.field)
        orders = [
            derivative_orders(self.equations, self.fields, x)[i] for x in self.space
        ]
        needed = max(1, max(orders) // 2)
        taken: list[str] = []
        for p in self.conditions_of(Periodic):
            assert isinstance(self.domain, Box)
            taken += self.domain.sides(p.along) * needed
        for c in self.conditions_of(Boundary):
            if c is condition:
                break
            if c.field == condition.field:
                same = type(c) is type(condition)
                taken += list(_sides(self, c)) * (needed if same else 1)
        return tuple(s for s in self.domain.boundaries if taken.count(s) < needed)

    def without_answer(self) -> Problem:
        """Return the problem as a solver may see it: no solution, no reference."""
        unknowns = [
            replace(u, truth=None) if isinstance(u, Unknown) else u
            for u in self.unknowns
        ]
        return replace(
            self, exact=None, reference=None, quantities={}, unknowns=unknowns
        )

    @property
    def definition_hash(self) -> str:
        """The sha256 of the mathematics; name, source and hints do not count."""
        text = json.dumps(_canonical(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _sides(problem: Problem, condition: Boundary) -> tuple[str, ...]:
    """Return the boundaries that a condition names, whoever rules them."""
    assert problem.domain is not None
    if EVERYWHERE in condition.on:
        return problem.domain.boundaries
    return tuple(condition.on)


def _canonical(problem: Problem) -> dict[str, Any]:
    def condition(c: Condition) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": type(c).__name__}
        for key, value in vars(c).items():
            if isinstance(value, np.ndarray):
                # Ten digits: the last ones depend on the machine that computed them.
                digits = " ".join(f"{v + 0.0:.9e}" for v in value.ravel().tolist())
                entry[key] = hashlib.sha256(digits.encode()).hexdigest()
            elif key == "on":
                entry[key] = list(value)
            elif isinstance(value, tuple):
                entry[key] = [sp.srepr(v) for v in value]
            else:
                entry[key] = value if isinstance(value, str) else sp.srepr(value)
        return entry

    return {
        "fields": [sp.srepr(f) for f in problem.fields],
        "equations": [sp.srepr(e) for e in problem.equations],
        "conditions": [condition(c) for c in problem.conditions],
        "domain": None if problem.domain is None else problem.domain.canonical(),
        "time": None if problem.time is None else problem.time.canonical(),
        "unknowns": [
            [
                u.name,
                *(repr(v) for v in (u.lower, u.upper, u.guess)),
            ]
            for u in problem.unknowns
        ],
    }


def _check(problem: Problem) -> None:
    where = f"Problem {problem.name!r}"
    _check_counts(problem, where)
    _check_symbols(problem, where)
    _check_initial(problem, where)
    _check_boundaries(problem, where)
    if problem.accuracy is not None and not 0 < problem.accuracy < 1:
        raise DefinitionError(
            f"{where}: accuracy is {problem.accuracy}; needed is a relative error "
            "between 0 and 1, such as 1e-3."
        )
    for f in problem.judged:
        if f not in problem.fields:
            raise DefinitionError(
                f"{where}: judged names {f}, which is not one of the fields "
                f"{problem.fields}."
            )
    if problem.norm not in NORMS:
        raise DefinitionError(f"{where}: {unknown_name('norm', problem.norm, NORMS)}")
    if problem.norm == "L1" and "gauge" in problem.hints:
        raise DefinitionError(
            f"{where}: the error of {problem.hints['gauge']!r}, which is fixed up to a "
            "constant, is taken in L2; leave out norm='L1' or hints['gauge']."
        )
    for key in problem.hints:
        if key not in HINTS:
            raise DefinitionError(f"{where}: {unknown_name('hint', key, HINTS)}")
    if problem.exact is not None and set(problem.exact) != set(problem.fields):
        missing = [str(f) for f in problem.fields if f not in problem.exact]
        raise DefinitionError(
            f"{where}: exact must give every field and nothing else; missing: "
            f"{', '.join(missing) or 'none'}, given: "
            f"{', '.join(map(str, problem.exact))}."
        )
    if problem.unknowns and not problem.conditions_of(Observed):
        raise DefinitionError(
            f"{where}: {len(problem.unknowns)} unknown coefficients but no Observed "
            "condition to identify them from; add Observed(field, points, values)."
        )


def _check_counts(problem: Problem, where: str) -> None:
    if not problem.fields:
        raise DefinitionError(f"{where} has no field; give fields=[field_of('u', x)].")
    if len(problem.equations) != len(problem.states):
        raise DefinitionError(
            f"{where} has {len(problem.equations)} equations for "
            f"{len(problem.states)} fields; one equation a field is needed, and none "
            "for an UnknownField."
        )
    behind = [u.field for u in problem.unknown_fields]
    if list(problem.fields[len(problem.states) :]) != behind:
        raise DefinitionError(
            f"{where}: the unknown coefficient fields {behind} must be the last of "
            f"the fields {problem.fields}, in the same order."
        )
    if not problem.coordinates:
        raise DefinitionError(f"{where} has neither a domain nor a time interval.")
    names = problem.field_names
    if len(set(names)) != len(names):
        raise DefinitionError(f"{where}: two fields share a name: {names}.")
    for f in behind:
        if not isinstance(f, AppliedUndef) or set(f.args) - set(problem.coordinates):
            raise DefinitionError(
                f"{where}: the unknown coefficient field {f} must be a function of "
                f"some of {problem.coordinates}."
            )
    for f in problem.states:
        if not isinstance(f, AppliedUndef) or set(f.args) != set(problem.coordinates):
            raise DefinitionError(
                f"{where}: field {f} must be a function of "
                f"{problem.coordinates}; write field_of('u', "
                f"{', '.join(map(str, problem.coordinates))})."
            )


def _check_symbols(problem: Problem, where: str) -> None:
    unknowns = {u.symbol for u in problem.unknown_scalars}
    inside = set(problem.coordinates) | unknowns

    def check(expression: sp.Expr, what: str, allowed: set[sp.Symbol]) -> None:
        strange = expression.free_symbols - allowed
        if strange:
            raise DefinitionError(
                f"{where}: {what} holds {', '.join(sorted(map(str, strange)))}, which "
                "is neither a coordinate nor an Unknown; pass a number or declare "
                "Unknown(symbol, lower, upper, guess)."
            )
        if expression.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
            raise DefinitionError(
                f"{where}: {what} is not finite: {expression}. Look for a parameter "
                "that is nan or infinite, or a division by zero."
            )
        for f in expression.atoms(AppliedUndef) - set(problem.fields):
            raise DefinitionError(
                f"{where}: {what} holds {f}, which is not one of the fields "
                f"{problem.fields}."
            )

    for i, equation in enumerate(problem.equations, 1):
        check(equation, f"equation {i}", inside)
        _warn_if_flux_is_lost(problem, equation, i)
    normals = {normal(x) for x in problem.space}
    for c in problem.conditions:
        if not isinstance(c, Periodic) and c.field not in problem.fields:
            raise DefinitionError(
                f"{where}: {type(c).__name__} is about {c.field}, which is not one of "
                f"the fields {problem.fields}."
            )
        if isinstance(c, Initial):
            if c.field not in problem.states:
                raise DefinitionError(
                    f"{where}: Initial({c.field}) is about an unknown coefficient, "
                    "which has no equation to step in time; give Dirichlet or Observed."
                )
            check(c.value, f"Initial({c.field})", set(problem.space) | unknowns)
        elif isinstance(c, Obstacle):
            check(c.value, f"Obstacle({c.field})", inside)
            _check_obstacle(problem, c, where)
        elif isinstance(c, Boundary):
            what = f"{type(c).__name__}({c.field})"
            check(c.value, what, inside | normals)
            check(c.operator(problem.space), what, inside | normals)
        elif isinstance(c, Observed) and c.points.shape[1] != len(problem.coordinates):
            raise DefinitionError(
                f"{where}: Observed({c.field}) has points of {c.points.shape[1]} "
                f"columns; needed are {len(problem.coordinates)}: "
                f"{problem.coordinates}."
            )


def _check_obstacle(problem: Problem, condition: Obstacle, where: str) -> None:
    if condition.value.has(AppliedUndef):
        raise DefinitionError(
            f"{where}: Obstacle({condition.field}) has the value {condition.value}, "
            "which holds a field; an obstacle is a function of the coordinates."
        )
    same = [c for c in problem.conditions_of(Obstacle) if c.field == condition.field]
    if len(same) > 1:
        raise DefinitionError(
            f"{where}: {len(same)} obstacles for {condition.field}; give one, the "
            "larger of them: Max(…)."
        )


def _warn_if_flux_is_lost(problem: Problem, equation: sp.Expr, number: int) -> None:
    for term in sp.Add.make_args(sp.expand(equation)):
        for factor in sp.Mul.make_args(term):
            second = isinstance(factor, sp.Derivative) and any(
                v in problem.space and n >= 2 for v, n in factor.variable_count
            )
            rest = term / factor
            if second and rest.free_symbols & set(problem.space) - {factor}:
                logger.warning(
                    "Problem %r, equation %d: the coefficient of %s varies in space "
                    "and stands outside the derivative. If the law is a conservation "
                    "law, write div(k*grad(u)): it is a different equation.",
                    problem.name,
                    number,
                    factor,
                )


def derivative_orders(
    equations: Sequence[sp.Expr], fields: Sequence[AppliedUndef], variable: sp.Symbol
) -> tuple[int, ...]:
    """Return the highest order of `∂/∂variable` on each field."""
    orders = [0] * len(fields)

    def visit(expression: sp.Basic, outside: int) -> None:
        if isinstance(expression, AppliedUndef) and expression in fields:
            i = fields.index(expression)
            orders[i] = max(orders[i], outside)
        elif isinstance(expression, sp.Derivative):
            count = sum(int(n) for v, n in expression.variable_count if v == variable)
            visit(expression.expr, outside + count)
        else:
            for a in expression.args:
                visit(a, outside)

    for equation in equations:
        visit(equation, 0)
    return tuple(orders)


def _check_initial(problem: Problem, where: str) -> None:
    given = [(c.field, c.order) for c in problem.conditions_of(Initial)]
    if problem.time is None:
        if given:
            raise DefinitionError(
                f"{where} has an Initial condition but no time; give "
                "time=TimeInterval(t, start, end)."
            )
        return
    if len(set(given)) != len(given):
        raise DefinitionError(f"{where}: an Initial condition is given twice: {given}.")
    orders = derivative_orders(
        problem.equations, problem.states, problem.time.coordinate
    )
    for f, order in zip(problem.states, orders, strict=True):
        for k in range(order):
            if (f, k) not in given:
                what = "value" if k == 0 else f"{k}. time derivative"
                raise DefinitionError(
                    f"{where}: the initial {what} of {f} is missing; the equations "
                    f"are of order {order} in time. Add Initial({f.func}, value, "
                    f"order={k})."
                )


def _check_boundaries(problem: Problem, where: str) -> None:
    if problem.domain is None:
        for c in problem.conditions_of(Boundary):
            raise DefinitionError(
                f"{where}: {type(c).__name__}({c.field}) needs a domain, and there is "
                "none."
            )
        return
    covered: dict[tuple[str, AppliedUndef], int] = {}
    for c in problem.conditions_of(Boundary):
        for name in c.on:
            if name not in (*problem.domain.boundaries, EVERYWHERE):
                what = f"boundary in {type(c).__name__}({c.field})"
                raise DefinitionError(
                    f"{where}: {unknown_name(what, name, problem.domain.boundaries)}"
                )
        if isinstance(c, Flux) and len(c.flux) != problem.dimension:
            raise DefinitionError(
                f"{where}: Flux({c.field}) has {len(c.flux)} components; the domain "
                f"has {problem.dimension} coordinates."
            )
        _check_not_covered(problem, c, where)
        for name in _sides(problem, c):
            key = (name, c.field)
            covered[key] = covered.get(key, 0) + 1
    ends = _periodic_ends(problem, where)
    total = [0] * len(problem.states)
    for x in problem.space:
        orders = derivative_orders(problem.equations, problem.states, x)
        total = [max(a, b) for a, b in zip(total, orders, strict=True)]
    for name in problem.domain.boundaries:
        if name in ends:
            continue
        for f, order in zip(problem.states, total, strict=True):
            if order >= 2 and covered.get((name, f), 0) < order // 2:
                raise DefinitionError(
                    f"{where}: boundary {name!r} is left bare for {f}: "
                    f"{covered.get((name, f), 0)} conditions, {order // 2} needed "
                    f"(the equations are of order {order} in space). Add "
                    "Dirichlet, Neumann, Robin or Flux there, or Periodic."
                )


def _check_not_covered(problem: Problem, condition: Boundary, where: str) -> None:
    """Refuse a condition whose every boundary an earlier one of its kind holds."""
    for earlier in problem.conditions_of(Boundary):
        if earlier is condition:
            return
        same = type(earlier) is type(condition) and earlier.field == condition.field
        mine = set(_sides(problem, condition))
        if same and mine <= set(_sides(problem, earlier)):
            raise DefinitionError(
                f"{where}: {type(condition).__name__}({condition.field}, "
                f"on={condition.on}) covers nothing: an earlier one holds there, and "
                "the first wins. Remove one, or name other boundaries."
            )


def _periodic_ends(problem: Problem, where: str) -> set[str]:
    assert problem.domain is not None
    ends: set[str] = set()
    for c in problem.conditions_of(Periodic):
        box = problem.domain
        if c.along not in problem.space or not isinstance(box, Box):
            raise DefinitionError(
                f"{where}: Periodic({c.along}) needs an Interval or a Box with the "
                f"coordinate {c.along}; the domain is {problem.domain.describe()}."
            )
        pair = box.sides(c.along)
        for b in problem.conditions_of(Boundary):
            if EVERYWHERE not in b.on and set(b.on) & set(pair):
                raise DefinitionError(
                    f"{where}: {type(b).__name__}({b.field}, on={b.on}) lies on a "
                    f"periodic side of {c.along}; one of the two must go."
                )
        ends |= set(pair)
    return ends


__all__ = [
    "D",
    "Evaluate",
    "Evaluated",
    "Ladder",
    "Problem",
    "coordinates",
    "derivative_orders",
    "div",
    "field_of",
    "grad",
    "laplacian",
]
