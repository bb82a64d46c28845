"""What holds for every export format with every model family and output."""

import functools
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from _pytest.mark import ParameterSet
from torch import Tensor

from fxcore.errors import ExportError, FxError, OutputExistsError
from fxcore.export import FORMATS, Exporter, Playable, export, formats_for, load, narrowing
from fxcore.export.native import NativeExporter
from fxcore.export.probe import rounding
from fxcore.models import FAMILIES, EffectModel

SMALL: dict[str, list[dict[str, object]]] = {  # a family without any is tested with its defaults
    "conv": [{"layers": 3, "window": 20, "channels": 4}, {"layers": 6, "window": 40, "linear": 2}],
    "dynamics": [{"law": "power", "max_window_samples": 16}],
    "feedback_delay": [{"max_delay_samples": 2_000, "taps": 4}],
    "fir": [{"taps": 300}],
    "gru": [{"hidden": 8}],
    "hammerstein": [{"order": 3, "taps": 20}],
    "lstm": [{"hidden": 8}, {"layers": 3, "hidden": 4}, {"hidden": 40, "skip": True}],
    "modulated_delay": [{"max_delay_samples": 64, "direct_taps": 8, "loop_taps": 0}],
    "nam_wavenet": [{"size": "a1_nano"}, {"size": "a2_lite"}],
    "pitch_shift": [{"window_samples": 256, "tail_samples": 32}],
    "wavenet": [
        {"layers": 5, "window": 24, "channels": 4, "kernel": 3, "gated": True},
        {"layers": 7, "window": 100, "channels": 5, "kernel": 2, "activation": "leaky_relu"},
    ],
    "wiener_hammerstein": [{"input_taps": 5, "units": 3, "output_taps": 40}],
}
MODELS = [
    {"kind": family, **settings, "output": output}
    for family in FAMILIES
    for settings in SMALL.get(family, [{}])
    for output in FAMILIES[family].outputs
    if not settings.get("skip") or output == "regression"
]
PROGRAMS = ("onnx", "torchscript")  # which take longer: one model of each family
FACTS = {"name": "Münchner Verzerrer", "validation": {"esr": 0.0125}, "seed": 7}


def model_of(settings: dict[str, object]) -> EffectModel:
    model = FAMILIES.parse(settings).build(torch.Generator().manual_seed(0)).eval()
    model.set_scale(0.11, 0.37)
    return model


def playable(settings: dict[str, object]) -> Playable:
    return Playable(model_of(settings), 44_100, dict(FACTS))


def holds(kind: str, settings: dict[str, object]) -> bool:
    return FORMATS[kind].refusal(model_of(settings)) is None


def name_of(value: object) -> str:
    return "-".join(map(str, value.values())) if isinstance(value, dict) else str(value)


def tried(kind: str, settings: dict[str, object]) -> bool:
    if settings["output"] != "regression":
        return settings["kind"] == "gru"
    first = next(model for model in MODELS if model["kind"] == settings["kind"])
    return kind not in PROGRAMS or settings == first


def in_time(kind: str, settings: dict[str, object]) -> ParameterSet:
    """The programs of most families are for long runs: each takes seconds to trace."""
    long = kind in PROGRAMS and settings["kind"] not in ("conv", "lstm")
    return pytest.param(kind, settings, marks=[pytest.mark.slow] if long else [])


PAIRS = [pair for pair in itertools.product(FORMATS, MODELS) if tried(*pair)]
HELD = pytest.mark.parametrize(("kind", "settings"), [in_time(*p) for p in PAIRS if holds(*p)], ids=name_of)
REFUSED = pytest.mark.parametrize(("kind", "settings"), [p for p in PAIRS if not holds(*p)], ids=name_of)
BY_FORMAT = pytest.mark.parametrize("kind", list(FORMATS))


def one_that(kind: str) -> dict[str, object]:
    """Settings of a model that the format holds."""
    return next(settings for settings in MODELS if holds(kind, settings))


def file_of(kind: str, folder: Path) -> Path:
    return folder / f"model{FORMATS[kind].extension}"


def exported(kind: str, settings: dict[str, object], folder: Path) -> Path:
    """A file as `export` writes it, made once."""
    path = file_of(kind, folder)
    path.write_bytes(encoded(kind, json.dumps(settings)))
    return path


@functools.cache
def encoded(kind: str, settings: str) -> bytes:
    return FORMATS[kind].encode(playable(json.loads(settings)))


