"""Reading what happened: by lane in order of position, by account in order of version."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import psycopg
from eventsourcing.persistence import PersistenceError
from psycopg.rows import tuple_row

from ledger.errors import KnownAtInFuture
from ledger.store.connection import OneConnection
from ledger.store.hashes import Break, first_break_of_account, first_break_of_lane
from ledger.store.lanes import LANES, lane_of
from ledger.store.mapper import EventMapper, Recorded
from ledger.store.recorder import EventAt, LaneRecorder
from ledger.store.sql import load

BATCH_MAX = 1_000
"""Events one round trip reads when a whole lane or account is read."""
KNOWN_AT_IN_FUTURE = "BL001"

_SQL = load("ledger.store", "log.sql")


class Head(NamedTuple):
    """A lane's last position, 0 before the first event, and the instant of its last append."""

    lane: int
    position: int
    recorded_at: datetime


class Log:
    """The log of one region's database, read over a connection of its own.

    `conninfo` is that of a role that may read events: writer, projector or auditor.
    """

    def __init__(self, conninfo: str) -> None:
        self._datastore = OneConnection(conninfo)
        self._recorders = [LaneRecorder(self._datastore, lane=lane) for lane in range(LANES)]
        self._mapper = EventMapper()

    def close(self) -> None:
        self._datastore.close()

    def read_lane(self, lane: int, after: int, limit: int = BATCH_MAX) -> list[EventAt]:
        """At most `limit` events of a lane past a position, contiguous, in order."""
        return self._recorders[lane].lane_events(after, limit)

    def read_account(self, account_id: UUID, after: int, limit: int = BATCH_MAX) -> list[EventAt]:
        """At most `limit` events of an account past a version, in order."""
        return self._recorders[lane_of(account_id)].account_events(account_id, after, limit=limit)

    def lane(self, lane: int, after: int = 0) -> Iterator[EventAt]:
        """Every event of a lane past a position, in order, read in batches."""
        while batch := self.read_lane(lane, after):
            yield from batch
            after = batch[-1].position

    def account(self, account_id: UUID, after: int = 0) -> Iterator[EventAt]:
        """Every event of an account past a version, in order, read in batches."""
        while batch := self.read_account(account_id, after):
            yield from batch
            after = batch[-1].version

    def recorded(self, event: EventAt) -> Recorded:
        """The event itself; raises MapperDeserialisationError when its body is not readable."""
        body = self._mapper.read(event.topic, event.state)
        return Recorded(
            account_id=event.account_id,
            version=event.version,
            key=body.key,
            actor=body.actor,
            event=body.data,
        )

    def heads(self) -> list[Head]:
        """The head of every lane, by lane."""
        with (
            self._datastore.get_connection() as connection,
            connection.cursor(row_factory=tuple_row, binary=True) as cursor,
        ):
            return [Head(*row) for row in cursor.execute(_SQL["heads"]).fetchall()]

    def known_position(self, lane: int, known_at: datetime) -> int:
        """The last position of a lane recorded by an instant; no append can join it any more.

        Raises KnownAtInFuture.
        """
        try:
            with (
                self._datastore.get_connection() as connection,
                connection.cursor(row_factory=tuple_row, binary=True) as cursor,
            ):
                given = {"lane": lane, "known_at": known_at}
                row = cursor.execute(_SQL["known_position"], given).fetchone()
        except PersistenceError as fault:
            refusal = known_at_refusal(fault.__cause__, known_at)
            if refusal is None:
                raise
            raise refusal from fault
        assert row is not None
        position: int = row[0]
        return position

    def first_break(self) -> Break | None:
        """The first place where any lane or account contradicts itself."""
        for lane in range(LANES):
            if broken := first_break_of_lane(self.lane(lane)):
                return broken
        return None

    def first_break_of(self, account_id: UUID) -> Break | None:
        """The first place where one account contradicts itself."""
        return first_break_of_account(self.account(account_id))


def known_at_refusal(fault: BaseException | None, known_at: datetime) -> KnownAtInFuture | None:
    """The refusal that an error of ledger.known_position stands for, or None."""
    if not isinstance(fault, psycopg.Error) or fault.sqlstate != KNOWN_AT_IN_FUTURE:
        return None
    instant = known_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return KnownAtInFuture(known_at=instant, now=fault.diag.message_detail or "")
