"""Models as programs: a graph of tensor operations with its weights in it, which needs no code of ours.

A program maps a dry block (1, 1, N) of any N and a state to a wet block and the next state; it starts from
zeros and settles on silence.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram

from fxcore.errors import ExportError
from fxcore.export.base import Limits, Playable
from fxcore.export.twins import stand_ins, twin
from fxcore.models import FAMILIES, EffectModel, ModelSpec, State

LONGEST_BLOCK = 65_536
EXAMPLE_BLOCK = 64
NOTES = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node")  # where code lay

EVERY_FAMILY: Mapping[str, Limits] = {family: {} for family in FAMILIES}

Run: TypeAlias = Callable[[Tensor, Sequence[Tensor]], tuple[Tensor, Sequence[Tensor]]]


class ProgramSpec(ModelSpec):
    """Says that nothing is known of a model but how to play it."""

    kind: Literal["program"] = "program"

    outputs: ClassVar[tuple[str, ...]] = ("regression",)

    def _build(self) -> EffectModel:
        raise ExportError("a program cannot be built; load it from a file")


class Program(EffectModel):
    """A model that was read from a program: it plays, and cannot be taken apart."""

    def __init__(self, run: Run, rest: State, settle_samples: int, longest_block: int) -> None:
        """`run` plays a block (1, 1, N) of at most `longest_block`; `rest` is its state of zeros, which
        settles in so much silence.
        """
        super().__init__(ProgramSpec())
        self._run, self._rest = run, rest
        self._settle_samples, self._longest_block = settle_samples, longest_block

    @property
    def context_samples(self) -> int:
        return self._settle_samples

    def zero_state(self, batch: int) -> State:
        """One state after the other, for each of the batch."""
        return self._rest * batch

    def initial_state(self, batch: int = 1, start_sample: int = 0) -> State:
        return super().initial_state(batch) if self._settle_samples else self.zero_state(batch)

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        width = len(self._rest)
        played: list[Tensor] = []
        after: list[Tensor] = []
        for i, one in enumerate(torch.split(dry, 1)):
            past, blocks = state[i * width : (i + 1) * width], []
            for block in torch.split(one, self._longest_block, dim=-1):
                wet, now = self._run(block, past)
                blocks.append(wet)
                past = tuple(now)
            played.append(torch.cat(blocks, dim=-1))
            after.extend(past)
        return torch.cat(played), tuple(after)


class _Step(nn.Module):
    """One block of a model."""

    def __init__(self, model: EffectModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, dry: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        raw, after = self.model.step(dry, tuple(state))
        return self.model.decode(raw), list(after)


def trace(model: EffectModel) -> ExportedProgram:
    """The program of a model; raises `ExportError` where it cannot be written as one."""
    model = twin(model)
    state = [tensor.clone() for tensor in model.zero_state(1)]
    longest = longest_block(model)
    sizes = {"dry": {2: Dim("samples", min=1, max=longest)}, "state": [{} for _ in state]}
    try:
        with torch.no_grad():
            program = torch.export.export(
                _Step(model), (torch.zeros(1, 1, min(EXAMPLE_BLOCK, longest)), state), dynamic_shapes=sizes
            )
    except Exception as error:  # whatever torch raises while it traces
        reason = str(error).strip().splitlines()
        raise ExportError(
            f"the {model.spec.kind} model cannot be written as a program ({reason[0] if reason else error!r})"
        ) from error
    for module in program.graph_module.modules():  # bodies of loops, too
        for node in module.graph.nodes if isinstance(module, fx.GraphModule) else ():
            node.target = stand_ins().get(node.target, node.target)
            for note in NOTES:
                node.meta.pop(note, None)
    program.example_inputs = None  # a state of zeros, which may be large
    return program


def longest_block(model: EffectModel) -> int:
    """Samples that the program of a twin plays at once."""
    return min(getattr(model, "longest_block", LONGEST_BLOCK), LONGEST_BLOCK)


def facts_of(playable: Playable) -> dict[str, Any]:
    """What a program's file says beside the program."""
    model = twin(playable.model)
    at_rest = all(not bool(tensor.any()) for tensor in model.initial_state())
    state = [[list(tensor.shape), str(tensor.dtype).removeprefix("torch.")] for tensor in model.zero_state(1)]
    return {
        "sample_rate": playable.sample_rate,
        "settle_samples": 0 if at_rest else model.context_samples,  # of silence, from a state of zeros
        "longest_block": longest_block(model),  # samples
        "state": state,  # shape and type of each
        "facts": playable.facts,
    }


def playable_of(facts: Mapping[str, Any], run: Run, path: Path) -> Playable:
    """The model that `run` plays; raises `ExportError` where the facts are not those of `facts_of`."""
    try:
        rest = tuple(torch.zeros(shape, dtype=getattr(torch, dtype)) for shape, dtype in facts["state"])
        program = Program(run, rest, int(facts["settle_samples"]), int(facts["longest_block"]))
        return Playable(program, int(facts["sample_rate"]), dict(facts["facts"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ExportError(f"{path}: its facts are not those of a model: {error!r}") from None
