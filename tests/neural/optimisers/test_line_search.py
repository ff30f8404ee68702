"""Every step that the line search takes meets the strong Wolfe conditions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pinnsuite.neural.optimisers.line_search import (
    CURVATURE,
    SUFFICIENT_DECREASE,
    line_search,
)
from tests.neural.optimisers.objectives import counted, normal

numbers = st.floats(-3, 3, allow_subnormal=False)


@given(
    coefficients=st.lists(numbers, min_size=4, max_size=4),
    start=numbers,
    length=st.floats(1e-6, 1e3),
)
def test_accepted_steps_meet_the_wolfe_conditions(coefficients, start, length):
    # Bounded below, with several minima in general.
    a, b, c, d = coefficients
    objective = counted(
        lambda x: (x**4 / 4 + a * x**3 + b * x**2 + c * x + torch.sin(d * x)).sum()
    )
    point = torch.tensor([start], dtype=torch.float64)
    value, gradient = objective(point)
    direction = -gradient
    slope = float(gradient @ direction)
    if slope > -1e-6:  # at a stationary point round-off decides
        return
    found = line_search(objective, point, direction, value, slope, length)
    assert found is not None
    step, lower, there = found
    assert (lower, there) == (objective(point + step * direction)[0], there)
    assert lower <= value + SUFFICIENT_DECREASE * step * slope
    assert abs(float(there @ direction)) <= CURVATURE * abs(slope)


def test_a_direction_that_does_not_descend_ends_the_search():
    objective = counted(lambda x: x.square().sum())
    point = torch.ones(2, dtype=torch.float64)
    # The slope is a lie: along (1, 1) the function grows.
    assert line_search(objective, point, point, 2.0, -1.0, 1.0) is None
    assert objective.calls <= 25


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_minimum_itself_costs_few_evaluations(dtype):
    objective = counted(lambda x: (x - 1).square().sum() + 1)
    at = torch.ones(3, dtype=dtype) + 1e-3 * torch.finfo(dtype).eps
    direction = normal(3).to(dtype)
    assert line_search(objective, at, direction, 1.0, -1e-12, 1.0) is None
    assert objective.calls <= 25


def test_a_bracket_that_shrinks_to_nothing_ends_the_search():
    """Beyond a wall values are so large that each bracket is a tenth of the last."""
    start, direction = torch.zeros(1).double(), torch.ones(1).double()
    for wall in torch.linspace(1, 2, 101).double().tolist():

        def objective(x, wall=wall):
            is_beyond = float(x) > wall
            return (1e6, x * 0 + 1e6) if is_beyond else (0.5, x * 0 - 0.95)

        length, value, _ = line_search(objective, start, direction, 1.0, -1.0, wall)
        assert (length, value) == (wall, 0.5)
