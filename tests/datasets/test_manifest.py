"""The manifest: what it refuses, and what its digest depends on."""

import json
from typing import Any

import pytest

from datasets.manifest import RecordingEntry, ShardEntry, StoreManifest
from fxcore.errors import SpecError, StoreError

MANIFEST = StoreManifest(
    created_by="fxsearch 0.1.0",
    sample_rate=8000,
    segment_samples=100,
    source="noise",
    recordings=(
        RecordingEntry(name="train-0", split="train", samples=16_000),
        RecordingEntry(name="train-1", split="train", samples=4_000),
        RecordingEntry(
            name="test-0", split="test", samples=800, start_sample=7, latency_samples=-3, polarity=-1
        ),
    ),
    shards=(ShardEntry(file="a.parquet", sha256="00", rows=3, recordings=("train-0", "train-1", "test-0")),),
)


def changed(**values: Any) -> bytes:
    return json.dumps(MANIFEST.as_dict() | values).encode()


def test_a_manifest_is_read_back_equal() -> None:
    read = StoreManifest.parse(MANIFEST.to_json(), "s")
    assert read == MANIFEST
    assert read.digest() == MANIFEST.digest()


def test_another_version_is_refused_by_number() -> None:
    with pytest.raises(StoreError, match="a store must have version 1; stores/x has 2; make it again"):
        StoreManifest.parse(changed(version=2, something_new=True), "stores/x")


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"\xff\xfe", changed(sample_rate=0), changed(extra=1)])
def test_a_corrupt_manifest_is_refused_by_name(text: bytes) -> None:
    with pytest.raises(StoreError, match="stores/x: the manifest is corrupt"):
        StoreManifest.parse(text, "stores/x")


@pytest.mark.parametrize("file", ["../a.parquet", "a/b.parquet", "a.txt"])
def test_a_shard_lies_in_the_store(file: str) -> None:
    with pytest.raises(SpecError, match="file"):
        ShardEntry.from_dict({"file": file, "sha256": "00", "rows": 1, "recordings": []})


def test_the_digest_is_of_the_data_not_of_the_program() -> None:
    assert MANIFEST.model_copy(update={"created_by": "fxsearch 9"}).digest() == MANIFEST.digest()
    other = MANIFEST.shards[0].model_copy(update={"sha256": "01"})
    assert MANIFEST.model_copy(update={"shards": (other,)}).digest() != MANIFEST.digest()


def test_the_digest_leaves_out_where_the_training_audio_lay_and_nothing_else() -> None:
    def digest(**audio: object) -> str:
        values = {"folder": "/home/a", "share": 0.5, "files": [{"sha256": "00"}], **audio}
        recipe = {"seed": 1, "training_audio": values}
        return MANIFEST.model_copy(update={"recipe": recipe}).digest()

    assert digest(folder="/home/b") == digest()
    assert digest(share=0.4) != digest()
    assert digest(files=[{"sha256": "01"}]) != digest()


def test_a_shard_of_before_there_were_statistics_is_read() -> None:
    values = MANIFEST.as_dict()
    del values["shards"][0]["statistics"]
    assert StoreManifest.parse(json.dumps(values).encode(), "s") == MANIFEST


def test_seconds_a_split() -> None:
    assert MANIFEST.seconds("train") == 2.5
    assert MANIFEST.seconds("validation") == 0.0
    assert MANIFEST.seconds("test") == 0.1
