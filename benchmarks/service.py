"""What viewers cost: the service's CPU time while fifty pages watch one search that changes all the time.

python benchmarks/service.py ROOT SEARCH [VIEWERS] [SECONDS]

Each viewer holds the event stream and, after each event, fetches what the page fetches: the board, and the
data of the plots. The record of the search is touched twice a second.
"""

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

PORT = 8197
ADDRESS = f"http://127.0.0.1:{PORT}"


def main(root: str, name: str, viewers: int = 50, seconds: float = 30.0) -> None:
    service = subprocess.Popen(
        [sys.executable, "-m", "search.cli", "serve", "--port", str(PORT), "--storage", root]
    )
    try:
        wait_until_up()
        before_any = measure(service.pid, root, name, seconds / 3)
        fetched = [0] * viewers
        for i in range(viewers):
            threading.Thread(target=view, args=(name, fetched, i), daemon=True).start()
        time.sleep(5)  # until all have their first page
        start = sum(fetched)
        share = measure(service.pid, root, name, seconds)
        print(f"{viewers} viewers, {sum(fetched) - start} fetches in {seconds:.0f} s")
        print(f"service: {100 * before_any:.1f}% of one core alone, {100 * share:.1f}% with them")
    finally:
        service.terminate()
        service.wait()


def wait_until_up() -> None:
    for _ in range(600):
        try:
            urlopen(f"{ADDRESS}/api/searches").read()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the service did not start")


def measure(pid: int, root: str, name: str, seconds: float) -> float:
    """CPU time of the service over wall time, while the search's record is touched."""
    record = Path(root) / "searches" / name / "study.db"
    start, end = cpu_seconds(pid), time.monotonic() + seconds
    while time.monotonic() < end:
        record.touch()
        time.sleep(0.5)
    return (cpu_seconds(pid) - start) / seconds


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def view(name: str, fetched: list[int], place: int) -> None:
    with suppress(OSError), urlopen(f"{ADDRESS}/api/searches/{name}/events") as events:
        for line in events:
            if line.startswith(b"event"):
                for part in ("board", "plots"):
                    urlopen(f"{ADDRESS}/searches/{name}/{part}").read()
                fetched[place] += 2


if __name__ == "__main__":
    root, name, *numbers = sys.argv[1:]
    main(root, name, *(int(number) for number in numbers))
