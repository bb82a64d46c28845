import pytest
import torch

from fxcore.errors import SpecError
from fxcore.models import FAMILIES, EffectModel

BY_KIND = pytest.mark.parametrize("kind", ["lstm", "gru"])


def model_of(kind: str, skip: bool) -> EffectModel:
    spec = FAMILIES.parse({"kind": kind, "layers": 2, "hidden": 5, "skip": skip})
    model = spec.build(torch.Generator().manual_seed(0)).eval()
    model.set_scale(0.1, 0.3)
    return model


@BY_KIND
def test_a_skip_adds_the_dry_at_its_own_level(kind: str) -> None:
    dry = 0.1 * torch.randn(2, 1, 300, generator=torch.Generator().manual_seed(1))
    without = model_of(kind, skip=False).predict(dry)
    torch.testing.assert_close(model_of(kind, skip=True).predict(dry), without + dry, rtol=0, atol=1e-6)


@BY_KIND
def test_a_skip_streams_as_it_trains(kind: str) -> None:
    model = model_of(kind, skip=True)
    dry = 0.1 * torch.randn(1, 1, model.context_samples + 90, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole = model.decode(model(dry))
    assert torch.allclose(model.predict(dry)[..., -90:], whole, rtol=0, atol=1e-5)


@BY_KIND
def test_a_skip_adds_no_weights(kind: str) -> None:
    assert model_of(kind, skip=True).parameter_count() == model_of(kind, skip=False).parameter_count()


@BY_KIND
@pytest.mark.parametrize("output", ["mixture", "softmax"])
def test_a_skip_onto_a_distribution_is_refused(kind: str, output: str) -> None:
    with pytest.raises(SpecError, match=f"skip needs the output regression; got '{output}'; take skip out"):
        FAMILIES.parse({"kind": kind, "skip": True, "output": output})
