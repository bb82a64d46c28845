"""An ONNX graph in the making: nodes, weights and constants, each value with its type."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

TYPES = {
    torch.float32: TensorProto.FLOAT,
    torch.float64: TensorProto.DOUBLE,
    torch.int64: TensorProto.INT64,
    torch.bool: TensorProto.BOOL,
}
NUMPY = {torch.float32: np.float32, torch.float64: np.float64, torch.int64: np.int64, torch.bool: np.bool_}

Array: TypeAlias = npt.NDArray[Any]
Value: TypeAlias = Any  # a name in the graph, a Python number, or a list of these


class Graph:
    """Nodes and weights so far; a graph within another one sees the other's names."""

    def __init__(self, outer: "Graph | None" = None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.outer = outer
        self.weights: dict[str, Array] = {} if outer is None else outer.weights
        self.types: dict[str, torch.dtype] = {} if outer is None else outer.types
        self._names: dict[Any, str] = {} if outer is None else outer._names

    def add(self, kind: str, *inputs: str, dtype: torch.dtype, **attributes: Any) -> str:
        """Append a node of one output, whose name is returned."""
        return self.add_many(kind, *inputs, dtypes=(dtype,), **attributes)[0]

    def add_many(
        self, kind: str, *inputs: str, dtypes: Sequence[torch.dtype], **attributes: Any
    ) -> list[str]:
        """Append a node of several outputs."""
        names = [self.name(kind.lower()) for _ in dtypes]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        self.types.update(zip(names, dtypes, strict=True))
        return names

    def name(self, stem: str) -> str:
        """A new name."""
        name = f"{stem}_{len(self._names)}"
        self._names[name] = name
        return name

    def hold(self, name: str, array: Array, dtype: torch.dtype) -> str:
        """Keep an array under a name."""
        self.weights[name], self.types[name] = np.array(array, dtype=NUMPY[dtype], order="C"), dtype
        return name

    def constant(self, values: Any, dtype: torch.dtype) -> str:
        """The name of a constant."""
        array: Array = np.asarray(values, dtype=NUMPY[dtype])
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._names:
            self._names[key] = self.hold(f"constant_{len(self._names)}", array, dtype)
        return self._names[key]

    def typed(self, value: Value, dtype: torch.dtype) -> str:
        """A value as a tensor of that type."""
        if not isinstance(value, str):
            return self.constant(value, dtype)
        if self.types[value] == dtype:
            return value
        return self.add("Cast", value, dtype=dtype, to=TYPES[dtype])

    def sizes(self, values: Sequence[Value]) -> str:
        """Whole numbers, some of which depend on the block, as one list."""
        if not any(isinstance(v, str) for v in values):
            return self.constant(list(values), torch.int64)
        one = self.constant([1], torch.int64)
        parts = [
            self.add("Reshape", self.typed(v, torch.int64), one, dtype=torch.int64)
            if isinstance(v, str)
            else self.constant([v], torch.int64)
            for v in values
        ]
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, dtype=torch.int64, axis=0)

    def proto(
        self, name: str, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
    ) -> onnx.GraphProto:
        """The graph; the outermost one holds the weights of all."""
        weights = self.weights if self.outer is None else {}
        used = _inputs_of(self.nodes)
        held = [numpy_helper.from_array(a, n) for n, a in weights.items() if n in used]
        return helper.make_graph(self.nodes, name, inputs, outputs, held)


def signature(name: str, dtype: torch.dtype, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    """An input or output of a graph."""
    return helper.make_tensor_value_info(name, TYPES[dtype], list(shape))


def _inputs_of(nodes: Any) -> set[str]:
    """All names that nodes and the graphs within them take."""
    found = {name for node in nodes for name in node.input}
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found |= _inputs_of(attribute.g.node) | {output.name for output in attribute.g.output}
    return found
