"""One driver a search."""

import os
import signal
import subprocess
import sys

import pytest

from fxcore.errors import SearchError
from search.lock import driving, is_driven

HOLDER = "import sys, time; from pathlib import Path; from search.lock import driving\n"
HOLDER += "with driving(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


def test_a_second_driver_is_refused_with_the_first_ones_process(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_driven(tmp_path)
        with pytest.raises(SearchError, match=f"process {holder.pid}"), driving(tmp_path):
            pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    assert not is_driven(tmp_path)  # the system freed what the dead process held
    with driving(tmp_path):
        assert is_driven(tmp_path)
