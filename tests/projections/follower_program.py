"""A follower as a process of its own; with "stuck" it waits for ever between its rows and its commit."""

import sys
import threading

from projections.follower import Follower
from projections.model import Connection
from projections.receivables import Receivables
from projections.receivables.fold import ReceivablesRows


class StuckRows(ReceivablesRows):
    """Rows that are written, said to be, and never committed."""

    def write(self, connection: Connection) -> None:
        super().write(connection)
        print("written", flush=True)
        threading.Event().wait()


class Stuck(Receivables):
    def rows(self) -> ReceivablesRows:
        return StuckRows()


if __name__ == "__main__":
    url, mode, events_max = sys.argv[1:]
    model = Stuck() if mode == "stuck" else Receivables()
    print("begun", flush=True)
    Follower(url, model, events_max=int(events_max)).run(threading.Event())
