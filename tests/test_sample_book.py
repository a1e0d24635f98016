"""The generated sample book: accepted whole, equal to its own tally, shaped like real receivables."""

import unicodedata
from collections import Counter
from datetime import date, timedelta
from functools import cache

import pytest

from api.sample import model_account
from api.sample.customers import LAST_DAY, OUTLIER, SAMPLE_REGIONS
from api.sample.diary import Diary
from api.sample_book import demo_logins, sample_accounts, sample_requests
from ledger import commands as c
from ledger import events as e
from ledger.account import figures
from ledger.book import Book
from ledger.history import as_of
from ledger.items import InvoiceItem

SEED = 1
TODAY = date(2026, 11, 23)


@cache
def book(region: str, seed: int = SEED) -> dict[str, tuple[Diary, Book]]:
    """Every account of a region's sample by number: its diary, and a book of its requests."""
    found = {}
    for diary in sample_accounts(region, seed):
        kept = Book()
        for request in diary.requests:
            kept.handle(request)
        found[diary.account_number] = diary, kept
    return found


def events() -> list[e.Event]:
    return [
        event for code in SAMPLE_REGIONS for _, kept in book(code).values() for event in kept.events
    ]


def test_a_seed_always_makes_the_same_requests_in_order_of_entry() -> None:
    """Two runs give equal requests, by the day of entry, each account's with keys of their own."""
    first = list(sample_requests("apac", SEED, TODAY))
    assert first == list(sample_requests("apac", SEED, TODAY))
    assert first != list(sample_requests("apac", SEED + 1, TODAY))
    assert [request.today for request in first] == sorted(request.today for request in first)
    assert len(first) == len({(request.account_number, request.key) for request in first})
    assert first[-1].today <= LAST_DAY


@pytest.mark.parametrize("region", SAMPLE_REGIONS)
def test_every_request_is_accepted_and_comes_to_what_the_generator_summed(region: str) -> None:
    """The ledger's figures equal the generator's own running sums, for every account and invoice."""
    for diary, kept in book(region).values():
        account, tally = kept.account, diary.tally
        assert account is not None
        shown = figures(account, TODAY)
        assert (
            tally.balance_minor,
            tally.due_on,
            tally.current_activity_minor(TODAY),
            tally.pending_minor,
            tally.payable_minor,
        ) == (
            shown.balance_minor,
            shown.due_on,
            shown.current_activity_minor,
            shown.pending_payments_minor,
            shown.payable_now_minor,
        )
        invoices = {i.id: i for i in kept.items.values() if isinstance(i, InvoiceItem)}
        assert invoices.keys() == tally.bills.keys()
        for number, bill in tally.bills.items():
            invoice = invoices[number]
            assert (bill.total_minor, bill.open_minor, bill.written_off_minor, bill.due_on) == (
                invoice.total_minor,
                invoice.open_minor,
                invoice.written_off_minor,
                invoice.due_on,
            )
            assert min(bill.flagged_minor, bill.open_minor) == invoice.disputed_minor


def test_other_seeds_are_accepted_whole_too() -> None:
    """The generator knows the rules, not just one book: other seeds are accepted whole and tie."""
    for seed in range(2, 5):
        for diary, kept in book("emea", seed).values():
            assert kept.account is not None
            assert diary.tally.balance_minor == kept.account.balance_minor
            assert diary.tally.due_on == kept.account.due_on


def test_replay_as_of_the_last_day_gives_the_live_figures() -> None:
    """Once nothing lies ahead, the sum of all events is the state, whichever way it is read."""
    for code in SAMPLE_REGIONS:
        for _, kept in book(code).values():
            assert kept.account is not None
            shown, standing = figures(kept.account, TODAY), as_of(kept.events, TODAY).standing
            assert shown.balance_minor == standing.balance_minor
            assert shown.due_on == standing.due_on
            assert shown.current_activity_minor == standing.current_activity_minor
            assert shown.pending_payments_minor == standing.pending_payments_minor


