import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from fxcore.audio import Recording
from fxcore.errors import SpecError, StoreError
from fxcore.losses.mel import mel_weights
from fxcore.metrics import METRICS
from fxcore.models import FAMILIES, EffectModel, TrainingSpec
from fxcore.training import (
    Budget,
    Fit,
    Progress,
    Report,
    TrainingData,
    evaluate,
    load_progress,
    save_progress,
    to_device,
)

SAMPLE_RATE = 44_100
SMALL = {  # a family without any is tested with its defaults
    "conv": {"layers": 3, "window": 16, "channels": 8},
    "fir": {"taps": 64},
    "gru": {"hidden": 8},
    "lstm": {"hidden": 8},
    "s4d": {"layers": 2, "channels": 6, "states": 2},
    "wavenet": {"layers": 3, "window": 16, "channels": 4, "kernel": 2},
}
TRAINING = {  # a recurrent state goes over 4 blocks
    "conv": TrainingSpec(batch=4, block_samples=256, learning_rate=1e-2),
    "gru": TrainingSpec(batch=4, block_samples=128, blocks=4, learning_rate=1e-2),
    "lstm": TrainingSpec(batch=4, block_samples=128, blocks=4, learning_rate=1e-2),
    "nam_wavenet": TrainingSpec(batch=1, block_samples=512, learning_rate=1e-2),
    "s4d": TrainingSpec(batch=4, block_samples=128, blocks=4, learning_rate=1e-2),
    "wavenet": TrainingSpec(batch=4, block_samples=256, learning_rate=1e-2),
}
BY_TRAINED_FAMILY = pytest.mark.parametrize("family", [f for f in FAMILIES if not FAMILIES[f].fitted])


def inverter(samples: int, seed: int) -> Recording:
    """wet = -dry / 2."""
    dry = (0.2 * np.random.default_rng(seed).standard_normal((1, samples))).astype(np.float32)
    return Recording("inverter", dry, np.float32(-0.5) * dry)


DATA = TrainingData([inverter(12_000, 0), inverter(5_000, 1)], [inverter(4_000, 2)], SAMPLE_RATE)


def model_of(family: str, seed: int = 0) -> EffectModel:
    return FAMILIES.parse({"kind": family, **SMALL.get(family, {})}).build(
        torch.Generator().manual_seed(seed)
    )


def fit(family: str, budget: Budget, *, seed: int = 5, resume: Progress | None = None) -> Fit:
    model = model_of(family, seed=99 if resume else 0)  # whatever is there when a trial resumes
    training = TRAINING.get(family)
    return Fit(model, DATA, budget, seed=seed, objective="esr", training=training, resume=resume)


def delay(samples: int, seed: int) -> Recording:
    """The dry, 5 samples late."""
    dry = (0.2 * np.random.default_rng(seed).standard_normal((1, samples))).astype(np.float32)
    return Recording("delay", dry, np.pad(dry, ((0, 0), (5, 0)))[:, :samples])


def timeless(reports: list[Report]) -> list[Report]:
    return [report._replace(compute_seconds=0.0) for report in reports]


@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "pitch_shift"])  # it has no waveform to keep
def test_learns_a_gain_and_a_polarity(family: str) -> None:
    *_, last = fit(family, Budget(steps=320, reports=1))
    assert last.metrics["esr"] < 0.01
    assert not last.diverged


@pytest.mark.parametrize(
    ("settings", "learning_rate"),
    [
        ({"kind": "conv", "layers": 1, "window": 9, "channels": 8}, 5e-2),
        ({"kind": "wavenet", "layers": 1, "window": 7, "kernel": 7, "activation": "leaky_relu"}, 2e-2),
    ],
)
def test_learns_a_delayed_copy(settings: dict[str, object], learning_rate: float) -> None:
    """By gradient alone, to -60 dB and through units that bend or cut."""
    data = TrainingData([delay(40_000, 0)], [delay(8_000, 1)], SAMPLE_RATE)
    model = FAMILIES.parse(settings).build(torch.Generator().manual_seed(0))
    training = TrainingSpec(batch=1, block_samples=512, learning_rate=learning_rate)
    *_, last = Fit(model, data, Budget(steps=1800, reports=1), seed=1, objective="esr", training=training)
    assert last.metrics["esr"] < 1e-6


