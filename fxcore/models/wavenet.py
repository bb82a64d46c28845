"""`wavenet`: dilated causal convolutions with residual and skip paths (van den Oord et al., 2016).

The feed-forward form for audio effects (Damskägg et al., 2019), layer by layer as Neural Amp
Modeler defines it, so that its players load what is found here: each layer adds the dry, mixed in
by a pointwise convolution, before its activation; the head sums the activations of an array of
layers. Where there are several arrays, one's head starts the sum of the next.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from fxcore.models.base import EffectModel, ModelSpec, State, TrainingSpec
from fxcore.models.convolution import causal_conv, memory_samples, receptive_field
from fxcore.models.layer_product import Activation, activate, has_product, layer_played, layer_product


class LayerArray(NamedTuple):
    """Layers of one width, with the kernel size and the dilation of each."""

    channels: int
    kernels: Sequence[int]
    dilations: Sequence[int]


class Shape(NamedTuple):
    """All that decides a net's weights but its output."""

    arrays: Sequence[LayerArray]
    activation: Activation = "tanh"
    gated: bool = False
    head_kernel: int = 1  # of the last array's head


class WaveNetBase(ModelSpec):
    """Any spec that comes down to a `Shape`."""

    training: ClassVar[TrainingSpec] = TrainingSpec(
        batch=1,
        block_samples=4096,
        learning_rate=1e-2,
        log_mel_weight=0.02,  # else a cabinet's treble hisses
    )
    gpu_batch: ClassVar[int | None] = 8

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """What the settings say, written out."""

    @property
    def receptive_field(self) -> int:
        arrays = self.shape.arrays
        return self.shape.head_kernel + sum(receptive_field(a.kernels, a.dilations) - 1 for a in arrays)

    def _build(self) -> EffectModel:
        return WaveNet(self)


class WaveNetSpec(WaveNetBase):
    """`layers` of dilations 1, 2, 4, ... that restart as often as `window` samples allow."""

    kind: Literal["wavenet"] = "wavenet"
    layers: int = Field(10, ge=1, le=40)
    window: int = Field(2048, ge=2, le=65_536)
    channels: int = Field(8, ge=1, le=128)
    kernel: int = Field(3, ge=2, le=16)
    activation: Activation = "tanh"
    gated: bool = False

    ranges: ClassVar[Mapping[str, Any]] = {
        "layers": [6, 14],
        "window": [256, 8192],
        "channels": [4, 16],
        "kernel": [2, 5],
        "activation": ["tanh", "relu", "leaky_relu"],
        "gated": [False, True],
    }

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
    def shape(self) -> Shape:
        array = LayerArray(self.channels, (self.kernel,) * self.layers, self.dilations)
        return Shape((array,), self.activation, self.gated)


