"""What every model family is: a causal map from dry to wet that trains on windows and plays by blocks.

A family is a `ModelSpec` (settings; `build()` gives the network) and an `EffectModel` (the network).
Tensors are float32 (B, C, T); a network computes raw outputs (B, O, N), which its output spec
(`fxcore.models.outputs`) turns into audio (B, 1, N).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, NamedTuple, Self, TypeAlias

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from fxcore.audio import Recording
from fxcore.losses import DEFAULT_LOSS, LossWeights, WeightedLoss
from fxcore.models.outputs import OUTPUTS, Output, Regression
from fxcore.spec import Spec

State: TypeAlias = tuple[Tensor, ...]

PREDICT_BLOCK_SAMPLES = 32_768  # cuDNN plays its recurrent nets 65,535 samples at most
PLAYED_BLOCK_SAMPLES = 64  # what a plug-in host hands over


class TrainingSpec(LossWeights):
    """How a model is trained, and on which loss; each family has its own defaults (`ModelSpec.training`).

    One draw from the recordings is `batch` streams of `context + blocks * block_samples` samples.
    A convolutional model has the context its receptive field asks for and one block a draw; a
    recurrent one settles its state on the context and carries it over the blocks (truncated
    back-propagation through time), with an optimiser step after each.
    """

    batch: int = Field(8, ge=1, le=1024)
    block_samples: int = Field(1024, ge=16, le=1 << 20)
    blocks: int = Field(1, ge=1, le=256)
    learning_rate: float = Field(5e-3, gt=0.0, le=1.0)
    warm_up_share: float = Field(0.04, ge=0.0, lt=1.0)  # of the budget, before cosine decay to zero
    clip_norm: float = Field(1.0, gt=0.0)

    @model_validator(mode="after")
    def _blocks_hold_what_the_loss_hears(self) -> Self:
        self.check_block(self.block_samples)
        return self


class Nature(NamedTuple):
    """What two probes tell of an effect: does f(x/2)·2 equal f(x), and does it depend on the time?"""

    linear: bool
    time_varying: bool = False


class ModelSpec(Spec, ABC):
    """Settings of one family, and of what its network puts out."""

    kind: str
    output: Annotated[Output, *OUTPUTS.field()] = Regression()

    training: ClassVar[TrainingSpec] = TrainingSpec()  # the family's default recipe
    gpu_batch: ClassVar[int | None] = None  # its batch on a GPU, which learns from many in the time of one
    outputs: ClassVar[tuple[str, ...]] = tuple(OUTPUTS)  # the outputs that its networks can have
    fitted: ClassVar[bool] = False  # whether `EffectModel.initialise` is all its training, without steps
    made_for: ClassVar[Nature | None] = None  # the effects whose structure it has; None: any, as a black box
    ranges: ClassVar[Mapping[str, Any]] = {}  # what a search draws from unless told otherwise
    starts: ClassVar[Sequence[Mapping[str, Any]]] = ({},)  # settings worth a try before anything is known

    @model_validator(mode="after")
    def _output_is_possible(self) -> Self:
        if self.output.kind not in self.outputs:
            raise ValueError(
                f"{self.kind} has the output {' or '.join(self.outputs)} only; got {self.output.kind!r}"
            )
        return self

    def narrowed(self, limits: Mapping[str, tuple[Any, ...]]) -> Self:
        """Settings changed until what follows from them, where `limits` name it, has a value given there."""
        return self

    @classmethod
    def recipe(cls, gpu: bool) -> TrainingSpec:
        """The family's default recipe where a CPU or a GPU trains."""
        if gpu and cls.gpu_batch is not None:
            return cls.training.model_copy(update={"batch": cls.gpu_batch})
        return cls.training

    def build(self, rng: torch.Generator) -> "EffectModel":
        """The network with fresh weights drawn from `rng`."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(torch.randint(0, 2**62, (1,), generator=rng)))
            return self._build()

    @abstractmethod
    def _build(self) -> "EffectModel":
        """The network, its weights drawn from torch's default generator."""

    @property
    def receptive_field(self) -> int | None:
        """Dry samples that one wet sample depends on, itself included; None where unbounded."""
        return None

    @property
    def compiled_seconds(self) -> float | None:
        """What a family whose loops are compiled takes for `PLAYED_BLOCK_SAMPLES` on the reference core.

        None: it plays in torch, where `fxcore.training.predicted_cost` counts what it does.
        """
        return None


