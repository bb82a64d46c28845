"""A store larger than the memory it may take: streamed, cached and drawn from shard by shard."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasets.manifest import RecordingEntry, StoreManifest
from datasets.shard import SEGMENT_SAMPLES
from datasets.store import SampleStore
from datasets.writing import writing
from fxcore.audio import Recording

Piece = tuple[RecordingEntry, Recording]
LIMIT_MB = 128
RECORDINGS = 32
SAMPLES = 4 * LIMIT_MB * 2**20 // RECORDINGS // 8  # of dry and wet, four bytes each

SCRIPT = """
    import resource, sys
    from pathlib import Path

    import torch

    from datasets.cache import cached_split
    from datasets.store import SampleStore
    from fxcore.training.windows import Windows

    def peak_mb() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def read(uri: str, cache: Path) -> None:
        store = SampleStore.open(uri)
        seconds = sum(recording.dry.shape[1] for recording in store.stream("train"))
        recordings = cached_split(store, "train", cache)
        assert seconds == sum(recording.dry.shape[1] for recording in recordings)
        windows = Windows(recordings, 4096, 4096)
        rng = torch.Generator().manual_seed(0)
        for _ in range(3):  # the pages a draw touches count, though the system may drop them
            windows.draw(8, rng)

    small, large, cache = sys.argv[1:]
    read(small, Path(cache))  # what libraries load once
    before = peak_mb()
    read(large, Path(cache))
    print(peak_mb() - before)
"""


@pytest.fixture
def large(tmp_path: Path) -> SampleStore:
    """A store of four times the limit, once decoded."""
    time = np.arange(SAMPLES, dtype=np.float32)
    wet = np.sin(time / 100)[None]
    entries = [RecordingEntry(name=f"train-{n}", split="train", samples=SAMPLES) for n in range(RECORDINGS)]
    with writing(tmp_path / "large") as writer:
        for entry in entries:
            writer.write_shard([(entry, Recording(entry.name, np.roll(wet, 1), wet))])
        writer.finish(
            StoreManifest(
                sample_rate=44_100,
                segment_samples=SEGMENT_SAMPLES,
                source="sines",
                recordings=tuple(entries),
                shards=tuple(writer.shards),
            )
        )
    return SampleStore.open(tmp_path / "large")


@pytest.mark.slow
def test_a_store_of_four_times_the_memory_is_read(
    tmp_path: Path, large: SampleStore, piece: Callable[..., Piece], write: Callable[..., SampleStore]
) -> None:
    small = write(tmp_path / "small", [piece("train-0", "train", 40_000)])
    arguments = [small.uri, large.uri, str(tmp_path / "cache")]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    taken_mb = float(done.stdout)
    decoded_mb = 8 * sum(entry.samples for entry in large.manifest.recordings) / 2**20
    assert decoded_mb == 4 * LIMIT_MB
    assert taken_mb < LIMIT_MB
    assert (tmp_path / "cache" / large.digest / "train.npy").stat().st_size > 4 * LIMIT_MB * 2**20
