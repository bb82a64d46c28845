"""`wavenet`: dilated causal convolutions with residual and skip paths (van den Oord et al., 2016).

The feed-forward form for audio effects (Damskägg et al., 2019), layer by layer as Neural Amp
Modeler defines it, so that its players load what is found here: each layer adds the dry, mixed in
by a pointwise convolution, before its activation; the head sums every layer's activations.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from fxcore.models.base import EffectModel, ModelSpec, State, TrainingSpec
from fxcore.models.convolution import causal_conv, memory_samples, receptive_field


class WaveNetSpec(ModelSpec):
    """`layers` of dilations 1, 2, 4, ... that restart as often as `window` samples allow."""

    kind: Literal["wavenet"] = "wavenet"
    layers: int = Field(10, ge=1, le=40)
    window: int = Field(2048, ge=2, le=65_536)
    channels: int = Field(8, ge=1, le=128)
    kernel: int = Field(3, ge=2, le=16)
    gated: bool = False

    training: ClassVar[TrainingSpec] = TrainingSpec(batch=1, block_samples=4096, learning_rate=1e-2)

    @model_validator(mode="after")
    def _window_holds_the_layers(self) -> "WaveNetSpec":
        shortest = 1 + (self.kernel - 1) * self.layers
        if shortest > self.window:
            raise ValueError(
                f"{self.layers} layers of kernel {self.kernel} see at least {shortest} samples; "
                f"got window {self.window}; take fewer layers or a longer window"
            )
        return self

    @property
    def dilations(self) -> tuple[int, ...]:
        """The longest doubling cycle with which all layers stay within the window."""
        best: tuple[int, ...] = (1,) * self.layers
        for cycle in range(2, self.layers + 1):
            dilations = tuple(2 ** (i % cycle) for i in range(self.layers))
            if receptive_field([self.kernel] * self.layers, dilations) > self.window:
                break
            best = dilations
        return best

    @property
    def receptive_field(self) -> int:
        return receptive_field([self.kernel] * self.layers, self.dilations)

    def _build(self) -> EffectModel:
        return WaveNet(self)


class WaveNetLayer(nn.Module):
    """conv + mixed-in dry -> tanh (times sigmoid where gated) -> pointwise residual."""

    def __init__(self, channels: int, kernel: int, dilation: int, gated: bool) -> None:
        super().__init__()
        width = channels * (2 if gated else 1)
        self.gated = gated
        self.conv = nn.Conv1d(channels, width, kernel, dilation=dilation)
        self.mixin = nn.Conv1d(1, width, 1, bias=False)
        self.residual = nn.Conv1d(channels, channels, 1)

    def forward(
        self, hidden: Tensor, dry: Tensor, past: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Hidden signal for the next layer, activations for the head, and the layer's new past."""
        mixed, past = causal_conv(self.conv, hidden, past)
        length = mixed.shape[-1]
        mixed = mixed + self.mixin(dry[..., dry.shape[-1] - length :])
        if self.gated:
            signal, gate = mixed.chunk(2, dim=1)
            active = signal.tanh() * gate.sigmoid()
        else:
            active = mixed.tanh()
        return hidden[..., hidden.shape[-1] - length :] + self.residual(active), active, past


class WaveNet(EffectModel):
    """The network of a `WaveNetSpec`; its state is every layer's past inputs."""

    spec: WaveNetSpec

    def __init__(self, spec: WaveNetSpec) -> None:
        super().__init__(spec)
        self.rechannel = nn.Conv1d(1, spec.channels, 1, bias=False)
        self.layers = nn.ModuleList(
            WaveNetLayer(spec.channels, spec.kernel, dilation, spec.gated) for dilation in spec.dilations
        )
        self.head = nn.Conv1d(spec.channels, spec.output.channels, 1)

    def zero_state(self, batch: int) -> State:
        return tuple(
            self.scale.new_zeros(batch, self.spec.channels, memory_samples(layer.conv))
            for layer in self.layers
            if isinstance(layer, WaveNetLayer)
        )

    def forward(self, dry: Tensor) -> Tensor:
        return self._run(dry, None)[0]

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        return self._run(dry, state)

    def _run(self, dry: Tensor, state: State | None) -> tuple[Tensor, State]:
        length = dry.shape[-1] if state else dry.shape[-1] - self.context_samples
        dry = dry / self.scale[0]
        hidden, after = self.rechannel(dry), []
        summed = torch.zeros((), device=dry.device)
        for i, layer in enumerate(self.layers):
            hidden, active, past = layer(hidden, dry, state[i] if state else None)
            summed = summed + active[..., active.shape[-1] - length :]
            after.append(past)
        return self.head(summed), tuple(past for past in after if past is not None)
