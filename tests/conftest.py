"""What makes a test give the same result twice: one torch thread, the same examples, an own cache."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

from fxcore import audio
from fxcore.generators.track import Track

hypothesis.settings.register_profile("fxsearch", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("fxsearch")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded stores lie in a folder of the test run; no storage root is preset."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FXSEARCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("FXSEARCH_STORAGE", raising=False)
        yield


@pytest.fixture(scope="session")
def recorded_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Fifteen seconds of notes at 8 kHz, and the same through a soft clip that comes 20 samples late."""
    folder = tmp_path_factory.mktemp("recorded")
    dry = Track(segments=3, segment_seconds=5.0).render(8000, np.random.default_rng(5))
    wet = np.pad(np.tanh(4 * dry), ((0, 0), (20, 0)))[:, : dry.shape[-1]]
    audio.write(folder / "di.wav", dry, 8000)
    audio.write(folder / "amp.wav", wet, 8000)
    return folder / "di.wav", folder / "amp.wav"
