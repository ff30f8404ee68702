"""Sums of squares: linear ones in one step, by every linear solver alike."""

import pytest
import torch

from pinnsuite.errors import OptionError
from pinnsuite.neural.optimisers import make_optimiser
from pinnsuite.neural.optimisers.damped_least_squares import (
    LINEAR_SOLVERS,
    lower_gram,
)
from tests.neural.optimisers.objectives import (
    SumOfSquares,
    counted,
    decays,
    normal,
    rosenbrock_residuals,
)


@pytest.mark.parametrize("linear_solver", ["cholesky", "qr"])
def test_linear_least_squares_takes_one_step(linear_solver):
    a, b = normal(30, 7), normal(30, seed=1)
    search = make_optimiser(
        "levenberg-marquardt",
        SumOfSquares(lambda x: a @ x - b),
        torch.zeros(7, dtype=torch.float64),
        damping=0.0,
        linear_solver=linear_solver,
    )
    assert search.step() is None
    expected = torch.linalg.lstsq(a, b.unsqueeze(1)).solution.squeeze(1)
    torch.testing.assert_close(search.parameters, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("m", "n"), [(30, 7), (7, 30), (12, 12), (5, 1)])
@pytest.mark.parametrize("damping", [1e-6, 1e-2, 10.0])
def test_all_linear_solvers_agree(m, n, damping):
    a, b = normal(m, n), normal(m, seed=1)
    # The definition, stacked: |A x - b|² + δ |x|².
    stacked = torch.cat([a, damping**0.5 * torch.eye(n, dtype=torch.float64)])
    right = torch.cat([b, torch.zeros(n, dtype=torch.float64)])
    expected = torch.linalg.lstsq(stacked, right.unsqueeze(1)).solution.squeeze(1)
    for cls in LINEAR_SOLVERS.values():
        found = cls(a).solve(b, damping)
        # Normal equations have the square of the condition of the stacked matrix.
        condition = 1 + float(torch.linalg.matrix_norm(a, 2)) ** 2 / damping
        error = float((found - expected).norm() / expected.norm())
        assert error < 1e-14 * condition


def test_woodbury_steps_as_cholesky_does():
    paths = {}
    for linear_solver in ("cholesky", "woodbury"):
        search = make_optimiser(
            "levenberg-marquardt",
            SumOfSquares(rosenbrock_residuals),
            torch.full((6,), -1.2, dtype=torch.float64),
            linear_solver=linear_solver,
            damping=1.0,
        )
        paths[linear_solver] = [search.parameters]
        for _ in range(10):
            assert search.step() is None
            paths[linear_solver].append(search.parameters)
    torch.testing.assert_close(
        torch.stack(paths["cholesky"]),
        torch.stack(paths["woodbury"]),
        rtol=1e-10,
        atol=1e-10,
    )


def test_qr_keeps_digits_that_the_normal_equations_lose():
    # Singular values from 1 to 1e-9: squared, the last are below round-off.
    n = 10
    u, v = torch.linalg.qr(normal(40, n))[0], torch.linalg.qr(normal(n, n, seed=1))[0]
    a = u @ torch.diag(torch.logspace(0, -9, n, dtype=torch.float64)) @ v.T
    x = torch.ones(n, dtype=torch.float64)
    errors = {
        name: float((LINEAR_SOLVERS[name](a).solve(a @ x, 1e-30) - x).norm())
        if LINEAR_SOLVERS[name](a).solve(a @ x, 1e-30) is not None
        else float("inf")
        for name in ("qr", "cholesky")
    }
    assert errors["qr"] < 1e-5
    assert errors["cholesky"] > 100 * errors["qr"]


@pytest.mark.parametrize("n", [1, 3, 10, 101])
def test_half_a_gram_matrix_is_the_lower_one(n):
    a = normal(2 * n, n)
    torch.testing.assert_close(lower_gram(a).tril(), (a.T @ a).tril())


@pytest.mark.parametrize("rule", ["nielsen", "marquardt"])
@pytest.mark.parametrize("n", [2, 10])
def test_rosenbrocks_valley_is_followed_to_its_end(rule, n):
    objective = SumOfSquares(rosenbrock_residuals)
    start = torch.full((n,), -1.2, dtype=torch.float64)
    search = make_optimiser("levenberg-marquardt", objective, start, damping_rule=rule)
    for _ in range(100):
        if search.step():
            break
    torch.testing.assert_close(search.parameters, torch.ones_like(start))
    assert objective.jacobians < 60


