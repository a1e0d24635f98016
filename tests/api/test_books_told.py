"""What is told of a month's books: what keeps them from being closed, and months closed together."""

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.amounts import Money
from api.closed_books import closed_books
from api.closing_books import prove_books
from api.embedded import EmbeddedServer
from api.wiring import Database
from ledger.month_end import period_of
from ledger.period_close import DISAGREEMENTS_KEPT_MAX, PeriodClose
from projections.open_months import closed_with
from tests.api.books import TOKENS, fill
from tests.api.closings import ENTRY, JULY, MONTHLY, bill, change, cut_off, one
from tests.api.conftest import regions_file
from tests.api.serving import Ran, environment_of, eventually, run, serving
from tests.api.test_close_month import US, book, fresh_database, post
from tests.closing.books import charge

MAY, JUNE = date(2020, 5, 10), date(2020, 6, 10)
PROVED = (
    "SELECT jsonb_object_agg(lane, jsonb_build_array(proved_at, report))"
    " FROM ledger.period_close WHERE proved_at IS NOT NULL"
)


@pytest.fixture
def database(server: EmbeddedServer) -> Database:
    """A region of its own for each test: what is closed stays closed."""
    made = fresh_database(server, US)
    made.migrate()
    return made


@pytest.fixture
def do(database: Database, tmp_path: Path) -> Callable[..., Ran]:
    """Runs a command on that database."""
    return partial(run, environment_of(regions_file(tmp_path, database)))


def earlier_months(database: Database) -> None:
    """Charges of three months, of which two were invoiced, then all of July's lines."""
    book(database, "E", 8)
    post(
        database, "earlier", ("E-0", charge("may", MAY, 500)), ("E-1", charge("june", JUNE, 700)),
    )  # fmt: skip  # arguments by what they are for
    bill(database, "2020-05")
    bill(database, "2020-06")
    post(database, "late", ("E-3", charge("late", JUNE, 90)))
    bill(database)


def states(database: Database) -> dict[str, str]:
    """What is told of the books of every month whose end was asked for."""
    with closing(database.month_ends()) as month_ends:
        return {run.period: run.books_state for run in month_ends.runs(None, 10)}


def reported(found: PeriodClose | None) -> tuple[int, int, int, dict[str, int]]:
    """Of a close: accounts, invoices, their total, and what was posted."""
    assert found is not None
    [usd] = found.report.currencies.values()
    return usd.accounts, usd.invoices.invoices, usd.invoices.total_minor, usd.movements


def prove_some(database: Database) -> None:
    """July's books are proved, which is broken off after twenty lanes."""

    def broken_off(done: int, of: int) -> None:
        if done == 20:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        prove_books(database, "2020-07", broken_off)


def close_august(database: Database, months: tuple[str, ...]) -> None:
    """August's invoice and report are its own; the months given were closed before."""
    with closing(database.period_closes()) as closes:
        assert closes.find("2020-08") is None
        bill(database, "2020-08")
        assert {**dict.fromkeys(months, "closed"), "2020-08": "open"} == states(database)
        cut_off(database, "2020-08")
        prove_books(database, "2020-08")
        august = closes.find("2020-08")
        assert august is not None
        assert () == august.also_closed
        assert (1, 1, 1, {"revenue:usage": -1, "accounts_receivable": 1}) == reported(august)


