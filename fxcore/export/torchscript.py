"""`torchscript`: a program for `torch.export.load`, in Python or compiled ahead of time for C++.

TorchScript itself is deprecated; this is what took its place. A file loads without this project:

facts = {"fxsearch.json": ""}
play = torch.export.load("amp.pt2", extra_files=facts).module()
state = [torch.zeros(shape) for shape, _ in json.loads(facts["fxsearch.json"])["state"]]
wet, state = play(dry, state)  # dry (1, 1, N)
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from fxcore.errors import ExportError
from fxcore.export.base import Exporter, Limits, Playable
from fxcore.export.program import EVERY_FAMILY, facts_of, playable_of, trace

FACTS = "fxsearch.json"  # within the file


class TorchExporter(Exporter):
    """Every family, with the output's decoding in the program."""

    kind: ClassVar[str] = "torchscript"
    extension: ClassVar[str] = ".pt2"
    players: ClassVar[str] = "torch.export.load, AOTInductor"
    runs_code: ClassVar[bool] = True  # PyTorch unpickles and evaluates parts of it
    holds: ClassVar[Mapping[str, Limits]] = EVERY_FAMILY

    def encode(self, playable: Playable) -> bytes:
        program = trace(playable.model)
        buffer = io.BytesIO()
        torch.export.save(
            program, buffer, extra_files={FACTS: json.dumps(facts_of(playable), sort_keys=True)}
        )
        return buffer.getvalue()

    def decode(self, path: Path) -> Playable:
        found = {FACTS: ""}
        try:
            with path.open("rb") as file:
                program = torch.export.load(io.BytesIO(file.read()), extra_files=found)
        except (OSError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile) as error:
            reason = str(error).strip().splitlines() or ["unreadable"]
            raise ExportError(f"{path} is no program ({reason[0]})") from None
        held = {**program.state_dict, **program.constants}
        for name, tensor in held.items():
            if isinstance(tensor, Tensor) and not bool(tensor.isfinite().all()):
                raise ExportError(
                    f"{path}: the weights '{name}' hold NaN or infinite values; export it again"
                )
        module = program.module()

        def run(dry: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
            wet, after = module(dry, list(state))
            return wet, after

        return playable_of(json.loads(found[FACTS]), run, path)
