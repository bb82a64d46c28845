"""Shards from processes of this machine."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import resource_tracker

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
    resource_tracker.ensure_running()  # it lets interrupts through again where it is started
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_follow_parent)
    try:
        waiting = list(reversed(indices))
        running: dict[Future[bytes], int] = {}
        while waiting or running:
            with _interrupts_wait():  # else a traceback from a process, or from its server, in their imports
                while waiting and len(running) < AHEAD * workers:
                    index = waiting.pop()
                    running[pool.submit(make, index)] = index
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """An interrupt comes after the block; processes started in it are deaf until they say otherwise."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow_parent() -> None:
    """Stop at an interrupt without a word, and do not outlive the parent."""
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def end_with_parent() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
