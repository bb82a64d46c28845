import pytest
import torch
from torch import Tensor

from fxcore.errors import SpecError
from fxcore.losses import (
    DEFAULT_LOSS,
    LossWeights,
    WeightedLoss,
    a_weight,
    dc_loss,
    esr_loss,
    log_mel_loss,
    mr_stft_loss,
    pre_emphasise,
)
from fxcore.losses.weighted import ENERGY_FLOOR
from fxcore.models import TrainingSpec

SAMPLE_RATE = 48_000
SCALE = torch.tensor(0.25)
NOTHING = dict.fromkeys(LossWeights.model_fields, 0.0)
SPECTRAL = ["mr_stft_weight", "log_mel_weight"]


def pair(samples: int = 4_096) -> tuple[Tensor, Tensor]:
    """Pred and wet in deviations of the wet, (2, 1, T) each, about an offset."""
    random = torch.Generator().manual_seed(0)
    wet = torch.randn(2, 1, samples, generator=random)
    return wet + 0.3 * torch.randn(2, 1, samples, generator=random) + 0.2, wet


def loss_of(**weights: float) -> WeightedLoss:
    return WeightedLoss(LossWeights.from_dict({**NOTHING, **weights}), SAMPLE_RATE)


def a_weighted_esr(pred: Tensor, wet: Tensor) -> Tensor:
    return esr_loss(a_weight(pred, SAMPLE_RATE), a_weight(wet, SAMPLE_RATE), ENERGY_FLOOR)


@pytest.mark.parametrize(
    ("name", "term"),
    [
        ("esr_weight", lambda p, w: esr_loss(p, w, ENERGY_FLOOR)),
        ("esr_pre_weight", lambda p, w: esr_loss(pre_emphasise(p), pre_emphasise(w), ENERGY_FLOOR)),
        ("esr_a_weight", a_weighted_esr),
        ("mr_stft_weight", lambda p, w: mr_stft_loss(SCALE * p, SCALE * w, ENERGY_FLOOR * SCALE**2)),
        ("log_mel_weight", lambda p, w: log_mel_loss(SCALE * p, SCALE * w, SAMPLE_RATE)),
    ],
)
def test_each_term_counts_by_its_weight(name: str, term) -> None:
    pred, wet = pair()
    expected = float(term(pred, wet))
    assert expected > 0
    assert float(loss_of(**{name: 3.0}).waveform(pred, wet, SCALE)) == pytest.approx(3 * expected, rel=1e-6)


def test_terms_add_up() -> None:
    pred, wet = pair()
    weights = dict.fromkeys(NOTHING, 2.0)
    names = [name for name in NOTHING if name not in ("dc_weight", "likelihood_weight")]
    parts = sum(float(loss_of(**{name: 2.0}).waveform(pred, wet, SCALE)) for name in names)
    parts += 2 * float(dc_loss(pred, wet, ENERGY_FLOOR))
    assert float(loss_of(**weights).waveform(pred, wet, SCALE)) == pytest.approx(parts, rel=1e-6)


def test_the_default_is_pre_emphasised_esr_and_half_of_esr_and_dc_to_the_last_bit() -> None:
    pred, wet = pair()
    emphasised = esr_loss(pre_emphasise(pred), pre_emphasise(wet), ENERGY_FLOOR)
    rest = 0.5 * esr_loss(pred, wet, ENERGY_FLOOR) + 0.5 * dc_loss(pred, wet, ENERGY_FLOOR)
    half = emphasised + 0.5 * esr_loss(pred, wet, ENERGY_FLOOR)
    assert torch.equal(DEFAULT_LOSS.waveform(pred, wet, SCALE), half + 0.5 * dc_loss(pred, wet, ENERGY_FLOOR))
    assert float(DEFAULT_LOSS.waveform(pred, wet, SCALE)) == pytest.approx(float(emphasised + rest))


@pytest.mark.parametrize("name", [n for n in NOTHING if n not in ("dc_weight", "likelihood_weight")])
@pytest.mark.parametrize("level", [0.0, 1e-6, 1.0])
def test_silence_has_a_finite_loss_and_gradient(name: str, level: float) -> None:
    pred, wet = pair()
    pred = (level * pred).requires_grad_()
    loss = loss_of(**{name: 1.0}).waveform(pred, 0 * wet, SCALE)
    loss.backward()
    assert loss.isfinite()
    assert pred.grad is not None
    assert pred.grad.isfinite().all()


def test_a_faint_error_in_silence_does_not_outweigh_a_wrong_sound() -> None:
    """Spectral convergence divides by the wet, which may be silent for a whole batch."""
    pred, wet = pair()
    loss = loss_of(mr_stft_weight=1.0)
    assert float(loss.waveform(1e-3 * pred, 0 * wet, SCALE)) < float(loss.waveform(0 * pred, wet, SCALE))


def test_a_loss_without_terms_is_refused() -> None:
    with pytest.raises(SpecError, match=r"one of esr_weight, .* must be above 0; got none"):
        LossWeights.from_dict({**NOTHING, "dc_weight": 1.0, "likelihood_weight": 1.0})


@pytest.mark.parametrize("name", SPECTRAL)
def test_spectra_need_blocks_that_hold_their_frames(name: str) -> None:
    assert getattr(TrainingSpec.from_dict({name: 0.5, "block_samples": 2048}), name) == 0.5
    message = f"{name} needs block_samples of at least 2048; got 2047; take longer blocks"
    with pytest.raises(SpecError, match=message):
        TrainingSpec.from_dict({name: 0.5, "block_samples": 2047})


def test_a_weighting_needs_blocks_of_twice_its_filter() -> None:
    with pytest.raises(SpecError, match="esr_a_weight needs block_samples of at least 202; got 128"):
        TrainingSpec.from_dict({"esr_a_weight": 1.0, "block_samples": 128})


def test_terms_without_a_weight_cost_nothing() -> None:
    """They are no part of the graph: blocks too short for them are no hindrance."""
    pred, wet = pair(16)
    assert loss_of(esr_weight=1.0).waveform(pred, wet, SCALE).isfinite()
