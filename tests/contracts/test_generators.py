"""What holds for every generator in the registry."""

import json

import numpy as np
import pytest

from fxcore.generators import GENERATORS, Generator

EVERY = pytest.mark.parametrize(
    "generator", [GENERATORS.parse(kind) for kind in GENERATORS], ids=list(GENERATORS)
)


@EVERY
@pytest.mark.parametrize("n_samples", [1, 2, 3, 100, 30_011])
@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 96_000])
def test_a_note_has_the_length_asked_for_and_stays_within_full_scale(
    generator: Generator, n_samples: int, sample_rate: int
) -> None:
    for seed in range(10):
        note = generator.render(n_samples, sample_rate, np.random.default_rng(seed))
        assert note.shape == (1, n_samples)
        assert note.dtype == np.float32
        assert np.abs(note).max() <= 1.0  # false for NaN too


@EVERY
def test_a_note_is_heard(generator: Generator) -> None:
    for seed in range(20):
        note = generator.render(22_050, 44_100, np.random.default_rng(seed))
        assert np.abs(note).max() > 0.9


@EVERY
def test_the_same_random_state_gives_the_same_note_and_another_state_another(generator: Generator) -> None:
    first, again, other = (generator.render(4_410, 44_100, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@EVERY
def test_a_spec_survives_json(generator: Generator) -> None:
    parsed = GENERATORS.parse(json.loads(json.dumps(generator.as_dict())))
    assert parsed == generator
    assert parsed.digest() == generator.digest()


def test_no_two_kinds_share_a_digest() -> None:
    assert len({GENERATORS.parse(kind).digest() for kind in GENERATORS}) == len(GENERATORS)
