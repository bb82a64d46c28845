"""Small stores of noise, and the pieces they are made of."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from datasets.manifest import SPLITS, RecordingEntry, Split, StoreManifest
from datasets.store import SEGMENT_SAMPLES, SampleStore
from datasets.writing import writing
from fxcore.audio import Recording

RATE = 8000
Piece = tuple[RecordingEntry, Recording]


def noise_piece(name: str, split: Split, samples: int, seed: int = 0) -> Piece:
    dry, wet = np.random.default_rng(seed).uniform(-1, 1, (2, 1, samples)).astype(np.float32)
    return RecordingEntry(name=name, split=split, samples=samples), Recording(name, dry, wet)


def write_store(
    out: str | Path,
    pieces: Iterable[Piece],
    *,
    overwrite: bool = False,
    recipe: dict[str, object] | None = None,
) -> SampleStore:
    pieces = list(pieces)
    with writing(out, overwrite=overwrite) as writer:
        for piece in pieces:
            writer.write_shard([piece])
        writer.finish(
            StoreManifest(
                sample_rate=RATE,
                segment_samples=SEGMENT_SAMPLES,
                source="noise",
                recipe=recipe,
                recordings=tuple(entry for entry, _ in pieces),
                shards=tuple(writer.shards),
            )
        )
    return SampleStore.open(out)


@pytest.fixture
def pieces() -> list[Piece]:
    """A recording of two rows and a bit, and one a split of less than a row."""
    long = noise_piece("train-0", "train", 2 * SEGMENT_SAMPLES + 5)
    return [long, *(noise_piece(f"{split}-1", split, 1000, seed) for seed, split in enumerate(SPLITS, 1))]


@pytest.fixture
def piece() -> Callable[..., Piece]:
    return noise_piece


@pytest.fixture
def write() -> Callable[..., SampleStore]:
    return write_store


@pytest.fixture
def store(tmp_path: Path, pieces: list[Piece]) -> SampleStore:
    return write_store(tmp_path / "store", pieces)
