"""A real book of receivables, imported: every figure of every customer equals the known truth."""

from collections.abc import Iterable
from datetime import date
from functools import cache

import pytest

from ledger.book import Book
from ledger.events import Event, InvoiceIssued, PaymentProcessed
from ledger.history import AsOf, as_of
from ledger.importing import run
from ledger.receivables_csv import ReceivablesCsv
from tests import truth
from tests.importing.books import Books

TODAY = date(2020, 7, 16)
pytestmark = pytest.mark.needs("TEST_DATA")


def seen(state: AsOf) -> truth.Seen:
    """What the truth knows, from an account's state as of a day."""
    channel = state.settings.get("delivery_channel", "paper")
    return truth.Seen(state.standing, len(state.open_items), str(channel))


def moved(events: Iterable[Event], first: date, last: date) -> tuple[int, int]:
    """Invoices issued and payments processed from a day to a day."""
    dated = [event for event in events if first <= event.effective_on <= last]
    return (
        sum(event.total_minor for event in dated if isinstance(event, InvoiceIssued)),
        sum(event.amount_minor for event in dated if isinstance(event, PaymentProcessed)),
    )


@cache
def imported() -> Books:
    """The book in memory, imported once a process."""
    books = Books()
    with truth.receivables().open("rb") as file:
        source = ReceivablesCsv(
            file, currency="USD", today=TODAY, actor="import", currency_of=books.currency_of
        )
        summary = run(source, books.enqueue)
        assert summary.ok, summary
        assert (2466, 100, 0) == (summary.lines, summary.accounts, summary.replayed)
        assert source.steps_total == summary.accepted
        before = books.events
        again = run(source, books.enqueue)
        assert (before, 0, summary.accepted) == (books.events, again.accepted, again.replayed)
        assert again.ok
    return books


@cache
def read(customer: str, on: date) -> truth.Seen:
    """The customer as of a day, by replay of the book in memory."""
    return seen(as_of(imported().of[customer].events, on))


def test_events_replayed_in_memory_equal_the_truth() -> None:
    """Replay of every account's events, as of every day the truth names, gives its figures."""
    books = imported()
    assert truth.customers() == sorted(books.of)
    found = truth.differences(
        read, lambda customer, first, last: moved(books.of[customer].events, first, last)
    )
    assert [] == found
    assert [] == list(truth.delivery_differences(read))


def test_a_book_folded_to_the_end_is_paid() -> None:
    """The live state, folded afresh from the events, owes nothing, as the truth's last day says."""
    for book in imported().of.values():
        account = Book(book.events).account
        assert account is not None
        assert account == book.account
        assert (0, 0, 0, None) == (
            account.balance_minor,
            account.disputed_minor,
            account.unbilled_minor,
            account.due_on,
        )
        assert account.billed_minor == account.processed_minor > 0


def test_a_dropped_payment_is_found() -> None:
    """The comparison can fail: with one payment of one customer dropped, just that one differs."""
    books = imported()
    customer = truth.customers()[0]
    events = list(books.of[customer].events)
    dropped = next(i for i, event in enumerate(events) if isinstance(event, PaymentProcessed))
    del events[dropped]

    def one_dropped(name: str, on: date) -> truth.Seen:
        return seen(as_of(events, on)) if name == customer else read(name, on)

    found = truth.differences(
        one_dropped, lambda name, first, last: moved(books.of[name].events, first, last)
    )
    assert any(line.startswith(f"{customer} in 2012-") for line in found)
    assert {customer, "all"} == {line.split()[0] for line in found}