def test_months_before_are_closed_with_a_month(database: Database, do: Callable[..., Ran]) -> None:
    """Each has a report of its own, of what was invoiced under its own month end and is posted in it,
    held against the views like the month's own: a difference in one keeps them all from being closed,
    and is named with its month. Broken off and tried again, it goes on and changes nothing. The list of
    month ends tells how the books of each stand."""
    earlier_months(database)
    months = ("2020-05", "2020-06", "2020-07")
    assert dict.fromkeys(months, "open") == states(database)
    database.catch_up(30)
    seen = do("close-month", "2020-07", "--dry-run", "--json")
    assert ["2020-05", "2020-06"] == seen.lines[-1]["also_closed"]
    assert "and with them open earlier ones: 2020-05, 2020-06" in seen.err
    july, url = period_of("2020-07"), database.service_url
    assert [] == closed_with(url, july, today=july.last_on)  # not over: it cannot be closed
    assert ["2020-05"] == closed_with(url, period_of("2020-06"), today=database.today())
    cut_off(database)
    for month in months:  # closed by itself, or with a later one
        assert [] == closed_with(url, period_of(month), today=database.today())
    assert [] == closed_with(url, period_of("2020-08"), today=database.today())
    assert dict.fromkeys(months, "cut_off") == states(database)
    post(database, "later", ("E-4", charge("later", JUNE, 1)))
    database.catch_up(30)
    change(database, ENTRY.format(5).replace("A-1-2020-07", "E-1-2020-06"))
    prove_some(database)
    first = one(database, PROVED)
    assert 0 < len(first) < 64
    found, disagreeing = prove_books(database, "2020-07")
    assert ("cut_off", 63, {("2020-06", "journal.entry")}) == (
        found.state, found.lanes_proved, {(d.period, d.view) for d in disagreeing},
    )  # fmt: skip  # field by field
    change(database, ENTRY.format(-5).replace("A-1-2020-07", "E-1-2020-06"))
    done = do("close-month", "2020-06", "--json")
    assert done.code == 0, done
    shown = done.lines[0]["books"]["closed"]
    assert "closed" == done.lines[0]["books_state"]
    assert ("2020-06", "2020-07", "closed", []) == tuple(
        shown[name] for name in ("period", "closed_with", "state", "also_closed")
    )
    every = one(database, PROVED)
    assert first == {lane: every[lane] for lane in first}
    revenue, receivable, unbilled = "revenue:usage", "accounts_receivable", "unbilled_receivables"
    with closing(database.period_closes()) as closes:
        may, june, july = (closes.find(f"2020-0{n}") for n in (5, 6, 7))
        assert (1, 1, 500, {revenue: -500, receivable: 500}) == reported(may)
        assert (1, 1, 700, {revenue: -790, receivable: 700, unbilled: 90}) == reported(june)
        assert july is not None
        accounts, invoices, total, posted = reported(july)
        assert (8, 8, 8 * 100 + 90) == (accounts, invoices, total)
        assert {revenue: -800, receivable: total, unbilled: -90} == posted
        assert ("2020-05", "2020-06") == july.also_closed
        nothing = closes.find("2019-01")
        assert nothing is not None
        assert ("2020-07", "closed", {}) == (
            nothing.closed_with, nothing.state, nothing.report.currencies,
        )  # fmt: skip  # field by field
    close_august(database, months)
    assert (may, june) == tuple(closes.find(f"2020-0{n}") for n in (5, 6))
    closes.close()


@pytest.mark.parametrize("amount", ["'NaN'", "0.5", "1e4999"])
def test_what_is_no_number_disagrees(database: Database, amount: str) -> None:
    """A sum that no events come to, whatever PostgreSQL takes for a number: it is named like others, and
    kept for whoever reads the books."""
    book(database, "N", 2)
    bill(database)
    database.catch_up(30)
    change(database, MONTHLY.format(amount))
    cut_off(database)
    found, _ = prove_books(database, "2020-07")
    [told] = closed_books(found).disagreeing
    assert ("journal.monthly", "accounts_receivable", None) == (told.view, told.figure, told.found)
    assert Money("1.00", "USD") == told.events


def test_a_service_says_what_disagrees(database: Database, tmp_path: Path) -> None:
    """Whoever reads the books sees why they are not closed: lane, view, figure and what each side says;
    so many of a lane, all counted; a currency that a damaged view makes up keeps nothing from being
    told."""
    fill(database)
    kinds = range(1, 2 * DISAGREEMENTS_KEPT_MAX)
    post(
        database, "many", ("B-1", charge("c", JULY, 7)),
        *(("A-1", msgspec.structs.replace(charge(f"m{n}", JULY, n), category=f"k{n}")) for n in kinds),
    )  # fmt: skip  # arguments by what they are for
    bill(database)
    database.catch_up(30)
    spoil = "UPDATE receivables.invoice SET categories = '[]' WHERE number = 'A-1-2020-07-1'"
    change(database, spoil)
    change(database, "UPDATE receivables.account SET currency = 'ZZQ' WHERE account_number = 'B-1'")
    cut_off(database)
    with serving(environment_of(regions_file(tmp_path, database)), tmp_path) as service:

        def shown() -> Any:
            return service.ask("/v1/month-ends/2020-07/closing", TOKENS["us"]).json

        eventually(lambda: shown()["lanes_proved"] == 62)
        books = shown()
    assert "cut_off" == books["state"]
    assert books["disagreed_at"] is not None
    lanes = Counter(told.pop("lane") for told in books["disagreeing"])
    assert {"2020-07"} == {d["period"] for d in books["disagreeing"]}
    told = [[d[name] for name in ("view", "currency", "figure", "events", "found")]
            for d in books["disagreeing"]]  # fmt: skip  # one after the other
    usd, zzq = (("receivables", currency) for currency in ("USD", "ZZQ"))
    assert [*usd, "charges:k1", *(
        {"amount": amount, "currency": "USD"} for amount in ("0.01", "0.00")
    )] in told  # fmt: skip  # field by field
    assert [*usd, "invoices", 1, 0] in told
    assert [*zzq, "invoices", 0, 1] in told
    assert [*zzq, "total_minor", 0, 100_07] in told
    assert DISAGREEMENTS_KEPT_MAX == max(lanes.values())
    categories = len(kinds) + 1  # and what was unbilled before
    assert len(told) + categories - DISAGREEMENTS_KEPT_MAX == books["disagreements"]
