"""What each of torch's operations is in ONNX: one entry here is all that a new one needs.

A translation takes the graph, the type and shape of the result, and the operation's own arguments;
it returns the name of the result. Whole numbers that depend on the block's length are int64 scalars.
"""
# ruff: noqa: ARG001, ARG005  # a translation takes all that the operation does

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from fxcore.export.onnx_graph import Graph, Value, signature


class Out(NamedTuple):
    """What an operation results in, the first of `parts`; -1 is a size that depends on the block."""

    dtype: torch.dtype
    shape: list[int]
    parts: int = 1


Translation: TypeAlias = Callable[..., Value]

aten = torch.ops.aten
END = (1 << 63) - 1
INT = torch.int64
WIDE = torch.float64

IGNORED = {  # assertions, and the comparisons of lengths in them
    aten._assert_tensor_metadata.default,
    aten._assert_scalar.default,
    aten.sym_constrain_range_for_size.default,
    *(operator.ge, operator.le, operator.gt, operator.lt, operator.eq),
}
UNARY = {
    aten.relu.default: "Relu",
    aten.tanh.default: "Tanh",
    aten.sigmoid.default: "Sigmoid",
    aten.softplus.default: "Softplus",
    aten.exp.default: "Exp",
    aten.log.default: "Log",
    aten.sqrt.default: "Sqrt",
    aten.sign.default: "Sign",
    aten.abs.default: "Abs",
    aten.neg.default: "Neg",
    aten.reciprocal.default: "Reciprocal",
    aten.round.default: "Round",
    aten.floor.default: "Floor",
    aten.cos.default: "Cos",
    aten.sin.default: "Sin",
    aten.acos.default: "Acos",
    aten.detach.default: "Identity",
    aten.clone.default: "Identity",
    aten.contiguous.default: "Identity",
    aten.alias.default: "Identity",
    aten.detach_.default: "Identity",
    aten.lift_fresh_copy.default: "Identity",
    operator.neg: "Neg",
}
BINARY = {
    aten.mul.Tensor: "Mul",
    aten.mul.Scalar: "Mul",
    aten.div.Tensor: "Div",
    aten.div.Scalar: "Div",
    aten.maximum.default: "Max",
    aten.minimum.default: "Min",
    aten.pow.Tensor_Scalar: "Pow",
    aten.pow.Tensor_Tensor: "Pow",
    operator.add: "Add",
    operator.sub: "Sub",
    operator.mul: "Mul",
    operator.floordiv: "Div",
    torch.sym_max: "Max",
}
SUMS = {
    aten.add.Tensor: "Add",
    aten.add.Scalar: "Add",
    aten.sub.Tensor: "Sub",
    aten.sub.Scalar: "Sub",
}
COMPARISONS = {
    aten.gt.Tensor: "Greater",
    aten.gt.Scalar: "Greater",
    aten.lt.Tensor: "Less",
    aten.lt.Scalar: "Less",
    aten.ge.Tensor: "GreaterOrEqual",
    aten.ge.Scalar: "GreaterOrEqual",
    aten.le.Tensor: "LessOrEqual",
    aten.le.Scalar: "LessOrEqual",
    aten.eq.Tensor: "Equal",
    aten.eq.Scalar: "Equal",
    aten.logical_and.default: "And",
    aten.bitwise_and.Tensor: "And",
    aten.__and__.Tensor: "And",
    aten.logical_or.default: "Or",
}
PRODUCTS = (aten.matmul.default, aten.mm.default, aten.bmm.default, aten.mv.default)
RESHAPES = (
    aten.view.default,
    aten.reshape.default,
    aten.flatten.using_ints,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.unsqueeze.default,
)
CASTS = (aten.to.dtype, aten.to.device, aten._to_copy.default, aten.to.dtype_layout, aten.type_as.default)


def unary(kind: str) -> Translation:
    return lambda g, out, value, **_: g.add(kind, g.typed(value, out.dtype), dtype=out.dtype)


def binary(kind: str) -> Translation:
    return lambda g, out, a, b: g.add(kind, g.typed(a, out.dtype), g.typed(b, out.dtype), dtype=out.dtype)


def summed(kind: str) -> Translation:
    def translate(g: Graph, out: Out, a: Value, b: Value, alpha: float = 1) -> str:
        b = g.typed(b, out.dtype)
        if alpha != 1:
            b = g.add("Mul", b, g.constant(alpha, out.dtype), dtype=out.dtype)
        return g.add(kind, g.typed(a, out.dtype), b, dtype=out.dtype)

    return translate


