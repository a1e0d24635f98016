"""Invoices: what they take, their number, dates and totals, and their cancellation."""

from datetime import date, timedelta

from ledger import commands as c
from ledger.calendar import EndOfMonth
from ledger.decider import decide, needs
from ledger.errors import (
    DueBeforeIssue,
    EffectiveBeforeCause,
    EffectiveInFuture,
    IdTaken,
    InvoiceIsCancelled,
    InvoiceSettled,
    NothingToBill,
    NumberReserved,
    PeriodBilled,
)
from ledger.events import InvoiceCancelled, InvoiceIssued
from ledger.items import InvoiceItem
from ledger.needs import Known, Named, answered_from
from ledger.parts import Allocation, CategoryTotal, Lines, Range, TaxTotal, Undoing
from tests.examples import (
    NUMBER,
    TODAY,
    VAT,
    Given,
    billed,
    charge,
    credit,
    day,
    dispute,
    invoice,
    opening,
    payment,
    write_off,
)

LINES = Lines(
    count=2,
    charges_minor=130,
    credits_minor=0,
    tax_minor=20,
    categories=(CategoryTotal("rent", 30), CategoryTotal("usage", 100)),
    taxes=(TaxTotal("VAT", 20),),
)
RANGES = (Range(date.min, TODAY, 1, 3),)


def item(given: Given, number: str) -> InvoiceItem:
    found = given.book.items["invoice", number]
    assert isinstance(found, InvoiceItem)
    return found


def test_an_invoice_takes_all_that_is_unbilled() -> None:
    """Totals by category and tax, a number, a period and dates are in its event."""
    given = Given(opening(), charge("A", 100, taxes=(VAT,)), charge("B", 30, category="rent"))
    expected = InvoiceIssued(
        effective_on=TODAY,
        number="A-1-2020-07-1",
        period_start=day(7, 1),
        period_end=TODAY,
        due_on=day(8, 29),
        lines=LINES,
        ranges=RANGES,
        total_minor=150,
    )
    assert [expected] == given.when(c.IssueInvoice())


def test_an_invoice_leaves_what_is_effective_after_the_period() -> None:
    """The line of the last day is in, that of the day after is not."""
    given = Given(
        opening(),
        charge("A", 1, effective_on=day(6, 30)),
        charge("B", 2, effective_on=day(7, 1)),
    )
    (june,) = given.when(c.IssueInvoice(period_end=day(6, 30)))
    (july,) = given.when(c.IssueInvoice())
    assert (1, 2) == (june.total_minor, july.total_minor)


def test_an_invoice_without_lines_is_refused() -> None:
    """Nothing is billed twice."""
    given = Given(*billed(("N", 5, TODAY)))
    assert NothingToBill(period_end=TODAY) == given.when(c.IssueInvoice())


def test_generated_numbers_count_within_their_period() -> None:
    """`<account>-<period>-<n>`."""
    given = Given(opening(), charge("A", 1), c.IssueInvoice(), charge("B", 1))
    (second,) = given.when(c.IssueInvoice())
    assert "A-1-2020-07-2" == second.number


def test_a_number_is_used_once() -> None:
    """Also when the first invoice was cancelled."""
    given = Given(*billed(("N", 5, TODAY)), c.CancelInvoice(number="N"))
    assert IdTaken(kind="invoice", id="N") == given.when(c.IssueInvoice(number="N"))


def test_a_given_number_is_not_one_that_will_be_generated() -> None:
    """Else a later invoice could not be issued."""
    given = Given(opening(), charge("A", 1))
    refused = given.when(c.IssueInvoice(number="A-1-2020-09-1"))
    assert NumberReserved(number="A-1-2020-09-1") == refused


def test_the_due_date_comes_from_the_terms() -> None:
    """It is computed once and stored."""
    given = Given(opening(terms=EndOfMonth(10)), charge("A", 1))
    (issued,) = given.when(c.IssueInvoice(issued_on=day(7, 30)))
    assert day(8, 10) == issued.due_on


def test_a_due_date_given_is_not_before_the_issue() -> None:
    """On the day itself it may be."""
    given = Given(opening(), charge("A", 1))
    yesterday = TODAY - timedelta(days=1)
    refused = given.when(c.IssueInvoice(due_on=yesterday))
    assert DueBeforeIssue(due_on=yesterday, issued_on=TODAY) == refused
    assert [TODAY] == [event.due_on for event in given.when(c.IssueInvoice(due_on=TODAY))]


def test_an_invoice_is_not_issued_in_the_future() -> None:
    """Only charges and settings may lie ahead."""
    given = Given(opening(), charge("A", 1))
    tomorrow = TODAY + timedelta(days=1)
    refused = given.when(c.IssueInvoice(issued_on=tomorrow))
    assert EffectiveInFuture(effective_on=tomorrow, today=TODAY) == refused


def test_an_invoice_does_not_precede_its_lines() -> None:
    """It is issued on or after the end of its period."""
    given = Given(opening(), charge("A", 1, effective_on=day(6, 30)))
    refused = given.when(c.IssueInvoice(period_end=day(6, 30), issued_on=day(6, 29)))
    assert isinstance(refused, EffectiveBeforeCause)


def test_a_period_is_not_billed_before_one_that_was() -> None:
    """Late lines go to the next invoice instead."""
    given = Given(*billed(("N", 5, TODAY)), charge("L", 1, effective_on=day(6, 1)))
    refused = given.when(c.IssueInvoice(period_end=day(6, 30)))
    assert PeriodBilled(billed_through=TODAY) == refused


