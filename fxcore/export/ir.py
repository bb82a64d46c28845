"""`ir`: an impulse response as a 32-bit float WAV file, for convolution plug-ins, pedals and cabinet loaders.

The first sample is what the effect does at once: nothing is delayed, trimmed or normalised. A constant that
the model adds to the wet has no place in the file and is left out.
"""

import copy
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from fxcore.errors import ExportError
from fxcore.export import jsonfile
from fxcore.export.base import Exporter, Limits, Playable
from fxcore.export.native import build_with
from fxcore.models import EffectModel
from fxcore.models.fir import FirNet

FLOAT, CHANNELS, BYTES = 3, 1, 4  # of WAVE_FORMAT_IEEE_FLOAT
LONGEST = 480_000  # samples; `fir` has no more


class IrExporter(Exporter):
    """`fir` models."""

    kind: ClassVar[str] = "ir"
    extension: ClassVar[str] = ".ir.wav"
    players: ClassVar[str] = "convolution plug-ins, cabinet loaders and pedals"
    holds: ClassVar[Mapping[str, Limits]] = {"fir": {}}

    def promised(self, model: EffectModel) -> EffectModel:
        without = copy.deepcopy(model)
        assert isinstance(without, FirNet)
        with torch.no_grad():
            without.bias.zero_()
        return without

    def encode(self, playable: Playable) -> bytes:
        model = playable.model
        assert isinstance(model, FirNet)
        dry_scale, wet_scale = model.scale.double()
        taps = (model.filters.taps[0].double() * wet_scale / dry_scale).detach().cpu().float().numpy()
        rate = playable.sample_rate
        told = {**playable.facts, "digest": jsonfile.digest([taps])}
        comment = json.dumps(told, sort_keys=True).encode() + b"\0"
        chunks = [
            (b"fmt ", struct.pack("<HHIIHHH", FLOAT, CHANNELS, rate, rate * BYTES, BYTES, 8 * BYTES, 0)),
            (b"fact", struct.pack("<I", len(taps))),
            (b"LIST", b"INFO" + _chunk(b"ICMT", comment)),
            (b"data", taps.astype("<f4").tobytes()),
        ]
        body = b"WAVE" + b"".join(_chunk(*chunk) for chunk in chunks)
        return b"RIFF" + struct.pack("<I", len(body)) + body

    def decode(self, path: Path) -> Playable:
        try:
            contents = path.read_bytes()
        except OSError as error:
            raise ExportError(f"{path} cannot be read: {error.strerror}") from None
        if contents[:4] != b"RIFF" or contents[8:12] != b"WAVE":
            raise ExportError(f"{path} is no WAV file")
        chunks = _chunks(contents[12:], path)
        form, data = chunks.get(b"fmt "), chunks.get(b"data")
        if form is None or data is None or len(form) < 16:
            raise ExportError(f"{path}: chunk 'fmt ' or 'data' is missing")
        kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", form[:16])
        if (kind, channels, bits) != (FLOAT, CHANNELS, 8 * BYTES) or rate < 1:
            raise ExportError(f"{path}: chunk 'fmt ' must be one channel of 32-bit floats to be read here")
        if not 0 < len(data) <= BYTES * LONGEST or len(data) % BYTES:
            raise ExportError(f"{path}: chunk 'data' must hold 1 to {LONGEST} samples; got {len(data)} bytes")
        taps = torch.from_numpy(np.frombuffer(data, "<f4").copy())
        held = {"filters.taps": taps[None], "bias": torch.zeros(1), "scale": torch.ones(2)}
        model = build_with({"kind": "fir", "taps": len(taps)}, held, path)
        facts = _facts(chunks.get(b"LIST", b""), path)
        jsonfile.check_digest(facts.pop("digest", None), [taps], "data", path)
        return Playable(model, rate, facts)


def _chunk(name: bytes, contents: bytes) -> bytes:
    return name + struct.pack("<I", len(contents)) + contents + b"\0" * (len(contents) % 2)


def _chunks(contents: bytes, path: Path) -> dict[bytes, bytes]:
    """Chunks by name; raises `ExportError` where one is cut off."""
    found, at = {}, 0
    while at + 8 <= len(contents):
        name, (size,) = contents[at : at + 4], struct.unpack("<I", contents[at + 4 : at + 8])
        found[name] = contents[at + 8 : at + 8 + size]
        if len(found[name]) < size:
            raise ExportError(f"{path} is truncated within its chunk '{name.decode(errors='replace')}'")
        at += 8 + size + size % 2
    return found


def _facts(info: bytes, path: Path) -> dict[str, Any]:
    comment = _chunks(info[4:], path).get(b"ICMT", b"{}") if info[:4] == b"INFO" else b"{}"
    try:
        facts = json.loads(comment.rstrip(b"\0"))
    except ValueError:  # another program's words
        return {}
    return facts if isinstance(facts, dict) else {}