def read_back(path: Path) -> Playable:
    """As `load`, for files of our own in formats that are not opened when they come from elsewhere, too."""
    for exporter in FORMATS.values():
        if exporter.runs_code and path.name.endswith(exporter.extension):
            return exporter.decode(path)
    return load(path)


def signal(samples: int = 3_000) -> Tensor:
    """Noise after a pause, (1, 1, T)."""
    dry = 0.2 * torch.randn(1, 1, samples, generator=torch.Generator().manual_seed(3))
    dry[..., :200] = 0.0
    return dry


def only_line(error: pytest.ExceptionInfo[FxError]) -> str:
    line = str(error.value)
    assert line
    assert "\n" not in line
    assert ".part" not in line
    return line


@HELD
def test_a_written_file_plays_like_its_model_and_is_the_same_each_time(
    kind: str, settings: dict[str, object], tmp_path: Path
) -> None:
    original = playable(settings)
    path = export(original, kind, file_of(kind, tmp_path))
    assert path.read_bytes() == encoded(kind, json.dumps(settings))
    read = read_back(path)
    assert (read.sample_rate, read.facts) == (44_100, FACTS)
    expected = FORMATS[kind].promised(original.model).predict(signal())
    allowed = FORMATS[kind].tolerance * float(expected.abs().max()) + rounding(original.model)
    assert (read.model.predict(signal()) - expected).abs().max() <= allowed
    assert list(tmp_path.iterdir()) == [path]


@HELD
def test_a_player_goes_on_where_the_block_before_ended(
    kind: str, settings: dict[str, object], tmp_path: Path
) -> None:
    read = read_back(exported(kind, settings, tmp_path))
    whole = read.model.predict(signal(1_000))[0, 0].numpy()
    player, dry = read.player(), signal(1_000)[0, 0].numpy()
    played = np.concatenate([player(block) for block in np.split(dry, [1, 65, 65, 700])])
    assert played.dtype == np.float32
    np.testing.assert_allclose(played, whole, rtol=0, atol=1e-5 + rounding(model_of(settings)))


@HELD
def test_a_file_that_was_read_can_be_exported_again_unless_it_is_a_program(
    kind: str, settings: dict[str, object], tmp_path: Path
) -> None:
    read, path = read_back(exported(kind, settings, tmp_path)), file_of(kind, tmp_path)
    if kind in PROGRAMS:
        with pytest.raises(ExportError, match="this one is a program"):
            export(read, kind, path, overwrite=True)
    else:
        again = read_back(export(read, kind, path, overwrite=True)).model.predict(signal())
        limit = 1e-5 + rounding(read.model)
        torch.testing.assert_close(again, read.model.predict(signal()), rtol=0, atol=limit)


@REFUSED
def test_what_a_format_cannot_hold_is_refused_and_told(
    kind: str, settings: dict[str, object], tmp_path: Path
) -> None:
    path = file_of(kind, tmp_path)
    with pytest.raises(ExportError) as error:
        export(playable(settings), kind, path)
    assert FORMATS[kind].extension in only_line(error)
    assert any(str(settings[key]) in str(error.value) for key in ("kind", "output"))
    assert list(tmp_path.iterdir()) == []
    assert kind not in formats_for(model_of(settings))


def test_every_model_has_a_format_that_holds_it() -> None:
    assert all("safetensors" in formats_for(model_of(settings)) for settings in MODELS)


@BY_FORMAT
@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_narrowed_family_is_held_and_no_other_is(kind: str, family: str) -> None:
    limits = narrowing([kind], family)
    assert (limits is not None) == (family in FORMATS[kind].holds)
    if limits is None:
        return
    fields = FAMILIES[family].model_fields
    chosen = {field: values[-1] for field, values in limits.items() if field in fields}
    spec = FAMILIES.parse({"kind": family, **chosen}).narrowed(limits)
    assert holds(kind, spec.as_dict())


@BY_FORMAT
def test_registered_under_its_name_with_players_and_an_extension_of_its_own(kind: str) -> None:
    exporter = FORMATS[kind]
    assert exporter.kind == kind
    assert exporter.players
    assert exporter.extension.startswith(".")
    assert [e.extension for e in FORMATS.values()].count(exporter.extension) == 1
    assert 0 < exporter.tolerance <= 1e-3


