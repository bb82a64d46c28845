"""What a search leaves on disk while it runs: it must not fill it."""

from pathlib import Path
from typing import Literal

import pytest

from fxcore.training import Report
from search import Search, SearchSpec, launch
from search.config import TrialConfig
from search.progress import Progress

KEPT = 2


class Disk(Progress):
    """Counts checkpoints after each report and each end of a trial."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.live: set[int] = set()
        self.seen: list[tuple[int, list[int]]] = []  # trials that run; files of each trial that has some

    def started(self, number: int, config: TrialConfig) -> None:
        self.live.add(number)

    def reported(self, number: int, report: Report) -> None:
        self._count()

    def ended(self, number: int, state: str, reason: str | None) -> None:
        self.live.remove(number)
        self._count()

    def _count(self) -> None:
        folders = self.root.glob("searches/*/checkpoints/*")
        counts = [sum(1 for _ in folder.glob("[!.]*.safetensors")) for folder in folders]
        self.seen.append((len(self.live), sorted((count for count in counts if count), reverse=True)))


@pytest.mark.parametrize(
    ("engine", "most"),
    [("local", 2), pytest.param("ray", 3, marks=pytest.mark.slow)],  # another trial may be writing its third
)
def test_no_more_is_kept_than_the_last_two_of_each_trial_that_runs_and_the_best_of_those_that_ended(
    tiny_search: Search, tmp_path: Path, engine: Literal["local", "ray"], most: int
) -> None:
    changes = {
        "data": tiny_search.store().uri,
        "budget": {"trials": 8, "trial_steps": 18},
        "keep_models": KEPT,
        "resources": {"cpus_per_trial": 1},
    }
    disk = Disk(tmp_path)
    spec = SearchSpec.from_dict({**tiny_search.spec.as_dict(), **changes})
    search = launch(spec, storage=tmp_path, engine=engine, progress=disk)
    for live, counts in disk.seen:
        assert all(count <= most for count in counts[:live])
        assert counts[live:] == [1] * len(counts[live:])  # the last of each that ended
        assert len(counts[live:]) <= KEPT
    assert max(sum(counts) for _, counts in disk.seen) >= KEPT + 2  # it was looked at while trials ran
    best = [row.id for row in search.trials()[:KEPT]]
    left = list((search.folder / "checkpoints").rglob("*"))
    assert sorted(path.parent.name for path in left if path.is_file()) == sorted(
        search.study.identity(number) for number in best
    )
