import numpy as np
import pytest
import torch

from fxcore.audio import Recording
from fxcore.metrics import METRICS, measure
from fxcore.models import FAMILIES, EffectModel
from fxcore.training import evaluate, judge, to_device
from fxcore.training.evaluate import SETTLE_SAMPLES


def model() -> EffectModel:
    spec = FAMILIES.parse({"kind": "wavenet", "layers": 3, "window": 16, "channels": 3, "kernel": 2})
    return spec.build(torch.Generator().manual_seed(0)).eval()


def recording(samples: int, seed: int, error: float = 0.0) -> Recording:
    """A wet that the model of this file gives, and some noise."""
    rng = np.random.default_rng(seed)
    dry = (0.1 * rng.standard_normal((1, samples))).astype(np.float32)
    wet = model().predict(torch.from_numpy(dry)[None])[0].numpy()
    return Recording("r", dry, wet + np.float32(error) * dry)


def test_the_model_itself_scores_0() -> None:
    figures = evaluate(model(), to_device([recording(9_000, 1), recording(6_000, 2)]), 44_100)
    assert figures == dict.fromkeys(METRICS, 0.0)


@pytest.mark.parametrize(("samples", "settle"), [(20_000, SETTLE_SAMPLES), (8_000, 2_000)])
def test_the_first_samples_are_heard_but_not_judged(samples: int, settle: int) -> None:
    """4,096 of them, or a quarter of a short recording."""
    held = recording(samples, 1)
    held.wet[:, :settle] = 0.5
    assert evaluate(model(), to_device([held]), 44_100)["esr"] == 0.0
    held.wet[:, settle] += 0.5
    assert evaluate(model(), to_device([held]), 44_100)["esr"] > 0.0


def test_sums_over_recordings_are_divided_once() -> None:
    held = [recording(6_000, 1, error=0.1), recording(16_000, 2, error=0.5)]
    played = []
    for dry, wet, _ in to_device(held):
        settle = min(SETTLE_SAMPLES, dry.shape[-1] // 4)
        played.append((dry[..., settle:], wet[..., settle:], model().predict(dry)[..., settle:]))
    assert evaluate(model(), to_device(held), 44_100) == measure(played, 44_100)


def at_gain(gain: float, offset: float) -> EffectModel:
    """The model of this file, its output scaled about an offset."""
    scaled = model()
    with torch.no_grad():
        scaled.get_parameter("arrays.0.head.weight").mul_(gain)
        scaled.get_parameter("arrays.0.head.bias").fill_(offset)
    return scaled


@pytest.mark.parametrize(
    ("gain", "offset", "collapsed"),
    [(0.0, 0.0, True), (0.0, 0.3, True), (10 ** (-41 / 20), 0.3, True), (10 ** (-39 / 20), 0.3, False)],
)
def test_an_output_40_db_below_the_wet_has_collapsed_whatever_its_offset(
    gain: float, offset: float, collapsed: bool
) -> None:
    judged = judge(at_gain(gain, offset), to_device([recording(6_000, 1), recording(9_000, 2)]), 44_100)
    assert judged.collapsed == collapsed


def test_silence_answered_with_silence_is_no_collapse() -> None:
    held = recording(6_000, 1)
    held.wet[:] = 0.0
    assert not judge(at_gain(0.0, 0.0), to_device([held]), 44_100).collapsed


def test_recordings_go_to_the_device_as_copies() -> None:
    held = recording(100, 1)
    (pair,) = to_device([held])
    assert pair.dry.shape == pair.wet.shape == (1, 1, 100)
    pair.dry.zero_()
    assert held.dry.any()
