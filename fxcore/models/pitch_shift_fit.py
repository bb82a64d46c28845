"""What a pitch shifter did, from dry and wet: the interval, how much dry is left, the spectrum's tilt and the
delay.

Phases tell nothing, so that all but the share of dry is read from spectra.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fxcore.audio import Recording, Signal
from fxcore.losses.mel import BANDS, FLOOR_DB, log_mel
from fxcore.models.vocoder import Array

PIECES, PIECE_SECONDS = 4, 6.0

FRAME_SECONDS = 0.19  # tells semitones apart from 100 Hz up
LOWEST_HZ, HIGHEST_HZ = 60.0, 5000.0
STEPS = 20  # a semitone
MOST_SEMITONES = 25
AUDIBLE_DB = FLOOR_DB + 5.0  # bands below are not compared
ENOUGH_FRAMES = 30
MOST_DELAY_SECONDS = 0.06  # a shifter's own, and what alignment by onsets may leave
DELAY_STEPS_SECONDS = 0.004, 0.0005
LEAST_DRY = 0.1  # correlation of dry and wet, below which it is chance


def pieces_of(recordings: Sequence[Recording], sample_rate: int) -> list[Recording]:
    """A few seconds from here and there in all recordings."""
    length = round(PIECE_SECONDS * sample_rate)
    places = [
        (recording, start)
        for recording in recordings
        for start in range(0, max(recording.dry.shape[1] - length // 2, 1), length)
        if recording.wet[:, start : start + length].any()
    ]
    if not places:
        return list(recordings[:1])
    chosen = np.unique(np.linspace(0, len(places) - 1, PIECES).round().astype(int))
    return [
        Recording(
            recording.name, recording.dry[:, start : start + length], recording.wet[:, start : start + length]
        )
        for recording, start in (places[i] for i in chosen)
    ]


def fit_dry_gain(recordings: Sequence[Recording]) -> float:
    """How much of the dry is in the wet, by least squares; 0 where they have nothing in common."""
    across, dry_energy, wet_energy = (
        sum(float(np.vdot(left, right)) for left, right in pairs)
        for pairs in (
            [(r.dry, r.wet) for r in recordings],
            [(r.dry, r.dry) for r in recordings],
            [(r.wet, r.wet) for r in recordings],
        )
    )
    if abs(across) < LEAST_DRY * np.sqrt(dry_energy * wet_energy) or not across:
        return 0.0
    return across / dry_energy


def fit_semitones(recordings: Sequence[Recording], sample_rate: int) -> float:
    """The interval at which the wet's spectra, over the logarithm of frequency, look most like the dry's."""
    lags = np.arange(-MOST_SEMITONES * STEPS, MOST_SEMITONES * STEPS + 1)
    alike = np.zeros(len(lags))
    for recording in recordings:
        dry = partials(recording.dry, sample_rate)
        wet = partials(recording.wet, sample_rate)
        size = 2 * dry.shape[1]
        across = np.fft.irfft(
            (np.fft.rfft(wet, size, axis=1) * np.conj(np.fft.rfft(dry, size, axis=1))).sum(axis=0), size
        )
        alike += across[lags]  # negative lags lie at the end
    best = int(np.clip(np.argmax(alike), 1, len(lags) - 2))
    left, middle, right = alike[best - 1 : best + 2]
    bow = left - 2 * middle + right
    return float((lags[best] + (0.5 * (left - right) / bow if bow < 0 else 0.0)) / STEPS)


def partials(signal: Signal, sample_rate: int) -> Array:
    """What stands out from its surroundings in each spectrum, (frames, steps of 1/20 semitone)."""
    frame = round(FRAME_SECONDS * sample_rate)
    padded = np.pad(signal[0], (0, max(frame - signal.shape[1], 0)))
    framed = np.lib.stride_tricks.sliding_window_view(padded, frame)[:: frame // 2]
    levels = np.abs(np.fft.rfft(framed * np.hanning(frame), n=4 * frame, axis=1)) + 1e-4
    octaves = np.log2(HIGHEST_HZ / LOWEST_HZ)
    frequencies = LOWEST_HZ * 2 ** (np.arange(round(octaves * 12 * STEPS)) / (12 * STEPS))
    places = np.minimum(frequencies / sample_rate * 4 * frame, levels.shape[1] - 1.001)
    below = places.astype(int)
    share = places - below
    levels_db = 20 * np.log10((1 - share) * levels[:, below] + share * levels[:, below + 1])
    around = np.ones(4 * STEPS + 1) / (4 * STEPS + 1)
    smooth_db = np.apply_along_axis(
        np.convolve, 1, np.pad(levels_db, [(0, 0), (2 * STEPS,) * 2], "edge"), around, "valid"
    )
    standing_out: Array = np.maximum(levels_db - smooth_db, 0.0)
    return standing_out


def fit_bands(play: Callable[[Tensor], Tensor], recordings: Sequence[Recording], sample_rate: int) -> Array:
    """Gains in dB (BANDS,) that a pred lacks, so that half of all frames are louder and half softer."""
    difference_db = []
    for recording in recordings:
        pred_db = log_mel(play(_batch(recording.dry)), sample_rate)[0]
        wet_db = log_mel(_batch(recording.wet), sample_rate)[0]
        audible = (pred_db > AUDIBLE_DB) & (wet_db > AUDIBLE_DB)
        difference_db.append(torch.where(audible, wet_db - pred_db, torch.nan))
    every_db = torch.cat(difference_db, dim=1).double()
    gains_db = every_db.nanmedian(dim=1).values
    gains_db[(~every_db.isnan()).sum(dim=1) < ENOUGH_FRAMES] = 0.0
    return gains_db.numpy()


def fit_delay(play: Callable[[Tensor], Tensor], recordings: Sequence[Recording], sample_rate: int) -> int:
    """By how many samples a pred has to come later for its spectra to be most like the wet's; at least 0."""
    pairs = [(play(_batch(r.dry)), log_mel(_batch(r.wet), sample_rate)) for r in recordings]

    @functools.cache
    def distance(delay_samples: int) -> float:
        delayed = (F.pad(pred, (delay_samples, 0))[..., : pred.shape[-1]] for pred, _ in pairs)
        levels_db = (log_mel(pred, sample_rate) for pred in delayed)
        return sum(float((level - wet).abs().sum()) for level, (_, wet) in zip(levels_db, pairs, strict=True))

    most = round(MOST_DELAY_SECONDS * sample_rate)
    coarse, fine = (max(round(seconds * sample_rate), 1) for seconds in DELAY_STEPS_SECONDS)
    near = min(range(0, most, coarse), key=distance)
    return min(range(max(near - coarse, 0), near + coarse, fine), key=distance)


def _batch(signal: Signal) -> Tensor:
    """A recording's side (1, T) as a batch (1, 1, T) of its own."""
    return torch.from_numpy(np.array(signal))[None]


def bin_gains(band_gains_db: Array, window_samples: int, sample_rate: float) -> Array:
    """Gains (linear) of a spectrum's bins, from those of the bands around them (Slaney's mel scale)."""
    frequencies = np.arange(window_samples // 2 + 1) * sample_rate / window_samples
    bands = mel(frequencies) / mel(np.array([sample_rate / 2])) * (BANDS + 1) - 1
    gains: Array = 10 ** (np.interp(bands, np.arange(len(band_gains_db)), band_gains_db) / 20)
    return gains


def mel(frequencies_hz: Array) -> Array:
    """Slaney's mel scale (Auditory Toolbox, 1998): linear to 1 kHz, logarithmic above."""
    return np.where(
        frequencies_hz < 1000.0,
        3 * frequencies_hz / 200,
        15 + 27 * np.log(np.maximum(frequencies_hz, 1.0) / 1000) / np.log(6.4),
    )
