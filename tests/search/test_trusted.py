"""Effects that run a program are found wherever they hide."""

import pytest

from fxcore.effects import EFFECTS
from search.trusted import runs_programs


@pytest.mark.parametrize("kind", list(EFFECTS))
def test_only_commands_and_plugins_run_programs(kind):
    assert runs_programs({"kind": kind}) == (kind in ("command", "plugin"))
    assert runs_programs(kind) == (kind in ("command", "plugin"))


def test_chains_within_chains_are_looked_into():
    inner = {"kind": "chain", "effects": [{"kind": "fuzz"}, "command"]}
    assert runs_programs({"kind": "chain", "effects": [inner]})
    assert not runs_programs({"kind": "chain", "effects": [{"kind": "chain", "effects": ["fuzz"]}]})
    assert not runs_programs(None)
