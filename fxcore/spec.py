"""Specs: frozen, validated settings with a digest; registries: from a `kind` to its spec class.

YAML, the command line and the store's manifest all parse into the same specs. A field typed as a
base class is declared with `SomeRegistry.field()`, so that it parses by `kind` and serialises the
whole subclass: two different configurations never share a digest.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Generic, Self, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, SerializeAsAny, ValidationError
from pydantic_core import ErrorDetails

from fxcore.errors import SpecError, did_you_mean


class Spec(BaseModel):
    """Settings that cannot change and refuse unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types, defaults included."""
        return self.model_dump(mode="json")

    def digest(self) -> str:
        """32 hexadecimal digits (128 bits of SHA-256) of the canonical JSON."""
        return digest_of(self.as_dict())

    @classmethod
    def from_dict(cls, values: object) -> Self:
        """Validate plain values; a `SpecError` names the key, the rule and the value."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            errors = error.errors()
            first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])  # a typing error
            raise SpecError(describe(first, cls), first["loc"] + _path_below(first)) from None


def digest_of(values: object) -> str:
    """32 hexadecimal digits (128 bits of SHA-256) of any JSON value, whatever its key order."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def describe(first: ErrorDetails, spec: type[BaseModel]) -> str:
    """One line for one of pydantic's errors: `key: the rule; got value`."""
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        *_, key = first["loc"]
        return f"unknown key '{where}'{did_you_mean(str(key), _fields_at(spec, first['loc'][:-1]))}"
    if first["type"] == "missing":
        return f"key '{where}' is missing"
    message = first["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    prefix = f"{where}: " if where else ""
    if first["type"] == "value_error":  # our own words, which name the value already
        return prefix + message
    return f"{prefix}{message[0].lower()}{message[1:]}; got {first['input']!r}"


def _path_below(error: ErrorDetails) -> tuple[int | str, ...]:
    """Where within the value the fault lies, if a registry refused it."""
    cause = getattr(error.get("ctx", {}).get("error"), "__cause__", None)
    return cause.path if isinstance(cause, SpecError) else ()


def _fields_at(spec: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Field names of the spec nested at `path`, as far as annotations tell."""
    specs = [spec]
    for part in path:  # an index or a key of a dict names no field
        fields = [s.model_fields[str(part)] for s in specs if str(part) in s.model_fields]
        specs = [inner for field in fields for inner in _specs_in(field.annotation)] or specs
    return [name for s in specs for name in s.model_fields]


def _specs_in(annotation: Any) -> list[type[BaseModel]]:
    """Specs that an annotation such as `list[Spec]` or `Spec | None` names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [inner for part in get_args(annotation) for inner in _specs_in(part)]


S = TypeVar("S", bound=Spec)


class Registry(Generic[S]):
    """Maps a `kind` to its spec class.

    >>> from typing import Literal
    >>> class Gain(Spec):
    ...     kind: Literal["gain"] = "gain"
    ...     gain_db: float = 0.0
    >>> EFFECTS = Registry("effect", Gain)
    >>> EFFECTS.parse({"kind": "gain", "gain_db": 6})
    Gain(kind='gain', gain_db=6.0)
    """

    def __init__(self, noun: str, *classes: type[S]) -> None:
        self.noun = noun
        self._classes: dict[str, type[S]] = {cls.model_fields["kind"].default: cls for cls in classes}

    def __getitem__(self, kind: str) -> type[S]:
        try:
            return self._classes[kind]
        except KeyError:
            raise SpecError(f"unknown {self.noun} '{kind}'{did_you_mean(kind, self._classes)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)

    def parse(self, value: object) -> S:
        """The spec of a mapping with a `kind`, or of a kind alone: `fuzz` is `{kind: fuzz}`."""
        if isinstance(value, str):
            value = {"kind": value}
        for cls in self._classes.values():
            if isinstance(value, cls):  # pydantic hands back what it parsed before
                return value
        if not isinstance(value, Mapping) or "kind" not in value:
            known = ", ".join(sorted(self))
            raise SpecError(f"every {self.noun} needs a 'kind'; got {value!r}; known: {known}")
        return self[str(value["kind"])].from_dict(value)

    def field(self) -> tuple[object, ...]:
        """Metadata for `Annotated[Base, *REGISTRY.field()]`: parse by kind, serialise the subclass."""

        def parse(value: object) -> S:
            try:
                return self.parse(value)
            except SpecError as error:
                raise ValueError(str(error)) from error  # which holds the path

        return (BeforeValidator(parse), SerializeAsAny())  # type: ignore[type-arg]  # typed as Annotated