class WaveNetLayer(nn.Module):
    """conv + mixed-in dry -> activation (times sigmoid where gated) -> pointwise residual."""

    def __init__(
        self, channels: int, kernel: int, dilation: int, gated: bool, activation: Activation = "tanh"
    ) -> None:
        super().__init__()
        width = channels * (2 if gated else 1)
        self.gated, self.activation = gated, activation
        self.conv = nn.Conv1d(channels, width, kernel, dilation=dilation)
        self.mixin = nn.Conv1d(1, width, 1, bias=False)
        self.residual = nn.Conv1d(channels, channels, 1)

    def forward(
        self, hidden: Tensor, dry: Tensor, past: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Hidden signal for the next layer, activations for the head, and the layer's new past."""
        mixed, past = causal_conv(self.conv, hidden, past)
        length = mixed.shape[-1]
        mixed = mixed + self.mixin(_last(dry, length))
        if self.gated:
            signal, gate = mixed.chunk(2, dim=1)
            active = activate(signal, self.activation) * gate.sigmoid()
        else:
            active = activate(mixed, self.activation)
        return _last(hidden, length) + self.residual(active), active, past


class WaveNetArray(nn.Module):
    """A rechannelled input, its layers, and the head of their summed activations."""

    def __init__(self, inputs: int, array: LayerArray, outputs: int, shape: Shape, last: bool) -> None:
        super().__init__()
        self.channels, self.gated, self.last = array.channels, shape.gated, last
        self.rechannel = nn.Conv1d(inputs, array.channels, 1, bias=False)
        self.layers = nn.ModuleList(
            WaveNetLayer(array.channels, kernel, dilation, shape.gated, shape.activation)
            for kernel, dilation in zip(array.kernels, array.dilations, strict=True)
        )
        self.head = nn.Conv1d(array.channels, outputs, shape.head_kernel if last else 1, bias=last)

    def convs(self) -> Iterator[nn.Conv1d]:
        """What has a past: each layer's convolution, then the head."""
        yield from (cast(WaveNetLayer, layer).conv for layer in self.layers)
        yield self.head

    def forward(
        self, hidden: Tensor, dry: Tensor, summed: Tensor | None, pasts: Sequence[Tensor | None], length: int
    ) -> tuple[Tensor, Tensor, list[Tensor | None]]:
        """Hidden signal and `length` samples of the head's sum for the next array, and the new pasts."""
        hidden, after = self.rechannel(hidden), list[Tensor | None]()
        if summed is None:
            summed = hidden.new_zeros(len(hidden), self.channels, length)
        trains = pasts[0] is None and torch.is_grad_enabled()
        plain = has_product(dry, trains) and not self.gated and not torch.compiler.is_exporting()
        if plain and (pasts[0] is None or (len(hidden) == 1 and not torch.is_grad_enabled())):
            hidden, summed, after = self._products(hidden, dry, summed, pasts)
        else:
            for layer, past in zip(self.layers, pasts[:-1], strict=True):
                hidden, active, past = layer(hidden, dry, past)
                after.append(past)
                summed = summed + _last(active, length)
        summed, past = causal_conv(self.head, summed, pasts[-1])
        return hidden, summed, [*after, past]

    def _products(
        self, hidden: Tensor, dry: Tensor, summed: Tensor, pasts: Sequence[Tensor | None]
    ) -> tuple[Tensor, Tensor, list[Tensor | None]]:
        """What the layers make of whole windows, ready for their gradient, or of a block after its past."""
        after = list[Tensor | None]()
        for i, (module, past) in enumerate(zip(self.layers, pasts[:-1], strict=True)):
            layer = cast(WaveNetLayer, module)
            residual = None if self.last and i == len(self.layers) - 1 else layer.residual
            layer_of = (layer.conv, layer.mixin, residual, layer.activation)
            if past is None:
                hidden, summed = layer_product(*layer_of, hidden, dry, summed)
            else:
                hidden, past = layer_played(*layer_of, hidden, dry, summed, past)
            after.append(past)
        return hidden, summed, after


class WaveNet(EffectModel):
    """The network of a `Shape`; its state is every convolution's past inputs."""

    spec: WaveNetBase

    def __init__(self, spec: WaveNetBase) -> None:
        super().__init__(spec)
        shape = spec.shape
        widths = [1, *(array.channels for array in shape.arrays), spec.output.channels]
        self.arrays = nn.ModuleList(
            WaveNetArray(widths[i], array, widths[i + 2], shape, last=i == len(shape.arrays) - 1)
            for i, array in enumerate(shape.arrays)
        )

    def zero_state(self, batch: int) -> State:
        convs = (conv for array in self._arrays() for conv in array.convs())
        return tuple(self.scale.new_zeros(batch, conv.in_channels, memory_samples(conv)) for conv in convs)

    def forward(self, dry: Tensor) -> Tensor:
        length = dry.shape[-1] - self.context_samples + self.spec.shape.head_kernel - 1
        return self._run(dry, None, length)[0]

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        raw, after = self._run(dry, state, dry.shape[-1])
        return raw, tuple(past for past in after if past is not None)

    def _run(self, dry: Tensor, state: State | None, length: int) -> tuple[Tensor, list[Tensor | None]]:
        """The head sums the activations of the last `length` samples."""
        dry = dry / self.scale[0]
        hidden, summed, after = dry, None, list[Tensor | None]()
        for array in self._arrays():
            count = 1 + len(array.layers)
            pasts = state[len(after) :][:count] if state else [None] * count
            hidden, summed, pasts = array(hidden, dry, summed, pasts, length)
            after += pasts
        assert summed is not None, "a net has arrays"
        return summed, after

    def _arrays(self) -> Iterator[WaveNetArray]:
        return (cast(WaveNetArray, array) for array in self.arrays)


def _last(signal: Tensor, length: int) -> Tensor:
    """The last `length` samples of (B, C, T)."""
    return signal[..., signal.shape[-1] - length :]
