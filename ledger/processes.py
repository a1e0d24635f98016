"""Processes that work for the one that started them, and end by themselves when it is gone."""

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection, wait
from typing import Any

END_S_MAX = 10.0

_spawning = multiprocessing.get_context("spawn")  # a fork would copy connections and threads


class WorkerFailed(Exception):
    """A worker could not go on. What was done stays done."""


class Worker:
    """A process at work, from its parent's side: it runs `work(parent, *given)`.

    Both the function and what it is given must be picklable.
    """

    def __init__(self, name: str, work: Callable[..., None], *given: Any) -> None:
        self.connection, theirs = _spawning.Pipe()
        self.name = name
        self._process = _spawning.Process(
            target=_work, args=(theirs, gc.get_threshold(), work, given), name=name, daemon=True
        )
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def said(self) -> object:
        """What it says next, waited for; raises WorkerFailed."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            raise self._died() from None

    def tell(self, what: object) -> None:
        """It will hear this; raises WorkerFailed."""
        try:
            self.connection.send(what)
        except OSError:
            raise self._died() from None

    def terminate(self) -> None:
        self._process.terminate()

    def close(self, within_s: float = END_S_MAX) -> int:
        """The process is gone, killed if it has not ended by itself; its exit code."""
        self._process.join(within_s)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        code = self._process.exitcode
        assert code is not None
        self._process.close()
        self.connection.close()
        return code

    def _died(self) -> WorkerFailed:
        self._process.join(END_S_MAX)
        return WorkerFailed(f"{self.name} died, with exit code {self._process.exitcode}")


class Parent:
    """The parent, from a worker's side; the worker ends where it finds it gone, or has hung up.

    That is no failure: whoever hung up wants nothing more.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def tell(self, what: object) -> None:
        try:
            self._connection.send(what)
        except OSError:
            raise SystemExit from None

    def hear(self) -> Any:
        """What the parent says next, waited for."""
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            raise SystemExit from None


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def speaking(workers: Iterable[Worker]) -> list[Worker]:
    """Those of the workers that have something to say, or died: one of them at least."""
    by_connection = {worker.connection: worker for worker in workers}
    found = wait(list(by_connection))
    return [worker for connection, worker in by_connection.items() if connection in found]


def end(workers: Iterable[Worker]) -> None:
    """None of the workers is left."""
    workers = list(workers)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.close()


def _work(
    connection: Connection,
    threshold: tuple[int, int, int],
    work: Callable[..., None],
    given: tuple[Any, ...],
) -> None:
    """What a worker's process runs; it looks for garbage as seldom as its parent."""
    gc.set_threshold(*threshold)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever pressed the key, the parent ends all
    work(Parent(connection), *given)
