"""What a model does in torch to play a block, counted without a clock: the same on every machine.

In inference mode torch hands a call over whole, before it is taken apart, so that what Python pays for each
call and what a loop within one pays for each of its steps can be told apart.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from fxcore.models import EffectModel
from fxcore.models.base import PLAYED_BLOCK_SAMPLES

BLOCKS = 4  # as long as the shortest partition of `long_convolution`
MOST_OPERATIONS, MOST_PRODUCTS = 300, 1e8  # after which no further block is counted

aten = torch.ops.aten
IN_PLACE = {aten.addmm_: aten.addmm, aten.baddbmm_: aten.baddbmm}  # which torch's counter does not know


class Work(NamedTuple):
    """Of one block."""

    calls: float  # of torch, that compute something: views do not
    steps: float  # further operations inside of calls, such as those of a recurrent layer for each sample
    products: float  # multiply-adds of matrix products, convolutions and recurrent layers
    convolved: float  # values that convolutions put out: to lay them out costs more than the products


def count_work(model: EffectModel) -> Work:
    """What one of some 64-sample blocks takes on average, those that prepare something not counted."""
    dry = torch.randn(1, 1, PLAYED_BLOCK_SAMPLES, generator=torch.Generator().manual_seed(0)) * 0.1
    counter, blocks = _Counter(), 0
    with torch.inference_mode():
        _, state = model.stream(dry, model.zero_state(1))
        with counter:
            while blocks < BLOCKS and not counter.enough:
                _, state = model.stream(dry, state)
                blocks += 1
    return Work(*(total / blocks for total in counter.total))


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's is untyped
    """Adds up work while it is entered."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's is untyped
        self.total = Work(0, 0, 0, 0)
        self._inside = False  # a call that came from Python
        self._parts, self._computes = 0, False  # of that call
        self._elementary = set[object]()  # operations that cannot be taken apart

    @property
    def enough(self) -> bool:
        """Whether a further block would take long."""
        operations = self.total.calls + self.total.steps
        return operations >= MOST_OPERATIONS or self.total.products >= MOST_PRODUCTS

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else the first call imports torch's compiler, to be told so: a second or two

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if self._inside:
            return self._run(func, args, kwargs or {})
        self._inside, self._parts, self._computes = True, 0, False
        try:
            return self._run(func, args, kwargs or {})
        finally:
            self._inside = False
            if self._computes:
                self._add(calls=1, steps=self._parts - 1)

    def _run(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run an operation, part by part where it has parts, and count what is elementary."""
        operation = func.overloadpacket
        whole = operation is aten.lstm  # which oneDNN plays as one; where it is not, parts would count
        if not whole and func not in self._elementary:
            with self:
                done = func.decompose(*args, **kwargs)
            if done is not NotImplemented:
                return done
            self._elementary.add(func)
        out = func(*args, **kwargs)
        self._parts += 1
        self._computes |= not func.is_view
        if whole:
            signal, _, weights, _, layers, *_ = args
            samples = signal.numel() // signal.shape[-1]
            self._parts += 2 * layers * samples  # a product and its gates, for each sample
            self._add(products=samples * sum(weight.numel() for weight in weights if weight.dim() > 1))
        elif (alike := IN_PLACE.get(operation, operation)) in flop_registry:
            flops: Callable[..., int] = flop_registry[alike]
            self._add(products=flops(*args, **kwargs, out_val=out) / 2)
        if operation is aten.convolution:
            self._add(convolved=out.numel())
        return out

    def _add(self, **more: float) -> None:
        self.total = self.total._replace(**{name: getattr(self.total, name) + n for name, n in more.items()})
