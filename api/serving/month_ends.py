"""The month ends of a region that were asked for, and its books to be closed, while it is served."""

import logging
import threading
import time
from contextlib import closing

import psycopg

from api import logs, metrics
from api.closing_books import prove_books
from api.wiring import Database
from ledger.closing import MonthEnds
from ledger.store.faults import LedgerClosed, StoreUnavailable, message_of
from projections.follower import ViewBehind

POLL_S = 1.0
PAUSE_S = 5.0
"""Between a fault and the next try: the views' followers live in this process, and go on."""
PROVE_AGAIN_S = 600.0
"""After which books that were found to disagree are looked at again."""


def close_months(database: Database, stopping: threading.Event) -> None:
    """Works on whatever run is unfinished, until told to stop; then the batch at hand is done.

    What goes wrong is logged and tried again: a run lasts until it is finished.
    """
    region = database.region.code
    with closing(database.month_ends()) as month_ends, closing(_Books(database)) as books:
        while not stopping.wait(POLL_S):
            try:
                _finish(database, month_ends, stopping)
                books.prove()
                continue
            except (psycopg.OperationalError, StoreUnavailable, LedgerClosed, ViewBehind) as fault:
                logs.event(
                    "month_end_interrupted",
                    level=logging.WARNING,
                    region=region,
                    error=message_of(fault),
                )
            except Exception:  # noqa: BLE001 # the edge: it must not take the followers with it
                logs.fault("month_end_failed", region=region)
            month_ends.close()
            books.close()
            stopping.wait(PAUSE_S)


class _Books:
    """Closes the books of months that were cut off, and waits before it tries again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._closes = database.period_closes()
        self._again_at = dict[str, float]()

    def close(self) -> None:
        """No connection is open; the next use opens one."""
        self._closes.close()

    def prove(self) -> None:
        """Tries those whose time has come."""
        for period in self._closes.unproved():
            if time.monotonic() >= self._again_at.get(period, 0.0):
                _, disagreeing = prove_books(self._database, period)
                if disagreeing:
                    self._again_at[period] = time.monotonic() + PROVE_AGAIN_S


def _finish(database: Database, month_ends: MonthEnds, stopping: threading.Event) -> None:
    region = database.region.code
    periods = month_ends.unfinished()
    metrics.month_ends(region, len(periods))
    if not periods:
        return
    logs.event("month_end_taken_up", region=region, periods=periods)
    with closing(database.ledger()) as ledger:
        month_ends.work(ledger, stopping=stopping)
    left = month_ends.unfinished()
    metrics.month_ends(region, len(left))
    logs.event("month_end_left" if left else "month_end_finished", region=region, periods=periods)
