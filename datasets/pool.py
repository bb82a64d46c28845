"""Shards from processes of this machine."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

AHEAD = 2  # tasks for each worker: one under way, one waiting; more would pile up in memory


def in_processes(
    make: Callable[[int], bytes], indices: Sequence[int], workers: int
) -> Generator[tuple[int, bytes], None, None]:
    """`make` of each index, as they become ready; `make` must be importable, or partial of what is."""
    if workers <= 1:
        yield from ((index, make(index)) for index in indices)
        return
    # A server that imports once and holds no thread of ours: plain forks may inherit a locked mutex.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["datasets.render"])
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_follow_parent)
    try:
        waiting = list(reversed(indices))
        running: dict[Future[bytes], int] = {}
        while waiting or running:
            while waiting and len(running) < AHEAD * workers:
                index = waiting.pop()
                running[pool.submit(make, index)] = index
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _follow_parent() -> None:
    """Stop at an interrupt without a word, and do not outlive the parent."""
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))

    def end_with_parent() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
