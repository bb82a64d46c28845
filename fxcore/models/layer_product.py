"""A WaveNet layer as matrix products, which train and play it on a CPU twice as fast as convolutions do.

On a GPU, `layer_kernels` train it.

A causal convolution is a sum of products, of a (C, C) matrix for each tap with the signal (C, T) as it
was so long ago. At 8 to 16 channels such products reach more than half of a core's peak, oneDNN's dilated
convolutions a tenth to a third. And one node for the whole layer, with its gradient written out, spares
the passes over memory that autograd makes for each slice, sum and activation.

In the short blocks of a player every call of PyTorch costs as much as what it computes. There the taps' pasts
are copied below each other, for one product a layer.
"""

from importlib.util import find_spec
from typing import Any, Literal, TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Activation: TypeAlias = Literal["tanh", "relu", "leaky_relu"]

LEAK = 0.01  # of the leaky ReLU, below zero
SHORT_SAMPLES = 512  # blocks up to which few calls count for more than few copies


def activate(signal: Tensor, activation: Activation) -> Tensor:
    """Element by element."""
    if activation == "tanh":
        return signal.tanh()
    return signal.relu() if activation == "relu" else F.leaky_relu(signal, LEAK)


def has_product(dry: Tensor, trains: bool) -> bool:
    """Whether a layer can be computed by `layer_product`, in training, or by `layer_played` on a device.

    A GPU's kernels come with Triton, train only, and know no gradient of the dry.
    """
    if dry.device.type == "cuda":
        return trains and not dry.requires_grad and find_spec("triton") is not None
    return dry.device.type == "cpu"


def layer_product(
    conv: nn.Conv1d,
    mixin: nn.Conv1d,
    residual: nn.Conv1d | None,
    activation: Activation,
    hidden: Tensor,
    dry: Tensor,
    summed: Tensor,
) -> tuple[Tensor, Tensor]:
    """What an ungated layer gives in training.

    Args:
        conv, mixin, residual: its convolutions; no residual where nothing follows.
        activation: its kind.
        hidden: its input, (B, C, T).
        dry: of as many samples or more, (B, 1, T'), aligned at the end.
        summed: the sum of earlier layers' activations, (B, C, L), to which this one adds its own in place.

    Returns:
        Hidden signal for the next layer, (B, C, T - (k - 1) * dilation), or nothing without a residual;
        and the sum.
    """
    weight, bias = (residual.weight, residual.bias) if residual else (None, None)
    kind: Any = _LayerProduct
    if hidden.device.type == "cuda":  # Triton comes with the builds of PyTorch for GPUs alone
        from fxcore.models.layer_kernels import LayerKernels

        kind = LayerKernels
    product: tuple[Tensor, Tensor] = kind.apply(
        conv.weight, conv.bias, mixin.weight, weight, bias, hidden, dry, summed, conv.dilation[0], activation
    )
    return product


def layer_played(
    conv: nn.Conv1d,
    mixin: nn.Conv1d,
    residual: nn.Conv1d | None,
    activation: Activation,
    hidden: Tensor,
    dry: Tensor,
    summed: Tensor,
    past: Tensor,
) -> tuple[Tensor, Tensor]:
    """As `layer_product`, without gradients, for a block (1, C, N) of `hidden` that comes after its past.

    All signals have N samples; `past` is (1, C, (k - 1) * dilation). Returns the hidden signal for the next
    layer, or `hidden` itself without a residual, and the past of the next block.
    """
    joined = torch.cat([past, hidden], dim=-1)
    _, channels, length = joined.shape
    samples, after = hidden.shape[-1], hidden
    if samples > SHORT_SAMPLES:
        after, _ = layer_product(conv, mixin, residual, activation, joined, dry, summed)
    else:
        weight, bias = conv.weight, cast(Tensor, conv.bias)
        width, _, taps = weight.shape
        pasts = joined.as_strided((channels, taps, samples), (length, conv.dilation[0], 1))
        mixed = torch.addmm(bias.view(width, 1), mixin.weight.view(width, 1), dry[0])
        mixed.addmm_(weight.view(width, -1), pasts.reshape(-1, samples))
        active = activate(mixed, activation)
        summed += active
        if residual is not None:
            after = torch.addmm(hidden[0], residual.weight.view(width, width), active)
            after = after.add_(cast(Tensor, residual.bias).view(width, 1))[None]
    return after, joined.narrow(-1, samples, length - samples)


