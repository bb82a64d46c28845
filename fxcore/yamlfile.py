"""Read a spec from a YAML file; what is wrong is told with its line."""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from fxcore.errors import SpecError
from fxcore.spec import Spec

S = TypeVar("S", bound=Spec)


def load_yaml(path: Path | str, spec: type[S], overrides: Sequence[str] = ()) -> S:
    """The spec in a file, `key.sub=value` overrides applied; raises `SpecError` with file and line."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(f"{path} does not exist; give the path of a YAML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} cannot be read as text: {error}") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise SpecError(f"{where}: not valid YAML: {getattr(error, 'problem', error)}") from None
    _refuse_duplicates(node, path)
    if not isinstance(values, dict):
        raise SpecError(f"{path} must hold `key: value` lines; got {type(values).__name__}")
    for override in overrides:
        apply_override(values, override)
    try:
        return spec.from_dict(values)
    except SpecError as error:
        raise SpecError(f"{path}:{_line_of(node, error.path)}: {error}", error.path) from None


def apply_override(values: dict[str, Any], override: str) -> None:
    """Put `budget.trials=8` into nested values; the right side is YAML."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise SpecError(f"--set takes key=value, as in budget.trials=8; got '{override}'")
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise SpecError(f"--set {override}: '{parent}' holds no keys of its own")
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise SpecError(f"--set {override}: '{text}' is not a YAML value") from None


def _line_of(node: yaml.Node | None, path: Sequence[int | str]) -> int:
    """The line, from 1, of the deepest part of `path` that the file has."""
    line = 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = {key.value: (key, value) for key, value in node.value}.get(str(part))
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _refuse_duplicates(node: yaml.Node | None, path: Path) -> None:
    """YAML takes the last of two equal keys in silence; a typing error should be seen."""
    if isinstance(node, yaml.MappingNode):
        seen: set[Hashable] = set()
        for key, value in node.value:
            if key.value in seen:
                raise SpecError(f"{path}:{key.start_mark.line + 1}: key '{key.value}' is there twice")
            seen.add(key.value)
            _refuse_duplicates(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_duplicates(item, path)


def dump_yaml(values: Mapping[str, Any]) -> str:
    """Plain values as YAML, in their own order."""
    return yaml.safe_dump(dict(values), sort_keys=False, default_flow_style=None)
