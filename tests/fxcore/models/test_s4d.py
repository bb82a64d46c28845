import torch

from fxcore.models.s4d import WARM_UP_SAMPLES, S4dNet, S4dSpec


def model_of(spec: S4dSpec, seed: int = 0) -> S4dNet:
    model = spec.build(torch.Generator().manual_seed(seed))
    assert isinstance(model, S4dNet)
    return model


def noise(samples: int) -> torch.Tensor:
    return torch.randn(1, 1, samples, generator=torch.Generator().manual_seed(1))


def test_memories_go_from_two_samples_to_the_longest() -> None:
    model = model_of(S4dSpec(layers=2, channels=5, states=3, memory=20_000))
    samples = torch.exp(-model.log_decay)  # (layers, channels, states)
    torch.testing.assert_close(samples[:, 0], torch.full((2, 3), 2.0))
    torch.testing.assert_close(samples[:, -1], torch.full((2, 3), 20_000.0), rtol=1e-4, atol=0)


def test_what_was_heard_long_ago_is_remembered() -> None:
    model = model_of(S4dSpec(layers=2, channels=4, states=2, memory=20_000))
    loud, silent = torch.zeros(1, 1, 16_000), torch.zeros(1, 1, 16_000)
    loud[..., :2000] = 3.0
    assert (model.predict(loud) - model.predict(silent))[..., -1].abs().item() > 1e-3


def test_without_layers_to_speak_of_it_is_a_gain() -> None:
    """Where what the layers add is zero, the dry goes through the two linear ends alone."""
    model = model_of(S4dSpec(channels=4))
    with torch.no_grad():
        model.mix.zero_()
        model.head.bias.zero_()
        gain = float(model.head.weight.flatten() @ model.rechannel)
    dry = noise(300)
    torch.testing.assert_close(model.predict(dry), gain * dry)


def test_a_player_hears_weights_that_were_changed() -> None:
    model, dry = model_of(S4dSpec(layers=2, channels=4)), noise(300)
    before = model.predict(dry)
    for name in ("log_decay", "log_rate", "weight", "direct"):
        kept = model.best_copy()
        with torch.no_grad():
            model.get_parameter(name).add_(0.5)
        assert not torch.allclose(model.predict(dry), before), name
        model.load_state_dict(kept)
        assert torch.equal(model.predict(dry), before), name


def test_a_player_begins_where_long_silence_leads() -> None:
    model = model_of(S4dSpec(layers=3, channels=4, states=2, memory=2_000))
    with torch.no_grad():
        model.bias.copy_(torch.randn(model.bias.shape, generator=torch.Generator().manual_seed(2)))
        _, settled = model.step(torch.zeros(2, 1, 60_000), model.zero_state(2))
    for ours, theirs in zip(model.initial_state(2), settled, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    still = model.predict(torch.zeros(1, 1, 30_000))
    torch.testing.assert_close(still, still[..., :1].expand_as(still), rtol=0, atol=1e-4)


def test_playing_with_and_without_gradients_is_the_same() -> None:
    model, dry = model_of(S4dSpec(layers=2, channels=4)), noise(WARM_UP_SAMPLES + 500)
    with torch.no_grad():
        played = model(dry)
    torch.testing.assert_close(model(dry).detach(), played, rtol=0, atol=1e-6)


def test_a_state_holds_real_and_imaginary_parts_of_each_layer() -> None:
    model = model_of(S4dSpec(layers=3, channels=4, states=2))
    assert [tuple(tensor.shape) for tensor in model.initial_state(2)] == [(2, 3, 4, 2), (2, 3, 4, 2)]