def test_the_model_account_owes_what_the_portal_shows() -> None:
    """Region us, 61.11 USD due on 2020-07-30, no current activity, everything earlier paid."""
    diary, kept = book("us")[model_account.NUMBER]
    opening = diary.requests[0].command
    assert isinstance(opening, c.OpenAccount)
    assert ("USA", "Example Conferencing Inc.", "month_end", "USD") == (
        opening.country,
        opening.company,
        opening.billing_cycle,
        opening.currency,
    )
    settings = as_of(kept.events, TODAY).settings
    assert ("full_detail", "cash_check") == (
        settings["invoice_delivery"],
        settings["payment_method"],
    )
    assert kept.account is not None
    shown = figures(kept.account, TODAY)
    assert (6111, date(2020, 7, 30), 0, 0) == (
        shown.total_amount_due_minor,
        shown.due_on,
        shown.current_activity_minor,
        shown.pending_payments_minor,
    )
    issued = [event for event in kept.events if isinstance(event, e.InvoiceIssued)]
    assert 18 == len(issued)
    assert issued[-1].due_on == issued[-1].effective_on + timedelta(days=30)
    before = as_of(kept.events, date(2020, 6, 29)).standing
    assert 0 == before.balance_minor


def test_the_book_holds_every_kind_of_thing() -> None:
    """Part payments, returns, disputes both ways, credits of all kinds, late entries and the rest."""
    found = Counter(type(event).__name__ for event in events())
    assert set(found) >= {
        "AccountOpened", "SettingsChanged", "ChargePosted", "ChargeReversed", "CreditIssued",
        "CreditReversed", "PaymentSubmitted", "PaymentProcessed", "PaymentFailed",
        "PaymentReturned", "PaymentReinstated", "RefundIssued", "RefundReversed",
        "InvoiceWrittenOff", "WriteOffReversed", "DisputeOpened", "DisputeResolved",
        "InvoiceIssued", "InvoiceCancelled", "MessagePosted", "AccountClosed",
    }  # fmt: skip
    assert 15_000 <= found.total() <= 35_000
    credits = {event.applies_to for event in events() if isinstance(event, e.CreditIssued)}
    assert {"invoice", "account", "next_invoice"} == credits
    outcomes = Counter(event.outcome for event in events() if isinstance(event, e.DisputeResolved))
    assert 0.1 < outcomes["upheld"] / outcomes.total() < 0.25
    charges = [event for event in events() if isinstance(event, e.ChargePosted)]
    assert 0.02 < sum(charge.late for charge in charges) / len(charges) < 0.3
    assert 0.02 < sum(charge.ahead for charge in charges) / len(charges) < 0.08
    recovered = [
        allocation
        for event in events()
        for allocation in getattr(event, "allocations", ())
        if allocation.recovered_minor
    ]
    assert recovered
    assert any(charge.amount_minor == round(OUTLIER * 100) for charge in charges)
    pending = sum(diary.tally.pending_minor > 0 for diary, _ in book("us").values())
    assert pending


def test_the_book_is_skewed_like_real_ones() -> None:
    """At least 200 accounts over 18 months; one holds 20 to 27 % of all charges, ten about half."""
    charges = Counter(
        {
            number: sum(isinstance(event, e.ChargePosted) for event in kept.events)
            for code in SAMPLE_REGIONS
            for number, (_, kept) in book(code).items()
        }
    )
    assert len(charges) >= 200
    (_, most), *_ = charges.most_common(1)
    assert 0.20 <= most / charges.total() <= 0.27
    assert 0.40 <= sum(count for _, count in charges.most_common(10)) / charges.total() <= 0.60
    months = {
        event.effective_on.isoformat()[:7]
        for event in events()
        if isinstance(event, e.InvoiceIssued)
    }
    assert len(months) >= 18


def test_amounts_have_the_regions_decimals_and_texts_are_nfc() -> None:
    """Each account is kept in its region's currency; names are text that the contract accepts."""
    for code, region in SAMPLE_REGIONS.items():
        for diary, kept in book(code).values():
            opening = diary.requests[0].command
            assert isinstance(opening, c.OpenAccount)
            assert kept.account is not None
            assert region.currency == kept.account.currency
            assert unicodedata.is_normalized("NFC", opening.company)


def test_everybody_shown_can_sign_in_somewhere() -> None:
    """Logins of every role in every region; a customer's accounts are of one client of the book."""
    logins = demo_logins(SEED)
    assert model_account.CLIENT_ID == logins[0].identifier
    assert len(logins) == len({(login.region, login.identifier) for login in logins})
    for code in SAMPLE_REGIONS:
        here = [login for login in logins if login.region == code]
        roles = {login.role for login in here}
        assert {"customer", "support", "finance", "auditor", "admin"} == roles
        assert any(len(login.account_numbers) > 1 for login in here)
        for login in here:
            assert bool(login.account_numbers) == (login.role == "customer")
            for number in login.account_numbers:
                opening = book(code)[number][0].requests[0].command
                assert isinstance(opening, c.OpenAccount)
                assert login.identifier == opening.client_id
