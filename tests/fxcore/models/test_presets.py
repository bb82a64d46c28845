import json

import pytest
import torch
from torch import Tensor

from fxcore.models import FAMILIES
from fxcore.models.lstm import LstmNet, LstmSpec
from fxcore.models.nam_wavenet import SIZES
from fxcore.models.presets import PRESETS

BY_NAME = pytest.mark.parametrize("name", list(PRESETS))


@BY_NAME
def test_a_preset_is_a_setting_of_a_family(name: str) -> None:
    preset = PRESETS[name]
    assert FAMILIES.parse(json.loads(json.dumps(preset.as_dict()))) == preset


def test_no_two_presets_are_the_same_net() -> None:
    assert len({preset.digest() for preset in PRESETS.values()}) == len(PRESETS)


def test_neural_amp_modelers_sizes_are_presets() -> None:
    assert set(SIZES) < set(PRESETS)


def test_the_thesis_lstm_has_7_layers_of_800() -> None:
    spec = PRESETS["thesis_lstm"]
    assert isinstance(spec, LstmSpec)
    with torch.device("meta"):  # 133 MB of weights otherwise
        model = LstmNet(spec)
    cells = 4 * 800 * (1 + 800 + 2) + 6 * 4 * 800 * (800 + 800 + 2)
    assert model.parameter_count() == cells + 800 + 1 == 33_328_801


def test_the_thesis_cnn_hears_64_samples_that_end_in_the_current_one() -> None:
    model = PRESETS["thesis_cnn"].build(torch.Generator().manual_seed(0))
    assert PRESETS["thesis_cnn"].receptive_field == 64
    dry = torch.randn(64, 1, 64 + 1, generator=torch.Generator().manual_seed(1)).requires_grad_()
    model(dry)[..., 0].square().sum().backward()
    assert dry.grad is not None
    heard: Tensor = dry.grad.abs().sum(dim=(0, 1))
    assert (heard[:64] > 0).all()
    assert heard[64] == 0.0


def test_the_thesis_cnn_is_six_convolutions_a_pooling_and_three_linear_layers() -> None:
    model = PRESETS["thesis_cnn"].build(torch.Generator().manual_seed(0))
    weights = [name.removesuffix(".weight") for name in model.state_dict() if name.endswith("weight")]
    assert weights == [f"convs.{i}" for i in range(6)] + [f"linear.{i}" for i in range(3)]
    assert PRESETS["thesis_cnn"].as_dict()["pool"] == 2
