import errno
from pathlib import Path

import pytest

from fxcore.errors import FxError
from fxcore.files import reason, replacing, write_bytes


def test_the_file_appears_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.bin"
    with replacing(path) as part:
        part.write_bytes(b"first half, ")
        assert not path.exists()
        with part.open("ab") as file:
            file.write(b"second half")
    assert path.read_bytes() == b"first half, second half"
    assert list(path.parent.iterdir()) == [path]


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a.bin", b"text")
    assert (tmp_path / "a.bin").stat().st_mode & 0o777 == 0o644


def test_an_older_file_is_replaced_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with replacing(path) as part:
        part.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, FxError])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def write_half() -> None:
        with replacing(path) as part:
            part.write_bytes(b"half")
            raise error("stop")

    with pytest.raises(error, match="stop"):
        write_half()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_lies_beside_its_place_and_hides(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.bin") as part:
        assert part.parent == tmp_path
        assert part.name.startswith(".a.bin.")
        assert part.suffix == ".part"


def test_a_place_under_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FxError, match=r"file/a.bin could not be written: (File exists|Not a directory)"):
        write_bytes(tmp_path / "file" / "a.bin", b"text")


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(FxError, match="folder could not be written: Is a directory"):
        write_bytes(tmp_path / "folder", b"text")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told_with_what_to_do(tmp_path: Path, number: int) -> None:
    message = "a.bin could not be written: the disk is full; free some space, or give another place"
    with pytest.raises(FxError, match=message), replacing(tmp_path / "a.bin"):
        raise OSError(number, "no space")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EACCES, "Permission denied"), "Permission denied"),
        (OSError("something odd"), "something odd"),
    ],
)
def test_other_reasons_are_told_without_their_number(error: OSError, words: str) -> None:
    assert reason(error) == words
