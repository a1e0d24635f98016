"""Closing a month from the command line, and in the process that serves."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path

import psycopg
import pytest

from api.embedded import EmbeddedServer
from api.settings import Region
from api.wiring import Database
from ledger import commands as c
from ledger.closing import MonthEnd
from ledger.store.outcomes import Accepted
from tests.api.conftest import fresh_database, regions_file
from tests.api.serving import (
    COMMAND,
    WAIT_LIMIT_S,
    Ran,
    Service,
    environment_of,
    eventually,
    run,
    serving,
)
from tests.closing.books import charge, opening

Run = Callable[..., Ran]
US = Region(code="us", name="United States", currency="USD", zone="America/New_York")
JULY = date(2020, 7, 10)


def post(database: Database, key: str, *asked: tuple[str, c.AnyCommand]) -> None:
    """The commands are done; all under a key of the same beginning."""
    requests = [
        c.Request(
            account_number=number, key=f"{key}-{n}", command=command, actor="t",
            today=database.today(),
        )
        for n, (number, command) in enumerate(asked)
    ]  # fmt: skip  # arguments by what they are for
    with closing(database.ledger()) as ledger:
        for outcome in ledger.handle_now(requests):
            assert isinstance(outcome, Accepted), outcome


def book(database: Database, prefix: str, accounts: int) -> None:
    """Accounts with a charge in July 2020."""
    numbers = [f"{prefix}-{n}" for n in range(accounts)]
    post(database, "open", *((number, opening()) for number in numbers))
    post(database, "charge", *((number, charge("c", JULY, 100)) for number in numbers))


def status(database: Database, period: str) -> MonthEnd:
    with closing(database.month_ends()) as month_ends:
        found = month_ends.status(period)
    assert found is not None
    return found


def billed(database: Database, period: str, prefix: str) -> int:
    """How many accounts have an invoice under the period's key; none has two."""
    assert database.owner_url is not None
    with closing(psycopg.connect(database.owner_url, autocommit=True)) as owner:
        counted = owner.execute(
            b"SELECT count(*), count(DISTINCT e.account_id) FROM ledger.event AS e"
            b" JOIN ledger.account AS a USING (lane, account_id)"
            b" WHERE e.topic = 'invoice_issued:1' AND a.account_number LIKE %s"
            b" AND convert_from(e.state, 'UTF8')::jsonb ->> 'key' = %s",
            (f"{prefix}-%", f"month-end:{period}"),
        ).fetchone()
    assert counted is not None
    assert counted[0] == counted[1]
    found: int = counted[0]
    return found


@pytest.fixture(scope="module")
def database(server: EmbeddedServer) -> Database:
    """A database that the tests share: each has accounts or periods of its own."""
    database = fresh_database(server, US)
    database.migrate()
    return database


