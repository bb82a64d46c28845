from pathlib import Path

import numpy as np
import pytest

from fxcore import audio
from fxcore.audio import Signal
from fxcore.effects.ampcab import AmpCab
from fxcore.effects.cabinet import synthetic_response
from fxcore.effects.circuit import oversampled
from fxcore.errors import EffectError

SAMPLE_RATE = 44_100


def tone(level_db: float, frequency_hz: float = 440.0) -> Signal:
    phase = 2 * np.pi * frequency_hz / SAMPLE_RATE * np.arange(SAMPLE_RATE)
    return (10 ** (level_db / 20) * np.sin(phase)).astype(np.float32)[None]


def level_db(wet: Signal) -> float:
    return float(20 * np.log10(wet[:, SAMPLE_RATE // 2 :].std()))


def test_a_whisper_passes_in_proportion_and_a_loud_note_is_clipped() -> None:
    amp = AmpCab(drive_db=30)
    whisper, louder = (level_db(amp(tone(at_db), SAMPLE_RATE)) for at_db in (-80, -74))
    loud, loudest = (level_db(amp(tone(at_db), SAMPLE_RATE)) for at_db in (-12, -6))
    assert louder - whisper == pytest.approx(6, abs=0.05)
    assert loudest - loud < 2


def test_a_whisper_through_one_stage_is_convolved_with_the_cabinet() -> None:
    amp = AmpCab(drive_db=0, stages=1, level_db=0)
    dry = 1e-3 * np.eye(1, 4_000, 100, dtype=np.float32)
    wet = amp(dry, SAMPLE_RATE)[0]
    frequency_hz = np.fft.rfftfreq(4_000, 1 / SAMPLE_RATE)
    band = (frequency_hz > 500) & (frequency_hz < 3_000)
    valve = 1 / (1 + 90 / (1j * frequency_hz[band])) / (1 + 1j * frequency_hz[band] / 9_000)
    cabinet = np.fft.rfft(synthetic_response(SAMPLE_RATE), 4_000)[band]
    played = oversampled(lambda fine, _: fine, dry, SAMPLE_RATE)[0]
    measured = np.fft.rfft(wet)[band] / np.fft.rfft(played)[band]
    assert np.abs(measured + valve * cabinet).max() < 0.02  # one stage turns the signal over


@pytest.mark.parametrize(("knob", "frequency_hz"), [("bass_db", 60.0), ("treble_db", 6_000.0)])
def test_tone_controls_lift_their_end_of_the_spectrum(knob: str, frequency_hz: float) -> None:
    for at_hz, lift_db in [(frequency_hz, 10.5), (600.0, 2.0)]:
        flat, lifted = (
            level_db(AmpCab.from_dict({"drive_db": 0, knob: gain_db})(tone(-60, at_hz), SAMPLE_RATE))
            for gain_db in (0.0, 12.0)
        )
        assert lifted - flat == pytest.approx(lift_db, abs=2.0)


def test_asymmetry_brings_even_harmonics() -> None:
    seconds = []
    for asymmetry in (0.0, 0.3):
        wet = AmpCab(asymmetry=asymmetry, stages=1)(tone(-20), SAMPLE_RATE)[0]
        amplitudes = np.abs(np.fft.rfft(wet[-SAMPLE_RATE // 2 :] * np.hanning(SAMPLE_RATE // 2)))
        seconds.append(20 * np.log10(amplitudes[440] / amplitudes[220]))
    assert seconds[0] < -80
    assert seconds[1] > -40


def test_a_cabinet_of_ones_own_takes_the_place_of_the_synthetic_one(tmp_path: Path) -> None:
    wire, synthetic = tmp_path / "wire.wav", tmp_path / "synthetic.wav"
    audio.write(wire, np.eye(1, 8, dtype=np.float32), SAMPLE_RATE)
    audio.write(synthetic, synthetic_response(SAMPLE_RATE).astype(np.float32)[None], SAMPLE_RATE)
    dry = tone(-20, 6_000)
    own = level_db(AmpCab(cabinet=str(wire))(dry, SAMPLE_RATE))
    box = level_db(AmpCab()(dry, SAMPLE_RATE))
    assert own - box == pytest.approx(20, abs=1)  # the box loses 20 dB at 6 kHz
    assert np.abs(AmpCab(cabinet=str(synthetic))(dry, SAMPLE_RATE) - AmpCab()(dry, SAMPLE_RATE)).max() < 1e-3


def test_a_sample_rate_too_low_for_the_tone_control_is_refused() -> None:
    with pytest.raises(EffectError, match="must lie below half the sample rate, 2000 Hz"):
        AmpCab()(np.ones((1, 8), np.float32), 4_000)
