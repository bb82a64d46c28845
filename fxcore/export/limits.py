"""What a search may draw so that its models fit into the formats that it is meant for."""

from collections.abc import Mapping, Sequence
from typing import Any

from fxcore.export.base import Exporter
from fxcore.models import FAMILIES


def common_limits(exporters: Sequence[Exporter], family: str) -> dict[str, tuple[Any, ...]] | None:
    """Values that fields of a family may have for all formats; other fields are free.

    `output` stands for the kind of output. None where no model of the family fits into all of them.
    """
    allowed: dict[str, tuple[Any, ...]] = {}
    for exporter in exporters:
        if family not in exporter.holds:
            return None
        for field, values in exporter.holds[family].items():
            allowed[field] = tuple(v for v in allowed.get(field, values) if v in values)
    possible = FAMILIES[family].outputs
    if "output" in allowed:
        allowed["output"] = tuple(kind for kind in allowed["output"] if kind in possible)
    return None if () in allowed.values() else allowed


def in_words(limits: Mapping[str, tuple[Any, ...]]) -> str:
    """Limits for people: `hidden 8|12, no skip`."""
    words = []
    for field, values in limits.items():
        if set(values) == {False, True} and all(isinstance(v, bool) for v in values):
            continue
        if field == "output":
            words.append("|".join(values))
        elif values in ((False,), (0,)):
            words.append(f"no {field}")
        elif values[0] is True:
            words.append(f"with {field}")
        else:
            words.append(f"{field} {'|'.join(map(str, values))}")
    return ", ".join(words)