@BY_FORMAT
def test_an_existing_file_is_kept_unless_overwriting_is_asked_for(kind: str, tmp_path: Path) -> None:
    path = file_of(kind, tmp_path)
    path.write_bytes(b"mine")
    with pytest.raises(OutputExistsError, match="exists already"):
        export(playable(one_that(kind)), kind, path)
    assert path.read_bytes() == b"mine"
    export(playable(one_that(kind)), kind, path, overwrite=True)
    assert read_back(path).sample_rate == 44_100
    assert list(tmp_path.iterdir()) == [path]


@BY_FORMAT
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(kind: str, share: float, tmp_path: Path) -> None:
    path = exported(kind, one_that(kind), tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ExportError) as error:
        read_back(path)
    assert path.name in only_line(error)


@BY_FORMAT
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_neither_written_nor_read(
    kind: str, value: float, tmp_path: Path
) -> None:
    broken, path = playable(one_that(kind)), file_of(kind, tmp_path)
    with torch.no_grad():
        max(broken.model.parameters(), key=Tensor.numel).flatten()[0] = value
    with pytest.raises(ExportError, match="NaN or infinite"):
        export(broken, kind, path)
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(FORMATS[kind].encode(broken))
    with pytest.raises(ExportError, match="NaN or infinite") as error:
        read_back(path)
    assert path.name in only_line(error)


WEIGHTS = {"nam": ("weights",), "proteus": ("state_dict", "rec.bias_ih_l0")}
WEIGHTS |= dict.fromkeys(("aidax", "rtneural"), ("layers", 0, "weights", 2))  # biases


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind not in PROGRAMS])
def test_weights_in_another_order_are_refused(kind: str, tmp_path: Path) -> None:
    settings = next(s for s in MODELS if holds(kind, s) and (kind == "ir" or s["kind"] == "lstm"))
    path = exported(kind, settings, tmp_path)
    if kind in WEIGHTS:
        document = json.loads(path.read_bytes())
        functools.reduce(lambda held, key: held[key], WEIGHTS[kind], document).reverse()
        path.write_text(json.dumps(document))
    else:  # the last two of float32
        contents = path.read_bytes()
        path.write_bytes(contents[:-8] + contents[-4:] + contents[-8:-4])
    with pytest.raises(
        ExportError, match=r"'(weights|layers|state_dict|data|output_batch)'|is corrupt"
    ) as error:
        read_back(path)
    assert path.name in only_line(error)


@BY_FORMAT
def test_a_file_of_another_kind_is_refused(kind: str, tmp_path: Path) -> None:
    for i, content in enumerate([b"", b"RIFF....WAVE", b"[1, 2, 3]", b"{}", b'"text"', bytes(range(256))]):
        path = tmp_path / f"{i}{FORMATS[kind].extension}"
        path.write_bytes(content)
        with pytest.raises(ExportError) as error:
            read_back(path)
        assert path.name in only_line(error)


@BY_FORMAT
def test_a_place_that_cannot_be_written_to_is_told(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FxError, match="could not be written"):
        export(playable(one_that(kind)), kind, tmp_path / "file" / "model.x")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


class HalfVolume(NativeExporter):
    """A format whose files play at half the level."""

    def decode(self, path: Path) -> Playable:
        read = super().decode(path)
        read.model.scale[1] *= 0.5
        return read


def test_a_file_that_sounds_different_is_refused_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lossy: Exporter = HalfVolume()
    monkeypatch.setitem(FORMATS, "lossy", lossy)
    with pytest.raises(ExportError, match=r"model.safetensors differs from its model by 5.0e-01 of the peak"):
        export(playable(MODELS[0]), "lossy", tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_format_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"unknown format 'nan'; did you mean 'nam'\?"):
        export(playable(MODELS[0]), "nan", tmp_path / "model.nan")


def test_loading_names_what_models_end_in(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"")
    with pytest.raises(ExportError, match=r"model.tflite is no model; models end in .safetensors, .nam"):
        load(tmp_path / "model.tflite")
    with pytest.raises(ExportError, match=r"none.nam does not exist"):
        load(tmp_path / "none.nam")


@pytest.mark.parametrize("kind", [kind for kind, exporter in FORMATS.items() if exporter.runs_code])
def test_a_file_that_could_run_code_is_not_opened(kind: str, tmp_path: Path) -> None:
    file_of(kind, tmp_path).write_bytes(b"whatever")
    with pytest.raises(ExportError, match="can run what is hidden in it; give another format"):
        load(file_of(kind, tmp_path))
