import numpy as np
import pytest

from pinnsuite.compare.metrics import error_rate
from pinnsuite.problem.catalog import entries

NAMES = [
    "ecg",
    "digits",
    "filter_identification",
    "text",
    "lotka_volterra_trajectories",
]


@pytest.fixture(scope="module")
def catalog():
    return entries()


@pytest.mark.parametrize("name", NAMES)
def test_the_answer_lives_on_the_coordinates_and_can_be_taken_away(catalog, name):
    problem = catalog[name].make()
    ((_, truth),) = problem.truth.items()
    assert truth.shape == tuple(len(axis) for axis in problem.coordinates.values())
    assert problem.without_answer().truth is None


@pytest.mark.parametrize("name", NAMES)
def test_a_problem_is_the_same_every_time(catalog, name):
    first, again = catalog[name].make(), catalog[name].make()
    assert first.definition_hash == again.definition_hash


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"text"}))
def test_another_seed_is_another_problem(catalog, name):
    hashes = {catalog[name].make(seed=seed).definition_hash for seed in range(3)}
    assert len(hashes) == 3


def test_the_noise_of_the_ecg_has_the_stated_ratio(catalog):
    for snr in (5.0, 10.0):
        ratios = []
        for seed in range(5):
            problem = catalog["ecg"].make(snr=snr, seed=seed)
            signal = problem.truth["signal"]
            noise = problem.given["noisy"] - signal
            ratios.append(10 * np.log10((signal**2).sum() / (noise**2).sum()))
        assert np.mean(ratios) == pytest.approx(snr, abs=0.3)


def test_no_digit_is_both_trained_on_and_judged(catalog):
    problem = catalog["digits"].make()
    given = problem.given
    train = {image.tobytes() for image in given["inputs_train"]}
    assert not any(image.tobytes() in train for image in given["inputs_test"])
    assert (len(given["inputs_train"]), len(given["inputs_test"])) == (1347, 450)
    assert error_rate(problem.truth["scores"], problem.truth["scores"]) == 0.0


def test_no_long_passage_of_the_test_text_was_trained_on(catalog):
    given = catalog["text"].make().given

    def passages(codes, step):
        starts = range(0, len(codes) - 150, step)
        return {codes[i : i + 150].tobytes() for i in starts}

    assert not passages(given["codes_test"], 50) & passages(given["codes_train"], 1)


def test_the_true_orbits_keep_their_invariant(catalog):
    problem = catalog["lotka_volterra_trajectories"].make()
    x, y = np.moveaxis(problem.truth["states"], 2, 0)
    invariant = x - 3.0 * np.log(x) + y - 1.5 * np.log(y)
    assert np.ptp(invariant, axis=1).max() < 1e-9


def test_the_physics_is_the_equation_of_the_data(catalog):
    problem = catalog["lotka_volterra_trajectories"].make(noise=0.0)
    assert [u.symbol.name for u in problem.physics.unknowns] == ["α", "β", "γ", "δ"]
    assert problem.physics.exact is None