def test_an_excess_of_credits_is_carried_to_account_credit() -> None:
    """A total is never negative; the rest is unapplied credit at once."""
    given = Given(opening(), charge("A", 100), credit("R", 130, "next_invoice"))
    (issued,) = given.when(c.IssueInvoice())
    assert (30, 0) == (issued.carried_minor, issued.total_minor)
    assert issued.total_minor == issued.lines.total_minor + issued.carried_minor
    assert given.book.account
    assert -30 == given.book.account.balance_minor


def test_an_invoice_of_nothing_is_issued_closed() -> None:
    """Nothing is open of it and no date is due."""
    given = Given(opening(), charge("A", 0), invoice("N", TODAY))
    assert 0 == item(given, "N").open_minor
    assert given.book.account
    assert given.book.account.due_on is None


def test_what_is_open_already_need_not_be_read_to_bill_more() -> None:
    """Without unapplied credit an invoice is decided from the lines alone, and the account's due date
    is all the same the earliest of what is open: of older invoices, or of this one."""
    for old, new, wanted in (
        (day(8, 5), day(8, 9), day(8, 5)),
        (day(8, 5), day(8, 1), day(8, 1)),
        (None, day(8, 9), day(8, 9)),
    ):
        past = [] if old is None else [charge("A", 5), invoice("N", old), dispute("D", "N", 2)]
        given = Given(opening(), *past, charge("B", 7))
        command = c.IssueInvoice(number="M", due_on=new)
        request = c.Request(
            account_number=NUMBER, key="k", command=command, actor="tests", today=TODAY
        )
        known = Known()
        while wanting := known.missing(needs(given.book.account, known, command, TODAY)):
            for query in wanting:
                assert isinstance(query, Named)
                known.answer(query, answered_from(given.book.items, query))
        decision = decide(given.book.account, known, request)
        assert wanted == decision.account.due_on
        given.book.handle(request)
        assert decision.account == given.book.account


def test_unapplied_credit_pays_a_new_invoice_at_once() -> None:
    """The oldest first, in the event that issues it."""
    given = Given(opening(), payment("P", 30), credit("R", 40, "account"), charge("A", 50))
    (issued,) = given.when(c.IssueInvoice(number="N"))
    expected = (
        Allocation("payment:P", "N", 30, TODAY),
        Allocation("credit:R", "N", 20, TODAY),
    )
    assert expected == issued.allocations


def test_a_cancelled_invoice_sets_its_lines_and_credit_free() -> None:
    """Its event repeats what the invoice had taken."""
    given = Given(
        opening(), charge("A", 100, taxes=(VAT,)), charge("B", 30, category="rent"),
        c.IssueInvoice(number="N"), credit("R", 40, "account"),
    )  # fmt: skip
    expected = InvoiceCancelled(
        effective_on=TODAY,
        number="N",
        lines=LINES,
        ranges=RANGES,
        total_minor=150,
        reason="wrong period",
        undone=(Undoing("5.0", "credit:R", "N", 40, TODAY),),
    )
    assert [expected] == given.when(c.CancelInvoice(number="N", reason="wrong period"))


def test_the_lines_of_a_cancelled_invoice_go_to_the_next() -> None:
    """And the credit it set free pays that one."""
    given = Given(*billed(("N", 50, TODAY)), credit("R", 40, "account"))
    given.ask(c.CancelInvoice(number="N"))
    (issued,) = given.when(c.IssueInvoice(number="M"))
    assert 50 == issued.total_minor
    assert (Allocation("credit:R", "M", 40, TODAY),) == issued.allocations


def test_lines_freed_a_day_ahead_are_billed_with_their_credit() -> None:
    """A machine whose day is not over yet bills what another billed and cancelled after midnight: on
    that day, and the credit that was released is put on it."""
    ahead = TODAY + timedelta(days=1)
    given = Given(opening(), payment("P", 80), charge("c", 50))
    given.ask(c.IssueInvoice(number="N"), today=ahead)
    given.ask(c.CancelInvoice(number="N"), today=ahead)
    [issued] = given.ask(c.IssueInvoice(number="M"))
    assert isinstance(issued, InvoiceIssued)
    assert ahead == issued.effective_on
    assert [("M", 50)] == [(made.invoice, made.amount_minor) for made in issued.allocations]


def test_a_charge_of_a_cancelled_invoice_can_be_reversed() -> None:
    """It is unbilled again."""
    given = Given(*billed(("N", 50, TODAY)), c.CancelInvoice(number="N"))
    (reversal,) = given.when(c.ReverseCharge(charge_id="charge-N"))
    assert 50 == reversal.amount_minor


def test_an_invoice_that_was_paid_is_not_cancelled() -> None:
    """Payments, credit notes, write-offs and disputes are undone first."""
    for settled in (
        payment("P", 1),
        credit("R", 1, "invoice", invoice="N"),
        write_off("W", "N", 1),
        dispute("D", "N", 1),
    ):
        given = Given(*billed(("N", 50, TODAY)), settled)
        assert InvoiceSettled(invoice="N") == given.when(c.CancelInvoice(number="N"))


def test_a_prepayment_applied_at_issue_does_not_hold_an_invoice() -> None:
    """It was unapplied money before, and is again."""
    given = Given(opening(), payment("P", 30), charge("A", 50), invoice("N", TODAY))
    (cancelled,) = given.when(c.CancelInvoice(number="N"))
    assert (Undoing("5.0", "payment:P", "N", 30, TODAY),) == cancelled.undone


def test_an_invoice_is_cancelled_once() -> None:
    """It is not there a second time."""
    cancel = c.CancelInvoice(number="N")
    refused = Given(*billed(("N", 50, TODAY)), cancel).when(cancel)
    assert InvoiceIsCancelled(invoice="N") == refused
