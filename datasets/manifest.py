"""What a sample store says of itself, in `manifest.json` beside its shards."""

import json
from typing import Any, Literal, TypeAlias

from pydantic import Field

from fxcore.errors import SpecError, StoreError
from fxcore.spec import Spec, digest_of

VERSION: Literal[1] = 1

Split: TypeAlias = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class RecordingEntry(Spec):
    """One recording: a stretch of dry and wet that lies in one split."""

    name: str = Field(pattern=r"^[\w.-]+$")
    split: Split
    samples: int = Field(ge=1)
    start_sample: int = Field(0, ge=0)  # within the aligned pair it was cut out of
    latency_samples: int = 0  # removed from its wet
    polarity: Literal[-1, 1] = 1  # -1: the wet is upside down, and was left so


class RowStatistics(Spec):
    """Of all rows of a shard together; full scale is 1."""

    dry_peak: float
    dry_rms: float
    wet_peak: float
    wet_rms: float


class ShardEntry(Spec):
    """One Parquet file of segments."""

    file: str = Field(pattern=r"^[^/\\]+\.parquet$")
    sha256: str
    rows: int = Field(ge=1)
    recordings: tuple[str, ...]  # whose segments it holds
    statistics: RowStatistics | None = None  # None in a shard of before there were any


class Probes(Spec):
    """What an effect is like, found by playing through it; None where it was not there to play."""

    linearity_esr: float | None = None  # of f(x/2)·2 against f(x): 0 for a linear effect
    repeatability_esr: float | None = None  # of f(x) against f(x) played later: what no model can foresee


class StoreManifest(Spec):
    """The whole store. There is no time in it: the same recipe makes the same bytes."""

    version: Literal[1] = VERSION
    created_by: str = ""  # program and version
    sample_rate: int = Field(ge=1)  # Hz
    segment_samples: int = Field(ge=1)
    source: str  # what made the wet, for people
    recipe: dict[str, Any] | None = None  # enough to render it again; None for recordings
    recordings: tuple[RecordingEntry, ...]
    shards: tuple[ShardEntry, ...]
    probes: Probes = Probes()
    as_played: dict[str, Any] | None = None  # the effect as it ran: latency removed, parameters read back

    def digest(self) -> str:
        """The identity of the data, whichever program version wrote it, wherever its training audio lay."""
        values = self.model_dump(mode="json", exclude={"created_by"})
        return digest_of(values | {"recipe": without_place(values["recipe"])})

    def seconds(self, split: Split) -> float:
        """Length of a split."""
        return sum(r.samples for r in self.recordings if r.split == split) / self.sample_rate

    def to_json(self) -> bytes:
        """The file's bytes."""
        return json.dumps(self.as_dict(), indent=1).encode() + b"\n"

    @classmethod
    def parse(cls, text: bytes, uri: str) -> "StoreManifest":
        """The manifest in a file's bytes; raises `StoreError` where it is corrupt or of another version."""
        try:
            values = json.loads(text)
            if isinstance(values, dict) and values.get("version") != VERSION:
                raise StoreError(
                    f"a store must have version {VERSION}; {uri} has {values.get('version')!r}; "
                    "make it again, or use the fxsearch that made it"
                )
            return cls.from_dict(values)
        except (ValueError, SpecError) as error:
            raise StoreError(f"{uri}: the manifest is corrupt ({error}); make the store again") from None


def without_place(recipe: dict[str, Any] | None) -> dict[str, Any] | None:
    """A recipe as plain values, but for the folder of its training audio, whose files have hashes."""
    if not recipe or not recipe.get("training_audio"):
        return recipe
    audio = {key: value for key, value in recipe["training_audio"].items() if key != "folder"}
    return {**recipe, "training_audio": audio}
