"""Equations as `M s_t = L s + N`: what is linear with constant coefficients, apart.

On a periodic box M and L are small matrices, one a Fourier mode; fields without a time
derivative (a streamfunction, a pressure) are unknowns like the others, whose columns of
M vanish.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp

from pinnsuite.errors import UnsupportedProblemError
from pinnsuite.problem.conditions import Initial
from pinnsuite.problem.definition import Problem, derivative_orders
from pinnsuite.problem.form import State, evolution
from pinnsuite.problem.jets import Jet, lower, numpy_function

_SAMPLES = 64
"""Points at which the initial state is put into the constraints."""


@dataclass(frozen=True, eq=False)
class Row:
    """One equation, `Σ mass · s_t = Σ linear · s + remainder`.

    Attributes
    ----------
    mass, linear
        Constant coefficients by derivative; `Jet.field` counts the unknowns, the
        orders count along space.
    remainder
        Everything else.
    constraint
        None, or g where the equation is `Σ linear · s + g(t, x) = 0` without a time
        derivative and without fields that have none (`div u = 0`): it is kept by
        differentiating it in time, and `remainder` is `-g_t`.
    """

    mass: Mapping[Jet, float]
    linear: Mapping[Jet, float]
    remainder: sp.Expr
    constraint: sp.Expr | None = None


@dataclass(frozen=True, eq=False)
class Term:
    """`∂^orders expression`, a part of the remainder of row number `row`."""

    row: int
    orders: tuple[int, ...]
    expression: sp.Expr


@dataclass(frozen=True, eq=False)
class Splitting:
    """A problem as rows in its unknowns.

    Attributes
    ----------
    unknowns
        First the `num_states` that are stepped in time (a field of second order and
        its velocity are two), then the fields without a time derivative.
    rows
        As many as unknowns.
    jets
        What the symbols in the remainders stand for.
    initial
        The start of each state, an expression of the space coordinates.
    """

    unknowns: tuple[State, ...]
    num_states: int
    rows: tuple[Row, ...]
    jets: Mapping[sp.Symbol, Jet]
    initial: tuple[sp.Expr, ...]

    def fields(self, count: int) -> list[int]:
        """Return the index of the unknown that is each of `count` fields itself."""
        places = {(s.field, s.order): i for i, s in enumerate(self.unknowns)}
        return [places[i, 0] for i in range(count)]

    def needed(self, expressions: Iterable[sp.Expr]) -> dict[sp.Symbol, Jet]:
        """Return the jets that the expressions hold."""
        used = set().union(*(e.free_symbols for e in expressions))
        return {s: j for s, j in self.jets.items() if s in used}

    def terms(self, rows: Sequence[int]) -> list[Term]:
        """Return the remainders of `rows`, in the form that takes fewer transforms.

        `uⁿ u_x` is `(uⁿ⁺¹)_x / (n + 1)`: one transform to and one from the nodes, where
        the product takes three, unless u_x is needed elsewhere.
        """
        zero = (0,) * len(next(iter(self.jets.values())).orders)
        plain = [Term(i, zero, self.rows[i].remainder) for i in rows]
        conservative = [
            Term(i, orders, e)
            for i in rows
            for orders, e in self._fluxes(self.rows[i].remainder).items()
        ]

        def transforms(terms: list[Term]) -> int:
            return len(terms) + len(self.needed(t.expression for t in terms))

        return min(plain, conservative, key=transforms)

    def _fluxes(self, remainder: sp.Expr) -> dict[tuple[int, ...], sp.Expr]:
        """Return functions whose derivatives of the given orders make `remainder`."""
        values = {j.field: s for s, j in self.jets.items() if not any(j.orders)}
        fluxes: dict[tuple[int, ...], sp.Expr] = {}
        for term in sp.Add.make_args(remainder):
            orders, density = self._flux(term, values)
            fluxes[orders] = fluxes.get(orders, 0) + density
        return fluxes

    def _flux(
        self, term: sp.Expr, values: Mapping[int, sp.Symbol]
    ) -> tuple[tuple[int, ...], sp.Expr]:
        slopes = [s for s in term.free_symbols if s in self.jets]
        slopes = [s for s in slopes if sum(self.jets[s].orders) == 1]
        if len(slopes) == 1:
            (slope,) = slopes
            u = values.get(self.jets[slope].field)
            factor = term / slope
            if u is not None and factor.free_symbols == {u} and factor.is_polynomial(u):
                return self.jets[slope].orders, sp.integrate(factor, u)
        return (0,) * len(next(iter(self.jets.values())).orders), term

    def matrices(
        self, waves: Sequence[np.ndarray], odd: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return K and S of `K (states_t, others) = S states + remainders`.

        Parameters
        ----------
        waves
            Wave number along each axis, broadcast to the shape of the modes.
        odd
            The same for derivatives of odd order; see `symbol`.

        Returns
        -------
        Shapes (*modes, rows, unknowns) and (*modes, rows, states).
        """
        n, m = len(self.rows), self.num_states
        left = np.zeros((*waves[0].shape, n, n), dtype=complex)
        right = np.zeros((*waves[0].shape, n, m), dtype=complex)
        for i, row in enumerate(self.rows):
            for jet, factor in row.mass.items():
                left[..., i, jet.field] += factor * symbol(jet.orders, waves, odd)
            for jet, factor in row.linear.items():
                term = factor * symbol(jet.orders, waves, odd)
                if row.constraint is not None:
                    left[..., i, jet.field] += term
                elif jet.field < m:
                    right[..., i, jet.field] += term
                else:
                    left[..., i, jet.field] -= term
        return left, right


