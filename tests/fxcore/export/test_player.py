import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from fxcore.errors import ExportError
from fxcore.export import FORMATS, Playable, narrowing
from fxcore.export.cost import ENGINES, nam_realtime_factor, realtime_factor
from fxcore.export.limits import in_words
from fxcore.export.loudness import LEVEL_DBFS, loudness, pink_noise
from fxcore.export.naming import safe_name
from fxcore.export.player import Player
from fxcore.export.probe import probe, rounding
from fxcore.models import EffectModel
from fxcore.models.conv import ConvSpec
from fxcore.models.fir import FirNet, FirSpec
from fxcore.models.gru import GruSpec
from fxcore.models.lstm import LstmSpec
from fxcore.models.nam_wavenet import NamWaveNetSpec
from fxcore.models.outputs import Mixture


def fir(*taps: float) -> EffectModel:
    model = FirSpec(taps=len(taps)).build(torch.Generator().manual_seed(0))
    assert isinstance(model, FirNet)
    with torch.no_grad():
        model.filters.taps.copy_(torch.tensor([taps]))
        model.bias.zero_()
    return model


def test_blocks_of_any_size_join_up() -> None:
    player, dry = Player(fir(0.5, 0.0, 0.25)), np.arange(6.0)
    wet = np.concatenate([player(dry[:1]), player(dry[1:1]), player(dry[1:5]), player(dry[5:])])
    np.testing.assert_allclose(wet, [0, 0.5, 1, 1.75, 2.5, 3.25])


def test_channels_play_apart_and_keep_their_shape() -> None:
    player, dry = Player(fir(1.0, 1.0)), np.array([[1.0, 2.0], [10.0, 20.0]])
    np.testing.assert_allclose(player(dry), [[1, 3], [10, 30]])
    np.testing.assert_allclose(player(dry), [[3, 3], [30, 30]])


def test_a_reset_player_starts_anew_with_any_channels() -> None:
    player = Player(fir(1.0, 1.0))
    player(np.ones(3))
    with pytest.raises(ValueError, match=r"channels cannot change from \(\) to \(2,\)"):
        player(np.ones((2, 3)))
    player.reset()
    np.testing.assert_allclose(player(np.ones((2, 2))), [[1, 2], [1, 2]])


def test_the_dry_is_left_as_it_is() -> None:
    dry = np.ones(4, np.float32)
    Player(fir(2.0))(dry)
    np.testing.assert_array_equal(dry, np.ones(4))


def test_a_block_of_three_dimensions_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a block is \(T,\) or \(C, T\); got \(1, 1, 3\)"):
        Player(fir(1.0))(np.ones((1, 1, 3)))


def test_a_plain_gain_is_as_loud_as_the_noise_and_has_no_gain() -> None:
    loud = loudness(fir(0.5), 48_000)
    assert loud.loudness_db == pytest.approx(LEVEL_DBFS - 20 * math.log10(2), abs=1e-3)
    assert loud.gain == pytest.approx(0.0, abs=1e-6)


class Square(torch.nn.Module):
    """As loud whatever goes in."""

    scale = torch.ones(2)

    def predict(self, dry: torch.Tensor) -> torch.Tensor:
        return dry.sign()


def test_what_is_as_loud_whatever_goes_in_has_nearly_all_gain() -> None:
    loud = loudness(Square(), 48_000)  # type: ignore[arg-type]  # all that is asked for
    assert loud.loudness_db == pytest.approx(0.0, abs=0.01)
    assert loud.gain == pytest.approx(2 * 10 / 11 - 1, abs=0.01)  # of eleven levels one is silent


def test_silence_has_a_finite_loudness() -> None:
    assert loudness(fir(0.0), 44_100) == (-200.0, 0.0)


def test_the_noise_falls_by_3_db_an_octave() -> None:
    power = np.abs(np.fft.rfft(pink_noise(48_000)[0, 0].numpy())) ** 2
    assert power[1000:2000].sum() == pytest.approx(power[2000:4000].sum(), rel=1e-3)


