"""What holds for every optimiser."""

import math

import pytest
import torch

from pinnsuite.errors import OptionError
from pinnsuite.neural.optimisers import OPTIMISERS, Optimiser, make_optimiser
from tests.neural.optimisers.objectives import SumOfSquares, rosenbrock_residuals


def build(name, residuals, start, **options):
    if name == "soap":
        options["shapes"] = [(len(start),)]
    return make_optimiser(name, SumOfSquares(residuals), start, **options)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_value_is_that_at_the_parameters_and_falls(name):
    start = torch.full((4,), -1.2, dtype=torch.float64)
    search = build(name, rosenbrock_residuals, start)
    assert isinstance(search, Optimiser)
    first = search.value
    for _ in range(20):
        if search.step():
            break
        assert search.value == pytest.approx(
            float(rosenbrock_residuals(search.parameters).square().sum()), rel=1e-12
        )
    assert search.value < first
    assert not torch.equal(search.parameters, start)
    assert torch.equal(start, torch.full((4,), -1.2, dtype=torch.float64))


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_value_that_is_not_finite_is_the_reason_to_stop(name):
    search = build(name, lambda x: torch.log(x), -torch.ones(3, dtype=torch.float64))
    before = search.parameters.clone()
    assert "not finite" in search.step()
    assert torch.equal(search.parameters, before)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_gradient_that_is_not_finite_is_the_reason_to_stop(name):
    # √x at 0: the value is finite, the slope is not.
    search = build(name, lambda x: x.sqrt() + 1, torch.zeros(3, dtype=torch.float64))
    assert math.isfinite(search.value)
    assert "not finite" in search.step()
    assert not search.parameters.any()


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_vanishing_gradient_is_the_reason_to_stop(name):
    search = build(name, lambda x: 0 * x + 1, torch.ones(3, dtype=torch.float64))
    assert "gradient vanishes" in search.step()


@pytest.mark.parametrize("name", [n for n in OPTIMISERS if n not in ("adam", "soap")])
def test_at_the_floor_of_round_off_the_search_ends(name):
    # The minimum is 3, not 0: below 1e-16 · 3 no descent is seen.
    def residuals(x):
        return torch.cat([rosenbrock_residuals(x), torch.ones(3, dtype=x.dtype)])

    search = build(name, residuals, torch.full((3,), 0.5, dtype=torch.float64))
    reason = None
    for _ in range(500):
        reason = search.step()
        if reason:
            break
    assert reason
    assert search.value == pytest.approx(3.0, rel=1e-12)
    assert search.objective.calls < 3000


def test_unknown_names_and_options_name_the_known_ones():
    start = torch.ones(3)
    with pytest.raises(OptionError, match="Did you mean 'ssbroyden'"):
        build("ssbroiden", rosenbrock_residuals, start)
    with pytest.raises(OptionError, match="Did you mean 'damping'"):
        build("spring", rosenbrock_residuals, start, dampin=1.0)
    with pytest.raises(OptionError, match="needs the option 'shapes'"):
        make_optimiser("soap", SumOfSquares(rosenbrock_residuals), start)
