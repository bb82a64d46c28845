"""The space a search draws from: model settings by family, outputs, and learning rate.

It knows no search library: `SearchSpace.draw` asks a `suggest(name, dimension)` for each value it
needs, so that only the dimensions of the family drawn take part.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from fxcore.errors import SpecError, did_you_mean
from fxcore.export import narrowing
from fxcore.models import FAMILIES, OUTPUTS, ModelSpec, TrainingSpec
from fxcore.spec import Spec

Value: TypeAlias = int | float | str | bool
Suggest: TypeAlias = "Callable[[str, Dimension], Value]"

LOG_FROM_RATIO = 8  # a range that spans this factor is searched on a logarithmic scale


@dataclass(frozen=True)
class Numbers:
    """All integers, or all floats, from `low` to `high`, both included."""

    low: int | float
    high: int | float

    @property
    def log(self) -> bool:
        return self.low > 0 and self.high / self.low >= LOG_FROM_RATIO

    @property
    def integral(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def has(self, value: Value) -> bool:
        """Whether the value lies in the range."""
        return not isinstance(value, str) and self.low <= value <= self.high

    def nearest(self, value: int | float) -> Value:
        """The value, moved into the range."""
        return min(max(value, self.low), self.high)


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Value, ...]

    def has(self, value: Value) -> bool:
        """Whether the value is one of them."""
        return value in self.values

    def nearest(self, value: Any) -> Value:
        """The value where it is one of them, else the first."""
        return value if value in self.values else self.values[0]


Dimension: TypeAlias = Numbers | Choice


def parse_dimension(raw: Any) -> Dimension:
    """`7` and `[7]`: fixed; `[2, 8]`: a range; `[a, b, c]` or more than two numbers: choices."""
    values = raw if isinstance(raw, list) else [raw]
    if not values or not all(isinstance(v, int | float | str) for v in values):
        raise SpecError(f"a range is a value, [low, high] or a list of choices; got {raw!r}")
    if len(values) == 2 and all(_is_number(v) for v in values):
        low, high = values
        if low > high:
            raise SpecError(f"empty range [{low}, {high}]; the lower end comes first")
        return Numbers(low, high) if low < high else Choice((low,))
    return Choice(tuple(values))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class SearchSpace:
    """Dimensions by family and by output kind, checked against the specs they fill."""

    def __init__(
        self,
        families: Mapping[str, Mapping[str, Any] | None] | None,
        output: Mapping[str, Any],
        training: Mapping[str, Any],
        targets: Sequence[str] = (),
        gpu: bool = False,
    ) -> None:
        """`families`: None for all black boxes; ranges that are None are the family's own.

        `targets` are export formats, all of which every model drawn fits into; `gpu`: whether one trains.

        Raises `SpecError`, its path leading to the key at fault.
        """
        if families is None:
            families = {kind: None for kind in FAMILIES if FAMILIES[kind].made_for is None}
        if not families:
            raise SpecError("a search needs at least one family", ("families",))
        self.families: dict[str, dict[str, Dimension]] = {}
        self.limits: dict[str, dict[str, tuple[Any, ...]]] = {}
        for kind, ranges in families.items():
            path = ("families", kind)
            with _at(*path):
                spec = FAMILIES[kind]
            limits = narrowing(targets, kind)
            if limits is None:
                continue
            self.limits[kind] = limits
            dimensions = _dimensions(spec.ranges if ranges is None else ranges, spec, path, {"output"})
            with _at(*path):
                self.families[kind] = dimensions | _limited(dimensions, spec, limits)
        if not self.families:
            raise SpecError(
                f"no model of {', '.join(families)} fits into {' and '.join(targets)}", ("targets",)
            )
        raw_kinds = output.get("kind", ["regression"])
        kinds = raw_kinds if isinstance(raw_kinds, list) else [raw_kinds]
        self.outputs: dict[str, dict[str, Dimension]] = {}
        ranges = {key: value for key, value in output.items() if key != "kind"}
        used: set[str] = set()
        for kind in kinds:
            with _at("output", "kind"):
                spec_of_output = OUTPUTS[str(kind)]
            own = {key: value for key, value in ranges.items() if key in spec_of_output.model_fields}
            used |= own.keys()
            self.outputs[str(kind)] = _dimensions(own, spec_of_output, ("output",), set(), narrow=True)
        for key in ranges.keys() - used:
            known = {name for kind in self.outputs for name in OUTPUTS[kind].model_fields}
            raise SpecError(f"unknown key 'output.{key}'{did_you_mean(key, known)}", ("output", key))
        self.gpu = gpu
        self.training = _dimensions(training, TrainingSpec, ("training",), set())

    def draw(self, suggest: Suggest) -> tuple[ModelSpec, TrainingSpec]:
        """One model and its training; raises `SpecError` where the values do not go together."""
        family = str(suggest("family", Choice(tuple(self.families))))
        values = {name: suggest(f"{family}.{name}", d) for name, d in self.families[family].items()}
        name, kinds = self._outputs_of(family)
        kind = str(suggest(name, Choice(kinds))) if name else kinds[0]
        bits = self.outputs.get(kind, {})
        output = {"kind": kind, **{name: suggest(f"{kind}.{name}", d) for name, d in bits.items()}}
        model = FAMILIES.parse({"kind": family, "output": output, **values})
        model = model.narrowed(self.limits[family])
        recipe = {name: suggest(f"{family}.{name}", d) for name, d in self._training_of(family).items()}
        return model, TrainingSpec.from_dict({**model.recipe(self.gpu).as_dict(), **recipe})

    def first_draws(self) -> list[dict[str, Value]]:
        """What a search tries before it samples: families' first starts, then others, moved into here."""
        starts = {family: FAMILIES[family].starts for family in self.families}
        rounds = [
            self._moved(family, own[i])
            for i in range(max(map(len, starts.values())))
            for family, own in starts.items()
            if i < len(own)
        ]
        return [values for i, values in enumerate(rounds) if values not in rounds[:i]]

    def _moved(self, family: str, start: Mapping[str, Any]) -> dict[str, Value]:
        """A family's defaults but for what `start` has, each at the nearest value that there is."""
        fields, training = FAMILIES[family].model_fields, FAMILIES[family].recipe(self.gpu)
        wanted = {name: start.get(name, field.default) for name, field in fields.items()}
        values: dict[str, Value] = {"family": family}
        values |= {f"{family}.{n}": d.nearest(wanted[n]) for n, d in self.families[family].items()}
        output, (kind, *_) = self._outputs_of(family)
        values |= {output: kind} if output else {}
        bits = OUTPUTS[kind].model_fields
        ranges = self.outputs.get(kind, {})
        values |= {f"{kind}.{n}": d.nearest(bits[n].default) for n, d in ranges.items()}
        recipe = self._training_of(family)
        values |= {f"{family}.{n}": d.nearest(getattr(training, n)) for n, d in recipe.items()}
        return values

    def values_of(
        self, model: ModelSpec, training: TrainingSpec
    ) -> dict[str, tuple[Value, "Dimension"]] | None:
        """The values, with their dimensions, by which `draw` gives this model; None where it cannot."""
        if model.kind not in self.families:
            return None
        settings, output = model.as_dict(), model.output.as_dict()
        asked: dict[str, tuple[Value, Dimension]] = {}

        def suggest(name: str, dimension: Dimension) -> Value:
            part, _, key = name.rpartition(".")
            if name == "family":
                value = model.kind
            elif key == "output" or name == "output":
                value = output["kind"]
            elif part == output["kind"]:
                value = output[key]
            else:
                value = settings[key] if key in settings else training.as_dict()[key]
            if not dimension.has(value):
                raise LookupError(name)
            asked[name] = value, dimension
            return value

        try:
            drawn, recipe = self.draw(suggest)
        except (LookupError, SpecError):
            return None
        same_recipe = FAMILIES[model.kind].fitted or recipe == training
        return asked if drawn == model and same_recipe else None

    def _outputs_of(self, family: str) -> tuple[str | None, tuple[str, ...]]:
        """What the choice of an output is called, if there is one, and the kinds to choose from."""
        possible = self.limits[family].get("output", FAMILIES[family].outputs)
        kinds = tuple(kind for kind in self.outputs if kind in possible)
        if not kinds or len(possible) == 1:
            return None, (str(possible[0]),)
        return "output" if len(kinds) == len(self.outputs) else f"{family}.output", kinds

    def _training_of(self, family: str) -> dict[str, Dimension]:
        """Dimensions of the recipe, for a family that has one."""
        return {} if FAMILIES[family].fitted else self.training


