import math

import librosa
import numpy as np
import pytest
import torch

from fxcore.losses import log_mel, log_mel_loss, log_mel_sums, mel_power
from fxcore.losses.mel import mel_weights

SAMPLE_RATE = 44_100


def noise(batch: int, samples: int, level: float = 0.3) -> torch.Tensor:
    return level * torch.randn(batch, 1, samples, generator=torch.Generator().manual_seed(samples))


def sine(hz: float, samples: int = 16_384, sample_rate: int = SAMPLE_RATE) -> torch.Tensor:
    time_s = torch.arange(samples, dtype=torch.float64) / sample_rate
    return torch.sin(2 * math.pi * hz * time_s).float().view(1, 1, -1)


@pytest.mark.parametrize("sample_rate", [22_050, 44_100, 48_000, 96_000])
def test_equals_librosa_but_for_the_level_of_a_full_scale_sine(sample_rate: int) -> None:
    signal = noise(2, 20_000)
    expected = librosa.feature.melspectrogram(
        y=signal.squeeze(1).numpy(), sr=sample_rate, n_fft=2048, hop_length=512, pad_mode="reflect", norm=None
    )
    full_scale = 2048 * (2048 * 3 / 8) / 4  # of a Hann window: Σ window² = 3/8 fft_samples
    np.testing.assert_allclose(mel_power(signal, sample_rate).numpy() * full_scale, expected, rtol=1e-4)


def test_bands_differ_from_librosas_area_normalised_ones_by_a_constant_each() -> None:
    signal = noise(1, 20_000)
    slaney = librosa.feature.melspectrogram(
        y=signal.view(-1).numpy(), sr=SAMPLE_RATE, n_fft=2048, hop_length=512, pad_mode="reflect"
    )
    quotient = mel_power(signal, SAMPLE_RATE)[0].numpy() / slaney
    np.testing.assert_allclose(quotient, np.broadcast_to(quotient[:, :1], quotient.shape), rtol=1e-4)


@pytest.mark.parametrize("band", [60, 80, 100, 127])
def test_a_full_scale_sine_reads_about_0_db_at_the_centre_of_its_band(band: int) -> None:
    centres_hz = librosa.mel_frequencies(n_mels=130, fmin=0, fmax=SAMPLE_RATE / 2)[1:-1]
    level_db = log_mel(sine(float(centres_hz[band])), SAMPLE_RATE)[0, :, 8:-8]  # ends reflect
    assert int(level_db.mean(dim=1).argmax()) == band
    assert -0.8 < float(level_db[band].min()) <= float(level_db[band].max()) < 0.01


def test_silence_reads_the_floor() -> None:
    assert (log_mel(torch.zeros(1, 1, 4_096), SAMPLE_RATE) == -80).all()


@pytest.mark.parametrize("gain_db", [-20.0, -6.0, 3.0])
def test_a_gain_is_its_distance_in_db(gain_db: float) -> None:
    wet = noise(2, 20_000)
    assert float(log_mel_loss(10 ** (gain_db / 20) * wet, wet, SAMPLE_RATE)) == pytest.approx(
        abs(gain_db), rel=1e-4
    )


def test_sums_of_two_recordings_add_up_to_those_of_their_batch() -> None:
    wet = noise(2, 8_000)
    pred = wet + 0.1 * wet.roll(1, dims=0)
    difference_db, count = log_mel_sums(pred, wet, SAMPLE_RATE)
    rows = [log_mel_sums(pred[row : row + 1], wet[row : row + 1], SAMPLE_RATE) for row in range(2)]
    assert float(sum(row[0] for row in rows)) == pytest.approx(float(difference_db), rel=1e-5)
    assert sum(int(row[1]) for row in rows) == int(count) == 2 * 128 * (1 + 8_000 // 512)


def test_gradient_is_finite_in_silence() -> None:
    pred = torch.zeros(1, 1, 4_096, requires_grad=True)
    log_mel_loss(pred, noise(1, 4_096), SAMPLE_RATE).backward()
    assert pred.grad is not None
    assert pred.grad.isfinite().all()


def test_bands_without_a_bin_are_left_out_at_high_rates() -> None:
    weights = mel_weights(192_000, torch.device("cpu"), torch.float32)
    assert weights.shape == (1025, 125)
    assert weights.any(dim=0).all()
