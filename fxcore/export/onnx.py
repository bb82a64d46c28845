"""`onnx`: a streaming program for ONNX Runtime and other engines: state in, state out, any block size.

Inputs: `dry` (1, 1, samples) and `state_0`, ..; outputs: `wet` and `next_state_0`, .. to feed back. Begin
with zeros, and play `settle_samples` of silence (in the file's metadata) where the effect shall be at rest.
Distributions over mu-law codes are decoded inside.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from fxcore.errors import ExportError
from fxcore.export.base import Exporter, Limits, Playable
from fxcore.export.program import EVERY_FAMILY, facts_of, playable_of, trace

if TYPE_CHECKING:
    import onnx

OPSET = 17
IR_VERSION = 8


class OnnxExporter(Exporter):
    """Every family that can be written as a program."""

    kind: ClassVar[str] = "onnx"
    extension: ClassVar[str] = ".onnx"
    players: ClassVar[str] = "ONNX Runtime, in any language"
    holds: ClassVar[Mapping[str, Limits]] = EVERY_FAMILY

    def encode(self, playable: Playable) -> bytes:
        model = to_onnx(trace(playable.model))
        facts = {"fxsearch": facts_of(playable), "digest": _digest(model)}
        for name, value in sorted(facts.items()):
            model.metadata_props.add(key=name, value=json.dumps(value, sort_keys=True))
        return bytes(model.SerializeToString(deterministic=True))

    def decode(self, path: Path) -> Playable:
        import onnx
        import onnxruntime
        from google.protobuf.message import DecodeError

        try:
            contents = path.read_bytes()
            model = onnx.load_from_string(contents)
            onnx.checker.check_model(model)
        except (OSError, DecodeError, ValueError, onnx.checker.ValidationError) as error:
            reason = " ".join(str(error).split())
            raise ExportError(f"{path} is no ONNX model ({reason[:120]})") from None
        held = {prop.key: prop.value for prop in model.metadata_props}
        if "fxsearch" not in held:
            raise ExportError(f"{path}: metadata 'fxsearch' is missing; give a model that fxsearch exported")
        _check_weights(model, json.loads(held.get("digest", "null")), path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(contents, options, providers=["CPUExecutionProvider"])
        names = [i.name for i in session.get_inputs()]

        def run(dry: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
            arrays = [tensor.detach().cpu().contiguous().numpy() for tensor in (dry, *state)]
            given = dict(zip(("dry", *(f"state_{i}" for i in range(len(state)))), arrays, strict=True))
            found = session.run(None, {name: given[name] for name in names})
            wet, *after = (torch.from_numpy(array) for array in found)
            return wet, after

        return playable_of(json.loads(held["fxsearch"]), run, path)


def to_onnx(program: ExportedProgram) -> "onnx.ModelProto":
    """The ONNX model of a program; raises `ExportError` for an operation that is not known here."""
    from onnx import helper

    from fxcore.export.onnx_graph import Graph, signature

    graph = Graph()
    env: dict[fx.Node, Any] = {}
    held: dict[str, Tensor] = {**program.state_dict, **program.constants}
    nodes = {node.name: node for node in program.graph.nodes}
    inputs, outputs = [], []
    for spec in program.graph_signature.input_specs:
        node = nodes[spec.arg.name]
        name, value = spec.arg.name, node.meta["val"]
        env[node] = name
        if spec.kind is InputKind.USER_INPUT:
            graph.types[name] = value.dtype
            inputs.append(
                signature(name, value.dtype, [s if isinstance(s, int) else "samples" for s in value.shape])
            )
        else:
            tensor = held[str(spec.target)].detach().cpu()
            graph.hold(name, tensor.numpy(), tensor.dtype)
    translate(graph, program.graph, env)
    for i, node in enumerate(program.graph.output_node().args[0]):
        name, value = "wet" if i == 0 else f"next_state_{i - 1}", node.meta["val"]
        graph.nodes.append(helper.make_node("Identity", [graph.typed(env[node], value.dtype)], [name]))
        outputs.append(
            signature(name, value.dtype, [s if isinstance(s, int) else "samples" for s in value.shape])
        )
    return helper.make_model(
        graph.proto("fxsearch", inputs, outputs),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="fxsearch",
    )


def translate(graph: Any, program: fx.Graph, env: dict[fx.Node, Any]) -> None:
    """Append what each call of a program computes; `env` gets their names."""
    from fxcore.export.onnx_operations import IGNORED, OPERATIONS, Out

    for node in program.nodes:
        if node.op == "get_attr":  # the body of a loop
            env[node] = getattr(program.owning_module, node.target)
        if node.op != "call_function" or node.target in IGNORED:
            continue
        if node.target not in OPERATIONS:
            raise ExportError(f"a .onnx file cannot hold the operation {node.target}; choose another format")
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda n: env[n])
        found = node.meta.get("val")
        values = found if isinstance(found, tuple | list) else [found]
        out = Out(torch.int64, [])
        if isinstance(values[0], Tensor):
            shape = [s if isinstance(s, int) else -1 for s in values[0].shape]
            out = Out(values[0].dtype, shape, len(values))
        env[node] = OPERATIONS[node.target](graph, out, *args, **kwargs)


def _digest(model: "onnx.ModelProto") -> str:
    return hashlib.sha256(model.graph.SerializeToString(deterministic=True)).hexdigest()[:32]


def _check_weights(model: "onnx.ModelProto", digest: str | None, path: Path) -> None:
    import numpy as np
    from onnx import numpy_helper

    for weight in model.graph.initializer:
        if not np.isfinite(numpy_helper.to_array(weight)).all():
            raise ExportError(
                f"{path}: the weights '{weight.name}' hold NaN or infinite values; export it again"
            )
    if digest != _digest(model):
        raise ExportError(f"{path} is corrupt: its graph does not match the digest written with it")
