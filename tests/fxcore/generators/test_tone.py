import numpy as np
import pytest

from fxcore.errors import SpecError
from fxcore.generators.tone import Tone, Waveform, periodic

SAMPLE_RATE = 44_100


def spectrum(waveform: Waveform, frequency_hz: float, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Amplitudes of one second, bin k at k Hz."""
    samples = periodic(waveform, frequency_hz, 0.0, sample_rate, sample_rate)[0]
    return 2 / sample_rate * np.abs(np.fft.rfft(samples.astype(np.float64)))


@pytest.mark.parametrize("waveform", ["square", "sawtooth"])
@pytest.mark.parametrize("frequency_hz", [82, 441, 1187])
@pytest.mark.parametrize("sample_rate", [44_100, 96_000])
def test_nothing_sounds_between_the_harmonics(
    waveform: Waveform, frequency_hz: int, sample_rate: int
) -> None:
    power = spectrum(waveform, frequency_hz, sample_rate) ** 2
    harmonics = np.zeros(len(power), bool)
    harmonics[frequency_hz::frequency_hz] = True
    assert power[~harmonics].sum() < 1e-7 * power[harmonics].sum()  # -70 dB; naive: -15 to -30 dB


@pytest.mark.parametrize(("waveform", "step"), [("square", 2), ("sawtooth", 1)])
def test_harmonics_fall_as_one_over_their_order_up_to_half_the_sample_rate(
    waveform: Waveform, step: int
) -> None:
    amplitudes = spectrum(waveform, 100)
    order = np.arange(1, 220, step)
    assert amplitudes[100 * order] / amplitudes[100] == pytest.approx(1 / order, rel=1e-2)


def test_a_square_has_no_even_harmonics() -> None:
    amplitudes = spectrum("square", 100)
    assert amplitudes[200:20_000:200].max() < 1e-4 * amplitudes[100]


def test_a_sine_equals_numpy_sine() -> None:
    cycles = 0.3 + 440.5 / SAMPLE_RATE * np.arange(4_410)
    sine = periodic("sine", 440.5, 0.3, 4_410, SAMPLE_RATE)[0]
    assert np.abs(sine - np.sin(2 * np.pi * cycles)).max() < 1e-6


def test_pitches_cover_the_whole_range() -> None:
    rng = np.random.default_rng(0)
    loudest_hz = []
    for _ in range(200):
        note = Tone(waveforms=("sine",)).render(SAMPLE_RATE // 10, SAMPLE_RATE, rng)[0]
        loudest_hz.append(10 * int(np.argmax(np.abs(np.fft.rfft(note)))))
    assert 70 <= min(loudest_hz) < 100
    assert 1000 < max(loudest_hz) <= 1200


def test_every_waveform_is_drawn() -> None:
    rng = np.random.default_rng(0)
    notes = [Tone(frequency_hz=(100, 100)).render(SAMPLE_RATE, SAMPLE_RATE, rng)[0] for _ in range(20)]
    levels = {round(float(np.sqrt(np.mean(note**2))), 2) for note in notes}
    assert len(levels) == 3  # sine .71, square .85, sawtooth .49


def test_a_swapped_range_is_refused() -> None:
    with pytest.raises(SpecError, match="low to high; got 500 to 80; swap"):
        Tone.from_dict({"frequency_hz": [500, 80]})


def test_a_tone_without_waveforms_is_refused() -> None:
    with pytest.raises(SpecError, match="waveforms"):
        Tone.from_dict({"waveforms": []})
