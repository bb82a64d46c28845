"""Cabinets: how a guitar loudspeaker in its box sounds before a microphone, as an impulse response.

A response comes from a file, or is made here: a magnitude like that of a closed box with 12-inch
loudspeakers, and the minimum phase that belongs to it (the folded cepstrum; Oppenheim & Schafer,
Discrete-Time Signal Processing, chapter 13).
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.interpolate import PchipInterpolator

from fxcore import audio
from fxcore.errors import AudioError

RESPONSE_SECONDS = 0.05
ONSET = 1e-3  # of the peak: what comes before is the way to the microphone

MAGNITUDE = (  # Hz, dB: box resonance, cone break-up and its dips, then the steep fall of a paper cone
    (5.0, -60.0),
    (40.0, -22.0),
    (70.0, -6.0),
    (105.0, 2.0),
    (180.0, -1.0),
    (420.0, -5.0),
    (800.0, -3.0),
    (1200.0, -1.0),
    (1550.0, -3.5),
    (2300.0, 3.0),
    (2800.0, 1.0),
    (3500.0, 4.0),
    (4300.0, -2.0),
    (5000.0, -9.0),
    (6000.0, -16.0),
    (8000.0, -30.0),
    (12_000.0, -50.0),
    (100_000.0, -80.0),
)

Response = npt.NDArray[np.float64]


def synthetic_response(sample_rate: int) -> Response:
    """A cabinet without a file: 50 ms (T,), always the same at the same sample rate."""
    frequency_hz, magnitude_db = np.transpose(MAGNITUDE)
    curve = PchipInterpolator(np.log(frequency_hz), magnitude_db)
    size = fft.next_fast_len(2 * sample_rate, real=True)  # fine enough that the cepstrum does not wrap
    bins_hz = np.clip(fft.rfftfreq(size, 1 / sample_rate), frequency_hz[0], frequency_hz[-1])
    response = minimum_phase(curve(np.log(bins_hz)), size)[: round(RESPONSE_SECONDS * sample_rate)]
    tail = len(response) // 5
    response[-tail:] *= np.linspace(1.0, 0.0, tail)
    return at_unit_peak(response)


def read_response(path: Path | str, sample_rate: int) -> Response:
    """A cabinet's impulse response (T,) from a file, resampled, silence before its onset cut away.

    Raises `AudioError` where the file cannot be read or is silent.
    """
    recorded, recorded_rate = audio.read_mono(path)
    audio.check_not_silent(recorded, str(path))
    response = audio.resample(recorded, recorded_rate, sample_rate)[0].astype(np.float64)
    if not response.any():
        raise AudioError(f"{path} is too short to resample; give an impulse response of some milliseconds")
    onset = int(np.argmax(np.abs(response) >= ONSET * np.abs(response).max()))
    return at_unit_peak(response[onset:])


def minimum_phase(magnitude_db: npt.NDArray[np.float64], size: int) -> Response:
    """The impulse response (size,) whose energy comes soonest, of a magnitude over `rfft` bins."""
    cepstrum = fft.irfft(np.log(10) / 20 * magnitude_db, size)
    fold = np.zeros(size)
    fold[0] = 1.0
    fold[1 : (size + 1) // 2] = 2.0  # negative quefrencies fold onto positive ones
    if size % 2 == 0:
        fold[size // 2] = 1.0
    response: Response = fft.irfft(np.exp(fft.rfft(cepstrum * fold)), size)
    return response


def at_unit_peak(response: Response) -> Response:
    """Scaled so that the frequency it likes best passes at 0 dB."""
    spectrum = fft.rfft(response, fft.next_fast_len(4 * len(response), real=True))
    return response / float(np.abs(spectrum).max())
