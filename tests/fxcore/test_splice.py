"""Recordings end to end: what is spliced, and what is not copied."""

import numpy as np

from fxcore.audio import Recording
from fxcore.splice import Spliced, splice


def noise(name: str, samples: int) -> Recording:
    dry, wet = np.random.default_rng(samples).uniform(-1, 1, (2, 1, samples)).astype(np.float32)
    return Recording(name, dry, wet)


def test_recordings_lie_one_after_another() -> None:
    recordings = [noise("a", 5), noise("b", 3)]
    spliced = splice(recordings)
    np.testing.assert_array_equal(spliced.dry, np.concatenate([r.dry for r in recordings], axis=1))
    np.testing.assert_array_equal(spliced.wet, np.concatenate([r.wet for r in recordings], axis=1))
    assert [r.name for r in spliced] == ["a", "b"]
    for got, expected in zip(spliced, recordings, strict=True):
        np.testing.assert_array_equal(got.dry, expected.dry)
        np.testing.assert_array_equal(got.wet, expected.wet)


def test_each_is_a_view_of_the_whole() -> None:
    spliced = splice([noise("a", 5), noise("b", 3)])
    spliced.wet[0, 6] = 7.0
    assert spliced[1].wet[0, 1] == 7.0


def test_what_is_spliced_already_is_not_copied() -> None:
    dry, wet = np.zeros((2, 1, 8), np.float32)
    spliced = Spliced(["a", "b"], [5, 3], dry, wet)
    assert splice(spliced) is spliced
    assert np.shares_memory(spliced[1].dry, dry)
