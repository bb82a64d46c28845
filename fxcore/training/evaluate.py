"""Judge a model on whole recordings with the one fixed metric set."""

from collections.abc import Sequence

import torch
from torch import Tensor

from fxcore.audio import Recording
from fxcore.metrics import measure
from fxcore.models import EffectModel

SETTLE_SAMPLES = 4096  # heard but not judged: a recording cut out of a longer one starts with a past


def evaluate(model: EffectModel, recordings: Sequence[Recording], sample_rate: int) -> dict[str, float]:
    """Every metric over all recordings, sums divided once; each played from silence."""
    device = model.scale.device

    def judged(recording: Recording) -> tuple[Tensor, Tensor, Tensor]:
        dry = torch.as_tensor(recording.dry, device=device)[None]
        wet = torch.as_tensor(recording.wet, device=device)[None]
        settle = min(SETTLE_SAMPLES, dry.shape[-1] // 4)
        return dry[..., settle:], wet[..., settle:], model.predict(dry)[..., settle:]

    return measure((judged(recording) for recording in recordings), sample_rate)
