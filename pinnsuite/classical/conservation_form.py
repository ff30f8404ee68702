"""From equations to a system of conservation laws, as algebra.

Each equation becomes `∂q_i/∂t + Σ_k ∂F_ik/∂x_k = S_i`, where the conserved quantities
q are the fields. What stands under a derivative is kept as a flux, which is what fixes
the speed of a jump: `u u_x` and `(u²/2)_x` are equal only where u is smooth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp
from sympy.core.function import AppliedUndef

from pinnsuite.errors import UnsupportedProblemError
from pinnsuite.problem.conditions import Initial
from pinnsuite.problem.definition import Problem
from pinnsuite.problem.form import require_equations
from pinnsuite.problem.jets import Jet, lower


@dataclass(frozen=True, eq=False)
class ConservationForm:
    """`∂q_i/∂t + Σ_k ∂(F_ik + G_ik)/∂x_k = S_i`.

    Attributes
    ----------
    coordinates
        Time, then space.
    states
        The symbol of each q_i.
    slopes
        `slopes[i][k]` is the symbol of `∂q_i/∂x_k`.
    flux
        `flux[k][i]` is F_ik, of coordinates and states.
    diffusion
        `diffusion[k][i]` is G_ik, which vanishes with the slopes.
    source
        S_i, of coordinates and states.
    initial
        The start of each state, of the space coordinates.
    """

    coordinates: tuple[sp.Symbol, ...]
    states: tuple[sp.Symbol, ...]
    slopes: tuple[tuple[sp.Symbol, ...], ...]
    flux: tuple[tuple[sp.Expr, ...], ...]
    diffusion: tuple[tuple[sp.Expr, ...], ...]
    source: tuple[sp.Expr, ...]
    initial: tuple[sp.Expr, ...]

    @property
    def has_diffusion(self) -> bool:
        """Some flux holds slopes."""
        return any(g != 0 for row in self.diffusion for g in row)


def conservation_form(problem: Problem) -> ConservationForm:
    """Derive the conservation form of `problem`.

    Raises
    ------
    UnsupportedProblemError
        With a reason that fits after "because".
    """
    require_equations(problem)
    if problem.time is None:
        raise UnsupportedProblemError("it is stationary: there is no time to step in")
    size, dimension = len(problem.fields), problem.dimension
    rows = [_balance(problem, i) for i in range(size)]
    lowered = lower(
        [e for flux, source in rows for e in (*flux, source)],
        problem.fields,
        problem.coordinates,
    )
    none = (0,) * (dimension + 1)
    units = [
        tuple(int(j == k) for j in range(dimension + 1))
        for k in range(1, 1 + dimension)
    ]
    for symbol, jet in lowered.jets.items():
        if jet.orders != none and jet.orders not in units:
            raise UnsupportedProblemError(
                f"the derivative {symbol.name} stands under a divergence or in a "
                "source, where fluxes hold first derivatives in space at most"
            )

    def symbol_of(i: int, orders: tuple[int, ...], name: str) -> sp.Symbol:
        return lowered.symbol(Jet(i, orders)) or sp.Dummy(name, real=True)

    names = problem.field_names
    states = tuple(symbol_of(i, none, n) for i, n in enumerate(names))
    slopes = tuple(
        tuple(symbol_of(i, unit, f"{n}_x") for unit in units)
        for i, n in enumerate(names)
    )
    flat = [s for row in slopes for s in row]
    source = lowered.algebra[dimension :: dimension + 1]
    for f, s in zip(problem.fields, source, strict=True):
        if s.free_symbols & set(flat):
            raise UnsupportedProblemError(
                f"the equation of {f.func} holds derivatives outside a divergence; "
                "write them as D(flux, x), which fixes how fast jumps move"
            )
    still = dict.fromkeys(flat, sp.Integer(0))
    flux, diffusion = [], []
    for k in range(dimension):
        whole = lowered.algebra[k :: dimension + 1]
        inviscid = tuple(e.xreplace(still) for e in whole)
        flux.append(inviscid)
        diffusion.append(
            tuple(sp.expand(a - b) for a, b in zip(whole, inviscid, strict=True))
        )
    start = {c.field: c.value for c in problem.conditions_of(Initial)}
    return ConservationForm(
        problem.coordinates,
        states,
        slopes,
        tuple(flux),
        tuple(diffusion),
        source,
        tuple(start[f] for f in problem.fields),
    )


def _balance(problem: Problem, i: int) -> tuple[list[sp.Expr], sp.Expr]:
    """Return the fluxes and the source of equation i, divided by its mass."""
    assert problem.time is not None
    time, fields = problem.time.coordinate, problem.fields
    mass = source = sp.Integer(0)
    flux: list[sp.Expr] = [sp.Integer(0) for _ in problem.space]
    expanded = sp.expand_mul(sp.expand(problem.equations[i], deep=False))
    for term in sp.Add.make_args(expanded):
        derivative, factor = _split(term, fields)
        if derivative is None:
            source -= term
        elif time in derivative.variables:
            if derivative != sp.Derivative(fields[i], time) or factor.free_symbols:
                raise UnsupportedProblemError(
                    f"the term {term} is no plain time derivative of {fields[i].func}; "
                    "make what is conserved a field, and divide by its factor"
                )
            mass += factor
        else:
            *inner, x = derivative.variables
            under = sp.Derivative(derivative.expr, *inner) if inner else derivative.expr
            factor, under = _taken_under(term, factor, under, fields)
            flux[problem.space.index(x)] += factor * under
            source += sp.diff(factor, x) * under
    if mass == 0:
        raise UnsupportedProblemError(
            f"the equation of {fields[i].func} holds no time derivative of it"
        )
    return [f / mass for f in flux], source / mass


def _split(
    term: sp.Expr, fields: Sequence[sp.Expr]
) -> tuple[sp.Derivative | None, sp.Expr]:
    """Return the derivative in a term, if any, and what it is multiplied by."""
    factors = sp.Mul.make_args(term)
    found = [f for f in factors if isinstance(f, sp.Derivative)]
    rest = sp.Mul(*(f for f in factors if not isinstance(f, sp.Derivative)))
    hidden = [d for d in rest.atoms(sp.Derivative) if d.has(*fields)]
    if len(found) > 1 or hidden:
        raise UnsupportedProblemError(
            f"the term {term} is not linear in one derivative, so it has no flux"
        )
    return (found[0] if found else None), rest


def _taken_under(
    term: sp.Expr,
    factor: sp.Expr,
    under: sp.Expr,
    fields: Sequence[sp.Expr],
) -> tuple[sp.Expr, sp.Expr]:
    """Return (a, b) with `factor ∂under = a ∂b` and no field in a."""
    inside = factor.atoms(AppliedUndef) & set(fields)
    if not inside:
        return factor, under
    if inside != {under}:
        raise UnsupportedProblemError(
            f"the term {term} is not in conservation form; write D(flux, x)"
        )
    outer, inner = factor.as_independent(under, as_Add=False)
    state = sp.Dummy(real=True)
    whole = sp.integrate(inner.xreplace({under: state}), state)
    if whole.has(sp.Integral):
        raise UnsupportedProblemError(
            f"the flux of the term {term} has no closed form; write D(flux, x)"
        )
    return outer, whole.xreplace({state: under})


def eigenvalues(matrix: sp.Matrix) -> tuple[sp.Expr, ...] | None:
    """Return the distinct eigenvalues in closed form, None where there is none.

    Taken where the characteristic polynomial has factors of degree one and two.
    """
    exact = matrix.applyfunc(lambda e: sp.nsimplify(e, rational=True))
    characteristic = exact.charpoly()
    unknown = characteristic.gen
    polynomial = sp.together(characteristic.as_expr())
    _, factors = sp.factor_list(sp.numer(polynomial))
    found: list[sp.Expr] = []
    for factor, _ in factors:
        coefficients = sp.Poly(factor, unknown).all_coeffs()
        if len(coefficients) == 2:
            a, b = coefficients
            found.append(sp.cancel(-b / a))
        elif len(coefficients) == 3:
            a, b, c = coefficients
            middle = sp.cancel(-b / (2 * a))
            root = sp.sqrt(sp.cancel(sp.expand(b**2 - 4 * a * c) / (4 * a**2)))
            found += [middle - root, middle + root]
        elif len(coefficients) > 3:
            return None
    return tuple(found)
