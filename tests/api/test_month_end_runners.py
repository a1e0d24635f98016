"""Month ends by several processes: shared, finished by those that are left, stopped with their parent."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest

from api.embedded import EmbeddedServer
from api.month_end_runners import Runners
from api.settings import Region
from api.wiring import Database
from ledger.closing import LANES_MAX
from tests.api.conftest import fresh_database
from tests.api.serving import eventually
from tests.api.test_close_month import billed, book, status

US = Region(code="us", name="United States", currency="USD", zone="America/New_York")
PERIOD, LANES = "2020-07", 64
ACCOUNTS = 300


@pytest.fixture
def database(server: EmbeddedServer) -> Database:
    """Accounts in every lane, whose month was asked to be closed."""
    database = fresh_database(server, US)
    database.migrate()
    book(database, "A", ACCOUNTS)
    with closing(database.month_ends()) as month_ends:
        month_ends.ask(PERIOD, None, actor="t", today=database.today())
    return database


@contextmanager
def held(database: Database, rows: bytes) -> Iterator[None]:
    """Somebody else holds rows."""
    assert database.owner_url is not None
    with closing(psycopg.connect(database.owner_url)) as holding:
        holding.execute(b"SELECT FROM " + rows + b" FOR UPDATE")
        yield


def lanes_at_work(database: Database) -> int:
    """How many lanes of the run somebody holds."""
    assert database.owner_url is not None
    with closing(psycopg.connect(database.owner_url)) as looking:
        rows = looking.execute(b"SELECT FROM ledger.month_end FOR UPDATE SKIP LOCKED")
        return LANES - len(rows.fetchall())


def test_one_killed_leaves_nothing_undone(database: Database) -> None:
    """Two at work, one is killed with -9 while its invoices are appended: the other does its lanes,
    every account is billed and counted once, and who died is told."""
    runners = Runners(database, 2)
    try:
        with held(database, b"ledger.lane_head"):
            runners.go()
            eventually(lambda: lanes_at_work(database) > LANES_MAX)  # so both are at it
            os.kill(runners.pids[0], signal.SIGKILL)
        eventually(lambda: status(database, PERIOD).state == "finished")
    finally:
        said = runners.close()
    assert ["month end runner 1 died, with exit code -9"] == said
    run = status(database, PERIOD)
    assert (ACCOUNTS, ACCOUNTS, ACCOUNTS) == (
        run.accounts,
        run.issued,
        billed(database, PERIOD, "A"),
    )


def test_they_end_when_nobody_waits_for_them(database: Database) -> None:
    """A process that lost its parent does not wait for lanes in other hands: it ends, as told."""
    with held(database, b"ledger.month_end WHERE lane = 5"):
        runners = Runners(database, 1)
        runners.wait()
        runners.go()
        eventually(lambda: status(database, PERIOD).accounts > ACCOUNTS // 2)
        assert [] == runners.close()
    assert "running" == status(database, PERIOD).state


def test_one_that_dies_before_it_is_let_go_is_told(database: Database) -> None:
    """Neither waiting for it nor letting it go fails."""
    runners = Runners(database, 1)
    os.kill(runners.pids[0], signal.SIGKILL)
    runners.wait()
    runners.go()
    assert ["month end runner 1 died, with exit code -9"] == runners.close()
