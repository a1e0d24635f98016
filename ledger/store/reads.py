"""What a flush of commands reads: one round trip each, however many commands wait."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import tuple_row

from ledger.items import Item
from ledger.needs import Named, RangeQuery
from ledger.store.append import decode_item
from ledger.store.arrays import Int4, Int8, Text, Uuid, columns
from ledger.store.connection import OneConnection
from ledger.store.held import Held
from ledger.store.sql import load

Place = tuple[int, UUID]
"""An account's lane and id."""

_SQL = load("ledger.store", "flush.sql")

_PLACE = (Int4, Uuid)
_KEY = (*_PLACE, Text)
_NAMED = (*_PLACE, Text, Text)
_RANGE = (*_PLACE, Text, Text, Int8, Int8, Text, Int4, Int4)


class AccountFound(NamedTuple):
    """An account's row."""

    version: int
    state: bytes
    hash: bytes


class EventFound(NamedTuple):
    """An event that a used key recorded."""

    version: int
    position: int
    topic: str
    state: bytes
    recorded_at: datetime
    hash: bytes
    leaf: bytes


class KeyFound(NamedTuple):
    """A used key: what it was used for, what was replied, and the events it recorded."""

    command_sha256: bytes
    reply: bytes
    events: list[EventFound]


class Wanted(NamedTuple):
    """What must be read for one account before its next command can be decided."""

    place: Place
    held: Held
    named: list[Named]
    ranges: list[RangeQuery]
    commands: int


class Reads:
    """Reads over one connection."""

    def __init__(self, datastore: OneConnection) -> None:
        self._datastore = datastore

    def region(self) -> list[str]:
        """The codes of the regions that the database holds: one, once migrated."""
        with (
            self._datastore.get_connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            return [row[0] for row in cursor.execute(_SQL["region"]).fetchall()]

    def accounts_and_keys(
        self, places: Sequence[Place], keys: Sequence[tuple[Place, str]]
    ) -> tuple[dict[Place, AccountFound], dict[int, KeyFound]]:
        """The account rows by place, and the used keys by index into `keys`.

        Starts a snapshot, which all reads see until `end`.
        """
        with self._datastore.get_connection() as connection, connection.pipeline():
            connection.execute(_SQL["begin"])
            first = connection.cursor(row_factory=tuple_row, binary=True)
            first.execute(_SQL["accounts"], columns(_PLACE, [_at(place) for place in places]))
            second = connection.cursor(row_factory=tuple_row, binary=True)
            used = [(*_at(place), key) for place, key in keys]
            second.execute(_SQL["keys"], columns(_KEY, used))
            accounts = {places[n - 1]: AccountFound(*row) for n, *row in first.fetchall()}
            found: dict[int, KeyFound] = {}
            for n, command_sha256, reply, *event in second.fetchall():
                key_found = found.setdefault(n - 1, KeyFound(command_sha256, reply, []))
                key_found.events.append(EventFound(*event))
        return accounts, found

    def end(self) -> None:
        """Ends the snapshot."""
        with self._datastore.get_connection() as connection:
            connection.execute(_SQL["end"])

    def items(self, wanted: Sequence[Wanted]) -> None:
        """Reads what is wanted, and gives each account's Held what is there."""
        named = [(want, query) for want in wanted for query in want.named]
        ranges = [(want, query) for want in wanted for query in want.ranges]
        asked = [want.held.ask(query, want.commands) for want, query in ranges]
        with self._datastore.get_connection() as connection, connection.pipeline():
            first = connection.cursor(row_factory=tuple_row, binary=True)
            if named:
                rows = [(*_at(want.place), query.kind, query.id) for want, query in named]
                first.execute(_SQL["named"], columns(_NAMED, rows))
            second = connection.cursor(row_factory=tuple_row, binary=True)
            if ranges:
                both = zip(ranges, asked, strict=True)
                starts_at = [(*_at(want.place), *ask) for (want, _), ask in both]
                second.execute(_SQL["ranges"], columns(_RANGE, starts_at))
            found = {n - 1: decode_item(*row) for n, *row in first} if named else {}
            starts: dict[int, list[Item]] = defaultdict(list)
            ended = set()
            for n, kind, state in second if ranges else ():
                if kind is None:
                    ended.add(n - 1)
                else:
                    starts[n - 1].append(decode_item(kind, state))
        for index, (want, query) in enumerate(named):
            want.held.take_named(query, found.get(index))
        for index, (want, range_) in enumerate(ranges):
            want.held.take_range(range_, starts[index], ended=index in ended)


def _at(place: Place) -> tuple[int, bytes]:
    lane, account_id = place
    return lane, account_id.bytes
