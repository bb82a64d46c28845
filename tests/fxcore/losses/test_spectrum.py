import pytest
import torch

from fxcore.losses import spectrum
from fxcore.losses.spectrum import Resolution, hann_window, power_blocks


def noise(batch: int, samples: int) -> torch.Tensor:
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "resolution", [Resolution(1024, 120, 600), Resolution(512, 50, 240), Resolution(64, 16, 64)]
)
@pytest.mark.parametrize("block_bins", [1, 3_000, 2**19])
def test_blocks_together_are_the_power_of_torch_stft(
    resolution: Resolution, block_bins: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spectrum, "BLOCK_BINS", block_bins)
    signal = noise(2, 5_001)
    window = torch.hann_window(resolution.window_samples)
    expected = torch.stft(signal, *resolution, window, pad_mode="reflect", return_complex=True).abs().square()
    power = torch.cat(list(power_blocks(signal, resolution)), dim=1).transpose(1, 2)
    torch.testing.assert_close(power, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("samples", [0, 1, 31, 32])
def test_a_signal_too_short_to_reflect_is_extended_with_zeros(samples: int) -> None:
    resolution = Resolution(64, 16, 64)
    signal = noise(1, samples)
    extended = torch.cat([signal, torch.zeros(1, 33 - samples)], dim=1)
    power = torch.cat(list(power_blocks(signal, resolution)), dim=1)
    torch.testing.assert_close(power, torch.cat(list(power_blocks(extended, resolution)), dim=1))


def test_a_window_made_in_inference_mode_serves_training() -> None:
    hann_window.cache_clear()
    with torch.inference_mode():
        list(power_blocks(noise(1, 100), Resolution(64, 16, 64)))
    signal = noise(1, 100).requires_grad_()
    sum(power.sum() for power in power_blocks(signal, Resolution(64, 16, 64))).backward()
    assert signal.grad is not None
    assert signal.grad.isfinite().all()
