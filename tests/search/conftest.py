"""A real search, run once: three trials of two families on a few seconds of fuzz."""

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
    "budget": {"trials": 3, "trial_steps": 40},
    "families": {"lstm": {"hidden": [4, 8]}, "conv": {"layers": [2, 3], "window": [16, 64], "channels": 4}},
    "training": {"batch": 2, "block_samples": 256, "blocks": 1},
}


@pytest.fixture(scope="session")
def tiny_search(tmp_path_factory: pytest.TempPathFactory) -> Search:
    root = tmp_path_factory.mktemp("storage")
    render(Recipe.from_dict(RECIPE), root / "stores" / "fuzz")
    return launch(SearchSpec.from_dict(SPEC), storage=root, engine="local")