@pytest.mark.parametrize("weight", ["mr_stft_weight", "log_mel_weight", "esr_a_weight"])
def test_the_loss_is_the_one_asked_for(weight: str) -> None:
    training = TrainingSpec(block_samples=2048, batch=1, learning_rate=1e-12)
    other = training.model_copy(update={weight: 1.0})
    first, second = (
        next(Fit(model_of("conv"), DATA, Budget(steps=2, reports=1), seed=5, training=t)).loss
        for t in (training, other)
    )
    assert second > first + 0.1


@BY_TRAINED_FAMILY
def test_with_a_step_budget_a_run_repeats_exactly(family: str) -> None:
    budget = Budget(steps=24, reports=3)
    first, second, other = (list(fit(family, budget, seed=seed)) for seed in (5, 5, 6))
    assert timeless(first) == timeless(second)
    assert first[-1].loss != other[-1].loss


@BY_TRAINED_FAMILY
def test_a_run_resumed_from_its_checkpoint_goes_on_bit_for_bit(family: str, tmp_path: Path) -> None:
    budget = Budget(steps=32, reports=4)
    whole = fit(family, budget)
    reports = []
    for report in whole:
        reports.append(report)
        save_progress(tmp_path / f"{report.index}.safetensors", whole.progress(), "trial")
    for stopped_after in (1, 3):
        progress = load_progress(tmp_path / f"{stopped_after}.safetensors", "trial")
        resumed = fit(family, budget, seed=77, resume=progress)
        assert timeless(list(resumed)) == timeless(reports[stopped_after:])
        for ours, theirs in (
            (resumed.model.state_dict(), whole.model.state_dict()),
            (resumed.best_weights, whole.best_weights),
        ):
            assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_finished_run_that_is_resumed_ends_at_once() -> None:
    budget = Budget(steps=8, reports=2)
    done = fit("lstm", budget)
    assert len(list(done)) == 2
    assert list(fit("lstm", budget, resume=done.progress())) == []


def test_progress_is_a_snapshot() -> None:
    """Whoever keeps one in memory may go on training, and may resume from it more than once."""
    budget = Budget(steps=24, reports=3)
    run = fit("wavenet", budget)
    next(run)
    progress = run.progress()
    rest = timeless(list(run))
    for _ in range(2):
        assert timeless(list(fit("wavenet", budget, resume=progress))) == rest


def test_reports_are_spread_evenly_and_end_with_the_budget() -> None:
    reports = list(fit("conv", Budget(steps=20, reports=5)))
    assert [report.index for report in reports] == [1, 2, 3, 4, 5]
    assert [report.step for report in reports] == [4, 8, 12, 16, 20]


def test_a_recurrent_state_is_carried_over_all_blocks_of_a_draw() -> None:
    """4 blocks a draw: the optimiser steps once a block, and draws are never cut short."""
    assert [report.step for report in fit("lstm", Budget(steps=10, reports=2))] == [8, 12]


def test_a_compute_budget_ends_when_it_is_spent() -> None:
    reports = list(fit("wavenet", Budget(compute_seconds=0.3, reports=2)))
    assert [report.index for report in reports] == [1, 2]
    assert reports[0].compute_seconds >= 0.15
    assert reports[1].compute_seconds >= 0.3
    assert reports[1].step > reports[0].step > 0


def test_what_metrics_load_once_a_process_is_not_charged_to_its_first_trial() -> None:
    mel_weights.cache_clear()
    run = fit("conv", Budget(steps=1, reports=1))
    loaded = mel_weights.cache_info().misses
    assert loaded > 0
    next(run)
    assert mel_weights.cache_info().misses == loaded


def test_compute_seconds_of_earlier_processes_count() -> None:
    budget = Budget(compute_seconds=1000.0, reports=1000)
    run = fit("conv", budget)
    run.last = Report(5, 0, 999.0, 1.0, dict.fromkeys(METRICS, 1.0), dict.fromkeys(METRICS, 1.0), 0, False)
    resumed = fit("conv", budget, resume=run.progress())
    assert 999.0 <= resumed.compute_seconds < 1000.0


def test_the_best_weights_are_kept_whatever_comes_after() -> None:
    run = fit("conv", Budget(steps=60, reports=6))
    reports = [next(run) for _ in range(3)]
    with torch.no_grad():
        list(run.model.parameters())[-1].add_(3.0)  # the bias of the head: a model gone astray
    reports += list(run)
    lowest = itertools.accumulate((report.metrics["esr"] for report in reports), min)
    assert [report.best["esr"] for report in reports] == list(lowest)
    assert reports[-1].best_step == reports[2].step == 30
    assert reports[-1].best == reports[2].metrics
    judge = model_of("conv")
    judge.load_state_dict(run.best_weights)
    assert evaluate(judge, to_device(DATA.validation), SAMPLE_RATE) == reports[2].metrics