def compared(kind: str) -> Translation:
    def translate(g: Graph, out: Out, a: str, b: Value) -> str:
        dtype = g.types[a]
        if isinstance(b, str):
            dtype = torch.promote_types(dtype, g.types[b])
        return g.add(kind, g.typed(a, dtype), g.typed(b, dtype), dtype=out.dtype)

    return translate


def log1p(g: Graph, out: Out, value: str) -> str:
    added = g.add("Add", g.typed(value, WIDE), g.constant(1.0, WIDE), dtype=WIDE)
    return g.typed(g.add("Log", added, dtype=WIDE), out.dtype)


def expm1(g: Graph, out: Out, value: str) -> str:
    raised = g.add("Exp", g.typed(value, WIDE), dtype=WIDE)
    return g.typed(g.add("Sub", raised, g.constant(1.0, WIDE), dtype=WIDE), out.dtype)


def clamp(g: Graph, out: Out, value: str, low: Value = None, high: Value = None, **named: Value) -> str:
    low, high = named.get("min", low), named.get("max", high)
    value = g.typed(value, out.dtype)
    if low is not None:
        value = g.add("Max", value, g.typed(low, out.dtype), dtype=out.dtype)
    return value if high is None else g.add("Min", value, g.typed(high, out.dtype), dtype=out.dtype)


def remainder(g: Graph, out: Out, value: str, by: Value) -> str:
    by = g.typed(by, out.dtype)
    whole = g.add("Floor", g.add("Div", value, by, dtype=out.dtype), dtype=out.dtype)
    return g.add("Sub", value, g.add("Mul", whole, by, dtype=out.dtype), dtype=out.dtype)


def linear(g: Graph, out: Out, value: str, weight: str, bias: str | None = None) -> str:
    across = g.add("Transpose", weight, dtype=out.dtype, perm=[1, 0])
    product = g.add("MatMul", value, across, dtype=out.dtype)
    return product if bias is None else g.add("Add", product, bias, dtype=out.dtype)