def test_names_are_safe_on_every_file_system() -> None:
    assert safe_name("amp.nam") == "amp.nam"
    assert safe_name("con.nam") == "con_.nam"
    assert safe_name('a/b\\c:d*"<>|?.nam') == "a_b_c_d______.nam"
    assert safe_name("...") == "_"


def test_limits_of_several_formats_are_those_of_all() -> None:
    assert narrowing(["nam", "aidax"], "lstm") == {
        "skip": (False,),
        "tail_taps": (0,),
        "output": ("regression",),
        "layers": (1,),
        "hidden": (8, 12, 16, 20, 24, 32, 40, 64, 80),
    }
    assert narrowing(["aidax", "proteus"], "lstm") == narrowing(["proteus"], "lstm")
    assert narrowing(["nam", "proteus"], "lstm") is None  # one has no skip, one has no other
    assert narrowing(["nam"], "gru") is None
    assert narrowing(["onnx"], "conv") == {}
    assert narrowing(["nam", "rtneural"], "conv") == {"pool": (1,), "kernel": (2,), "output": ("regression",)}
    assert narrowing([], "lstm") == {}


def test_an_unknown_target_is_told() -> None:
    with pytest.raises(ExportError, match="unknown format 'nan'; did you mean 'nam'"):
        narrowing(["nan"], "lstm")


def test_limits_in_words() -> None:
    assert (
        in_words(FORMATS["proteus"].holds["lstm"])
        == "layers 1, hidden 40, with skip, no tail_taps, regression"
    )
    assert in_words({}) == ""


def test_the_probe_reaches_full_scale_and_holds_an_impulse_that_rings() -> None:
    dry = probe(44_100, 3_000)[0, 0]
    assert float(dry.abs().max()) == 1.0
    assert dry[512] == 1.0
    assert not dry[513 : 512 + 3_000].any()


def test_a_mixtures_rounding_is_its_loudest_step() -> None:
    coarse, fine = (ConvSpec(output=Mixture(bits=b)).build(torch.Generator()) for b in (8, 16))
    assert rounding(coarse) == pytest.approx(1 - 256 ** (-1 / 127), rel=0.01)
    assert rounding(fine) < 4e-4
    assert rounding(fir(1.0)) == 0.0


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_tells_how_fast_it_plays_a_model_it_can(engine: str) -> None:
    factor = realtime_factor(Playable(LstmSpec(hidden=8).build(torch.Generator()), 48_000, {}), engine)
    assert factor is not None
    assert 0.01 < factor < 10_000


def test_nam_core_plays_larger_models_slower_and_others_not_at_all() -> None:
    small, large = (LstmSpec(hidden=h).build(torch.Generator()) for h in (8, 40))
    assert nam_realtime_factor(small, 48_000) > 5 * nam_realtime_factor(large, 48_000)  # type: ignore[operator]
    assert nam_realtime_factor(GruSpec().build(torch.Generator()), 48_000) is None
    assert nam_realtime_factor(fir(1.0), 48_000) > 1_000  # type: ignore[operator]


def test_nam_core_multiplies_what_it_plays_with_zeros_too() -> None:
    plain, padded = (ConvSpec(layers=n, window=64).build(torch.Generator()) for n in (6, 7))
    assert nam_realtime_factor(plain, 48_000) > 1.1 * nam_realtime_factor(padded, 48_000)  # type: ignore[operator]
    assert nam_realtime_factor(ConvSpec(layers=3).build(torch.Generator()), 48_000) is None


def test_nam_core_has_a_fast_path_for_a2_lite() -> None:
    lite, nano = (NamWaveNetSpec(size=s).build(torch.Generator()) for s in ("a2_lite", "a1_nano"))
    assert nam_realtime_factor(lite, 48_000) > nam_realtime_factor(nano, 48_000)  # type: ignore[operator]


def test_an_unknown_engine_is_told() -> None:
    with pytest.raises(ExportError, match="unknown engine 'onx'; did you mean 'onnx'"):
        realtime_factor(Playable(fir(1.0), 48_000, {}), "onx")


def test_loading_imports_neither_ray_nor_an_engine() -> None:
    heavy = ("ray", "optuna", "onnx", "onnxruntime")
    code = f"import sys, fxcore.export; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
