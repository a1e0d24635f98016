"""A runner under test. Run as `python -m tests.closing.runner DIRECTORY DATABASE WHEN BATCH`.

It kills itself with -9 at its so manieth batch with invoices: WHEN is "before" or "after" they are
appended, or "never".
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from api.embedded import start
from ledger import closing
from ledger.closing import MonthEnds
from ledger.commands import Request
from ledger.store.committer import Ledger
from ledger.store.outcomes import Outcome
from ledger.store.reads import Seen

BATCH = 2
"""Accounts a batch, so that lanes are left in their midst."""


class Dying(Ledger):
    """A door to the log whose process ends at one of its batches."""

    def __init__(self, url: str, region: str, when: str, batch: int) -> None:
        super().__init__(url, region)
        self._when = when
        self._left = batch

    def handle_seen(self, seen: Sequence[tuple[Request, UUID, Seen]]) -> list[Outcome]:
        self._left -= bool(seen)
        if self._left == 0 and self._when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        outcomes = super().handle_seen(seen)
        if self._left == 0 and self._when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return outcomes


def main(directory: str, database: str, when: str, batch: int) -> None:
    """Works until every run is finished, or it is killed."""
    closing.BATCH_MAX = BATCH
    url = start(Path(directory)).service_url(database)
    MonthEnds(url).work(Dying(url, "us", when, batch))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
