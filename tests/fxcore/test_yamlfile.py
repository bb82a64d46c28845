from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from fxcore.errors import SpecError
from fxcore.spec import Registry, Spec
from fxcore.yamlfile import apply_override, dump_yaml, load_yaml


class Effect(Spec):
    kind: str


class Gain(Effect):
    kind: Literal["gain"] = "gain"
    gain_db: float = Field(0.0, le=60.0)


EFFECTS: Registry[Effect] = Registry("effect", Gain)


class Budget(Spec):
    trials: int = 3
    seconds: float = 1.0


class Search(Spec):
    name: str
    budget: Budget = Budget()
    chain: list[Annotated[Effect, *EFFECTS.field()]] = []
    table: dict[str, Any] = {}


GOOD = """\
# a search
name: amp
budget:
  trials: 8
chain:
  - gain
  - kind: gain
    gain_db: 6
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "search.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str, *overrides: str) -> str:
    """What is wrong, less the path of the file."""
    path = written(folder, text)
    with pytest.raises(SpecError) as error:
        load_yaml(path, Search, overrides)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def test_a_file_is_read_into_its_spec(tmp_path: Path) -> None:
    search = load_yaml(written(tmp_path, GOOD), Search)
    assert search == Search(name="amp", budget=Budget(trials=8), chain=[Gain(), Gain(gain_db=6.0)])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("trials: 8", "trails: 8", ":4: unknown key 'budget.trails'; did you mean 'trials'?"),
        ("trials: 8", "trials: many", ":4: budget.trials: input should be a valid integer"),
        (
            "gain_db: 6",
            "gain_db: 99",
            ":8: chain.1: gain_db: input should be less than or equal to 60; got 99",
        ),
        ("gain_db: 6", "gain: 6", ":8: chain.1: unknown key 'gain'; did you mean 'gain_db'?"),
        ("- gain", "- gian", ":6: chain.0: unknown effect 'gian'; did you mean 'gain'?"),
        ("name: amp", "nane: amp", ":2: unknown key 'nane'; did you mean 'name'?"),
        ("name: amp", "budjet: {}", ":2: unknown key 'budjet'; did you mean 'budget'?"),
        ("name: amp", "", ":1: key 'name' is missing"),
    ],
)
def test_a_mistake_is_told_with_its_line(old: str, new: str, expected: str, tmp_path: Path) -> None:
    assert old in GOOD
    assert refusal(tmp_path, GOOD.replace(old, new, 1)).startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: a\nname: b\n", ":2: key 'name' is there twice"),
        ("name: a\nbudget:\n  trials: 1\n  seconds: 2\n  trials: 3\n", ":5: key 'trials' is there twice"),
        ("name: a\nchain:\n- {kind: gain, kind: gain}\n", ":3: key 'kind' is there twice"),
        ("name: a\ntable: {x: 1}\nbudget: {trials: 1}\ntable: {y: 1}\n", ":4: key 'table' is there twice"),
    ],
)
def test_a_key_that_is_there_twice_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, text) == expected


def test_the_same_key_in_two_places_is_no_duplicate(tmp_path: Path) -> None:
    text = "name: a\nchain:\n- {kind: gain}\n- {kind: gain}\ntable: {a: {x: 1}, b: {x: 2}}\n"
    assert load_yaml(written(tmp_path, text), Search).table == {"a": {"x": 1}, "b": {"x": 2}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: [a\n", ":2: not valid YAML: "),
        ("name: a\n\tbudget: 3\n", ":2: not valid YAML: found character"),
        ("name: !!python/object:os.system a\n", ":1: not valid YAML: could not determine a constructor"),
        ("", " must hold `key: value` lines; got NoneType"),
        ("- name\n", " must hold `key: value` lines; got list"),
        ("amp\n", " must hold `key: value` lines; got str"),
    ],
)
def test_what_is_no_yaml_of_keys_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, text).startswith(expected)


def test_a_missing_file_a_folder_and_bytes_are_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none.yaml does not exist; give the path of a YAML file"):
        load_yaml(tmp_path / "none.yaml", Search)
    with pytest.raises(SpecError, match="cannot be read as text"):
        load_yaml(tmp_path, Search)
    (tmp_path / "audio.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(SpecError, match=r"audio.yaml cannot be read as text"):
        load_yaml(tmp_path / "audio.yaml", Search)


def test_overrides_win_over_the_file_and_reach_what_it_leaves_out(tmp_path: Path) -> None:
    overrides = ["budget.trials=2", "budget.seconds=0.5", "name=fuzz", "chain=[gain]", "table.a.b=[1, 2]"]
    search = load_yaml(written(tmp_path, GOOD), Search, overrides)
    assert search.budget == Budget(trials=2, seconds=0.5)
    assert (search.name, search.chain, search.table) == ("fuzz", [Gain()], {"a": {"b": [1, 2]}})


def test_the_last_of_two_overrides_wins(tmp_path: Path) -> None:
    search = load_yaml(written(tmp_path, GOOD), Search, ["budget.trials=2", "budget.trials=5"])
    assert search.budget.trials == 5


def test_a_wrong_override_is_refused_like_a_wrong_file(tmp_path: Path) -> None:
    assert refusal(tmp_path, GOOD, "budget.trials=x").startswith(":4: budget.trials: input should be a valid")
    assert ": unknown key 'budget.trails'; did you mean" in refusal(tmp_path, GOOD, "budget.trails=1")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("budget.trials", "--set takes key=value, as in budget.trials=8; got 'budget.trials'"),
        ("=8", "--set takes key=value, as in budget.trials=8; got '=8'"),
        ("name.first=8", "--set name.first=8: 'name' holds no keys of its own"),
        ("name=[a", "--set name=[a: '[a' is not a YAML value"),
    ],
)
def test_an_override_that_cannot_be_applied_is_told(override: str, message: str) -> None:
    with pytest.raises(SpecError) as error:
        apply_override({"name": "amp"}, override)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("text", "value"), [("3", 3), ("0.5", 0.5), ("true", True), ("null", None), ("a=b", "a=b"), ("", None)]
)
def test_the_right_side_of_an_override_is_yaml(text: str, value: object) -> None:
    values: dict[str, Any] = {}
    apply_override(values, f"a.b={text}")
    assert values == {"a": {"b": value}}


def test_dumped_values_are_read_again_in_their_order(tmp_path: Path) -> None:
    values = load_yaml(written(tmp_path, GOOD), Search).as_dict()
    text = dump_yaml(values)
    assert text.startswith("name: amp\nbudget: {trials: 8,")
    assert load_yaml(written(tmp_path, text), Search).as_dict() == values
