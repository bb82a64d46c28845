"""A real search, run once: three trials of two families on a few seconds of fuzz."""

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from datasets.render import Recipe, render
from search import Search, SearchSpec, launch

RECIPE = {
    "sample_rate": 8000,
    "effect": {"kind": "fuzz", "tone_hz": 3000.0},
    "track": {"segments": 1, "segment_seconds": 2.0},
    "splits": {"train": 2},
}
SPEC = {
    "name": "tiny",
    "data": "stores/fuzz",
    "budget": {"trials": 3, "trial_steps": 80},
    "families": {"lstm": {"hidden": [4, 8]}, "conv": {"layers": [2, 3], "window": [16, 64], "channels": 4}},
    "structured": False,
    "training": {"batch": 2, "block_samples": 256, "blocks": 1, "learning_rate": 0.02},
}


@pytest.fixture(scope="session")
def tiny_search(tmp_path_factory: pytest.TempPathFactory) -> Search:
    root = tmp_path_factory.mktemp("storage")
    render(Recipe.from_dict(RECIPE), root / "stores" / "fuzz")
    return launch(SearchSpec.from_dict(SPEC), storage=root, engine="local")


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """While it is open, no file of this process grows beyond so many bytes: as on a disk that is full."""

    @contextmanager
    def limit(n_bytes: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit
