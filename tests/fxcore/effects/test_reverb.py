import numpy as np
import pytest

from fxcore.effects.reverb import Reverb

SAMPLE_RATE = 44_100


def impulse_response(reverb: Reverb) -> np.ndarray:
    return reverb(np.eye(1, SAMPLE_RATE, dtype=np.float32), SAMPLE_RATE)[0]


def test_without_wet_and_at_half_dry_level_the_dry_passes() -> None:
    dry = np.random.default_rng(0).uniform(-1, 1, (1, 5_000)).astype(np.float32)
    assert np.abs(Reverb(wet_level=0, dry_level=0.5)(dry, SAMPLE_RATE) - dry).max() < 1e-6


def test_a_reverb_is_linear_and_time_invariant() -> None:
    dry = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 2_000)).astype(np.float32)
    late = np.pad(dry, [(0, 0), (3_000, 15_000)])
    response = impulse_response(Reverb())[: late.shape[1]]
    convolved = np.convolve(late[0].astype(np.float64), response)[: late.shape[1]]
    assert np.abs(Reverb()(late, SAMPLE_RATE)[0] - convolved).max() < 1e-4


def test_a_larger_room_rings_longer() -> None:
    small, large = (np.linalg.norm(impulse_response(Reverb(room_size=size))[20_000:]) for size in (0.1, 0.9))
    assert large > 10 * small


@pytest.mark.parametrize("damping", [0.0, 1.0])
def test_damping_takes_treble_from_the_tail(damping: float) -> None:
    tail = impulse_response(Reverb(damping=damping, dry_level=0))[10_000:20_000]
    power = np.abs(np.fft.rfft(tail)) ** 2
    treble = power[len(power) // 4 :].sum() / power.sum()
    assert treble < 0.05 if damping else treble > 0.3
