import numpy as np
import pytest
import torch

from fxcore.audio import Recording
from fxcore.errors import StoreError
from fxcore.training.windows import Windows

CONTEXT, LENGTH = 4, 3


def counting(lengths: list[int]) -> list[Recording]:
    """Recordings whose dry counts 1000, 1001, ..., then 2000, ...; the wet is half a step above it."""
    recordings = []
    for i, length in enumerate(lengths):
        dry = np.arange(length, dtype=np.float32)[None] + 1000 * (i + 1)
        recordings.append(Recording(f"r{i}", dry, dry + np.float32(0.5)))
    return recordings


def windows(lengths: list[int]) -> Windows:
    return Windows(counting(lengths), CONTEXT, LENGTH)


def test_a_draw_is_dry_with_context_and_the_wet_of_its_end() -> None:
    dry, wet = windows([20, 30]).draw(5, torch.Generator().manual_seed(0))
    assert dry.shape == (5, 1, CONTEXT + LENGTH)
    assert wet.shape == (5, 1, LENGTH)
    assert dry.dtype == wet.dtype == torch.float32
    assert torch.equal(wet, dry[..., CONTEXT:] + 0.5)


def test_windows_never_cross_from_one_recording_to_the_next() -> None:
    dry, _ = windows([9, 7, 12]).draw(500, torch.Generator().manual_seed(0))
    assert (dry.diff() == 1).all()


@pytest.mark.parametrize(
    "lengths",
    [[7], [9, 7, 12], [9, 2, 8], [6, 9, 1], [3, 8]],
    ids=lambda lengths: "-".join(map(str, lengths)),
)
def test_every_position_of_every_long_enough_recording_is_drawn_as_often(lengths: list[int]) -> None:
    size, draws = CONTEXT + LENGTH, 4000
    dry, _ = windows(lengths).draw(draws, torch.Generator().manual_seed(0))
    starts, counts = dry[:, 0, 0].unique(return_counts=True)
    possible = [1000 * (i + 1) + at for i, n in enumerate(lengths) for at in range(n - size + 1)]
    assert starts.tolist() == possible
    assert (counts - draws / len(possible)).abs().max() < 5 * (draws / len(possible)) ** 0.5


def test_the_generator_alone_decides() -> None:
    drawn = windows([50, 40])
    first, second, other = (drawn.draw(8, torch.Generator().manual_seed(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_no_context_is_no_context() -> None:
    dry, wet = Windows(counting([10]), 0, 4).draw(3, torch.Generator().manual_seed(0))
    assert torch.equal(wet, dry + 0.5)


@pytest.mark.parametrize(("lengths", "longest"), [([6], 6), ([2, 5, 3], 5), ([], 0)])
def test_recordings_shorter_than_a_window_are_refused(lengths: list[int], longest: int) -> None:
    message = (
        rf"a window of 7 samples is longer than .* \(the longest has {longest}\); give longer recordings"
    )
    with pytest.raises(StoreError, match=message):
        windows(lengths)
