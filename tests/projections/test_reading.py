"""Reads say how fresh they are, are never older than asked for, and cost index probes alone."""

import json
import threading
import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from ledger.errors import KnownAtInFuture
from ledger.events import (
    MessagePosted,
    PaymentProcessed,
    PaymentReinstated,
    PaymentReturned,
    PaymentUnprocessed,
)
from ledger.store.committer import Ledger
from ledger.store.lanes import account_id
from ledger.store.outcomes import Accepted
from projections.follower import Follower, ViewBehind
from projections.reading import Reading
from tests.projections.books import append, books, interleaved, positions
from tests.store.databases import US, Database
from tests.store.scenario import TODAY, charge, opening, requests

ID = account_id(US.code, "R-1")


@pytest.fixture
def reading(database: Database) -> Any:
    """Reads every account."""
    open_reading = Reading(database.service_url)
    yield open_reading
    open_reading.close()


def test_own_writes_are_waited_for(ledger: Ledger, follower: Follower, reading: Reading) -> None:
    """A position just written is refused until the follower has it, and then seen."""
    first, second = ledger.handle_now(requests("R-1", [opening(), charge("c1")]))
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    position = second.position
    assert position is not None
    assert reading.summary(ID, TODAY) is None
    with pytest.raises(ViewBehind):
        reading.wait_for(ID, position, timeout_s=0.02)
    with pytest.raises(ViewBehind):
        reading.summary(ID, TODAY, position)
    with pytest.raises(ViewBehind):
        reading.open_items(ID, TODAY, position)
    stop = threading.Event()
    running = threading.Thread(target=follower.run, args=(stop,))
    running.start()
    reading.wait_for(ID, position)
    shown = reading.summary(ID, TODAY)
    stop.set()
    running.join()
    assert shown is not None
    assert (position, 2, 1_000) == (shown.position, shown.version, shown.current_activity_minor)


def test_a_parked_account_is_behind(
    database: Database, ledger: Ledger, follower: Follower, reading: Reading
) -> None:
    """What is shown of a parked account stands just before the event that stopped it."""
    append(ledger, requests("R-1", [opening(), charge("c1"), charge("c2")]))
    database.run("UPDATE ledger.event SET state = 'x' WHERE version = 3")
    follower.catch_up()
    shown = reading.summary(ID, TODAY)
    assert shown is not None
    assert (2, 2, 1_000) == (shown.position, shown.version, shown.current_activity_minor)
    with pytest.raises(ViewBehind):
        reading.wait_for(ID, 3, timeout_s=0.01)
    with pytest.raises(ViewBehind):
        reading.summary(ID, TODAY, 3)


def test_an_instant_is_a_position(ledger: Ledger, follower: Follower, reading: Reading) -> None:
    """What was known at an instant is what is known at the position it resolves to."""
    asked = requests("R-1", [opening(), charge("c1"), charge("c2")])
    instants = []
    for request in asked:
        append(ledger, [request])
        instants.append(datetime.now(UTC))
    follower.catch_up()
    before = reading.known_position(ID, instants[0] - timedelta(hours=1))
    assert 0 == before
    assert reading.summary(ID, TODAY, before) is None
    for n, instant in enumerate(instants):
        shown = reading.summary(ID, TODAY, reading.known_position(ID, instant))
        assert shown is not None
        assert (n + 1, 1_000 * n) == (shown.version, shown.current_activity_minor)
    with pytest.raises(KnownAtInFuture):
        reading.known_position(ID, datetime.now(UTC) + timedelta(hours=1))