def symbol(
    orders: Sequence[int], waves: Sequence[np.ndarray], odd: Sequence[np.ndarray]
) -> np.ndarray:
    """Return `Π (i k)^order`, the factor of a derivative.

    `odd` are the wave numbers for odd orders: 0 at the highest mode of an even grid,
    whose derivative, a sine, vanishes at the nodes.
    """
    result = np.ones(waves[0].shape, dtype=complex)
    for order, k, k_odd in zip(orders, waves, odd, strict=True):
        if order:
            result = result * (1j * (k_odd if order % 2 else k)) ** order
    return result


def split(problem: Problem) -> Splitting:
    """Return the parts of `problem`.

    Raises
    ------
    UnsupportedProblemError
        If it is stationary, or if a field without a time derivative is not determined
        by linear equations with constant coefficients.
    """
    if problem.time is None:
        raise UnsupportedProblemError("it is stationary: there is no time to step in")
    lowered = lower(problem.equations, problem.fields, problem.coordinates)
    orders = derivative_orders(
        problem.equations, problem.fields, problem.time.coordinate
    )
    if not any(orders):
        raise UnsupportedProblemError("it holds no time derivative to step with")
    unknowns = _unknowns(problem, orders)
    num_states = sum(orders)
    place = {(s.field, s.order): i for i, s in enumerate(unknowns)}
    rates: dict[sp.Symbol, Jet] = {}
    values: dict[sp.Symbol, Jet] = {}
    for s, jet in lowered.jets.items():
        order, space = jet.orders[0], jet.orders[1:]
        if 0 < orders[jet.field] <= order:
            rates[s] = Jet(place[jet.field, orders[jet.field] - 1], space)
        else:
            values[s] = Jet(place[jet.field, order], space)
    zero = (0,) * problem.dimension
    rows = [
        Row({Jet(i, zero): 1.0}, {Jet(i + 1, zero): 1.0}, sp.Integer(0))
        for i, s in enumerate(unknowns)
        if s.order + 1 < orders[s.field]
    ]
    masses = [_constants(e, rates) for e in lowered.algebra]
    if all(not rest.free_symbols & set(rates) for _, rest in masses):
        for mass, rest in masses:
            rows.append(_row(problem, mass, -rest, values, num_states))
    else:
        # The time derivatives have coefficients that vary: solve for them pointwise.
        system = evolution(problem)
        values = dict(system.rates.jets)
        rows = [
            _row(problem, {Jet(i, zero): 1.0}, rate, values, num_states)
            for i, rate in enumerate(system.rates.algebra)
        ]
    start = {
        (problem.fields.index(c.field), c.order): c.value
        for c in problem.conditions_of(Initial)
    }
    initial = tuple(start[s.field, s.order] for s in unknowns[:num_states])
    result = Splitting(tuple(unknowns), num_states, tuple(rows), values, initial)
    _check_solvable(problem, result)
    _check_initial(problem, result)
    return result


