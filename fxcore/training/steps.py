"""Optimiser steps: on a CPU as they come, on a GPU captured once as a CUDA graph and replayed.

A step of a small net is a thousand kernels of some microseconds each; launched one by one, they keep the GPU
waiting most of the time.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.autograd.graph import increment_version
from torch.optim.adam import adam

from fxcore.losses import WeightedLoss
from fxcore.models import EffectModel, TrainingSpec
from fxcore.models.base import State

BETAS, EPSILON = (0.9, 0.999), 1e-8  # of Adam
WARM_UP_CALLS = 3  # before a call is captured: libraries choose and load their kernels meanwhile


class Optimiser:
    """Adam (Kingma and Ba, 2015) over a model's parameters, all of them in a few calls.

    It calls PyTorch's function rather than its class, which imports a compiler for seconds.
    """

    def __init__(self, model: EffectModel, recipe: TrainingSpec, loss: WeightedLoss) -> None:
        self._model, self._recipe, self._loss = model, recipe, loss
        device = model.scale.device
        self._on_gpu = device.type == "cuda"
        self._rate: Tensor | float = recipe.learning_rate
        if self._on_gpu:  # a captured step reads the rate where it lies
            self._rate = torch.tensor(recipe.learning_rate, device=device)
            self._queued = torch.Event(device)
        self._moments = [Moments.of(parameter) for parameter in model.parameters()]
        self._step = Replayed(self._take, self._on_gpu)

    def step(self, dry: Tensor, wet: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Learn from windows (B, 1, T); from blocks (B, 1, N) where there is the state before them.

        Returns the loss before the step, and the state after the block. Both are good until the next step.
        """
        loss, *after = self._step(dry, wet, *(state or ()))
        increment_version(self._model.parameters())  # they changed unseen; models keep what they made of them
        return loss, tuple(after)

    def warm_up(self, dry: Tensor, wet: Tensor) -> None:
        """Compute a gradient of windows (B, 1, T), and learn nothing."""
        torch.autograd.backward(self._model.loss(self._model(dry), wet, self._loss))
        self._model.zero_grad(set_to_none=True)

    def pace(self) -> None:
        """Wait until a GPU has at most the steps since the last call before it: else they would queue up."""
        if self._on_gpu:
            before, self._queued = self._queued, torch.Event(self._model.scale.device)
            self._queued.record()
            before.synchronize()

    def finish(self) -> None:
        """Wait until all steps are done."""
        if self._on_gpu:
            torch.cuda.synchronize(self._model.scale.device)

    @property
    def captures(self) -> bool:
        """Whether steps are captured, which may be turned off before the first."""
        return self._step.capturable

    @captures.setter
    def captures(self, captures: bool) -> None:
        self._step.capturable = captures

    @property
    def rate(self) -> float:
        """The learning rate."""
        return float(self._rate)

    @rate.setter
    def rate(self, rate: float) -> None:
        if isinstance(self._rate, Tensor):
            self._rate.fill_(rate)
        else:
            self._rate = rate

    def state_dict(self) -> dict[str, Tensor]:
        """Copies of the moments of each parameter, by its place and their names."""
        return {
            f"{i}.{name}": tensor.clone()
            for i, moments in enumerate(self._moments)
            for name, tensor in moments._asdict().items()
        }

    def load_state_dict(self, held: Mapping[str, Tensor]) -> None:
        """Go on where another stopped, be it on another device; the rate is the caller's to set."""
        for key, tensor in held.items():
            i, name = key.split(".")
            getattr(self._moments[int(i)], name).copy_(tensor)

    def _take(self, dry: Tensor, wet: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        raw, after = self._model.step(dry, state) if state else (self._model(dry), ())
        loss = self._model.loss(raw, wet, self._loss)
        self._model.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._recipe.clip_norm)
        self._adam()
        return (loss.detach(), *(s.detach() for s in after))

    @torch.no_grad()
    def _adam(self) -> None:
        learning = [
            (parameter, parameter.grad, moments)
            for parameter, moments in zip(self._model.parameters(), self._moments, strict=True)
            if parameter.grad is not None
        ]
        adam(
            [parameter for parameter, _, _ in learning],
            [gradient for _, gradient, _ in learning],
            [moments.exp_avg for _, _, moments in learning],
            [moments.exp_avg_sq for _, _, moments in learning],
            [],
            [moments.step for _, _, moments in learning],
            fused=not self._on_gpu,
            foreach=self._on_gpu,
            capturable=self._on_gpu,
            lr=self._rate,
            beta1=BETAS[0],
            beta2=BETAS[1],
            eps=EPSILON,
            weight_decay=0.0,
            amsgrad=False,
            maximize=False,
        )


class Moments(NamedTuple):
    """What Adam knows of a parameter: how many gradients it saw, and their decaying means."""

    step: Tensor  # a number
    exp_avg: Tensor  # of the gradients, as the parameter
    exp_avg_sq: Tensor  # of their squares

    @classmethod
    def of(cls, parameter: Tensor) -> Self:
        """Before the first gradient."""
        nothing = torch.zeros_like(parameter.detach())
        return cls(torch.zeros((), device=parameter.device), nothing, nothing.clone())


class Replayed:
    """A function of tensors of fixed shapes, captured as a CUDA graph after some calls and then replayed.

    What cannot be captured, such as a step that asks for a number on the way, runs as it comes.
    """

    def __init__(self, call: Callable[..., tuple[Tensor, ...]], capturable: bool) -> None:
        self._call, self._calls, self.capturable = call, 0, capturable
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[Tensor, ...] = ()
        self._outputs: tuple[Tensor, ...] = ()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What it returns lies where the next call puts its own."""
        if not self.capturable:
            return self._call(*inputs)
        self._calls += 1
        if self._calls <= WARM_UP_CALLS:
            with _aside():
                return self._call(*inputs)
        graph = self._graph or self._capture(inputs)
        if graph is None:
            return self._call(*inputs)
        for held, given in zip(self._inputs, inputs, strict=True):
            held.copy_(given)
        graph.replay()
        return self._outputs

    def _capture(self, inputs: tuple[Tensor, ...]) -> torch.cuda.CUDAGraph | None:
        """Record the call without running it; None where that is not possible."""
        graph = torch.cuda.CUDAGraph()
        self._inputs = tuple(tensor.clone() for tensor in inputs)
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._outputs = self._call(*self._inputs)
        except RuntimeError:
            torch.cuda.synchronize()
            self.capturable = False
            return None
        self._graph = graph
        return graph


@contextmanager
def _aside() -> Iterator[None]:
    """Run on another stream, as what will be captured must have."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch's is untyped
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream().wait_stream(stream)
