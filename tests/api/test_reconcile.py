"""Reconciliation from outside: the command, its kept result, the service's own, and what is told of them."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from api import metrics
from api.app import create_app
from api.checkup import reconciliation
from api.embedded import EmbeddedServer
from api.reconciliations import Reconciliations, shown
from api.serving import reconciling
from api.wiring import Database, Doors
from ledger.processes import WorkerFailed
from ledger.store.lanes import LANES, account_id, lane_of
from projections.reconciliation.differences import LaneProof
from projections.reconciliation.reconciling import reconcile
from tests.api.books import TOKENS, fill
from tests.api.conftest import REGIONS, filled_database, fresh_database, regions_file
from tests.api.in_process import Sent, in_process
from tests.api.serving import Ran, environment_of, eventually, run
from tests.api.test_region_moments import append
from tests.store.databases import Database as Owned

LANE = lane_of(account_id("us", "A-1"))
EVERY_S = 3_600


@pytest.fixture(scope="module")
def region(server: EmbeddedServer) -> Database:
    """A region with the book of every test."""
    return filled_database(server)


@pytest.fixture
def command(region: Database, tmp_path: Path) -> Any:
    """Runs `reconcile --json`."""
    environment = environment_of(regions_file(tmp_path, region))

    def reconciled(*arguments: str) -> Ran:
        return run(environment, "reconcile", *arguments)

    return reconciled


@contextmanager
def altered(database: Database) -> Iterator[None]:
    """What an invoice of A-1 totals is 5.00 more in the view."""
    statement = (
        "UPDATE receivables.invoice SET total_minor = total_minor + {}"
        f" WHERE account_id = '{account_id('us', 'A-1')}' AND number = 'i-1'"
    )
    owner(database).run(statement.format(500))
    yield
    owner(database).run(statement.format(-500))


def told(region: Database) -> Any:
    """What the API says, asked by the service."""

    async def work() -> Any:
        async with in_process(create_app(Doors((region,)))) as asked:
            bearer = (b"authorization", f"Bearer {TOKENS['us']}".encode())
            got = await asked.ask(Sent("GET", b"/v1/finance/reconciliation", b"", [bearer]))
            assert 200 == got.status, got.body
            return msgspec.json.decode(got.body)

    return asyncio.run(work())


def test_the_command_proves_and_names_and_its_result_is_kept(
    region: Database, command: Any
) -> None:
    """1 and the difference while there is one, 0 after; the API and `doctor` tell the last result."""
    assert (False, 0, None) == tuple(
        told(region)[name] for name in ("agrees", "lanes_reconciled", "finished_at")
    )
    assert reconciliation(region, EVERY_S).ok
    with altered(region):
        done = command("--json", "--workers", "2")
        assert 1 == done.code, done
        [result] = done.lines
        [difference] = result["found"]
        named = {name: difference[name] for name in ("account_number", "where", "figure", "kind")}
        assert named == {
            "account_number": "A-1",
            "where": "receivables.invoice i-1",
            "figure": "total",
            "kind": "differs",
        }
        assert difference["expected"]["currency"] == "USD"
        expected, found = (float(difference[name]["amount"]) for name in ("expected", "found"))
        assert expected + 5 == found
        lane, _, position = difference["first_event"].partition("-")
        assert str(LANE) == lane
        assert 0 < int(position) <= result["lanes"][LANE]["log_position"]
        answer = told(region)
        assert (False, 1, [difference]) == tuple(
            answer[name] for name in ("agrees", "differences", "found")
        )
        assert not reconciliation(region, EVERY_S).ok
        assert "receivables.invoice i-1" in done.err  # beside the JSON, for people
    done = command()
    assert (0, "all agree") == (done.code, done.out.strip().rpartition(": ")[2]), done
    answer = told(region)
    assert (True, LANES, 0, []) == tuple(
        answer[name] for name in ("agrees", "lanes_reconciled", "differences", "found")
    )
    assert answer["events"] == result["events"] > 0
    assert reconciliation(region, EVERY_S).ok


def test_what_a_view_has_not_taken_is_said(server: EmbeddedServer, tmp_path: Path) -> None:
    """All agrees as far as the views are; how far that is not, the command says."""
    own = fresh_database(server, REGIONS[0])
    own.migrate()
    fill(own)
    append(own, "C-1", "C-2")
    done = run(environment_of(regions_file(tmp_path, own)), "reconcile")
    said = done.out.strip().splitlines()
    assert (0, "all agree") == (done.code, said[0].rpartition(": ")[2])
    assert [
        "us: receivables had not taken 2 of them yet",
        "us: journal had not taken 2 of them yet",
    ] == said[1:]


def test_what_could_not_be_read_is_nothing_that_a_view_had_not_taken(
    region: Database, command: Any
) -> None:
    """A row of a day that is none: its lane's events are not counted, and no view is behind for it."""
    day = "UPDATE receivables.invoice SET due_on = '{}' WHERE number = 'i-1'"
    owner(region).run(day.format("infinity"))
    done = command()
    owner(region).run(day.format("2020-03-01"))
    assert 1 == done.code
    assert "had not taken" not in done.out
    assert done.out.strip().endswith("1 difference")


