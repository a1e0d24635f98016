"""What a flush of commands reads: one statement each, however many commands wait."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import tuple_row

from ledger.account import Account
from ledger.items import Item
from ledger.needs import Named, RangeQuery
from ledger.store.append import decode_item
from ledger.store.arrays import Column, Int4, Int8, Text, Uuid, columns
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


class Seen(NamedTuple):
    """An account as a caller read it, with a key that was not used, all as of one moment.

    `named` are items that exist or, None, do not.
    """

    account: Account
    hash: bytes
    named: Mapping[Named, Item | None]


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


class Found(NamedTuple):
    """What there is of what commands name outright.

    Account rows, used keys and items, each by index into what was asked for.
    """

    accounts: dict[int, AccountFound]
    keys: dict[int, KeyFound]
    named: dict[int, Item]


class Wanted(NamedTuple):
    """What must be read for one account, at `version`, before its next command can be decided."""

    place: Place
    version: int
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

    def outright(
        self,
        places: Sequence[Place],
        keys: Sequence[tuple[Place, str]],
        named: Sequence[tuple[Place, Named]],
    ) -> Found:
        """The account rows, the used keys and the items named, all as of one moment."""
        accounts = columns(_PLACE, [_at(place) for place in places])
        used = columns(_KEY, [(*_at(place), key) for place, key in keys])
        items = columns(_NAMED, [(*_at(place), one.kind, one.id) for place, one in named])
        found = Found({}, {}, {})
        for what, n, *row in self._rows("outright", [*accounts, *used, *items]):
            if what == 0:
                version, _, state, hash, *_ = row
                found.accounts[n - 1] = AccountFound(version, state, hash)
            elif what == 1:
                version, topic, state, hash, command_sha256, reply, position, at, leaf = row
                key_found = found.keys.setdefault(n - 1, KeyFound(command_sha256, reply, []))
                event = EventFound(version, position, topic, state, at, hash, leaf)
                key_found.events.append(event)
            else:
                _, kind, state, *_ = row
                found.named[n - 1] = decode_item(kind, state)
        for key_found in found.keys.values():
            key_found.events.sort()  # by version
        return found

    def more(self, wanted: Sequence[Wanted]) -> set[Place]:
        """Reads what is wanted, and gives each account's Held what is there.

        Gives back the accounts that were changed since their rows were read: what was read of
        their items is of another moment.
        """
        named = [(want, query) for want in wanted for query in want.named]
        ranges = [(want, query) for want in wanted for query in want.ranges]
        accounts = columns(_PLACE, [_at(want.place) for want in wanted])
        items = columns(_NAMED, [(*_at(want.place), q.kind, q.id) for want, q in named])
        starts_at = [
            (*_at(want.place), *want.held.ask(query, want.commands)) for want, query in ranges
        ]
        rows = self._rows("more", [*accounts, *items, *columns(_RANGE, starts_at)])
        versions: dict[int, int] = {}
        found: dict[int, Item] = {}
        starts: dict[int, list[Item]] = defaultdict(list)
        ended = set()
        for what, n, version, kind, state, _ in rows:
            if what == 0:
                versions[n - 1] = version
            elif what == 1:
                found[n - 1] = decode_item(kind, state)
            elif kind is None:
                ended.add(n - 1)
            else:
                starts[n - 1].append(decode_item(kind, state))
        for index, (want, query) in enumerate(named):
            want.held.take_named(query, found.get(index))
        for index, (want, range_) in enumerate(ranges):
            want.held.take_range(range_, starts[index], ended=index in ended)
        return {want.place for n, want in enumerate(wanted) if versions.get(n) != want.version}

    def _rows(self, query: str, given: Sequence[Column]) -> list[tuple[Any, ...]]:
        with (
            self._datastore.get_connection() as connection,
            connection.cursor(row_factory=tuple_row, binary=True) as cursor,
        ):
            return cursor.execute(_SQL[query], given).fetchall()


def _at(place: Place) -> tuple[int, bytes]:
    lane, account_id = place
    return lane, account_id.bytes
