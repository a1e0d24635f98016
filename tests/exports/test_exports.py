"""Exports of a region over HTTP and from the command line: whole, the same for ever, or broken off."""

import asyncio
import csv
import http.client
import io
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec
import psycopg
import pytest
from starlette.types import Message

from api.app import create_app
from api.database import Given, Transaction
from api.embedded import EmbeddedServer
from api.exports import books as export_books
from api.exports.books import ExportDiffers, Month, Stretch, pages
from api.exports.names import name
from api.problems import Problem
from api.routes import finance_exports
from api.security.logins import Registrar
from api.wiring import Database, Doors
from ledger.calendar import month_end
from ledger.money import decimal_text
from ledger.month_end import period_of
from ledger.store.roles import READER, acting_as
from ledger.store.sql import load
from tests.api.books import COMMANDS, TOKENS, fill, requests
from tests.api.conftest import REGIONS, fresh_database, regions_file
from tests.api.in_process import Sent, scope_of
from tests.api.serving import environment_of, serving
from tests.exports import tools
from tests.exports.downloading import FORMS, command, download, downloaded
from tests.projections.books import append, books, interleaved

TOKEN = TOKENS["us"]
Rows = list[tuple[Any, ...]]
T = TypeVar("T")


def rows(region: Database, query: str) -> Rows:
    """What the owner's query gives."""
    assert region.owner_url is not None
    with psycopg.connect(region.owner_url, autocommit=True) as owner:
        return owner.execute(query.encode()).fetchall()


def change(region: Database, statement: str) -> None:
    """Changes rows as the owner."""
    assert region.owner_url is not None
    with psycopg.connect(region.owner_url, autocommit=True) as owner:
        assert owner.execute(statement.encode()).rowcount > 0


@pytest.fixture(scope="module")
def region(server: EmbeddedServer) -> Database:
    """A region of made-up accounts, half of whose events came after a month was cut off."""
    database = fresh_database(server, REGIONS[0])
    database.migrate()
    fill(database)
    accounts = books(21, 8, 60)
    for some in (accounts[:5], accounts[5:]):
        with closing(database.ledger()) as ledger:
            append(ledger, interleaved(21, some))
        if some == accounts[:5]:
            change(
                database,
                "INSERT INTO ledger.period_close (lane, period, position, actor, cut_at)"
                " SELECT lane, '2020-03', position, 'test', now() FROM ledger.lane_head",
            )
    database.catch_up(30)
    return database


@pytest.fixture(scope="module")
def months(region: Database) -> dict[str, str]:
    """The first and the last posting period, as they are asked for."""
    [(first, last)] = rows(region, "SELECT min(period), max(period) FROM journal.entry")
    return {"period": first.isoformat()[:7], "through": last.isoformat()[:7]}


@pytest.fixture
def pages_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_books, "PAGE_ENTRIES", 3)


def month_ends(months: dict[str, str]) -> list[date]:
    """The last days of all months from the first to the last."""
    day, found = date.fromisoformat(f"{months['period']}-01"), []
    while day.isoformat()[:7] <= months["through"]:
        found.append(month_end(day))
        day = found[-1] + timedelta(days=1)
    return found


def ours(region: Database, days: list[date]) -> list[tools.Balances]:
    """By the entries themselves, what each account has of what was posted up to each month."""
    found = []
    query = "SELECT period, currency, debit, credit, amount_minor FROM journal.entry"
    entries = rows(region, query)
    for day in days:
        minor: dict[tuple[str, str], int] = defaultdict(int)
        for period, currency, debit, credit, amount_minor in entries:
            if period <= day:
                minor[name(debit), currency] += amount_minor
                minor[name(credit), currency] -= amount_minor
        found.append(
            {key: Decimal(decimal_text(value, key[1])) for key, value in minor.items() if value}
        )
    return found


