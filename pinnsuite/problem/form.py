"""Classification: what kind of problem it is, and the form that time stepping needs.

`sympy.solve` would return an answer for u_t that still holds u_txx (Benjamin-Bona-
Mahony), or drop the pressure of incompressible flow; both are refused here with the
reason.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from pinnsuite.errors import UnsupportedProblemError
from pinnsuite.problem.conditions import Initial, Obstacle
from pinnsuite.problem.definition import Problem, derivative_orders
from pinnsuite.problem.jets import Jet, Lowered, is_linear, lower
from pinnsuite.problem.tables import JumpTable

JUMPS = (sp.Piecewise, sp.Heaviside, sp.sign, sp.floor, sp.ceiling, JumpTable)
"""Functions whose derivative loses the jump."""


@dataclass(frozen=True)
class Form:
    """What the equations are.

    Attributes
    ----------
    time_orders, space_orders
        Highest derivative of each field, in time and over all space coordinates;
        unknown coefficient fields have no order in time.
    is_linear
        The equations are affine in the fields.
    """

    time_orders: tuple[int, ...]
    space_orders: tuple[int, ...]
    is_linear: bool

    @property
    def is_stationary(self) -> bool:
        """No field has a time derivative."""
        return not any(self.time_orders)

    @property
    def is_differential_algebraic(self) -> bool:
        """Some fields have a time derivative, others none."""
        return any(self.time_orders) and not all(self.time_orders)

    @property
    def is_ordinary(self) -> bool:
        """No space derivative: a system of ordinary differential equations."""
        return not any(self.space_orders)


def classify(problem: Problem) -> Form:
    """Return the form of `problem`'s equations."""
    lowered = lower(problem.equations, problem.fields, problem.coordinates)
    time_orders = (0,) * len(problem.states)
    if problem.time is not None:
        time_orders = derivative_orders(
            problem.equations, problem.states, problem.time.coordinate
        )
    start = len(problem.coordinates) - len(problem.space)
    space_orders = [0] * len(problem.fields)
    for jet in lowered.jets.values():
        count = sum(jet.orders[start:])
        space_orders[jet.field] = max(space_orders[jet.field], count)
    return Form(time_orders, tuple(space_orders), is_linear(lowered))


def require_equations(problem: Problem, *, unknown_fields: bool = False) -> None:
    """Refuse a problem whose equations do not hold everywhere, or not for each field.

    Every solver of equations asks here, through `evolution` or by itself.

    Parameters
    ----------
    unknown_fields
        Whether the solver identifies coefficient functions.

    Raises
    ------
    UnsupportedProblemError
        If there is an `Obstacle`, or an `UnknownField` that the solver does not take.
    """
    if problem.unknown_fields and not unknown_fields:
        names = ", ".join(str(u.field) for u in problem.unknown_fields)
        raise UnsupportedProblemError(
            f"its coefficient {names} is an unknown function; use 'adjoint' or 'pinn'"
        )
    for c in problem.conditions_of(Obstacle):
        raise UnsupportedProblemError(
            f"its Obstacle({c.field}) makes it a variational inequality: the equation "
            f"holds only where {c.field} is above {c.value}; use 'complementarity'"
        )


def lost_jumps(problem: Problem) -> tuple[sp.Derivative, ...]:
    """Return the derivatives that differentiate a jump of a coefficient.

    Carried out, `D(a*D(u, x), x)` becomes `a u_xx`, whose solutions do not keep the
    flux `a u_x` where a jumps: a method that expands derivatives must refuse them.
    """
    stand_in = {f: sp.Dummy(real=True) for f in problem.fields}
    found = []
    for equation in problem.equations:
        for d in equation.atoms(sp.Derivative):
            inner = d.expr.xreplace(stand_in)
            along = set(d.variables)
            if any(jump.free_symbols & along for jump in inner.atoms(*JUMPS)):
                found.append(d)
    return tuple(sorted(found, key=str))


def require_no_lost_jump(problem: Problem) -> None:
    """Raise UnsupportedProblemError if an expanded equation would lose a jump."""
    for derivative in lost_jumps(problem):
        raise UnsupportedProblemError(
            f"{derivative} differentiates a coefficient that jumps, and expanding it "
            "loses the jump; use 'cell-centred' or 'finite-element'"
        )


@dataclass(frozen=True)
class State:
    """One component of the first-order system: a time derivative of a field."""

    field: int
    order: int
    name: str


