"""Functions whose minima are known, with gradients and Jacobians by autograd."""

import torch


def counted(function):
    """The objective of a scalar function, counting its evaluations."""

    def objective(x):
        objective.calls += 1
        x = x.clone().requires_grad_()
        value = function(x)
        return float(value.detach()), torch.autograd.grad(value, x)[0]

    objective.calls = 0
    return objective


class SumOfSquares:
    """The objective of a function that returns residuals."""

    def __init__(self, residuals):
        self._residuals = residuals
        self.calls = self.jacobians = 0

    def __call__(self, x):
        self.calls += 1
        r, j = self.jacobian(x)
        return float(r @ r), 2 * j.T @ r

    def residuals(self, x):
        self.calls += 1
        return self._residuals(x)

    def jacobian(self, x):
        self.jacobians += 1
        return self._residuals(x), torch.func.jacrev(self._residuals)(x)


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def rosenbrock_residuals(x):
    return torch.cat([10 * (x[1:] - x[:-1] ** 2), 1 - x[:-1]])


def decays(x):
    """A sum of two decays minus its own samples: zero at (2, 0.5, 1, 3)."""
    t = torch.linspace(0, 3, 40, dtype=x.dtype)
    model = x[0] * torch.exp(-x[1] * t) + x[2] * torch.exp(-x[3] * t)
    return model - 2 * torch.exp(-0.5 * t) - torch.exp(-3 * t)


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)
