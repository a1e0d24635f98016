"""The append: all of an account or nothing of it, gap-free positions, instants that never go back."""

import threading
from collections.abc import Iterator, Sequence

import psycopg
import pytest
from eventsourcing.persistence import OperationalError

from ledger.store.append import AccountRow, Batch, EventRow, ItemRow, KeyRow, TextRow
from ledger.store.connection import OneConnection
from ledger.store.hashes import FIRST, account_hash, lane_leaf
from ledger.store.lanes import account_id, lane_of
from ledger.store.recorder import LaneRecorder
from tests.store.databases import US, Database, numbers_in_lanes

LOG = (
    "SELECT lane, position, account_id, version, topic, state, hash FROM ledger.event"
    " ORDER BY lane, position"
)
ROWS = (
    "SELECT lane, account_number, version, state, hash FROM ledger.account ORDER BY lane, account_number",
    (
        "SELECT lane, account_id, kind, id, seq, version, state, open_minor, source FROM ledger.item"
        " ORDER BY lane, account_id, kind, id"
    ),
    (
        "SELECT lane, account_id, key, first_version, last_version FROM ledger.command_key"
        " ORDER BY lane, account_id, key"
    ),
    (
        "SELECT lane, account_id, message_id, body FROM ledger.message_text"
        " ORDER BY lane, account_id, message_id"
    ),
)


@pytest.fixture
def recorder(database: Database) -> Iterator[LaneRecorder]:
    datastore = OneConnection(database.writer)
    yield LaneRecorder(datastore)
    datastore.close()


def add(batch: Batch, number: str, versions: range, expected: int | None = None) -> None:
    """Adds events of an account, with a key, an item and a text, to a batch."""
    id = account_id(US.code, number)
    hash, rows = FIRST, []
    for version in range(1, versions.stop):
        state = f"{number} {version}".encode()
        hash = account_hash(hash, id, version, "said:1", state)
        if version in versions:
            rows.append((version, "said:1", state, hash))
    before = versions.start - 1 if expected is None else expected
    batch.accounts.append(
        AccountRow(lane_of(id), id, before, number, versions.stop - 1, b"{}", hash)
    )
    place = len(batch.accounts)
    batch.events.add(place, [EventRow(*row) for row in rows])
    key = f"key-{versions.start}"
    used = KeyRow(key, bytes(32), versions.start, versions.stop - 1, b"{}")
    batch.keys.add(place, [used])
    item = ItemRow(
        "invoice", "I1", 1, versions.stop - 1, b"{}", None, versions.stop, 0, 0,
        None, None, None, None, None,
    )  # fmt: skip  # in the order of the fields
    batch.items.add(place, [item])
    batch.texts.add(place, [TextRow(key, "hello")])


def append(recorder: LaneRecorder, batch: Batch) -> Sequence[int]:
    recorder.append(batch)
    return [placed.position for placed in batch.placed.values()]


def test_one_lane_at_a_time_gives_the_same_as_all_lanes_at_once(
    recorder: LaneRecorder, database: Database
) -> None:
    """Accounts of several lanes appended lane by lane, and other databases' all in one append,
    leave equal rows: positions, versions, hashes, account rows, items, keys and texts."""
    numbers = numbers_in_lanes([0, 5, 5, 5, 31, 63])
    rounds = [range(1, 4), range(4, 5), range(5, 9)]
    together: list[list[object]] = []
    for one_by_one in (True, False):
        for versions in rounds:
            batches: dict[int, Batch] = {}
            for number in numbers:
                lane = lane_of(account_id(US.code, number)) if one_by_one else 0
                add(batches.setdefault(lane, Batch()), number, versions)
            for batch in batches.values():
                append(recorder, batch)
        together.append([database.rows(query) for query in (LOG, *ROWS)])
        database.run(
            "TRUNCATE ledger.event, ledger.account, ledger.item, ledger.command_key,"
            " ledger.message_text; UPDATE ledger.lane_head SET position = 0"
        )
    assert together[0] == together[1]
    assert len(together[0][0]) == 8 * len(numbers)  # type: ignore[arg-type] # a list of rows


def test_positions_are_gap_free_and_leaves_name_them(
    recorder: LaneRecorder, database: Database
) -> None:
    """Each lane counts from 1 without gaps, its head is its last position, and the leaf that the
    append returned and stored is the one computed from the event."""
    numbers = numbers_in_lanes([2, 2, 9])
    batch = Batch()
    for number in numbers:
        add(batch, number, range(1, 4))
    assert append(recorder, batch) == [1, 2, 3, 4, 5, 6, 1, 2, 3]
    rows = database.rows(
        "SELECT lane, position, account_id, version, recorded_at, hash, leaf FROM ledger.event"
        " ORDER BY lane, position"
    )
    for lane, position, id, version, recorded_at, hash, leaf in rows:
        assert leaf == lane_leaf(lane, position, recorded_at, hash)
        assert batch.placed[id.bytes, version] == (position, recorded_at, leaf)
    heads = database.rows("SELECT lane, position FROM ledger.lane_head WHERE position > 0")
    assert sorted(heads) == [(2, 6), (9, 3)]


