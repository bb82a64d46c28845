"""The README's line on optuna-dashboard: another program reads a search's record, and leaves it as it is."""

import hashlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from search import Search
from search.storage import Storage

README = Path(__file__).parents[2] / "README.md"
PATH = "sqlite:///runs/searches/NAME/study.db"


@pytest.fixture
def dashboard(root: Storage) -> Iterator[str]:
    """Where optuna-dashboard answers, started on `tiny` as the README says."""
    (line,) = re.findall(rf"`optuna-dashboard {PATH}`", README.read_text(encoding="utf-8"))
    place = line.strip("`").split()[1].replace("runs/searches/NAME", str(root.search("tiny")))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = Path(sys.executable).with_name("optuna-dashboard")
    process = subprocess.Popen([command, "--port", str(port), place], stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            httpx2.get(address)
        except httpx2.TransportError:
            assert process.poll() is None, "optuna-dashboard did not start"
            time.sleep(0.1)
        else:
            break
    yield address
    process.terminate()
    process.wait()


def test_optuna_dashboard_shows_a_search_and_changes_nothing(dashboard, root):
    record = root.search("tiny") / "study.db"
    before = hashlib.sha256(record.read_bytes()).hexdigest()
    page = httpx2.get(dashboard, follow_redirects=True)
    assert page.status_code == 200
    assert "<title>Optuna Dashboard</title>" in page.text
    (bundle,) = re.findall(r'<script defer src="([^"]*)"', page.text)
    assert httpx2.get(dashboard + bundle).status_code == 200
    (study,) = httpx2.get(f"{dashboard}/api/studies").json()["study_summaries"]
    assert study["study_name"] == "tiny"
    trials = httpx2.get(f"{dashboard}/api/studies/{study['study_id']}").json()["trials"]
    rows = {row.id: row for row in Search("tiny", root).trials()}
    assert {trial["number"] for trial in trials} == set(rows)
    for trial in trials:
        (value,) = trial["values"]
        assert value == pytest.approx(rows[trial["number"]].metrics["log_mel_share"])
    assert hashlib.sha256(record.read_bytes()).hexdigest() == before
