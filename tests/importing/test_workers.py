"""A worker of an import, as far as it can be seen without starting one."""

import gc
import multiprocessing
import signal
from typing import cast

import pytest

from api import garbage, logs
from api.imports import workers
from api.imports.share import FileChanged, Share


def test_a_worker_looks_for_garbage_as_seldom_as_other_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is started afresh and inherits nothing: it is set up like the process that started it."""
    seen: list[int] = []

    def taking(share: Share) -> object:
        seen.append(gc.get_threshold()[0])
        raise FileChanged("planted")

    monkeypatch.setattr(workers, "Taking", taking)
    monkeypatch.setattr(logs, "set_up", lambda: None)
    before, interrupts = gc.get_threshold(), signal.getsignal(signal.SIGINT)
    ours, theirs = multiprocessing.Pipe()
    try:
        workers._work(theirs, cast(Share, None))
    finally:
        gc.set_threshold(*before)
        signal.signal(signal.SIGINT, interrupts)
    assert [garbage.NEW_OBJECTS] == seen
    assert workers.Failed("planted") == ours.recv()
    ours.close()
    theirs.close()