@pytest.mark.needs("hledger", "ledger")
def test_the_tools_have_our_balances_of_every_month(
    region: Database, months: dict[str, str], tmp_path: Path
) -> None:
    """All months in one file, and one that is not the first; the tools' checks are content."""
    [late] = rows(region, "SELECT count(*) FROM journal.entry WHERE period > effective_on")
    assert late[0] > 5
    days = month_ends(months)
    assert len(days) > 3
    for asked, of in ((months, days), ({"period": days[2].isoformat()[:7]}, days[2:3])):
        expected = ours(region, of)
        text = downloaded(region, TOKEN, "beancount", **asked)
        assert expected == tools.beancount_balances(text, of)
        file = tmp_path / "export.journal"
        file.write_bytes(downloaded(region, TOKEN, "hledger", **asked))
        assert "" == tools.hledger_check(file) + tools.ledger_check(file)
        assert expected == tools.hledger_balances(file, of)
        assert expected == tools.ledger_balances(file, of)


def test_every_entry_is_there_once(
    region: Database, months: dict[str, str], pages_of_three: None
) -> None:
    """However small the pages are: each event's entries, in the month they are posted in."""
    text = downloaded(region, TOKEN, "csv", **months).decode()
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    found = sorted(
        (one["position"], int(one["n"]), one["period"], one["account"], one["debit"])
        for one in lines
        if one["debit"]
    )
    query = "SELECT lane, position, n, period, debit, currency, amount_minor FROM journal.entry"
    assert found == sorted(
        (f"{lane}-{position}", n, str(period)[:7], debit, decimal_text(minor, currency))
        for lane, position, n, period, debit, currency, minor in rows(region, query)
    )


class Explaining(Transaction):
    """Keeps the plans of the pages that are asked for, which it says are empty."""

    plans: ClassVar[list[str]] = []

    async def rows(self, statement: bytes, given: Given) -> Rows:
        if b"journal.entry" not in statement:
            return await super().rows(statement, given)
        self.plans.append(str(await super().rows(b"EXPLAIN (SETTINGS) " + statement, given)))
        return []


def test_a_page_is_read_in_the_order_of_an_index(region: Database) -> None:
    """And no further than it goes: nothing is sorted, of however many entries are left."""
    stretches = [Stretch(1, 99, is_late) for is_late in (True, False)]
    month = Month(period_of("2020-02"), 0, {}, stretches)

    async def work() -> None:
        reader = acting_as(region.service_url, READER)
        async with await psycopg.AsyncConnection.connect(reader) as connection:
            await connection.execute(load("api.exports", "books.sql")["scope"])

            async def read(work: Callable[[Transaction], Awaitable[T]]) -> T:
                return await work(Explaining(connection))

            assert [] == [rows async for rows in pages(month, read)]

    Explaining.plans.clear()
    asyncio.run(work())
    late, timely = Explaining.plans
    assert "Index Scan using entry_late" in late
    assert "Index Scan using entry_listed" in timely
    for plan in (late, timely):
        assert "Sort" not in plan
        # Of few rows the plan would be such anyway.
        assert "enable_sort = 'off', enable_bitmapscan = 'off'" in plan


