import math

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from fxcore.losses import pre_emphasise


def test_equals_the_fir_filter_from_its_second_sample() -> None:
    signal = np.random.default_rng(0).standard_normal((3, 1, 100)).astype(np.float32)
    expected = lfilter([1.0, -0.95], [1.0], signal, axis=-1)[..., 1:]
    assert np.abs(pre_emphasise(torch.from_numpy(signal)).numpy() - expected).max() < 1e-6


@pytest.mark.parametrize(("hz", "gain"), [(0.0, 0.05), (12_000.0, math.hypot(1, 0.95)), (24_000.0, 1.95)])
def test_gain_at_a_frequency(hz: float, gain: float) -> None:
    """|1 - 0.95 exp(-j w)|: 0.05 at DC, 1.95 at Nyquist."""
    phase = torch.arange(4_801, dtype=torch.float64) * (2 * math.pi * hz / 48_000)
    signal = torch.complex(phase.cos(), phase.sin()).view(1, 1, -1)
    torch.testing.assert_close(
        pre_emphasise(signal).abs(), torch.full((1, 1, 4_800), gain, dtype=torch.float64)
    )
