"""A rebuild's loading: processes with lanes of their own, what is left to followers, and who is killed."""

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import psycopg
import pytest
from psycopg.errors import DeadlockDetected

from ledger.processes import WorkerFailed
from ledger.store.committer import Ledger
from projections import loading
from projections import rebuild as rebuilding
from projections.follower import Follower
from projections.model import Connection, creation
from projections.rebuild import Progress, Rebuilt, rebuild
from projections.receivables import RECEIVABLES
from projections.receivables.account_rows import DailyRow
from projections.receivables.fold import ReceivablesRows
from tests.projections.books import MadeUp, append, books, interleaved
from tests.projections.views import dump, schemas, views_differ
from tests.store.databases import Database
from tests.store.test_processes import is_gone

END_S_MAX = 20.0
SESSIONS_MAX = 30
"""Of a hundred that a server has unless it is told otherwise."""


@pytest.fixture
def accounts(ledger: Ledger, follower: Follower) -> list[MadeUp]:
    """Accounts of many lanes, with events of every kind, that the views hold."""
    made = books(23, 12, 60)
    append(ledger, interleaved(23, made))
    follower.catch_up()
    return made


@pytest.fixture
def in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little there is to load, processes load it."""
    monkeypatch.setattr(rebuilding, "EVENTS_OF_PROCESSES", 1)


def again(database: Database, *, done: list[Progress] | None = None) -> Rebuilt:
    seen: list[Progress] = [] if done is None else done
    return rebuild(database.owner_url, database.service_url, RECEIVABLES, progress=seen.append)


def left(caplog: pytest.LogCaptureFixture) -> list[int]:
    """The lanes that were left to a follower."""
    return [record.__dict__["lane"] for record in caplog.records if record.msg == "lane_left"]


@pytest.mark.parametrize("at_once", [7, 10_000])
def test_whole_lanes_are_the_rows_that_the_follower_made(
    database: Database,
    accounts: list[MadeUp],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
) -> None:
    """Wherever the parts end that are read together, the rows are the same, and all are loaded."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(loading, "EVENTS_AT_ONCE", at_once)
    before, seen = dump(database), list[Progress]()
    assert ((), ()) == again(database, done=seen)[1:]
    assert before == dump(database)
    assert [] == left(caplog)
    filled = [p.done for p in seen if p.phase == "filling"]
    assert filled == sorted(set(filled))
    assert seen[0].total == filled[-1] == sum(len(a.book.events) for a in accounts)


@pytest.mark.parametrize("held_max", [-1, 20])
def test_a_lane_with_too_much_to_hold_is_finished_by_a_follower(
    database: Database, accounts: list[MadeUp], monkeypatch: pytest.MonkeyPatch, held_max: int
) -> None:
    """What loading holds is bounded, and where it stops makes no difference to the rows."""
    monkeypatch.setattr(loading, "EVENTS_AT_ONCE", 5)
    monkeypatch.setattr(loading, "HELD_MAX", held_max)
    followed = list[int]()
    step = Follower.step

    def counted(self: Follower, upto: dict[int, int] | None = None) -> int:
        followed.append(step(self, upto))
        return followed[-1]

    monkeypatch.setattr(Follower, "step", counted)
    before = dump(database)
    rebuilt = again(database)
    assert () == rebuilt.differences
    assert before == dump(database)
    assert 0 < sum(followed) <= rebuilt.events


