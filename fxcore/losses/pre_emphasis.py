"""Pre-emphasis: a first-order high-pass that makes an error's treble count as the ear has it.

Wright & Välimäki, "Perceptual loss function for neural modeling of audio systems" (2019):
H(z) = 1 - 0.95 / z, that is y[n] = x[n] - 0.95 x[n-1].
"""

from torch import Tensor

COEFFICIENT = 0.95


def pre_emphasise(signal: Tensor, coefficient: float = COEFFICIENT) -> Tensor:
    """Filter (B, C, T) to (B, C, T-1): the first sample, whose predecessor is unknown, is dropped.

    >>> import torch
    >>> pre_emphasise(torch.tensor([[[1.0, 1.0, 0.0]]]))
    tensor([[[ 0.0500, -0.9500]]])
    """
    return signal[..., 1:] - coefficient * signal[..., :-1]
