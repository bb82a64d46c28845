"""`conv`: the windowed convolutional net of McCool (2018), causal and run fully convolutionally.

The thesis slides a window over the dry signal and predicts one wet sample from it. A net whose
layers each shrink the window k-fold (stride k), evaluated at every sample, is the same net with
dilations k^i (à trous), so that nothing is computed twice; its max-pooling of what remains of the
window becomes a maximum over dilated samples, and its linear layers act on each sample alone. Here
the window ends in the current sample, every sample of it is seen, and there is no pooling unless
asked for, since pooling is what broke the original: it loses which way the wave went.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self, cast

from pydantic import Field
from torch import Tensor, nn

from fxcore.models.base import EffectModel, ModelSpec, State, TrainingSpec
from fxcore.models.convolution import causal_conv, causal_max, memory_samples, receptive_field

MOST_LAYERS = 16


class ConvSpec(ModelSpec):
    """`layers` causal convolutions with ReLU over at least `window` samples, then `linear` layers.

    With `pool` above 1, the convolutions cover so many times fewer samples, and the maxima over as
    many of their stretches go to the linear layers, all but the last of which have a ReLU.
    """

    kind: Literal["conv"] = "conv"
    layers: int = Field(5, ge=1, le=MOST_LAYERS)
    window: int = Field(512, ge=2, le=65_536)
    channels: int = Field(16, ge=1, le=256)
    pool: int = Field(1, ge=1, le=64)
    linear: int = Field(1, ge=1, le=8)

    training: ClassVar[TrainingSpec] = TrainingSpec(batch=1, block_samples=4096, learning_rate=4e-3)
    gpu_batch: ClassVar[int | None] = 8
    ranges: ClassVar[Mapping[str, Any]] = {"layers": [2, 8], "window": [64, 4096], "channels": [4, 32]}

    @property
    def stretch(self) -> int:
        """Samples of the window that the convolutions are to cover."""
        return math.ceil(self.window / self.pool)

    @property
    def kernel(self) -> int:
        """Smallest kernel with which `layers` k-fold reductions cover a stretch."""
        kernel = max(2, int(self.stretch ** (1 / self.layers)))
        return kernel if kernel**self.layers >= self.stretch else kernel + 1

    @property
    def shape(self) -> tuple[list[int], list[int]]:
        """Kernel size and dilation of each layer; the last kernel is as short as the stretch allows."""
        kernels: list[int] = []
        dilations: list[int] = []
        field = 1
        while field < self.stretch and len(kernels) < self.layers:
            kernels.append(min(self.kernel, 1 + math.ceil((self.stretch - field) / field)))
            dilations.append(field)
            field += (kernels[-1] - 1) * dilations[-1]
        pointwise = self.layers - len(kernels)
        return kernels + [1] * pointwise, dilations + [1] * pointwise

    @property
    def receptive_field(self) -> int:
        return self.pool * receptive_field(*self.shape)

    def narrowed(self, limits: Mapping[str, tuple[Any, ...]]) -> Self:
        """With so many layers that the kernel becomes as small as it has to be."""
        kernel = max(limits.get("kernel", (self.kernel,)))
        layers = next(n for n in range(self.layers, MOST_LAYERS + 1) if kernel**n >= self.stretch)
        return self.model_copy(update={"layers": layers})

    def _build(self) -> EffectModel:
        return ConvNet(self)


class ConvNet(EffectModel):
    """The network of a `ConvSpec`; its state is every layer's past inputs."""

    spec: ConvSpec

    def __init__(self, spec: ConvSpec) -> None:
        super().__init__(spec)
        widths = [1] + [spec.channels] * spec.layers
        self.convs = nn.ModuleList(
            nn.Conv1d(widths[i], widths[i + 1], kernel, dilation=dilation)
            for i, (kernel, dilation) in enumerate(zip(*spec.shape, strict=True))
        )
        self.pool_dilation = receptive_field(*spec.shape)
        outputs = [spec.channels] * (spec.linear - 1) + [spec.output.channels]
        self.linear = nn.ModuleList(nn.Conv1d(spec.channels, width, 1) for width in outputs)

    def zero_state(self, batch: int) -> State:
        widths = [(conv.in_channels, memory_samples(conv)) for conv in self._layers()]
        if self.spec.pool > 1:
            widths.append((self.spec.channels, (self.spec.pool - 1) * self.pool_dilation))
        return tuple(self.scale.new_zeros(batch, *width) for width in widths)

    def forward(self, dry: Tensor) -> Tensor:
        return self._run(dry, None)[0]

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        return self._run(dry, state)

    def _run(self, dry: Tensor, state: State | None) -> tuple[Tensor, State]:
        hidden, after = dry / self.scale[0], []
        for i, conv in enumerate(self._layers()):
            hidden, past = causal_conv(conv, hidden, state[i] if state else None)
            hidden = hidden.relu()
            after.append(past)
        if self.spec.pool > 1:
            hidden, past = causal_max(
                hidden, self.spec.pool, self.pool_dilation, state[-1] if state else None
            )
            after.append(past)
        for layer in self.linear[:-1]:
            hidden = layer(hidden).relu()
        return self.linear[-1](hidden), tuple(past for past in after if past is not None)

    def _layers(self) -> Iterator[nn.Conv1d]:
        return (cast(nn.Conv1d, conv) for conv in self.convs)
