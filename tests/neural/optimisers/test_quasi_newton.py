"""Quasi-Newton methods find the minimum, and the dense ones in fewer steps."""

import pytest
import torch

from pinnsuite.neural.optimisers import make_optimiser
from pinnsuite.neural.optimisers.broyden_family import (
    BLOCK,
    BroydenFamily,
    bfgs,
    self_scaled_bfgs,
    self_scaled_broyden,
)
from pinnsuite.neural.optimisers.limited_memory import LimitedMemory
from tests.neural.optimisers.objectives import counted, decays, normal, rosenbrock

NAMES = ["lbfgs", "bfgs", "ssbfgs", "ssbroyden"]


def steps_to(function, start, name, value):
    search = make_optimiser(name, counted(function), start)
    for step in range(1000):
        if search.value <= value:
            return step
        reason = search.step()
        assert reason is None, reason
    raise AssertionError(f"still at {search.value} after 1000 steps")


@pytest.mark.parametrize("n", [2, 10, 50])
@pytest.mark.parametrize("name", NAMES)
def test_rosenbrocks_valley_is_followed_to_its_end(n, name):
    start = torch.full((n,), -1.2, dtype=torch.float64)
    search = make_optimiser(name, counted(rosenbrock), start)
    for _ in range(600):
        if search.value < 1e-20 or search.step():
            break
    torch.testing.assert_close(
        search.parameters, torch.ones_like(start), rtol=0, atol=1e-9
    )
    assert search.objective.calls < 200 + 20 * n


def test_least_squares_needs_no_more_steps_with_the_dense_matrix():
    start = torch.tensor([1.0, 1.0, 1.0, 2.0], dtype=torch.float64)
    steps = {
        name: steps_to(lambda x: decays(x).square().sum(), start, name, 1e-16)
        for name in ("ssbroyden", "lbfgs")
    }
    assert steps["ssbroyden"] <= steps["lbfgs"]


def test_float32_comes_as_far_as_its_digits():
    start = torch.full((5,), -1.2)
    search = make_optimiser("ssbroyden", counted(rosenbrock), start)
    for _ in range(200):
        if search.step():
            break
    assert search.parameters.dtype == torch.float32
    assert float((search.parameters - 1).abs().max()) < 1e-3


@pytest.mark.parametrize("hessian", [bfgs, self_scaled_bfgs, self_scaled_broyden])
def test_the_secant_equation_holds_after_each_update(hessian):
    # More updates than a block holds, so that blocks are added into the matrix.
    n = 7
    root = normal(n, n)
    a = root @ root.T + torch.eye(n, dtype=torch.float64)
    h = BroydenFamily(n, hessian)
    for k in range(2 * BLOCK + 3):
        gradient = normal(n, seed=k + 1)
        step = h.direction(gradient)
        h.update(step, a @ step, float(-step @ gradient))
        torch.testing.assert_close(-h.direction(a @ step), step, rtol=1e-9, atol=0)
        for other in (normal(n, seed=100 + k), step):
            # H stays symmetric and positive definite.
            moved = -h.direction(other)
            assert float(other @ moved) > 0
            torch.testing.assert_close(
                float(gradient @ moved),
                float(-h.direction(gradient) @ other),
                rtol=1e-9,
                atol=1e-9,
            )


def test_bfgs_is_the_product_form_of_the_textbook():
    # Nocedal and Wright, equations 6.17 and 6.20.
    n = 5
    h = BroydenFamily(n, bfgs)
    dense = torch.eye(n, dtype=torch.float64)
    for k in range(BLOCK + 2):
        gradient = normal(n, seed=k)
        step = h.direction(gradient)
        torch.testing.assert_close(step, -dense @ gradient)
        change = step + 0.3 * normal(n, seed=50 + k)
        if step @ change <= 0:
            change = step
        h.update(step, change, float(-step @ gradient))
        rho = 1 / (step @ change)
        if k == 0:
            dense = dense / (rho * change @ change)
        v = torch.eye(n, dtype=torch.float64) - rho * torch.outer(change, step)
        dense = v.T @ dense @ v + rho * torch.outer(step, step)


def test_bfgs_and_limited_memory_agree_where_both_hold_all_steps():
    # Same initial scaling if there is one update; the two-loop recursion is 6.17.
    n = 6
    dense, limited = BroydenFamily(n, bfgs), LimitedMemory()
    step = normal(n)
    change = step + 0.1 * normal(n, seed=1)
    for h in (dense, limited):
        h.update(step, change, float(step @ step))
    gradient = normal(n, seed=2)
    torch.testing.assert_close(dense.direction(gradient), limited.direction(gradient))


@pytest.mark.parametrize("n", [3, 8, 12])
def test_bfgs_ends_a_quadratic_in_n_steps_with_exact_line_search(n):
    # Nocedal and Wright, theorem 6.4.
    root = normal(n, n)
    hessian = root @ root.T + torch.eye(n, dtype=torch.float64)
    h = BroydenFamily(n, bfgs)
    x = torch.ones(n, dtype=torch.float64)
    start = float(x @ hessian @ x)
    for step in range(n):
        assert float(x @ hessian @ x) > 1e-12 * start, step
        gradient = hessian @ x
        direction = h.direction(gradient)
        slope = float(gradient @ direction)
        length = -slope / float(direction @ hessian @ direction)
        x = x + length * direction
        h.update(length * direction, length * hessian @ direction, -(length**2) * slope)
    assert float(x @ hessian @ x) < 1e-14 * start


@pytest.mark.parametrize("b", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("h", [3.5, 8.0])
def test_self_scaled_broyden_takes_the_published_values(b, h):
    # Written out again from the paper's equations for n = 11.
    theta, tau = self_scaled_broyden(b, h, 11)
    a = h * b - 1
    c = (a / (a + 1)) ** 0.5
    rho_minus = min(1, h * (1 - c))
    lower, upper = (rho_minus - 1) / a, 1 / rho_minus
    assert theta == pytest.approx(max(lower, min(upper, (1 - b) / b)), rel=1e-14)
    sigma = 1 + theta * a
    shrink = min(1, 1 / b)
    expected = (
        min(shrink * sigma ** (-1 / 10), sigma)
        if theta <= 0
        else shrink * min(sigma ** (-1 / 10), 1 / theta)
    )
    assert tau == pytest.approx(expected, rel=1e-14)
    # The mixed matrix stays positive definite, and is scaled up, never down: τ ≤ 1.
    assert sigma > 0
    assert 0 < tau <= 1


def test_self_scaled_broyden_is_bfgs_where_the_model_is_exact():
    # b = 1: the step was as long as H⁻¹ foresaw, so nothing is mixed or scaled.
    theta, tau = self_scaled_broyden(1.0, 2.0, 10)
    assert theta == 0.0
    assert tau == 1.0
    assert self_scaled_bfgs(1.0, 2.0, 10) == bfgs(1.0, 2.0, 10)


@pytest.mark.parametrize("name", NAMES)
def test_an_objective_that_changes_is_taken_anew(name):
    search = make_optimiser(
        name, counted(rosenbrock), torch.zeros(3, dtype=torch.float64)
    )
    for _ in range(5):
        search.step()
    search.objective = counted(lambda x: (x - 5).square().sum())
    search.evaluate()
    for _ in range(60):
        if search.step():
            break
    torch.testing.assert_close(search.parameters, torch.full_like(search.parameters, 5))
