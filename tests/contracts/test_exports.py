"""What holds for every export format with every model family and output."""

import itertools
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fxcore.errors import ExportError, FxError, OutputExistsError
from fxcore.export import FORMATS, Exporter, Playable, export, formats_for, load
from fxcore.export.native import NativeExporter
from fxcore.models import FAMILIES, OUTPUTS, EffectModel

SMALL: dict[str, list[dict[str, object]]] = {  # a family without any is tested with its defaults
    "conv": [{"layers": 3, "window": 20, "channels": 4}],
    "lstm": [{"layers": 1, "hidden": 6}, {"layers": 3, "hidden": 4}],
    "wavenet": [
        {"layers": 5, "window": 24, "channels": 4, "kernel": 3, "gated": True},
        {"layers": 7, "window": 100, "channels": 5, "kernel": 2},
    ],
}
MODELS = [
    {"kind": family, **settings, "output": output}
    for family, output in itertools.product(FAMILIES, OUTPUTS)
    for settings in SMALL.get(family, [{}])
]
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


PAIRS = list(itertools.product(FORMATS, MODELS))
HELD = pytest.mark.parametrize(("kind", "settings"), [p for p in PAIRS if holds(*p)], ids=name_of)
REFUSED = pytest.mark.parametrize(("kind", "settings"), [p for p in PAIRS if not holds(*p)], ids=name_of)
BY_FORMAT = pytest.mark.parametrize("kind", list(FORMATS))


def one_that(kind: str) -> dict[str, object]:
    """Settings of a model that the format holds."""
    return next(settings for settings in MODELS if holds(kind, settings))


def file_of(kind: str, folder: Path) -> Path:
    return folder / f"model{FORMATS[kind].extension}"


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
def test_a_written_file_plays_like_its_model(kind: str, settings: dict[str, object], tmp_path: Path) -> None:
    original = playable(settings)
    path = export(original, kind, file_of(kind, tmp_path))
    read = load(path)
    assert (read.sample_rate, read.facts) == (44_100, FACTS)
    expected = original.model.predict(signal())
    difference = (read.model.predict(signal()) - expected).abs().max() / expected.abs().max()
    assert difference <= FORMATS[kind].tolerance
    assert list(tmp_path.iterdir()) == [path]


@HELD
def test_the_same_model_gives_the_same_bytes(kind: str, settings: dict[str, object]) -> None:
    assert len({FORMATS[kind].encode(playable(settings)) for _ in range(8)}) == 1


@HELD
def test_a_file_that_was_read_can_be_exported_again(
    kind: str, settings: dict[str, object], tmp_path: Path
) -> None:
    read = load(export(playable(settings), kind, file_of(kind, tmp_path)))
    again = load(export(read, kind, file_of(kind, tmp_path), overwrite=True))
    torch.testing.assert_close(again.model.predict(signal()), read.model.predict(signal()), rtol=0, atol=1e-5)


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
    assert load(path).sample_rate == 44_100
    assert list(tmp_path.iterdir()) == [path]


@BY_FORMAT
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(kind: str, share: float, tmp_path: Path) -> None:
    path = export(playable(one_that(kind)), kind, file_of(kind, tmp_path))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ExportError) as error:
        load(path)
    assert path.name in only_line(error)


@BY_FORMAT
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_neither_written_nor_read(
    kind: str, value: float, tmp_path: Path
) -> None:
    broken, path = playable(one_that(kind)), file_of(kind, tmp_path)
    with torch.no_grad():
        next(broken.model.parameters()).flatten()[0] = value
    with pytest.raises(ExportError, match="NaN or infinite"):
        export(broken, kind, path)
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(FORMATS[kind].encode(broken))
    with pytest.raises(ExportError, match="NaN or infinite") as error:
        load(path)
    assert path.name in only_line(error)


@BY_FORMAT
def test_a_file_of_another_kind_is_refused(kind: str, tmp_path: Path) -> None:
    for i, content in enumerate([b"", b"RIFF....WAVE", b"[1, 2, 3]", b"{}", b'"text"', bytes(range(256))]):
        path = tmp_path / f"{i}{FORMATS[kind].extension}"
        path.write_bytes(content)
        with pytest.raises(ExportError) as error:
            load(path)
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
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(ExportError, match=r"model.onnx is no model; models end in .safetensors, .nam"):
        load(tmp_path / "model.onnx")
    with pytest.raises(ExportError, match=r"none.nam does not exist"):
        load(tmp_path / "none.nam")
