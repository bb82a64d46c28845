"""`conv`: the windowed convolutional net of McCool (2018), causal and run fully convolutionally.

The thesis slides a window over the dry signal and predicts one wet sample from it. A net whose
layers each shrink the window k-fold (stride k), evaluated at every sample, is the same net with
dilations k^i (à trous), so that nothing is computed twice. Here the window ends in the current
sample, every sample of it is seen, and there is no pooling, which is what broke the original.
"""

import math
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from fxcore.models.base import EffectModel, ModelSpec, State, TrainingSpec
from fxcore.models.convolution import causal_conv, memory_samples, receptive_field


class ConvSpec(ModelSpec):
    """`layers` causal convolutions with ReLU over at least `window` samples, then a linear head."""

    kind: Literal["conv"] = "conv"
    layers: int = Field(5, ge=1, le=16)
    window: int = Field(512, ge=2, le=65_536)
    channels: int = Field(16, ge=1, le=256)

    training: ClassVar[TrainingSpec] = TrainingSpec(batch=1, block_samples=4096, learning_rate=4e-3)

    @property
    def kernel(self) -> int:
        """Smallest kernel with which `layers` k-fold reductions cover the window."""
        kernel = max(2, int(self.window ** (1 / self.layers)))
        return kernel if kernel**self.layers >= self.window else kernel + 1

    @property
    def shape(self) -> tuple[list[int], list[int]]:
        """Kernel size and dilation of each layer; the last kernel is as short as the window allows."""
        kernels: list[int] = []
        dilations: list[int] = []
        field = 1
        while field < self.window and len(kernels) < self.layers:
            kernels.append(min(self.kernel, 1 + math.ceil((self.window - field) / field)))
            dilations.append(field)
            field += (kernels[-1] - 1) * dilations[-1]
        pointwise = self.layers - len(kernels)
        return kernels + [1] * pointwise, dilations + [1] * pointwise

    @property
    def receptive_field(self) -> int:
        return receptive_field(*self.shape)

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
        self.head = nn.Conv1d(spec.channels, spec.output.channels, 1)

    def zero_state(self, batch: int) -> State:
        return tuple(
            self.scale.new_zeros(batch, conv.in_channels, memory_samples(conv)) for conv in self._layers()
        )

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
        return self.head(hidden), tuple(past for past in after if past is not None)

    def _layers(self) -> list[nn.Conv1d]:
        return [conv for conv in self.convs if isinstance(conv, nn.Conv1d)]
