"""Chain: effects one after the other, as on a pedal board."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny

from fxcore.audio import Signal
from fxcore.effects.base import Effect
from fxcore.errors import SpecError


def parse_effect(value: object) -> Effect:
    """As `EFFECTS.field()`, which cannot stand here: the registry holds the chain itself."""
    from fxcore.effects import EFFECTS

    try:
        return EFFECTS.parse(value)
    except SpecError as error:
        raise ValueError(str(error)) from None


AnyEffect = Annotated[Effect, BeforeValidator(parse_effect), SerializeAsAny()]


class Chain(Effect):
    """Each effect's wet is the next one's dry."""

    kind: Literal["chain"] = "chain"
    effects: tuple[AnyEffect, ...] = Field(min_length=1)

    def process(self, dry: Signal, sample_rate: int) -> Signal:
        wet = dry
        for effect in self.effects:
            wet = effect(wet, sample_rate)
        return wet

    def as_played(self, sample_rate: int) -> dict[str, Any]:
        return {**self.as_dict(), "effects": [effect.as_played(sample_rate) for effect in self.effects]}
