"""DC loss: the squared difference of the means over the energy of the wet.

Wright, Damskägg & Välimäki, "Real-time black-box modelling with recurrent neural networks"
(DAFx 2019). Pre-emphasis all but removes DC, so a loss with it needs this beside it.
"""

from torch import Tensor


def dc_loss(pred: Tensor, wet: Tensor, floor: float) -> Tensor:
    """Squared difference of each sequence's means, averaged, over the batch's mean energy.

    Args:
        pred: estimated wet, (B, 1, T).
        wet: its target, (B, 1, T).
        floor: energy added to the wet's mean energy, so that silence does not divide by zero.

    Returns:
        Scalar, at least 0.
    """
    offset = wet.mean(dim=-1) - pred.mean(dim=-1)  # (B, 1)
    return offset.square().mean() / (wet.square().mean() + floor)