@pytest.mark.parametrize("form", FORMS)
def test_the_same_moment_is_the_same_bytes(
    region: Database, months: dict[str, str], form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever came since, in pages of whatever size, by position and by instant."""
    got = download(region, TOKEN, form, **months)
    before = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    with closing(region.ledger()) as ledger:
        append(ledger, requests(f"LATER-{form}", region.today(), COMMANDS))
    region.catch_up(30)
    monkeypatch.setattr(export_books, "PAGE_ENTRIES", 1)
    at = got.headers[b"ledger-position"].decode()
    assert got.body == downloaded(region, TOKEN, form, at=at, **months)
    assert got.body == downloaded(region, TOKEN, form, known_at=before, **months)
    assert got.body != downloaded(region, TOKEN, form, **months)


def test_a_download_says_what_it_is(region: Database) -> None:
    """Its name, its type and its position; asked for the head alone, nothing else."""
    for form, suffix in zip(FORMS, ("beancount", "journal", "csv", "parquet"), strict=True):
        for method in ("GET", "HEAD"):
            got = download(region, TOKEN, form, method, period="2020-01")
            named = f'attachment; filename="journal-us-2020-01.{suffix}"'.encode()
            assert (200, named) == (got.status, got.headers[b"content-disposition"])
            assert got.headers[b"ledger-position"]
            assert bool(got.body) == (method == "GET")


def test_a_month_without_entries_is_an_export_too(region: Database, tmp_path: Path) -> None:
    """Before everything there are no accounts; after it, the balances that were."""
    for month in ("1900-01", "2199-12"):
        assert [] == tools.bean_check(downloaded(region, TOKEN, "beancount", period=month))
        for form in FORMS[1:]:
            assert downloaded(region, TOKEN, form, period=month)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"period": "2020-13"},
        {"period": "2020-1"},
        {"period": "2020-02", "through": "2020-01"},
        {"period": "1900-01", "through": "1910-01"},
        {"period": "2020-01", "effective_on": "2020-01-31"},
        {"period": "2020-01", "known_at": "2199-01-01T00:00:00Z"},
        {"period": "2020-01", "at": "nowhere"},
        {"period": "2020-01", "at": "x", "known_at": "2020-01-01T00:00:00Z"},
    ],
)
def test_what_makes_no_export_is_refused(region: Database, query: dict[str, str]) -> None:
    """As a problem that says why, before anything is sent."""
    got = download(region, TOKEN, "csv", **query)
    assert 422 == got.status
    assert msgspec.json.decode(got.body)["code"]


def test_more_than_a_few_at_once_are_told_to_come_back(
    region: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place that is given back is free: each of these was the only one."""
    monkeypatch.setattr(finance_exports, "EXPORTS_MAX", 1)
    assert 200 == download(region, TOKEN, "csv", period="2020-01").status
    monkeypatch.setattr(finance_exports, "EXPORTS_MAX", 0)
    got = download(region, TOKEN, "csv", period="2020-01")
    assert (503, b"5") == (got.status, got.headers[b"retry-after"])


@pytest.fixture
def one_cent_off(region: Database) -> Iterator[None]:
    """A sum of the journal is not what its entries are."""
    key = "lane, recorded_month, effective_month, period, currency, account"
    statement = (
        "UPDATE journal.monthly SET debit_minor = debit_minor {} 1 WHERE ("
        + key
        + ") = (SELECT "
        + key
        + " FROM journal.monthly WHERE period = '2020-01-01' ORDER BY "
        + key
        + " LIMIT 1)"
    )
    change(region, statement.format("+"))
    yield
    change(region, statement.format("-"))


def test_what_does_not_add_up_is_broken_off(
    region: Database, one_cent_off: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file is left, and no answer ends as if it were whole."""
    for form in FORMS:
        with pytest.raises(ExportDiffers, match="2020-01"):
            download(region, TOKEN, form, period="2020-01")
    assert (1, "") == command(region, monkeypatch, tmp_path, "csv", "--period", "2020-01")
    assert [] == list((tmp_path / "out").iterdir())


def test_a_service_sends_it_whole_or_cuts_the_connection(
    region: Database, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A reader can tell by the connection alone: what is broken off does not end as answers do."""
    path = "/v1/finance/exports/beancount?period=2020-01"
    with serving(environment_of(regions_file(tmp_path, region)), tmp_path) as service:
        sent = service.ask(path, TOKEN)
        at = sent.headers["ledger-position"]
        assert sent.body == downloaded(region, TOKEN, "beancount", period="2020-01", at=at)
        request.getfixturevalue("one_cent_off")
        with pytest.raises(http.client.IncompleteRead):
            service.ask(path, TOKEN)


def test_a_token_that_is_revoked_gets_no_more(region: Database, pages_of_three: None) -> None:
    """Also in the middle of an answer."""
    token, parts = "us." + "r" * 43, 0
    with Registrar("us", region.service_url) as registrar:
        registrar.issue_token(token, "revoked", ["finance"])

        async def send(message: Message) -> None:
            nonlocal parts
            if message["type"] == "http.response.body":
                assert message.get("more_body"), "the answer was ended"
                parts += 1
                if parts == 3:
                    await asyncio.to_thread(registrar.revoke_tokens, "revoked")

        async def receive() -> Message:
            return await asyncio.Event().wait() or {}

        async def work() -> None:
            doors = Doors((region,))
            bearer = (b"authorization", f"Bearer {token}".encode())
            query = b"period=2020-01&through=2020-12"
            scope = scope_of(Sent("GET", b"/v1/finance/exports/csv", query, [bearer]))
            try:
                await create_app(doors)(scope, receive, send)
            finally:
                await doors.close()

        with pytest.raises(RuntimeError, match="already started") as broken_off:
            asyncio.run(work())
    fault = broken_off.value.__cause__
    assert isinstance(fault, Problem)
    assert ("unauthenticated", 3) == (fault.code, parts)
