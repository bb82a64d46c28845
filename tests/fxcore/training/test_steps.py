from pathlib import Path

import pytest
import torch

from fxcore.models import TrainingSpec
from fxcore.training import Budget, Fit, Progress, load_progress, save_progress
from tests.fxcore.training.test_fit import BY_TRAINED_FAMILY, DATA, TRAINING, model_of

pytestmark = pytest.mark.gpu

STEPS = 12  # some before the step is captured, more after it


def run(family: str, captured: bool, **options: object) -> Fit:
    """A whole run on the GPU."""
    training = TRAINING.get(family, TrainingSpec(batch=1, block_samples=2048))
    budget = Budget(steps=STEPS, reports=3)
    fit = Fit(model_of(family).cuda(), DATA, budget, seed=3, training=training, **options)
    fit.optimiser.captures = captured
    list(fit)
    return fit


@BY_TRAINED_FAMILY
def test_a_captured_step_learns_what_the_step_does(family: str) -> None:
    captured, plain = run(family, True), run(family, False)
    assert captured.last is not None
    assert captured.last.step == plain.last.step >= STEPS
    assert captured.last.loss == pytest.approx(plain.last.loss, rel=1e-2)
    for (name, ours), theirs in zip(
        captured.model.state_dict().items(), plain.model.state_dict().values(), strict=True
    ):
        spread = float(theirs.abs().max())
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-2 * spread + 1e-6, msg=name)
    dry = torch.randn(1, 1, 3000, generator=torch.Generator().manual_seed(0)).cuda()
    again = model_of(family).cuda()
    again.load_state_dict(captured.model.state_dict())
    assert torch.equal(captured.model.predict(dry), again.predict(dry))  # nothing is kept of older weights


@pytest.mark.parametrize("family", ["conv", "wavenet", "nam_wavenet", "lstm", "gru"])
def test_what_is_trained_most_is_captured(family: str) -> None:
    assert run(family, True).optimiser.captures


@pytest.mark.parametrize("family", ["wavenet", "lstm"])
@pytest.mark.parametrize("there", ["cuda", "cpu"])
def test_a_checkpoint_goes_on_on_another_device(family: str, there: str, tmp_path: Path) -> None:
    fit = Fit(
        model_of(family).to(there), DATA, Budget(steps=STEPS, reports=3), seed=3, training=TRAINING[family]
    )
    next(fit)
    save_progress(tmp_path / "trial.safetensors", fit.progress(), "trial")
    progress: Progress = load_progress(tmp_path / "trial.safetensors", "trial")
    here = "cpu" if there == "cuda" else "cuda"
    resumed = list(
        Fit(
            model_of(family).to(here),
            DATA,
            Budget(steps=STEPS, reports=3),
            seed=3,
            training=TRAINING[family],
            resume=progress,
        )
    )
    for ours, theirs in zip(resumed, fit, strict=True):
        assert ours.step == theirs.step
        assert ours.metrics["esr"] == pytest.approx(theirs.metrics["esr"], rel=2e-2)
