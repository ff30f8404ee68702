import numpy as np
import pytest
import torch
from scipy.signal import cont2discrete, dlsim

from pinnsuite.neural.dynamics.state_space import DiagonalStateSpace, StateSpaceBlock
from pinnsuite.neural.dynamics.training import seeded


@pytest.fixture
def layer():
    with seeded(0):
        return DiagonalStateSpace(3, 5, (1e-2, 1e-1)).double()


def inputs(*shape):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("length", [1, 2, 37, 64])
def test_fft_scan_and_steps_are_one_map(layer, length):
    u = inputs(2, 3, length)
    state = torch.zeros(2, 3, 5, dtype=torch.complex128)
    stepped = []
    for sample in u.unbind(-1):
        y, state = layer.step(sample, state)
        stepped.append(y)
    full = layer(u)
    torch.testing.assert_close(layer.scan(u), full, atol=1e-12, rtol=0)
    torch.testing.assert_close(torch.stack(stepped, -1), full, atol=1e-12, rtol=0)


def test_gradients_of_fft_and_scan_agree(layer):
    u = inputs(3, 20)
    gradients = []
    for evaluate in (layer, layer.scan):
        layer.zero_grad()
        evaluate(u).square().sum().backward()
        gradients.append([p.grad.clone() for p in layer.parameters()])
    torch.testing.assert_close(*gradients, atol=1e-9, rtol=1e-9)


def test_it_is_the_sampled_differential_equation(layer):
    rate = (-layer.log_decay.exp() + 1j * layer.frequency)[0].detach().numpy()
    step = layer.log_step[0].exp().item()
    readout = torch.view_as_complex(layer.readout)[0].detach().numpy()
    direct = layer.direct[0].item()
    # Real form of the modes and their conjugates.
    a = np.kron(np.diag(rate.real), np.eye(2)) + np.kron(
        np.diag(rate.imag), [[0, -1], [1, 0]]
    )
    b = np.tile([[1.0], [0.0]], (5, 1))
    c = 2 * np.stack([readout.real, -readout.imag], 1).reshape(1, -1)
    system = cont2discrete((a, b, c, [[direct]]), step)
    u = inputs(3, 30)
    # The input of a sample is held before its output is read: one sample earlier.
    held = np.append(u[0, 1:].numpy(), 0.0)
    _, _, x = dlsim(system, held, x0=system[1][:, 0] * float(u[0, 0]))
    expected = x @ c[0] + direct * u[0].numpy()
    np.testing.assert_allclose(layer(u)[0].detach().numpy(), expected, atol=1e-10)


def test_a_long_impulse_response_decays(layer):
    impulse = torch.zeros(3, 20_000, dtype=torch.float64)
    impulse[:, 0] = 1.0
    assert layer(impulse)[:, -10:].abs().max() < 1e-10


def test_a_block_is_causal():
    with seeded(0):
        block = StateSpaceBlock(6, 4, (1e-2, 1e-1)).double()
    h = inputs(1, 40, 6)
    later = h.clone()
    later[:, 25:] += 1.0
    torch.testing.assert_close(
        block(h)[:, :25], block(later)[:, :25], atol=1e-12, rtol=0
    )
    assert not torch.allclose(block(h)[:, 25:], block(later)[:, 25:])
