"""What holds for every model family with every output."""

import json

import pytest
import torch
from torch import Tensor

from fxcore.errors import SpecError
from fxcore.models import FAMILIES, OUTPUTS, EffectModel, ModelSpec
from fxcore.models.base import PREDICT_BLOCK_SAMPLES

SMALL = {  # settings that make a quick model; a family or output without any is tested with its defaults
    "conv": {"layers": 3, "window": 20, "channels": 4},
    "fir": {"taps": 700},
    "gru": {"hidden": 5},
    "hammerstein": {"order": 4, "taps": 300},
    "lstm": {"layers": 2, "hidden": 5},
    "s4d": {"layers": 2, "channels": 4, "states": 2},
    "wavenet": {"layers": 5, "window": 24, "channels": 4, "kernel": 3, "gated": True},
    "wiener_hammerstein": {"input_taps": 8, "units": 5, "output_taps": 24},
    "mixture": {"bits": 24},  # a step is below the tolerances
}
FULL_SCALE_OUTPUTS = {"mixture", "factorised", "softmax"}
DRY_DEVIATION, WET_DEVIATION = 0.1, 0.3

BY_FAMILY = pytest.mark.parametrize("family", list(FAMILIES))
BY_TRAINED_FAMILY = pytest.mark.parametrize("family", [f for f in FAMILIES if not FAMILIES[f].fitted])
POSSIBLE = [(family, output) for family in FAMILIES for output in FAMILIES[family].outputs]
EVERY = pytest.mark.parametrize(("family", "output"), POSSIBLE)
EVERY_TRAINED = pytest.mark.parametrize(
    ("family", "output"), [(f, output) for f, output in POSSIBLE if not FAMILIES[f].fitted]
)


def spec_of(family: str, output: str = "regression") -> ModelSpec:
    settings = {"kind": family, **SMALL.get(family, {}), "output": {"kind": output, **SMALL.get(output, {})}}
    return FAMILIES.parse(settings)


def model_of(family: str, output: str = "regression", seed: int = 0) -> EffectModel:
    model = spec_of(family, output).build(torch.Generator().manual_seed(seed)).eval()
    model.set_scale(DRY_DEVIATION, WET_DEVIATION)
    return model


def noise(samples: int, seed: int = 1, batch: int = 1) -> Tensor:
    """Dry of deviation 0.1, (B, 1, T)."""
    return DRY_DEVIATION * torch.randn(batch, 1, samples, generator=torch.Generator().manual_seed(seed))


def window(model: EffectModel, samples: int, batch: int = 1) -> Tensor:
    """Dry for `samples` outputs, (B, 1, context + N)."""
    return noise(model.context_samples + samples, batch=batch)


def gradient_of_last(model: EffectModel, samples: int) -> Tensor:
    """What the dry of some windows does to the raw output before their last `samples`, (T,)."""
    dry = window(model, 300, batch=8).requires_grad_()
    model(dry)[..., -1 - samples].square().sum().backward()
    assert dry.grad is not None
    return dry.grad.abs().sum(dim=(0, 1))


@EVERY
def test_forward_gives_one_raw_output_for_each_sample_after_the_context(family: str, output: str) -> None:
    model = model_of(family, output)
    assert model(window(model, 37, batch=2)).shape == (2, model.spec.output.channels, 37)


@EVERY
@pytest.mark.parametrize(("block_samples", "samples"), [(1, 250), (64, 1_500), (1_000, 1_500)])
def test_stream_equals_forward_whatever_the_block_size(
    family: str, output: str, block_samples: int, samples: int
) -> None:
    model, dry, played = model_of(family, output), noise(samples), []
    state = model.initial_state()
    for block in dry.split(block_samples, dim=-1):
        wet, state = model.stream(block, state)
        played.append(wet)
    silence = torch.zeros(1, 1, model.context_samples)
    with torch.no_grad():
        whole = model.decode(model(torch.cat([silence, dry], dim=-1)))
    torch.testing.assert_close(torch.cat(played, dim=-1), whole, rtol=0, atol=1e-5)
    torch.testing.assert_close(model.predict(dry), whole, rtol=0, atol=1e-5)


@BY_FAMILY
def test_predict_of_a_long_signal_is_seamless(family: str) -> None:
    model, dry = model_of(family), noise(PREDICT_BLOCK_SAMPLES + 500)
    whole, _ = model.stream(dry, model.initial_state())
    torch.testing.assert_close(model.predict(dry), whole, rtol=0, atol=1e-5)


@BY_FAMILY
def test_recordings_of_a_batch_do_not_hear_each_other(family: str) -> None:
    model, dry = model_of(family), noise(400, batch=3)
    alone = torch.cat([model.predict(one) for one in dry.split(1)])
    torch.testing.assert_close(model.predict(dry), alone, rtol=0, atol=1e-6)


@BY_FAMILY
def test_silence_from_the_start_stays_one_level(family: str) -> None:
    wet = model_of(family).predict(torch.zeros(1, 1, 500))
    torch.testing.assert_close(wet, wet[..., :1].expand_as(wet), rtol=0, atol=1e-6)


@BY_FAMILY
def test_what_is_still_to_come_changes_nothing(family: str) -> None:
    model, dry = model_of(family), noise(3_000)
    other = torch.cat([dry[..., :2_000], -dry[..., 2_000:]], dim=-1)
    torch.testing.assert_close(model.predict(other)[..., :2_000], model.predict(dry)[..., :2_000])


@BY_TRAINED_FAMILY
def test_no_gradient_comes_from_the_future(family: str) -> None:
    future = 40
    gradient = gradient_of_last(model_of(family), future)
    assert not gradient[-future:].any()
    assert gradient[-1 - future] > 0  # the current sample is heard


