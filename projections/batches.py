"""A batch of the log folded into a read model's rows, whatever its events hold.

An event that cannot be read or folded parks its account: it and what follows of the account are
left out, and everything else goes on.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

import psycopg
from eventsourcing.persistence import MapperDeserialisationError

from ledger.events import Event
from ledger.store.faults import Corrupt, message_of
from ledger.store.mapper import EventMapper
from ledger.store.sql import load
from projections.model import At, Connection, ReadModel, Rows, WentBackwards

WRITE_FAULTS_MAX = 32
"""Accounts one batch may park for rows that do not fit; more mean that the tables are damaged."""

FOLD_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""What folding history nobody foresaw can raise."""
WRITE_FAULTS = (
    psycopg.DataError,
    psycopg.IntegrityError,
    OverflowError,
    WentBackwards,
)
"""What writing the rows of an event can raise, and would raise again."""

_SQL = load("projections", "follower.sql")
_log = logging.getLogger(__name__)


class Logged(NamedTuple):
    """An event as the log holds it."""

    at: At
    topic: str
    state: bytes


class Parked(NamedTuple):
    """An account that stopped at an event, and why."""

    lane: int
    account_id: UUID
    position: int
    version: int
    topic: str
    error: str


class ViewDamaged(Exception):
    """The rows of many accounts do not fit what is written on them: the read model needs a rebuild."""


class Folding:
    """One batch on its way into the tables; `parked` grows by what had to be left out."""

    def __init__(self, model: ReadModel, mapper: EventMapper, parked: Iterable[UUID]) -> None:
        self.parked: list[Parked] = []
        self._model = model
        self._mapper = mapper
        self._ends: dict[bytes, int] = dict.fromkeys((id.bytes for id in parked), 0)

    def apply(self, connection: Connection, events: Sequence[Logged]) -> None:
        """Writes the rows of the events; raises what the database refuses of them."""
        rows = self._folded(self._read(events))
        if rows is not None:
            rows.write(connection)
        self._note(connection)

    def apply_carefully(self, connection: Connection, events: Sequence[Logged]) -> None:
        """Writes the rows of the events, halving what the database refuses down to one event."""
        stack = [self._read(events)]
        faults = 0
        while stack:
            part = [(logged, event) for logged, event in stack.pop() if self._goes_on(logged)]
            rows = self._folded(part)
            if rows is None:
                continue
            try:
                with connection.transaction():
                    rows.write(connection)
            except WRITE_FAULTS as fault:
                if len(part) > 1:
                    half = len(part) // 2
                    stack += [part[half:], part[:half]]
                    continue
                faults += 1
                if faults > WRITE_FAULTS_MAX:
                    raise ViewDamaged(
                        f"more than {WRITE_FAULTS_MAX} accounts do not fit; the last: "
                        f"{message_of(fault)}"
                    ) from fault
                self._park(part[0][0], fault)
        self._note(connection)

    def _goes_on(self, logged: Logged) -> bool:
        """Whether the event is before the one its account is parked at, if it is."""
        ends = self._ends.get(logged.at.account_id)
        return ends is None or logged.at.position < ends

    def _read(self, events: Sequence[Logged]) -> list[tuple[Logged, Event]]:
        """The events of accounts that are not parked; those that cannot be read park theirs."""
        read = []
        for logged in events:
            if not self._goes_on(logged):
                continue
            try:
                body = self._mapper.read(logged.topic, logged.state)
            except MapperDeserialisationError as fault:
                self._park(logged, fault)
            else:
                read.append((logged, body.data))
        return read

    def _folded(self, events: list[tuple[Logged, Event]]) -> Rows | None:
        """The rows of the events, folded anew without the account of one that fails."""
        while events:
            rows = self._model.rows()
            for logged, event in events:
                try:
                    rows.take(logged.at, event)
                except FOLD_FAULTS as fault:
                    self._park(logged, fault)
                    events = [(one, event) for one, event in events if self._goes_on(one)]
                    break
            else:
                return rows
        return None

    def _park(self, logged: Logged, fault: Exception) -> None:
        """The account stops here, also when it was to stop at a later event: reading comes first."""
        at = logged.at
        error = f"{type(fault).__name__}: {message_of(fault)}".replace("\x00", "")
        self._ends[at.account_id] = at.position
        id = UUID(bytes=at.account_id)
        self.parked = [parked for parked in self.parked if parked.account_id != id]
        self.parked.append(Parked(at.lane, id, at.position, at.version, logged.topic, error))

    def _note(self, connection: Connection) -> None:
        for parked in self.parked:
            connection.execute(_SQL["park"], parked._asdict())


def logged(connection: Connection, query: bytes, given: Mapping[str, Any]) -> list[Logged]:
    """The events that a query finds, by lane and position."""
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(query, given).fetchall()
    found = cast(list[tuple[int, int, bytes, int, datetime, str, bytes]], rows)
    found.sort()  # no two have the same lane and position
    at = At._make
    return [Logged(at(row[:5]), row[5], row[6]) for row in found]


def refuse_gap(events: Sequence[Logged], claimed: Sequence[tuple[int, int, int]]) -> None:
    """Raises Corrupt unless the events are every position after one up to another, by lane."""
    found = iter(events)
    for lane, after, upto in claimed:
        for position in range(after + 1, upto + 1):
            one = next(found, None)
            if one is None or one.at[:2] != (lane, position):
                raise Corrupt(f"lane {lane} has no event at position {position}")
    assert next(found, None) is None, "more events than asked for"


def is_write_fault(fault: BaseException) -> bool:
    """Whether an exception is about the rows written, not about the connection."""
    return isinstance(fault, WRITE_FAULTS)


def raise_alarm(model: ReadModel, parked: Parked) -> None:
    """An operator is told that an account stopped."""
    _log.error("account_parked", extra={"read_model": model.name, **parked._asdict()})
