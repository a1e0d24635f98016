"""Child processes kept alive: started, restarted with a growing pause when they die, let finish.

A child ends by itself when its parent is gone: it holds one end of a pipe, and the kernel closes
the other.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from api import garbage, logs, metrics

PAUSE_S = 0.1
PAUSE_S_MAX = 5.0
LIVED_LONG_S = 30.0
"""A child that lived this long is restarted as if it had never died before."""
POLL_S = 0.2
FINISH_S_MAX = 15.0

_spawning = multiprocessing.get_context("spawn")  # a fork would copy connections and threads


@dataclass(frozen=True)
class Work:
    """What a child does: a function of a module and what it is given, which must be picklable."""

    name: str
    main: Callable[..., None]
    given: tuple[Any, ...]


class Children:
    """The children of this process, which count in files of `counts`, if that is a directory."""

    def __init__(self, works: Sequence[Work], counts: Path | None) -> None:
        self._children = [_Child(work, counts) for work in works]

    def start(self) -> None:
        """Every child runs."""
        for child in self._children:
            child.start()

    def keep_alive(self, until: threading.Event) -> None:
        """Returns when `until` is set; a child that dies before is started again."""
        while not until.is_set():
            wait([child.sentinel for child in self._children if child.sentinel], POLL_S)
            for child in self._children:
                if not until.is_set():
                    child.revive()

    def finish(self) -> None:
        """Every child has finished what it was doing, in the order they were given, or was killed."""
        for child in self._children:
            child.finish()


class _Child:
    def __init__(self, work: Work, counts: Path | None) -> None:
        self._work = work
        self._counts = counts
        self._process: BaseProcess | None = None
        self._alive: Connection | None = None
        self._started_at = 0.0
        self._restart_at: float | None = None
        self._pause_s = PAUSE_S

    @property
    def sentinel(self) -> int | None:
        """What becomes ready when the child dies; None while it is dead."""
        return self._process.sentinel if self._process else None

    def start(self) -> None:
        ours, theirs = _spawning.Pipe()
        given = (theirs, self._work, self._counts)
        process = _spawning.Process(target=_run, args=given, name=self._work.name, daemon=False)
        process.start()
        theirs.close()
        self._process, self._alive, self._started_at = process, ours, time.monotonic()

    def revive(self) -> None:
        """Started again, once its pause is over, if it is dead."""
        if self._process is not None and not self._process.is_alive():
            lived_s = time.monotonic() - self._started_at
            self._pause_s = (
                PAUSE_S if lived_s > LIVED_LONG_S else min(self._pause_s * 2, PAUSE_S_MAX)
            )
            logs.event(
                "child_died", child=self._work.name, code=self._process.exitcode, pid=self.pid
            )
            self._forget()
            self._restart_at = time.monotonic() + self._pause_s
        if self._restart_at is not None and time.monotonic() >= self._restart_at:
            self._restart_at = None
            self.start()

    def finish(self) -> None:
        process = self._process
        if process is None:
            return
        if process.is_alive():
            process.terminate()
        process.join(FINISH_S_MAX)
        if process.is_alive():
            logs.event("child_killed", child=self._work.name, pid=process.pid)
            process.kill()
            process.join()
        self._forget()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def _forget(self) -> None:
        assert self._process is not None
        assert self._alive is not None
        self._alive.close()
        self._process.close()
        self._process = self._alive = None


def _run(parent: Connection, work: Work, counts: Path | None) -> None:
    """What a child's process runs."""
    logs.set_up()
    garbage.look_less_often()
    if counts is not None:
        metrics.set_up(counts, work.name)
    threading.Thread(target=_end_with, args=(parent,), name="parent", daemon=True).start()
    work.main(*work.given)


def _end_with(parent: Connection) -> None:
    try:
        parent.recv()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)
