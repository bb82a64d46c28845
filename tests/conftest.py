"""What makes a test give the same result twice: one torch thread, the same examples, nothing of the user's."""

from collections.abc import Iterator

import hypothesis
import pytest
import torch

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