def silenced(run: Fit) -> Fit:
    """Its model gives a constant from now on, and learns too slowly to give anything else."""
    with torch.no_grad():
        for parameter in run.model.parameters():
            parameter.fill_(0.0)
        parameter.fill_(1.0)  # the last: the bias of the head
    return run


@pytest.mark.parametrize("family", ["conv", "lstm"])
def test_a_constant_output_is_reported_as_collapsed(family: str) -> None:
    training = TRAINING[family].model_copy(update={"learning_rate": 1e-12})
    budget = Budget(steps=8, reports=2)
    run = silenced(Fit(model_of(family), DATA, budget, seed=1, objective="esr", training=training))
    reports = list(run)
    assert [report.collapsed for report in reports] == [True, True]
    assert not any(report.diverged for report in reports)
    assert reports[-1].best["esr"] == pytest.approx(2.0, rel=0.05)  # an offset as strong as the wet
    assert reports[-1].rating("esr") == METRICS["esr"].worst > reports[-1].best["esr"]


def test_any_sound_is_better_than_a_constant() -> None:
    training = TRAINING["conv"].model_copy(update={"learning_rate": 1e-12})
    budget = Budget(steps=12, reports=3)
    run = Fit(model_of("conv"), DATA, budget, seed=1, objective="esr", training=training)
    bad = model_of("conv").state_dict()
    bad[list(dict(run.model.named_parameters()))[-2]] *= 1000  # the weights of the head
    silent = next(silenced(run))
    run.model.load_state_dict({**bad, "scale": run.model.scale})
    sound = next(run)
    assert (silent.collapsed, sound.collapsed) == (True, False)
    assert silent.metrics["esr"] < sound.metrics["esr"] == sound.best["esr"] == sound.rating("esr")
    silent_again = next(silenced(run))
    assert not silent_again.collapsed
    assert silent_again.metrics["esr"] < silent_again.best["esr"] == sound.best["esr"]


def test_the_objective_says_which_weights_are_best() -> None:
    run = Fit(model_of("wavenet"), DATA, Budget(steps=30, reports=6), seed=1, objective="log_mel")
    reports = list(run)
    assert reports[-1].best["log_mel"] == min(report.metrics["log_mel"] for report in reports)


@pytest.mark.parametrize("family", ["conv", "lstm", "wavenet"])  # without an initialisation to mend them
def test_weights_that_are_no_numbers_end_the_run_with_the_worst_metrics(family: str) -> None:
    run = fit(family, Budget(steps=400, reports=4))
    with torch.no_grad():
        next(run.model.parameters()).fill_(math.nan)
    report = next(run)
    assert report.diverged
    assert report.metrics == report.best == {name: metric.worst for name, metric in METRICS.items()}
    with pytest.raises(StopIteration):
        next(run)


@BY_TRAINED_FAMILY
def test_divergence_later_on_leaves_the_best_of_before(family: str) -> None:
    run = fit(family, Budget(steps=40, reports=4))
    good = next(run)
    with torch.no_grad():
        next(run.model.parameters()).fill_(math.nan)
    bad = next(run)
    assert bad.diverged
    assert (bad.best, bad.best_step) == (good.best, good.best_step)
    assert all(tensor.isfinite().all() for tensor in run.best_weights.values())
    with pytest.raises(StopIteration):
        next(run)


def test_a_loss_that_explodes_is_divergence_though_it_is_a_number() -> None:
    run = fit("conv", Budget(steps=40, reports=40))
    good = next(run)
    with torch.no_grad():
        next(run.model.parameters()).mul_(1e6)
    bad = next(run)
    assert math.isfinite(bad.loss)
    assert bad.diverged
    assert bad.best == good.best


def test_an_absurd_learning_rate_diverges() -> None:
    training = TRAINING["conv"].model_copy(update={"learning_rate": 1e30})  # beyond what a spec allows
    run = Fit(model_of("conv"), DATA, Budget(steps=500, reports=2), seed=1, training=training)
    reports = list(run)
    assert len(reports) == 1
    assert reports[0].diverged
    assert reports[0].step < 100  # it is noticed long before the report is due


