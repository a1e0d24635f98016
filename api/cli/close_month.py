"""`close-month 2020-07`: an invoice for every account that is due, then the month's books are closed; safe to run twice."""

import argparse
from collections.abc import Iterator
from contextlib import closing, contextmanager

import msgspec

from api.amounts import Money
from api.cli.preview_month import show, tell_amounts
from api.cli.regional import add_json, add_region, fit_database
from api.cli.screen import REFUSED, VIEWS, Misuse, Refused, Screen
from api.cli.serve import workers
from api.closed_books import ClosedBooks, CurrencyClosed, closed_books
from api.closing_books import prove_books
from api.moments import day
from api.month_end_runners import Runners
from api.settings import Settings
from api.wiring import Database
from ledger.closing import MonthEnd
from ledger.errors import (
    InvalidPeriod,
    MonthNotBilled,
    PeriodClosedBefore,
    PeriodNotOver,
    Refusal,
)
from ledger.processes import cores
from projections.open_months import closed_with

ACTOR = "close-month"
CATCH_UP_S_MAX = 600.0
SHOWN_MAX = 50
"""Refusals, and figures that disagree, told one by one; all that were kept are in the JSON."""
WORKERS_MAX = 8
"""Processes that are used without being asked for."""
ACCOUNTS_A_WORKER = 10_000
"""What one process closes in about the time that starting another costs."""


