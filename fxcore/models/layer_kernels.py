"""A WaveNet layer on a GPU, in three Triton kernels that each pass over memory once.

At 4 to 16 channels a layer computes little for what it reads and writes, and cuDNN's gradients of dilated
convolutions take ten times as long as the memory needs (see BENCHMARKS.md). The kernels work on tiles of
some samples by all channels; below each other lie the channels of all taps, for one product. Matrices are
padded to what tensor cores multiply; products keep float32's precision (`tf32x3`), and sums over time an
order that never changes.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from fxcore.models.layer_product import LEAK, Activation

TILE_ELEMENTS = 8192  # of all taps: more would not fit into a multiprocessor's fast memory
PROGRAMS = 264  # that share the tiles where sums over time are made: two for each multiprocessor of an H200
WARPS = 4
ACTIVATIONS = {"tanh": 0, "relu": 1, "leaky_relu": 2}


class LayerKernels(torch.autograd.Function):
    """As `layer_product` computes it, but for the gradient of the dry, of which there is none."""

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
        hidden, dry = hidden.contiguous(), dry.contiguous()
        batch, channels, length = hidden.shape
        taps = weight.shape[-1]
        count = length - (taps - 1) * dilation
        active = torch.empty_like(hidden[..., :count], memory_format=torch.contiguous_format)
        after = torch.empty_like(active) if residual is not None else active.new_empty(batch, channels, 0)
        shape = _shape(channels, taps, residual is not None)
        _forward[triton.cdiv(count, shape["TILE"]), batch](
            *(hidden, dry, weight, bias, mixin),
            *((weight, bias) if residual is None else (residual, residual_bias)),
            *(active, after, summed, channels, count, length, dry.shape[-1], summed.shape[-1], dilation),
            ACTIVATION=ACTIVATIONS[activation],
            LEAK=LEAK,
            **shape,
        )
        ctx.mark_dirty(summed)
        ctx.save_for_backward(weight, residual, hidden, dry, active)
        ctx.dilation, ctx.activation, ctx.shape = dilation, activation, shape
        return after, summed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_after: Tensor, to_summed: Tensor) -> tuple[Tensor | None, ...]:
        weight, residual, hidden, dry, active = ctx.saved_tensors
        to_after, to_summed, shape = to_after.contiguous(), to_summed.contiguous(), ctx.shape
        batch, channels, length = hidden.shape
        count = active.shape[-1]
        sizes = (weight.numel(), channels * channels, channels, channels, channels)
        programs = min(batch * triton.cdiv(count, shape["TILE"]), PROGRAMS)
        to_z, parts = torch.empty_like(active), hidden.new_empty(programs, sum(sizes))
        _to_weights[(programs,)](
            *(
                to_after,
                to_summed,
                active,
                hidden,
                dry,
                weight if residual is None else residual,
                to_z,
                parts,
            ),
            *(batch, channels, count, length, dry.shape[-1], to_summed.shape[-1], ctx.dilation),
            ACTIVATION=ACTIVATIONS[ctx.activation],
            LEAK=LEAK,
            **shape,
        )
        to_hidden = torch.empty_like(hidden)
        _to_input[triton.cdiv(length, shape["TILE"]), batch](
            *(to_z, to_after, weight, to_hidden, channels, count, length, ctx.dilation),
            **shape,
        )
        to_weight, to_residual, to_bias, to_mixin, to_residual_bias = parts.sum(0).split(sizes)
        return (
            to_weight.view_as(weight),
            to_bias,
            to_mixin[:, None, None],
            None if residual is None else to_residual.view_as(residual),
            None if residual is None else to_residual_bias,
            to_hidden,
            None,
            to_summed,
            None,
            None,
        )


def _shape(channels: int, taps: int, followed: bool) -> dict[str, Any]:
    """What all kernels are compiled for."""
    rows = max(16, int(triton.next_power_of_2(channels * taps)))
    return {
        "TAPS": taps,
        "PADDED": max(16, int(triton.next_power_of_2(channels))),
        "ROWS": rows,
        "TILE": min(128, max(16, TILE_ELEMENTS // rows)),
        "FOLLOWED": followed,
        "num_warps": WARPS,
    }


@triton.jit
def _inside(row, channels, length, time):
    """Which elements of a (C, T) signal there are."""
    return (row[:, None] < channels) & (time[None, :] >= 0) & (time[None, :] < length)


@triton.jit
def _signal(signal, one, channels, length, time, PADDED: tl.constexpr):
    """All channels of the recording `one` at some times, zeros where there is nothing."""
    row = tl.arange(0, PADDED)
    at = signal + one.to(tl.int64) * channels * length + row[:, None] * length + time[None, :]
    return tl.load(at, mask=_inside(row, channels, length, time), other=0.0)


@triton.jit
def _stacked(signal, one, channels, length, time, step, TAPS: tl.constexpr, ROWS: tl.constexpr):
    """All channels at some times, below them those `step` samples on, and so for all taps."""
    row = tl.arange(0, ROWS)
    then = time[None, :] + (row // channels)[:, None] * step
    there = (row[:, None] < TAPS * channels) & (then >= 0) & (then < length)
    at = signal + one.to(tl.int64) * channels * length + (row % channels)[:, None] * length + then
    return tl.load(at, mask=there, other=0.0)


@triton.jit
def _store(signal, one, channels, length, time, value, PADDED: tl.constexpr):
    row = tl.arange(0, PADDED)
    at = signal + one.to(tl.int64) * channels * length + row[:, None] * length + time[None, :]
    tl.store(at, value, mask=_inside(row, channels, length, time))


@triton.jit
def _vector(at, channels, PADDED: tl.constexpr):
    row = tl.arange(0, PADDED)
    return tl.load(at + row, mask=row < channels, other=0.0)[:, None]


@triton.jit
def _square(at, channels, down, across, PADDED: tl.constexpr):
    """A (C, C) matrix whose rows lie `down` apart in memory."""
    row, column = tl.arange(0, PADDED)[:, None], tl.arange(0, PADDED)[None, :]
    there = (row < channels) & (column < channels)
    return tl.load(at + row * down + column * across, mask=there, other=0.0)


@triton.jit(do_not_specialize=["channels", "count", "length", "dry_length", "sum_length", "dilation"])
def _forward(
    hidden, dry, weight, bias, mixin, residual, residual_bias, active, after, summed,
    channels, count, length, dry_length, sum_length, dilation,
    TAPS: tl.constexpr, PADDED: tl.constexpr, ROWS: tl.constexpr, TILE: tl.constexpr,
    ACTIVATION: tl.constexpr, LEAK: tl.constexpr, FOLLOWED: tl.constexpr,
):  # fmt: skip
    """Activations, hidden signal of the next layer, and the sum, of one tile."""
    one, time = tl.program_id(1), tl.program_id(0) * TILE + tl.arange(0, TILE)
    row, column = tl.arange(0, PADDED)[:, None], tl.arange(0, ROWS)[None, :]
    at = row * channels * TAPS + (column % channels) * TAPS + column // channels
    kernel = tl.load(weight + at, mask=(row < channels) & (column < TAPS * channels), other=0.0)
    driving = tl.load(dry + one * dry_length + time + dry_length - count, mask=time < count, other=0.0)
    z = _vector(bias, channels, PADDED) + _vector(mixin, channels, PADDED) * driving[None, :]
    past = _stacked(hidden, one, channels, length, time, dilation, TAPS, ROWS)
    z = tl.dot(kernel, past, z, input_precision="tf32x3")
    if ACTIVATION == 0:
        z = 2.0 * tl.sigmoid(2.0 * z) - 1.0
    else:
        z = tl.where(z > 0, z, (LEAK if ACTIVATION == 2 else 0.0) * z)
    _store(active, one, channels, count, time, z, PADDED)
    late = tl.where(time < count, time - (count - sum_length), -1)
    total = _signal(summed, one, channels, sum_length, late, PADDED) + z
    _store(summed, one, channels, sum_length, late, total, PADDED)
    if FOLLOWED:
        now = _signal(hidden, one, channels, length, time + (TAPS - 1) * dilation, PADDED)
        now += _vector(residual_bias, channels, PADDED)
        through = _square(residual, channels, channels, 1, PADDED)
        now = tl.dot(through, z, now, input_precision="tf32x3")
        _store(after, one, channels, count, time, now, PADDED)


@triton.jit(
    do_not_specialize=["batch", "channels", "count", "length", "dry_length", "sum_length", "dilation"]
)
def _to_weights(
    to_after, to_summed, active, hidden, dry, residual, to_z, parts,
    batch, channels, count, length, dry_length, sum_length, dilation,
    TAPS: tl.constexpr, PADDED: tl.constexpr, ROWS: tl.constexpr, TILE: tl.constexpr,
    ACTIVATION: tl.constexpr, LEAK: tl.constexpr, FOLLOWED: tl.constexpr,
):  # fmt: skip
    """Gradient before the activation, and what some tiles add to the gradients of all weights."""
    each = tl.cdiv(count, TILE)
    to_weight = tl.zeros((PADDED, ROWS), tl.float32)
    to_residual = tl.zeros((PADDED, PADDED), tl.float32)
    to_bias = tl.zeros((PADDED,), tl.float32)
    to_mixin = tl.zeros((PADDED,), tl.float32)
    to_residual_bias = tl.zeros((PADDED,), tl.float32)
    for index in range(tl.program_id(0), batch * each, tl.num_programs(0)):
        one, time = index // each, (index % each) * TILE + tl.arange(0, TILE)
        reached = _signal(active, one, channels, count, time, PADDED)
        late = tl.where(time < count, time - (count - sum_length), -1)
        gradient = _signal(to_summed, one, channels, sum_length, late, PADDED)
        if FOLLOWED:
            following = _signal(to_after, one, channels, count, time, PADDED)
            turned = _square(residual, channels, 1, channels, PADDED)
            gradient = tl.dot(turned, following, gradient, input_precision="tf32x3")
            to_residual = tl.dot(following, tl.trans(reached), to_residual, input_precision="tf32x3")
            to_residual_bias += tl.sum(following, 1)
        if ACTIVATION == 0:
            gradient *= 1.0 - reached * reached
        else:
            gradient = tl.where(reached > 0, gradient, (LEAK if ACTIVATION == 2 else 0.0) * gradient)
        _store(to_z, one, channels, count, time, gradient, PADDED)
        past = _stacked(hidden, one, channels, length, time, dilation, TAPS, ROWS)
        to_weight = tl.dot(gradient, tl.trans(past), to_weight, input_precision="tf32x3")
        driving = tl.load(dry + one * dry_length + time + dry_length - count, mask=time < count, other=0.0)
        to_bias += tl.sum(gradient, 1)
        to_mixin += tl.sum(gradient * driving[None, :], 1)
    part = parts + tl.program_id(0) * channels * (TAPS * channels + channels + 3)
    row, column = tl.arange(0, PADDED)[:, None], tl.arange(0, ROWS)[None, :]
    at = row * channels * TAPS + (column % channels) * TAPS + column // channels
    tl.store(part + at, to_weight, mask=(row < channels) & (column < TAPS * channels))
    part += TAPS * channels * channels
    column = tl.arange(0, PADDED)[None, :]
    tl.store(part + row * channels + column, to_residual, mask=(row < channels) & (column < channels))
    each_row = tl.arange(0, PADDED)
    part += channels * channels + each_row
    tl.store(part, to_bias, mask=each_row < channels)
    tl.store(part + channels, to_mixin, mask=each_row < channels)
    tl.store(part + 2 * channels, to_residual_bias, mask=each_row < channels)


@triton.jit(do_not_specialize=["channels", "count", "length", "dilation"])
def _to_input(
    to_z, to_after, weight, to_hidden, channels, count, length, dilation,
    TAPS: tl.constexpr, PADDED: tl.constexpr, ROWS: tl.constexpr, TILE: tl.constexpr, FOLLOWED: tl.constexpr,
):  # fmt: skip
    """Gradient of the layer's input, of one tile."""
    one, time = tl.program_id(1), tl.program_id(0) * TILE + tl.arange(0, TILE)
    gradient = tl.zeros((PADDED, TILE), tl.float32)
    if FOLLOWED:
        gradient = _signal(to_after, one, channels, count, time - (TAPS - 1) * dilation, PADDED)
    row, column = tl.arange(0, PADDED)[:, None], tl.arange(0, ROWS)[None, :]
    at = (column % channels) * channels * TAPS + row * TAPS + column // channels
    turned = tl.load(weight + at, mask=(row < channels) & (column < TAPS * channels), other=0.0)
    later = _stacked(to_z, one, channels, count, time, -dilation, TAPS, ROWS)
    gradient = tl.dot(turned, later, gradient, input_precision="tf32x3")
    _store(to_hidden, one, channels, length, time, gradient, PADDED)
