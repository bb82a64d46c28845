"""Workplaces: hidden, one writer each, and gone when they should be."""

from pathlib import Path

import pytest

from datasets.folder import Folder
from datasets.workplace import remove_leftovers, workplace
from fxcore.errors import StoreError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def work_and_raise(place: Folder, key: str | None) -> None:
    with workplace(place, key) as work:
        work.write("shard", b"data")
        raise KeyboardInterrupt


def test_without_a_key_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        work_and_raise(Folder.at(tmp_path / "store"), None)
    assert names(tmp_path) == []


def test_with_a_key_the_next_one_finds_what_was_made(tmp_path: Path) -> None:
    place = Folder.at(tmp_path / "store")
    with pytest.raises(KeyboardInterrupt):
        work_and_raise(place, "abc")
    with workplace(place, "abc") as work:
        assert work.read("shard") == b"data"
    with workplace(place, "other") as work:
        assert work.files() == []
    assert names(tmp_path) == [".store.part-abc"]


def test_of_two_writers_with_one_key_the_second_is_refused(tmp_path: Path) -> None:
    place = Folder.at(tmp_path / "store")
    with (
        workplace(place, "abc"),
        pytest.raises(StoreError, match="store is being written by another process; wait for it"),
        workplace(place, "abc"),
    ):
        pass


def test_writers_without_a_key_do_not_meet(tmp_path: Path) -> None:
    place = Folder.at(tmp_path / "store")
    with workplace(place, None) as one, workplace(place, None) as other:
        assert one.root != other.root


def test_leftovers_are_removed_but_for_those_in_use_and_of_other_stores(tmp_path: Path) -> None:
    place, neighbour = Folder.at(tmp_path / "store"), Folder.at(tmp_path / "store2")
    for where, key in ((place, "abc"), (place, "def"), (neighbour, "abc")):
        with pytest.raises(KeyboardInterrupt):
            work_and_raise(where, key)
    with workplace(place, "def"):
        remove_leftovers(place)
        assert names(tmp_path) == [".store.part-def", ".store2.part-abc"]
    remove_leftovers(place)
    assert names(tmp_path) == [".store2.part-abc"]
