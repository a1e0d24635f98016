"""The follower takes every event exactly once, whatever happens to it or to what it reads."""

import logging
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import psycopg
import pytest

from ledger.store import arrays
from ledger.store.committer import Ledger
from ledger.store.faults import Corrupt
from ledger.store.sql import load
from projections.batches import ViewDamaged
from projections.follower import Follower, ViewBehind, shares
from projections.receivables import RECEIVABLES
from tests.projections.books import MadeUp, append, books, interleaved
from tests.projections.views import views_differ
from tests.store.databases import Database
from tests.store.scenario import charge, opening, payment, requests

LIMIT_S = 20.0
CUT = (
    "SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity AS a"
    " WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()"
    " AND a.query LIKE '%tracking AS t%'"
)
"""Cuts the follower's connection, and no other."""


@pytest.fixture
def accounts(ledger: Ledger) -> list[MadeUp]:
    """A few accounts whose events are in the log."""
    made = books(7, 12, 60)
    append(ledger, interleaved(7, made))
    return made


def differences(database: Database, accounts: list[MadeUp]) -> list[str]:
    return views_differ(database.service_url, {a.id: a.book for a in accounts}, within_s=LIMIT_S)


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not reached():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.002)


@pytest.fixture
def started(database: Database) -> Iterator[Callable[[str, int], subprocess.Popen[str]]]:
    """Starts follower processes, and ends those that are left."""
    running = []

    def start(mode: str, events_max: int) -> subprocess.Popen[str]:
        program = [sys.executable, "-m", "tests.projections.follower_program"]
        process = subprocess.Popen(
            [*program, database.service_url, mode, str(events_max)],
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_killed_in_mid_batch(
    database: Database,
    accounts: list[MadeUp],
    follower: Follower,
    started: Callable[[str, int], subprocess.Popen[str]],
) -> None:
    """Killed with its rows written and not committed, it has done nothing; the next one does all."""
    for events_max in (5, 100):
        stuck = started("stuck", events_max)
        assert stuck.stdout is not None
        assert stuck.stdout.readline() == "written\n"
        stuck.kill()
        stuck.wait()
        assert 0 == sum(follower.tracked().values())
        assert [0] == database.rows("SELECT count(*) FROM receivables.movement")
    follower.catch_up()
    assert [] == differences(database, accounts)


def test_killed_at_random(
    database: Database,
    accounts: list[MadeUp],
    follower: Follower,
    started: Callable[[str, int], subprocess.Popen[str]],
) -> None:
    """Killed with -9 wherever it is, and started again, it takes every event once."""
    dice = random.Random()
    kills = 0
    for _ in range(4):
        before = sum(follower.tracked().values())
        process = started("free", 3)
        until(lambda before=before: sum(follower.tracked().values()) > before)  # type: ignore[misc] # bound at once
        time.sleep(dice.uniform(0, 0.02))
        process.kill()
        process.wait()
        kills += bool(follower.lag())
    assert kills > 0
    follower.catch_up()
    assert [] == differences(database, accounts)


def test_a_batch_ends_with_a_command(database: Database, ledger: Ledger) -> None:
    """However small the batches, the views show commands of several events whole or not at all."""
    paying = [payment(f"p{n}", 5 + n) for n in range(3)]  # submitted and processed at once
    append(ledger, requests("A-1", [opening(), *paying, charge("c")]))
    ends = {event.key: event.version for event in database.recorded("A-1")}
    seen = list[int]()
    with closing(Follower(database.service_url, RECEIVABLES, events_max=1)) as follower:
        while follower.step():
            seen += database.rows("SELECT version FROM receivables.account")
    assert [*ends.values()] == seen
    assert 8 == seen[-1]


def test_what_another_took_meanwhile_splits_no_command(
    database: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower that claims a lane which another one has moved takes no part of a command."""
    paying = [payment(f"p{n}", 5 + n) for n in range(3)]
    append(ledger, requests("A-1", [opening(), charge("c"), *paying]))
    with closing(Follower(database.service_url, RECEIVABLES, events_max=2)) as follower:
        take = follower._take

        def late(wanted: Mapping[int, int], ends: Mapping[int, int], *, carefully: bool) -> int:
            with closing(Follower(database.service_url, RECEIVABLES, events_max=1)) as other:
                other.step()
            return take(wanted, ends, carefully=carefully)

        monkeypatch.setattr(follower, "_take", late)
        follower.step()
    assert [4] == database.rows("SELECT version FROM receivables.account")


def test_two_at_once(database: Database, ledger: Ledger) -> None:
    """Two followers share the lanes; together they take every event once, while more come."""
    stop = threading.Event()
    followers = [Follower(database.service_url, RECEIVABLES, events_max=40) for _ in range(2)]
    threads = [threading.Thread(target=f.run, args=(stop,)) for f in followers]
    for thread in threads:
        thread.start()
    accounts = books(8, 12, 60)
    append(ledger, interleaved(8, accounts))
    found = differences(database, accounts)
    stop.set()
    for thread in threads:
        thread.join()
    assert [] == found


def test_lost_connections(database: Database, ledger: Ledger, follower: Follower) -> None:
    """A follower whose connection is cut again and again goes on."""
    stop = threading.Event()
    running = threading.Thread(target=follower.run, args=(stop,))
    running.start()
    accounts = books(9, 6, 40)
    with psycopg.connect(database.service_url, autocommit=True) as cutter:
        for n, request in enumerate(interleaved(9, accounts)):
            append(ledger, [request])
            if n % 30 == 0:
                until(lambda: cutter.execute(CUT).fetchone() != (0,))
    found = differences(database, accounts)
    stop.set()
    running.join()
    assert [] == found


POISON = {
    "not JSON": "state = '{oops'",
    "an unknown topic": "topic = 'moon_landed:1'",
    "a newer topic": "topic = replace(topic, ':1', ':2')",
    "an amount that is none": (
        'topic = \'charge_posted:1\', state = \'{"key":"k","actor":"a","data":{'
        '"effective_on":"2020-03-01","charge_id":"x","amount_minor":"1","category":"c",'
        '"description":"d"}}\''
    ),
    "an account opened twice": (
        "topic = 'account_opened:1', state = (SELECT o.state FROM ledger.event AS o"
        " WHERE o.lane = event.lane AND o.account_id = event.account_id AND o.version = 1)"
    ),
    "a source of no kind": (
        'topic = \'refund_issued:1\', state = \'{"key":"k","actor":"a","data":{'
        '"effective_on":"2020-03-01","refund_id":"x","amount_minor":1,"method":"card",'
        '"reason":"r","drawn":[{"source":"moon:1","amount_minor":1}]}}\''
    ),
    "a character that no text holds": (
        'topic = \'charge_posted:1\', state = \'{"key":"k","actor":"a","data":{'
        '"effective_on":"2020-03-01","charge_id":"x","amount_minor":1,"category":"c",'
        '"description":"\\\\u0000"}}\''
    ),
    "an invoice that is not there": (
        'topic = \'dispute_opened:1\', state = \'{"key":"k","actor":"a","data":{'
        '"effective_on":"2020-03-01","dispute_id":"x","invoice":"nowhere","amount_minor":1,'
        '"reason":"r"}}\''
    ),
    "more than 64 bits": (
        'topic = \'charge_posted:1\', state = \'{"key":"k","actor":"a","data":{'
        '"effective_on":"2020-03-01","charge_id":"x","amount_minor":99999999999999999999,'
        '"category":"c","description":"d"}}\''
    ),
}


@pytest.mark.parametrize("events_max", [7, 5_000])
def test_poison_parks_its_account_alone(
    database: Database,
    ledger: Ledger,
    follower: Follower,
    caplog: pytest.LogCaptureFixture,
    events_max: int,
) -> None:
    """An event of any kind that cannot be folded stops its account there; all others go on.

    Repaired and tried again, the account is whole.
    """
    accounts = [a for a in books(events_max, 30, 40) if len(a.book.events) > 6]
    append(ledger, interleaved(events_max, accounts))
    follower.events_max = events_max
    database.run("CREATE TABLE kept AS SELECT * FROM ledger.event")
    poisoned = {}
    for account, change in zip(accounts, POISON.values(), strict=False):
        poisoned[account.id] = version = random.randint(2, len(account.book.events) - 1)
        database.run(
            f"UPDATE ledger.event SET {change} WHERE account_id = '{account.id}'"
            f" AND version = {version}"
        )
    assert len(POISON) == len(poisoned) < len(accounts)
    follower.catch_up()
    found = {p.account_id: p.version for p in follower.parked()}
    assert poisoned == found, set(poisoned.items()) ^ set(found.items())
    assert len(POISON) == sum(r.message == "account_parked" for r in caplog.records)
    assert [] == differences(database, accounts[len(POISON) :])
    versions = dict(database.rows("SELECT account_id, version FROM receivables.account"))
    assert {id: version - 1 for id, version in poisoned.items()} == {
        id: version for id, version in versions.items() if id in poisoned
    }

    assert len(POISON) == len(follower.retry_parked())
    database.run(
        "UPDATE ledger.event AS e SET topic = k.topic, state = k.state FROM kept AS k"
        " WHERE e.lane = k.lane AND e.position = k.position"
    )
    assert [] == follower.retry_parked()
    assert [] == differences(database, accounts)


@pytest.mark.parametrize("first", ["a source of no kind", "an invoice that is not there"])
def test_an_account_is_parked_once_at_the_first_of_its_poisons(
    database: Database,
    ledger: Ledger,
    follower: Follower,
    caplog: pytest.LogCaptureFixture,
    first: str,
) -> None:
    """The event found bad last, in folding or by the database, may stand before one that could not
    even be read: the account stops there, with one alarm, and the others go on."""
    charges = [charge(f"c{n}") for n in range(5)]
    for number in ("B-1", "B-2"):
        append(ledger, requests(number, [opening(), *charges]))
    for version, change in ((3, POISON[first]), (5, POISON["not JSON"])):
        database.run(
            f"UPDATE ledger.event SET {change} WHERE version = {version} AND account_id ="
            " (SELECT account_id FROM ledger.account WHERE account_number = 'B-1')"
        )
    follower.catch_up()
    assert [3] == [parked.version for parked in follower.parked()]
    assert 1 == sum(r.message == "account_parked" for r in caplog.records)
    assert [("B-1", 2), ("B-2", 6)] == database.rows(
        "SELECT account_number, version FROM receivables.account ORDER BY account_number"
    )


@pytest.mark.parametrize("which", ["in the middle", "at the end"])
def test_a_gap_stops_it_loudly(
    database: Database,
    accounts: list[MadeUp],
    follower: Follower,
    caplog: pytest.LogCaptureFixture,
    which: str,
) -> None:
    """A position that is missing ends the follower with a critical record; nothing is skipped."""
    gap = "h.position" if which == "at the end" else "h.position / 2"
    database.run(
        "DELETE FROM ledger.event AS e USING ledger.lane_head AS h"
        f" WHERE e.lane = h.lane AND e.position = {gap}"
    )
    stop = threading.Event()
    giving_up = threading.Timer(LIMIT_S / 4, stop.set)
    giving_up.start()
    with pytest.raises(Corrupt):
        follower.run(stop)
    giving_up.cancel()
    assert "log_corrupt" in [r.message for r in caplog.records if r.levelno == logging.CRITICAL]
    assert [0] == database.rows("SELECT sum(position)::int FROM receivables.tracking")


def test_rows_refuse_to_go_backwards(
    database: Database, ledger: Ledger, follower: Follower
) -> None:
    """A row that is newer than what is to be written on it parks its account, unchanged."""
    append(ledger, [*requests("B-1", [opening(), charge("c1")])])
    append(ledger, [*requests("B-2", [opening(), charge("c1")])])
    follower.catch_up()
    database.run("UPDATE receivables.account SET version = 3 WHERE account_number = 'B-1'")
    append(ledger, requests("B-1", [opening(), charge("c1"), charge("c2")])[2:])
    append(ledger, requests("B-2", [opening(), charge("c1"), charge("c2")])[2:])
    follower.catch_up()
    [parked] = follower.parked()
    assert "WentBackwards" in parked.error
    assert [("B-1", 3, 1_000), ("B-2", 3, 2_000)] == database.rows(
        "SELECT account_number, version, unbilled_minor FROM receivables.account"
        " ORDER BY account_number"
    )
    assert [] == follower.retry_parked()
    assert [2_000, 2_000] == database.rows("SELECT unbilled_minor FROM receivables.account")


def test_positions_turned_back_change_nothing(
    database: Database, ledger: Ledger, follower: Follower
) -> None:
    """With tracked positions lost, the follower stops rather than park every account."""
    opened = [requests(f"T-{n}", [opening(), charge("c1")]) for n in range(40)]
    append(ledger, [request for pair in opened for request in pair])
    follower.catch_up()
    before = database.rows("SELECT a::text FROM receivables.account AS a ORDER BY a::text")
    database.run("UPDATE receivables.tracking SET position = 0")
    with pytest.raises(ViewDamaged):
        follower.catch_up()
    assert [] == follower.parked()
    assert before == database.rows("SELECT a::text FROM receivables.account AS a ORDER BY a::text")


def test_catching_up_has_a_limit(
    database: Database, accounts: list[MadeUp], follower: Follower
) -> None:
    """A lane that another transaction holds is waited for, and then reported."""
    with psycopg.connect(database.owner_url) as holder:
        holder.execute("SELECT position FROM receivables.tracking FOR UPDATE")
        with pytest.raises(ViewBehind):
            follower.catch_up(timeout_s=0.1)
        assert sum(follower.lag().values()) == sum(len(a.book.events) for a in accounts)
    assert follower.catch_up() > 0


def test_shares_are_fair() -> None:
    """Lanes with little are served whole; a backlog takes what is left, and never all of a batch."""
    assert {1: 10, 2: 900, 0: 90} == shares({0: 100_000, 1: 10, 2: 100_000}, 1_000) | {
        0: 90,
        2: 900,
    }
    assert {0: 5, 1: 7} == shares({0: 5, 1: 7}, 1_000)
    wanted = shares({0: 100_000, 1: 10, 2: 100_000}, 1_000)
    assert (10, 495, 495) == (wanted[1], wanted[0], wanted[2])
    assert all(n == 1 for n in shares(dict.fromkeys(range(64), 9), 10).values() if n < 2)


def test_the_end_of_a_command_is_looked_for_at_two_positions(
    database: Database, ledger: Ledger, follower: Follower
) -> None:
    """However many events an account has, none but those around the end of a batch are read."""
    large = requests("B-1", [opening(), *(charge(f"c{n}") for n in range(300))])
    append(ledger, large + [r for n in range(200) for r in requests(f"S-{n}", [opening()])])
    database.run("ANALYZE ledger.event")
    lags = follower.lag()
    lane = max(lags, key=lambda lane: lags[lane])
    given = {
        "lanes": arrays.packed(arrays.Int4, [lane]),
        "upto": arrays.packed(arrays.Int8, [lags[lane] // 2]),
    }
    statement = b"EXPLAIN (ANALYZE, FORMAT json) " + load("projections", "follower.sql")["around"]
    with psycopg.connect(follower._url) as connection:
        arrays.register(connection)
        [[[plan]]] = connection.execute(statement, given).fetchall()
    assert 0 < rows_read(plan["Plan"]) <= 2


def rows_read(node: dict[str, Any]) -> float:
    """Rows that a plan's scans of indexes and tables gave."""
    own = node["Actual Rows"] * node["Actual Loops"] if "Relation Name" in node else 0
    return float(own + sum(map(rows_read, node.get("Plans", []))))