def test_an_account_that_moved_is_left_out_alone(
    recorder: LaneRecorder, database: Database
) -> None:
    """An account not at the version expected stores nothing; those beside it in its lane and in
    others are stored without a gap."""
    moved, beside, far = numbers_in_lanes([4, 4, 40])
    first = Batch()
    add(first, moved, range(1, 3))
    append(recorder, first)
    batch = Batch()
    add(batch, moved, range(2, 4))
    add(batch, beside, range(1, 3))
    add(batch, far, range(1, 2))
    assert append(recorder, batch) == [3, 4, 1]
    assert {account for account, _ in batch.placed} == {
        account_id(US.code, beside).bytes,
        account_id(US.code, far).bytes,
    }
    version = database.rows("SELECT version FROM ledger.account WHERE account_number = %s", moved)
    assert version == [2]
    assert database.rows("SELECT count(*) FROM ledger.command_key WHERE key = 'key-2'") == [0]
    assert database.first_break() is None


def test_instants_never_go_back(recorder: LaneRecorder, database: Database) -> None:
    """An append into a lane whose last instant lies ahead of the clock repeats that instant."""
    (number,) = numbers_in_lanes([3])
    database.run("UPDATE ledger.lane_head SET recorded_at = '2100-01-01Z' WHERE lane = 3")
    batch = Batch()
    add(batch, number, range(1, 2))
    append(recorder, batch)
    stamped = "SELECT DISTINCT recorded_at = '2100-01-01Z' FROM ledger.event"
    assert database.rows(stamped) == [True]
    heads = database.rows("SELECT recorded_at = '2100-01-01Z' FROM ledger.lane_head WHERE lane = 3")
    assert heads == [True]


def deadlocks(database: Database) -> int:
    """How many of two writers that name the same lanes in opposite orders were shot."""
    numbers = numbers_in_lanes(range(20, 40))
    shot: list[BaseException] = []

    def run(order: list[str], versions: range) -> None:
        datastore = OneConnection(database.writer)
        recorder = LaneRecorder(datastore)
        try:
            for version in versions:
                batch = Batch()
                for number in order:
                    add(batch, number, range(version, version + 1))
                batch.accounts = [row._replace(expected=None) for row in batch.accounts]
                bare = Batch()
                bare.accounts, bare.events = batch.accounts, batch.events
                append(recorder, bare)
        except OperationalError as fault:
            shot.append(fault)
        finally:
            datastore.close()

    threads = [
        threading.Thread(target=run, args=(numbers, range(1, 6))),
        threading.Thread(target=run, args=(numbers[::-1], range(11, 16))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(shot)


def test_opposite_orders_of_lanes_do_not_deadlock(database: Database) -> None:
    """Appends that name the same lanes in opposite orders never wait for each other in a circle;
    when heads are locked in the order given instead, they do."""
    # The first ten rows come at once: only with a pause between the rest do two writers meet.
    pause = "bases[head.lane + 1] := head.position;"
    database.plant("append", pause, f"{pause} PERFORM pg_sleep(0.002);")
    assert deadlocks(database) == 0
    database.run("TRUNCATE ledger.event")
    database.plant("append", "ORDER BY h.lane\n", "ORDER BY array_position(a_lane, h.lane)\n")
    assert deadlocks(database) > 0


def test_a_key_cannot_be_used_twice(recorder: LaneRecorder, database: Database) -> None:
    """Even a command that got past the look-up of its key cannot be stored under it again."""
    batch = Batch()
    add(batch, "A-1", range(1, 2))
    append(recorder, batch)
    again = Batch()
    add(again, "A-1", range(2, 3))
    again.keys.rows[0] = again.keys.rows[0]._replace(key="key-1")
    with pytest.raises(Exception, match="command_key_pkey"):
        append(recorder, again)
    assert len(database.rows(LOG)) == 1


def test_a_state_past_8_kb_is_refused(recorder: LaneRecorder) -> None:
    """The account row's limit is kept by the database too."""
    batch = Batch()
    add(batch, "A-1", range(1, 2))
    batch.accounts[0] = batch.accounts[0]._replace(state=bytes(8193))
    with pytest.raises(Exception, match="account_state_check") as refused:
        append(recorder, batch)
    assert isinstance(refused.value.__cause__, psycopg.errors.CheckViolation)
