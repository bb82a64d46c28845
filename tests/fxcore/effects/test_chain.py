import json

import numpy as np
import pytest

from fxcore.effects import EFFECTS
from fxcore.effects.chain import Chain
from fxcore.effects.distortion import Distortion
from fxcore.effects.highpass import HighPass
from fxcore.errors import EffectError, SpecError

SAMPLE_RATE = 44_100
DRY = np.random.default_rng(0).uniform(-1, 1, (1, 5_000)).astype(np.float32)


def test_a_chain_is_the_composition_of_its_effects() -> None:
    highpass, distortion = HighPass(cutoff_hz=300), Distortion(drive_db=20)
    wet = Chain(effects=(highpass, distortion))(DRY, SAMPLE_RATE)
    assert np.array_equal(wet, distortion(highpass(DRY, SAMPLE_RATE), SAMPLE_RATE))
    assert not np.array_equal(wet, Chain(effects=(distortion, highpass))(DRY, SAMPLE_RATE))


def test_a_chain_in_a_chain_is_one_chain() -> None:
    effects = (HighPass(), Distortion(), HighPass())
    nested = Chain(effects=(effects[0], Chain(effects=effects[1:])))
    assert np.array_equal(nested(DRY, SAMPLE_RATE), Chain(effects=effects)(DRY, SAMPLE_RATE))


def test_the_settings_of_every_effect_belong_to_the_digest() -> None:
    mild, strong = (Chain(effects=(Distortion(drive_db=drive_db),)) for drive_db in (10, 11))
    assert mild.digest() != strong.digest()
    assert EFFECTS.parse(json.loads(json.dumps(mild.as_dict()))) == mild


def test_mistakes_are_named_with_their_place() -> None:
    with pytest.raises(SpecError, match=r"effects\.1: unknown effect 'fuz'; did you mean 'fuzz'"):
        EFFECTS.parse({"kind": "chain", "effects": ["delay", "fuz"]})
    with pytest.raises(SpecError, match=r"effects\.0: unknown key 'drive'; did you mean 'drive_db'"):
        EFFECTS.parse({"kind": "chain", "effects": [{"kind": "distortion", "drive": 3}]})
    with pytest.raises(SpecError, match="'effects' is missing"):
        EFFECTS.parse("chain")
    with pytest.raises(SpecError, match="at least 1"):
        EFFECTS.parse({"kind": "chain", "effects": []})


def test_an_effect_that_cannot_run_stops_the_chain() -> None:
    with pytest.raises(EffectError, match="cutoff_hz must lie below half the sample rate"):
        Chain(effects=(Distortion(), HighPass(cutoff_hz=9_000)))(DRY, 16_000)