def test_last_payment_and_messages_as_of(
    database: Database, ledger: Ledger, follower: Follower, reading: Reading
) -> None:
    """The payment received last, of what was known and had counted by then; messages likewise."""
    accounts = books(31, 15, 120)
    append(ledger, interleaved(31, accounts))
    follower.catch_up()
    placed = positions(database)
    shown_some = 0
    for account in accounts:
        held, at = account.book.events, placed[account.id]
        for version in range(1, len(held) + 1, 5):
            day = held[version - 1].effective_on + timedelta(days=version % 9)
            kept: dict[str, int] = {}
            processed: list[tuple[date, int, str, int]] = []
            for n, event in enumerate(held[:version]):
                if event.effective_on > day:
                    continue
                match event:
                    case PaymentProcessed():
                        kept[event.payment_id] = kept.get(event.payment_id, 0) + event.amount_minor
                        processed.append(
                            (event.effective_on, n, event.payment_id, event.amount_minor)
                        )
                    case PaymentReinstated():
                        kept[event.payment_id] = kept.get(event.payment_id, 0) + event.amount_minor
                    case PaymentReturned() | PaymentUnprocessed():
                        kept[event.payment_id] = kept.get(event.payment_id, 0) - event.amount_minor
                    case _:
                        pass
            last = max((p for p in processed if kept[p[2]] > 0), default=(None, 0, None, None))
            messages = sum(
                isinstance(e, MessagePosted) and e.effective_on <= day for e in held[:version]
            )
            shown = reading.summary(account.id, day, at[version - 1])
            assert shown is not None
            assert (last[0], last[2], last[3], messages) == (
                shown.last_payment_on,
                shown.last_payment_id,
                shown.last_payment_minor,
                shown.messages,
            )
            shown_some += last[0] is not None
    assert shown_some > 50


BATCHED = """
SELECT s.* FROM unnest(%(lanes)s::int[], %(ids)s::uuid[], %(at)s::bigint[]) AS a (lane, id, at)
CROSS JOIN LATERAL receivables.{} AS s
"""


@pytest.mark.parametrize(
    "function",
    [
        "summary_row(a.lane, a.id, '2020-07-15')",
        "summary_as_of(a.lane, a.id, '2020-07-15', a.at)",
        "open_items(a.lane, a.id, '2020-07-15', a.at)",
        "open_items(a.lane, a.id, '2020-07-15', NULL)",
    ],
)
def test_reads_are_index_probes(
    database: Database, ledger: Ledger, follower: Follower, function: str
) -> None:
    """Read for many accounts in one statement, the functions are inlined and scan no table."""
    accounts = books(41, 40, 60)
    append(ledger, interleaved(41, accounts))
    follower.catch_up()
    database.run("ANALYZE")
    with psycopg.connect(database.acting_as("billing_reader"), autocommit=True) as connection:
        connection.execute("SELECT set_config('billing.scope', '*', false)")
        # Few rows: without this a scan of all of them is truly cheaper than an index.
        connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        row = connection.execute(
            f"EXPLAIN (FORMAT JSON) {BATCHED.format(function)}".encode(),
            {"lanes": [1, 2], "ids": [a.id for a in accounts[:2]], "at": [1, 1]},
        ).fetchone()
    assert row is not None
    plan = json.dumps(row[0])
    assert "Function Scan" in plan
    assert plan.count('"Function Scan"') == 1, "a function was not inlined"
    assert "Seq Scan" not in plan
    assert "Hash Join" not in plan
    assert "Merge Join" not in plan


def test_a_read_is_fast(database: Database, ledger: Ledger, follower: Follower) -> None:
    """A live summary takes about a millisecond, and one as of long ago not much more."""
    accounts = books(51, 10, 120)
    append(ledger, interleaved(51, accounts))
    follower.catch_up()
    largest = max(accounts, key=lambda a: len(a.book.events))
    reading = Reading(database.service_url)
    spent = {}
    for name, position in (("live", None), ("as of", reading.reached(largest.id))):
        for _ in range(10):
            reading.summary(largest.id, TODAY, position)
        begun = time.perf_counter()
        for _ in range(50):
            reading.summary(largest.id, TODAY, position)
        spent[name] = (time.perf_counter() - begun) / 50
    reading.close()
    print({name: f"{s * 1000:.2f} ms" for name, s in spent.items()})
    assert spent["live"] < 0.05
    assert spent["as of"] < 0.05
