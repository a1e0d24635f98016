"""Processes that work on a region's month ends beside this one, so that more than one CPU does.

They share the work as runners of any command do: each takes lanes that nobody works on. So none of
them is needed: what one that dies leaves, the others do. They end when the process that started
them is gone, at the end of the batch at hand.
"""

import threading
from contextlib import closing, suppress

from api import logs
from api.wiring import Database
from ledger.processes import Parent, Worker, WorkerFailed

END_S_MAX = 60.0
"""How long one that was told to stop may take: a batch, or the wait for a lock that it runs into."""


class Runners:
    """So many processes, started; they wait until they are let go. To be closed."""

    def __init__(self, database: Database, count: int) -> None:
        self._runners = [Worker(f"month end runner {n + 1}", _work, database) for n in range(count)]

    @property
    def pids(self) -> list[int]:
        """Their process ids."""
        return [runner.pid for runner in self._runners]

    def wait(self) -> None:
        """Each is ready to go, or dead."""
        for runner in self._runners:
            with suppress(WorkerFailed):  # `close` tells of it
                runner.said()

    def go(self) -> None:
        """Each works until no run is unfinished; they need not be ready yet."""
        for runner in self._runners:
            with suppress(WorkerFailed):
                runner.tell(True)

    def close(self) -> list[str]:
        """None is left; what is to be told of those that died."""
        for runner in self._runners:
            runner.connection.close()
        codes = [(runner.name, runner.close(END_S_MAX)) for runner in self._runners]
        return [f"{name} died, with exit code {code}" for name, code in codes if code]


def _work(parent: Parent, database: Database) -> None:
    """What a runner's process runs."""
    logs.set_up()
    stopping = threading.Event()
    with closing(database.ledger()) as ledger, closing(database.month_ends()) as month_ends:
        month_ends.unfinished()  # which opens its connection
        parent.tell(True)
        parent.hear()
        threading.Thread(target=_stop_with_parent, args=(parent, stopping), daemon=True).start()
        month_ends.work(ledger, stopping=stopping)


def _stop_with_parent(parent: Parent, stopping: threading.Event) -> None:
    """Sets it when the parent is gone, or has hung up."""
    with suppress(SystemExit):
        parent.hear()
    stopping.set()
