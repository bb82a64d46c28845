"""Diagonal linear recurrences s[n] = a s[n-1] + u[n], y[n] = Re(c s[n]) + d u[n], as matrix products.

A run over T samples is cut into chunks of K: within a chunk, a Toeplitz matrix of the impulse
response makes the output; across chunks, the same recurrence with a^K carries the states (the
block decomposition of Dao & Gu, "Transformers are SSMs", 2024, section 6). Nothing is done sample
by sample, and the result does not depend on K.

Shapes: H channels, each with N complex states of its own and one input; B batch, T time.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK_SAMPLES = 64
CHUNKS_AT_ONCE = 16  # whose states are carried by one product


class Chunk(NamedTuple):
    """A recurrence over up to K samples as matrices, for H channels; any dimensions may come before."""

    entering: Tensor  # (H, K, 2 N): what each sample adds to the states after the last, real and imaginary
    response: Tensor  # (H, K, K): what each sample adds to the outputs
    ringing: Tensor  # (H, 2 N, K): what the states before the first sample add to the outputs
    decay: Tensor  # (H, N, K + 1) complex: powers of a
    carry: Tensor  # (H, N, M + 1) complex: powers of a^K


def chunk_of(log_pole: Tensor, weight: Tensor, direct: Tensor) -> Chunk:
    """The matrices of a recurrence.

    Args:
        log_pole: logarithm of a, (..., H, N) complex; its real part is negative.
        weight: c, (..., H, N) complex.
        direct: d, (..., H).
    """
    size, ages = CHUNK_SAMPLES, torch.arange(CHUNK_SAMPLES + 1, device=direct.device)
    decay = torch.exp(log_pole[..., None] * ages)
    carry = torch.exp(log_pole[..., None] * (size * ages[: CHUNKS_AT_ONCE + 1]))
    weighted = weight[..., None] * decay  # (..., H, N, K + 1)
    impulse = weighted[..., :size].real.sum(dim=-2)  # (..., H, K)
    impulse = impulse + F.pad(direct[..., None], (0, size - 1))
    entering = torch.view_as_real(decay[..., :size].flip(-1)).transpose(-3, -2)
    ringing = torch.stack([weighted[..., 1:].real, -weighted[..., 1:].imag], dim=-2)  # Re(c a^n s)
    return Chunk(
        entering.flatten(-2),
        F.pad(impulse, (size - 1, 0)).unfold(-1, size, 1).flip(-2),
        ringing.flatten(-3, -2),
        decay,
        carry,
    )


def scan(signal: Tensor, state: Tensor, chunk: Chunk) -> tuple[Tensor, Tensor]:
    """Outputs (H, B, T) of the inputs (H, B, T), and the states (H, B, N) after them, complex."""
    length = signal.shape[-1]
    whole = length - length % CHUNK_SAMPLES
    if whole in (0, length):
        return _scan_chunks(signal, state, chunk, CHUNK_SAMPLES if whole else length)
    first, state = _scan_chunks(signal[..., :whole], state, chunk, CHUNK_SAMPLES)
    last, state = _scan_chunks(signal[..., whole:], state, chunk, length - whole)
    return torch.cat([first, last], dim=-1), state


def _scan_chunks(signal: Tensor, state: Tensor, chunk: Chunk, size: int) -> tuple[Tensor, Tensor]:
    """As `scan`, of a whole number of chunks of `size` samples."""
    channels, batch, length = signal.shape
    inputs = signal.reshape(channels, -1, size)  # (H, B * M, K)
    entered = torch.bmm(inputs, chunk.entering[:, CHUNK_SAMPLES - size :])
    added = torch.view_as_complex(entered.view(channels, batch, length // size, -1, 2))
    if length == size:
        before, state = state, state * chunk.decay[:, None, :, size] + added[:, :, 0]
    else:
        before, state = _carry(added, state, chunk.carry)
    heard = torch.view_as_real(before).reshape(channels, inputs.shape[1], -1)  # (H, B * M, 2 N)
    rung = torch.bmm(heard, chunk.ringing[..., :size])
    return torch.baddbmm(rung, inputs, chunk.response[:, :size, :size]).view_as(signal), state


def _carry(added: Tensor, state: Tensor, powers: Tensor) -> tuple[Tensor, Tensor]:
    """States before each of M chunks, (H, B, M, N), of what each adds, (H, B, M, N); and the last."""
    before = []
    for piece in torch.split(added, CHUNKS_AT_ONCE, dim=2):
        count = piece.shape[2]
        decay = powers[..., : count + 1]
        passed = F.pad(decay[..., :-1], (count, 0)).unfold(2, count + 1, 1)[:, :, :count]  # (H, N, M, M + 1)
        states = torch.einsum("hnji,hbjn->hbin", passed, piece.flip(2))
        states = states + torch.einsum("hni,hbn->hbin", decay, state)
        before.append(states[:, :, :-1])
        state = states[:, :, -1]
    return torch.cat(before, dim=2), state
