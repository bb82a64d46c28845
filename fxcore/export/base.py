"""What every export format is: bytes of a model, and a reader that plays them again."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from fxcore.models import EffectModel


class Playable(NamedTuple):
    """A model read from a file, with the rate in Hz it was made for and what is known of it."""

    model: EffectModel
    sample_rate: int
    facts: dict[str, Any]


class Exporter(ABC):
    """One file format."""

    kind: ClassVar[str]  # its name on the command line
    extension: ClassVar[str]
    players: ClassVar[str]  # what loads it, for people
    tolerance: ClassVar[float] = 1e-5  # of the written file against its model, relative to the peak

    @abstractmethod
    def refusal(self, model: EffectModel) -> str | None:
        """Why the format cannot hold the model, and which models it can; None where it can."""

    @abstractmethod
    def encode(self, playable: Playable) -> bytes:
        """The file's contents, the same for the same model."""

    @abstractmethod
    def decode(self, path: Path) -> Playable:
        """Read a file; raises `ExportError` naming the field that is missing or wrong."""
