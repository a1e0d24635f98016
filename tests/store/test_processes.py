"""Processes that work for one parent: what they are given, and how each side learns of the other's end."""

import gc
import os
import signal
import subprocess
import sys
import time

import pytest

from ledger.processes import Parent, Worker, WorkerFailed, end, speaking

END_S_MAX = 20.0


def tell_garbage(parent: Parent, word: str) -> None:
    parent.tell((word, gc.get_threshold()))
    parent.hear()


def start_one_and_wait() -> None:
    """A parent whose worker waits to hear from it; it prints the worker's process id."""
    worker = Worker("waiting", tell_garbage, "here")
    worker.said()
    print(worker.pid, flush=True)
    time.sleep(END_S_MAX)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_worker_looks_for_garbage_as_seldom_as_its_parent() -> None:
    """It is started afresh and inherits nothing, so it is told."""
    before = gc.get_threshold()
    gc.set_threshold(12_345, 6, 7)
    worker = Worker("one", tell_garbage, "word")
    try:
        assert [worker] == speaking([worker])
        assert ("word", (12_345, 6, 7)) == worker.said()
    finally:
        gc.set_threshold(*before)
        end([worker])


def test_the_end_of_a_worker_is_told() -> None:
    """Whoever waits for a killed worker, or tells it something, learns that it died, and how."""
    worker = Worker("one", tell_garbage, "word")
    try:
        worker.said()
        os.kill(worker.pid, signal.SIGKILL)
        assert [worker] == speaking([worker])
        with pytest.raises(WorkerFailed, match="one died, with exit code -9"):
            worker.said()
        with pytest.raises(WorkerFailed, match="exit code -9"):
            worker.tell("more")
    finally:
        end([worker])


def test_no_worker_outlives_its_parent() -> None:
    """A worker that waits for a parent that was killed ends by itself."""
    program = f"from {__name__} import start_one_and_wait as f; f()"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not is_gone(pid)
        parent.kill()
    deadline = time.monotonic() + END_S_MAX
    while not is_gone(pid):
        assert time.monotonic() < deadline, "the worker goes on"
        time.sleep(0.02)
