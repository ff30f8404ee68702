"""Code that hands over a closure gets the same steps."""

import pytest
import torch

from pinnsuite.neural.optimisers import TorchOptimiser, make_optimiser
from tests.neural.optimisers.objectives import counted, rosenbrock


@pytest.mark.parametrize("name", ["adam", "lbfgs", "bfgs", "ssbfgs", "ssbroyden"])
def test_steps_on_tensors_are_steps_on_their_vector(name):
    start = torch.full((6,), -1.2, dtype=torch.float64)
    direct = make_optimiser(name, counted(rosenbrock), start)
    for _ in range(10):
        direct.step()
    parts = [start[:2].view(1, 2).clone(), start[2:].view(2, 2).clone()]
    parts = [torch.nn.Parameter(p) for p in parts]
    wrapped = TorchOptimiser(parts, name, steps_per_call=10)

    def closure():
        wrapped.zero_grad()
        loss = rosenbrock(torch.cat([p.reshape(-1) for p in parts]))
        loss.backward()
        return loss

    assert wrapped.step(closure) == direct.value
    found = torch.cat([p.detach().reshape(-1) for p in parts])
    torch.testing.assert_close(found, direct.parameters, rtol=0, atol=0)


def network(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Linear(1, 10), torch.nn.Tanh(), torch.nn.Linear(10, 1)
    ).double()


@pytest.mark.parametrize(
    ("name", "options"), [("ssbroyden", {}), ("soap", {"rate": 1e-2})]
)
def test_a_network_learns(name, options):
    net = network()
    unused = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    wrapped = TorchOptimiser([*net.parameters(), unused], name, **options)
    x = torch.linspace(-1, 1, 50, dtype=torch.float64)[:, None]

    def closure():
        wrapped.zero_grad()
        loss = (net(x) - torch.sin(3 * x)).square().mean()
        loss.backward()
        return loss

    first = float(closure().detach())
    for _ in range(20):
        last = wrapped.step(closure)
    assert last < 1e-2 * first
    # The tensors hold the end of the search, not its last trial.
    assert float(closure().detach()) == pytest.approx(last, rel=1e-12)
    assert torch.equal(unused, torch.ones_like(unused))


def test_a_loss_that_changes_between_calls_is_taken_anew():
    point = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))
    wrapped = TorchOptimiser([point])
    target = [1.0]

    def closure():
        wrapped.zero_grad()
        loss = (point - target[0]).square().sum()
        loss.backward()
        return loss

    wrapped.step(closure)
    torch.testing.assert_close(point.detach(), torch.ones_like(point))
    target[0] = 4.0
    wrapped.stop_reason = None
    wrapped.step(closure)
    torch.testing.assert_close(point.detach(), torch.full_like(point, 4.0))
