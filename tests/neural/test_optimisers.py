"""Quasi-Newton methods find the minimum, and the dense one in no more steps."""

import pytest
import torch

from pinnsuite.neural.optimisers import LimitedMemory, QuasiNewton, SelfScaledBroyden
from pinnsuite.neural.optimisers.quasi_newton import (
    CURVATURE,
    SUFFICIENT_DECREASE,
    line_search,
)


def counted(function):
    def objective(x):
        objective.calls += 1
        x = x.clone().requires_grad_()
        value = function(x)
        return float(value.detach()), torch.autograd.grad(value, x)[0]

    objective.calls = 0
    return objective


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def exponentials(x):
    """Least squares: a sum of two decays through its own samples."""
    t = torch.linspace(0, 3, 40, dtype=x.dtype)
    model = x[0] * torch.exp(-x[1] * t) + x[2] * torch.exp(-x[3] * t)
    data = 2 * torch.exp(-0.5 * t) + torch.exp(-3 * t)
    return (model - data).square().sum()


def steps_to(function, start, inverse_hessian, value):
    search = QuasiNewton(counted(function), start, inverse_hessian)
    for step in range(1000):
        if search.value <= value:
            return step
        reason = search.step()
        assert reason is None, reason
    raise AssertionError(f"still at {search.value} after 1000 steps")


@pytest.mark.parametrize("n", [2, 10])
@pytest.mark.parametrize("kind", ["dense", "limited"])
def test_rosenbrocks_valley_is_followed_to_its_end(n, kind):
    h = SelfScaledBroyden(n) if kind == "dense" else LimitedMemory()
    start = torch.full((n,), -1.2, dtype=torch.float64)
    search = QuasiNewton(counted(rosenbrock), start, h)
    for _ in range(200):
        if search.value < 1e-20 or search.step():
            break
    torch.testing.assert_close(
        search.parameters, torch.ones_like(start), rtol=0, atol=1e-9
    )
    assert search.objective.calls < 300


def test_least_squares_needs_no_more_steps_with_the_dense_matrix():
    start = torch.tensor([1.0, 1.0, 1.0, 2.0], dtype=torch.float64)
    dense = steps_to(exponentials, start, SelfScaledBroyden(4), 1e-16)
    limited = steps_to(exponentials, start, LimitedMemory(), 1e-16)
    assert dense <= limited


def test_a_quadratic_teaches_the_matrix_its_inverse():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    hessian = root @ root.T + torch.eye(6, dtype=torch.float64)
    h = SelfScaledBroyden(6)
    objective = counted(lambda x: 0.5 * x @ hessian @ x)
    search = QuasiNewton(objective, torch.ones(6, dtype=torch.float64), h)
    while search.value > 1e-24 and search.step() is None:
        pass
    assert search.value <= 1e-24
    # The secant equation: H maps the last change of gradient to the last step.
    before, gradient = search.parameters, search.gradient
    search.parameters = before + 0.1
    search.evaluate()
    h.update(
        search.parameters - before,
        search.gradient - gradient,
        float(0.01 * torch.ones(6, dtype=torch.float64) @ hessian.sum(1)),
    )
    change = search.gradient - gradient
    torch.testing.assert_close(
        -h.direction(change), search.parameters - before, rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("length", [1e-3, 1.0, 50.0])
def test_a_line_search_meets_the_wolfe_conditions(length):
    objective = counted(lambda x: ((x - 3) ** 4 + x).sum())
    start = torch.zeros(1, dtype=torch.float64)
    value, gradient = objective(start)
    direction = -gradient / gradient.abs().sum()
    slope = float(gradient @ direction)
    found = line_search(objective, start, direction, value, slope, length)
    assert found is not None
    step, lower, there = found
    assert lower <= value + SUFFICIENT_DECREASE * step * slope
    assert abs(float(there @ direction)) <= CURVATURE * abs(slope)


def test_values_that_are_not_finite_shorten_the_step():
    # The logarithm ends at 0: a full step from 1 along -2 leaves its domain.
    objective = counted(lambda x: (x - torch.log(x)).sum() + (x - 0.4).square().sum())
    start = torch.tensor([1.0], dtype=torch.float64)
    value, gradient = objective(start)
    direction = torch.tensor([-2.0], dtype=torch.float64)
    slope = float(gradient @ direction)
    found = line_search(objective, start, direction, value, slope, 1.0)
    assert found is not None
    assert found[1] < value


def test_the_reason_to_stop_is_given():
    flat = QuasiNewton(
        counted(lambda x: (0 * x).sum()),
        torch.ones(2, dtype=torch.float64),
        LimitedMemory(),
    )
    assert "gradient vanishes" in flat.step()
    broken = QuasiNewton(
        counted(lambda x: torch.log(-x.abs()).sum()),
        torch.ones(2, dtype=torch.float64),
        LimitedMemory(),
    )
    assert "not finite" in broken.step()
