import json
import math
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from fxcore.errors import SpecError
from fxcore.spec import Registry, Spec, digest_of


class Effect(Spec):
    kind: str


class Gain(Effect):
    kind: Literal["gain"] = "gain"
    gain_db: float = Field(0.0, ge=-60.0, le=60.0)


class Tremolo(Effect):
    kind: Literal["tremolo"] = "tremolo"
    rate_hz: float = 5.0
    depth: float = 0.5

    @model_validator(mode="after")
    def _not_too_fast(self) -> "Tremolo":
        if self.rate_hz * self.depth > 100:
            raise ValueError(f"tremolo too deep for its rate; got {self.rate_hz:g}")
        return self


EFFECTS: Registry[Effect] = Registry("effect", Gain, Tremolo)


class Room(Spec):
    size_m: float = 3.0


class Rig(Spec):
    name: str = Field(pattern="^[a-z]+$")
    effect: Annotated[Effect, *EFFECTS.field()] = Gain()
    chain: tuple[Annotated[Effect, *EFFECTS.field()], ...] = ()
    room: Room = Room()
    rooms: list[Room] = []
    spare: Room | None = None
    halls: dict[str, Room] = {}


def refused(values: object) -> SpecError:
    with pytest.raises(SpecError) as error:
        Rig.from_dict(values)
    assert "\n" not in str(error.value)
    return error.value


def test_defaults_are_filled_in_and_written_out() -> None:
    assert Rig.from_dict({"name": "a"}).as_dict() == {
        "name": "a",
        "effect": {"kind": "gain", "gain_db": 0.0},
        "chain": [],
        "room": {"size_m": 3.0},
        "rooms": [],
        "spare": None,
        "halls": {},
    }


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Gain().gain_db = 3.0  # type: ignore[misc]  # what is tested


def test_json_and_back_is_the_same_spec() -> None:
    rig = Rig.from_dict(
        {"name": "a", "effect": "tremolo", "chain": [{"kind": "gain", "gain_db": 3}, "tremolo"]}
    )
    again = Rig.from_dict(json.loads(json.dumps(rig.as_dict())))
    assert again == rig
    assert again.digest() == rig.digest()
    assert isinstance(again.chain[1], Tremolo)


@pytest.mark.parametrize(
    ("values", "message", "path"),
    [
        ({"name": "A"}, "name: string should match pattern '^[a-z]+$'; got 'A'", ("name",)),
        ({}, "key 'name' is missing", ("name",)),
        (3, "input should be a valid dictionary or instance of Rig; got 3", ()),
        ({"nam": "a"}, "unknown key 'nam'; did you mean 'name'?", ("nam",)),
        ({"name": 7, "rom": 1}, "unknown key 'rom'; did you mean 'room' or 'rooms'?", ("rom",)),
        (
            {"name": "a", "room": {"size": 1}},
            "unknown key 'room.size'; did you mean 'size_m'?",
            ("room", "size"),
        ),
        (
            {"name": "a", "room": {"size_m": "x"}},
            "room.size_m: input should be a valid number",
            ("room", "size_m"),
        ),
        (
            {"name": "a", "rooms": [{}, {"size": 1}]},
            "unknown key 'rooms.1.size'; did you mean 'size_m'?",
            ("rooms", 1, "size"),
        ),
        (
            {"name": "a", "spare": {"siz": 1}},
            "unknown key 'spare.siz'; did you mean 'size_m'?",
            ("spare", "siz"),
        ),
        (
            {"name": "a", "halls": {"big": {"siz": 1}}},
            "unknown key 'halls.big.siz'; did you mean 'size_m'?",
            ("halls", "big", "siz"),
        ),
        (
            {"name": "a", "effect": {"kind": "gain", "gain_db": 99}},
            "effect: gain_db: input should be less than or equal to 60; got 99",
            ("effect", "gain_db"),
        ),
        (
            {"name": "a", "effect": {"kind": "gain", "gain": 1}},
            "effect: unknown key 'gain'; did you mean 'gain_db'?",
            ("effect", "gain"),
        ),
        (
            {"name": "a", "chain": ["gain", {"kind": "tremolo", "rate": 1}]},
            "chain.1: unknown key 'rate'; did you mean 'rate_hz'?",
            ("chain", 1, "rate"),
        ),
        ({"name": "a", "effect": "gian"}, "effect: unknown effect 'gian'; did you mean 'gain'?", ("effect",)),
        ({"name": "a", "effect": "zzz"}, "effect: unknown effect 'zzz'; known: gain, tremolo", ("effect",)),
        (
            {"name": "a", "effect": 3},
            "effect: every effect needs a 'kind'; got 3; known: gain, tremolo",
            ("effect",),
        ),
        (
            {"name": "a", "effect": {"kind": "tremolo", "rate_hz": 900}},
            "effect: tremolo too deep for its rate; got 900",
            ("effect",),
        ),
    ],
)
def test_a_mistake_is_told_with_key_rule_value_and_path(
    values: object, message: str, path: tuple[int | str, ...]
) -> None:
    error = refused(values)
    assert str(error).startswith(message)
    assert error.path == path


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(SpecError, match="gain_db: input should be a finite number"):
        Gain.from_dict({"gain_db": value})


