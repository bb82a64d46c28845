import numpy as np
import pytest
import torch
from torch import Tensor

from fxcore.audio import Recording
from fxcore.models.pitch_shift import PitchShift, PitchShiftSpec
from fxcore.models.pitch_shift_fit import bin_gains, fit_dry_gain, fit_semitones, mel
from fxcore.models.vocoder import HOPS, Array, compiled, windows
from fxcore.training.cost import measure_cost

SAMPLE_RATE = 16_000


def model_of(semitones: float, **settings: int) -> PitchShift:
    model = PitchShiftSpec(**settings).build(torch.Generator())
    assert isinstance(model, PitchShift)
    with torch.no_grad():
        model.semitones.fill_(semitones)
    return model


def sine(frequency_hz: float, seconds: float = 1.0) -> Tensor:
    phase = 2 * np.pi * frequency_hz * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return torch.from_numpy(np.float32(0.5 * np.sin(phase)))[None, None]


def spectrum(signal: Tensor) -> tuple[Array, Array]:
    """Frequencies in Hz and amplitudes of the second half of a signal."""
    half = signal[0, 0, signal.shape[-1] // 2 :].double().numpy()
    window = np.hanning(len(half))
    amplitudes = np.abs(np.fft.rfft(half * window, 8 * len(half))) * 2 / window.sum()
    return np.fft.rfftfreq(8 * len(half), 1 / SAMPLE_RATE), amplitudes


def melody(seconds: float, semitones: float, seed: int = 0) -> Array:
    """Plucked notes of six harmonics, shifted, (T,)."""
    rng, time = np.random.default_rng(seed), np.arange(round(0.25 * SAMPLE_RATE)) / SAMPLE_RATE
    notes = []
    for _ in range(round(4 * seconds)):
        pitch_hz, phases = 220 * 2 ** (rng.uniform(0, 1.5) + semitones / 12), rng.uniform(0, 2 * np.pi, 6)
        harmonics = [np.sin(2 * np.pi * k * pitch_hz * time + phases[k - 1]) / k for k in range(1, 7)]
        notes.append(0.2 * np.exp(-6 * time) * np.sum(harmonics, axis=0))
    return np.concatenate(notes)


@pytest.mark.parametrize("semitones", [-24.0, -12.0, -5.0, 0.0, 7.0, 12.0])
@pytest.mark.parametrize("frequency_hz", [311.0, 1234.5])
def test_a_sine_becomes_a_sine_of_the_same_level_at_the_shifted_frequency(
    semitones: float, frequency_hz: float
) -> None:
    frequencies, amplitudes = spectrum(model_of(semitones).predict(sine(frequency_hz)))
    shifted_hz = frequency_hz * 2 ** (semitones / 12)
    assert frequencies[amplitudes.argmax()] == pytest.approx(shifted_hz, abs=0.5)
    assert amplitudes.max() == pytest.approx(0.5, rel=0.03)
    assert amplitudes[np.abs(frequencies - shifted_hz) > 50].max() < 0.5e-2  # 40 dB below


def test_partials_of_a_chord_keep_their_levels() -> None:
    dry = sine(440.0) + 0.1 * sine(700.0) + 0.01 * sine(2_000.0)
    frequencies, amplitudes = spectrum(model_of(-12.0).predict(dry))
    for shifted_hz, level in ((220.0, 0.5), (350.0, 0.05), (1_000.0, 0.005)):
        near = np.abs(frequencies - shifted_hz) < 10
        assert amplitudes[near].max() == pytest.approx(level, rel=0.15)


def test_what_would_lie_above_half_the_sample_rate_is_left_out() -> None:
    _, amplitudes = spectrum(model_of(12.0).predict(sine(6_000.0)))
    assert amplitudes.max() < 1e-2


@pytest.mark.parametrize(
    ("window_samples", "tail_samples"), [(128, 16), (1031, 96), (8192, 2048), (2048, 64)]
)
def test_hops_of_a_steady_signal_are_weighted_evenly(window_samples: int, tail_samples: int) -> None:
    """Where no skirt is trimmed, the windows' product is Hann's over the analysis' own ends."""
    analysis, synthesis = windows(window_samples, tail_samples)
    assert analysis.shape == (window_samples,)
    assert synthesis.shape == (2 * tail_samples,)
    level = (analysis[-2 * tail_samples :] * synthesis).reshape(8, -1).sum(axis=0)
    np.testing.assert_allclose(level, level.mean(), rtol=0.02)


def test_an_attack_is_heard_within_the_short_side_of_the_window() -> None:
    dry = torch.cat([torch.zeros(1, 1, 4_000), sine(500.0)], dim=-1)
    wet = model_of(-12.0, tail_samples=64).predict(dry)[0, 0].abs()
    assert not wet[:4_000].any()
    assert wet[4_000:4_200].max() > 0.05


def test_what_is_delayed_by_whole_hops_is_the_same_sound_later() -> None:
    dry = torch.from_numpy(np.float32(melody(1.0, 0.0)))[None, None]
    model = model_of(-12.0, tail_samples=96)
    at_once = model.predict(dry)
    model.delay_samples.fill_(13 * 96 // HOPS)
    delayed = model.predict(dry)
    assert not delayed[..., :312].any()
    torch.testing.assert_close(delayed[..., 312:], at_once[..., :-312])


@pytest.mark.parametrize("semitones", [-12.0, -3.4, 7.0])
def test_the_interval_is_found_to_a_few_cents(semitones: float) -> None:
    dry, wet = (np.float32(melody(4.0, shift)[None]) for shift in (0.0, semitones))
    found = fit_semitones([Recording("melody", dry, wet)], SAMPLE_RATE)
    assert found == pytest.approx(semitones, abs=0.03)


def test_dry_that_is_left_is_told_from_chance() -> None:
    dry, shifted = np.float32(melody(3.0, 0.0)[None]), np.float32(melody(3.0, -12.0, seed=1)[None])
    assert fit_dry_gain([Recording("mix", dry, shifted)]) == 0.0
    assert fit_dry_gain([Recording("mix", dry, shifted - 0.5 * dry)]) == pytest.approx(-0.5, abs=0.05)
    assert fit_dry_gain([Recording("silence", 0 * dry, 0 * dry)]) == 0.0


def test_gains_of_bands_are_met_at_their_centres() -> None:
    gains_db = np.linspace(-12.0, 12.0, 128)
    gains = 20 * np.log10(bin_gains(gains_db, 4096, 44_100.0))
    centre_hz = 15 * (mel(np.array([22_050.0]))[0] / 129) * 200 / 3  # of the fifteenth: linear part
    assert np.interp(centre_hz, np.arange(2049) * 44_100 / 4096, gains) == pytest.approx(
        gains_db[14], abs=0.05
    )


def test_a_pitch_shifter_is_found_with_its_level_and_tone() -> None:
    dry, octave = (melody(8.0, shift) for shift in (0.0, -12.0))
    wet = 0.25 * np.convolve(octave, [1.0, 0.9])[: len(octave)]  # darker, and a quarter as loud
    model = model_of(0.0)
    model.set_scale(float(np.sqrt(np.mean(dry**2))), float(np.sqrt(np.mean(wet**2))))
    pair = Recording("pair", np.float32(dry[None]), np.float32(wet[None]))
    model.initialise([pair], SAMPLE_RATE, torch.Generator())
    assert model.semitones.item() == pytest.approx(-12.0, abs=0.03)
    frequencies, amplitudes = spectrum(model.predict(sine(600.0)))
    expected = 0.5 * 0.25 * abs(1 + 0.9 * np.exp(-2j * np.pi * 300 / SAMPLE_RATE))
    assert amplitudes[np.abs(frequencies - 300) < 5].max() == pytest.approx(expected, rel=0.3)


@pytest.mark.parametrize("dry_gain", [0.0, 0.8])
def test_the_delay_of_a_pitch_shifter_is_found_whatever_dry_is_left(dry_gain: float) -> None:
    dry, octave = (melody(8.0, shift) for shift in (0.0, -12.0))
    found = []
    for late in (0, 500, 800):
        wet = np.pad(octave, (late, 0))[: len(dry)] + dry_gain * dry
        model = model_of(0.0)
        model.set_scale(float(np.sqrt(np.mean(dry**2))), float(np.sqrt(np.mean(wet**2))))
        pair = Recording("pair", np.float32(dry[None]), np.float32(wet[None]))
        model.initialise([pair], SAMPLE_RATE, torch.Generator())
        found.append(int(model.delay_samples))
    assert found[0] == 0  # no vocoder is quicker than no delay at all
    assert found[2] - found[1] == pytest.approx(300, abs=60 if dry_gain else 20)


def test_silence_can_be_fitted() -> None:
    silence = np.zeros((1, SAMPLE_RATE), np.float32)
    model = model_of(0.0)
    model.set_scale(0.0, 0.0)
    model.initialise([Recording("silence", silence, silence)], SAMPLE_RATE, torch.Generator())
    assert model.predict(torch.ones(1, 1, 3_000)).isfinite().all()


def test_the_first_block_compiles_what_the_first_frame_needs() -> None:
    """Else the speed that is measured after one block is that of the compiler."""
    compiled.cache_clear()
    model = model_of(-12.0, tail_samples=512)
    model.stream(torch.zeros(1, 1, 1), model.initial_state())
    assert compiled.cache_info().currsize == 1
    assert compiled().signatures


def test_blocks_of_64_samples_are_played_faster_than_they_last() -> None:
    assert measure_cost(model_of(-12.0), 44_100).realtime_factor > 1.0
