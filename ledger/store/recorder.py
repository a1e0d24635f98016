"""The library's application recorder over one lane: gap-free positions, no retry that could double."""

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from eventsourcing.persistence import (
    ApplicationRecorder,
    Notification,
    StoredEvent,
    Subscription,
)
from eventsourcing.postgres import PostgresApplicationRecorder
from psycopg.rows import tuple_row

from ledger.store.append import AccountRow, Batch, EventRow, Placed
from ledger.store.connection import OneConnection
from ledger.store.hashes import FIRST, account_hash
from ledger.store.sql import load

POLL_S = 0.01
"""How often a subscription that has caught up asks for more."""
PULL_MAX = 500
BIGINT_MAX = 2**63 - 1

_SQL = load("ledger.store", "log.sql")


class EventAt(NamedTuple):
    """An event as the log holds it."""

    lane: int
    position: int
    account_id: UUID
    version: int
    topic: str
    state: bytes
    recorded_at: datetime
    hash: bytes
    leaf: bytes

    @property
    def notification(self) -> Notification:
        """The event in the library's form; its id is the position in the lane."""
        return Notification(self.account_id, self.version, self.topic, self.state, self.position)


class LaneRecorder(PostgresApplicationRecorder):
    """Records and reads events of one lane; a batch given with the events may hold several lanes."""

    datastore: OneConnection

    def __init__(
        self, datastore: OneConnection, *, events_table_name: str = "event", lane: int = 0
    ) -> None:
        super().__init__(datastore, events_table_name=events_table_name)
        self.lane = lane

    def create_table(self) -> None:
        """Nothing to create: migrations make the tables."""

    def append(self, batch: Batch) -> None:
        """Appends a batch in one transaction; it takes where its events stand.

        Unlike the library's recorder this never retries: after a lost connection nobody knows
        whether the events are stored, and only a look at the keys can tell.
        """
        with (
            self.datastore.get_connection() as connection,
            connection.cursor(row_factory=tuple_row, binary=True) as cursor,
        ):
            rows = cursor.execute(_SQL["append"], batch.columns()).fetchall()
        for account, version, position, recorded_at, leaf in rows:
            batch.placed[account, version] = Placed(position, recorded_at, leaf)

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int]:
        """The positions of the events appended, in one transaction; raises IntegrityError."""
        if not stored_events:
            return []
        batch = self._batch_of(stored_events)
        self.append(batch)
        return [
            batch.placed[_uuid(event).bytes, event.originator_version].position
            for event in stored_events
        ]

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Events of one account, by version."""
        assert isinstance(originator_id, UUID), originator_id
        rows = self.account_events(originator_id, gt, lte, desc=desc, limit=limit)
        return [StoredEvent(row.account_id, row.version, row.topic, row.state) for row in rows]

    def account_events(
        self,
        account_id: UUID,
        after: int | None = None,
        upto: int | None = None,
        *,
        desc: bool = False,
        limit: int | None = None,
    ) -> list[EventAt]:
        """Events of one account as the log holds them, by version."""
        query = "account_events_latest_first" if desc else "account_events"
        return self._events(
            query,
            account_id=account_id,
            after=-1 if after is None else after,
            upto=BIGINT_MAX if upto is None else upto,
            limit=BIGINT_MAX if limit is None else limit,
        )

    def lane_events(
        self, after: int, limit: int, upto: int | None = None, topics: Sequence[str] = ()
    ) -> list[EventAt]:
        """Events of the lane past a position as the log holds them, by position."""
        bounds = {"after": after, "upto": BIGINT_MAX if upto is None else upto, "limit": limit}
        if topics:
            return self._events("lane_events_of_topics", topics=list(topics), **bounds)
        return self._events("lane_events", **bounds)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Events of the lane from a position on, by position."""
        after = 0 if start is None else start - inclusive_of_start
        return [row.notification for row in self.lane_events(after, limit, stop, topics)]

    def max_notification_id(self) -> int | None:
        """The lane's last position; None before the first."""
        with (
            self.datastore.get_connection() as connection,
            connection.cursor(row_factory=tuple_row, binary=True) as cursor,
        ):
            row = cursor.execute(_SQL["head"], {"lane": self.lane}).fetchone()
        assert row is not None, self.lane
        return row[0] or None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Events of the lane past a position, and then those that come."""
        return PollingSubscription(self, gt, topics)

    def _events(self, query: str, **given: object) -> list[EventAt]:
        with (
            self.datastore.get_connection() as connection,
            connection.cursor(row_factory=_event_at, binary=True) as cursor,
        ):
            return cursor.execute(_SQL[query], {"lane": self.lane, **given}).fetchall()

    def _batch_of(self, stored_events: Sequence[StoredEvent]) -> Batch:
        """The batch of events that come without account rows, keys and items."""
        batch = Batch()
        places: dict[UUID, int] = {}
        last: dict[UUID, bytes] = {}
        for event in stored_events:
            account_id = _uuid(event)
            if account_id not in places:
                before = self.account_events(account_id, desc=True, limit=1)
                last[account_id] = before[0].hash if before else FIRST
                batch.accounts.append(AccountRow(self.lane, account_id, None, "", 0, b"", b""))
                places[account_id] = len(batch.accounts)
            version, topic, state = event.originator_version, event.topic, event.state
            last[account_id] = account_hash(last[account_id], account_id, version, topic, state)
            row = EventRow(version, topic, state, last[account_id])
            batch.events.add(places[account_id], [row])
        return batch


class PollingSubscription(Subscription[LaneRecorder]):
    """Asks for more every few milliseconds; a lost notification or connection stalls nothing."""

    def __init__(
        self, recorder: LaneRecorder, gt: int | None = None, topics: Sequence[str] = ()
    ) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._stopping = threading.Event()
        self._pulled: list[EventAt] = []

    def stop(self) -> None:
        super().stop()
        self._stopping.set()

    def __next__(self) -> Notification:
        while not self._stopping.is_set():
            if not self._pulled:
                after = self._last_notification_id or 0
                self._pulled = self._recorder.lane_events(after, PULL_MAX, topics=self._topics)
                self._pulled.reverse()
            if self._pulled:
                event = self._pulled.pop()
                self._last_notification_id = event.position
                return event.notification
            self._stopping.wait(POLL_S)
        raise StopIteration


def _uuid(event: StoredEvent) -> UUID:
    assert isinstance(event.originator_id, UUID), event
    return event.originator_id


def _event_at(cursor: Any) -> Any:
    return EventAt._make
