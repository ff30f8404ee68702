"""First-order systems: fluxes as fields of their own, where coefficients jump.

Of `∂ₓ(a u_x)` with a that jumps, values at points see `a u_xx` only, whose solutions do
not keep the flux. With q = a u_x as a field, `∂ₓq` differentiates no jump: u is
continuous because it is a field, and so is q.

Source: P. B. Bochev, M. D. Gunzburger, Least-Squares Finite Element Methods, Springer
2009, DOI 10.1007/b13382, chapter 5 (the first-order system of a diffusion equation).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import sympy as sp
from sympy.core.function import AppliedUndef

from pinnsuite.problem.conditions import Condition, Flux, Neumann, Robin
from pinnsuite.problem.definition import D, Problem, field_of, grad
from pinnsuite.problem.form import lost_jumps


def mixed(problem: Problem) -> Problem:
    """Return the problem with each flux that holds a jump as a field.

    For every derivative `∂ₓF` that differentiates a jump there is a field q with the
    equation `q - F = 0`, named after the first field in F and x (`flux_u_x`), and
    `∂q/∂x` takes its place; of `∂ₓₓF` its slope is another field. Boundary conditions
    that hold the components of that flux hold q instead. Solutions are compared by the
    original fields, and the hint `fluxes` names the others. A problem that loses no
    jump is returned as it is.
    """
    lost = lost_jumps(problem)
    if not lost:
        return problem
    fluxes: dict[sp.Expr, AppliedUndef] = {}
    rewritten: dict[sp.Basic, sp.Expr] = {}
    for d in lost:
        rewritten[d] = d.expr
        for v in d.variables:
            flux = rewritten[d]
            if flux not in fluxes:
                fluxes[flux] = _flux_field(problem, flux, v, fluxes)
            rewritten[d] = D(fluxes[flux], v)
    exact = problem.exact
    if exact is not None:
        exact = dict(exact)
        for flux, q in fluxes.items():
            exact[q] = flux.subs(exact).doit()
    number = len(problem.states)
    return replace(
        problem,
        fields=(*problem.states, *fluxes.values(), *problem.fields[number:]),
        equations=[
            *(e.xreplace(rewritten) for e in problem.equations),
            *(q - flux.xreplace(rewritten) for flux, q in fluxes.items()),
        ],
        conditions=[_in_fluxes(c, problem, fluxes) for c in problem.conditions],
        judged=problem.judged or problem.fields,
        exact=exact,
        hints={
            **problem.hints,
            "fluxes": tuple(q.func.__name__ for q in fluxes.values()),
        },
    )


def _flux_field(
    problem: Problem,
    flux: sp.Expr,
    along: sp.Symbol,
    taken: Mapping[sp.Expr, AppliedUndef],
) -> AppliedUndef:
    """Return a new field for what is differentiated."""
    inside = flux.atoms(AppliedUndef)
    of = [f.func.__name__ for f in problem.states if f in inside]
    name = "_".join(["flux", *of[:1], along.name])
    used = {*problem.field_names, *(q.func.__name__ for q in taken.values())}
    while name in used:
        name += "_"
    return field_of(name, *problem.coordinates)


def _in_fluxes(
    condition: Condition, problem: Problem, fluxes: Mapping[sp.Expr, AppliedUndef]
) -> Condition:
    """Return a condition of slopes with the new fields in their place.

    `a u + b ∂u/∂n = value` is `n·F = value - a u` with `F = b ∇u`, and where `c u_x` is
    the new field q, `u_x` is q / c.
    """
    if isinstance(condition, Flux):
        value, components = condition.value, condition.flux
    elif isinstance(condition, Neumann | Robin):
        a, b = sp.S.Zero, sp.S.One
        if isinstance(condition, Robin):
            a, b = condition.a, condition.b
        value = condition.value - a * condition.field
        components = tuple(b * g for g in grad(condition.field, problem.space))
    else:
        return condition
    slopes = {
        slope: q / flux.coeff(slope)
        for flux, q in fluxes.items()
        for slope in grad(condition.field, problem.space)
        if flux == flux.coeff(slope) * slope
    }
    replaced = tuple(fluxes.get(f, f.xreplace(slopes)) for f in components)
    if replaced == components:
        return condition
    return Flux(condition.field, value, condition.on, flux=replaced)