def test_sums_of_days_that_are_over_are_not_held(
    database: Database,
    accounts: list[MadeUp],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lane recorded over many days is loaded like any other: its sums go out day by day."""
    caplog.set_level(logging.INFO)
    database.run("UPDATE ledger.event SET recorded_at = recorded_at + position * interval '9 h'")
    with monkeypatch.context() as followed:
        followed.setattr(loading, "HELD_MAX", -1)
        rebuild(database.owner_url, database.service_url, RECEIVABLES, accept_differences=True)
    before = dump(database)
    monkeypatch.setattr(loading, "EVENTS_AT_ONCE", 7)
    most = list[int]()
    copy_settled = ReceivablesRows.copy_settled

    def watched(self: ReceivablesRows, connection: Connection) -> None:
        copy_settled(self, connection)
        most.append(len({row.recorded_day for row in self.made[DailyRow]}))

    monkeypatch.setattr(ReceivablesRows, "copy_settled", watched)
    assert () == again(database).differences
    assert before == dump(database)
    assert [] == left(caplog)
    assert 1 == max(most)


def test_a_lane_whose_instants_go_back_is_left_to_the_follower(
    database: Database,
    accounts: list[MadeUp],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sums of a day that was taken to be over are never made twice: the follower adds to them."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(loading, "EVENTS_AT_ONCE", 7)
    database.run("UPDATE ledger.event SET recorded_at = recorded_at - position * interval '9 h'")
    rebuild(database.owner_url, database.service_url, RECEIVABLES, accept_differences=True)
    assert left(caplog)
    assert [] == views_differ(database.service_url, {a.id: a.book for a in accounts})


@pytest.mark.parametrize(
    "poison",
    [
        "UPDATE ledger.event SET topic = 'x:1' WHERE account_id = %s AND version = 3",
        "UPDATE ledger.event SET state = '' WHERE account_id = %s AND version = 3",
        (
            "UPDATE ledger.event AS e SET topic = first.topic, state = first.state"
            " FROM ledger.event AS first WHERE e.account_id = %s AND e.version = 3"
            " AND first.account_id = e.account_id AND first.version = 1"
        ),
    ],
    ids=["of no known topic", "unreadable", "opened twice"],
)
def test_only_the_lane_of_a_poisoned_account_is_left_to_the_follower(
    database: Database, accounts: list[MadeUp], caplog: pytest.LogCaptureFixture, poison: str
) -> None:
    """It parks the account where it would have, and every other lane is loaded."""
    caplog.set_level(logging.INFO)
    poisoned = accounts[0]
    database.run(poison.replace("%s", f"'{poisoned.id}'"))
    rebuilt = again(database)
    assert [(poisoned.id, 3)] == [(p.account_id, p.version) for p in rebuilt.parked]
    assert [p.lane for p in rebuilt.parked] == left(caplog)
    others = {a.id: a.book for a in accounts if a is not poisoned}
    assert [] == views_differ(database.service_url, others)


def test_processes_make_the_same_rows(
    database: Database,
    accounts: list[MadeUp],
    in_processes: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With lanes shared out among processes, the rows are what they are with one."""
    seen = set[int | None]()

    def watch(progress: Progress) -> None:
        if progress.phase == "filling":
            seen.update(process.pid for process in multiprocessing.active_children())

    before = dump(database)
    monkeypatch.setattr(rebuilding, "cores", lambda: 3)
    rebuilt = rebuild(database.owner_url, database.service_url, RECEIVABLES, progress=watch)
    assert ((), ()) == rebuilt[1:]
    assert before == dump(database)
    assert 3 == len(seen)
    assert [] == multiprocessing.active_children()


def test_a_rebuild_leaves_sessions_to_others(
    database: Database, accounts: list[MadeUp], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a computer of many cores it does not use up the sessions that the server has for all."""
    most = dict[str, int]()

    def watch(progress: Progress) -> None:
        [sessions] = database.rows(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        )
        most[progress.phase] = max(sessions, most.get(progress.phase, 0))

    monkeypatch.setattr(rebuilding, "cores", lambda: 64)
    rebuild(database.owner_url, database.service_url, RECEIVABLES, progress=watch)
    assert most.keys() == {"filling", "indexing", "comparing", "swapping"}
    assert max(most.values()) <= SESSIONS_MAX, most


def test_a_killed_worker_leaves_the_live_views(
    database: Database, accounts: list[MadeUp], in_processes: None
) -> None:
    """A rebuild whose worker is killed fails at once, changes nothing, and can be run again."""
    before = dump(database)

    def kill(progress: Progress) -> None:
        for process in multiprocessing.active_children():
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)

    with pytest.raises(WorkerFailed, match="exit code -9"):
        rebuild(database.owner_url, database.service_url, RECEIVABLES, progress=kill)
    assert [] == multiprocessing.active_children()
    assert before == dump(database)
    assert () == again(database).differences
    assert before == dump(database)
    assert ["receivables"] == schemas(database)


def test_a_worker_that_outlives_its_rebuild_stops_no_other(
    database: Database, accounts: list[MadeUp]
) -> None:
    """The next rebuild clears what a killed one left, also where a worker still writes to it and
    each waits for a table that the other has."""
    before, left = dump(database), creation(RECEIVABLES, "receivables_next")
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation IS NOT NULL"
    database.run(left)
    with (
        psycopg.connect(database.owner_url, autocommit=True) as worker,
        ThreadPoolExecutor(1) as pool,
    ):
        with suppress(DeadlockDetected), worker.transaction():
            worker.execute("LOCK receivables_next.movement IN ROW EXCLUSIVE MODE")
            running = pool.submit(again, database)
            deadline = time.monotonic() + END_S_MAX
            while database.rows(waiting) == [0]:
                assert time.monotonic() < deadline, "nothing waits for the worker"
                time.sleep(0.01)
            for table in RECEIVABLES.tables:
                worker.execute(f"LOCK receivables_next.{table} IN ROW EXCLUSIVE MODE".encode())
        assert ((), ()) == running.result(END_S_MAX)[1:]
    assert before == dump(database)
    assert ["receivables"] == schemas(database)


@contextmanager
def stopped_at(database: Database, phase: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A rebuild that has come to a phase, and the workers it has then."""
    program = [sys.executable, "-m", "tests.projections.rebuild_program"]
    with subprocess.Popen(
        [*program, database.owner_url, database.service_url, phase],
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        yield running, [int(pid) for pid in running.stdout.readline().split()]
        running.kill()


@pytest.mark.parametrize("phase", ["filling", "indexing", "comparing", "swapping"])
def test_a_killed_rebuild_leaves_the_live_views(
    database: Database, accounts: list[MadeUp], phase: str
) -> None:
    """Killed at any step: the live views are whole, its workers end, the next rebuild works."""
    before = dump(database)
    with stopped_at(database, phase) as (running, workers):
        assert (phase == "filling") == bool(workers)
        running.kill()
        running.wait()
        assert before == dump(database)
        assert ((), ()) == again(database)[1:]
    assert before == dump(database)
    assert ["receivables"] == schemas(database)
    deadline = time.monotonic() + END_S_MAX
    while not all(map(is_gone, workers)):
        assert time.monotonic() < deadline, "a worker outlives its parent"
        time.sleep(0.02)