class Books(msgspec.Struct, frozen=True):
    """What became of the month's books: closed, cut off with what disagrees, or why they are open."""

    closed: ClosedBooks | None = None
    kept_open: str | None = None


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser(
        "close-month",
        help="invoice every account that is due in a month, and close its books",
        allow_abbrev=False,
    )
    parser.add_argument("period", help="the month, such as 2020-07")
    parser.add_argument(
        "--issued-on",
        type=day,
        metavar="YYYY-MM-DD",
        help="day of issue; the day each account's period ends if not given",
    )
    parser.add_argument(
        "--workers",
        type=workers,
        help=f"processes that work on it; if not given, one for every {ACCOUNTS_A_WORKER:,} "
        f"accounts, but no more than there are CPUs, nor than {WORKERS_MAX}",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what it would do; nothing is recorded"
    )
    parser.add_argument(
        "--keep-open",
        action="store_true",
        help="only invoice: what is recorded later may still be posted in the month",
    )
    add_region(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Closes the month and waits for the views; 1 when an account was refused, or the books disagree.

    Goes on with what was asked for and not finished, whoever asked.
    """
    with fit_database(settings, given.region) as database:
        if given.dry_run:
            return _preview(given, database, screen)
        done = _close(given, database, screen)
        screen.waiting(VIEWS)
        database.catch_up(CATCH_UP_S_MAX)
        _tell(done, screen)
        kept_open = "asked to stay open" if given.keep_open else None
        books = Books(kept_open=kept_open) if kept_open else _close_books(given, database, screen)
    _tell_books(done.period, books, screen)
    if books.closed is not None:
        done = msgspec.structs.replace(done, books_state=books.closed.state)
    ok = not done.refused and (books.closed is None or books.closed.state == "closed")
    screen.result({"ok": ok, **msgspec.to_builtins(done), "books": msgspec.to_builtins(books)})
    return 0 if ok else REFUSED


def _close(given: argparse.Namespace, database: Database, screen: Screen) -> MonthEnd:
    period = given.period
    with closing(database.month_ends()) as month_ends:

        def status() -> MonthEnd:
            found = month_ends.status(period)
            assert found is not None, period
            return found

        def tell() -> None:
            run = status()
            screen.progress("accounts", run.accounts, run.accounts + (run.accounts_left or 0))

        def progress() -> None:
            if screen.wants_progress():
                tell()

        with _refusals_told():
            month_ends.ask(period, given.issued_on, actor=ACTOR, today=database.today())
        others = (given.workers or _workers_for(month_ends.accounts())) - 1
        with _beside(database, others, screen), closing(database.ledger()) as ledger:
            month_ends.work(ledger, progress=progress)
        tell()
        return status()


def _close_books(given: argparse.Namespace, database: Database, screen: Screen) -> Books:
    """The month's books are closed, with a later month's if those were cut off, or stay open for a reason."""
    with closing(database.period_closes()) as closes:
        period = given.period
        try:
            closes.cut_off(period, actor=ACTOR, today=database.today())
        except (PeriodNotOver, MonthNotBilled) as refusal:
            return Books(kept_open=str(refusal))
        except PeriodClosedBefore as refusal:
            period = refusal.closed
        prove_books(database, period, lambda done, of: screen.progress("books", done, of))
        found = closes.find(given.period)
    assert found is not None, given.period
    return Books(closed_books(found))


def _tell_books(period: str, books: Books, screen: Screen) -> None:
    if books.kept_open is not None:
        screen.say(f"{period}: the books are open: {books.kept_open}")
        return
    assert books.closed is not None
    told = books.closed.disagreeing[:SHOWN_MAX]
    for one in told:
        screen.complain(
            f"lane {one.lane}: {one.period}: {one.view} {one.currency} {one.figure}: the events come "
            f"to {_value(one.events)}, found {_value(one.found)}"
        )
    if more := books.closed.disagreements - len(told):
        screen.complain(f"and {more} more")
    if books.closed.state != "closed":
        screen.say(f"{period}: the books are cut off and not closed: what they say disagrees")
        return
    for of in books.closed.currencies:
        _tell_report(period, of, screen)
    if also := books.closed.also_closed:
        screen.say(f"{period}: closed with it, each with its report: {', '.join(also)}")
    with_it = "" if books.closed.closed_with == period else f", with {books.closed.closed_with}"
    screen.say(f"{period}: the books are closed{with_it}")


def _tell_report(period: str, of: CurrencyClosed, screen: Screen) -> None:
    """What the month's books were closed with, in one currency."""
    screen.say(
        f"{period}: {of.currency}: invoiced by the month end: {of.invoices:,} invoices of "
        f"{of.accounts:,} accounts, {of.lines:,} lines"
    )
    tell_amounts(
        [
            *((f"charges: {one.name}", one.amount) for one in of.categories),
            ("credits", of.credits),
            ("tax", of.tax),
            ("carried to credit", of.carried),
            ("total", of.total),
        ],
        screen,
    )
    screen.say(f"{period}: {of.currency}: posted in all, debits less credits")
    tell_amounts([(one.name, one.amount) for one in of.movements], screen)


def _value(of: Money | int | None) -> str:
    if of is None:
        return "no number"
    return of.amount if isinstance(of, Money) else str(of)


def _preview(given: argparse.Namespace, database: Database, screen: Screen) -> int:
    """Tells what the close would do; 1 when an account would be refused."""
    with closing(database.ledger()) as ledger, closing(database.month_ends()) as month_ends:
        with _refusals_told():
            preview = month_ends.preview(given.period, given.issued_on, today=database.today())

        def also_closed() -> list[str]:
            if given.keep_open:
                return []
            period, today = preview.asked.period, preview.asked.asked_on
            return closed_with(database.service_url, period, today=today)

        show(preview, ledger, month_ends.accounts(), also_closed, screen)
    return REFUSED if preview.counts["refused"] else 0


@contextmanager
def _refusals_told() -> Iterator[None]:
    """What is asked for is refused as a command is: what is no month is a misuse."""
    try:
        yield
    except InvalidPeriod as refusal:
        raise Misuse(str(refusal)) from refusal
    except Refusal as refusal:
        raise Refused(str(refusal)) from refusal


def _workers_for(accounts: int) -> int:
    return max(1, min(cores(), WORKERS_MAX, accounts // ACCOUNTS_A_WORKER))


@contextmanager
def _beside(database: Database, others: int, screen: Screen) -> Iterator[None]:
    """So many other processes work on it too; of one that dies is told, and nothing is missing."""
    runners = Runners(database, others)
    runners.go()
    try:
        yield
    finally:
        dead = runners.close()
    for said in dead:
        screen.complain(f"{said}; the others did its work")


def _tell(done: MonthEnd, screen: Screen) -> None:
    for refusal in done.refusals[:SHOWN_MAX]:
        screen.complain(f"account {refusal.account_number}: {refusal.code}: {refusal.message}")
    screen.say(
        f"{done.period}: {done.accounts} accounts: {done.issued} invoiced, {done.replayed} "
        f"invoiced before, {done.nothing_to_bill} with nothing to bill, {done.not_due} not due, "
        f"{done.refused} refused"
    )
