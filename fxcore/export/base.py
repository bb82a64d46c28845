"""What every export format is: bytes of a model, and a reader that plays them again."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeAlias

from fxcore.export.player import Player
from fxcore.models import EffectModel, ModelSpec

Limits: TypeAlias = Mapping[str, tuple[Any, ...]]  # a setting's name -> the values that it may have


class Playable(NamedTuple):
    """A model with the rate in Hz it was made for and what is known of it."""

    model: EffectModel
    sample_rate: int
    facts: dict[str, Any]

    def player(self) -> Player:
        """Plays NumPy blocks one after the other, from the beginning."""
        return Player(self.model)


class Exporter(ABC):
    """One file format."""

    kind: ClassVar[str]  # its name on the command line
    extension: ClassVar[str]
    players: ClassVar[str]  # what loads it, for people
    tolerance: ClassVar[float] = 1e-5  # of the written file against its model, relative to the peak
    runs_code: ClassVar[bool] = False  # whether opening a file can run what somebody put into it
    holds: ClassVar[Mapping[str, Limits]]  # families that it can hold, and which values of their fields

    def refusal(self, model: EffectModel) -> str | None:
        """Why the format cannot hold the model, and which models it can; None where it can."""
        return self.refusal_of(model.spec)

    def refusal_of(self, spec: ModelSpec) -> str | None:
        """As `refusal`, of models with these settings."""
        limits = self.holds.get(spec.kind)
        if limits is None:
            return f"{self} holds {families(self.holds)} models; this one is a {spec.kind}"
        for field, allowed in limits.items():
            value = value_of(spec, field)
            if value not in allowed:
                fitting = spec.narrowed({field: allowed})
                these = " or ".join(str(v) for v in allowed)
                return (
                    f"{self} holds {spec.kind} models with {field} {these}; this one has {value}"
                    f"{_remedy(spec, fitting)}; "
                    f"other families that it holds: {families(self.holds, but=spec.kind)}"
                )
        return None

    def promised(self, model: EffectModel) -> EffectModel:
        """What of the model the file is to play; all of it, unless said."""
        return model

    @abstractmethod
    def encode(self, playable: Playable) -> bytes:
        """The file's contents, the same for the same model."""

    @abstractmethod
    def decode(self, path: Path) -> Playable:
        """Read a file; raises `ExportError` naming the field that is missing or wrong."""

    def __str__(self) -> str:
        return f"a {self.extension} file"


def value_of(spec: ModelSpec, field: str) -> Any:
    """A setting's value; of the output its kind."""
    return spec.output.kind if field == "output" else getattr(spec, field)


def _remedy(spec: ModelSpec, fitting: ModelSpec) -> str:
    """What of a spec would have to be otherwise, as far as that is known."""
    has = spec.as_dict()
    needs = [f"{name} {value}" for name, value in fitting.as_dict().items() if value != has[name]]
    return f", and would fit with {', '.join(needs)}" if needs else ""


def families(holds: Mapping[str, Limits], but: str | None = None) -> str:
    """Names of families, for people."""
    return ", ".join(name for name in holds if name != but) or "none"