def conv1d(
    g: Graph,
    out: Out,
    value: str,
    weight: str,
    bias: str | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> str:
    inputs = [value, weight] if bias is None else [value, weight, bias]
    shape = {"strides": list(stride), "pads": [*padding, *padding], "dilations": list(dilation)}
    return g.add("Conv", *inputs, dtype=out.dtype, group=groups, **shape)


def size(g: Graph, out: Out, value: str, dim: int) -> str:
    shape = g.add("Shape", value, dtype=INT)
    return g.add("Gather", shape, g.constant(dim, INT), dtype=INT, axis=0)


def sliced(
    g: Graph, out: Out, value: str, dim: int = 0, start: Value = None, end: Value = None, step: int = 1
) -> str:
    start, end = 0 if start is None else start, END if end is None else end
    return g.add("Slice", value, *(g.sizes([v]) for v in (start, end, dim, step)), dtype=out.dtype)


def select(g: Graph, out: Out, value: str, dim: int, index: Value) -> str:
    return g.add("Gather", value, g.typed(index, INT), dtype=out.dtype, axis=dim)


def concatenated(g: Graph, out: Out, values: Sequence[str], dim: int = 0) -> str:
    return g.add("Concat", *(g.typed(v, out.dtype) for v in values), dtype=out.dtype, axis=dim)


def stacked(g: Graph, out: Out, values: Sequence[str], dim: int = 0) -> str:
    axes = g.constant([dim], INT)
    wider = [g.add("Unsqueeze", g.typed(v, out.dtype), axes, dtype=out.dtype) for v in values]
    return g.add("Concat", *wider, dtype=out.dtype, axis=dim)


def chunked(g: Graph, out: Out, value: str, chunks: int, dim: int = 0) -> list[str]:
    return g.add_many("Split", value, dtypes=[out.dtype] * chunks, axis=dim)


def split(g: Graph, out: Out, value: str, sizes: Sequence[int], dim: int = 0) -> list[str]:
    return g.add_many("Split", value, g.sizes(sizes), dtypes=[out.dtype] * len(sizes), axis=dim)


def unbound(g: Graph, out: Out, value: str, dim: int = 0) -> list[str]:
    axes, parts = g.constant([dim], INT), g.add_many("Split", value, dtypes=[out.dtype] * out.parts, axis=dim)
    return [g.add("Squeeze", part, axes, dtype=out.dtype) for part in parts]


def indexed(g: Graph, out: Out, value: str, indices: Sequence[str | None]) -> str:
    (axis,) = (i for i, index in enumerate(indices) if index is not None)
    return g.add("Gather", value, str(indices[axis]), dtype=out.dtype, axis=axis)


def scanned(
    g: Graph, out: Out, body: Any, carried: Sequence[str], heard: Sequence[str], held: Sequence[str]
) -> list[str]:
    """A loop over the first dimension of `heard`; its body is a program of its own."""
    from fxcore.export.onnx import translate

    inner = Graph(g)
    places = [node for node in body.graph.nodes if node.op == "placeholder"]
    names = [inner.name("carried" if i < len(carried) else "heard") for i in range(len(carried) + len(heard))]
    env = dict(zip(places, [*names, *held], strict=True))
    values = [node.meta["val"] for node in places[: len(names)]]
    inner.types.update((name, value.dtype) for name, value in zip(names, values, strict=True))
    translate(inner, body.graph, env)
    results = list(body.graph.output_node().args[0])
    types = [node.meta["val"].dtype for node in results]
    ends = [
        inner.add("Identity", inner.typed(env[node], t), dtype=t)
        for node, t in zip(results, types, strict=True)
    ]
    proto = inner.proto(
        g.name("body"),
        [signature(n, v.dtype, list(v.shape)) for n, v in zip(names, values, strict=True)],
        [
            signature(n, node.meta["val"].dtype, list(node.meta["val"].shape))
            for n, node in zip(ends, results, strict=True)
        ],
    )
    return g.add_many("Scan", *carried, *heard, dtypes=types, body=proto, num_scan_inputs=len(heard))


def transposed(g: Graph, out: Out, value: str, first: int, second: int) -> str:
    order = list(range(len(out.shape)))
    order[first], order[second] = order[second], order[first]
    return g.add("Transpose", value, dtype=out.dtype, perm=order)


def permuted(g: Graph, out: Out, value: str, order: Sequence[int]) -> str:
    return g.add("Transpose", value, dtype=out.dtype, perm=[d % len(out.shape) for d in order])


def reshaped(g: Graph, out: Out, value: str, *_: Any) -> str:
    assert out.shape.count(-1) <= 1, "one size at most may depend on the block"
    return g.add("Reshape", value, g.constant(out.shape, INT), dtype=out.dtype, allowzero=1)


def flipped(g: Graph, out: Out, value: str, dims: Sequence[int]) -> str:
    n = len(dims)
    bounds = [g.constant(v, INT) for v in ([-1] * n, [-END] * n, list(dims), [-1] * n)]
    return g.add("Slice", value, *bounds, dtype=out.dtype)


def ranged(g: Graph, out: Out, start: Value, end: Value, step: Value = 1, **_: Any) -> str:
    bounds = [g.typed(v, INT) for v in (start, end, step)]
    return g.typed(g.add("Range", *bounds, dtype=INT), out.dtype)


def padded(
    g: Graph, out: Out, value: str, pads: Sequence[Value], mode: str = "constant", fill: float = 0
) -> str:
    first = [0] * (len(out.shape) - len(pads) // 2)  # pads are named from the last dimension on
    widths = g.sizes([*first, *pads[-2::-2], *first, *pads[::-2]])
    return g.add("Pad", value, widths, g.constant(fill or 0, out.dtype), dtype=out.dtype)


def zeros(g: Graph, out: Out, sizes: Sequence[Value], *_: Any, **__: Any) -> str:
    return g.typed(g.add("ConstantOfShape", g.sizes(sizes), dtype=torch.float32), out.dtype)


def zeros_like(g: Graph, out: Out, value: str, **_: Any) -> str:
    shape = g.add("Shape", value, dtype=INT)
    return g.typed(g.add("ConstantOfShape", shape, dtype=torch.float32), out.dtype)


def reduced(g: Graph, out: Out, value: str, dims: Sequence[int], keep: bool = False, **_: Any) -> str:
    value, axes = g.typed(value, out.dtype), g.constant(list(dims), INT)
    return g.add("ReduceSum", value, axes, dtype=out.dtype, keepdims=int(keep))


def chosen(g: Graph, out: Out, on: str, a: Value, b: Value) -> str:
    return g.add("Where", on, g.typed(a, out.dtype), g.typed(b, out.dtype), dtype=out.dtype)


def atan2(g: Graph, out: Out, imag: str, real: str) -> str:
    """In double precision, which engines have no arctangent of: float32's, and a step of Newton's method."""
    slope = g.add("Div", imag, real, dtype=WIDE)
    coarse = g.typed(g.add("Atan", g.typed(slope, torch.float32), dtype=torch.float32), WIDE)
    cosine, sine = (g.add(kind, coarse, dtype=WIDE) for kind in ("Cos", "Sin"))

    def product(a: str, b: str) -> str:
        return g.add("Mul", a, b, dtype=WIDE)

    across = g.add("Sub", product(imag, cosine), product(real, sine), dtype=WIDE)
    along = g.add("Add", product(real, cosine), product(imag, sine), dtype=WIDE)
    angle = g.add("Add", coarse, g.add("Div", across, along, dtype=WIDE), dtype=WIDE)
    nothing = g.constant(0.0, WIDE)
    below = g.add("Less", imag, nothing, dtype=torch.bool)
    half = chosen(g, out, below, -np.pi, np.pi)
    left = g.add("Less", real, nothing, dtype=torch.bool)
    return g.add("Add", angle, chosen(g, out, left, half, 0.0), dtype=WIDE)


def rfft(g: Graph, out: Out, signal: str) -> str:
    """Complex numbers are their two parts in a last dimension, as `view_as_real` has them."""
    parts = g.add("Unsqueeze", signal, g.constant([-1], INT), dtype=WIDE)
    return g.add("DFT", parts, dtype=WIDE, axis=len(out.shape) - 1, onesided=1)


def irfft(g: Graph, out: Out, spectrum: str, samples: int) -> str:
    """Engines go back from whole spectra only: the other half is the first one's mirror image."""
    axis, end = len(out.shape) - 1, (samples - 1) // 2  # without what lies at half the sample rate
    rest = sliced(g, out, spectrum, axis, end, 0, -1)
    mirrored = g.add("Mul", rest, g.constant([1.0, -1.0], WIDE), dtype=WIDE)
    whole = g.add("Concat", spectrum, mirrored, dtype=WIDE, axis=axis)
    return select(g, out, g.add("DFT", whole, dtype=WIDE, axis=axis, inverse=1), axis + 1, 0)


def scatter_add(g: Graph, out: Out, value: str, dim: int, index: str, added: str) -> str:
    return g.add("ScatterElements", value, index, added, dtype=out.dtype, axis=dim, reduction="add")


def lstm(
    g: Graph, out: Out, signal: str, state: Sequence[str], weights: Sequence[str], *settings: Any
) -> list[str]:
    """Gates i, f, g, o of torch are i, o, f, c here."""
    return _recurrent(g, "LSTM", (0, 3, 1, 2), signal, state, weights, {})


def gru(g: Graph, out: Out, signal: str, state: str, weights: Sequence[str], *settings: Any) -> list[str]:
    """Gates r, z, n of torch are z, r, h here; the reset acts after the recurrent product."""
    return _recurrent(g, "GRU", (1, 0, 2), signal, [state], weights, {"linear_before_reset": 1})


def _recurrent(
    g: Graph,
    kind: str,
    order: Sequence[int],
    signal: str,
    state: Sequence[str],
    weights: Sequence[str],
    attributes: dict[str, Any],
) -> list[str]:
    """Output (B, N, H) and the states (layers, B, H) after it; the weights are torch's, four a layer."""
    dtype = g.types[signal]

    def ordered(name: str) -> Any:
        gates = g.weights[name].reshape(len(order), -1, *g.weights[name].shape[1:])
        return gates[list(order)].reshape(g.weights[name].shape)

    signal = g.add("Transpose", signal, dtype=dtype, perm=[1, 0, 2])  # (N, B, I)
    after: list[list[str]] = []
    for i in range(len(weights) // 4):
        into, back, bias, bias_back = (ordered(name) for name in weights[4 * i : 4 * i + 4])
        arrays = {"W": into[None], "R": back[None], "B": np.concatenate([bias, bias_back])[None]}
        held = [g.hold(g.name(f"{kind.lower()}_{k}"), array, dtype) for k, array in arrays.items()]
        begin = [sliced(g, Out(dtype, []), past, 0, i, i + 1) for past in state]
        heard, *now = g.add_many(
            kind,
            *(signal, *held, "", *begin),
            dtypes=[dtype] * (1 + len(state)),
            hidden_size=back.shape[-1],
            **attributes,
        )
        signal = g.add("Squeeze", heard, g.constant([1], INT), dtype=dtype)
        after.append(now)
    states = [g.add("Concat", *layers, dtype=dtype, axis=0) for layers in zip(*after, strict=True)]
    return [g.add("Transpose", signal, dtype=dtype, perm=[1, 0, 2]), *states]


OPERATIONS: dict[Any, Translation] = {
    **{target: unary(kind) for target, kind in UNARY.items()},
    **{target: binary(kind) for target, kind in BINARY.items()},
    **{target: summed(kind) for target, kind in SUMS.items()},
    **{target: compared(kind) for target, kind in COMPARISONS.items()},
    **dict.fromkeys(PRODUCTS, lambda g, out, a, b: g.add("MatMul", a, b, dtype=out.dtype)),
    **dict.fromkeys(RESHAPES, reshaped),
    **dict.fromkeys(CASTS, lambda g, out, value, *_, **__: g.typed(value, out.dtype)),
    aten.rsub.Scalar: lambda g, out, a, b: summed("Sub")(g, out, b, a),
    aten.log1p.default: log1p,
    aten.expm1.default: expm1,
    aten.clamp.default: clamp,
    aten.clamp_min.default: clamp,
    aten.leaky_relu.default: lambda g, out, value, slope=0.01: g.add(
        "LeakyRelu", value, dtype=out.dtype, alpha=slope
    ),
    **dict.fromkeys((aten.where.self, aten.where.ScalarOther, aten.where.ScalarSelf), chosen),
    aten.softmax.int: lambda g, out, value, dim, *_: g.add("Softmax", value, dtype=out.dtype, axis=dim),
    aten.log_softmax.int: lambda g, out, value, dim, *_: g.add(
        "LogSoftmax", value, dtype=out.dtype, axis=dim
    ),
    aten.sum.dim_IntList: reduced,
    aten.einsum.default: lambda g, out, equation, values, **_: g.add(
        "Einsum", *(g.typed(v, out.dtype) for v in values), dtype=out.dtype, equation=equation
    ),
    aten.linear.default: linear,
    aten.remainder.Scalar: remainder,
    aten.remainder.Tensor: remainder,
    aten.conv1d.default: conv1d,
    aten.sym_size.int: size,
    operator.getitem: lambda g, out, values, index: values[index],
    aten.slice.Tensor: sliced,
    aten.select.int: select,
    aten.cat.default: concatenated,
    aten.stack.default: stacked,
    aten.chunk.default: chunked,
    aten.split_with_sizes.default: split,
    aten.unbind.int: unbound,
    aten.numpy_T.default: lambda g, out, value: permuted(g, out, value, range(len(out.shape))[::-1]),
    aten.index.Tensor: indexed,
    torch.ops.higher_order.scan: scanned,
    aten.cumsum.default: lambda g, out, value, dim: g.add(
        "CumSum", value, g.constant(dim, INT), dtype=out.dtype
    ),
    aten.amax.default: lambda g, out, value, dims, keep=False: g.add(
        "ReduceMax", value, dtype=out.dtype, axes=list(dims), keepdims=int(keep)
    ),
    aten.transpose.int: transposed,
    aten.permute.default: permuted,
    aten.flip.default: flipped,
    aten.arange.default: lambda g, out, end, **_: ranged(g, out, 0, end),
    aten.arange.start: ranged,
    aten.arange.start_step: ranged,
    aten.gather.default: lambda g, out, value, dim, index, **_: g.add(
        "GatherElements", value, index, dtype=out.dtype, axis=dim
    ),
    aten.constant_pad_nd.default: lambda g, out, value, pads, fill=0: padded(g, out, value, pads, fill=fill),
    aten.pad.default: padded,
    aten.zeros.default: zeros,
    aten.zeros_like.default: zeros_like,
    aten.new_zeros.default: lambda g, out, value, sizes, **_: zeros(g, out, sizes),
    aten.square.default: lambda g, out, value: g.add("Mul", value, value, dtype=out.dtype),
    aten.atan2.default: atan2,
    aten.fft_rfft.default: rfft,
    aten.fft_irfft.default: irfft,
    aten.view_as_real.default: lambda g, out, value: value,
    aten.view_as_complex.default: lambda g, out, value: value,
    aten.scatter_add.default: scatter_add,
    aten.lstm.input: lstm,
    aten.gru.input: gru,
}
