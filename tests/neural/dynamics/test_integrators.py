import math

import pytest
import torch

from pinnsuite.neural.dynamics.integrators import SCHEMES


def pendulum(t, x):
    return torch.stack([x[..., 1], -torch.sin(x[..., 0]) + 0.1 * torch.cos(t)], -1)


@pytest.mark.parametrize("name", SCHEMES)
def test_the_error_falls_at_the_order_of_the_scheme(name):
    start = torch.tensor([1.0, 0.0], dtype=torch.float64)
    scheme = SCHEMES[name]
    truth = SCHEMES["rk4"].integrate(pendulum, start, 0.0, 2.0, 4000)
    errors = [
        (scheme.integrate(pendulum, start, 0.0, 2.0, n) - truth).norm().item()
        for n in (80, 160)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(scheme.order, abs=0.1)


@pytest.mark.parametrize("name", SCHEMES)
def test_the_gradient_is_that_of_the_discrete_map(name):
    start = torch.tensor([0.5, -0.2], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x: SCHEMES[name].integrate(pendulum, x, 0.0, 1.0, 5), (start,)
    )
