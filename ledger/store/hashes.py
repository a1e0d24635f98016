"""What makes changed history show: a hash chain per account, a leaf per event in its lane.

The chain runs over the stored bytes, never over a re-serialisation. Fields are length-prefixed
(32 bits, big-endian), so no two lists of fields give the same bytes; a leaf starts with a zero
byte as in RFC 6962, so no inner node of a tree over leaves can pass for one.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Protocol
from uuid import UUID

FIRST = bytes(32)
"""What the hash of an account's first event takes as the previous one."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LENGTH = struct.Struct(">I")
_FRAME = struct.Struct(">I32sI16sIqI")
_LEAF = struct.Struct(">Biqq")


class Stored(Protocol):
    """An event as the log holds it."""

    @property
    def lane(self) -> int: ...
    @property
    def position(self) -> int: ...
    @property
    def account_id(self) -> UUID: ...
    @property
    def version(self) -> int: ...
    @property
    def topic(self) -> str: ...
    @property
    def state(self) -> bytes: ...
    @property
    def recorded_at(self) -> datetime: ...
    @property
    def hash(self) -> bytes: ...
    @property
    def leaf(self) -> bytes: ...


@dataclass(frozen=True)
class Break:
    """The first place where history contradicts itself, and how."""

    lane: int
    position: int
    account_id: UUID
    version: int
    what: str


def account_hash(
    previous: bytes, account_id: UUID, version: int, topic: str, state: bytes
) -> bytes:
    """The hash of an account's history up to and with one event."""
    name = topic.encode()
    framed = _FRAME.pack(32, previous, 16, account_id.bytes, 8, version, len(name))
    return sha256(framed + name + _LENGTH.pack(len(state)) + state).digest()


def lane_leaf(lane: int, position: int, recorded_at: datetime, account_hash: bytes) -> bytes:
    """The leaf of an event in its lane's tree; `ledger.append` computes the same."""
    return sha256(_LEAF.pack(0, lane, position, microseconds(recorded_at)) + account_hash).digest()


def microseconds(instant: datetime) -> int:
    """Microseconds since 1970-01-01 00:00 UTC."""
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def first_break_of_account(
    events: Iterable[Stored], *, version: int = 0, previous: bytes = FIRST
) -> Break | None:
    """The first event of one account, in order of version, that does not follow from the last.

    `version` and `previous` are those of the last event before the ones given.
    """
    for event in events:
        version += 1
        if event.version != version:
            return _broken(event, f"version {version} is missing")
        previous = account_hash(previous, event.account_id, version, event.topic, event.state)
        if event.hash != previous:
            return _broken(event, "the account hash differs")
        if event.leaf != lane_leaf(event.lane, event.position, event.recorded_at, event.hash):
            return _broken(event, "the leaf differs")
    return None


def first_break_of_lane(
    events: Iterable[Stored], *, position: int = 0, recorded_at: datetime = _EPOCH
) -> Break | None:
    """The first event of one lane, in order of position, that cannot be there.

    Checks positions, instants, leaves, and the chain of every account from its first event on, so
    the lane must be given from its start (`position` 0) for the chains to be checked.
    """
    chains: dict[UUID, tuple[int, bytes]] = {}
    from_start = position == 0
    for event in events:
        position += 1
        if event.position != position:
            return _broken(event, f"position {position} is missing")
        if event.recorded_at < recorded_at:
            return _broken(event, "recorded before the event before it")
        recorded_at = event.recorded_at
        version, previous = chains.get(event.account_id, (0, FIRST))
        if from_start:
            if broken := first_break_of_account([event], version=version, previous=previous):
                return broken
            chains[event.account_id] = event.version, event.hash
        elif event.leaf != lane_leaf(event.lane, position, recorded_at, event.hash):
            return _broken(event, "the leaf differs")
    return None


def _broken(event: Stored, what: str) -> Break:
    return Break(event.lane, event.position, event.account_id, event.version, what)
