import subprocess
import sys

import numpy as np
import pytest

from fxcore.effects.distortion import Distortion
from fxcore.errors import EffectError


def test_without_pedalboard_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pedalboard", None)  # Python's own way to forbid an import
    with pytest.raises(EffectError, match=r"needs pedalboard.*pip install 'fxsearch\[effects\]'"):
        Distortion()(np.ones((1, 8), np.float32), 44_100)


def test_importing_and_parsing_effects_leaves_pedalboard_out() -> None:
    code = (
        "import sys; from fxcore.effects import EFFECTS; EFFECTS.parse('distortion'); "
        "sys.exit('pedalboard' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