def test_the_service_reconciles_what_is_due_and_raises_an_alarm_once(
    region: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A difference is logged when it is new, without amounts, and counted for as long as it lasts."""
    with closing(Reconciliations(region.service_url)) as kept:
        for proof in reconcile(region.service_url):
            kept.keep(proof)
    seen: list[tuple[int, float]] = []
    monkeypatch.setattr(reconciling, "BEGIN_S", 0.0)
    monkeypatch.setattr(reconciling, "POLL_S", 0.1)
    monkeypatch.setattr(metrics, "reconciled", lambda region, *found: seen.append(found))
    stopping = threading.Event()
    given = (region, EVERY_S, stopping)
    thread = threading.Thread(target=reconciling.keep_reconciled, args=given, daemon=True)
    thread.start()
    with altered(region), caplog.at_level(logging.ERROR, "billing_ledger"):
        for _ in range(2):
            reconciled_after(region, lambda: let_time_pass(region))
        eventually(lambda: seen[-1][0] == 1)
    reconciled_after(region, lambda: let_time_pass(region))
    eventually(lambda: seen[-1][0] == 0)
    stopping.set()
    thread.join(30)
    assert not thread.is_alive()
    assert all(at > 0 for _, at in seen)
    alarms = [one for one in caplog.records if one.message == "books_differ"]
    assert [("us", "A-1", "receivables.invoice i-1", "total")] == [
        tuple(vars(one)[name] for name in ("region", "account", "where", "figure"))
        for one in alarms
    ]
    assert not {"expected", "found", "says"} & vars(alarms[0]).keys()


def test_two_that_find_it_at_once_raise_one_alarm(region: Database) -> None:
    """The second waits until the first has kept what it found, and finds nothing new."""
    [agreeing] = reconcile(region.service_url, lanes=(LANE,))
    with closing(Reconciliations(region.service_url)) as kept, altered(region):
        kept.keep(agreeing)
        [differing] = reconcile(region.service_url, lanes=(LANE,))
        found = msgspec.json.encode([shown(one) for one in differing.kept]).decode()
        new: list[Any] = [None]

        def second() -> None:
            new[0] = kept.keep(differing)

        thread, first = threading.Thread(target=second), owner(region).owner_url
        with psycopg.connect(first) as connection:  # commits
            connection.execute("UPDATE ledger.reconciliation SET found = %s", [found])
            thread.start()
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            eventually(lambda: owner(region).rows(waits) == [1])
        thread.join(30)
        assert new == [[]]
        kept.keep(agreeing)


class Stumbling:
    """A process that finds no lane to differ, and comes to grief at lane 0."""

    def __init__(self, name: str, work: Any, service_url: str, lanes: Sequence[int]) -> None:
        self._lanes = iter(lanes)
        self.connection = self

    def poll(self, seconds: float) -> bool:
        return True

    def said(self) -> object:
        lane = next(self._lanes, None)
        if lane == 0:
            raise WorkerFailed("it came to grief")
        numbers = dict.fromkeys(LaneProof.__struct_fields__, 0)
        agrees = {**numbers, "lane": lane, "seen_at": datetime.now(UTC), "kept": ()}
        return None if lane is None else LaneProof(**agrees)

    def terminate(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_lane_that_cannot_be_read_keeps_no_other_waiting(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the first that is due, and the last to be tried again."""
    own = fresh_database(server, REGIONS[0])
    own.migrate()
    for name, seconds in (("BEGIN_S", 0.0), ("POLL_S", 0.1), ("PAUSE_S", 0.1)):
        monkeypatch.setattr(reconciling, name, seconds)
    monkeypatch.setattr(reconciling, "Worker", Stumbling)
    stopping = threading.Event()
    thread = threading.Thread(target=reconciling.keep_reconciled, args=(own, EVERY_S, stopping))
    thread.start()
    query = "SELECT count(*) FROM ledger.reconciliation WHERE lane > 0"
    try:
        eventually(lambda: owner(own).rows(query) == [LANES - 1])
    finally:
        stopping.set()
        thread.join(30)


def let_time_pass(region: Database) -> None:
    """The lane was reconciled two rounds ago."""
    owner(region).run(
        f"UPDATE ledger.reconciliation SET finished_at = finished_at - interval '2 hours',"
        f" started_at = started_at - interval '2 hours' WHERE lane = {LANE}"
    )


def reconciled_after(region: Database, change: Callable[[], None]) -> None:
    """The lane is reconciled anew once something has happened."""
    query = f"SELECT finished_at FROM ledger.reconciliation WHERE lane = {LANE}"
    change()
    [then] = owner(region).rows(query)
    eventually(lambda: owner(region).rows(query) != [then])


def owner(region: Database) -> Owned:
    """The region's database as its owner has it."""
    assert region.owner_url is not None
    return Owned(region.region.database, region.owner_url, region.service_url)


def test_doctor_finds_a_lane_that_waits_too_long(region: Database) -> None:
    """Longer than two rounds and five minutes, reconciled before or never; asked for none it is fine.

    A release that reconciles for the first time has its time, however old the events are.
    """
    of_events = "UPDATE ledger.event SET recorded_at = recorded_at {} WHERE position = 1"
    of_release = "UPDATE ledger.migration SET applied_at = applied_at {}"
    back, forth = "- interval '3 hours'", "+ interval '3 hours'"
    owner(region).run("DELETE FROM ledger.reconciliation")
    owner(region).run(of_events.format(back))
    assert reconciliation(region, EVERY_S).ok
    owner(region).run(of_release.format(back))
    found = reconciliation(region, EVERY_S)
    assert not found.ok
    assert "has waited" in found.says
    assert reconciliation(region, 0).ok
    for statement in (of_events, of_release):
        owner(region).run(statement.format(forth))
    with closing(Reconciliations(region.service_url)) as kept:
        assert list(range(LANES)) == list(kept.due(EVERY_S))
