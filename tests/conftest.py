"""What makes a test give the same result twice: one torch thread, and the same examples from hypothesis."""

import hypothesis
import pytest
import torch

hypothesis.settings.register_profile("fxsearch", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("fxsearch")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)
