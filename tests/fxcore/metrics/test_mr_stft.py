import auraloss
import pytest
import torch

from fxcore.metrics.mr_stft import MrStft


def test_one_recording_gives_the_value_of_auraloss() -> None:
    random = torch.Generator().manual_seed(0)
    wet = 0.3 * torch.randn(1, 1, 20_000, generator=random)
    pred = torch.tanh(2 * wet) + 0.01 * torch.randn(1, 1, 20_000, generator=random)
    metric = MrStft(44_100)
    metric.update(wet, wet, pred)
    assert metric.value() == pytest.approx(
        float(auraloss.freq.MultiResolutionSTFTLoss()(pred, wet)), rel=1e-4
    )