@dataclass(frozen=True, eq=False)
class Evolution:
    """A problem as `∂s_i/∂t = F_i(t, x, s, s_x, …)`, first order in time.

    A field of second order in time gives two states, itself and its velocity.

    Attributes
    ----------
    states
        What the unknowns s_i are; `Jet.field` in `rates.jets` is an index into them.
    rates
        The right-hand sides; jets count along the space coordinates only.
    initial
        The start of each state, an expression of the space coordinates.
    """

    states: tuple[State, ...]
    rates: Lowered
    initial: tuple[sp.Expr, ...]

    def primary(self, field: int) -> int:
        """Return the index of the state that is field number `field` itself."""
        return next(
            i for i, s in enumerate(self.states) if s.field == field and s.order == 0
        )


def evolution(problem: Problem) -> Evolution:
    """Solve the equations for the highest time derivatives.

    Raises
    ------
    UnsupportedProblemError
        If the problem is stationary, differential-algebraic, not linear in the highest
        time derivatives, mixes them with space derivatives (u_txx), or has an
        `Obstacle`;
        or if a coefficient that jumps stands under a derivative.
    """
    require_no_lost_jump(problem)
    require_equations(problem)
    if problem.time is None:
        raise UnsupportedProblemError("it is stationary: there is no time to step in")
    lowered = lower(problem.equations, problem.fields, problem.coordinates)
    orders = derivative_orders(
        problem.equations, problem.fields, problem.time.coordinate
    )
    names = problem.field_names
    for name, order in zip(names, orders, strict=True):
        if order == 0:
            raise UnsupportedProblemError(
                f"field {name!r} has no time derivative, so the system is "
                "differential-algebraic (as the pressure of incompressible flow)"
            )
    highest = [
        lowered.symbol(Jet(i, (order, *(0 for _ in problem.space))))
        for i, order in enumerate(orders)
    ]
    for symbol, jet in lowered.jets.items():
        if jet.orders[0] >= orders[jet.field] and symbol not in highest:
            raise UnsupportedProblemError(
                f"the derivative {symbol.name} mixes the highest time derivative with "
                "space derivatives, so the equations cannot be solved for it pointwise"
            )
    mass = sp.Matrix(
        [[0 if h is None else sp.diff(e, h) for h in highest] for e in lowered.algebra]
    )
    if mass.free_symbols & set(highest):
        raise UnsupportedProblemError(
            "the equations are not linear in the highest time derivatives"
        )
    if sp.simplify(mass.det()) == 0:
        raise UnsupportedProblemError(
            "the matrix in front of the time derivatives is singular "
            "(a differential-algebraic system)"
        )
    rest = sp.Matrix([e.subs(dict.fromkeys(highest, 0)) for e in lowered.algebra])
    solved = -mass.LUsolve(rest) if not mass.is_diagonal() else None
    tops = [
        -rest[i] / mass[i, i] if solved is None else solved[i]
        for i in range(len(highest))
    ]
    return _first_order(problem, lowered, orders, tops)


def _first_order(
    problem: Problem, lowered: Lowered, orders: tuple[int, ...], tops: list[sp.Expr]
) -> Evolution:
    assert problem.time is not None
    states = [
        State(i, k, name if k == 0 else f"{name}_{problem.time.coordinate.name * k}")
        for i, (name, order) in enumerate(zip(problem.field_names, orders, strict=True))
        for k in range(order)
    ]
    index = {(s.field, s.order): n for n, s in enumerate(states)}
    jets = {
        symbol: Jet(index[jet.field, jet.orders[0]], jet.orders[1:])
        for symbol, jet in lowered.jets.items()
        if (jet.field, jet.orders[0]) in index
    }
    rates: list[sp.Expr] = []
    for s in states:
        if s.order + 1 == orders[s.field]:
            rates.append(sp.expand_mul(tops[s.field]))
            continue
        jet = Jet(index[s.field, s.order + 1], (0,) * len(problem.space))
        symbol = next((k for k, j in jets.items() if j == jet), None)
        if symbol is None:
            symbol = sp.Dummy(states[jet.field].name, real=True)
            jets[symbol] = jet
        rates.append(symbol)
    used = set().union(*(r.free_symbols for r in rates))
    order = sorted(((j, s) for s, j in jets.items() if s in used), key=lambda p: p[0])
    start = {
        (problem.fields.index(c.field), c.order): c.value
        for c in problem.conditions_of(Initial)
    }
    return Evolution(
        tuple(states),
        Lowered(tuple(rates), {s: j for j, s in order}, problem.space),
        tuple(start[s.field, s.order] for s in states),
    )