@pytest.mark.parametrize(
    ("name", "start"),
    [("levenberg-marquardt", [1.0, 1.0, 1.0, 2.0]), ("spring", [1.5, 0.7, 0.8, 2.5])],
)
def test_decays_are_told_apart_to_round_off(name, start):
    start = torch.tensor(start, dtype=torch.float64)
    search = make_optimiser(name, SumOfSquares(decays), start)
    for _ in range(100):
        if search.step():
            break
    expected = torch.tensor([2.0, 0.5, 1.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(search.parameters, expected, rtol=1e-10, atol=0)


def test_trying_again_needs_no_new_jacobian():
    # From far away with hardly any damping, the first steps go up.
    objective = SumOfSquares(lambda x: torch.atan(x) * 10)
    search = make_optimiser(
        "levenberg-marquardt",
        objective,
        torch.tensor([20.0], dtype=torch.float64),
        damping=1e-8,
    )
    assert search.step() is None
    assert objective.jacobians == 1
    assert objective.calls > 3
    assert abs(float(search.parameters)) < 20


def test_without_momentum_spring_steps_along_the_least_norm_solution():
    # One full step ends a linear problem; with n > m there are many solutions.
    a, b = normal(5, 20), normal(5, seed=1)
    search = make_optimiser(
        "spring",
        SumOfSquares(lambda x: a @ x - b),
        torch.zeros(20, dtype=torch.float64),
        momentum=0.0,
        damping=1e-14,
    )
    assert search.step() is None
    torch.testing.assert_close(
        search.parameters, torch.linalg.pinv(a) @ b, rtol=1e-9, atol=1e-11
    )


def test_springs_step_fulfils_its_definition():
    # The step φ minimises |J φ - r|² + λ |φ - β φ₀|² (the paper's equation for φ).
    a, b, beta = normal(5, 20), normal(5, seed=1), 0.8
    draws = iter(range(100))

    def objective():
        k = next(draws)
        rows, right = normal(5, 20, seed=10 + k), normal(5, seed=30 + k)
        return SumOfSquares(lambda x: rows @ x - right)

    search = make_optimiser(
        "spring",
        SumOfSquares(lambda x: a @ x - b),
        torch.zeros(20, dtype=torch.float64),
        momentum=beta,
        damping=0.1,
    )
    search.step()
    previous = -search.parameters
    search.objective = objective()
    search.evaluate()
    before = search.parameters
    r, j = search.objective.jacobian(before)
    search.step()
    weight = 0.1 * float(j.square().sum()) / 20
    identity = torch.eye(20, dtype=torch.float64)
    phi = torch.linalg.solve(
        j.T @ j + weight * identity, j.T @ r + weight * beta * previous
    )
    taken = before - search.parameters
    # The line search takes a power of 1/2 of it.
    share = float(taken @ phi / (phi @ phi))
    torch.testing.assert_close(taken, share * phi, rtol=1e-9, atol=1e-12)
    assert share in {0.5**k for k in range(21)} or any(
        abs(share - 0.5**k) < 1e-9 for k in range(21)
    )


def test_momentum_solves_a_system_seen_in_parts():
    # Kaczmarz: 20 rows of 40 at a time; the same number of steps with and without.
    a = normal(40, 40)
    x = normal(40, seed=1)
    errors = {}
    for momentum in (0.0, 0.6):
        search = make_optimiser(
            "spring",
            SumOfSquares(lambda p: a[:20] @ (p - x)),
            torch.zeros(40, dtype=torch.float64),
            momentum=momentum,
            damping=1e-3,
        )
        for k in range(100):
            rows = torch.randperm(40, generator=torch.Generator().manual_seed(k))[:20]
            search.objective = SumOfSquares(lambda p, rows=rows: a[rows] @ (p - x))
            search.evaluate()
            search.step()
        errors[momentum] = float((search.parameters - x).norm() / x.norm())
    assert errors[0.6] < 0.85 * errors[0.0]


def test_an_objective_without_residuals_is_refused():
    objective = counted(lambda x: x.square().sum())
    with pytest.raises(OptionError, match="needs an objective with `residuals`"):
        make_optimiser("levenberg-marquardt", objective, torch.ones(2))


def test_unknown_rules_are_refused():
    objective = SumOfSquares(lambda x: x)
    with pytest.raises(OptionError, match="Did you mean 'cholesky'"):
        make_optimiser("spring", objective, torch.ones(2), linear_solver="cholesk")
    with pytest.raises(OptionError, match="damping_rule"):
        make_optimiser(
            "levenberg-marquardt", objective, torch.ones(2), damping_rule="none"
        )


def test_spring_comes_down_from_where_full_steps_lead_astray():
    # The Jacobian is all but singular at the start: undamped steps are 1e10 long.
    def residuals(x):
        return torch.stack([torch.sin(x[0]) + 2, x[0] + x[1] * x[0] ** 4])

    start = torch.tensor([1.5707, 1e-3], dtype=torch.float64)
    search = make_optimiser(
        "spring", SumOfSquares(residuals), start, damping=1e-14, momentum=0.0
    )
    values = [search.value]
    for _ in range(50):
        if search.step():
            break
        values.append(search.value)
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.5 * values[0]
    assert len(values) > 5
