"""A run under test. Run as `python -m tests.dunning.runner DIRECTORY DATABASE WHEN BATCH`.

It kills itself with -9 at its so manieth batch of commands: WHEN is "before" or "after" they are
appended.
"""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from api.embedded import start
from ledger.commands import Request
from ledger.store.committer import Ledger
from ledger.store.outcomes import Outcome
from projections import dunning
from tests.dunning.books import Dunned, late
from tests.store.databases import Database

PAGE = 5


class Dying(Ledger):
    """A door to the log whose process ends at one of its batches."""

    def __init__(self, url: str, when: str, batch: int) -> None:
        super().__init__(url, "us")
        self._when = when
        self._left = batch

    def handle_now(self, requests: Sequence[Request]) -> list[Outcome]:
        self._left -= 1
        if self._left == 0 and self._when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        outcomes = super().handle_now(requests)
        if self._left == 0 and self._when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return outcomes


def main(directory: str, name: str, when: str, batch: int) -> None:
    """Runs until it is killed."""
    dunning.PAGE = PAGE
    url = start(Path(directory)).service_url(name)
    with closing(Dying(url, when, batch)) as ledger:
        Dunned(Database(name, "", url), ledger).run(late(16))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
