"""Adam is PyTorch's Adam; SOAP is Adam in the basis of the gradients' covariance."""

import math

import pytest
import torch

from pinnsuite.errors import OptionError
from pinnsuite.neural.optimisers import make_optimiser
from tests.neural.optimisers.objectives import counted, normal, rosenbrock


def trajectory(name, objective, start, steps, **options):
    search = make_optimiser(name, objective, start, **options)
    points = []
    for _ in range(steps):
        assert search.step() is None
        points.append(search.parameters)
    return torch.stack(points)


def test_adam_takes_the_steps_of_pytorchs():
    start = torch.full((4,), -1.2, dtype=torch.float64)
    ours = trajectory("adam", counted(rosenbrock), start, 50, rate=1e-2)
    leaf = start.clone().requires_grad_()
    theirs = torch.optim.Adam([leaf], lr=1e-2)
    for point in ours:
        theirs.zero_grad()
        rosenbrock(leaf).backward()
        theirs.step()
        torch.testing.assert_close(leaf.detach(), point, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shapes", [[(12,)], [(1, 12)], [(4, 3)], [(2, 3), (6,)]])
def test_soap_without_turning_is_adam(shapes):
    start = torch.full((12,), -1.2, dtype=torch.float64)
    options = {"rate": 1e-2, "betas": (0.9, 0.99)}
    adam = trajectory("adam", counted(rosenbrock), start, 30, **options)
    soap = trajectory(
        "soap",
        counted(rosenbrock),
        start,
        30,
        shapes=shapes,
        max_dimension=1,
        **options,
    )
    torch.testing.assert_close(soap, adam, rtol=1e-12, atol=1e-14)


def test_soap_is_adam_where_the_gradients_covariance_is_diagonal():
    # Only the diagonal of the matrix has a gradient: its eigenbasis is the standard
    # one up to order and sign, which Adam does not see. Round-off off the diagonal is
    # divided by no less than 1e-8.
    scale = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)
    objective = counted(lambda x: (scale * (x.view(3, 3).diagonal() - 1) ** 2).sum())
    start = torch.zeros(9, dtype=torch.float64)
    options = {"rate": 1e-2, "betas": (0.9, 0.99)}
    adam = trajectory("adam", objective, start, 30, **options)
    soap = trajectory(
        "soap", objective, start, 30, shapes=[(3, 3)], turn_every=1, **options
    )
    torch.testing.assert_close(soap, adam, rtol=1e-6, atol=1e-6)


def test_soap_does_not_see_in_which_basis_the_matrix_is_written():
    a, b = normal(4, 4), normal(3, 3, seed=1)
    left, right = torch.linalg.qr(a)[0], torch.linalg.qr(b)[0]
    weights, target = 1 + 5 * normal(4, 3, seed=2).abs(), normal(4, 3, seed=3)

    def plain(x):
        return (weights * (x.view(4, 3) - target) ** 2).sum()

    def turned(x):
        return plain((left @ x.view(4, 3) @ right.T).reshape(-1))

    start = normal(4, 3, seed=4)
    options = {"rate": 1e-2, "betas": (0.9, 0.9)}
    start_turned = (left.T @ start @ right).reshape(-1)
    steps = {
        name: [
            trajectory(name, counted(f), x, 20, **options, **more)
            for f, x in ((plain, start.reshape(-1)), (turned, start_turned))
        ]
        for name, more in (("soap", {"shapes": [(4, 3)]}), ("adam", {}))
    }
    back = {
        name: (left @ inside.view(-1, 4, 3) @ right.T).reshape(-1, 12)
        for name, (_, inside) in steps.items()
    }
    torch.testing.assert_close(back["soap"], steps["soap"][0], rtol=1e-6, atol=1e-8)
    assert float((back["adam"] - steps["adam"][0]).abs().max()) > 1e-2


def test_soap_beats_adam_where_the_axes_are_mixed():
    # An ill-conditioned product form A X B, whose axes are those of no entry.
    a = normal(6, 6) * torch.logspace(0, -1.5, 6, dtype=torch.float64)
    b = normal(6, 6, seed=1) * torch.logspace(0, -1.5, 6, dtype=torch.float64)

    def f(x):
        return (a @ (x.view(6, 6) - 1) @ b.T).square().sum()

    ends = {}
    for name, more in (("adam", {}), ("soap", {"shapes": [(6, 6)]})):
        path = trajectory(
            name,
            counted(f),
            torch.zeros(36, dtype=torch.float64),
            400,
            rate=2e-2,
            half_life=100.0,
            **more,
        )
        ends[name] = float(f(path[-1]))
    assert ends["soap"] < 0.5 * ends["adam"]


def test_the_step_size_halves():
    # Adam's first step is the step size.
    objective = counted(lambda x: x.sum())
    start = torch.zeros(2, dtype=torch.float64)
    path = trajectory("adam", objective, start, 10, rate=1.0, half_life=5.0)
    lengths = -path.diff(dim=0, prepend=start[None])[:, 0]
    expected = 0.5 ** (torch.arange(1, 11, dtype=torch.float64) / 5)
    torch.testing.assert_close(lengths, expected, rtol=1e-6, atol=0)


def test_new_points_before_each_step_cost_one_evaluation():
    objective = counted(lambda x: x.square().sum())
    search = make_optimiser("adam", objective, torch.ones(2, dtype=torch.float64))
    for _ in range(10):
        search.evaluate()
        search.step()
    assert objective.calls == 10
    assert search.value == pytest.approx(float(search.parameters.square().sum()))


def test_shapes_that_do_not_fill_the_vector_are_refused():
    with pytest.raises(OptionError, match="hold 9 numbers; needed are all 12"):
        make_optimiser("soap", counted(rosenbrock), torch.zeros(12), shapes=[(3, 3)])
    assert math.prod((3, 3)) == 9
