import pytest
import torch

from fxcore.models import FAMILIES
from fxcore.models.layer_product import Activation, layer_product
from tests.fxcore.models.test_layer_product import convolutions, layer, signals

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("activation", ["tanh", "relu", "leaky_relu"])
@pytest.mark.parametrize(("kernel", "dilation"), [(2, 1), (3, 8), (6, 5)])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("followed", [True, False])
def test_a_layer_and_its_gradients_are_those_of_the_definition(
    activation: Activation, kernel: int, dilation: int, batch: int, followed: bool
) -> None:
    convs, inputs = convolutions(kernel, dilation), signals(batch)
    expected = layer(tuple(conv.double() for conv in convs), activation, *(s.double() for s in inputs))
    wrt = [inputs[0], inputs[2]]
    wrt += [p for conv in convs for p in conv.parameters() if followed or conv is not convs[2]]
    wanted = torch.autograd.grad(sum(out.square().sum() for out in expected[not followed :]), wrt)

    conv, mixin, residual = (conv.float().cuda() for conv in convs)
    hidden, dry, summed = (s.detach().cuda() for s in inputs)
    hidden.requires_grad_()
    summed.requires_grad_()
    found = layer_product(
        conv, mixin, residual if followed else None, activation, hidden, dry, summed.clone()
    )
    for our, their in list(zip(found, expected, strict=True))[not followed :]:
        torch.testing.assert_close(our.cpu(), their.float(), rtol=0, atol=1e-5)
    modules = (conv, mixin, residual) if followed else (conv, mixin)
    wrt = [hidden, summed, *(p for module in modules for p in module.parameters())]
    for our, their in zip(
        torch.autograd.grad(sum(out.square().sum() for out in found[not followed :]), wrt),
        wanted,
        strict=True,
    ):
        torch.testing.assert_close(our.cpu(), their.float(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("size", ["a1_standard", "a1_nano", "a2_full", "a2_lite"])
def test_a_net_learns_what_it_does_on_a_cpu(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    rng = torch.Generator().manual_seed(0)
    model = FAMILIES.parse({"kind": "nam_wavenet", "size": size}).build(rng)
    dry = torch.randn(2, 1, model.context_samples + 3000, generator=rng)
    wet = torch.randn(2, 1, 3000, generator=rng)
    gradients = []
    for device in ("cpu", "cuda"):
        model.to(device).zero_grad()
        model.loss(model(dry.to(device)), wet.to(device)).backward()
        gradients.append([p.grad.cpu().clone() for p in model.parameters() if p.grad is not None])
    for on_cpu, on_gpu in zip(*gradients, strict=True):
        torch.testing.assert_close(on_gpu, on_cpu, rtol=1e-2, atol=1e-3 * float(on_cpu.abs().max()))
