"""Error-to-signal ratio: the energy of the error over the energy of the wet.

Wright, Damskägg & Välimäki, "Real-time black-box modelling with recurrent neural networks"
(DAFx 2019). A silent pred scores 1, an exact one 0, one upside down 4.
"""

from torch import Tensor


def esr_sums(pred: Tensor, wet: Tensor) -> tuple[Tensor, Tensor]:
    """Energy of the error and energy of the wet, two scalars, from (B, C, T) each."""
    return (wet - pred).square().sum(), wet.square().sum()


def esr_loss(pred: Tensor, wet: Tensor, floor: float) -> Tensor:
    """One ratio a batch, so that a quiet segment weighs by its energy.

    Args:
        pred: estimated wet, (B, 1, T).
        wet: its target, (B, 1, T).
        floor: mean energy a sample added to the wet's, so that silence does not divide by zero.

    Returns:
        Scalar, at least 0.
    """
    error_energy, wet_energy = esr_sums(pred, wet)
    return error_energy / (wet_energy + floor * wet.numel())