def _limited(
    dimensions: Mapping[str, Dimension], spec: type[Spec], limits: Mapping[str, tuple[Value, ...]]
) -> dict[str, Dimension]:
    """Dimensions of the fields that are limited to some values; raises `SpecError` where none is in range."""
    limited: dict[str, Dimension] = {}
    for name, allowed in limits.items():
        if name == "output" or name not in spec.model_fields:  # `narrowed` sees to what follows from others
            continue
        if name not in dimensions:
            default = spec.model_fields[name].default
            limited[name] = Choice((default if default in allowed else allowed[0],))
            continue
        dimension = dimensions[name]
        values = tuple(value for value in allowed if dimension.has(value))
        if not values:
            raise SpecError(
                f"{name}: the formats aimed at take {', '.join(map(str, allowed))}; widen its range"
            )
        limited[name] = Choice(values)
    return limited


def _dimensions(
    ranges: Mapping[str, Any],
    spec: type[Spec],
    path: tuple[str, ...],
    hidden: set[str],
    *,
    narrow: bool = False,
) -> dict[str, Dimension]:
    """Parse ranges for a spec's fields; both ends must be valid, or with `narrow` are made so."""
    known = spec.model_fields.keys() - {"kind"} - hidden
    dimensions: dict[str, Dimension] = {}
    for name, raw in ranges.items():
        here = (*path, name)
        if name not in known:
            raise SpecError(f"unknown key '{'.'.join(here)}'{did_you_mean(name, known)}", here)
        with _at(*here):
            dimension = parse_dimension(raw)
            if narrow and isinstance(dimension, Numbers):
                dimension = _narrowed(dimension, spec, name)
            for value in _ends(dimension):
                _check_field(spec, name, value)
        dimensions[name] = dimension
    return dimensions


