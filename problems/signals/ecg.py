import numpy as np
import pywt

from pinnsuite import SignalProblem


def ecg(snr: float = 10.0, seed: int = 0) -> SignalProblem:
    """Restore an electrocardiogram from white Gaussian noise.

    Given are 1024 samples `noisy = signal + σ n`, n ~ N(0, 1) independent, with σ such
    that the input signal-to-noise ratio 10 log₁₀(Σ signal² / Σ noise²) is `snr` decibel
    in the mean. The signal is a recorded electrocardiogram without its mean, in units
    of the recorder; t counts samples. A relative L2 error e is an output ratio of
    -20 log₁₀ e decibel.

    The record has noise of its own, which counts as signal here.

    Source: `pywt.data.ecg()` of PyWavelets (G. R. Lee et al., J. Open Source Software
    4(36), 1237, 2019, DOI 10.21105/joss.01237), MIT licence.
    """
    recorded = pywt.data.ecg().astype(float)
    signal = recorded - recorded.mean()
    sigma = signal.std() * 10 ** (-snr / 20)
    noise = sigma * np.random.default_rng(seed).standard_normal(len(signal))
    t = np.arange(len(signal), dtype=float)
    return SignalProblem(
        name="ecg",
        task="restore",
        given={"t": t, "noisy": signal + noise},
        truth={"signal": signal},
        coordinates={"t": t},
        noise=f"white Gaussian, {snr:g} dB input signal-to-noise ratio, seed {seed}",
        split="the whole record is given with noise, and judged without",
        units="t in samples, signal in units of the recorder",
        source="PyWavelets, pywt.data.ecg(), MIT licence; DOI 10.21105/joss.01237",
        tags=("real data", "restoration"),
    )