class _LayerProduct(torch.autograd.Function):
    """Recordings of a batch take turns: products of batches are slower."""

    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        bias: Tensor,
        mixin: Tensor,
        residual: Tensor | None,
        residual_bias: Tensor | None,
        hidden: Tensor,
        dry: Tensor,
        summed: Tensor,
        dilation: int,
        activation: Activation,
    ) -> tuple[Tensor, Tensor]:
        hidden, kernels = hidden.contiguous(), weight.movedim(-1, 0).contiguous()  # (k, O, C)
        batch, _, length = hidden.shape
        count = length - (len(kernels) - 1) * dilation
        active = hidden.new_empty(batch, len(bias), count)
        after = hidden.new_empty(batch, len(bias), count if residual is not None else 0)
        gain = 2 if activation == "tanh" else 1  # tanh z = 2 sigmoid(2 z) - 1, three times as fast as torch's
        for i in range(batch):
            z = active[i]
            torch.addmm(bias[:, None], mixin[..., 0], dry[i, :, -count:], beta=gain, alpha=gain, out=z)
            for kernel, past in zip(kernels.unbind(), _pasts(hidden[i], len(kernels), dilation), strict=True):
                z.addmm_(kernel, past, alpha=gain)
            if activation == "tanh":
                z.sigmoid_().mul_(2).sub_(1)
            else:
                F.leaky_relu_(z, LEAK) if activation == "leaky_relu" else z.relu_()
            summed[i].add_(z[:, -summed.shape[-1] :])
            if residual is not None and residual_bias is not None:
                torch.addmm(hidden[i, :, -count:], residual[..., 0], z, out=after[i])
                after[i].add_(residual_bias[:, None])
        ctx.mark_dirty(summed)
        ctx.save_for_backward(kernels, mixin, residual, hidden, dry, active)
        ctx.dilation, ctx.activation = dilation, activation
        return after, summed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_after: Tensor, to_summed: Tensor) -> tuple[Tensor | None, ...]:
        kernels, mixin, residual, hidden, dry, active = ctx.saved_tensors
        batch, _, count = active.shape
        to_kernels, to_mixin = torch.zeros_like(kernels), torch.zeros_like(mixin[..., 0])
        to_bias = mixin.new_zeros(len(mixin))
        to_residual, to_residual_bias = torch.zeros_like(kernels[0]), torch.zeros_like(to_bias)
        to_hidden = torch.empty_like(hidden)
        to_dry = torch.zeros_like(dry) if ctx.needs_input_grad[6] else None
        for i in range(batch):
            to_past = to_hidden[i]
            if residual is None:
                to_active = torch.zeros_like(active[i])
                to_past.zero_()
            else:
                to_active = torch.mm(residual[..., 0].t(), to_after[i])
                to_residual.addmm_(to_after[i], active[i].t())
                to_residual_bias.add_(to_after[i].sum(1))
                to_past[:, :-count].zero_()
                to_past[:, -count:].copy_(to_after[i])
            to_active[:, -to_summed.shape[-1] :].add_(to_summed[i])
            to_z = _through(to_active, active[i], ctx.activation)
            to_mixin.addmm_(to_z, dry[i, :, -count:].t())
            to_bias.add_(to_z.sum(1))
            pasts = _pasts(hidden[i], len(kernels), ctx.dilation)
            to_pasts = _pasts(to_past, len(kernels), ctx.dilation)
            for j, kernel in enumerate(kernels.unbind()):
                to_kernels[j].addmm_(to_z, pasts[j].t())
                to_pasts[j].addmm_(kernel.t(), to_z)
            if to_dry is not None:
                to_dry[i, :, -count:] = mixin[..., 0].t() @ to_z
        return (
            to_kernels.movedim(0, -1),
            to_bias,
            to_mixin[..., None],
            None if residual is None else to_residual[..., None],
            None if residual is None else to_residual_bias,
            to_hidden,
            to_dry,
            to_summed,
            None,
            None,
        )


def _pasts(signal: Tensor, taps: int, dilation: int) -> tuple[Tensor, ...]:
    """Views (C, T - (taps - 1) * dilation) of (C, T), the oldest first."""
    channels, length = signal.shape
    shape = (taps, channels, length - (taps - 1) * dilation)
    views: tuple[Tensor, ...] = signal.as_strided(shape, (dilation, length, 1)).unbind()
    return views


def _through(gradient: Tensor, active: Tensor, activation: Activation) -> Tensor:
    """Gradient before the activation, of the gradient after it and its result."""
    before: Tensor
    if activation == "tanh":
        before = torch.ops.aten.tanh_backward(gradient, active)
    else:
        slope = LEAK if activation == "leaky_relu" else 0.0
        before = torch.ops.aten.leaky_relu_backward(gradient, active, slope, True)
    return before
