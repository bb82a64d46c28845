"""Pairing: equal names go together, and whatever is alone is named."""

from pathlib import Path

import pytest

from datasets.pairing import find_pairs
from fxcore.errors import PairError


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for side in ("dry", "wet"):
        (tmp_path / side).mkdir()
    return tmp_path / "dry", tmp_path / "wet"


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def test_two_files_are_a_pair_whatever_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "di.wav", "amp.flac")
    (pair,) = find_pairs(tmp_path / "di.wav", str(tmp_path / "amp.flac"))
    assert pair == ("di", tmp_path / "di.wav", tmp_path / "amp.flac")


def test_files_of_two_folders_pair_by_stem_sorted_by_name(folders: tuple[Path, Path]) -> None:
    dry, wet = folders
    touch(dry, "b.wav", "a.flac", "c.1.ogg")
    touch(wet, "c.1.WAV", "a.wav", "b.mp3")
    pairs = find_pairs(dry, wet)
    assert [(p.name, p.dry.name, p.wet.name) for p in pairs] == [
        ("a", "a.flac", "a.wav"),
        ("b", "b.wav", "b.mp3"),
        ("c.1", "c.1.ogg", "c.1.WAV"),
    ]


def test_what_is_no_recording_is_passed_over(folders: tuple[Path, Path]) -> None:
    dry, wet = folders
    touch(dry, "a.wav", "notes.txt", ".hidden.wav", "a.asd")
    (dry / "older.wav").mkdir()
    touch(wet, "a.wav", "cover.png")
    assert [pair.name for pair in find_pairs(dry, wet)] == ["a"]


@pytest.mark.parametrize("lonely", ["dry", "wet"])
def test_a_recording_without_a_partner_is_named_with_what_it_might_be(
    folders: tuple[Path, Path], lonely: str
) -> None:
    dry, wet = folders
    touch(dry, "a.wav", "riff.wav")
    touch(wet, "a.wav", "rif.wav")
    touch(folders[lonely == "wet"], "zz.wav")
    with pytest.raises(PairError, match=r"dry/riff\.wav has none in .*/wet; did you mean 'rif'\?; rename"):
        find_pairs(dry, wet)


@pytest.mark.parametrize(("extra", "in_dry"), [("solo.wav", True), ("solo.wav", False)])
def test_a_recording_that_only_one_folder_has_is_refused(
    folders: tuple[Path, Path], extra: str, in_dry: bool
) -> None:
    for folder in folders:
        touch(folder, "a.wav")
    touch(folders[0 if in_dry else 1], extra)
    owner, other = ("dry", "wet") if in_dry else ("wet", "dry")
    with pytest.raises(PairError, match=rf"{owner}/solo\.wav has none in .*/{other}; rename or remove it"):
        find_pairs(*folders)


def test_two_recordings_of_one_name_are_refused(folders: tuple[Path, Path]) -> None:
    touch(folders[0], "a.flac", "a.wav")
    touch(folders[1], "a.wav")
    with pytest.raises(PairError, match=r"holds a\.flac and a\.wav; remove one"):
        find_pairs(*folders)


def test_an_empty_folder_is_refused(folders: tuple[Path, Path]) -> None:
    touch(folders[0], "a.wav")
    with pytest.raises(PairError, match=r"must hold recordings.*wet holds none"):
        find_pairs(*folders)


def test_a_folder_and_a_file_are_refused(folders: tuple[Path, Path]) -> None:
    touch(folders[1], "a.wav")
    with pytest.raises(PairError, match=r"dry is a folder, .*a\.wav is none"):
        find_pairs(folders[0], folders[1] / "a.wav")


def test_the_same_twice_is_refused(folders: tuple[Path, Path]) -> None:
    touch(folders[0], "a.wav")
    for path in (folders[0], folders[0] / "a.wav"):
        with pytest.raises(PairError, match="must be different"):
            find_pairs(path, path)
