"""The rule: the invoice named, then open ones by due date, then by order of issue."""

from ledger import commands as c
from ledger.events import InvoiceIssued
from ledger.parts import Allocation
from tests.examples import (
    TODAY,
    Given,
    billed,
    charge,
    credit,
    day,
    dispute,
    opening,
    payment,
    refund,
    returned,
)


def allocated(given: Given, asked: c.Command) -> list[tuple[str, int]]:
    """The invoices and amounts that the last event allocates."""
    return [(a.invoice, a.amount_minor) for a in given.ask(asked)[-1].allocations]


def test_money_goes_to_what_is_due_first() -> None:
    """However late it was issued."""
    given = Given(*billed(("N", 50, day(9, 1)), ("M", 50, day(8, 1))))
    assert [("M", 50), ("N", 10)] == allocated(given, payment("P", 60))


def test_of_two_due_on_one_day_the_first_issued_is_paid_first() -> None:
    """Whatever their numbers."""
    given = Given(*billed(("Z", 50, day(8, 1)), ("A", 50, day(8, 1))))
    assert [("Z", 50), ("A", 10)] == allocated(given, payment("P", 60))


def test_the_invoice_named_comes_before_any_other() -> None:
    """The rest goes by the rule for unnamed money."""
    given = Given(*billed(("N", 50, day(8, 1)), ("M", 30, day(9, 1)), ("L", 30, day(9, 2))))
    asked = payment("P", 90, invoice="M")
    assert [("M", 30), ("N", 50), ("L", 10)] == allocated(given, asked)


def test_unnamed_money_skips_what_is_disputed() -> None:
    """And stays unapplied rather than pay it."""
    given = Given(*billed(("N", 50, day(8, 1))), dispute("D", "N", 20))
    assert [("N", 30)] == allocated(given, payment("P", 50))
    assert given.book.account
    assert (20, 20) == (given.book.account.unapplied_minor, given.book.account.open_minor)


def test_named_money_pays_what_is_disputed() -> None:
    """The customer has changed his mind."""
    given = Given(*billed(("N", 50, day(8, 1))), dispute("D", "N"))
    assert [("N", 50)] == allocated(given, payment("P", 50, invoice="N"))


def test_a_credit_goes_by_the_same_rule() -> None:
    """Named for an invoice, or to what is due first."""
    given = Given(*billed(("N", 50, day(8, 1)), ("M", 30, day(9, 1))))
    assert [("M", 5)] == allocated(given, credit("R", 5, "invoice", invoice="M"))
    assert [("N", 50), ("M", 10)] == allocated(given, credit("S", 60, "account"))


def test_what_is_left_waits_for_the_next_invoice() -> None:
    """It is used at once, from the day of issue."""
    given = Given(opening(), payment("P", 80), charge("A", 50))
    (issued,) = given.ask(c.IssueInvoice(number="N", issued_on=TODAY))
    assert isinstance(issued, InvoiceIssued)
    assert (Allocation("payment:P", "N", 50, TODAY),) == issued.allocations
    assert given.book.account
    assert 30 == given.book.account.unapplied_minor


def test_an_allocation_counts_from_source_and_invoice() -> None:
    """A backdated payment pays an invoice from its issue, not before."""
    given = Given(*billed(("N", 50, day(8, 1))))
    _, processed = given.ask(payment("P", 50, effective_on=day(7, 1)))
    assert (Allocation("payment:P", "N", 50, TODAY),) == processed.allocations
    assert day(7, 1) == processed.effective_on


def test_a_credit_note_on_a_written_off_invoice_goes_on_to_what_is_open() -> None:
    """A credit takes back no write-off, so an account needs more than the invoice named to be read,
    and more than the disputed one that is due before."""
    given = Given(*billed(("N", 50, day(8, 1)), ("M", 30, day(8, 2)), ("L", 40, day(9, 1))))
    given.ask(dispute("D", "N"))
    given.ask(c.WriteOffInvoice(write_off_id="W", invoice="L", reason="bad debt"))
    assert [("M", 30)] == allocated(given, credit("R", 40, "invoice", invoice="L"))
    assert given.book.account
    assert 10 == given.book.account.unapplied_minor


def part_paid_and_taken_back(undo: c.Command) -> Given:
    """P paid N and some of M, and was taken back; N was paid since, and M and K are disputed."""
    bills = (("N", 20, day(8, 1)), ("M", 99, day(8, 2)), ("K", 9, day(8, 3)), ("L", 40, day(9, 1)))
    given = Given(*billed(*bills), payment("P", 30), undo, payment("Q", 20, invoice="N"))
    given.ask(dispute("D", "M"))
    given.ask(dispute("E", "K"))
    return given


def test_money_that_comes_back_goes_on_from_what_it_had_paid() -> None:
    """Of an invoice that it pays in part only as much as was taken off it, the rest to what is open."""
    given = part_paid_and_taken_back(returned("P"))
    assert [("M", 10), ("L", 20)] == allocated(given, c.ReinstatePayment(payment_id="P"))


def test_a_bounced_refund_goes_on_from_what_it_had_reopened() -> None:
    """Likewise."""
    given = part_paid_and_taken_back(refund("R", 30, payment_id="P"))
    assert [("M", 10), ("L", 20)] == allocated(given, c.ReverseRefund(refund_id="R"))