def _ends(dimension: Dimension) -> tuple[Value, ...]:
    return (dimension.low, dimension.high) if isinstance(dimension, Numbers) else dimension.values


def _check_field(spec: type[Spec], name: str, value: Value) -> None:
    """Raise `SpecError` where the field alone refuses the value (other fields at their defaults)."""
    try:
        spec.__pydantic_validator__.validate_assignment(spec.model_construct(), name, value)
    except ValueError as error:
        first = error.errors()[0] if hasattr(error, "errors") else {"msg": str(error), "loc": (name,)}
        if first["loc"] == (name,):
            raise SpecError(f"{first['msg'][0].lower()}{first['msg'][1:]}; got {value!r}") from None


def _narrowed(dimension: Numbers, spec: type[Spec], name: str) -> Dimension:
    """The part of a range that the field allows: softmax to 10 bits, where mixture goes to 24."""
    limits = {type(m).__name__: m for m in spec.model_fields[name].metadata}
    low = max(dimension.low, limits["Ge"].ge) if "Ge" in limits else dimension.low
    high = min(dimension.high, limits["Le"].le) if "Le" in limits else dimension.high
    if low > high:
        raise SpecError(
            f"range [{dimension.low}, {dimension.high}] lies outside {spec.__name__}'s own limits"
        )
    return Numbers(low, high) if low < high else Choice((low,))


@contextmanager
def _at(*path: str) -> Iterator[None]:
    """Give a `SpecError` raised inside the path of its key, in the message too."""
    try:
        yield
    except SpecError as error:
        raise SpecError(f"{'.'.join(path)}: {error}", path) from None
