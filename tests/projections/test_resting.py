"""A follower that may rest lets events gather, and never falls behind for it."""

import threading

from ledger.store.committer import Ledger
from projections.follower import IDLE_MIN_S, Follower
from projections.receivables import RECEIVABLES
from tests.projections.books import append
from tests.store.databases import Database
from tests.store.scenario import charge, opening, requests


class Waits(threading.Event):
    """Is told to stop at the second wait, and remembers how long each was to be."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.asked.append(timeout)
        if len(self.asked) == 2:
            self.set()
        return self.is_set()


def test_one_that_rests_does_so_unless_it_is_behind(database: Database, ledger: Ledger) -> None:
    """After a full batch it goes on at once, after another it rests, and idles only with nothing to do."""
    append(ledger, requests("A-1", [opening(), charge("c-1"), charge("c-2")]))
    waits = Waits()
    Follower(database.service_url, RECEIVABLES, events_max=2).run(waits, rest_s=0.3)
    assert [0.3, IDLE_MIN_S] == waits.asked
