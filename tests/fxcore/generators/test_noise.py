import numpy as np

from fxcore.generators.noise import Noise


def test_bursts_and_pauses_last_as_long_as_asked() -> None:
    noise = Noise(burst_ms=(20, 20), pause_ms=(10, 10)).render(48_000, 48_000, np.random.default_rng(0))[0]
    sounding = np.arange(48_000) % 1_440 < 960
    assert np.all(noise[sounding] != 0)
    assert np.all(noise[~sounding] == 0)


def test_noise_is_white() -> None:
    noise = Noise(burst_ms=(1_000, 1_000)).render(48_000, 48_000, np.random.default_rng(0))[0]
    power = np.abs(np.fft.rfft(noise)) ** 2
    bands = [band.mean() for band in np.array_split(power[1:], 8)]
    assert max(bands) < 1.15 * min(bands)
