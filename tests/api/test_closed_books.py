"""Closing a month's books: cut off beside writers, proved three ways, closed once, and not before."""

import threading
from collections.abc import Callable
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from api.closing_books import prove_books
from api.embedded import EmbeddedServer
from api.wiring import Database
from ledger import commands as c
from ledger.errors import MonthNotBilled, PeriodClosedBefore, PeriodNotOver
from ledger.store.outcomes import Accepted
from tests.api.books import TOKENS, fill
from tests.api.closings import (
    DAILY,
    ENTRY,
    JULY,
    LINES,
    MONTHLY,
    TOTAL,
    bill,
    change,
    cut_off,
    one,
    refused,
)
from tests.api.conftest import regions_file
from tests.api.serving import Ran, environment_of, eventually, run, serving
from tests.api.test_close_month import US, book, fresh_database, post
from tests.closing.books import charge, credit, opening

OUT_OF_PLACE = (
    "SELECT count(*) FROM journal.entry AS e JOIN ledger.period_close AS c"
    " ON c.lane = e.lane AND c.period = '2020-07'"
    " WHERE (e.period = '2020-07-01') <>"
    " (e.position <= c.position AND date_trunc('month', e.effective_on) = '2020-07-01')"
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


def test_a_month_is_billed_and_its_books_closed(database: Database, do: Callable[..., Ran]) -> None:
    """The report is what was invoiced and posted; closed again nothing changes; what comes late is
    posted in the next month and leaves what was reported as it was."""
    book(database, "A", 30)
    taxed = c.PostCharge(
        charge_id="t", amount_minor=1_000, description="rent", category="rent", effective_on=JULY,
        taxes=(c.Tax("vat", "0.2", 200),),
    )  # fmt: skip  # arguments by what they are for
    post(database, "more", ("A-0", taxed), ("A-1", credit("r", JULY, 40)))
    done = do("close-month", "2020-07", "--json")
    assert done.code == 0, done
    books = done.lines[0]["books"]["closed"]
    [usd] = books["currencies"]
    assert ("closed", 64, 30, 30) == (
        books["state"], books["lanes_proved"], usd["accounts"], usd["invoices"],
    )  # fmt: skip
    assert {"rent": "10.00", "usage": "30.00"} == {
        one["name"]: one["amount"]["amount"] for one in usd["categories"]
    }
    movements = {one["name"]: one["amount"]["amount"] for one in usd["movements"]}
    assert {
        "accounts_receivable": "41.60", "allowances": "0.40", "revenue:rent": "-10.00",
        "revenue:usage": "-30.00", "tax_payable:vat": "-2.00",
    } == movements  # fmt: skip
    assert ("2.00", "41.60") == (usd["tax"]["amount"], usd["total"]["amount"])
    post(database, "late", ("A-2", charge("late", JULY, 77)))
    again = do("close-month", "2020-07")
    assert (0, "2020-07: the books are closed") == (again.code, again.out.splitlines()[-1])
    told = dict(line.rsplit(None, 1) for line in again.out.splitlines() if line.startswith("  "))
    assert {
        "charges: rent": "10.00", "charges: usage": "30.00", "credits": "0.40", "tax": "2.00",
        "carried to credit": "0.00", "total": "41.60", **movements,
    } == {name.strip(): amount for name, amount in told.items()}  # fmt: skip  # name by name
    database.catch_up(30)
    assert 0 == one(database, OUT_OF_PLACE)
    assert date(2020, 8, 1) == one(
        database, "SELECT max(period) FROM journal.entry WHERE document = 'charge:late'"
    )
    found, disagreeing = prove_books(database, "2020-07")
    assert ("closed", []) == (found.state, disagreeing)


def test_a_month_with_an_invoice_over_nothing_is_closed(database: Database) -> None:
    """An invoice whose credits are as much as its charges, and one of charges of nothing, post nothing
    and are counted like any other: by the events as by the views."""
    book(database, "A", 1)
    post(
        database, "opened", *((number, opening()) for number in ("even", "free")),
        ("even", charge("c", JULY, 50)), ("even", credit("k", JULY, 50)),
        ("free", charge("c", JULY, 0)),
    )  # fmt: skip  # arguments by what they are for
    bill(database)
    cut_off(database)
    found, disagreeing = prove_books(database, "2020-07")
    assert ("closed", []) == (found.state, disagreeing)
    [usd] = found.report.currencies.values()
    assert (3, 3, 4) == (usd.accounts, usd.invoices.invoices, usd.invoices.lines)


def test_books_stay_open_until_the_month_is_billed(
    database: Database, do: Callable[..., Ran]
) -> None:
    """Not before it is over, nor before its end has billed every account that is due; an earlier month
    cannot be closed after a later one; asked to stay open they do."""
    book(database, "A", 3)
    today = database.today()
    with closing(database.period_closes()) as closes:
        ask = partial(closes.cut_off, actor="t", today=today)
        with pytest.raises(PeriodNotOver):
            ask(today.isoformat()[:7])
        with pytest.raises(MonthNotBilled, match="never asked for"):
            ask("2020-07")
        with closing(database.month_ends()) as month_ends:
            month_ends.ask("2020-07", None, actor="t", today=date(2020, 7, 31))
        with pytest.raises(MonthNotBilled, match="not finished"):
            ask("2020-07")
        with closing(database.month_ends()) as month_ends, closing(database.ledger()) as ledger:
            month_ends.work(ledger)
        with pytest.raises(MonthNotBilled, match="before every account was due"):
            ask("2020-07")
        kept = do("close-month", "2020-07", "--keep-open")
        assert (0, "2020-07: the books are open: asked to stay open") == (
            kept.code,
            kept.out.splitlines()[-1],
        )
        assert closes.find("2020-07") is None
        assert "cut_off" == ask("2020-07").state
        bill(database, "2020-06")
        with pytest.raises(PeriodClosedBefore):
            ask("2020-06")


def test_a_cut_beside_writers_has_every_event_on_one_side(database: Database) -> None:
    """While charges of July come in from several writers it is cut off: each is posted in July or, past
    its lane's cut, in August; what July comes to is proved."""
    book(database, "A", 20)
    bill(database)
    started, stopping = threading.Barrier(3), threading.Event()
    sent = [0, 0]

    def write(n: int) -> None:
        with closing(database.ledger()) as ledger:
            started.wait()
            while not stopping.is_set():
                sent[n] += 1
                requests = [
                    c.Request(
                        account_number=f"A-{a}",
                        key=f"w{n}-{sent[n]}",
                        command=charge(f"w{n}-{sent[n]}", JULY, 7),
                        actor="t",
                        today=database.today(),
                    )
                    for a in range(n, 20, 2)
                ]
                for outcome in ledger.handle_now(requests):
                    assert isinstance(outcome, Accepted), outcome

    writers = [threading.Thread(target=write, args=(n,)) for n in range(2)]
    for writer in writers:
        writer.start()
    started.wait()
    while min(sent) < 10:
        stopping.wait(0.01)
    cut_off(database)
    upto = list(sent)
    while min(now - then for now, then in zip(sent, upto, strict=True)) < 10:
        stopping.wait(0.01)
    stopping.set()
    for writer in writers:
        writer.join()
    found, disagreeing = prove_books(database, "2020-07")
    assert ("closed", []) == (found.state, disagreeing)
    assert 0 == one(database, OUT_OF_PLACE)
    for period in ("2020-07-01", "2020-08-01"):
        assert 50 < one(
            database,
            f"SELECT count(*) FROM journal.entry WHERE period = '{period}' AND document LIKE 'charge:w%'",
        )


SPOILT = (
    (DAILY, "journal.daily", "accounts_receivable"),
    (MONTHLY, "journal.monthly", "accounts_receivable"),
    (ENTRY, "journal.entry", "accounts_receivable"),
    (TOTAL, "receivables", "total_minor"),
    (LINES, "receivables", "lines"),
)


def books_of(do: Callable[..., Ran]) -> bool:
    """Whether a doctor finds the books fine."""
    found = {one["name"]: one for one in do("doctor", "--json").lines}
    return bool(found["books"]["ok"])


@pytest.mark.parametrize(("planted", "view", "figure"), SPOILT)
def test_books_that_disagree_are_not_closed(
    database: Database, do: Callable[..., Ran], planted: str, view: str, figure: str
) -> None:
    """What disagrees is named, with the lane; the other lanes are proved, and once it is mended the
    month is closed."""
    book(database, "A", 12)
    bill(database)
    database.catch_up(30)
    change(database, planted.format(5))
    done = do("close-month", "2020-07", "--json")
    assert done.code == 1, done
    [told] = done.lines
    books = told["books"]["closed"]
    [spoilt] = [d for d in books["disagreeing"] if (d["view"], d["figure"]) == (view, figure)]
    assert {view} == {d["view"] for d in books["disagreeing"]}
    assert 5 == minor(spoilt["found"]) - minor(spoilt["events"])
    assert (len(books["disagreeing"]), {spoilt["lane"]}) == (
        books["disagreements"], {d["lane"] for d in books["disagreeing"]},
    )  # fmt: skip  # what is given is what is counted
    assert ("cut_off", 63) == (books["state"], books["lanes_proved"])
    assert f"{view} USD {figure}" in done.err
    assert books_of(do)
    age = "UPDATE ledger.period_close SET cut_at = cut_at - interval '6 minutes' WHERE proved_at IS NULL"
    change(database, age)
    assert not books_of(do)
    change(database, planted.format(-5))
    assert 0 == do("close-month", "2020-07").code
    with closing(database.period_closes()) as closes:
        found = closes.find("2020-07")
    assert found is not None
    assert ("closed", 0, (), None) == (
        found.state, found.disagreements, found.disagreeing, found.disagreed_at,
    )  # fmt: skip  # field by field


def minor(shown: Any) -> int:
    """A figure as it is shown, in minor units: an amount of USD, or a number."""
    return shown if isinstance(shown, int) else int(shown["amount"].replace(".", ""))


def test_a_service_closes_the_books(database: Database, tmp_path: Path) -> None:
    """Asked over HTTP it cuts off and answers, and proves them in its own time; who may not is refused;
    a month that is not billed is a conflict."""
    fill(database)
    book(database, "S", 5)
    with serving(environment_of(regions_file(tmp_path, database)), tmp_path) as service:
        path = "/v1/month-ends/2020-07/closing"
        assert (409, "month_not_billed") == refused(service.send("POST", path, TOKENS["us"]))
        assert (404, "not_found") == refused(service.ask(path, TOKENS["us"]))
        bill(database)
        answer = service.send("POST", path, TOKENS["us"])
        assert (202, "2020-07") == (answer.status, answer.json["period"])

        def is_closed() -> bool:
            shown = service.ask(path, TOKENS["us"]).json
            return bool(shown["state"] == "closed" and shown["lanes_proved"] == 64)

        eventually(is_closed)
        again = service.send("POST", path, TOKENS["us"])
        assert (202, "closed") == (again.status, again.json["state"])


def test_huge_amounts_are_reported_whole(database: Database, do: Callable[..., Ran]) -> None:
    """Sums over accounts that pass 64 bits."""
    huge = 10**18
    numbers = [f"H-{n}" for n in range(30)]
    post(database, "open", *((number, opening()) for number in numbers))
    post(database, "charge", *((number, charge("c", JULY, huge)) for number in numbers))
    done = do("close-month", "2020-07", "--json")
    assert done.code == 0, done
    [usd] = done.lines[0]["books"]["closed"]["currencies"]
    assert f"{30 * huge // 100}.00" == usd["total"]["amount"]
