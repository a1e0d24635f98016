"""The library's own ways, as a user of it would take them: save(), and its ProjectionRunner."""

import json
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.conninfo import conninfo_to_dict

from api.wiring import Database
from benchmarks.told import Charged
from ledger.store import arrays
from ledger.store.mapper import EventMapper
from ledger.store.recorder import EventAt
from projections.model import At, Connection
from projections.receivables import RECEIVABLES

WAIT_S_MAX = 120.0


class Account(Aggregate):
    """An account in the library's style."""

    @event("Opened")
    def __init__(self, number: str) -> None:
        self.number = number
        self.unbilled_cents = 0

    @event("Charged")
    def charge(self, charge_id: str, cents: int, day: int) -> None:
        """The amount is owed."""
        self.unbilled_cents += cents


class SavingAccounts:
    """Accounts kept in memory, each of whose events is saved in a transaction of its own."""

    def __init__(self, database: Database, numbers: Sequence[str]) -> None:
        self._app = Application[UUID](env=environment(database))
        self._accounts = {number: Account(number) for number in numbers}
        self._app.save(*self._accounts.values())

    def save(self, charges: Sequence[Charged]) -> None:
        """Every charge is saved before the next one is made."""
        for charged in charges:
            account = self._accounts[charged.account]
            account.charge(charged.id, charged.cents, charged.day)
            self._app.save(account)

    def close(self) -> None:
        """No connection is left."""
        self._app.close()


class Kept(Aggregate):
    """A stream of the library's own that holds an account's events as our log does."""

    @event("Begun")
    def __init__(self) -> None:
        pass

    @event("Recorded")
    def record(self, at: str, topic: str, state: str) -> None:
        """One event of the account."""


class KeptEvents(Application[UUID]):
    """The library's log of them."""


class Rows(PostgresTrackingRecorder):
    """The rows of receivables, moved with the library's own tracking in one transaction."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._mapper = EventMapper()
        self._registered: object = None

    def take(self, recorded: Any, tracking: Tracking) -> None:
        """Writes the rows that the event makes and changes."""
        lane, position, account_id, version, recorded_at = json.loads(recorded.at)
        at = At(
            lane,
            position,
            bytes.fromhex(account_id),
            version,
            datetime.fromisoformat(recorded_at),
        )
        rows = RECEIVABLES.rows()
        rows.take(at, self._mapper.read(recorded.topic, recorded.state.encode()).data)
        with self.datastore.transaction(commit=True) as cursor:
            connection = cast(Connection, cursor.connection)
            if self._registered is not connection:
                arrays.register(connection)
                self._registered = connection
            rows.write(connection)
            self._insert_tracking(cursor, tracking)


class KeptProjection(Projection[Rows]):
    """Moves the rows on, an event at a time."""

    name = "kept"

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Takes an event of the library's log."""
        if type(domain_event).__name__ == "Recorded":
            self.view.take(domain_event, tracking)
        else:
            self.view.insert_tracking(tracking)


class LibraryViews:
    """Events in the library's log, and its runner over them."""

    def __init__(self, database: Database) -> None:
        self._env = environment(database)
        self._app = KeptEvents(env=self._env)
        self._streams: dict[UUID, Kept] = {}

    def keep(self, events: Iterable[EventAt]) -> None:
        """The library's log holds the events of our log too."""
        for one in events:
            stream = self._streams.get(one.account_id)
            if stream is None:
                stream = self._streams[one.account_id] = Kept()
            at = (one.lane, one.position, one.account_id.hex, one.version)
            instant = one.recorded_at.isoformat()
            stream.record(json.dumps([*at, instant]), one.topic, bytes(one.state).decode())
        self._app.save(*self._streams.values())

    def run(self) -> float:
        """Seconds from when the runner is there until the rows hold every event kept."""
        last = self._app.recorder.max_notification_id()
        started = time.perf_counter()
        with ProjectionRunner(
            application_class=KeptEvents,
            projection_class=KeptProjection,
            view_class=Rows,
            env=self._env,
        ) as runner:
            runner.wait(last, timeout=WAIT_S_MAX)
            took_s = time.perf_counter() - started
            runner.stop()
        return took_s

    def close(self) -> None:
        """No connection is left."""
        self._app.close()


def environment(database: Database) -> dict[str, str]:
    """How the library reaches the database, as its owner; all else as the library has it."""
    assert database.owner_url is not None
    parts = conninfo_to_dict(database.owner_url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(parts["dbname"]),
        "POSTGRES_HOST": str(parts["host"]),
        "POSTGRES_PORT": str(parts["port"]),
        "POSTGRES_USER": str(parts["user"]),
        "POSTGRES_PASSWORD": str(parts["password"]),
        "POSTGRES_SCHEMA": "public",
    }
