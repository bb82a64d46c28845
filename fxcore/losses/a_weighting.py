"""A-weighting: an error counts as loudly as a quiet tone of its frequency is heard.

IEC 61672-1:2013, annex E, gives the response; Wright & Välimäki, "Perceptual loss function for neural
modeling of audio systems" (2019), put it before the ESR. Here it is a linear-phase FIR filter, which
delays pred and wet alike: exact to 1 dB from 200 Hz up at 44.1 and 48 kHz. Lower down 101 taps cannot
follow the curve: what lies under 100 Hz is attenuated by 13 dB, not by 19 and more.
"""

import functools

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.signal import firwin2
from torch import Tensor

TAPS = 101
WINDOW = ("kaiser", 2.0)
GRID = 4097  # frequencies at which the response is asked for


def a_weighting_gain(frequency_hz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Gain of the A-weighting, 1 at 1 kHz, of frequencies of any shape."""

    def response(square: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        poles = np.sqrt((square + 107.65265**2) * (square + 737.86223**2))
        result: npt.NDArray[np.float64] = square**2 / (
            (square + 20.598997**2) * poles * (square + 12194.217**2)
        )
        return result

    return response(np.square(np.asarray(frequency_hz, np.float64))) / response(np.array(1e6))


def a_weight(signal: Tensor, sample_rate: int) -> Tensor:
    """Filter (B, 1, T) to (B, 1, T - 100): where the filter is not yet full, nothing is given."""
    return F.conv1d(signal, _taps(sample_rate, signal.device, signal.dtype))


@functools.lru_cache(maxsize=32)
def _taps(sample_rate: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(1, 1, TAPS), shared by all callers: read only."""
    frequency_hz = np.linspace(0.0, sample_rate / 2, GRID)
    taps = firwin2(TAPS, frequency_hz, a_weighting_gain(frequency_hz), window=WINDOW, fs=sample_rate)
    with torch.inference_mode(False):  # else one first made while evaluating would be of no use in training
        return torch.from_numpy(taps).to(device, dtype)[None, None]
