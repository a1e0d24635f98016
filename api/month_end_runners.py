"""Processes that work on a region's month ends beside this one, so that more than one CPU does.

They share the work as runners of any command do: each takes lanes that nobody works on. So none of
them is needed: what one that dies leaves, the others do. They end when the process that started
them is gone, at the end of the batch at hand.
"""

import multiprocessing
import signal
import threading
from contextlib import closing
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from api import garbage, logs
from api.wiring import Database

END_S_MAX = 60.0
"""How long one that was told to stop may take: a batch, or the wait for a lock that it runs into."""

_spawning = multiprocessing.get_context("spawn")  # a fork would copy connections and threads


class Runners:
    """So many processes, started; they wait until they are let go. To be closed."""

    def __init__(self, database: Database, count: int) -> None:
        self._lines: list[Connection] = []
        self._processes: list[BaseProcess] = []
        for n in range(count):
            ours, theirs = _spawning.Pipe()
            process = _spawning.Process(
                target=_work, args=(theirs, database), name=f"month end runner {n + 1}", daemon=True
            )
            process.start()
            theirs.close()
            self._lines.append(ours)
            self._processes.append(process)

    @property
    def pids(self) -> list[int]:
        """Their process ids."""
        return [process.pid for process in self._processes if process.pid is not None]

    def wait(self) -> None:
        """Each is ready to go, or dead."""
        for line in self._lines:
            try:
                line.recv()
            except EOFError:
                continue

    def go(self) -> None:
        """Each works until no run is unfinished; they need not be ready yet."""
        for line in self._lines:
            try:
                line.send(True)
            except OSError:
                continue  # it died: `close` tells of it

    def close(self) -> list[str]:
        """None is left; what is to be told of those that died."""
        for line in self._lines:
            line.close()
        said = []
        for process in self._processes:
            process.join(END_S_MAX)
            if process.is_alive():
                process.kill()
                process.join()
            if process.exitcode:
                said.append(f"{process.name} died, with exit code {process.exitcode}")
            process.close()
        return said


def _work(line: Connection, database: Database) -> None:
    """What a runner's process runs."""
    logs.set_up()
    garbage.look_less_often()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever pressed the key, the parent ends all
    stopping = threading.Event()
    with closing(database.ledger()) as ledger, closing(database.month_ends()) as month_ends:
        month_ends.unfinished()  # which opens its connection
        try:
            line.send(True)
            line.recv()
        except (EOFError, OSError):
            return
        threading.Thread(target=_stop_with_parent, args=(line, stopping), daemon=True).start()
        month_ends.work(ledger, stopping=stopping)


def _stop_with_parent(line: Connection, stopping: threading.Event) -> None:
    """Sets it when the parent is gone, or has closed the line."""
    try:
        line.recv()
    except (EOFError, OSError):
        stopping.set()
