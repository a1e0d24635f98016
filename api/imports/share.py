"""One process's share of a file of commands: the lines of accounts whose lanes it owns."""

import os
import time
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import BinaryIO, NamedTuple

import msgspec

from api.currencies import Currencies
from api.wire import Lines, account_named
from api.wiring import Database
from ledger import importing
from ledger.command_lines import CommandLines
from ledger.import_marks import KeptMarks
from ledger.import_steps import Step
from ledger.importing import Progress, Report, Summary
from ledger.store.lanes import account_id, lane_of, lanes_of_share
from ledger.store.waiting import Order

ACTOR = "import"
MARKED_EVERY_S = 0.25
"""How often the marks are kept: what a killed run leaves to be sent again is what it did since."""
ACCOUNTS_KEPT_MAX = 50_000
"""Accounts whose lane is remembered."""


class FileChanged(Exception):
    """The file is not what it was when its import began."""


class Stamp(NamedTuple):
    """What a file that nobody writes to keeps."""

    device: int
    inode: int
    size: int
    modified_ns: int


def stamp_of(file: BinaryIO) -> Stamp:
    """The open file's stamp."""
    found = os.fstat(file.fileno())
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class Share:
    """The lines of share `n` of `shares`; every line is in exactly one.

    A line that names no account, or is too long, is in the first.
    """

    path: str
    stamp: Stamp
    database: Database
    today: date
    n: int = 0
    shares: int = 1

    @property
    def lanes(self) -> range:
        return lanes_of_share(self.n, self.shares)


class Checked(msgspec.Struct, frozen=True):
    """What the check of a share found; `file_sha256` is that of the whole file."""

    summary: Summary
    steps_total: int
    file_sha256: bytes


class Taking:
    """Takes in a share of a file: `check`, then `apply`, or not. Used by one thread; to be closed."""

    def __init__(self, share: Share) -> None:
        """Raises OSError, and FileChanged."""
        database, region = share.database, share.database.region
        self._share = share
        self._summary = Summary()
        self._kept_at = 0.0
        self._currencies = Currencies(region.code, database.service_url)
        self._file = open(share.path, "rb")  # noqa: PTH123, SIM115 # closed by close; path as given
        lines = Lines(
            currency=region.currency,
            currency_of=self._currencies,
            today=share.today,
            actor=ACTOR,
        )
        self._lane_of_account = lru_cache(ACCOUNTS_KEPT_MAX)(
            lambda number: lane_of(account_id(region.code, number))
        )
        self._lines = CommandLines(
            self._file, lines.request_or_faults, lane_of=self._lane_of, lanes=share.lanes
        )

    def check(self, report: Report, progress: Progress) -> Checked:
        """What is wrong with the lines; raises FileChanged."""
        self._summary = importing.check(self._lines, report=report, progress=progress)
        self._refuse_change()
        return Checked(self._summary, self._lines.steps_total, self._lines.sha256)

    def apply(self, report: Report, progress: Progress) -> Summary:
        """What was done, after `check`; lines that an earlier run did are passed over.

        Raises FileChanged, StoreUnavailable and LedgerClosed.
        """
        database, order = self._share.database, Order()
        with (
            closing(database.import_marks(self._lines.sha256)) as kept,
            closing(database.ledger()) as ledger,
        ):
            self._lines.marks = kept.read(self._share.lanes)

            def settled(steps: Sequence[Step], refused: Collection[int]) -> None:
                self._lines.settled(steps, refused)
                if time.monotonic() - self._kept_at > MARKED_EVERY_S:
                    self._keep(kept)

            importing.apply(
                self._lines,
                lambda requests: ledger.enqueue(requests, order),
                self._summary,
                report=report,
                progress=progress,
                settled=settled,
            )
            self._keep(kept)
        return self._summary

    def close(self) -> None:
        """Nothing is open."""
        self._currencies.close()
        self._file.close()

    def _keep(self, kept: KeptMarks) -> None:
        self._refuse_change()
        kept.write(self._lines.marks)
        self._kept_at = time.monotonic()

    def _refuse_change(self) -> None:
        if stamp_of(self._file) != self._share.stamp:
            raise FileChanged(f"{self._share.path} was changed while it was read: import it again")

    def _lane_of(self, line: bytes) -> int:
        account = account_named(line)
        return 0 if account is None else self._lane_of_account(account)
