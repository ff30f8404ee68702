"""Channels follow the rules of calculus, to any order and both ways."""

import itertools

import numpy as np
import pytest
import torch

from pinnsuite.neural.composition import SecondOrder, exponential, sine, tanh
from pinnsuite.neural.networks import MLP, Features
from pinnsuite.neural.propagation import Propagation
from pinnsuite.neural.residual import ReverseMode
from pinnsuite.neural.taylor import (
    Carried,
    channels,
    composed,
    product,
    product_matrix,
    quotient,
    square_root,
)
from pinnsuite.problem.jets import Jet

HIGHEST = [(2,), (5,), (1, 1), (2, 2), (4, 1), (1, 2, 1)]
FUNCTIONS = [(tanh, torch.tanh), (sine, torch.sin), (exponential, torch.exp)]


def field(points, seed):
    """Return some smooth function of the points, by torch."""
    generator = torch.Generator().manual_seed(seed)
    width, size = 4, points.shape[1]
    inner, shift = (
        torch.randn(s, generator=generator, dtype=torch.float64)
        for s in [(size, width), (width,)]
    )
    return torch.sin(points @ inner + shift).sum(1) / 2


def nested(values, points, kept):
    derivatives = ReverseMode(points, values[:, None])
    return torch.stack([derivatives[Jet(0, a)].detach() for a in kept.orders])


@pytest.fixture(params=HIGHEST, ids=str)
def kept(request):
    return channels([Jet(0, request.param)], len(request.param))


@pytest.fixture
def points(kept):
    generator = torch.Generator().manual_seed(7)
    size = len(kept.orders[0])
    return torch.rand(
        5, size, generator=generator, dtype=torch.float64
    ).requires_grad_()


def test_only_what_is_needed_and_what_is_below_it_is_carried():
    kept = channels([Jet(0, (1, 0)), Jet(1, (0, 2))], 2)
    assert kept.orders == ((0, 0), (0, 1), (1, 0), (0, 2))
    plate = [Jet(0, (4, 0)), Jet(0, (2, 2)), Jet(0, (0, 4))]
    assert len(channels(plate, 2).orders) == 13


def test_a_product_has_the_derivatives_of_nested_differentiation(kept, points):
    left, right = field(points, 1), field(points, 2)
    matrix = product_matrix(nested(left, points, kept), kept)
    product = torch.einsum("abn,bn->an", matrix, nested(right, points, kept))
    expected = nested(left * right, points, kept)
    torch.testing.assert_close(product, expected, rtol=1e-12, atol=1e-11)


def test_products_quotients_and_roots_are_differentiated_by_leibniz_rule(kept, points):
    one, other = field(points, 1), 3 + field(points, 2)
    f, g = nested(one, points, kept), nested(other, points, kept)
    for got, expected in [
        (product(f, g, kept), one * other),
        (quotient(f, g, kept), one / other),
        (square_root(g, kept), other.sqrt()),
    ]:
        torch.testing.assert_close(got, nested(expected, points, kept))


def test_functions_of_maps_are_differentiated_by_the_chain_rule(kept, points):
    size = points.shape[1]
    path = torch.stack([field(points, k) for k in range(size)], 1)
    inner = [nested(component, points, kept) for component in path.unbind(1)]
    at = path.detach().requires_grad_()
    outer = ReverseMode(at, field(at, 9)[:, None])
    got = composed(lambda a: outer[Jet(0, a)].detach(), inner, kept)
    expected = nested(field(path, 9), points, kept)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize(("make", "function"), FUNCTIONS)
def test_a_composition_has_the_derivatives_of_nested_differentiation(
    make, function, kept, points
):
    inside = field(points, 3)
    z = nested(inside, points, kept)[..., None]
    composed = make(z, torch.empty_like(z), kept)
    composed.evaluate()
    expected = nested(function(inside), points, kept)
    torch.testing.assert_close(
        composed.values[..., 0], expected, rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize(("make", "function"), FUNCTIONS)
def test_a_pullback_is_the_transpose_of_the_tangent(make, function, kept):
    """`⟨g, dy⟩ = ⟨z̄, dz⟩`, dy by central differences of the forward pass."""
    generator = torch.Generator().manual_seed(0)
    shape = len(kept.orders), 4, 3
    z, dz, g = 0.5 * torch.randn(3, *shape, generator=generator, dtype=torch.float64)
    composed = make(z, g, kept)

    def values(at):
        other = make(at, g, kept)
        other.evaluate()
        return other.values

    composed.evaluate()
    back = torch.full_like(z, torch.nan)
    composed.pullback(back)
    step = 1e-5
    change = (values(z + step * dz) - values(z - step * dz)) / (2 * step)
    assert float((g * change).sum()) == pytest.approx(
        float((back * dz).sum()), rel=1e-7, abs=1e-7
    )


@pytest.mark.parametrize(("series", "name"), [(tanh, "tanh"), (sine, "sine")])
def test_closed_forms_are_the_recursion_of_second_order(series, name):
    kept = channels([Jet(0, (2, 0)), Jet(0, (1, 1)), Jet(0, (0, 2))], 2)
    higher = channels([Jet(0, (3, 0)), Jet(0, (1, 1)), Jet(0, (0, 2))], 2)
    generator = torch.Generator().manual_seed(0)
    z, g = torch.randn(2, 7, 4, 3, generator=generator, dtype=torch.float64)
    g[-1] = 0.0
    assert higher.orders[:6] == kept.orders
    closed = SecondOrder(z[:6], g[:6], name, kept)
    recursive = series(z, g, higher)
    found = []
    for composition in (closed, recursive):
        composition.evaluate()
        back = torch.empty_like(composition.values)
        composition.pullback(back)
        found.append((composition.values[:6], back[:6]))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("num_waves", [0, 3])
@pytest.mark.parametrize("periodic", [(), (1,)])
@pytest.mark.parametrize("activation", ["tanh", "sine"])
def test_a_network_has_the_derivatives_of_nested_differentiation(
    activation, periodic, num_waves
):
    kept = channels([Jet(0, (1, 0)), Jet(0, (0, 4)), Jet(0, (2, 2))], 2)
    frequencies = None
    if num_waves:
        frequencies = torch.linspace(-2, 3, 2 * num_waves, dtype=torch.float64)
        frequencies = frequencies.view(2, num_waves)
    ends = np.array([[0.0, 2.0], [-1.0, 2.0]])
    features = Features(ends, periodic, frequencies)
    network = MLP((features.size, 6, 5, 2), activation)
    weights = network.initial(torch.Generator().manual_seed(0))
    points = torch.rand(
        9, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    ).requires_grad_()
    inputs = features.derivatives(points.detach(), kept)
    propagation = Propagation(network, inputs, kept)
    outputs = propagation.outputs(network.layers(weights), inputs)
    expected = ReverseMode(points, network(weights, features(points)))
    carried = Carried(outputs.permute(2, 0, 1), kept)
    for i, a in itertools.product(range(2), kept.orders):
        torch.testing.assert_close(
            carried[Jet(i, a)], expected[Jet(i, a)].detach(), rtol=1e-9, atol=1e-9
        )