@BY_TRAINED_FAMILY
def test_the_receptive_field_is_exact_or_unbounded(family: str) -> None:
    model = model_of(family)
    field, gradient = model.spec.receptive_field, gradient_of_last(model, 0)
    assert model.recurrent == (field is None)
    if field is None:
        assert gradient[-200] > 0
    else:
        assert model.context_samples == field - 1
        assert gradient[-field] > 0
        assert not gradient[:-field].any()


@EVERY
def test_spec_survives_json_with_its_digest(family: str, output: str) -> None:
    spec = spec_of(family, output)
    again = FAMILIES.parse(json.loads(json.dumps(spec.as_dict())))
    assert again == spec
    assert again.digest() == spec.digest()


@BY_FAMILY
def test_digests_differ_between_outputs(family: str) -> None:
    outputs = FAMILIES[family].outputs
    assert len({spec_of(family, output).digest() for output in outputs}) == len(outputs)


@BY_FAMILY
def test_an_output_that_a_family_cannot_have_is_refused_with_those_it_can(family: str) -> None:
    for output in set(OUTPUTS) - set(FAMILIES[family].outputs):
        with pytest.raises(SpecError, match=f"{family} has the output regression only; got '{output}'"):
            spec_of(family, output)


@BY_TRAINED_FAMILY
def test_default_training_can_train_it(family: str) -> None:
    recipe = FAMILIES[family].training
    assert recipe.blocks == 1 or model_of(family).recurrent


@BY_TRAINED_FAMILY
def test_weights_come_from_the_generator_alone(family: str) -> None:
    before = torch.get_rng_state()
    first, second, other = (model_of(family, seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@EVERY
def test_decode_gives_audio(family: str, output: str) -> None:
    model = model_of(family, output)
    with torch.no_grad():
        wet = model.decode(model(window(model, 500, batch=2)))
    assert wet.shape == (2, 1, 500)
    assert wet.dtype == torch.float32
    assert wet.isfinite().all()
    assert wet.abs().max() <= (1.0 if output in FULL_SCALE_OUTPUTS else 10 * WET_DEVIATION)


@EVERY
def test_decode_of_the_wildest_raw_outputs_stays_within_full_scale(family: str, output: str) -> None:
    if output in FULL_SCALE_OUTPUTS:
        model = model_of(family, output)
        raw = 100 * torch.randn(
            1, model.spec.output.channels, 500, generator=torch.Generator().manual_seed(0)
        )
        assert model.decode(raw).abs().max() <= 1.0


@EVERY_TRAINED
@pytest.mark.parametrize("gain", [0.0, 1e-4, 1.0, 4.0], ids=["silent", "faint", "usual", "over_full_scale"])
def test_loss_is_a_finite_scalar_with_finite_gradients(family: str, output: str, gain: float) -> None:
    model = model_of(family, output)
    wet = gain * noise(300, seed=2, batch=2)
    loss = model.loss(model(window(model, 300, batch=2)), wet)
    loss.backward()
    assert loss.shape == ()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@EVERY_TRAINED
def test_every_parameter_that_can_be_heard_is_trained(family: str, output: str) -> None:
    model = model_of(family, output)
    dry = window(model, 300, batch=4)
    model.loss(model(dry), noise(300, seed=2, batch=4)).backward()
    untrained = [p for p in model.parameters() if p.grad is None or not p.grad.any()]
    assert len(untrained) <= 2
    with torch.no_grad():
        before = model(dry)
        for parameter in untrained:
            parameter.add_(1.0)
        assert torch.equal(model(dry), before)


@EVERY_TRAINED
def test_a_few_steps_lower_the_loss(family: str, output: str) -> None:
    model = model_of(family, output)
    dry = window(model, 300, batch=4)
    wet = -3.0 * dry[..., -300:]
    optimiser, losses = torch.optim.Adam(model.parameters(), 1e-2), []
    for _ in range(12):
        loss = model.loss(model(dry), wet)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@BY_FAMILY
def test_levels_are_taken_out_by_the_scale(family: str) -> None:
    model, dry = model_of(family), noise(300)
    wet = model.predict(dry)
    model.set_scale(2 * DRY_DEVIATION, 4 * WET_DEVIATION)
    torch.testing.assert_close(model.predict(2 * dry), 4 * wet, rtol=0, atol=1e-6)


@BY_FAMILY
def test_a_silent_pair_does_not_divide_by_zero(family: str) -> None:
    model = model_of(family)
    model.set_scale(0.0, 0.0)
    assert model.predict(noise(300)).isfinite().all()


@BY_FAMILY
def test_best_copy_keeps_what_training_goes_on_to_change(family: str) -> None:
    model, dry = model_of(family), noise(300)
    before, copy = model.predict(dry), model.best_copy()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    assert not torch.allclose(model.predict(dry), before)
    model.load_state_dict(copy)
    assert torch.equal(model.predict(dry), before)
    assert model.parameter_count() == sum(copy[name].numel() for name, _ in model.named_parameters())


@BY_FAMILY
@pytest.mark.gpu
def test_a_gpu_plays_what_the_cpu_plays_and_seeding_leaves_it_alone(family: str) -> None:
    before = torch.cuda.get_rng_state()
    model, dry = model_of(family), noise(2_000)
    assert torch.equal(torch.cuda.get_rng_state(), before)
    wet = model.predict(dry)
    torch.testing.assert_close(model.cuda().predict(dry.cuda()).cpu(), wet, rtol=0, atol=1e-3)