def test_digests_are_32_hexadecimal_digits_that_do_not_depend_on_the_order_of_keys() -> None:
    assert digest_of({"a": 1, "b": [1, 2]}) == digest_of({"b": [1, 2], "a": 1})
    assert len(digest_of({})) == 32
    assert set(digest_of({})) <= set("0123456789abcdef")
    assert digest_of([1, 2]) != digest_of([2, 1])
    assert digest_of({}) == "44136fa355b3678a1146ad16f7e8649e"  # SHA-256 of "{}", for ever


def test_two_different_configurations_never_share_a_digest() -> None:
    rigs = [
        {"name": "a"},
        {"name": "b"},
        {"name": "a", "effect": {"kind": "gain", "gain_db": 1}},
        {"name": "a", "effect": "tremolo"},
        {"name": "a", "effect": {"kind": "tremolo", "depth": 0.25}},
        {"name": "a", "chain": ["gain"]},
        {"name": "a", "chain": ["gain", "gain"]},
        {"name": "a", "chain": ["gain", "tremolo"]},
        {"name": "a", "chain": ["tremolo", "gain"]},
        {"name": "a", "chain": [{"kind": "gain", "gain_db": 1}]},
        {"name": "a", "room": {"size_m": 4}},
        {"name": "a", "rooms": [{"size_m": 4}]},
        {"name": "a", "spare": {}},
        {"name": "a", "halls": {"big": {}}},
    ]
    assert len({Rig.from_dict(rig).digest() for rig in rigs}) == len(rigs)


def test_what_is_said_and_what_is_left_to_defaults_share_a_digest() -> None:
    said = Rig.from_dict({"name": "a", "effect": {"kind": "gain", "gain_db": 0}, "room": {"size_m": 3}})
    assert said.digest() == Rig.from_dict({"name": "a"}).digest()


def test_a_registry_parses_a_kind_a_mapping_and_a_spec() -> None:
    assert EFFECTS.parse("tremolo") == Tremolo()
    assert EFFECTS.parse({"kind": "gain", "gain_db": 6}) == Gain(gain_db=6.0)
    assert EFFECTS.parse(Gain(gain_db=6.0)) == Gain(gain_db=6.0)


def test_a_registry_lists_its_kinds_in_order() -> None:
    assert list(EFFECTS) == ["gain", "tremolo"]
    assert len(EFFECTS) == 2
    assert "gain" in EFFECTS
    assert EFFECTS["gain"] is Gain
    with pytest.raises(SpecError, match=r"unknown effect 'gan'; did you mean 'gain'\?"):
        EFFECTS["gan"]


def test_a_spec_of_a_nested_kind_passes_as_it_is() -> None:
    assert Rig(name="a", effect=Tremolo(depth=0.1)).as_dict()["effect"]["depth"] == 0.1
