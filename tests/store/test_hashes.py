"""Changed history shows: every kind of tampering with a stored event is found where it was done."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid5

import pytest

from ledger.store.committer import Ledger
from ledger.store.hashes import (
    FIRST,
    account_hash,
    first_break_of_account,
    first_break_of_lane,
    lane_leaf,
    microseconds,
)
from ledger.store.lanes import account_id, lane_of
from ledger.store.recorder import EventAt
from tests.store.databases import Database
from tests.store.scenario import charge, opening, requests

IDS = [uuid5(UUID(int=1), str(n)) for n in range(3)]
AT = datetime(2020, 7, 31, 12, tzinfo=UTC)


def lane_of_events() -> list[EventAt]:
    """A small lane of three accounts, as an append would leave it."""
    events, chains = [], dict.fromkeys(IDS, (0, FIRST))
    for position in range(1, 13):
        id = IDS[position % 3]
        version, previous = chains[id]
        state, recorded_at = f"said {position}".encode(), AT + timedelta(seconds=position)
        hash = account_hash(previous, id, version + 1, "said:1", state)
        leaf = lane_leaf(4, position, recorded_at, hash)
        events.append(
            EventAt(4, position, id, version + 1, "said:1", state, recorded_at, hash, leaf)
        )
        chains[id] = version + 1, hash
    return events


def forged(event: EventAt, **changes: object) -> EventAt:
    """The event changed by somebody who also computes its own hash and leaf anew."""
    event = event._replace(**changes)  # type: ignore[arg-type] # fields by name
    hash = account_hash(FIRST, event.account_id, event.version, event.topic, event.state)
    leaf = lane_leaf(event.lane, event.position, event.recorded_at, hash)
    return event._replace(hash=hash, leaf=leaf)


TAMPERINGS: dict[str, Callable[[list[EventAt]], None]] = {
    "a body": lambda e: e.__setitem__(5, e[5]._replace(state=b"other")),
    "a topic": lambda e: e.__setitem__(5, e[5]._replace(topic="other:1")),
    "an account": lambda e: e.__setitem__(5, e[5]._replace(account_id=IDS[1])),
    "an instant": lambda e: e.__setitem__(
        5, e[5]._replace(recorded_at=AT + timedelta(seconds=6.5))
    ),
    "a hash": lambda e: e.__setitem__(5, e[5]._replace(hash=bytes(32))),
    "a leaf": lambda e: e.__setitem__(5, e[5]._replace(leaf=bytes(32))),
    "a body, with its hash and leaf": lambda e: e.__setitem__(5, forged(e[5], state=b"other")),
    "one left out": lambda e: e.pop(5),
    "two exchanged": lambda e: e.__setitem__(slice(5, 7), [e[6], e[5]]),
    "one twice": lambda e: e.insert(5, e[4]),
    "time going back": lambda e: e.__setitem__(5, forged(e[5], recorded_at=AT - timedelta(days=1))),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_tampering_is_found_where_it_was_done(tampering: str) -> None:
    """The first break of the lane is the event tampered with."""
    events = lane_of_events()
    assert first_break_of_lane(events) is None
    TAMPERINGS[tampering](events)
    broken = first_break_of_lane(events)
    assert broken is not None
    assert broken.position in (events[5].position, 6)


def test_an_account_is_checked_alone_and_from_any_version() -> None:
    """The chain of one account holds from its start, and from any event whose hash is known."""
    own = [event for event in lane_of_events() if event.account_id == IDS[1]]
    assert first_break_of_account(own) is None
    assert first_break_of_account(own[2:], version=2, previous=own[1].hash) is None
    broken = first_break_of_account(own[2:], version=2, previous=own[0].hash)
    assert broken is not None
    assert broken.what == "the account hash differs"
    gap = first_break_of_account(own[:1] + own[2:])
    assert gap is not None
    assert gap.what == "version 2 is missing"


def test_a_lane_is_checked_from_any_position() -> None:
    """Past a position positions, instants and leaves are checked; a leaf that differs is found."""
    events = lane_of_events()[6:]
    assert first_break_of_lane(events, position=6, recorded_at=AT) is None
    events[2] = events[2]._replace(leaf=bytes(32))
    broken = first_break_of_lane(events, position=6, recorded_at=AT)
    assert broken is not None
    assert broken.position == 9


def test_the_bytes_that_are_hashed() -> None:
    """The framing as published: lengths in 32 bits big-endian, numbers in 64, a leaf after a zero
    byte. Changing it would break every chain, so it is spelled out here once more."""
    id, state = UUID(int=5), b'{"a":1}'
    framed = b"".join(
        len(field).to_bytes(4, "big") + field
        for field in (FIRST, id.bytes, (9).to_bytes(8, "big"), b"said:1", state)
    )
    hash = account_hash(FIRST, id, 9, "said:1", state)
    assert hash == sha256(framed).digest()
    instant = datetime(2020, 7, 31, 12, 0, 0, 123_456, tzinfo=UTC)
    assert microseconds(instant) == 1_596_196_800_123_456
    leaf = b"\0" + (7).to_bytes(4, "big") + (8).to_bytes(8, "big")
    leaf += (1_596_196_800_123_456).to_bytes(8, "big") + hash
    assert lane_leaf(7, 8, instant, hash) == sha256(leaf).digest()


def test_receipts_name_leaves_that_the_log_holds(ledger: Ledger, database: Database) -> None:
    """The receipt of a write is the leaf of its last event, computed by the database; a change by
    the database's owner afterwards is found."""
    outcomes = ledger.handle_now(requests("A-1", [opening(), charge("c1"), charge("c2")]))
    leaves = database.rows("SELECT leaf FROM ledger.event ORDER BY position")
    assert [outcome.leaf for outcome in outcomes] == leaves  # type: ignore[union-attr] # accepted
    assert database.first_break() is None
    database.run("UPDATE ledger.event SET state = state || ' ' WHERE position = 2")
    assert "position=2" in str(database.first_break())


def test_lanes_and_ids_never_change() -> None:
    """Accounts stay where they are: their ids and lanes are computed as they were at first."""
    assert account_id("us", "10001") == UUID("72f476d5-ad06-56e0-9873-1de44dab3c4d")
    assert lane_of(account_id("us", "10001")) == 23
