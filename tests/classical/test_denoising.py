import numpy as np
import pytest

from pinnsuite.classical.denoising import WaveletShrinkage, WienerFilter, noise_level
from pinnsuite.errors import OptionError, UnsupportedProblemError
from pinnsuite.problem.catalog import entries


def output_ratio(solver, problem):
    signal = problem.truth["signal"]
    restored = solver.solve(problem.without_answer()).require_ok().fields["signal"]
    return 10 * np.log10((signal**2).sum() / ((restored - signal) ** 2).sum())


def test_the_noise_level_of_white_noise_is_found():
    noise = 3.0 * np.random.default_rng(0).standard_normal(100_000)
    assert noise_level(noise, "sym4") == pytest.approx(3.0, rel=0.02)


def test_restoring_gains_what_is_known_for_this_record():
    ratios = {}
    for seed in range(3):
        problem = entries()["ecg"].make(seed=seed)
        for solver in (
            WaveletShrinkage(),
            WaveletShrinkage(num_shifts=1),
            WienerFilter(),
        ):
            ratios.setdefault(solver, []).append(output_ratio(solver, problem))
    spun, plain, wiener = (np.mean(r) for r in ratios.values())
    assert spun > 17.0
    assert wiener > 16.5
    assert spun > plain + 2.0


def test_without_noise_shrinkage_returns_the_signal():
    problem = entries()["ecg"].make(snr=200.0)
    clean = WaveletShrinkage().solve(problem.without_answer()).fields["signal"]
    signal = problem.truth["signal"]
    assert np.linalg.norm(clean - signal) < 0.1 * np.linalg.norm(signal)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: WaveletShrinkage(wavelet="sym44"), "sym44"),
        (lambda: WaveletShrinkage(wavelet="bior2.2"), "orthogonal"),
        (lambda: WaveletShrinkage(num_shifts=0), "num_shifts"),
        (lambda: WienerFilter(window=4), "window"),
    ],
)
def test_wrong_options_are_named(make, named):
    with pytest.raises(OptionError, match=named):
        make()


def test_another_task_is_refused_with_its_name():
    with pytest.raises(UnsupportedProblemError, match="'classify'"):
        WienerFilter().solve(entries()["digits"].make())
