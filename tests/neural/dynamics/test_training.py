import numpy as np
import pytest
import torch

from pinnsuite.neural.dynamics.training import seeded, train
from pinnsuite.solver import silent


class Bowl(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.x = torch.nn.Parameter(torch.tensor([2.0, -1.0]))

    def loss(self):
        return ((self.x - 1.0) ** 2).sum()


def run(bowl, loss=None, **options):
    options = {"steps": 300, "learning_rate": 0.05, "budget": None} | options
    return train(bowl, loss or bowl.loss, progress=silent, **options)


def test_the_minimum_of_a_bowl_is_found():
    bowl = Bowl()
    training = run(bowl)
    np.testing.assert_allclose(bowl.x.detach(), 1.0, atol=1e-3)
    assert training.stop_reason == "steps"
    assert len(training.loss) == 300


def test_a_budget_ends_the_training():
    training = run(Bowl(), steps=10**9, budget=0.2)
    assert training.stop_reason == "budget"
    assert 0.1 < training.cpu_s[-1] < 0.3


def test_a_loss_that_is_nan_ends_with_its_status():
    bowl = Bowl()
    training = run(bowl, lambda: bowl.loss() * float("nan"))
    assert training.status == "nan"
    assert len(training.loss) == 1
    assert torch.isfinite(bowl.x).all()


def test_the_best_validated_parameters_are_kept():
    bowl = Bowl()
    run(bowl, validate=lambda: float((bowl.x[0] - 1.5) ** 2))
    assert float(bowl.x.detach()[0]) == pytest.approx(1.5, abs=0.2)


def test_seeding_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    with seeded(3):
        first = torch.randn(4)
    assert torch.equal(before, torch.random.get_rng_state())
    with seeded(3):
        assert torch.equal(first, torch.randn(4))