def _unknowns(problem: Problem, orders: Sequence[int]) -> list[State]:
    assert problem.time is not None
    t = problem.time.coordinate.name
    names = problem.field_names
    states = [
        State(i, k, names[i] if k == 0 else f"{names[i]}_{t * k}")
        for i, order in enumerate(orders)
        for k in range(order)
    ]
    return states + [State(i, 0, names[i]) for i, o in enumerate(orders) if o == 0]


def _constants(
    expression: sp.Expr, jets: Mapping[sp.Symbol, Jet]
) -> tuple[dict[Jet, float], sp.Expr]:
    """Return the constant coefficients of the jets, and what remains."""
    rest = sp.expand(expression)
    found: dict[Jet, float] = {}
    for s, jet in jets.items():
        terms = sp.Add.make_args(rest.coeff(s, 1))
        constant = sp.Add(*(a for a in terms if not a.free_symbols))
        if constant != 0:
            found[jet] = float(constant)
            rest = sp.expand(rest - constant * s)
    return found, rest


def _row(
    problem: Problem,
    mass: dict[Jet, float],
    expression: sp.Expr,
    values: Mapping[sp.Symbol, Jet],
    num_states: int,
) -> Row:
    assert problem.time is not None
    linear, remainder = _constants(expression, values)
    if mass:
        return Row(mass, linear, remainder)
    held = {j.field for s, j in values.items() if s in remainder.free_symbols}
    if any(j.field >= num_states for j in linear):
        if any(i >= num_states for i in held):
            raise UnsupportedProblemError(
                f"its equation {sp.sstr(expression)} = 0 is not linear with constant "
                "coefficients in the fields without a time derivative"
            )
        return Row({}, linear, remainder)
    if held or not linear:
        raise UnsupportedProblemError(
            f"its constraint {sp.sstr(expression)} = 0 is not linear with constant "
            "coefficients"
        )
    rate = -sp.diff(remainder, problem.time.coordinate)
    return Row({}, linear, rate, remainder)


def _check_solvable(problem: Problem, splitting: Splitting) -> None:
    """Refuse equations that leave a field open, or use it before it is known."""
    k = list(np.random.default_rng(0).uniform(1, 2, (problem.dimension, 1)))
    left = splitting.matrices(k, k)[0][0]
    left /= np.abs(left).max(axis=1, keepdims=True)
    m = splitting.num_states
    if np.linalg.cond(left) > 1e10:
        raise UnsupportedProblemError(
            "its equations do not determine all time derivatives and all fields "
            "without one, mode by mode"
        )
    inverse = np.linalg.inv(left)
    late = [i for i, r in enumerate(splitting.rows) if r.mass and r.remainder != 0]
    remainders = [splitting.rows[i].remainder for i in late]
    for jet in splitting.needed(remainders).values():
        if jet.field >= m and np.abs(inverse[jet.field, late]).max() > 1e-10:
            name = splitting.unknowns[jet.field].name
            raise UnsupportedProblemError(
                f"its field {name!r} stands in a product, and follows from the rates "
                "of the other fields only"
            )


def _check_initial(problem: Problem, splitting: Splitting) -> None:
    """Refuse an initial state that breaks a constraint."""
    assert problem.time is not None
    assert problem.domain is not None
    first = {problem.time.coordinate: problem.time.start}
    points = problem.domain.sample_interior(_SAMPLES, seed=0)
    for row in splitting.rows:
        if row.constraint is None:
            continue
        terms = [row.constraint.subs(first)]
        for jet, factor in row.linear.items():
            along = [p for p in zip(problem.space, jet.orders, strict=True) if p[1]]
            value = splitting.initial[jet.field]
            terms.append(factor * (sp.diff(value, *along) if along else value))
        found = numpy_function(problem.space, terms)(*points.T)
        values = np.stack([np.broadcast_to(v, _SAMPLES) for v in found])
        if np.abs(values.sum(axis=0)).max() > 1e-9 * max(np.abs(values).max(), 1.0):
            names = {splitting.unknowns[j.field].name for j in row.linear}
            raise UnsupportedProblemError(
                f"its initial state breaks the constraint on {', '.join(sorted(names))}"
                ", which has no time derivative (a divergence that is not zero?)"
            )
