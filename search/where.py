"""Conditions on trials: `family=lstm and bits>=12`.

    condition := both ("or" both)*
    both      := one ("and" one)*
    one       := "not" one | "(" condition ")" | name comparison value
    comparison:= "=" | "==" | "!=" | "<" | "<=" | ">" | ">="

Names are those of a flat trial: `id`, `state`, `family`, metrics, settings of the model and its output. A
value is a number or a word, in quotes where it holds spaces. A trial without that value (a recurrent model's
receptive field, the bits of a regression) meets no comparison with it.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from fxcore.errors import SpecError, did_you_mean

Condition: TypeAlias = Callable[[Mapping[str, Any]], bool]

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
TOKEN = re.compile(r"\s*(?:(<=|>=|!=|==|[=<>()])|\"([^\"]*)\"|'([^']*)'|([^\s=<>!()\"']+))")
EXAMPLE = "write as in: family=lstm and bits>=12"
WORDS = ("and", "or", "not")
LONGEST = 200  # characters: nested conditions are parsed by recursion


def parse_where(text: str, names: Iterable[str]) -> Condition:
    """The condition in `text` on mappings of `names`; raises `SpecError` where it is none.

    >>> slow = parse_where("family=lstm and not hidden < 32", ["family", "hidden"])
    >>> slow({"family": "lstm", "hidden": 40}), slow({"family": "lstm", "hidden": 16})
    (True, False)
    """
    parser = _Parser(_tokens(text), sorted(set(names)))
    condition = parser.condition()
    if parser.tokens:
        raise SpecError(f"unexpected '{parser.tokens[0]}' in a condition; {EXAMPLE}")
    return condition


class _Word(str):
    """A value in quotes, which is never a number, a name or a keyword."""


def _tokens(text: str) -> list[str]:
    if len(text) > LONGEST:
        raise SpecError(f"a condition has at most {LONGEST} characters; got {len(text)}")
    tokens: list[str] = []
    text, place = text.strip(), 0
    while place < len(text):
        found = TOKEN.match(text, place)
        if found is None:
            raise SpecError(f"a condition cannot be read from {text[place:]!r} on; {EXAMPLE}")
        symbol, double, single, word = found.groups()
        quoted = double if double is not None else single
        tokens.append(_Word(quoted) if quoted is not None else symbol or word)
        place = found.end()
    return tokens


class _Parser:
    """Recursive descent over tokens, which are consumed."""

    def __init__(self, tokens: list[str], names: list[str]) -> None:
        self.tokens, self.names = tokens, names

    def condition(self) -> Condition:
        parts = [self._both()]
        while self._takes("or"):
            parts.append(self._both())
        return lambda values: any(part(values) for part in parts)

    def _both(self) -> Condition:
        parts = [self._one()]
        while self._takes("and"):
            parts.append(self._one())
        return lambda values: all(part(values) for part in parts)

    def _one(self) -> Condition:
        if self._takes("not"):
            inverse = self._one()
            return lambda values: not inverse(values)
        if self._takes("("):
            inside = self.condition()
            if not self._takes(")"):
                raise SpecError(f"a bracket is not closed in a condition; {EXAMPLE}")
            return inside
        return self._comparison()

    def _comparison(self) -> Condition:
        name = self._next("a name")
        if name not in self.names:
            raise SpecError(f"unknown name '{name}' in a condition{did_you_mean(name, self.names)}")
        sign = self._next(f"a comparison after '{name}'")
        if sign not in COMPARISONS:
            raise SpecError(f"'{name}' needs one of {' '.join(COMPARISONS)}; got '{sign}'; {EXAMPLE}")
        value = self._next(f"a value after '{name}{sign}'")
        if not isinstance(value, _Word) and (value in COMPARISONS or value in "()" or value in WORDS):
            raise SpecError(f"a condition needs a value after '{name}{sign}'; got '{value}'; {EXAMPLE}")
        compare, number = COMPARISONS[sign], None if isinstance(value, _Word) else _number(value)

        def holds(values: Mapping[str, Any]) -> bool:
            found = values.get(name)
            if found is None:
                return False
            if isinstance(found, bool):
                found = str(found).lower()  # true, as in YAML
            elif isinstance(found, int | float) and number is not None:
                return compare(found, number)
            return compare(str(found), str(value))

        return holds

    def _takes(self, token: str) -> bool:
        if self.tokens and self.tokens[0] == token and not isinstance(self.tokens[0], _Word):
            self.tokens.pop(0)
            return True
        return False

    def _next(self, what: str) -> str:
        if not self.tokens:
            raise SpecError(f"a condition ends where {what} should be; {EXAMPLE}")
        return self.tokens.pop(0)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
