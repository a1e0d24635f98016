"""What reconciliations found, kept lane by lane: by the command, and by the service as it goes on."""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

import msgspec
import psycopg

from api import logs
from api.amounts import Money, money
from ledger.errors import Refusal
from ledger.store.roles import WRITER, acting_as
from ledger.store.sql import load
from projections.model import Connection
from projections.reconciliation.differences import Difference, Kind, LaneProof

SQL = load("api", "reconciliation.sql")


class DifferenceFound(msgspec.Struct, frozen=True, kw_only=True):
    """One figure that does not agree.

    `where` is what is wrong: a table and what of it, or an event of the log. `account_number` is null
    for sums over accounts. `first_event` is the first event that disagrees, or, where only a sum does,
    the last one that moved it. `kind` is "parked" for an account that the views stopped at.
    """

    account_number: str | None
    where: str
    figure: str
    expected: Money | None
    found: Money | None
    first_event: str | None
    says: str
    kind: Kind

    @property
    def named(self) -> tuple[str | None, str, str, str | None]:
        """What makes it the same difference as an earlier one."""
        return self.account_number, self.where, self.figure, self.first_event


class Standing(NamedTuple):
    """Of a region: lanes that were reconciled, when the one was that was longest ago, and what was found.

    `waits_s` is how long the lane has waited that has waited longest, in seconds; only with events.
    """

    lanes: int
    finished_at: datetime | None
    accounts: int
    events: int
    differences: int
    waits_s: float


_found = msgspec.json.Decoder(list[DifferenceFound])


def shown(difference: Difference) -> DifferenceFound:
    """The difference as it is told outside, in the currency's decimals."""
    position = difference.first_position
    return DifferenceFound(
        account_number=difference.account_number,
        where=difference.where,
        figure=difference.figure,
        expected=_money(difference.expected_minor, difference.currency),
        found=_money(difference.found_minor, difference.currency),
        first_event=None if position is None else f"{difference.lane}-{position}",
        says=difference.says,
        kind=difference.kind,
    )


def read_found(text: str) -> list[DifferenceFound]:
    """The differences that a row holds."""
    return _found.decode(text)


def standing(connection: Connection) -> Standing:
    """How a region stands; the session must see all accounts."""
    [row] = connection.execute(SQL["standing"]).fetchall()
    return Standing(*cast(Any, row))


class Reconciliations:
    """What was found of a region's lanes; used by one thread, to be closed."""

    def __init__(self, service_url: str) -> None:
        self._url = acting_as(service_url, WRITER)
        self._connection: Connection | None = None

    def keep(self, proof: LaneProof) -> list[DifferenceFound]:
        """Keeps what was found of a lane; the differences that were not found the last time."""
        found = [shown(difference) for difference in proof.kept]
        with self._open().transaction():
            rows = self._open().execute(SQL["found"], {"lane": proof.lane}).fetchall()
            given = msgspec.structs.asdict(proof)
            given["found"] = msgspec.json.encode(found).decode()
            del given["kept"]
            self._open().execute(SQL["keep"], given)
        known = {one.named for (text,) in rows for one in read_found(cast(str, text))}
        return [one for one in found if one.named not in known]

    def due(self, every_s: int) -> Sequence[int]:
        """The lanes that were not reconciled for so long, those that waited longest first."""
        rows = self._open().execute(SQL["due"], {"every_s": every_s}).fetchall()
        return [cast(int, lane) for (lane,) in rows]

    def standing(self) -> Standing:
        """How the region stands."""
        return standing(self._open())

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._url, autocommit=True)
        return self._connection


def raise_alarms(region: str, differences: Iterable[DifferenceFound]) -> None:
    """An operator is told of differences that were not there before; amounts are not logged."""
    for difference in differences:
        logs.event(
            "books_differ",
            level=logging.ERROR,
            region=region,
            account=difference.account_number,
            where=difference.where,
            figure=difference.figure,
            first_event=difference.first_event,
        )


def _money(minor: int | None, currency: str | None) -> Money | None:
    if minor is None or currency is None:
        return None
    try:
        return money(minor, currency)
    except Refusal:  # a row that was altered may say any
        return None
