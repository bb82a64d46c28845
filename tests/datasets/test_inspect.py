"""Reports on stores: closed-form levels, floors and every problem, as JSON."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasets.inspect import StoreReport, inspect_store
from datasets.manifest import Probes, RecordingEntry
from datasets.store import MANIFEST, SampleStore
from fxcore.audio import Recording, Signal
from fxcore.errors import StoreError

Piece = tuple[RecordingEntry, Recording]
Write = Callable[..., SampleStore]
RATE = 8000


def level_piece(name: str, dry: Signal, wet: Signal) -> Piece:
    split, _ = name.split("-")
    entry = RecordingEntry.from_dict({"name": name, "split": split, "samples": dry.shape[1]})
    return entry, Recording(name, dry.astype(np.float32), wet.astype(np.float32))


def test_levels_and_seconds_a_split(tmp_path: Path, write: Write) -> None:
    square = np.where(np.arange(RATE) % 20 < 10, 1.0, -1.0)[None]
    store = write(
        tmp_path / "store",
        [
            level_piece("train-0", 0.1 * square, square),
            level_piece("train-1", 0.1 * square, 0 * square),
            level_piece("validation-0", square, 0 * square),
        ],
    )
    report = inspect_store(store)
    train = report.splits["train"]
    assert (train.recordings, train.seconds) == (2, 2.0)
    assert (train.dry.peak_dbfs, train.dry.rms_dbfs) == (-20.0, -20.0)
    assert (train.wet.peak_dbfs, train.wet.rms_dbfs) == (0.0, -3.01)  # one of two sounds: half the power
    assert report.splits["validation"].wet.peak_dbfs is None
    assert (report.splits["test"].recordings, report.splits["test"].seconds) == (0, 0.0)


def test_a_report_is_json(store: SampleStore) -> None:
    report = inspect_store(store)
    assert StoreReport.from_dict(json.loads(json.dumps(report.as_dict()))) == report
    assert report.store_digest == store.digest
    assert report.shards == 4
    assert report.sample_rate == RATE
    assert report.source == "noise"


@pytest.mark.parametrize("verify", [True, False])
def test_a_whole_store_has_no_problems(store: SampleStore, verify: bool) -> None:
    report = inspect_store(store, verify=verify)
    assert report.problems == ()
    assert report.verified is verify


def test_every_corrupt_shard_is_a_problem_and_the_rest_is_reported(store: SampleStore) -> None:
    file = store.manifest.shards[0].file
    (Path(store.uri) / file).write_bytes(b"")
    report = inspect_store(store, verify=True)
    (problem,) = report.problems
    assert file in problem
    assert report.splits["test"].dry.peak_dbfs == pytest.approx(0.0, abs=0.1)
    with pytest.raises(StoreError, match=file):
        inspect_store(store)


def test_floors_of_a_rendered_store_are_its_probes(tmp_path: Path, pieces: list[Piece], write: Write) -> None:
    store = write(tmp_path / "store", pieces, recipe={"seed": 1})
    probed = store.manifest.model_copy(update={"probes": Probes(linearity_esr=0.5, repeatability_esr=0.25)})
    (tmp_path / "store" / MANIFEST).write_bytes(probed.to_json())
    report = inspect_store(SampleStore.open(tmp_path / "store"))
    assert (report.linearity_esr, report.repeatability_esr) == (0.5, 0.25)


def test_the_linearity_floor_of_recordings_is_their_incoherent_share(tmp_path: Path, write: Write) -> None:
    dry, noise = np.random.default_rng(0).normal(0, 0.1, (2, 1, 60 * RATE))
    store = write(tmp_path / "store", [level_piece("train-0", dry, dry + 0.5 * noise)])
    report = inspect_store(store)
    assert report.linearity_esr == pytest.approx(0.2, rel=0.1)
    assert report.repeatability_esr is None


def test_the_linearity_of_short_recordings_is_unknown(
    tmp_path: Path, piece: Callable[..., Piece], write: Write
) -> None:
    store = write(tmp_path / "store", [piece("train-0", "train", 1000)])
    assert inspect_store(store).linearity_esr is None