class EffectModel(nn.Module, ABC):
    """A network of one family.

    `forward` trains on windows without hidden padding; `stream` plays block by block and equals
    `forward` whatever the block size. Inputs and outputs are full scale ±1; `scale` holds the
    deviations of the training signals, by which the network divides and multiplies.
    """

    scale: Tensor  # (2,): deviation of dry and of wet

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("scale", torch.ones(2))

    @property
    def context_samples(self) -> int:
        """Dry samples before a block that `forward` needs: R - 1, or a recurrent state's warm-up."""
        field = self.spec.receptive_field
        assert field is not None, "a recurrent family says its own warm-up"
        return field - 1

    @property
    def recurrent(self) -> bool:
        """Whether the memory is unbounded, so that training carries a state."""
        return self.spec.receptive_field is None

    @abstractmethod
    def zero_state(self, batch: int) -> State:
        """The state before anything was heard, all zeros."""

    @abstractmethod
    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        """Raw outputs (B, O, N) of a block (B, 1, N), and the state after it; differentiable."""

    def forward(self, dry: Tensor) -> Tensor:
        """Raw outputs (B, O, N) of windows (B, 1, context + N)."""
        with torch.no_grad():
            _, state = self.step(dry[..., : self.context_samples], self.zero_state(len(dry)))
        return self.step(dry[..., self.context_samples :], state)[0]

    def decode(self, raw: Tensor) -> Tensor:
        """Audio (B, 1, N) of raw outputs (B, O, N)."""
        return self.spec.output.decode(raw, self.scale[1])

    def loss(self, raw: Tensor, wet: Tensor, loss: WeightedLoss = DEFAULT_LOSS) -> Tensor:
        """Training loss, a scalar, of raw outputs (B, O, N) against the wet (B, 1, N)."""
        return self.spec.output.loss(raw, wet, self.scale[1], loss)

    def set_scale(self, dry_deviation: float, wet_deviation: float) -> None:
        """Take over the training signals' deviations (root mean squares), silence excepted."""
        self.scale.copy_(torch.tensor([max(dry_deviation, 1e-5), max(wet_deviation, 1e-5)]))

    def initialise(self, recordings: Sequence[Recording], sample_rate: int, rng: torch.Generator) -> None:
        """Set the weights from the training recordings, where the family knows how.

        Called once, after `set_scale` and before the first step; a closed form or a robust grid. Where the
        spec is `fitted`, this is the whole training.
        """

    def refine(self, recordings: Sequence[Recording], rng: torch.Generator) -> None:
        """Solve anew what is not for gradients, where the family has such a part; called now and then."""

    @torch.no_grad()
    def initial_state(self, batch: int = 1, start_sample: int = 0) -> State:
        """The state of a player that has heard silence for as long as it remembers.

        `start_sample` is how long ago the effect was started, for families that change with time.
        """
        silence = torch.zeros(batch, 1, max(self.context_samples, 1), device=self.scale.device)
        return self.step(silence, self.zero_state(batch))[1]

    @torch.no_grad()
    def stream(self, block: Tensor, state: State) -> tuple[Tensor, State]:
        """Audio (B, 1, N) of a dry block (B, 1, N), and the state for the next block."""
        raw, state = self.step(block, state)
        return self.decode(raw), state

    @torch.no_grad()
    def predict(self, dry: Tensor, start_sample: int = 0) -> Tensor:
        """Audio (B, 1, T) of a whole dry signal (B, 1, T) after silence.

        `start_sample` is how long ago the effect was started.
        """
        state, blocks = self.initial_state(len(dry), start_sample), []
        for block in torch.split(dry, PREDICT_BLOCK_SAMPLES, dim=-1):
            wet, state = self.stream(block, state)
            blocks.append(wet)
        return torch.cat(blocks, dim=-1)

    def parameter_count(self) -> int:
        """Trainable weights."""
        return sum(p.numel() for p in self.parameters())

    def best_copy(self) -> dict[str, Any]:
        """A detached copy of all weights and buffers."""
        return {name: tensor.detach().clone() for name, tensor in self.state_dict().items()}
