import numpy as np
from scipy.signal import cheby1, lfilter

from pinnsuite import SignalProblem


def filter_identification(
    order: int = 6,
    snr: float = 20.0,
    num_train: int = 1000,
    num_test: int = 1000,
    seed: int = 0,
) -> SignalProblem:
    """Identify a linear filter from its input and its noisy output.

    A Chebyshev filter of the first kind, A(q⁻¹) y = B(q⁻¹) u, with 1 dB ripple up to
    0.3 of the Nyquist frequency, at rest before the first sample of the training and
    of the test input. Both inputs are white Gaussian noise of unit variance. White
    Gaussian noise at `snr` decibel lies on the training output; the test output is
    wanted without noise.

    A model of the right order estimated with the likelihood of this noise (output
    error) attains the Cramér-Rao bound for long records: a method that is better over
    many seeds has seen the answer.

    Source: L. Ljung, System Identification, 2nd ed. (1999), sections 4.2 and 7.4
    (output-error model); the filter is scipy.signal.cheby1's.
    """
    generator = np.random.default_rng(seed)
    numerator, denominator = cheby1(order, 1.0, 0.3)
    input_train = generator.standard_normal(num_train)
    input_test = generator.standard_normal(num_test)
    clean = lfilter(numerator, denominator, input_train)
    sigma = clean.std() * 10 ** (-snr / 20)
    return SignalProblem(
        name="filter_identification",
        task="identify",
        given={
            "input_train": input_train,
            "output_train": clean + sigma * generator.standard_normal(num_train),
            "input_test": input_test,
        },
        truth={"output": lfilter(numerator, denominator, input_test)},
        coordinates={"t": np.arange(num_test, dtype=float)},
        noise=f"white Gaussian on the training output, {snr:g} dB, seed {seed}",
        split=f"{num_train} samples for training; another input of {num_test} samples "
        "for judging, against the response without noise",
        units="t in samples",
        source="Ljung, System Identification, 2nd ed. (1999), sections 4.2 and 7.4",
        tags=("synthetic", "system identification"),
    )
