import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from scipy import signal

from fxcore.audio import resample
from fxcore.errors import ExportError
from fxcore.export import Playable, at_rate, export, load, parts
from fxcore.export.impulse import before_and_behind
from fxcore.models import EffectModel
from fxcore.models.fir import FirNet, FirSpec
from fxcore.models.gru import GruSpec
from fxcore.models.lstm import LstmSpec


def fir(taps: int = 200, bias: float = 0.0) -> FirNet:
    model = FirSpec(taps=taps).build(torch.Generator().manual_seed(0)).eval()
    assert isinstance(model, FirNet)
    model.set_scale(0.1, 0.4)
    with torch.no_grad():
        model.filters.taps.mul_(torch.exp(-torch.arange(taps) / 30))
        model.bias.fill_(bias)
    return model


def played(model: EffectModel, dry: np.ndarray) -> np.ndarray:
    return model.predict(torch.from_numpy(dry.astype(np.float32))[None, None])[0, 0].numpy()


def test_the_file_holds_the_wet_of_an_impulse_as_libsndfile_reads_it(tmp_path: Path) -> None:
    path = export(Playable(fir(), 44_100, {"name": "Küche"}), "ir", tmp_path / "amp.ir.wav")
    taps, rate = soundfile.read(path, dtype="float32")
    assert (rate, soundfile.info(path).subtype, taps.shape) == (44_100, "FLOAT", (200,))
    np.testing.assert_allclose(taps, played(fir(), np.eye(1, 200)[0]), rtol=0, atol=1e-6)
    with soundfile.SoundFile(path) as file:
        assert json.loads(file.comment)["name"] == "Küche"


def test_a_constant_is_left_out(tmp_path: Path) -> None:
    with_bias, without = (Playable(fir(bias=b), 44_100, {}) for b in (0.3, 0.0))
    paths = [export(p, "ir", tmp_path / f"{i}.ir.wav") for i, p in enumerate((with_bias, without))]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_another_programs_wav_of_floats_is_read_without_facts(tmp_path: Path) -> None:
    path = tmp_path / "cab.ir.wav"
    taps = np.linspace(1, 0, 50, dtype=np.float32)
    soundfile.write(path, taps, 48_000, subtype="FLOAT")
    read = load(path)
    assert (read.sample_rate, read.facts) == (48_000, {})
    np.testing.assert_allclose(played(read.model, np.eye(1, 50)[0]), taps, rtol=0, atol=1e-6)


@pytest.mark.parametrize("settings", [{"subtype": "PCM_16"}, {"channels": 2}])
def test_a_wav_of_another_kind_is_refused(settings: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "cab.ir.wav"
    shape = (50, settings.pop("channels", 1))
    soundfile.write(path, np.zeros(shape, np.float32), 48_000, **{"subtype": "FLOAT", **settings})
    with pytest.raises(ExportError, match="chunk 'fmt ' must be one channel of 32-bit floats"):
        load(path)


@pytest.mark.parametrize("rate", [48_000, 96_000, 32_000])
def test_a_resampled_response_does_at_its_rate_what_it_did_at_the_other(rate: int) -> None:
    model = fir()
    moved = at_rate(Playable(model, 44_100, {"name": "a"}), rate)
    assert (moved.sample_rate, moved.facts) == (rate, {"name": "a"})
    noise = np.random.default_rng(1).standard_normal(60_000)
    dry = signal.oaconvolve(noise, signal.firwin(511, 0.4 * min(rate, 44_100), fs=44_100))
    wet = resample(played(model, dry)[None], 44_100, rate)[0]
    found = played(moved.model, resample(dry.astype(np.float32)[None], 44_100, rate)[0])
    inner = slice(2_000, min(len(wet), len(found)) - 2_000)
    error = np.square(wet[inner] - found[inner]).sum() / np.square(wet[inner]).sum()
    assert error < 1e-5


def test_a_resampled_impulse_is_not_late() -> None:
    model = fir(1)
    moved = at_rate(Playable(model, 44_100, {}), 88_200).model
    response = played(moved, np.eye(1, 64)[0])
    assert np.abs(response).argmax() == 0


def test_no_other_family_is_resampled_and_that_is_explained() -> None:
    model = LstmSpec(hidden=4).build(torch.Generator().manual_seed(0))
    message = "only a fir can be resampled; this lstm was trained at 44100 Hz .* search again"
    with pytest.raises(ExportError, match=message):
        at_rate(Playable(model, 44_100, {}), 48_000)
    assert at_rate(Playable(model, 44_100, {}), 44_100).model is model


@pytest.mark.parametrize("spec", [LstmSpec(hidden=8, tail_taps=300), GruSpec(hidden=8, tail_taps=20)])
def test_a_net_and_its_tail_one_after_the_other_are_the_model(spec: LstmSpec) -> None:
    model = spec.build(torch.Generator().manual_seed(0)).eval()
    model.set_scale(0.2, 0.5)
    with torch.no_grad():
        model.get_parameter("tail.taps").copy_(torch.randn(spec.tail_taps) * 0.1)
    pieces = before_and_behind(model)
    assert pieces is not None
    dry = 0.3 * torch.randn(1, 1, 2_000, generator=torch.Generator().manual_seed(2))
    wet = pieces[1].predict(pieces[0].predict(torch.cat([torch.zeros(1, 1, 2_000), dry], -1)))[..., 2_000:]
    torch.testing.assert_close(wet, model.predict(dry), rtol=0, atol=1e-5)


def test_a_tail_becomes_an_ir_beside_the_net_where_a_format_holds_the_net_alone() -> None:
    tailed = LstmSpec(hidden=8, tail_taps=30).build(torch.Generator().manual_seed(0))
    assert [(kind, p.model.spec.kind) for kind, p in parts(Playable(tailed, 44_100, {}), "nam")] == [
        ("nam", "lstm"),
        ("ir", "fir"),
    ]
    assert [kind for kind, _ in parts(Playable(tailed, 44_100, {}), "onnx")] == ["onnx"]
    with pytest.raises(ExportError, match="hidden 40"):
        parts(Playable(tailed, 44_100, {}), "proteus")
