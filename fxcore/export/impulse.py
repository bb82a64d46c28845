"""Impulse responses apart from the models that they belong to: at another rate, or behind a network."""

import numpy as np
import torch
from scipy import signal

from fxcore.audio import resample
from fxcore.errors import ExportError
from fxcore.export.base import Playable
from fxcore.least_squares import Passage, solve_fir
from fxcore.models import FAMILIES, EffectModel
from fxcore.models.fir import FirNet, FirSpec
from fxcore.models.recurrent import RecurrentNet

PASSED = 0.45  # of the lower rate: up to where both rates shall sound the same
LISTENING_SECONDS = 4.0
RIDGE_DB = -120.0


def at_rate(playable: Playable, sample_rate: int) -> Playable:
    """The same impulse response at another rate in Hz, without latency.

    A resampler spreads an impulse to both sides; what comes before it would be a latency, or be lost. Here
    the new response does by least squares to a band-limited noise what the old one does at its own rate.

    Raises `ExportError` for a model of another family: it has to be trained at that rate.
    """
    if sample_rate == playable.sample_rate:
        return playable
    model, rate = playable.model, playable.sample_rate
    if not isinstance(model, FirNet):
        raise ExportError(
            f"only a fir can be resampled; this {model.spec.kind} was trained at {rate} Hz and plays there; "
            f"for {sample_rate} Hz render or import its data at that rate and search again"
        )
    taps = -(-model.spec.taps * sample_rate // rate)
    if taps > FirSpec.model_fields["taps"].metadata[1].le:
        raise ExportError(f"{taps} taps at {sample_rate} Hz are more than a fir has; take a lower rate")
    samples = int(LISTENING_SECONDS * rate) + 4 * model.spec.taps
    noise = np.random.default_rng(0).standard_normal((1, samples))
    band = signal.firwin(511, PASSED * min(rate, sample_rate), fs=rate)
    dry = signal.oaconvolve(noise, band[None], axes=1)
    wet = signal.oaconvolve(dry, weights_of(model)[None], axes=1)[:, : dry.shape[1]]
    inputs, target = (
        resample(side.astype(np.float32), rate, sample_rate).astype(np.float64) for side in (dry, wet)
    )
    fitted = solve_fir([Passage(inputs, target[0])], taps, ridge_db=RIDGE_DB)
    return Playable(
        fir_of(fitted.taps[0], float(model.bias.detach() * model.scale[1])), sample_rate, playable.facts
    )


def before_and_behind(model: EffectModel) -> tuple[EffectModel, EffectModel] | None:
    """A recurrent net without its tail, and the tail as a `fir`; None where there is none."""
    if not isinstance(model, RecurrentNet) or model.tail is None:
        return None
    held = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("tail.")}
    settings = {**model.spec.as_dict(), "tail_taps": 0}
    net = FAMILIES.parse(settings).build(torch.Generator().manual_seed(0)).eval()
    net.load_state_dict(held)
    return net, fir_of(model.tail.taps.detach().cpu().double().numpy(), 0.0)


def weights_of(model: FirNet) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The impulse response (taps,) at full scale."""
    dry_scale, wet_scale = model.scale.double().cpu().numpy()
    taps = model.filters.taps.detach().cpu().double().numpy()
    response: np.ndarray[tuple[int], np.dtype[np.float64]] = taps[0] * (wet_scale / dry_scale)
    return response


def fir_of(taps: np.ndarray[tuple[int], np.dtype[np.float64]], bias: float) -> EffectModel:
    """The `fir` of an impulse response."""
    model = FirSpec(taps=len(taps)).build(torch.Generator().manual_seed(0)).eval()
    assert isinstance(model, FirNet)
    with torch.no_grad():
        model.filters.taps.copy_(torch.from_numpy(taps))
        model.bias.fill_(bias)
    return model