def test_a_diverged_checkpoint_is_resumed_as_over(tmp_path: Path) -> None:
    budget = Budget(steps=400, reports=4)
    run = fit("conv", budget)
    with torch.no_grad():
        next(run.model.parameters()).fill_(math.nan)
    next(run)
    save_progress(tmp_path / "trial.safetensors", run.progress(), "trial")
    resumed = fit("conv", budget, resume=load_progress(tmp_path / "trial.safetensors", "trial"))
    assert list(resumed) == []


def test_the_rate_warms_up_then_falls_as_a_cosine() -> None:
    training = TRAINING["conv"].model_copy(update={"warm_up_share": 0.2})
    tiny = DATA._replace(validation=[inverter(300, 2)])
    run = Fit(model_of("conv"), tiny, Budget(steps=20, reports=20), seed=1, training=training)
    rates = [run.optimiser.rate / training.learning_rate for _ in run]
    falling = [0.5 + 0.5 * math.cos(math.pi * i / 16) for i in range(16)]
    assert rates == pytest.approx([0.05, 0.25, 0.5, 0.75, *falling])


def test_scale_is_the_root_mean_square_of_the_training_signals() -> None:
    run = fit("conv", Budget(steps=1))
    dry = np.concatenate([recording.dry[0] for recording in DATA.train]).astype(np.float64)
    rms = math.sqrt(np.mean(dry**2))
    assert run.model.scale.tolist() == pytest.approx([rms, 0.5 * rms], rel=1e-6)


def test_the_loss_of_a_report_is_the_mean_since_the_last() -> None:
    """Two reports of one step each average to one report of the two steps."""
    single = list(fit("conv", Budget(steps=2, reports=2)))
    both = list(fit("conv", Budget(steps=2, reports=1)))
    assert both[0].loss == pytest.approx((single[0].loss + single[1].loss) / 2, rel=1e-6)


def test_recordings_shorter_than_a_window_are_refused() -> None:
    short = DATA._replace(train=[inverter(200, 0)])
    with pytest.raises(StoreError, match="is longer than every training recording"):
        Fit(model_of("conv"), short, Budget(steps=1), seed=0, training=TRAINING["conv"])


@pytest.mark.parametrize("values", [{}, {"steps": 5, "compute_seconds": 1.0}])
def test_a_budget_needs_exactly_one_measure(values: dict[str, float]) -> None:
    message = "a budget needs either compute_seconds or steps, not both or neither"
    with pytest.raises(SpecError, match=message):
        Budget.from_dict(values)


@pytest.mark.parametrize(
    "values",
    [{"steps": 0}, {"compute_seconds": 0.0}, {"compute_seconds": math.inf}, {"steps": 5, "reports": 0}],
)
def test_a_budget_of_nothing_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(SpecError, match="input should be"):
        Budget.from_dict(values)


def test_share_of_a_budget_goes_from_0_to_1() -> None:
    steps, seconds = Budget(steps=10), Budget(compute_seconds=4.0)
    assert [steps.share(done, 1e9) for done in (0, 5, 10, 15)] == [0.0, 0.5, 1.0, 1.0]
    assert [seconds.share(10**9, spent) for spent in (0.0, 1.0, 4.0, 9.0)] == [0.0, 0.25, 1.0, 1.0]


def test_a_start_by_structure_is_kept_where_the_first_steps_lose_it() -> None:
    dry = 0.1 * np.random.default_rng(0).standard_normal((1, 20_000), dtype=np.float32)
    recording = Recording("r", dry, np.tanh(8 * dry))
    spec = FAMILIES.parse({"kind": "wiener_hammerstein", "input_taps": 4, "units": 8, "output_taps": 4})
    ruinous = spec.training.model_copy(update={"learning_rate": 1.0, "warm_up_share": 0.0, "clip_norm": 1e3})
    run = Fit(
        spec.build(torch.Generator().manual_seed(0)),
        TrainingData([recording], [recording], 44_100),
        Budget(steps=6, reports=2),
        seed=0,
        training=ruinous,
    )
    *_, last = run
    assert last.best_step == 0
    assert last.best["log_mel_share"] < last.metrics["log_mel_share"]
    run.model.load_state_dict(run.best_weights)
    assert evaluate(run.model, to_device([recording]), 44_100) == last.best
