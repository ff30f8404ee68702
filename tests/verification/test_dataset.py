"""Data sets of a family, and the truth about its test members."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from pinnsuite.classical.spectral import FourierPseudospectral
from pinnsuite.errors import (
    OptionError,
    SolveError,
    TruthError,
    UnsupportedProblemError,
)
from pinnsuite.problem.catalog import find
from pinnsuite.problem.family import Uniform
from pinnsuite.verification.dataset import dataset, family_reference, initial_states
from tests.etdrk4 import BurgersETDRK4

SOLVER = FourierPseudospectral(points=64, steps=40)


@pytest.fixture(scope="module")
def family():
    return find("burgers_family").make(num_train=5, num_test=3, num_points=48)


def test_inputs_are_the_members_initial_states(family):
    members = [family.member(i) for i in (4, 0)]
    grid = np.arange(48) / 48
    states = initial_states(members, grid)
    for state, index in zip(states, (4, 0), strict=True):
        value = family.initial_state(index)
        direct = sp.lambdify(*value.free_symbols, value)(grid)
        np.testing.assert_allclose(state, direct, atol=1e-13)


def test_outputs_agree_with_an_independent_code(family):
    made = dataset(family, family.train, SOLVER)
    other = BurgersETDRK4(points=96, steps=80).solve_batch(made.problem, made.inputs)
    difference = np.linalg.norm(made.outputs - other) / np.linalg.norm(other)
    assert difference < 1e-5


def test_outputs_agree_with_solving_one_member_alone(family):
    made = dataset(family, [6], SOLVER)
    assert made.indices.tolist() == [6]
    alone = SOLVER.solve(family.member(6))
    end = np.stack([np.ones_like(made.grid), made.grid], axis=1)
    np.testing.assert_allclose(made.outputs[0], alone.at(end)["u"], atol=2e-5)


def test_the_solve_is_timed(family):
    assert 0 < dataset(family, family.train, SOLVER).cost < 10


def test_burgers_keeps_the_mean_of_every_member(family):
    made = dataset(family, family.train, SOLVER)
    np.testing.assert_allclose(made.outputs.mean(axis=1), 0, atol=1e-14)


def test_data_are_the_same_each_time_and_depend_on_no_other_member(family):
    some = dataset(family, [3, 1], SOLVER)
    more = dataset(family, range(5), SOLVER)
    np.testing.assert_array_equal(some.inputs, more.inputs[[3, 1]])
    np.testing.assert_allclose(some.outputs, more.outputs[[3, 1]], atol=1e-14)
    reseeded = dataset(replace(family, seed=1), [3, 1], SOLVER)
    assert np.abs(reseeded.inputs - some.inputs).max() > 0.1


def test_the_random_field_has_the_stated_variance():
    """N(0, 49² (k² + 49)^(-5/2)): the variance at a point is the sum over modes."""
    family = find("burgers_family").make(num_train=150)
    members = [family.member(i) for i in family.train]
    states = initial_states(members, np.arange(32) / 32)
    k = 2 * np.pi * np.arange(1, 17)
    expected = 2 * 49**2 * np.sum((k**2 + 49) ** -2.5)
    # A mean over x spreads by less than a square of one normal number, √(2/150) = 12 %.
    np.testing.assert_allclose((states**2).mean(), expected, rtol=0.25)


def test_the_error_estimate_holds_the_true_error(family):
    reference = family_reference(family, SOLVER, tolerance=1e-6)
    finest = FourierPseudospectral(points=512, steps=640)
    truth = dataset(family, family.test, finest).outputs
    error = np.linalg.norm(reference.outputs - truth, axis=1)
    relative = (error / np.linalg.norm(truth, axis=1)).max()
    assert relative <= reference.error_estimate <= 1e-6
    assert reference.outputs.shape == (3, 48)


def test_the_reference_says_how_it_was_made(family):
    reference = family_reference(family, SOLVER, tolerance=1e-6)
    rungs = reference.info["rungs"]
    assert rungs == sorted(rungs, reverse=True)
    assert rungs[-1] == reference.error_estimate
    assert "FourierPseudospectral" in reference.info["solver"]
    assert reference.info["cpu_s"] > 0


class Restless(BurgersETDRK4):
    """A solver whose answers move as much at every refinement."""

    def solve_batch(self, problem, initial):
        return initial * (1 + self.points % 5)


def test_rungs_that_do_not_converge_are_no_truth(family):
    with pytest.raises(TruthError, match="do not converge"):
        family_reference(family, Restless())


def test_values_that_blow_up_are_no_data(family):
    class Exploding(BurgersETDRK4):
        def solve_batch(self, problem, initial):
            return initial / np.where(np.arange(len(initial)) == 1, 0, 1)[:, None]

    with (
        np.errstate(all="ignore"),
        pytest.raises(SolveError, match="the first being 3"),
    ):
        dataset(family, [2, 3, 4], Exploding())


def test_no_members_are_no_data(family):
    with pytest.raises(OptionError, match="at least one member"):
        dataset(family, [], SOLVER)


def test_members_must_share_their_equations(family):
    varied = {"viscosity": Uniform(0.01, 0.02)}
    mixed = replace(family, make=find("periodic_burgers").make, distributions=varied)
    with pytest.raises(UnsupportedProblemError, match="differ in their equations"):
        dataset(mixed, [0, 1], SOLVER)


def test_solvers_that_cannot_take_a_member_are_refused(family):
    heat = replace(family, make=lambda **_: find("burgers").make(), distributions={})
    with pytest.raises(UnsupportedProblemError, match="not periodic"):
        dataset(heat, [0], SOLVER)
