"""A saved network is the same function again, and is trained further, or refused."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from pinnsuite.errors import DataError
from pinnsuite.neural.pinn import PINN
from pinnsuite.neural.weights import load
from pinnsuite.problem import (
    D,
    Dirichlet,
    Initial,
    Interval,
    Observed,
    Problem,
    TimeInterval,
    Unknown,
    coordinates,
    field_of,
)

t, x, k = coordinates("t x k")
u = field_of("u", t, x)


def heat(start=4):
    """Heat in a rod with an unknown diffusivity."""
    points = np.random.default_rng(0).uniform(size=(30, 2))
    values = 4 * points[:, 1] * (1 - points[:, 1]) * np.exp(-points[:, 0])
    return Problem(
        "rod",
        [u],
        [D(u, t) - k * D(u, x, 2)],
        [Initial(u, start * x * (1 - x)), Dirichlet(u, 0), Observed(u, points, values)],
        Interval(x, 0, 1),
        TimeInterval(t, 0, 1, 11),
        unknowns=[Unknown(k, 0.01, 1, 0.5)],
    )


SMALL = PINN(
    width=8, depth=2, points=100, adam_steps=5, steps=20, resample_every=0, fourier=1.0
)
AT = np.random.default_rng(1).uniform(size=(50, 2))


@pytest.fixture
def saved(tmp_path):
    """A solution, and the file of its network."""
    solution = SMALL.solve(heat())
    path = tmp_path / "model.safetensors"
    solution.model.save(path)
    return solution, path


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_read_is_what_was_saved_to_the_bit(saved, seed):
    solution, path = saved
    still = replace(SMALL, start=str(path), adam_steps=0, steps=0, seed=seed)
    again = still.solve(heat())
    np.testing.assert_array_equal(again.at(AT)["u"], solution.at(AT)["u"])
    np.testing.assert_array_equal(again.fields["u"], solution.fields["u"])
    assert again.coefficients == solution.coefficients
    assert load(path).options["steps"] == 20


def test_training_goes_on_from_where_it_was(saved):
    solution, path = saved
    before = path.read_bytes()
    further = replace(SMALL, start=str(path), adam_steps=0, steps=40).solve(heat())
    loss = further.history["loss"]
    assert loss[0] <= solution.history["loss"][-1] * (1 + 1e-9)
    assert loss[-1] < 0.5 * loss[0]
    assert path.read_bytes() == before


def test_another_problem_is_refused(saved):
    _, path = saved
    with pytest.raises(DataError, match="on another problem"):
        replace(SMALL, start=str(path)).solve(heat(start=3))


@pytest.mark.parametrize(
    "options", [{"width": 9}, {"depth": 1}, {"activation": "sine"}]
)
def test_another_network_is_refused(saved, options):
    _, path = saved
    with pytest.raises(DataError, match="trained with"):
        replace(SMALL, start=str(path), **options).solve(heat())


def test_damaged_and_foreign_files_are_refused(saved, tmp_path):
    _, path = saved
    whole = path.read_bytes()
    for content in (b"", whole[:-8], whole[:20], b"\x80\x04N."):
        path.write_bytes(content)
        with pytest.raises(DataError, match="cannot be read"):
            load(path)
    path.write_bytes(whole.replace(b"pinnsuite pinn 2", b"pinnsuite pinn 0"))
    with pytest.raises(DataError, match="pinnsuite pinn 0"):
        load(path)
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path / "absent")


def test_a_save_that_ends_half_way_leaves_the_old_file(saved, monkeypatch):
    solution, path = saved
    before = path.read_bytes()

    def full(_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    other = replace(solution.model, parameters=torch.zeros(3))
    with pytest.raises(OSError, match="no space"):
        other.save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