@pytest.fixture(scope="module")
def environment(database: Database, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return environment_of(regions_file(tmp_path_factory.mktemp("close"), database))


@pytest.fixture(scope="module")
def do(environment: dict[str, str]) -> Run:
    """Runs a command on that database."""
    return partial(run, environment)


def test_a_month_is_closed_and_in_the_views(server: EmbeddedServer, tmp_path: Path) -> None:
    """Every account is invoiced and its figures show it when the command returns; a second time
    nothing is left to do; a refused account makes the exit code 1."""
    database = fresh_database(server, US)
    database.migrate()
    book(database, "A", 40)
    do = partial(run, environment_of(regions_file(tmp_path, database)))
    done = do("close-month", "2020-07", "--json")
    assert done.code == 0, done
    [told] = done.lines
    assert (True, "finished", 40, 40) == tuple(
        told[name] for name in ("ok", "state", "accounts", "issued")
    )
    assert "2020-07: 40 accounts: 40 invoiced" in done.err
    assert "waiting for the views to follow" in done.err
    assert "views: 0" not in done.err
    assert database.owner_url is not None
    with closing(psycopg.connect(database.owner_url, autocommit=True)) as owner:
        rows = owner.execute(b"SELECT sum(open_minor) FROM receivables.account").fetchone()
    assert (4_000,) == rows
    again = do("close-month", "2020-07")
    assert (0, "2020-07: 40 accounts: 0 invoiced, 40 invoiced before") == (
        again.code,
        again.out.partition(", 0 with")[0],
    )
    post(database, "empty", ("B", opening()))
    used = c.Request(
        account_number="C", key="month-end:2020-07", command=opening(), actor="t",
        today=database.today(),
    )  # fmt: skip  # arguments by what they are for
    with closing(database.ledger()) as ledger:
        ledger.handle_now([used])
    refused = do("close-month", "2020-07", "--issued-on", "2020-08-05", "--json")
    assert (1, False, 1) == (refused.code, refused.lines[0]["ok"], refused.lines[0]["refused"])
    assert "account C: idempotency_key_reused" in refused.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("2020-13",), 2, "'2020-13' is not a month"),
        (("2199-01",), 1, "2199-01 has not begun"),
        (("1899-12",), 2, "'1899-12' is not a month"),
        (("9999-01",), 2, "give its year, 1900 to 2199"),
        (("2020-07", "--issued-on", "2020-06-30"), 1, "before 2020-07-01"),
        (("2020-07", "--issued-on", "2199-12-31"), 1, "is after"),
        (("2020-07", "--issued-on", "tomorrow"), 2, "usage: billing-ledger close-month"),
        ((), 2, "usage: billing-ledger close-month"),
    ],
)
def test_what_cannot_be_closed_is_said(
    do: Run, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """A month or a day that cannot be meant exits with 2, one that the rules refuse with 1."""
    done = do("close-month", *arguments)
    assert (code, "") == (done.code, done.out)
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_command_killed_is_finished_by_the_next(
    do: Run, database: Database, environment: dict[str, str]
) -> None:
    """Killed with -9 wherever it was, the command run again bills each account once."""
    numbers = [f"K-{n}" for n in range(400)]
    post(database, "open", *((number, opening()) for number in numbers))
    charged = date(2020, 9, 10)
    post(database, "charge", *((number, charge("c", charged, 100)) for number in numbers))
    killed = subprocess.Popen(
        [*COMMAND, "close-month", "2020-09", "--workers", "2"],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    with closing(database.month_ends()) as month_ends:

        def has_begun() -> bool:
            found = month_ends.status("2020-09")
            return found is not None and found.issued > 0

        eventually(has_begun)
    killed.kill()
    assert -signal.SIGKILL == killed.wait(WAIT_LIMIT_S)
    done = do("close-month", "2020-09", "--workers", "3", "--json")
    assert done.code == 0, done
    assert 400 == billed(database, "2020-09", "K")


@pytest.fixture
def service(database: Database, environment: dict[str, str], tmp_path: Path) -> Iterator[Service]:
    with serving(environment, tmp_path) as running:
        yield running


def test_whoever_serves_works_on_what_was_asked(database: Database, service: Service) -> None:
    """A run that was only asked for is finished by the serving process, and seen in readiness."""
    with closing(database.month_ends()) as month_ends:
        book(database, "S", 30)
        month_ends.ask("2020-07", None, actor="finance:jane", today=database.today())
    eventually(lambda: status(database, "2020-07").state == "finished")
    assert (30, "finance:jane") == (
        billed(database, "2020-07", "S"),
        status(database, "2020-07").actor,
    )
    found = {one["name"]: one for one in service.ask("/readyz").json["regions"]["us"]}
    assert (True, "none is under way") == (found["month_end"]["ok"], found["month_end"]["says"])
    assert '"month_end_finished"' in service.errors.read_text()


def test_a_fault_of_the_run_stops_no_follower(database: Database, service: Service) -> None:
    """While a run fails over and over, views are kept up, and once mended the run is finished."""
    assert database.owner_url is not None
    with (
        closing(database.month_ends()) as month_ends,
        closing(psycopg.connect(database.owner_url, autocommit=True)) as owner,
    ):
        owner.execute(b"REVOKE UPDATE ON ledger.month_end FROM billing_writer")
        try:
            month_ends.ask("2020-05", None, actor="t", today=database.today())
            eventually(lambda: '"month_end_failed"' in service.errors.read_text())
            post(database, "meanwhile", ("F", opening()), ("F", charge("c", JULY, 1)))
            database.catch_up(WAIT_LIMIT_S)
        finally:
            owner.execute(b"GRANT UPDATE ON ledger.month_end TO billing_writer")
        eventually(lambda: month_ends.unfinished() == [])
    assert "child_died" not in service.errors.read_text()


def test_doctor_finds_a_run_that_stands_still(do: Run, database: Database) -> None:
    """An unfinished run is under way, and found to be wrong once nobody has moved it for long; it
    does not keep the region from being served."""
    with closing(database.month_ends()) as month_ends:
        month_ends.ask("2020-08", None, actor="t", today=database.today())
    found = {one["name"]: one for one in do("doctor", "--json").lines}["month_end"]
    assert (True, "under way: 2020-08") == (found["ok"], found["says"])
    assert database.owner_url is not None
    with closing(psycopg.connect(database.owner_url, autocommit=True)) as owner:
        owner.execute(b"UPDATE ledger.month_end SET moved_at = now() - interval '10 min'")
    done = do("doctor", "--json")
    found = {one["name"]: one for one in done.lines}["month_end"]
    assert (1, False) == (done.code, found["ok"])
    assert found["says"].startswith("stands still: 2020-08 for 60")
    assert 0 == do("close-month", "2020-08").code
    assert 0 == do("doctor").code
